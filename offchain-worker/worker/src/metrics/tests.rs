//! Every metric is there under its name, and shows what it says.

use std::{sync::Arc, time::Duration};

use cairn_chain::{AccountId, RoundInfo};
use cairn_primitives::{ModelRoot, Uid, H256};

use super::*;
use crate::roles::testing::config_and_store;

const ROLE: &str = "miner";

fn line() -> Line {
    Line {
        round: 8,
        contributions: 3,
        committed: true,
        included: true,
        incentive: u16::MAX / 5,
        earned: 12_500_000_000,
        model_root: ModelRoot(H256([1; 32])),
    }
}

fn status() -> Status {
    Status {
        role: ROLE.into(),
        uid: Some(Uid(3)),
        hotkey: AccountId([7; 32]),
        netuid: Netuid(1),
        block: 1_234,
        round: 8,
        model_root: ModelRoot(H256([8; 32])),
        loss: Some(3.5),
        rounds_committed: 4,
        rounds_included: 3,
        idle: None,
        drains_until: None,
    }
}

async fn run() -> RunInfo {
    let directory = tempfile::tempdir().unwrap();
    let (config, _) = config_and_store(directory.path()).await;
    RunInfo {
        config,
        started_at: 10,
        round: RoundInfo {
            round: 9,
            times: cairn_primitives::RoundTimes {
                start: 1_200,
                ..Default::default()
            },
            phase: Phase::Reveal,
            seed: H256::zero(),
            pass: 0,
            cursor: 0,
            miners: Vec::new(),
            validators: Vec::new(),
            base: None,
        },
        oldest_round: 0,
        absent: Vec::new(),
        unawaited: Vec::new(),
        next: None,
    }
}

fn trained() -> Progress {
    Progress::Trained {
        round: 8,
        steps: 20,
        tokens: 40_960,
        first_loss: 4.0,
        last_loss: 3.5,
        bytes: 1_000_000,
    }
}

/// Metrics of a worker to which everything happened once.
async fn all() -> Metrics {
    let metrics = Metrics::new(ROLE, Netuid(1)).unwrap();
    let date = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    metrics.beat(1_234, Instant::now(), date);
    metrics.said(&trained());
    metrics.said(&Progress::AuditServed {
        round: 8,
        bytes: 2_000,
    });
    metrics.said(&Progress::Refused {
        round: 8,
        uid: Uid(4),
        reason: "too long".into(),
    });
    metrics.said(&Progress::Scored {
        round: 8,
        measured: 3,
        miners: 4,
    });
    metrics.said(&Progress::VerdictRevealed {
        round: 8,
        uid: Uid(4),
        finding: Finding::Passed,
    });
    metrics.said(&Progress::ScoresSet {
        round: 8,
        scores: vec![(Uid(3), u16::MAX), (Uid(5), 0)],
    });
    metrics.made_again(15);
    metrics.looked(&status(), &run().await);
    metrics.settled(&line());
    let stages = &metrics.book.stage_duration_seconds;
    stages.with_label_values(&["train"]).observe(12.0);
    metrics.failed(Failed::Send);
    metrics.fetched(Came::FromMembers, 3_000);
    metrics.sources(2, 1);
    metrics.notified(true);
    for gauge in [&metrics.book.disk_free_bytes, &metrics.book.disk_size_bytes] {
        gauge.with_label_values(&["state"]).set(1 << 40);
        gauge.with_label_values(&["store"]).set(1 << 40);
    }
    metrics
}

#[tokio::test]
async fn all_metrics_are_those_of_the_file_that_rules_and_dashboards_are_held_against() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ops/metrics/worker.prom");
    let version = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
    let shown = all().await.exposition().unwrap();
    let shown = shown.replace(&version, "version=\"VERSION\"");
    if std::env::var_os("CAIRN_WRITE_METRICS").is_some() {
        std::fs::write(path, &shown).unwrap();
    }
    let file = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        shown == file,
        "ops/metrics/worker.prom is not what a worker shows; run this test with CAIRN_WRITE_METRICS=1, and look at \
         what changed:\n{shown}"
    );
}

#[tokio::test]
async fn what_happens_is_counted_and_what_is_shows_the_last() {
    let metrics = all().await;
    metrics.said(&trained());
    metrics.said(&Progress::ScoresSet {
        round: 9,
        scores: vec![(Uid(5), u16::MAX)],
    });
    metrics.settled(&Line {
        contributions: 0,
        committed: false,
        included: false,
        earned: 13_000_000_000,
        ..line()
    });
    let shown = metrics.exposition().unwrap();
    let has = |line: &str| {
        assert!(
            shown.lines().any(|shown| shown == line),
            "{line} is missing in\n{shown}"
        );
    };
    has("cairn_worker_trained_tokens_total{netuid=\"1\",role=\"miner\"} 81920");
    has("cairn_worker_settled_rounds_total{netuid=\"1\",role=\"miner\"} 2");
    has("cairn_worker_null_rounds_total{netuid=\"1\",role=\"miner\"} 1");
    has("cairn_worker_included_rounds_total{netuid=\"1\",role=\"miner\"} 1");
    has("cairn_worker_earned_pebbles{netuid=\"1\",role=\"miner\"} 13000000000");
    // Whom it no longer scores is gone.
    has("cairn_worker_score_ratio{netuid=\"1\",role=\"miner\",uid=\"5\"} 1");
    assert!(!shown.contains("uid=\"3\""), "{shown}");
    // What never happened is there, too.
    has("cairn_worker_failures_total{kind=\"engine\",netuid=\"1\",role=\"miner\"} 0");
}

#[tokio::test]
async fn one_phase_is_on_at_a_time() {
    let metrics = all().await;
    let mut run = run().await;
    for phase in [Phase::Train, Phase::Attest, Phase::Settle, Phase::Reveal] {
        run.round.phase = phase;
        metrics.looked(&status(), &run);
        let shown = metrics.exposition().unwrap();
        let on = |line: &&str| line.starts_with("cairn_worker_phase{") && line.ends_with(" 1");
        assert_eq!(shown.lines().filter(on).count(), 1, "{phase:?}\n{shown}");
    }
}

#[test]
fn names_carry_their_units_as_prometheus_asks() {
    let metrics = Metrics::new(ROLE, Netuid(1)).unwrap();
    for family in metrics.book.registry.gather() {
        let name = family.get_name();
        let is_counter = family.get_field_type() == prometheus::proto::MetricType::COUNTER;
        assert_eq!(is_counter, name.ends_with("_total"), "{name}");
        assert!(!family.get_help().is_empty(), "{name}");
        assert!(name.starts_with("cairn_worker_"), "{name}");
    }
}

#[test]
fn an_onlooker_is_told_of_what_is_noted_and_a_second_one_is_not() {
    let metrics = Metrics::new(ROLE, Netuid(1)).unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let onlooker = |name: &'static str| -> Onlooker {
        let told = told.clone();
        Arc::new(move |note: &Note<'_>| {
            let what = match note {
                Note::Beat(block) => format!("block {block}"),
                Note::Said(said) => said.to_string(),
                Note::Stepped { done, of, loss } => format!("{done} of {of}, {loss}"),
                Note::Began(stage) => format!("{} begins", stage.name()),
                Note::Ended(stage) => format!("{} ends", stage.name()),
                Note::Fetched(bytes) => format!("{bytes} bytes"),
                Note::Sources { open, passed_over } => format!("{open}, {passed_over}"),
                Note::Settled(line) => format!("{} settled", line.round),
                Note::Looked(status, _) => format!("looked at {}", status.block),
            };
            told.lock().unwrap().push(format!("{name}: {what}"));
        })
    };
    metrics.beat(6, Instant::now(), UNIX_EPOCH);
    metrics.tell(onlooker("first"));
    metrics.tell(onlooker("second"));
    metrics.beat(7, Instant::now(), UNIX_EPOCH);
    let timer = metrics.time(Stage::Train);
    metrics.stepped(0, 20, 4.5);
    drop(timer);
    metrics.said(&Progress::Revealed { round: 3 });
    metrics.fetched(Came::FromStore, 10);
    metrics.sources(2, 1);
    metrics.settled(&line());
    let expected = [
        "first: block 7",
        "first: train begins",
        "first: 1 of 20, 4.5",
        "first: train ends",
        "first: round 3 · revealed",
        "first: 10 bytes",
        "first: 2, 1",
        "first: 8 settled",
    ];
    assert_eq!(*told.lock().unwrap(), expected);
}
