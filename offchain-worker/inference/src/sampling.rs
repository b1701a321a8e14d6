//! How a token is chosen.

use std::cmp::Ordering;

use crate::{scores::largest, InferenceError};

/// What the generator's key is derived from; another text would choose other tokens.
const CONTEXT: &str = "cairn-inference sampling, version 1";

/// How a token is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// What logits are divided by; at 0 the likeliest token is chosen.
    pub temperature: f64,
    /// Only so many of the likeliest tokens can be chosen; 0: all.
    pub top_k: usize,
    /// Only the fewest likeliest tokens that together have this probability can be chosen (Holtzman et al. 2020,
    /// arXiv 1904.09751); 1: all.
    pub top_p: f64,
    /// The same seed chooses the same tokens for the same logits.
    pub seed: u64,
}

impl Sampling {
    /// Always the likeliest token.
    pub const GREEDY: Sampling = Sampling {
        temperature: 0.0,
        top_k: 0,
        top_p: 1.0,
        seed: 0,
    };

    /// Whether the settings have a meaning.
    ///
    /// # Errors
    ///
    /// [`InferenceError::Sampling`] names the first that has none.
    pub fn check(&self) -> Result<(), InferenceError> {
        let wrong = |setting, found: f64, expected| {
            let found = found.to_string();
            Err(InferenceError::Sampling {
                setting,
                found,
                expected,
            })
        };
        if !(0.0..=100.0).contains(&self.temperature) {
            return wrong("temperature", self.temperature, "between 0 and 100");
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return wrong("top_p", self.top_p, "above 0 and at most 1");
        }
        Ok(())
    }
}

/// Chooses tokens, one after the other.
pub struct Sampler {
    sampling: Sampling,
    stream: blake3::OutputReader,
}

impl Sampler {
    /// One that begins where its seed says.
    ///
    /// # Errors
    ///
    /// As [`Sampling::check`].
    pub fn new(sampling: Sampling) -> Result<Sampler, InferenceError> {
        sampling.check()?;
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(&sampling.seed.to_le_bytes());
        Ok(Sampler {
            sampling,
            stream: hasher.finalize_xof(),
        })
    }

    /// Chooses a token by its logits.
    ///
    /// # Errors
    ///
    /// [`InferenceError::NotFinite`] if a logit is no finite number, or if there are none.
    pub fn choose(&mut self, logits: &[f32]) -> Result<u32, InferenceError> {
        if logits.iter().any(|x| !x.is_finite()) {
            return Err(InferenceError::NotFinite);
        }
        let likeliest = largest(logits).ok_or(InferenceError::NotFinite)?;
        if self.sampling.temperature == 0.0 {
            return Ok(likeliest);
        }
        let candidates = self.candidates(logits);
        let total: f64 = candidates.iter().map(|(_, weight)| weight).sum();
        let aim = self.draw() * total;
        let mut reached = 0.0;
        for (token, weight) in &candidates {
            reached += weight;
            if reached > aim {
                return Ok(*token);
            }
        }
        // Rounding may leave the aim a hair beyond the sum.
        Ok(candidates.last().map_or(likeliest, |(token, _)| *token))
    }

    /// The tokens that can be chosen, with weights in proportion to their probabilities.
    fn candidates(&self, logits: &[f32]) -> Vec<(u32, f64)> {
        let Sampling {
            temperature,
            top_k,
            top_p,
            ..
        } = self.sampling;
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weight = |x: f32| libm::exp((f64::from(x) - f64::from(largest)) / temperature);
        let mut tokens: Vec<(u32, f32)> = (0u32..).zip(logits.iter().copied()).collect();
        let order = |a: &(u32, f32), b: &(u32, f32)| {
            let by_logit = b.1.partial_cmp(&a.1);
            by_logit.unwrap_or(Ordering::Equal).then(a.0.cmp(&b.0))
        };
        if 0 < top_k && top_k < tokens.len() {
            tokens.select_nth_unstable_by(top_k - 1, order);
            tokens.truncate(top_k);
        }
        if top_p < 1.0 {
            tokens.sort_unstable_by(order);
        } else {
            tokens.sort_unstable_by_key(|(token, _)| *token);
        }
        let weighed = tokens.into_iter().map(|(token, x)| (token, weight(x)));
        let mut weighed: Vec<(u32, f64)> = weighed.collect();
        if top_p < 1.0 {
            let enough = top_p * weighed.iter().map(|(_, weight)| weight).sum::<f64>();
            let mut reached = 0.0;
            let kept = weighed.iter().take_while(|(_, weight)| {
                let wanted = reached < enough;
                reached += weight;
                wanted
            });
            let kept = kept.count();
            weighed.truncate(kept.max(1));
        }
        weighed
    }

    /// A number in 0..1 of 53 bits.
    fn draw(&mut self) -> f64 {
        let mut bytes = [0u8; 8];
        self.stream.fill(&mut bytes);
        (u64::from_le_bytes(bytes) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often each of four tokens is chosen in 20,000 draws.
    fn counts(sampling: Sampling) -> [f64; 4] {
        let logits = [0.1f32, 0.2, 0.3, 0.4].map(|p| p.ln());
        let mut sampler = Sampler::new(sampling).unwrap();
        let mut counts = [0.0; 4];
        for _ in 0..20_000 {
            counts[sampler.choose(&logits).unwrap() as usize] += 1.0;
        }
        counts
    }

    fn warm(temperature: f64, top_k: usize, top_p: f64) -> Sampling {
        Sampling {
            temperature,
            top_k,
            top_p,
            seed: 7,
        }
    }

    /// Asserts that Pearson's χ² is what chance makes of it in all but one of a thousand cases.
    fn assert_like(counts: [f64; 4], probabilities: [f64; 4]) {
        let mut chi2 = 0.0;
        for (count, p) in counts.iter().zip(probabilities) {
            let expected = 20_000.0 * p;
            if p == 0.0 {
                assert_eq!(*count, 0.0, "{counts:?}");
            } else {
                chi2 += (count - expected) * (count - expected) / expected;
            }
        }
        assert!(chi2 < 16.27, "{counts:?}: {chi2}");
    }

    #[test]
    fn tokens_are_chosen_as_often_as_they_are_likely() {
        assert_like(counts(warm(1.0, 0, 1.0)), [0.1, 0.2, 0.3, 0.4]);
        // At temperature ½ probabilities are squared: 1, 4, 9, 16 of 30.
        let squared = [1.0, 4.0, 9.0, 16.0].map(|x| x / 30.0);
        assert_like(counts(warm(0.5, 0, 1.0)), squared);
    }

    #[test]
    fn only_the_likeliest_are_chosen_if_so_asked() {
        let two = [0.0, 0.0, 3.0 / 7.0, 4.0 / 7.0];
        assert_like(counts(warm(1.0, 2, 1.0)), two);
        // 0.4 is not enough for 0.5, with 0.3 it is.
        assert_like(counts(warm(1.0, 0, 0.5)), two);
        assert_like(counts(warm(1.0, 3, 0.3)), [0.0, 0.0, 0.0, 1.0]);
        assert_like(counts(warm(1.0, 4, 1.0)), [0.1, 0.2, 0.3, 0.4]);
    }

    #[test]
    fn a_seed_chooses_the_same_tokens_again() {
        let chosen = |seed| {
            let sampling = Sampling {
                seed,
                ..warm(1.0, 0, 0.99)
            };
            let mut sampler = Sampler::new(sampling).unwrap();
            let logits = [0.3f32, 0.2, 0.1, 0.0];
            let choose = || sampler.choose(&logits).unwrap();
            std::iter::repeat_with(choose).take(24).collect::<Vec<_>>()
        };
        assert_eq!(chosen(1), chosen(1));
        assert_ne!(chosen(1), chosen(2));
        // Golden: who repeats a text years later gets it again.
        assert_eq!(chosen(42), GOLDEN);
    }

    const GOLDEN: [u32; 24] = [
        2, 0, 2, 2, 2, 0, 0, 1, 0, 1, 2, 0, 3, 0, 2, 0, 2, 0, 2, 0, 1, 2, 0, 0,
    ];

    #[test]
    fn at_temperature_zero_the_first_of_the_likeliest_is_chosen() {
        let mut sampler = Sampler::new(Sampling::GREEDY).unwrap();
        assert_eq!(sampler.choose(&[1.0, 5.0, 5.0]).unwrap(), 1);
    }

    #[test]
    fn what_has_no_meaning_is_refused() {
        for (sampling, named) in [
            (warm(-1.0, 0, 1.0), "temperature"),
            (warm(f64::NAN, 0, 1.0), "temperature"),
            (warm(f64::INFINITY, 0, 1.0), "temperature"),
            (warm(1.0, 0, 0.0), "top_p"),
            (warm(1.0, 0, 1.1), "top_p"),
            (warm(1.0, 0, f64::NAN), "top_p"),
        ] {
            let error = Sampler::new(sampling).err().unwrap();
            assert!(error.to_string().starts_with(named), "{error}");
        }
        let mut sampler = Sampler::new(warm(1.0, 0, 1.0)).unwrap();
        for logits in [&[0.0, f32::NAN][..], &[f32::INFINITY], &[]] {
            let error = sampler.choose(logits).unwrap_err();
            assert!(matches!(error, InferenceError::NotFinite));
        }
    }
}
