//! The cells of the study, the most telling first.

use std::collections::HashSet;

use crate::cell::{Cell, Method, Places, Quantiser};

/// Inner rate of AdamW and DiLoCo, the best of 1.5e-3, 3e-3 and 6e-3.
const DENSE_RATE: f64 = 3e-3;
/// Inner rate of the sparse methods, likewise.
const SPARSE_RATE: f64 = 6e-3;

/// Inner steps where they are not the question.
pub const STEPS: usize = 15;
/// Rounds of cells that screen one setting.
pub const SHORT: usize = 20;
/// Rounds of the cells that show what more of them do.
pub const ROUNDS: [usize; 4] = [SHORT, 40, 80, 160];
/// Values sent of 4,096: 0.78 %, 1.56 %, 3.1 % and 12.5 %.
pub const DENSITIES: [u16; 4] = [32, 64, 128, 512];

/// R and H at which Templar's variant and ours are compared.
pub const AXES: [(usize, usize); 6] = [(4, 5), (4, 15), (8, 15), (4, 30), (8, 5), (8, 30)];
/// Values in turn that take as many bytes as 64 of the largest with their places.
pub const AS_LONG: u16 = 288;

/// A cell of any method, dense, with rate 1 outside.
pub fn base(method: Method, workers: usize, inner_steps: usize, rounds: usize) -> Cell {
    Cell {
        method,
        workers,
        inner_steps,
        rounds,
        windows: 4,
        kept_per_block: 4_096,
        rho: 1.0,
        error_decay: 0.0,
        inner_rate: DENSE_RATE,
        outer_rate: 1.0,
        momentum: 0.0,
        outer_warmup: 0,
        seed: 1,
        quantiser: Quantiser::Levels,
        places: Places::Largest,
        ahead: 0.0,
        kept_at_the_end: 0,
        decay_at_the_end: None,
        final_rate: None,
    }
}

/// Data-parallel AdamW, tuned. It knows no rounds, so that one cell serves for every H.
pub fn adamw(workers: usize, inner_steps: usize, rounds: usize) -> Cell {
    let steps = inner_steps * rounds;
    let (inner_steps, rounds) = match steps % STEPS {
        0 => (STEPS, steps / STEPS),
        _ => (inner_steps, rounds),
    };
    base(Method::AdamW, workers, inner_steps, rounds)
}

/// DiLoCo, tuned.
pub fn diloco(workers: usize, inner_steps: usize, rounds: usize) -> Cell {
    outside(0.7, 0.5, base(Method::DiLoCo, workers, inner_steps, rounds))
}

/// Templar's variant.
pub fn templar(workers: usize, inner_steps: usize, rounds: usize, kept_per_block: u16) -> Cell {
    Cell {
        kept_per_block,
        inner_rate: SPARSE_RATE,
        error_decay: 0.95,
        rho: 0.0,
        ..base(Method::Templar, workers, inner_steps, rounds)
    }
}

/// Ours with some ρ.
pub fn cairn(
    workers: usize,
    inner_steps: usize,
    rounds: usize,
    kept_per_block: u16,
    rho: f64,
) -> Cell {
    Cell {
        kept_per_block,
        inner_rate: SPARSE_RATE,
        error_decay: 0.95,
        rho,
        ..base(Method::Cairn, workers, inner_steps, rounds)
    }
}

/// Ours with the ρ that suits the density.
pub fn ours(workers: usize, inner_steps: usize, rounds: usize, kept_per_block: u16) -> Cell {
    let rho = match kept_per_block {
        0..=255 => 0.0,
        _ => 1.0,
    };
    cairn(workers, inner_steps, rounds, kept_per_block, rho)
}

/// Ours in as many bytes as Templar's 64 values take, with the β that the study chose.
pub fn chosen(workers: usize, inner_steps: usize, rounds: usize) -> Cell {
    decaying(0.8, cairn(workers, inner_steps, rounds, 96, 0.0))
}

/// Ours, each worker beginning where its own unsent part would have taken it.
pub fn ahead(workers: usize, inner_steps: usize, rounds: usize, kept_per_block: u16) -> Cell {
    Cell {
        ahead: 1.0,
        error_decay: 1.0,
        ..cairn(workers, inner_steps, rounds, kept_per_block, 1.0)
    }
}

/// Ours, all sending the same places in turn.
pub fn turns(workers: usize, inner_steps: usize, rounds: usize, kept_per_block: u16) -> Cell {
    Cell {
        places: Places::Turns,
        error_decay: 1.0,
        ..cairn(workers, inner_steps, rounds, kept_per_block, 1.0)
    }
}

/// Both: the workers' models are averaged a few places at a time, and differ elsewhere.
pub fn partial(workers: usize, inner_steps: usize, rounds: usize, kept_per_block: u16) -> Cell {
    Cell {
        ahead: 1.0,
        ..turns(workers, inner_steps, rounds, kept_per_block)
    }
}

fn outside(outer_rate: f64, momentum: f64, cell: Cell) -> Cell {
    Cell {
        outer_rate,
        momentum,
        ..cell
    }
}

fn inside(inner_rate: f64, cell: Cell) -> Cell {
    Cell { inner_rate, ..cell }
}

fn decaying(error_decay: f64, cell: Cell) -> Cell {
    Cell {
        error_decay,
        ..cell
    }
}

/// A few cells that take seconds.
pub fn quick() -> Vec<Cell> {
    vec![
        adamw(2, 5, 4),
        diloco(2, 5, 4),
        templar(2, 5, 4, 64),
        ours(2, 5, 4, 64),
    ]
}

/// What one question takes.
pub struct Section {
    pub title: &'static str,
    pub cells: Vec<Cell>,
}

/// All cells by question. A cell can answer several.
pub fn sections() -> Vec<Section> {
    vec![
        rates(),
        axes(),
        seeds(),
        densities(),
        feedback(),
        quantisers(),
        rounds(),
        ideas(),
    ]
}

/// All cells, each once: first those without which nothing can be said, then question by question.
pub fn all() -> Vec<Cell> {
    let mut seen = HashSet::new();
    let cells = sections().into_iter().flat_map(|section| section.cells);
    first()
        .into_iter()
        .chain(cells)
        .filter(|cell| seen.insert(cell.name()))
        .collect()
}

/// The methods at one length.
fn first() -> Vec<Cell> {
    let (r, h, rounds) = (4, STEPS, 40);
    vec![
        adamw(r, h, rounds),
        diloco(r, h, rounds),
        templar(r, h, rounds, 64),
        cairn(r, h, rounds, 64, 0.0),
        cairn(r, h, rounds, 512, 1.0),
    ]
}

/// Each method's rates.
fn rates() -> Section {
    let (r, h, rounds) = (4, STEPS, SHORT);
    let dense = || base(Method::DiLoCo, r, h, rounds);
    let mut cells = Vec::new();
    for rate in [3e-3, 6e-3, 1.5e-3] {
        cells.extend([
            inside(rate, adamw(r, h, rounds)),
            inside(rate, outside(1.0, 0.0, dense())),
            inside(rate, templar(r, h, rounds, 64)),
            inside(rate, cairn(r, h, rounds, 64, 0.0)),
        ]);
    }
    for (rate, momentum) in [(0.7, 0.5), (0.7, 0.9), (0.3, 0.9)] {
        cells.push(outside(rate, momentum, dense()));
    }
    cells.push(inside(3e-3, cairn(r, h, 40, 64, 0.0)));
    for rate in [0.5, 0.7] {
        cells.push(outside(rate, 0.0, templar(r, h, rounds, 64)));
        cells.push(outside(rate, 0.0, cairn(r, h, rounds, 64, 0.0)));
    }
    Section {
        title: "Learning rates, inside and outside",
        cells,
    }
}

/// Several seeds.
fn seeds() -> Section {
    let (r, h, rounds) = (4, STEPS, SHORT);
    let cells = (1..=3).flat_map(|seed| {
        [
            cairn(r, h, rounds, 64, 0.0),
            templar(r, h, rounds, 64),
            chosen(r, h, rounds),
            adamw(r, h, rounds),
            diloco(r, h, rounds),
        ]
        .map(|cell| Cell { seed, ..cell })
    });
    Section {
        title: "How much the seed matters",
        cells: cells.collect(),
    }
}

/// Templar's variant and ours for every R and H, at equal tokens: 600 steps of four workers' windows.
fn axes() -> Section {
    let mut cells = Vec::new();
    for (workers, inner_steps) in AXES {
        let rounds = 4 * 600 / (workers * inner_steps);
        cells.extend([
            adamw(workers, inner_steps, rounds),
            templar(workers, inner_steps, rounds, 64),
            cairn(workers, inner_steps, rounds, 64, 0.0),
            chosen(workers, inner_steps, rounds),
        ]);
    }
    Section {
        title: "Templar's variant and ours, by R and H",
        cells,
    }
}

/// ρ at every density.
fn densities() -> Section {
    let (r, h, rounds) = (4, STEPS, SHORT);
    let mut cells = Vec::new();
    for kept in [64, 512, 128, 32] {
        cells.extend([0.0, 1.0].map(|rho| cairn(r, h, rounds, kept, rho)));
    }
    cells.extend(DENSITIES.map(|kept| templar(r, h, rounds, kept)));
    cells.extend(DENSITIES.map(|kept| cairn(r, h, rounds, kept, 0.5)));
    cells.extend([0.5, 1.0].map(|rho| inside(3e-3, cairn(r, h, rounds, 64, rho))));
    Section {
        title: "Density and ρ",
        cells,
    }
}

/// β.
fn feedback() -> Section {
    let mut cells = Vec::new();
    for decay in [0.95, 0.8, 0.5, 0.0, 1.0, 0.9] {
        for kept in [64, 512] {
            cells.push(decaying(decay, ours(4, STEPS, SHORT, kept)));
        }
    }
    cells.push(decaying(0.95, chosen(4, STEPS, SHORT)));
    cells.push(decaying(0.8, templar(4, STEPS, SHORT, 64)));
    cells.push(inside(3e-3, decaying(0.8, ours(4, STEPS, SHORT, 64))));
    Section {
        title: "β, the decay of the error feedback",
        cells,
    }
}

/// Ours, Templar's and none.
fn quantisers() -> Section {
    let quantisers = [Quantiser::Levels, Quantiser::Exact, Quantiser::Bins];
    let cells = quantisers.map(|quantiser| Cell {
        quantiser,
        ..cairn(4, STEPS, SHORT, 64, 0.0)
    });
    Section {
        title: "The quantiser",
        cells: cells.into(),
    }
}

/// More rounds.
fn rounds() -> Section {
    let (r, h) = (4, STEPS);
    let mut cells = Vec::new();
    for rounds in ROUNDS {
        cells.extend([adamw(r, h, rounds), chosen(r, h, rounds)]);
        cells.extend([64, 512].map(|kept| ours(r, h, rounds, kept)));
        cells.extend([diloco(r, h, rounds), templar(r, h, rounds, 64)]);
        cells.extend([128, 32].map(|kept| ours(r, h, rounds, kept)));
    }
    Section {
        title: "More rounds",
        cells,
    }
}

/// What might close the gap at equal bytes.
fn ideas() -> Section {
    let (r, h, rounds) = (4, STEPS, SHORT);
    let ours = |kept| cairn(r, h, rounds, kept, 0.0);
    let short = cairn(r, 5, 3 * rounds, 64, 0.0);
    let shorter = cairn(r, 5, 3 * rounds, 20, 0.0);
    let mut cells = vec![ours(64), chosen(r, h, rounds), short, shorter];
    for kept in [AS_LONG, 64, 512] {
        cells.extend([partial(r, h, rounds, kept), turns(r, h, rounds, kept)]);
    }
    cells.extend([
        Cell {
            outer_warmup: 5,
            ..ours(64)
        },
        outside(0.7, 0.5, decaying(0.8, ours(64))),
        outside(1.5, 0.0, decaying(0.8, ours(64))),
        outside(2.0, 0.0, cairn(r, h, rounds, 64, 1.0)),
        Cell {
            kept_at_the_end: 128,
            ..ours(32)
        },
        Cell {
            kept_at_the_end: 32,
            ..ours(128)
        },
        inside(3e-3, ahead(r, h, rounds, 64)),
        Cell {
            ahead: 0.5,
            ..ours(64)
        },
    ]);
    Section {
        title: "What might close the gap at equal bytes",
        cells,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_comes_twice() {
        for cells in [quick(), all()] {
            let names: HashSet<String> = cells.iter().map(Cell::name).collect();
            assert_eq!(names.len(), cells.len());
        }
    }
}
