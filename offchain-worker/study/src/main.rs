//! Trains one model by several methods of communication, at equal tokens, and writes down where each ends.
//!
//! R workers live in one process and take turns on one thread, so that a cell of the study gives the same numbers on
//! every machine. Each finished cell is one line of JSON; a run that is started again goes on with what is missing.
//!
//! ```text
//! make study                                    # all that is missing, then the plots
//! cairn-study run --only overlap                # of one question, or with a name that has this in it
//! cairn-study run --quick --cells /tmp/quick.jsonl
//! cairn-study plot
//! ```

mod anywhere;
mod axes;
mod cell;
mod corpus;
mod delay;
mod dense;
mod grid;
mod methods;
mod nearer;
mod overlap;
mod plot;
mod record;
mod report;
mod scatter;
mod train;
mod turns;
mod whole;

use std::{
    num::NonZeroUsize,
    path::PathBuf,
    sync::{
        atomic::{AtomicUsize, Ordering},
        Mutex,
    },
    thread,
};

use clap::{Args, Parser, Subcommand};

use crate::{cell::Cell, corpus::Text, record::Record};

/// Compare ways to train a model together, at equal tokens.
#[derive(Parser, Debug)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Train the cells that are not finished yet
    Run(Run),
    /// Draw the plots and write the table of all cells
    Plot(Plot),
}

#[derive(Args, Debug)]
struct Plot {
    /// File of finished cells
    #[arg(long, default_value = "docs/study/cells.jsonl")]
    cells: PathBuf,
    /// Directory for plots and table
    #[arg(long, default_value = "docs/study")]
    out: PathBuf,
}

#[derive(Args, Debug)]
struct Run {
    /// Directory of the corpus and its tokenizer
    #[arg(long, default_value = "data")]
    data: PathBuf,
    /// File of finished cells, one line of JSON each; those in it are not computed again
    #[arg(long, default_value = "docs/study/cells.jsonl")]
    cells: PathBuf,
    /// A few small cells instead of the whole grid
    #[arg(long)]
    quick: bool,
    /// Cells of your own instead of the grid: a file with one line of JSON each, as in the file of finished ones
    #[arg(long, conflicts_with = "quick")]
    grid: Option<PathBuf>,
    /// The cells with this in their question or their name, also those that the whole grid leaves out: `overlap`,
    /// `seed=2`
    #[arg(long, conflicts_with_all = ["quick", "grid"])]
    only: Option<String>,
    /// Cells at a time, one thread each [default: as many as the machine has]
    #[arg(long)]
    jobs: Option<NonZeroUsize>,
    /// Stop after so many cells
    #[arg(long)]
    most: Option<usize>,
}

/// Errors that can leave a thread.
type Failed = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failed> {
    match Options::parse().command {
        Command::Run(options) => run(&options),
        Command::Plot(options) => report::write(&Record::open(&options.cells)?, &options.out),
    }
}

fn run(options: &Run) -> Result<(), Failed> {
    let record = Record::open(&options.cells)?;
    let text = Text::read(&options.data)?;
    let missing: Vec<Cell> = asked_for(options)?
        .into_iter()
        .filter(|cell| !record.has(cell))
        .take(options.most.unwrap_or(usize::MAX))
        .collect();
    println!("{} cells are missing", missing.len());
    let jobs = match options.jobs {
        Some(jobs) => jobs,
        None => thread::available_parallelism()?,
    };
    let (next, record) = (AtomicUsize::new(0), Mutex::new(record));
    thread::scope(|scope| {
        let jobs: Vec<_> = (0..jobs.get())
            .map(|_| scope.spawn(|| work(&missing, &next, &text, &record)))
            .collect();
        jobs.into_iter()
            .try_for_each(|job| job.join().map_err(|_| "a cell panicked")?)
    })
}

/// The cells that are to be finished in the end.
fn asked_for(options: &Run) -> Result<Vec<Cell>, Failed> {
    if let Some(file) = &options.grid {
        return Ok(record::lines(file)?);
    }
    let Some(text) = &options.only else {
        return Ok(match options.quick {
            true => grid::quick(),
            false => grid::all(),
        });
    };
    let cells = grid::only(text);
    if cells.is_empty() {
        return Err(format!("no cell and no question has `{text}` in its name").into());
    }
    Ok(cells)
}

/// Trains one cell after the other, until none is left.
fn work(
    cells: &[Cell],
    next: &AtomicUsize,
    text: &Text,
    record: &Mutex<Record>,
) -> Result<(), Failed> {
    while let Some(cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
        let finished = train::run(cell, text)?;
        println!(
            "{}: held-out loss {:.4}, {:.4} bytes per token, {:.0} s",
            finished.name, finished.held_out_loss, finished.bytes_per_token, finished.seconds
        );
        record
            .lock()
            .map_err(|_| "another cell panicked")?
            .add(finished)?;
    }
    Ok(())
}
