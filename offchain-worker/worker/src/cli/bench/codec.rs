//! `cairn bench codec`.

use std::{path::PathBuf, time::Instant};

use cairn_gradient::{
    decode, outer_step, outer_step_and_root, Compressor, Contribution, Header, Work, Writer,
};
use cairn_primitives::{
    Compression, Hotkey, Layout, ModelRoot, Nano, Netuid, OuterStep, Tensor, Uid,
};
use clap::Args;
use serde::Serialize;

use super::args::PoolArg;
use crate::{
    amount::thousands,
    cli::{args::JsonArg, print},
    error::Failure,
    progress::progress,
};

/// `cairn bench codec`.
#[derive(Args, Debug)]
pub struct Codec {
    /// Rows of the compressed matrix
    #[arg(long, env = "CAIRN_ROWS", default_value_t = 4096, value_name = "N")]
    rows: u32,
    /// Columns of the matrix
    #[arg(long, env = "CAIRN_COLS", default_value_t = 4096, value_name = "N")]
    cols: u32,
    /// The matrix as raw little-endian f32, row by row [default: normally distributed numbers]
    #[arg(long, env = "CAIRN_INPUT", value_name = "FILE.f32")]
    input: Option<PathBuf>,
    /// Values sent of each block of 4,096
    #[arg(
        long,
        env = "CAIRN_KEPT_PER_BLOCK",
        default_value_t = 64,
        value_name = "N"
    )]
    kept_per_block: u16,
    /// Contributions decoded and applied together
    #[arg(
        long,
        env = "CAIRN_CONTRIBUTIONS",
        default_value_t = 8,
        value_name = "N"
    )]
    contributions: u16,
    #[command(flatten)]
    threads: PoolArg,
    /// How often each is timed; the fastest is reported
    #[arg(long, env = "CAIRN_REPEATS", default_value_t = 7, value_name = "N")]
    repeats: usize,
    #[command(flatten)]
    json: JsonArg,
}

/// GB/s are 10⁹ bytes of dense `f32` per second: of the one matrix, or, where several contributions are taken
/// together, of as many matrices.
#[derive(Serialize)]
struct Report {
    rows: u32,
    cols: u32,
    kept_per_block: u16,
    contributions: u16,
    threads: usize,
    /// Bytes of one contribution, and how many times smaller than the matrix it is.
    bytes: u64,
    ratio: f64,
    /// Error feedback, selection and quantiser.
    select_gb_per_s: f64,
    /// All of it, the file included.
    encode_gb_per_s: f64,
    decode_gb_per_s: f64,
    apply_gb_per_s: f64,
    /// Files to new parameters.
    decode_and_apply_gb_per_s: f64,
    /// The same with the new model root.
    with_root_gb_per_s: f64,
}

struct Setting {
    layout: Layout,
    compression: Compression,
    outer: OuterStep,
    header: Header,
    delta: Vec<f32>,
}

impl Codec {
    /// Does it.
    pub fn run(self) -> Result<(), Failure> {
        let told = progress("compressing, decoding and applying contributions", 0);
        let report = self.threads.install(|| self.measure())?;
        drop(told);
        print(self.json.json, &report, Report::for_people)
    }

    fn measure(&self) -> Result<Report, Failure> {
        let setting = self.setting()?;
        let compressor = Compressor::new(&setting.compression)?;
        let tensor = &setting.layout.0[0];
        let mut error = vec![0.0; setting.delta.len()];
        let (select, _) = self.fastest(|| compressor.tensor(tensor, &setting.delta, &mut error))?;
        let (encode, file) = self.fastest(|| {
            let sent = compressor.tensor(tensor, &setting.delta, &mut error)?;
            setting.write(&sent)
        })?;
        let files: Vec<Vec<u8>> = (0..self.contributions)
            .map(|_| {
                let sent = compressor.tensor(tensor, &setting.delta, &mut error)?;
                setting.write(&sent)
            })
            .collect::<Result<_, Failure>>()?;
        let mut theta = vec![0.5; setting.delta.len()];
        let (decode, sent) = self.fastest(|| setting.decode(&files))?;
        let (layout, outer) = (&setting.layout, &setting.outer);
        let (apply, ()) = self.fastest(|| outer_step(&mut theta, layout, &sent, outer))?;
        let (both, ()) = self.fastest(|| {
            let sent = setting.decode(&files)?;
            outer_step(&mut theta, layout, &sent, outer).map_err(Failure::from)
        })?;
        let (with_root, _) = self.fastest(|| {
            let sent = setting.decode(&files)?;
            outer_step_and_root(&mut theta, layout, &sent, outer).map_err(Failure::from)
        })?;
        let dense = 4.0 * setting.delta.len() as f64;
        let all = f64::from(self.contributions) * dense;
        Ok(Report {
            rows: self.rows,
            cols: self.cols,
            kept_per_block: self.kept_per_block,
            contributions: self.contributions,
            threads: self.threads.threads,
            bytes: file.len() as u64,
            ratio: dense / file.len() as f64,
            select_gb_per_s: dense / select / 1e9,
            encode_gb_per_s: dense / encode / 1e9,
            decode_gb_per_s: all / decode / 1e9,
            apply_gb_per_s: all / apply / 1e9,
            decode_and_apply_gb_per_s: all / both / 1e9,
            with_root_gb_per_s: all / with_root / 1e9,
        })
    }

    /// The shortest of some times in seconds, and the last result.
    fn fastest<T, E>(&self, mut job: impl FnMut() -> Result<T, E>) -> Result<(f64, T), Failure>
    where
        Failure: From<E>,
    {
        let (mut shortest, mut result) = (f64::INFINITY, job()?);
        for _ in 0..self.repeats.max(1) {
            let start = Instant::now();
            result = job()?;
            shortest = shortest.min(start.elapsed().as_secs_f64());
        }
        Ok((shortest, result))
    }

    fn setting(&self) -> Result<Setting, Failure> {
        let tensor = Tensor {
            name: "w".into(),
            shape: vec![self.rows, self.cols],
        };
        let elements = tensor.len();
        let layout = Layout(vec![tensor]);
        let delta = match &self.input {
            Some(path) => read(path)?,
            None => bell_shaped(elements),
        };
        if delta.len() != elements {
            return Err(Failure::new(
                format!("{} numbers for {elements} elements", delta.len()),
                "give --rows and --cols of the matrix in the file",
            ));
        }
        let header = Header {
            netuid: Netuid(0),
            round: 0,
            hotkey: Hotkey::default(),
            parent_root: ModelRoot::zero(),
            layout_hash: layout.hash(),
            inner_steps: 0,
            tokens: 0,
            mean_loss: 0.0,
            work: Work::default(),
        };
        Ok(Setting {
            layout,
            compression: Compression {
                kept_per_block: self.kept_per_block,
                error_decay: Nano(950_000_000),
                turn: None,
            },
            outer: OuterStep {
                learning_rate: Nano(1_000_000),
                rho: Nano::ONE,
                clip: OuterStep::USUAL_CLIP,
                combine: Default::default(),
            },
            header,
            delta,
        })
    }
}

impl Setting {
    fn write(&self, sent: &cairn_gradient::SparseTensor) -> Result<Vec<u8>, Failure> {
        let header = self.header.clone();
        let mut writer = Writer::new(Vec::new(), header, &self.layout, &self.compression)?;
        writer.tensor(sent)?;
        Ok(writer.finish()?)
    }

    fn decode(&self, files: &[Vec<u8>]) -> Result<Vec<(Uid, u16, Contribution)>, Failure> {
        let decoded = |(uid, file): (Uid, &Vec<u8>)| {
            Ok((uid, 1, decode(file, &self.layout, &self.compression)?))
        };
        (0..).map(Uid).zip(files).map(decoded).collect()
    }
}

fn read(path: &std::path::Path) -> Result<Vec<f32>, Failure> {
    let bytes = std::fs::read(path).map_err(|error| {
        Failure::new(
            format!("{}: {error}", path.display()),
            "name a file of raw f32 with --input",
        )
    })?;
    let values = bytes.chunks_exact(4).map(<[u8; 4]>::try_from);
    Ok(values.flatten().map(f32::from_le_bytes).collect())
}

/// Sums of four uniform numbers (SplitMix64), so that every machine times the same.
fn bell_shaped(count: usize) -> Vec<f32> {
    let mut state = 0u64;
    let mut next = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..count)
        .map(|_| 1e-3 * (next() + next() + next() + next()))
        .collect()
}

impl Report {
    fn for_people(&self) -> String {
        format!(
            "matrix            {} × {}, {} of 4,096 sent, {} threads\ncontribution      {} bytes, {:.1} times below f32\nselect, quantise  {:.2} GB/s of f32\nencode            {:.2} GB/s, with the above\ndecode            {:.1} GB/s dense-equivalent, {} contributions\napply             {:.1} GB/s\ndecode and apply  {:.1} GB/s\nand model root    {:.1} GB/s\n",
            self.rows,
            self.cols,
            self.kept_per_block,
            self.threads,
            thousands(self.bytes),
            self.ratio,
            self.select_gb_per_s,
            self.encode_gb_per_s,
            self.decode_gb_per_s,
            self.contributions,
            self.apply_gb_per_s,
            self.decode_and_apply_gb_per_s,
            self.with_root_gb_per_s,
        )
    }
}
