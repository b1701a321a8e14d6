//! All randomness of a simulation: one seed, forked by name, so that asking for one number more in one place changes
//! nothing elsewhere.

/// A generator (xoshiro256**), seeded by BLAKE3 of the path of names that led to it.
#[derive(Clone, Debug)]
pub struct Rng {
    key: [u8; 32],
    state: [u64; 4],
}

impl Rng {
    /// The generator of a seed.
    pub fn new(seed: u64) -> Rng {
        Rng::from_key(*blake3::hash(&seed.to_le_bytes()).as_bytes())
    }

    fn from_key(key: [u8; 32]) -> Rng {
        let mut state = [0u64; 4];
        for (word, bytes) in state.iter_mut().zip(key.chunks_exact(8)) {
            *word = bytes
                .iter()
                .rev()
                .fold(0, |word, byte| (word << 8) | u64::from(*byte));
        }
        // All zeros is the one state that stays.
        state[0] |= 1;
        Rng { key, state }
    }

    /// Another generator. The same name gives the same one, however many numbers were drawn here.
    pub fn fork(&self, name: &str) -> Rng {
        Rng::from_key(*blake3::keyed_hash(&self.key, name.as_bytes()).as_bytes())
    }

    /// The generator of a number under a name.
    pub fn fork_at(&self, name: &str, number: u64) -> Rng {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher
            .update(name.as_bytes())
            .update(&[0])
            .update(&number.to_le_bytes());
        Rng::from_key(*hasher.finalize().as_bytes())
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        result
    }

    /// A number below `end`; 0 if `end` is.
    pub fn below(&mut self, end: u64) -> u64 {
        (((u128::from(self.bits())) * u128::from(end)) >> 64) as u64
    }

    /// A number from `first` to `last`, both included.
    pub fn within(&mut self, first: u64, last: u64) -> u64 {
        first.saturating_add(self.below(last.saturating_sub(first).saturating_add(1)))
    }

    /// A number in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Whether something of this probability happens.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// About a normal number of mean 0 and deviation 1: the sum of twelve uniform ones, which needs no logarithm and so
    /// has the same bits everywhere.
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }

    /// 32 random bytes.
    pub fn secret(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for part in bytes.chunks_exact_mut(8) {
            part.copy_from_slice(&self.bits().to_le_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_does_not_depend_on_what_was_drawn() {
        let (mut one, other) = (Rng::new(7), Rng::new(7));
        one.bits();
        assert_eq!(one.fork("a").bits(), other.fork("a").bits());
        assert_ne!(one.fork("a").bits(), other.fork("b").bits());
        assert_ne!(one.fork_at("a", 1).bits(), other.fork_at("a", 2).bits());
    }

    #[test]
    fn a_seed_is_a_sequence_and_numbers_are_within_their_limits() {
        let mut rng = Rng::new(1);
        let first = rng.bits();
        assert_eq!(Rng::new(1).bits(), first);
        assert_ne!(Rng::new(2).bits(), first);
        for end in 1..100 {
            assert!(rng.below(end) < end);
            assert!((3..=3 + end).contains(&rng.within(3, 3 + end)));
            assert!((0.0..1.0).contains(&rng.unit()));
        }
        assert_eq!(rng.below(0), 0);
        let mean = (0..4_000).map(|_| rng.normal()).sum::<f64>() / 4_000.0;
        assert!(mean.abs() < 0.1, "{mean}");
    }
}
