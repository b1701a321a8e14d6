//! What a signed transaction is held to beyond Substrate's own checks, so that nobody's transactions crowd out others':
//! how many of an account may wait ([`InTurn`]), how long each may be, and that free calls come first ([`FreeOrPaid`]).
//!
//! Both wrap an extension of Substrate and look like it from outside: to wallets there is nothing new.

use codec::{Decode, DecodeWithMemTracking, Encode};
use frame_support::{dispatch::DispatchResult, weights::Weight};
use pallet_skip_feeless_payment::{Intermediate, SkipCheckIfFeeless};
use pallet_transaction_payment::ChargeTransactionPayment;
use scale_info::{Type, TypeInfo};
use sp_runtime::{
    traits::{
        AsSystemOriginSigner, DispatchInfoOf, Implication, PostDispatchInfoOf,
        TransactionExtension, ValidateResult,
    },
    transaction_validity::{
        InvalidTransaction, TransactionPriority, TransactionSource, TransactionValidityError,
        UnknownTransaction,
    },
};

use crate::{configs::system::MAX_TRANSACTION_BYTES, Nonce, Runtime, RuntimeCall, RuntimeOrigin};

/// The most transactions of one account that can wait for a block.
pub const MAX_WAITING: Nonce = 64;
/// Says that an account has [`MAX_WAITING`] transactions waiting: it may send on as soon as one is in a block.
pub const TOO_MANY_WAITING: u8 = 1;
/// A free call is one that its member makes once in a phase, and late is never: it goes before what is paid for.
pub const FREE_PRIORITY: TransactionPriority = TransactionPriority::MAX / 2;

type Order = frame_system::CheckNonce<Runtime>;
type Payment = ChargeTransactionPayment<Runtime>;
type Fee = SkipCheckIfFeeless<Runtime, Payment>;

/// [`frame_system::CheckNonce`], for at most [`MAX_WAITING`] transactions of an account at a time.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking)]
pub struct InTurn(Order);

/// [`ChargeTransactionPayment`] unless the call is free, for transactions of at most [`MAX_TRANSACTION_BYTES`]. Only the
/// sudo key's may be longer: a new runtime is.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking)]
pub struct FreeOrPaid(Fee);

impl InTurn {
    /// For the transaction with this nonce.
    pub fn new(nonce: Nonce) -> InTurn {
        InTurn(Order::from(nonce))
    }
}

impl FreeOrPaid {
    /// For a transaction with this tip.
    pub fn with_tip(tip: crate::Balance) -> FreeOrPaid {
        FreeOrPaid(Fee::from(Payment::from(tip)))
    }
}

impl TypeInfo for InTurn {
    type Identity = Order;

    fn type_info() -> Type {
        Order::type_info()
    }
}

impl TypeInfo for FreeOrPaid {
    type Identity = Payment;

    fn type_info() -> Type {
        Payment::type_info()
    }
}

impl TransactionExtension<RuntimeCall> for InTurn {
    const IDENTIFIER: &'static str = <Order as TransactionExtension<RuntimeCall>>::IDENTIFIER;
    type Implicit = <Order as TransactionExtension<RuntimeCall>>::Implicit;
    type Val = <Order as TransactionExtension<RuntimeCall>>::Val;
    type Pre = <Order as TransactionExtension<RuntimeCall>>::Pre;

    fn weight(&self, call: &RuntimeCall) -> Weight {
        self.0.weight(call)
    }

    fn validate(
        &self,
        origin: RuntimeOrigin,
        call: &RuntimeCall,
        info: &DispatchInfoOf<RuntimeCall>,
        len: usize,
        implicit: Self::Implicit,
        implication: &impl Implication,
        source: TransactionSource,
    ) -> ValidateResult<Self::Val, RuntimeCall> {
        if let Some(who) = origin.as_system_origin_signer() {
            let next = frame_system::Pallet::<Runtime>::account_nonce(who);
            let before = self.0 .0.saturating_sub(next);
            // Not invalid: the pool would ban it, and it is welcome later.
            if before >= MAX_WAITING {
                return Err(UnknownTransaction::Custom(TOO_MANY_WAITING).into());
            }
        }
        self.0
            .validate(origin, call, info, len, implicit, implication, source)
    }

    fn prepare(
        self,
        val: Self::Val,
        origin: &RuntimeOrigin,
        call: &RuntimeCall,
        info: &DispatchInfoOf<RuntimeCall>,
        len: usize,
    ) -> Result<Self::Pre, TransactionValidityError> {
        self.0.prepare(val, origin, call, info, len)
    }

    fn post_dispatch_details(
        pre: Self::Pre,
        info: &DispatchInfoOf<RuntimeCall>,
        post_info: &PostDispatchInfoOf<RuntimeCall>,
        len: usize,
        result: &DispatchResult,
    ) -> Result<Weight, TransactionValidityError> {
        Order::post_dispatch_details(pre, info, post_info, len, result)
    }
}

impl TransactionExtension<RuntimeCall> for FreeOrPaid {
    const IDENTIFIER: &'static str = <Fee as TransactionExtension<RuntimeCall>>::IDENTIFIER;
    type Implicit = <Fee as TransactionExtension<RuntimeCall>>::Implicit;
    type Val = <Fee as TransactionExtension<RuntimeCall>>::Val;
    type Pre = <Fee as TransactionExtension<RuntimeCall>>::Pre;

    fn weight(&self, call: &RuntimeCall) -> Weight {
        self.0.weight(call)
    }

    fn validate(
        &self,
        origin: RuntimeOrigin,
        call: &RuntimeCall,
        info: &DispatchInfoOf<RuntimeCall>,
        len: usize,
        implicit: Self::Implicit,
        implication: &impl Implication,
        source: TransactionSource,
    ) -> ValidateResult<Self::Val, RuntimeCall> {
        let most = usize::try_from(MAX_TRANSACTION_BYTES).unwrap_or(usize::MAX);
        if len > most {
            let signer = origin.as_system_origin_signer();
            let is_sudo = signer.is_some() && signer == pallet_sudo::Key::<Runtime>::get().as_ref();
            if !is_sudo {
                return Err(InvalidTransaction::ExhaustsResources.into());
            }
        }
        let (mut validity, val, origin) =
            self.0
                .validate(origin, call, info, len, implicit, implication, source)?;
        if matches!(val, Intermediate::Skip(_)) {
            validity.priority = FREE_PRIORITY;
        }
        Ok((validity, val, origin))
    }

    fn prepare(
        self,
        val: Self::Val,
        origin: &RuntimeOrigin,
        call: &RuntimeCall,
        info: &DispatchInfoOf<RuntimeCall>,
        len: usize,
    ) -> Result<Self::Pre, TransactionValidityError> {
        self.0.prepare(val, origin, call, info, len)
    }

    fn post_dispatch_details(
        pre: Self::Pre,
        info: &DispatchInfoOf<RuntimeCall>,
        post_info: &PostDispatchInfoOf<RuntimeCall>,
        len: usize,
        result: &DispatchResult,
    ) -> Result<Weight, TransactionValidityError> {
        Fee::post_dispatch_details(pre, info, post_info, len, result)
    }
}
