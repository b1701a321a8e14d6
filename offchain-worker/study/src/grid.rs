//! The cells of the study, the most telling first.

use std::collections::HashSet;

use cairn_primitives::Combination;

use crate::cell::{After, Cell, Heard, Inner, Met, Method, Moments, Places, Quantiser, Shares};
use crate::dense::Code;
use crate::{nearer, overlap, whole};

/// Inner rate of AdamW and DiLoCo, the best of 1.5e-3, 3e-3 and 6e-3.
pub const DENSE_RATE: f64 = 3e-3;
/// Inner rate of the sparse methods, likewise.
pub const SPARSE_RATE: f64 = 6e-3;

/// Inner steps where they are not the question.
pub const STEPS: usize = 15;
/// Rounds of cells that screen one setting.
pub const SHORT: usize = 20;
/// Rounds of the cells that show what more of them do.
pub const ROUNDS: [usize; 4] = [SHORT, 40, 80, 160];
/// Values sent of 4,096: 0.78 %, 1.56 %, 3.1 % and 12.5 %.
pub const DENSITIES: [u16; 4] = [32, 64, 128, 512];

/// ρ: means over the senders of a value, over half of all contributions at least, over all.
pub const RHOS: [f64; 3] = [0.0, 0.5, 1.0];
/// Densities of the ladder that share a β; 96 takes the bytes of Templar's 64.
pub const LADDER_DENSITIES: [u16; 4] = [32, 64, 96, 128];
/// Seeds with which Templar's variant and ours are compared.
pub const SEEDS: [u64; 3] = [1, 2, 3];
/// R and H at which Templar's variant and ours are compared.
pub const AXES: [(usize, usize); 6] = [(4, 5), (4, 15), (8, 15), (4, 30), (8, 5), (8, 30)];
/// H and rounds in which four workers train on as many tokens: those of 40 rounds of 15 steps.
pub const LADDER: [(usize, usize); 4] = [(STEPS, 40), (5, 120), (2, 300), (1, 600)];
/// Values that Templar's variant sends, and how many of ours take no more bytes.
pub const EQUAL_BYTES: [(u16, u16); 4] = [(32, 40), (64, 96), (128, 224), (512, 1_400)];
/// H, rounds, values and β with which ours takes as many bytes per token, some three.
const AS_DEAR: [(usize, usize, u16, f64); 3] = [
    (STEPS, 40, 96, 0.8),
    (5, 120, 25, 0.93),
    (3, 200, 14, 0.955),
];
/// Values in turn that take as many bytes as 64 of the largest with their places.
const AS_LONG: u16 = 288;

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
        heard: Heard::Ignored,
        inner: Inner::AdamW,
        rms: None,
        code: Code::None,
        after: After::Nothing,
        expected: 0.0,
        slow: 0,
        combine: Combination::Trust,
        delay: 0,
        eager: 0.0,
        repeated: 0.0,
        met: Met::Ignored,
        turned: None,
        moments: Moments::Own,
        shares: Shares::None,
        evened: 0.0,
        turns: 0,
        clip: None,
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

/// Ours with the β that the study chose, and the ρ that suits the density.
pub fn tuned(workers: usize, inner_steps: usize, rounds: usize, kept_per_block: u16) -> Cell {
    decaying(0.8, ours(workers, inner_steps, rounds, kept_per_block))
}

/// The same in as many bytes as Templar's 64 values take.
pub fn chosen(workers: usize, inner_steps: usize, rounds: usize) -> Cell {
    tuned(workers, inner_steps, rounds, 96)
}

/// An eighth of all values, with what suits few inner steps.
pub fn eighth(inner_steps: usize, rounds: usize) -> Cell {
    decaying(0.5, cairn(4, inner_steps, rounds, 512, 0.0))
}

/// What `make devnet` trains, without its cheat.
pub fn devnet() -> Cell {
    Cell {
        windows: 16,
        ..inside(DENSE_RATE, cairn(3, 20, 10, 512, 1.0))
    }
}

/// DiLoCo with what suits H.
pub fn dense(inner_steps: usize, rounds: usize) -> Cell {
    match inner_steps {
        STEPS.. => diloco(4, inner_steps, rounds),
        _ => often(inner_steps, rounds),
    }
}

/// DiLoCo for few inner steps: no momentum, and a higher rate inside.
fn often(inner_steps: usize, rounds: usize) -> Cell {
    inside(SPARSE_RATE, base(Method::DiLoCo, 4, inner_steps, rounds))
}

/// The same with a β that goes in a straight line from `from` in the first round to `to` in the last.
pub fn remembering(from: f64, to: f64, cell: Cell) -> Cell {
    Cell {
        decay_at_the_end: Some(to),
        ..decaying(from, cell)
    }
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

/// The same with a rate and Nesterov momentum outside.
pub fn outside(outer_rate: f64, momentum: f64, cell: Cell) -> Cell {
    Cell {
        outer_rate,
        momentum,
        ..cell
    }
}

/// The same with a rate inside.
pub fn inside(inner_rate: f64, cell: Cell) -> Cell {
    Cell { inner_rate, ..cell }
}

fn decaying(error_decay: f64, cell: Cell) -> Cell {
    Cell {
        error_decay,
        ..cell
    }
}

fn ending(final_rate: f64, cell: Cell) -> Cell {
    Cell {
        final_rate: Some(final_rate),
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
        axes(),
        equal_bytes(),
        ladder(),
        as_dear(),
        rounds(),
        rates(),
        seeds(),
        densities(),
        feedback(),
        quantisers(),
        schedules(),
        schedules_of_decay(),
        ideas(),
        muon(),
        whole::cells(),
        whole::turns(),
    ]
}

/// Questions whose cells are trained only if they are [asked for](only).
pub fn further() -> Vec<Section> {
    vec![overlap::costs(), overlap::made_good(), nearer::cells()]
}

/// All cells, each once, question by question.
pub fn all() -> Vec<Cell> {
    once(sections().into_iter().flat_map(|section| section.cells))
}

/// The cells, also of the further questions, that have a text in their question or their name.
pub fn only(text: &str) -> Vec<Cell> {
    let text = text.to_lowercase();
    let sections = sections().into_iter().chain(further());
    once(sections.flat_map(|Section { title, mut cells }| {
        if !title.to_lowercase().contains(&text) {
            cells.retain(|cell| cell.name().contains(&text));
        }
        cells
    }))
}

/// Each cell at its first place.
fn once(cells: impl Iterator<Item = Cell>) -> Vec<Cell> {
    let mut seen = HashSet::new();
    cells.filter(|cell| seen.insert(cell.name())).collect()
}

/// Rounds of an R and H on as many tokens as all others: 600 steps of four workers' windows.
pub fn rounds_of(workers: usize, inner_steps: usize) -> usize {
    4 * 600 / (workers * inner_steps)
}

/// Templar's variant and ours for every R and H, at equal tokens.
fn axes() -> Section {
    let mut cells = Vec::new();
    for seed in SEEDS {
        for (workers, inner_steps) in AXES {
            let rounds = rounds_of(workers, inner_steps);
            let both = [
                templar(workers, inner_steps, rounds, 64),
                chosen(workers, inner_steps, rounds),
            ];
            cells.extend(both.map(|cell| Cell { seed, ..cell }));
        }
    }
    for (workers, inner_steps) in AXES {
        let rounds = rounds_of(workers, inner_steps);
        cells.extend([
            adamw(workers, inner_steps, rounds),
            cairn(workers, inner_steps, rounds, 64, 0.0),
        ]);
    }
    Section {
        title: "Templar's variant and ours, by R and H",
        cells,
    }
}

/// Templar's variant and ours at every density, in no more bytes.
fn equal_bytes() -> Section {
    let cells = EQUAL_BYTES
        .into_iter()
        .flat_map(|(theirs, ours)| [templar(4, STEPS, 40, theirs), tuned(4, STEPS, 40, ours)]);
    Section {
        title: "Templar's variant and ours, by density, in no more bytes",
        cells: cells.collect(),
    }
}

/// More rounds of fewer steps, on as many tokens.
fn ladder() -> Section {
    let mut cells = Vec::new();
    for (inner_steps, rounds) in LADDER {
        cells.extend([dense(inner_steps, rounds), eighth(inner_steps, rounds)]);
        cells.extend(LADDER_DENSITIES.map(|kept| tuned(4, inner_steps, rounds, kept)));
    }
    cells.extend([
        diloco(4, 5, 120),
        inside(DENSE_RATE, often(1, 600)),
        tuned(4, STEPS, 40, 512),
        tuned(4, 5, 120, 512),
        eighth(1, 1_200),
    ]);
    let again = [
        adamw(4, STEPS, 40),
        eighth(1, 600),
        eighth(STEPS, 40),
        ours(4, STEPS, 40, 512),
    ];
    cells.extend(again.map(|cell| Cell { seed: 2, ..cell }));
    Section {
        title: "More rounds of fewer steps, on as many tokens",
        cells,
    }
}

/// Few values often, or many seldom.
fn as_dear() -> Section {
    let cells = AS_DEAR.map(|(inner_steps, rounds, kept, decay)| {
        decaying(decay, cairn(4, inner_steps, rounds, kept, 0.0))
    });
    Section {
        title: "Few values often, or many seldom, for as many bytes",
        cells: cells.into(),
    }
}

/// More rounds, and with them more tokens.
fn rounds() -> Section {
    let (r, h) = (4, STEPS);
    let mut cells = Vec::new();
    for rounds in ROUNDS {
        cells.extend([
            adamw(r, h, rounds),
            chosen(r, h, rounds),
            diloco(r, h, rounds),
        ]);
    }
    for rounds in [SHORT, 40, 80] {
        cells.extend([ours(r, h, rounds, 512), templar(r, h, rounds, 64)]);
    }
    cells.extend([chosen(r, 5, 240), chosen(r, 5, 480), adamw(r, h, 320)]);
    Section {
        title: "More rounds, more tokens",
        cells,
    }
}

/// Each method's rates.
fn rates() -> Section {
    let (r, h, rounds) = (4, STEPS, SHORT);
    let dense = || base(Method::DiLoCo, r, h, rounds);
    let mut cells = Vec::new();
    for rate in [3e-3, 6e-3] {
        cells.extend([
            inside(rate, adamw(r, h, rounds)),
            inside(rate, outside(1.0, 0.0, dense())),
            inside(rate, templar(r, h, rounds, 64)),
            inside(rate, cairn(r, h, rounds, 64, 0.0)),
        ]);
    }
    cells.extend([
        inside(1.5e-3, adamw(r, h, rounds)),
        inside(1.2e-2, chosen(r, h, rounds)),
        inside(3e-3, cairn(r, h, 40, 64, 0.0)),
        inside(3e-3, chosen(r, 5, 120)),
        inside(3e-3, chosen(r, h, 80)),
        inside(3e-3, chosen(r, h, 160)),
        outside(1.5, 0.0, chosen(r, h, 80)),
    ]);
    for (rate, momentum) in [(0.7, 0.5), (0.7, 0.9), (0.3, 0.9)] {
        cells.push(outside(rate, momentum, dense()));
    }
    for rate in [0.0, 0.4] {
        cells.push(ending(rate, chosen(r, h, 80)));
    }
    cells.push(ending(0.0, adamw(r, h, 80)));
    Section {
        title: "Learning rates, inside and outside",
        cells,
    }
}

/// Two seeds of short cells.
fn seeds() -> Section {
    let (r, h, rounds) = (4, STEPS, SHORT);
    let cells = [1, 2].into_iter().flat_map(|seed| {
        [
            cairn(r, h, rounds, 64, 0.0),
            templar(r, h, rounds, 64),
            chosen(r, h, rounds),
        ]
        .map(|cell| Cell { seed, ..cell })
    });
    Section {
        title: "How much the seed matters in short cells",
        cells: cells.collect(),
    }
}

/// ρ at every density.
fn densities() -> Section {
    let (r, h, rounds) = (4, STEPS, SHORT);
    let mut cells = Vec::new();
    for kept in DENSITIES {
        cells.extend(RHOS.map(|rho| cairn(r, h, rounds, kept, rho)));
    }
    cells.extend([0.5, 1.0].map(|rho| inside(3e-3, cairn(r, h, rounds, 64, rho))));
    cells.push(decaying(0.8, cairn(r, h, 80, 96, 0.5)));
    Section {
        title: "Density and ρ",
        cells,
    }
}

/// β.
fn feedback() -> Section {
    let mut cells = Vec::new();
    for decay in [1.0, 0.95, 0.8, 0.0] {
        for kept in [64, 512] {
            cells.push(decaying(decay, ours(4, STEPS, SHORT, kept)));
        }
    }
    cells.extend([0.95, 0.5].map(|decay| decaying(decay, chosen(4, 5, 120))));
    cells.extend([0.95, 0.8, 0.5, 0.0].map(|decay| decaying(decay, chosen(4, 1, 600))));
    cells.extend([
        decaying(0.5, ours(4, STEPS, SHORT, 64)),
        decaying(0.95, chosen(4, STEPS, SHORT)),
        decaying(0.5, chosen(4, STEPS, 40)),
        decaying(0.8, templar(4, STEPS, SHORT, 64)),
        decaying(0.8, templar(4, STEPS, 40, 64)),
        inside(3e-3, decaying(0.8, ours(4, STEPS, SHORT, 64))),
    ]);
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

/// Of density, of β, and of the outer step.
fn schedules() -> Section {
    let of = |kept| tuned(4, STEPS, SHORT, kept);
    let thinning = |from, to, rounds| Cell {
        kept_at_the_end: to,
        ..tuned(4, STEPS, rounds, from)
    };
    let forgetting = |from, to, rounds| remembering(from, to, chosen(4, STEPS, rounds));
    Section {
        title: "Schedules",
        cells: vec![
            of(96),
            thinning(48, 192, SHORT),
            thinning(192, 48, SHORT),
            thinning(48, 192, 80),
            forgetting(0.5, 0.95, SHORT),
            forgetting(0.95, 0.5, SHORT),
            Cell {
                outer_warmup: 5,
                ..of(96)
            },
            outside(0.7, 0.5, of(96)),
            outside(1.5, 0.0, of(96)),
            outside(2.0, 0.0, Cell { rho: 1.0, ..of(96) }),
            outside(0.7, 0.5, chosen(4, 5, 120)),
        ],
    }
}

/// β that goes from one value to another: how far, in how many rounds, at which density.
fn schedules_of_decay() -> Section {
    let (r, h) = (4, STEPS);
    let usual = |cell| remembering(0.5, 0.95, cell);
    let of_seed = |seed, cell: Cell| Cell { seed, ..cell };
    let mut cells = Vec::new();
    for seed in SEEDS {
        cells.push(of_seed(seed, usual(chosen(r, h, 40))));
    }
    for seed in [1, 2] {
        let both = [chosen(r, h, 80), chosen(r, 5, 120), templar(r, h, 40, 64)];
        cells.extend(both.map(|cell| of_seed(seed, usual(cell))));
        let dense = [0.0, 1.0].map(|rho| usual(cairn(r, h, 40, 512, rho)));
        cells.extend(dense.map(|cell| of_seed(seed, cell)));
        cells.push(of_seed(seed, remembering(0.5, 0.8, eighth(1, 600))));
        let devnet = devnet();
        cells.extend([usual(devnet.clone()), devnet].map(|cell| of_seed(seed, cell)));
    }
    for (from, to) in [(0.0, 0.95), (0.8, 0.95), (0.5, 0.9), (0.5, 0.99)] {
        cells.push(remembering(from, to, chosen(r, h, 40)));
    }
    for to in [0.8, 0.9, 0.95] {
        cells.push(remembering(0.5, to, chosen(r, h, 160)));
    }
    for to in [0.8, 0.95] {
        cells.push(remembering(0.5, to, chosen(r, 1, 600)));
    }
    cells.extend([32, 64, 128, 1_400].map(|kept| usual(ours(r, h, 40, kept))));
    cells.extend([
        usual(chosen(r, 30, 20)),
        remembering(0.5, 0.9, chosen(r, 5, 120)),
        remembering(0.5, 0.9, chosen(r, h, 80)),
        usual(eighth(5, 120)),
        usual(eighth(h, 80)),
        remembering(0.8, 0.95, chosen(r, h, 160)),
    ]);
    Section {
        title: "Schedules of β",
        cells,
    }
}

/// What else might close the gap at equal bytes.
fn ideas() -> Section {
    let (r, h, rounds) = (4, STEPS, SHORT);
    let fewer_windows = |windows: usize, cell: Cell| Cell {
        windows,
        inner_steps: h * 4 / windows,
        ..cell
    };
    let deducted = |cell: Cell| Cell {
        heard: Heard::Deducted,
        ..cell
    };
    let mut cells = vec![
        inside(3e-3, ahead(r, h, rounds, 64)),
        inside(3e-3, partial(r, h, rounds, AS_LONG)),
        inside(3e-3, turns(r, h, rounds, AS_LONG)),
    ];
    for seed in [1, 2] {
        let of_seed = |cell: Cell| deducted(Cell { seed, ..cell });
        cells.extend([chosen(r, h, 40), chosen(r, 5, 120)].map(of_seed));
    }
    cells.extend([chosen(r, h, 80), chosen(r, 2, 300), eighth(1, 600)].map(deducted));
    cells.push(deducted(decaying(0.95, chosen(r, h, 40))));
    for windows in [2, 1] {
        cells.push(fewer_windows(windows, chosen(r, h, rounds)));
        cells.push(fewer_windows(windows, adamw(r, h, rounds)));
    }
    Section {
        title: "Tried besides",
        cells,
    }
}

/// The same with Muon inside.
pub fn by_muon(inner_rate: f64, cell: Cell) -> Cell {
    Cell {
        inner: Inner::Muon,
        inner_rate,
        ..cell
    }
}

/// Muon inside, and codes that may keep what it gains.
fn muon() -> Section {
    let (r, h, rounds) = (4, STEPS, 40);
    let few = || remembering(0.5, 0.95, chosen(r, h, rounds));
    let cells = vec![
        adamw(r, h, rounds),
        by_muon(DENSE_RATE, adamw(r, h, rounds)),
        diloco(r, h, rounds),
        few(),
        by_muon(DENSE_RATE, few()),
    ];
    Section {
        title: "Muon inside",
        cells,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A delay is measured beside the same cell without one, and only if that is asked for.
    #[test]
    fn cells_are_chosen_by_question_or_name() {
        let of_the_question = only("Overlap");
        let late = only("delay=1");
        assert!(late.iter().all(|cell| cell.delay == 1));
        let asked = late.iter().filter(|cell| of_the_question.contains(cell));
        assert_eq!(2 * asked.clone().count(), of_the_question.len());
        for cell in asked {
            let at_once = Cell {
                delay: 0,
                ..cell.clone()
            };
            assert!(of_the_question.contains(&at_once));
        }
        assert!(!late.is_empty() && all().iter().all(|cell| cell.delay == 0));
        assert_eq!(only("The quantiser"), quantisers().cells);
        assert!(only("no such cell").is_empty());
    }

    #[test]
    fn no_cell_comes_twice() {
        let of_overlap = [only("overlap"), overlap::made_good().cells];
        let cells = [quick(), all(), nearer::cells().cells];
        for cells in cells.into_iter().chain(of_overlap) {
            let names: HashSet<String> = cells.iter().map(Cell::name).collect();
            assert_eq!(names.len(), cells.len());
        }
    }
}
