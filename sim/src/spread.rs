//! A figure over several seeds.

/// Its mean, and how far it went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
}

impl Spread {
    /// Of these figures; `None` if there are none.
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let figures: Vec<f64> = figures.into_iter().collect();
        let first = *figures.first()?;
        let sum: f64 = figures.iter().sum();
        Some(Spread {
            mean: sum / figures.len() as f64,
            least: figures.iter().fold(first, |least, one| least.min(*one)),
            most: figures.iter().fold(first, |most, one| most.max(*one)),
        })
    }

    /// The mean and, where they differ as text, the least and the most.
    pub fn text(&self, text: impl Fn(f64) -> String) -> String {
        let [mean, least, most] = [self.mean, self.least, self.most].map(text);
        match least == most {
            true => mean,
            false => format!("{mean} ({least} to {most})"),
        }
    }
}

/// A share, in percent.
pub fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_has_its_mean_and_its_range() {
        let spread = Spread::of([0.25, 0.75, 0.5]).expect("three figures");
        assert_eq!((spread.mean, spread.least, spread.most), (0.5, 0.25, 0.75));
        assert_eq!(spread.text(percent), "50.0 % (25.0 % to 75.0 %)");
        let one = Spread::of([0.5, 0.5001]).expect("two figures");
        assert_eq!(one.text(percent), "50.0 %");
        assert_eq!(Spread::of([]), None);
    }
}
