//! Shows numbers to Prometheus.

use std::collections::BTreeSet;

use substrate_prometheus_endpoint::{register, GaugeVec, Opts, PrometheusError, Registry, F64};

use super::samples::{Sample, METRICS};

/// All metrics, and which values they have.
pub struct Gauges {
    all: Vec<(&'static str, GaugeVec<F64>)>,
    shown: BTreeSet<(&'static str, Vec<String>)>,
}

impl Gauges {
    pub fn register(registry: &Registry) -> Result<Gauges, PrometheusError> {
        let mut all = Vec::new();
        for metric in METRICS {
            let opts = Opts::new(metric.name, metric.help);
            let gauge = GaugeVec::new(opts, metric.labels)?;
            all.push((metric.name, register(gauge, registry)?));
        }
        Ok(Gauges {
            all,
            shown: BTreeSet::new(),
        })
    }

    fn named(&self, name: &str) -> Option<&GaugeVec<F64>> {
        let found = self.all.iter().find(|(known, _)| *known == name);
        found.map(|(_, gauge)| gauge)
    }

    /// Shows these, and no longer what is not among them, such as a subnet that is gone.
    pub fn show(&mut self, samples: Vec<Sample>) {
        let mut shown = BTreeSet::new();
        for Sample {
            name,
            labels,
            value,
        } in samples
        {
            let values: Vec<&str> = labels.iter().map(String::as_str).collect();
            let Some(gauge) = self.named(name) else {
                continue;
            };
            if let Ok(gauge) = gauge.get_metric_with_label_values(&values) {
                gauge.set(value);
                shown.insert((name, labels));
            }
        }
        for (name, labels) in self.shown.difference(&shown) {
            let values: Vec<&str> = labels.iter().map(String::as_str).collect();
            if let Some(gauge) = self.named(name) {
                let _ = gauge.remove_label_values(&values);
            }
        }
        self.shown = shown;
    }
}
