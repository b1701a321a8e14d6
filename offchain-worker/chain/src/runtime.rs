//! The runtime of the node: what is needed to sign for it and to read its events.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use cairn_keys::Keypair;
use cairn_primitives::H256;
use futures::future::{BoxFuture, FutureExt, Shared, WeakShared};
use subxt::{
    client::OfflineClient,
    config::{
        substrate::{SpecVersionForRange, SubstrateConfig, SubstrateConfigBuilder},
        SubstrateExtrinsicParamsBuilder,
    },
    events::Phase,
    ext::scale_encode::{EncodeAsFields, Error as EncodeError, FieldIter, TypeResolver},
    metadata::{ArcMetadata, Metadata},
    rpcs::{
        client::RpcParams,
        methods::legacy::{Bytes, RuntimeVersion},
        rpc_params,
    },
    transactions::{Signer, StaticPayload},
    utils::{AccountId32, MultiSignature},
};

use crate::{
    connection::Connection,
    dispatch::{name_in, outcome, DispatchError, Event},
    AccountId, Block, Call, ChainError,
};

/// Blocks for which a transaction stays valid.
pub(crate) const MORTALITY: u32 = 128;

/// One version of the chain's runtime.
pub(crate) struct Runtime {
    spec_version: u32,
    metadata: ArcMetadata,
    offline: OfflineClient<SubstrateConfig>,
}

/// The version that was used last: chains are seldom upgraded. It is locked for no longer than it takes to read or write
/// it. What is being asked for is held by nobody: whoever waits for it goes on with it.
#[derive(Default)]
pub(crate) struct Runtimes(Mutex<Known>);

#[derive(Default)]
struct Known {
    last: Option<Arc<Runtime>>,
    /// What is being asked for, for as long as somebody waits for it.
    asked: Option<(Which, WeakShared<Asking>)>,
}

/// Which runtime is being asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    /// The first one, whose version is being asked for as well.
    First,
    /// That of this version.
    Version(u32),
}

type Learned = Result<Arc<Runtime>, ChainError>;
type Asking = BoxFuture<'static, Learned>;

/// Who signs, as subxt takes it.
#[derive(Clone, Copy)]
pub(crate) enum Hand<'a> {
    Key(&'a Keypair),
    /// Somebody whose key is not here: the signature is of the right length, and none.
    Nobody(AccountId),
}

impl Signer<SubstrateConfig> for Hand<'_> {
    fn account_id(&self) -> AccountId32 {
        match self {
            Hand::Key(key) => AccountId32(key.public_key()),
            Hand::Nobody(account) => AccountId32(account.0),
        }
    }

    fn sign(&self, payload: &[u8]) -> MultiSignature {
        MultiSignature::Sr25519(match self {
            Hand::Key(key) => key.sign(payload),
            Hand::Nobody(_) => [0; 64],
        })
    }
}

/// Where a transaction stands among an account's others, how long it is valid, and what it pays beside the fee, in
/// pebble.
#[derive(Clone, Copy)]
pub(crate) struct Validity {
    pub nonce: u64,
    /// It is valid for `period` blocks after this one.
    pub anchor: Block,
    pub period: u32,
    pub tip: u128,
}

/// Arguments that are SCALE already.
struct Encoded(Vec<u8>);

impl EncodeAsFields for Encoded {
    fn encode_as_fields_to<R: TypeResolver>(
        &self,
        _fields: &mut dyn FieldIter<'_, R::TypeId>,
        _types: &R,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        out.extend_from_slice(&self.0);
        Ok(())
    }
}

impl Runtimes {
    /// The runtime after the node's best block, if it is the one that was used last.
    pub async fn now(
        &self,
        connection: &Arc<Connection>,
    ) -> Result<Option<Arc<Runtime>>, ChainError> {
        let version = version(connection, rpc_params![]).await?;
        Ok(self.last(&version))
    }

    /// The runtime after the block with this hash.
    pub async fn at(&self, connection: &Arc<Connection>, hash: H256) -> Learned {
        let version = version(connection, rpc_params![hash]);
        let version = match self.first(connection, hash) {
            None => version.await?,
            Some((asked, true)) => return self.learned(asked).await,
            // It is of another block, and may fail for a reason of its own.
            Some((asked, false)) => tokio::join!(self.learned(asked), version).1?,
        };
        match self.last(&version) {
            Some(runtime) => Ok(runtime),
            None => self.of_version(connection, hash, version).await,
        }
    }

    /// That of this version. What another asks for is of another block, which may be gone: then it is asked for again.
    async fn of_version(
        &self,
        connection: &Arc<Connection>,
        hash: H256,
        version: RuntimeVersion,
    ) -> Learned {
        let (asked, is_own) = self.of(connection, hash, version.clone());
        match self.learned(asked).await {
            Err(_) if !is_own => self.learned(self.of(connection, hash, version).0).await,
            learned => learned,
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one that was used last, if it is of this version.
    fn last(&self, version: &RuntimeVersion) -> Option<Arc<Runtime>> {
        let known = self.known();
        known.last.clone().filter(|last| last.is(version))
    }

    /// While none is known: the first one, with its version, and whether it is asked for here and now, of this block.
    fn first(&self, connection: &Arc<Connection>, hash: H256) -> Option<(Shared<Asking>, bool)> {
        let mut known = self.known();
        if known.last.is_some() {
            return None;
        }
        let connection = connection.clone();
        Some(known.ask(Which::First, async move {
            let version = version(&connection, rpc_params![hash]);
            let (version, metadata) = tokio::try_join!(version, metadata(&connection, hash))?;
            let runtime = Runtime::new(metadata, &version, connection.genesis());
            Ok(Arc::new(runtime))
        }))
    }

    /// That of this version, which is in force after the block with this hash.
    fn of(
        &self,
        connection: &Arc<Connection>,
        hash: H256,
        version: RuntimeVersion,
    ) -> (Shared<Asking>, bool) {
        let connection = connection.clone();
        let which = Which::Version(version.spec_version);
        self.known().ask(which, async move {
            let metadata = metadata(&connection, hash).await?;
            let runtime = Runtime::new(metadata, &version, connection.genesis());
            Ok(Arc::new(runtime))
        })
    }

    /// Waits for what is asked for, and remembers it.
    async fn learned(&self, asked: Shared<Asking>) -> Learned {
        let runtime = asked.await?;
        self.known().last = Some(runtime.clone());
        Ok(runtime)
    }
}

impl Known {
    /// What somebody else asks for already, or else this; and whether it is this.
    fn ask(
        &mut self,
        which: Which,
        asking: impl Future<Output = Learned> + Send + 'static,
    ) -> (Shared<Asking>, bool) {
        let others = self.asked.as_ref().filter(|(asked, _)| *asked == which);
        let others = others.and_then(|(_, asked)| asked.upgrade());
        // What has failed says nothing of another try.
        let others = others.filter(|others| !matches!(others.peek(), Some(Err(_))));
        if let Some(others) = others {
            return (others, false);
        }
        let asking = asking.boxed().shared();
        self.asked = asking.downgrade().map(|asked| (which, asked));
        (asking, true)
    }
}

/// The version of the runtime after the block that `at` has the hash of, or after the best one.
async fn version(
    connection: &Arc<Connection>,
    at: RpcParams,
) -> Result<RuntimeVersion, ChainError> {
    connection.request("state_getRuntimeVersion", at).await
}

/// The metadata of the runtime after the block with this hash.
async fn metadata(connection: &Arc<Connection>, hash: H256) -> Result<ArcMetadata, ChainError> {
    let method = "state_getMetadata";
    let bytes: Bytes = connection.request(method, rpc_params![hash]).await?;
    let metadata = Metadata::decode_from(&bytes.0);
    let metadata = metadata.map_err(|error| connection.malformed(method, error))?;
    Ok(metadata.arc())
}

impl Runtime {
    pub fn new(metadata: ArcMetadata, version: &RuntimeVersion, genesis: H256) -> Runtime {
        let always = SpecVersionForRange {
            block_range: 0..u64::MAX,
            spec_version: version.spec_version,
            transaction_version: version.transaction_version,
        };
        let config = SubstrateConfigBuilder::new()
            .set_genesis_hash(genesis)
            .set_metadata_for_spec_versions([(version.spec_version, metadata.clone())])
            .set_spec_version_for_block_ranges([always])
            .build();
        let offline = OfflineClient::new_with_config(config);
        Runtime {
            spec_version: version.spec_version,
            metadata,
            offline,
        }
    }

    /// Whether this is the runtime of this version.
    fn is(&self, version: &RuntimeVersion) -> bool {
        self.spec_version == version.spec_version
    }

    /// SCALE of a pallet's constant.
    pub fn constant(&self, pallet: &str, name: &str) -> Option<&[u8]> {
        let pallet = self.metadata.pallet_by_name(pallet)?;
        Some(pallet.constant_by_name(name)?.value())
    }

    /// SCALE of a call.
    pub fn encoded(&self, call: &Call) -> Result<Vec<u8>, ChainError> {
        call.encoded(&self.metadata)
    }

    /// Signs a call.
    pub fn sign(&self, call: &Call, hand: Hand, validity: Validity) -> Result<Vec<u8>, ChainError> {
        let arguments = call.arguments(&self.metadata)?;
        self.sign_encoded((call.pallet(), call.name()), arguments, hand, validity)
    }

    /// Signs the call of this pallet and name with arguments that are SCALE already.
    pub fn sign_encoded(
        &self,
        (pallet, name): (&str, &str),
        arguments: Vec<u8>,
        hand: Hand,
        validity: Validity,
    ) -> Result<Vec<u8>, ChainError> {
        let cannot = |why: String| ChainError::UnknownCall {
            call: format!("{pallet}.{name}"),
            why: crate::error::reason(&why),
        };
        let payload = StaticPayload::new(pallet, name, Encoded(arguments));
        let anchor = validity.anchor;
        let params = SubstrateExtrinsicParamsBuilder::<SubstrateConfig>::new()
            .nonce(validity.nonce)
            .tip(validity.tip)
            .mortal_from_unchecked(validity.period.into(), anchor.number.into(), anchor.hash)
            .build();
        let at = self
            .offline
            .at_block(anchor.number)
            .map_err(|error| cannot(error.to_string()))?;
        let mut signable = at
            .transactions()
            .create_signable_offline(&payload, params)
            .map_err(|error| cannot(error.to_string()))?;
        let signed = signable
            .sign(&hand)
            .map_err(|error| cannot(error.to_string()))?;
        Ok(signed.into_encoded())
    }

    /// The events of the transaction with number `index` in a block, out of all the block's events.
    pub fn events(&self, bytes: Vec<u8>, index: u32) -> Result<Vec<Event>, String> {
        let at = self
            .offline
            .at_block(0u32)
            .map_err(|error| error.to_string())?;
        let mut found = Vec::new();
        // The number of events is bounded by the bytes that they take.
        for event in at.events().from_bytes(bytes).iter() {
            let event = event.map_err(|error| error.to_string())?;
            if event.phase() == Phase::ApplyExtrinsic(index) {
                found.push(Event {
                    pallet: event.pallet_name().to_string(),
                    name: event.event_name().to_string(),
                    fields: event.field_bytes().to_vec(),
                });
            }
        }
        Ok(found)
    }

    /// How a transaction with these events ended.
    pub fn outcome(&self, events: &[Event]) -> Result<Result<(), DispatchError>, codec::Error> {
        outcome(events, |pallet, error| {
            name_in(&self.metadata, pallet, error)
        })
    }
}
