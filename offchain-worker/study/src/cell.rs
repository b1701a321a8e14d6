//! What is compared.

use serde::{Deserialize, Serialize};

/// How workers tell each other what they learned.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// One AdamW on the mean gradient of all workers, in every step.
    AdamW,
    /// The mean of dense pseudo-gradients, Nesterov outside (arXiv 2311.08105).
    DiLoCo,
    /// SparseLoCo as Templar's release 2.1 has it: one quantiser of four bins per tensor, 14 bits per value,
    /// norms clipped to their median, mean over senders.
    Templar,
    /// Ours: two levels per block, and ρ.
    Cairn,
}

/// One cell: a method and its settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    pub method: Method,
    /// R.
    pub workers: usize,
    /// H.
    pub inner_steps: usize,
    pub rounds: usize,
    /// Values sent of each block of 4,096.
    pub kept_per_block: u16,
    /// ρ of the outer step.
    pub rho: f64,
    /// β of the error feedback.
    pub error_decay: f64,
    pub inner_rate: f64,
    pub outer_rate: f64,
    /// Nesterov momentum outside.
    pub momentum: f64,
    /// Rounds in which the outer rate rises linearly to its value.
    pub outer_warmup: usize,
    pub seed: u64,
}

impl Cell {
    /// What tells it from other cells.
    pub fn name(&self) -> String {
        let Cell {
            method,
            workers,
            inner_steps,
            rounds,
            kept_per_block,
            rho,
            error_decay,
            inner_rate,
            outer_rate,
            momentum,
            outer_warmup,
            seed,
        } = self;
        format!(
            "{method:?} R={workers} H={inner_steps} rounds={rounds} kept={kept_per_block} rho={rho} beta={error_decay} \
             inner={inner_rate} outer={outer_rate} momentum={momentum} warmup={outer_warmup} seed={seed}"
        )
        .to_lowercase()
    }
}

/// Cells of one way to communicate, for both sizes of the study.
fn base(method: Method, workers: usize, inner_steps: usize, rounds: usize) -> Cell {
    Cell {
        method,
        workers,
        inner_steps,
        rounds,
        kept_per_block: 64,
        rho: 1.0,
        error_decay: 0.95,
        inner_rate: 3e-3,
        outer_rate: 1.0,
        momentum: 0.0,
        outer_warmup: 0,
        seed: 1,
    }
}

/// AdamW, DiLoCo, Templar at its density, and ours at several densities, β and ρ.
fn methods(workers: usize, inner_steps: usize, rounds: usize, densities: &[u16]) -> Vec<Cell> {
    let base = |method| base(method, workers, inner_steps, rounds);
    let mut cells = vec![base(Method::AdamW)];
    cells.extend([0.3, 0.5, 0.7].map(|outer_rate| Cell {
        outer_rate,
        momentum: 0.9,
        ..base(Method::DiLoCo)
    }));
    cells.push(Cell {
        outer_rate: 1.0,
        ..base(Method::DiLoCo)
    });
    for kept_per_block in densities {
        let kept_per_block = *kept_per_block;
        cells.push(Cell {
            kept_per_block,
            rho: 0.0,
            ..base(Method::Templar)
        });
        for rho in [0.0, 0.5, 1.0] {
            for error_decay in [0.9, 0.95, 1.0] {
                cells.push(Cell {
                    kept_per_block,
                    rho,
                    error_decay,
                    ..base(Method::Cairn)
                });
            }
        }
    }
    cells
}

/// All cells, the most telling first.
pub fn grid(quick: bool) -> Vec<Cell> {
    if quick {
        let templar = Cell {
            rho: 0.0,
            ..base(Method::Templar, 4, 5, 20)
        };
        let ours = |kept_per_block, rho| Cell {
            kept_per_block,
            rho,
            ..base(Method::Cairn, 4, 5, 20)
        };
        return vec![
            base(Method::AdamW, 4, 5, 20),
            base(Method::DiLoCo, 4, 5, 20),
            templar,
            ours(64, 0.0),
            ours(64, 1.0),
            ours(512, 1.0),
        ];
    }
    let densities = [32, 64, 128, 512];
    let mut cells = Vec::new();
    for (inner_steps, rounds) in [(15, 40), (15, 160), (5, 120), (5, 480), (30, 20), (30, 80)] {
        for workers in [4, 8] {
            cells.extend(methods(workers, inner_steps, rounds, &densities));
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_cell_comes_twice() {
        for quick in [true, false] {
            let cells = grid(quick);
            let names: HashSet<String> = cells.iter().map(Cell::name).collect();
            assert_eq!(names.len(), cells.len());
        }
    }
}
