//! Cells of rounds that overlap.

use crate::cell::{Cell, Met, Method};
use crate::dense::Code;
use crate::grid::{
    base, by_muon, chosen, diloco, inside, outside, remembering, tuned, Section, DENSE_RATE,
    LADDER_DENSITIES, SEEDS, STEPS,
};

/// The same with rounds that overlap: each begins where the one before it began.
pub fn late(cell: Cell) -> Cell {
    Cell { delay: 1, ..cell }
}

/// What it costs that a round begins before the one before it is applied.
pub fn costs() -> Section {
    let (r, h) = (4, STEPS);
    let mut cells = Vec::new();
    let mut beside = |seed, cell: Cell| {
        let cell = Cell { seed, ..cell };
        cells.extend([cell.clone(), late(cell)]);
    };
    for seed in SEEDS {
        for few in [chosen(r, h, 40), chosen(r, 30, 20)] {
            beside(seed, few.clone());
            beside(seed, remembering(0.5, 0.95, few));
        }
    }
    for seed in SEEDS {
        beside(seed, diloco(r, h, 40));
    }
    for kept in LADDER_DENSITIES.into_iter().filter(|kept| *kept != 96) {
        beside(1, tuned(r, h, 40, kept));
    }
    Section {
        title: "Rounds that overlap",
        cells,
    }
}

/// The same, each worker beginning with so much of what it sent itself.
fn eager(eager: f64, cell: Cell) -> Cell {
    Cell {
        eager,
        ..late(cell)
    }
}

/// The same, less so much of the step before.
fn less(share: f64, cell: Cell) -> Cell {
    Cell {
        met: Met::Less(share),
        ..late(cell)
    }
}

/// The same, workers beginning with so much of the last step once more.
fn repeating(repeated: f64, cell: Cell) -> Cell {
    Cell {
        repeated,
        ..late(cell)
    }
}

/// What makes up for a delay. The first ten are with AdamW and with Muon inside, in the bytes of the cells that
/// tell what it costs.
pub fn made_good() -> Section {
    let (r, h) = (4, STEPS);
    let few = || remembering(0.5, 0.95, chosen(r, h, 40));
    let muon = || by_muon(DENSE_RATE, few());
    let deducted = |cell| Cell {
        met: Met::Deducted,
        ..late(cell)
    };
    let mut cells = vec![
        eager(1.0, few()),
        less(0.5, few()),
        eager(0.25, few()),
        deducted(few()),
        outside(0.5, 0.0, late(few())),
        repeating(1.0, few()),
        late(muon()),
        eager(1.0, muon()),
        less(0.5, muon()),
        eager(1.0, remembering(0.5, 0.95, chosen(r, 30, 20))),
    ];
    cells.extend(made_good_besides());
    Section {
        title: "What makes up for a delay",
        cells,
    }
}

/// Without a schedule, with other rates, and with other codes.
fn made_good_besides() -> Vec<Cell> {
    let (r, h) = (4, STEPS);
    let few = || remembering(0.5, 0.95, chosen(r, h, 40));
    let two = || Cell {
        code: Code::Two,
        error_decay: 0.9,
        rms: Some(0.6),
        ..by_muon(DENSE_RATE, base(Method::Dense, r, h, 40))
    };
    let mut cells = vec![
        less(0.5, remembering(0.5, 0.95, chosen(r, 30, 20))),
        eager(1.0, chosen(r, h, 40)),
        less(0.5, chosen(r, h, 40)),
        eager(1.0, two()),
        less(0.5, two()),
        late(two()),
        less(0.75, few()),
        outside(1.25, 0.0, less(0.75, few())),
        less(0.25, few()),
        eager(0.5, few()),
        inside(DENSE_RATE, late(few())),
        outside(0.25, 0.0, late(few())),
        inside(DENSE_RATE, less(0.5, few())),
        repeating(1.0, outside(0.5, 0.0, few())),
    ];
    for dense in [outside(1.0, 0.0, diloco(r, h, 40)), diloco(r, h, 40)] {
        cells.extend([0.25, 1.0].map(|share| eager(share, dense.clone())));
        cells.push(less(0.5, dense));
    }
    let seeds = SEEDS.into_iter().skip(1);
    cells.extend(
        seeds.flat_map(|seed| {
            [eager(1.0, few()), less(0.5, few())].map(|cell| Cell { seed, ..cell })
        }),
    );
    cells
}
