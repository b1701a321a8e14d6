//! What a worker says while it works: a line for people, or JSON for programs.

use std::{fmt, sync::Arc};

use cairn_primitives::{BlockNumber, EpochIndex, Finding, ModelRoot, Round, SealedRoot, Text, Uid};
use cairn_round::{
    drain::{Owed, Why},
    machine::Transaction,
};
use serde::Serialize;

use super::waiting::SAY_AGAIN;
use crate::{metrics::Metrics, output};

/// Something worth a line.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Progress {
    /// The worker goes on from these parameters.
    Ready {
        /// The round that begins with them.
        round: Round,
        /// Their root.
        model_root: ModelRoot,
        /// Whether they come from this worker's disk.
        resumed: bool,
    },
    /// There is no run to take part in.
    Waiting {
        /// The best block.
        block: BlockNumber,
        /// For what.
        reason: String,
    },
    /// The run is another one: the worker begins anew with it.
    AnotherRun {
        /// The block in which it was started.
        started_at: BlockNumber,
    },
    /// A round began in which the worker has no part.
    Idle {
        /// The round.
        round: Round,
        /// Why.
        reason: String,
    },
    /// The worker drains: it makes nothing more, and ends once none of its work can be audited.
    Draining {
        /// The newest round of which it owes something.
        round: Round,
        /// What it waits for: `contribution`, until that round is settled, or `audit`.
        owes: &'static str,
        /// The block by which it ends, if rounds are settled when they are due.
        until: BlockNumber,
        /// Blocks until then.
        blocks: BlockNumber,
        /// How long those take, in seconds, if it is known how long a block takes.
        seconds: Option<u64>,
    },
    /// A worker that was told to drain owes nothing any more, and ends.
    Drained,
    /// Inner steps are done.
    Trained {
        /// The round.
        round: Round,
        /// Inner steps.
        steps: u32,
        /// Tokens.
        tokens: u64,
        /// Loss of the first step.
        first_loss: f32,
        /// Loss of the last step.
        last_loss: f32,
        /// Bytes of the contribution.
        bytes: u64,
    },
    /// A commitment is in a block.
    Committed {
        /// The round.
        round: Round,
        /// BLAKE3 of the sealed file.
        sealed_root: SealedRoot,
    },
    /// A key is in a block.
    Revealed {
        /// The round.
        round: Round,
    },
    /// A contribution was looked at and cannot be vouched for.
    Refused {
        /// The round.
        round: Round,
        /// The miner.
        uid: Uid,
        /// What is wrong.
        reason: String,
    },
    /// A commitment to an attestation is in a block.
    AttestationCommitted {
        /// The round.
        round: Round,
    },
    /// That the worker is back after it was missed is in a block.
    Back {
        /// The round.
        round: Round,
    },
    /// Where the worker's files can be had is in a block.
    Serving {
        /// Its endpoints; none, if nowhere any more.
        endpoints: Vec<String>,
    },
    /// An attestation is in a block.
    Attested {
        /// The round.
        round: Round,
        /// Whom it vouches for.
        good: Vec<Uid>,
        /// Root of the parameters that the round began with.
        model_root: ModelRoot,
    },
    /// A round was settled and applied.
    Settled {
        /// The round.
        round: Round,
        /// Who was included.
        included: Vec<Uid>,
        /// Root of the parameters after it.
        model_root: ModelRoot,
        /// The finalised block at which this was seen.
        block: BlockNumber,
    },
    /// Contributions were measured.
    Scored {
        /// The round.
        round: Round,
        /// Miners that were measured or had missed the round.
        measured: usize,
        /// Miners of the round.
        miners: usize,
    },
    /// What is audited of this miner's work is served.
    AuditServed {
        /// The round.
        round: Round,
        /// Bytes of what is served.
        bytes: u64,
    },
    /// A commitment to what an audit found is in a block.
    VerdictCommitted {
        /// The round of the contribution.
        round: Round,
        /// Its miner.
        uid: Uid,
    },
    /// What an audit found is in a block.
    VerdictRevealed {
        /// The round of the contribution.
        round: Round,
        /// Its miner.
        uid: Uid,
        /// What was found.
        finding: Finding,
    },
    /// Scores are in a block.
    ScoresSet {
        /// The newest round that they are based on.
        round: Round,
        /// The scores.
        scores: Vec<(Uid, u16)>,
    },
    /// A commitment to scores is in a block.
    ScoresCommitted {
        /// The newest round that they are based on.
        round: Round,
        /// The number of the epoch after which they can be revealed.
        epoch: EpochIndex,
    },
    /// Scores that were committed to are in a block.
    ScoresRevealed {
        /// The newest round that they are based on.
        round: Round,
        /// The number of the epoch before which they were committed.
        epoch: EpochIndex,
        /// The scores.
        scores: Vec<(Uid, u16)>,
    },
}

impl Progress {
    /// What is said of a transaction that is in a block.
    pub(super) fn of(transaction: &Transaction) -> Progress {
        match transaction {
            Transaction::Commit(round, commitment) => Progress::Committed {
                round: *round,
                sealed_root: commitment.sealed_root,
            },
            Transaction::Reveal(round, _) => Progress::Revealed { round: *round },
            Transaction::CommitAttestation(pledge) => Progress::AttestationCommitted {
                round: pledge.round,
            },
            Transaction::Attest(pledge) => Progress::Attested {
                round: pledge.round,
                good: pledge.verdicts.uids().collect(),
                model_root: pledge.root,
            },
            Transaction::Here(round) => Progress::Back { round: *round },
            Transaction::SetEndpoints(endpoints) => Progress::Serving {
                endpoints: endpoints.iter().map(Text::to_text).collect(),
            },
            Transaction::OpenAudit(_, shown) => Progress::AuditServed {
                round: shown.round,
                bytes: shown.served.length,
            },
            Transaction::CommitVerdict(verdict) => Progress::VerdictCommitted {
                round: verdict.round,
                uid: verdict.uid,
            },
            Transaction::RevealVerdict(verdict) => Progress::VerdictRevealed {
                round: verdict.round,
                uid: verdict.uid,
                finding: verdict.finding,
            },
            Transaction::SetScores(round, scores) => Progress::ScoresSet {
                round: *round,
                scores: scores.clone(),
            },
            Transaction::CommitScores(hidden_row) => Progress::ScoresCommitted {
                round: hidden_row.round,
                epoch: hidden_row.epoch,
            },
            Transaction::RevealScores(hidden_row) => Progress::ScoresRevealed {
                round: hidden_row.round,
                epoch: hidden_row.epoch,
                scores: hidden_row.scores.clone(),
            },
        }
    }

    /// What a worker that drains owes, at this block; with milliseconds that a block takes.
    pub(super) fn draining(owed: Owed, now: BlockNumber, block_time: Option<u64>) -> Progress {
        let blocks = owed.until.saturating_sub(now);
        let time = block_time.map(|block| block.saturating_mul(blocks.into()));
        Progress::Draining {
            round: owed.round,
            owes: match owed.why {
                Why::Contribution => "contribution",
                Why::Audit => "audit",
            },
            until: owed.until,
            blocks,
            seconds: time.map(|time| time.div_ceil(1_000)),
        }
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Progress::Ready { round, model_root, resumed } => {
                let from = if *resumed { "going on from disk" } else { "ready" };
                write!(f, "round {round} · {from}, parameters {}", short(model_root))
            }
            Progress::Waiting { block, reason } => {
                write!(f, "block {block} · {reason} (said again every {SAY_AGAIN} blocks)")
            }
            Progress::AnotherRun { started_at } => {
                write!(f, "another run was started in block {started_at}: beginning with it")
            }
            Progress::Idle { round, reason } => write!(f, "round {round} · no part in it: {reason}"),
            Progress::Draining { round, owes, until, blocks, seconds } => {
                let waits = match *owes {
                    "audit" => "its contribution is audited",
                    _ => "its contribution is not settled",
                };
                let minutes = seconds.map(|seconds| seconds.div_ceil(60));
                let minutes = minutes.map(|minutes| format!(", about {minutes} min"));
                let minutes = minutes.unwrap_or_default();
                write!(f, "round {round} · draining: {waits}; over by block {until}, in {blocks} blocks{minutes}")
            }
            Progress::Drained => {
                write!(f, "drained: no audit of its work can be open any more; another device may begin")
            }
            Progress::Trained { round, steps, tokens, first_loss, last_loss, bytes } => write!(
                f,
                "round {round} · trained {steps} steps, {} tokens, loss {first_loss:.2} → {last_loss:.2}, {} bytes",
                grouped(*tokens),
                grouped(*bytes)
            ),
            Progress::Committed { round, sealed_root } => {
                write!(f, "round {round} · committed to {}", short(sealed_root))
            }
            Progress::Revealed { round } => write!(f, "round {round} · revealed"),
            Progress::Refused { round, uid, reason } => {
                write!(f, "round {round} · the contribution of uid {uid} is invalid: {reason}")
            }
            Progress::AttestationCommitted { round } => {
                write!(f, "round {round} · committed to what it attests")
            }
            Progress::Back { round } => {
                write!(f, "round {round} · said that it is back: it is expected from the next round on")
            }
            Progress::Serving { endpoints } if endpoints.is_empty() => {
                write!(f, "serving nobody any more: the chain names no endpoint")
            }
            Progress::Serving { endpoints } => {
                write!(f, "serving others at {}", endpoints.join(", "))
            }
            Progress::Attested { round, good, model_root } => {
                write!(f, "round {round} · attested {} and parameters {}", uids(good), short(model_root))
            }
            Progress::Settled { round, included, model_root, .. } if included.is_empty() => {
                write!(f, "round {round} · settled, nothing included, parameters stay {}", short(model_root))
            }
            Progress::Settled { round, included, model_root, .. } => {
                write!(f, "round {round} · settled with {}, parameters {}", uids(included), short(model_root))
            }
            Progress::Scored { round, measured, miners } => {
                write!(f, "round {round} · scored {measured} of {miners} miners")
            }
            Progress::AuditServed { round, bytes } => {
                write!(f, "round {round} · its audit is served, {} bytes", bytes)
            }
            Progress::VerdictCommitted { round, uid } => {
                write!(f, "round {round} · committed to what the audit of uid {uid} found")
            }
            Progress::VerdictRevealed { round, uid, finding } => {
                let found = match finding {
                    Finding::Passed => "its work is what it says",
                    Finding::Failed => "its work is not what it says",
                };
                write!(f, "round {round} · revealed the audit of uid {uid}: {found}")
            }
            Progress::ScoresSet { round, scores } => {
                write!(f, "round {round} · set scores: {}", cells(scores))
            }
            Progress::ScoresCommitted { round, epoch } => {
                write!(f, "round {round} · committed to scores, hidden until epoch {epoch} has run")
            }
            Progress::ScoresRevealed { round, scores, .. } => {
                write!(f, "round {round} · revealed scores: {}", cells(scores))
            }
        }
    }
}

/// The first eight digits, enough to compare by eye.
fn short(root: &impl std::fmt::Debug) -> String {
    format!("{root:?}").chars().take(10).collect()
}

fn cells(scores: &[(Uid, u16)]) -> String {
    let cell = |(uid, score): &(Uid, u16)| {
        format!("uid {uid} {:.3}", f64::from(*score) / f64::from(u16::MAX))
    };
    scores.iter().map(cell).collect::<Vec<_>>().join(", ")
}

/// `uid 0`, `uids 0, 3`, or `nobody`.
pub(crate) fn uids(uids: &[Uid]) -> String {
    match uids {
        [] => "nobody".into(),
        [uid] => format!("uid {uid}"),
        several => {
            let numbers: Vec<String> = several.iter().map(Uid::to_string).collect();
            format!("uids {}", numbers.join(", "))
        }
    }
}

/// A number with a comma after every third digit.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Says things.
#[derive(Clone)]
pub struct Reporter {
    /// As JSON on standard output instead of log lines.
    pub json: bool,
    /// What takes note of it, too.
    pub metrics: Arc<Metrics>,
}

impl Reporter {
    /// Says something.
    pub fn say(&self, progress: &Progress) {
        self.metrics.said(progress);
        if !self.json {
            tracing::info!("{progress}");
        } else if let Err(error) = output::show_json_line(progress) {
            // The work goes on; the exit code says that lines were lost.
            tracing::warn!("{error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_as_one() {
        let trained = Progress::Trained {
            round: 3,
            steps: 20,
            tokens: 40_960,
            first_loss: 6.211,
            last_loss: 5.979,
            bytes: 1_234_567,
        };
        let line = "round 3 · trained 20 steps, 40,960 tokens, loss 6.21 → 5.98, 1,234,567 bytes";
        assert_eq!(trained.to_string(), line);
        let settled = Progress::Settled {
            round: 4,
            included: vec![Uid(1), Uid(2)],
            model_root: ModelRoot::from([0xab; 32]),
            block: 9,
        };
        assert_eq!(
            settled.to_string(),
            "round 4 · settled with uids 1, 2, parameters 0xabababab"
        );
    }

    #[test]
    fn the_same_facts_are_there_as_json() {
        let json = serde_json::to_value(Progress::Revealed { round: 7 }).expect("plain data");
        assert_eq!(json, serde_json::json!({"event": "revealed", "round": 7}));
    }

    #[test]
    fn a_worker_that_drains_says_how_long_that_takes() {
        let owed = |why| Owed {
            round: 7,
            why,
            until: 137,
        };
        let said = Progress::draining(owed(Why::Audit), 114, Some(6_000));
        let line = "round 7 · draining: its contribution is audited; over by block 137, in 23 blocks, about 3 min";
        assert_eq!(said.to_string(), line);
        let json = serde_json::json!({
            "event": "draining", "round": 7, "owes": "audit", "until": 137, "blocks": 23, "seconds": 138
        });
        assert_eq!(serde_json::to_value(said).expect("plain data"), json);
        let said = Progress::draining(owed(Why::Contribution), 140, None);
        let line =
            "round 7 · draining: its contribution is not settled; over by block 137, in 0 blocks";
        assert_eq!(said.to_string(), line);
        let json = serde_json::to_value(Progress::Drained).expect("plain data");
        assert_eq!(json, serde_json::json!({"event": "drained"}));
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let found = [0, 999, 1_000, 12_345_678].map(grouped);
        assert_eq!(found, ["0", "999", "1,000", "12,345,678"]);
    }
}
