//! Rust of what was measured.

use std::path::{Path, PathBuf};

use minijinja::{context, syntax::SyntaxConfig, value::Serde, Environment};

use crate::{fit::Fit, measure::Settings};

const TEMPLATE: &str = include_str!("../weights.rs.jinja");

/// Writes the `weights.rs` of a pallet in its crate, and says where that is.
pub fn weights(
    checkout: &Path,
    pallet: &str,
    fits: &[Fit],
    settings: Settings,
) -> Result<PathBuf, String> {
    let directory = pallet.trim_start_matches("pallet_");
    let path = checkout
        .join("pallets")
        .join(directory)
        .join("src/weights.rs");
    let text =
        render(pallet, fits, settings).map_err(|error| format!("the template: {error:#}"))?;
    std::fs::write(&path, text)
        .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    Ok(path)
}

fn render(pallet: &str, fits: &[Fit], settings: Settings) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .keep_trailing_newline(true)
            .build()?,
    );
    environment.add_filter("underscored", underscored);
    environment.add_template("weights", TEMPLATE)?;
    environment.get_template("weights")?.render(context! {
        pallet,
        benchmarks => Serde(fits),
        steps => settings.steps,
        repeat => settings.repeat,
        processor => processor(),
    })
}

/// A number as Rust writes it: `1_234_567`.
fn underscored(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .filter_map(|group| std::str::from_utf8(group).ok())
        .collect();
    groups.join("_")
}

/// What the processor calls itself.
fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let name = model.and_then(|rest| rest.split(':').nth(1));
    name.map_or("an unknown processor".into(), |name| name.trim().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::{Cost, Slope};

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(underscored(7), "7");
        assert_eq!(underscored(123_456), "123_456");
        assert_eq!(underscored(1_234_567), "1_234_567");
    }

    #[test]
    fn a_component_that_costs_nothing_is_taken_and_left_alone() {
        let slope = |name: &str, cost: Cost| Slope {
            name: name.into(),
            lowest: 0,
            highest: 9,
            matters: cost != Cost::default(),
            cost,
        };
        let fit = Fit {
            name: "call".into(),
            base: Cost {
                time: 1_000,
                reads: 2,
                writes: 1,
                proof: 0,
            },
            components: vec![
                slope("a", Cost::default()),
                slope(
                    "b",
                    Cost {
                        reads: 3,
                        ..Cost::default()
                    },
                ),
            ],
            fastest: 900,
            at_largest: 1_000,
        };
        let settings = Settings {
            steps: 2,
            repeat: 1,
        };
        let text = render("pallet_it", &[fit], settings).unwrap();
        assert!(
            text.contains("fn call(_a: u32, b: u32, ) -> Weight {"),
            "{text}"
        );
        assert!(
            text.contains("reads_writes(3, 0).saturating_mul(b.into())"),
            "{text}"
        );
        assert!(!text.contains("a.into()"), "{text}");
    }
}
