//! Who has to train on what.
//!
//! The data set's windows are put in an order that nobody chose: a keyed permutation of `0..windows`. A
//! round takes the next `miners × windows_per_miner` positions of it; a miner's slot, drawn from the
//! round's seed, says which of them are its own. So no two miners of a round share a sequence, no sequence
//! comes twice in a pass over the data, and anyone can recompute who had to train on what. However many
//! miners there are, a round leaves so many windows to nobody that what it brings can be measured.
//!
//! The permutation is a four-round Feistel network over the smallest even number of bits that covers
//! `windows`, with `blake2_256` as its round function, walked until it falls inside the range
//! (cycle walking: Black and Rogaway, "Ciphers with Arbitrary Finite Domains", CT-RSA 2002, §5).

use alloc::{collections::BTreeSet, vec::Vec};
use cairn_primitives::{blake2_256, ModelRoot, Netuid, Round, RunConfig, H256};
use codec::Encode;

use crate::{
    attendance::Absence,
    exam::{self, Seeds},
    limits::NEWCOMERS_SLOTS,
};

/// The place of a round in the order of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataRange {
    /// Which pass over the data.
    pub pass: u32,
    /// Position in that pass at which the round begins.
    pub cursor: u64,
}

impl DataRange {
    /// The range for a round of `miners` after a round that ended at `self`: a round never straddles two
    /// passes, since a window at the end of one may be at the start of the next.
    pub fn fit(self, windows: u64, per_miner: u64, miners: u64) -> DataRange {
        let needed = per_miner.saturating_mul(miners);
        if self.cursor > 0 && self.cursor.saturating_add(needed) > windows {
            DataRange {
                pass: self.pass.saturating_add(1),
                cursor: 0,
            }
        } else {
            self
        }
    }

    /// Where the round that begins at `self` ends, if it has so many miners with so many windows each.
    pub fn advance(self, per_miner: u64, miners: u64) -> DataRange {
        let taken = per_miner.saturating_mul(miners);
        DataRange {
            cursor: self.cursor.saturating_add(taken),
            ..self
        }
    }

    /// Position at which a slot's data begins.
    fn first_of(self, per_miner: u64, slot: u64) -> u64 {
        self.cursor.saturating_add(slot.saturating_mul(per_miner))
    }
}

/// The key of a pass's permutation.
pub fn pass_key(netuid: Netuid, initial_root: ModelRoot, pass: u32) -> H256 {
    blake2_256(&(b"cairn/pass", netuid, initial_root, pass).encode())
}

/// The seed of a round, from the chain's randomness.
pub fn round_seed(netuid: Netuid, round: Round, randomness: H256) -> H256 {
    blake2_256(&(b"cairn/round", netuid, round, randomness).encode())
}

/// The first eight bytes of a hash as a little-endian number.
pub(crate) fn number(hash: H256) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = hash.0;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// Where position `index` of the order `0..windows` leads under `key`. Positions beyond the end wrap.
// Shifts are by half of an even number of bits, which is from 2 to 64; a remainder is of a number above 1.
#[allow(clippy::arithmetic_side_effects)]
pub fn permute(key: H256, windows: u64, index: u64) -> u64 {
    if windows <= 1 {
        return 0;
    }
    let bits = (64 - (windows - 1).leading_zeros())
        .next_multiple_of(2)
        .max(2);
    let half = bits / 2;
    let mask = (1u64 << half) - 1;
    let mut value = index % windows;
    loop {
        let (mut left, mut right) = (value >> half, value & mask);
        for step in 0u8..4 {
            let digest = blake2_256(&(key, step, right).encode());
            let word = number(digest) & mask;
            (left, right) = (right, left ^ word);
        }
        value = (left << half) | right;
        if value < windows {
            return value;
        }
    }
}

/// `miners` in an order drawn from `seed` (Fisher–Yates).
pub fn slots<T: Clone>(seed: H256, miners: &[T]) -> Vec<T> {
    let mut order: Vec<T> = miners.to_vec();
    for last in (1..order.len() as u64).rev() {
        let digest = blake2_256(&(b"cairn/slot", seed, last).encode());
        let drawn = number(digest).checked_rem(last.saturating_add(1));
        // Both are below the number of miners.
        order.swap(last as usize, drawn.unwrap_or_default() as usize);
    }
    order
}

/// What a miner has shown, where the data has not room for all of them: the first come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shown {
    /// It earned something in the last epoch.
    Earns,
    /// What it made for the last round that became final was included, or it has had no part in any.
    IsThere,
    /// It missed the last round in which it had a part, or nothing of it was included in the last that became final.
    Missed,
}

impl Shown {
    /// Of a miner that earned something in the last epoch or not, and missed this.
    pub fn of(earns: bool, absence: &Absence) -> Shown {
        match (earns, absence.missed > 0 || absence.left_out) {
            (true, _) => Shown::Earns,
            (false, false) => Shown::IsThere,
            (false, true) => Shown::Missed,
        }
    }
}

/// For how many miners a round has room at most: who would take what the exam needs of the data has no slot.
pub fn room(config: &RunConfig) -> u64 {
    room_in(config.data.windows, config.windows_per_miner())
}

/// The same of so many windows of data, of which each miner trains on `per_miner`.
pub fn room_in(windows: u64, per_miner: u64) -> u64 {
    let for_miners = windows.saturating_sub(exam::least_free(per_miner));
    for_miners.checked_div(per_miner).unwrap_or(0)
}

/// The miners of a round in the order of their slots.
///
/// No two miners share a window. If the data has not [`room`] for all of them, those have a slot that have shown more,
/// and among equals the lot decides; but one slot in [`NEWCOMERS_SLOTS`], and at least one if there are two, is for
/// those that earn nothing, if there are any. So seats that never work cannot keep out those that do, nor for long
/// these newcomers: nothing of such a seat is included, so it has a slot before others once. What a miner has shown is
/// asked for only where there is not room for all.
pub fn draw_slots<T: Clone>(
    seed: H256,
    miners: &[T],
    room: u64,
    shown: impl Fn(&T) -> Shown,
) -> Vec<T> {
    let slots = slots(seed, miners);
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    if slots.len() <= room {
        return slots;
    }
    let mut ranked: Vec<(Shown, usize)> = slots.iter().map(shown).zip(0..).collect();
    ranked.sort();
    let earning = ranked.partition_point(|(shown, _)| *shown == Shown::Earns);
    let newcomers = ranked
        .len()
        .saturating_sub(earning)
        .min(kept_for_newcomers(room));
    let of_earning = earning.min(room.saturating_sub(newcomers));
    let others = room.saturating_sub(of_earning);
    let chosen = ranked
        .iter()
        .take(of_earning)
        .chain(ranked.iter().skip(earning).take(others));
    let chosen: BTreeSet<usize> = chosen.map(|(_, at)| *at).collect();
    let slots = slots.into_iter().zip(0..);
    slots
        .filter(|(_, at)| chosen.contains(at))
        .map(|(miner, _)| miner)
        .collect()
}

/// How many of so many slots are for those that earn nothing.
fn kept_for_newcomers(room: usize) -> usize {
    let most = u64::try_from(room).unwrap_or(u64::MAX);
    let part = most.checked_div(NEWCOMERS_SLOTS).unwrap_or(0);
    let part = usize::try_from(part).unwrap_or(usize::MAX).max(1);
    // A single slot is for who works.
    if room < 2 {
        0
    } else {
        part
    }
}

/// The windows of slot `slot` in a round that begins at `range`, in the order in which they are trained on.
pub fn windows_of(
    key: H256,
    windows: u64,
    range: DataRange,
    per_miner: u64,
    slot: u64,
) -> impl Iterator<Item = u64> {
    let first = range.first_of(per_miner, slot);
    (first..first.saturating_add(per_miner)).map(move |position| permute(key, windows, position))
}

/// `count` windows that a round assigned to nobody, drawn from `seed`: positions outside the `used` ones
/// from `range.cursor` on. Empty if the round used them all.
pub fn unassigned(
    key: H256,
    windows: u64,
    range: DataRange,
    used: u64,
    seed: H256,
    count: u64,
) -> Vec<u64> {
    let free = windows.saturating_sub(used);
    if free == 0 {
        return Vec::new();
    }
    let draw = blake2_256(&(b"cairn/unassigned", seed).encode());
    let end = range.cursor.saturating_add(used);
    (0..count.min(free))
        .map(|index| permute(draw, free, index))
        .map(|skip| permute(key, windows, end.saturating_add(skip)))
        .collect()
}

/// What a round's data follows from, beside the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundData {
    /// Where in the order of the data the round begins.
    pub range: DataRange,
    /// How many miners have a slot.
    pub miners: u64,
}

/// The data of one round: which windows each inner step of each slot trains on, and which ones its
/// contributions are measured on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    key: H256,
    windows: u64,
    per_step: u64,
    per_miner: u64,
    round: RoundData,
}

impl Plan {
    /// The plan of `round` in the run `config` on subnet `netuid`.
    pub fn new(netuid: Netuid, config: &RunConfig, round: RoundData) -> Plan {
        Plan {
            key: pass_key(netuid, config.initial_root, round.range.pass),
            windows: config.data.windows,
            per_step: u64::from(config.inner.sequences),
            per_miner: config.windows_per_miner(),
            round,
        }
    }

    /// The windows of inner step `step` of slot `slot`.
    pub fn of_step(&self, slot: u64, step: u32) -> Vec<u64> {
        let begin = u64::from(step)
            .saturating_mul(self.per_step)
            .min(self.per_miner);
        let end = begin.saturating_add(self.per_step).min(self.per_miner);
        (begin..end)
            .map(|position| self.window(slot, position))
            .collect()
    }

    /// At most `count` of the windows that slot `slot` was trained on in its first `steps` inner steps, drawn from the
    /// round's exam.
    pub fn sample_assigned(&self, exam: H256, slot: u64, steps: u32, count: u64) -> Vec<u64> {
        let done = u64::from(steps)
            .saturating_mul(self.per_step)
            .min(self.per_miner);
        let draw = blake2_256(&(b"cairn/assigned", exam, slot).encode());
        (0..count.min(done))
            .map(|index| permute(draw, done, index))
            .map(|position| self.window(slot, position))
            .collect()
    }

    /// At most `count` windows that the round assigned to nobody, each once: in turn from the exam that all have in
    /// common and from the validator's own.
    pub fn sample_unassigned(&self, seeds: &Seeds, count: u64) -> Vec<u64> {
        exam::in_turn(seeds, count, |seed| self.free(seed, count))
    }

    /// The inner steps of a round.
    pub fn inner_steps(&self) -> u32 {
        let steps = self.per_miner.checked_div(self.per_step).unwrap_or(0);
        u32::try_from(steps).unwrap_or(u32::MAX)
    }

    /// The most windows of each kind that a contribution to this round is measured on.
    pub fn most_windows(&self) -> u64 {
        exam::most_windows(self.per_miner)
    }

    /// At most `count` windows that the round assigned to nobody, drawn from `seed`.
    fn free(&self, seed: H256, count: u64) -> Vec<u64> {
        let RoundData { range, miners } = self.round;
        let used = miners.saturating_mul(self.per_miner).min(self.windows);
        unassigned(self.key, self.windows, range, used, seed, count)
    }

    /// The window at a position of a slot's data.
    fn window(&self, slot: u64, position: u64) -> u64 {
        let first = self.round.range.first_of(self.per_miner, slot);
        permute(self.key, self.windows, first.saturating_add(position))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EXAM: H256 = H256([9; 32]);

    fn plan() -> Plan {
        Plan {
            key: H256([7; 32]),
            windows: 1_000,
            per_step: 4,
            per_miner: 20,
            round: RoundData {
                range: DataRange {
                    pass: 0,
                    cursor: 100,
                },
                miners: 3,
            },
        }
    }

    fn all(plan: &Plan, slot: u64) -> BTreeSet<u64> {
        (0..5).flat_map(|step| plan.of_step(slot, step)).collect()
    }

    #[test]
    fn steps_partition_a_slots_windows() {
        let plan = plan();
        let range = plan.round.range;
        let expected: Vec<u64> =
            windows_of(plan.key, plan.windows, range, plan.per_miner, 1).collect();
        let steps: Vec<u64> = (0..5).flat_map(|step| plan.of_step(1, step)).collect();
        assert_eq!(steps, expected);
        assert!(plan.of_step(1, 5).is_empty());
    }

    #[test]
    fn a_sample_of_assigned_windows_comes_from_the_steps_that_were_done() {
        let plan = plan();
        let done: BTreeSet<u64> = (0..3).flat_map(|step| plan.of_step(2, step)).collect();
        let sample: BTreeSet<u64> = plan.sample_assigned(EXAM, 2, 3, 8).into_iter().collect();
        assert_eq!(sample.len(), 8);
        assert!(sample.is_subset(&done));
        let whole: BTreeSet<u64> = plan.sample_assigned(EXAM, 2, 99, 99).into_iter().collect();
        assert_eq!(whole, all(&plan, 2));
    }

    #[test]
    fn unassigned_windows_are_nobodys() {
        let plan = plan();
        let used: BTreeSet<u64> = (0..3).flat_map(|slot| all(&plan, slot)).collect();
        for salt in [None, Some(H256([1; 32]))] {
            let sample = plan.sample_unassigned(&exam::seeds(EXAM, salt), 32);
            assert_eq!(sample.len(), 32);
            assert!(sample.iter().all(|window| !used.contains(window)));
        }
    }

    #[test]
    fn half_of_the_unassigned_windows_are_common_and_half_a_validators_own() {
        let plan = plan();
        let of = |salt: u8| {
            let seeds = exam::seeds(EXAM, Some(H256([salt; 32])));
            let sample = plan.sample_unassigned(&seeds, 64);
            sample.into_iter().collect::<BTreeSet<u64>>()
        };
        let (one, other) = (of(1), of(2));
        assert_eq!((one.len(), other.len()), (64, 64));
        let common = plan.sample_unassigned(&exam::seeds(EXAM, None), 30);
        assert!(common
            .iter()
            .all(|window| one.contains(window) && other.contains(window)));
        assert!(one.intersection(&other).count() < 40);
    }

    #[test]
    fn where_little_is_unassigned_all_of_it_is_taken_once() {
        let plan = Plan {
            windows: 70,
            round: RoundData {
                range: DataRange { pass: 0, cursor: 0 },
                miners: 3,
            },
            ..plan()
        };
        for salt in [None, Some(H256([1; 32]))] {
            let sample = plan.sample_unassigned(&exam::seeds(EXAM, salt), 32);
            let once: BTreeSet<u64> = sample.iter().copied().collect();
            assert_eq!((sample.len(), once.len()), (10, 10));
        }
    }

    #[test]
    fn who_has_no_room_sits_out() {
        let miners: Vec<u16> = (0..9).collect();
        let draw = |room| draw_slots(H256([1; 32]), &miners, room, |_| Shown::IsThere);
        assert_eq!(draw(5), slots(H256([1; 32]), &miners)[..5]);
        assert_eq!(draw(50).len(), 9);
        assert!(draw(0).is_empty());
    }

    #[test]
    fn there_is_room_for_who_takes_nothing_of_what_the_exam_needs() {
        let free = exam::least_free(40);
        assert_eq!([0, free, free + 39].map(|all| room_in(all, 40)), [0; 3]);
        assert_eq!(room_in(free + 40, 40), 1);
        assert_eq!(room_in(free + 79, 40), 1);
        assert_eq!(room_in(free + 80, 40), 2);
        assert_eq!(room_in(1_000, 0), 0, "who trains on nothing has no slot");
        assert_eq!(room_in(u64::MAX, u64::MAX), 0);
    }

    #[test]
    fn who_was_left_out_shows_as_little_as_who_was_missing_until_it_earns() {
        let new = Absence::default();
        assert_eq!(Shown::of(false, &new), Shown::IsThere);
        let less = [new.after(false), new.included(false)];
        for absence in less {
            assert_eq!(Shown::of(false, &absence), Shown::Missed);
            assert_eq!(Shown::of(true, &absence), Shown::Earns);
        }
        let again = new.included(false).included(true);
        assert_eq!(Shown::of(false, &again), Shown::IsThere);
    }

    /// Sixteen seats that are never included, in a round that has one slot for newcomers: each has it once.
    #[test]
    fn a_crowd_that_is_never_included_keeps_a_newcomer_out_once_a_seat_at_most() {
        let (honest, miners): (u16, Vec<u16>) = (16, (0..17).collect());
        let mut left_out = BTreeSet::new();
        for round in 0u8..17 {
            let shown = |miner: &u16| match left_out.contains(miner) {
                true => Shown::Missed,
                false => Shown::IsThere,
            };
            let drawn = draw_slots(H256([round; 32]), &miners, 1, shown);
            if drawn == [honest] {
                return;
            }
            assert!(left_out.insert(drawn[0]), "twice before the newcomer");
        }
        panic!("the newcomer never had a slot");
    }

    #[test]
    fn who_works_has_a_slot_before_who_does_not_and_newcomers_have_one_in_eight() {
        // The first twelve earn, the next ten are there, the others missed a round.
        let shown = |miner: &u16| match miner {
            0..12 => Shown::Earns,
            12..22 => Shown::IsThere,
            _ => Shown::Missed,
        };
        let drawn = |miners: &[u16], room: u64| {
            let slots = draw_slots(H256([1; 32]), miners, room, shown);
            assert_eq!(slots.len() as u64, room.min(miners.len() as u64));
            let of = |one: Shown| slots.iter().filter(|miner| shown(miner) == one).count();
            [Shown::Earns, Shown::IsThere, Shown::Missed].map(of)
        };
        let all: Vec<u16> = (0..40).collect();
        assert_eq!(drawn(&all, 1), [1, 0, 0]);
        assert_eq!(drawn(&all, 2), [1, 1, 0]);
        assert_eq!(drawn(&all, 8), [7, 1, 0]);
        assert_eq!(drawn(&all, 16), [12, 4, 0]);
        assert_eq!(drawn(&all, 30), [12, 10, 8]);
        assert_eq!(drawn(&all, 50), [12, 10, 18]);
        assert_eq!(drawn(&all[..12], 8), [8, 0, 0], "nobody is new");
        assert_eq!(drawn(&all[12..], 1), [0, 1, 0], "nobody earns");
        assert_eq!(drawn(&all[22..], 3), [0, 0, 3]);
    }

    proptest! {
        #[test]
        fn a_pass_visits_every_window_once(windows in 1u64..3_000, key: [u8; 32]) {
            let seen: BTreeSet<u64> = (0..windows).map(|i| permute(H256(key), windows, i)).collect();
            prop_assert_eq!(seen.len() as u64, windows);
            prop_assert!(seen.iter().all(|window| *window < windows));
        }

        #[test]
        fn miners_of_a_round_share_nothing(
            key: [u8; 32], miners in 1u64..8, per_miner in 1u64..40, cursor in 0u64..500, seed: [u8; 32],
        ) {
            let windows = 1_000;
            let range = DataRange { pass: 0, cursor }.fit(windows, per_miner, miners);
            let mut seen = BTreeSet::new();
            for slot in 0..miners {
                for window in windows_of(H256(key), windows, range, per_miner, slot) {
                    prop_assert!(seen.insert(window));
                }
            }
            for window in unassigned(H256(key), windows, range, miners * per_miner, H256(seed), 64) {
                prop_assert!(!seen.contains(&window));
            }
        }

        #[test]
        fn rounds_of_a_pass_share_nothing(
            key: [u8; 32], windows in 1u64..400, per_miner in 1u64..20,
            crowds in prop::collection::vec(0u64..8, 1..30),
        ) {
            let mut place = DataRange { pass: 0, cursor: 0 };
            let mut seen = BTreeSet::new();
            for wanted in crowds {
                let miners = wanted.min(windows / per_miner);
                let range = place.fit(windows, per_miner, miners);
                prop_assert!(range.cursor + per_miner * miners <= windows);
                for slot in 0..miners {
                    for window in windows_of(H256(key), windows, range, per_miner, slot) {
                        prop_assert!(seen.insert((range.pass, window)));
                    }
                }
                place = range.advance(per_miner, miners);
            }
        }

        #[test]
        fn however_many_seats_there_are_the_exam_has_its_windows(
            windows in 0u64..1_500, per_step in 1u64..8, steps in 1u64..20, seats in 0u16..60, cursor in 0u64..1_500,
            seed: [u8; 32], key: [u8; 32],
        ) {
            let per_miner = per_step * steps;
            let all: Vec<u16> = (0..seats).collect();
            let drawn = draw_slots(H256(seed), &all, room_in(windows, per_miner), |_| Shown::IsThere);
            let miners = drawn.len() as u64;
            prop_assume!(miners > 0);
            let range = DataRange { pass: 0, cursor }.fit(windows, per_miner, miners);
            let round = RoundData { range, miners };
            let plan = Plan { key: H256(key), windows, per_step, per_miner, round };
            let most = plan.most_windows();
            let used: BTreeSet<u64> = (0..miners)
                .flat_map(|slot| windows_of(plan.key, windows, range, per_miner, slot))
                .collect();
            for salt in [None, Some(H256([1; 32]))] {
                let sample = plan.sample_unassigned(&exam::seeds(H256(seed), salt), most);
                let once: BTreeSet<u64> = sample.iter().copied().collect();
                prop_assert_eq!((sample.len() as u64, once.len() as u64), (most, most));
                prop_assert!(once.is_disjoint(&used));
            }
            prop_assert!(used.len() as u64 + 2 * most <= windows);
        }

        #[test]
        fn slots_are_a_shuffle(seed: [u8; 32], miners in 0u16..50) {
            let uids: Vec<u16> = (0..miners).collect();
            let mut order = slots(H256(seed), &uids);
            order.sort_unstable();
            prop_assert_eq!(order, uids);
        }
    }
}
