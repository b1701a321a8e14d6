//! A run's configuration as a person writes it: TOML, with what can be computed left out.

use std::path::Path;

use cairn_primitives::{
    AuditRules, CompressionSchedule, DataSet, InitialParameters, InnerOptimizer, ModelRoot,
    ModelShape, OuterStep, Phases, RunConfig, Text, H256,
};
use cairn_store::Store;
use serde::Deserialize;
use toml::de::{DeTable, DeValue};

use crate::{error::Failure, run_rules, shards};

/// The file. It differs from [`RunConfig`] in what may be left out.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunFile {
    name: Text,
    model: ModelShape,
    initial_parameters: InitialParameters,
    /// Left out: computed from `initial_parameters`.
    initial_root: Option<ModelRoot>,
    #[serde(default)]
    data: DataPart,
    inner: InnerOptimizer,
    compression: CompressionSchedule,
    outer: OuterStep,
    phases: Phases,
    max_contributors: u16,
    /// Left out: nothing is audited.
    #[serde(default)]
    audits: AuditRules,
    /// Left out: no round is trained before the one before it is over.
    #[serde(default)]
    overlap: u8,
    /// Left out: as often as is usual.
    checkpoint_every: Option<u8>,
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
    /// Left out: those that the manifest names.
    relays: Option<Vec<String>>,
}

impl RunFile {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<RunFile, Failure> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let what = format!(
                "cannot read the run configuration {}: {error}",
                path.display()
            );
            Failure::new(what, "name a TOML file such as chain-specs/run-tiny.toml")
        })?;
        RunFile::parse(&text).map_err(|error| Failure::during(path.display(), error))
    }

    /// Reads the content of a file.
    pub fn parse(text: &str) -> Result<RunFile, Failure> {
        let explain = |error: toml::de::Error| {
            let place = error
                .span()
                .map(|span| place(text, span.start))
                .unwrap_or_default();
            let remedy = "chain-specs/run-tiny.toml shows every key";
            Failure::new(format!("{place}{}", error.message()), remedy)
        };
        // Once with numbers as they are, for what is said of a wrong type; then with every decimal number as the
        // text that was written, since a float would not tell 0.003 from 0.00300000000000000001.
        toml::from_str::<RunFile>(text).map_err(explain)?;
        let mut table = DeTable::parse(text).map_err(explain)?;
        floats_to_texts(table.get_mut());
        RunFile::deserialize(toml::de::Deserializer::from(table)).map_err(explain)
    }

    /// The run's name.
    pub fn name(&self) -> String {
        self.name.to_text()
    }

    /// The model's shape.
    pub fn model(&self) -> &ModelShape {
        &self.model
    }

    /// The tokenizer that the file names.
    pub fn tokenizer_root(&self) -> Option<H256> {
        self.data.tokenizer_root
    }

    /// The manifest that the file names.
    pub fn manifest_root(&self) -> Option<H256> {
        self.data.manifest_root
    }

    /// The number of windows that the file states.
    pub fn windows(&self) -> Option<u64> {
        self.data.windows
    }

    /// The relays that the file names for the run's peers.
    pub fn relays(&self) -> Option<&[String]> {
        self.data.relays.as_deref()
    }

    /// Tokens in a sequence.
    pub fn sequence_length(&self) -> u32 {
        self.inner.sequence_length
    }

    /// Fills in what was left out and checks everything that can be checked without the chain: the
    /// shape, the presence and roots of all data, the first parameters. Gives the parameters too.
    ///
    /// `manifest` says which data set, if the file does not.
    pub async fn resolve(
        self,
        store: &Store,
        manifest: Option<H256>,
    ) -> Result<(RunConfig, Vec<f32>), Failure> {
        let mut config = self.unfilled();
        // Before anything is computed from it: a shape that cannot be would ask for absurd amounts of memory.
        run_rules::check_alone(&config)?;
        shards::fill(&mut config, &self.data.into(), store, manifest).await?;
        run_rules::check(&config)?;
        let parameters = shards::initial_parameters(&config, store).await?;
        let root = cairn_gradient::model_root(&parameters);
        if let Some(stated) = self.initial_root.filter(|stated| *stated != root) {
            let what =
                format!("initial_root is {stated:?}, but the initial parameters hash to {root:?}");
            return Err(Failure::new(
                what,
                "correct it, or leave initial_root out to have it computed",
            ));
        }
        config.initial_root = root;
        Ok((config, parameters))
    }
}

impl RunFile {
    /// The configuration as far as the file has it.
    pub(crate) fn unfilled(&self) -> RunConfig {
        RunConfig {
            name: self.name.clone(),
            model: self.model.clone(),
            initial_parameters: self.initial_parameters.clone(),
            initial_root: ModelRoot::zero(),
            data: DataSet {
                manifest_root: H256::zero(),
                tokenizer_root: H256::zero(),
                store: self.data.store.clone(),
                windows: u64::MAX,
            },
            inner: self.inner.clone(),
            compression: self.compression.clone(),
            outer: self.outer.clone(),
            phases: self.phases,
            max_contributors: self.max_contributors,
            audits: self.audits,
            overlap: self.overlap,
            checkpoint_every: self
                .checkpoint_every
                .unwrap_or(RunConfig::USUAL_CHECKPOINT_EVERY),
        }
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

/// Puts the text of each decimal number in its place.
fn floats_to_texts(table: &mut DeTable) {
    for (_, value) in table.iter_mut() {
        let value = value.get_mut();
        match value {
            DeValue::Float(number) => {
                *value = DeValue::String(number.as_str().to_string().into());
            }
            DeValue::Table(table) => floats_to_texts(table),
            _ => {}
        }
    }
}

/// The built-in run's configuration, without data and without its first root.
#[cfg(test)]
pub(crate) fn example() -> RunConfig {
    let file =
        RunFile::parse(include_str!("../../../chain-specs/run-tiny.toml")).expect("built in");
    file.unfilled()
}

/// A place in a text as people look for it: the line's number, and the line.
fn place(text: &str, position: usize) -> String {
    let number = text
        .get(..position)
        .map_or(1, |before| before.matches('\n').count() + 1);
    let line = text.lines().nth(number - 1).unwrap_or_default();
    format!("line {number} (`{}`): ", line.trim())
}

#[cfg(test)]
mod tests {
    use cairn_primitives::{Combination, Matrices, Muon, Nano};

    use super::*;

    #[test]
    fn errors_show_the_line() {
        let error = RunFile::parse("name = \"x\"\nmax_contributors = -1\n").unwrap_err();
        let text = error.to_string();
        assert!(text.contains("line 2 (`max_contributors = -1`)"), "{text}");
    }

    /// The file that everybody knows, with one line replaced.
    fn tiny(from: &str, to: &str) -> Result<RunFile, Failure> {
        let text = include_str!("../../../chain-specs/run-tiny.toml");
        assert!(text.contains(from), "{from}");
        RunFile::parse(&text.replace(from, to))
    }

    #[test]
    fn every_fixed_point_setting_is_exact_or_refused_with_the_reason() {
        let settings = [
            "learning_rate = 0.003",
            "final_rate = 0.1",
            "beta1 = 0.9",
            "beta2 = 0.95",
            "epsilon = 1e-8",
            "weight_decay = 0.1",
            "clip_norm = 1.0",
            "error_decay = 0.5",
            "final_error_decay = 0.95",
            "learning_rate = 1.0",
            "rho = 1.0",
        ];
        for setting in settings {
            let name = setting.split(' ').next().unwrap();
            for (value, why) in [
                ("1.4e-9", "more than nine decimals"),
                ("1e-10", "more than nine decimals"),
                // A float is 0.003 here.
                ("0.00300000000000000000001", "more than nine decimals"),
                ("-0.5", "negative"),
                ("nan", "not a decimal number"),
                ("1e30", "above 9223372036"),
                ("\"a\"", "not a decimal number"),
                ("true", "decimal number"),
            ] {
                let error = tiny(setting, &format!("{name} = {value}")).unwrap_err();
                let text = error.to_string();
                assert!(text.contains(why), "{name} = {value}: {text}");
                assert!(text.contains(&format!("(`{name} = {value}")), "{text}");
            }
        }
        let exact = tiny("epsilon = 1e-8", "epsilon = 1e-9").unwrap();
        assert_eq!(exact.inner.epsilon, Nano(1));
        // More digits than a float holds.
        let exact = tiny("clip_norm = 1.0", "clip_norm = 123_456_789.123456789").unwrap();
        assert_eq!(exact.inner.clip_norm, Nano(123_456_789_123_456_789));
        let exact = tiny("clip_norm = 1.0", "clip_norm = 2").unwrap();
        assert_eq!(exact.inner.clip_norm, Nano(2_000_000_000));
    }

    /// The other file differs from the one that explains itself in how a miner trains and what it sends.
    #[test]
    fn the_run_of_muons_is_the_tiny_one_but_for_that() {
        let text = include_str!("../../../chain-specs/run-tiny-muon.toml");
        let found = RunFile::parse(text).unwrap().unfilled();
        let mut expected = example();
        expected.name = Text::new("tiny-muon").unwrap();
        expected.inner.learning_rate = Nano(6_000_000);
        expected.inner.matrices = Matrices::Muon(Muon {
            rms: Nano(400_000_000),
            ..Muon::default()
        });
        expected.compression.kept_per_block = 4_096;
        expected.compression.error_decay = Nano(900_000_000);
        expected.compression.final_error_decay = None;
        assert_eq!(found, expected);
    }

    #[test]
    fn the_run_of_turns_is_that_of_muons_but_for_them() {
        let [of_muon, of_turns] = [
            include_str!("../../../chain-specs/run-tiny-muon.toml"),
            include_str!("../../../chain-specs/run-tiny-turns.toml"),
        ]
        .map(|text| RunFile::parse(text).unwrap().unfilled());
        let mut expected = of_muon;
        expected.name = Text::new("tiny-turns").unwrap();
        expected.compression.error_decay = Nano(0);
        expected.compression.turns = 2;
        expected.outer.rho = Nano(500_000_000);
        expected.outer.clip = Nano(1_250_000_000);
        assert_eq!(of_turns, expected);
    }

    #[test]
    fn what_steps_the_matrices_is_a_word_or_a_table() {
        let with = |line: &str| {
            let file = tiny("matrices = \"adamw\" ", &format!("{line} "));
            file.map(|file| file.inner.matrices)
        };
        assert_eq!(with("").unwrap(), Matrices::AdamW);
        assert_eq!(with("matrices = \"adamw\"").unwrap(), Matrices::AdamW);
        let muon = Muon::default();
        assert_eq!(
            with("matrices = { muon = {} }").unwrap(),
            Matrices::Muon(muon)
        );
        let rms = Nano(300_000_000);
        let found = with("matrices = { muon = { rms = 0.3 } }").unwrap();
        assert_eq!(found, Matrices::Muon(Muon { rms, ..muon }));
        let error = with("matrices = { muon = { rms = -0.3 } }").unwrap_err();
        assert!(error.to_string().contains("negative"), "{error}");
        for wrong in ["\"sgd\"", "{ muon = { nesterov = true } }"] {
            assert!(with(&format!("matrices = {wrong}")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn contributions_are_combined_by_trust_or_by_tokens() {
        let with = |line: &str| {
            let file = tiny("combine = \"trust\" ", &format!("{line} "));
            file.map(|file| file.outer.combine)
        };
        assert_eq!(with("").unwrap(), Combination::Trust);
        assert_eq!(with("combine = \"trust\"").unwrap(), Combination::Trust);
        assert_eq!(with("combine = \"tokens\"").unwrap(), Combination::Tokens);
        let error = with("combine = \"heads\"").unwrap_err().to_string();
        assert!(error.contains("`trust` or `tokens`"), "{error}");
    }

    #[test]
    fn checkpoints_are_as_far_apart_as_the_file_says_or_as_is_usual() {
        let with = |line: &str| {
            let file = tiny("checkpoint_every = 5 ", &format!("{line} "));
            file.map(|file| file.unfilled().checkpoint_every)
        };
        assert_eq!(with("").unwrap(), 5);
        assert_eq!(with("checkpoint_every = 12").unwrap(), 12);
        assert!(with("checkpoint_every = 256").is_err());
    }

    #[test]
    fn relays_are_named_beside_the_data() {
        assert_eq!(tiny("[data]", "[data]").unwrap().relays(), None);
        let named = tiny("[data]", "[data]\nrelays = [\"https://relay.example\"]").unwrap();
        let relay = "https://relay.example".to_string();
        assert_eq!(named.relays(), Some(&[relay][..]));
        let none = tiny("[data]", "[data]\nrelays = []").unwrap();
        assert_eq!(none.relays(), Some(&[] as &[String]));
    }

    #[test]
    fn a_wrong_type_is_named_as_it_was_written() {
        let text = tiny("layers = 4", "layers = 4.0").unwrap_err().to_string();
        assert!(text.contains("floating point `4.0`"), "{text}");
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
