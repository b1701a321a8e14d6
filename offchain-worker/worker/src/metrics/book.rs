//! The list of all metrics of a worker.
//!
//! Names follow Prometheus' conventions: a unit at the end, `_total` for what only grows since the worker started, one
//! name for what can be added up. Each has the labels `role` and `netuid`. `ops/metrics/worker.prom` has all of them,
//! and a test compares.

use cairn_primitives::{Netuid, Uid};
use prometheus::{
    exponential_buckets, Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, IntGaugeVec, Opts, Registry,
};

use super::Failed;

type Made<T> = Result<T, prometheus::Error>;

/// What all names begin with.
const PREFIX: &str = "cairn_worker";

/// From 10 ms to 44 minutes, each four times the one before.
const BUCKETS: (f64, f64, usize) = (0.01, 4.0, 10);

/// All metrics, by their names without what all begin with.
pub(super) struct Book {
    pub registry: Registry,
    pub best_block: IntGauge,
    pub last_block_timestamp_seconds: Gauge,
    pub round: IntGauge,
    pub chain_round: IntGauge,
    pub phase: IntGaugeVec,
    pub idle: IntGauge,
    pub loss_nats: Gauge,
    pub inner_steps_total: IntCounter,
    pub trained_tokens_total: IntCounter,
    pub replayed_steps_total: IntCounter,
    pub sent_bytes_total: IntCounterVec,
    pub fetched_bytes_total: IntCounterVec,
    pub settled_rounds_total: IntCounter,
    pub null_rounds_total: IntCounter,
    pub committed_rounds_total: IntCounter,
    pub included_rounds_total: IntCounter,
    pub refused_contributions_total: IntCounter,
    pub measured_contributions_total: IntCounter,
    pub verdicts_total: IntCounterVec,
    pub score_ratio: GaugeVec,
    pub share_ratio: Gauge,
    pub earned_pebbles: IntGauge,
    pub sources: IntGaugeVec,
    pub stage_duration_seconds: HistogramVec,
    pub failures_total: IntCounterVec,
    pub notices_total: IntCounterVec,
    pub disk_free_bytes: IntGaugeVec,
    pub disk_size_bytes: IntGaugeVec,
}

impl Book {
    pub fn new(role: &str, netuid: Netuid) -> Made<Book> {
        let netuid = netuid.to_string();
        let make = &Maker {
            registry: Registry::new(),
            labels: [("role", role), ("netuid", &netuid)],
        };
        let info = make.gauges("build_info", "1; the labels say which build", &["version"])?;
        info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Ok(Book {
            best_block: make.gauge("best_block", "Highest block seen")?,
            last_block_timestamp_seconds: make.real(
                "last_block_timestamp_seconds",
                "When the chain last got further, in seconds since 1970",
            )?,
            round: make.gauge("round", "Round that begins with the parameters held here")?,
            chain_round: make.gauge("chain_round", "Current round on chain")?,
            phase: make.gauges("phase", "1 for the phase of the last block", &["phase"])?,
            idle: make.gauge("idle", "1 if the worker has no part in the current round")?,
            loss_nats: make.real("loss_nats", "Mean loss of the last inner step, in nats")?,
            inner_steps_total: make.counter("inner_steps_total", "Inner steps made")?,
            trained_tokens_total: make.counter("trained_tokens_total", "Tokens trained on")?,
            replayed_steps_total: make.counter(
                "replayed_steps_total",
                "Inner steps made again to serve what was audited",
            )?,
            sent_bytes_total: make.counters(
                "sent_bytes_total",
                "Bytes put into the own store, by what they are",
                &["kind"],
                &["contribution", "audit"],
            )?,
            fetched_bytes_total: make.counters(
                "fetched_bytes_total",
                "Bytes of files of others, by where they came from",
                &["from"],
                &["store", "members"],
            )?,
            settled_rounds_total: make.counter("settled_rounds_total", "Rounds applied")?,
            null_rounds_total: make
                .counter("null_rounds_total", "Rounds applied that included nothing")?,
            committed_rounds_total: make.counter(
                "committed_rounds_total",
                "Rounds applied in which the worker committed, or attested",
            )?,
            included_rounds_total: make.counter(
                "included_rounds_total",
                "Rounds applied that included its contribution",
            )?,
            refused_contributions_total: make.counter(
                "refused_contributions_total",
                "Contributions of others that cannot be vouched for",
            )?,
            measured_contributions_total: make.counter(
                "measured_contributions_total",
                "Contributions of others that were measured",
            )?,
            verdicts_total: make.counters(
                "verdicts_total",
                "Audits by this validator, by what they found",
                &["finding"],
                &["passed", "failed"],
            )?,
            score_ratio: make.reals(
                "score_ratio",
                "Scores that this validator set last",
                &["uid"],
            )?,
            share_ratio: make.real(
                "share_ratio",
                "Share of the last epoch: incentive of a miner, dividends of a validator",
            )?,
            earned_pebbles: make.gauge(
                "earned_pebbles",
                "What the member was paid since it came, as of the last round applied",
            )?,
            sources: make.gauges(
                "sources",
                "Endpoints of others, by whether they are asked",
                &["state"],
            )?,
            stage_duration_seconds: make
                .times("stage_duration_seconds", "How long a part of the work took")?,
            failures_total: make.counters(
                "failures_total",
                "What went wrong and is tried again, by what it was",
                &["kind"],
                &Failed::ALL.map(Failed::name),
            )?,
            notices_total: make.counters(
                "notices_total",
                "Notices for --notify, by what became of them",
                &["outcome"],
                &["posted", "lost"],
            )?,
            disk_free_bytes: make.gauges(
                "disk_free_bytes",
                "Room left for the worker on the disk of a directory",
                &["directory"],
            )?,
            disk_size_bytes: make.gauges(
                "disk_size_bytes",
                "Size of the disk of a directory",
                &["directory"],
            )?,
            registry: make.registry.clone(),
        })
    }

    pub fn sent(&self, kind: &str, bytes: u64) {
        self.sent_bytes_total
            .with_label_values(&[kind])
            .inc_by(bytes);
    }

    /// Shows these scores and no others; there are at most as many as a subnet has members.
    pub fn show_scores(&self, scores: &[(Uid, u16)]) {
        self.score_ratio.reset();
        for (uid, score) in scores {
            let gauge = self.score_ratio.with_label_values(&[&uid.to_string()]);
            gauge.set(f64::from(*score) / f64::from(u16::MAX));
        }
    }
}

/// Makes metrics and registers them.
struct Maker<'a> {
    registry: Registry,
    labels: [(&'static str, &'a str); 2],
}

impl Maker<'_> {
    fn opts(&self, name: &str, help: &str) -> Opts {
        let labels = self.labels.map(|(name, value)| (name.into(), value.into()));
        Opts::new(format!("{PREFIX}_{name}"), help).const_labels(labels.into())
    }

    fn registered<T: prometheus::core::Collector + Clone + 'static>(&self, one: T) -> Made<T> {
        self.registry.register(Box::new(one.clone()))?;
        Ok(one)
    }

    fn gauge(&self, name: &str, help: &str) -> Made<IntGauge> {
        self.registered(IntGauge::with_opts(self.opts(name, help))?)
    }

    fn real(&self, name: &str, help: &str) -> Made<Gauge> {
        self.registered(Gauge::with_opts(self.opts(name, help))?)
    }

    fn counter(&self, name: &str, help: &str) -> Made<IntCounter> {
        self.registered(IntCounter::with_opts(self.opts(name, help))?)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Made<IntGaugeVec> {
        self.registered(IntGaugeVec::new(self.opts(name, help), labels)?)
    }

    fn reals(&self, name: &str, help: &str, labels: &[&str]) -> Made<GaugeVec> {
        self.registered(GaugeVec::new(self.opts(name, help), labels)?)
    }

    /// With these values of the label from the beginning, so that what never happened is 0 and not absent.
    fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        values: &[&str],
    ) -> Made<IntCounterVec> {
        let counters = self.registered(IntCounterVec::new(self.opts(name, help), labels)?)?;
        for value in values {
            counters.get_metric_with_label_values(&[value])?;
        }
        Ok(counters)
    }

    fn times(&self, name: &str, help: &str) -> Made<HistogramVec> {
        let (start, factor, count) = BUCKETS;
        let opts = HistogramOpts::from(self.opts(name, help));
        let opts = opts.buckets(exponential_buckets(start, factor, count)?);
        self.registered(HistogramVec::new(opts, &["stage"])?)
    }
}
