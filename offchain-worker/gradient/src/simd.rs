//! One source, compiled for several widths of SIMD, of which the widest that the CPU has is run.
//!
//! A [`Kernel`] is plain Rust. The compiler vectorises it for each level by itself; it never fuses a
//! multiplication and an addition, nor reorders additions, so all levels give the same bits. The two
//! operations that compilers do not find are in [`Lanes`].

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether AVX-512 is left out.
static IS_NARROW: AtomicBool = AtomicBool::new(false);

/// Leaves AVX-512 out in this process, to see how fast others' machines are. To be called before anything is compressed.
pub fn without_avx512() {
    IS_NARROW.store(true, Ordering::Relaxed);
}

/// The bit of a number's sign.
pub(crate) const SIGN: u32 = 1 << 31;

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

    /// Of a row the elements whose magnitude is at least `threshold`, in their order: moves the bits of their magnitudes to
    /// the front of `magnitudes`, and to that of `codes` their places, of which the row's first is `first`, with the sign
    /// as bit 15. Gives how many they are. What is behind them may be overwritten. The threshold is below 2³¹.
    fn pick(
        row: &[f32; 64],
        first: u16,
        threshold: u32,
        magnitudes: &mut [u32; 64],
        codes: &mut [u16; 64],
    ) -> usize;

    /// Makes of a row of error feedback `beta` times it and a row of a pseudo-gradient, and [picks](Lanes::pick) of that.
    fn sum_and_pick(
        beta: f32,
        error: &mut [f32; 64],
        delta: &[f32; 64],
        first: u16,
        threshold: u32,
        to: (&mut [u32; 64], &mut [u16; 64]),
    ) -> usize;

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

    /// The widest level of this CPU, but for [`without_avx512`].
    pub(crate) fn best() -> Simd {
        static BEST: std::sync::OnceLock<Simd> = std::sync::OnceLock::new();
        *BEST.get_or_init(|| {
            let mut all = Simd::all();
            #[cfg(target_arch = "x86_64")]
            all.retain(|simd| !IS_NARROW.load(Ordering::Relaxed) || *simd != Simd::Avx512);
            all.last().copied().unwrap_or(Simd::Portable)
        })
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

    #[inline(always)]
    fn pick(
        row: &[f32; 64],
        first: u16,
        threshold: u32,
        magnitudes: &mut [u32; 64],
        codes: &mut [u16; 64],
    ) -> usize {
        let mut count = 0;
        for (place, element) in row.iter().enumerate() {
            let magnitude = element.to_bits() & !SIGN;
            let sign = (element.to_bits() & SIGN) >> 16;
            // as above
            if let (Some(to), Some(code)) = (magnitudes.get_mut(count), codes.get_mut(count)) {
                (*to, *code) = (magnitude, sign as u16 | first.wrapping_add(place as u16));
            }
            count += usize::from(magnitude >= threshold);
        }
        count
    }

    #[inline(always)]
    fn sum_and_pick(
        beta: f32,
        error: &mut [f32; 64],
        delta: &[f32; 64],
        first: u16,
        threshold: u32,
        (magnitudes, codes): (&mut [u32; 64], &mut [u16; 64]),
    ) -> usize {
        for (error, delta) in error.iter_mut().zip(delta) {
            *error = beta * *error + delta;
        }
        Portable::pick(error, first, threshold, magnitudes, codes)
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Kernel, Lanes, SIGN};

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
        fn pick(
            row: &[f32; 64],
            first: u16,
            threshold: u32,
            magnitudes: &mut [u32; 64],
            codes: &mut [u16; 64],
        ) -> usize {
            // SAFETY: only run inside `avx2`.
            unsafe { pick_avx2(row, first, threshold, magnitudes, codes) }
        }

        #[inline(always)]
        fn sum_and_pick(
            beta: f32,
            error: &mut [f32; 64],
            delta: &[f32; 64],
            first: u16,
            threshold: u32,
            to: (&mut [u32; 64], &mut [u16; 64]),
        ) -> usize {
            // SAFETY: only run inside `avx2`.
            unsafe { sum_and_pick_avx2(beta, error, delta, first, threshold, to) }
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

    #[inline]
    #[target_feature(enable = "avx2,popcnt")]
    fn pick_avx2(
        row: &[f32; 64],
        first: u16,
        threshold: u32,
        magnitudes: &mut [u32; 64],
        codes: &mut [u16; 64],
    ) -> usize {
        let mut picked = 0;
        for (number, lanes) in (0..).zip(row.as_chunks::<8>().0) {
            // SAFETY: a load of 8 elements of the row.
            let lanes = unsafe { _mm256_loadu_ps(lanes.as_ptr()) };
            let to = (&mut *magnitudes, &mut *codes);
            picked += pick_8(lanes, first.wrapping_add(8 * number), threshold, to, picked);
        }
        picked
    }

    #[inline]
    #[target_feature(enable = "avx2,popcnt")]
    fn sum_and_pick_avx2(
        beta: f32,
        error: &mut [f32; 64],
        delta: &[f32; 64],
        first: u16,
        threshold: u32,
        to: (&mut [u32; 64], &mut [u16; 64]),
    ) -> usize {
        let (mut picked, beta) = (0, _mm256_set1_ps(beta));
        let rows = error.as_chunks_mut::<8>().0.iter_mut();
        for (number, (error, delta)) in (0..).zip(rows.zip(delta.as_chunks::<8>().0)) {
            // SAFETY: loads of 8 elements of each row, and a store to 8.
            let sums = unsafe {
                let errors = _mm256_mul_ps(beta, _mm256_loadu_ps(error.as_ptr()));
                let sums = _mm256_add_ps(errors, _mm256_loadu_ps(delta.as_ptr()));
                _mm256_storeu_ps(error.as_mut_ptr(), sums);
                sums
            };
            let to = (&mut *to.0, &mut *to.1);
            picked += pick_8(sums, first.wrapping_add(8 * number), threshold, to, picked);
        }
        picked
    }

    /// Picks from 8 elements, behind so many that were picked of those before them in the row.
    #[inline]
    #[target_feature(enable = "avx2,popcnt")]
    fn pick_8(
        elements: __m256,
        first: u16,
        threshold: u32,
        (magnitudes, codes): (&mut [u32; 64], &mut [u16; 64]),
        before: usize,
    ) -> usize {
        let below = _mm256_set1_epi32(threshold as i32 - 1);
        let without_sign = _mm256_set1_epi32(!SIGN as i32);
        let bits = _mm256_castps_si256(elements);
        let above = _mm256_cmpgt_epi32(_mm256_and_si256(bits, without_sign), below);
        let set = _mm256_movemask_ps(_mm256_castsi256_ps(above)) as u8;
        let places = _mm_cvtsi64_si128(PLACES[usize::from(set)] as i64);
        let moved = _mm256_permutevar8x32_epi32(bits, _mm256_cvtepu8_epi32(places));
        // the upper halves, of which the first bit is the sign
        let upper = _mm256_srai_epi32::<16>(moved);
        let (low, high) = (
            _mm256_castsi256_si128(upper),
            _mm256_extracti128_si256::<1>(upper),
        );
        let upper = _mm_packs_epi32(low, high);
        let signs = _mm_and_si128(upper, _mm_set1_epi16(i16::MIN));
        let places = _mm_add_epi16(_mm_cvtepu8_epi16(places), _mm_set1_epi16(first as i16));
        // SAFETY: 8 elements of each are written; there are 64, and at most 8 were picked of each 8 before.
        unsafe {
            let to = magnitudes.as_mut_ptr().add(before).cast();
            _mm256_storeu_si256(to, _mm256_and_si256(moved, without_sign));
            let to = codes.as_mut_ptr().add(before).cast();
            _mm_storeu_si128(to, _mm_or_si128(signs, places));
        }
        set.count_ones() as usize
    }

    struct Avx512;

    impl Lanes for Avx512 {
        #[inline(always)]
        fn compress(row: &[u32; 64], set: u64, to: &mut [u32; 64]) -> usize {
            // SAFETY: only run inside `avx512`.
            unsafe { compress_avx512(row, set, to) }
        }

        #[inline(always)]
        fn pick(
            row: &[f32; 64],
            first: u16,
            threshold: u32,
            magnitudes: &mut [u32; 64],
            codes: &mut [u16; 64],
        ) -> usize {
            // SAFETY: only run inside `avx512`.
            unsafe { pick_avx512(row, first, threshold, magnitudes, codes) }
        }

        #[inline(always)]
        fn sum_and_pick(
            beta: f32,
            error: &mut [f32; 64],
            delta: &[f32; 64],
            first: u16,
            threshold: u32,
            to: (&mut [u32; 64], &mut [u16; 64]),
        ) -> usize {
            // SAFETY: only run inside `avx512`.
            unsafe { sum_and_pick_avx512(beta, error, delta, first, threshold, to) }
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

    #[inline]
    #[target_feature(enable = "avx512f,avx2,popcnt")]
    fn pick_avx512(
        row: &[f32; 64],
        first: u16,
        threshold: u32,
        magnitudes: &mut [u32; 64],
        codes: &mut [u16; 64],
    ) -> usize {
        let mut picked = 0;
        for (number, lanes) in (0..).zip(row.as_chunks::<16>().0) {
            // SAFETY: a load of 16 elements of the row.
            let lanes = unsafe { _mm512_loadu_ps(lanes.as_ptr()) };
            let to = (&mut *magnitudes, &mut *codes);
            picked += pick_16(
                lanes,
                first.wrapping_add(16 * number),
                threshold,
                to,
                picked,
            );
        }
        picked
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx2,popcnt")]
    fn sum_and_pick_avx512(
        beta: f32,
        error: &mut [f32; 64],
        delta: &[f32; 64],
        first: u16,
        threshold: u32,
        to: (&mut [u32; 64], &mut [u16; 64]),
    ) -> usize {
        let (mut picked, beta) = (0, _mm512_set1_ps(beta));
        let rows = error.as_chunks_mut::<16>().0.iter_mut();
        for (number, (error, delta)) in (0..).zip(rows.zip(delta.as_chunks::<16>().0)) {
            // SAFETY: loads of 16 elements of each row, and a store to 16.
            let sums = unsafe {
                let errors = _mm512_mul_ps(beta, _mm512_loadu_ps(error.as_ptr()));
                let sums = _mm512_add_ps(errors, _mm512_loadu_ps(delta.as_ptr()));
                _mm512_storeu_ps(error.as_mut_ptr(), sums);
                sums
            };
            let to = (&mut *to.0, &mut *to.1);
            picked += pick_16(sums, first.wrapping_add(16 * number), threshold, to, picked);
        }
        picked
    }

    /// Picks from 16 elements, behind so many that were picked of those before them in the row.
    #[inline]
    #[target_feature(enable = "avx512f,avx2,popcnt")]
    fn pick_16(
        elements: __m512,
        first: u16,
        threshold: u32,
        (magnitudes, codes): (&mut [u32; 64], &mut [u16; 64]),
        before: usize,
    ) -> usize {
        let bits = _mm512_castps_si512(elements);
        let of_elements = _mm512_and_si512(bits, _mm512_set1_epi32(!SIGN as i32));
        let set = _mm512_cmpge_epi32_mask(of_elements, _mm512_set1_epi32(threshold as i32));
        let signs = _mm512_slli_epi32::<15>(_mm512_srli_epi32::<31>(bits));
        let sixteen = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        let places = _mm512_add_epi32(_mm512_set1_epi32(first.into()), sixteen);
        let moved = _mm512_maskz_compress_epi32(set, of_elements);
        let code = _mm512_maskz_compress_epi32(set, _mm512_or_si512(signs, places));
        // SAFETY: 16 elements of each are written; there are 64, and at most 16 were picked of each 16 before.
        unsafe {
            _mm512_storeu_si512(magnitudes.as_mut_ptr().add(before).cast(), moved);
            let to = codes.as_mut_ptr().add(before).cast();
            _mm256_storeu_si256(to, _mm512_cvtepi32_epi16(code));
        }
        set.count_ones() as usize
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

    type Picked = ([u32; 64], [u16; 64], usize);

    struct Pick<'a>(&'a [f32; 64], u16, u32);

    impl Kernel for Pick<'_> {
        type Output = Picked;

        #[inline(always)]
        fn run<L: Lanes>(self) -> Picked {
            let (mut magnitudes, mut codes) = ([7; 64], [7; 64]);
            let count = L::pick(self.0, self.1, self.2, &mut magnitudes, &mut codes);
            (magnitudes, codes, count)
        }
    }

    proptest! {
        #[test]
        fn all_levels_pick_the_same_elements(
            row in prop::collection::vec(any::<u32>(), 64),
            first in (0u16..64).prop_map(|row| 64 * row),
            chosen: prop::sample::Index,
        ) {
            let row: Vec<f32> = row.into_iter().map(f32::from_bits).collect();
            let row: [f32; 64] = row.try_into().expect("64 elements");
            let magnitude = |place: usize| row[place].to_bits() & !SIGN;
            for threshold in [0, 1, magnitude(chosen.index(64)), SIGN - 1] {
                let of_set = |place: &usize| magnitude(*place) >= threshold;
                let places: Vec<usize> = (0..64).filter(of_set).collect();
                let bits: Vec<u32> = places.iter().map(|place| magnitude(*place)).collect();
                let sign = |place: usize| u16::from(row[place].is_sign_negative()) << 15;
                let codes = places.iter().map(|place| (first + *place as u16) | sign(*place));
                let codes: Vec<u16> = codes.collect();
                for simd in Simd::all() {
                    let (found, of_found, count) = simd.run(Pick(&row, first, threshold));
                    prop_assert_eq!(&found[..count], &bits, "{:?}", simd);
                    prop_assert_eq!(&of_found[..count], &codes, "{:?}", simd);
                }
            }
        }

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
