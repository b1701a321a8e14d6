//! `cairn run export`.

use std::path::{Path, PathBuf};

use cairn_gradient::state_root;
use cairn_primitives::{Layout, ModelShape, Netuid, Round, H256};
use cairn_store::{paths, Store};
use cairn_trainer::hugging_face;
use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::{
    args::{JsonArg, NetuidArg, NodeArgs, StoreArg},
    look::no_subnet,
    print,
};
use crate::{amount::thousands, data, error::Failure, run_file::RunFile, shards};

/// `cairn run export`.
#[derive(Args, Debug)]
pub struct Export {
    /// Directory to write to; it must be new or empty
    #[arg(long, env = "CAIRN_OUT", value_name = "DIR")]
    out: PathBuf,
    /// Parameters to export: a file, or a path in the store [default: the newest checkpoint whose root is final on chain]
    #[arg(long, env = "CAIRN_CHECKPOINT", value_name = "PATH")]
    checkpoint: Option<String>,
    /// Take the model from this run configuration instead of asking the chain; needs --checkpoint
    #[arg(
        long,
        env = "CAIRN_RUN_FILE",
        value_name = "FILE",
        requires = "checkpoint"
    )]
    file: Option<PathBuf>,
    /// A tokenizer.json to put next to the parameters [default: the run's, from the store]
    #[arg(long, env = "CAIRN_TOKENIZER", value_name = "FILE")]
    tokenizer: Option<PathBuf>,
    #[command(flatten)]
    store: StoreArg,
    #[command(flatten)]
    netuid: NetuidArg,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

/// What is known of a run.
struct Known {
    model: ModelShape,
    tokenizer: Option<H256>,
    /// Rounds and roots that are final, newest last.
    lineage: Vec<(Round, H256)>,
}

#[derive(Serialize)]
struct Exported {
    out: PathBuf,
    parameters: u64,
    state_root: H256,
    round: Option<Round>,
    tokenizer: bool,
}

impl Export {
    /// Does it.
    pub async fn run(self) -> Result<(), Failure> {
        refuse_full(&self.out)?;
        let store = Store::open(&self.store.store)?;
        let known = self.known().await?;
        let (round, weights) = self.weights(&store, &known).await?;
        let tokenizer = match (&self.tokenizer, known.tokenizer) {
            (Some(path), _) => Some(data::read(path)?.1),
            (None, Some(root)) => Some(shards::tokenizer(&store, root).await?.to_vec()),
            (None, None) => None,
        };
        write(&self.out, &known.model, &weights, tokenizer.as_deref())?;
        let exported = Exported {
            parameters: weights.len() as u64,
            state_root: state_root(&weights),
            round,
            tokenizer: tokenizer.is_some(),
            out: self.out,
        };
        print(self.json.json, &exported, |exported| {
            let of = exported.round.map_or(String::new(), |round| {
                format!(", with which round {round} began")
            });
            let tokenizer = match exported.tokenizer {
                true => "",
                false => "; no tokenizer: name one with --tokenizer",
            };
            format!(
                "{} parameters with root {:?}{of}, written to {}{tokenizer}",
                thousands(exported.parameters),
                exported.state_root,
                exported.out.display()
            )
        })
    }

    async fn known(&self) -> Result<Known, Failure> {
        if let Some(file) = &self.file {
            let file = RunFile::read(file)?;
            return Ok(Known {
                model: file.model().clone(),
                tokenizer: file.tokenizer_root(),
                lineage: Vec::new(),
            });
        }
        let netuid: Netuid = self.netuid.netuid;
        let view = self.node.connect().await?.at_best().await?;
        view.subnet(netuid)
            .await?
            .ok_or_else(|| no_subnet(netuid))?;
        let run = view.run(netuid).await?.ok_or_else(|| {
            Failure::new(
                format!("subnet {netuid} has no run"),
                "its owner starts one with `cairn run start`",
            )
        })?;
        let lineage = view.lineage(netuid, run.oldest_round).await?;
        let known = lineage.iter().filter(|entry| entry.is_final);
        Ok(Known {
            model: run.config.model,
            tokenizer: Some(run.config.data.tokenizer_root),
            lineage: known.map(|entry| (entry.round, entry.state_root)).collect(),
        })
    }

    /// The weights, and the round that began with them if that is known.
    async fn weights(
        &self,
        store: &Store,
        known: &Known,
    ) -> Result<(Option<Round>, Vec<f32>), Failure> {
        let netuid = self.netuid.netuid;
        let expected = Layout::of(&known.model).parameters() as u64 * 4;
        if let Some(path) = &self.checkpoint {
            let bytes = match Path::new(path).is_file() {
                true => std::fs::read(path)?,
                false => store.get(path, expected).await?.to_vec(),
            };
            let round = paths::parse_checkpoint(netuid, path).map(|(round, _)| round);
            return Ok((round, floats(path, &bytes, expected)?));
        }
        let listed = store.list(&paths::all_checkpoints(netuid)).await?;
        let newest = listed
            .iter()
            .filter_map(|entry| paths::parse_checkpoint(netuid, &entry.path))
            .filter(|(round, root)| known.lineage.contains(&(*round, H256(*root))))
            .max();
        let (round, root) = newest.ok_or_else(|| {
            let what = format!(
                "the store {} has no checkpoint of subnet {netuid} whose root is final on chain",
                store.url()
            );
            Failure::new(what, "wait for the next one, or name one with --checkpoint")
        })?;
        let prefix = paths::checkpoints(netuid, round);
        let bytes = store.get_blob(&prefix, &root, expected).await?;
        Ok((Some(round), floats(&prefix, &bytes, expected)?))
    }
}

/// The numbers of a checkpoint.
fn floats(path: &str, bytes: &[u8], expected: u64) -> Result<Vec<f32>, Failure> {
    if bytes.len() as u64 != expected {
        let what = format!(
            "the checkpoint {path} has {} bytes, the model {expected}",
            bytes.len()
        );
        return Err(Failure::new(what, "name a checkpoint of this model"));
    }
    let numbers = bytes
        .chunks_exact(4)
        .filter_map(|number| number.try_into().ok());
    Ok(numbers.map(f32::from_le_bytes).collect())
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
pub fn write(
    out: &Path,
    model: &ModelShape,
    weights: &[f32],
    tokenizer: Option<&[u8]>,
) -> Result<(), Failure> {
    let doing = |cause: &dyn std::fmt::Display| {
        Failure::new(
            format!("cannot write to {}: {cause}", out.display()),
            "make room, or name another directory with --out",
        )
    };
    std::fs::create_dir_all(out).map_err(|error| doing(&error))?;
    let put = |name: &str, bytes: &[u8]| {
        std::fs::write(out.join(name), bytes).map_err(|error| doing(&error))
    };
    let end = match tokenizer {
        Some(bytes) => {
            let (parsed, bytes) = data::parse(bytes)?;
            let end = data::end_of_document(&parsed)?;
            let name = parsed.id_to_token(end).unwrap_or_default();
            let settings = json!({
                "tokenizer_class": "PreTrainedTokenizerFast",
                "eos_token": name,
                "model_max_length": model.context,
            });
            put("tokenizer.json", &bytes)?;
            put(
                "tokenizer_config.json",
                &serde_json::to_vec_pretty(&settings)?,
            )?;
            Some(end)
        }
        None => None,
    };
    let config = hugging_face::config(model, end);
    put(hugging_face::CONFIG, &serde_json::to_vec_pretty(&config)?)?;
    hugging_face::write_weights(model, weights, &out.join(hugging_face::WEIGHTS))
        .map_err(|error| doing(&error))
}
