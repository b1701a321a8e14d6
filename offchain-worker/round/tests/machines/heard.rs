//! What a machine's own clock says of a round, against nodes that lie of the height.

use cairn_primitives::{BlockNumber, Phases, RoundTimes};
use cairn_protocol::phase::{floor, RoundStage, Timetable};
use cairn_round::heard::{Heard, Moment, TOLERANCE};
use proptest::prelude::*;

const SLOT: u64 = 6_000;
const PHASES: Phases = Phases {
    train: 100,
    reveal: 10,
    attest: 10,
    floor: 25,
};
/// Blocks with which rounds 6 and 7 begin.
const SIX: (u32, BlockNumber) = (6, 880);
const SEVEN: (u32, BlockNumber) = (7, 1_000);

/// Both clocks after so many milliseconds.
fn at(ran: u64) -> Moment {
    let dated = 1_700_000_000_000 + ran;
    Moment { ran, dated }
}

/// Round 7, whose training took so many blocks.
fn trained(blocks: BlockNumber) -> Timetable {
    let times = Timetable::new(SEVEN.1, &PHASES).0;
    let reveal = times.start + blocks;
    Timetable(RoundTimes { reveal, ..times })
}

/// Who heard of round 6 at its last block, and of round 7 at its first one, a slot later.
fn heard_at(first: u64) -> Heard {
    let mut heard = Heard::new(SLOT);
    heard.note(SIX, 999, at(first - SLOT));
    heard.note(SEVEN, 1_000, at(first));
    heard
}

#[test]
fn training_can_be_over_once_its_blocks_had_slots() {
    let heard = heard_at(SLOT);
    // The key is sent when the last block of the training is there: 29 slots after the first one.
    let over = SLOT + 29 * SLOT - SLOT;
    assert!(!heard.can_be_over(trained(30), &PHASES, at(over - 1)));
    assert!(heard.can_be_over(trained(30), &PHASES, at(over)));
    // The node shows higher blocks, and says the same of more of them.
    assert!(!heard.can_be_over(trained(100), &PHASES, at(over)));
    assert!(heard.can_be_over(trained(100), &PHASES, at(over + 70 * SLOT)));
}

#[test]
fn times_that_are_shorter_than_the_run_allows_are_believed_at_no_time() {
    let heard = heard_at(SLOT);
    let least = floor(&PHASES, RoundStage::Commit);
    let long_after = at(1_000 * SLOT);
    assert!(!heard.can_be_over(trained(least - 1), &PHASES, long_after));
    assert!(heard.can_be_over(trained(least), &PHASES, long_after));
}

#[test]
fn a_round_that_is_heard_of_late_began_before_though_not_before_the_last_one_was_there() {
    let now = at(200 * SLOT);
    // After an outage of 40 slots the round has 30 blocks: they count, and the clock goes on from there.
    let late = |silence: u64| {
        let mut heard = Heard::new(SLOT);
        heard.note(SIX, 960, at((200 - silence) * SLOT));
        heard.note(SEVEN, 1_030, now);
        heard
    };
    assert!(late(40).can_be_over(trained(32), &PHASES, now));
    assert!(!late(40).can_be_over(trained(33), &PHASES, now));
    assert!(late(40).can_be_over(trained(33), &PHASES, at(201 * SLOT)));
    // Of 30 blocks in two slots none is believed that had no slot.
    assert!(!late(2).can_be_over(trained(30), &PHASES, now));
    // Who has just been started goes by the node.
    let mut started = Heard::new(SLOT);
    started.note(SEVEN, 1_030, now);
    assert!(started.can_be_over(trained(30), &PHASES, now));
}

#[test]
fn a_node_that_stood_still_said_nothing_new_of_the_round_before() {
    let after_an_outage = |last_look: BlockNumber| {
        let mut heard = Heard::new(SLOT);
        heard.note(SIX, 990, at(0));
        heard.note(SIX, last_look, at(39 * SLOT));
        heard.note(SEVEN, 1_030, at(40 * SLOT));
        heard.can_be_over(trained(32), &PHASES, at(40 * SLOT))
    };
    assert!(after_an_outage(990));
    assert!(!after_an_outage(991), "round 6 was there a slot before");
    assert!(!after_an_outage(989), "it moved, though not on");
}

#[test]
fn a_round_that_begins_anew_on_another_fork_is_no_other_round() {
    let mut heard = heard_at(SLOT);
    heard.note(SEVEN, 1_005, at(6 * SLOT));
    let on_the_fork = (SEVEN.0, SEVEN.1 + 1);
    heard.note(on_the_fork, 1_006, at(7 * SLOT));
    let times = Timetable::new(on_the_fork.1, &PHASES).0;
    let reveal = times.start + 30;
    let times = Timetable(RoundTimes { reveal, ..times });
    assert!(!heard.can_be_over(times, &PHASES, at(30 * SLOT - 1)));
    assert!(heard.can_be_over(times, &PHASES, at(30 * SLOT)));
}

#[test]
fn a_machine_that_slept_or_whose_clock_was_set_back_is_not_held_up() {
    let heard = heard_at(SLOT);
    let over = 100 * SLOT;
    let slept = Moment { ran: 0, ..at(over) };
    let set_back = Moment {
        dated: 0,
        ..at(over)
    };
    for moment in [slept, set_back] {
        assert!(heard.can_be_over(trained(90), &PHASES, moment));
    }
    let neither = Moment { ran: 0, dated: 0 };
    assert!(!heard.can_be_over(trained(90), &PHASES, neither));
}

#[test]
fn of_what_was_not_heard_of_nothing_follows() {
    let nothing = Heard::new(SLOT);
    assert!(nothing.can_be_over(trained(30), &PHASES, at(0)));
    // A slot that is not known.
    let mut heard = Heard::default();
    heard.note(SIX, 999, at(0));
    heard.note(SEVEN, 1_000, at(0));
    assert!(heard.can_be_over(trained(100), &PHASES, at(0)));
}

proptest! {
    /// Blocks come in slots, some slots have none, each is heard of after less than the tolerance, and training ends at
    /// any of them: who heard of the round in time never waits for the clock.
    #[test]
    fn an_honest_node_is_believed_at_once(
        gaps in proptest::collection::vec(1u64..4, 100),
        delays in proptest::collection::vec(0..TOLERANCE, 101),
        last in 24u32..100,
        sets in -3_600_000i64..3_600_000,
    ) {
        let mut heard = Heard::new(SLOT);
        heard.note(SIX, 999, at(0));
        let mut made = SLOT;
        for (number, delay) in (0..=last).zip(&delays) {
            let mut moment = at(made + delay);
            if number > last / 2 {
                moment.dated = moment.dated.saturating_add_signed(sets);
            }
            heard.note(SEVEN, SEVEN.1 + number, moment);
            if number == last {
                prop_assert!(heard.can_be_over(trained(last + 1), &PHASES, moment));
            }
            made += SLOT * gaps.get(number as usize).copied().unwrap_or(1);
        }
    }

    /// However high the blocks are that it shows, and however long it was silent before the round: nobody's key is out
    /// earlier than that silence and the tolerance before those blocks had slots.
    #[test]
    fn a_lying_node_gains_no_more_than_its_silence(
        silence in 0u64..50, shown in 0u32..100, lasted in 25u32..=100, after in 0u64..200,
    ) {
        let mut heard = Heard::new(SLOT);
        heard.note(SIX, 999, at(0));
        let begun = silence * SLOT;
        heard.note(SEVEN, SEVEN.1 + shown, at(begun));
        let now = begun + after * 1_000;
        if heard.can_be_over(trained(lasted), &PHASES, at(now)) {
            prop_assert!(now + SLOT >= u64::from(lasted - 1) * SLOT);
        }
    }

    #[test]
    fn no_number_overflows(slot: u64, start: u32, now: u32, ran: u64, dated: u64, train: u32) {
        let mut heard = Heard::new(slot);
        heard.note((0, start), now, Moment { ran, dated });
        heard.note((1, start), now, Moment::default());
        let phases = Phases { train, ..PHASES };
        heard.can_be_over(Timetable::new(start, &phases), &phases, Moment { ran, dated });
    }
}
