//! Holds `docs/protocol.md` against the code: each rule has an anchor there, each anchor a rule and a test here, and the
//! numbers are those of the page.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use cairn_primitives::{
    key_hash, Commitment, Header, Hyperparameters, Phase, Phases, Uid, Verdicts, H256,
};
use cairn_protocol::{
    assignment::{draw_slots, slots, DataRange},
    attestation::{self, Attestation, Tally},
    checkpoint::{self, Source},
    commitment::{self, Contribution},
    eligibility::{claim, may_validate, seated, seats, Claim},
    limits,
    lineage::{contradiction, Ancestor},
    phase::Timetable,
    settlement::settle,
    value::{self, Evidence, Outcome, Standing},
    verdict::{check_header, check_length, Owed},
};

const PAGE: &str = include_str!("../../../docs/protocol.md");
const CRATE: &str = include_str!("../src/lib.rs");

/// A test for each anchor, and the list of them.
macro_rules! rules {
    ($($rule:ident),* $(,)?) => {
        const TESTED: &[&str] = &[$(stringify!($rule)),*];
        const TESTS: &[fn(&Section)] = &[$($rule),*];

        mod the_page_is_true_of {
            $(
                #[test]
                fn $rule() {
                    super::$rule(&super::Section::of(stringify!($rule)));
                }
            )*
        }
    };
}

rules![
    eligibility,
    assignment,
    phase,
    commitment,
    verdict,
    attestation,
    settlement,
    lineage,
    checkpoint,
    value,
    limits,
];

#[test]
fn rules_anchors_and_tests_are_the_same() {
    let found = |text: &'static str, before: &str, after: &str| -> BTreeSet<&str> {
        let names = text
            .lines()
            .filter_map(|line| line.strip_prefix(before)?.strip_suffix(after));
        names.collect()
    };
    let rules = found(CRATE, "pub mod ", ";");
    let anchors = found(PAGE, "<a id=\"", "\"></a>");
    let tested: BTreeSet<&str> = TESTED.iter().copied().collect();
    assert_eq!(
        anchors, rules,
        "docs/protocol.md and primitives/protocol/src"
    );
    assert_eq!(tested, rules, "primitives/protocol/tests/page.rs and src");
    let headings: Vec<String> = PAGE
        .lines()
        .filter_map(|line| line.strip_prefix("## ")?.split(':').next())
        .map(str::to_lowercase)
        .collect();
    assert!(headings.iter().eq(TESTED), "{headings:?}");
}

/// No number of the page is there for show: changed by one, it fails its test.
#[test]
fn a_wrong_number_is_found() {
    for (rule, test) in TESTED.iter().zip(TESTS) {
        let Section(text) = Section::of(rule);
        for number in numbers(&text) {
            let wrong = text[number.clone()].replace(',', "").parse::<u64>();
            let wrong = (wrong.expect("digits") + 1).to_string();
            let mut changed = text.clone();
            changed.replace_range(number.clone(), &wrong);
            let found = std::panic::catch_unwind(|| test(&Section(changed))).is_err();
            let before = &text[..number.end];
            assert!(
                found,
                "{rule}: nothing depends on the last number of: {before}"
            );
        }
    }
}

/// Where the numbers of a text are.
fn numbers(text: &str) -> Vec<Range<usize>> {
    let is_part = |at: usize| {
        let rest = &text.as_bytes()[at..];
        match rest {
            [b',', next, ..] => next.is_ascii_digit() && at > 0,
            [first, ..] => first.is_ascii_digit(),
            [] => false,
        }
    };
    let mut found: Vec<Range<usize>> = Vec::new();
    for at in (0..text.len()).filter(|at| is_part(*at)) {
        match found.last_mut() {
            Some(last) if last.end == at => last.end = at + 1,
            _ if text.as_bytes()[at] != b',' => found.push(at..at + 1),
            _ => {}
        }
    }
    found
}

/// What the page says of one rule, on one line.
struct Section(String);

impl Section {
    fn of(rule: &str) -> Section {
        let anchor = format!("<a id=\"{rule}\"></a>");
        let (_, text) = PAGE.split_once(&anchor).expect("the page has the anchor");
        let text = text.split("<a id=").next().expect("there is a first part");
        Section(text.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// The text holds these words: a condition that the lines behind the call hold against the code.
    fn says(&self, words: &str) {
        assert!(self.0.contains(words), "not on the page: {words}");
    }

    /// What stands between these words.
    fn between(&self, before: &str, after: &str) -> &str {
        let (_, rest) = self.0.split_once(before).expect(before);
        let (found, _) = rest.split_once(after).expect(after);
        found
    }

    /// The number between these words.
    fn number(&self, before: &str, after: &str) -> u64 {
        let digits = self.between(before, after).replace(',', "");
        digits.parse().expect(before)
    }

    /// The fraction between these words.
    fn fraction(&self, before: &str, after: &str) -> (u64, u64) {
        let (above, below) = self.between(before, after).split_once('/').expect(before);
        let parsed = |number: &str| number.parse().expect(before);
        (parsed(above), parsed(below))
    }
}

fn root(number: u8) -> H256 {
    H256([number; 32])
}

fn eligibility(page: &Section) {
    let rules = |min_validator_stake, max_validators| Hyperparameters {
        min_validator_stake,
        min_miner_bond: 7,
        max_validators,
        ..Hyperparameters::default()
    };
    let least = page.number("`min_validator_stake`, and at least ", " pebble");
    assert!(may_validate(&rules(0, 2), least) && !may_validate(&rules(0, 2), least - 1));
    assert!(may_validate(&rules(9, 2), 9) && !may_validate(&rules(9, 2), 8));
    let most = page.number("never more than ", ".");
    assert_eq!(seats(&rules(1, u16::MAX)) as u64, most);
    page.says("There are `max_validators` of them");
    assert_eq!(seats(&rules(1, 5)), 5);
    page.says("to the most stake, of equal stakes to the lowest uid");
    let sitting = seated(&rules(1, 2), [(8, 5), (3, 5), (5, 6)], |one| *one);
    assert_eq!(sitting, [(5, 6), (3, 5)]);
    page.says("mines if its bond is at least `min_miner_bond`");
    assert_eq!(claim(&rules(9, 2), 8, || 7), Claim::Data);
    assert_eq!(claim(&rules(9, 2), 8, || 6), Claim::Nothing);
    page.says("never mines, even if no seat is left");
    assert_eq!(claim(&rules(9, 0), 9, || 7), Claim::Seat);
}

fn assignment(page: &Section) {
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
    let all: Vec<Uid> = (0..12).collect();
    assert_ne!(slots(root(1), &all), slots(root(2), &all));
    page.says("the lot decides who sits the round out");
    let few = draw_slots(root(1), &all, 2 * per_miner, per_miner);
    assert_eq!(few, slots(root(1), &all)[..2]);
}

fn phase(page: &Section) {
    let at = |train| Timetable {
        start: 100,
        phases: Phases {
            train,
            reveal: 4,
            attest: 4,
        },
    };
    page.says("first for training, then for revealing, then for attesting");
    let round = at(60);
    let phases = [100, 159, 160, 163, 164, 167, 168].map(|now| round.phase(now));
    use Phase::*;
    assert_eq!(
        phases,
        [Train, Train, Reveal, Reveal, Attest, Attest, Settle]
    );
    let left = page.number("Training ends ", " blocks before");
    let margin = |round: Timetable| u64::from(round.commit_deadline() - round.training_deadline());
    assert_eq!(margin(round), left);
    let share = page.number("earlier by a ", "rd of the train phase");
    assert_eq!(margin(at(6)), 6 / share);
    let sent = page.number(
        "An attestation is sent ",
        " blocks before the round is over",
    );
    assert_eq!(u64::from(round.due() - round.attest_deadline()), sent);
}

const HOTKEY: [u8; 32] = [3; 32];
const KEY: [u8; 32] = [5; 32];

fn a_commitment(length: u64) -> Commitment {
    Commitment {
        parent_root: root(1),
        sealed_root: root(2),
        length,
        key_hash: key_hash(7, 4, &HOTKEY, &KEY),
    }
}

fn commitment(page: &Section) {
    let commit = |phase, known: Option<&Contribution<[u8; 32]>>, commitment| {
        commitment::commit(phase, known, HOTKEY, commitment, 100)
    };
    page.says("may commit once, in the train phase");
    let known = commit(Phase::Train, None, a_commitment(9)).expect("it may");
    assert!(commit(Phase::Reveal, None, a_commitment(9)).is_err());
    assert!(commit(Phase::Train, Some(&known), a_commitment(9)).is_err());
    let least = page.number("a file of at least ", " byte and");
    assert!(commit(Phase::Train, None, a_commitment(least)).is_ok());
    assert!(commit(Phase::Train, None, a_commitment(least - 1)).is_err());
    page.says("no hash that is zero");
    let zero = Commitment {
        sealed_root: H256::zero(),
        ..a_commitment(9)
    };
    assert!(commit(Phase::Train, None, zero).is_err());
    page.says("may reveal once, in the reveal phase, the key that it committed to");
    let reveal = |phase, known: &Contribution<[u8; 32]>, hotkey, key| {
        commitment::reveal(phase, Some(known.clone()), (7, 4, hotkey), key)
    };
    let revealed = reveal(Phase::Reveal, &known, &HOTKEY, KEY).expect("it may");
    assert!(reveal(Phase::Train, &known, &HOTKEY, KEY).is_err());
    assert!(reveal(Phase::Attest, &known, &HOTKEY, KEY).is_err());
    assert!(reveal(Phase::Reveal, &known, &HOTKEY, [6; 32]).is_err());
    assert!(reveal(Phase::Reveal, &revealed, &HOTKEY, KEY).is_err());
    page.says("opens nothing for anybody else");
    assert!(reveal(Phase::Reveal, &known, &[4; 32], KEY).is_err());
}

fn verdict(page: &Section) {
    let owed = |parent_root| Owed {
        netuid: 7,
        round: 4,
        hotkey: HOTKEY,
        commitment: Commitment {
            parent_root,
            ..a_commitment(9)
        },
        parent_root: root(1),
        layout_hash: root(8),
        inner_steps: 30,
    };
    let header = Header {
        netuid: 7,
        round: 4,
        hotkey: HOTKEY,
        parent_root: root(1),
        layout_hash: root(8),
        inner_steps: 30,
        tokens: 1,
        mean_loss: 2.0,
    };
    assert_eq!(check_header(&owed(root(1)), &header), Ok(()));
    type Spoil = fn(&mut Header);
    let spoils: BTreeMap<&str, Spoil> = BTreeMap::from([
        ("subnet", (|header| header.netuid = 1) as Spoil),
        ("round", |header| header.round = 1),
        ("hotkey", |header| header.hotkey = [1; 32]),
        ("parent root", |header| header.parent_root = root(9)),
        ("layout", |header| header.layout_hash = root(9)),
    ]);
    let named = page.between("must name the ", " that it is for");
    let named: BTreeSet<&str> = named.split(", ").flat_map(|n| n.split(" and ")).collect();
    assert_eq!(named, spoils.keys().copied().collect());
    for (field, spoil) in spoils {
        let mut other = header.clone();
        spoil(&mut other);
        let refusal = check_header(&owed(root(1)), &other).expect_err(field);
        assert!(refusal.to_string().contains(field), "{refusal}");
    }
    page.says("The commitment must name the same parent root");
    assert!(check_header(&owed(root(9)), &header).is_err());
    page.says("at most the inner steps that a round has");
    let more = Header {
        inner_steps: 31,
        ..header
    };
    assert!(check_header(&owed(root(1)), &more).is_err());
    page.says("the length that were committed to");
    assert!(check_length(&owed(root(1)), 9).is_ok() && check_length(&owed(root(1)), 8).is_err());
}

fn attested(good: &[Uid]) -> Attestation {
    Attestation {
        model_root: root(1),
        verdicts: Verdicts::from_uids(good.iter().copied()),
    }
}

/// A tally of validators with these stakes and of these revealed contributions.
fn tally(stakes: &[u64], revealed: &[Uid]) -> Tally {
    let mut tally = Tally::new(stakes.iter().copied());
    for uid in revealed {
        tally.reveal(*uid).expect("there is room");
    }
    tally
}

fn attestation(page: &Section) {
    let mut tally = tally(&[40, 60], &[1, 2]);
    let may = |tally: &Tally, phase, before, root, good: &[Uid]| {
        let verdicts = Verdicts::from_uids(good.iter().copied());
        attestation::check(phase, before, tally, root, &verdicts).is_ok()
    };
    page.says("may attest once, in the attest phase: to a root that is not zero");
    assert!(may(&tally, Phase::Attest, false, root(1), &[1]));
    assert!(!may(&tally, Phase::Attest, true, root(1), &[1]));
    for phase in [Phase::Train, Phase::Reveal, Phase::Settle] {
        assert!(!may(&tally, phase, false, root(1), &[1]));
    }
    assert!(!may(&tally, Phase::Attest, false, H256::zero(), &[1]));
    page.says("A verdict on what was not revealed is refused");
    assert!(!may(&tally, Phase::Attest, false, root(1), &[3]));
    page.says("took with it when it left is passed over");
    tally.miner_leaves(2);
    assert!(may(&tally, Phase::Attest, false, root(1), &[1, 2]));
    page.says("counts the stake that the validator had");
    tally.add(&attested(&[1]), 40).expect("it fits");
    assert_eq!((tally.attesting_stake, tally.support[&1]), (40, 40));
    page.says("goes when the validator leaves");
    let left = tally.validator_leaves(9, 40, Some(&attested(&[1])));
    assert_eq!(left, Ok(()));
    assert_eq!((tally.attesting_stake, tally.support[&1]), (0, 0));
    assert_eq!(tally.total_stake, 60);
}

fn settlement(page: &Section) {
    let (above, below) = page.fraction("with at least ", " of the round's stake");
    let quorum = |stake| {
        let mut tally = tally(&[below * 100], &[]);
        tally.add(&attested(&[]), stake).expect("it fits");
        tally.has_quorum()
    };
    assert!(quorum(above * 100) && !quorum(above * 100 - 1));
    let (above, below) = page.fraction("what at least ", " of the attesting stake");
    let included = |parent, support: u64, most, revealed: &[Uid]| {
        let mut tally = tally(&[below * 100], revealed);
        tally.add(&attested(revealed), support).expect("it fits");
        tally
            .add(&attested(&[]), below * 100 - support)
            .expect("it fits");
        let contribution = |uid: Uid| {
            Some(Contribution {
                hotkey: uid,
                commitment: Commitment {
                    parent_root: parent,
                    ..a_commitment(9)
                },
                key: Some(KEY),
            })
        };
        // The last epoch's incentive of uid 6 is the highest.
        let incentive = |uid: Uid| u16::from(uid == 6);
        settle(&tally, None, most, contribution, incentive)
    };
    let uids = |parent, support, most, revealed: &[Uid]| -> Vec<Uid> {
        let settled = included(parent, support, most, revealed);
        settled.included.iter().map(|(uid, _)| *uid).collect()
    };
    assert_eq!(uids(root(1), above * 100, 9, &[4]), [4]);
    assert!(uids(root(1), above * 100 - 1, 9, &[4]).is_empty());
    page.says("what began from the final root");
    assert!(uids(root(2), above * 100, 9, &[4]).is_empty());
    page.says("the highest incentive of the last epoch comes first, then the lowest uid");
    assert_eq!(uids(root(1), above * 100, 2, &[4, 5, 6]), [4, 6]);
    page.says("If nothing is included the round is null, and the parameters stay");
    let null = included(root(2), above * 100, 9, &[4]);
    assert_eq!(null.expected, Some(root(1)));
}

fn lineage(page: &Section) {
    let (above, below) = page.fraction("a quorum and at least ", " of the attesting stake");
    let of = |expected, votes: &[(u8, u64)]| {
        let mut tally = tally(&[below * 100], &[]);
        for (number, stake) in votes {
            let model_root = root(*number);
            let attestation = Attestation {
                model_root,
                ..attested(&[])
            };
            tally.add(&attestation, *stake).expect("it fits");
        }
        Ancestor::of(expected, &tally)
    };
    page.says("the most stake behind it leads, of equals the smallest");
    assert_eq!(of(None, &[(3, 90), (2, 100)]).model_root, root(2));
    assert_eq!(of(None, &[(3, 100), (2, 100)]).model_root, root(2));
    let split = |most: u64| of(None, &[(3, most), (2, below * 100 - most)]).final_root();
    assert_eq!(split(above * 100), Some(root(3)));
    assert_eq!(split(above * 100 - 1), None);
    page.says("unless the chain knows better. The chain knows the root of round 0");
    assert_eq!(of(Some(root(2)), &[(3, below * 100)]).final_root(), None);
    page.says("after a null round it knows that the parameters are those before it");
    let last = of(None, &[(3, below * 100)]);
    assert_eq!(last.expected_next(None, false), Some(root(3)));
    assert_eq!(last.expected_next(None, true), None);
    page.says("another root than the final one of its round has diverged");
    assert_eq!(contradiction(4, root(3), [(4, root(2))]), Some(root(2)));
    assert_eq!(contradiction(4, root(2), [(4, root(2))]), None);
    assert_eq!(contradiction(5, root(3), [(4, root(2))]), None);
}

fn checkpoint(page: &Section) {
    let first = page.number("are written when round ", " begins");
    let every = page.number("whenever a round begins that ", " divides");
    let due: Vec<u64> = (0..=3 * every)
        .filter(|round| checkpoint::is_due(*round as u32))
        .collect();
    assert_eq!(due, [first, every, 2 * every, 3 * every]);
    page.says("while the chain still has the round that they begin");
    let candidates = [(9, root(1))];
    let sources = |held, oldest| checkpoint::sources(held, &candidates, oldest);
    assert_eq!(sources(Some(4), 4)[0], Source::Held(4));
    assert_eq!(sources(Some(4), 5), [Source::Checkpoint(9, root(1))]);
    let back = page.number("it looks back ", " rounds");
    assert_eq!(
        u64::from(checkpoint::first_looked_at(1_000, 0)),
        1_000 - back
    );
    let tried = page.number("tries the newest ", " checkpoints");
    let listed = || (0..50).map(|round| (round, root(1)));
    let found = checkpoint::candidates(listed(), listed(), 0);
    assert_eq!(found.len() as u64, tried);
    assert_eq!(found[0].0, 49);
    page.says("in the store whose roots are final");
    let other = listed().map(|(round, _)| (round, root(2)));
    assert!(checkpoint::candidates(listed(), other, 0).is_empty());
    page.says("come last, and only while the chain still has round 0");
    assert_eq!(sources(None, 0).last(), Some(&Source::First));
    assert!(!sources(None, 1).contains(&Source::First));
}

/// Gains with this mean and this standard error.
fn gains(mean: f32, error: f32) -> Vec<f32> {
    // 16 gains on each side, so far from the mean that the error of the mean is right.
    let off = error * 31f32.sqrt();
    (0..32)
        .map(|number| {
            if number % 2 == 0 {
                mean + off
            } else {
                mean - off
            }
        })
        .collect()
}

fn value(page: &Section) {
    let windows = page.number("on at most ", " windows of each kind");
    assert_eq!(limits::VALUE_WINDOWS, windows);
    let errors = page.number("if it is more than ", " standard errors above zero") as f32;
    let of = |own: &[f32], free: &[f32]| value::round_gain(own, free);
    let (above, below) = (errors * 0.01 * 1.01, errors * 0.01 * 0.99);
    assert!(of(&gains(above, 0.01), &gains(above, 0.01)) > 0.0);
    assert_eq!(of(&gains(below, 0.01), &gains(below, 0.01)), 0.0);
    let errors = page.number("is not lower by more than ", " standard errors") as f32;
    let error_of_difference = 0.01 * 2f32.sqrt();
    let lower = |times: f32| gains(0.5 - errors * error_of_difference * times, 0.01);
    assert!(of(&lower(0.99), &gains(0.5, 0.01)) > 0.0);
    assert_eq!(of(&lower(1.01), &gains(0.5, 0.01)), 0.0);
    scores_are_as(page);
    rows_are_as(page);
}

fn measured(round: u32, uid: Uid, committed_at: u32) -> Evidence {
    Evidence {
        round,
        uid,
        hotkey: root(uid as u8),
        outcome: Outcome::Measured {
            values: root(round as u8),
            committed_at,
            assigned: gains(0.5, 0.01),
            unassigned: gains(0.5, 0.01),
        },
    }
}

fn scores_are_as(page: &Section) {
    let rounds = page.number("the mean over the last ", " rounds") as u32;
    let score = |log: &[Evidence], newest, uid: Uid| {
        value::scores(log, newest)
            .get(&(uid, root(uid as u8)))
            .copied()
    };
    let one = [measured(3, 1, 0)];
    let whole = score(&one, 3 + rounds - 1, 1).expect("it is looked at");
    assert_eq!(score(&one, 3 + rounds, 1), None);
    page.says("delivered nothing good counts as zero");
    let missed = Evidence {
        outcome: Outcome::Missed,
        ..measured(4, 1, 0)
    };
    assert_eq!(score(&[one[0].clone(), missed], 4, 1), Some(whole / 2.0));
    page.says("which this validator knows nothing does not count");
    assert_eq!(Standing::of(false, true), Standing::Unknown);
    assert_eq!(Standing::of(false, false), Standing::Missed);
    page.says("Of equal values the first commitment counts");
    let copies = [measured(3, 1, 8), measured(3, 2, 7)];
    assert_eq!(score(&copies, 3, 1), Some(0.0));
    assert_eq!(score(&copies, 3, 2), Some(whole));
}

fn rows_are_as(page: &Section) {
    let highest = page.number("the highest score becomes ", ";") as u16;
    let scores: BTreeMap<(Uid, H256), f64> = [(1, 2.0), (2, 1.0), (3, 9.0), (4, 9.0)]
        .map(|(uid, score)| ((uid, root(uid as u8)), score))
        .into();
    let members = [1, 2, 3].map(|uid| (uid, root(uid as u8)));
    page.says("who is no member is not in it, nor is the validator itself");
    let row = value::row(&scores, members, root(3)).expect("somebody is worth something");
    assert_eq!(row, [(1, highest), (2, highest / 2 + 1)]);
}

fn limits(page: &Section) {
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
