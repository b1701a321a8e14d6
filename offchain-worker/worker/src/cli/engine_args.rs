//! What makes a miner's inner steps.

use std::{ffi::OsString, path::PathBuf};

use cairn_engine::Device;
use cairn_engine_process::{Launch, Options};
use cairn_trainer::cuda::cache_directory;
use clap::{Args, ValueEnum};

use crate::error::Failure;

/// Which engine, and what a program of its own is told.
#[derive(Args, Debug)]
pub struct EngineArgs {
    /// What makes the inner steps: cairn itself, or PyTorch, for several machines and other makers' cards
    /// (docs/engines.md)
    #[arg(long, env = "CAIRN_ENGINE", value_enum, default_value_t = Kind::Cairn)]
    engine: Kind,
    /// Where to train: the first GPU if there is one, else the CPU (auto), or cpu, or cuda:N, or several GPUs as
    /// cuda:0-3; with --engine torch as PyTorch names it
    #[arg(
        long,
        env = "CAIRN_DEVICE",
        default_value = "auto",
        value_name = "DEVICE"
    )]
    device: String,
    /// Train on so many GPUs, from the first or from --device cuda:N on; with --engine torch: so many ranks on this
    /// machine [default: 1]
    #[arg(long, env = "CAIRN_GPUS", value_name = "N", conflicts_with = "launch", value_parser = clap::value_parser!(u16).range(1..=512))]
    gpus: Option<u16>,
    /// With --engine torch: what starts the ranks instead, as `torchrun --nnodes 2 …`
    #[arg(long, env = "CAIRN_LAUNCH", value_name = "COMMAND")]
    launch: Option<String>,
    /// With --engine torch: directory below which files are shared with it [default: the system's temporary directory]
    #[arg(long, env = "CAIRN_ENGINE_DIR", value_name = "DIR")]
    engine_dir: Option<PathBuf>,
    /// With --engine torch: more arguments of it, as `--dtype bf16 --recompute`
    #[arg(
        long,
        env = "CAIRN_ENGINE_ARGS",
        value_name = "ARGS",
        allow_hyphen_values = true
    )]
    engine_args: Option<String>,
}

/// Engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// This program
    Cairn,
    /// PyTorch FSDP2, in processes of its own
    Torch,
}

impl EngineArgs {
    /// The device of what is computed here, and the program that makes the steps if there is one.
    pub fn chosen(&self) -> Result<(Device, Option<Options>), Failure> {
        match self.engine {
            Kind::Torch => Ok((Device::Cpu, Some(self.torch()?))),
            Kind::Cairn => Ok((self.own_device()?, None)),
        }
    }

    fn own_device(&self) -> Result<Device, Failure> {
        let stray = [
            (self.launch.is_some(), "--launch"),
            (self.engine_dir.is_some(), "--engine-dir"),
            (self.engine_args.is_some(), "--engine-args"),
        ];
        if let Some((_, option)) = stray.into_iter().find(|(is_there, _)| *is_there) {
            let what = format!("{option} is for another engine than cairn's own");
            return Err(Failure::new(what, "add --engine torch, or leave it out"));
        }
        let device = self.device.parse::<Device>();
        let device =
            device.map_err(|what| Failure::new(what, "other names are for --engine torch"))?;
        let Some(count) = self.gpus else {
            return Ok(device);
        };
        device.cards(count.into()).ok_or_else(|| {
            Failure::new(
                format!("{count} GPUs do not go with --device {device}"),
                "name the first with --device cuda:N and 64 at most with --gpus, or all as --device cuda:0-3",
            )
        })
    }

    fn torch(&self) -> Result<Options, Failure> {
        let count = self.gpus.unwrap_or(1);
        let mut options = Options::ranks(&cache_directory(), count, &self.device);
        if let Some(command) = &self.launch {
            let mut words = words(command);
            if words.is_empty() {
                let what = "--launch names no command";
                return Err(Failure::new(
                    what,
                    "give one, as `torchrun --nnodes 2`, or --gpus N",
                ));
            }
            // what is put behind it is the name of a module
            words.push("-m".into());
            options.launch = Launch::Command(words);
        }
        options.directory = self.engine_dir.clone();
        options.arguments = self.engine_args.as_deref().map(words).unwrap_or_default();
        Ok(options)
    }
}

fn words(text: &str) -> Vec<OsString> {
    text.split_whitespace().map(OsString::from).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        engine: EngineArgs,
    }

    fn chosen(line: &str) -> Result<(Device, Option<Options>), String> {
        let words = ["cairn"]
            .into_iter()
            .chain(line.split('|').filter(|word| !word.is_empty()));
        let line = Line::try_parse_from(words).map_err(|error| error.to_string())?;
        line.engine.chosen().map_err(|failure| failure.to_string())
    }

    #[test]
    fn cairn_computes_on_a_device_of_its_own() {
        let several = |first, count| Device::Cards { first, count };
        for (line, device) in [
            ("", Device::Auto),
            ("--device|cuda:1", Device::Cuda(1)),
            ("--gpus|1", Device::Cuda(0)),
            ("--gpus|4", several(0, 4)),
            ("--device|cuda:2|--gpus|2", several(2, 2)),
            ("--device|cuda:2-3", several(2, 2)),
        ] {
            let (found, program) = chosen(line).unwrap();
            assert_eq!(found, device);
            assert!(program.is_none());
        }
        for line in [
            "--device|mps",
            "--launch|torchrun",
            "--engine-args|--recompute",
        ] {
            let refused = chosen(line).unwrap_err();
            assert!(refused.contains("--engine torch"), "{refused}");
        }
        for line in [
            "--device|cpu|--gpus|2",
            "--device|cuda:0-3|--gpus|2",
            "--gpus|65",
        ] {
            let refused = chosen(line).unwrap_err();
            assert!(refused.contains("GPUs do not go with"), "{refused}");
        }
    }

    #[test]
    fn a_program_is_told_what_was_asked_for() {
        let (device, program) = chosen("--engine|torch|--gpus|8|--device|xpu").unwrap();
        let program = program.unwrap();
        assert_eq!((device, program.device.as_str()), (Device::Cpu, "xpu"));
        assert!(matches!(program.launch, Launch::Ranks { count: 8, .. }));
        let line = "--engine|torch|--launch|torchrun --nnodes 2|--engine-args|--dtype bf16|--engine-dir|/dev/shm";
        let program = chosen(line).unwrap().1.unwrap();
        let command = ["torchrun", "--nnodes", "2", "-m"].map(OsString::from);
        assert_eq!(program.launch, Launch::Command(command.into()));
        assert_eq!(program.arguments, ["--dtype", "bf16"]);
        assert_eq!(program.directory, Some("/dev/shm".into()));
        assert!(chosen("--engine|torch|--launch| ").is_err());
        assert!(chosen("--engine|torch|--gpus|2|--launch|torchrun").is_err());
    }
}
