//! What a worker says while it works: a line for people, or JSON for programs.

use std::{fmt, sync::Arc};

use cairn_primitives::{BlockNumber, EpochIndex, Finding, ModelRoot, Round, SealedRoot, Uid};
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
    fn numbers_are_grouped_by_thousands() {
        let found = [0, 999, 1_000, 12_345_678].map(grouped);
        assert_eq!(found, ["0", "999", "1,000", "12,345,678"]);
    }
}
