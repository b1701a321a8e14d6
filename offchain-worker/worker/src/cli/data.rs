//! `cairn data`.

use std::path::PathBuf;

use cairn_data::{train_tokenizer, Corpus, TextTokenizer};
use cairn_store::Store;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::{args::JsonArg, print};
use crate::{
    amount::thousands,
    error::Failure,
    new_file::NewFile,
    prepare::{self, Prepared},
    progress::progress,
    unseen::Unseen,
};

/// `cairn data …`.
#[derive(Subcommand, Debug)]
pub enum Data {
    /// Encode a corpus and put its shards and manifest into a store
    #[command(
        after_help = "Examples:\n  cairn data prepare --corpus data/sotu.txt.zst --tokenizer data/tokenizer.json --out file:///srv/cairn\n  cairn data prepare --corpus text.zst --tokenizer tokenizer.json --out file:///srv/cairn --unseen-corpus secret.zst --unseen-out unseen.shard"
    )]
    Prepare(Prepare),
    /// Train a byte-level BPE tokenizer on the part of a corpus that is not held out
    #[command(
        after_help = "Examples:\n  cairn data tokenizer --corpus data/sotu.txt.zst --vocabulary 1024 --out data/tokenizer.json"
    )]
    Tokenizer(TokenizerArgs),
}

#[derive(Args, Debug)]
struct CorpusArgs {
    /// Text whose documents are separated by the byte 0x1e; compressed with zstd if its name ends in .zst
    #[arg(long, env = "CAIRN_CORPUS", value_name = "FILE")]
    corpus: PathBuf,
    /// Share of the documents that nobody trains on; the last ones are held out
    #[arg(
        long,
        env = "CAIRN_HELD_OUT",
        default_value_t = 0.05,
        value_name = "SHARE"
    )]
    held_out: f64,
}

/// `cairn data prepare`.
#[derive(Args, Debug)]
pub struct Prepare {
    #[command(flatten)]
    corpus: CorpusArgs,
    /// The tokenizer, in the format of Hugging Face `tokenizers`
    #[arg(long, env = "CAIRN_TOKENIZER", value_name = "FILE")]
    tokenizer: PathBuf,
    /// The store that gets shards, tokenizer and manifest
    #[arg(long, env = "CAIRN_STORE", value_name = "URL")]
    out: String,
    /// Source and licence of the text, for the manifest [default: the corpus's file name]
    #[arg(long, env = "CAIRN_DESCRIPTION", value_name = "TEXT")]
    description: Option<String>,
    /// Tokens in a window: the run's sequence_length; each part of the data must have at least one window
    #[arg(
        long,
        env = "CAIRN_SEQUENCE_LENGTH",
        default_value_t = 128,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    sequence_length: u32,
    /// Text that miners are not to have, in a file like the corpus: validators measure contributions on it, too
    #[arg(
        long,
        env = "CAIRN_UNSEEN_CORPUS",
        value_name = "FILE",
        requires = "unseen_out"
    )]
    unseen_corpus: Option<PathBuf>,
    /// The file that gets that text, for validators alone; it is put into no store
    #[arg(
        long,
        env = "CAIRN_UNSEEN_OUT",
        value_name = "FILE",
        requires = "unseen_corpus"
    )]
    unseen_out: Option<PathBuf>,
    #[command(flatten)]
    json: JsonArg,
}

/// `cairn data tokenizer`.
#[derive(Args, Debug)]
pub struct TokenizerArgs {
    #[command(flatten)]
    corpus: CorpusArgs,
    /// Tokens in the vocabulary: 256 bytes, the end of a document, and learned tokens
    #[arg(
        long,
        env = "CAIRN_VOCABULARY",
        default_value_t = 1024,
        value_name = "N"
    )]
    vocabulary: usize,
    /// The file to write
    #[arg(long, env = "CAIRN_OUT", value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    json: JsonArg,
}

#[derive(Serialize)]
struct Trained {
    file: String,
    vocabulary: u32,
    bytes: usize,
}

impl Data {
    /// Does it.
    pub async fn run(self) -> Result<(), Failure> {
        match self {
            Data::Prepare(prepare) => prepare.run().await,
            Data::Tokenizer(tokenizer) => tokenizer.run(),
        }
    }
}

impl Prepare {
    async fn run(self) -> Result<(), Failure> {
        let corpus = self.corpus.read()?;
        let tokenizer = TextTokenizer::read(&self.tokenizer)?;
        let name = || {
            self.corpus
                .corpus
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        };
        let description = self.description.clone().unwrap_or_else(name);
        let unseen = self.unseen_corpus.as_deref();
        let unseen = unseen.map(Corpus::read_whole).transpose()?;
        let unseen = unseen.as_ref().zip(self.unseen_out.as_deref());
        let unseen = unseen.map(|(corpus, out)| Unseen { corpus, out });
        let store = Store::create(&self.out)?;
        let done = prepare::prepare(
            &corpus,
            &tokenizer,
            &description,
            self.sequence_length,
            &store,
            unseen,
        )
        .await?;
        print(self.json.json, &done, describe)
    }
}

/// What was put into the store, for people.
fn describe(done: &Prepared) -> String {
    let left_out = match done.tokenizer_left_out.as_slice() {
        [] => String::new(),
        names => format!("\nnot used   the tokenizer file's {}", names.join(", ")),
    };
    let unseen = done.unseen.as_ref().map_or_else(String::new, |made| {
        format!(
            "unseen     {} windows in {}, for validators alone\n",
            thousands(made.windows),
            made.file.display()
        )
    });
    format!(
        "text       {} bytes\n\
         tokens     {}, {} of them held out\n\
         windows    {} of {} tokens to train on, {} held out\n\
         shards     {}\n\
         {unseen}\
         manifest   {:?}\n\
         tokenizer  {:?}{left_out}\n",
        thousands(done.bytes),
        thousands(done.tokens),
        thousands(done.heldout_tokens),
        thousands(done.windows),
        done.sequence_length,
        thousands(done.heldout_windows),
        done.shards,
        done.manifest_root,
        done.tokenizer_root,
    )
}

impl CorpusArgs {
    fn read(&self) -> Result<Corpus, Failure> {
        let _told = progress(format!("reading {}", self.corpus.display()), 0);
        Ok(Corpus::read(&self.corpus, self.held_out)?)
    }
}

impl TokenizerArgs {
    fn run(self) -> Result<(), Failure> {
        let corpus = self.corpus.read()?;
        let text = {
            let _told = progress("training the tokenizer", 0);
            train_tokenizer(&corpus, self.vocabulary)?
        };
        // A small text does not have so many pairs to learn.
        let vocabulary = TextTokenizer::parse(text.as_bytes())?.vocabulary();
        NewFile::write(&self.out, text.as_bytes())?;
        let trained = Trained {
            file: self.out.display().to_string(),
            vocabulary,
            bytes: text.len(),
        };
        print(self.json.json, &trained, |trained| {
            format!(
                "{}: {} tokens, {} bytes\n",
                trained.file,
                thousands(trained.vocabulary.into()),
                thousands(trained.bytes as u64)
            )
        })
    }
}
