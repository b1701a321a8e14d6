//! What is said of a transaction that is in a block.

use cairn_chain::{AccountId, Client, Included};
use cairn_primitives::{Balance, BlockNumber, Netuid, Uid, H256};
use serde::Serialize;

use super::print;
use crate::{
    amount::{cost, thousands},
    error::Failure,
};

/// A transaction that is in a block. Amounts in JSON are in pebble, as strings.
#[derive(Serialize)]
pub struct Sent {
    /// What it did.
    did: String,
    /// On which subnet, unless on all.
    #[serde(skip_serializing_if = "Option::is_none")]
    netuid: Option<Netuid>,
    /// As which member.
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<Uid>,
    /// How much of it there was.
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<String>,
    /// What it cost, the fee aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<String>,
    /// The block from which on that can be withdrawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    release_at: Option<BlockNumber>,
    /// In which block.
    block: BlockNumber,
    block_hash: H256,
    /// What a person should know besides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

impl Sent {
    /// What was done, and where it is.
    pub fn new(did: String, netuid: impl Into<Option<Netuid>>, included: &Included) -> Sent {
        let block = included.block;
        Sent {
            did,
            netuid: netuid.into(),
            uid: None,
            amount: None,
            price: None,
            release_at: None,
            block: block.number,
            block_hash: block.hash,
            notes: Vec::new(),
        }
    }

    /// As which member.
    pub fn uid(mut self, uid: Option<Uid>) -> Sent {
        self.uid = uid;
        self
    }

    /// How much.
    pub fn amount(mut self, amount: Balance) -> Sent {
        self.amount = Some(amount.to_string());
        self
    }

    /// What was paid for it.
    pub fn price(mut self, price: Balance) -> Sent {
        self.price = Some(price.to_string());
        self.note(format!("{} were burned for it", cost(price)))
    }

    /// Something more to know.
    pub fn note(mut self, note: String) -> Sent {
        self.notes.push(note);
        self
    }

    /// From when on it can be withdrawn, and with which command.
    pub async fn release(self, client: &Client, at: BlockNumber, command: &str) -> Sent {
        let when = when(client, at, self.block).await;
        let mut sent = self.note(format!("it can be withdrawn from {when}: `{command}`"));
        sent.release_at = Some(at);
        sent
    }
}

/// Prints a transaction.
pub fn sent(json: bool, sent: Sent) -> Result<(), Failure> {
    print(json, &sent, |sent| {
        let on = sent.netuid.map(|netuid| format!(" on subnet {netuid}"));
        let on = on.unwrap_or_default();
        let mut text = format!("{}{on}, in block {}\n", sent.did, sent.block);
        for note in &sent.notes {
            text += &format!("  {note}\n");
        }
        text
    })
}

/// A block to come, and about how long that is: `block 1,234 on, in about 5 min`.
pub async fn when(client: &Client, at: BlockNumber, now: BlockNumber) -> String {
    let block = format!("block {} on", thousands(at.into()));
    let Some(blocks) = at.checked_sub(now).filter(|blocks| *blocks > 0) else {
        return format!("{block}, which is now");
    };
    let time = match client.at_best().await {
        Ok(view) => view.block_time().await.ok(),
        Err(_) => None,
    };
    match time {
        Some(milliseconds) => {
            let milliseconds = u64::from(blocks).saturating_mul(milliseconds);
            format!("{block}, in about {}", span(milliseconds))
        }
        None => format!("{block}, in {} blocks", thousands(blocks.into())),
    }
}

/// A span of time in the largest unit of which it has two, rounded up.
fn span(milliseconds: u64) -> String {
    let seconds = milliseconds.div_ceil(1_000);
    for (unit, name) in [(86_400, "days"), (3_600, "h"), (60, "min")] {
        if seconds >= 2 * unit {
            return format!("{} {name}", seconds.div_ceil(unit));
        }
    }
    format!("{seconds} s")
}

/// The command that goes on from here, as a person would write it.
pub fn command(verb: &str, hotkey: &AccountId, netuid: Netuid) -> String {
    format!("cairn {verb} --hotkey {hotkey} --netuid {netuid}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_chain::Block;

    #[test]
    fn spans_are_in_a_unit_that_fits() {
        let shown = [500, 90_000, 120_001, 7_200_000, 86_400_000, 604_800_000].map(span);
        assert_eq!(shown, ["1 s", "90 s", "3 min", "2 h", "24 h", "7 days"]);
    }

    #[test]
    fn a_receipt_has_amounts_that_programs_can_read() {
        let included = Included {
            block: Block {
                number: 7,
                hash: H256::zero(),
            },
            index: 0,
            hash: H256::zero(),
            events: Vec::new(),
        };
        let sent = Sent::new("created".into(), Netuid(3), &included).price(u64::MAX);
        let json = serde_json::to_value(&sent).unwrap();
        assert_eq!(json["price"], u64::MAX.to_string());
        assert_eq!((&json["netuid"], &json["block"]), (&3.into(), &7.into()));
        assert!(json.get("amount").is_none());
    }
}
