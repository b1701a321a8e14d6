//! A corpus: documents in one file. What is blank is no document.

use std::{
    io::{self, Read},
    path::Path,
};

use crate::CorpusError;

/// The byte between two documents: ASCII "record separator".
pub const SEPARATOR: char = '\u{1e}';

/// The largest corpus that is read into memory, in bytes.
pub(crate) const MAX_CORPUS_BYTES: u64 = 4 << 30;

/// Documents in order, of which the last may be held out: nobody trains on them.
pub struct Corpus {
    text: String,
    /// Number of documents held out.
    held_out: usize,
}

impl Corpus {
    /// Reads a text file, compressed with zstd if its name ends in `.zst`. Of its documents the last
    /// `held_out` (a share), rounded up, are held out.
    ///
    /// # Errors
    ///
    /// [`CorpusError`] names the file and says what is wrong with it.
    pub fn read(path: &Path, held_out: f64) -> Result<Corpus, CorpusError> {
        Corpus::new(text(path)?, held_out).map_err(in_file(path))
    }

    /// Reads such a file, of which no document is held out.
    ///
    /// # Errors
    ///
    /// [`CorpusError`] names the file and says what is wrong with it.
    pub fn read_whole(path: &Path) -> Result<Corpus, CorpusError> {
        Corpus::whole(text(path)?).map_err(in_file(path))
    }

    /// Reads a text compressed with zstd.
    ///
    /// # Errors
    ///
    /// [`CorpusError::Damaged`] if it is none, or of more than 4 GiB; else as [`Corpus::new`].
    pub fn compressed(bytes: &[u8], held_out: f64) -> Result<Corpus, CorpusError> {
        let damaged = |source| CorpusError::Damaged { source };
        let mut text = String::new();
        let length = zstd::Decoder::new(bytes)
            .map_err(damaged)?
            .take(MAX_CORPUS_BYTES + 1)
            .read_to_string(&mut text)
            .map_err(damaged)?;
        if length as u64 > MAX_CORPUS_BYTES {
            return Err(damaged(io::ErrorKind::FileTooLarge.into()));
        }
        Corpus::new(text, held_out)
    }

    /// A corpus of `text` with its documents separated by [`SEPARATOR`].
    ///
    /// # Errors
    ///
    /// [`CorpusError`] if one of its two parts would have no document.
    pub fn new(text: String, held_out: f64) -> Result<Corpus, CorpusError> {
        let share = held_out;
        if !(0.0..1.0).contains(&share) || share == 0.0 {
            return Err(CorpusError::Share { share });
        }
        let documents = split(&text).count();
        let held_out = (documents as f64 * share).ceil() as usize;
        match documents {
            0 => Err(CorpusError::Blank),
            1 => Err(CorpusError::OneDocument),
            _ if held_out >= documents => Err(CorpusError::NothingLeft { share, documents }),
            _ => Ok(Corpus { text, held_out }),
        }
    }

    /// A corpus of `text` of which no document is held out.
    ///
    /// # Errors
    ///
    /// [`CorpusError::Blank`] if it has no document.
    pub fn whole(text: String) -> Result<Corpus, CorpusError> {
        let documents = split(&text).count();
        if documents == 0 {
            return Err(CorpusError::Blank);
        }
        Ok(Corpus { text, held_out: 0 })
    }

    /// Length of all documents in bytes.
    pub fn bytes(&self) -> u64 {
        self.documents().map(|document| document.len() as u64).sum()
    }

    /// All documents.
    pub fn documents(&self) -> impl Iterator<Item = &str> {
        split(&self.text)
    }

    fn first_held_out(&self) -> usize {
        self.documents().count() - self.held_out
    }

    /// Documents to train on.
    pub fn training(&self) -> impl Iterator<Item = &str> {
        self.documents().take(self.first_held_out())
    }

    /// Documents that nobody trains on.
    pub fn held_out(&self) -> impl Iterator<Item = &str> {
        self.documents().skip(self.first_held_out())
    }
}

/// The text of a file, compressed with zstd if its name ends in `.zst`.
fn text(path: &Path) -> Result<String, CorpusError> {
    let unreadable = |source: io::Error| CorpusError::Unreadable {
        path: path.into(),
        source,
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let reader: Box<dyn Read> = if path.extension().is_some_and(|extension| extension == "zst") {
        Box::new(zstd::Decoder::new(file).map_err(unreadable)?)
    } else {
        Box::new(file)
    };
    let mut text = String::new();
    let length = reader
        .take(MAX_CORPUS_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => CorpusError::NoText { path: path.into() },
            _ => unreadable(error),
        })?;
    if length as u64 > MAX_CORPUS_BYTES {
        return Err(CorpusError::TooLarge { path: path.into() });
    }
    Ok(text)
}

/// Of which file something is said.
fn in_file(path: &Path) -> impl FnOnce(CorpusError) -> CorpusError + '_ {
    move |error| CorpusError::InFile {
        path: path.into(),
        source: Box::new(error),
    }
}

/// The documents of a text. A byte-order mark alone is blank, too.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let blank = |c: char| c.is_whitespace() || c == '\u{feff}';
    text.split(SEPARATOR)
        .filter(move |document| !document.chars().all(blank))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_documents_are_held_out() {
        let corpus = Corpus::new("a\u{1e}b\u{1e}c".into(), 0.05).unwrap();
        assert_eq!(corpus.training().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(corpus.held_out().collect::<Vec<_>>(), ["c"]);
        assert_eq!(corpus.bytes(), 3);
    }

    #[test]
    fn of_a_whole_corpus_nothing_is_held_out() {
        let corpus = Corpus::whole("a\u{1e} \u{1e}b".into()).unwrap();
        assert_eq!(corpus.training().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(corpus.held_out().count(), 0);
        assert!(Corpus::whole("only".into()).is_ok());
        assert!(matches!(
            Corpus::whole(" \u{1e}".into()),
            Err(CorpusError::Blank)
        ));
        let error = Corpus::read_whole(Path::new("/nowhere/x")).err().unwrap();
        assert!(error.to_string().contains("/nowhere/x"), "{error}");
    }

    #[test]
    fn a_corpus_that_leaves_nothing_is_refused() {
        for (text, share) in [
            ("", 0.1),
            ("one", 0.1),
            ("a\u{1e}b", 0.9),
            ("a\u{1e}b", 0.0),
        ] {
            assert!(Corpus::new(text.into(), share).is_err(), "{text:?} {share}");
        }
    }

    #[test]
    fn blank_documents_are_no_documents() {
        let ten: String = (0..10).map(|n| format!("text {n}\u{1e}")).collect();
        for text in [
            ten.clone(),
            format!("{ten}\n"),
            format!("\u{feff}\u{1e}{ten}\u{1e} \t\n\u{1e}"),
        ] {
            let corpus = Corpus::new(text, 0.05).unwrap();
            assert_eq!(corpus.training().count(), 9);
            assert_eq!(corpus.held_out().collect::<Vec<_>>(), ["text 9"]);
        }
        for (text, reason) in [
            ("", "no text"),
            (" \n\u{1e}\t\u{1e}", "no text"),
            ("one\u{1e}\n", "one document"),
        ] {
            let error = Corpus::new(text.into(), 0.05).err().unwrap().to_string();
            assert!(error.contains(reason) && error.contains("0x1e"), "{error}");
        }
    }

    #[test]
    fn what_is_no_text_is_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("latin1.txt");
        std::fs::write(&path, b"gr\xfcn\x1eblau").unwrap();
        let error = Corpus::read(&path, 0.05).err().unwrap().to_string();
        assert!(
            error.contains("latin1.txt") && error.contains("UTF-8"),
            "{error}"
        );
    }

    #[test]
    fn what_is_not_compressed_is_damaged() {
        let error = Corpus::compressed(b"one\x1etwo", 0.05).err().unwrap();
        assert!(matches!(error, CorpusError::Damaged { .. }), "{error}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Corpus::read(Path::new("/nowhere/x.zst"), 0.05)
            .err()
            .unwrap()
            .to_string();
        assert!(
            error.contains("/nowhere/x.zst") && error.contains("--corpus"),
            "{error}"
        );
    }
}
