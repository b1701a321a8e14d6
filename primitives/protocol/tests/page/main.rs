//! Holds `docs/protocol.md` against the code: each rule has an anchor there, each anchor a rule and a test here, and
//! the numbers are those of the page.

mod agreement;
mod audits;
mod contributions;
mod kept;
mod members;
mod pay;
mod rounds;
mod worth;

use std::{collections::BTreeSet, ops::Range};

use cairn_primitives::{
    key_hash, Commitment, Hotkey, ModelRoot, Netuid, Round, SealedRoot, Uid, H256,
};
use cairn_protocol::value::{Evidence, Outcome};

const PAGE: &str = include_str!("../../../../docs/protocol.md");
const CRATE: &str = include_str!("../../src/lib.rs");

/// A test for each anchor, and the list of them: the rules with the modules of their tests.
macro_rules! rules {
    ($($group:ident::$rule:ident),* $(,)?) => {
        const TESTED: &[&str] = &[$(stringify!($rule)),*];
        const TESTS: &[fn(&Section)] = &[$($group::$rule),*];

        mod the_page_is_true_of {
            $(
                #[test]
                fn $rule() {
                    super::$group::$rule(&super::Section::of(stringify!($rule)));
                }
            )*
        }
    };
}

rules![
    members::registration,
    members::eligibility,
    members::notice,
    members::attendance,
    rounds::assignment,
    rounds::overlap,
    rounds::phase,
    rounds::turnout,
    contributions::commitment,
    contributions::trace,
    contributions::verdict,
    agreement::attestation,
    agreement::settlement,
    agreement::combination,
    agreement::lineage,
    kept::checkpoint,
    worth::exam,
    audits::audit,
    audits::tolerance,
    worth::value,
    worth::unseen,
    pay::emission,
    pay::wages,
    kept::endpoint,
    kept::limits,
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
    assert_eq!(tested, rules, "primitives/protocol/tests/page and src");
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

/// What was measured of a miner that made so many of so many steps: its gains on assigned and on unassigned windows.
fn evidence(
    (round, uid): (Round, Uid),
    (steps, of): (u32, u32),
    [assigned, unassigned]: [Vec<f32>; 2],
) -> Evidence {
    Evidence {
        round,
        uid,
        hotkey: Hotkey(root(uid.get() as u8)),
        outcome: Outcome::Measured {
            steps,
            of,
            alike: 1,
            repeats: false,
            assigned,
            unassigned,
            settled: Vec::new(),
            unseen: Vec::new(),
        },
    }
}
