//! Who signs: a key that is here, or one that is elsewhere, for which the transaction is written to a file.

use std::path::PathBuf;

use cairn_chain::{AccountId, Call, ChainError, Client, Included, Keypair};

use crate::{error::Failure, new_file::NewFile, output};

/// Who signs a transaction.
pub enum Signer {
    /// A key that is here.
    Key(Keypair),
    /// An account whose key is elsewhere: what it has to sign goes to this file.
    Elsewhere(AccountId, PathBuf),
}

/// Why there is no transaction in a block.
pub enum Unsent {
    /// It was not sent: it waits in a file for its signature, and that was said.
    Written,
    /// It was sent, and refused.
    Refused(ChainError),
    /// It could not be written.
    Failed(Failure),
}

impl Signer {
    /// The account that signs.
    pub fn account(&self) -> AccountId {
        match self {
            Signer::Key(key) => AccountId::of(key),
            Signer::Elsewhere(account, _) => *account,
        }
    }

    /// Signs a call and sees it into a block, or writes it down.
    pub async fn submit(&self, client: &Client, call: &Call) -> Result<Included, Unsent> {
        let (account, path) = match self {
            Signer::Key(key) => return client.submit(call, key).await.map_err(Unsent::Refused),
            Signer::Elsewhere(account, path) => (account, path),
        };
        let unsigned = client.unsigned(call, *account).await;
        let unsigned = unsigned.map_err(Unsent::Refused)?;
        let write = || -> Result<(), Failure> {
            NewFile::write(path, &serde_json::to_vec(&unsigned)?)?;
            let file = path.display();
            output::say(&format!(
                "nothing was sent: {file} waits for the signature of {account}, and can be in a block up to {}\n\
                 sign it where the key is: cairn transaction sign {file} --key WALLET --out SIGNED\n\
                 then send it: cairn transaction send SIGNED",
                unsigned.valid_until()
            ));
            Ok(())
        };
        Err(write().map_or_else(Unsent::Failed, |()| Unsent::Written))
    }
}
