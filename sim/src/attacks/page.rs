//! The page that `make attacks` writes.

use std::fmt::Write as _;

use super::{before::before, report::Report, table::verdict_of, Attack, Bench, Row, Verdict, ALL};
use crate::{
    page::{seeds, wrapped},
    spread::percent,
};

/// The page, of these rows, one line for each attack, of all seeds; of those of [`longer`](Bench::longer) networks; and
/// of what was seen beside them.
pub fn page(rows: &[Row], longer: &[Row], bench: Bench, report: &Report) -> String {
    let mut page = String::from(HEAD);
    let Bench {
        miners,
        validators,
        rounds,
        ..
    } = bench;
    let measured = format!(
        "Measured with {miners} honest miners and {validators} honest validators of equal stake, {rounds} rounds, a model \
         of some thousand parameters that really trains, and the seeds {}. Shares, losses and what was lost are means, \
         stalled rounds and what was taken the most of a seed. `cairn-sim attacks NAME --seed SEED` replays a row.",
        seeds(rows.iter().map(|row| row.seed))
    );
    page.push_str(&wrapped("", &measured));
    let lines: Vec<Line> = ALL.iter().filter_map(|attack| line(attack, rows)).collect();
    let count = |verdict| lines.iter().filter(|line| line.verdict == verdict).count();
    // Writing to a string does not fail.
    let _ = writeln!(
        page,
        "\n{} of {} attacks hold, {} hold partly, {} are open.\n",
        count(Verdict::Holds),
        lines.len(),
        count(Verdict::Partly),
        count(Verdict::Open)
    );
    page.push_str(&of_audits(rows));
    page.push_str(COLUMNS);
    for line in &lines {
        let _ = writeln!(page, "{}", line.row());
    }
    page.push_str("\nWhat the attackers do:\n\n");
    let most = lines.iter().map(|line| line.held).max().unwrap_or(0);
    for line in &lines {
        page.push_str(&wrapped("- ", &line.text(most)));
    }
    page.push_str(TAIL);
    page.push_str(&of_longer(&lines, longer, bench));
    page.push_str(&of_before(&lines));
    page.push_str(&report.sections(bench));
    page
}

/// What audits took of attackers, beside what these had been paid; nothing if they lost none.
fn of_audits(rows: &[Row]) -> String {
    let lost: u32 = rows.iter().map(|row| row.lost_audits).sum();
    if lost == 0 {
        return String::new();
    }
    let most = rows.iter().map(|row| row.audit_gain).fold(0.0, f64::max);
    let text = format!(
        "Attackers lost {lost} audits. The most that one of them had been paid when it lost a bond, since it lost one \
         before and for honest work too, was {} of that bond.",
        percent(most)
    );
    wrapped("", &text) + "\n"
}

/// What attacks that harmed the model, or cost honest miners much, do in more rounds; nothing if none was run so.
fn of_longer(lines: &[Line], longer: &[Row], bench: Bench) -> String {
    if longer.is_empty() {
        return String::new();
    }
    let (rounds, more) = (bench.rounds, bench.longer().rounds);
    let pairs = lines.iter();
    let pairs = pairs.filter_map(|before| Some((before, line(before.attack, longer)?)));
    let pairs: Vec<(&Line, Line)> = pairs.collect();
    let of = |verdict| {
        pairs
            .iter()
            .filter(move |(_, after)| after.verdict == verdict)
    };
    let [hold, partly, open] = [Verdict::Holds, Verdict::Partly, Verdict::Open];
    let text = format!(
        "The attacks that moved the loss by more than 1 %, or cost honest miners more than 5 % of their pay, in \
         networks of {more} rounds, with the same seeds. Each is held against networks without it that are as long. \
         What an attack costs once becomes less beside all that is learned and paid later; what it costs in each round \
         does not. \
         After {more} rounds {} of these {} hold, {} hold partly, and {} are open.",
        of(hold).count(),
        pairs.len(),
        of(partly).count(),
        of(open).count()
    );
    let mut page = format!("\n## What of that is a delay\n\n{}\n", wrapped("", &text));
    if more == TARGET {
        let _ = writeln!(page, "{TARGET_WHY}");
    }
    let _ = writeln!(
        page,
        "| attack | loss after {rounds} | after {more} | honest after {rounds} | after {more} | |\n\
         |---|---:|---:|---:|---:|---|"
    );
    for (before, after) in &pairs {
        let (name, verdict) = (before.attack.name, after.verdict());
        let columns = [before.loss, after.loss, before.honest, after.honest];
        let columns = columns.map(|change| format!("{:+.1} %", change * 100.0));
        let _ = writeln!(
            page,
            "| `{name}` | {} | **{verdict}** |",
            columns.join(" | ")
        );
    }
    page
}

/// What the attacks brought before protocol 2, beside what they bring; empty cells of those that were not tried then.
fn of_before(lines: &[Line]) -> String {
    let mut page = String::from(BEFORE);
    for line in lines {
        let name = line.attack.name;
        let [share_then, loss_then, stalled_then, verdict_then] = match before(name) {
            Some(it) => [
                it.share.into(),
                format!("{} %", it.loss),
                it.stalled.into(),
                it.verdict.into(),
            ],
            None => Default::default(),
        };
        let (share, loss) = (share(line.share), line.loss * 100.0);
        let (stalled, verdict) = (line.stalled, line.verdict());
        let cells = [
            [share_then, share],
            [loss_then, format!("{loss:+.1} %")],
            [stalled_then, stalled.to_string()],
            [verdict_then, format!("**{verdict}**")],
        ];
        let cells = cells.map(|[then, now]| format!("{then} | {now}"));
        let _ = writeln!(page, "| `{name}` | {} |", cells.join(" | "));
    }
    page
}

/// An attack over all seeds.
struct Line {
    attack: &'static Attack,
    share: f64,
    late: f64,
    honest: f64,
    loss: f64,
    stalled: i64,
    lost: f64,
    held: u64,
    gained: f64,
    honest_audits: f64,
    honest_bonds: f64,
    told: Option<String>,
    verdict: Verdict,
}

impl Line {
    /// What the attackers do, and what was seen of it beside the columns.
    fn text(&self, most_held: u64) -> String {
        let mut text = format!(
            "`{}` ({}): {}.",
            self.attack.name, self.attack.id, self.attack.what
        );
        if let Some(told) = &self.told {
            let _ = write!(text, " Seen: {told}.");
        }
        if self.gained >= 1e9 {
            let _ = write!(
                text,
                " It took {:.2} CRN that others had.",
                self.gained / 1e9
            );
        }
        if self.honest_audits > 0.0 {
            let (audits, bonds) = (self.honest_audits, self.honest_bonds / 1e9);
            let _ = write!(
                text,
                " Honest miners lost {audits:.1} audits and {bonds:.2} CRN of bonds, as a mean."
            );
        }
        if self.held == most_held {
            let held = self.held;
            let _ = write!(
                text,
                " A validator held {held} sealed bytes at once, the most of all rows."
            );
        }
        text
    }

    fn verdict(&self) -> &'static str {
        match self.verdict {
            Verdict::Holds => "holds",
            Verdict::Partly => "partly",
            Verdict::Open => "open",
        }
    }

    fn row(&self) -> String {
        let verdict = self.verdict();
        format!(
            "| `{}` | {} | {} | {:+.1} % | {:+.1} % | {} | {:.2} | **{verdict}** |",
            self.attack.name,
            share(self.share),
            share(self.late),
            self.honest * 100.0,
            self.loss * 100.0,
            self.stalled,
            self.lost / 1e9,
        )
    }
}

fn line(attack: &'static Attack, rows: &[Row]) -> Option<Line> {
    let rows: Vec<&Row> = rows
        .iter()
        .filter(|row| row.attack == attack.name)
        .collect();
    let mean = |value: fn(&Row) -> f64| {
        rows.iter().map(|row| value(row)).sum::<f64>() / rows.len().max(1) as f64
    };
    Some(Line {
        attack,
        share: mean(|row| row.share_per_gpu),
        late: mean(|row| row.late_share_per_gpu),
        honest: mean(|row| row.honest_change),
        loss: mean(|row| row.loss_change),
        stalled: rows.iter().map(|row| row.stalled_rounds).max()?,
        lost: mean(|row| row.attacker_lost as f64),
        held: rows.iter().map(|row| row.held_bytes).max()?,
        gained: rows.iter().map(|row| row.attacker_gained).max()? as f64,
        honest_audits: mean(|row| f64::from(row.honest_lost_audits)),
        honest_bonds: mean(|row| row.honest_bonds as f64),
        told: rows.iter().find_map(|row| row.told.clone()),
        verdict: verdict_of(&rows),
    })
}

fn share(share: f64) -> String {
    if share > 1e6 {
        "all".into()
    } else {
        format!("{share:.2}")
    }
}

const HEAD: &str = "# What attacks bring

`make attacks` writes this page.
Each row was run in `cairn-sim`, with the real runtime, the workers' machines, and the real scoring and training,
beside the same network without the attack.
What was not run is not here.

- **share** is what the attackers earned for each of their GPUs (validators: for as much stake), beside what an
  honest member of the same role earned on average in the same run.
  1.00 is an honest member's share. An outsider counts as one. Where attackers do a miner's work beside their attack
  (`dawdle`, `rival`, `delete`, `alternates`, `alternates-half`) it is what they earned beyond 1.00, for the GPUs that
  the work takes, and **honest** counts them.
- **later** is the same of the second half of the rounds. A subnet that begins pays whoever scores first: honest
  validators have nothing to score by until round 0 is measured, and until then the few who score share every pot.
- **honest** is by how much more was issued for honest miners than in four networks without the attack, in as long a
  time. What their pot still has at the end counts by their part in what epochs gave, what is withheld of them as paid.
- **loss** is how far the held-out loss ended above the mean of those networks, which differ in the delays of messages
  alone. The target asks for it after 32 rounds: [below](#what-of-that-is-a-delay).
- **stalled** is how many rounds more ended with nothing included.
- **lost** is what the attackers' coldkeys are poorer by, earnings aside, in CRN: prices, fees, what was slashed.

The verdict goes by the worst seed in what an attack brought, stalled and took, and in what honest miners lost.
Of the loss it goes by the mean over the seeds, where that is more than twice its standard error; else the change counts
as none.
That error is s·√(1/n + 1/(4n)) with n seeds: an attack's own run has the same spread as one of the four networks
without it that it is held against.
s is the standard deviation of those networks from the mean of their seed, pooled over the seeds.
An attack *holds* if it brought at most half a share, cost honest miners at most 5 % of their pay, moved the loss by at
most 1 % and stalled at most three rounds.
It is *open* if it brought 0.95 of a share or more, cost them more than half of their pay, moved the loss by more than
5 %, stalled more than half of the rounds, or took 1 CRN or more that others had.
It is open, too, if audits took 1 CRN or more of honest miners' bonds, or if an attacker that lost a bond had been paid
as much since it had lost one before: an audit that fails has to cost more than what it is of had gained.
Else it holds *partly*.

";

const TAIL: &str = "
Not here, since a simulator has none of it, and where it is tested:

- Files, paths and servers of a store that lies (E1): the tests of `cairn-store`, and the decoder's of
  `cairn-gradient`.
- Wallets and keys on disk (E7): the tests of `cairn-worker`.
- A second node that has to bear out that training is over before a key is shown (E5): the tests of `cairn-worker`.
- Others that overwrite files, block joins or fill disks (D5, D7, D8), a run whose configuration names a store (E3), a
  stolen hotkey (E8), what RPC costs and which methods are open (E9, E10), how the real pool drops what does not fit
  (D12 in part): nothing here measures it.
- What the chain keeps in the long run (D9): the tests of `pallet-training` and of the runtime.
- Authorities that censor or equivocate (D16, C5), the runtime's upgrades (E13), metadata (E6): not simulated.

Money that appears or is lost (E11) is no row: the checker `money` looks at the books after each block of every run.

## What is left of some, and why

- `asleep`: without the sleeper the first round has no quorum. It takes its longest, and a subnet has no part in what is
  issued before its first round is work. So honest miners lose once what is issued for them in those blocks, and the
  shorter the run, the larger a part of their pay it is. From the second round on the sleeper counts for half as much,
  and later for nothing. The chain cannot tell who sleeps from who is cut off: were half of the stake enough without
  the other half, two halves of a split network would both go on.
- `clones`: who is not proven is audited in each round. A member sends one transaction at a time, and waits for the
  block that has it; an auditor needs two for each audit, and rounds here have about ten blocks. So no more than three
  or four audits are decided in a round; the others end undecided, and nobody loses anything by them. What epochs gave
  to clones that were not found out yet is withheld, and comes back to the others when they are. In a round auditors
  begin with those that have passed an audit, and then with what the chain drew to be first. When they began with the
  lowest uids, the clones that came last were still there after sixteen rounds.
- `collusion-10`, `collusion-20`, `collusion-30`: of a round's validators three are drawn by lot for each audit. Where
  one of them finds that the work is false all replay it, and stake decides
  ([decision 066](decisions/066-disputes.md)): so those who collude take no bond, and save one only where all three are
  of them or keep quiet. While most of the drawn decided, three of ten took 83 CRN of honest miners' bonds in sixteen
  rounds. What they still can do is to have all others replay what they are drawn for; then they miss a round. Of what
  they add to the loss in 16 rounds 0.2 to 0.3 % are left after 32.
- `idle-seats`, `idle-commits`: before round 0 nobody has shown anything, and the lot gives five slots among four that
  work and sixteen that do not: with a probability of 0.75 fewer than two of the four have one, and then the round is no
  work. In the next rounds those come last that had a slot and did nothing with it. As with `asleep`, what honest miners
  lose is what is issued for them before the first round that is work: once, and nothing of it waits in a pot. It is
  issued to nobody, and so to whoever works later, since what a block issues follows from all that was issued before.
- `lying-node`: members have one node each here. Such a worker shows no key before the blocks of the training can have
  had slots by its own clock. A node that says that all have committed, once the floor of the train phase has passed,
  still has the key too early; against that a worker needs a second node.
- `old-file`: the same as with `clones`, where a miner is proven by its one honest round. An audit that ends undecided
  leaves it proven, but what it earned from that round on waits for the next one that is decided. No rule tells such a
  file by its bytes. What the one before did not send comes first in the next, so that two of them have little in
  common; and whoever keeps nothing of what it did not send changes a number.
- `rival`: it works beside its attack, and what it has beyond 1.00 is what a member may have that works. Without an
  attack the pay of five miners lay between 0.37 and 2.03 of their mean after 16 rounds (seeds 7, 8, 10 and 13 to 16).
  In four of the six seeds above it has less than its part.
- `tiny-norms`: in round 0 all have the same trust, and norms are clipped to their median, of an even number the lower
  of the two in the middle. With half of the seats that one is tiny. So round 0 leaves the model as it was: with the
  seeds 7, 8 and 9 the loss that the chain keeps changed by -0.01, +0.00 and -0.00 nats in it, and by -0.15, -0.11 and
  -0.14 without the attack. In round 1 these files are not called good any more
  ([decision 059](decisions/059-gains-before-pay.md)): rounds 1 to 6 included the four honest ones alone. So the model
  is one round late, which is what it has more of loss. The upper of the two would let half of the seats send a thousand
  times as much.
- `unseen-good`: who calls files good at once and opens them afterwards saves no work. It needs those files to take the
  outer step, and for the hash of gains without which it has no dividends; what it gains is time. Who calls good what
  two thirds of the attesting stake find broken loses a hundredth of its stake and the round
  ([decision 067](decisions/067-who-calls-broken-files-good.md)); before that was so it had 1.05 of a share. Who finds
  out in time and does not open what it is bound to loses the round alone. Without a broken file nobody finds out, and
  anybody may plant one. Were it more than a third of the stake, nothing would be found broken; were it two thirds, a
  broken file would be included, and nobody could take the outer step, they included.
- `wrong-root-34`: the others have 66 % of the stake, and a root needs two thirds. So rounds 0 and 1 have no final
  root and are null, with each of the seeds 7, 8 and 9. Then what counts of the stake that was alone with another root
  is halved ([protocol.md](protocol.md#attendance-who-is-expected)), and round 2 includes all four. So training begins
  two rounds late, which is most of what it has more of loss, and nothing is issued before, as with `asleep`. Were one
  round enough, a false root that leads while others are cut off for a round would lead in the next one, too. It is
  more than a third of the stake, of which the target says nothing.";

/// The rounds after which the protocol's target asks by how much an attack has moved the loss.
const TARGET: u32 = 32;

const TARGET_WHY: &str = "\
The target is that no attack moves the loss after N rounds by more than 1 %, and N is 32.
A round that is lost once is no more than a delay, and what it weighs depends on N alone.
Networks of 4 miners and 3 validators without an attack, seeds 7, 8 and 9: one that ended a round earlier has 2.9, 1.2
and 2.3 % more loss after 16 rounds, and 0.3, 0.1 and 0.4 % after 32; one that ended two rounds earlier 7.0, 2.3 and
4.4 % after 16, and 1.0, 0.3 and 0.6 % after 32.
So by N = 16 no attack could have a single round, and before round 0 is measured nobody can tell who cheats.
The table above goes by 16 rounds all the same, so that a delay is seen in it.
";

const BEFORE: &str = "
## What they brought before protocol 2

The table of this page as of commit 9c0a8d12, of 2026-11-28, beside the one above: the same members and rounds, and the
seeds 7, 8 and 9. Rows whose cells are empty came later. An attack follows the rules that it is tried on: what one does
today is told above. In the collusions of then one validator, with that part of the stake, was beside one miner of five.
The verdict of then did not ask what honest miners lost, nor what audits cost, since there were none. A change of the
loss within two standard deviations of four networks without the attack counted as none, and the worst seed decided.

| attack | share before | now | loss before | now | stalled before | now | before | now |
|---|---:|---:|---:|---:|---:|---:|---|---|
";

const COLUMNS: &str = "| attack | share | later | honest | loss | stalled | lost | |
|---|---:|---:|---:|---:|---:|---:|---|
";

#[cfg(test)]
mod tests {
    use super::*;

    fn row(seed: u64, share_per_gpu: f64) -> Row {
        Row {
            attack: "exam",
            seed,
            share_per_gpu,
            late_share_per_gpu: 0.25,
            loss_change: 0.01,
            chance: 0.04,
            honest_change: -0.02,
            stalled_rounds: seed as i64,
            rounds: 16,
            attacker_lost: 0,
            held_bytes: 7,
            lost_audits: 2,
            audit_gain: 0.125,
            attacker_gained: 0,
            honest_lost_audits: 0,
            honest_bonds: 0,
            told: (seed == 2).then(|| "it rained".into()),
            verdict: Verdict::Partly,
        }
    }

    #[test]
    fn the_page_has_a_line_for_each_attack_that_was_run_and_the_worst_verdict() {
        let taken = Row {
            attacker_gained: 3_000_000_000,
            ..row(2, 1.5)
        };
        let page = page(
            &[row(1, 0.5), taken],
            &[],
            Bench::usual(1),
            &Report::default(),
        );
        assert!(!page.contains("What of that is a delay"));
        assert!(page.contains("the seeds 1, 2."));
        let is_short = |line: &str| line.len() <= 120;
        assert!(page.lines().all(is_short), "{page}");
        assert!(page.contains("| `exam` |") && !page.contains("| `clones` |"));
        assert!(page.contains("| 1.00 | 0.25 | -2.0 % | +1.0 % | 2 | 0.00 | **open** |"));
        let words: Vec<&str> = page.split_whitespace().collect();
        let words = words.join(" ");
        assert!(
            words.contains("Seen: it rained. It took 3.00 CRN that others had. A validator held 7")
        );
        assert!(page.contains("0 of 1 attacks hold, 0 hold partly, 1 are open."));
        assert!(words.contains("Attackers lost 4 audits."));
        assert!(words.contains("for honest work too, was 12.5 % of that bond."));
        assert!(!words.contains("Honest miners lost"));
    }

    #[test]
    fn what_audits_took_of_honest_miners_is_told_and_leaves_a_row_open() {
        let lost = |seed, honest_lost_audits, honest_bonds| Row {
            honest_lost_audits,
            honest_bonds,
            ..row(seed, 0.0)
        };
        let of = |rows: &[Row]| page(rows, &[], Bench::usual(1), &Report::default());
        let open = of(&[lost(1, 3, 30_000_000_000), lost(2, 0, 0)]);
        let words: Vec<&str> = open.split_whitespace().collect();
        let said = "Honest miners lost 1.5 audits and 15.00 CRN of bonds, as a mean.";
        assert!(words.join(" ").contains(said), "{open}");
        assert!(open.contains("0 hold partly, 1 are open."));
        // Less than 1 CRN is told, too.
        let holds = of(&[lost(1, 1, 999_999_999)]);
        let words: Vec<&str> = holds.split_whitespace().collect();
        let words = words.join(" ");
        assert!(
            words.contains("1 of 1 attacks hold") && words.contains("lost 1.0 audits"),
            "{holds}"
        );
    }

    #[test]
    fn what_harmed_the_model_stands_beside_what_it_does_in_twice_as_many_rounds() {
        let loses = |loss_change| Row {
            loss_change,
            ..row(1, 0.0)
        };
        let (usual, longer) = ([loses(0.09)], [loses(0.02)]);
        let page = page(&usual, &longer, Bench::usual(1), &Report::default());
        assert!(
            page.contains("| attack | loss after 16 | after 32 | honest after 16 | after 32 | |")
        );
        assert!(page.contains("| `exam` | +9.0 % | +2.0 % | -2.0 % | -2.0 % | **holds** |"));
        assert!(page.lines().all(|line| line.len() <= 120), "{page}");
        let words: Vec<&str> = page.split_whitespace().collect();
        let counted = "After 32 rounds 1 of these 1 hold, 0 hold partly, and 0 are open.";
        assert!(words.join(" ").contains(counted), "{page}");
    }

    #[test]
    fn what_the_target_asks_for_is_told_where_that_many_rounds_were_run() {
        let of = |rounds| {
            let bench = Bench {
                rounds,
                ..Bench::usual(1)
            };
            page(&[row(1, 0.0)], &[row(1, 0.0)], bench, &Report::default())
        };
        assert!(of(16).contains("and N is 32.\nA round that is lost once"));
        assert!(!of(12).contains("N is 32") && of(12).contains("honest after 12 | after 24"));
    }

    #[test]
    fn what_attacks_brought_before_stands_beside_what_they_bring() {
        let new = Row {
            attack: "dawdle",
            ..row(1, 0.0)
        };
        let page = page(
            &[row(1, 0.25), new],
            &[],
            Bench::usual(1),
            &Report::default(),
        );
        let exam = "| `exam` | 1.03 | 0.25 | +0.1 % | +1.0 % | 0 | 1 | open | **holds** |";
        let dawdle = "| `dawdle` |  | 0.00 |  | +1.0 % |  | 1 |  | **holds** |";
        for row in [exam, dawdle] {
            assert!(page.lines().any(|line| line == row), "{page}");
        }
    }

    /// What people wrote is written here, and the page is made of it.
    #[test]
    fn the_page_has_what_is_written_here() {
        let page = include_str!("../../../docs/security.md");
        assert!(page.starts_with(HEAD), "its head is not the one here");
        for part in [TAIL, BEFORE, TARGET_WHY] {
            let begin = part.trim_start().lines().next().unwrap_or_default();
            assert!(
                page.contains(part),
                "what begins with {begin:?} is not there as here"
            );
        }
        let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
        let names: Vec<&str> = rows.filter_map(|row| row.split('`').next()).collect();
        let is_known = |name: &&str| ALL.iter().any(|attack| attack.name == *name);
        assert!(names.len() > 36 && names.iter().all(is_known), "{names:?}");
    }

    #[test]
    fn a_line_goes_by_the_worst_seed_and_by_the_mean_of_the_losses() {
        let verdict = |rows: &[Row]| {
            let lines = page(rows, &[], Bench::usual(1), &Report::default());
            let line = lines.lines().find(|line| line.starts_with("| `exam`"));
            line.and_then(|line| line.split("**").nth(1))
                .map(String::from)
        };
        let loses = |change| {
            move |row| Row {
                loss_change: change,
                ..row
            }
        };
        // Twice the error of two seeds is 0.0316 where that of each is 0.0447.
        let two = || [row(1, 0.0), row(2, 0.0)];
        assert_eq!(verdict(&two().map(loses(0.04))).as_deref(), Some("partly"));
        assert_eq!(verdict(&two().map(loses(0.03))).as_deref(), Some("holds"));
        assert_eq!(verdict(&two().map(loses(0.06))).as_deref(), Some("open"));
        let [first, second] = two();
        let lucky = [loses(0.06)(first), loses(0.0)(second)];
        assert_eq!(verdict(&lucky).as_deref(), Some("holds"));
        // What another seed did not bring helps the worst one nothing.
        let brought = [row(1, 0.0), row(2, 0.6)];
        assert_eq!(verdict(&brought).as_deref(), Some("partly"));
        let stalled = [row(1, 0.0), row(9, 0.0)];
        assert_eq!(verdict(&stalled).as_deref(), Some("open"));
        let gains = |audit_gain| {
            let paid = Row {
                audit_gain,
                ..row(2, 0.0)
            };
            verdict(&[row(1, 0.0), paid])
        };
        assert_eq!(gains(0.99).as_deref(), Some("holds"));
        assert_eq!(gains(1.0).as_deref(), Some("open"));
        let costs = |honest_change| {
            let dear = Row {
                honest_change,
                ..row(2, 0.0)
            };
            verdict(&[row(1, 0.0), dear])
        };
        assert_eq!(costs(-0.05).as_deref(), Some("holds"));
        assert_eq!(costs(-0.06).as_deref(), Some("partly"));
        assert_eq!(costs(-0.51).as_deref(), Some("open"));
        let words: Vec<&str> = HEAD.split_whitespace().collect();
        let words = words.join(" ");
        assert!(words.contains(
            "by the mean over the seeds, where that is more than twice its standard error"
        ));
        assert!(words.contains("s·√(1/n + 1/(4n)) with n seeds"));
        assert!(words.contains(
            "by the worst seed in what an attack brought, stalled and took, and in what honest miners lost"
        ));
    }

    /// By how much, the table says; why, the parts after it.
    #[test]
    fn of_each_row_that_does_not_hold_is_told_why() {
        let page = include_str!("../../../docs/security.md");
        let parts = page.split_once("\n## What is left of some, and why\n");
        let (table, why) = parts.expect("a part says why");
        let why = why.split("\n## What they brought before").next();
        let rows = table.lines().filter(|line| line.starts_with("| `"));
        let left: Vec<&str> = rows.filter(|row| !row.ends_with("**holds** |")).collect();
        assert!(!left.is_empty(), "nothing is left");
        for row in left {
            let name = row.split('`').nth(1).map(|name| format!("`{name}`"));
            let is_told = why.zip(name).is_some_and(|(why, name)| why.contains(&name));
            assert!(is_told, "nothing says why of {row}");
        }
    }
}
