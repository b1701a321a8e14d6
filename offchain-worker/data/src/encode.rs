//! From a corpus to tokens, and from tokens to shards.

use crate::{Corpus, DataError, Shard, ShardInfo, TextTokenizer, TokenWidth, TokenizerError};

/// Tokens in a shard; the last one of a stream may have fewer.
const SHARD_TOKENS: usize = 1 << 20;
/// Documents that are encoded together, on all cores.
const BATCH: usize = 64;

/// A corpus as tokens: those of each document, and after each the token that ends one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Tokens to train on.
    pub train: Vec<u32>,
    /// Tokens held out.
    pub heldout: Vec<u32>,
}

impl Encoded {
    /// Encodes a corpus on all cores. The same corpus and tokenizer give the same tokens. `told` hears now and then
    /// how many bytes of text are done.
    ///
    /// # Errors
    ///
    /// [`TokenizerError`] names the first document that would not come back from its tokens.
    pub fn of(
        corpus: &Corpus,
        tokenizer: &TextTokenizer,
        told: impl FnMut(u64),
    ) -> Result<Encoded, TokenizerError> {
        let mut encoder = Encoder {
            tokenizer,
            told,
            documents: 0,
            bytes: 0,
        };
        let train = encoder.stream(corpus.training())?;
        let heldout = encoder.stream(corpus.held_out())?;
        Ok(Encoded { train, heldout })
    }
}

/// Cuts a stream of tokens below `vocabulary` into shards: what a manifest says of each, and its file.
///
/// # Errors
///
/// Items are [`DataError::Token`] where a token does not fit the width that the vocabulary takes.
pub fn cut(
    tokens: &[u32],
    vocabulary: u32,
) -> impl Iterator<Item = Result<(ShardInfo, Vec<u8>), DataError>> + '_ {
    let width = TokenWidth::of(vocabulary);
    tokens.chunks(SHARD_TOKENS).map(move |part| {
        let tokens = part.to_vec();
        let bytes = Shard { width, tokens }.to_bytes()?;
        Ok((ShardInfo::of(&bytes)?, bytes))
    })
}

/// Encodes documents and counts them.
struct Encoder<'a, Told> {
    tokenizer: &'a TextTokenizer,
    told: Told,
    documents: usize,
    bytes: u64,
}

impl<Told: FnMut(u64)> Encoder<'_, Told> {
    /// The tokens of documents, each ended by the token that ends one.
    fn stream<'t>(
        &mut self,
        mut documents: impl Iterator<Item = &'t str>,
    ) -> Result<Vec<u32>, TokenizerError> {
        let mut tokens = Vec::new();
        loop {
            let batch: Vec<&str> = documents.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                return Ok(tokens);
            }
            for document in self.tokenizer.encode(&batch, self.documents)? {
                tokens.extend(document);
                tokens.push(self.tokenizer.end());
            }
            let read: u64 = batch.iter().map(|document| document.len() as u64).sum();
            self.documents = self.documents.saturating_add(batch.len());
            self.bytes = self.bytes.saturating_add(read);
            (self.told)(self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use cairn_primitives::H256;

    use super::*;
    use crate::{train_tokenizer, DataSet, Manifest};

    #[test]
    fn each_document_is_ended_and_its_bytes_are_counted() {
        let corpus = Corpus::new("one two\u{1e}three\u{1e}four".into(), 0.1).unwrap();
        let file = train_tokenizer(&corpus, 260).unwrap();
        let tokenizer = TextTokenizer::parse(file.as_bytes()).unwrap();
        let mut heard = Vec::new();
        let encoded = Encoded::of(&corpus, &tokenizer, |bytes| heard.push(bytes)).unwrap();
        assert_eq!(heard, [12, 16]);
        let texts = |tokens: &[u32]| -> Vec<String> {
            let documents = tokens.split_inclusive(|token| *token == tokenizer.end());
            documents
                .map(|document| {
                    assert_eq!(document.last(), Some(&tokenizer.end()));
                    tokenizer.decode(document).unwrap()
                })
                .collect()
        };
        assert_eq!(texts(&encoded.train), ["one two", "three"]);
        assert_eq!(texts(&encoded.heldout), ["four"]);
    }

    #[test]
    fn shards_make_the_stream_again() {
        let tokens: Vec<u32> = (0..SHARD_TOKENS as u32 + 3).map(|n| n % 300).collect();
        let shards = cut(&tokens, 300).collect::<Result<Vec<_>, _>>().unwrap();
        let counts: Vec<u64> = shards.iter().map(|(info, _)| info.tokens).collect();
        assert_eq!(counts, [SHARD_TOKENS as u64, 3]);
        let mut manifest = Manifest::new("test", 300, H256([7; 32]));
        manifest.train = shards.iter().map(|(info, _)| *info).collect();
        let file = |root: H256| {
            let found = shards.iter().find(|(info, _)| info.root == root);
            found.map(|(_, bytes)| bytes)
        };
        let data = DataSet::new(&manifest, file).unwrap();
        let length = tokens.len() as u32 - 1;
        assert!(data.window(0, length) == Some(&tokens[..]));
    }

    #[test]
    fn a_token_outside_the_vocabularys_width_is_refused() {
        let error = cut(&[1, 65_536], 300).next().unwrap().unwrap_err();
        let found = DataError::Token {
            token: 65_536,
            position: 1,
            largest: 65_535,
        };
        assert_eq!(error, found);
    }
}
