//! `cairn gpu-selftest`: every kernel on a card against what it should compute.

use cairn_trainer::{
    cuda::selftest::{self, Outcome, Report, Settings},
    engine::Device,
};
use clap::Args;
use serde::Serialize;

use super::{args::JsonArg, print};
use crate::{error::Failure, progress::progress, table::table};

/// `cairn gpu-selftest`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  cairn gpu-selftest\n  cairn gpu-selftest --device cuda:1 --json\n\nExits with 1 if a kernel is wrong or there is no GPU."
)]
pub struct GpuSelftest {
    /// GPU to test
    #[arg(long, env = "CAIRN_DEVICE", default_value_t = Device::Cuda(0), value_name = "DEVICE")]
    device: Device,
    /// Seed of the test data
    #[arg(long, env = "CAIRN_SEED", default_value_t = 1, value_name = "N")]
    seed: u64,
    #[command(flatten)]
    json: JsonArg,
}

/// What is printed.
#[derive(Serialize)]
struct Verdict {
    card: String,
    architecture: String,
    kernels: Vec<Line>,
    passed: bool,
}

#[derive(Serialize)]
struct Line {
    kernel: String,
    /// Relative, the largest seen.
    error: f64,
    tolerance: f64,
    microseconds: Option<f64>,
    /// Of the card's peak, in what the kernel is bound by.
    share_of_peak: Option<f64>,
    peak_of: Option<String>,
    passed: bool,
}

impl GpuSelftest {
    /// Compares, times, and prints.
    pub fn run(self) -> Result<(), Failure> {
        let ordinal = match self.device {
            Device::Auto => 0,
            Device::Cuda(ordinal) => ordinal,
            Device::Cards { .. } => {
                return Err(Failure::new(
                    "GPUs are compared one by one",
                    "name one of them: --device cuda:0",
                ))
            }
            Device::Cpu => {
                return Err(Failure::new(
                    "GPUs are compared with the CPU",
                    "name a GPU: --device cuda:0",
                ))
            }
        };
        let told = progress("comparing and timing kernels", 0);
        let report = selftest::run(Settings {
            ordinal,
            seed: self.seed,
            timed: true,
        })?;
        drop(told);
        let verdict = Verdict::of(&report);
        print(self.json.json, &verdict, Verdict::text)?;
        let wrong = verdict.kernels.iter().filter(|line| !line.passed).count();
        if wrong > 0 {
            return Err(Failure::new(
                format!("{wrong} results of {} are wrong", verdict.card),
                "train with --device cpu, and report this with the output of `cairn doctor`",
            ));
        }
        Ok(())
    }
}

impl Verdict {
    fn of(report: &Report) -> Verdict {
        Verdict {
            card: report.card.name.clone(),
            architecture: report.card.arch(),
            kernels: report.outcomes.iter().map(Line::of).collect(),
            passed: report.passed(),
        }
    }

    fn text(&self) -> String {
        let head = ["kernel", "error", "accepted", "time", "of peak", ""];
        let rows: Vec<Vec<String>> = self.kernels.iter().map(Line::cells).collect();
        let verdict = if self.passed { "passed" } else { "FAILED" };
        format!(
            "{} ({})\n{}{verdict}",
            self.card,
            self.architecture,
            table(&head, &rows)
        )
    }
}

impl Line {
    fn of(outcome: &Outcome) -> Line {
        Line {
            kernel: outcome.name.to_string(),
            error: outcome.error,
            tolerance: outcome.tolerance,
            microseconds: outcome.seconds.map(|seconds| seconds * 1e6),
            share_of_peak: outcome.share_of_peak.map(|(share, _)| share),
            peak_of: outcome.share_of_peak.map(|(_, of)| of.to_string()),
            passed: outcome.passed(),
        }
    }

    fn cells(&self) -> Vec<String> {
        let peak = self
            .share_of_peak
            .zip(self.peak_of.as_ref())
            .map(|(share, of)| format!("{:.0} % of {of}", share * 100.0));
        vec![
            self.kernel.clone(),
            format!("{:.1e}", self.error),
            format!("{:.1e}", self.tolerance),
            self.microseconds
                .map_or(String::new(), |us| format!("{us:.1} µs")),
            peak.unwrap_or_default(),
            if self.passed { "ok" } else { "WRONG" }.into(),
        ]
    }
}
