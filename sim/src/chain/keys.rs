//! Keys of the simulated people. Ed25519, since its signatures are the same each time and Sr25519's are not. Whoever
//! brings an Sr25519 key of its own, as tests of workers do, signs with that.

use std::sync::Arc;

use cairn_primitives::{Balance, Hotkey, Netuid, Role};
use cairn_runtime::{
    extensions::{CheckMetadataHash, FreeOrPaid, InTurn},
    AccountId, Nonce, RuntimeCall, SignedPayload, Subnets, TxExtension, UncheckedExtrinsic,
};
use codec::Encode;
use sp_core::{ed25519, sr25519, Pair};
use sp_runtime::{generic::Era, traits::IdentifyAccount, MultiSignature, MultiSigner};

/// Somebody who can sign.
#[derive(Clone)]
pub struct Key {
    signer: Signer,
    account: AccountId,
}

/// Makes an Sr25519 signature of a message.
type Signs = dyn Fn(&[u8]) -> [u8; 64] + Send + Sync;

#[derive(Clone)]
enum Signer {
    Own(Box<ed25519::Pair>),
    Brought(Arc<Signs>),
}

impl Key {
    /// The key of a name.
    pub fn of(name: &str) -> Key {
        let pair = ed25519::Pair::from_seed(blake3::hash(name.as_bytes()).as_bytes());
        let account = MultiSigner::from(pair.public()).into_account();
        let signer = Signer::Own(Box::new(pair));
        Key { signer, account }
    }

    /// An Sr25519 key that somebody else has, by its public key: `sign` signs with it.
    pub fn brought(
        public: [u8; 32],
        sign: impl Fn(&[u8]) -> [u8; 64] + Send + Sync + 'static,
    ) -> Key {
        let signer = Signer::Brought(Arc::new(sign));
        let account = MultiSigner::from(sr25519::Public::from_raw(public)).into_account();
        Key { signer, account }
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
        match &self.signer {
            Signer::Own(pair) => MultiSignature::Ed25519(pair.sign(bytes)),
            Signer::Brought(sign) => {
                MultiSignature::Sr25519(sr25519::Signature::from_raw(sign(bytes)))
            }
        }
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
            CheckMetadataHash::new(false),
            frame_system::WeightReclaim::new(),
        );
        let payload = SignedPayload::new(call.clone(), extension.clone()).ok()?;
        let signature = payload.using_encoded(|bytes| self.sign_bytes(bytes));
        Some(UncheckedExtrinsic::new_signed(
            call,
            self.account.clone().into(),
            signature,
            extension,
        ))
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({:?})", self.account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sp_runtime::traits::Verify;

    #[test]
    fn a_brought_key_signs_as_its_account() {
        let pair = sr25519::Pair::from_string("//Alice", None).expect("a development key");
        let public = pair.public().0;
        let key = Key::brought(public, move |bytes| pair.sign(bytes).0);
        assert_eq!(*key.account(), AccountId::from(public));
        let signature = key.sign_bytes(b"a text");
        assert!(signature.verify(&b"a text"[..], key.account()));
        assert!(!signature.verify(&b"another"[..], key.account()));
    }
}
