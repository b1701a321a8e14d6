//! How far each contribution to an outer step is trusted.

use cairn_primitives::Uid;

use super::OuterStepError;

/// No sum of trust reaches this: `f32` holds all integers up to here. 256 contributions of any trust are below.
const LIMIT: u64 = 1 << 24;

/// The trust of each contribution over the greatest common divisor of all: only what they are to each other counts, and
/// equal trusts are 1 each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trust {
    each: Vec<u16>,
    sum: u32,
}

impl Trust {
    /// Of contributions in ascending order of uid.
    pub(crate) fn new(trusts: impl Iterator<Item = (Uid, u16)>) -> Result<Trust, OuterStepError> {
        let mut each = Vec::with_capacity(trusts.size_hint().0);
        for (uid, trust) in trusts {
            if trust == 0 {
                return Err(OuterStepError::NoTrust { uid });
            }
            each.push(trust);
        }
        let divisor = each.iter().copied().fold(0, common_divisor).max(1);
        each.iter_mut().for_each(|trust| *trust /= divisor);
        let sum = each.iter().copied().map(u64::from).sum::<u64>();
        let narrow = u32::try_from(sum).ok().filter(|_| sum < LIMIT);
        let sum = narrow.ok_or(OuterStepError::TooMuchTrust { sum })?;
        Ok(Trust { each, sum })
    }

    /// t of each.
    pub(crate) fn each(&self) -> &[u16] {
        &self.each
    }

    /// T, what they are together.
    pub(crate) fn sum(&self) -> u32 {
        self.sum
    }

    /// The least norm such that those up to it have half of the trust; 0 of none. Of equal trusts it is the one in the
    /// middle, or the lower of two.
    pub(crate) fn lower_median(&self, norms: &[f64]) -> f64 {
        let mut ascending: Vec<(f64, u16)> = norms
            .iter()
            .copied()
            .zip(self.each.iter().copied())
            .collect();
        ascending.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut up_to = 0u64;
        for (norm, trust) in ascending {
            up_to += u64::from(trust);
            if 2 * up_to >= u64::from(self.sum) {
                return norm;
            }
        }
        0.0
    }
}

/// The greatest common divisor, by Euclid.
fn common_divisor(a: u16, b: u16) -> u16 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn trust(trusts: &[u16]) -> Result<Trust, OuterStepError> {
        Trust::new((0..).map(Uid).zip(trusts.iter().copied()))
    }

    fn median(norms: &[f64], trusts: &[u16]) -> f64 {
        trust(trusts).expect("trusted").lower_median(norms)
    }

    #[test]
    fn the_lower_median_of_even_and_odd_numbers() {
        assert_eq!(median(&[3.0, 1.0, 2.0], &[5; 3]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0], &[5; 4]), 2.0);
        assert_eq!(median(&[5.0, 4.0], &[1; 2]), 4.0);
        assert_eq!(median(&[7.0], &[9]), 7.0);
        assert_eq!(median(&[], &[]), 0.0);
    }

    #[test]
    fn half_of_the_trust_makes_the_median_however_many_seats_have_the_rest() {
        // five of eight seats with a tenth of the trust
        let norms = [0.1, 0.1, 0.1, 0.1, 0.1, 4.0, 5.0, 6.0];
        assert_eq!(median(&norms, &[2, 2, 2, 2, 2, 30, 30, 30]), 5.0);
        assert_eq!(median(&[1.0, 2.0], &[1, 2]), 2.0);
        assert_eq!(median(&[1.0, 2.0], &[1, 1]), 1.0);
        assert_eq!(median(&[1.0, 2.0, 3.0], &[1, 1, 2]), 2.0);
    }

    #[test]
    fn only_what_trusts_are_to_each_other_counts() {
        let of = |trusts: &[u16]| trust(trusts).expect("trusted");
        assert_eq!(of(&[65_535; 3]).each(), [1, 1, 1]);
        assert_eq!(of(&[6, 4, 10]).each(), [3, 2, 5]);
        assert_eq!((of(&[6, 4, 10]).sum(), of(&[]).sum()), (10, 0));
    }

    #[test]
    fn no_trust_and_too_much_are_refused() {
        assert_eq!(trust(&[1, 0]), Err(OuterStepError::NoTrust { uid: Uid(1) }));
        let mut most = vec![65_535; 256];
        most.push(1);
        let sum = 16_776_961;
        assert_eq!(trust(&most).map(|trust| u64::from(trust.sum())), Ok(sum));
        most.extend([65_535]);
        let sum = sum + 65_535;
        assert_eq!(trust(&most), Err(OuterStepError::TooMuchTrust { sum }));
    }

    proptest! {
        #[test]
        fn any_256_are_not_too_many(trusts in prop::collection::vec(1u16.., 0..=256)) {
            let made = trust(&trusts).expect("trusted");
            prop_assert!((made.sum() as f32) as u32 == made.sum());
            let divisor = made.each().iter().copied().fold(0, common_divisor);
            prop_assert!(trusts.is_empty() || divisor == 1);
            for (trust, one) in trusts.iter().zip(made.each()) {
                // as the first is to its own
                let (left, right) = (u64::from(*trust) * u64::from(made.each()[0]), u64::from(trusts[0]) * u64::from(*one));
                prop_assert_eq!(left, right);
            }
        }

        #[test]
        fn the_median_is_in_the_middle(
            pairs in prop::collection::vec((0u8..20, 1u16..), 1..40),
        ) {
            let norms: Vec<f64> = pairs.iter().map(|(norm, _)| f64::from(*norm)).collect();
            let trusts: Vec<u16> = pairs.iter().map(|(_, trust)| *trust).collect();
            let (made, found) = (trust(&trusts).expect("trusted"), median(&norms, &trusts));
            let of = |is: &dyn Fn(f64) -> bool| -> u64 {
                let those = norms.iter().zip(made.each()).filter(|(norm, _)| is(**norm));
                those.map(|(_, trust)| u64::from(*trust)).sum()
            };
            prop_assert!(norms.contains(&found));
            prop_assert!(2 * of(&|norm| norm <= found) >= u64::from(made.sum()));
            prop_assert!(2 * of(&|norm| norm < found) < u64::from(made.sum()));
        }
    }
}
