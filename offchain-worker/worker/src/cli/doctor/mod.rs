//! `cairn doctor`: what this machine has to train with, what its workers keep, and what a run would take of it.

pub(super) mod run;
mod state;

use std::path::PathBuf;

use cairn_trainer::cuda::{cache_directory, libraries, Card, Device};
use clap::{builder::BoolishValueParser, Args};
use serde::Serialize;

use self::{
    run::{RunArgs, RunReport},
    state::State,
};
use super::{
    args::{JsonArg, NodeArgs},
    print,
};
use crate::error::Failure;

/// `cairn doctor`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  cairn doctor\n  cairn doctor --json\n  cairn doctor --netuid 1 --key miner --store file:///srv/cairn   measures what a run takes, and says what to do\n  cairn doctor --remove-old-state           shows what is old, asks, and removes it\n  cairn doctor --remove-old-state --yes\n\nState is old when its run is over: the node is asked. State that a worker uses is never removed.\n\nWith --netuid the exit code is 1 if a line says FIX."
)]
pub struct Doctor {
    /// Remove what workers kept of runs that are over, after showing it
    #[arg(long, env = "CAIRN_REMOVE_OLD_STATE", value_parser = BoolishValueParser::new())]
    remove_old_state: bool,
    /// Remove what workers kept of other chains than the node's, too
    #[arg(long, env = "CAIRN_OTHER_CHAINS", requires = "remove_old_state", value_parser = BoolishValueParser::new())]
    other_chains: bool,
    /// Remove without asking
    #[arg(long, env = "CAIRN_YES", value_parser = BoolishValueParser::new())]
    yes: bool,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
    #[command(flatten)]
    run: RunArgs,
}

/// Everything found.
#[derive(Serialize)]
struct Findings {
    cpu: Cpu,
    /// CUDA version that the driver speaks.
    driver: Finding<String>,
    cards: Finding<Vec<CardFound>>,
    nvrtc: Finding<String>,
    cublaslt: Finding<String>,
    /// What several cards need.
    nccl: Finding<String>,
    /// Where compiled kernels are kept.
    kernel_cache: PathBuf,
    /// What `--device auto` takes.
    trains_on: String,
    /// What is missing, and how to get it.
    missing: Vec<String>,
    /// What workers keep on the disk.
    state: State,
    /// What a run takes, if one was asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<RunReport>,
}

/// Something found, or why not.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Finding<T> {
    Found(T),
    Missing(String),
}

#[derive(Serialize)]
struct Cpu {
    model: String,
    threads: usize,
    memory_mib: Option<u64>,
    avx2: bool,
    fma: bool,
    avx512: bool,
    /// Whether training here gives the bits that everybody gets.
    usable: bool,
}

#[derive(Serialize)]
struct CardFound {
    device: String,
    name: String,
    architecture: String,
    multiprocessors: i32,
    memory_mib: usize,
    free_mib: usize,
    /// Whether its kernels could be compiled and loaded.
    ready: Finding<bool>,
}

impl Doctor {
    /// Looks, and says what it found.
    pub async fn run(self) -> Result<(), Failure> {
        let mut state = State::look(&self.node).await?;
        if self.remove_old_state {
            state.remove_old(self.yes, self.other_chains)?;
        }
        let run = self.run.look(&self.node).await?;
        let findings = Findings::look(state, run);
        print(self.json.json, &findings, Findings::text)?;
        if findings.trains_on.is_empty() {
            return Err(Failure::new(
                "nothing here can train",
                "use an x86-64 machine with AVX2 and FMA",
            ));
        }
        match findings.run.as_ref().map_or(0, RunReport::to_fix) {
            0 => Ok(()),
            1 => Err(Failure::new(
                "one thing is in the way",
                "do what the line with FIX says",
            )),
            count => Err(Failure::new(
                format!("{count} things are in the way"),
                "do what the lines with FIX say",
            )),
        }
    }
}

impl Findings {
    fn look(state: State, run: Option<RunReport>) -> Findings {
        let mut missing = Vec::new();
        let cpu = Cpu::look(&mut missing);
        let mut found = |result: Result<String, cairn_trainer::cuda::CudaError>| match result {
            Ok(version) => Finding::Found(version),
            Err(error) => {
                missing.push(error.to_string());
                Finding::Missing(error.to_string())
            }
        };
        let driver = found(libraries::driver_version().map(|version| version.to_string()));
        let nvrtc = found(libraries::nvrtc_version().map(|version| version.to_string()));
        let cublaslt = found(libraries::cublaslt_version().map(cublas_version));
        // Of no use to who has one card, so it is not among what is missing.
        let nccl = match libraries::Library::Nccl.require() {
            Ok(()) => Finding::Found("libnccl.so.2".into()),
            Err(error) => Finding::Missing(error.to_string()),
        };
        let cards = match Card::all() {
            Ok(cards) => Finding::Found(cards.iter().map(CardFound::look).collect::<Vec<_>>()),
            Err(error) => Finding::Missing(error.to_string()),
        };
        let ready = |card: &&CardFound| matches!(card.ready, Finding::Found(_));
        let card = match &cards {
            Finding::Found(cards) => cards.first().filter(ready),
            Finding::Missing(_) => None,
        };
        let trains_on = match (card, cpu.usable) {
            (Some(card), _) => format!("{} ({})", card.device, card.name),
            (None, true) => "cpu".into(),
            (None, false) => String::new(),
        };
        Findings {
            cpu,
            driver,
            cards,
            nvrtc,
            cublaslt,
            nccl,
            kernel_cache: cache_directory().join("kernels"),
            trains_on,
            missing,
            state,
            run,
        }
    }

    fn text(&self) -> String {
        let cpu = &self.cpu;
        let has = |yes: bool| if yes { "yes" } else { "no" };
        let memory = cpu
            .memory_mib
            .map_or("unknown".into(), |mib| format!("{mib} MiB"));
        let mut lines = vec![
            format!(
                "CPU          {}, {} threads, {memory}",
                cpu.model, cpu.threads
            ),
            format!(
                "             AVX2 {}, FMA {}, AVX-512 {}",
                has(cpu.avx2),
                has(cpu.fma),
                has(cpu.avx512)
            ),
        ];
        let are_several = matches!(&self.cards, Finding::Found(cards) if cards.len() > 1);
        let libraries = [
            ("driver", &self.driver),
            ("NVRTC", &self.nvrtc),
            ("cuBLASLt", &self.cublaslt),
        ];
        let joining = are_several.then_some(("NCCL", &self.nccl));
        for (name, finding) in libraries.into_iter().chain(joining) {
            let version = match finding {
                Finding::Found(version) => version.as_str(),
                Finding::Missing(_) => "missing",
            };
            lines.push(format!("{name:<12} {version}"));
        }
        match &self.cards {
            Finding::Found(cards) => lines.extend(cards.iter().map(CardFound::text)),
            Finding::Missing(_) => lines.push("GPU          none".into()),
        }
        let trains_on = match self.trains_on.as_str() {
            "" => "nothing",
            device => device,
        };
        lines.push(format!("trains on    {trains_on}"));
        if !self.missing.is_empty() {
            lines.push("missing".into());
            lines.extend(self.missing.iter().map(|what| format!("  {what}")));
        }
        let run = self.run.as_ref().map(|run| format!("\n{}", run.text()));
        lines.join("\n") + "\n" + &self.state.text() + &run.unwrap_or_default()
    }
}

impl Cpu {
    fn look(missing: &mut Vec<String>) -> Cpu {
        let usable = cairn_trainer::check_cpu();
        if let Err(error) = &usable {
            missing.push(error.to_string());
        }
        #[cfg(target_arch = "x86_64")]
        let (avx2, fma, avx512) = (
            std::arch::is_x86_feature_detected!("avx2"),
            std::arch::is_x86_feature_detected!("fma"),
            std::arch::is_x86_feature_detected!("avx512f"),
        );
        #[cfg(not(target_arch = "x86_64"))]
        let (avx2, fma, avx512) = (false, false, false);
        Cpu {
            model: field("/proc/cpuinfo", "model name").unwrap_or("unknown".into()),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            memory_mib: field("/proc/meminfo", "MemTotal")
                .and_then(|text| text.split(' ').next()?.parse::<u64>().ok())
                .map(|kib| kib >> 10),
            avx2,
            fma,
            avx512,
            usable: usable.is_ok(),
        }
    }
}

impl CardFound {
    fn look(card: &Card) -> CardFound {
        // The kernels of the commonest head width; opening the card compiles and loads them.
        let ready = match Device::open(card.ordinal, 64) {
            Ok(_) => Finding::Found(true),
            Err(error) => Finding::Missing(error.to_string()),
        };
        CardFound {
            device: format!("cuda:{}", card.ordinal),
            name: card.name.clone(),
            architecture: card.arch(),
            multiprocessors: card.multiprocessors,
            memory_mib: card.memory >> 20,
            free_mib: card.free >> 20,
            ready,
        }
    }

    fn text(&self) -> String {
        let state = match &self.ready {
            Finding::Found(_) => "ready",
            Finding::Missing(reason) => reason,
        };
        format!(
            "{:<12} {}, {}, {} multiprocessors, {} of {} MiB free: {state}",
            self.device,
            self.name,
            self.architecture,
            self.multiprocessors,
            self.free_mib,
            self.memory_mib
        )
    }
}

/// 130100 is 13.1.0.
fn cublas_version(number: usize) -> String {
    format!(
        "{}.{}.{}",
        number / 10_000,
        number / 100 % 100,
        number % 100
    )
}

/// The first value of a key in one of the system's files.
fn field(path: &str, key: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_string())
}
