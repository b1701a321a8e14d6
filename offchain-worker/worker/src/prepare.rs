//! From a corpus to token shards and their manifest in a store.

use cairn_data::{
    cut, windows, Corpus, Encoded, Manifest, ShardInfo, TextTokenizer, TokenizerError,
};
use cairn_primitives::H256;
use cairn_store::{paths, Store};
use serde::Serialize;

use crate::{
    amount::thousands,
    error::Failure,
    progress::progress,
    unseen::{Made, Unseen},
};

/// What was put into a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Prepared {
    /// Root of the manifest, by which a run names its data.
    pub manifest_root: H256,
    /// Root of the tokenizer's file.
    pub tokenizer_root: H256,
    /// What the tokenizer's file had switched on and is not used.
    pub tokenizer_left_out: Vec<&'static str>,
    /// Bytes of text.
    pub bytes: u64,
    /// Tokens, those held out included.
    pub tokens: u64,
    /// Tokens held out.
    pub heldout_tokens: u64,
    /// Tokens in the vocabulary.
    pub vocabulary: u32,
    /// Shards.
    pub shards: usize,
    /// Length of a window in tokens.
    pub sequence_length: u32,
    /// Windows of that length to train on.
    pub windows: u64,
    /// Windows of that length held out.
    pub heldout_windows: u64,
    /// The text that miners do not have, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unseen: Option<Made>,
}

/// Encodes the corpus and puts shards, tokenizer and manifest into the store. The same corpus and
/// tokenizer give the same bytes. Nothing is put there if a document would not come back from its tokens, or
/// if either part has no window of `sequence_length` tokens. A text that miners are not to have goes to a file of its
/// own.
pub async fn prepare(
    corpus: &Corpus,
    tokenizer: &TextTokenizer,
    description: &str,
    sequence_length: u32,
    store: &Store,
    unseen: Option<Unseen<'_>>,
) -> Result<Prepared, Failure> {
    store.check_writable().await?;
    let Encoded { train, heldout } = encode(tokenizer, corpus)?;
    let counts = [train.len() as u64, heldout.len() as u64];
    let [windows, heldout_windows] = counts.map(|tokens| windows(tokens, sequence_length));
    check_window("to train on", counts[0], windows, sequence_length)?;
    check_window("held out", counts[1], heldout_windows, sequence_length)?;
    let make = |unseen: Unseen<'_>| unseen.make(corpus, tokenizer, sequence_length, store);
    let (named, made) = unseen.map(make).transpose()?.unzip();
    let _told = progress("writing the shards", 0);
    let file = tokenizer.file().to_vec();
    let tokenizer_root = H256(store.put_blob(paths::DATA, file.into()).await?);
    let mut manifest = Manifest::new(description, tokenizer.vocabulary(), tokenizer_root);
    manifest.train = publish(&train, tokenizer.vocabulary(), store).await?;
    manifest.heldout = publish(&heldout, tokenizer.vocabulary(), store).await?;
    manifest.unseen = named;
    let bytes = manifest.to_bytes()?;
    let manifest_root = H256(store.put_blob(paths::DATA, bytes.into()).await?);
    Ok(Prepared {
        manifest_root,
        tokenizer_root,
        tokenizer_left_out: tokenizer.left_out().to_vec(),
        bytes: corpus.bytes(),
        tokens: counts[0].saturating_add(counts[1]),
        heldout_tokens: counts[1],
        vocabulary: tokenizer.vocabulary(),
        shards: manifest.shards().count(),
        sequence_length,
        windows,
        heldout_windows,
        unseen: made,
    })
}

/// Makes sure that a part of the data has a window.
pub(crate) fn check_window(
    part: &str,
    tokens: u64,
    windows: u64,
    sequence_length: u32,
) -> Result<(), Failure> {
    if windows > 0 {
        return Ok(());
    }
    let what = format!(
        "the text {part} has {} tokens; a window of {sequence_length} needs {}",
        thousands(tokens),
        thousands(u64::from(sequence_length).saturating_add(1))
    );
    let remedy = match part {
        "held out" => {
            "hold out a larger share of the documents with `cairn data prepare --held-out`"
        }
        _ => "prepare more text with `cairn data prepare`",
    };
    Err(Failure::new(
        what,
        format!("{remedy}, or use a smaller sequence length"),
    ))
}

/// The tokens to train on and those held out.
fn encode(tokenizer: &TextTokenizer, corpus: &Corpus) -> Result<Encoded, TokenizerError> {
    let told = progress("encoding the text, in bytes", corpus.bytes());
    Encoded::of(corpus, tokenizer, |bytes| told.at(bytes))
}

/// Puts a stream of tokens into the store, cut into shards.
async fn publish(
    tokens: &[u32],
    vocabulary: u32,
    store: &Store,
) -> Result<Vec<ShardInfo>, Failure> {
    let mut shards = Vec::new();
    for shard in cut(tokens, vocabulary) {
        let (info, bytes) = shard?;
        shards.push(info);
        store.put_blob(paths::DATA, bytes.into()).await?;
    }
    Ok(shards)
}

#[cfg(test)]
mod tests {
    use cairn_data::train_tokenizer;

    use super::*;
    use crate::shards;

    async fn prepared(directory: &std::path::Path) -> (Store, Prepared) {
        let text = "one two three\u{1e}four five six\u{1e}seven eight nine";
        let corpus = Corpus::new(text.into(), 0.1).unwrap();
        let file = train_tokenizer(&corpus, 280).unwrap();
        let tokenizer = TextTokenizer::parse(file.as_bytes()).unwrap();
        let store = Store::create_in(directory).unwrap();
        let done = prepare(&corpus, &tokenizer, "test", 4, &store, None)
            .await
            .unwrap();
        (store, done)
    }

    #[tokio::test]
    async fn what_is_prepared_decodes_to_the_text() {
        let directory = tempfile::tempdir().unwrap();
        let (store, done) = prepared(directory.path()).await;
        let manifest = shards::manifest(&store, done.manifest_root).await.unwrap();
        let set = shards::load(&store, &manifest).await.unwrap();
        assert_eq!(set.train_tokens() + set.heldout_tokens(), done.tokens);
        assert_eq!(set.heldout_tokens(), done.heldout_tokens);
        assert_eq!(set.windows(4), done.windows);
        let file = store
            .get_blob(paths::DATA, &done.tokenizer_root.0, 1 << 20)
            .await
            .unwrap();
        let tokenizer = TextTokenizer::parse(&file).unwrap();
        let length = u32::try_from(set.heldout_tokens() - 1).unwrap();
        let text = tokenizer
            .decode(set.heldout_window(0, length).unwrap())
            .unwrap();
        assert_eq!(text, "seven eight nine");
    }

    #[tokio::test]
    async fn a_part_below_one_window_is_refused_and_nothing_is_written() {
        for (text, part) in [
            ("long enough for a window\u{1e}x", "held out has 2 tokens"),
            (
                "x\u{1e}long enough for a window",
                "to train on has 2 tokens",
            ),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let corpus = Corpus::new(text.into(), 0.1).unwrap();
            let file = train_tokenizer(&corpus, 257).unwrap();
            let tokenizer = TextTokenizer::parse(file.as_bytes()).unwrap();
            let store = Store::create_in(directory.path()).unwrap();
            let done = prepare(&corpus, &tokenizer, "test", 2, &store, None).await;
            let error = done.unwrap_err().to_string();
            assert!(error.contains(part) && error.contains("needs 3"), "{error}");
            assert_eq!(store.list(paths::DATA).await.unwrap(), []);
        }
    }

    #[tokio::test]
    async fn a_document_that_does_not_come_back_is_named_and_nothing_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let corpus = Corpus::new("abc\u{1e}abd\u{1e}ab\u{1e}abc".into(), 0.1).unwrap();
        let file = r#"{"version": "1.0", "added_tokens": [], "model": {"type": "BPE", "merges": [],
            "vocab": {"a": 0, "b": 1, "c": 2, "<|end|>": 3}}, "decoder": {"type": "Fuse"}}"#;
        let tokenizer = TextTokenizer::parse(file.as_bytes()).unwrap();
        let store = Store::create_in(directory.path()).unwrap();
        let error = prepare(&corpus, &tokenizer, "test", 2, &store, None)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("document 2, byte 2 (\"d\")"), "{error}");
        assert_eq!(store.list(paths::DATA).await.unwrap(), []);
    }

    #[tokio::test]
    async fn preparing_twice_gives_the_same_roots() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert_eq!(prepared(one.path()).await.1, prepared(two.path()).await.1);
    }
}
