//! `cairn gradient`: contributions as files.
//!
//! Everything here reads and writes tensor by tensor, so that a contribution to a large model can be looked at
//! on a small machine.

use std::{
    fs::File,
    io::{self, BufReader, Read, Write},
    path::{Path, PathBuf},
};

use cairn_chain::AccountId;
use cairn_gradient::{
    decode_header, inspect, Compressor, Header, Opened, Reader, SparseTensor, TensorSummary, Work,
    Writer, HEADER_LENGTH, MAGIC,
};
use cairn_primitives::{blocks::Turn, Carried, Compression, Layout, ModelRoot, Nano, Netuid, H256};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::{
    args::{parse_hash, JsonArg, NetuidArg},
    print,
};
use crate::{
    amount::thousands,
    error::Failure,
    new_file::{at as unwritten, NewFile},
    output,
    printable::printable,
    table::table,
};

/// Elements that are compressed at a time, about.
const PIECE: usize = 1 << 22;

/// `cairn gradient …`.
#[derive(Subcommand, Debug)]
pub enum Gradient {
    /// Explain a contribution: who made it, for which round, and where its bytes go
    #[command(
        after_help = "Examples:\n  cairn gradient inspect contribution.crnc\n  cairn gradient inspect contribution.crnc --layout layout.json\n  cairn gradient inspect sealed.bin --secret 0x2a… --layout layout.json --json\n\nLAYOUT.json lists the model's tensors: [{\"name\": \"w\", \"shape\": [1024, 1024]}]"
    )]
    Inspect(Inspect),
    /// Make a contribution from a pseudo-gradient in raw little-endian f32
    #[command(
        after_help = "Examples:\n  cairn gradient encode --layout layout.json delta.f32 contribution.crnc\n  cairn gradient encode --layout layout.json --feedback error.f32 --kept-per-block 512 delta.f32 contribution.crnc"
    )]
    Encode(Encode),
    /// Write the values of a contribution as raw little-endian f32, with zeros where it has none
    #[command(
        after_help = "Examples:\n  cairn gradient decode --layout layout.json contribution.crnc sent.f32"
    )]
    Decode(Decode),
}

impl Gradient {
    /// Does it.
    pub fn run(self) -> Result<(), Failure> {
        match self {
            Gradient::Inspect(inspect) => inspect.run(),
            Gradient::Encode(encode) => encode.run(),
            Gradient::Decode(decode) => decode.run(),
        }
    }
}

#[derive(Args, Debug)]
struct DensityArg {
    /// Values sent of each block of 4,096
    #[arg(
        long,
        env = "CAIRN_KEPT_PER_BLOCK",
        default_value_t = 64,
        value_name = "N"
    )]
    kept_per_block: u16,
    /// The miner's turn, in a run in which members take turns: its uid and the round together, less whole times M
    #[arg(long, env = "CAIRN_TURN", value_name = "N/M", value_parser = parse_turn)]
    turn: Option<Turn>,
}

#[derive(Args, Debug)]
struct SecretArg {
    /// The key that its miner revealed, for a file that is still sealed
    #[arg(long, env = "CAIRN_SECRET", hide_env_values = true, value_name = "HEX", value_parser = parse_hash)]
    secret: Option<H256>,
}

/// `cairn gradient inspect`.
#[derive(Args, Debug)]
pub struct Inspect {
    /// The contribution
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The model's tensors as JSON; without them only the header can be read
    #[arg(long, env = "CAIRN_LAYOUT", value_name = "LAYOUT.json")]
    layout: Option<PathBuf>,
    #[command(flatten)]
    density: DensityArg,
    #[command(flatten)]
    secret: SecretArg,
    #[command(flatten)]
    json: JsonArg,
}

/// `cairn gradient encode`.
#[derive(Args, Debug)]
pub struct Encode {
    /// The pseudo-gradient: the model's parameters before training minus those after it
    #[arg(value_name = "IN.f32")]
    input: PathBuf,
    /// The contribution
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// The model's tensors as JSON
    #[arg(long, env = "CAIRN_LAYOUT", value_name = "LAYOUT.json")]
    layout: PathBuf,
    #[command(flatten)]
    density: DensityArg,
    /// Decay of the error feedback (β)
    #[arg(
        long,
        env = "CAIRN_ERROR_DECAY",
        default_value = "0.95",
        value_name = "BETA",
        value_parser = parse_decimal
    )]
    error_decay: Nano,
    /// The error feedback: read if the file exists, then overwritten
    #[arg(long, env = "CAIRN_FEEDBACK", value_name = "FILE.f32")]
    feedback: Option<PathBuf>,
    #[command(flatten)]
    netuid: NetuidArg,
    /// Round of the contribution
    #[arg(long, env = "CAIRN_ROUND", default_value_t = 0, value_name = "ROUND")]
    round: u32,
    /// Address of the hotkey that contributes [default: all zeros]
    #[arg(long, env = "CAIRN_HOTKEY", value_name = "ADDRESS")]
    hotkey: Option<String>,
    /// Model root of the parameters before training [default: all zeros]
    #[arg(long, env = "CAIRN_PARENT_ROOT", value_name = "HASH", value_parser = parse_hash)]
    parent_root: Option<ModelRoot>,
    /// Number of inner steps done
    #[arg(long, env = "CAIRN_INNER_STEPS", default_value_t = 0, value_name = "N")]
    inner_steps: u32,
    /// Number of tokens trained on
    #[arg(long, env = "CAIRN_TOKENS", default_value_t = 0, value_name = "N")]
    tokens: u64,
    /// Mean loss over the inner steps, in nats
    #[arg(
        long,
        env = "CAIRN_MEAN_LOSS",
        default_value_t = 0.0,
        value_name = "LOSS"
    )]
    mean_loss: f32,
    #[command(flatten)]
    json: JsonArg,
}

/// `cairn gradient decode`.
#[derive(Args, Debug)]
pub struct Decode {
    /// The contribution
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// File to write the values to
    #[arg(value_name = "OUT.f32")]
    output: PathBuf,
    /// The model's tensors as JSON
    #[arg(long, env = "CAIRN_LAYOUT", value_name = "LAYOUT.json")]
    layout: PathBuf,
    #[command(flatten)]
    density: DensityArg,
    #[command(flatten)]
    secret: SecretArg,
    #[command(flatten)]
    json: JsonArg,
}

fn at(path: &Path) -> impl Fn(io::Error) -> Failure + '_ {
    move |error| {
        Failure::new(
            format!("{}: {error}", path.display()),
            "check the path and the disk",
        )
    }
}

fn read_layout(path: &Path) -> Result<Layout, Failure> {
    let text = std::fs::read_to_string(path).map_err(at(path))?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::new(
            format!("{} is not a layout: {error}", path.display()),
            r#"list the tensors, as in [{"name": "w", "shape": [1024, 1024]}]"#,
        )
    })
}

/// A contribution's bytes, opened if there is a key.
fn open(path: &Path, secret: Option<H256>) -> Result<Box<dyn Read>, Failure> {
    let file = BufReader::new(File::open(path).map_err(at(path))?);
    Ok(match secret {
        Some(key) => Box::new(Opened::new(file, &key.0)),
        None => Box::new(file),
    })
}

fn compression(density: &DensityArg, error_decay: Nano) -> Compression {
    Compression {
        kept_per_block: density.kept_per_block,
        error_decay,
        turn: density.turn,
    }
}

/// A turn, as in `0/4`.
fn parse_turn(text: &str) -> Result<Turn, String> {
    let parts = text.split_once('/');
    let number = |part: &str| part.parse().ok();
    let turn = parts.and_then(|(n, m)| Some((number(n)?, number(m)?)));
    let (number, of) = turn.ok_or("write the turn and how many there are, for example 0/4")?;
    Ok(Turn { number, of })
}

/// A decimal number, exactly.
fn parse_decimal(text: &str) -> Result<Nano, String> {
    Nano::parse(text).map_err(|why| format!("{why}; write for example 0.95"))
}

/// Writes values as raw `f32`.
fn write_f32(file: &mut NewFile, name: &Path, values: &[f32]) -> Result<(), Failure> {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    file.write_all(&bytes)
        .map_err(|error| unwritten(name, &error))
}

/// Prints what was written, unless the file itself went to standard output: then it is said beside it.
fn written<T: Serialize>(
    aside: bool,
    json: bool,
    facts: &T,
    people: impl FnOnce(&T) -> String,
) -> Result<(), Failure> {
    if aside {
        output::say(&people(facts));
        return Ok(());
    }
    print(json, facts, people)
}

/// A file of raw `f32` for a model, read piece by piece.
struct Dense {
    name: PathBuf,
    source: BufReader<File>,
}

impl Dense {
    fn open(name: &Path, layout: &Layout) -> Result<Dense, Failure> {
        let file = File::open(name).map_err(at(name))?;
        let found = file.metadata().map_err(at(name))?.len();
        let expected = 4 * layout.parameters() as u64;
        if found != expected {
            return Err(Failure::new(
                format!(
                    "{} has {found} bytes, the layout's {} parameters take {expected}",
                    name.display(),
                    layout.parameters()
                ),
                "give the layout of the model that it is from",
            ));
        }
        Ok(Dense {
            name: name.to_owned(),
            source: BufReader::new(file),
        })
    }

    fn read(&mut self, values: &mut [f32]) -> Result<(), Failure> {
        let mut bytes = vec![0; 4 * values.len()];
        self.source.read_exact(&mut bytes).map_err(at(&self.name))?;
        for (value, bytes) in values.iter_mut().zip(bytes.chunks_exact(4)) {
            *value = bytes.try_into().map(f32::from_le_bytes).unwrap_or_default();
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct Inspected {
    file: String,
    bytes: u64,
    /// BLAKE3 of the file as it is.
    root: H256,
    /// Whether it is sealed, or no contribution at all: nobody can tell without the key.
    sealed: bool,
    header: Option<HeaderFacts>,
    /// Parameters of the model, and how many times smaller the file is than they are in `f32`.
    parameters: Option<u64>,
    ratio: Option<f64>,
    tensors: Vec<TensorFacts>,
}

#[derive(Serialize)]
struct HeaderFacts {
    netuid: Netuid,
    round: u32,
    hotkey: String,
    parent_root: ModelRoot,
    layout_hash: H256,
    inner_steps: u32,
    tokens: u64,
    mean_loss: f32,
    /// What computed it.
    engine: String,
    /// Inner steps that its optimizer had done before.
    steps_before: u64,
    before: CarriedFacts,
    after: CarriedFacts,
    /// Root of the tree over the states between its inner steps.
    trace: H256,
}

/// Roots of what a miner carries from round to round.
#[derive(Serialize)]
struct CarriedFacts {
    first_moment: H256,
    second_moment: H256,
    feedback: H256,
}

impl From<Carried> for CarriedFacts {
    fn from(carried: Carried) -> CarriedFacts {
        CarriedFacts {
            first_moment: carried.first_moment,
            second_moment: carried.second_moment,
            feedback: carried.feedback,
        }
    }
}

#[derive(Serialize)]
struct TensorFacts {
    name: String,
    shape: Vec<u32>,
    values: u64,
    bytes: u64,
    bits_per_value: f64,
    level_bits: u64,
    place_bits: u64,
    sign_bits: u64,
    run_bits: u64,
    highs: u64,
    negatives: u64,
    lowest_level: f32,
    highest_level: f32,
    norm: f64,
    rice_parameters: [u32; 4],
}

impl From<Header> for HeaderFacts {
    fn from(header: Header) -> HeaderFacts {
        HeaderFacts {
            netuid: header.netuid,
            round: header.round,
            hotkey: AccountId(*header.hotkey.bytes()).to_string(),
            parent_root: header.parent_root,
            layout_hash: header.layout_hash,
            inner_steps: header.inner_steps,
            tokens: header.tokens,
            mean_loss: header.mean_loss,
            engine: header.work.engine.to_string(),
            steps_before: header.work.before.steps,
            before: header.work.before.into(),
            after: header.work.after.into(),
            trace: header.work.trace,
        }
    }
}

impl From<TensorSummary> for TensorFacts {
    fn from(tensor: TensorSummary) -> TensorFacts {
        TensorFacts {
            bits_per_value: 8.0 * tensor.bytes as f64 / tensor.values as f64,
            name: tensor.name,
            shape: tensor.shape,
            values: tensor.values,
            bytes: tensor.bytes,
            level_bits: tensor.level_bits,
            place_bits: tensor.place_bits,
            sign_bits: tensor.sign_bits,
            run_bits: tensor.run_bits,
            highs: tensor.highs,
            negatives: tensor.negatives,
            lowest_level: tensor.levels.0,
            highest_level: tensor.levels.1,
            norm: tensor.norm,
            rice_parameters: tensor.parameters,
        }
    }
}

impl Inspect {
    fn run(self) -> Result<(), Failure> {
        let mut hasher = blake3::Hasher::new();
        hasher
            .update_reader(File::open(&self.file).map_err(at(&self.file))?)
            .map_err(at(&self.file))?;
        let mut inspected = Inspected {
            file: self.file.display().to_string(),
            bytes: hasher.count(),
            root: H256(*hasher.finalize().as_bytes()),
            sealed: false,
            header: None,
            parameters: None,
            ratio: None,
            tensors: Vec::new(),
        };
        let mut start = Vec::new();
        open(&self.file, self.secret.secret)?
            .take(HEADER_LENGTH as u64)
            .read_to_end(&mut start)
            .map_err(at(&self.file))?;
        if !start.starts_with(&MAGIC) && self.secret.secret.is_none() {
            inspected.sealed = true;
        } else if let Some(layout) = &self.layout {
            let layout = read_layout(layout)?;
            let source = open(&self.file, self.secret.secret)?;
            let compression = compression(&self.density, Nano::ONE);
            let (header, tensors) = inspect(Reader::new(source, &layout, &compression)?)?;
            let parameters = layout.parameters() as u64;
            inspected.header = Some(header.into());
            inspected.parameters = Some(parameters);
            inspected.ratio = Some(4.0 * parameters as f64 / inspected.bytes as f64);
            inspected.tensors = tensors.into_iter().map(TensorFacts::from).collect();
        } else {
            inspected.header = Some(decode_header(&start)?.into());
        }
        print(self.json.json, &inspected, Inspected::for_people)
    }
}

impl Inspected {
    fn for_people(&self) -> String {
        let mut text = format!(
            "file         {}\nbytes        {}\nroot         {:?}\n",
            printable(&self.file),
            thousands(self.bytes),
            self.root
        );
        if self.sealed {
            text += "\nIt is sealed, or not a contribution: give the key that its miner revealed with --secret.\n";
        }
        if let Some(header) = &self.header {
            text += &format!(
                "for          subnet {}, round {}\nhotkey       {}\nparent root  {:?}\nlayout       {:?}\ntraining     {} inner steps, {} tokens, mean loss {:.4}\n",
                header.netuid,
                header.round,
                header.hotkey,
                header.parent_root,
                header.layout_hash,
                thousands(u64::from(header.inner_steps)),
                thousands(header.tokens),
                header.mean_loss,
            );
            if self.tensors.is_empty() {
                text += "\nUse --layout to see what it contains for each tensor.\n";
            }
        }
        if let (Some(parameters), Some(ratio)) = (self.parameters, self.ratio) {
            text += &format!(
                "model        {} parameters, {ratio:.1} times as long in f32\n\n",
                thousands(parameters)
            );
            text += &self.tensor_table();
        }
        text
    }

    /// One line per tensor; where the bits go, per value.
    fn tensor_table(&self) -> String {
        let head = [
            "tensor", "shape", "values", "bytes", "bits", "place", "sign", "level", "norm",
        ];
        let mut rows = Vec::new();
        for tensor in &self.tensors {
            let shape: Vec<String> = tensor.shape.iter().map(u32::to_string).collect();
            let per_value = |bits: u64| format!("{:.2}", bits as f64 / tensor.values as f64);
            rows.push(vec![
                tensor.name.clone(),
                shape.join("×"),
                thousands(tensor.values),
                thousands(tensor.bytes),
                format!("{:.2}", tensor.bits_per_value),
                per_value(tensor.place_bits),
                per_value(tensor.sign_bits),
                per_value(tensor.run_bits + tensor.level_bits),
                format!("{:.3e}", tensor.norm),
            ]);
        }
        table(&head, &rows)
    }
}

#[derive(Serialize)]
struct Encoded {
    file: String,
    bytes: u64,
    parameters: u64,
    values: u64,
    ratio: f64,
}

impl Encode {
    fn run(self) -> Result<(), Failure> {
        let layout = read_layout(&self.layout)?;
        let compression = compression(&self.density, self.error_decay);
        let compressor = Compressor::new(&compression)?;
        let mut delta = Dense::open(&self.input, &layout)?;
        let header = self.header(&layout)?;
        let mut feedback = self.opened_feedback(&layout)?;
        let mut output = NewFile::create(&self.output)?;
        let aside = output.is_standard_output();
        let mut writer = Writer::new(&mut output, header, &layout, &compression)
            .map_err(|error| Failure::during(self.output.display(), error))?;
        let (mut bytes, mut values) = (HEADER_LENGTH as u64, 0);
        for tensor in &layout.0 {
            let mut strips = compressor.strips(tensor)?;
            let whole = strips.strip_len();
            let piece = PIECE.div_ceil(whole) * whole;
            let mut left = tensor.len();
            while left > 0 {
                let mut of_piece = vec![0.0; piece.min(left)];
                let mut error = vec![0.0; of_piece.len()];
                delta.read(&mut of_piece)?;
                feedback.read(&mut error)?;
                strips.push(&of_piece, &mut error)?;
                feedback.write(&error)?;
                left -= of_piece.len();
            }
            let sent = strips.finish()?;
            values += sent.codes().len() as u64;
            bytes += writer
                .tensor(&sent)
                .map_err(|error| Failure::during(self.output.display(), error))?;
        }
        writer
            .finish()
            .map_err(|error| Failure::during(self.output.display(), error))?;
        output.finish()?;
        feedback.finish()?;
        let parameters = layout.parameters() as u64;
        let encoded = Encoded {
            file: self.output.display().to_string(),
            bytes,
            parameters,
            values,
            ratio: 4.0 * parameters as f64 / bytes as f64,
        };
        written(aside, self.json.json, &encoded, |encoded| {
            format!(
                "{}: {} bytes for {} of {} parameters, {:.1} times below f32\n",
                printable(&encoded.file),
                thousands(encoded.bytes),
                thousands(encoded.values),
                thousands(encoded.parameters),
                encoded.ratio
            )
        })
    }

    /// The error feedback as it is, if there is any, and where the new one goes, if it is asked for.
    fn opened_feedback(&self, layout: &Layout) -> Result<Feedback, Failure> {
        let Some(path) = &self.feedback else {
            return Ok(Feedback {
                old: None,
                new: None,
            });
        };
        if path == &self.output {
            return Err(Failure::new(
                format!("{} is both OUT and --feedback", path.display()),
                "name two files",
            ));
        }
        let old = match path.exists() {
            true => Some(Dense::open(path, layout)?),
            false => None,
        };
        let new = Some((path.clone(), NewFile::create(path)?));
        Ok(Feedback { old, new })
    }

    fn header(&self, layout: &Layout) -> Result<Header, Failure> {
        let hotkey = match &self.hotkey {
            Some(address) => address.parse::<AccountId>().map_err(|_| {
                Failure::new(
                    format!("`{address}` is not an address"),
                    "give one that begins with 5 or cr",
                )
            })?,
            None => AccountId([0; 32]),
        };
        Ok(Header {
            netuid: self.netuid.netuid,
            round: self.round,
            hotkey: hotkey.hotkey(),
            parent_root: self.parent_root.unwrap_or_default(),
            layout_hash: layout.hash(),
            inner_steps: self.inner_steps,
            tokens: self.tokens,
            mean_loss: self.mean_loss,
            work: Work::default(),
        })
    }
}

/// The error feedback as it was, if it was anything, and as it will be, if anybody wants it.
struct Feedback {
    old: Option<Dense>,
    new: Option<(PathBuf, NewFile)>,
}

impl Feedback {
    fn read(&mut self, error: &mut [f32]) -> Result<(), Failure> {
        self.old.as_mut().map_or(Ok(()), |old| old.read(error))
    }

    fn write(&mut self, error: &[f32]) -> Result<(), Failure> {
        match &mut self.new {
            Some((name, file)) => write_f32(file, name, error),
            None => Ok(()),
        }
    }

    fn finish(self) -> Result<(), Failure> {
        self.new.map_or(Ok(()), |(_, file)| file.finish())
    }
}

#[derive(Serialize)]
struct Decoded {
    file: String,
    bytes: u64,
    parameters: u64,
    values: u64,
}

impl Decode {
    fn run(self) -> Result<(), Failure> {
        let layout = read_layout(&self.layout)?;
        let compression = compression(&self.density, Nano::ONE);
        let source = open(&self.input, self.secret.secret)?;
        let mut reader = Reader::new(source, &layout, &compression)?;
        let mut output = NewFile::create(&self.output)?;
        let aside = output.is_standard_output();
        let (mut tensor, mut values): (Option<SparseTensor>, u64) = (None, 0);
        while reader.tensor(&mut tensor)? {
            if let Some(tensor) = &tensor {
                let mut dense = vec![0.0; tensor.elements()];
                tensor.add_to(&mut dense);
                write_f32(&mut output, &self.output, &dense)?;
                values += tensor.codes().len() as u64;
            }
        }
        reader.finish()?;
        output.finish()?;
        let parameters = layout.parameters() as u64;
        let decoded = Decoded {
            file: self.output.display().to_string(),
            bytes: 4 * parameters,
            parameters,
            values,
        };
        written(aside, self.json.json, &decoded, |decoded| {
            format!(
                "{}: {} parameters, {} of them sent\n",
                printable(&decoded.file),
                thousands(decoded.parameters),
                thousands(decoded.values)
            )
        })
    }
}
