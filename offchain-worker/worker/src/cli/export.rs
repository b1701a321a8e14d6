//! `cairn run export`.

mod card;

use std::path::{Path, PathBuf};

use cairn_data::{Manifest, TextTokenizer};
use cairn_inference::gguf::{self, Vocabulary};
use cairn_primitives::{BlockNumber, ModelRoot, ModelShape, Round};
use cairn_store::Store;
use cairn_trainer::hugging_face::{self, Shards};
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::{
    args::{JsonArg, StoreArg},
    checkpoint::{CheckpointArgs, Found},
    print,
};
use crate::{
    amount::thousands,
    error::Failure,
    new_file::NewFile,
    progress::{progress, Told},
    serving::ORIGIN,
    shards,
};

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// What Hugging Face's `transformers` loads, and `cairn serve`: safetensors, configuration, tokenizer
    HuggingFace,
    /// What llama.cpp loads: one file, with the tokenizer in it
    Gguf,
}

/// `cairn run export`.
#[derive(Args, Debug)]
pub struct Export {
    /// Directory to write to; it must be new or empty
    #[arg(long, env = "CAIRN_OUT", value_name = "DIR")]
    out: PathBuf,
    /// For which programs
    #[arg(
        long,
        env = "CAIRN_EXPORT_FORMAT",
        value_name = "FORMAT",
        default_value = "hugging-face"
    )]
    format: Format,
    /// Bytes of parameters in a file of safetensors at most: beyond it there are several, with an index
    #[arg(
        long,
        env = "CAIRN_SHARD_BYTES",
        default_value_t = hugging_face::SHARD_BYTES,
        value_name = "BYTES",
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    shard_bytes: u64,
    #[command(flatten)]
    checkpoint: CheckpointArgs,
    #[command(flatten)]
    store: StoreArg,
    #[command(flatten)]
    json: JsonArg,
}

#[derive(Serialize)]
struct Exported {
    out: PathBuf,
    format: Format,
    parameters: u64,
    model_root: ModelRoot,
    round: Option<Round>,
    /// The block at which the run was stopped, if it was.
    stopped_at: Option<BlockNumber>,
    tokenizer: bool,
    /// The files of the parameters.
    files: Vec<String>,
}

impl Export {
    /// Does it.
    pub async fn run(self) -> Result<(), Failure> {
        refuse_full(&self.out)?;
        let store = Store::open(&self.store.store)?;
        let found = self.checkpoint.find(&store).await?;
        let manifest = manifest(&store, &found).await;
        let files = {
            let bytes = match self.format {
                Format::HuggingFace => (found.parameters.len() as u64).saturating_mul(4),
                Format::Gguf => 0,
            };
            let told = progress(format!("writing to {}", self.out.display()), bytes);
            let files = match self.format {
                Format::HuggingFace => write(&self.out, &found, self.shard_bytes, &told)?,
                Format::Gguf => write_gguf(&self.out, &found)?,
            };
            let card = card::card(&found, manifest.as_ref(), self.format);
            NewFile::write(&self.out.join(hugging_face::CARD), card.as_bytes())?;
            files
        };
        let exported = Exported {
            format: self.format,
            parameters: found.parameters.len() as u64,
            model_root: found.origin.model_root,
            round: found.origin.round,
            stopped_at: found.origin.stopped_at,
            tokenizer: found.tokenizer.is_some(),
            out: self.out,
            files,
        };
        print(self.json.json, &exported, describe)
    }
}

/// What was written, for people.
fn describe(exported: &Exported) -> String {
    let of = exported.round.map_or(String::new(), |round| {
        format!(", with which round {round} began")
    });
    let stopped = exported.stopped_at.map_or(String::new(), |block| {
        format!("; the run was stopped at block {block}")
    });
    let tokenizer = match exported.tokenizer {
        true => "",
        false => "; no tokenizer: name one with --tokenizer",
    };
    let files = match exported.files.len() {
        1 => String::new(),
        several => format!(" in {several} files"),
    };
    format!(
        "{} parameters with root {:?}{of}, written to {}{files}{stopped}{tokenizer}",
        thousands(exported.parameters),
        exported.model_root,
        exported.out.display()
    )
}

/// What the run's data is said to be, if its manifest is in the store.
async fn manifest(store: &Store, found: &Found) -> Option<Manifest> {
    let root = found.about.manifest_root?;
    match shards::manifest(store, root).await {
        Ok(manifest) => Some(manifest),
        Err(error) => {
            tracing::warn!("{error}; the page of the model does not describe its data");
            None
        }
    }
}

/// Makes sure that nothing is overwritten.
fn refuse_full(out: &Path) -> Result<(), Failure> {
    match std::fs::read_dir(out).map(|mut entries| entries.next().is_none()) {
        Ok(false) => Err(Failure::new(
            format!("{} is not empty", out.display()),
            "name a new directory with --out",
        )),
        Ok(true) | Err(_) => Ok(()),
    }
}

/// Writes what `transformers` reads; gives the files of the parameters. `told` hears how many bytes are written.
pub(super) fn write(
    out: &Path,
    found: &Found,
    most: u64,
    told: &Told,
) -> Result<Vec<String>, Failure> {
    let (model, tokenizer) = (&found.shape, found.tokenizer.as_ref());
    std::fs::create_dir_all(out).map_err(|error| cannot_write(out, &error))?;
    let put = |name: &str, bytes: &[u8]| NewFile::write(&out.join(name), bytes);
    if let Some(tokenizer) = tokenizer {
        let settings = hugging_face::tokenizer_config(model, tokenizer.end_name());
        put(hugging_face::TOKENIZER, &tokenizer.exported()?)?;
        put(
            hugging_face::TOKENIZER_CONFIG,
            &serde_json::to_vec_pretty(&settings)?,
        )?;
    }
    let config = hugging_face::config(model, tokenizer.map(TextTokenizer::end));
    put(hugging_face::CONFIG, &serde_json::to_vec_pretty(&config)?)?;
    put(ORIGIN, &serde_json::to_vec_pretty(&found.origin)?)?;
    let shards = Shards::of(model, most);
    let mut done = 0u64;
    for shard in shards.files() {
        let mut file = NewFile::create(&out.join(shard.name()))?;
        let written = shard.write(&found.parameters, &mut file);
        written.map_err(|error| cannot_write(out, &error))?;
        file.finish()?;
        done = done.saturating_add(shard.bytes());
        told.at(done);
    }
    // Last: who finds it finds all that it names.
    if let Some(index) = shards.index() {
        put(hugging_face::INDEX, &serde_json::to_vec_pretty(&index)?)?;
    }
    let names = shards.files().iter().map(|shard| shard.name().to_string());
    Ok(names.collect())
}

/// Writes what llama.cpp loads; gives the file.
fn write_gguf(out: &Path, found: &Found) -> Result<Vec<String>, Failure> {
    let vocabulary = vocabulary(&found.shape, found.tokenizer.as_ref())?;
    std::fs::create_dir_all(out).map_err(|error| cannot_write(out, &error))?;
    let mut file = NewFile::create(&out.join(gguf::FILE))?;
    let (name, origin) = (found.origin.name(), found.origin.to_string());
    gguf::write(
        &found.shape,
        &found.parameters,
        [name, &origin],
        vocabulary.as_ref(),
        &mut file,
    )
    .map_err(|error| cannot_write(out, &error))?;
    file.finish()?;
    Ok(vec![gguf::FILE.into()])
}

/// How text becomes tokens, if the tokenizer is known and llama.cpp has the like.
fn vocabulary(
    shape: &ModelShape,
    tokenizer: Option<&TextTokenizer>,
) -> Result<Option<Vocabulary>, Failure> {
    let of = |tokenizer: &TextTokenizer| {
        let file = tokenizer.exported()?;
        Ok(Vocabulary::of(&file, shape.vocabulary, tokenizer.end())?)
    };
    tokenizer.map(of).transpose()
}

fn cannot_write(out: &Path, cause: &dyn std::fmt::Display) -> Failure {
    Failure::new(
        format!("cannot write to {}: {cause}", out.display()),
        "make room, or name another directory with --out",
    )
}
