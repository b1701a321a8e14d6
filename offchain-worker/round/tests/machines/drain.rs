//! A miner that was told to drain, scene by scene.

use cairn_primitives::{AuditRules, BlockNumber, Round, RunConfig, Secret, Served, Uid, H256};
use cairn_round::{
    audit::{Audit, Demand, Shown},
    drain::{Owed, Why},
    machine::{Gone, Lack, Reason, Transaction},
    miner::{Done, Intent, Miner, Task},
    Action, Event, Next, RoundView, View,
};

use crate::{
    common::{
        bytes, held_at, hotkey, intent, miners, over, plan, seen, settled, view, with, Driven,
        MINER,
    },
    miner::sent,
    parameters::run,
};

const SERVED: Served = Served {
    root: H256([5; 32]),
    length: 99,
};
const DEMAND: Demand = Demand { round: 0, drawn: 4 };
/// Round 0 is due in block 113, and the three stages of an audit have 8 blocks each.
const OVER: BlockNumber = 137;
/// The same if there is a dispute about it.
const LATEST: BlockNumber = 153;

fn audited_run(rate: u32) -> RunConfig {
    RunConfig {
        audits: AuditRules {
            rate,
            blocks: 8,
            ..AuditRules::default()
        },
        ..run()
    }
}

/// The audit of a contribution to round 0, which was settled in block 113.
fn audit(uid: Uid, served: Option<Served>) -> Audit {
    Audit {
        round: 0,
        uid,
        hotkey: hotkey(uid),
        opens_until: 121,
        commits_until: 129,
        reveals_until: OVER,
        drawn: DEMAND.drawn,
        is_new: false,
        is_disputed: false,
        longest: 1_000,
        served,
        auditors: Vec::new(),
    }
}

fn with_audits(audits: &[Audit], view: View) -> View {
    View {
        audits: audits.to_vec(),
        ..view
    }
}

/// The same in the best block, while this round is the current one of the final block.
fn final_in(round: Round, view: View) -> View {
    let round = RoundView {
        at_final: Some(round),
        ..view.round
    };
    View { round, ..view }
}

fn miner(round: Round, made: Option<Intent>) -> Driven<Miner> {
    Driven::new(Miner::new(hotkey(MINER), Some(held_at(round)), made))
}

/// It is told to drain, looks at once, and sees this.
fn told(miner: &mut Driven<Miner>, rate: u32, view: View, now: BlockNumber) -> Vec<Action<Task>> {
    miner.machine.drain(&audited_run(rate));
    assert_eq!(miner.drain(), []);
    miner.tell(Event::Looked(Box::new(view)), now)
}

fn owes(round: Round, why: Why, until: BlockNumber) -> Action<Task> {
    Action::Tell(Owed { round, why, until })
}

fn ends() -> Action<Task> {
    Action::Stop(Reason::Drained)
}

fn is_training(action: &Action<Task>) -> bool {
    matches!(action, Action::Do(Task::Train { .. }))
}

#[test]
fn it_finishes_what_it_makes_and_ends_once_its_audit_is_over() {
    let mut miner = miner(0, None);
    let actions = miner.look(view(0, 100), 101);
    assert!(actions.iter().any(is_training), "{actions:?}");
    let actions = told(&mut miner, AuditRules::EACH, view(0, 100), 101);
    assert_eq!(actions, [owes(0, Why::Contribution, LATEST)]);
    miner.tell(Event::Done(Done::Sealed(intent(0, 7))), 102);
    let commit = Transaction::Commit(0, intent(0, 7).commitment);
    let actions = miner.look(view(0, 100), 103);
    assert_eq!(actions, [Action::Send(commit)], "and it is said once");
    miner.tell(sent(104), 104);
    let reveal = Transaction::Reveal(0, Secret::new(bytes(7).0));
    let committed = with(&[seen(MINER, 7, false)], view(0, 100));
    assert_eq!(miner.look(committed, 105), [Action::Send(reveal)]);
    miner.tell(sent(106), 106);

    let end = settled(0, &[seen(MINER, 7, true)]);
    let open = [audit(MINER, None)];
    let actions = miner.look(with_audits(&open, over(&end, 113)), 113);
    assert!(matches!(actions[..], [Action::Apply { .. }]), "{actions:?}");
    let root = held_at(1).root;
    let actions = miner.tell(Event::Applied { round: 0, root }, 113);
    let is_kept = matches!(
        actions[..],
        [Action::Keep {
            audited: Some(DEMAND),
            ..
        }]
    );
    assert!(is_kept, "{actions:?}");
    miner.tell(Event::Kept(held_at(1)), 114);

    // It has data in round 1, and trains on none.
    let looked = Event::Looked(Box::new(with_audits(&open, view(1, 113))));
    let serves = Action::Do(Task::Serve(DEMAND));
    let expected = [serves, owes(0, Why::Audit, LATEST)];
    assert_eq!(miner.tell(looked, 114), expected);
    miner.tell(Event::Done(Done::Served(0, Some(SERVED))), 115);
    let shown = Shown {
        round: 0,
        served: SERVED,
    };
    let opens = Action::Send(Transaction::OpenAudit(MINER, shown));
    let looked = Event::Looked(Box::new(with_audits(&open, view(1, 113))));
    assert_eq!(miner.tell(looked, 115), [opens]);
    // Auditors fetch what it serves. It does not say that it is back, though nobody expects it any more.
    let absent = View {
        absent: vec![hotkey(MINER)],
        ..with_audits(&[audit(MINER, Some(SERVED))], view(2, 126))
    };
    assert_eq!(miner.look(absent, OVER - 1), []);
    assert_eq!(miner.look(view(2, 126), OVER), [ends()]);
}

#[test]
fn where_nothing_is_audited_it_ends_with_its_round() {
    let mut miner = miner(0, Some(intent(0, 7)));
    let committed = with(&[seen(MINER, 7, true)], view(0, 100));
    let actions = told(&mut miner, 0, committed, 107);
    assert_eq!(actions, [owes(0, Why::Contribution, 113)]);
    let end = settled(0, &[seen(MINER, 7, true)]);
    let actions = miner.look(over(&end, 113), 113);
    assert!(matches!(actions[..], [Action::Apply { .. }]), "{actions:?}");
    let root = held_at(1).root;
    miner.tell(Event::Applied { round: 0, root }, 113);
    miner.tell(Event::Kept(held_at(1)), 113);
    let looked = Event::Looked(Box::new(view(1, 113)));
    assert_eq!(miner.tell(looked, 113), [ends()]);
}

/// What the best block has settled may be undone: its audits are drawn for good once it is final.
#[test]
fn a_settled_round_keeps_it_until_that_is_final() {
    let mut miner = miner(0, Some(intent(0, 7)));
    let actions = told(&mut miner, AuditRules::EACH, view(1, 113), 114);
    assert_eq!(actions, [owes(0, Why::Contribution, LATEST)]);
}

#[test]
fn who_owes_nothing_ends_at_once() {
    for now in [
        view(0, 100),
        with_audits(&[audit(Uid(2), None)], view(0, 100)),
    ] {
        let actions = told(&mut miner(0, None), AuditRules::EACH, now, 101);
        assert_eq!(actions, [ends()]);
    }
}

/// What it holds is final, and the next node that it asks is some blocks behind.
#[test]
fn a_view_of_before_what_it_holds_ends_nothing() {
    let mut miner = miner(2, None);
    assert_eq!(told(&mut miner, AuditRules::EACH, view(1, 113), 114), []);
    assert_eq!(miner.look(view(2, 126), 127), [ends()]);
}

/// It has another state directory than when it made it.
#[test]
fn what_is_on_chain_keeps_it_without_an_intent() {
    let mut miner = miner(0, None);
    let committed = with(&[seen(MINER, 7, true)], view(0, 100));
    let actions = told(&mut miner, AuditRules::EACH, committed, 107);
    assert_eq!(actions, [owes(0, Why::Contribution, LATEST)]);
}

/// The best block has settled it without an audit, which a fork may draw, and that fork has it not yet.
#[test]
fn what_was_on_chain_keeps_it_until_its_round_is_settled_in_a_final_block() {
    let mut miner = miner(0, None);
    let committed = with(&[seen(MINER, 7, true)], view(0, 100));
    let actions = told(&mut miner, AuditRules::EACH, committed, 107);
    assert_eq!(actions, [owes(0, Why::Contribution, LATEST)]);
    assert_eq!(miner.look(final_in(0, view(1, 113)), 114), []);
    assert_eq!(miner.look(view(0, 100), 112), []);
    let drawn = with_audits(&[audit(MINER, None)], view(1, 113));
    let actions = miner.look(final_in(0, drawn.clone()), 115);
    assert_eq!(actions, []);
    assert_eq!(miner.look(drawn, 116), [owes(0, Why::Audit, LATEST)]);
    assert_eq!(miner.look(view(2, 126), OVER), [ends()]);
}

/// It cannot know what it contributed to a round that only the best block has settled.
#[test]
fn who_begins_to_drain_waits_until_the_rounds_before_are_settled_in_a_final_block() {
    let mut waits = miner(0, None);
    let unsettled = final_in(0, view(1, 113));
    let actions = told(&mut waits, AuditRules::EACH, unsettled.clone(), 114);
    assert_eq!(actions, []);
    assert_eq!(waits.look(unsettled.clone(), 115), []);
    let drawn = with_audits(&[audit(MINER, None)], view(1, 113));
    assert_eq!(waits.look(drawn, 116), [owes(0, Why::Audit, LATEST)]);

    let mut owes_nothing = miner(0, None);
    let actions = told(&mut owes_nothing, AuditRules::EACH, unsettled, 114);
    assert_eq!(actions, []);
    assert_eq!(owes_nothing.look(view(1, 113), 115), [ends()]);

    // What began after it drains is none of its own.
    let mut drains = miner(1, None);
    let actions = told(
        &mut drains,
        AuditRules::EACH,
        final_in(0, view(1, 113)),
        114,
    );
    assert_eq!(actions, []);
    assert_eq!(drains.look(final_in(1, view(2, 126)), 127), [ends()]);
}

/// Where nothing becomes final it waits for no longer than an audit of what the best block has can be open.
#[test]
fn without_finality_it_waits_for_as_long_as_an_audit_can_be_open() {
    let mut miner = miner(0, None);
    let unsettled = final_in(0, view(1, 113));
    assert_eq!(told(&mut miner, AuditRules::EACH, unsettled, 114), []);
    assert_eq!(miner.look(final_in(0, view(15, 295)), 296), []);
    assert_eq!(miner.look(final_in(0, view(16, 308)), 309), [ends()]);
}

/// What it made is not settled here, or cannot be applied: no audit is open any longer all the same.
#[test]
fn what_it_made_long_ago_keeps_it_no_longer_than_an_audit_can_be_open() {
    let mut waits = miner(0, Some(intent(0, 7)));
    let actions = told(&mut waits, AuditRules::EACH, view(15, 295), 296);
    assert_eq!(actions, [owes(0, Why::Contribution, 335)]);
    assert_eq!(waits.look(view(16, 308), 309), [ends()]);

    let mut applies = miner(0, Some(intent(0, 7)));
    let unapplied = View {
        settled: Some(settled(0, &[seen(MINER, 7, true)])),
        ..view(16, 308)
    };
    let actions = told(&mut applies, AuditRules::EACH, unapplied, 309);
    assert!(
        matches!(
            actions[..],
            [Action::Apply { .. }, Action::Stop(Reason::Drained)]
        ),
        "{actions:?}"
    );
}

/// A miner that was started again to drain has nothing of round 0 but its audit.
#[test]
fn an_open_audit_keeps_it_whatever_it_has_on_its_disk() {
    let mut miner = miner(1, None);
    let mut later = audit(MINER, Some(SERVED));
    (later.round, later.reveals_until) = (1, OVER + 13);
    let both = [audit(MINER, Some(SERVED)), later];
    let now = with_audits(&both, view(2, 126));
    let actions = told(&mut miner, AuditRules::EACH, now, 127);
    assert!(
        actions.contains(&owes(1, Why::Audit, LATEST + 13)),
        "{actions:?}"
    );
    assert!(!actions.contains(&ends()), "{actions:?}");
}

#[test]
fn where_rounds_overlap_it_finishes_the_next_one_too_if_it_trains_it() {
    let next = Next {
        round: 1,
        plan: plan(1),
        miners: miners(),
    };
    let revealed = View {
        next: Some(next),
        ..with(&[seen(MINER, 7, true)], view(0, 100))
    };
    let mut trains = miner(0, Some(intent(0, 7)));
    let actions = trains.look(revealed.clone(), 107);
    assert!(actions.iter().any(is_training), "{actions:?}");
    let actions = told(&mut trains, AuditRules::EACH, revealed.clone(), 107);
    // A round has 13 blocks.
    assert_eq!(actions, [owes(1, Why::Contribution, LATEST + 13)]);
    let mut rests = miner(0, Some(intent(0, 7)));
    let actions = told(&mut rests, AuditRules::EACH, revealed, 107);
    assert!(!actions.iter().any(is_training), "{actions:?}");
    assert!(
        actions.contains(&owes(0, Why::Contribution, LATEST)),
        "{actions:?}"
    );
}

/// Whether a run is gone for good is not the best block's word alone: whoever drives it finds out.
#[test]
fn without_a_run_it_says_so_and_does_not_end_by_itself() {
    let mut miner = miner(0, Some(intent(0, 7)));
    miner.machine.drain(&audited_run(AuditRules::EACH));
    assert_eq!(miner.drain(), []);
    let gone = Event::Gone(Gone::Stopped);
    assert_eq!(miner.tell(gone, 105), [Action::Explain(Lack::Run)]);
}
