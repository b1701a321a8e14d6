//! The page that an exported model brings along: what is known of it, and how it is used.

use std::fmt::Write;

use cairn_data::Manifest;
use cairn_primitives::{Matrices, Muon};

use super::{super::checkpoint::Found, Format};
use crate::{amount::thousands, printable::printable};

/// What is said before all else, for the sites that show such pages.
const FRONT: &str =
    "---\nlibrary_name: transformers\npipeline_tag: text-generation\ntags:\n- cairn\n---\n\n";

/// The page. `manifest` is that of the run's data, if it was found.
pub fn card(found: &Found, manifest: Option<&Manifest>, format: Format) -> String {
    let front = match format {
        Format::HuggingFace => FRONT,
        Format::Gguf => "",
    };
    let parts = [
        head(found),
        shape(found),
        data(found, manifest),
        training(found),
        loading(found, format),
    ];
    format!("{front}{}", parts.join("\n"))
}

/// What it is, and whose.
fn head(found: &Found) -> String {
    let (origin, about) = (&found.origin, &found.about);
    let name = plain(origin.name());
    let parameters = thousands(found.parameters.len() as u64);
    let mut rows = Rows::default();
    rows.add("run", &name);
    rows.maybe("subnet", origin.netuid);
    rows.maybe(
        "genesis of the chain",
        about.genesis.map(|hash| format!("{hash:?}")),
    );
    rows.maybe("round that began with these parameters", origin.round);
    rows.maybe("block at which the run was stopped", origin.stopped_at);
    rows.add("model root", format!("{:?}", origin.model_root));
    let source = match about.genesis {
        Some(_) => "The rest of this page is what the chain says of the run.",
        None => "No chain was asked: the rest of this page is what a file says of the run.",
    };
    format!(
        "# {name}\n\nA Llama-style decoder with {parameters} parameters, trained with \
         [Cairn](https://github.com/cairn-network/cairn).\n\n{}\n\
         The model root is BLAKE3 of all parameters as little-endian `f32`, in the order of the model's layers.\n\
         {source}\n",
        rows.0
    )
}

fn shape(found: &Found) -> String {
    let shape = &found.shape;
    let mut rows = Rows::default();
    rows.add("layers", shape.layers);
    rows.add("width", thousands(shape.d_model.into()));
    rows.add(
        "heads",
        format!("{}, {} of keys", shape.heads, shape.kv_heads),
    );
    rows.add("feed-forward", thousands(shape.ffn.into()));
    rows.add("vocabulary", thousands(shape.vocabulary.into()));
    rows.add("context", thousands(shape.context.into()));
    rows.add(
        "base of rotary positions",
        thousands(shape.rope_theta.into()),
    );
    let head = match shape.tied_embeddings {
        true => "the embedding's parameters",
        false => "parameters of its own",
    };
    rows.add("head", head);
    format!("## Shape\n\n{}", rows.0)
}

fn data(found: &Found, manifest: Option<&Manifest>) -> String {
    let about = &found.about;
    let mut rows = Rows::default();
    rows.maybe(
        "root of the manifest",
        about.manifest_root.map(|root| format!("{root:?}")),
    );
    rows.maybe(
        "root of the tokenizer",
        about.tokenizer_root.map(|root| format!("{root:?}")),
    );
    let length = thousands(about.config.inner.sequence_length.into());
    let windows = about
        .windows
        .map(|windows| format!("{} of {length} tokens", thousands(windows)));
    rows.maybe("windows to train on", windows);
    let tokens = manifest.map(|manifest| {
        let sum = |shards: &[cairn_data::ShardInfo]| {
            let tokens = shards.iter().map(|shard| shard.tokens);
            thousands(tokens.fold(0, u64::saturating_add))
        };
        let (train, heldout) = (sum(&manifest.train), sum(&manifest.heldout));
        format!("{train} to train on, {heldout} held out")
    });
    rows.maybe("tokens", tokens);
    let described = match manifest {
        Some(manifest) => format!("Its manifest says: {}\n", plain(&manifest.description)),
        None => "Its description was not in the store from which this was exported.\n".into(),
    };
    match rows.0.is_empty() {
        true => format!("## Data\n\n{described}"),
        false => format!("## Data\n\n{described}\n{}", rows.0),
    }
}

fn training(found: &Found) -> String {
    let config = &found.about.config;
    let (inner, outer) = (&config.inner, &config.outer);
    let mut rows = Rows::default();
    let rounds = found.origin.round.map(|round| {
        format!("{round} before these parameters; one without enough agreement changed nothing")
    });
    rows.maybe("rounds", rounds);
    rows.add(
        "contributions in a round",
        format!("at most {}", config.max_contributors),
    );
    let work = format!(
        "{} steps of {} sequences of {} tokens",
        inner.steps,
        inner.sequences,
        thousands(inner.sequence_length.into())
    );
    rows.add("each contribution", work);
    let steps = match inner.matrices {
        Matrices::AdamW => "AdamW".into(),
        Matrices::Muon(Muon { momentum, rms }) => {
            format!(
                "Muon on the blocks' matrices, momentum {momentum}, rms {rms}; AdamW on all else"
            )
        }
    };
    rows.add("inner optimizer", steps);
    let rate = format!(
        "{}, after {} steps of warm-up; a cosine down to {} of it at step {}",
        inner.learning_rate,
        thousands(inner.warmup_steps.into()),
        inner.final_rate,
        thousands(inner.total_steps.into())
    );
    rows.add("learning rate", rate);
    let adam = format!(
        "β₁ {}, β₂ {}, ε {}",
        inner.beta1, inner.beta2, inner.epsilon
    );
    rows.add("AdamW", adam);
    rows.add("weight decay", inner.weight_decay);
    rows.add("gradients clipped to the norm", inner.clip_norm);
    let sent = match config.compression.turns {
        turns @ 2.. => format!("one in {turns} of all values, in turn"),
        _ => format!(
            "{} of 4,096 values of a block",
            config.compression.kept_per_block
        ),
    };
    rows.add("what is sent of a contribution", sent);
    let step = format!(
        "learning rate {}, ρ {}, norms at most {} times the median, combined by {}",
        outer.learning_rate,
        outer.rho,
        outer.clip,
        outer.combine.in_words()
    );
    rows.add("outer step", step);
    format!("## Training\n\n{}", rows.0)
}

fn loading(found: &Found, format: Format) -> String {
    let mut text = String::from("## Loading\n\n");
    let tokenizer = found.tokenizer.is_some();
    match format {
        Format::Gguf => {
            text += "llama.cpp and its bindings load `model.gguf`; its numbers are `f32`.\n"
        }
        Format::HuggingFace => {
            text += "Here, with Hugging Face's `transformers`:\n\n```python\nimport torch\n";
            text += match tokenizer {
                true => "from transformers import AutoModelForCausalLM, AutoTokenizer\n\n",
                false => "from transformers import AutoModelForCausalLM\n\n",
            };
            text += "model = AutoModelForCausalLM.from_pretrained(\".\", dtype=torch.float32)\n";
            if tokenizer {
                text += "tokenizer = AutoTokenizer.from_pretrained(\".\")\n";
            }
            text += "```\n";
        }
    }
    if format == Format::HuggingFace && tokenizer {
        text += "\nOr with `cairn`, which compares the model root first:\n\n```sh\n";
        text += "cairn run generate --model . --prompt 'Once'\ncairn serve --model .\n```\n";
    }
    if !tokenizer {
        text += "\nThe tokenizer was not known, and is missing.\n";
    }
    text
}

/// Lines of a table.
#[derive(Default)]
struct Rows(String);

impl Rows {
    fn add(&mut self, name: &str, value: impl std::fmt::Display) {
        if self.0.is_empty() {
            self.0 += "| | |\n|---|---|\n";
        }
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "| {name} | {value} |");
    }

    fn maybe(&mut self, name: &str, value: Option<impl std::fmt::Display>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }
}

/// A text that others wrote, on one line, as it is: no letter of it is taken for Markdown or HTML.
fn plain(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut shown = String::with_capacity(line.len());
    for letter in printable(&line).chars() {
        if "\\`*_{}[]<>()#|~!&:@".contains(letter) {
            shown.push('\\');
        }
        shown.push(letter);
    }
    shown
}

#[cfg(test)]
mod tests {
    use cairn_primitives::{ModelRoot, Netuid, Round, H256};
    use cairn_trainer::initial_parameters;

    use super::*;
    use crate::{cli::checkpoint::About, serving::Origin};

    fn found(round: Option<Round>, netuid: Option<Netuid>) -> Found {
        let config = crate::run_file::example();
        Found {
            shape: config.model.clone(),
            parameters: initial_parameters(&config.model, 1),
            tokenizer: None,
            origin: Origin {
                run: Some(config.name.to_text()),
                netuid,
                round,
                model_root: ModelRoot(H256([0xab; 32])),
                stopped_at: None,
            },
            about: About {
                genesis: netuid.map(|_| H256([0xcd; 32])),
                config,
                manifest_root: netuid.map(|_| H256([0xef; 32])),
                tokenizer_root: None,
                windows: None,
            },
        }
    }

    #[test]
    fn what_is_known_is_said_and_nothing_else() {
        let mut manifest = Manifest::new("Addresses | <b>of</b>\nall", 1_024, H256::zero());
        manifest.description += " years";
        let page = card(
            &found(Some(7), Some(Netuid(3))),
            Some(&manifest),
            Format::HuggingFace,
        );
        for said in [
            "# tiny\n",
            "| subnet | 3 |",
            &format!("| genesis of the chain | 0x{} |", "cd".repeat(32)),
            "| round that began with these parameters | 7 |",
            &format!("| model root | 0x{} |", "ab".repeat(32)),
            &format!("| root of the manifest | 0x{} |", "ef".repeat(32)),
            "Addresses \\| \\<b\\>of\\</b\\> all years",
            "| rounds | 7 before",
            "| learning rate | 0.003, after 20 steps",
            "| each contribution | 20 steps of 16 sequences of 128 tokens |",
            "AutoModelForCausalLM.from_pretrained",
            "The tokenizer was not known",
        ] {
            assert!(page.contains(said), "{said}\n{page}");
        }
        assert!(page.starts_with("---\n") && !page.contains("root of the tokenizer"));
        let unknown = card(&found(None, None), None, Format::Gguf);
        assert!(unknown.starts_with("# tiny"));
        for unsaid in [
            "subnet",
            "genesis",
            "rounds |",
            "root of the",
            "transformers",
        ] {
            assert!(!unknown.contains(unsaid), "{unsaid}\n{unknown}");
        }
        assert!(unknown.contains("No chain was asked") && unknown.contains("not in the store"));
    }
}
