//! Audits, scene by scene: of the miner whose work was drawn, and of the validator that was.

use cairn_primitives::{
    api::AuditorInfo, BlockNumber, Finding, Netuid, Round, Secret, Served, Uid, H256,
};
use cairn_round::{
    audit::{Audit, Demand, Shown, Verdict},
    machine::{Kind, Transaction},
    miner::{Done as Mined, Miner, Task as Mine},
    validator::{Done as Validated, Task as Validate, Validator},
    Action, Event, Settlement, View,
};

use crate::common::{
    bytes, held_at, hotkey, intent, over, seen, settled, view, with, Driven, Role, MINER, VALIDATOR,
};

const SERVED: Served = Served {
    root: H256([5; 32]),
    length: 99,
};

/// The audit of a miner's contribution to round 0, which was settled in block 113: each stage has 8 blocks.
fn audit(uid: Uid, served: Option<Served>) -> Audit {
    Audit {
        round: 0,
        uid,
        hotkey: hotkey(uid),
        opens_until: 121,
        commits_until: 129,
        reveals_until: 137,
        drawn: 4,
        is_new: false,
        is_disputed: false,
        longest: 1_000,
        served,
        auditors: vec![AuditorInfo {
            uid: VALIDATOR,
            hotkey: hotkey(VALIDATOR),
            committed: None,
            found: None,
        }],
    }
}

fn audited(audits: &[Audit], view: View) -> View {
    View {
        audits: audits.to_vec(),
        ..view
    }
}

/// The end of round 0, which included the miner's contribution.
fn included() -> Settlement {
    settled(0, &[seen(MINER, 7, true)])
}

fn miner() -> Driven<Miner> {
    let made = Some(intent(0, 7));
    Driven::new(Miner::new(hotkey(MINER), Some(held_at(0)), made))
}

const DEMAND: Demand = Demand { round: 0, drawn: 4 };

fn serve() -> Action<Mine> {
    Action::Do(Mine::Serve(DEMAND))
}

/// The miner applies round 0, of which the chain says this, and is asked for what it then keeps.
fn kept(miner: &mut Driven<Miner>, audits: &[Audit], settlement: &Settlement) -> Option<Demand> {
    let actions = miner.look(audited(audits, over(settlement, 113)), 113);
    assert!(matches!(actions[..], [Action::Apply { .. }]), "{actions:?}");
    let root = held_at(1).root;
    let actions = miner.tell(Event::Applied { round: 0, root }, 113);
    let [Action::Keep { audited, .. }] = actions[..] else {
        panic!("{actions:?}");
    };
    miner.tell(Event::Kept(held_at(1)), 114);
    audited
}

/// Round 1, in which the miner has committed to its contribution.
fn committed(audits: &[Audit]) -> View {
    audited(audits, with(&[seen(MINER, 8, true)], view(1, 113)))
}

fn open() -> Action<Mine> {
    let shown = Shown {
        round: 0,
        served: SERVED,
    };
    Action::Send(Transaction::OpenAudit(MINER, shown))
}

fn no_block<D>() -> Event<D> {
    Event::Sent {
        kind: Kind::Audit,
        block: None,
    }
}

#[test]
fn what_is_audited_is_kept_and_served_once_the_next_contribution_is_made() {
    let mut miner = miner();
    let audits = [audit(MINER, None)];
    assert_eq!(kept(&mut miner, &audits, &included()), Some(DEMAND));
    let answer = Event::Looked(Box::new(audited(&audits, view(1, 113))));
    let actions = miner.tell(answer, 114);
    assert!(
        matches!(actions[..], [Action::Do(Mine::Train { .. })]),
        "{actions:?}"
    );
    let made = Event::Done(Mined::Sealed(intent(1, 8)));
    miner.tell(made, 115);
    let answer = Event::Looked(Box::new(committed(&audits)));
    assert_eq!(miner.tell(answer, 115), [serve()]);
    assert_eq!(miner.look(committed(&audits), 116), [], "it is being made");
    miner.tell(Event::Done(Mined::Served(0, Some(SERVED))), 116);
    let answer = Event::Looked(Box::new(committed(&audits)));
    assert_eq!(miner.tell(answer, 116), [open()]);
    assert_eq!(miner.look(committed(&audits), 117), [], "it is under way");
    miner.tell(no_block(), 118);
    assert_eq!(
        miner.look(committed(&audits), 118),
        [open()],
        "it did not land"
    );
    miner.tell(no_block(), 119);
    let told = committed(&[audit(MINER, Some(SERVED))]);
    assert_eq!(miner.look(told, 119), []);
}

/// A stage that might be over when it has trained: what is audited comes first, and then it trains.
#[test]
fn what_could_be_late_is_served_before_anything_is_trained() {
    let mut miner = miner();
    let short = Audit {
        opens_until: 116,
        ..audit(MINER, None)
    };
    let audits = [short];
    assert_eq!(kept(&mut miner, &audits, &included()), Some(DEMAND));
    let looks = |audits: &[Audit]| Event::Looked(Box::new(audited(audits, view(1, 113))));
    assert_eq!(miner.tell(looks(&audits), 114), [serve()]);
    miner.tell(Event::Done(Mined::Served(0, Some(SERVED))), 114);
    let actions = miner.tell(looks(&audits), 114);
    assert!(actions.contains(&open()), "{actions:?}");
    let trains = |action: &Action<Mine>| matches!(action, Action::Do(Mine::Train { .. }));
    assert!(actions.iter().any(trains), "{actions:?}");
}

/// A miner that has applied round 0, of which it owes this, and committed in round 1.
fn back(owed: Option<Demand>, shown: Option<Shown>) -> Driven<Miner> {
    let made = Some(intent(1, 8));
    let machine = Miner::new(hotkey(MINER), Some(held_at(1)), made);
    Driven::new(machine.serving(owed, shown))
}

#[test]
fn what_cannot_be_made_again_is_tried_in_a_few_blocks() {
    let mut miner = back(Some(DEMAND), None);
    let view = || committed(&[audit(MINER, None)]);
    for block in 114..117 {
        assert_eq!(miner.look(view(), block), [serve()]);
        assert_eq!(miner.tell(Event::Done(Mined::Served(0, None)), block), []);
    }
    assert_eq!(miner.look(view(), 117), []);
}

/// What is drawn of the round that it holds would take the place of what it owes of the one before.
#[test]
fn what_is_owed_is_served_before_something_newer_is() {
    let long = |round| Audit {
        round,
        opens_until: 140,
        ..audit(MINER, None)
    };
    let end = settled(1, &[seen(MINER, 8, true)]);
    let over = |audits: &[Audit]| audited(audits, over(&end, 126));
    let applies = |actions: &[Action<Mine>]| matches!(actions, [Action::Apply { .. }]);
    // Nothing was drawn of round 1, so what it owes of round 0 stays.
    let mut miner = back(Some(DEMAND), None);
    assert!(applies(&miner.look(over(&[long(0)]), 126)));
    let mut miner = back(Some(DEMAND), None);
    let both = [long(0), long(1)];
    assert_eq!(miner.look(over(&both), 126), [serve()]);
    miner.tell(Event::Done(Mined::Served(0, Some(SERVED))), 126);
    let actions = miner.look(over(&both), 127);
    assert!(actions.contains(&open()), "{actions:?}");
    assert!(actions
        .iter()
        .any(|action| applies(std::slice::from_ref(action))));
}

#[test]
fn nothing_is_kept_of_others_work() {
    assert_eq!(
        kept(&mut miner(), &[audit(Uid(2), None)], &included()),
        None
    );
    assert_eq!(kept(&mut miner(), &[], &included()), None);
    let mut later = audit(MINER, None);
    later.round = 1;
    assert_eq!(kept(&mut miner(), &[later], &included()), None);
}

#[test]
fn nothing_is_served_when_it_is_too_late_or_told() {
    let look = |audit: Audit, now| back(Some(DEMAND), None).look(committed(&[audit]), now);
    assert_eq!(look(audit(MINER, None), 119), [serve()]);
    assert_eq!(look(audit(MINER, None), 120), []);
    assert_eq!(look(audit(MINER, Some(SERVED)), 115), []);
}

#[test]
fn a_miner_that_comes_back_says_what_is_on_its_disk() {
    let shown = Some(Shown {
        round: 0,
        served: SERVED,
    });
    let mut miner = back(None, shown);
    assert_eq!(miner.look(committed(&[audit(MINER, None)]), 118), [open()]);
}

fn verdict(uid: Uid, finding: Finding) -> Verdict {
    let salt = Secret::new(bytes(50).0);
    Verdict::new((Netuid(7), hotkey(VALIDATOR)), (0, uid), finding, salt)
}

/// The validator has committed to this, and revealed it or not.
fn said(uid: Uid, hash: H256, found: Option<Finding>) -> Audit {
    let mut audit = audit(uid, Some(SERVED));
    let own = &mut audit.auditors[0];
    (own.committed, own.found) = (Some(hash), found);
    audit
}

/// What a validator does about audits alone.
fn of_audits(actions: Vec<Action<Validate>>) -> Vec<Action<Validate>> {
    let is_one = |action: &Action<Validate>| match action {
        Action::Do(Validate::Audit(_)) => true,
        Action::Send(transaction) => transaction.kind() == Kind::Audit,
        _ => false,
    };
    actions.into_iter().filter(is_one).collect()
}

fn look(
    validator: &mut Driven<Validator>,
    audits: &[Audit],
    now: BlockNumber,
) -> Vec<Action<Validate>> {
    of_audits(validator.look(audited(audits, view(1, 113)), now))
}

fn replay(uid: Uid) -> Action<Validate> {
    Action::Do(Validate::Audit(Box::new(audit(uid, Some(SERVED)))))
}

fn judged(uid: Uid, verdict: Option<Verdict>) -> Event<Validated> {
    Event::Done(Validated::Audited((0, uid), verdict))
}

#[test]
fn a_drawn_validator_replays_commits_and_reveals_once() {
    let mut validator = Validator::with(Some(held_at(1)));
    assert_eq!(look(&mut validator, &[audit(MINER, None)], 114), []);
    let served = [audit(MINER, Some(SERVED))];
    assert_eq!(look(&mut validator, &served, 115), [replay(MINER)]);
    assert_eq!(look(&mut validator, &served, 116), [], "it is replaying");
    let failed = verdict(MINER, Finding::Failed);
    validator.tell(judged(MINER, Some(failed.clone())), 117);
    assert_eq!(validator.machine.verdicts(), std::slice::from_ref(&failed));
    let commit = Action::Send(Transaction::CommitVerdict(failed.clone()));
    let answer = Event::Looked(Box::new(audited(&served, view(1, 113))));
    assert_eq!(of_audits(validator.tell(answer, 117)), [], "not yet");
    assert_eq!(
        look(&mut validator, &served, 120),
        std::slice::from_ref(&commit)
    );
    assert_eq!(look(&mut validator, &served, 121), [], "it is under way");
    validator.tell(no_block(), 122);
    assert_eq!(look(&mut validator, &served, 122), [commit]);
    validator.tell(no_block(), 123);
    let committed = [said(MINER, failed.hash, None)];
    assert_eq!(look(&mut validator, &committed, 124), []);
    let reveal = Action::Send(Transaction::RevealVerdict(failed.clone()));
    assert_eq!(look(&mut validator, &committed, 128), [reveal]);
    validator.tell(no_block(), 129);
    let revealed = [said(MINER, failed.hash, Some(Finding::Failed))];
    assert_eq!(look(&mut validator, &revealed, 130), []);
    assert_eq!(look(&mut validator, &[], 140), []);
    assert_eq!(validator.machine.verdicts(), [], "it is over");
}

/// Of a dispute that begins in block 137, in which a drawn auditor found that the work is false.
#[test]
fn whoever_is_asked_in_a_dispute_replays_and_who_has_said_it_does_not() {
    let disputed = |own: AuditorInfo<_>| {
        let drawn = AuditorInfo {
            uid: Uid(5),
            hotkey: hotkey(Uid(5)),
            committed: None,
            found: Some(Finding::Failed),
        };
        Audit {
            opens_until: 137,
            commits_until: 145,
            reveals_until: 153,
            is_disputed: true,
            auditors: vec![drawn, own],
            ..audit(MINER, Some(SERVED))
        }
    };
    let own = |committed, found| AuditorInfo {
        uid: VALIDATOR,
        hotkey: hotkey(VALIDATOR),
        committed,
        found,
    };
    let passed = verdict(MINER, Finding::Passed);
    let mut validator = Validator::with(Some(held_at(1)));
    let begun = disputed(own(None, None));
    let replays = Action::Do(Validate::Audit(Box::new(begun.clone())));
    assert_eq!(
        look(&mut validator, std::slice::from_ref(&begun), 137),
        [replays]
    );
    validator.tell(judged(MINER, Some(passed.clone())), 138);
    let commit = Action::Send(Transaction::CommitVerdict(passed.clone()));
    assert_eq!(look(&mut validator, &[begun], 139), [commit]);
    validator.tell(no_block(), 140);
    let committed = [disputed(own(Some(passed.hash), None))];
    let reveal = Action::Send(Transaction::RevealVerdict(passed.clone()));
    assert_eq!(look(&mut validator, &committed, 141), []);
    assert_eq!(look(&mut validator, &committed, 144), [reveal]);
    let has_said = [disputed(own(None, Some(Finding::Passed)))];
    let mut drawn = Validator::with(Some(held_at(1)));
    for now in [137, 140, 146] {
        assert_eq!(look(&mut drawn, &has_said, now), [], "it has");
    }
}

#[test]
fn nothing_waits_for_a_replay() {
    let mut validator = Validator::with(Some(held_at(0)));
    let both = [audit(MINER, Some(SERVED))];
    let applying = audited(&both, over(&included(), 113));
    let actions = validator.look(applying.clone(), 114);
    assert!(matches!(actions[..], [Action::Apply { .. }]), "{actions:?}");
    assert_eq!(of_audits(validator.look(applying, 115)), []);
    let root = held_at(1).root;
    validator.tell(Event::Applied { round: 0, root }, 115);
    validator.tell(Event::Kept(held_at(1)), 116);
    let answer = Event::Looked(Box::new(audited(&both, view(1, 113))));
    assert_eq!(of_audits(validator.tell(answer, 116)), [replay(MINER)]);
}

#[test]
fn one_is_replayed_at_a_time_and_what_came_to_nothing_after_the_others() {
    let mut validator = Validator::with(Some(held_at(1)));
    let both = [audit(MINER, Some(SERVED)), audit(Uid(2), Some(SERVED))];
    assert_eq!(look(&mut validator, &both, 115), [replay(MINER)]);
    validator.tell(judged(MINER, None), 115);
    assert_eq!(validator.asked, None, "not at once");
    assert_eq!(look(&mut validator, &both, 116), [replay(Uid(2))]);
    let passed = verdict(Uid(2), Finding::Passed);
    validator.tell(judged(Uid(2), Some(passed)), 116);
    let answer = Event::Looked(Box::new(audited(&both, view(1, 113))));
    assert_eq!(of_audits(validator.tell(answer, 116)), [replay(MINER)]);
    validator.tell(judged(MINER, None), 116);
    let again = look(&mut validator, &both, 117);
    assert_eq!(again, [replay(MINER)], "with the next block");
}

/// Nobody is kept from what others serve by who serves nothing but a root; that is found in its last blocks.
#[test]
fn what_came_to_nothing_comes_first_again_when_there_is_hardly_time_left() {
    let mut validator = Validator::with(Some(held_at(1)));
    let withheld = Audit {
        opens_until: 112,
        commits_until: 120,
        ..audit(MINER, Some(SERVED))
    };
    let both = [withheld.clone(), audit(Uid(2), Some(SERVED))];
    let tries = || Action::Do(Validate::Audit(Box::new(withheld.clone())));
    for (block, uid, expected) in [
        (115, MINER, tries()),
        (116, Uid(2), replay(Uid(2))),
        (117, MINER, tries()),
        // It came to nothing twice, and the other once.
        (118, MINER, tries()),
    ] {
        assert_eq!(look(&mut validator, &both, block), [expected], "{block}");
        validator.tell(judged(uid, None), block);
    }
}

/// Or those with the highest uids would be audited by nobody where there is more to replay than there is time for.
#[test]
fn the_draw_and_no_uid_says_what_is_replayed_first() {
    let of = |round: Round, uid: Uid, drawn: u32| Audit {
        round,
        drawn,
        ..audit(uid, Some(SERVED))
    };
    let first = |audits: &[Audit]| {
        let mut validator = Validator::with(Some(held_at(1)));
        let actions = look(&mut validator, audits, 115);
        match actions.as_slice() {
            [Action::Do(Validate::Audit(audit))] => (audit.round, audit.uid),
            other => panic!("one is replayed: {other:?}"),
        }
    };
    let (low, high) = (of(0, Uid(1), 7), of(0, Uid(200), 3));
    assert_eq!(first(&[low.clone(), high.clone()]), (0, Uid(200)));
    assert_eq!(first(&[low.clone(), of(0, Uid(200), 8)]), (0, Uid(1)));
    let newer = of(1, Uid(1), 0);
    assert_eq!(
        first(&[low, high, newer]),
        (0, Uid(200)),
        "the oldest round"
    );
}

/// All that newcomers make is audited: with many seats they would take all the time that auditors have.
#[test]
fn who_has_passed_an_audit_is_replayed_before_the_newcomers_of_its_round() {
    let of = |round: Round, uid: Uid, drawn: u32, is_new: bool| Audit {
        round,
        drawn,
        is_new,
        ..audit(uid, Some(SERVED))
    };
    let audits = [
        of(0, Uid(1), 1, true),
        of(0, Uid(2), 2, true),
        of(0, Uid(3), 9, false),
        of(0, Uid(4), 8, false),
        of(1, Uid(5), 0, false),
    ];
    let mut validator = Validator::with(Some(held_at(1)));
    let mut actions = look(&mut validator, &audits, 115);
    let mut order = Vec::new();
    for _ in 0..5 {
        let [Action::Do(Validate::Audit(audit))] = actions.as_slice() else {
            panic!("one is replayed: {actions:?}");
        };
        let of = (audit.round, audit.uid);
        order.push(of);
        let passed = Verdict {
            round: of.0,
            ..verdict(of.1, Finding::Passed)
        };
        validator.tell(Event::Done(Validated::Audited(of, Some(passed))), 116);
        let answer = Event::Looked(Box::new(audited(&audits, view(1, 113))));
        actions = of_audits(validator.tell(answer, 116));
    }
    let expected = [(0, 4), (0, 3), (0, 1), (0, 2), (1, 5)];
    assert_eq!(order, expected.map(|(round, uid)| (round, Uid(uid))));
}

#[test]
fn who_was_not_drawn_or_is_late_or_said_another_thing_is_quiet() {
    let look = |audit: Audit, now: BlockNumber| {
        let on_disk = vec![verdict(MINER, Finding::Passed)];
        let machine = Validator::new(hotkey(VALIDATOR), held_at(0).root, None, vec![], vec![]);
        let mut validator = Driven::new(machine.auditing(on_disk));
        look(&mut validator, &[audit], now)
    };
    let mut others = audit(MINER, Some(SERVED));
    others.auditors[0].hotkey = hotkey(Uid(8));
    assert_eq!(look(others, 122), []);
    assert_eq!(
        look(audit(MINER, Some(SERVED)), 128),
        [],
        "too late to commit"
    );
    assert_eq!(look(said(MINER, bytes(1), None), 130), [], "another hash");
    assert_eq!(
        look(said(MINER, verdict(MINER, Finding::Passed).hash, None), 136),
        []
    );
    assert_eq!(look(audit(MINER, Some(SERVED)), 122).len(), 1);
}

#[test]
fn a_commitment_binds_finding_contribution_and_auditor() {
    let salt = || Secret::new(bytes(50).0);
    let of = |hotkey, round: Round, uid, finding| {
        Verdict::new((Netuid(7), hotkey), (round, uid), finding, salt()).hash
    };
    let one = of(hotkey(VALIDATOR), 0, MINER, Finding::Passed);
    for other in [
        of(hotkey(Uid(8)), 0, MINER, Finding::Passed),
        of(hotkey(VALIDATOR), 1, MINER, Finding::Passed),
        of(hotkey(VALIDATOR), 0, Uid(2), Finding::Passed),
        of(hotkey(VALIDATOR), 0, MINER, Finding::Failed),
    ] {
        assert_ne!(one, other);
    }
}
