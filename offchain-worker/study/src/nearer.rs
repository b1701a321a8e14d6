//! Cells of some three bytes per token that may come nearer to data-parallel AdamW, and what bounds them.

use crate::cell::{After, Cell, Heard, Method, Moments, Places};
use crate::grid::{
    base, by_muon, cairn, chosen, inside, outside, remembering, Section, DENSE_RATE, SPARSE_RATE,
    STEPS,
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
fn few() -> Cell {
    remembering(0.5, 0.95, chosen(4, STEPS, 40))
}

/// As many bytes in rounds of a third of the steps.
fn often() -> Cell {
    remembering(0.5, 0.95, cairn(4, 5, 120, 25, 0.0))
}

/// What is tried at three bytes per token.
pub fn cells() -> Section {
    let muon = || by_muon(DENSE_RATE, few());
    let dense = || inside(SPARSE_RATE, base(Method::DiLoCo, 4, STEPS, 40));
    let cells = vec![
        few(),
        often(),
        deducted(few()),
        outside(1.5, 0.0, inside(DENSE_RATE, few())),
        anywhere(few()),
        turned(0.9, few()),
        evened(1.0, few()),
        evened(0.5, few()),
        turned(0.9, often()),
        deducted(often()),
        turned(0.9, muon()),
        anywhere(muon()),
        Cell {
            after: After::Spread(1.0),
            ..muon()
        },
        // what bounds them, at more bytes
        dense(),
        Cell {
            moments: Moments::Mean,
            ..dense()
        },
    ];
    Section {
        title: "Nearer at three bytes per token",
        cells,
    }
}
