//! What is paid out, and what waits until it is proven.

use cairn_primitives::{AuditOutcome, Pots, Questions, Round, Uid, Verdicts};
use cairn_protocol::{
    attendance::Absence,
    audit as rule,
    emission::{due_to, is_recent, is_work, Attendance, Late, Record},
    wages::{in_question, still_paid, Ended, Judged, Withheld},
};

use super::Section;

pub fn emission(page: &Section) {
    let contributors = page.number("it includes belong to at least ", " coldkeys");
    let attesters = page.number("final root belong to at least ", ".");
    assert!(is_work(0..contributors, 0..attesters));
    assert!(!is_work(0..contributors - 1, 0..attesters));
    assert!(!is_work(0..contributors, 0..attesters - 1));

    page.says("if a round of this tempo or of the one before was work");
    let mut record = Record::default();
    record.settled(true, [1].map(Uid));
    record.epoch();
    page.says("scores of others count zero");
    assert!(record.claims() && record.included().contains(Uid(1)));
    let held = page.number("counts as the one before it, at most ", " times");
    (0..held).for_each(|_| record.epoch());
    assert!(record.claims());
    record.epoch();
    assert!(!record.claims());
    page.says("If the run is stopped, no round of it is work any more");
    record.settled(true, [1].map(Uid));
    record.stopped(None);
    assert!(!record.claims() && record.included().contains(Uid(1)));
    // The emissions pallet forgets them: its tests and the training pallet's hold that.
    page.says("When a run begins, nobody has incentive before the next epoch");

    let rounds = page.number("the share of the last ", " final rounds");
    let mut attendance = Attendance::default();
    attendance.note(false);
    (0..rounds - 1).for_each(|_| attendance.note(true));
    assert!(due_to(100, attendance.attended()) < 100);
    attendance.note(true);
    assert_eq!(due_to(100, attendance.attended()), 100);
    let mut longer = attendance;
    longer.note(false);
    (0..rounds).for_each(|_| longer.note(true));
    assert_eq!(longer, attendance);
    what_waits_is_paid_as(page);

    page.says("a validator's stake counts less what has [leaked]");
    page.says("those that are not expected have no say in it");
    let leaked = Absence {
        halved: 1,
        ..Absence::default()
    };
    assert_eq!((leaked.weight(8), leaked.out().weight(8)), (Some(4), None));

    page.says("at most `activity_cutoff` blocks before it was due");
    assert!(is_recent(5, 12, 7) && !is_recent(4, 12, 7));
    let tempos = page.number("which is at most ", " tempos");
    assert_eq!(u64::from(cairn_primitives::limits::ACTIVE_TEMPOS), tempos);
}

fn what_waits_is_paid_as(page: &Section) {
    let came = page.number("what came in ", " epochs");
    let paid = page.number("is paid in the next ", ",");
    let (mut late, mut pots) = (Late::default(), Pots::default());
    for epoch in 1..=came {
        pots = Pots::of(1_000 * epoch);
        late = late.waited(&pots);
    }
    for epoch in (0..paid).rev() {
        let pay = late.payable(&pots);
        pots = pots.checked_sub(&pay).expect("no more than there is");
        late = late.paid();
        assert_eq!(pots == Pots::default(), epoch == 0);
    }
}

/// What is in question of who is proven, where auditors could not decide.
fn undecided(page: &Section) {
    page.says("or was left undecided since one was decided");
    let round = page.number("could decide the audit of round ", ", what") as Round;
    let after = |judged: Judged, outcome| judged.after(round + 1, outcome);
    let passed = after(Judged::default(), AuditOutcome::Passed);
    let waits = passed.after(round, AuditOutcome::Undecided);
    assert!(waits.is_proven && waits.undecided == Some(round));
    assert_eq!(after(waits, AuditOutcome::Undecided), waits);
    let mut withheld = Withheld::default();
    for of in [4, 5] {
        withheld.earn(of, 1).expect("it fits");
    }
    let before = withheld.release(waits.undecided);
    assert_eq!(before, 1, "what was earned before it");
    page.says("it has all of it if that one passes");
    assert_eq!(after(waits, AuditOutcome::Passed), passed);
    assert_eq!(withheld.release(passed.undecided), 1);
    page.says("where auditors could not decide, it is as proven as before");
    let unknown = Judged::default();
    assert_eq!(after(unknown, AuditOutcome::Undecided), unknown);
    assert_eq!(after(waits, AuditOutcome::Failed), unknown);
}

pub fn wages(page: &Section) {
    page.says("until one of its audits has passed");
    let questions = |proven: Option<Uid>, open: Option<Round>| Questions {
        newest: 9,
        proven: Verdicts::from_uids(proven),
        open: open.map(|round| (Uid(1), round)).into_iter().collect(),
    };
    let of = |proven, open| in_question(&questions(proven, open), Uid(1));
    let first = page.number("in question from round ", " on") as Round;
    assert_eq!(of(None, None), Some(first));
    assert_eq!(of(Some(Uid(1)), None), None);
    page.says("from the oldest round on of which an audit of it is open");
    assert_eq!(of(Some(Uid(1)), Some(7)), Some(7));
    undecided(page);

    let newest = page.number("in an epoch that pays for round ", " it") as Round;
    let open = page.number("while an audit of round ", " is open") as Round;
    let mut withheld = Withheld::default();
    withheld.earn(newest, 5).expect("it fits");
    assert_eq!(withheld.release(Some(open)), 0);
    assert_eq!(newest, open, "the page's example is the edge");
    assert_eq!(withheld.release(Some(open + 1)), 5);
    let rounds = page.number("so many rounds are told apart: ", ".") as Round;
    for round in 0..=rounds {
        withheld.earn(round, 1).expect("it fits");
    }
    assert_eq!(
        withheld.release(Some(1)),
        0,
        "the oldest waits for the next"
    );
    assert_eq!(withheld.release(Some(2)), 2);
    page.says(
        "If the run is stopped, everybody has what is not in question, and the rest is burned",
    );
    let mut withheld = Withheld::default();
    for round in [6, 7] {
        withheld.earn(round, 5).expect("it fits");
    }
    assert_eq!(withheld.end(Some(7)), Ended { due: 5, lost: 5 });
    page.says("Nobody whose work is in question then has incentive for rounds of that run");
    let included = Verdicts::from_uids([1, 2].map(Uid));
    let paid = |proven, open| still_paid(&questions(proven, open), &included);
    assert_eq!(paid(Some(Uid(1)), None), Verdicts::from_uids([Uid(1)]));
    assert_eq!(paid(Some(Uid(1)), Some(7)).count(), 0);
    assert_eq!(paid(None, None).count(), 0);
    let mut record = Record::default();
    record.settled(true, [1, 2].map(Uid));
    record.stopped(Some(&questions(Some(Uid(1)), None)));
    assert_eq!(record.included().uids().collect::<Vec<_>>(), [Uid(1)]);
    page.says("All of what it made");
    let all = page.number("at a rate of ", " of 65,536");
    let passed = Judged::default().after(4, AuditOutcome::Passed);
    assert_eq!(u64::from(rule::rate_of(7, Judged::default())), all);
    assert_eq!(rule::rate_of(7, passed), 7);
    page.says("Until then all of what it makes is audited, too");
    let waits = passed.after(5, AuditOutcome::Undecided);
    assert_eq!(u64::from(rule::rate_of(7, waits)), all);
    assert_eq!(rule::rate_of(7, waits.after(6, AuditOutcome::Passed)), 7);
}
