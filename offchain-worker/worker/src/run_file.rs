//! A run's configuration as a person writes it: TOML, with what can be computed left out.

use std::path::Path;

use cairn_primitives::{
    CompressionSchedule, DataSet, InitialWeights, InnerOptimizer, ModelShape, OuterStep, Phases,
    RunConfig, RunConfigError, Text, H256,
};
use cairn_store::Store;
use serde::Deserialize;

use crate::{error::Failure, shards};

/// The file. It differs from [`RunConfig`] in what may be left out.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunFile {
    name: Text,
    model: ModelShape,
    initial_weights: InitialWeights,
    /// Left out: computed from `initial_weights`.
    initial_root: Option<H256>,
    #[serde(default)]
    data: DataPart,
    inner: InnerOptimizer,
    compression: CompressionSchedule,
    outer: OuterStep,
    phases: Phases,
    max_contributors: u16,
}

/// What the run trains on. Left out: the one data set in the store.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct DataPart {
    manifest_root: Option<H256>,
    tokenizer_root: Option<H256>,
    #[serde(default)]
    store: Text,
    windows: Option<u64>,
}

impl RunFile {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<RunFile, Failure> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let what = format!(
                "cannot read the run configuration {}: {error}",
                path.display()
            );
            Failure::new(
                what,
                "name a TOML file such as chain-specs/run-tiny.toml with --file",
            )
        })?;
        RunFile::parse(&text).map_err(|error| Failure::during(path.display(), error))
    }

    /// Reads the content of a file.
    pub fn parse(text: &str) -> Result<RunFile, Failure> {
        toml::from_str(text).map_err(|error: toml::de::Error| {
            let place = error
                .span()
                .map(|span| place(text, span.start))
                .unwrap_or_default();
            let remedy = "chain-specs/run-tiny.toml shows every key";
            Failure::new(format!("{place}{}", error.message()), remedy)
        })
    }

    /// The model's shape.
    pub fn model(&self) -> &ModelShape {
        &self.model
    }

    /// The tokenizer that the file names.
    pub fn tokenizer_root(&self) -> Option<H256> {
        self.data.tokenizer_root
    }

    /// Tokens in a sequence.
    pub fn sequence_length(&self) -> u32 {
        self.inner.sequence_length
    }

    /// Fills in what was left out and checks everything that can be checked without the chain: the
    /// shape, the presence and roots of all data, the first weights. Gives the weights too.
    ///
    /// `manifest` says which data set, if the file does not.
    pub async fn resolve(
        self,
        store: &Store,
        manifest: Option<H256>,
    ) -> Result<(RunConfig, Vec<f32>), Failure> {
        let unfilled = DataSet {
            manifest_root: H256::zero(),
            tokenizer_root: H256::zero(),
            store: self.data.store.clone(),
            windows: u64::MAX,
        };
        let mut config = RunConfig {
            name: self.name,
            model: self.model,
            initial_weights: self.initial_weights,
            initial_root: H256::zero(),
            data: unfilled,
            inner: self.inner,
            compression: self.compression,
            outer: self.outer,
            phases: self.phases,
            max_contributors: self.max_contributors,
        };
        // Before anything is computed from it: a shape that cannot be would ask for absurd amounts of memory.
        config.check().map_err(|error| explain(error, &config))?;
        shards::fill(&mut config, &self.data.into(), store, manifest).await?;
        config.check().map_err(|error| explain(error, &config))?;
        let weights = shards::initial_weights(&config, store).await?;
        let root = cairn_gradient::state_root(&weights);
        if let Some(stated) = self.initial_root.filter(|stated| *stated != root) {
            let what =
                format!("initial_root is {stated:?}, but the initial weights hash to {root:?}");
            return Err(Failure::new(
                what,
                "correct it, or leave initial_root out to have it computed",
            ));
        }
        config.initial_root = root;
        Ok((config, weights))
    }
}

impl From<DataPart> for shards::Wanted {
    fn from(data: DataPart) -> Self {
        shards::Wanted {
            manifest_root: data.manifest_root,
            tokenizer_root: data.tokenizer_root,
            windows: data.windows,
        }
    }
}

/// A place in a text as people look for it: the line's number, and the line.
fn place(text: &str, position: usize) -> String {
    let number = text
        .get(..position)
        .map_or(1, |before| before.matches('\n').count() + 1);
    let line = text.lines().nth(number - 1).unwrap_or_default();
    format!("line {number} (`{}`): ", line.trim())
}

/// Says in words why a run cannot be.
fn explain(error: RunConfigError, config: &RunConfig) -> Failure {
    use RunConfigError::*;
    let model = &config.model;
    match error {
        ImpossibleShape => Failure::new(
            format!(
                "a model with d_model {}, {} heads and {} kv_heads is impossible",
                model.d_model, model.heads, model.kv_heads
            ),
            "in [model], no size may be 0, heads must divide d_model into even widths, and kv_heads divide heads",
        ),
        ImpossibleInnerSteps => Failure::new(
            "the inner steps are invalid",
            format!(
                "in [inner], steps and sequences must be above 0 and sequence_length within 1..={}",
                model.context
            ),
        ),
        ImpossibleOptimizer => Failure::new(
            "the inner optimizer is invalid",
            "in [inner], rates, decays and final_rate must be at most 1, betas below 1, and learning_rate, epsilon and clip_norm above 0",
        ),
        ImpossibleCompression => Failure::new(
            "contributions cannot be compressed like this",
            "in [compression], kept_per_block must be within 1..=4096, error_decay and final_error_decay at most 1",
        ),
        ImpossibleOuterStep => Failure::new(
            "the outer step is invalid",
            "in [outer], learning_rate must be above 0 and rho at most 1",
        ),
        EmptyPhase => Failure::new("a phase has no blocks", "in [phases], give each at least 1"),
        ImpossibleContributors => Failure::new(
            format!("max_contributors is {}", config.max_contributors),
            format!("give 1 to {}", cairn_primitives::MAX_MEMBERS),
        ),
        TooLittleData => Failure::new(
            format!("{} windows of data are too few", config.data.windows),
            format!("one miner takes {} in a round: prepare more data, or lower steps or sequences", config.windows_per_miner()),
        ),
    }
}

#[cfg(test)]
mod tests {
    use cairn_primitives::Nano;

    use super::*;

    #[test]
    fn errors_show_the_line() {
        let error = RunFile::parse("name = \"x\"\nmax_contributors = -1\n").unwrap_err();
        let text = error.to_string();
        assert!(text.contains("line 2 (`max_contributors = -1`)"), "{text}");
    }

    #[test]
    fn the_last_decay_may_be_left_out() {
        let text = include_str!("../../../chain-specs/run-tiny.toml");
        let whole = RunFile::parse(text).unwrap();
        assert_eq!(whole.compression.final_error_decay, Some(Nano(950_000_000)));
        let lines = text
            .lines()
            .filter(|line| !line.starts_with("final_error_decay"));
        let without = RunFile::parse(&lines.collect::<Vec<_>>().join("\n")).unwrap();
        assert_eq!(without.compression.final_error_decay, None);
    }
}
