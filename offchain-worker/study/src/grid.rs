//! The cells of the study, the most telling first.

use crate::cell::{Cell, Method, Places, Quantiser};

/// Inner rate of most cells: the best of 1.5e-3, 3e-3 and 6e-3 for each method.
const RATE: f64 = 3e-3;

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
        inner_rate: RATE,
        outer_rate: 1.0,
        momentum: 0.0,
        outer_warmup: 0,
        seed: 1,
        quantiser: Quantiser::Levels,
        places: Places::Largest,
        ahead: 0.0,
        kept_at_the_end: 0,
    }
}

/// DiLoCo with rate and momentum outside.
fn diloco(
    workers: usize,
    inner_steps: usize,
    rounds: usize,
    outer_rate: f64,
    momentum: f64,
) -> Cell {
    Cell {
        outer_rate,
        momentum,
        ..base(Method::DiLoCo, workers, inner_steps, rounds)
    }
}

/// Templar's variant.
fn templar(workers: usize, inner_steps: usize, rounds: usize, kept_per_block: u16) -> Cell {
    Cell {
        kept_per_block,
        error_decay: 0.95,
        rho: 0.0,
        ..base(Method::Templar, workers, inner_steps, rounds)
    }
}

/// Ours.
pub fn cairn(
    workers: usize,
    inner_steps: usize,
    rounds: usize,
    kept_per_block: u16,
    rho: f64,
) -> Cell {
    Cell {
        kept_per_block,
        error_decay: 0.95,
        rho,
        ..base(Method::Cairn, workers, inner_steps, rounds)
    }
}

/// A few cells that take seconds.
pub fn quick() -> Vec<Cell> {
    vec![
        base(Method::AdamW, 2, 5, 4),
        diloco(2, 5, 4, 0.7, 0.5),
        templar(2, 5, 4, 64),
        cairn(2, 5, 4, 64, 0.0),
    ]
}

/// All cells.
pub fn all() -> Vec<Cell> {
    let mut cells = tuning();
    let mut seen = std::collections::HashSet::new();
    cells.retain(|cell| seen.insert(cell.name()));
    cells
}

/// Learning rates of each method, on 20 rounds.
fn tuning() -> Vec<Cell> {
    let (r, h, rounds) = (4, 15, 20);
    let at = |inner_rate, cell| Cell { inner_rate, ..cell };
    let mut cells = vec![
        base(Method::AdamW, r, h, rounds),
        templar(r, h, rounds, 64),
        cairn(r, h, rounds, 64, 0.0),
        diloco(r, h, rounds, 1.0, 0.0),
        at(6e-3, base(Method::AdamW, r, h, rounds)),
        at(6e-3, templar(r, h, rounds, 64)),
        cairn(r, h, rounds, 64, 1.0),
        cairn(r, h, rounds, 64, 0.5),
        Cell {
            ahead: 1.0,
            error_decay: 1.0,
            ..cairn(r, h, rounds, 64, 1.0)
        },
        Cell {
            error_decay: 0.8,
            ..cairn(r, h, rounds, 64, 0.0)
        },
        diloco(r, h, rounds, 0.7, 0.5),
        diloco(r, h, rounds, 0.7, 0.9),
        diloco(r, h, rounds, 0.3, 0.9),
        at(6e-3, diloco(r, h, rounds, 1.0, 0.0)),
        at(6e-3, cairn(r, h, rounds, 64, 0.0)),
    ];
    cells.push(at(1.5e-3, templar(r, h, rounds, 64)));
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_cell_comes_twice() {
        for cells in [quick(), all()] {
            let names: HashSet<String> = cells.iter().map(Cell::name).collect();
            assert_eq!(names.len(), cells.len());
        }
    }
}
