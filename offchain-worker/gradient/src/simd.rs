//! One source, compiled for several widths of SIMD, of which the widest that the CPU has is run.
//!
//! A [`Kernel`] is plain Rust. The compiler vectorises it for each level by itself; it never fuses a
//! multiplication and an addition, nor reorders additions, so all levels give the same bits. The two
//! operations that compilers do not find are in [`Lanes`].

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

    /// Moves the elements of a set to the front of `to`, in their order, and gives how many they are. What is behind
    /// them in `to` may be overwritten.
    fn compress(row: &[u32; 64], set: u64, to: &mut [u32; 64]) -> usize;

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

    #[inline(always)]
    fn compress(row: &[u32; 64], set: u64, to: &mut [u32; 64]) -> usize {
        let mut count = 0;
        for (place, element) in row.iter().enumerate() {
            // one that is not of the set is overwritten; there are never more before it than its place
            if let Some(to) = to.get_mut(count) {
                *to = *element;
            }
            count += (set >> place & 1) as usize;
        }
        count
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

    /// Of each set of 8 elements their places, a byte each, the first in the lowest.
    static PLACES: [u64; 256] = places();

    const fn places() -> [u64; 256] {
        let mut all = [0; 256];
        let mut set = 0;
        while set < 256 {
            let (mut place, mut shift) = (0, 0);
            while place < 8 {
                if set >> place & 1 == 1 {
                    all[set] |= place << shift;
                    shift += 8;
                }
                place += 1;
            }
            set += 1;
        }
        all
    }

    struct Avx2;

    impl Lanes for Avx2 {
        #[inline(always)]
        fn compress(row: &[u32; 64], set: u64, to: &mut [u32; 64]) -> usize {
            // SAFETY: only run inside `avx2`.
            unsafe { compress_avx2(row, set, to) }
        }

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

    #[inline]
    #[target_feature(enable = "avx2,popcnt")]
    fn compress_avx2(row: &[u32; 64], set: u64, to: &mut [u32; 64]) -> usize {
        let mut count = 0;
        for (number, lanes) in row.as_chunks::<8>().0.iter().enumerate() {
            let of_lanes = (set >> (8 * number)) as u8;
            let places = _mm_cvtsi64_si128(PLACES[usize::from(of_lanes)] as i64);
            // SAFETY: a load of 8 elements of the row.
            let lanes = unsafe { _mm256_loadu_si256(lanes.as_ptr().cast()) };
            let lanes = _mm256_permutevar8x32_epi32(lanes, _mm256_cvtepu8_epi32(places));
            // SAFETY: 8 of the 64 elements of `to` are written, of which at most 8 were counted in each step before.
            unsafe { _mm256_storeu_si256(to.as_mut_ptr().add(count).cast(), lanes) };
            count += of_lanes.count_ones() as usize;
        }
        count
    }

    struct Avx512;

    impl Lanes for Avx512 {
        #[inline(always)]
        fn compress(row: &[u32; 64], set: u64, to: &mut [u32; 64]) -> usize {
            // SAFETY: only run inside `avx512`.
            unsafe { compress_avx512(row, set, to) }
        }

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

    #[inline]
    #[target_feature(enable = "avx512f,popcnt")]
    fn compress_avx512(row: &[u32; 64], set: u64, to: &mut [u32; 64]) -> usize {
        let mut count = 0;
        for (number, lanes) in row.as_chunks::<16>().0.iter().enumerate() {
            let of_lanes = (set >> (16 * number)) as u16;
            // SAFETY: a load of 16 elements of the row.
            let lanes = unsafe { _mm512_loadu_si512(lanes.as_ptr().cast()) };
            let lanes = _mm512_maskz_compress_epi32(of_lanes, lanes);
            // SAFETY: 16 of the 64 elements of `to` are written, of which at most 16 were counted in each step before.
            unsafe { _mm512_storeu_si512(to.as_mut_ptr().add(count).cast(), lanes) };
            count += of_lanes.count_ones() as usize;
        }
        count
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

    struct Compress<'a>(&'a [u32; 64], u64, &'a mut [u32; 64]);

    impl Kernel for Compress<'_> {
        type Output = usize;

        #[inline(always)]
        fn run<L: Lanes>(self) -> usize {
            L::compress(self.0, self.1, self.2)
        }
    }

    proptest! {
        #[test]
        fn all_levels_move_the_same_elements(
            row in prop::collection::vec(any::<u32>(), 64),
            set in prop_oneof![
                any::<u64>(),
                Just(0),
                Just(u64::MAX),
                (0u32..64).prop_map(|place| 1 << place),
                (any::<u64>(), any::<u64>(), any::<u64>()).prop_map(|(a, b, c)| a & b & c),
                (any::<u64>(), any::<u64>(), any::<u64>()).prop_map(|(a, b, c)| a | b | c),
            ],
        ) {
            let row: [u32; 64] = row.try_into().expect("64 elements");
            let of_set = |place: &usize| set >> place & 1 == 1;
            let expected: Vec<u32> = (0..64).filter(of_set).map(|place| row[place]).collect();
            for simd in Simd::all() {
                let mut to = [7; 64];
                let count = simd.run(Compress(&row, set, &mut to));
                prop_assert_eq!(&to[..count], &expected, "{:?}", simd);
            }
        }

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
