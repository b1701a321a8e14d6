//! Who signs, and for whom: a key that is here, or one elsewhere, for which the transaction is written to a file; for its
//! own account, as a proxy of another, or as one of those who share one; and that account for itself, or as one that it
//! inherited.

use std::path::PathBuf;

use cairn_chain::{AccountId, Call, ChainError, Client, Included, Keypair, Shared};
use cairn_primitives::H256;
use serde::Serialize;

use crate::{error::Failure, new_file::NewFile, output};

/// Who signs a transaction, and for whom.
pub struct Signer {
    hand: Hand,
    standing: Standing,
    /// The recovered account that it inherited, and for which it acts.
    recovered: Option<AccountId>,
    /// Whether an approval that is not the last is printed as JSON, too.
    json: bool,
}

/// An approval that is not the last.
#[derive(Serialize)]
struct Approval {
    /// So many approve by now.
    approved: usize,
    /// So many have to.
    of: u16,
    /// The transaction's hash.
    call: H256,
}

/// Who signs.
pub enum Hand {
    /// A key that is here.
    Key(Keypair),
    /// An account whose key is elsewhere: what it has to sign goes to this file.
    Elsewhere(AccountId, PathBuf),
}

/// For whom.
pub enum Standing {
    /// For itself.
    Own,
    /// For an account whose proxy it is.
    Proxy(AccountId),
    /// For an account that it shares with others.
    Member(Shared),
}

/// Why there is no transaction in a block, or not what was asked for.
pub enum Unsent {
    /// Others have to do something first, and that was said.
    Waits,
    /// It was sent, and refused.
    Refused(ChainError),
    /// It could not be written.
    Failed(Failure),
}

impl From<ChainError> for Unsent {
    fn from(error: ChainError) -> Unsent {
        Unsent::Refused(error)
    }
}

impl Signer {
    /// Who signs, and for whom.
    ///
    /// # Errors
    /// Who signs is none of those who share the account.
    pub fn new(hand: Hand, standing: Standing) -> Result<Signer, Failure> {
        let signer = Signer {
            hand,
            standing,
            recovered: None,
            json: false,
        };
        if let Standing::Member(shared) = &signer.standing {
            let own = signer.own();
            if shared.others(&own).is_none() {
                return Err(Failure::new(
                    format!("{own} is none of those who share {}", shared.account()),
                    "name all of them in --multisig, the one who signs included",
                ));
            }
        }
        Ok(signer)
    }

    /// The same, for a recovered account that the account inherited, if there is one.
    pub fn acting_as(self, recovered: Option<AccountId>) -> Signer {
        Signer { recovered, ..self }
    }

    /// The same, which prints as JSON if that is so.
    pub fn printing(self, json: bool) -> Signer {
        Signer { json, ..self }
    }

    /// The same, for its own account.
    pub fn for_itself(self) -> Signer {
        Signer {
            standing: Standing::Own,
            recovered: None,
            ..self
        }
    }

    /// The account for which it is done.
    pub fn account(&self) -> AccountId {
        self.recovered.unwrap_or_else(|| match &self.standing {
            Standing::Own => self.own(),
            Standing::Proxy(account) => *account,
            Standing::Member(shared) => shared.account(),
        })
    }

    /// The account that pays the fee: who signs, whomever it is for.
    pub fn payer(&self) -> AccountId {
        self.own()
    }

    /// What is signed so that a call is made.
    ///
    /// # Errors
    /// Those of the chain, which is asked about a shared account.
    pub async fn signed(&self, client: &Client, call: &Call) -> Result<Call, ChainError> {
        self.made_by_standing(client, &self.meant(call)).await
    }

    /// A call as the account makes it for which is signed.
    fn meant(&self, call: &Call) -> Call {
        match &self.recovered {
            Some(recovered) => Call::as_recovered(recovered, call.clone()),
            None => call.clone(),
        }
    }

    /// What is signed so that the account makes a call.
    async fn made_by_standing(&self, client: &Client, call: &Call) -> Result<Call, ChainError> {
        let shared = match &self.standing {
            Standing::Own => return Ok(call.clone()),
            Standing::Proxy(account) => return Ok(Call::for_account(account, call.clone())),
            Standing::Member(shared) => shared,
        };
        let account = shared.account();
        let hash = client.call_hash(call).await?;
        let before = client.at_best().await?.approved(&account, hash).await?;
        let weight = client.weight(call, account).await?;
        let others = shared.others(&self.own()).unwrap_or_default();
        let since = before.map(|approved| approved.since);
        let (threshold, call) = (shared.threshold(), call.clone());
        Ok(Call::as_shared(threshold, &others, since, call, weight))
    }

    /// The account that signs.
    fn own(&self) -> AccountId {
        match &self.hand {
            Hand::Key(key) => AccountId::of(key),
            Hand::Elsewhere(account, _) => *account,
        }
    }

    /// Signs a call and sees it into a block, or writes it down.
    pub async fn submit(&self, client: &Client, call: &Call) -> Result<Included, Unsent> {
        match &self.standing {
            Standing::Own | Standing::Proxy(_) => {
                let call = self.signed(client, call).await?;
                self.send(client, &call).await
            }
            Standing::Member(shared) => self.approve(client, shared, &self.meant(call)).await,
        }
    }

    /// Approves a call of a shared account. The last approval makes it.
    async fn approve(
        &self,
        client: &Client,
        shared: &Shared,
        call: &Call,
    ) -> Result<Included, Unsent> {
        let (own, account) = (self.own(), shared.account());
        let hash = client.call_hash(call).await?;
        let before = client.at_best().await?.approved(&account, hash).await?;
        let already = before.as_ref().map_or(0, |approved| approved.by.len());
        if before
            .as_ref()
            .is_some_and(|approved| approved.by.contains(&own))
        {
            let say = format!(
                "{own} has approved this already, with {already} of {}",
                shared.threshold()
            );
            let what = "the others run the same command with their keys";
            return Err(Unsent::Failed(Failure::new(say, what)));
        }
        let approval = self.made_by_standing(client, call).await?;
        let included = self.send(client, &approval).await?;
        if included.event("Multisig", "MultisigExecuted").is_some() {
            return Ok(included);
        }
        let approval = Approval {
            approved: already.saturating_add(1),
            of: shared.threshold(),
            call: hash,
        };
        // Only who approved it first can give it up.
        let end = match already {
            0 => format!(
                "to give it up: cairn wallet multisig cancel --key WALLET --multisig {} {hash:?}",
                words(shared, &own)
            ),
            _ => format!("the transaction is {hash:?}"),
        };
        output::say(&format!(
            "approved in block {}, with {} of {}: the others run the same command with their keys\n{end}",
            included.block.number, approval.approved, approval.of
        ));
        if self.json {
            output::show_json(&approval).map_err(Unsent::Failed)?;
        }
        Err(Unsent::Waits)
    }

    /// Signs exactly this call.
    async fn send(&self, client: &Client, call: &Call) -> Result<Included, Unsent> {
        let (account, path) = match &self.hand {
            Hand::Key(key) => return Ok(client.submit(call, key).await?),
            Hand::Elsewhere(account, path) => (account, path),
        };
        let unsigned = client.unsigned(call, *account).await?;
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
        Err(write().map_or_else(Unsent::Failed, |()| Unsent::Waits))
    }
}

/// A shared account as --multisig takes it, by one of those who share it.
fn words(shared: &Shared, own: &AccountId) -> String {
    let others = shared.others(own).unwrap_or_default();
    let others = others.iter().map(|other| format!(",{other}"));
    format!("{}:{own}{}", shared.threshold(), others.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_inherited_an_account_acts_for_it_and_pays_itself() {
        let [own, other, lost] = [1, 2, 3].map(|byte| AccountId([byte; 32]));
        let hand = || Hand::Elsewhere(own, PathBuf::new());
        let call = Call::transfer(&other, 1);
        for standing in [Standing::Own, Standing::Proxy(other)] {
            let signer = Signer::new(hand(), standing).unwrap();
            assert_eq!(signer.meant(&call), call);
            let signer = signer.acting_as(Some(lost));
            assert_eq!((signer.account(), signer.payer()), (lost, own));
            assert_eq!(signer.meant(&call), Call::as_recovered(&lost, call.clone()));
            assert_eq!(signer.for_itself().account(), own);
        }
    }

    #[test]
    fn a_shared_account_is_named_by_all_who_share_it() {
        let [one, other] = [1, 2].map(|byte| AccountId([byte; 32]));
        let shared = Shared::new(2, vec![one, other]).unwrap();
        assert_eq!(words(&shared, &other), format!("2:{other},{one}"));
    }
}
