//! Cells that send all values, with Muon inside: what carries a round of Muon's is spread over all of them.

use cairn_gradient::Turn;

use crate::cell::{Cell, Method, Shares};
use crate::dense::Code;
use crate::grid::{
    adamw, base, by_muon, cairn, inside, outside, remembering, Section, SPARSE_RATE, STEPS,
};

/// H and rounds in which four workers train on as many tokens.
pub const LADDER: [(usize, usize); 4] = [(30, 20), (STEPS, 40), (10, 60), (5, 120)];
/// Muon's root mean square.
const RMS: f64 = 0.4;
/// β: little is left of two levels for every value.
const DECAY: f64 = 0.9;

fn muon(cell: Cell) -> Cell {
    Cell {
        rms: Some(RMS),
        ..by_muon(SPARSE_RATE, cell)
    }
}

/// Ours with all values.
pub fn whole(workers: usize, inner_steps: usize, rounds: usize) -> Cell {
    let cell = cairn(workers, inner_steps, rounds, 4_096, 0.0);
    muon(Cell {
        error_decay: DECAY,
        ..cell
    })
}

/// Ours, and workers take turns.
pub fn in_turns(workers: usize, turns: u8, inner_steps: usize, rounds: usize) -> Cell {
    Cell {
        turns,
        rho: 1.0 / f64::from(turns),
        error_decay: 0.0,
        ..whole(workers, inner_steps, rounds)
    }
}

/// Norms may be a quarter above the median.
pub fn clipped(cell: Cell) -> Cell {
    Cell {
        clip: Some(1.25),
        ..cell
    }
}

/// Turns, and norms above the median.
pub fn turns() -> Section {
    let (r, most) = (4, Turn::MOST);
    let of_seed = |seed, cell: Cell| Cell { seed, ..cell };
    let mut cells = Vec::new();
    for (inner_steps, rounds) in LADDER {
        cells.extend([most, 2].map(|turns| clipped(in_turns(r, turns, inner_steps, rounds))));
        cells.push(in_turns(r, most, inner_steps, rounds));
    }
    cells.push(in_turns(r, 2, 5, 120));
    for (inner_steps, rounds) in [(10, 60), (5, 120)] {
        cells.push(clipped(whole(r, inner_steps, rounds)));
        for seed in [2, 3] {
            cells.push(of_seed(
                seed,
                clipped(in_turns(r, most, inner_steps, rounds)),
            ));
        }
    }
    let shorter = in_turns(r, most, 10, 60);
    cells.extend([
        of_seed(2, shorter.clone()),
        of_seed(2, clipped(in_turns(r, 2, 5, 120))),
        outside(0.7, 0.5, shorter),
        in_turns(8, most, 5, 60),
        clipped(in_turns(8, most, 5, 60)),
        clipped(in_turns(8, 2, 5, 60)),
        clipped(whole(8, 5, 60)),
        clipped(whole(r, STEPS, 40)),
        outside(0.7, 0.5, muon(shared(Shares::None, Code::Two, 5, 120))),
        outside(0.7, 0.5, muon(shared(Shares::None, Code::Two, 30, 20))),
        clipped(remembering(0.5, 0.95, cairn(r, STEPS, 40, 96, 0.0))),
        of_seed(3, adamw(r, STEPS, 40)),
    ]);
    Section {
        title: "Workers take turns",
        cells,
    }
}

/// All values by a code that counts bits, each from one sender or from all.
fn shared(shares: Shares, code: Code, inner_steps: usize, rounds: usize) -> Cell {
    Cell {
        code,
        shares,
        error_decay: DECAY,
        ..base(Method::Dense, 4, inner_steps, rounds)
    }
}

/// All values from all workers, fewer of them, and each from one worker.
pub fn cells() -> Section {
    let (r, h, rounds) = (4, STEPS, 40);
    let of_seed = |seed, cell: Cell| Cell { seed, ..cell };
    let mut cells = vec![
        muon(adamw(r, h, rounds)),
        muon(base(Method::DiLoCo, r, h, rounds)),
    ];
    cells.extend(LADDER.map(|(inner_steps, rounds)| whole(r, inner_steps, rounds)));
    cells.extend([
        of_seed(2, whole(r, h, rounds)),
        of_seed(2, whole(r, 5, 120)),
        whole(8, 5, 60),
        muon(remembering(0.5, 0.95, cairn(r, h, rounds, 1_024, 0.0))),
        remembering(0.5, 0.95, cairn(r, 5, 120, 128, 0.0)),
    ]);
    for (inner_steps, rounds) in [(5, 120), (10, 60), (h, rounds)] {
        cells.push(muon(shared(Shares::Turns, Code::Two, inner_steps, rounds)));
    }
    cells.extend([
        outside(0.7, 0.5, muon(shared(Shares::None, Code::Two, h, rounds))),
        muon(shared(Shares::Own, Code::Two, 5, 120)),
        muon(shared(Shares::Own, Code::Two, h, rounds)),
        Cell {
            final_rate: Some(0.2),
            ..remembering(
                0.5,
                0.95,
                inside(8e-3, shared(Shares::Own, Code::Three(1.34), h, rounds)),
            )
        },
    ]);
    Section {
        title: "All values with Muon inside, and one sender of a value",
        cells,
    }
}
