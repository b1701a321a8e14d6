//! Audits of work: how often a run audits, and what auditors say.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

use crate::{BlockNumber, InnerOptimizer, Matrices, Nano, Phases, RunConfigError, H256};

/// The most auditors of one contribution.
pub const MAX_AUDITORS: u32 = 15;

/// How a run audits what it includes.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct AuditRules {
    /// Of [`AuditRules::EACH`] included contributions so many are audited, on average. None: nothing is.
    pub rate: u32,
    /// Validators that audit one contribution; odd.
    #[serde(default = "three")]
    pub auditors: u8,
    /// Blocks that the miner has to serve what is audited; as many again for auditors to replay it and to commit to
    /// what they found, and as many to reveal it. In a dispute all validators have as many for each of the last two.
    pub blocks: BlockNumber,
    /// How far the moments of a miner whose header names a card may be from those that a CPU makes of its work again, in
    /// parts of [`AuditRules::EACH`] of what the gradients of the interval change; its parameters may be six times as
    /// far. None: only a CPU's work is admitted, which is replayed to the bit.
    #[serde(default)]
    pub tolerance: u16,
    /// How many times the subnet's least bond such a miner has to hold; one at least.
    #[serde(default = "AuditRules::usual_card_bond")]
    pub card_bond: u8,
}

/// So many audit a contribution if a configuration says nothing of it.
fn three() -> u8 {
    3
}

impl Default for AuditRules {
    /// No audits.
    fn default() -> Self {
        AuditRules {
            rate: 0,
            auditors: three(),
            blocks: AuditRules::MIN_BLOCKS,
            tolerance: 0,
            card_bond: AuditRules::usual_card_bond(),
        }
    }
}

impl AuditRules {
    /// The rate at which each contribution is audited.
    pub const EACH: u32 = 65_536;
    /// The fewest blocks of a stage: whoever has something to say in it has a second chance if a block is full.
    pub const MIN_BLOCKS: BlockNumber = 4;
    /// The stages of an audit that ends in a dispute: the miner opens, auditors commit and reveal, all validators do.
    pub const STAGES: BlockNumber = 5;
    /// The most blocks of a stage: five of them are over before a bond comes back that was asked for in the reveal
    /// phase, by the default audit window of 7,200 blocks, and leave that phase and the next 1,800.
    pub const MAX_BLOCKS: BlockNumber = 1_080;

    /// The largest tolerance: a 16th. Beyond it much of a step could be left out.
    pub const MAX_TOLERANCE: u16 = 4_096;
    /// The tolerance that was measured to let honest cards pass: a 32nd.
    pub const USUAL_TOLERANCE: u16 = 2_048;

    /// The most steps of a card from one traced state to the next: distances were measured over as many, and grow with
    /// them.
    pub const MAX_CARD_INTERVAL: u16 = 10;
    /// By how much the square of the first moment's decay has to be below the second's in a run with a tolerance.
    /// Nearer to it a first moment could be any multiple of the second's root, and move parameters as far.
    pub const LEAST_BETA_GAP: Nano = Nano(100_000);
    /// The largest decay of second moments in a run with a tolerance: what is closer to 1 is rounded away in `f32`.
    pub const MAX_CARD_BETA2: Nano = Nano(999_900_000);

    /// How many times the least bond stands behind a card's work where a configuration does not say.
    pub const fn usual_card_bond() -> u8 {
        2
    }

    /// Whether work is audited, and that of cards is admitted.
    pub fn admits_cards(&self) -> bool {
        self.rate > 0 && self.tolerance > 0
    }

    /// Audits of so many rounds are open at most: of a round that ends while they are, nothing would be audited.
    pub const OPEN_ROUNDS: u32 = 14;

    /// The longest stage of a run with these phases: no longer than a round, and [`AuditRules::STAGES`] of them shorter
    /// than [`AuditRules::OPEN_ROUNDS`] rounds that all end as soon as they can.
    pub fn longest(phases: &Phases) -> BlockNumber {
        let open = phases.shortest().saturating_mul(Self::OPEN_ROUNDS);
        // A round that ends in the block in which the oldest do comes before them.
        let open = open.saturating_sub(1);
        Self::MAX_BLOCKS
            .min(phases.round())
            .min(open.checked_div(Self::STAGES).unwrap_or(0))
    }

    /// Whether auditors can tell by such steps what gradients led to: AdamW's, with decays of which the second
    /// remembers longer than the square of the first, and not too many from one traced state to the next.
    pub fn tells(inner: &InnerOptimizer) -> bool {
        inner.matrices == Matrices::AdamW
            && inner.trace_every <= Self::MAX_CARD_INTERVAL
            && Self::has_fit_betas(inner)
    }

    /// Whether the second moment bounds the first as it has to in a run with a tolerance.
    pub fn has_fit_betas(inner: &InnerOptimizer) -> bool {
        let one = u128::from(Nano::ONE.0);
        let [beta1, beta2, gap] =
            [inner.beta1, inner.beta2, Self::LEAST_BETA_GAP].map(|beta| u128::from(beta.0));
        let square = beta1.saturating_mul(beta1);
        let least = square.saturating_add(gap.saturating_mul(one));
        beta1 > 0 && inner.beta2 <= Self::MAX_CARD_BETA2 && least <= beta2.saturating_mul(one)
    }

    /// Whether a run with these phases can audit so.
    pub fn check(&self, phases: &Phases) -> Result<(), RunConfigError> {
        let blocks = Self::MIN_BLOCKS..=Self::longest(phases);
        let auditors = u32::from(self.auditors);
        let is_odd = auditors % 2 == 1;
        let fits = self.rate <= Self::EACH
            && is_odd
            && auditors <= MAX_AUDITORS
            && blocks.contains(&self.blocks)
            && self.tolerance <= Self::MAX_TOLERANCE
            && self.card_bond > 0;
        match fits {
            true => Ok(()),
            false => Err(RunConfigError::ImpossibleAudits),
        }
    }
}

/// What a replay found.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Finding {
    /// The interval's end follows from its begin.
    Passed,
    /// It does not, or what was to be served could not be had, or is not what the header binds.
    Failed,
}

/// How an audit ended.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum AuditOutcome {
    /// It has not.
    Open,
    /// The auditors that revealed something found the work to be what it claims; or in a dispute more than half of the
    /// stake did.
    Passed,
    /// In a dispute two thirds of the stake that revealed something found that it is not.
    Failed,
    /// The miner served nothing in time.
    Silent,
    /// Nobody revealed anything, or in a dispute too little stake did, or not enough of it agrees: nobody loses
    /// anything, and what was earned by it waits for the maker's next audit.
    Undecided,
}

impl AuditOutcome {
    /// Whether the miner loses its bond.
    pub fn is_lost(&self) -> bool {
        matches!(self, AuditOutcome::Failed | AuditOutcome::Silent)
    }
}

/// A blob that a member serves: a miner for an audit, a validator as evidence of its scores.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
pub struct Served {
    /// Its BLAKE3, by which it is found in the store.
    pub root: H256,
    /// Its length in bytes.
    pub length: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Phases of a round of `train` and eight blocks.
    fn phases(train: BlockNumber, floor: u8) -> Phases {
        Phases {
            train,
            reveal: 4,
            attest: 4,
            floor,
        }
    }

    /// The usual optimizer with these decays and this distance of traced states.
    fn inner(beta1: u64, beta2: u64, trace_every: u16) -> InnerOptimizer {
        InnerOptimizer {
            steps: 20,
            sequences: 1,
            sequence_length: 1,
            learning_rate: Nano(1_000_000),
            final_rate: Nano(0),
            warmup_steps: 0,
            total_steps: 100,
            beta1: Nano(beta1),
            beta2: Nano(beta2),
            epsilon: Nano(10),
            weight_decay: Nano(0),
            clip_norm: Nano::ONE,
            trace_every,
            matrices: Matrices::AdamW,
        }
    }

    #[test]
    fn of_cards_steps_are_told_whose_second_moments_bound_the_first() {
        for (beta1, beta2) in [
            (900_000_000, 950_000_000),
            (900_000_000, 999_000_000),
            (900_000_000, 810_100_000),
            (1, 999_900_000),
        ] {
            assert!(
                AuditRules::tells(&inner(beta1, beta2, 10)),
                "{beta1} {beta2}"
            );
        }
        for (beta1, beta2) in [
            (0, 950_000_000),
            (900_000_000, 0),
            (900_000_000, 810_099_999),
            (900_000_000, 999_900_001),
            (1_000_000_000, 999_900_000),
            (u64::MAX, u64::MAX),
        ] {
            assert!(
                !AuditRules::tells(&inner(beta1, beta2, 1)),
                "{beta1} {beta2}"
            );
        }
        assert!(!AuditRules::tells(&inner(900_000_000, 950_000_000, 11)));
        let muons = InnerOptimizer {
            matrices: Matrices::Muon(Default::default()),
            ..inner(900_000_000, 950_000_000, 1)
        };
        assert!(!AuditRules::tells(&muons));
    }

    #[test]
    fn rules_are_within_their_bounds_on_both_sides() {
        let usual = AuditRules {
            rate: 16_384,
            auditors: 3,
            blocks: 8,
            ..AuditRules::default()
        };
        let check = |change: fn(&mut AuditRules)| {
            let mut rules = usual;
            change(&mut rules);
            rules.check(&phases(12, 100))
        };
        let refused = Err(RunConfigError::ImpossibleAudits);
        assert_eq!(check(|_| ()), Ok(()));
        assert_eq!(AuditRules::default().check(&phases(2, 25)), Ok(()));
        for fine in [
            check(|rules| rules.rate = 0),
            check(|rules| rules.rate = 65_536),
            check(|rules| rules.auditors = 1),
            check(|rules| rules.auditors = 15),
            check(|rules| rules.blocks = 4),
            check(|rules| rules.blocks = 20),
            check(|rules| rules.tolerance = AuditRules::MAX_TOLERANCE),
            check(|rules| rules.card_bond = 1),
            check(|rules| rules.card_bond = u8::MAX),
        ] {
            assert_eq!(fine, Ok(()));
        }
        for wrong in [
            check(|rules| rules.rate = 65_537),
            check(|rules| rules.auditors = 0),
            check(|rules| rules.auditors = 2),
            check(|rules| rules.auditors = 17),
            check(|rules| rules.blocks = 3),
            check(|rules| rules.blocks = 21),
            check(|rules| rules.tolerance = AuditRules::MAX_TOLERANCE + 1),
            check(|rules| rules.card_bond = 0),
        ] {
            assert_eq!(wrong, refused);
        }
        let long = AuditRules {
            blocks: 1_081,
            ..usual
        };
        assert_eq!(long.check(&phases(10_000, 100)), refused);
        // Rounds of 20 blocks that may be over in 6: five stages of 16 blocks are over before fourteen of them.
        let of = |blocks| AuditRules { blocks, ..usual }.check(&phases(12, 25));
        assert_eq!((of(16), of(17)), (Ok(()), refused));
    }
}
