//! Cells of some three bytes per token that may come nearer to data-parallel AdamW, and what bounds them.

use crate::cell::{After, Cell, Heard, Method, Moments, Places};
use crate::grid::{
    base, by_muon, cairn, chosen, inside, outside, remembering, Section, DENSE_RATE, SHORT,
    SPARSE_RATE, STEPS,
};

/// As many of the largest values as `chosen` sends, wherever they are.
fn anywhere(cell: Cell) -> Cell {
    Cell {
        places: Places::Anywhere,
        ..cell
    }
}

/// The same along the axes of what is settled.
fn turned(decay: f64, cell: Cell) -> Cell {
    Cell {
        turned: Some(decay),
        ..anywhere(cell)
    }
}

/// Rounds with fewer steps where the rate is high.
fn evened(power: f64, cell: Cell) -> Cell {
    Cell {
        evened: power,
        ..cell
    }
}

fn deducted(cell: Cell) -> Cell {
    Cell {
        heard: Heard::Deducted,
        ..cell
    }
}

/// The best known at three bytes: 96 values every 15 steps, with the schedule of β.
fn few(rounds: usize) -> Cell {
    remembering(0.5, 0.95, chosen(4, STEPS, rounds))
}

/// As many bytes in rounds of a third of the steps.
fn often() -> Cell {
    remembering(0.5, 0.95, cairn(4, 5, 120, 25, 0.0))
}

/// All values, at the rate of the sparse methods.
fn dense(rounds: usize) -> Cell {
    inside(SPARSE_RATE, base(Method::DiLoCo, 4, STEPS, rounds))
}

/// With all values: what the workers' moments being equal would gain, at more bytes.
fn with_mean_moments(rounds: usize) -> Cell {
    Cell {
        moments: Moments::Mean,
        ..dense(rounds)
    }
}

/// What is tried at three bytes per token: first what screens, then what decides.
pub fn cells() -> Section {
    let mut cells = screens();
    let muon = || by_muon(DENSE_RATE, few(40));
    cells.extend([
        few(40),
        often(),
        evened(1.0, few(40)),
        deducted(few(40)),
        outside(1.5, 0.0, inside(DENSE_RATE, few(40))),
        anywhere(few(40)),
        turned(0.9, few(40)),
        turned(0.9, muon()),
        anywhere(muon()),
        Cell {
            after: After::Spread(1.0),
            ..muon()
        },
        dense(40),
        with_mean_moments(40),
    ]);
    Section {
        title: "Nearer at three bytes per token",
        cells,
    }
}

/// Cells of 20 rounds.
fn screens() -> Vec<Cell> {
    let constant = Cell {
        kept_per_block: 120,
        error_decay: 0.5,
        ..chosen(4, STEPS, SHORT)
    };
    vec![
        few(SHORT),
        anywhere(few(SHORT)),
        turned(0.9, few(SHORT)),
        turned(0.9, constant.clone()),
        turned(0.9, inside(DENSE_RATE, constant)),
        evened(1.0, few(SHORT)),
        evened(0.5, few(SHORT)),
        deducted(few(SHORT)),
        outside(1.5, 0.0, inside(DENSE_RATE, few(SHORT))),
        turned(0.9, by_muon(DENSE_RATE, few(SHORT))),
        dense(SHORT),
        with_mean_moments(SHORT),
    ]
}
