//! Text to tokens and back, by a file in the format of Hugging Face `tokenizers`.

use std::path::Path;

use tokenizers::{
    decoders::byte_level::ByteLevel as ByteLevelDecoder,
    models::bpe::{BpeTrainer, BPE},
    pre_tokenizers::byte_level::ByteLevel,
    AddedToken, TokenizerBuilder,
};

use crate::{file::Plain, Corpus, TokenizerError};

/// The token that ends a document, in tokenizers that are made here.
pub const END: &str = "<|end|>";
/// Characters of a document that are shown around a place.
const SHOWN: usize = 24;

/// Maps text to tokens and back, exactly: text that would not come back is refused.
pub struct TextTokenizer(Plain);

impl TextTokenizer {
    /// Reads a tokenizer file.
    ///
    /// # Errors
    ///
    /// [`TokenizerError`] names the file and says what is wrong with it.
    pub fn read(path: &Path) -> Result<TextTokenizer, TokenizerError> {
        let bytes = std::fs::read(path).map_err(|source| TokenizerError::Unreadable {
            path: path.into(),
            source,
        })?;
        TextTokenizer::parse(&bytes).map_err(|error| TokenizerError::InFile {
            path: path.into(),
            source: Box::new(error),
        })
    }

    /// Reads the content of a tokenizer file.
    ///
    /// # Errors
    ///
    /// [`TokenizerError`] if it is none, if its tokens are not numbered from 0 without a gap, or if none of them ends
    /// a document.
    pub fn parse(bytes: &[u8]) -> Result<TextTokenizer, TokenizerError> {
        Plain::parse(bytes).map(TextTokenizer)
    }

    /// The file as it is published: what was read, without what is no mapping.
    pub fn file(&self) -> &[u8] {
        &self.0.bytes
    }

    /// The file for those who use the model: whatever program reads it, text is encoded as it is here.
    ///
    /// # Errors
    ///
    /// [`TokenizerError`] if it cannot be read again.
    pub fn exported(&self) -> Result<Vec<u8>, TokenizerError> {
        self.0.exported()
    }

    /// What of the file that was read is not used, in its own words.
    pub fn left_out(&self) -> &[&'static str] {
        &self.0.left_out
    }

    /// The token that ends a document.
    pub fn end(&self) -> u32 {
        self.0.end
    }

    /// The name of that token.
    pub fn end_name(&self) -> &str {
        self.0.reserved.get(&self.0.end).map_or(END, String::as_str)
    }

    /// Number of tokens; each is below it.
    pub fn vocabulary(&self) -> u32 {
        self.0.vocabulary
    }

    /// The tokens of documents, encoded on all cores. `before` documents came earlier, for errors to count on.
    ///
    /// # Errors
    ///
    /// [`TokenizerError`] names the first document that does not come back from its tokens, and the place.
    pub fn encode(
        &self,
        documents: &[&str],
        before: usize,
    ) -> Result<Vec<Vec<u32>>, TokenizerError> {
        let failed = |error: tokenizers::Error| TokenizerError::NotEncoded {
            reason: error.to_string(),
            parts: self.0.parts(),
        };
        let tokenizer = &self.0.tokenizer;
        let encoded = tokenizer
            .encode_batch_fast(documents.to_vec(), false)
            .map_err(failed)?;
        let tokens: Vec<Vec<u32>> = encoded.iter().map(|one| one.get_ids().to_vec()).collect();
        let ids: Vec<&[u32]> = tokens.iter().map(Vec::as_slice).collect();
        let decoded = tokenizer.decode_batch(&ids, false).map_err(failed)?;
        for (index, document) in documents.iter().enumerate() {
            let number = before.saturating_add(index).saturating_add(1);
            let (Some(ids), Some(back)) = (ids.get(index), decoded.get(index)) else {
                let parts = self.0.parts();
                return Err(TokenizerError::Lost { parts });
            };
            self.check_reserved(number, document, ids, back)?;
            self.check_text(number, document, back)?;
        }
        Ok(tokens)
    }

    /// The text of tokens; those with a meaning of their own are left out.
    ///
    /// # Errors
    ///
    /// [`TokenizerError::NotDecoded`] if the tokenizer's decoder fails.
    pub fn decode(&self, tokens: &[u32]) -> Result<String, TokenizerError> {
        let decoded = self.0.tokenizer.decode(tokens, true);
        decoded.map_err(|error| TokenizerError::NotDecoded {
            reason: error.to_string(),
            parts: self.0.parts(),
        })
    }

    /// The text of one token by itself, those with a meaning of their own by their names; `None` if there is no such
    /// token. Bytes that are no letter by themselves become U+FFFD.
    pub fn text_of(&self, token: u32) -> Option<String> {
        if let Some(name) = self.0.reserved.get(&token) {
            return Some(name.clone());
        }
        self.0.tokenizer.id_to_token(token)?;
        self.0.tokenizer.decode(&[token], false).ok()
    }

    /// The bytes of a token of a byte-level tokenizer; `None` if its name is not made of their letters.
    pub fn bytes_of(&self, token: u32) -> Option<Vec<u8>> {
        let name = self.0.tokenizer.id_to_token(token)?;
        name.chars().map(byte_of).collect()
    }

    /// Makes sure that no text became a token such as the one that ends a document.
    fn check_reserved(
        &self,
        number: usize,
        document: &str,
        ids: &[u32],
        back: &str,
    ) -> Result<(), TokenizerError> {
        let found = ids
            .iter()
            .find_map(|id| Some((id, self.0.reserved.get(id)?)));
        let Some((id, name)) = found else {
            return Ok(());
        };
        let at = document
            .find(name.as_str())
            .unwrap_or_else(|| common(document, back));
        Err(TokenizerError::Reserved {
            document: number,
            place: place(document, at),
            token: *id,
            name: name.clone(),
        })
    }

    /// Makes sure that the text comes back from its tokens.
    fn check_text(&self, number: usize, document: &str, back: &str) -> Result<(), TokenizerError> {
        if document == back {
            return Ok(());
        }
        let at = common(document, back);
        Err(TokenizerError::Changed {
            document: number,
            place: place(document, at),
            back: excerpt(back, at),
            parts: self.0.parts(),
        })
    }
}

/// The byte that a letter of a byte-level token's name stands for: itself if it can be seen, else the letters from
/// U+0100 on stand for the bytes that cannot, in order.
fn byte_of(letter: char) -> Option<u8> {
    let is_seen = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    match u8::try_from(letter) {
        Ok(byte) => Some(byte).filter(is_seen),
        Err(_) => {
            let place = usize::try_from(u32::from(letter)).ok()?.checked_sub(256)?;
            (0..=u8::MAX).filter(|byte| !is_seen(byte)).nth(place)
        }
    }
}

/// Bytes that two texts have in common before they differ.
fn common(one: &str, other: &str) -> usize {
    one.bytes()
        .zip(other.bytes())
        .take_while(|(one, other)| one == other)
        .count()
}

/// A place in a document, for people.
fn place(document: &str, at: usize) -> String {
    format!("byte {at} ({})", excerpt(document, at))
}

/// What a text has from a byte on, in quotes.
fn excerpt(text: &str, at: usize) -> String {
    let start = (0..=at.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at));
    let rest = text.get(start.unwrap_or(0)..).unwrap_or_default();
    let shown: String = rest.chars().take(SHOWN).collect();
    format!(
        "{shown:?}{}",
        if shown.len() < rest.len() { "…" } else { "" }
    )
}

/// Trains a byte-level BPE of `vocabulary` tokens on the documents that are not held out, and gives its
/// file. The same corpus gives the same bytes.
///
/// Byte-level BPE: Radford et al., "Language Models are Unsupervised Multitask Learners" (2019), §2.2.
///
/// # Errors
///
/// [`TokenizerError::Vocabulary`] if no byte-level tokenizer has so many tokens, [`TokenizerError::NotTrained`] if the
/// corpus makes none.
pub fn train_tokenizer(corpus: &Corpus, vocabulary: usize) -> Result<String, TokenizerError> {
    if !(257..=65_536).contains(&vocabulary) {
        return Err(TokenizerError::Vocabulary { found: vocabulary });
    }
    let mut trainer = BpeTrainer::builder()
        .vocab_size(vocabulary)
        .show_progress(false)
        .special_tokens(vec![AddedToken::from(END, true)])
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    let mut tokenizer = TokenizerBuilder::new()
        .with_model(BPE::default())
        .with_normalizer(None::<tokenizers::normalizers::NFC>)
        .with_pre_tokenizer(Some(ByteLevel::new(false, true, true)))
        .with_post_processor(None::<ByteLevel>)
        .with_decoder(Some(ByteLevelDecoder::default()))
        .build()
        .map_err(failed)?;
    tokenizer
        .train(&mut trainer, corpus.training())
        .map_err(failed)?;
    tokenizer.to_string(false).map_err(failed)
}

fn failed(error: tokenizers::Error) -> TokenizerError {
    let reason = error.to_string();
    TokenizerError::NotTrained { reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_a_letter_of_its_own() {
        let letters = ByteLevel::alphabet();
        let mut bytes: Vec<u8> = letters
            .iter()
            .filter_map(|letter| byte_of(*letter))
            .collect();
        bytes.sort_unstable();
        assert_eq!(bytes, (0..=u8::MAX).collect::<Vec<_>>());
        // As the tokens' names have them: a blank and a line break.
        assert_eq!(
            (byte_of('\u{120}'), byte_of('\u{10a}')),
            (Some(b' '), Some(b'\n'))
        );
        assert_eq!((byte_of(' '), byte_of('\u{144}')), (None, None));
    }
}
