//! Which parameters are held: joined, applied, kept, contradicted. The same for both roles.

use cairn_primitives::{ModelRoot, Round, Uid, H256};
use cairn_protocol::limits::APPLY_TRIES;
use cairn_round::{
    course::Work, machine::Reason, miner::Miner, validator::Validator, Action, Event, Held, Seen,
    Settlement, View,
};

use crate::common::{held_at, over, seen, settled, view, Driven, Role};

/// Nobody has anything to do in this block.
const QUIET: u32 = 105;

/// A test of what both roles do.
macro_rules! both {
    ($name:ident, $of:ident) => {
        #[test]
        fn $name() {
            $of::<Miner>();
            $of::<Validator>();
        }
    };
}

fn applied<D>(round: Round) -> Event<D> {
    Event::Applied {
        round,
        root: held_at(round + 1).root,
    }
}

fn apply<W>(settlement: &Settlement) -> Action<W> {
    Action::Apply {
        settlement: settlement.clone(),
        is_included: false,
    }
}

fn keep<W>(settlement: &Settlement, held: Held) -> Action<W> {
    Action::Keep {
        settlement: settlement.clone(),
        held,
        audited: None,
    }
}

fn included() -> [Seen; 1] {
    [seen(Uid(2), 5, true)]
}

fn far_ahead() -> View {
    let mut far = view(50, 1_000);
    far.round.oldest = 40;
    far
}

both!(who_holds_nothing_joins, joins);
fn joins<R: Role>() {
    let mut role = R::with(None);
    assert_eq!(role.look(view(3, 100), QUIET), [Action::Join]);
    assert_eq!(role.look(view(3, 100), QUIET), [], "it is under way");
    assert_eq!(role.tell(Event::NotJoined, QUIET), []);
    assert_eq!(role.look(view(3, 100), QUIET), [Action::Join]);
    assert_eq!(role.tell(Event::Joined(held_at(2)), QUIET), []);
    assert_eq!(role.machine.held(), Some(held_at(2)));
    let end = settled(2, &included());
    assert_eq!(role.look(over(&end, 100), QUIET), [apply(&end)]);
}

both!(who_comes_back_in_time_does_not_join, resumes);
fn resumes<R: Role>() {
    for current in [3, 4, 6] {
        let mut role = R::with(Some(held_at(3)));
        let mut view = view(current, 100);
        view.round.oldest = 3;
        assert_eq!(role.look(view, QUIET), []);
        assert_eq!(role.machine.held(), Some(held_at(3)));
    }
}

both!(who_is_far_behind_joins_afresh, joins_afresh);
fn joins_afresh<R: Role>() {
    let mut role = R::with(Some(held_at(3)));
    assert_eq!(role.look(far_ahead(), 1_006), [Action::Join]);
    assert_eq!(role.look(far_ahead(), 1_007), []);
    assert_eq!(role.machine.held(), Some(held_at(3)));
    role.tell(Event::Joined(held_at(45)), 1_007);
    assert_eq!(role.machine.held(), Some(held_at(45)));
    assert_eq!(role.machine.work(), &Work::Idle);
}

both!(
    what_cannot_be_applied_is_passed_over_once_a_checkpoint_can_be_newer,
    gives_it_up
);
fn gives_it_up<R: Role>() {
    let mut role = R::with(Some(held_at(3)));
    let end = settled(3, &included());
    let fails = |role: &mut Driven<R>, current, times| {
        for _ in 0..times {
            let view = View {
                settled: Some(end.clone()),
                ..view(current, 100)
            };
            assert_eq!(role.look(view, QUIET), [apply(&end)]);
            assert_eq!(role.tell(Event::NotApplied(3), QUIET), []);
        }
    };
    // The checkpoint of round 5 is not final before that is settled.
    fails(&mut role, 5, APPLY_TRIES + 3);
    let view = View {
        settled: Some(end.clone()),
        ..view(6, 100)
    };
    assert_eq!(role.look(view.clone(), QUIET), [Action::Join]);
    assert_eq!(role.tell(Event::NotJoined, QUIET), []);
    fails(&mut role, 6, APPLY_TRIES);
    assert_eq!(role.look(view, QUIET), [Action::Join], "and again");
    role.tell(Event::Joined(held_at(5)), QUIET);
    assert_eq!(role.machine.held(), Some(held_at(5)));
}

both!(what_is_still_there_is_applied_however_old, applies_the_old);
fn applies_the_old<R: Role>() {
    let mut role = R::with(Some(held_at(3)));
    let end = settled(3, &included());
    let view = View {
        settled: Some(end.clone()),
        ..far_ahead()
    };
    assert_eq!(role.look(view, 1_006), [apply(&end)]);
}

both!(
    an_answer_about_an_earlier_round_does_not_make_it_join,
    keeps_its_place
);
fn keeps_its_place<R: Role>() {
    let mut role = R::with(Some(held_at(3)));
    let end = settled(3, &included());
    let late = View {
        settled: Some(end.clone()),
        ..far_ahead()
    };
    role.look(late.clone(), 1_006);
    role.ask(1_006);
    role.tell(applied(3), 1_006);
    role.tell(Event::Kept(held_at(4)), 1_006);
    // The chain was asked about round 3. Whether it still has round 4 is not known.
    assert_eq!(role.tell(Event::Looked(Box::new(late)), 1_006), []);
    let asked = role.asked.and_then(|question| question.settled);
    assert_eq!(asked, Some(4), "so it is asked at once");
    let answer = Event::Looked(Box::new(far_ahead()));
    assert_eq!(role.tell(answer, 1_006), [Action::Join]);
}

both!(a_settled_round_is_applied_and_then_kept, follows);
fn follows<R: Role>() {
    for included in [&included()[..], &[]] {
        let mut role = R::with(Some(held_at(3)));
        let end = Settlement {
            before: Some(held_at(3).root),
            after: Some(held_at(4).root),
            ..settled(3, included)
        };
        let view = over(&end, 100);
        assert_eq!(role.look(view.clone(), QUIET), [apply(&end)]);
        assert_eq!(role.look(view.clone(), QUIET), [], "it is under way");
        assert_eq!(role.tell(applied(3), QUIET), [keep(&end, held_at(4))]);
        assert_eq!(role.machine.held(), Some(held_at(3)), "not yet in force");
        assert_eq!(role.look(view.clone(), QUIET), [], "it is under way");
        assert_eq!(role.tell(Event::Kept(held_at(4)), QUIET), []);
        assert_eq!(role.machine.held(), Some(held_at(4)));
        assert_eq!(role.look(view, QUIET), [], "round 3 is done");
    }
}

both!(after_a_null_round_the_parameters_are_the_same, null_round);
fn null_round<R: Role>() {
    let mut role = R::with(Some(held_at(3)));
    let end = settled(3, &[]);
    assert_eq!(role.look(over(&end, 100), QUIET), [apply(&end)]);
    let (round, root) = (3, held_at(3).root);
    let next = Held { round: 4, root };
    let kept = role.tell(Event::Applied { round, root }, QUIET);
    assert_eq!(kept, [keep(&end, next)]);
    role.tell(Event::Kept(next), QUIET);
    assert_eq!(role.machine.held(), Some(next));
}

both!(what_could_not_be_applied_is_applied_later, applies_again);
fn applies_again<R: Role>() {
    let mut role = R::with(Some(held_at(3)));
    let end = settled(3, &included());
    role.look(over(&end, 100), QUIET);
    assert_eq!(role.tell(Event::NotApplied(3), QUIET), []);
    assert_eq!(role.look(over(&end, 100), QUIET + 1), [apply(&end)]);
}

fn diverged<W>(round: Round, chain: ModelRoot) -> Action<W> {
    Action::Stop(Reason::Diverged {
        round,
        here: held_at(round).root,
        chain,
    })
}

both!(
    parameters_that_contradict_the_chain_before_are_not_gone_on_with,
    contradicts_before
);
fn contradicts_before<R: Role>() {
    for included in [&included()[..], &[]] {
        let mut role = R::with(Some(held_at(3)));
        let other = ModelRoot(H256::repeat_byte(9));
        let end = Settlement {
            before: Some(other),
            ..settled(3, included)
        };
        assert_eq!(role.look(over(&end, 100), QUIET), [diverged(3, other)]);
        assert_eq!(role.machine.work(), &Work::Idle);
        assert_eq!(role.machine.held(), Some(held_at(3)));
    }
}

both!(
    parameters_that_contradict_the_chain_after_are_not_kept,
    contradicts_after
);
fn contradicts_after<R: Role>() {
    for included in [&included()[..], &[]] {
        let mut role = R::with(Some(held_at(3)));
        let other = ModelRoot(H256::repeat_byte(9));
        let end = Settlement {
            before: Some(held_at(3).root),
            after: Some(other),
            ..settled(3, included)
        };
        assert_eq!(role.look(over(&end, 100), QUIET), [apply(&end)]);
        assert_eq!(role.tell(applied(3), QUIET), [diverged(4, other)]);
        assert_eq!(role.machine.held(), Some(held_at(3)));
        assert_eq!(role.tell(Event::Kept(held_at(4)), QUIET), []);
        assert_eq!(role.machine.held(), Some(held_at(3)), "nothing was kept");
    }
}

both!(the_end_of_another_round_is_passed_over, passes_over);
fn passes_over<R: Role>() {
    for round in [2, 4] {
        let mut role = R::with(Some(held_at(3)));
        let other = Settlement {
            before: Some(ModelRoot(H256::repeat_byte(9))),
            ..settled(round, &included())
        };
        let view = View {
            settled: Some(other),
            ..view(4, 100)
        };
        assert_eq!(role.look(view, QUIET), []);
    }
}

/// A machine that computes this, and what ends it.
type Busy<R> = (
    Driven<R>,
    fn(&Event<<R as cairn_round::Machine>::Done>) -> bool,
);

fn in_every_state<R: Role>() -> Vec<Busy<R>> {
    let end = over(&settled(3, &included()), 100);
    let begin = |held, view: View| {
        let mut role = R::with(held);
        role.look(view, QUIET);
        role
    };
    let mut keeping = begin(Some(held_at(3)), end.clone());
    keeping.tell(applied(3), QUIET);
    let mut kept = begin(Some(held_at(2)), over(&settled(2, &included()), 100));
    kept.tell(applied(2), QUIET);
    kept.tell(Event::Kept(held_at(3)), QUIET);
    let applying = begin(Some(held_at(3)), end);
    let joining = begin(Some(held_at(3)), far_ahead());
    vec![
        (kept, |_| false),
        (applying, |event| {
            matches!(
                event,
                Event::Applied { round: 3, .. } | Event::NotApplied(3)
            )
        }),
        (
            keeping,
            |event| matches!(event, Event::Kept(held) if held.round == 4),
        ),
        (joining, |event| {
            matches!(event, Event::Joined(_) | Event::NotJoined)
        }),
    ]
}

both!(answers_that_are_late_or_doubled_change_nothing, stale);
fn stale<R: Role>() {
    let events = || {
        let of = (2..6).flat_map(|round| {
            [
                applied(round),
                Event::NotApplied(round),
                Event::Kept(held_at(round)),
                Event::Joined(held_at(round)),
            ]
        });
        of.chain([Event::NotJoined])
    };
    for (mut role, ends) in in_every_state::<R>() {
        let before = (role.machine.work().clone(), role.machine.held());
        for event in events().filter(|event| !ends(event)) {
            let what = format!("{event:?} in {:?}", before.0);
            assert_eq!(role.tell(event, QUIET), [], "{what}");
            let after = (role.machine.work().clone(), role.machine.held());
            assert_eq!(after, before, "{what}");
        }
    }
}
