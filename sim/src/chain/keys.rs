//! Keys of the simulated people. Ed25519, since its signatures are the same each time and Sr25519's are not.

use cairn_primitives::{Balance, Hotkey, Netuid, Role};
use cairn_runtime::{
    extensions::{FreeOrPaid, InTurn},
    AccountId, Nonce, RuntimeCall, SignedPayload, Subnets, TxExtension, UncheckedExtrinsic,
};
use codec::Encode;
use sp_core::{ed25519, Pair};
use sp_runtime::{generic::Era, traits::IdentifyAccount, MultiSignature, MultiSigner};

/// Somebody who can sign.
#[derive(Clone)]
pub struct Key {
    pair: ed25519::Pair,
    account: AccountId,
}

impl Key {
    /// The key of a name.
    pub fn of(name: &str) -> Key {
        let pair = ed25519::Pair::from_seed(blake3::hash(name.as_bytes()).as_bytes());
        let account = MultiSigner::from(pair.public()).into_account();
        Key { pair, account }
    }

    /// Its account.
    pub fn account(&self) -> &AccountId {
        &self.account
    }

    /// It as a member's working key.
    pub fn id(&self) -> Hotkey {
        Hotkey::of(&self.account)
    }

    /// Signs something that is no transaction.
    pub fn sign_bytes(&self, bytes: &[u8]) -> MultiSignature {
        MultiSignature::Ed25519(self.pair.sign(bytes))
    }

    /// The call by which `coldkey` registers `hotkey`, with this key's signature: it has to be the hotkey's own. Reads
    /// the chain's genesis, so it has to be asked where a state is.
    pub fn registers(
        &self,
        netuid: Netuid,
        (hotkey, role): (&Key, Role),
        coldkey: &Key,
    ) -> RuntimeCall {
        let payload = Subnets::registration_payload(netuid, coldkey.account());
        RuntimeCall::Subnets(pallet_subnets::Call::register {
            netuid,
            hotkey: hotkey.account().clone(),
            role,
            max_price: Balance::MAX,
            signature: self.sign_bytes(&payload),
        })
    }

    /// Signs a call. Reads the chain's version and genesis, so it has to be asked where a state is.
    ///
    /// `None` if the runtime cannot say what is to be signed.
    pub fn sign(
        &self,
        nonce: Nonce,
        tip: Balance,
        call: RuntimeCall,
    ) -> Option<UncheckedExtrinsic> {
        let extension: TxExtension = (
            frame_system::CheckNonZeroSender::new(),
            frame_system::CheckSpecVersion::new(),
            frame_system::CheckTxVersion::new(),
            frame_system::CheckGenesis::new(),
            frame_system::CheckEra::from(Era::Immortal),
            InTurn::new(nonce),
            frame_system::CheckWeight::new(),
            FreeOrPaid::with_tip(tip),
            frame_system::WeightReclaim::new(),
        );
        let payload = SignedPayload::new(call.clone(), extension.clone()).ok()?;
        let signature = payload.using_encoded(|bytes| self.pair.sign(bytes));
        Some(UncheckedExtrinsic::new_signed(
            call,
            self.account.clone().into(),
            MultiSignature::Ed25519(signature),
            extension,
        ))
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({:?})", self.account)
    }
}
