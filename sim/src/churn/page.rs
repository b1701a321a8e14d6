//! The page that `make churn` writes.

use std::fmt::Write as _;

use super::{Bench, Place, Row, BLOCK, PLACES, STEP, TERMS};
use crate::{
    page::{seeds, wrapped},
    spread::{percent, Spread},
};

/// The churn at which the target is, in percent.
const AT: u8 = 30;
/// The goodput that is aimed at there.
const TARGET: f64 = 0.9;
/// What others state (Decoupled DiLoCo).
const ANCHOR: f64 = 0.88;

/// The page, of these rows: one line for each network and churn, of all seeds.
pub fn page(rows: &[Row], bench: Bench) -> String {
    let mut page = String::from(HEAD);
    page.push_str(&wrapped("", &measured(rows, bench)));
    page.push_str("\nThe networks:\n\n");
    let has = |place: &&Place| rows.iter().any(|row| row.network == place.name);
    for place in PLACES.iter().filter(has) {
        page.push_str(&wrapped(
            "- ",
            &format!("`{}`: {}.", place.name, place.what),
        ));
    }
    page.push_str(COLUMNS);
    let lines = lines(rows);
    for line in &lines {
        // Writing to a string does not fail.
        let _ = writeln!(page, "{}", line.text());
    }
    page.push_str(MEANING);
    page.push_str(&targets(&lines));
    page.push('\n');
    page.push_str(&wrapped("", &replay(bench)));
    page.push_str(TAIL);
    page
}

/// How a row is had again.
fn replay(bench: Bench) -> String {
    let Bench {
        miners,
        validators,
        rounds,
        ..
    } = bench;
    format!(
        "`cairn-sim churn NETWORK --churn PERCENT --seed SEED --miners {miners} --validators {validators} --rounds {rounds}` \
         replays a row."
    )
}

fn measured(rows: &[Row], bench: Bench) -> String {
    let Bench {
        miners,
        validators,
        rounds,
        ..
    } = bench;
    let (block, step) = (BLOCK / 1_000, STEP / 1_000);
    let (steps, phases) = (TERMS.steps, TERMS.phases);
    format!(
        "Simulated: {miners} miners at first and {validators} validators of equal stake, {rounds} rounds, a model of some \
         thousand parameters that really trains, {steps} inner steps a round of {step} s each, and blocks of {block} s. \
         A round's phases take at most {} blocks to train, {} to reveal and {} to attest, and end sooner if all is done. \
         A quarter of what rounds include is audited. Seeds {}. Figures are means over the seeds, with the least and the \
         most of a seed where they differ; counts are sums.",
        phases.train,
        phases.reveal,
        phases.attest,
        seeds(rows.iter().map(|row| row.seed))
    )
}

/// A network with a churn, over all seeds.
struct Line {
    network: &'static str,
    churn: u8,
    settled: (usize, usize),
    null: usize,
    roots_equal: bool,
    broken: Vec<&'static str>,
    kills: usize,
    joined: usize,
    joined_and_included: usize,
    goodput: Spread,
    seconds: Spread,
    loss: f64,
}

fn lines(rows: &[Row]) -> Vec<Line> {
    let mut churns: Vec<u8> = rows.iter().map(|row| row.churn_percent).collect();
    churns.sort_unstable();
    churns.dedup();
    let cells = PLACES
        .iter()
        .flat_map(|place| churns.iter().map(move |churn| (place.name, *churn)));
    cells.filter_map(|cell| line(cell, rows)).collect()
}

fn line((network, churn): (&'static str, u8), rows: &[Row]) -> Option<Line> {
    let is_it = |row: &&Row| (row.network, row.churn_percent) == (network, churn);
    let rows: Vec<&Row> = rows.iter().filter(is_it).collect();
    let sum = |of: fn(&Row) -> usize| rows.iter().map(|row| of(row)).sum::<usize>();
    let spread = |of: fn(&Row) -> f64| Spread::of(rows.iter().map(|row| of(row)));
    let mut broken: Vec<&'static str> = rows.iter().flat_map(|row| row.broken.clone()).collect();
    broken.sort_unstable();
    broken.dedup();
    Some(Line {
        network,
        churn,
        settled: (sum(|row| row.settled), sum(|row| row.rounds as usize)),
        null: sum(|row| row.null_rounds),
        roots_equal: rows.iter().all(|row| row.roots_equal),
        broken,
        kills: sum(|row| row.kills),
        joined: sum(|row| row.joined),
        joined_and_included: sum(|row| row.joined_and_included),
        goodput: spread(|row| row.goodput)?,
        seconds: spread(|row| row.seconds_per_round)?,
        loss: spread(|row| row.heldout_loss)?.mean,
    })
}

impl Line {
    fn text(&self) -> String {
        let (settled, wanted) = self.settled;
        let roots = match self.roots_equal {
            true => "equal",
            false => "**apart**",
        };
        format!(
            "| `{}` | {} | {settled} of {wanted} | {} | {roots} | {} | {} of {} | {} | {} | {:.2} |",
            self.network,
            self.churn,
            self.null,
            self.kills,
            self.joined_and_included,
            self.joined,
            self.goodput.text(|share| format!("{:.1}", share * 100.0)),
            self.seconds.text(|seconds| format!("{seconds:.0}")),
            self.loss,
        )
    }
}

/// What was aimed at, and whether it was met.
fn targets(lines: &[Line]) -> String {
    let mut text = String::new();
    for line in lines.iter().filter(|line| line.churn == AT) {
        let mean = line.goodput.mean;
        let verdict = match (mean >= TARGET, mean >= ANCHOR) {
            (true, _) => "met",
            (false, true) => "not met, though above the anchor",
            (false, false) => "not met, and below the anchor",
        };
        let item = format!("`{}`: {}, {verdict}.", line.network, percent(mean));
        text.push_str(&wrapped("- ", &item));
    }
    if text.is_empty() {
        text = format!("Not measured: no row has a churn of {AT} %.\n");
    }
    let settled = lines.iter().filter(|line| line.settled.0 < line.settled.1);
    let apart = lines.iter().filter(|line| !line.roots_equal);
    let (settled, apart) = (settled.count(), apart.count());
    let all = lines.len();
    let item = format!(
        "Rounds that were not settled before the simulation's end: in {settled} of {all} rows. Roots that differ: in \
         {apart}."
    );
    text.push_str(&wrapped("- ", &item));
    for line in lines.iter().filter(|line| !line.broken.is_empty()) {
        let broken = line.broken.join(", ");
        let item = format!(
            "`{}` at {} %: a checker found something wrong ({broken}); `cairn-sim churn` with `--json` says in which seed.",
            line.network, line.churn
        );
        text.push_str(&wrapped("- ", &item));
    }
    text
}

const HEAD: &str = "# What becomes of work where miners come and go

`make churn` writes this page.
Each row was run in `cairn-sim`: the real runtime, the workers' machines, and real scoring and training, under a
virtual clock ([simulator.md](simulator.md)).

Churn of n % means two things at once:

- In each round each miner is killed with a probability of n %, at any moment of it.
  Half of the kills take with them what was not on the disk yet.
  It comes back with what its disk has, after at most as long as the last round took: in that round or in the next one.
  In the same round it goes on from the state after an inner step. That of each is taken to be on the disk once the
  next one has been made, and to be there again at once.
- In each round, the first one aside, each of the first miners brings one along with the same probability.
  A newcomer buys a seat, bonds, fetches the newest checkpoint, and applies the rounds since.
  Newcomers are killed like all others, and nobody leaves for good, so the network grows.

Validators are not killed.
Files are as late as messages, and come at 12.5 MB/s; who is in the other part of a split network has them, too.

";

const COLUMNS: &str = "
| network | churn, % | rounds settled | null | roots | kills | joined | goodput, % | s a round | loss |
|---|---:|---:|---:|---|---:|---:|---:|---:|---:|
";

const MEANING: &str = "
- **null** rounds included nothing; they count as settled.
- **roots** are equal if no two members, nor a member and the chain, ever had different parameters of a round.
- **joined** is how many newcomers had work in the model, of those that bought a seat.
- **goodput** is tokens that reached the model over tokens trained, in settled rounds. All that a miner began counts as
  trained: inner steps that a kill cut short, or that were lost with the process, and work that came too late.
- **loss** is that of text that nobody trained on, at the end, in nats per token. More miners train more, so rows of
  different churn are not alike in what was trained.

## Against the targets

Wanted: 90 % at a churn of 30 %.
Anchor: Decoupled DiLoCo (arXiv 2604.21428) states 88 % of goodput under aggressive failures, by a measure of its own.

";

const TAIL: &str = "Real processes at the ends of bad lines are another table: [lab.md](lab.md).
";

#[cfg(test)]
mod tests {
    use super::*;

    const BENCH: Bench = Bench {
        seed: 1,
        miners: 8,
        validators: 3,
        rounds: 20,
    };

    fn row(churn_percent: u8, seed: u64, goodput: f64) -> Row {
        Row {
            network: "calm",
            churn_percent,
            seed,
            rounds: 20,
            settled: 20,
            null_rounds: 1,
            roots_equal: true,
            broken: Vec::new(),
            kills: 5,
            joined: 4,
            joined_and_included: 3,
            steps_trained: 1_000,
            steps_in_model: (1_000.0 * goodput) as u64,
            goodput,
            seconds_per_round: 100.0,
            heldout_loss: 3.0,
        }
    }

    fn words(page: &str) -> String {
        let words: Vec<&str> = page.split_whitespace().collect();
        words.join(" ")
    }

    #[test]
    fn a_line_has_the_mean_and_range_of_all_seeds_and_the_sums() {
        let page = page(&[row(30, 1, 0.88), row(30, 2, 0.94)], BENCH);
        let line = "| `calm` | 30 | 40 of 40 | 2 | equal | 10 | 6 of 8 | 91.0 (88.0 to 94.0) | 100 | 3.00 |";
        assert!(page.contains(line), "{page}");
        assert!(page.lines().all(|line| line.len() <= 120), "{page}");
        assert!(!page.contains("| `loss` |") && !page.contains("- `loss`:"));
        let words = words(&page);
        assert!(words.contains("Seeds 1, 2."));
        let replays = "--seed SEED --miners 8 --validators 3 --rounds 20` replays a row.";
        assert!(words.contains(replays), "{words}");
        assert!(words.contains("- `calm`: 91.0 %, met."));
        assert!(words.contains("in 0 of 1 rows. Roots that differ: in 0."));
    }

    #[test]
    fn what_is_not_met_or_wrong_or_not_measured_is_said() {
        let said = |row: Row| words(&page(&[row], BENCH));
        assert!(said(row(30, 1, 0.89)).contains("89.0 %, not met, though above the anchor."));
        assert!(said(row(30, 1, 0.5)).contains("50.0 %, not met, and below the anchor."));
        assert!(said(row(10, 1, 0.95)).contains("no row has a churn of 30 %"));
        let apart = Row {
            roots_equal: false,
            settled: 18,
            broken: vec!["lineage"],
            ..row(10, 1, 0.9)
        };
        let said = said(apart);
        assert!(said.contains("| 18 of 20 | 1 | **apart** |"));
        assert!(said.contains("in 1 of 1 rows. Roots that differ: in 1."));
        assert!(said.contains("`calm` at 10 %: a checker found something wrong (lineage)"));
    }
}
