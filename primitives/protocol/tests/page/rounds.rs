//! How a round goes: its slots, its phases, and for whom it waits.

use cairn_primitives::{Phase, Phases, Round, Uid};
use cairn_protocol::{
    assignment::{draw_slots, room_in, slots, DataRange, Shown},
    attendance::Absence,
    exam, limits, overlap,
    phase::{Attesting, RoundStage, Timetable},
    turnout::{Member, Turnout},
};

use super::{model, root, Section};

pub fn assignment(page: &Section) {
    let windows = page.number("next pass: with ", " windows, ");
    let per_miner = page.number(" windows, ", " for each of");
    let miners = page.number("for each of ", " miners, a round");
    let late = page.number("begin at position ", " begins at position");
    let fits = page.number("one that would begin at position ", " begins there");
    let begins = |cursor| DataRange { pass: 3, cursor }.fit(windows, per_miner, miners);
    let cursor = page.number("begins at position ", ", and one");
    assert_eq!(begins(late), DataRange { pass: 4, cursor });
    assert_eq!(
        begins(fits),
        DataRange {
            pass: 3,
            cursor: fits
        }
    );
    assert_eq!(late, fits + 1, "the page's example is the edge");
    page.says("The round's seed draws the slots");
    let all: Vec<Uid> = (0..12).map(Uid).collect();
    assert_ne!(slots(root(1), &all), slots(root(2), &all));
    page.says("Among equals the lot decides who sits the round out");
    let few = draw_slots(root(1), &all, 2, |_| Shown::IsThere);
    assert_eq!(few, slots(root(1), &all)[..2]);
    has_room_as(page);
    page.says("those come first that earned something in the last epoch");
    let part = page.number("But one slot in ", ",") as u16;
    let shown = |uid: &Uid| match uid.get() {
        0..40 => Shown::Earns,
        40..60 => Shown::IsThere,
        _ => Shown::Missed,
    };
    let many: Vec<Uid> = (0..80).map(Uid).collect();
    let drawn = |room: u16| {
        let slots = draw_slots(root(1), &many, room.into(), shown);
        let of = |one: Shown| slots.iter().filter(|uid| shown(uid) == one).count() as u16;
        [Shown::Earns, Shown::IsThere, Shown::Missed].map(of)
    };
    assert_eq!(drawn(2 * part), [2 * part - 2, 2, 0]);
    assert_eq!(drawn(2 * part - 1), [2 * part - 2, 1, 0]);
    let least = page.number("and at least ", ", is for") as u16;
    assert_eq!(drawn(3), [3 - least, least, 0]);
    assert_eq!(drawn(70), [40, 20, 10]);
}

fn has_room_as(page: &Section) {
    page.says("leaves twice as many windows to nobody as a contribution is [measured on]");
    let per_miner = page.number("With ", " windows for each miner");
    let free = page.number("for each miner those are ", ",");
    let least = exam::least_free(per_miner);
    assert_eq!((free, free), (least, 2 * exam::most_windows(per_miner)));
    let windows = page.number("so that ", " windows have room for");
    let miners = page.number("windows have room for ", " miners");
    let room = |windows| room_in(windows, per_miner);
    assert_eq!((room(windows), room(windows - 1)), (miners, miners - 1));
    page.says("A run whose data has no room for one is not started");
    page.says("did their part in the last round in which they had one");
    let new = Absence::default();
    assert_eq!(Shown::of(false, &new.after(false)), Shown::Missed);
    page.says("were included in the last one of these that became final");
    assert_eq!(Shown::of(false, &new.included(false)), Shown::Missed);
    assert_eq!(Shown::of(false, &new.included(true)), Shown::IsThere);
    page.says("and those that had no part yet; then the rest");
    assert_eq!(Shown::of(false, &new), Shown::IsThere);
    page.says("a seat that is never included has a slot before other newcomers once");
    let never = new.included(false).after(true);
    assert!(Shown::of(false, &never) > Shown::of(false, &new));
    assert_eq!(Shown::of(true, &never), Shown::Earns);
}

pub fn overlap(page: &Section) {
    page.says("In a run with `overlap = 1`");
    let from = |held| overlap::trained_from(held, true).collect::<Vec<Round>>();
    let alone = |held| overlap::trained_from(held, false).collect::<Vec<Round>>();
    page.says("A round is trained while the one before it is committed to, revealed, attested and settled");
    assert_eq!((from(4), alone(4)), (vec![5], vec![4]));
    let twice = page.number("rounds 0 and ", " are both made");
    assert_eq!(from(0), [0, twice as Round]);
    page.says("from the parameters with which the round before it began");
    page.says("Where the root of the round before is not final, the base are those with which the round itself began");
    let base = |before| overlap::base(model(2), before);
    assert_eq!([base(Some(model(1))), base(None)], [model(1), model(2)]);
    page.says(
        "who can no longer mine when the round begins has no part in it, and nobody has its slot",
    );
    let miner = |uid: u16, key: u8| (Uid(uid), key);
    let drawn = [miner(5, 1), miner(3, 2)];
    let gone = |now: &[(Uid, u8)]| overlap::without_part(&drawn, now);
    assert_eq!(
        gone(&[miner(3, 2), miner(4, 9)]).uids().collect::<Vec<_>>(),
        [Uid(5)]
    );
    page.says("also if another one has its number");
    assert!(gone(&[miner(3, 9), miner(5, 1)]).contains(Uid(3)));
}

pub fn phase(page: &Section) {
    let phases = |train, attest| Phases {
        train,
        reveal: 4,
        attest,
        floor: Phases::usual_floor(),
    };
    let with = |train, attest| Timetable::new(100, &phases(train, attest));
    let at = |train| with(train, 4);
    page.says("first for training, then for revealing, then for attesting");
    let round = at(60);
    let found = [100, 159, 160, 163, 164, 167, 168].map(|now| round.phase(now));
    use Phase::*;
    assert_eq!(
        found,
        [Train, Train, Reveal, Reveal, Attest, Attest, Settle]
    );
    let left = page.number("Training ends ", " blocks before");
    let margin = |round: Timetable| u64::from(round.commit_deadline() - round.training_deadline());
    assert_eq!(margin(round), left);
    let share = page.number("earlier by a ", "rd of the train phase");
    assert_eq!(margin(at(6)), 6 / share);
    page.says("of which the first may be a block longer");
    let halves = |attest| {
        let round = with(60, attest);
        let of = |half| {
            (160..round.due())
                .filter(|now| round.attesting(*now) == half)
                .count()
        };
        (of(Attesting::Commit), of(Attesting::Open))
    };
    assert_eq!((halves(4), halves(5)), ((2, 2), (3, 2)));
    let sent = page.number("is committed to ", " blocks before the second half");
    assert_eq!(u64::from(round.opening() - round.attest_deadline()), sent);
    let attest = page.number("phase has at least ", " blocks");
    let whole = page.number("a round at least ", ".");
    let least = (Phases::MIN_ATTEST, Phases::MIN_ROUND);
    assert_eq!((u64::from(least.0), u64::from(least.1)), (attest, whole));
    let floor = page.number("before its floor, ", " % of");
    assert_eq!(u64::from(Phases::usual_floor()), floor);
    assert_eq!(
        cairn_protocol::phase::floor(&phases(60, 4), RoundStage::Commit),
        15
    );
    page.says("what follows ends when it would have ended");
    let done = round.done(RoundStage::Commit, 100, 15);
    assert_eq!(done.commit_deadline(), 100 + 60 / 4);
    assert_eq!(done.due(), round.due());
}

pub fn turnout(page: &Section) {
    let phases = Phases {
        train: 40,
        reveal: 4,
        attest: 4,
        floor: 25,
    };
    let limits = Timetable::new(100, &phases);
    let all = |uids: &[u16]| -> Vec<Member> {
        let uids = uids.iter();
        uids.map(|uid| Member::miner(Uid(*uid), true, true))
            .collect()
    };
    page.says("A stage is over when all who have a part in it have done it");
    let mut three = Turnout::new(&phases, all(&[1, 2, 3]), all(&[9]));
    let commit = |turnout: &mut Turnout, uid, now, times| {
        turnout.comes(Uid(uid), RoundStage::Commit, now, times)
    };
    let two = [1, 2]
        .into_iter()
        .fold(limits, |times, uid| commit(&mut three, uid, 120, times));
    assert_eq!(two, limits);
    page.says("later than a grace after 2/3 of those for whom it waits");
    let mut late = three.clone();
    commit(&mut late, 3, 131, two);
    assert_eq!(commit(&mut three, 3, 130, two).commit_deadline(), 131);
    assert!(late.late.contains(Uid(3)) && !three.late.contains(Uid(3)));
    page.says("or had not done its part when the stage was over");
    assert!(three.held_up(Uid(9)));
    let rounds = page.number("before it was in time in ", " of them");
    let mut absence = Absence::default().waited(true, true);
    for _ in 0..rounds {
        assert!(!absence.is_awaited() && absence.is_expected());
        absence = absence.waited(false, true);
    }
    assert!(absence.is_awaited());
    let one_of = page.number("by more than that in one of ", ".");
    assert_eq!(one_of, rounds + 1);
    page.says(
        "For such members a stage goes on for a grace, and no longer, after all others have come",
    );
    let but = |slow: u16| [1, 2, 3].map(|uid| Member::miner(Uid(uid), uid != slow, true));
    let mut slow = Turnout::new(&phases, but(2), all(&[9]));
    commit(&mut slow, 3, 115, limits);
    let waits = commit(&mut slow, 1, 115, limits);
    assert_eq!(waits.commit_deadline(), 115 + 10 + 1);
    assert_eq!(commit(&mut slow, 2, 118, waits).commit_deadline(), 119);
    page.says(
        "less than 2/3, of these miners by count and of the validators by stake, it waits for all of them",
    );
    let least = page.number("is the stage's floor, but at least ", " blocks");
    assert_eq!(u64::from(limits::GRACE_BLOCKS), least);
    page.says("Of miners it waits for those that earned something in the last epoch");
    let seats = [(1, true), (2, false)].map(|(uid, earned)| Member::miner(Uid(uid), true, earned));
    assert_eq!(Turnout::new(&phases, seats, all(&[9])).commit.all, 1);
    page.says("where none did it waits for all of them, and none of them is late");
    let new = [1, 2, 3].map(|uid| Member::miner(Uid(uid), uid == 1, false));
    let mut new = Turnout::new(&phases, new, all(&[9]));
    assert_eq!(new.commit.all, 3);
    commit(&mut new, 1, 101, limits);
    page.says("one that does its part in the last block makes the stages of miners as long as they can be");
    assert_eq!(commit(&mut new, 2, 101, limits), limits);
    assert!(!new.held_up(Uid(3)));
    commit(&mut new, 3, 139, limits);
    assert!(!new.held_up(Uid(3)));
    let pair = [(1, true), (2, false)].map(|(uid, waits)| Member::miner(Uid(uid), waits, true));
    let mut few = Turnout::new(&phases, pair, all(&[9]));
    assert_eq!(commit(&mut few, 1, 120, limits), limits);
    assert_ne!(commit(&mut few, 2, 120, limits), limits);
    let staked = [(7, 2), (8, 1)].map(|(uid, weight)| Member {
        uid: Uid(uid),
        is_awaited: uid == 7,
        weight,
    });
    assert_eq!(Turnout::new(&phases, [], staked).bind.all, 1);
}
