//! Curves for a terminal.

/// Rows of a curve, and the columns that it is drawn on at most.
const HEIGHT: usize = 8;
const WIDTH: usize = 64;
const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A curve of `values`, drawn in block characters: one column (or a few) per value, with `what` they are below it.
/// Empty if there are not two values that differ.
pub fn curve(values: &[f64], what: &str) -> String {
    let finite: Vec<f64> = values
        .iter()
        .copied()
        .filter(|value| value.is_finite())
        .collect();
    let (low, high) = finite
        .iter()
        .fold((f64::MAX, f64::MIN), |(low, high), value| {
            (low.min(*value), high.max(*value))
        });
    if finite.is_empty() || high <= low {
        return String::new();
    }
    let every = finite.len().div_ceil(WIDTH).max(1);
    let wide = (WIDTH / finite.len()).clamp(1, 4);
    let columns: Vec<usize> = finite
        .iter()
        .step_by(every)
        .map(|value| {
            (1.0 + (value - low) / (high - low) * (HEIGHT * 8 - 1) as f64).round() as usize
        })
        .collect();
    let mut text = String::new();
    for row in (0..HEIGHT).rev() {
        let label = match row {
            0 => format!("{low:>7.3}"),
            row if row == HEIGHT - 1 => format!("{high:>7.3}"),
            _ => " ".repeat(7),
        };
        let cells: String = columns
            .iter()
            .map(|eighths| {
                let filled = eighths.saturating_sub(row * 8).min(8);
                let cell = BLOCKS.get(filled).copied().unwrap_or('█');
                cell.to_string().repeat(wide)
            })
            .collect();
        text += format!("{label} │{cells}").trim_end();
        text.push('\n');
    }
    text + &format!(
        "{} └{}\n{}{what}\n",
        " ".repeat(7),
        "─".repeat(columns.len() * wide),
        " ".repeat(9)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_falling_loss_draws_a_falling_curve() {
        let text = curve(&[6.93, 6.0, 5.5, 5.1], "loss");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), HEIGHT + 2);
        assert_eq!(lines[0], "  6.930 │████");
        assert_eq!(lines[HEIGHT + 1].trim(), "loss");
        assert_eq!(lines[HEIGHT - 1], "  5.100 │████████████▁▁▁▁");
        assert_eq!(curve(&[], ""), "");
        assert_eq!(curve(&[1.0, f64::NAN], ""), "");
    }

    #[test]
    fn many_rounds_fit_on_a_line() {
        let losses: Vec<f64> = (0..1_000)
            .map(|round| 7.0 - f64::from(round) / 500.0)
            .collect();
        assert!(curve(&losses, "loss")
            .lines()
            .all(|line| line.chars().count() <= WIDTH + 9));
    }
}
