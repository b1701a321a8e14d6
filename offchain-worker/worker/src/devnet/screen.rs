//! What a devnet shows to people: plain lines, and on a terminal one more that moves.

use std::collections::BTreeSet;

use cairn_primitives::AuditOutcome;

use super::{
    members::Part,
    report::{adds_up, AuditReport, MemberReport, Report, RoundReport},
};
use crate::{
    amount::crn,
    chart::curve,
    output,
    printable::printable_lines,
    table::{percent, short, table},
};

/// Where lines go.
pub struct Screen {
    terminal: bool,
    headed: bool,
}

impl Screen {
    /// Standard output.
    pub fn new() -> Screen {
        Screen {
            terminal: output::columns().is_some(),
            headed: false,
        }
    }

    /// A line.
    pub fn say(&self, text: &str) {
        let clear = if self.terminal { "\r\x1b[2K" } else { "" };
        let text = printable_lines(text);
        // The network goes on; that something was lost is the error at its end.
        let _ = output::show_raw(&format!("{clear}{text}\n"));
    }

    /// A fact: what it is about, and what it is.
    pub fn fact(&self, name: &str, text: &str) {
        self.say(&format!("  {name:<9}{text}"));
    }

    /// What goes on now, on a terminal only: the next line takes its place.
    pub fn progress(&self, text: &str) {
        if self.terminal {
            let _ = output::show_raw(&format!("\r\x1b[2K  {text}"));
        }
    }

    /// A round.
    pub fn round(&mut self, round: &RoundReport) {
        if !self.headed {
            self.say(&format!(
                "\n{:>5}  {:>8}  {:>7}  {:<11}  {:>8}  included",
                "round", "loss", "seconds", "root", "attested"
            ));
            self.headed = true;
        }
        self.say(&line(round));
    }
}

/// A round in one line.
fn line(round: &RoundReport) -> String {
    let uids: Vec<_> = round.included.iter().map(ToString::to_string).collect();
    let included = if uids.is_empty() {
        "none: a null round".into()
    } else {
        uids.join(" ")
    };
    format!(
        "{:>5}  {:>8.3}  {:>7.1}  {:<11}  {:>8}  {included}",
        round.round,
        round.heldout_loss,
        round.seconds,
        short(&round.model_root),
        percent(round.attested_stake, round.total_stake),
    )
}

/// The end of the story.
pub fn summary(report: &Report) -> String {
    let losses: Vec<f64> = report
        .rounds
        .iter()
        .map(|round| round.heldout_loss)
        .chain([report.final_heldout_loss])
        .collect();
    let row = |member: &MemberReport| {
        vec![
            member.uid.to_string(),
            role(member).into(),
            member.rounds_included.to_string(),
            crn(member.earned, 4),
            crn(member.withheld, 4),
            crn(member.bond, 2),
            member.model_root.map_or("–".into(), |root| short(&root)),
            member.hotkey.to_string(),
        ]
    };
    let rows: Vec<_> = report.members.iter().map(row).collect();
    let issuance = &report.issuance;
    let verdict = if adds_up(issuance) {
        "to the pebble"
    } else {
        "WHICH DOES NOT ADD UP"
    };
    format!(
        "\n{}\n{}{}\nissued {} = accounts {} + stakes {} + bonds {} + pots {} CRN, {verdict}\nheld-out loss {:.3} → {:.3} in {} rounds, {:.0} s\n",
        curve(&losses, "held-out loss by round"),
        table(&["uid", "role", "included", "earned CRN", "withheld", "bond CRN", "root", "hotkey"], &rows),
        audits(&report.audits),
        crn(issuance.issued, 9),
        crn(issuance.balances, 9),
        crn(issuance.stakes, 9),
        crn(issuance.bonds, 9),
        crn(issuance.pots, 9),
        losses.first().copied().unwrap_or_default(),
        report.final_heldout_loss,
        report.rounds.len(),
        report.wall_seconds,
    )
}

/// What a member did; of a cheat, which kind it was.
fn role(member: &MemberReport) -> &'static str {
    match member.role {
        Part::Miner => "miner",
        Part::Validator => "validator",
        Part::Cheat => member.behaviour.name(),
    }
}

/// What audits found: how many passed, and each that did not.
fn audits(audits: &[AuditReport]) -> String {
    if audits.is_empty() {
        return String::new();
    }
    let of = |outcome| audits.iter().filter(move |audit| audit.outcome == outcome);
    let mut text = format!(
        "\naudits   {} passed, {} not over, {} undecided\n",
        of(AuditOutcome::Passed).count(),
        of(AuditOutcome::Open).count(),
        of(AuditOutcome::Undecided).count()
    );
    let mut known = BTreeSet::new();
    for audit in audits.iter().filter(|audit| audit.outcome.is_lost()) {
        let why = match audit.outcome {
            AuditOutcome::Silent => "served nothing",
            _ => "served another work than it claimed",
        };
        let AuditReport { round, uid, .. } = audit;
        // A bond is lost once.
        let follows = match known.insert(*uid) {
            true => " and lost its bond",
            false => ", too",
        };
        text += &format!("         uid {uid} {why} in round {round}{follows}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{super::report::tests::sample, *};
    use crate::roles::Behaviour;
    use cairn_primitives::Uid;

    #[test]
    fn a_round_says_what_was_included() {
        let mut round = sample().rounds.remove(0);
        assert!(line(&round).ends_with("100 %  0 2"), "{}", line(&round));
        round.included.clear();
        assert!(line(&round).ends_with("none: a null round"));
    }

    #[test]
    fn the_table_names_the_kinds_of_cheats() {
        for behaviour in Behaviour::CHEATS {
            let mut report = sample();
            report.members[0].role = Part::Cheat;
            report.members[0].behaviour = behaviour;
            let text = summary(&report);
            let mut rows = text.lines().map(|line| line.split_whitespace());
            let role = rows.find_map(|mut row| (row.next() == Some("0")).then(|| row.next())?);
            assert_eq!(role, Some(behaviour.name()), "{text}");
        }
    }

    #[test]
    fn a_bond_is_lost_once() {
        let lost = |round, uid, outcome| AuditReport {
            round,
            uid,
            outcome,
        };
        let text = audits(&[
            lost(0, Uid(2), AuditOutcome::Silent),
            lost(0, Uid(3), AuditOutcome::Passed),
            lost(0, Uid(4), AuditOutcome::Failed),
            lost(1, Uid(2), AuditOutcome::Silent),
            lost(2, Uid(3), AuditOutcome::Open),
        ]);
        let lines: Vec<_> = text.lines().map(str::trim_start).collect();
        let expected = [
            "",
            "audits   1 passed, 1 not over, 0 undecided",
            "uid 2 served nothing in round 0 and lost its bond",
            "uid 4 served another work than it claimed in round 0 and lost its bond",
            "uid 2 served nothing in round 1, too",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn what_does_not_add_up_is_shouted() {
        let mut report = sample();
        assert!(summary(&report).contains("to the pebble"));
        report.issuance.issued += 1;
        assert!(summary(&report).contains("DOES NOT ADD UP"));
    }
}
