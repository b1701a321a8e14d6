//! What a signed transaction is held to beyond Substrate's own checks, so that nobody's transactions crowd out others':
//! how many of an account may wait ([`InTurn`]), how long each may be, and that free calls get in ([`FreeOrPaid`]).
//!
//! Both wrap an extension of Substrate and look like it from outside: to wallets there is nothing new.
//!
//! A free call is a member's [`Duty`]. It goes before whatever is paid for, the sooner it would be too late the
//! earlier. The pool holds one of a kind, subnet, round and member, and until it is too late. It is of the
//! operational class, for which a block keeps room, and a block takes only so many of a subnet
//! ([`quota`](crate::quota)). With a tip it is paid for like any other, has no quota and goes first, so that a member
//! which can pay gets its duty in for sure.
//!
//! Other transactions of the operational class are only the council's motions and votes and, on a chain for
//! development, the sudo key's: nobody buys the room that is kept for duties. A new runtime that governance
//! authorised is longer than other transactions. It is brought without a signature, so this does not hold it up.

pub use frame_metadata_hash_extension::CheckMetadataHash;

use cairn_primitives::Netuid;
use codec::{Decode, DecodeWithMemTracking, Encode};
use frame_support::{
    dispatch::{CheckIfFeeless, DispatchClass, DispatchResult},
    traits::OriginTrait,
    weights::Weight,
};
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

use crate::{
    configs::{governance::CouncilInstance, system::MAX_TRANSACTION_BYTES},
    duties::{Duty, URGENCIES},
    Nonce, OriginCaller, Quota, Runtime, RuntimeCall, RuntimeOrigin,
};

/// The most transactions of one account that can wait for a block.
pub const MAX_WAITING: Nonce = 64;
/// Says that an account has [`MAX_WAITING`] transactions waiting: it may send on as soon as one is in a block.
pub const TOO_MANY_WAITING: u8 = 1;
/// A free call is one that its member makes once in a phase, and late is never: it goes before what is paid for,
/// which has at most this priority.
pub const FREE_PRIORITY: TransactionPriority = TransactionPriority::MAX / 2;
/// A duty with a tip takes the place of the same one without.
pub const TIPPED_PRIORITY: TransactionPriority = FREE_PRIORITY + URGENCIES;

type Order = frame_system::CheckNonce<Runtime>;
type Payment = ChargeTransactionPayment<Runtime>;
type Fee = SkipCheckIfFeeless<Runtime, Payment>;

/// [`frame_system::CheckNonce`], for at most [`MAX_WAITING`] transactions of an account at a time.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking)]
pub struct InTurn(Order);

/// [`ChargeTransactionPayment`] unless the call is a duty, for transactions of at most [`MAX_TRANSACTION_BYTES`].
/// Only the sudo key's may be longer, where there is one: a new runtime is.
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

impl FreeOrPaid {
    fn payment(&self) -> &Payment {
        &self.0 .0
    }

    /// The duty that this call does for who signed it, if it may be done now.
    pub fn duty(origin: &RuntimeOrigin, call: &RuntimeCall) -> Option<Duty> {
        let duty = Duty::of(call, origin.as_system_origin_signer()?)?;
        call.is_feeless(origin).then_some(duty)
    }

    /// Whether a transaction with this call costs nothing.
    pub fn is_free(&self, origin: &RuntimeOrigin, call: &RuntimeCall) -> bool {
        self.payment().tip() == 0 && Self::duty(origin, call).is_some()
    }
}

fn is_sudo(origin: &RuntimeOrigin) -> bool {
    let signer = origin.as_system_origin_signer();
    signer.is_some() && signer == pallet_sudo::Key::<Runtime>::get().as_ref()
}

/// Whether a call is one of the council's, by one of its members.
fn is_council(origin: &RuntimeOrigin, call: &RuntimeCall) -> bool {
    let signer = origin.as_system_origin_signer();
    let members = pallet_collective::Members::<Runtime, CouncilInstance>::get;
    matches!(call, RuntimeCall::Council(_)) && signer.is_some_and(|one| members().contains(one))
}

/// How the fee of a transaction is settled: freely, for which subnet, or by paying.
type Settled<Paid, Origin> = (Option<Netuid>, Intermediate<Paid, Origin>);

impl TransactionExtension<RuntimeCall> for FreeOrPaid {
    const IDENTIFIER: &'static str = <Fee as TransactionExtension<RuntimeCall>>::IDENTIFIER;
    type Implicit = <Fee as TransactionExtension<RuntimeCall>>::Implicit;
    type Val = Settled<<Payment as TransactionExtension<RuntimeCall>>::Val, OriginCaller>;
    type Pre = <Fee as TransactionExtension<RuntimeCall>>::Pre;

    fn weight(&self, call: &RuntimeCall) -> Weight {
        // The member, its round or epoch, and the quota, with what that depends on.
        let duty = match Duty::is_owed(call) {
            true => <Runtime as frame_system::Config>::DbWeight::get().reads_writes(4, 1),
            false => Weight::zero(),
        };
        self.0.weight(call).saturating_add(duty)
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
        if len > most && !is_sudo(&origin) {
            return Err(InvalidTransaction::ExhaustsResources.into());
        }
        let duty = Self::duty(&origin, call);
        match &duty {
            Some(duty) if self.payment().tip() == 0 => {
                let val = (
                    Some(duty.netuid),
                    Intermediate::Skip(origin.caller().clone()),
                );
                return Ok((duty.validity(FREE_PRIORITY), val, origin));
            }
            None if info.class != DispatchClass::Normal
                && !is_sudo(&origin)
                && !is_council(&origin, call) =>
            {
                return Err(InvalidTransaction::Call.into());
            }
            _ => {}
        }
        let (mut validity, val, origin) =
            self.payment()
                .validate(origin, call, info, len, implicit, implication, source)?;
        match duty {
            Some(duty) => {
                validity.priority = 0;
                validity = validity.combine_with(duty.validity(TIPPED_PRIORITY));
            }
            None => validity.priority = validity.priority.min(FREE_PRIORITY),
        }
        Ok((validity, (None, Intermediate::Apply(val)), origin))
    }

    fn prepare(
        self,
        (free, val): Self::Val,
        origin: &RuntimeOrigin,
        call: &RuntimeCall,
        info: &DispatchInfoOf<RuntimeCall>,
        len: usize,
    ) -> Result<Self::Pre, TransactionValidityError> {
        if let Some(netuid) = free {
            // Not invalid: it waits for the next block.
            Quota::take(netuid).map_err(|_| InvalidTransaction::ExhaustsResources)?;
        }
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
