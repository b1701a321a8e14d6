//! What makes a contribution good.
//!
//! Good is a file of which the root and the length are those committed to, which opens with the revealed key, is in
//! the format of `docs/contribution-format.md`, and names in its header the very subnet, round, hotkey, parent root
//! and layout that it is for. It is not so small that it could only hold others down, and its maker goes on from
//! where it said that it ended. Root, key and format are compared where the file is read; this is the rest.
//!
//! What is refused is not always *broken*. Broken is a claim about bytes that a root names, and the same for everybody.

use alloc::collections::BTreeMap;
use core::fmt;

use cairn_primitives::{
    AuditRules, Balance, Carried, Commitment, EngineClass, Header, Hotkey, ModelRoot, Netuid,
    Round, H256,
};
use codec::{Decode, Encode};

/// What a contribution has to be: whose, for what, and what its maker committed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owed {
    /// The subnet.
    pub netuid: Netuid,
    /// The round.
    pub round: Round,
    /// Who committed.
    pub hotkey: Hotkey,
    /// To what.
    pub commitment: Commitment,
    /// Root of the parameters that contributions to the round are made from: [`crate::overlap::base`].
    pub parent_root: ModelRoot,
    /// [`cairn_primitives::Layout::hash`] of the run's model.
    pub layout_hash: H256,
    /// The inner steps of a round.
    pub inner_steps: u16,
    /// On what it may have been computed.
    pub engines: Engines,
}

/// What a run's contributions may be computed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engines {
    /// Anything: nothing is audited.
    Any,
    /// A CPU, which is replayed to the bit.
    Cpu,
    /// A CPU, or NVIDIA cards, which are replayed within the run's tolerance.
    CpuAndCards,
}

impl Engines {
    /// Of a run that audits so.
    pub fn of(rules: &AuditRules) -> Engines {
        match (rules.rate > 0, rules.admits_cards()) {
            (false, _) => Engines::Any,
            (true, false) => Engines::Cpu,
            (true, true) => Engines::CpuAndCards,
        }
    }

    /// Whether this class is among them.
    pub fn admit(self, class: EngineClass) -> bool {
        match self {
            Engines::Any => true,
            Engines::Cpu => class == EngineClass::CPU,
            Engines::CpuAndCards => class == EngineClass::CPU || class.is_card(),
        }
    }
}

/// The bond, in pebble, that has to stand behind a card's work in a run that audits so, in a subnet that asks for at
/// least `least` of each miner. An auditor grants a card a tolerance, so its maker stands for more.
pub fn card_bond(rules: &AuditRules, least: Balance) -> Balance {
    match rules.admits_cards() {
        true => least.saturating_mul(Balance::from(rules.card_bond)),
        false => least,
    }
}

/// Which part of the last settled round's norm a contribution's is at least: one in so many.
pub const NORM_PARTS: u16 = 8;

/// What a checker knows of the rounds before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Before {
    /// The median norm of the last round that included anything, weighted by what each contribution counted, as the
    /// outer step gives it. None before there was one, and for who did not take that step.
    pub norm: Option<f64>,
    /// Where the maker's last included contribution ended.
    pub last: Last,
}

/// What is known of where a maker's last included contribution ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Last {
    /// Nothing: whoever checks has not seen all rounds.
    #[default]
    Unknown,
    /// That it made none yet.
    Nothing,
    /// Here: [`Header::after`] of it.
    Ended(Carried),
}

/// Makers of which is remembered where they ended, at most; the one that was included longest ago is forgotten first.
pub const MOST_ENDS: usize = 4_096;

/// Where the last included contributions of makers ended, as far as somebody has seen the rounds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Ends {
    by_hotkey: BTreeMap<Hotkey, (Round, Carried)>,
    /// Whether no round was missed, and no maker forgotten.
    is_whole: bool,
}

impl Ends {
    /// Of who sees what is included from this round on.
    pub fn from_round(round: Round) -> Ends {
        Ends {
            by_hotkey: BTreeMap::new(),
            is_whole: round == 0,
        }
    }

    /// What is known of a maker's.
    pub fn last(&self, hotkey: &Hotkey) -> Last {
        match (self.by_hotkey.get(hotkey), self.is_whole) {
            (Some((_, ended)), _) => Last::Ended(*ended),
            (None, true) => Last::Nothing,
            (None, false) => Last::Unknown,
        }
    }

    /// These were included in a round.
    pub fn note<'a>(&mut self, included: impl IntoIterator<Item = &'a Header>) {
        for header in included {
            let ended = (header.round, header.after());
            self.by_hotkey.insert(header.hotkey, ended);
        }
        while self.by_hotkey.len() > MOST_ENDS {
            let ends = self.by_hotkey.iter();
            let oldest = ends.min_by_key(|(_, (round, _))| *round);
            let Some(hotkey) = oldest.map(|(hotkey, _)| *hotkey) else {
                break;
            };
            self.by_hotkey.remove(&hotkey);
            self.is_whole = false;
        }
    }
}

/// A field that names what a contribution is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The header's subnet.
    Netuid,
    /// The header's round.
    Round,
    /// The header's hotkey.
    Hotkey,
    /// The header's parent root.
    ParentRoot,
    /// The commitment's parent root.
    CommittedParentRoot,
    /// The header's layout.
    Layout,
}

/// Why a contribution is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Another length than was committed to.
    Length {
        /// Bytes of the file.
        found: u64,
        /// Bytes by the commitment.
        committed: u64,
    },
    /// For something or by somebody else.
    Other(Field),
    /// More work than there was.
    InnerSteps {
        /// What it claims.
        found: u32,
        /// What a round has.
        most: u16,
    },
    /// Nobody can replay the work of what computed it, in a run that audits.
    Engine,
    /// A card computed it, and too small a bond stands behind that.
    CardBond {
        /// The bond of its maker, in pebble.
        found: Balance,
        /// What it has to be.
        least: Balance,
    },
    /// Its norm is below the part of the last round's that a contribution must have.
    Small,
    /// It begins from other moments or error feedback than its maker had.
    Carried,
}

impl fmt::Display for Field {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Field::Netuid => "its header names another subnet",
            Field::Round => "its header names another round",
            Field::Hotkey => "its header names another hotkey",
            Field::ParentRoot => "its header names another parent root",
            Field::CommittedParentRoot => "its commitment names another parent root",
            Field::Layout => "its header names another layout",
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Length { found, committed } => {
                write!(out, "it has {found} bytes, {committed} were committed to")
            }
            Refusal::Other(field) => field.fmt(out),
            Refusal::InnerSteps { found, most } => {
                write!(out, "it claims {found} inner steps, a round has {most}")
            }
            Refusal::Engine => out.write_str(
                "its steps cannot be replayed: in a run that audits they have to be a CPU's, or a card's if the run \
                 has a tolerance",
            ),
            Refusal::CardBond { found, least } => write!(
                out,
                "a card made it, for which this run asks for a bond of {least} pebble, and its maker's is {found}"
            ),
            Refusal::Small => write!(
                out,
                "its norm is below 1/{NORM_PARTS} of the median of the last round's"
            ),
            Refusal::Carried => out.write_str(
                "it goes on neither from its maker's last included contribution nor from zero",
            ),
        }
    }
}

impl core::error::Error for Refusal {}

impl Refusal {
    /// Whether whoever opens the file refuses it for this: it follows from the file, its commitment and the run's
    /// configuration alone.
    ///
    /// What else a refusal follows from may differ: the root of the own parameters, rounds that one has seen or not, a
    /// bond of which not all nodes tell.
    pub fn is_broken(self) -> bool {
        match self {
            Refusal::Length { .. } | Refusal::InnerSteps { .. } | Refusal::Engine => true,
            Refusal::Other(field) => match field {
                Field::Netuid | Field::Round | Field::Hotkey | Field::Layout => true,
                Field::ParentRoot | Field::CommittedParentRoot => false,
            },
            Refusal::CardBond { .. } | Refusal::Small | Refusal::Carried => false,
        }
    }
}

/// Whether the sealed file has the bytes that were committed to; told before it is opened.
///
/// # Errors
/// [`Refusal::Length`].
pub fn check_length(owed: &Owed, found: u64) -> Result<(), Refusal> {
    let committed = owed.commitment.length;
    match found == committed {
        true => Ok(()),
        false => Err(Refusal::Length { found, committed }),
    }
}

/// Whether the header names what the contribution is for, and claims no more work than there was.
///
/// # Errors
/// [`Refusal::Other`] with the first field that differs, [`Refusal::Engine`] or [`Refusal::InnerSteps`].
pub fn check_header(owed: &Owed, header: &Header) -> Result<(), Refusal> {
    let committed = owed.commitment.parent_root;
    let fields = [
        (header.netuid == owed.netuid, Field::Netuid),
        (header.round == owed.round, Field::Round),
        (header.hotkey == owed.hotkey, Field::Hotkey),
        (header.parent_root == owed.parent_root, Field::ParentRoot),
        (committed == owed.parent_root, Field::CommittedParentRoot),
        (header.layout_hash == owed.layout_hash, Field::Layout),
    ];
    if let Some((_, field)) = fields.into_iter().find(|(same, _)| !same) {
        return Err(Refusal::Other(field));
    }
    if !owed.engines.admit(header.work.engine) {
        return Err(Refusal::Engine);
    }
    let (found, most) = (header.inner_steps, owed.inner_steps);
    match found <= u32::from(most) {
        true => Ok(()),
        false => Err(Refusal::InnerSteps { found, most }),
    }
}

/// Whether the bond of a contribution's maker, in pebble, is enough for what computed it, in a subnet that asks for at
/// least `least` of each miner. The bond is that of the first block of the round's reveal phase.
///
/// # Errors
/// [`Refusal::CardBond`].
pub fn check_card_bond(
    header: &Header,
    rules: &AuditRules,
    found: Balance,
    least: Balance,
) -> Result<(), Refusal> {
    let least = card_bond(rules, least);
    match !header.work.engine.is_card() || found >= least {
        true => Ok(()),
        false => Err(Refusal::CardBond { found, least }),
    }
}

/// Whether a contribution of norm `found` is as large as it must be, given the norm of the last round that included
/// anything. Without one any norm will do. Both are sums of squares in a stated order, and eight is a power of two,
/// so that all who know the norm come to the same answer.
///
/// # Errors
/// [`Refusal::Small`].
pub fn check_norm(found: f64, before: Option<f64>) -> Result<(), Refusal> {
    match before.is_none_or(|before| found * f64::from(NORM_PARTS) >= before) {
        true => Ok(()),
        false => Err(Refusal::Small),
    }
}

/// Whether a maker goes on from where its last included contribution ended, or from the zero state: nobody can invent
/// moments or an error feedback, from which any contribution would follow.
///
/// # Errors
/// [`Refusal::Carried`].
pub fn check_carried(header: &Header, last: &Last) -> Result<(), Refusal> {
    let before = &header.work.before;
    let goes_on = match last {
        Last::Unknown => true,
        Last::Nothing => before.is_zero(),
        Last::Ended(after) => before.is_zero() || before == after,
    };
    match goes_on {
        true => Ok(()),
        false => Err(Refusal::Carried),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_primitives::{SealedRoot, Work};
    use proptest::prelude::*;

    fn owed() -> Owed {
        Owed {
            netuid: Netuid(7),
            round: 3,
            hotkey: Hotkey(H256([6; 32])),
            commitment: Commitment {
                parent_root: ModelRoot(H256([8; 32])),
                sealed_root: SealedRoot(H256([1; 32])),
                length: 1_000,
                key_hash: H256([2; 32]),
            },
            parent_root: ModelRoot(H256([8; 32])),
            layout_hash: H256([9; 32]),
            inner_steps: 30,
            engines: Engines::Any,
        }
    }

    fn header() -> Header {
        Header {
            netuid: Netuid(7),
            round: 3,
            hotkey: Hotkey(H256([6; 32])),
            parent_root: ModelRoot(H256([8; 32])),
            layout_hash: H256([9; 32]),
            inner_steps: 30,
            tokens: 1,
            mean_loss: 3.0,
            work: Work::default(),
        }
    }

    #[test]
    fn what_is_owed_is_good() {
        assert_eq!(check_length(&owed(), 1_000), Ok(()));
        assert_eq!(check_header(&owed(), &header()), Ok(()));
        let less = Header {
            inner_steps: 0,
            ..header()
        };
        assert_eq!(check_header(&owed(), &less), Ok(()));
    }

    #[test]
    fn who_saw_all_rounds_knows_who_made_nothing_and_who_forgot_somebody_does_not() {
        let of = |maker: u32, round| {
            let mut hotkey = [0; 32];
            hotkey[..4].copy_from_slice(&maker.to_le_bytes());
            let before = Carried {
                steps: u64::from(maker),
                ..Carried::default()
            };
            Header {
                hotkey: Hotkey(H256(hotkey)),
                round,
                work: Work {
                    before,
                    ..Work::default()
                },
                ..header()
            }
        };
        let (mut all, mut late) = (Ends::from_round(0), Ends::from_round(1));
        let first = of(1, 0);
        assert_eq!(all.last(&first.hotkey), Last::Nothing);
        all.note([&first]);
        assert_eq!(all.last(&first.hotkey), Last::Ended(first.after()));
        assert_eq!(late.last(&first.hotkey), Last::Unknown);
        let again = Header {
            round: 1,
            work: Work {
                before: first.after(),
                ..Work::default()
            },
            ..first.clone()
        };
        for ends in [&mut all, &mut late] {
            ends.note([&again]);
            assert_eq!(ends.last(&again.hotkey), Last::Ended(again.after()));
            assert_eq!(Ends::decode(&mut &ends.encode()[..]).as_ref(), Ok(&*ends));
        }
        assert_eq!(all.last(&of(2, 0).hotkey), Last::Nothing);
        let many: Vec<Header> = (2..=MOST_ENDS as u32 + 1)
            .map(|maker| of(maker, 2))
            .collect();
        all.note(&many);
        assert_eq!(all.last(&first.hotkey), Last::Unknown);
        assert_eq!(all.last(&many[0].hotkey), Last::Ended(many[0].after()));
    }

    #[test]
    fn a_run_that_audits_takes_only_what_can_be_replayed() {
        let card = Header {
            work: Work {
                engine: EngineClass::cuda("a card"),
                ..Work::default()
            },
            ..header()
        };
        let program = Header {
            work: Work {
                engine: EngineClass::process("torch"),
                ..Work::default()
            },
            ..header()
        };
        let by = |rate, tolerance| {
            let rules = AuditRules {
                rate,
                tolerance,
                ..AuditRules::default()
            };
            let owed = Owed {
                engines: Engines::of(&rules),
                ..owed()
            };
            [&header(), &card, &program].map(|header| check_header(&owed, header))
        };
        let no = Err(Refusal::Engine);
        for tolerance in [0, 1] {
            assert_eq!(by(0, tolerance), [Ok(()); 3]);
        }
        assert_eq!(by(1, 0), [Ok(()), no, no]);
        assert_eq!(by(1, 1), [Ok(()), Ok(()), no]);
    }

    #[test]
    fn broken_is_what_is_so_for_all() {
        let (found, committed) = (1, 2);
        assert!(Refusal::Length { found, committed }.is_broken());
        let (found, most) = (31, 30);
        assert!(Refusal::InnerSteps { found, most }.is_broken());
        assert!(Refusal::Engine.is_broken());
        let of = |field| Refusal::Other(field).is_broken();
        assert!(of(Field::Netuid));
        assert!(of(Field::Round));
        assert!(of(Field::Hotkey));
        assert!(of(Field::Layout));
        assert!(!of(Field::ParentRoot), "the own root may be the wrong one");
        assert!(!of(Field::CommittedParentRoot));
        let (found, least) = (29, 30);
        assert!(!Refusal::CardBond { found, least }.is_broken());
        assert!(!Refusal::Small.is_broken());
        assert!(!Refusal::Carried.is_broken());
    }

    #[test]
    fn a_multiple_of_the_least_bond_stands_behind_a_cards_work() {
        let of = |engine| Header {
            work: Work {
                engine,
                ..Work::default()
            },
            ..header()
        };
        let (cpu, card) = (of(EngineClass::CPU), of(EngineClass::cuda("a card")));
        let rules = AuditRules {
            rate: 1,
            tolerance: 1,
            card_bond: 3,
            ..AuditRules::default()
        };
        assert_eq!(check_card_bond(&cpu, &rules, 10, 10), Ok(()));
        assert_eq!(check_card_bond(&card, &rules, 30, 10), Ok(()));
        let refusal = Refusal::CardBond {
            found: 29,
            least: 30,
        };
        assert_eq!(check_card_bond(&card, &rules, 29, 10), Err(refusal));
        // Where nothing is audited a card is a miner as others are.
        let none = AuditRules { rate: 0, ..rules };
        assert_eq!(check_card_bond(&card, &none, 10, 10), Ok(()));
        assert_eq!(card_bond(&rules, Balance::MAX), Balance::MAX);
    }

    #[test]
    fn each_field_that_differs_is_told() {
        type Spoil = fn(&mut Header);
        let spoilt: [(Spoil, Refusal); 6] = [
            (|h| h.netuid = Netuid(8), Refusal::Other(Field::Netuid)),
            (|h| h.round -= 1, Refusal::Other(Field::Round)),
            (|h| h.hotkey.0 .0[31] ^= 1, Refusal::Other(Field::Hotkey)),
            (
                |h| h.parent_root = ModelRoot::zero(),
                Refusal::Other(Field::ParentRoot),
            ),
            (
                |h| h.layout_hash = H256::zero(),
                Refusal::Other(Field::Layout),
            ),
            (
                |h| h.inner_steps += 1,
                Refusal::InnerSteps {
                    found: 31,
                    most: 30,
                },
            ),
        ];
        for (spoil, refusal) in spoilt {
            let mut header = header();
            spoil(&mut header);
            assert_eq!(check_header(&owed(), &header), Err(refusal));
        }
        let mut other = owed();
        other.commitment.parent_root = ModelRoot::zero();
        let refusal = Refusal::Other(Field::CommittedParentRoot);
        assert_eq!(check_header(&other, &header()), Err(refusal));
    }

    fn carried(byte: u8) -> Carried {
        let [first_moment, second_moment, feedback] =
            [byte, byte ^ 1, byte ^ 2].map(|byte| H256([byte; 32]));
        Carried {
            first_moment,
            second_moment,
            feedback,
            steps: u64::from(byte),
        }
    }

    #[test]
    fn an_eighth_of_the_norm_before_is_enough() {
        assert_eq!(check_norm(0.5, Some(4.0)), Ok(()));
        assert_eq!(check_norm(0.499_999_9, Some(4.0)), Err(Refusal::Small));
        assert_eq!(check_norm(1e-30, None), Ok(()));
        assert_eq!(check_norm(7.0, Some(4.0)), Ok(()));
    }

    #[test]
    fn a_maker_goes_on_from_where_it_ended_or_from_zero() {
        let of = |before: Carried| Header {
            work: Work {
                before,
                ..Work::default()
            },
            ..header()
        };
        let (ended, zero) = (carried(9), of(Carried::default()));
        for last in [Last::Unknown, Last::Nothing, Last::Ended(ended)] {
            assert_eq!(check_carried(&zero, &last), Ok(()));
        }
        assert_eq!(check_carried(&of(ended), &Last::Ended(ended)), Ok(()));
        assert_eq!(check_carried(&of(ended), &Last::Unknown), Ok(()));
        assert_eq!(
            check_carried(&of(ended), &Last::Nothing),
            Err(Refusal::Carried)
        );
        type Spoil = fn(&mut Carried);
        let spoils: [Spoil; 4] = [
            |one| one.first_moment = H256::zero(),
            |one| one.second_moment = H256::zero(),
            |one| one.feedback = H256::zero(),
            |one| one.steps += 1,
        ];
        for spoil in spoils {
            let mut other = ended;
            spoil(&mut other);
            assert_eq!(
                check_carried(&of(other), &Last::Ended(ended)),
                Err(Refusal::Carried)
            );
        }
    }

    proptest! {
        #[test]
        fn scale_does_not_matter(found in 1e-3..1e3f64, before in 1e-3..1e3f64, power in -20i32..20) {
            let scale = f64::powi(2.0, power);
            let scaled = check_norm(found * scale, Some(before * scale));
            prop_assert_eq!(check_norm(found, Some(before)), scaled);
        }

        #[test]
        fn nothing_but_what_is_owed_is_good(
            netuid in 6u16..9, round in 2u32..5, hotkey in 5u8..8, parent in 7u8..10, layout in 8u8..11, steps in 28u32..33,
        ) {
            let header = Header {
                netuid: Netuid(netuid),
                round,
                hotkey: Hotkey(H256([hotkey; 32])),
                parent_root: ModelRoot(H256([parent; 32])),
                layout_hash: H256([layout; 32]),
                inner_steps: steps,
                ..header()
            };
            let same = (netuid, round, hotkey, parent, layout) == (7, 3, 6, 8, 9);
            prop_assert_eq!(check_header(&owed(), &header).is_ok(), same && steps <= 30);
        }

        #[test]
        fn any_other_length_is_refused(found: u64) {
            prop_assert_eq!(check_length(&owed(), found).is_ok(), found == 1_000);
        }
    }
}
