//! `docs/governance.md` says what the runtime does.

use std::collections::BTreeSet;

use cairn_primitives::{BlockNumber, CRN};

use super::root::{every_call, name, reached_by, reached_by_root, reached_by_the_council};
use crate::governance::{
    rules::{self, Rules},
    tracks::{Row, DAY, HOUR, ROWS},
    Origin, CANCELLED_FOR, ENDORSED_FOR, MOST_CANCELLED,
};

const PAGE: &str = include_str!("../../../../docs/governance.md");

/// The lines of a section, without its heading.
fn section(heading: &str) -> impl Iterator<Item = &'static str> + '_ {
    let mut lines = PAGE.lines().skip_while(move |line| *line != heading);
    assert!(lines.next().is_some(), "no section `{heading}`");
    lines.take_while(|line| !line.starts_with("## "))
}

/// The calls that a text names, as `Pallet::call`.
fn calls(text: &str) -> impl Iterator<Item = String> + '_ {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter(|name| name.contains("::")).map(Into::into)
}

fn named(heading: &str) -> BTreeSet<String> {
    section(heading).flat_map(calls).collect()
}

fn time(blocks: BlockNumber) -> String {
    match blocks {
        days if days % DAY == 0 => format!("{} d", days / DAY),
        hours if hours % HOUR == 0 => format!("{} h", hours / HOUR),
        other => format!("{other} blocks"),
    }
}

fn row(row: &Row) -> String {
    let end = row
        .name
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(row.name.len());
    let track = std::str::from_utf8(&row.name[..end]).expect("a name");
    format!(
        "| {track} | {} CRN | {} | {} | {} | {} | {}–{} % | {}–{} % | {} |",
        row.deposit / CRN,
        time(row.prepare),
        time(row.decision),
        time(row.confirm),
        time(row.enactment),
        row.approval.0,
        row.approval.1,
        row.support.0,
        row.support.1,
        row.at_a_time,
    )
}

#[test]
fn the_page_has_the_tracks() {
    for track in &ROWS {
        let row = row(track);
        assert!(
            PAGE.lines().any(|line| line == row),
            "what it should say:\n{row}"
        );
    }
}

#[test]
fn the_page_has_the_rules_and_their_limits() {
    let default = Rules::default();
    let of_prices = rules::CREATION_PRICE_FLOOR;
    let rows = [
        format!(
            "| `CreationPriceFloor` | {} CRN | {}–{} CRN |",
            default.creation_price_floor / CRN,
            of_prices.start() / CRN,
            of_prices.end() / CRN
        ),
        format!(
            "| `CreationPriceDecay` | {} | {}–{} |",
            default.creation_price_decay,
            rules::CREATION_PRICE_DECAY.start(),
            rules::CREATION_PRICE_DECAY.end()
        ),
        format!(
            "| `HyperparametersRateLimit` | {} | {}–{} |",
            default.hyperparameters_rate_limit,
            rules::HYPERPARAMETERS_RATE_LIMIT.start(),
            rules::HYPERPARAMETERS_RATE_LIMIT.end()
        ),
        format!(
            "| `ScoresRateLimit` | {} | {}–{} |",
            default.scores_rate_limit,
            rules::SCORES_RATE_LIMIT.start(),
            rules::SCORES_RATE_LIMIT.end()
        ),
    ];
    for row in rows {
        assert!(
            PAGE.lines().any(|line| line.starts_with(&row)),
            "what it should say:\n{row}"
        );
    }
}

#[test]
fn the_page_says_how_far_the_council_goes() {
    let bounds = [
        format!(
            "at most {MOST_CANCELLED} referenda in {} days",
            CANCELLED_FOR / DAY
        ),
        format!("for {} days", ENDORSED_FOR / DAY),
    ];
    for bound in bounds {
        assert!(PAGE.contains(&bound), "it should say: {bound}");
    }
}

/// What anybody may call, whatever its origin.
fn open_to_all() -> BTreeSet<String> {
    named("## What needs no power")
}

#[test]
fn the_page_lists_what_root_cannot_do_and_what_it_can() {
    let cannot = named("## What root cannot do");
    let can = named("## What the sudo key of a development chain can do");
    let all: BTreeSet<String> = every_call().iter().map(name).collect();
    let reached = reached_by_root();
    let unknown: Vec<_> = cannot
        .union(&can)
        .filter(|call| !all.contains(*call))
        .collect();
    assert!(unknown.is_empty(), "no such calls: {unknown:?}");
    let open: BTreeSet<String> = can.union(&open_to_all()).cloned().collect();
    assert_eq!(
        reached, open,
        "left: what root reaches, right: what the page says"
    );
    let wrong: Vec<_> = cannot.intersection(&reached).collect();
    assert!(wrong.is_empty(), "root can: {wrong:?}");
    let said = |call: &&String| reached.contains(*call) || cannot.contains(*call);
    let silent: Vec<_> = all.iter().filter(|call| !said(call)).collect();
    assert!(
        silent.is_empty(),
        "the page does not say that root cannot: {silent:?}"
    );
}

#[test]
fn the_page_says_what_each_track_enacts() {
    let rows: Vec<&str> = section("## What a referendum enacts").collect();
    for origin in Origin::ALL {
        let name = format!("{origin:?}").to_lowercase();
        let row = rows
            .iter()
            .find(|row| row.starts_with(&format!("| {name} |")));
        let row = row.unwrap_or_else(|| panic!("no row of {name}"));
        let said: BTreeSet<String> = calls(row).collect();
        let reached: BTreeSet<String> = reached_by(origin)
            .difference(&open_to_all())
            .cloned()
            .collect();
        assert_eq!(reached, said, "{name}");
    }
}

#[test]
fn the_page_says_what_the_council_does() {
    let said = named("## What the council can do");
    let reached: BTreeSet<String> = reached_by_the_council()
        .difference(&open_to_all())
        .cloned()
        .collect();
    assert_eq!(reached, said);
}
