//! What a transaction costs, before it is sent.

use cairn_primitives::Balance;
use codec::{Compact, Decode, Encode, Output};

use crate::{AccountId, Call, ChainError, Client};

/// `pallet_transaction_payment::RuntimeDispatchInfo`.
#[derive(Decode)]
struct DispatchInfo {
    time: Compact<u64>,
    proof: Compact<u64>,
    _class: u8,
    fee: Balance,
}

/// SCALE as it is.
struct Raw<'a>(&'a [u8]);

impl Encode for Raw<'_> {
    fn encode_to<T: Output + ?Sized>(&self, out: &mut T) {
        out.write(self.0);
    }
}

impl Client {
    /// The most that this call costs an account now, in pebble. Nothing is sent, and nobody signs.
    ///
    /// # Errors
    /// [`ChainError::UnknownCall`] if the runtime cannot take it, and those of the connection.
    pub async fn fee(&self, call: &Call, account: AccountId) -> Result<Balance, ChainError> {
        Ok(self.dispatch_info(call, account).await?.fee)
    }

    /// The most that this call of an account weighs: picoseconds, and bytes of proof.
    ///
    /// # Errors
    /// As [`Client::fee`].
    pub async fn weight(&self, call: &Call, account: AccountId) -> Result<(u64, u64), ChainError> {
        let info = self.dispatch_info(call, account).await?;
        Ok((info.time.0, info.proof.0))
    }

    async fn dispatch_info(
        &self,
        call: &Call,
        account: AccountId,
    ) -> Result<DispatchInfo, ChainError> {
        let (bytes, best) = self.priced(call, account).await?;
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let arguments = (Raw(&bytes), length);
        let function = "TransactionPaymentApi_query_info";
        self.at(best).call(function, arguments).await
    }

    /// A constant of a pallet, from the metadata of the node's runtime.
    ///
    /// # Errors
    /// [`ChainError::Malformed`] if the runtime has none of this name and type, and those of the connection.
    pub async fn constant<T: Decode>(&self, pallet: &str, name: &str) -> Result<T, ChainError> {
        let best = self.best().await?;
        let runtime = self.runtimes.at(&self.connection, best.hash).await?;
        let bytes = runtime.constant(pallet, name);
        let read = bytes.and_then(|bytes| T::decode(&mut &*bytes).ok());
        read.ok_or_else(|| {
            let what = format!("{pallet}.{name}");
            self.connection.malformed(what, "there is no such constant")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fee_is_read_as_the_runtime_writes_it() {
        let bytes = (Compact(5_000_000u64), Compact(0u64), 0u8, 715_357u64).encode();
        assert_eq!(DispatchInfo::decode(&mut &*bytes).unwrap().fee, 715_357);
    }

    #[test]
    fn a_transaction_is_an_argument_as_it_is() {
        assert_eq!((Raw(&[4, 7]), 2u32).encode(), [4, 7, 2, 0, 0, 0]);
    }
}
