//! Lines through what was measured.

use frame_benchmarking::{Analysis, BenchmarkResult, BenchmarkSelector};
use serde::Serialize;

use crate::measure::{Benchmark, Results};

/// What a benchmark costs: a base and a slope for each component.
#[derive(Serialize)]
pub struct Fit {
    /// The benchmark.
    pub name: String,
    /// What it costs at size zero.
    pub base: Cost,
    /// What it costs more with each component.
    pub components: Vec<Slope>,
    /// The shortest run, in picoseconds.
    pub fastest: u64,
    /// The median time at the largest sizes, in picoseconds.
    pub at_largest: u64,
}

/// Costs.
#[derive(Default, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Picoseconds of computation, the reads from an in-memory trie included.
    pub time: u64,
    /// Storage items that are read.
    pub reads: u64,
    /// Storage items that are written.
    pub writes: u64,
    /// Bytes of proof.
    pub proof: u64,
}

/// The costs of one more unit of a component.
#[derive(Serialize)]
pub struct Slope {
    /// Its letter.
    pub name: String,
    /// The smallest size that was measured.
    pub lowest: u32,
    /// The largest.
    pub highest: u32,
    /// What a unit costs.
    pub cost: Cost,
    /// Whether it costs anything.
    pub matters: bool,
}

/// The lines of least squares through the middle half of each size's measurements.
pub fn through(benchmark: &Benchmark, results: &Results) -> Result<Fit, String> {
    use BenchmarkSelector::{ExtrinsicTime, ProofSize, Reads, Writes};
    let line = |results: &Vec<BenchmarkResult>, what| {
        Analysis::min_squares_iqr(results, what)
            .map_err(|error| format!("{}: {error}", benchmark.name))
    };
    let time = line(&results.times, ExtrinsicTime)?;
    let reads = line(&results.storage, Reads)?;
    let writes = line(&results.storage, Writes)?;
    let proof = line(&results.storage, ProofSize)?;
    let slope = |index: usize| {
        let of = |line: &Analysis| line.slopes.get(index).copied().map_or(0, narrow);
        Cost {
            time: of(&time),
            reads: of(&reads),
            writes: of(&writes),
            proof: of(&proof),
        }
    };
    let components = benchmark
        .components
        .iter()
        .enumerate()
        .map(|(index, component)| {
            let cost = slope(index);
            Slope {
                name: component.letter.to_string(),
                lowest: component.lowest,
                highest: component.highest,
                matters: cost != Cost::default(),
                cost,
            }
        });
    Ok(Fit {
        name: benchmark.name.clone(),
        components: components.collect(),
        base: Cost {
            time: narrow(time.base),
            reads: narrow(reads.base),
            writes: narrow(writes.base),
            proof: narrow(proof.base),
        },
        fastest: narrow(time.minimum * 1_000),
        at_largest: at_largest(&results.times),
    })
}

/// A weight's number: FRAME fits in 128 bits.
fn narrow(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// The median time of the runs with the largest sizes.
fn at_largest(times: &[BenchmarkResult]) -> u64 {
    let size = |result: &BenchmarkResult| {
        result
            .components
            .iter()
            .map(|c| u64::from(c.1))
            .sum::<u64>()
    };
    let largest = times.iter().map(size).max().unwrap_or(0);
    let mut found: Vec<u128> = times
        .iter()
        .filter(|result| size(result) == largest)
        .map(|result| result.extrinsic_time)
        .collect();
    found.sort_unstable();
    narrow(found.get(found.len() / 2).copied().unwrap_or(0) * 1_000)
}

impl Fit {
    /// One line for people.
    pub fn summary(&self) -> String {
        let micro = |picoseconds: u64| picoseconds as f64 / 1e6;
        let mut line = format!(
            "{:<24} {:>10.1} us {:>4} r {:>4} w",
            self.name,
            micro(self.base.time),
            self.base.reads,
            self.base.writes
        );
        for Slope { name, cost, .. } in &self.components {
            let (reads, writes) = (cost.reads, cost.writes);
            line += &format!(
                "  +{name}·({:.2} us {reads} r {writes} w)",
                micro(cost.time)
            );
        }
        line + &format!("  largest {:.1} us", micro(self.at_largest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Component;
    use frame_benchmarking::BenchmarkParameter::n;

    /// A benchmark of 7 µs, 2 reads and, for each n, 3 µs and a write.
    fn results() -> Results {
        let at = |size: u32| BenchmarkResult {
            components: vec![(n, size)],
            extrinsic_time: u128::from(7_000 + 3_000 * size),
            reads: 2,
            writes: size,
            ..BenchmarkResult::default()
        };
        let all: Vec<_> = (0..5).map(at).collect();
        Results {
            times: all.clone(),
            storage: all,
        }
    }

    #[test]
    fn a_line_comes_out_as_it_went_in() {
        let component = Component {
            letter: n,
            lowest: 0,
            highest: 4,
        };
        let benchmark = Benchmark {
            name: "it".into(),
            components: vec![component],
        };
        let fit = through(&benchmark, &results()).unwrap();
        assert_eq!(
            (fit.base.time, fit.base.reads, fit.base.writes),
            (7_000_000, 2, 0)
        );
        let slope = &fit.components[0];
        assert_eq!(
            (slope.cost.time, slope.cost.reads, slope.cost.writes),
            (3_000_000, 0, 1)
        );
        assert_eq!((fit.fastest, fit.at_largest), (7_000_000, 19_000_000));
    }
}
