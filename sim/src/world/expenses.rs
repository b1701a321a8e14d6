//! What a network takes of its honest members: bytes on chain, and time of their processors.
//!
//! Time is what the driver schedules when it begins a job, without transfers; a job that a crash cuts short counts in
//! full. Bytes are those of transactions in blocks that became final. Both belong to a round: to that of the best block
//! when the job began, or to that of the transaction's block.

use std::{collections::BTreeMap, fmt};

use cairn_primitives::{BlockNumber, Round, H256};
use cairn_runtime::{AccountId, UncheckedExtrinsic};
use codec::Encode;
use serde::{ser::SerializeStruct, Serialize, Serializer};
use sp_runtime::{generic::Preamble, MultiAddress};

use super::{
    losses::{self, Loss, Losses},
    World,
};
use crate::{
    chain::{Id, Included, Made},
    checkers::Who,
    clock::seconds,
    member::Member,
    meter::{Meter, Part},
    settings::Role,
};

/// What miners' processors are busy with.
const MINING: [Part; 4] = [Part::Train, Part::Seal, Part::Audit, Part::Apply];
/// What validators' are.
const VALIDATING: [Part; 4] = [Part::Check, Part::Measure, Part::Audit, Part::Apply];

/// A number that each member has in each round.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figure {
    sum: f64,
    count: usize,
    most: f64,
}

impl Figure {
    /// One more of them; none is negative.
    pub fn add(&mut self, value: f64) {
        self.merge(Figure {
            sum: value,
            count: 1,
            most: value,
        });
    }

    fn merge(&mut self, other: Figure) {
        self.sum += other.sum;
        self.count += other.count;
        self.most = self.most.max(other.most);
    }

    /// Their mean; zero of none.
    pub fn mean(&self) -> f64 {
        self.sum / self.count.max(1) as f64
    }

    /// The greatest of them; zero of none.
    pub fn most(&self) -> f64 {
        self.most
    }
}

impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut shown = serializer.serialize_struct("Figure", 2)?;
        shown.serialize_field("mean", &self.mean())?;
        shown.serialize_field("most", &self.most())?;
        shown.end()
    }
}

/// What a round takes of an honest member of a role.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Expense {
    /// Bytes of its transactions that became final, from its hotkey and its coldkey.
    pub bytes: Figure,
    /// Virtual seconds that its processor was busy, by what with.
    pub seconds: BTreeMap<Part, Figure>,
}

impl Expense {
    /// Virtual seconds that a processor was busy with this.
    pub fn of(&self, part: Part) -> Figure {
        self.seconds.get(&part).copied().unwrap_or_default()
    }

    fn merge(&mut self, other: &Expense) {
        self.bytes.merge(other.bytes);
        for (work, figure) in &other.seconds {
            self.seconds.entry(*work).or_default().merge(*figure);
        }
    }
}

/// What a round takes of honest members; or several rounds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Expenses {
    /// Of a miner.
    pub miner: Expense,
    /// Of a validator.
    pub validator: Expense,
}

impl Expenses {
    /// With those of other rounds, or of another network.
    pub fn merge(&mut self, other: &Expenses) {
        self.miner.merge(&other.miner);
        self.validator.merge(&other.validator);
    }

    /// What audits take of all honest processors, miners' and auditors' together, as a share of what training takes.
    /// Zero where nobody trains.
    pub fn audit_share(&self) -> f64 {
        let train = self.miner.of(Part::Train).sum;
        let audits = self.miner.of(Part::Audit).sum + self.validator.of(Part::Audit).sum;
        if train > 0.0 {
            audits / train
        } else {
            0.0
        }
    }
}

/// A table for people.
impl fmt::Display for Expenses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<34} {:>8} {:>8}",
            "honest members, per round", "mean", "most"
        )?;
        for (role, of) in [("miner", &self.miner), ("validator", &self.validator)] {
            let (mean, most) = (of.bytes.mean(), of.bytes.most());
            let name = format!("{role}: bytes on chain");
            writeln!(f, "{name:<34} {mean:>8.0} {most:>8.0}")?;
            for (work, figure) in &of.seconds {
                let name = format!("{role}: {}, virtual seconds", work.name());
                let (mean, most) = (figure.mean(), figure.most());
                writeln!(f, "{name:<34} {mean:>8.2} {most:>8.2}")?;
            }
        }
        let share = self.audit_share() * 100.0;
        writeln!(f, "audits take {share:.1} % of what training does")
    }
}

/// A block that is not final.
#[derive(Debug)]
struct Pending {
    number: BlockNumber,
    parent: H256,
    round: Round,
    /// Bytes of its transactions, by who signed them.
    bytes: Vec<(Who, u64)>,
    /// Audits that ended in it, by who lost them.
    lost: Vec<(Who, Loss)>,
}

/// Bytes of transactions, by round and by who signed them; and what was lost by audits, by whom.
#[derive(Debug, Default)]
pub(super) struct Signed {
    bytes: BTreeMap<(Round, Who), u64>,
    lost: BTreeMap<Who, Losses>,
    pending: BTreeMap<H256, Pending>,
}

impl Signed {
    fn of(&self, round: Round, who: Who) -> u64 {
        self.bytes.get(&(round, who)).copied().unwrap_or(0)
    }

    /// What a member lost by audits.
    pub(super) fn losses(&self, who: Who) -> Losses {
        self.lost.get(&who).copied().unwrap_or_default()
    }

    /// A block is final, and with it those before it.
    fn finalise(&mut self, finalised: Id) {
        let mut at = finalised.hash;
        while let Some(block) = self.pending.remove(&at) {
            for (who, bytes) in block.bytes {
                *self.bytes.entry((block.round, who)).or_default() += bytes;
            }
            for (who, loss) in block.lost {
                self.lost.entry(who).or_default().add(loss);
            }
            at = block.parent;
        }
        self.pending
            .retain(|_, block| block.number > finalised.number);
    }
}

/// What a round took of these members, whose role is busy with these.
fn expense(
    round: Round,
    members: &[Who],
    parts: [Part; 4],
    (signed, meter): (&Signed, &Meter),
) -> Expense {
    let mut expense = Expense::default();
    for who in members {
        expense.bytes.add(signed.of(round, *who) as f64);
        for part in parts {
            let spent = seconds(meter.spent(round, *who, part));
            expense.seconds.entry(part).or_default().add(spent);
        }
    }
    expense
}

/// Who signed a transaction.
fn signer(extrinsic: &UncheckedExtrinsic) -> Option<&AccountId> {
    match &extrinsic.preamble {
        Preamble::Signed(MultiAddress::Id(account), ..) => Some(account),
        _ => None,
    }
}

impl World {
    /// Notes whose transactions a new block has, and who lost an audit in it.
    pub(super) fn note_bytes(&mut self, made: &Made) {
        let view = self.chain.current(made.id, self.netuid).flatten();
        let round = view.map_or(self.round, |view| view.round.round);
        let of_member = |one: &Included| {
            let signer = signer(&one.extrinsic)?;
            let is_its = |member: &Member| {
                member.hotkey.account() == signer || member.coldkey.account() == signer
            };
            let who = self.members.iter().position(is_its)?;
            Some((who, one.extrinsic.encoded_size() as u64))
        };
        let netuid = self.netuid;
        let lost = self.chain.ask(made.id, || losses::of_block(netuid));
        let members = &self.members;
        let by_member = |(hotkey, loss): (AccountId, Loss)| {
            let mut found = members.iter();
            let who = found.position(|one| *one.hotkey.account() == hotkey)?;
            Some((who, loss))
        };
        let lost = lost.into_iter().flatten().filter_map(by_member).collect();
        let transactions = self.chain.transactions(made.id).iter();
        let block = Pending {
            number: made.id.number,
            parent: made.parent.hash,
            round,
            bytes: transactions.filter_map(of_member).collect(),
            lost,
        };
        self.bytes.pending.entry(made.id.hash).or_insert(block);
    }

    /// Notes which of them are final.
    pub(super) fn note_final(&mut self, finalised: Id) {
        self.bytes.finalise(finalised);
    }

    /// What a round took of the honest members.
    pub(super) fn expenses(&self, round: Round) -> Expenses {
        let of = |role: Role, works| {
            let members = self.members.iter().enumerate();
            let members = members.filter(|(_, member)| member.is_honest() && member.role == role);
            let members: Vec<Who> = members.map(|(who, _)| who).collect();
            expense(round, &members, works, (&self.bytes, &self.meter))
        };
        Expenses {
            miner: of(Role::Miner, MINING),
            validator: of(Role::Validator, VALIDATING),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(byte: u8) -> H256 {
        H256([byte; 32])
    }

    fn pending(number: BlockNumber, parent: u8, bytes: &[(Who, u64)]) -> Pending {
        Pending {
            number,
            parent: hash(parent),
            round: number / 3,
            bytes: bytes.to_vec(),
            lost: Vec::new(),
        }
    }

    #[test]
    fn bytes_count_once_their_block_is_final_and_those_of_another_branch_never() {
        let mut signed = Signed::default();
        let blocks = [
            (1, pending(1, 0, &[(0, 100), (1, 7)])),
            (2, pending(2, 1, &[(0, 10)])),
            (3, pending(2, 1, &[(0, 5_000)])),
            (4, pending(3, 2, &[(0, 1)])),
            (5, pending(4, 4, &[(0, 9_000)])),
        ];
        signed.pending = blocks.map(|(name, block)| (hash(name), block)).into();
        let loss = Loss { taken: 10, paid: 4 };
        for name in [2, 3] {
            let block = signed.pending.get_mut(&hash(name)).expect("it is there");
            block.lost.push((1, loss));
        }
        let last = Id {
            number: 3,
            hash: hash(4),
        };
        signed.finalise(last);
        signed.finalise(last);
        let meter = Meter::default();
        let expense = |round| expense(round, &[0, 1], MINING, (&signed, &meter)).bytes;
        assert_eq!((expense(0).mean(), expense(0).most()), (58.5, 110.0));
        assert_eq!((expense(1).mean(), expense(1).most()), (0.5, 1.0));
        let lost = [0, 1].map(|who| signed.losses(who).audits);
        assert_eq!(lost, [0, 1], "once, and not on the other branch");
        let left: Vec<_> = signed.pending.keys().copied().collect();
        assert_eq!(left, [hash(5)]);
    }

    #[test]
    fn rounds_come_together_and_audits_are_a_share_of_training() {
        let mut meter = Meter::default();
        let spent = [
            (0, 0, Part::Train, 6_000),
            (1, 0, Part::Train, 2_000),
            (1, 0, Part::Audit, 500),
            (1, 1, Part::Audit, 1_500),
        ];
        for (round, who, part, time) in spent {
            meter.spends(round, who, (part, time));
        }
        let signed = Signed::default();
        let of = |round| Expenses {
            miner: expense(round, &[0], MINING, (&signed, &meter)),
            validator: expense(round, &[1], VALIDATING, (&signed, &meter)),
        };
        let mut both = of(0);
        assert_eq!(both.audit_share(), 0.0);
        both.merge(&of(1));
        assert_eq!(both.audit_share(), 0.25);
        let train = both.miner.of(Part::Train);
        assert_eq!((train.mean(), train.most()), (4.0, 6.0));
        assert_eq!(both.validator.of(Part::Audit).mean(), 0.75);
        assert_eq!(both.validator.of(Part::Train), Figure::default());
        let shown = serde_json::to_value(&both).expect("JSON");
        assert_eq!(shown["miner"]["seconds"]["audit"]["mean"], 0.25);
        assert_eq!(shown["validator"]["seconds"]["audit"]["most"], 1.5);
        assert_eq!(shown["miner"]["bytes"]["mean"], 0.0);
        let table = both.to_string();
        assert!(table.contains("miner: train, virtual seconds"), "{table}");
        assert!(
            table.ends_with("audits take 25.0 % of what training does\n"),
            "{table}"
        );
    }
}
