//! `cairn run export`.

use std::path::{Path, PathBuf};

use cairn_data::TextTokenizer;
use cairn_inference::gguf::{self, Vocabulary};
use cairn_primitives::{BlockNumber, ModelRoot, ModelShape, Round};
use cairn_store::Store;
use cairn_trainer::hugging_face;
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::{
    args::{JsonArg, StoreArg},
    checkpoint::{CheckpointArgs, Found},
    print,
};
use crate::{
    amount::thousands, error::Failure, new_file::NewFile, progress::progress, serving::ORIGIN,
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
}

impl Export {
    /// Does it.
    pub async fn run(self) -> Result<(), Failure> {
        refuse_full(&self.out)?;
        let store = Store::open(&self.store.store)?;
        let found = self.checkpoint.find(&store).await?;
        {
            let _told = progress(format!("writing to {}", self.out.display()), 0);
            match self.format {
                Format::HuggingFace => write(&self.out, &found)?,
                Format::Gguf => write_gguf(&self.out, &found)?,
            }
        }
        let exported = Exported {
            format: self.format,
            parameters: found.parameters.len() as u64,
            model_root: found.origin.model_root,
            round: found.origin.round,
            stopped_at: found.origin.stopped_at,
            tokenizer: found.tokenizer.is_some(),
            out: self.out,
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
    format!(
        "{} parameters with root {:?}{of}, written to {}{stopped}{tokenizer}",
        thousands(exported.parameters),
        exported.model_root,
        exported.out.display()
    )
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

/// Writes what `transformers` reads.
fn write(out: &Path, found: &Found) -> Result<(), Failure> {
    let (model, tokenizer) = (&found.shape, found.tokenizer.as_ref());
    let doing = |cause: &dyn std::fmt::Display| cannot_write(out, cause);
    std::fs::create_dir_all(out).map_err(|error| doing(&error))?;
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
    let weights = out.join(hugging_face::WEIGHTS);
    hugging_face::write_parameters(model, &found.parameters, &weights)
        .map_err(|error| doing(&error))?;
    // The library makes a file for its owner only; who may read the others may read this.
    let others = std::fs::metadata(out.join(hugging_face::CONFIG))?.permissions();
    std::fs::set_permissions(weights, others).map_err(|error| doing(&error))
}

/// Writes what llama.cpp loads.
fn write_gguf(out: &Path, found: &Found) -> Result<(), Failure> {
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
    file.finish()
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
