//! Trains one model by several methods of communication, at equal tokens, and writes down where each ends.
//!
//! R workers live in one process and take turns on the same threads, so that a cell of the study gives the same
//! numbers on every machine. Each finished cell is one line of JSON in the file `--out`; a run that is started again
//! goes on with what is missing.
//!
//! ```text
//! cargo run --release -p cairn-study -- --quick --out docs/study/quick.jsonl
//! ```

mod cell;
mod corpus;
mod methods;
mod train;

use std::{
    collections::HashSet,
    fs::OpenOptions,
    io::{self, Write},
    path::PathBuf,
};

use clap::Parser;

use crate::{cell::grid, corpus::Text, train::Finished};

/// Compare ways to train a model together, at equal tokens.
#[derive(Parser, Debug)]
struct Options {
    /// Directory of the corpus and its tokenizer
    #[arg(long, default_value = "data")]
    data: PathBuf,
    /// File of finished cells, one line of JSON each; those in it are not computed again
    #[arg(long, default_value = "docs/study/cells.jsonl")]
    out: PathBuf,
    /// A few small cells instead of the whole grid
    #[arg(long)]
    quick: bool,
    /// Threads
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Stop after so many cells
    #[arg(long)]
    cells: Option<usize>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::parse();
    let done = finished(&options.out)?;
    let text = Text::read(&options.data)?;
    let missing = grid(options.quick)
        .into_iter()
        .filter(|cell| !done.contains(&cell.name()));
    for cell in missing.take(options.cells.unwrap_or(usize::MAX)) {
        let finished = train::run(&cell, &text, options.threads)?;
        let line = serde_json::to_string(&finished)?;
        append(&options.out, &line)?;
        println!(
            "{}: held-out loss {:.4}, {:.4} bytes per token, {:.0} s",
            finished.name, finished.held_out_loss, finished.bytes_per_token, finished.seconds
        );
    }
    Ok(())
}

/// Names of the cells that are in the file.
fn finished(path: &PathBuf) -> io::Result<HashSet<String>> {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        text => text?,
    };
    text.lines()
        .map(|line| {
            let cell: Finished = serde_json::from_str(line)?;
            Ok(cell.name)
        })
        .collect()
}

fn append(path: &PathBuf, line: &str) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    writeln!(file, "{line}")
}
