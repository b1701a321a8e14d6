//! The file of a text that miners do not have: making it, and reading it as a validator.
//!
//! It goes from the run's owner to validators by hand. It is put into no store, and it must not lie in one: whatever
//! lies there may be served.

use std::{
    collections::HashSet,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use cairn_data::{
    windows, Corpus, DataError, Encoded, Manifest, Shard, ShardInfo, TextTokenizer, TokenWidth,
    UnseenText,
};
use cairn_primitives::H256;
use cairn_protocol::{limits::UNSEEN_LEAST, unseen::is_long_enough};
use cairn_store::{paths, Store};
use serde::Serialize;

use crate::{
    amount::thousands,
    error::Failure,
    new_file::{at, write_secret},
    progress::progress,
    roles::{run::Run, RoleError},
};

/// What is to be made.
#[derive(Clone, Copy)]
pub struct Unseen<'a> {
    /// The text.
    pub corpus: &'a Corpus,
    /// The file to write it to.
    pub out: &'a Path,
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Made {
    /// The file.
    pub file: PathBuf,
    /// Its root.
    pub root: H256,
    /// Tokens in it.
    pub tokens: u64,
    /// Windows in it.
    pub windows: u64,
}

impl Unseen<'_> {
    /// Writes the file, and says what the manifest is to say of it. What miners would have all the same is refused: a
    /// text of which a document is in the corpus, a file in the store.
    pub fn make(
        &self,
        seen: &Corpus,
        tokenizer: &TextTokenizer,
        sequence_length: u32,
        store: &Store,
    ) -> Result<(ShardInfo, Made), Failure> {
        check_apart(self.out, store)?;
        self.check_other_than(seen)?;
        let told = progress(
            "encoding the text that miners do not have, in bytes",
            self.corpus.bytes(),
        );
        let tokens = Encoded::of(self.corpus, tokenizer, |bytes| told.at(bytes))?.train;
        check_length(tokens.len() as u64, sequence_length)?;
        let width = TokenWidth::of(tokenizer.vocabulary());
        let bytes = Shard { width, tokens }.to_bytes()?;
        let info = ShardInfo::of(&bytes)?;
        self.write(&bytes)?;
        let made = Made {
            file: self.out.to_path_buf(),
            root: info.root,
            tokens: info.tokens,
            windows: windows(info.tokens, sequence_length),
        };
        Ok((info, made))
    }

    fn check_other_than(&self, seen: &Corpus) -> Result<(), Failure> {
        let known: HashSet<&str> = seen.documents().collect();
        let both = self
            .corpus
            .documents()
            .position(|document| known.contains(document));
        let Some(both) = both else {
            return Ok(());
        };
        let number = both.saturating_add(1);
        Err(Failure::new(
            format!("document {number} of the text that miners are not to have is in the corpus, which they have"),
            "name another text with --unseen-corpus",
        ))
    }

    /// Writes the file; the same one may be there.
    fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        let error = match write_secret(self.out, bytes) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let is_same = || std::fs::read(self.out).is_ok_and(|there| there == bytes);
        match error.kind() {
            ErrorKind::AlreadyExists if is_same() => Ok(()),
            _ => Err(at(self.out, &error)),
        }
    }
}

/// Makes sure that a run whose manifest this is can be measured on the text that it names, and that the store has not
/// that text.
pub async fn check_named(
    manifest: &Manifest,
    sequence_length: u32,
    store: &Store,
) -> Result<(), Failure> {
    let Some(info) = manifest.unseen else {
        return Ok(());
    };
    check_length(info.tokens, sequence_length)?;
    check_not_in(store, info.root).await?;
    Ok(())
}

/// Makes sure that a text is long enough.
fn check_length(tokens: u64, sequence_length: u32) -> Result<(), Failure> {
    let windows = windows(tokens, sequence_length);
    if is_long_enough(windows) {
        return Ok(());
    }
    Err(Failure::new(
        format!(
            "the text that miners do not have has {} windows of {sequence_length} tokens, and {} are needed",
            thousands(windows),
            thousands(UNSEEN_LEAST)
        ),
        "prepare the data again with a longer one, `cairn data prepare --unseen-corpus`",
    ))
}

/// Makes sure that a store has not the text.
async fn check_not_in(store: &Store, root: H256) -> Result<(), RoleError> {
    if !store.has_blob(paths::DATA, &root.0).await? {
        return Ok(());
    }
    Err(Failure::new(
        format!(
            "the text that miners do not have lies in the store {}, where they can have it",
            store.url()
        ),
        format!("remove {} there", paths::blob(paths::DATA, &root.0)),
    )
    .into())
}

/// Makes sure that a file is not below a store's directory.
fn check_apart(file: &Path, store: &Store) -> Result<(), Failure> {
    let Some(Ok(directory)) = store.directory().map(std::fs::canonicalize) else {
        return Ok(());
    };
    let beside = match file.parent() {
        Some(place) if !place.as_os_str().is_empty() => place,
        _ => Path::new("."),
    };
    // A link counts where it is and where it leads.
    let is_below = |path: &Path| {
        let found = std::fs::canonicalize(path);
        found.is_ok_and(|place| place.starts_with(&directory))
    };
    if !is_below(beside) && !is_below(file) {
        return Ok(());
    }
    Err(Failure::new(
        format!(
            "{} is in the store {}, and whatever is there may be served",
            file.display(),
            store.url()
        ),
        "keep the text that miners do not have elsewhere",
    ))
}

/// Reads the run's text that miners do not have from the file that the validator was given, if the run has one.
///
/// # Errors
/// [`RoleError::Run`] if there is no file, it is another one, too short, or lies in the own store;
/// [`RoleError::Store`].
pub async fn read(run: &Run, given: Option<&Path>) -> Result<Option<UnseenText>, RoleError> {
    let Some(info) = run.manifest.unseen else {
        if let Some(file) = given {
            let file = file.display();
            tracing::warn!("miners of this run have all of its text: {file} is not read");
        }
        return Ok(None);
    };
    let Some(file) = given else {
        let what = format!(
            "this run is measured on a text, too, that miners do not have ({:?})",
            info.root
        );
        return Err(Failure::new(
            what,
            "ask the subnet's owner for the file, and name it with --unseen FILE",
        )
        .into());
    };
    check_length(info.tokens, run.config.inner.sequence_length)?;
    check_not_in(&run.store, info.root).await?;
    check_apart(file, &run.store)?;
    let bytes = bytes(file, run.manifest.file_length(&info)).await?;
    let text = UnseenText::new(&run.manifest, &bytes).map_err(|error| match error {
        DataError::Root { found, .. } => another(file, info.root, found),
        error => Failure::during(file.display(), error),
    })?;
    Ok(Some(text))
}

/// The bytes of a file, if there are so many.
async fn bytes(file: &Path, expected: u64) -> Result<Vec<u8>, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(
            format!("cannot read {} ({error})", file.display()),
            "name the file of the run's text that miners do not have with --unseen",
        )
    };
    let found = tokio::fs::metadata(file).await.map_err(failed)?;
    if found.is_file() && found.len() != expected {
        let what = format!(
            "{} has {} bytes, the text of this run that miners do not have {}",
            file.display(),
            thousands(found.len()),
            thousands(expected)
        );
        return Err(Failure::new(
            what,
            "ask the subnet's owner for the file of this run",
        ));
    }
    tokio::fs::read(file).await.map_err(failed)
}

/// The file is another one.
fn another(file: &Path, root: H256, found: H256) -> Failure {
    Failure::new(
        format!(
            "{} is not the text of this run that miners do not have: its root is {found:?}, the manifest says {root:?}",
            file.display()
        ),
        "ask the subnet's owner for the file of this run",
    )
}

#[cfg(test)]
mod tests {
    use cairn_data::train_tokenizer;

    use super::*;
    use crate::{
        prepare::{prepare, Prepared},
        shards,
    };

    const SEEN: &str = "one two three\u{1e}four five six\u{1e}seven eight nine";

    /// A data set with this text that miners do not have, in windows of two tokens.
    async fn prepared(text: &str, place: &Path, out: &Path) -> Result<(Store, Prepared), Failure> {
        let corpus = Corpus::new(SEEN.into(), 0.1).unwrap();
        let file = train_tokenizer(&corpus, 260).unwrap();
        let tokenizer = TextTokenizer::parse(file.as_bytes()).unwrap();
        let store = Store::create_in(place).unwrap();
        let unseen = Corpus::whole(text.into()).unwrap();
        let unseen = Unseen {
            corpus: &unseen,
            out,
        };
        let done = prepare(&corpus, &tokenizer, "test", 2, &store, Some(unseen)).await?;
        Ok((store, done))
    }

    fn long() -> String {
        "ten eleven\u{1e}twelve ".repeat(300)
    }

    #[tokio::test]
    async fn the_text_is_named_in_the_manifest_and_is_in_no_store() {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path().join("unseen");
        let place = directory.path().join("store");
        let (store, done) = prepared(&long(), &place, &out).await.unwrap();
        let made = done.unseen.unwrap();
        let manifest = shards::manifest(&store, done.manifest_root).await.unwrap();
        let named = manifest.unseen.unwrap();
        assert_eq!((named.root, named.tokens), (made.root, made.tokens));
        let bytes = std::fs::read(&out).unwrap();
        let text = UnseenText::new(&manifest, &bytes).unwrap();
        assert_eq!(text.windows(2), made.windows);
        assert!(made.windows >= UNSEEN_LEAST);
        assert!(check_named(&manifest, 2, &store).await.is_ok());
        shards::load(&store, &manifest).await.unwrap();
        // The same again is the same.
        let again = prepared(&long(), &place, &out).await.unwrap();
        assert_eq!(again.1.manifest_root, done.manifest_root);
        let too_long = check_named(&manifest, 4_000, &store).await.unwrap_err();
        assert!(
            too_long.to_string().contains("1,024 are needed"),
            "{too_long}"
        );
        store.put_blob(paths::DATA, bytes.into()).await.unwrap();
        let given_away = check_named(&manifest, 2, &store).await.unwrap_err();
        assert!(
            given_away.to_string().contains("remove data/"),
            "{given_away}"
        );
    }

    #[tokio::test]
    async fn what_miners_would_have_all_the_same_is_refused_and_nothing_is_written() {
        let long = long();
        let seen = format!("{long}\u{1e}four five six");
        for (text, out, reason) in [
            ("short", "unseen", "1,024 are needed"),
            (seen.as_str(), "unseen", "is in the corpus, which they have"),
            (long.as_str(), "store/unseen", "may be served"),
            (long.as_str(), "none/unseen", "none/unseen"),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let (out, place) = (directory.path().join(out), directory.path().join("store"));
            let error = prepared(text, &place, &out).await.unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
            assert!(!out.exists(), "{reason}");
            let store = Store::create_in(&place).unwrap();
            assert_eq!(store.list(paths::DATA).await.unwrap(), []);
        }
    }

    #[tokio::test]
    async fn another_file_is_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path().join("unseen");
        std::fs::write(&out, "mine").unwrap();
        let place = directory.path().join("store");
        let error = prepared(&long(), &place, &out).await.unwrap_err();
        assert!(error.to_string().contains("unseen"), "{error}");
        assert_eq!(std::fs::read(&out).unwrap(), b"mine");
    }
}
