//! The page that `make utilisation` writes.

use std::fmt::Write as _;

use cairn_primitives::MAX_MEMBERS;

use super::{
    setting::{Host, Reading, BLOCK, CONTRIBUTION, PARAMETERS, READINGS, TRAINING},
    Row,
};
use crate::{
    meter::Part,
    page::{seeds, wrapped},
    spread::{percent, Spread},
};

/// What is aimed at in Covenant's setting.
const TARGET: f64 = 0.98;
/// The contributors that Covenant had at most.
const COVENANTS: usize = 20;
/// Parts of a contributor's round, and of what the table has them as the sum.
static COLUMNS: [(&str, &[Part]); 9] = [
    ("train", &[Part::Train]),
    ("seal", &[Part::Seal]),
    ("upload", &[Part::Upload]),
    ("reveal", &[Part::Commit, Part::Reveal]),
    ("attest", &[Part::Bind, Part::Open]),
    ("final", &[Part::Final]),
    ("fetch", &[Part::Fetch]),
    ("apply", &[Part::Apply]),
    ("disk", &[Part::Keep, Part::Carry]),
];

/// The numbers of contributors that are looked at by arithmetic.
static MANY: [usize; 3] = [20, 200, 1_000];
/// Bytes a parameter that a contributor writes to its disk in a round.
const WRITTEN: u64 = 16;

/// How the rows were made.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    /// Validators.
    pub validators: usize,
    /// Whole rounds that were to be measured.
    pub rounds: u32,
    /// Cores that are assumed of a host.
    pub cores: u64,
}

/// The page, of these rows: one line for each bandwidth and number of contributors, of all seeds.
pub fn page(rows: &[Row], made: Made) -> String {
    let lines = lines(rows);
    let mut page = String::from(HEAD);
    page.push_str(&wrapped("", &assumed(rows, made)));
    page.push_str(SHARES);
    for line in &lines {
        // Writing to a string does not fail.
        let _ = writeln!(page, "{}", line.share());
    }
    page.push('\n');
    for note in notes(&lines) {
        page.push_str(&wrapped("- ", &note));
    }
    page.push_str(WHERE);
    for line in &lines {
        let _ = writeln!(page, "{}", line.parts());
    }
    page.push_str(PARTS);
    page.push_str(LIMITS);
    for line in &lines {
        let _ = writeln!(page, "{}", line.limits());
    }
    page.push_str(BOUND);
    page.push_str(&wrapped("- ", &slowest_disk()));
    page.push_str(MORE);
    for contributors in MANY {
        for reading in &READINGS {
            let _ = writeln!(page, "{}", by_arithmetic(contributors, reading, made));
        }
    }
    page.push_str(LIFTS);
    page.push_str(&wrapped("- ", &settled_once()));
    page.push('\n');
    page.push_str(&wrapped("", &replay(made)));
    page
}

/// How a row is had again.
fn replay(made: Made) -> String {
    let Made {
        validators,
        rounds,
        cores,
    } = made;
    format!(
        "`cairn-sim utilisation --contributors N --line LINE --overlap N --disk GB --seed SEED --validators {validators} \
         --rounds {rounds} --cores {cores}` replays a row."
    )
}

/// A network of so many, by the bytes that its members fetch and the work that follows.
fn by_arithmetic(contributors: usize, reading: &Reading, made: Made) -> String {
    let seats = MAX_MEMBERS as usize;
    let seated = contributors.min(seats.saturating_sub(made.validators));
    let host = Host {
        cores: made.cores,
        disk: 1,
    };
    let step = host.costs(seated as u64).apply as f64 / 1e3;
    let files = seated.saturating_sub(1) as f64 * CONTRIBUTION as f64;
    let fetching = files / reading.lines.down as f64;
    let train = TRAINING as f64 / 1e3;
    let bound = train / fetching.max(train + step);
    format!(
        "| {} | {contributors} | {seated} | {:.1} | {fetching:.0} | {step:.1} | {} |",
        reading.name,
        files / 1e9,
        percent(bound)
    )
}

/// What a sum of contributions would take, so that nobody has to fetch them all.
fn settled_once() -> String {
    let bytes = |bits: u64| (PARAMETERS * bits / 8) as f64;
    let narrow = READINGS[0].lines.down as f64;
    format!(
        "**The round's sum instead of its files.** The outer step's sum, cut into the subtrees of its hash and fetched \
         from several validators at once, each of which has attested its root. To the bit it has 32 bits a parameter: \
         {:.0} GB, as much as {:.0} contributions, so it helps only where more than that are included. A sum that is \
         made small once more, by a rule that everybody follows with the error carried on, would be {:.1} GB at one bit \
         a parameter, {:.0} s at {}, whatever the number of contributors. Validators would still fetch all files, or \
         each of them the same part of every file, and sum up that part only.",
        bytes(32) / 1e9,
        bytes(32) / CONTRIBUTION as f64,
        bytes(1) / 1e9,
        bytes(1) / narrow,
        READINGS[0].name
    )
}

/// What is written in a round, and the disk on which that takes as long as the round's training.
fn slowest_disk() -> String {
    let written = (PARAMETERS * WRITTEN) as f64;
    let slowest = written / (TRAINING as f64 / 1e3);
    format!(
        "With overlap {:.2} TB are written to the disk beside training in a round, and what the next contribution leaves \
         waits for that. A disk that writes less than {:.2} GB a second holds up training, at any bandwidth; one that \
         writes somewhat more may, since a contribution is committed to once three quarters of that are on the disk, \
         and what is revealed and attested comes after it.",
        written / 1e12,
        slowest / 1e9
    )
}

fn assumed(rows: &[Row], made: Made) -> String {
    let Made {
        validators,
        rounds: measured,
        cores,
    } = made;
    let readings = READINGS.iter();
    let readings = readings.map(|reading| format!("`{}` is {}", reading.name, reading.what));
    let readings: Vec<String> = readings.collect();
    format!(
        "Assumed, since nobody published it: hosts of {cores} cores, whose disks write as many GB a second as a row says. \
         {validators} validators on the same hosts and lines. {}. Blocks of {} s, as the runtime has them. Seeds {}. Of \
         each seed {measured} whole rounds are measured.",
        readings.join("; "),
        BLOCK / 1_000,
        seeds(rows.iter().map(|row| row.seed))
    )
}

/// A bandwidth with so many contributors that train so far ahead on such disks, over all seeds.
struct Line<'a> {
    reading: &'static Reading,
    /// How far ahead they train, and bytes a second of their disks.
    way: (u8, u64),
    contributors: usize,
    rows: Vec<&'a Row>,
}

fn lines(rows: &[Row]) -> Vec<Line<'_>> {
    let mut counts: Vec<usize> = rows.iter().map(|row| row.contributors).collect();
    counts.sort_unstable();
    counts.dedup();
    let way = |row: &Row| (row.overlap, row.disk);
    let mut ways: Vec<(u8, u64)> = rows.iter().map(way).collect();
    ways.sort_unstable();
    ways.dedup();
    let mut lines = Vec::new();
    for reading in &READINGS {
        for contributors in &counts {
            for it in &ways {
                let name = (reading.name, *it, *contributors);
                let is_it = |row: &&Row| (row.bandwidth, way(row), row.contributors) == name;
                let rows: Vec<&Row> = rows.iter().filter(is_it).collect();
                let line = (!rows.is_empty()).then_some(Line {
                    reading,
                    way: *it,
                    contributors: *contributors,
                    rows,
                });
                lines.extend(line);
            }
        }
    }
    lines
}

impl Line<'_> {
    /// The figure of every seed in which a whole round was measured.
    fn spread(&self, of: impl Fn(&Row) -> f64) -> Option<Spread> {
        let seen = self.rows.iter().filter(|row| row.rounds > 0);
        Spread::of(seen.map(|row| of(row)))
    }

    fn text(&self, of: impl Fn(&Row) -> f64) -> String {
        let spread = self.spread(of);
        spread.map_or(String::from("–"), |spread| {
            spread.text(|seconds| format!("{seconds:.0}"))
        })
    }

    /// As [`Line::text`], without the range.
    fn mean(&self, of: impl Fn(&Row) -> f64) -> String {
        let spread = self.spread(of);
        spread.map_or(String::from("–"), |spread| format!("{:.0}", spread.mean))
    }

    fn seated(&self) -> usize {
        self.rows.iter().map(|row| row.seated).max().unwrap_or(0)
    }

    /// The cells by which a line is known.
    fn name(&self) -> String {
        let (overlap, disk) = self.way;
        format!(
            "| {} | {overlap} | {} | {}",
            self.reading.name,
            disk as f64 / 1e9,
            self.contributors
        )
    }

    /// What it is called in a sentence.
    fn words(&self) -> String {
        let (overlap, disk) = self.way;
        let ahead = match overlap {
            0 => "",
            _ => " with overlap",
        };
        let disk = disk as f64 / 1e9;
        format!("{}{ahead}, a disk of {disk} GB/s", self.reading.name)
    }

    fn share(&self) -> String {
        let share = self.spread(|row| row.share);
        let share = share.map_or(String::from("–"), |share| share.text(percent));
        format!(
            "{} | {} | {share} | {} | {} | {} | {} |",
            self.name(),
            self.seated(),
            self.text(Row::round),
            self.text(|row| row.included),
            self.mean(|row| row.validator_fetches),
            self.mean(|row| row.validator_measures),
        )
    }

    fn parts(&self) -> String {
        let sum = |parts: &[Part], row: &Row| parts.iter().map(|part| row.of(*part)).sum::<f64>();
        let cells = COLUMNS.iter();
        let cells = cells.map(|(_, parts)| self.mean(|row| sum(parts, row)));
        let cells: Vec<String> = cells.collect();
        let ahead = self.mean(|row| row.ahead);
        let beside = self.mean(|row| row.beside);
        let cells = cells.join(" | ");
        format!("{} | {cells} | {ahead} | {beside} |", self.name())
    }

    /// What takes most of the time in which nobody trains, and a share by arithmetic.
    fn limits(&self) -> String {
        let of = |parts: &[Part]| {
            let sum = |row: &Row| parts.iter().map(|part| row.of(*part)).sum::<f64>();
            self.spread(sum).map_or(0.0, |spread| spread.mean)
        };
        let rest = COLUMNS.iter().filter(|(name, _)| *name != "train");
        let largest = rest.max_by(|one, other| of(one.1).total_cmp(&of(other.1)));
        let largest = largest.map_or("–", |(name, _)| *name);
        let (round, train) = (self.spread(Row::round), of(&[Part::Train]));
        // Its own is at hand.
        let others = self.seated().saturating_sub(1);
        let files = others as f64 * CONTRIBUTION as f64;
        let fetching = files / self.reading.lines.down as f64;
        let bound = match round {
            Some(_) => percent(train / train.max(fetching)),
            None => "–".into(),
        };
        format!(
            "{} | {largest} | {:.1} | {fetching:.0} | {bound} |",
            self.name(),
            files / 1e9,
        )
    }
}

/// What is to be said of the shares.
fn notes(lines: &[Line]) -> Vec<String> {
    let mut notes = Vec::new();
    for line in lines.iter().filter(|line| line.contributors == COVENANTS) {
        if let Some(share) = line.spread(|row| row.share) {
            let verdict = match share.mean >= TARGET {
                true => "met",
                false => "not met",
            };
            notes.push(format!(
                "Wanted in Covenant's setting: {}. At {}: {}, {verdict}.",
                percent(TARGET),
                line.words(),
                percent(share.mean)
            ));
        }
    }
    let most = lines
        .iter()
        .filter(|line| line.seated() < line.contributors);
    if let Some(line) = most.max_by_key(|line| line.contributors) {
        notes.push(format!(
            "A subnet has at most {MAX_MEMBERS} seats, validators included, so of {} contributors {} were there. More \
             than that are several subnets, each with a model of its own.",
            line.contributors,
            line.seated()
        ));
    }
    let name = |line: &Line| format!("{} at {}", line.contributors, line.words());
    let unmeasured = lines
        .iter()
        .filter(|line| line.spread(Row::round).is_none());
    let unmeasured: Vec<String> = unmeasured.map(name).collect();
    if !unmeasured.is_empty() {
        let unmeasured = unmeasured.join(", ");
        notes.push(format!("Not one whole round was seen: {unmeasured}."));
    }
    for line in lines {
        let nulls: usize = line.rows.iter().map(|row| row.null_rounds).sum();
        let mut broken: Vec<&str> = line
            .rows
            .iter()
            .flat_map(|row| row.broken.clone())
            .collect();
        broken.sort_unstable();
        broken.dedup();
        if nulls > 0 {
            notes.push(format!("{}: {nulls} rounds included nothing.", name(line)));
        }
        if !broken.is_empty() {
            let broken = broken.join(", ");
            notes.push(format!(
                "{}: checkers found something wrong: {broken}.",
                name(line)
            ));
        }
    }
    notes
}

const HEAD: &str = "# How much of the time contributors train

`make utilisation` writes this page.
Each row was run in `cairn-sim`: whole rounds of the real runtime and of the workers' machines under a virtual clock
([simulator.md](simulator.md)), in which work and files take the time that they would take at 72 billion parameters.
What is trained is a cost model of a few numbers.

The setting is Covenant-72B's, as far as its paper (arXiv 2603.08163) states it: 72,747,327,488 parameters, 30 inner
steps of 192 sequences of 2,048 tokens in 20 minutes on eight B200, 20 contributors at most, 110 Mb/s up and 500 Mb/s
down.
Its lines as printed do not carry its own contributions in the 70 s that it states, so they are read as megabytes, too.

Ours is: a contribution of 1.37 GB, 93 s of one core to make it, 259 s of one core to decode twenty, to step and to hash
the model, which grows with their number ([contribution.md](contribution.md)); a forward pass of a third of a step for a
validator that measures; 4 bytes a parameter written to disk by each outer step, and 12 by each contribution.

- Contributions go through a store that takes and gives as much as members' lines do: each is sent once, and fetched by
  everybody else.
- A miner fetches sealed files as soon as they are committed to, beside all else, and when the round is settled and
  final only those that it does not have, as `cairn mine` does.
- In rows with an overlap of 1 a round is trained while the one before it is revealed, attested and settled
  ([the rule](protocol.md#overlap-what-is-trained-ahead)), and a contribution is sent while the next one is trained.
  What a contribution left, and the parameters after an outer step, are written to the disk while the next round is
  trained, as `cairn mine` does; a contribution is committed to once it is on the disk.
  In the other rows what writes to the disk holds up training.
  It costs [much in loss](study.md#rounds-that-overlap) with the rates that are best without it.
- Not counted are copies in memory, of parameters and moments when training begins, and the hashes of moments and error
  feedback that a contribution states.
- Nothing is audited, nobody joins, crashes or is late, and no message is lost.
- Work of different members, and opening files beside other work, do not slow each other down.

";

const SHARES: &str = "
| line | overlap | GB/s | contributors | seated | share | s a round | included | validators fetch, s | and measure, s |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|
";

const WHERE: &str = "
Covenant states 94.5 % (20 minutes of 21 minutes and 10 s); by the blocks and rounds of its whole run it is about 77 %.
HeteroSparseLoCo (arXiv 2601.02360) models more than 97 %.

## Where a contributor's round goes, in seconds

| line | overlap | GB/s | of | train | seal | upload | reveal | attest | final | fetch | apply | disk | ahead | beside |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|
";

const PARTS: &str = "
- **of** is the number of contributors, and **GB/s** what their disks write.
- **reveal** is waiting from its own upload until all have revealed: for its commitment to be in a block, for the
  others', for keys.
- **attest** is waiting for validators to fetch, to open, to commit to what they attest, and to open that.
- **final** is waiting until the round is settled in a final block.
- **fetch** is what is fetched once the round is settled, because it did not come before.
- **fetch**, **apply** and **disk** come before the next round's training; the write of what a contribution leaves comes
  before its commitment. With overlap **disk** is waiting for it only.
- **ahead** is the time in which it fetches sealed files that it does not need yet. It is no part of the round's time:
  nothing waits for it. The same holds of **beside**, the time in which its disk writes while it trains.
";

const LIMITS: &str = "
## What limits it

The last three columns are arithmetic, not simulated.

| line | overlap | GB/s | contributors | most goes into | GB a contributor fetches | s on its line | bound |
|---|---:|---:|---:|---|---:|---:|---:|
";

const BOUND: &str = "
- **bound** is the share if all else ran beside training.
  A round cannot be shorter than what a contributor has to fetch in it takes on its line.
";

const MORE: &str = "
## More contributors, by arithmetic

Every contributor fetches every other contribution, so that time grows with the number of contributors, and no order of
the work takes it away.
Decoding grows with it, too, and comes before the next round's training; a validator fetches and opens as many files
as a contributor.
It measures each of them, too, beside all else; how long that takes is in the first table, and grows with their number.
What goes on chain does not limit it: of a contribution that is a commitment and a key.

| line | contributors | seated | GB a contributor fetches | s on its line | to decode and step, s | bound |
|---|---:|---:|---:|---:|---:|---:|
";

const LIFTS: &str = "
- **seated**: a subnet has so many seats beside its validators.
- **bound** is the share if a round took as long as training and the outer step, or as fetching, whichever is longer.

What would lift it, none of which was tried:

- **More inner steps a round.** Files are as long as before, so their time is shared by more training. It costs loss
  ([study.md](study.md)).
- **Fewer in each round.** A draw of as many as the line carries, and the others train longer for a later round. The
  bytes that a contributor fetches no longer grow with the network; neither does what a round adds up.
- **Groups.** Some contributors near each other sum up among themselves and send one file, which is audited as one.
";

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const MADE: Made = Made {
        validators: 3,
        rounds: 2,
        cores: 64,
    };

    fn row(contributors: usize, seed: u64, train: f64) -> Row {
        let seconds = [
            ("train", train),
            ("upload", 100.0),
            ("commit", 6.0),
            ("reveal", 4.0),
            ("fetch", 1_890.0 - train),
        ];
        Row {
            bandwidth: "Mb/s",
            up: 13_750_000,
            down: 62_500_000,
            contributors,
            seated: contributors.min(253),
            overlap: 0,
            disk: 10_000_000_000,
            seed,
            rounds: 3,
            null_rounds: 0,
            included: contributors.min(253) as f64,
            share: train / 2_000.0,
            seconds: BTreeMap::from(seconds),
            ahead: 415.0,
            beside: 0.0,
            validator_fetches: 437.0,
            validator_measures: 300.0,
            broken: Vec::new(),
        }
    }

    fn words(page: &str) -> String {
        let words: Vec<&str> = page.split_whitespace().collect();
        words.join(" ")
    }

    #[test]
    fn a_line_has_all_seeds_and_says_what_limits_it() {
        let page = page(&[row(20, 1, 1_200.0), row(20, 2, 1_240.0)], MADE);
        assert!(page.lines().all(|line| line.len() <= 120), "{page}");
        let share =
            "| Mb/s | 0 | 10 | 20 | 20 | 61.0 % (60.0 % to 62.0 %) | 2000 | 20 | 437 | 300 |";
        assert!(page.contains(share), "{page}");
        let parts = "| Mb/s | 0 | 10 | 20 | 1220 | 0 | 100 | 10 | 0 | 0 | 670 | 0 | 0 | 415 | 0 |";
        assert!(page.contains(parts), "{page}");
        // The files of 19 others are 26.0 GB or 415 s.
        let limits = "| Mb/s | 0 | 10 | 20 | fetch | 26.0 | 415 | 100.0 % |";
        assert!(page.contains(limits), "{page}");
        let words = words(&page);
        assert!(words.contains("98.0 %. At Mb/s, a disk of 10 GB/s: 61.0 %, not met."));
        assert!(words.contains("Seeds 1, 2. Of each seed 2 whole rounds are measured."));
        assert!(!words.contains("validators included"));
        let replays = "--disk GB --seed SEED --validators 3 --rounds 2 --cores 64` replays a row.";
        assert!(words.ends_with(replays), "{words}");
    }

    #[test]
    fn a_row_with_overlap_is_a_line_of_its_own() {
        let ahead = Row {
            overlap: 1,
            ..row(20, 1, 1_600.0)
        };
        let page = page(&[row(20, 1, 1_200.0), ahead], MADE);
        for line in [
            "| Mb/s | 0 | 10 | 20 | 20 | 60.0 %",
            "| Mb/s | 1 | 10 | 20 | 20 | 80.0 %",
        ] {
            assert!(page.contains(line), "{page}");
        }
        assert!(words(&page).contains("At Mb/s with overlap, a disk of 10 GB/s: 80.0 %, not met."));
    }

    #[test]
    fn slower_disks_are_lines_of_their_own() {
        let slow = Row {
            disk: 1_500_000_000,
            beside: 776.0,
            ..row(20, 1, 1_100.0)
        };
        let page = page(&[row(20, 1, 1_200.0), slow], MADE);
        for line in [
            "| Mb/s | 0 | 1.5 | 20 | 20 | 55.0 %",
            "| Mb/s | 0 | 10 | 20 | 20 | 60.0 %",
            "| 415 | 776 |",
        ] {
            assert!(page.contains(line), "{page}");
        }
        // 16 times 72,747,327,488 bytes in 1,200 s.
        let said = words(&page);
        assert!(
            said.contains("1.16 TB are written") && said.contains("less than 0.97 GB"),
            "{said}"
        );
    }

    #[test]
    fn more_contributors_are_looked_at_by_arithmetic() {
        let page = page(&[row(20, 1, 1_200.0)], MADE);
        for line in [
            "| Mb/s | 20 | 20 | 26.0 | 415 |",
            "| Mb/s | 200 | 200 | 272.0 | 4352 |",
            "| MB/s | 1000 | 253 | 344.4 | 689 |",
        ] {
            assert!(page.contains(line), "{page}");
        }
        // A sum to the bit is as long as 213 contributions.
        let said = words(&page);
        assert!(
            said.contains("291 GB, as much as 213 contributions"),
            "{said}"
        );
        assert!(said.contains("9.1 GB at one bit a parameter, 145 s at Mb/s"));
    }

    #[test]
    fn seats_that_there_are_not_and_rounds_that_were_not_seen_are_said() {
        let said = words(&page(&[row(1_000, 1, 1_200.0)], MADE));
        assert!(
            said.contains("at most 256 seats, validators included, so of 1000 contributors 253")
        );
        // The 344.4 GB of 252 others take 5,511 s, of which 1,200 are trained in.
        assert!(said.contains("| 344.4 | 5511 | 21.8 % |"), "{said}");
        assert!(!said.contains("Wanted in Covenant's setting:"));
        let unseen = Row {
            rounds: 0,
            null_rounds: 4,
            broken: vec!["lineage"],
            ..row(20, 1, 1_200.0)
        };
        let said = words(&page(&[unseen], MADE));
        assert!(said.contains("Not one whole round was seen: 20 at Mb/s, a disk of 10 GB/s."));
        assert!(said.contains("20 at Mb/s, a disk of 10 GB/s: 4 rounds included nothing."));
        assert!(said
            .contains("20 at Mb/s, a disk of 10 GB/s: checkers found something wrong: lineage."));
        assert!(said.contains("| Mb/s | 0 | 10 | 20 | 20 | – | – | – | – | – |"));
    }
}
