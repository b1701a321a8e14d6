//! The file of evidence to which a validator commits with its scores, and from which anybody can compute them again.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use bounded_collections::{BoundedVec, ConstU32};
use cairn_primitives::{EpochIndex, Hotkey, Netuid, Round, Uid};
use codec::{Decode, DecodeAll, Encode};

use super::{counts, row::row, score::is_less, scores, Evidence, Miner, Outcome};
use crate::limits::{EVIDENCE_BYTES, EVIDENCE_ITEMS, VALUE_WINDOWS};

/// The version of the encoding, its first byte.
const VERSION: u8 = 2;
/// The most windows of each kind.
const WINDOWS: u32 = VALUE_WINDOWS as u32;

/// What a validator knew of all miners when it chose the scores of an epoch.
///
/// In bytes it is SCALE of: a version (2), netuid, epoch, the validator's hotkey, the newest round; a list of miners,
/// each with uid, hotkey and whether it was a member no more; a list of what is known, each with round, the miner's
/// place in the first list, and the outcome. Gains are the bits of an `f32` each. Both lists ascend, and one content
/// has one encoding.
#[derive(Clone, Debug, PartialEq)]
pub struct EvidenceFile {
    /// The subnet.
    pub netuid: Netuid,
    /// The epoch before which the scores were committed.
    pub epoch: EpochIndex,
    /// The validator.
    pub hotkey: Hotkey,
    /// The newest round that the scores look at.
    pub round: Round,
    /// What is known, ascending by round, uid and hotkey, each once.
    evidence: Vec<Evidence>,
    /// Those of them that were members no more.
    gone: BTreeSet<Miner>,
}

/// Why bytes are no file of evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// They are more than [`EVIDENCE_BYTES`].
    TooLong,
    /// They are of a version that is not known here.
    UnknownVersion,
    /// They are not SCALE of a file, or a list is longer than may be.
    NotDecoded,
    /// A gain is not a number, something is of a round that the scores do not look at, or two members have one uid.
    Impossible,
    /// Something is not in its place, or there twice.
    NotCanonical,
}

impl core::fmt::Display for Malformed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Malformed::TooLong => "it is longer than evidence can be",
            Malformed::UnknownVersion => "it is of a version that this release does not know",
            Malformed::NotDecoded => "it is no file of evidence",
            Malformed::Impossible => "it says what cannot have been measured",
            Malformed::NotCanonical => "it is not in order",
        })
    }
}

/// A score that does not follow from the evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Difference {
    /// On whom.
    pub uid: Uid,
    /// What was revealed; zero if nothing was.
    pub revealed: u16,
    /// What follows.
    pub follows: u16,
}

impl EvidenceFile {
    /// Of what is in a validator's log, as of round `round`. What was logged twice is there once, as a score takes it;
    /// what cannot have been measured is not there. `members` are those of the subnet.
    pub fn new(
        (netuid, epoch, hotkey): (Netuid, EpochIndex, Hotkey),
        round: Round,
        log: &[Evidence],
        members: &[Miner],
    ) -> EvidenceFile {
        let mut kept: BTreeMap<(Round, Uid, Hotkey), &Evidence> = BTreeMap::new();
        for one in log.iter().filter(|one| is_possible(one, round)) {
            kept.entry((one.round, one.uid, one.hotkey))
                .and_modify(|known| {
                    if is_less(one, known) {
                        *known = one;
                    }
                })
                .or_insert(one);
        }
        // Honest logs have no more: a round has as many miners as there are members at most.
        let most = usize::try_from(EVIDENCE_ITEMS).unwrap_or(usize::MAX);
        let mut evidence: Vec<Evidence> = kept.into_values().rev().take(most).cloned().collect();
        evidence.reverse();
        let members: BTreeSet<Miner> = members.iter().copied().collect();
        let miners = evidence.iter().map(|one| (one.uid, one.hotkey));
        let gone = miners.filter(|miner| !members.contains(miner)).collect();
        EvidenceFile {
            netuid,
            epoch,
            hotkey,
            round,
            evidence,
            gone,
        }
    }

    /// What is known.
    pub fn evidence(&self) -> &[Evidence] {
        &self.evidence
    }

    fn miners(&self) -> impl Iterator<Item = Miner> + '_ {
        self.evidence.iter().map(|one| (one.uid, one.hotkey))
    }

    /// The row of scores that follows; `None` if nobody has shown its worth.
    pub fn row(&self) -> Option<Vec<(Uid, u16)>> {
        self.row_of(|miner| !self.gone.contains(miner))
    }

    fn row_of(&self, is_member: impl Fn(&Miner) -> bool) -> Option<Vec<(Uid, u16)>> {
        let scores = scores(&self.evidence, self.round);
        let present: Vec<Miner> = scores.keys().copied().filter(is_member).collect();
        row(&scores, present, self.hotkey)
    }

    /// Where a row that was revealed is not what follows, ascending by uid. `members` are those who were members when
    /// the scores were chosen and still are: none of them can have been called gone, nor somebody else been scored in
    /// its place. The chain drops scores on those who left before the row was revealed.
    pub fn differences(&self, revealed: &[(Uid, u16)], members: &[Miner]) -> Vec<Difference> {
        let known: BTreeSet<Miner> = self.miners().collect();
        // Of who has swapped its hotkey since, the file knows the one before.
        let there: BTreeMap<Uid, Hotkey> = members
            .iter()
            .copied()
            .filter(|member| known.contains(member))
            .collect();
        let is_member = |miner: &Miner| match there.get(&miner.0) {
            Some(hotkey) => *hotkey == miner.1,
            None => !self.gone.contains(miner),
        };
        let follows = self.row_of(is_member).into_iter().flatten();
        let mut all: BTreeMap<Uid, Difference> = BTreeMap::new();
        for (uid, follows) in follows {
            let revealed = 0;
            all.insert(
                uid,
                Difference {
                    uid,
                    revealed,
                    follows,
                },
            );
        }
        for (uid, revealed) in revealed.iter().copied() {
            let follows = 0;
            let known = all.entry(uid).or_insert(Difference {
                uid,
                revealed,
                follows,
            });
            known.revealed = revealed;
        }
        let is_there = |uid: Uid| members.iter().any(|(member, _)| *member == uid);
        let differs = |one: &Difference| {
            one.revealed != one.follows && (one.revealed > 0 || is_there(one.uid))
        };
        all.into_values().filter(differs).collect()
    }

    /// Its bytes: [`EVIDENCE_BYTES`] at most.
    pub fn to_bytes(&self) -> Vec<u8> {
        let miners: BTreeSet<Miner> = self.miners().collect();
        let places: BTreeMap<Miner, u16> = miners.iter().copied().zip(0..).collect();
        let place = |one: &Evidence| places.get(&(one.uid, one.hotkey)).copied();
        let items = self.evidence.iter().map(|one| Item {
            round: one.round,
            miner: place(one).unwrap_or_default(),
            found: Known::of(&one.outcome),
        });
        let listed = miners
            .iter()
            .map(|miner| (miner.0, miner.1, self.gone.contains(miner)));
        let wire = Wire {
            version: VERSION,
            netuid: self.netuid,
            epoch: self.epoch,
            hotkey: self.hotkey,
            round: self.round,
            miners: BoundedVec::truncate_from(listed.collect()),
            items: BoundedVec::truncate_from(items.collect()),
        };
        wire.encode()
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<EvidenceFile, Malformed> {
        if bytes.len() as u64 > EVIDENCE_BYTES {
            return Err(Malformed::TooLong);
        }
        if bytes.first() != Some(&VERSION) {
            return Err(Malformed::UnknownVersion);
        }
        let mut input = bytes;
        let wire = Wire::decode_all(&mut input).map_err(|_| Malformed::NotDecoded)?;
        let file = wire.file()?;
        let mut present: BTreeMap<Uid, Hotkey> = BTreeMap::new();
        let is_one = file
            .miners()
            .filter(|miner| !file.gone.contains(miner))
            .all(|(uid, key)| *present.entry(uid).or_insert(key) == key);
        if !is_one || !file.evidence.iter().all(|one| is_possible(one, file.round)) {
            return Err(Malformed::Impossible);
        }
        let key = |one: &Evidence| (one.round, one.uid, one.hotkey);
        let ascends = |pair: &[Evidence]| matches!(pair, [a, b] if key(a) < key(b));
        let is_sorted = file.evidence.windows(2).all(ascends);
        match is_sorted && file.to_bytes() == bytes {
            true => Ok(file),
            false => Err(Malformed::NotCanonical),
        }
    }
}

/// Whether a score as of round `newest` looks at this, and it can have been measured.
fn is_possible(one: &Evidence, newest: Round) -> bool {
    let most = usize::try_from(WINDOWS).unwrap_or(usize::MAX);
    let is_one =
        |gains: &Vec<f32>| gains.len() <= most && gains.iter().all(|gain| gain.is_finite());
    counts(one.round, newest)
        && match &one.outcome {
            Outcome::Missed | Outcome::Unmeasured => true,
            Outcome::Measured {
                assigned,
                unassigned,
                settled,
                unseen,
                ..
            } => {
                let is_paired = settled.is_empty() || settled.len() == unassigned.len();
                let all = [assigned, unassigned, settled, unseen];
                is_paired && all.into_iter().all(is_one)
            }
        }
}

/// A miner, and whether it was a member no more.
type Listed = (Uid, Hotkey, bool);

#[derive(Encode, Decode)]
struct Wire {
    version: u8,
    netuid: Netuid,
    epoch: EpochIndex,
    hotkey: Hotkey,
    round: Round,
    miners: BoundedVec<Listed, ConstU32<EVIDENCE_ITEMS>>,
    items: BoundedVec<Item, ConstU32<EVIDENCE_ITEMS>>,
}

#[derive(Encode, Decode)]
struct Item {
    round: Round,
    /// Its place in the list of miners.
    miner: u16,
    found: Known,
}

#[derive(Encode, Decode)]
enum Known {
    #[codec(index = 0)]
    Missed,
    #[codec(index = 1)]
    Unmeasured,
    #[codec(index = 2)]
    Measured(Figures),
}

type Bits = BoundedVec<u32, ConstU32<WINDOWS>>;

#[derive(Encode, Decode)]
struct Figures {
    steps: u32,
    of: u32,
    alike: u16,
    repeats: bool,
    assigned: Bits,
    unassigned: Bits,
    settled: Bits,
    unseen: Bits,
}

fn bits(gains: &[f32]) -> Bits {
    BoundedVec::truncate_from(gains.iter().map(|gain| gain.to_bits()).collect())
}

fn gains(bits: &Bits) -> Vec<f32> {
    bits.iter().map(|bits| f32::from_bits(*bits)).collect()
}

impl Known {
    fn of(outcome: &Outcome) -> Known {
        match outcome {
            Outcome::Missed => Known::Missed,
            Outcome::Unmeasured => Known::Unmeasured,
            Outcome::Measured {
                steps,
                of,
                alike,
                repeats,
                assigned,
                unassigned,
                settled,
                unseen,
            } => Known::Measured(Figures {
                steps: *steps,
                of: *of,
                alike: *alike,
                repeats: *repeats,
                assigned: bits(assigned),
                unassigned: bits(unassigned),
                settled: bits(settled),
                unseen: bits(unseen),
            }),
        }
    }

    fn outcome(&self) -> Outcome {
        match self {
            Known::Missed => Outcome::Missed,
            Known::Unmeasured => Outcome::Unmeasured,
            Known::Measured(figures) => Outcome::Measured {
                steps: figures.steps,
                of: figures.of,
                alike: figures.alike,
                repeats: figures.repeats,
                assigned: gains(&figures.assigned),
                unassigned: gains(&figures.unassigned),
                settled: gains(&figures.settled),
                unseen: gains(&figures.unseen),
            },
        }
    }
}

impl Wire {
    fn file(&self) -> Result<EvidenceFile, Malformed> {
        let evidence = self.items.iter().map(|item| {
            let (uid, hotkey, _) = self.miners.get(usize::from(item.miner))?;
            Some(Evidence {
                round: item.round,
                uid: *uid,
                hotkey: *hotkey,
                outcome: item.found.outcome(),
            })
        });
        let evidence: Option<Vec<Evidence>> = evidence.collect();
        let gone = self.miners.iter().filter(|(_, _, is_gone)| *is_gone);
        Ok(EvidenceFile {
            netuid: self.netuid,
            epoch: self.epoch,
            hotkey: self.hotkey,
            round: self.round,
            evidence: evidence.ok_or(Malformed::NotCanonical)?,
            gone: gone.map(|(uid, hotkey, _)| (*uid, *hotkey)).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::testing;
    use alloc::vec;
    use cairn_primitives::H256;
    use proptest::prelude::*;

    const OWN: Hotkey = Hotkey(H256([9; 32]));

    fn key(uid: u16) -> Hotkey {
        testing::key(Uid(uid))
    }

    fn measured(round: Round, uid: u16, gain: f32) -> Evidence {
        testing::measured(round, Uid(uid), gain, 0.02)
    }

    fn members(uids: &[u16]) -> Vec<Miner> {
        uids.iter().map(|uid| (Uid(*uid), key(*uid))).collect()
    }

    fn file(log: &[Evidence], uids: &[u16]) -> EvidenceFile {
        let newest = log.iter().map(|one| one.round).max().unwrap_or(0);
        EvidenceFile::new((Netuid(7), 3, OWN), newest, log, &members(uids))
    }

    fn two() -> Vec<Evidence> {
        vec![measured(4, 1, 0.2), measured(4, 2, 0.1)]
    }

    #[test]
    fn the_row_is_that_of_the_scores_of_those_who_are_members() {
        let all = file(&two(), &[1, 2]);
        let expected = row(&scores(&two(), 4), members(&[1, 2]), OWN);
        assert_eq!(all.row(), expected);
        assert_eq!(expected.map(|row| row.len()), Some(2));
        let left = file(&two(), &[2]);
        assert_eq!(left.row(), Some(vec![(Uid(2), u16::MAX)]));
        assert_eq!(file(&[], &[1, 2]).row(), None);
    }

    #[test]
    fn a_row_that_does_not_follow_is_found() {
        let (file, members) = (file(&two(), &[1, 2]), members(&[1, 2]));
        let good = file.row().expect("both have gained");
        assert_eq!(file.differences(&good, &members), []);
        let mut forged = good.clone();
        forged[1].1 = 1;
        let (uid, follows) = good[1];
        let found = [Difference {
            uid,
            revealed: 1,
            follows,
        }];
        assert_eq!(file.differences(&forged, &members), found);
        let more = [&good[..], &[(Uid(3), 7)]].concat();
        let found = [Difference {
            uid: Uid(3),
            revealed: 7,
            follows: 0,
        }];
        assert_eq!(file.differences(&more, &members), found);
    }

    #[test]
    fn nobody_who_is_there_can_be_called_gone_and_who_left_is_not_missed() {
        let good = file(&two(), &[1, 2]).row().expect("both have gained");
        // The chain has dropped what was said of uid 2, which left.
        let (all, kept) = (file(&two(), &[1, 2]), &good[..1]);
        assert_eq!(all.differences(kept, &members(&[1])), []);
        // It is there, and was called gone.
        let without = file(&two(), &[1]);
        let found = without.differences(kept, &members(&[1, 2]));
        let uids: Vec<Uid> = found.iter().map(|one| one.uid).collect();
        assert_eq!(uids, [Uid(2)]);
    }

    #[test]
    fn nobody_is_scored_in_the_place_of_a_member() {
        let other = Evidence {
            hotkey: key(8),
            ..measured(4, 1, 0.9)
        };
        let log = [two(), vec![other]].concat();
        // It says that somebody else has the seat of uid 1, and that the one who has it is gone.
        let present = [(Uid(1), key(8)), (Uid(2), key(2))];
        let forged = EvidenceFile::new((Netuid(7), 3, OWN), 4, &log, &present);
        let row = forged.row().expect("all have gained");
        assert_eq!(
            EvidenceFile::from_bytes(&forged.to_bytes()),
            Ok(forged.clone())
        );
        let found = forged.differences(&row, &members(&[1, 2]));
        assert!(!found.is_empty());
        // Whoever came by a swap of its hotkey is known by the one before.
        let swapped = [(Uid(1), key(7)), (Uid(2), key(2))];
        assert_eq!(forged.differences(&row, &swapped), []);
        // Nor can both have it.
        let both = [&present[..], &members(&[1])].concat();
        let both = EvidenceFile::new((Netuid(7), 3, OWN), 4, &log, &both);
        let read = EvidenceFile::from_bytes(&both.to_bytes());
        assert_eq!(read, Err(Malformed::Impossible));
    }

    #[test]
    fn what_was_logged_twice_is_there_once_and_scores_are_the_same() {
        let twice = [two(), vec![measured(4, 1, 0.05)], two()].concat();
        let once = file(&twice, &[1, 2]);
        assert_eq!(once.evidence().len(), 2);
        let expected = row(&scores(&twice, 4), members(&[1, 2]), OWN);
        assert_eq!(once.row(), expected);
    }

    #[test]
    fn what_cannot_have_been_measured_is_refused() {
        let with = |change: fn(&mut Vec<f32>)| {
            let mut one = measured(4, 1, 0.2);
            if let Outcome::Measured { unassigned, .. } = &mut one.outcome {
                change(unassigned);
            }
            one
        };
        let mut unpaired = measured(4, 1, 0.2);
        if let Outcome::Measured { settled, .. } = &mut unpaired.outcome {
            settled.push(0.2);
        }
        let odd = [
            unpaired,
            with(|gains| gains[0] = f32::NAN),
            with(|gains| gains.resize(129, 0.1)),
        ];
        for one in odd {
            assert_eq!(file(&[one], &[1]).evidence(), []);
        }
        let mut old = file(&two(), &[1, 2]);
        old.round = 4 + crate::limits::PREMIUM_ROUNDS;
        let read = EvidenceFile::from_bytes(&old.to_bytes());
        assert_eq!(read, Err(Malformed::Impossible));
        let mut nan = file(&two(), &[1, 2]);
        nan.evidence[0] = with(|gains| gains[0] = f32::NAN);
        let read = EvidenceFile::from_bytes(&nan.to_bytes());
        assert_eq!(read, Err(Malformed::Impossible));
    }

    #[test]
    fn one_content_has_one_encoding() {
        let good = file(&two(), &[1, 2]);
        let mut turned = good.clone();
        turned.evidence.reverse();
        let mut twice = good.clone();
        twice.evidence.insert(0, good.evidence[0].clone());
        for other in [turned, twice] {
            let read = EvidenceFile::from_bytes(&other.to_bytes());
            assert_eq!(read, Err(Malformed::NotCanonical));
        }
        let mut bytes = good.to_bytes();
        bytes.push(0);
        let read = EvidenceFile::from_bytes(&bytes);
        assert_eq!(read, Err(Malformed::NotDecoded));
        bytes[0] = 1;
        let read = EvidenceFile::from_bytes(&bytes);
        assert_eq!(read, Err(Malformed::UnknownVersion));
    }

    /// The encoding is a promise: other clients read it, and its hash is on chain.
    #[test]
    fn the_bytes_are_plain_scale() {
        let one = Evidence {
            outcome: Outcome::Measured {
                steps: 8,
                of: 9,
                alike: 1,
                repeats: false,
                assigned: vec![0.5],
                unassigned: vec![0.25, -1.0],
                settled: vec![0.5, 0.0],
                unseen: Vec::new(),
            },
            ..measured(4, 1, 0.0)
        };
        let other = Evidence {
            outcome: Outcome::Missed,
            ..measured(3, 2, 0.0)
        };
        let expected = [
            &[2, 7, 0, 3, 0, 0, 0][..],
            &[9; 32],
            &[4, 0, 0, 0],
            // Two miners, of whom the second was a member no more.
            &[8, 1, 0],
            &[1; 32],
            &[0, 2, 0],
            &[2; 32],
            &[1],
            // Two things that are known: the second miner missed round 3, the first was measured in round 4.
            &[8, 3, 0, 0, 0, 1, 0, 0],
            &[4, 0, 0, 0, 0, 0, 2],
            &[8, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0],
            &[4, 0, 0, 0, 0x3f],
            &[8, 0, 0, 0x80, 0x3e, 0, 0, 0x80, 0xbf],
            &[8, 0, 0, 0, 0x3f, 0, 0, 0, 0],
            &[0],
        ];
        assert_eq!(file(&[one, other], &[1]).to_bytes(), expected.concat());
    }

    #[test]
    fn the_longest_file_has_as_many_bytes_as_are_said() {
        let full = |round: Round, uid: u16| {
            let all = || vec![0.5; VALUE_WINDOWS as usize];
            let mut most = testing::of_gains(round, Uid(uid), [all(), all(), all()]);
            if let Outcome::Measured { settled, .. } = &mut most.outcome {
                *settled = all();
            }
            // Each round has other miners.
            let mut hotkey = [round as u8; 32];
            hotkey[0] = uid as u8;
            Evidence {
                hotkey: Hotkey(H256(hotkey)),
                ..most
            }
        };
        let rounds = 0..crate::limits::PREMIUM_ROUNDS;
        let log: Vec<Evidence> = rounds
            .flat_map(|round| (0..256).map(move |uid| full(round, uid)))
            .collect();
        let full = file(&log, &[]);
        let bytes = full.to_bytes();
        assert_eq!(bytes.len() as u64, EVIDENCE_BYTES);
        assert_eq!(EvidenceFile::from_bytes(&bytes), Ok(full));
        let longer = [bytes, vec![0]].concat();
        let read = EvidenceFile::from_bytes(&longer);
        assert_eq!(read, Err(Malformed::TooLong));
    }

    fn any_evidence() -> impl Strategy<Value = Evidence> {
        let gains = || prop::collection::vec(-1.0f32..1.0, 0..40);
        let fields = (0u32..20, 0u16..6, 0u8..5, gains(), gains(), gains());
        fields.prop_map(|(round, uid, kind, assigned, unassigned, unseen)| {
            let outcome = match kind {
                0 => Outcome::Missed,
                1 => Outcome::Unmeasured,
                kind => Outcome::Measured {
                    steps: u32::from(kind),
                    of: 4,
                    alike: u16::from(kind / 4 + 1),
                    repeats: kind == 3,
                    assigned,
                    settled: match kind {
                        2 => Vec::new(),
                        _ => unassigned.iter().map(|gain| gain / 2.0).collect(),
                    },
                    unassigned,
                    unseen,
                },
            };
            Evidence {
                round,
                uid: Uid(uid),
                hotkey: key(uid),
                outcome,
            }
        })
    }

    fn any_file() -> impl Strategy<Value = (Vec<Evidence>, EvidenceFile)> {
        let log = prop::collection::vec(any_evidence(), 0..40);
        let uids = prop::collection::vec(0u16..6, 0..6);
        (log, uids, 0u32..24).prop_map(|(log, uids, newest)| {
            let of = (Netuid(7), 3, OWN);
            let file = EvidenceFile::new(of, newest, &log, &members(&uids));
            (log, file)
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_gives_the_scores_of_the_log((log, file) in any_file()) {
            let read = EvidenceFile::from_bytes(&file.to_bytes());
            prop_assert_eq!(read.as_ref(), Ok(&file));
            prop_assert_eq!(scores(file.evidence(), file.round), scores(&log, file.round));
            let revealed = file.row().unwrap_or_default();
            prop_assert!(file.differences(&revealed, &[]).is_empty());
        }

        #[test]
        fn nothing_else_is_read_as_if_it_were_that(
            (_, file) in any_file(), at in any::<prop::sample::Index>(), to: u8, length in any::<prop::sample::Index>(),
        ) {
            let mut bytes = file.to_bytes();
            let at = at.index(bytes.len());
            bytes[at] = to;
            for bytes in [&bytes[..], &bytes[..length.index(bytes.len())]] {
                if let Ok(read) = EvidenceFile::from_bytes(bytes) {
                    prop_assert_eq!(read.to_bytes(), bytes);
                }
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Some(first) = bytes.first_mut() {
                *first = VERSION;
            }
            if let Ok(read) = EvidenceFile::from_bytes(&bytes) {
                prop_assert_eq!(read.to_bytes(), bytes);
            }
        }
    }
}
