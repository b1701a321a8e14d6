//! What is kept, for how long, and where it can be had.

use cairn_primitives::{Hotkey, RunConfig, H256};
use cairn_protocol::{
    checkpoint::{self, Source},
    endpoint::{self as place, can_be_set_from},
    limits,
};

use super::{model, Section};

pub fn checkpoint(page: &Section) {
    let first = page.number("are written when round ", " begins");
    page.says("whenever a round begins that the run's `checkpoint_every` divides");
    let most = page.number("a number from 1 to ", ",");
    assert_eq!(u64::from(RunConfig::MAX_CHECKPOINT_EVERY), most);
    let least = page.number("a number from ", " to ");
    let every = page.number(
        &format!("to {most}, and "),
        " where a configuration does not say",
    );
    assert_eq!(u64::from(RunConfig::USUAL_CHECKPOINT_EVERY), every);
    let is_due = |round: u64, every: u64| checkpoint::is_due(round as u32, every as u8);
    for every in [every, most] {
        let due: Vec<u64> = (0..=3 * every).filter(|it| is_due(*it, every)).collect();
        assert_eq!(due, [first, every, 2 * every, 3 * every]);
    }
    // The least has all rounds.
    assert!((1..9).all(|round| is_due(round, least)));
    page.says("while the chain still has the round that they begin");
    let candidates = [(9, model(1))];
    let sources = |held, oldest| checkpoint::sources(held, &candidates, oldest);
    assert_eq!(sources(Some(4), 4)[0], Source::Held(4));
    assert_eq!(sources(Some(4), 5), [Source::Checkpoint(9, model(1))]);
    let back = page.number("it looks back ", " rounds");
    assert_eq!(
        u64::from(checkpoint::first_looked_at(1_000, 0)),
        1_000 - back
    );
    let tried = page.number("tries the newest ", " checkpoints");
    let listed = || (0..50).map(|round| (round, model(1)));
    let found = checkpoint::candidates(listed(), listed(), 0);
    assert_eq!(found.len() as u64, tried);
    assert_eq!(found[0].0, 49);
    page.says("in the store whose roots are final");
    let other = listed().map(|(round, _)| (round, model(2)));
    assert!(checkpoint::candidates(listed(), other, 0).is_empty());
    page.says("come last, and only while the chain still has round 0");
    assert_eq!(sources(None, 0).last(), Some(&Source::First));
    assert!(!sources(None, 1).contains(&Source::First));
    page.says("follow from a seed and no store has a checkpoint that is tried");
    page.says("what they included has at most half as many bytes");
    let most = page.number("if there are at most ", " rounds before that") as u32;
    assert!(checkpoint::begins_first((most, 1_000), 500));
    assert!(!checkpoint::begins_first((most, 1_000), 501));
    assert!(!checkpoint::begins_first((most + 1, 1_000), 500));
    let tries = page.number("could not apply a settled round ", " times in a row") as u8;
    page.says("as soon as a checkpoint of a later round can be final");
    let later = every as u32 + 1;
    let is_passed_over =
        |current, tries| checkpoint::is_passed_over(first as u32, current, every as u8, tries);
    assert!(is_passed_over(later, tries));
    assert!(!is_passed_over(later, tries - 1));
    assert!(!is_passed_over(later - 1, tries));
}

pub fn endpoint(page: &Section) {
    let most = page.number("may name up to ", " endpoints");
    assert_eq!(u64::from(cairn_primitives::MAX_ENDPOINTS), most);
    page.says("stores that anybody may read (`https://`) and peers (`iroh://`)");
    assert_eq!(place::SCHEMES, ["https://", "iroh://"]);
    let every = page.number("changes them at most every ", " blocks") as u32;
    let text = |text: &str| cairn_primitives::Text::new(text).expect("short");
    let named = [text("https://mirror.example/run")];
    assert_eq!(can_be_set_from(7), 7 + every);
    assert_eq!(place::set(&named, Some(7), 7 + every), Ok(()));
    let refused = |named: &[cairn_primitives::Text], set_at, now| {
        place::set(named, set_at, now).expect_err("it is refused")
    };
    assert_eq!(refused(&named, Some(7), 6 + every), place::Refusal::TooSoon);
    page.says("None may carry a user or a password, and none may stand there twice");
    let secret = [text("https://me:word@mirror.example")];
    assert_eq!(refused(&secret, None, 0), place::Refusal::HasCredentials);
    let twice = [named[0].clone(), named[0].clone()];
    assert_eq!(refused(&twice, None, 0), place::Refusal::NamedTwice);
    page.says("asks its maker first");
    let asked = page.number("and asks at most ", ".") as usize;
    let others: Vec<Hotkey> = (0..99).map(|one| Hotkey(H256([one; 32]))).collect();
    let found = place::ask(&Hotkey(H256([200; 32])), Some(others[50]), &others, &[]);
    assert_eq!((found.len(), found[0]), (asked, others[50]));
}

pub fn limits(page: &Section) {
    let row = |what: &str| page.number(&format!("| {what} | "), " |") as u32;
    let kept = row("rounds of which the chain keeps everything");
    assert_eq!(limits::HISTORY_ROUNDS, kept);
    let roots = row("rounds of which the chain keeps the root");
    assert_eq!(limits::LINEAGE_ROUNDS, roots);
    let answer = row("roots in one answer of a node");
    assert_eq!(limits::LINEAGE_PER_ANSWER, answer);
    let ended = row("final roots that stay of an ended run");
    assert_eq!(limits::ENDED_ROUNDS, ended);
}
