//! The log-probabilities of tokens, in `f64`, summed in the order of the vocabulary: the same on every machine.

/// What log-probabilities are logits less: ln Σ eˣ.
#[derive(Clone, Copy, Debug)]
pub struct Scores<'a> {
    logits: &'a [f32],
    total: f64,
}

impl<'a> Scores<'a> {
    /// Those of a row of logits.
    pub fn of(logits: &'a [f32]) -> Scores<'a> {
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let largest = f64::from(largest);
        let powers = logits.iter().map(|x| libm::exp(f64::from(*x) - largest));
        let total = largest + libm::log(powers.sum());
        Scores { logits, total }
    }

    /// The natural logarithm of a token's probability; `None` if there is no such token.
    pub fn of_token(&self, token: u32) -> Option<f64> {
        let logit = self.logits.get(usize::try_from(token).ok()?)?;
        Some(f64::from(*logit) - self.total)
    }

    /// The `count` likeliest tokens, the likeliest first; of equal ones the lower number.
    pub fn likeliest(&self, count: usize) -> Vec<(u32, f64)> {
        let mut tokens: Vec<u32> = (0u32..).take(self.logits.len()).collect();
        let count = count.min(tokens.len());
        if count == 0 {
            return Vec::new();
        }
        let logit = |token: &u32| self.logits.get(*token as usize).copied();
        let order = |a: &u32, b: &u32| {
            let by_logit = logit(b).partial_cmp(&logit(a));
            by_logit.unwrap_or(std::cmp::Ordering::Equal).then(a.cmp(b))
        };
        tokens.select_nth_unstable_by(count - 1, order);
        tokens.truncate(count);
        tokens.sort_unstable_by(order);
        let scored = tokens.into_iter();
        scored
            .filter_map(|token| Some((token, self.of_token(token)?)))
            .collect()
    }
}

/// The token with the largest logit; of several the lowest number. `None` for an empty row.
pub fn largest(logits: &[f32]) -> Option<u32> {
    let mut found: Option<(u32, f32)> = None;
    for (token, logit) in (0u32..).zip(logits) {
        if found.is_none_or(|(_, largest)| *logit > largest) {
            found = Some((token, *logit));
        }
    }
    found.map(|(token, _)| token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_add_up_to_one_and_do_not_overflow() {
        let logits = [900.0, 901.0, -900.0, 899.5];
        let scores = Scores::of(&logits);
        let each = (0..4).map(|token| scores.of_token(token).unwrap().exp());
        assert!((each.sum::<f64>() - 1.0).abs() < 1e-12);
        // ln 1/(1 + e^-1 + e^-1.5) by hand.
        let expected = -(1.0 + (-1f64).exp() + (-1.5f64).exp()).ln();
        assert!((scores.of_token(1).unwrap() - expected).abs() < 1e-12);
        assert_eq!(scores.of_token(4), None);
    }

    #[test]
    fn the_likeliest_come_first_and_of_equal_ones_the_lower() {
        let logits = [1.0, 3.0, 3.0, -2.0, 2.0];
        let scores = Scores::of(&logits);
        let tokens = |count| {
            let likeliest = scores.likeliest(count).into_iter();
            likeliest.map(|(token, _)| token).collect::<Vec<_>>()
        };
        assert_eq!(tokens(3), [1, 2, 4]);
        assert_eq!(tokens(9), [1, 2, 4, 0, 3]);
        assert!(tokens(0).is_empty());
        assert_eq!((largest(&logits), largest(&[])), (Some(1), None));
    }
}
