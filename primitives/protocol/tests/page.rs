//! Holds `docs/protocol.md` against the code: each rule has an anchor there, each anchor a rule and a test here, and
//! the numbers are those of the page.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use cairn_primitives::{
    finding_hash, key_hash, AuditOutcome, AuditRules, Carried, Commitment, EngineClass, Finding,
    Header, Hotkey, Hyperparameters, ModelRoot, Netuid, Phase, Phases, Pots, Questions, Role,
    Round, SealedRoot, Served, Uid, Verdicts, Work, H256,
};
use cairn_protocol::{
    assignment::{draw_slots, slots, DataRange, Shown},
    attendance::Absence,
    attestation::{self, Attestation, Statement, Tally},
    audit::{self as rule, Refusal, Said, Stage, Times},
    checkpoint::{self, Source},
    commitment::{self, Contribution},
    eligibility::{claim, may_validate, seated, seats, Claim},
    emission::{due_to, is_recent, is_work, Attendance, Late, Record},
    endpoint::{self as place, can_be_set_from},
    exam, limits,
    lineage::{contradiction, penalties, percent_of, Ancestor},
    notice,
    phase::{Attesting, RoundStage, Timetable},
    registration,
    settlement::{settle, trusts},
    trace,
    turnout::{Member, Turnout},
    value::{self, Evidence, Outcome},
    verdict::{check_carried, check_header, check_length, check_norm, Last, Owed},
    wages::{in_question, still_paid, Ended, Withheld},
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
    registration,
    eligibility,
    notice,
    attendance,
    assignment,
    phase,
    turnout,
    commitment,
    trace,
    verdict,
    attestation,
    settlement,
    lineage,
    checkpoint,
    exam,
    audit,
    value,
    emission,
    wages,
    endpoint,
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

fn model(number: u8) -> ModelRoot {
    ModelRoot(root(number))
}

fn registration(page: &Section) {
    let domain = page.between("the text `", "`, the hash of block");
    let bytes = registration::payload(&root(1), Netuid(0x0203), &[4u8; 32]);
    let block = page.number("the hash of block ", ", the netuid");
    let netuid = page.number("the netuid in ", " bytes");
    let account = page.number("the coldkey in ", " bytes");
    let total = page.number("together ", " bytes");
    assert_eq!(block, 0);
    let before = [domain.as_bytes(), &[1; 32]].concat();
    assert_eq!(bytes[..before.len()], before);
    page.says("bytes, low one first");
    assert_eq!(bytes[before.len()..][..netuid as usize], [3, 2]);
    assert_eq!(bytes[before.len() + 2..], vec![4; account as usize]);
    assert_eq!(bytes.len() as u64, total);

    page.says("the member whom the last epoch paid least. Among equals the one that came first goes, then the lowest uid.");
    page.says("less than `immunity_period` ago stays, and so does the oldest of the owner's own");
    let rows = [
        (0, true, 1, 0),
        (1, false, 2, 5),
        (2, false, 2, 5),
        (3, false, 90, 0),
    ];
    let seats = rows.iter().map(|row| registration::Seat {
        uid: Uid(row.0),
        is_owners: row.1,
        registered_at: row.2,
    });
    let paid = |uid: Uid| rows[usize::from(uid.0)].3;
    assert_eq!(registration::replaced(seats, 11, 100, paid), Some(Uid(1)));
}

fn notice(page: &Section) {
    let tempos = page.number("the present unbonding period or ", " tempos");
    let rules = |tempo, unbonding_period| Hyperparameters {
        tempo,
        unbonding_period,
        ..Hyperparameters::default()
    };
    page.says("whichever is longer");
    let from = |rules| notice::rules_from(100, &rules).expect("blocks are left");
    assert_eq!(u64::from(from(rules(5, 7))), 100 + 5 * tempos);
    assert_eq!(from(rules(5, 70)), 170);
    let times = page.number("he may ask for ", " times as much");
    let least = page.number("at once, or for ", " CRN") * cairn_primitives::CRN;
    let asks = |stake| Hyperparameters {
        min_validator_stake: stake,
        ..Hyperparameters::default()
    };
    let may_be = |present, next| notice::is_gradual(&asks(present), &asks(next));
    assert!(may_be(2 * least, 2 * least * times) && !may_be(2 * least, 2 * least * times + 1));
    assert!(may_be(0, least) && !may_be(0, least + 1));
    page.says("an unbonding period after its coldkey announced it");
    assert_eq!(notice::swap_from(100, &rules(5, 70)), Some(170));
    let tempos = page.number("chosen again after ", " tempos");
    assert_eq!(
        u64::from(notice::role_from(100, &rules(5, 70))),
        100 + 5 * tempos
    );
}

fn eligibility(page: &Section) {
    let rules = |min_validator_stake, max_validators| Hyperparameters {
        min_validator_stake,
        min_miner_bond: 7,
        max_validators,
        ..Hyperparameters::default()
    };
    let least = page.number("`min_validator_stake`, and at least ", " pebble");
    let validates = |rules, stake| may_validate(&rules, Role::Validator, stake);
    assert!(validates(rules(0, 2), least) && !validates(rules(0, 2), least - 1));
    assert!(validates(rules(9, 2), 9) && !validates(rules(9, 2), 8));
    let most = page.number("never more than ", ".");
    assert_eq!(seats(&rules(1, u16::MAX)) as u64, most);
    page.says("There are `max_validators` of them");
    assert_eq!(seats(&rules(1, 5)), 5);
    page.says("to the most stake, of equal stakes to the lowest uid");
    let sitting = seated(&rules(1, 2), [(8, 5), (3, 5), (5, 6)], |(uid, stake)| {
        (Uid(*uid), Role::Validator, *stake)
    });
    assert_eq!(sitting, [(5, 6), (3, 5)]);
    page.says("mines if its bond is at least `min_miner_bond`");
    let claims = |role, stake, bond| claim(&rules(9, 0), role, || stake, || bond);
    assert_eq!(claims(Role::Miner, 0, 7), Claim::Data);
    assert_eq!(claims(Role::Miner, 0, 6), Claim::Nothing);
    page.says("Stake makes no miner a validator");
    assert_eq!(claims(Role::Miner, u64::MAX, 7), Claim::Data);
    page.says("never mines, even if no seat is left");
    assert_eq!(claims(Role::Validator, 9, 7), Claim::Seat);
    assert_eq!(claims(Role::Validator, 8, 7), Claim::Nothing);
}

fn attendance(page: &Section) {
    let most = page.number("that misses ", " rounds in a row");
    let missing = |rounds| (0..rounds).fold(Absence::default(), |one, _| one.after(false));
    assert!(!missing(most).is_expected() && missing(most - 1).is_expected());
    assert!(missing(most - 1).after(true).is_nothing());
    page.says("a miner that fails an [audit]");
    assert!(!Absence::default().out().is_expected());
    page.says("until it says that it is back");
    page.says("it has one round to show it");
    let back = missing(most).back().expect("it was not expected");
    assert!(back.is_expected() && !back.after(false).is_expected());
    assert!(back.after(true).is_nothing());
    let from = page.number("and from the ", "nd in a row on") as u32;
    let halved = |undecided, said| {
        Absence::default()
            .leak(None, model(1), undecided, said)
            .halved
    };
    page.says("With each round that has no final root");
    page.says("stake halves if it attested nothing");
    assert_eq!((halved(1, None), halved(from, None)), (1, 1));
    page.says("also if it attested another root than the leading one");
    let alone = [from - 1, from].map(|undecided| halved(undecided, Some(model(2))));
    assert_eq!(alone, [0, 1]);
    assert_eq!(halved(from, Some(model(1))), 0);
    let leaked = |halved| Absence {
        halved,
        ..Absence::default()
    };
    assert_eq!((leaked(0).counted(8), leaked(2).counted(8)), (8, 2));
    let least = page.number("is left is at least ", " pebble");
    assert_eq!(leaked(60).counted(8), least);
    page.says("once the validator has attested a final root");
    let after = |said| leaked(5).leak(Some(model(1)), model(1), 0, said).halved;
    assert_eq!((after(Some(model(1))), after(None)), (0, 5));
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
    let all: Vec<Uid> = (0..12).map(Uid).collect();
    assert_ne!(slots(root(1), &all), slots(root(2), &all));
    page.says("Among equals the lot decides who sits the round out");
    let few = draw_slots(root(1), &all, 2 * per_miner, per_miner, |_| Shown::IsThere);
    assert_eq!(few, slots(root(1), &all)[..2]);
    page.says(
        "those come first that earned something in the last epoch, then those that missed nothing",
    );
    let part = page.number("But one slot in ", ",") as u16;
    let shown = |uid: &Uid| match uid.get() {
        0..40 => Shown::Earns,
        40..60 => Shown::IsThere,
        _ => Shown::Missed,
    };
    let many: Vec<Uid> = (0..80).map(Uid).collect();
    let drawn = |room: u16| {
        let slots = draw_slots(root(1), &many, room.into(), 1, shown);
        let of = |one: Shown| slots.iter().filter(|uid| shown(uid) == one).count() as u16;
        [Shown::Earns, Shown::IsThere, Shown::Missed].map(of)
    };
    assert_eq!(drawn(2 * part), [2 * part - 2, 2, 0]);
    assert_eq!(drawn(2 * part - 1), [2 * part - 2, 1, 0]);
    let least = page.number("and at least ", ", is for") as u16;
    assert_eq!(drawn(3), [3 - least, least, 0]);
    assert_eq!(drawn(70), [40, 20, 10]);
}

fn phase(page: &Section) {
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

fn turnout(page: &Section) {
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

const HOTKEY: Hotkey = Hotkey(H256([3; 32]));
const KEY: [u8; 32] = [5; 32];

fn a_commitment(length: u64) -> Commitment {
    Commitment {
        parent_root: model(1),
        sealed_root: SealedRoot(root(2)),
        length,
        key_hash: key_hash(Netuid(7), 4, &HOTKEY, &KEY),
    }
}

fn commitment(page: &Section) {
    let commit = |phase, known: Option<&Contribution<Hotkey>>, commitment| {
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
        sealed_root: SealedRoot::zero(),
        ..a_commitment(9)
    };
    assert!(commit(Phase::Train, None, zero).is_err());
    page.says("may reveal once, in the reveal phase, the key that it committed to");
    let reveal = |phase, known: &Contribution<Hotkey>, hotkey, key| {
        commitment::reveal(phase, Some(known.clone()), (Netuid(7), 4, hotkey), key)
    };
    let revealed = reveal(Phase::Reveal, &known, &HOTKEY, KEY).expect("it may");
    assert!(reveal(Phase::Train, &known, &HOTKEY, KEY).is_err());
    assert!(reveal(Phase::Attest, &known, &HOTKEY, KEY).is_err());
    assert!(reveal(Phase::Reveal, &known, &HOTKEY, [6; 32]).is_err());
    assert!(reveal(Phase::Reveal, &revealed, &HOTKEY, KEY).is_err());
    page.says("opens nothing for anybody else");
    assert!(reveal(Phase::Reveal, &known, &Hotkey(H256([4; 32])), KEY).is_err());
}

fn verdict(page: &Section) {
    let owed = |parent_root| Owed {
        netuid: Netuid(7),
        round: 4,
        hotkey: HOTKEY,
        commitment: Commitment {
            parent_root,
            ..a_commitment(9)
        },
        parent_root: model(1),
        layout_hash: root(8),
        inner_steps: 30,
        engine: None,
    };
    let header = Header {
        netuid: Netuid(7),
        round: 4,
        hotkey: HOTKEY,
        parent_root: model(1),
        layout_hash: root(8),
        inner_steps: 30,
        tokens: 1,
        mean_loss: 2.0,
        work: Work::default(),
    };
    assert_eq!(check_header(&owed(model(1)), &header), Ok(()));
    type Spoil = fn(&mut Header);
    let spoils: BTreeMap<&str, Spoil> = BTreeMap::from([
        ("subnet", (|header| header.netuid = Netuid(1)) as Spoil),
        ("round", |header| header.round = 1),
        ("hotkey", |header| header.hotkey = Hotkey(H256([1; 32]))),
        ("parent root", |header| header.parent_root = model(9)),
        ("layout", |header| header.layout_hash = root(9)),
    ]);
    let named = page.between("must name the ", " that it is for");
    let named: BTreeSet<&str> = named.split(", ").flat_map(|n| n.split(" and ")).collect();
    assert_eq!(named, spoils.keys().copied().collect());
    for (field, spoil) in spoils {
        let mut other = header.clone();
        spoil(&mut other);
        let refusal = check_header(&owed(model(1)), &other).expect_err(field);
        assert!(refusal.to_string().contains(field), "{refusal}");
    }
    page.says("The commitment must name the same parent root");
    assert!(check_header(&owed(model(9)), &header).is_err());
    page.says("at most the inner steps that a round has");
    let more = Header {
        inner_steps: 31,
        ..header.clone()
    };
    assert!(check_header(&owed(model(1)), &more).is_err());
    page.says("In a run that audits it must name a CPU as what computed it");
    let audited = Owed {
        engine: Some(EngineClass::CPU),
        ..owed(model(1))
    };
    let card = Header {
        work: Work {
            engine: EngineClass::cuda("a card"),
            ..Work::default()
        },
        ..header.clone()
    };
    assert!(check_header(&owed(model(1)), &card).is_ok());
    assert!(check_header(&audited, &card).is_err() && check_header(&audited, &header).is_ok());
    let parts = page.number("at least 1/", " of the median norm");
    let norm = 3.0;
    assert!(check_norm(norm / parts as f64, Some(norm)).is_ok());
    assert!(check_norm(0.99 * norm / parts as f64, Some(norm)).is_err());
    page.says("Before the first such round any norm will do");
    assert!(check_norm(1e-9, None).is_ok());
    page.says("what its maker had after its last included contribution, or from nothing");
    let ended = Carried {
        feedback: root(4),
        ..Carried::default()
    };
    let from = |before| Header {
        work: Work {
            before,
            ..Work::default()
        },
        ..header.clone()
    };
    assert!(check_carried(&from(ended), &Last::Ended(ended)).is_ok());
    assert!(check_carried(&from(Carried::default()), &Last::Ended(ended)).is_ok());
    assert!(check_carried(&from(ended), &Last::Nothing).is_err());
    page.says("A maker that was not included goes on from where it was before that round.");
    page.says("Who has not seen all rounds does not object to a maker of which it has seen none.");
    assert!(check_carried(&from(ended), &Last::Unknown).is_ok());
    page.says("the length that were committed to");
    assert!(check_length(&owed(model(1)), 9).is_ok() && check_length(&owed(model(1)), 8).is_err());
}

fn trace(page: &Section) {
    page.says("the state before the first inner step, that after each `trace_every` steps, and that after the last");
    let steps = page.number("with ", " steps and a distance") as u32;
    let every = page.number("a distance of ", ", those after") as u16;
    let traced = (0..=steps).filter(|done| trace::is_traced(*done, steps, every));
    let listed: Vec<String> = traced.map(|done| done.to_string()).collect();
    page.says(&format!("those after {}", listed.join(", ")));
    page.says("opens no others than those that it had");
    let states: Vec<H256> = (0..5).map(root).collect();
    let (top, shown) = (
        trace::root(&states),
        trace::proof(&states, 3).expect("it is there"),
    );
    assert!(
        trace::opens(top, 5, 3, states[3], &shown) && !trace::opens(top, 5, 2, states[3], &shown)
    );
}

fn attested(good: &[Uid]) -> Attestation {
    Attestation {
        model_root: model(1),
        verdicts: Verdicts::from_uids(good.iter().copied()),
        witness: root(2),
        salt: [9; 32],
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
    page.says("commits once, in the first half of the attest phase, to a hash that is not zero");
    let commit = |half, known, hash| attestation::commit(half, known, hash).is_ok();
    let at = (Netuid(7), 4, &HOTKEY);
    let said = attested(&[Uid(1)]);
    let known = Statement::Committed(said.hash(at));
    assert!(commit(Attesting::Commit, None, root(1)));
    assert!(!commit(Attesting::Commit, Some(&known), root(1)));
    assert!(!commit(Attesting::Commit, None, H256::zero()));
    page.says("It attests once, in the second half: to a root that is not zero");
    let may = |half, known: &Statement, at, said: &Attestation| {
        attestation::check(half, Some(known), at, said).is_ok()
    };
    assert!(may(Attesting::Open, &known, at, &said));
    assert!(!may(
        Attesting::Open,
        &Statement::Attested(said.clone()),
        at,
        &said
    ));
    for half in [Attesting::NotYet, Attesting::Commit, Attesting::Over] {
        assert!(!may(half, &known, at, &said));
        assert_eq!(commit(half, None, root(1)), half == Attesting::Commit);
    }
    let zero = Attestation {
        model_root: ModelRoot::zero(),
        ..said.clone()
    };
    assert!(!may(
        Attesting::Open,
        &Statement::Committed(zero.hash(at)),
        at,
        &zero
    ));
    page.says("must be what it committed to, with its salt, for that subnet, round and hotkey");
    let salted = Attestation {
        salt: [8; 32],
        ..said.clone()
    };
    assert!(!may(Attesting::Open, &known, at, &salted));
    page.says("and what shows that it measured the round before");
    let other = Attestation {
        witness: root(3),
        ..said.clone()
    };
    assert!(!may(Attesting::Open, &known, at, &other));
    let (above, below) = page.fraction("Where more than ", " of the attesting stake gave the same");
    let decisive = |stake: u64| {
        attestation::decisive_witness([(root(2), stake), (root(3), below * 100 - stake)])
    };
    assert_eq!(
        (decisive(above * 100 + 1), decisive(above * 100)),
        (Some(root(2)), None)
    );
    page.says("whoever gave another, or none, has not attended the round");
    let piece = page.number("on the first ", " windows that each miner had to train on") as usize;
    assert_eq!(piece as u64, limits::EXAM_PIECE);
    let shows = |changed: usize| {
        let mut assigned = vec![0.5; 2 * piece];
        assigned[changed] = 0.25;
        let evidence = Evidence {
            round: 3,
            uid: Uid(1),
            hotkey: HOTKEY,
            outcome: Outcome::Measured {
                steps: 1,
                of: 1,
                alike: 1,
                repeats: false,
                assigned,
                unassigned: vec![0.5; piece],
            },
        };
        exam::witness((Netuid(7), 3), root(1), &[Uid(1)], &[evidence])
    };
    assert_ne!(shows(piece - 1), shows(piece));
    assert_eq!(shows(piece), shows(2 * piece - 1));
    for other in [
        (Netuid(8), 4, &HOTKEY),
        (Netuid(7), 5, &HOTKEY),
        (Netuid(7), 4, &Hotkey(H256([4; 32]))),
    ] {
        assert!(!may(Attesting::Open, &known, other, &said));
    }
    page.says("counts for nothing");
    let mut tally = tally(&[40, 60], &[Uid(1), Uid(2)]);
    tally.miner_leaves(Uid(2));
    let mut same = tally.clone();
    same.add(&attested(&[Uid(1), Uid(2), Uid(3)]), 40)
        .expect("it fits");
    assert_eq!(same.support.keys().copied().collect::<Vec<Uid>>(), [Uid(1)]);
    page.says("counts the stake that the validator had");
    tally.add(&attested(&[Uid(1)]), 40).expect("it fits");
    assert_eq!((tally.attesting_stake, tally.support[&Uid(1)]), (40, 40));
    page.says("goes when the validator leaves");
    let left = tally.validator_leaves(Uid(9), 40, Some(&attested(&[Uid(1)])));
    assert_eq!(left, Ok(()));
    assert_eq!((tally.attesting_stake, tally.support[&Uid(1)]), (0, 0));
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
        let incentive = |uid: Uid| u16::from(uid == Uid(6));
        settle(&tally, None, most, contribution, incentive)
    };
    let uids = |parent, support, most, revealed: &[Uid]| -> Vec<Uid> {
        let settled = included(parent, support, most, revealed);
        settled.included.iter().map(|one| one.uid).collect()
    };
    assert_eq!(uids(model(1), above * 100, 9, &[Uid(4)]), [Uid(4)]);
    assert!(uids(model(1), above * 100 - 1, 9, &[Uid(4)]).is_empty());
    page.says("what began from the final root");
    assert!(uids(model(2), above * 100, 9, &[Uid(4)]).is_empty());
    page.says("the highest incentive of the last epoch comes first, then the lowest uid");
    assert_eq!(
        uids(model(1), above * 100, 2, &[4, 5, 6].map(Uid)),
        [4, 6].map(Uid)
    );
    page.says("If nothing is included the round is null, and the parameters stay");
    let null = included(model(2), above * 100, 9, &[Uid(4)]);
    assert_eq!(null.expected, Some(model(1)));
    let best = page.number("earned most in the last epoch has ", ".");
    assert_eq!(u64::from(trusts(&[1_000, 500])[0]), best);
    page.says("in proportion to what they earned");
    assert_eq!(u64::from(trusts(&[1_000, 500])[1]), best / 2);
    let least = page.number("never less than a ", "th of the most");
    assert_eq!(u64::from(trusts(&[1_000, 1])[1]), best / least);
    page.says("no more than the least of these could");
    assert_eq!(u64::from(trusts(&[1_000, 0])[1]), best / least);
    let together = page.number("at most one ", "th of all trust");
    let newcomers = trusts(&[1_000, 0, 0, 0]);
    assert_eq!(u64::from(newcomers[1]), best / (together - 1) / 3);
    page.says("If nobody earned anything, all have the same");
    assert_eq!(trusts(&[0, 0]), [u16::MAX; 2]);
}

fn lineage(page: &Section) {
    let (above, below) = page.fraction("a quorum and at least ", " of the attesting stake");
    let of = |expected, votes: &[(u8, u64)]| {
        let mut tally = tally(&[below * 100], &[]);
        for (number, stake) in votes {
            let attestation = Attestation {
                model_root: model(*number),
                ..attested(&[])
            };
            tally.add(&attestation, *stake).expect("it fits");
        }
        Ancestor::of(expected, &tally)
    };
    page.says("the most stake behind it leads, of equals the smallest");
    assert_eq!(of(None, &[(3, 90), (2, 100)]).model_root, model(2));
    assert_eq!(of(None, &[(3, 100), (2, 100)]).model_root, model(2));
    let split = |most: u64| of(None, &[(3, most), (2, below * 100 - most)]).final_root();
    assert_eq!(split(above * 100), Some(model(3)));
    assert_eq!(split(above * 100 - 1), None);
    page.says("unless the chain knows better. The chain knows the root of round 0");
    assert_eq!(of(Some(model(2)), &[(3, below * 100)]).final_root(), None);
    page.says("after a null round it knows that the parameters are those before it");
    let last = of(None, &[(3, below * 100)]);
    assert_eq!(last.expected_next(None, false), Some(model(3)));
    assert_eq!(last.expected_next(None, true), None);
    page.says("another root than the final one of its round has diverged");
    assert_eq!(contradiction(4, model(3), [(4, model(2))]), Some(model(2)));
    assert_eq!(contradiction(4, model(2), [(4, model(2))]), None);
    assert_eq!(contradiction(5, model(3), [(4, model(2))]), None);
    let low = page.number("final one loses ", " % of the bond");
    let high = page.number("on its hotkey, and ", " % if that root");
    let share = page.number("more than a ", "rd of the attesting stake");
    let loses = |stake| {
        let said = [(9, model(2), share * 100 - stake), (8, model(3), stake)];
        let found = penalties(model(2), &said);
        assert_eq!(found.len(), 1);
        u64::from(found[0].1)
    };
    assert_eq!((loses(100), loses(101)), (low, high));
    assert_eq!(percent_of(1_000, low as u8), 10 * low);
    page.says("Where no root is final nobody loses anything");
}

fn checkpoint(page: &Section) {
    let first = page.number("are written when round ", " begins");
    let every = page.number("whenever a round begins that ", " divides");
    let due: Vec<u64> = (0..=3 * every)
        .filter(|round| checkpoint::is_due(*round as u32))
        .collect();
    assert_eq!(due, [first, every, 2 * every, 3 * every]);
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

fn exam(page: &Section) {
    page.says("draws a round's exam in the block that settles it");
    let piece = page.number("in pieces of ", " of each kind");
    assert_eq!(limits::EXAM_PIECE, piece);
    let most = page.number("at most ", " of each kind");
    assert_eq!(limits::VALUE_WINDOWS, most);
    let share = page.number("at most one for each ", " that a miner trains on");
    assert_eq!(exam::most_windows(share * (most - 1)), most - 1);
    assert_eq!(exam::most_windows(share * (most + 9)), most);
    page.says("but two pieces at least");
    assert_eq!(exam::most_windows(0), 2 * piece);
    let errors = page.number("more than ", " standard errors below zero") as f32;
    let decided =
        |own: f32, free: f32, error: f32| exam::is_decided(&gains(own, error), &gains(free, error));
    assert!(decided(0.0, -errors * 0.01 * 1.01, 0.01));
    assert!(!decided(-errors * 0.01 * 0.99, -errors * 0.01 * 0.99, 0.01));
    let apart = page.number("differ by at least ", " standard errors") as f32;
    let off = |times: f32| 0.5 + apart * 0.01 * 2f32.sqrt() * times;
    assert!(decided(off(1.01), 0.5, 0.01) && !decided(off(0.99), 0.5, 0.01));
    let part = page.number("at most a ", "th of it") as f32;
    assert!(decided(9.0, 0.01 * part * 1.01, 0.01));
    assert!(!decided(9.0, 0.01 * part * 0.99, 0.01));
}

fn audit(page: &Section) {
    page.says("from randomness that nobody knew at the reveals");
    assert_ne!(
        rule::seed(Netuid(7), 4, root(1)),
        rule::seed(Netuid(7), 4, root(2))
    );
    assert_ne!(
        rule::seed(Netuid(7), 4, root(1)),
        exam::exam(Netuid(7), 4, root(1))
    );
    let all = page.number("sets, so many of ", ".") as u32;
    let rules = AuditRules {
        rate: all,
        auditors: 1,
        blocks: 4,
    };
    let is_one = |rules: AuditRules| rules.check(&audited_phases(1_992, 100)).is_ok();
    let above = AuditRules {
        rate: all + 1,
        ..rules
    };
    assert!(is_one(rules) && !is_one(above));
    assert!((0..99).all(|uid| rule::draw(root(1), Uid(uid), all).is_some()));
    let steps = page.number("states: with ", " steps") as u32;
    let every = page.number("distance of ", ", the steps up to") as u16;
    let ends = |drawn| rule::interval(drawn, steps, every).map(|one| (one.begin, one.end));
    let first = page.number("the steps up to ", ", from there to") as u32;
    let second = page.number("from there to ", ", or the last") as u32;
    let three = [(0, first), (first, second), (second, steps)].map(Some);
    assert_eq!([0, 1, 2].map(ends), three);
    assert_eq!(ends(3), ends(0));
    let last = page.number(", or the last ", ".") as u32;
    assert_eq!(steps - second, last);
    page.says("A contribution of no steps has no interval");
    assert_eq!(rule::interval(0, 0, every), None);
    let most = page.number("an odd number of at most ", ".") as u8;
    let with = |auditors| is_one(AuditRules { auditors, ..rules });
    assert!(with(most) && !with(most + 2) && !with(most - 1));
    page.says("there are fewer if there are no more");
    assert_eq!(rule::auditors(root(1), Uid(3), &[1, 2], 3).len(), 2);
    stages(page, rules);
    who_decides(page);
    let pay = page.number("for a pay of ", " pebble at");
    let rate = page.number("pebble at ", " of 65,536") as u32;
    let of = page.number("pebble at 16,384 of ", ", it is");
    assert_eq!(u64::from(AuditRules::EACH), of);
    let bond = page.number("it is ", " pebble");
    assert_eq!(rule::least_bond(pay, rate), Some(bond));
    assert_eq!(rule::least_bond(pay, rate - 1), Some(bond + 1));
    page.says("missed one more final round, if it had attested the last");
    let mut attended = Attendance::default();
    attended.note(true);
    attended.miss();
    assert_eq!(attended.attended(), (0, 1));
}

/// Phases of a round of `train` and eight blocks, of which so many percent pass in any case.
fn audited_phases(train: u32, floor: u8) -> Phases {
    Phases {
        train,
        reveal: 4,
        attest: 4,
        floor,
    }
}

/// What may be said in which stage of an audit.
fn stages(page: &Section, rules: AuditRules) {
    let least = page.number("run sets: at least ", " blocks") as u32;
    let most = page.number("blocks, at most ", ", and no longer") as u32;
    let fits = |blocks, phases| AuditRules { blocks, ..rules }.check(&phases).is_ok();
    let short = audited_phases(2, 100);
    assert!(fits(least, short) && !fits(least - 1, short));
    let long = audited_phases(9_000, 100);
    assert!(fits(most, long) && !fits(most + 1, long) && !fits(11, short));
    let rounds = page.number("Three of them are over before ", " of the shortest rounds") as u32;
    let quick = audited_phases(292, 10);
    let longest = (rounds * quick.shortest() - 1) / 3;
    assert!(fits(longest, quick) && !fits(longest + 1, quick));
    let each = page.number("It has at most ", " bytes for each parameter");
    let more = page.number("each parameter and ", " more");
    assert_eq!(rule::longest(1_000), 1_000 * each + more);
    let times = Times {
        start: 100,
        blocks: 5,
    };
    let at = [104, 105, 110, 115].map(|now| times.stage(now));
    let all = [Stage::Open, Stage::Commit, Stage::Reveal, Stage::Over];
    assert_eq!(at, all);
    let served = Served {
        root: root(1),
        length: 9,
    };
    page.says("In the first the miner says");
    let open = |stage| rule::open(stage, None, &served, 9);
    assert_eq!(
        all.map(|stage| open(stage).is_ok()),
        [true, false, false, false]
    );
    page.says("In the second stage each auditor commits");
    let commit = |stage| rule::commit(stage, true, None, root(1)).is_ok();
    assert_eq!(all.map(commit), [false, true, false, false]);
    page.says("in the third it reveals that");
    let known = Said::Committed(finding_hash(
        (Netuid(7), 4, Uid(2)),
        &HOTKEY,
        Finding::Failed,
        &[1; 32],
    ));
    let reveal = |stage, at, hotkey| {
        rule::reveal(stage, Some(&known), (at, hotkey), Finding::Failed, &[1; 32])
    };
    let right = |stage| reveal(stage, (Netuid(7), 4, Uid(2)), &HOTKEY).is_ok();
    assert_eq!(all.map(right), [false, false, true, false]);
    page.says("bound to subnet, round, contribution and hotkey");
    for (at, hotkey) in [
        ((Netuid(8), 4, Uid(2)), &HOTKEY),
        ((Netuid(7), 5, Uid(2)), &HOTKEY),
        ((Netuid(7), 4, Uid(3)), &HOTKEY),
        ((Netuid(7), 4, Uid(2)), &Hotkey(H256(KEY))),
    ] {
        let wrong = reveal(Stage::Reveal, at, hotkey);
        assert_eq!(wrong, Err(Refusal::WrongHash));
    }
}

/// How an audit ends.
fn who_decides(page: &Section) {
    let (yes, no) = (Finding::Passed, Finding::Failed);
    page.says("Most of those that revealed something decide");
    assert_eq!(rule::outcome(true, [no, yes, no]), AuditOutcome::Failed);
    assert_eq!(rule::outcome(true, [yes]), AuditOutcome::Passed);
    page.says("nothing follows");
    assert_eq!(rule::outcome(true, [no, yes]), AuditOutcome::Undecided);
    assert_eq!(rule::outcome(true, []), AuditOutcome::Undecided);
    page.says("fails by its silence");
    let silent = rule::outcome(false, []);
    assert!(silent.is_lost() && silent == AuditOutcome::Silent);
}

fn value(page: &Section) {
    let errors = page.number("if it is more than ", " standard errors above zero") as f32;
    let of = |own: &[f32], free: &[f32]| value::round_gain(own, free);
    let (above, below) = (errors * 0.01 * 1.01, errors * 0.01 * 0.99);
    assert!(of(&gains(above, 0.01), &gains(above, 0.01)) > 0.0);
    assert_eq!(of(&gains(below, 0.01), &gains(below, 0.01)), 0.0);
    let least = page.number("at least ", " windows of each kind") as usize;
    let some = gains(0.5, 0.01);
    assert!(of(&some[..least], &some) > 0.0);
    assert_eq!(of(&some[..least - 1], &some), 0.0);
    page.says("where no text is unassigned, nothing is gained");
    assert_eq!(of(&some, &[]), 0.0);
    premiums_are_as(page);
    copies_are_as(page);
    scores_are_as(page);
    rows_are_as(page);
}

fn premiums_are_as(page: &Section) {
    let nothing = page.number("for nothing up to a premium of ", ",") as f64;
    let all = page.number("in full from ", " on") as f64;
    let of = |own| value::factor(own, all, false);
    let middle = (nothing + all) / 2.0;
    assert_eq!([nothing, middle, all].map(of), [0.0, 0.5, 1.0]);
    assert!(of(nothing + 0.01) > 0.0 && of(all - 0.01) < 1.0);
    page.says("a newcomer's counts for a half at least");
    assert_eq!(value::factor(nothing, all, true), 0.5);
    let proven = page.number("while the best premium is below ", ",") as f64;
    assert_eq!(value::factor(0.0, proven, false), 0.0);
    assert!(value::factor(0.0, proven - 0.01, false) > 0.0);
    page.says("half of the part that the best one lacks of that");
    assert_eq!(value::factor(0.0, proven / 2.0, false), 0.25);
    let rounds = page.number("over the last ", " rounds, in standard errors") as u32;
    let log = [measured(3, Uid(1)), measured(3 + rounds - 1, Uid(2))];
    let known = |newest| value::accounts(&log, newest).len();
    assert_eq!((known(3 + rounds - 1), known(3 + rounds)), (2, 1));
}

fn copies_are_as(page: &Section) {
    let deviations = page.number("by more than ", " times their median deviation") as f64;
    page.says("of the lower half of the round's pairs");
    let bound = value::bound(&[0.56, 0.6, 0.64, 0.7, 0.8]);
    assert!((bound - (0.6 + deviations * 0.04)).abs() < 1e-9);
    let least = page.number("taken for at least ", " hundredths") as f64;
    let bound = value::bound(&[0.6, 0.6, 0.6]);
    assert!((bound - (0.6 + deviations * least / 100.0)).abs() < 1e-9);
    let floor = page.number("it is not above ", " hundredths they") as f64;
    let ceiling = page.number("and above ", " hundredths in any case") as f64;
    assert_eq!(value::bound(&[0.1, 0.1, 0.1]) * 100.0, floor);
    assert_eq!(value::bound(&[0.99, 0.99, 0.99]) * 100.0, ceiling);
}

fn measured(round: u32, uid: Uid) -> Evidence {
    Evidence {
        round,
        uid,
        hotkey: Hotkey(root(uid.get() as u8)),
        outcome: Outcome::Measured {
            steps: 1,
            of: 1,
            alike: 1,
            repeats: false,
            assigned: gains(0.6, 0.01),
            unassigned: gains(0.5, 0.01),
        },
    }
}

fn scores_are_as(page: &Section) {
    let rounds = page.number("a mean over the last ", " rounds") as u32;
    let least = page.number("but over ", " at least") as u32;
    let account = |newest| {
        let log: Vec<Evidence> = (0..=newest).map(|round| measured(round, Uid(1))).collect();
        value::accounts(&log, newest)[&(Uid(1), Hotkey(root(1)))].clone()
    };
    assert_eq!(account(0).over, least);
    assert_eq!(account(least).over, least + 1);
    assert_eq!(account(rounds + 3).over, rounds);
    assert_eq!(account(rounds + 3).score, 1.0);
    let grace = page.number("the first ", " rounds from its first on") as u32;
    assert!(account(grace - 1).is_new && !account(grace).is_new);
    page.says("nothing to show counts as zero");
    page.says("could not measure does not count");
    let after = |outcome| {
        let mut log: Vec<Evidence> = (0..least).map(|round| measured(round, Uid(1))).collect();
        log.push(Evidence {
            outcome,
            ..measured(least, Uid(1))
        });
        let account = &value::accounts(&log, least)[&(Uid(1), Hotkey(root(1)))];
        (account.over, account.score)
    };
    let mean = f64::from(least) / f64::from(least + 1);
    assert_eq!(after(Outcome::Missed), (least + 1, mean));
    assert_eq!(after(Outcome::Unmeasured), (least, 1.0));
}

fn rows_are_as(page: &Section) {
    let highest = page.number("the highest score becomes ", ";") as u16;
    let scores: BTreeMap<(Uid, Hotkey), f64> = [(1, 2.0), (2, 1.0), (3, 9.0), (4, 9.0)]
        .map(|(uid, score)| ((Uid(uid), Hotkey(root(uid as u8))), score))
        .into();
    let members = [1, 2, 3].map(|uid| (Uid(uid), Hotkey(root(uid as u8))));
    page.says("who is no member is not in it, nor is the validator itself");
    let row = value::row(&scores, members, Hotkey(root(3))).expect("somebody is worth something");
    assert_eq!(row, [(Uid(1), highest), (Uid(2), highest / 2 + 1)]);
}

fn emission(page: &Section) {
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

fn wages(page: &Section) {
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
    assert_eq!(u64::from(rule::rate_of(7, false)), all);
    assert_eq!(rule::rate_of(7, true), 7);
}

fn endpoint(page: &Section) {
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
