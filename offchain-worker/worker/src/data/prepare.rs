//! From a corpus to token shards and their manifest in a store.

use cairn_primitives::H256;
use cairn_store::{paths, Store};
use cairn_trainer::data::{Manifest, Shard, ShardInfo, TokenWidth};
use serde::Serialize;
use tokenizers::Tokenizer;

use super::{end_of_document, Corpus};
use crate::error::Failure;

/// Tokens in a shard; the last one of a stream may have fewer.
const SHARD_TOKENS: usize = 1 << 20;
/// Documents that are encoded together, on all cores.
const BATCH: usize = 64;

/// What was put into a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Prepared {
    /// Root of the manifest, by which a run names its data.
    pub manifest_root: H256,
    /// Root of the tokenizer's file.
    pub tokenizer_root: H256,
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
}

/// Encodes the corpus and puts shards, tokenizer and manifest into the store. The same corpus and
/// tokenizer give the same bytes. `sequence_length` only counts windows.
pub async fn prepare(
    corpus: &Corpus,
    tokenizer: &Tokenizer,
    tokenizer_file: Vec<u8>,
    description: &str,
    sequence_length: u32,
    store: &Store,
) -> Result<Prepared, Failure> {
    store.check_writable().await?;
    let vocabulary = u32::try_from(tokenizer.get_vocab_size(true)).map_err(|_| {
        Failure::new(
            "the tokenizer's vocabulary is above 2^32",
            "use another tokenizer",
        )
    })?;
    let tokenizer_root = H256(store.put_blob(paths::DATA, tokenizer_file.into()).await?);
    let mut manifest = Manifest::new(description, vocabulary, tokenizer_root);
    let train = encode(tokenizer, corpus.training())?;
    let heldout = encode(tokenizer, corpus.held_out())?;
    manifest.train = publish(&train, vocabulary, store).await?;
    manifest.heldout = publish(&heldout, vocabulary, store).await?;
    let manifest_root = H256(
        store
            .put_blob(paths::DATA, manifest.to_bytes()?.into())
            .await?,
    );
    let (train_tokens, heldout_tokens) = (train.len() as u64, heldout.len() as u64);
    let windows = train_tokens
        .saturating_sub(1)
        .checked_div(sequence_length.into())
        .unwrap_or(0);
    Ok(Prepared {
        manifest_root,
        tokenizer_root,
        bytes: corpus.bytes(),
        tokens: train_tokens + heldout_tokens,
        heldout_tokens,
        vocabulary,
        shards: manifest.shards().count(),
        sequence_length,
        windows,
    })
}

/// The tokens of documents, each ended by the token that ends one.
fn encode<'a>(
    tokenizer: &Tokenizer,
    documents: impl Iterator<Item = &'a str>,
) -> Result<Vec<u32>, Failure> {
    let end = end_of_document(tokenizer)?;
    let documents: Vec<&str> = documents.collect();
    let mut tokens = Vec::new();
    for batch in documents.chunks(BATCH) {
        let encoded = tokenizer
            .encode_batch_fast(batch.to_vec(), false)
            .map_err(|error| {
                Failure::new(
                    format!("the text cannot be encoded: {error}"),
                    "check the tokenizer",
                )
            })?;
        for document in encoded {
            tokens.extend_from_slice(document.get_ids());
            tokens.push(end);
        }
    }
    Ok(tokens)
}

/// Puts a stream of tokens into the store, cut into shards.
async fn publish(
    tokens: &[u32],
    vocabulary: u32,
    store: &Store,
) -> Result<Vec<ShardInfo>, Failure> {
    let mut shards = Vec::new();
    for part in tokens.chunks(SHARD_TOKENS) {
        let shard = Shard {
            width: TokenWidth::of(vocabulary),
            tokens: part.to_vec(),
        };
        let bytes = shard.to_bytes()?;
        shards.push(ShardInfo::of(&bytes)?);
        store.put_blob(paths::DATA, bytes.into()).await?;
    }
    Ok(shards)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{data, shards};

    async fn prepared(directory: &std::path::Path) -> (Store, Prepared) {
        let text = "one two three\u{1e}four five six\u{1e}seven eight nine";
        let corpus = Corpus::new(text.into(), 0.1).unwrap();
        let file = data::train(&corpus, 280).unwrap();
        let tokenizer = Tokenizer::from_bytes(&file).unwrap();
        let store = Store::create_in(directory).unwrap();
        let done = prepare(&corpus, &tokenizer, file.into(), "test", 4, &store)
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
        let tokenizer = Tokenizer::from_bytes(&file).unwrap();
        let length = u32::try_from(set.heldout_tokens() - 1).unwrap();
        let text = tokenizer
            .decode(set.heldout_window(0, length).unwrap(), true)
            .unwrap();
        assert_eq!(text, "seven eight nine");
    }

    #[tokio::test]
    async fn preparing_twice_gives_the_same_roots() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert_eq!(prepared(one.path()).await.1, prepared(two.path()).await.1);
    }
}
