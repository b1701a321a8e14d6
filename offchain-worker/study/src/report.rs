//! What the finished cells say: plots, and a table of all of them.

use std::{collections::HashSet, fs, path::Path};

use cairn_gradient::Turn;

use crate::cell::{Cell, Method};
use crate::grid::{self, Section, SHORT, STEPS};
use crate::overlap::late;
use crate::plot::{Plot, Series};
use crate::record::Record;
use crate::train::Finished;
use crate::{whole, Failed};

/// Writes the plots and `cells.md` into a directory.
///
/// # Errors
/// If cells are missing so that a plot would be empty, or a file cannot be written.
pub fn write(record: &Record, directory: &Path) -> Result<(), Failed> {
    fs::create_dir_all(directory)?;
    for (file, plot) in [
        ("rounds.svg", rounds(record)),
        ("ladder.svg", ladder(record)),
        ("density.svg", density(record)),
        ("bytes.svg", bytes(record)),
    ] {
        plot.draw(&directory.join(file))?;
    }
    fs::write(directory.join("cells.md"), table(record))?;
    Ok(())
}

/// Rounds, and by how many percent the loss is above AdamW's with as many tokens.
fn gap(record: &Record, finished: &Finished) -> Option<(f64, f64)> {
    let cell = &finished.cell;
    let adamw = record.of(&grid::adamw(cell.workers, cell.inner_steps, cell.rounds))?;
    let gap = 100.0 * (finished.held_out_loss / adamw.held_out_loss - 1.0);
    Some((cell.rounds as f64, gap))
}

/// The gap to AdamW, by rounds: more of them, and so more tokens.
fn rounds(record: &Record) -> Plot {
    let line = |name: &str, cell: &dyn Fn(usize) -> Cell| {
        let cells = grid::ROUNDS.map(cell);
        series(name, record, &cells, |finished| gap(record, finished))
    };
    let series = vec![
        line("DiLoCo", &|rounds| grid::diloco(4, STEPS, rounds)),
        line("Templar, 64", &|rounds| grid::templar(4, STEPS, rounds, 64)),
        line("ours, 96, β = 0.8", &|rounds| {
            grid::chosen(4, STEPS, rounds)
        }),
        line("ours, 512", &|rounds| grid::ours(4, STEPS, rounds, 512)),
    ];
    Plot {
        title:
            "Held-out loss above that of data-parallel AdamW with as many tokens (R = 4, H = 15)",
        x: "rounds",
        y: "gap in %",
        series: with_points(series),
        level: Some((2.0, "2 %".into())),
    }
}

/// The gap to AdamW, by rounds: more of them, with fewer steps each.
fn ladder(record: &Record) -> Plot {
    let line = |name: &str, cell: &dyn Fn(usize, usize) -> Cell| {
        let cells = grid::LADDER.map(|(inner_steps, rounds)| cell(inner_steps, rounds));
        series(name, record, &cells, |finished| gap(record, finished))
    };
    let mut series = vec![
        line("DiLoCo", &grid::dense),
        line("ours, 512", &grid::eighth),
    ];
    for kept in grid::LADDER_DENSITIES.into_iter().rev() {
        series.push(line(&format!("ours, {kept}"), &|inner_steps, rounds| {
            grid::tuned(4, inner_steps, rounds, kept)
        }));
    }
    Plot {
        title: "Held-out loss above AdamW's: 600 steps of four workers, cut into so many rounds",
        x: "rounds",
        y: "gap in %",
        series: with_points(series),
        level: Some((2.0, "2 %".into())),
    }
}

/// Loss by density and ρ.
fn density(record: &Record) -> Plot {
    let series = [0.0, 0.5, 1.0].map(|rho| {
        let cells = grid::DENSITIES.map(|kept| grid::cairn(4, STEPS, SHORT, kept, rho));
        series(&format!("ρ = {rho}"), record, &cells, |finished| {
            Some((finished.cell.kept_per_block.into(), finished.held_out_loss))
        })
    });
    Plot {
        title: "What ρ does at each density (R = 4, H = 15, 20 rounds, β = 0.95)",
        x: "values sent of 4,096",
        y: "held-out loss",
        series: with_points(series.into()),
        level: None,
    }
}

/// Loss by bytes sent.
fn bytes(record: &Record) -> Plot {
    let line = |name: &str, cells: &[Cell]| {
        let at = |finished: &Finished| Some((finished.bytes_per_token, finished.held_out_loss));
        let mut series = series(name, record, cells, at);
        series.points.sort_by(|a, b| a.0.total_cmp(&b.0));
        series
    };
    let mut series = vec![
        line(
            "DiLoCo",
            &grid::LADDER.map(|(inner_steps, rounds)| grid::dense(inner_steps, rounds)),
        ),
        line(
            "Templar, H = 15",
            &grid::EQUAL_BYTES.map(|(theirs, _)| grid::templar(4, STEPS, 40, theirs)),
        ),
    ];
    for (inner_steps, rounds) in grid::LADDER {
        let mut cells = grid::LADDER_DENSITIES
            .map(|kept| grid::tuned(4, inner_steps, rounds, kept))
            .to_vec();
        match inner_steps {
            STEPS => {
                cells.extend(grid::EQUAL_BYTES.map(|(_, ours)| grid::tuned(4, STEPS, rounds, ours)))
            }
            _ => cells.push(grid::eighth(inner_steps, rounds)),
        }
        series.push(line(&format!("ours, H = {inner_steps}"), &cells));
    }
    let late = grid::LADDER_DENSITIES.map(|kept| late(grid::tuned(4, STEPS, 40, kept)));
    series.push(line(&format!("ours, H = {STEPS}, a round late"), &late));
    let whole = whole::LADDER.map(|(inner_steps, rounds)| whole::whole(4, inner_steps, rounds));
    series.push(line("ours, all values, Muon inside", &whole));
    let turns = whole::LADDER.map(|(inner_steps, rounds)| {
        whole::clipped(whole::in_turns(4, Turn::MOST, inner_steps, rounds))
    });
    series.push(line("the same, in four turns", &turns));
    let adamw = record.of(&grid::adamw(4, STEPS, 40));
    Plot {
        title: "Loss for bytes (R = 4, as many tokens as 40 rounds of 15 steps)",
        x: "bytes that a worker sends per token that it trains on",
        y: "held-out loss",
        series: with_points(series),
        level: adamw.map(|adamw| (adamw.held_out_loss, "AdamW in every step".into())),
    }
}

/// A line through those of the cells that are finished.
fn series(
    name: &str,
    record: &Record,
    cells: &[Cell],
    point: impl Fn(&Finished) -> Option<(f64, f64)>,
) -> Series {
    let finished = cells.iter().filter_map(|cell| record.of(cell));
    Series {
        name: name.to_owned(),
        points: finished.filter_map(point).collect(),
    }
}

fn with_points(mut series: Vec<Series>) -> Vec<Series> {
    series.retain(|series| !series.points.is_empty());
    series
}

/// All finished cells as Markdown, by what they are to answer.
fn table(record: &Record) -> String {
    let mut text = format!(
        "# All {} finished cells\n\n\
         Made by `cairn-study plot` from `cells.jsonl`; [study.md](../study.md) says what they mean.\n\
         A cell that answers two questions appears twice.\n\n\
         - kept: values sent of 4,096\n\
         - α: outer rate\n\
         - besides, rate and β: where they end, the rate in parts of the highest\n\
         - loss: held-out cross-entropy in nats\n\
         - bytes: sent by a worker for each token that it trained on\n",
        record.cells().len()
    );
    let mut shown = HashSet::new();
    for Section { title, cells } in grid::sections() {
        let finished: Vec<&Finished> = cells.iter().filter_map(|cell| record.of(cell)).collect();
        shown.extend(finished.iter().map(|finished| &finished.name));
        let missing = cells.len() - finished.len();
        section(&mut text, title, &finished, missing);
    }
    for Section { title, cells } in grid::further() {
        let finished: Vec<&Finished> = cells.iter().filter_map(|cell| record.of(cell)).collect();
        // with cells of other questions only, nobody has asked this one
        if finished.iter().any(|f| !shown.contains(&f.name)) {
            section(&mut text, title, &finished, 0);
        }
        shown.extend(finished.iter().map(|finished| &finished.name));
    }
    let others = record.cells().iter();
    let others: Vec<&Finished> = others.filter(|f| !shown.contains(&f.name)).collect();
    section(&mut text, "Others", &others, 0);
    text
}

fn section(text: &mut String, title: &str, finished: &[&Finished], missing: usize) {
    if finished.is_empty() {
        return;
    }
    text.push_str(&format!("\n## {title}\n\n"));
    if missing > 0 {
        text.push_str(&format!("Not run yet: {missing} more cells.\n\n"));
    }
    text.push_str(
        "| method | R | H | rounds | kept | ρ | β | inner rate | α | besides | seed | loss | bytes |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for finished in finished {
        text.push_str(&row(finished));
    }
}

fn row(finished: &Finished) -> String {
    let cell = &finished.cell;
    let sparse = matches!(cell.method, Method::Templar | Method::Cairn);
    let only = |shown: bool, value: String| if shown { value } else { "–".into() };
    format!(
        "| {:?} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.4} | {:.3} |\n",
        cell.method,
        cell.workers,
        cell.inner_steps,
        cell.rounds,
        only(sparse, cell.kept_per_block.to_string()),
        only(cell.method == Method::Cairn, cell.rho.to_string()),
        only(
            sparse || cell.method == Method::Dense,
            cell.error_decay.to_string(),
        ),
        cell.inner_rate,
        only(cell.method != Method::AdamW, cell.outer_rate.to_string()),
        cell.besides(),
        cell.seed,
        finished.held_out_loss,
        finished.bytes_per_token,
    )
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::corpus::LENGTH;

    fn docs() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
    }

    fn committed() -> Record {
        Record::open(&docs().join("study/cells.jsonl")).unwrap()
    }

    #[test]
    fn the_committed_cells_are_what_they_say() {
        let record = committed();
        let names: HashSet<&str> = record.cells().iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names.len(), record.cells().len(), "a cell comes twice");
        assert!(!names.is_empty());
        for finished in record.cells() {
            let cell = &finished.cell;
            assert_eq!(finished.name, cell.name());
            let windows = cell.workers * cell.inner_steps * cell.rounds * cell.windows;
            assert_eq!(finished.tokens, (windows * LENGTH) as u64);
            assert!(finished.held_out_loss.is_finite() && finished.bytes_per_token > 0.0);
        }
    }

    /// A question that was not asked is in no table and no plot, and nothing says that its cells are missing.
    #[test]
    fn a_further_question_is_shown_once_it_was_asked() {
        let directory = tempfile::tempdir().unwrap();
        let mut record = Record::open(&directory.path().join("cells.jsonl")).unwrap();
        let finished = |cell: &Cell| Finished {
            name: cell.name(),
            cell: cell.clone(),
            parameters: 1,
            tokens: 1,
            held_out_loss: 4.0,
            on_the_way: Vec::new(),
            averaged: Vec::new(),
            bytes_per_token: 3.0,
            taken: None,
            seconds: 1.0,
        };
        let drawn = |record: &Record| {
            let series = bytes(record).series;
            series.iter().any(|line| line.name.ends_with("late"))
        };
        let at_once = grid::chosen(4, STEPS, 40);
        record.add(finished(&at_once)).unwrap();
        assert!(!table(&record).contains("Rounds that overlap") && !drawn(&record));
        record.add(finished(&late(at_once))).unwrap();
        let table = table(&record);
        let (_, section) = table.split_once("\n## Rounds that overlap\n").unwrap();
        assert_eq!(section.matches("| Cairn | 4 | 15 | 40 | 96 |").count(), 2);
        assert_eq!(section.matches("a round late").count(), 1);
        assert!(!section.contains("Not run yet") && drawn(&record));
    }

    #[test]
    fn all_cells_of_the_grid_are_committed() {
        let record = committed();
        let missing: Vec<String> = grid::all()
            .iter()
            .filter(|cell| !record.has(cell))
            .map(Cell::name)
            .collect();
        assert!(missing.is_empty(), "run `make study`: {missing:#?}");
    }

    #[test]
    fn the_committed_plots_and_table_are_those_of_the_cells() {
        let directory = tempfile::tempdir().unwrap();
        write(&committed(), directory.path()).unwrap();
        for file in fs::read_dir(directory.path()).unwrap() {
            let file = file.unwrap();
            let committed = fs::read(docs().join("study").join(file.file_name())).unwrap();
            let made = fs::read(file.path()).unwrap();
            assert!(
                made == committed,
                "{:?}: run `make study`",
                file.file_name()
            );
        }
    }

    #[test]
    fn ours_ends_lower_than_templars_variant_in_no_more_bytes() {
        let record = committed();
        let found = |cell: &Cell| record.of(cell).expect("it was trained");
        let mut pairs = Vec::new();
        for (workers, inner_steps) in grid::AXES {
            let rounds = grid::rounds_of(workers, inner_steps);
            let theirs = grid::templar(workers, inner_steps, rounds, 64);
            let ours = grid::chosen(workers, inner_steps, rounds);
            let of = |seed| {
                [&theirs, &ours].map(|cell| Cell {
                    seed,
                    ..cell.clone()
                })
            };
            pairs.extend(grid::SEEDS.map(of));
        }
        for (theirs, ours) in grid::EQUAL_BYTES {
            let rounds = grid::rounds_of(4, grid::STEPS);
            let theirs = grid::templar(4, grid::STEPS, rounds, theirs);
            pairs.push([theirs, grid::tuned(4, grid::STEPS, rounds, ours)]);
        }
        for pair in pairs {
            let [theirs, ours] = pair.each_ref().map(found);
            assert_eq!(theirs.tokens, ours.tokens);
            let names = [&theirs.name, &ours.name];
            assert!(ours.held_out_loss < theirs.held_out_loss, "{names:?}");
            assert!(ours.bytes_per_token <= theirs.bytes_per_token, "{names:?}");
        }
    }

    /// Losses and bytes per token stand in `docs/study.md` with three decimals, and nothing else does.
    #[test]
    fn every_figure_of_the_document_was_measured() {
        let record = committed();
        let mut measured = HashSet::new();
        for finished in record.cells() {
            measured.insert(format!("{:.3}", finished.held_out_loss));
            measured.insert(format!("{:.3}", finished.bytes_per_token));
        }
        let text = fs::read_to_string(docs().join("study.md")).unwrap();
        let words = text.split(|c: char| !c.is_ascii_digit() && c != '.');
        let mut figures = words
            .map(|word| word.trim_end_matches('.'))
            .filter(|word| {
                word.split_once('.')
                    .is_some_and(|(_, decimals)| decimals.len() == 3)
            })
            .peekable();
        assert!(figures.peek().is_some(), "the document has no figures");
        for figure in figures {
            assert!(measured.contains(figure), "{figure} is of no cell");
        }
    }
}
