//! A runtime in miniature: enough of calls, events, errors and metadata for transactions to be made,
//! checked and executed. What is signed is checked as a real runtime does, byte by byte.

use cairn_primitives::{blake2_256, Commitment, H256};
use codec::{Compact, Decode, DecodeAll, Encode};
use scale_info::{meta_type, TypeInfo};
use subxt::ext::frame_metadata::{
    v14::{
        ExtrinsicMetadata, PalletCallMetadata, PalletConstantMetadata, PalletErrorMetadata,
        PalletEventMetadata, PalletMetadata, RuntimeMetadataV14, SignedExtensionMetadata,
    },
    RuntimeMetadataPrefixed,
};

pub const SPEC_VERSION: u32 = 7;
pub const TRANSACTION_VERSION: u32 = 3;

pub mod system {
    use super::*;

    #[derive(Encode, Decode, TypeInfo)]
    pub enum Event {
        ExtrinsicSuccess {
            dispatch_info: (u64, u8),
        },
        ExtrinsicFailed {
            dispatch_error: DispatchError,
            dispatch_info: (u64, u8),
        },
    }
}

pub mod utility {
    use super::*;

    #[derive(Encode, Decode, TypeInfo)]
    pub enum Call {
        #[codec(index = 2)]
        #[allow(non_camel_case_types)]
        batch_all { calls: Vec<RuntimeCall> },
    }
}

pub mod training {
    use super::*;

    #[derive(Encode, Decode, TypeInfo)]
    #[allow(non_camel_case_types)]
    pub enum Call {
        #[codec(index = 3)]
        commit {
            netuid: u16,
            round: u32,
            commitment: Commitment,
        },
        #[codec(index = 4)]
        stop_run { netuid: u16 },
        // One argument fewer than the client knows.
        #[codec(index = 5)]
        reveal { netuid: u16, round: u32 },
    }

    #[derive(Encode, Decode, TypeInfo)]
    pub enum Event {
        #[codec(index = 6)]
        Committed { netuid: u16, round: u32, uid: u16 },
    }

    #[derive(Encode, Decode, TypeInfo)]
    #[scale_info(capture_docs = "always")]
    pub enum Error {
        /// There is no run to stop.
        #[codec(index = 1)]
        NoRun,
    }
}

#[derive(Encode, Decode, TypeInfo)]
pub enum DispatchError {
    #[codec(index = 3)]
    Module { index: u8, error: [u8; 4] },
}

#[derive(Encode, Decode, TypeInfo)]
pub enum RuntimeCall {
    #[codec(index = 4)]
    Utility(utility::Call),
    #[codec(index = 9)]
    Training(training::Call),
}

#[derive(Encode, Decode, TypeInfo)]
pub enum RuntimeEvent {
    #[codec(index = 0)]
    System(system::Event),
    #[codec(index = 9)]
    Training(training::Event),
}

#[derive(Encode, Decode, TypeInfo)]
pub enum Address {
    Id([u8; 32]),
}

/// Whether what is signed has the digest of the metadata.
#[derive(Encode, Decode, TypeInfo)]
pub enum DigestMode {
    Disabled,
    Enabled,
}

#[derive(Encode, Decode, TypeInfo)]
pub enum Signature {
    #[codec(index = 1)]
    Sr25519([u8; 64]),
}

/// Only its type parameters matter.
#[derive(TypeInfo)]
#[scale_info(skip_type_params(Call))]
pub struct Extrinsic<Address, Call, Signature>(
    core::marker::PhantomData<(Address, Call, Signature)>,
);

/// Stands for `sp_runtime::generic::Era`: two bytes of a mortal transaction.
type Era = (u8, u8);

fn pallet(name: &'static str, index: u8) -> PalletMetadata {
    let (storage, calls, event, constants, error) = (None, None, None, Vec::new(), None);
    PalletMetadata {
        name,
        storage,
        calls,
        event,
        constants,
        error,
        index,
    }
}

fn extension<Value, Implicit>(identifier: &'static str) -> SignedExtensionMetadata
where
    Value: TypeInfo + 'static,
    Implicit: TypeInfo + 'static,
{
    let (ty, additional_signed) = (meta_type::<Value>(), meta_type::<Implicit>());
    SignedExtensionMetadata {
        identifier,
        ty,
        additional_signed,
    }
}

/// The SCALE of the runtime's metadata, as `state_getMetadata` gives it.
pub fn metadata() -> Vec<u8> {
    let system = PalletMetadata {
        event: Some(PalletEventMetadata {
            ty: meta_type::<system::Event>(),
        }),
        constants: vec![PalletConstantMetadata {
            name: "BlockHashCount",
            ty: meta_type::<u32>(),
            // Of which 128 is the longest period.
            value: 250u32.encode(),
            docs: Vec::new(),
        }],
        ..pallet("System", 0)
    };
    let utility = PalletMetadata {
        calls: Some(PalletCallMetadata {
            ty: meta_type::<utility::Call>(),
        }),
        ..pallet("Utility", 4)
    };
    let training = PalletMetadata {
        calls: Some(PalletCallMetadata {
            ty: meta_type::<training::Call>(),
        }),
        event: Some(PalletEventMetadata {
            ty: meta_type::<training::Event>(),
        }),
        error: Some(PalletErrorMetadata {
            ty: meta_type::<training::Error>(),
        }),
        ..pallet("Training", 9)
    };
    let extrinsic = ExtrinsicMetadata {
        ty: meta_type::<Extrinsic<Address, RuntimeCall, Signature>>(),
        version: 4,
        // As the chain has them: SkipCheckIfFeeless shows itself as what it wraps.
        signed_extensions: vec![
            extension::<(), ()>("CheckNonZeroSender"),
            extension::<(), u32>("CheckSpecVersion"),
            extension::<(), u32>("CheckTxVersion"),
            extension::<(), H256>("CheckGenesis"),
            extension::<Era, H256>("CheckMortality"),
            extension::<Compact<u32>, ()>("CheckNonce"),
            extension::<(), ()>("CheckWeight"),
            extension::<Compact<u64>, ()>("ChargeTransactionPayment"),
            extension::<DigestMode, Option<H256>>("CheckMetadataHash"),
        ],
    };
    let runtime = meta_type::<(RuntimeCall, RuntimeEvent)>();
    let metadata = RuntimeMetadataV14::new(vec![system, utility, training], extrinsic, runtime);
    RuntimeMetadataPrefixed::from(metadata).encode()
}

/// A transaction that was taken apart.
pub struct Transaction {
    pub signer: [u8; 32],
    pub nonce: u32,
    pub tip: u64,
    pub call: RuntimeCall,
    /// First block for which it is valid, modulo its period of 128 blocks.
    pub phase: u64,
    signature: [u8; 64],
    /// Call and values of the extensions, as they are signed.
    signed: Vec<u8>,
}

impl Transaction {
    /// Takes apart the bytes of a signed transaction of version 4.
    pub fn read(bytes: &[u8]) -> Result<Transaction, codec::Error> {
        let inner = Vec::<u8>::decode_all(&mut &*bytes)?;
        let mut input = &inner[..];
        if u8::decode(&mut input)? != 0x84 {
            return Err("not a signed transaction of version 4".into());
        }
        let Address::Id(signer) = Address::decode(&mut input)?;
        let Signature::Sr25519(signature) = Signature::decode(&mut input)?;
        let era = u16::decode(&mut input)?;
        let Compact(nonce) = Compact::<u32>::decode(&mut input)?;
        let Compact(tip) = Compact::<u64>::decode(&mut input)?;
        let DigestMode::Disabled = DigestMode::decode(&mut input)? else {
            return Err("it is held to a digest of metadata, which it cannot know".into());
        };
        let call = RuntimeCall::decode_all(&mut input)?;
        // sp_runtime's Era: the low four bits are log2(period) − 1, the others the phase.
        if era & 15 != 6 {
            return Err("not mortal for 128 blocks".into());
        }
        let signed = (
            &call,
            era,
            Compact(nonce),
            Compact(tip),
            DigestMode::Disabled,
        )
            .encode();
        Ok(Transaction {
            signer,
            nonce,
            tip,
            call,
            phase: u64::from(era >> 4),
            signature,
            signed,
        })
    }

    /// Whether it is signed for this chain, this runtime and the block that it hangs on.
    pub fn is_signed_for(&self, genesis: H256, anchor: H256) -> bool {
        let mut payload = self.signed.clone();
        let digest = None::<H256>;
        (SPEC_VERSION, TRANSACTION_VERSION, genesis, anchor, digest).encode_to(&mut payload);
        if payload.len() > 256 {
            payload = blake2_256(&payload).as_bytes().to_vec();
        }
        let signature = subxt_signer::sr25519::Signature(self.signature);
        let signer = subxt_signer::sr25519::PublicKey(self.signer);
        subxt_signer::sr25519::verify(&signature, payload, &signer)
    }

    /// What executing it brings about.
    pub fn execute(&self) -> Vec<RuntimeEvent> {
        let mut events = Vec::new();
        let dispatch_info = (1, 2);
        let ended = match execute(&self.call, &mut events) {
            Ok(()) => system::Event::ExtrinsicSuccess { dispatch_info },
            Err(error) => system::Event::ExtrinsicFailed {
                dispatch_error: DispatchError::Module {
                    index: 9,
                    error: [error, 0, 0, 0],
                },
                dispatch_info,
            },
        };
        events.push(RuntimeEvent::System(ended));
        events
    }
}

fn execute(call: &RuntimeCall, events: &mut Vec<RuntimeEvent>) -> Result<(), u8> {
    match call {
        RuntimeCall::Utility(utility::Call::batch_all { calls }) => {
            calls.iter().try_for_each(|call| execute(call, events))
        }
        RuntimeCall::Training(training::Call::commit { netuid, round, .. }) => {
            let (netuid, round) = (*netuid, *round);
            let event = training::Event::Committed {
                netuid,
                round,
                uid: 5,
            };
            events.push(RuntimeEvent::Training(event));
            Ok(())
        }
        RuntimeCall::Training(_) => Err(1),
    }
}

/// The SCALE of a block's events: of each its phase, itself and its topics.
pub fn encode_events(transactions: &[Vec<RuntimeEvent>]) -> Vec<u8> {
    let mut records: Vec<Vec<u8>> = Vec::new();
    for (index, events) in transactions.iter().enumerate() {
        for event in events {
            records.push((0u8, index as u32, event, Vec::<H256>::new()).encode());
        }
    }
    let mut bytes = Compact(records.len() as u32).encode();
    bytes.extend(records.concat());
    bytes
}
