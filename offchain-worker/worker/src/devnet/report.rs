//! What a devnet came to, as JSON. Its shape is a promise: programs read it.

use std::time::Duration;

use cairn_chain::AccountId;
use cairn_primitives::{
    api::{pebble, Issuance},
    AuditOutcome, Balance, ModelRoot, Round, Uid, H256,
};
use serde::{Deserialize, Serialize};

use super::members::Part;
use crate::roles::Behaviour;

/// The report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The settled rounds, from 0.
    pub rounds: Vec<RoundReport>,
    /// Everybody who took part, ascending by uid.
    pub members: Vec<MemberReport>,
    /// The contributions that were audited, ascending by round and uid.
    pub audits: Vec<AuditReport>,
    /// Where everything that was issued is, at the end.
    pub issuance: IssuanceReport,
    /// The model.
    pub model: ModelReport,
    /// The text.
    pub data: DataReport,
    /// Held-out loss of the last parameters.
    pub final_heldout_loss: f64,
    /// Mean size of an included contribution in the store.
    pub store_bytes_per_contribution: u64,
    /// From the first line to the last.
    pub wall_seconds: f64,
}

/// Where everything that was issued is: in four places, stake that is being withdrawn among the stakes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IssuanceReport {
    /// What exists.
    #[serde(with = "pebble")]
    pub issued: Balance,
    /// Of it, in accounts.
    #[serde(with = "pebble")]
    pub balances: Balance,
    /// Of it, staked, what is being withdrawn included.
    #[serde(with = "pebble")]
    pub stakes: Balance,
    /// Of it, in miners' bonds, those being withdrawn included.
    #[serde(with = "pebble")]
    pub bonds: Balance,
    /// Of it, in pots that the next epochs pay out.
    #[serde(with = "pebble")]
    pub pots: Balance,
}

impl From<Issuance> for IssuanceReport {
    fn from(issuance: Issuance) -> IssuanceReport {
        IssuanceReport {
            issued: issuance.issued,
            balances: issuance.balances,
            stakes: issuance.stakes.saturating_add(issuance.unbonding),
            bonds: issuance.bonds,
            pots: issuance.pots,
        }
    }
}

/// A round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoundReport {
    /// Its number.
    pub round: Round,
    /// Whose contributions were included.
    pub included: Vec<Uid>,
    /// Root of the parameters after its outer step.
    // The report's keys were promised before the word changed.
    #[serde(rename = "state_root")]
    pub model_root: ModelRoot,
    /// Stake that attested this root, in pebble.
    #[serde(with = "pebble")]
    pub attested_stake: Balance,
    /// Stake that could have attested.
    #[serde(with = "pebble")]
    pub total_stake: Balance,
    /// Held-out loss of the parameters that it began with, in nats per token.
    pub heldout_loss: f64,
    /// How long it took.
    pub seconds: f64,
}

/// A member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberReport {
    /// Its number.
    pub uid: Uid,
    /// Its hotkey.
    pub hotkey: AccountId,
    /// What it did.
    pub role: Part,
    /// How it did that; of a cheat, which kind it was.
    pub behaviour: Behaviour,
    /// What it was paid, in pebble.
    #[serde(with = "pebble")]
    pub earned: Balance,
    /// What it earned and is paid when its audits are over, in pebble.
    #[serde(with = "pebble")]
    pub withheld: Balance,
    /// Its bond at the end, in pebble.
    #[serde(with = "pebble")]
    pub bond: Balance,
    /// Rounds that included a contribution of it.
    pub rounds_included: u64,
    /// Root of the parameters that its worker holds at the end; null if it said nothing.
    #[serde(rename = "state_root")]
    pub model_root: Option<ModelRoot>,
}

/// A contribution that was audited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditReport {
    /// The round that it was made for.
    pub round: Round,
    /// Who made it.
    pub uid: Uid,
    /// How that ended, or that it had not yet.
    pub outcome: AuditOutcome,
}

/// The model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelReport {
    /// Number of parameters.
    pub parameters: u64,
    /// Hash of the layout.
    pub layout_hash: H256,
}

/// The text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataReport {
    /// Bytes of text.
    pub bytes: u64,
    /// Tokens, those held out included.
    pub tokens: u64,
    /// Tokens held out.
    pub heldout_tokens: u64,
}

/// Seconds to a tenth.
pub fn rounded(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10.0).round() / 10.0
}

/// Whether issued is the sum of where it is, to the pebble.
pub fn adds_up(issuance: &IssuanceReport) -> bool {
    let parts = [
        issuance.balances,
        issuance.stakes,
        issuance.bonds,
        issuance.pots,
    ];
    parts.iter().map(|part| u128::from(*part)).sum::<u128>() == u128::from(issuance.issued)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A report to try things on.
    pub fn sample() -> Report {
        Report {
            rounds: vec![RoundReport {
                round: 0,
                included: vec![Uid(0), Uid(2)],
                model_root: ModelRoot(H256::repeat_byte(1)),
                attested_stake: 100,
                total_stake: 100,
                heldout_loss: 6.93,
                seconds: 38.2,
            }],
            members: vec![MemberReport {
                uid: Uid(0),
                hotkey: AccountId([7; 32]),
                role: Part::Miner,
                behaviour: Behaviour::Honest,
                earned: u64::MAX,
                withheld: 5,
                bond: 7,
                rounds_included: 1,
                model_root: Some(ModelRoot(H256::repeat_byte(1))),
            }],
            audits: vec![AuditReport {
                round: 0,
                uid: Uid(2),
                outcome: AuditOutcome::Silent,
            }],
            issuance: IssuanceReport {
                issued: 10,
                balances: 4,
                stakes: 3,
                bonds: 2,
                pots: 1,
            },
            model: ModelReport {
                parameters: 9,
                layout_hash: H256::zero(),
            },
            data: DataReport {
                bytes: 3,
                tokens: 2,
                heldout_tokens: 1,
            },
            final_heldout_loss: 5.1,
            store_bytes_per_contribution: 100,
            wall_seconds: 1.0,
        }
    }

    #[test]
    fn its_keys_are_the_promised_ones() {
        let value = serde_json::to_value(sample()).unwrap();
        let keys = |value: &serde_json::Value| {
            let mut keys: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
            keys.sort();
            keys.join(" ")
        };
        assert_eq!(keys(&value), "audits data final_heldout_loss issuance members model rounds store_bytes_per_contribution wall_seconds");
        assert_eq!(
            keys(&value["rounds"][0]),
            "attested_stake heldout_loss included round seconds state_root total_stake"
        );
        assert_eq!(
            keys(&value["members"][0]),
            "behaviour bond earned hotkey role rounds_included state_root uid withheld"
        );
        assert_eq!(keys(&value["audits"][0]), "outcome round uid");
        assert_eq!(value["audits"][0]["outcome"], "silent");
        assert_eq!(
            keys(&value["issuance"]),
            "balances bonds issued pots stakes"
        );
        assert_eq!(keys(&value["model"]), "layout_hash parameters");
        assert_eq!(keys(&value["data"]), "bytes heldout_tokens tokens");
        assert_eq!(value["members"][0]["earned"], u64::MAX.to_string());
        assert_eq!(value["members"][0]["role"], "miner");
        assert_eq!(value["members"][0]["behaviour"], "honest");
        assert!(value["rounds"][0]["state_root"]
            .as_str()
            .unwrap()
            .starts_with("0x01"));
    }

    #[test]
    fn a_cheat_is_a_cheat_of_some_kind() {
        for behaviour in Behaviour::CHEATS {
            let mut report = sample();
            report.members[0].role = Part::Cheat;
            report.members[0].behaviour = behaviour;
            let value = serde_json::to_value(&report).unwrap();
            assert_eq!(value["members"][0]["role"], "cheat");
            assert_eq!(value["members"][0]["behaviour"], behaviour.name());
            assert_eq!(serde_json::from_value::<Report>(value).unwrap(), report);
        }
    }

    #[test]
    fn issued_is_compared_to_the_pebble() {
        let mut issuance = sample().issuance;
        assert!(adds_up(&issuance));
        issuance.pots += 1;
        assert!(!adds_up(&issuance));
    }

    #[test]
    fn stake_that_is_being_withdrawn_is_not_lost() {
        let issuance = IssuanceReport::from(Issuance {
            issued: 15,
            balances: 4,
            stakes: 3,
            unbonding: 5,
            bonds: 2,
            pots: 1,
        });
        assert_eq!(issuance.stakes, 8);
        assert!(adds_up(&issuance));
    }
}
