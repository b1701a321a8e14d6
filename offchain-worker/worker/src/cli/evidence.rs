//! What a validator's evidence says of a miner: its log on this machine, or the file that it serves.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use cairn_primitives::{EpochIndex, Hotkey, Netuid, Round, Uid};
use cairn_round::scoring::{accounts, advice, forget_old, Account, Advice, Evidence, Found, Part};
use serde::Serialize;

use crate::{
    error::Failure,
    roles::state::{kept, StatePlace},
    table::table,
};

/// The log's name in a state directory.
const LOG: &str = "evidence.jsonl";

/// How a score came about, of one miner as of one round.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explained {
    /// What it follows from.
    #[serde(flatten)]
    pub by: By,
    /// The newest round that it looks at.
    pub round: Round,
    /// The miner's number.
    pub uid: Uid,
    /// Its key.
    pub hotkey: Hotkey,
    /// How the score came about.
    pub account: Account,
    /// What would raise it, what weighs most first.
    pub advice: Vec<Advice>,
    /// Its part in what all have that this validator scored.
    pub part: f64,
}

/// Whose evidence it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The log of a validator on this machine.
    Log(PathBuf),
    /// What the validator with this number serves.
    Served {
        /// Its number.
        validator: Uid,
        /// The epoch before which it committed to it.
        epoch: EpochIndex,
    },
}

/// The log in a state directory that a person named, or the one of this subnet below `~/.cairn/state` that was written
/// last; `None` if there is none.
pub fn find(state_dir: Option<&Path>, netuid: Netuid) -> Option<PathBuf> {
    if let Some(directory) = state_dir {
        return Some(directory.join(LOG)).filter(|log| log.is_file());
    }
    let kept = kept(&StatePlace::default_directory()).into_iter();
    let of_subnet = kept.filter(|one| one.identity.as_ref().is_some_and(|it| it.netuid == netuid));
    let logs = of_subnet.map(|one| one.path.join(LOG));
    let written = logs.filter_map(|log| Some((log.metadata().ok()?.modified().ok()?, log)));
    written.max().map(|(_, log)| log)
}

/// Explains the score of `uid` as of `round`, or as of the newest one in the log. `None` if the log says nothing of it.
///
/// # Errors
/// If the log cannot be read.
pub fn explain(log: &Path, round: Option<Round>, uid: Uid) -> Result<Option<Explained>, Failure> {
    let evidence = read(log, round)?;
    let by = By::Log(log.to_path_buf());
    Ok(account(by, &evidence, round, (uid, None)))
}

/// The same of evidence that is at hand, of rounds up to `round` if that is said; of the miner with this hotkey, or of
/// whoever had the uid last.
pub fn account(
    by: By,
    evidence: &[Evidence],
    round: Option<Round>,
    (uid, hotkey): (Uid, Option<Hotkey>),
) -> Option<Explained> {
    let newest = evidence.iter().map(|item| item.round).max();
    let is_its =
        |item: &&Evidence| item.uid == uid && hotkey.is_none_or(|hotkey| item.hotkey == hotkey);
    let last = evidence.iter().filter(is_its).max_by_key(|item| item.round);
    let (newest, hotkey) = (round.or(newest)?, last?.hotkey);
    let mut accounts = accounts(evidence, newest);
    let all: f64 = accounts.values().map(|account| account.score).sum();
    accounts.remove(&(uid, hotkey)).map(|account| Explained {
        by,
        round: newest,
        uid,
        hotkey,
        advice: advice(&account),
        part: if all > 0.0 { account.score / all } else { 0.0 },
        account,
    })
}

/// The evidence up to a round on which its scores depend. A worker may be writing the log: a last line that is not
/// whole is passed over, as is what another release wrote.
fn read(log: &Path, until: Option<Round>) -> Result<Vec<Evidence>, Failure> {
    let failed = |error| {
        Failure::new(
            format!("cannot read {} ({error})", log.display()),
            "name a validator's state directory with --state-dir",
        )
    };
    let mut evidence: Vec<Evidence> = Vec::new();
    for line in BufReader::new(File::open(log).map_err(failed)?).lines() {
        let Ok(item) = serde_json::from_str::<Evidence>(&line.map_err(failed)?) else {
            continue;
        };
        let is_newer = evidence.last().is_some_and(|last| last.round < item.round);
        if until.is_none_or(|until| item.round <= until) {
            evidence.push(item);
        }
        if is_newer {
            forget_old(&mut evidence);
        }
    }
    Ok(evidence)
}

impl Explained {
    /// For people.
    pub fn text(&self) -> String {
        let Account {
            premium,
            factor,
            over,
            score,
            ..
        } = &self.account;
        let by = match &self.by {
            By::Log(log) => format!("the evidence in {}", log.display()),
            By::Served { validator, epoch } => {
                format!("what validator {validator} serves of epoch {epoch}")
            }
        };
        let head = format!("uid {} as of round {}, by {by}\n", self.uid, self.round);
        let parts = &self.account.rounds;
        let has_unseen = parts.iter().any(|part| part.unseen.is_some());
        let mut names = vec!["round", "found", "gain", "premium", "±", "steps", "alike"];
        names.extend(has_unseen.then_some("holds"));
        names.push("share");
        let rounds: Vec<Vec<String>> = parts.iter().map(|part| row(part, has_unseen)).collect();
        let sum = format!(
            "premium over rounds: {premium:.1} standard errors, so that {} of its gains count\nscore: {score:.4}, the mean of its shares over {over} rounds; {} of what this validator gives\n",
            share(*factor),
            share(self.part),
        );
        let what: String = self
            .advice
            .iter()
            .map(|one| format!("- {}\n", in_words(one)))
            .collect();
        let raises = match what.is_empty() {
            true => "nothing keeps it down but what the others gained\n".into(),
            false => format!("what would raise it:\n{what}"),
        };
        [head, table(&names, &rounds), sum, raises].concat()
    }
}

/// What it did in a round; with the share of its gain that holds on text that miners do not have, if there is one.
fn row(part: &Part, has_unseen: bool) -> Vec<String> {
    let found = match part.found {
        Found::Missed => "missed",
        Found::Unmeasured => "not measured",
        Found::Measured if part.repeats => "repeats the last round",
        Found::Measured => "measured",
    };
    let mut cells = vec![part.round.to_string(), found.into()];
    if part.found == Found::Measured {
        cells.extend([
            format!("{:.4}", part.gain),
            format!("{:+.4}", part.premium),
            format!("{:.4}", part.error),
            share(part.steps),
            part.alike.to_string(),
        ]);
        cells.extend(has_unseen.then(|| share(part.holds)));
        cells.push(share(part.share));
    }
    cells
}

fn share(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// What a person can do about it.
pub fn in_words(advice: &Advice) -> String {
    match advice {
        Advice::Missed(rounds) => {
            format!("deliver in every round: in {rounds} it delivered nothing good, or had no part")
        }
        Advice::NoGain(rounds) => format!(
            "train better or longer: in {rounds} rounds what it sent did not help on text that nobody trained on"
        ),
        Advice::Memorised(rounds) => format!(
            "train on nothing but the assigned data: in {rounds} rounds less than half of what it gained counted, as \
             it does not hold on text that miners do not have"
        ),
        Advice::Alike(rounds) => format!(
            "send work of its own: in {rounds} rounds it resembled another's, and they share one score"
        ),
        Advice::Repeats(rounds) => format!(
            "train anew: in {rounds} rounds it sent what the round before had changed, which is worth nothing"
        ),
        Advice::FewSteps(steps) => {
            format!("make all inner steps: it declares {} of them", share(*steps))
        }
        Advice::New => "go on: a newcomer counts for a half until it has proven that it trains on its own data".into(),
        Advice::Unproven => "train on the assigned data, in all its steps: that it does is not proven, so not all of its gains count".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_primitives::H256;
    use cairn_round::scoring::Outcome;
    use std::io::Write;

    fn item(round: Round, uid: Uid) -> Evidence {
        let gains = |mean: f32| (0..32).map(|i| mean + (i % 3) as f32 * 0.001).collect();
        Evidence {
            round,
            uid,
            hotkey: Hotkey(H256([uid.get() as u8; 32])),
            outcome: Outcome::Measured {
                steps: 8,
                of: 8,
                alike: 1 + u16::from(uid == Uid(2)),
                repeats: false,
                assigned: gains(0.22),
                unassigned: gains(0.2),
                settled: Vec::new(),
                unseen: Vec::new(),
            },
        }
    }

    /// A log of 20 rounds, whose last line is being written.
    fn log(directory: &Path) -> PathBuf {
        let path = directory.join(LOG);
        let mut file = File::create(&path).expect("room");
        for round in 0..20 {
            for uid in [1, 2] {
                let line = serde_json::to_string(&item(round, Uid(uid))).expect("plain data");
                writeln!(file, "{line}").expect("room");
            }
        }
        write!(file, "{{\"round\":20,\"ui").expect("room");
        path
    }

    #[test]
    fn a_score_is_explained_as_of_any_round_of_the_log() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = log(directory.path());
        assert_eq!(find(Some(directory.path()), Netuid(1)), Some(path.clone()));
        let newest = explain(&path, None, Uid(1))
            .expect("readable")
            .expect("known");
        assert_eq!((newest.round, newest.account.over), (19, 8));
        assert!((newest.part - 2.0 / 3.0).abs() < 1e-6);
        let early = explain(&path, Some(2), Uid(1))
            .expect("readable")
            .expect("known");
        assert_eq!((early.round, early.account.rounds.len()), (2, 3));
        assert!(explain(&path, None, Uid(9)).expect("readable").is_none());
    }

    #[test]
    fn people_are_told_what_would_raise_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = log(directory.path());
        let text = explain(&path, None, Uid(2))
            .expect("readable")
            .expect("known")
            .text();
        assert!(
            text.contains("in 8 rounds it resembled another's"),
            "{text}"
        );
        let text = explain(&path, None, Uid(1))
            .expect("readable")
            .expect("known")
            .text();
        assert!(text.contains("nothing keeps it down"), "{text}");
        assert!(text.contains("100.0 % of its gains count"), "{text}");
    }

    #[test]
    fn how_far_gains_hold_on_text_that_miners_do_not_have_is_shown_where_there_is_one() {
        let directory = tempfile::tempdir().expect("a directory");
        let text = |path: &Path, uid| {
            let found = explain(path, None, Uid(uid)).expect("readable");
            found.expect("known").text()
        };
        let path = log(directory.path());
        assert!(!text(&path, 1).contains("holds"));
        let mut file = File::create(&path).expect("room");
        for (uid, gain) in [(1, 0.1), (2, 0.1), (3, 0.01)] {
            let mut item = item(0, Uid(uid));
            if let Outcome::Measured { unseen, .. } = &mut item.outcome {
                *unseen = vec![gain; 32];
            }
            let line = serde_json::to_string(&item).expect("plain data");
            writeln!(file, "{line}").expect("room");
        }
        let (one, three) = (text(&path, 1), text(&path, 3));
        assert!(one.contains("holds") && !one.contains("20.0 %"), "{one}");
        assert!(three.contains("20.0 %"), "{three}");
        let told = "in 1 rounds less than half of what it gained counted";
        assert!(three.contains(told) && !one.contains(told), "{three}");
    }

    #[test]
    fn a_log_that_is_not_there_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        assert_eq!(find(Some(directory.path()), Netuid(1)), None);
        let Err(error) = explain(&directory.path().join(LOG), None, Uid(1)) else {
            panic!("no log was found");
        };
        assert!(error.to_string().contains(LOG), "{error}");
    }
}
