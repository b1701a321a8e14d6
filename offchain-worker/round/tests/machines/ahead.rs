//! What a miner fetches before its round is settled, scene by scene.

use cairn_primitives::{BlockNumber, Round, Uid};
use cairn_round::{
    ahead::{Sealed, Whom, AT_ONCE, MOST_OF_ONE},
    course::Work,
    machine::Gone,
    miner::{Done, Miner, Task},
    validator::Id,
    Action, Event, Seen, View,
};

use crate::common::{
    commitment, held_at, hotkey, intent, over, sealed, seen, settled, view, with, Driven, MINER,
};

/// A miner that has made its contribution to this round.
fn miner(round: Round) -> Driven<Miner> {
    let made = Some(intent(round, 7));
    Driven::new(Miner::new(hotkey(MINER), Some(held_at(round)), made))
}

fn wanted(round: Round, (uid, content): (Uid, u64), whom: Whom) -> Sealed {
    Sealed {
        round,
        id: (uid, sealed(content)),
        hotkey: hotkey(uid),
        commitment: commitment(content),
        whom,
    }
}

/// Round 0, to which these have committed.
fn round_0(contributions: &[Seen]) -> View {
    with(contributions, view(0, 100))
}

/// What is to be fetched ahead.
fn ahead(actions: Vec<Action<Task>>) -> Vec<Sealed> {
    let actions = actions.into_iter();
    let wanted = actions.filter_map(|action| match action {
        Action::Do(Task::FetchAhead(sealed)) => Some(sealed),
        _ => None,
    });
    wanted.collect()
}

fn fetched(round: Round, id: Id, is_here: bool) -> Event<Done> {
    Event::Done(Done::Fetched { round, id, is_here })
}

#[test]
fn a_file_is_fetched_once_as_soon_as_it_is_committed_to() {
    let mut miner = miner(0);
    let [two, three] = [(Uid(2), 5), (Uid(3), 6)];
    let one = round_0(&[seen(two.0, two.1, false)]);
    let expected = [wanted(0, two, Whom::NotItsLine)];
    assert_eq!(ahead(miner.look(one.clone(), 101)), expected);
    assert_eq!(ahead(miner.look(one, 102)), [], "it is under way");
    let both = round_0(&[seen(two.0, two.1, false), seen(three.0, three.1, false)]);
    let expected = [wanted(0, three, Whom::NotItsLine)];
    assert_eq!(ahead(miner.look(both, 103)), expected);
    for one in [two, three] {
        miner.tell(fetched(0, (one.0, sealed(one.1)), true), 103);
    }
    let revealed = round_0(&[seen(two.0, two.1, true), seen(three.0, three.1, true)]);
    for now in 104..114 {
        let asked = ahead(miner.look(revealed.clone(), now));
        assert_eq!(asked, [], "at {now}: both are here");
    }
}

#[test]
fn its_own_is_not_fetched() {
    let mut miner = miner(0);
    let own = round_0(&[seen(MINER, 7, false)]);
    for now in 101..114 {
        assert_eq!(ahead(miner.look(own.clone(), now)), [], "at {now}");
    }
}

#[test]
fn what_was_not_to_be_had_is_asked_for_again_after_a_pause_that_grows() {
    let mut miner = miner(0);
    let mut asked: Vec<BlockNumber> = Vec::new();
    for now in 101..125 {
        for sealed in ahead(miner.look(round_0(&[seen(Uid(2), 5, false)]), now)) {
            asked.push(now);
            assert_eq!(miner.tell(fetched(0, sealed.id, false), now), []);
            assert_eq!(miner.asked, None, "it waits for the next block");
        }
    }
    // From block 110 on makers are asked, too.
    assert_eq!(asked, [101, 102, 104, 108, 110, 114, 118, 122]);
}

#[test]
fn what_failed_late_is_asked_for_again_at_once() {
    let mut miner = miner(0);
    let view = || round_0(&[seen(Uid(2), 5, false)]);
    let asked = ahead(miner.look(view(), 101));
    miner.look(view(), 103);
    assert_eq!(miner.tell(fetched(0, asked[0].id, false), 103), []);
    assert!(miner.asked.is_some(), "blocks have come since");
    assert_eq!(ahead(miner.look(view(), 103)), asked);
}

/// Those whose keys come after its own are the first, so that miners do not all begin with the same one.
#[test]
fn few_are_under_way_at_a_time() {
    let all: Vec<Seen> = (0..20)
        .map(Uid)
        .filter(|uid| *uid != MINER)
        .map(|uid| seen(uid, 50 + u64::from(uid.get()), false))
        .collect();
    let mut miner = miner(0);
    let mut asked = ahead(miner.look(round_0(&all), 101));
    assert_eq!(asked.len(), AT_ONCE);
    assert_eq!(ahead(miner.look(round_0(&all), 101)), []);
    for place in 0..all.len() {
        let id = asked[place].id;
        miner.tell(fetched(0, id, true), 101);
        // Another one is begun at once, not with the next block.
        let is_left = asked.len() < all.len();
        assert_eq!(miner.asked.is_some(), is_left);
        if is_left {
            let next = ahead(miner.tell(Event::Looked(Box::new(round_0(&all))), 101));
            assert_eq!(next.len(), 1);
            asked.extend(next);
        }
    }
    let uids: Vec<u16> = asked.iter().map(|sealed| sealed.id.0.get()).collect();
    let expected: Vec<u16> = (2..20).chain([0]).collect();
    assert_eq!(uids, expected, "each once");
}

#[test]
fn reorganisations_cost_few_files_of_each_miner() {
    let mut miner = miner(0);
    let mut asked = Vec::new();
    for content in 50..60 {
        let changed = round_0(&[seen(Uid(2), content, false)]);
        for sealed in ahead(miner.look(changed, 101)) {
            miner.tell(fetched(0, sealed.id, true), 101);
            asked.push(sealed);
        }
    }
    assert_eq!(asked.len(), MOST_OF_ONE);
}

#[test]
fn makers_own_lines_are_left_to_validators_until_these_have_bound_themselves() {
    for (now, whom) in [
        (107, Whom::NotItsLine),
        (109, Whom::NotItsLine),
        (110, Whom::Anybody),
        (112, Whom::Anybody),
    ] {
        let asked = ahead(miner(0).look(round_0(&[seen(Uid(2), 5, true)]), now));
        assert_eq!(asked, [wanted(0, (Uid(2), 5), whom)], "at {now}");
    }
}

/// The best block is in the next round already, and the settlement is not final.
#[test]
fn what_is_missing_of_a_round_that_has_gone_by_is_asked_for_until_that_is_final() {
    let mut miner = miner(0);
    let asked = ahead(miner.look(round_0(&[seen(Uid(2), 5, true)]), 111));
    miner.tell(fetched(0, asked[0].id, false), 111);
    let next = || with(&[seen(Uid(2), 8, false)], view(1, 113));
    let expected = [wanted(0, (Uid(2), 5), Whom::Anybody)];
    assert_eq!(ahead(miner.look(next(), 113)), expected, "none of round 1");
}

#[test]
fn what_is_under_way_ends_with_the_settlement_and_nothing_is_asked_for_after_it() {
    let mut miner = miner(0);
    let asked = ahead(miner.look(round_0(&[seen(Uid(2), 5, true)]), 111));
    let end = settled(0, &[seen(Uid(2), 5, true)]);
    let actions = miner.look(over(&end, 113), 113);
    let is_apply = |action: &Action<Task>| matches!(action, Action::Apply { .. });
    assert_eq!(actions[0], Action::Do(Task::StopFetching(0)));
    assert!(actions.len() == 2 && is_apply(&actions[1]), "{actions:?}");
    miner.tell(fetched(0, asked[0].id, false), 113);
    miner.tell(Event::NotApplied(0), 113);
    for now in 114..120 {
        let actions = miner.look(over(&end, 113), now);
        assert!(actions.iter().all(is_apply), "at {now}: {actions:?}");
        miner.tell(Event::NotApplied(0), now);
    }
}

#[test]
fn what_is_under_way_ends_for_who_is_too_far_behind_to_apply_it() {
    let mut miner = miner(0);
    let all = [seen(Uid(2), 5, true), seen(Uid(3), 6, true)];
    let asked = ahead(miner.look(round_0(&all), 111));
    miner.tell(fetched(0, asked[0].id, false), 111);
    let mut far = view(50, 1_000);
    far.round.oldest = 40;
    let stop = Action::Do(Task::StopFetching(0));
    assert_eq!(miner.look(far.clone(), 1_001), [Action::Join, stop]);
    miner.tell(fetched(0, asked[1].id, false), 1_001);
    for now in 1_002..1_010 {
        assert_eq!(miner.look(far.clone(), now), [], "at {now}");
    }
}

#[test]
fn nothing_is_stopped_that_has_ended() {
    let mut miner = miner(0);
    let asked = ahead(miner.look(round_0(&[seen(Uid(2), 5, true)]), 111));
    miner.tell(fetched(0, asked[0].id, true), 111);
    let end = settled(0, &[seen(Uid(2), 5, true)]);
    let actions = miner.look(over(&end, 113), 113);
    assert!(matches!(actions[..], [Action::Apply { .. }]), "{actions:?}");
}

#[test]
fn the_next_round_begins_with_nothing() {
    let mut miner = miner(0);
    let late = ahead(miner.look(round_0(&[seen(Uid(2), 5, true)]), 111));
    miner.look(over(&settled(0, &[]), 113), 113);
    let (round, root) = (0, held_at(1).root);
    miner.tell(Event::Applied { round, root }, 113);
    miner.tell(Event::Kept(held_at(1)), 113);
    // The same file, committed to again.
    let again = with(&[seen(Uid(2), 5, false)], view(1, 113));
    let expected = [wanted(1, (Uid(2), 5), Whom::NotItsLine)];
    assert_eq!(ahead(miner.look(again.clone(), 114)), expected);
    // What ends late is not taken for it.
    miner.tell(fetched(0, late[0].id, true), 114);
    miner.tell(fetched(1, late[0].id, false), 114);
    assert_eq!(ahead(miner.look(again, 115)), expected);
}

/// Nothing of it is on disk: whether a file is here is found out by asking for it.
#[test]
fn who_comes_back_asks_for_all_again() {
    let all = round_0(&[seen(Uid(2), 5, false), seen(Uid(3), 6, false)]);
    let mut before = miner(0);
    let asked = ahead(before.look(all.clone(), 101));
    assert_eq!(asked.len(), 2);
    before.tell(fetched(0, asked[0].id, true), 101);
    assert_eq!(ahead(miner(0).look(all, 102)), asked);
}

#[test]
fn training_goes_on_beside_it() {
    let mut miner = Driven::new(Miner::new(hotkey(MINER), Some(held_at(0)), None));
    let view = round_0(&[seen(Uid(2), 5, false)]);
    let actions = miner.look(view.clone(), 101);
    assert!(matches!(actions[0], Action::Do(Task::Train { .. })));
    let asked = ahead(actions);
    for is_here in [false, true] {
        assert_eq!(miner.tell(fetched(0, asked[0].id, is_here), 101), []);
        assert_eq!(miner.machine.work(), &Work::Own(0));
        miner.look(view.clone(), 102);
    }
}

#[test]
fn without_the_parameters_of_the_round_nothing_is_fetched() {
    for held in [1, 2] {
        let all = with(&[seen(Uid(2), 5, false)], view(3, 100));
        assert_eq!(ahead(miner(held).look(all, 101)), []);
    }
}

#[test]
fn what_is_under_way_ends_with_the_run() {
    let mut miner = miner(0);
    miner.look(round_0(&[seen(Uid(2), 5, false)]), 101);
    miner.ask(102);
    let actions = miner.tell(Event::Gone(Gone::Stopped), 102);
    assert_eq!(actions[0], Action::Do(Task::StopFetching(0)));
}
