//! Runs a benchmark at its sizes.

use crate::machine::{For, Machine};
use frame_benchmarking::{
    BenchmarkBatch, BenchmarkConfig, BenchmarkList, BenchmarkParameter, BenchmarkResult,
};

/// How thoroughly to measure.
#[derive(Clone, Copy)]
pub struct Settings {
    /// Sizes for each component.
    pub steps: u32,
    /// Runs at each size.
    pub repeat: u32,
}

/// A pallet that has benchmarks.
pub struct Pallet {
    /// Its name as a crate.
    pub name: String,
    /// Its name in the runtime.
    instance: Vec<u8>,
    /// Its benchmarks.
    pub benchmarks: Vec<Benchmark>,
}

/// A benchmark.
pub struct Benchmark {
    /// Its name: that of the function of the weights.
    pub name: String,
    /// What its cost grows with.
    pub components: Vec<Component>,
}

/// Something that a benchmark's cost grows with.
pub struct Component {
    /// Its letter.
    pub letter: BenchmarkParameter,
    /// The smallest size.
    pub lowest: u32,
    /// The largest.
    pub highest: u32,
}

/// What was measured of a benchmark.
pub struct Results {
    /// Times.
    pub times: Vec<BenchmarkResult>,
    /// Reads, writes and sizes of proofs: one for each size.
    pub storage: Vec<BenchmarkResult>,
}

/// A size of each component.
type Point = Vec<(BenchmarkParameter, u32)>;

/// What there is to measure.
pub fn list(machine: &Machine) -> Result<Vec<Pallet>, String> {
    let extra = false;
    // The answer goes on with what is known of the storage, which is not needed.
    let lists: Vec<BenchmarkList> =
        machine.call(For::Time, "Benchmark_benchmark_metadata", extra)?;
    lists.into_iter().map(pallet).collect()
}

fn pallet(list: BenchmarkList) -> Result<Pallet, String> {
    let text = |bytes| String::from_utf8(bytes).map_err(|error| error.to_string());
    let benchmarks = list.benchmarks.into_iter().map(|found| {
        let component = |(letter, lowest, highest)| Component {
            letter,
            lowest,
            highest,
        };
        Ok(Benchmark {
            name: text(found.name)?,
            components: found.components.into_iter().map(component).collect(),
        })
    });
    Ok(Pallet {
        benchmarks: benchmarks.collect::<Result<_, String>>()?,
        name: text(list.pallet)?,
        instance: list.instance,
    })
}

/// The points at which a benchmark is measured: along each component, with the others at their highest.
fn points(components: &[Component], steps: u32) -> Vec<Point> {
    let mut points: Vec<Point> = Vec::new();
    for varied in components {
        let width = u64::from(varied.highest.saturating_sub(varied.lowest));
        for step in 0..steps {
            let along = width * u64::from(step) / u64::from(steps - 1);
            let size = varied.lowest + along as u32;
            let at = |c: &Component| match c.letter == varied.letter {
                true => (c.letter, size),
                false => (c.letter, c.highest),
            };
            let point: Point = components.iter().map(at).collect();
            if !points.contains(&point) {
                points.push(point);
            }
        }
    }
    if points.is_empty() {
        points.push(Point::new());
    }
    points
}

/// Measures a benchmark. At each point it is first run with its own checks of what it did.
pub fn run(
    machine: &Machine,
    pallet: &Pallet,
    benchmark: &Benchmark,
    settings: Settings,
) -> Result<Results, String> {
    let mut results = Results {
        times: Vec::new(),
        storage: Vec::new(),
    };
    for point in points(&benchmark.components, settings.steps) {
        let once = |purpose, verify, internal_repeats| {
            let config = BenchmarkConfig {
                pallet: pallet.name.clone().into_bytes(),
                instance: pallet.instance.clone(),
                benchmark: benchmark.name.clone().into_bytes(),
                selected_components: point.clone(),
                verify,
                internal_repeats,
            };
            dispatch(machine, purpose, config)
        };
        once(For::Time, true, 1)?;
        results.storage.extend(once(For::Storage, false, 1)?);
        results
            .times
            .extend(once(For::Time, false, settings.repeat)?);
    }
    if results.times.is_empty() {
        return Err(format!("{}::{} was skipped", pallet.name, benchmark.name));
    }
    Ok(results)
}

fn dispatch(
    machine: &Machine,
    purpose: For,
    config: BenchmarkConfig,
) -> Result<Vec<BenchmarkResult>, String> {
    let name = String::from_utf8_lossy(&config.benchmark).into_owned();
    let during = |error| format!("{name}: {error}");
    let answer: Result<Vec<BenchmarkBatch>, String> = machine
        .call(purpose, "Benchmark_dispatch_benchmark", &config)
        .map_err(during)?;
    let batches = answer.map_err(during)?;
    Ok(batches
        .into_iter()
        .flat_map(|batch| batch.results)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use frame_benchmarking::BenchmarkParameter::{a, b};

    #[test]
    fn each_component_is_varied_with_the_others_at_their_highest() {
        let of = |letter, highest| Component {
            letter,
            lowest: 1,
            highest,
        };
        let points = points(&[of(a, 3), of(b, 9)], 2);
        let seen = [
            vec![(a, 1), (b, 9)],
            vec![(a, 3), (b, 9)],
            vec![(a, 3), (b, 1)],
        ];
        assert_eq!(points, seen);
    }

    #[test]
    fn without_components_there_is_one_point() {
        assert_eq!(points(&[], 5), [Point::new()]);
    }
}
