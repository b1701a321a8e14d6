//! Where a run can be started: its data and its configuration.

use std::path::PathBuf;

use super::{fails, works, NOBODY};

const TINY: &str = include_str!("../../../../chain-specs/run-tiny.toml");

/// A store with a small data set, and a run that fits it.
pub struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Place {
        let place = Place {
            directory: tempfile::tempdir().expect("room"),
        };
        let text = "We the people of the cairn. ".repeat(200);
        std::fs::write(
            place.path("corpus"),
            format!("{text}\u{1e}{text}\u{1e}held out {text}"),
        )
        .expect("room");
        let (corpus, tokenizer) = (place.text("corpus"), place.text("tokenizer.json"));
        works(&[
            "data",
            "tokenizer",
            "--corpus",
            &corpus,
            "--vocabulary",
            "300",
            "--out",
            &tokenizer,
        ]);
        works(&[
            "data",
            "prepare",
            "--corpus",
            &corpus,
            "--tokenizer",
            &tokenizer,
            "--out",
            &place.store(),
        ]);
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub fn store(&self) -> String {
        format!("file://{}", self.text("store"))
    }

    /// A run that fits the data, with one thing replaced.
    pub fn run(&self, from: &str, to: &str) -> String {
        let fits = TINY.replace("sequence_length = 128", "sequence_length = 16");
        let fits = fits
            .replace("steps = 20 ", "steps = 2 ")
            .replace("trace_every = 5 ", "trace_every = 1 ")
            .replace("sequences = 16", "sequences = 2");
        assert!(fits.contains(from), "{from}");
        std::fs::write(self.path("run.toml"), fits.replace(from, to)).expect("room");
        self.text("run.toml")
    }

    pub fn check(&self, from: &str, to: &str, words: &[&str]) {
        let file = self.run(from, to);
        fails(
            &[
                "run",
                "start",
                "--check",
                "--node",
                NOBODY,
                "--file",
                &file,
                "--store",
                &self.store(),
            ],
            words,
        );
    }

    /// Files of the data set, the largest first.
    fn files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.path("store/data")).expect("there");
        let mut files: Vec<_> = entries.map(|entry| entry.expect("there").path()).collect();
        files.sort_by_key(|path| std::cmp::Reverse(path.metadata().expect("there").len()));
        files
    }

    /// A shard: the files are a tokenizer, a manifest, and shards.
    pub fn shard(&self) -> PathBuf {
        let is_shard =
            |path: &PathBuf| std::fs::read(path).expect("there").starts_with(b"cairntok");
        self.files().into_iter().find(is_shard).expect("a shard")
    }
}
