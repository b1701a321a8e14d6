//! Transactions that are made here, signed where there is no network, and sent from here.
//!
//! What is signed is built from the parts in an [`Unsigned`], not taken from it as bytes. So whoever signs can be shown
//! what the call does, as the runtime's metadata in it names things.

use std::fmt::Write;

use cairn_keys::Keypair;
use cairn_primitives::{BlockNumber, H256};
use serde::{Deserialize, Serialize};
use subxt::{
    ext::scale_value::{scale::decode_as_type, Composite, Primitive, Value, ValueDef},
    metadata::Metadata,
    rpcs::{
        methods::legacy::{Bytes, RuntimeVersion},
        rpc_params,
    },
};

use crate::{
    runtime::{Hand, Runtime, Validity},
    submit::anchor,
    AccountId, Block, Call, ChainError, Client, Included,
};

/// How long a transaction may wait at most, in blocks; a chain that remembers fewer of its blocks sets less.
const LONGEST: u32 = 2_048;
/// The least period that a transaction can have.
const SHORTEST: u32 = 4;

/// A transaction without its signature, and all that it takes to sign it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unsigned {
    /// Who signs and pays.
    pub account: AccountId,
    /// Pallet and call, as in `Balances.transfer_keep_alive`.
    pub call: String,
    /// SCALE of the call's arguments.
    #[serde(with = "hex_bytes")]
    pub arguments: Vec<u8>,
    /// How many transactions the account has sent before.
    pub nonce: u64,
    /// The number of the block from which on it is valid.
    pub since: BlockNumber,
    /// That block's hash.
    pub since_hash: H256,
    /// For how many blocks it is valid: a power of two.
    pub period: u32,
    /// The chain: the hash of its block 0.
    pub genesis: H256,
    /// The runtime's version.
    pub spec_version: u32,
    /// The version of its transactions.
    pub transaction_version: u32,
    /// The runtime's metadata: names and numbers of calls, and types of arguments.
    #[serde(with = "hex_bytes")]
    pub metadata: Vec<u8>,
}

/// A transaction that was signed and can be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// Who signed.
    pub account: AccountId,
    /// Pallet and call.
    pub call: String,
    /// How many transactions the account has sent before.
    pub nonce: u64,
    /// The last block that can have it.
    pub valid_until: BlockNumber,
    /// The chain: the hash of its block 0.
    pub genesis: H256,
    /// The transaction.
    #[serde(with = "hex_bytes")]
    pub transaction: Vec<u8>,
}

impl Client {
    /// A call as a transaction that waits for the signature of `account`. Its nonce counts what waits in the node's
    /// pool. It is valid for 2,048 blocks, or as long as the chain remembers blocks.
    ///
    /// # Errors
    /// [`ChainError::UnknownCall`] if the runtime cannot take the call, and those of the connection.
    pub async fn unsigned(&self, call: &Call, account: AccountId) -> Result<Unsigned, ChainError> {
        let (best, finalized) = (self.best().await?, self.finalized().await?);
        let hash = rpc_params![best.hash];
        let version: RuntimeVersion = self
            .connection
            .request("state_getRuntimeVersion", hash.clone())
            .await?;
        let metadata: Bytes = self.connection.request("state_getMetadata", hash).await?;
        let remembered: u32 = self.constant("System", "BlockHashCount").await?;
        let params = rpc_params![account];
        let method = "system_accountNextIndex";
        let nonce = self.connection.request(method, params).await?;
        let read = Metadata::decode_from(&metadata.0);
        let read = read.map_err(|error| self.connection.malformed("state_getMetadata", error))?;
        let period = period(remembered);
        let anchor = anchor(best, finalized, period);
        Ok(Unsigned {
            account,
            call: call.title(),
            arguments: call.arguments(&read)?,
            nonce,
            since: anchor.number,
            since_hash: anchor.hash,
            period,
            genesis: self.genesis_hash(),
            spec_version: version.spec_version,
            transaction_version: version.transaction_version,
            metadata: metadata.0,
        })
    }

    /// Sends a transaction that was signed elsewhere, sees it into a best block and gives its events.
    ///
    /// # Errors
    /// [`ChainError::WrongChain`] if it is for another chain, and those of [`Client::submit`].
    pub async fn submit_signed(&self, signed: &Signed) -> Result<Included, ChainError> {
        self.expect_genesis(signed.genesis)?;
        self.see_into_a_block(signed).await
    }
}

/// The longest period that a chain can check which remembers the hashes of so many blocks.
fn period(remembered: u32) -> u32 {
    let most = remembered.clamp(SHORTEST, LONGEST);
    // The power of two that is not above it.
    1u32.checked_shl(most.ilog2()).unwrap_or(SHORTEST)
}

impl Unsigned {
    /// Signs it. Nothing is asked of any node.
    ///
    /// # Errors
    /// [`ChainError::InvalidKey`] if the key is another account's, and [`ChainError::UnknownCall`] if the file does not
    /// hold together.
    pub fn sign(&self, keypair: &Keypair) -> Result<Signed, ChainError> {
        if AccountId::of(keypair) != self.account {
            let signer = AccountId::of(keypair);
            let why = format!("it is that of {signer}, and {} has to sign", self.account);
            return Err(ChainError::InvalidKey { why });
        }
        let validity = Validity {
            nonce: self.nonce,
            anchor: Block {
                number: self.since,
                hash: self.since_hash,
            },
            period: self.checked_period()?,
            tip: 0,
        };
        let (pallet, name) = self.names()?;
        let arguments = self.arguments.clone();
        let runtime = Runtime::new(self.read()?.arc(), &self.version(), self.genesis);
        // Showing it reads all of the arguments, so that nothing is signed that could not be shown.
        self.shown()?;
        let transaction =
            runtime.sign_encoded((pallet, name), arguments, Hand::Key(keypair), validity)?;
        Ok(Signed {
            account: self.account,
            call: self.call.clone(),
            nonce: self.nonce,
            valid_until: self.valid_until(),
            genesis: self.genesis,
            transaction,
        })
    }

    /// The last block that can have it.
    pub fn valid_until(&self) -> BlockNumber {
        self.since.saturating_add(self.period)
    }

    /// What it does, for people: the call with its arguments, by the metadata in it.
    ///
    /// # Errors
    /// [`ChainError::UnknownCall`] if the arguments are not those of the call.
    pub fn shown(&self) -> Result<String, ChainError> {
        let metadata = self.read()?;
        let (pallet, name) = self.names()?;
        let variant = metadata.pallet_by_name(pallet);
        let variant = variant.and_then(|pallet| pallet.call_variant_by_name(name));
        let variant = variant.ok_or_else(|| self.broken("its metadata has no such call"))?;
        let mut bytes = self.arguments.as_slice();
        let mut text = format!("{}(", self.call);
        for (at, field) in variant.fields.iter().enumerate() {
            let value = decode_as_type(&mut bytes, field.ty.id, metadata.types());
            let value = value.map_err(|_| self.broken("its arguments cannot be read"))?;
            let comma = if at > 0 { ", " } else { "" };
            let name = field.name.as_deref().unwrap_or("_");
            let _ = write!(text, "{comma}{name}: {}", in_words(&value));
        }
        match bytes.is_empty() {
            true => Ok(text + ")"),
            false => Err(self.broken("it has more than its arguments")),
        }
    }

    fn names(&self) -> Result<(&str, &str), ChainError> {
        let names = self.call.split_once('.');
        names.ok_or_else(|| self.broken("it is not named as Pallet.call"))
    }

    fn read(&self) -> Result<Metadata, ChainError> {
        Metadata::decode_from(&self.metadata)
            .map_err(|_| self.broken("its metadata cannot be read"))
    }

    fn version(&self) -> RuntimeVersion {
        RuntimeVersion {
            spec_version: self.spec_version,
            transaction_version: self.transaction_version,
            other: Default::default(),
        }
    }

    fn checked_period(&self) -> Result<u32, ChainError> {
        let good = self.period.is_power_of_two() && (SHORTEST..=LONGEST).contains(&self.period);
        match good {
            true => Ok(self.period),
            false => Err(self.broken("its period is no power of two from 4 to 2,048")),
        }
    }

    fn broken(&self, why: &str) -> ChainError {
        ChainError::UnknownCall {
            call: self.call.clone(),
            why: why.to_string(),
        }
    }
}

/// A value as people read it: accounts as addresses, other bytes in hexadecimal.
fn in_words<T>(value: &Value<T>) -> String {
    match &value.value {
        ValueDef::Primitive(Primitive::U128(number)) => number.to_string(),
        ValueDef::Primitive(Primitive::I128(number)) => number.to_string(),
        ValueDef::Primitive(Primitive::Bool(is)) => is.to_string(),
        ValueDef::Primitive(Primitive::String(text)) => format!("{text:?}"),
        ValueDef::Primitive(Primitive::Char(letter)) => format!("{letter:?}"),
        ValueDef::Primitive(Primitive::U256(bytes) | Primitive::I256(bytes)) => {
            format!("0x{}", hex::encode(bytes))
        }
        ValueDef::BitSequence(bits) => format!("{} bits", bits.len()),
        ValueDef::Variant(variant) => {
            let fields = composite(&variant.values);
            match fields.is_empty() {
                true => variant.name.clone(),
                false => format!("{}({fields})", variant.name),
            }
        }
        ValueDef::Composite(fields) => match bytes_of(fields) {
            Some(bytes) => match <[u8; 32]>::try_from(bytes.as_slice()) {
                Ok(account) => AccountId(account).to_string(),
                Err(_) => format!("0x{}", hex::encode(bytes)),
            },
            None => match fields {
                // What only wraps another value is that value.
                Composite::Unnamed(values) if values.len() == 1 => composite(fields),
                _ => format!("({})", composite(fields)),
            },
        },
    }
}

fn composite<T>(fields: &Composite<T>) -> String {
    let fields: Vec<String> = match fields {
        Composite::Named(fields) => {
            let fields = fields.iter();
            fields
                .map(|(name, value)| format!("{name}: {}", in_words(value)))
                .collect()
        }
        Composite::Unnamed(values) => values.iter().map(in_words).collect(),
    };
    fields.join(", ")
}

/// The bytes of an array of them, such as an account; `None` if it is something else.
fn bytes_of<T>(fields: &Composite<T>) -> Option<Vec<u8>> {
    let Composite::Unnamed(values) = fields else {
        return None;
    };
    let byte = |value: &Value<T>| match value.value {
        ValueDef::Primitive(Primitive::U128(number)) => u8::try_from(number).ok(),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = values.iter().map(byte).collect();
    bytes.filter(|bytes| bytes.len() >= 16)
}

/// Bytes in JSON: hexadecimal after `0x`.
mod hex_bytes {
    use serde::{de::Error, Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("0x{}", hex::encode(bytes)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text
            .strip_prefix("0x")
            .ok_or_else(|| D::Error::custom("no 0x"))?;
        hex::decode(digits).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_the_longest_power_of_two_that_the_chain_remembers() {
        for (remembered, expected) in [
            (0, 4),
            (4, 4),
            (250, 128),
            (256, 256),
            (2_400, 2_048),
            (u32::MAX, 2_048),
        ] {
            assert_eq!(period(remembered), expected);
        }
    }
}
