//! What is seen beside the rows of attacks: what a network without one costs its members, and what miners prove.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{
    proofs::{Proof, Proofs, AFTER},
    Attack, Bench,
};
use crate::{
    clock::seconds,
    meter::Part,
    page::wrapped,
    settings::usual_costs,
    spread::percent,
    workshop::AUDITED_ONE_IN,
    world::{Expenses, Figure, RunResult},
};

/// The duties of members, and how long each may be; a test of the runtime holds the page to it.
const DUTIES: &str = include_str!("../../../docs/operators.md");
/// Attacks of which is told what they prove: they train on what they were not assigned.
const CHEATS: [&str; 2] = ["private-data", "exam"];

/// What networks without an attack cost their members, and what miners proved in them and in others.
#[derive(Clone, Debug, Default)]
pub struct Report {
    networks: usize,
    costs: Expenses,
    honest: Proofs,
    cheats: BTreeMap<&'static str, Proofs>,
}

/// The longest that a transaction of a duty can be, in bytes.
pub fn longest(call: &str) -> Option<u64> {
    let start = format!("| `{call}` |");
    let row = DUTIES.lines().find(|line| line.starts_with(&start))?;
    let cell = row.trim_end_matches(" |").rsplit("| ").next()?;
    cell.parse().ok()
}

/// The same of several together.
fn together(calls: &[&str]) -> u64 {
    calls.iter().filter_map(|call| longest(call)).sum()
}

impl Report {
    /// Adds a network without an attack.
    pub(super) fn note_honest(&mut self, run: &RunResult) {
        self.networks += 1;
        self.costs.merge(&run.costs);
        self.honest.note(run, |member| member.attack.is_none());
    }

    /// Adds a network with one.
    pub(super) fn note_attack(&mut self, attack: &Attack, run: &RunResult) {
        if CHEATS.contains(&attack.name) {
            let proofs = self.cheats.entry(attack.name).or_default();
            proofs.note(run, |member| member.attack.is_some());
        }
    }

    /// The sections of the page; nothing if no network without an attack was run.
    pub(super) fn sections(&self, bench: Bench) -> String {
        match self.networks {
            0 => String::new(),
            _ => self.of_costs(bench) + &self.of_proofs(),
        }
    }

    fn of_costs(&self, bench: Bench) -> String {
        let costs = usual_costs(bench.engine);
        let (step, window) = (seconds(costs.step), seconds(costs.window));
        let text = format!(
            "Mean and most of an honest member and a round, in {} networks without an attack, their first rounds \
             included. Bytes are those of its transactions in final blocks; the bound is that of its duties, by \
             [operators.md](operators.md#what-members-take-of-the-chain), where a transaction is a byte longer than \
             here, since here none expires. Seconds are virtual: an inner step takes {step} s and the loss of a window \
             {window} s, whatever a machine would take, so they say how often something is done, not how fast. \
             [evidence.md](evidence.md) has a devnet's real ones.",
            self.networks
        );
        let mut page = format!("\n## What it costs the honest\n\n{}\n", wrapped("", &text));
        page.push_str("| | mean | most | bound |\n|---|---:|---:|---|\n");
        for row in self.rows() {
            let _ = writeln!(page, "{row}");
        }
        let (miner, validator) = (&self.costs.miner, &self.costs.validator);
        let training = miner.of(Part::Train).mean().max(f64::MIN_POSITIVE);
        let of_training = |figure: Figure| figure.mean() / training;
        let served = of_training(miner.of(Part::Audit));
        let all = self.costs.audit_share();
        let text = format!(
            "A validator scores for {} of the time that a miner trains. Audits take {} of what training does: miners \
             make states again for {}, auditors replay for {}. Of included contributions one in {AUDITED_ONE_IN} is \
             audited, and each of a miner's until one has passed.",
            percent(of_training(validator.of(Part::Measure))),
            percent(all),
            percent(served),
            percent((all - served).max(0.0)),
        );
        page + "\n" + &wrapped("", &text)
    }

    /// The table of costs.
    fn rows(&self) -> Vec<String> {
        let (miner, validator) = (&self.costs.miner, &self.costs.validator);
        let of_miner = format!(
            "{}, and {} for an audit",
            together(&["commit", "reveal"]),
            together(&["open"])
        );
        let of_validator = format!(
            "{}, {} for an epoch, and {} for an audit",
            together(&["commit_attestation", "attest"]),
            together(&["commit_scores", "reveal_scores"]),
            together(&["commit_verdict", "reveal_verdict"])
        );
        let bytes = |who, figure: Figure, bound| {
            let (mean, most) = (figure.mean(), figure.most());
            format!("| {who}: bytes on chain | {mean:.0} | {most:.0} | {bound} |")
        };
        let busy = |what, figure: Figure| {
            let (mean, most) = (figure.mean(), figure.most());
            format!("| {what}, seconds | {mean:.2} | {most:.2} | |")
        };
        vec![
            bytes("miner", miner.bytes, of_miner),
            bytes("validator", validator.bytes, of_validator),
            busy("miner: training", miner.of(Part::Train)),
            busy("miner: states made again for audits", miner.of(Part::Audit)),
            busy("validator: opening files", validator.of(Part::Check)),
            busy("validator: scoring", validator.of(Part::Measure)),
            busy("validator: replaying for audits", validator.of(Part::Audit)),
        ]
    }

    fn of_proofs(&self) -> String {
        let text = "A miner's premium says, in standard errors, by how much more its contributions helped on its own \
                    windows than on nobody's ([protocol.md](protocol.md#value-what-a-contribution-was-worth)). z is \
                    its median over miners, validators and networks, after so many rounds. *Some* is the share of \
                    premiums by which a miner's gains count for something, *full* of those by which they count in \
                    full: of honest miners the power of the test, of cheats what it lets through. Whoever loses its \
                    bond to an audit trains no more, and what it has proven stays. \
                    [evidence.md](evidence.md#what-honest-miners-prove) has what a devnet's miners prove.";
        let mut page = format!("\n## What honest miners prove\n\n{}\n", wrapped("", text));
        let (mut head, mut line) = (String::from("| rounds |"), String::from("|---:|"));
        let cheats = CHEATS.iter().filter_map(|name| {
            let proofs = self.cheats.get(name)?;
            Some((format!("`{name}`"), proofs))
        });
        let honest = ("honest".to_string(), &self.honest);
        let kinds: Vec<(String, &Proofs)> = std::iter::once(honest).chain(cheats).collect();
        for (name, _) in &kinds {
            let _ = write!(head, " {name}: z | some | full |");
            line.push_str("---:|---:|---:|");
        }
        let _ = writeln!(page, "{head}\n{line}");
        for rounds in AFTER {
            if self.honest.after(rounds).is_none() {
                continue;
            }
            let cells = kinds.iter().map(|(_, proofs)| cells(proofs.after(rounds)));
            let _ = writeln!(page, "| {rounds} |{}", cells.collect::<String>());
        }
        page
    }
}

/// What was proven, as cells of a table; empty ones if nothing was measured.
fn cells(proof: Option<Proof>) -> String {
    proof.map_or_else(
        || " | | |".into(),
        |proof| {
            let (some, full) = (proof.counting * 100.0, proof.full * 100.0);
            format!(" {:.1} | {some:.0} % | {full:.0} % |", proof.median)
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        attacks::find,
        settings::{Kind, Settings},
        world::World,
    };

    #[test]
    fn the_bounds_are_read_of_the_page_of_operators() {
        let calls = [
            "commit",
            "reveal",
            "open",
            "commit_attestation",
            "attest",
            "commit_scores",
            "reveal_scores",
            "commit_verdict",
            "reveal_verdict",
        ];
        for call in calls {
            assert!(longest(call).is_some_and(|bytes| bytes > 100), "{call}");
        }
        assert_eq!(longest("kindness"), None);
        let both = longest("commit").zip(longest("reveal"));
        let both = both.map(|(commit, reveal)| commit + reveal);
        assert_eq!(Some(together(&["commit", "reveal"])), both);
    }

    #[test]
    fn the_sections_are_of_networks_that_were_run() {
        let bench = Bench {
            engine: Kind::Cost,
            rounds: 5,
            ..Bench::usual(7)
        };
        assert_eq!(Report::default().sections(bench), "");
        let run = World::new(Settings::honest(7, 2, 2, 5))
            .expect("a network")
            .run();
        let mut report = Report::default();
        report.note_honest(&run);
        let page = report.sections(bench);
        let lines: Vec<&str> = page.lines().collect();
        assert!(lines.iter().all(|line| line.len() <= 120), "{page}");
        let has = |start: &str| lines.iter().any(|line| line.starts_with(start));
        assert!(has("## What it costs the honest") && has("## What honest miners prove"));
        let mean = run.costs.miner.bytes.mean();
        assert!(
            mean > 300.0 && has(&format!("| miner: bytes on chain | {mean:.0} |")),
            "{page}"
        );
        // Four of five rounds were measured, and no attack was run.
        let head = "| rounds | honest: z | some | full |";
        assert!(
            has("| 4 | ") && !has("| 6 |") && lines.contains(&head),
            "{page}"
        );
        let attack = find("private-data").expect("it is in the table");
        report.note_attack(attack, &run);
        let with_cheat = format!("{head} `private-data`: z | some | full |");
        assert!(report.sections(bench).contains(&with_cheat));
    }
}
