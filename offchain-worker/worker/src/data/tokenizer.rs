//! Byte-level BPE in the format of Hugging Face `tokenizers`.

use std::path::Path;

use tokenizers::{
    decoders::byte_level::ByteLevel as ByteLevelDecoder,
    models::bpe::{BpeTrainer, BPE},
    pre_tokenizers::byte_level::ByteLevel,
    AddedToken, Tokenizer, TokenizerBuilder,
};

use super::Corpus;
use crate::error::Failure;

/// The token that ends a document.
pub const END: &str = "<|end|>";

/// Trains a byte-level BPE of `vocabulary` tokens on the documents that are not held out, and gives its
/// file. The same corpus gives the same bytes.
///
/// Byte-level BPE: Radford et al., "Language Models are Unsupervised Multitask Learners" (2019), §2.2.
pub fn train(corpus: &Corpus, vocabulary: usize) -> Result<String, Failure> {
    if !(257..=65_536).contains(&vocabulary) {
        let what = format!("a byte-level vocabulary cannot have {vocabulary} tokens");
        return Err(Failure::new(
            what,
            "give 257 (256 bytes and the end of a document) to 65536",
        ));
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

/// Reads a tokenizer file and gives it with its content.
pub fn read(path: &Path) -> Result<(Tokenizer, Vec<u8>), Failure> {
    let bytes = std::fs::read(path).map_err(|error| {
        let what = format!("cannot read the tokenizer {}: {error}", path.display());
        Failure::new(
            what,
            "name a tokenizer.json, or make one with `cairn data tokenizer`",
        )
    })?;
    parse(&bytes).map_err(|error| Failure::during(path.display(), error))
}

/// Reads the content of a tokenizer file and gives it with it.
pub fn parse(bytes: &[u8]) -> Result<(Tokenizer, Vec<u8>), Failure> {
    let tokenizer = Tokenizer::from_bytes(bytes).map_err(|error| {
        Failure::new(
            format!("not a tokenizer ({error})"),
            "make one with `cairn data tokenizer`",
        )
    })?;
    end_of_document(&tokenizer)?;
    Ok((tokenizer, bytes.to_vec()))
}

/// The number of the token that ends a document.
pub fn end_of_document(tokenizer: &Tokenizer) -> Result<u32, Failure> {
    let known = ["<|end|>", "<|endoftext|>", "<|end_of_text|>", "</s>"];
    known
        .iter()
        .find_map(|name| tokenizer.token_to_id(name))
        .ok_or_else(|| {
            Failure::new(
                "the tokenizer has no token that ends a document",
                format!("it needs one of {}", known.join(", ")),
            )
        })
}

fn failed(error: tokenizers::Error) -> Failure {
    Failure::new(
        format!("the tokenizer could not be trained: {error}"),
        "check the corpus",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corpus() -> Corpus {
        let text = "the cat sat on the mat\u{1e}the dog sat on the log — überall\u{1e}held out";
        Corpus::new(text.into(), 0.1).unwrap()
    }

    #[test]
    fn training_twice_gives_the_same_bytes() {
        assert_eq!(
            train(&corpus(), 300).unwrap(),
            train(&corpus(), 300).unwrap()
        );
    }

    #[test]
    fn any_text_survives_encoding() {
        let tokenizer = Tokenizer::from_bytes(train(&corpus(), 300).unwrap()).unwrap();
        assert_eq!(end_of_document(&tokenizer).unwrap(), 0);
        for text in ["the cat", "never seen: 漢字 🎉\n\ttab", " leading"] {
            let ids = tokenizer.encode(text, false).unwrap().get_ids().to_vec();
            assert_eq!(tokenizer.decode(&ids, true).unwrap(), text);
        }
    }

    #[test]
    fn vocabularies_that_cannot_be_are_refused() {
        assert!(train(&corpus(), 256).is_err());
        assert!(train(&corpus(), 65_537).is_err());
    }
}
