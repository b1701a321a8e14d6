//! One source, compiled for several widths of SIMD, of which the widest that the CPU has is run.
//!
//! A [`Kernel`] is plain Rust. The compiler vectorises it for each level by itself; it never fuses a
//! multiplication and an addition, nor reorders additions, so all levels give the same bits. The one
//! operation that compilers do not find is in [`Lanes`].

/// Work that is compiled once per level. `run` and all that it calls for each element must be
/// `#[inline(always)]`, or it is compiled for the lowest level only.
pub(crate) trait Kernel {
    type Output;

    fn run<L: Lanes>(self) -> Self::Output;
}

/// What a level does with instructions of its own.
pub(crate) trait Lanes {
    /// The set of elements that are at least `threshold`, element *i* as bit *i*. Elements and threshold
    /// are below 2³¹.
    fn at_least(row: &[u32; 64], threshold: u32) -> u64;

    /// Asks for the cache lines of elements that will be needed soon.
    #[inline(always)]
    fn prefetch(_elements: &[f32]) {}
}

/// A width of SIMD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Simd {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Simd {
    /// The levels that this CPU has, the widest last.
    pub(crate) fn all() -> Vec<Simd> {
        let mut all = vec![Simd::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2")
                && is_x86_feature_detected!("lzcnt")
                && is_x86_feature_detected!("popcnt");
            if avx2 {
                all.push(Simd::Avx2);
            }
            if avx2
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
            {
                all.push(Simd::Avx512);
            }
        }
        all
    }

    /// The widest level of this CPU.
    pub(crate) fn best() -> Simd {
        static BEST: std::sync::OnceLock<Simd> = std::sync::OnceLock::new();
        *BEST.get_or_init(|| Simd::all().last().copied().unwrap_or(Simd::Portable))
    }

    /// Runs a kernel at this level.
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self {
            Simd::Portable => kernel.run::<Portable>(),
            // SAFETY: `Simd::all` lists a level only if the CPU has all that it is compiled for, and levels
            // come from nowhere else.
            #[cfg(target_arch = "x86_64")]
            Simd::Avx2 => unsafe { x86::avx2(kernel) },
            #[cfg(target_arch = "x86_64")]
            Simd::Avx512 => unsafe { x86::avx512(kernel) },
        }
    }
}

struct Portable;

impl Lanes for Portable {
    #[inline(always)]
    fn at_least(row: &[u32; 64], threshold: u32) -> u64 {
        let mut set = 0;
        for (place, element) in row.iter().enumerate() {
            set |= u64::from(*element >= threshold) << place;
        }
        set
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Kernel, Lanes};

    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    pub(super) fn avx2<K: Kernel>(kernel: K) -> K::Output {
        kernel.run::<Avx2>()
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,bmi1,bmi2,lzcnt,popcnt")]
    pub(super) fn avx512<K: Kernel>(kernel: K) -> K::Output {
        kernel.run::<Avx512>()
    }

    #[inline(always)]
    fn prefetch(elements: &[f32]) {
        for line in elements.chunks(16) {
            // SAFETY: a hint that reads nothing; SSE is part of x86-64.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
        }
    }

    struct Avx2;

    impl Lanes for Avx2 {
        #[inline(always)]
        fn prefetch(elements: &[f32]) {
            prefetch(elements);
        }

        #[inline(always)]
        fn at_least(row: &[u32; 64], threshold: u32) -> u64 {
            // SAFETY: only run inside `avx2`.
            unsafe { at_least_avx2(row, threshold) }
        }
    }

    // Intrinsics are no calls only where their caller has their features: not in a method of a trait that is inlined too
    // late, or not at all.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn at_least_avx2(row: &[u32; 64], threshold: u32) -> u64 {
        let mut set = 0;
        // there is no ≥ for integers: > one less, and all are below 2³¹
        let below = _mm256_set1_epi32(threshold as i32 - 1);
        for (number, lanes) in row.as_chunks::<8>().0.iter().enumerate() {
            // SAFETY: a load of 8 elements of the row.
            let lanes = unsafe { _mm256_loadu_si256(lanes.as_ptr().cast()) };
            let above = _mm256_castsi256_ps(_mm256_cmpgt_epi32(lanes, below));
            set |= u64::from(_mm256_movemask_ps(above) as u32) << (8 * number);
        }
        set
    }

    struct Avx512;

    impl Lanes for Avx512 {
        #[inline(always)]
        fn prefetch(elements: &[f32]) {
            prefetch(elements);
        }

        #[inline(always)]
        fn at_least(row: &[u32; 64], threshold: u32) -> u64 {
            // SAFETY: only run inside `avx512`.
            unsafe { at_least_avx512(row, threshold) }
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn at_least_avx512(row: &[u32; 64], threshold: u32) -> u64 {
        let mut set = 0;
        let threshold = _mm512_set1_epi32(threshold as i32);
        for (number, lanes) in row.as_chunks::<16>().0.iter().enumerate() {
            // SAFETY: a load of 16 elements of the row.
            let lanes = unsafe { _mm512_loadu_si512(lanes.as_ptr().cast()) };
            set |= u64::from(_mm512_cmpge_epi32_mask(lanes, threshold)) << (16 * number);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct AtLeast<'a>(&'a [u32; 64], u32);

    impl Kernel for AtLeast<'_> {
        type Output = u64;

        #[inline(always)]
        fn run<L: Lanes>(self) -> u64 {
            L::at_least(self.0, self.1)
        }
    }

    proptest! {
        #[test]
        fn all_levels_find_the_same_elements(
            row in prop::collection::vec(0u32..1 << 31, 64),
            chosen: prop::sample::Index,
        ) {
            let row: [u32; 64] = row.try_into().expect("64 elements");
            for threshold in [0, 1, row[chosen.index(64)], (1 << 31) - 1] {
                let expected = (0..64).fold(0u64, |set, i| set | u64::from(row[i] >= threshold) << i);
                for simd in Simd::all() {
                    prop_assert_eq!(simd.run(AtLeast(&row, threshold)), expected, "{:?}", simd);
                }
            }
        }
    }
}
