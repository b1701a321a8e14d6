//! Bits, most significant first, and Rice codes in them.
//!
//! A Rice code of parameter b writes a number g as g >> b in unary (that many ones, then a zero) and its
//! last b bits as they are (R. F. Rice, JPL Publication 79-22, 1979).

/// Fours of codes that are put together at once.
const BURST: usize = 32;

/// Collects bits into bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct BitWriter {
    /// Whole bytes.
    bytes: Vec<u8>,
    /// Bits not yet in `bytes`: the last `count`, fewer than 32 between calls. Those above are leftovers.
    pending: u64,
    count: u32,
}

impl BitWriter {
    /// Appends the last `count` bits of `value`, 32 at most; those above must be zero.
    #[inline(always)]
    pub(crate) fn push(&mut self, value: u32, count: u32) {
        self.pending = self.pending << count | u64::from(value);
        self.count += count;
        if self.count >= 32 {
            self.count -= 32;
            let word = (self.pending >> self.count) as u32;
            self.bytes.extend_from_slice(&word.to_be_bytes());
        }
    }

    /// Appends the Rice code of a number below 2¹⁷, of a parameter of 16 at most.
    #[inline(always)]
    pub(crate) fn push_rice(&mut self, number: u32, parameter: u32) {
        let mut ones = number >> parameter;
        let rest = number & ((1 << parameter) - 1);
        if ones + 1 + parameter > 32 {
            while ones >= 31 {
                self.push(0x7FFF_FFFF, 31);
                ones -= 31;
            }
            self.push((2 << ones) - 2, ones + 1);
            self.push(rest, parameter);
        } else {
            let unary = ((2u64 << ones) - 2) << parameter;
            self.push(unary as u32 | rest, ones + 1 + parameter);
        }
    }

    /// Appends the Rice codes of numbers, as [`BitWriter::push_rice`] does one by one; of a parameter of 16 at most. Four
    /// are put together, and how many bytes they fill is no branch, since none could foresee it.
    #[inline(always)]
    pub(crate) fn push_rices(&mut self, parameter: u32, numbers: &[u16]) {
        for burst in numbers.chunks(4 * BURST) {
            let mut bytes = Burst::behind(self.pending, self.count);
            let (fours, last) = burst.as_chunks::<4>();
            for (four, (code, length)) in fours.iter().zip(Fours::of(fours, parameter).all()) {
                if length <= Burst::MOST {
                    bytes.push(code, length);
                    continue;
                }
                self.flush(&bytes);
                four.iter()
                    .for_each(|one| self.push_rice((*one).into(), parameter));
                bytes = Burst::behind(self.pending, self.count);
            }
            self.flush(&bytes);
            for one in last {
                self.push_rice((*one).into(), parameter);
            }
        }
    }

    /// Goes on behind a burst.
    #[inline(always)]
    fn flush(&mut self, burst: &Burst) {
        let whole = burst.bytes.get(..burst.whole).unwrap_or_default();
        self.bytes.extend_from_slice(whole);
        self.pending = burst.pending.rotate_left(burst.count);
        self.count = burst.count;
    }

    /// Appends all bits of another.
    pub(crate) fn append(&mut self, other: &BitWriter) {
        self.bytes.reserve(other.bytes.len() + 4);
        let (words, rest) = other.bytes.as_chunks::<4>();
        for word in words {
            self.push(u32::from_be_bytes(*word), 32);
        }
        for byte in rest {
            self.push((*byte).into(), 8);
        }
        let rest = other.pending & ((1 << other.count) - 1);
        self.push(rest as u32, other.count);
    }

    /// Fills the last byte up with zeros; the writer is then only good for [`BitWriter::bytes`].
    pub(crate) fn fill_up(&mut self) {
        let last = self.count.div_ceil(8) as usize;
        let word = (self.pending << (32 - self.count)) as u32;
        self.bytes.extend_from_slice(&word.to_be_bytes()[..last]);
        (self.pending, self.count) = (0, 0);
    }

    /// The whole bytes, or after [`BitWriter::fill_up`] everything.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Bytes that are appended at once.
struct Burst {
    bytes: [u8; Burst::ROOM],
    /// How many of them are whole.
    whole: usize,
    /// Bits not yet in them: the first `count`, fewer than 8, and zeros.
    pending: u64,
    count: u32,
}

impl Burst {
    /// Bits that can be appended at once.
    const MOST: u32 = 56;
    /// What was pending before, what is appended, and what the last write of a word has behind that.
    const ROOM: usize = 4 + BURST * (Burst::MOST / 8) as usize + 8;

    /// What is pending behind what was written: of some bits the last so many, fewer than 32.
    #[inline(always)]
    fn behind(pending: u64, count: u32) -> Burst {
        let mut burst = Burst {
            bytes: [0; Burst::ROOM],
            whole: 0,
            pending: (pending << 32) << (32 - count),
            count,
        };
        burst.push(0, 0);
        burst
    }

    /// Appends the last `length` bits of a code, at most [`Burst::MOST`]; those above must be zero.
    #[inline(always)]
    fn push(&mut self, code: u64, length: u32) {
        self.count = self.count.wrapping_add(length);
        self.pending |= code.wrapping_shl(u64::BITS.wrapping_sub(self.count));
        let behind = self.bytes.get_mut(self.whole..).unwrap_or_default();
        if let Some(word) = behind.first_chunk_mut() {
            *word = self.pending.to_be_bytes();
        }
        self.whole = self.whole.wrapping_add((self.count / 8) as usize);
        self.pending = self.pending.wrapping_shl(self.count / 8 * 8);
        self.count %= 8;
    }
}

/// The Rice codes of four numbers each, one behind the other, and how long they are; what is longer than
/// [`Burst::MOST`] is that, but no code.
struct Fours {
    codes: [u64; BURST],
    lengths: [u64; BURST],
}

impl Fours {
    #[inline(always)]
    fn of(numbers: &[[u16; 4]], parameter: u32) -> Fours {
        // of two numbers that lie in one word
        let (mut codes, mut lengths) = ([0u32; 2 * BURST], [0u32; 2 * BURST]);
        let twos = numbers.as_flattened().as_chunks::<2>().0;
        for ((code, length), two) in codes.iter_mut().zip(&mut lengths).zip(twos) {
            let two = u32::from(two[0]) | u32::from(two[1]) << 16;
            let (first, length_of_first) = rice(two & 0xFFFF, parameter);
            let (second, length_of_second) = rice(two >> 16, parameter);
            *code = shl(first, length_of_second) | second;
            *length = length_of_first.wrapping_add(length_of_second);
            // so that four are too long if two are longer than a word
            *length |= u32::from(*length > u32::BITS).wrapping_neg() & 64;
        }
        let mut fours = Fours {
            codes: [0; BURST],
            lengths: [0; BURST],
        };
        let twos = codes.as_chunks::<2>().0.iter();
        let twos = twos.zip(lengths.as_chunks::<2>().0);
        let fours_mut = fours.codes.iter_mut().zip(&mut fours.lengths);
        for ((code, length), (codes, lengths)) in fours_mut.zip(twos).take(numbers.len()) {
            let [first, second] = codes.map(u64::from);
            let [length_of_first, length_of_second] = lengths.map(u64::from);
            *code = first.wrapping_shl(length_of_second as u32) | second;
            *length = length_of_first.wrapping_add(length_of_second);
        }
        fours
    }

    #[inline(always)]
    fn all(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        let all = self.codes.iter().zip(&self.lengths);
        all.map(|(code, length)| (*code, *length as u32))
    }
}

/// A Rice code, if it is no longer than a word, and its length.
#[inline(always)]
fn rice(number: u32, parameter: u32) -> (u32, u32) {
    let ones = number.wrapping_shr(parameter);
    let rest = number & shl(1, parameter).wrapping_sub(1);
    let unary = shl(shl(2, ones).wrapping_sub(2), parameter);
    (unary | rest, ones.wrapping_add(parameter).wrapping_add(1))
}

/// Bits moved up so far, of which none is left if that is too far.
#[inline(always)]
fn shl(bits: u32, by: u32) -> u32 {
    bits.wrapping_shl(by)
}

/// Why bits are not all of what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndError {
    /// Whole bytes are left over.
    BytesLeft,
    /// The bits that fill up the last byte are not all zero.
    Padding,
}

/// Reads bits from bytes. Behind their end there are zeros, so that only [`BitReader::is_past_end`] has to be
/// asked now and then: no Rice code can run on for ever.
#[derive(Clone, Debug)]
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    /// The next bit.
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> BitReader<'a> {
        BitReader { bytes, at: 0 }
    }

    /// The next 57 bits or more from the top, and zeros below them.
    #[inline(always)]
    fn window(&self) -> u64 {
        let behind = self.bytes.get(self.at >> 3..).unwrap_or_default();
        let word = match behind.first_chunk() {
            Some(word) => u64::from_be_bytes(*word),
            None => last_word(behind),
        };
        word << (self.at & 7)
    }

    /// The next `count` bits, 32 at most.
    #[inline(always)]
    pub(crate) fn read(&mut self, count: u32) -> u32 {
        let value = (self.window() >> 1 >> (63 - count)) as u32;
        self.at += count as usize;
        value
    }

    /// The next Rice code and the bits behind it, 1 or none, as one number: the code's number comes first. Numbers
    /// above 2¹⁷ may be given as 2¹⁷.
    #[inline(always)]
    pub(crate) fn read_rice(&mut self, parameter: u32, tail: u32) -> u32 {
        let window = self.window();
        let ones = window.leading_ones();
        let rest = parameter + tail;
        if ones + 1 + rest > 57 {
            return self.read_long_rice(parameter, tail);
        }
        self.at += (ones + 1 + rest) as usize;
        let low = (window << (ones + 1) >> 1 >> (63 - rest)) as u32;
        ones << rest | low
    }

    /// The next N Rice codes, each with the bits behind it, as [`BitReader::read_rice`] gives them. What is short is
    /// read from one window, which is where the time goes when codes are read one by one.
    #[inline(always)]
    pub(crate) fn read_rices<const N: usize>(&mut self, parameter: u32, tail: u32) -> [u32; N] {
        let rest = parameter + tail;
        let (mut window, mut length) = (self.window(), 0);
        let numbers = std::array::from_fn(|_| {
            let ones = window.leading_ones();
            let low = (window.wrapping_shl(ones + 1) >> 1 >> (63 - rest)) as u32;
            let whole = ones + 1 + rest;
            window = window.wrapping_shl(whole);
            length += whole;
            ones << rest | low
        });
        if length > 57 {
            return std::array::from_fn(|_| self.read_rice(parameter, tail));
        }
        self.at += length as usize;
        numbers
    }

    /// As many of the next Rice codes as one window has whole, one at least, each given to `each` until that wants no
    /// more.
    #[inline(always)]
    pub(crate) fn read_rices_while(&mut self, parameter: u32, mut each: impl FnMut(u32) -> bool) {
        let (mut window, mut length) = (self.window(), 0);
        loop {
            let ones = window.leading_ones();
            let whole = ones + 1 + parameter;
            if length + whole > 57 {
                break;
            }
            let low = (window << (ones + 1) >> 1 >> (63 - parameter)) as u32;
            window <<= whole;
            length += whole;
            if !each(ones << parameter | low) {
                self.at += length as usize;
                return;
            }
        }
        if length == 0 {
            each(self.read_long_rice(parameter, 0));
        }
        self.at += length as usize;
    }

    #[cold]
    fn read_long_rice(&mut self, parameter: u32, tail: u32) -> u32 {
        let mut ones = 0u32;
        loop {
            let valid = 64 - (self.at & 7) as u32;
            let more = self.window().leading_ones().min(valid);
            ones = ones.saturating_add(more);
            self.at += more as usize;
            if more < valid {
                break;
            }
        }
        self.at += 1;
        let low = self.read(parameter + tail);
        ones.min((1 << 17) >> parameter) << (parameter + tail) | low
    }

    /// Whether more bits have been read than there are.
    pub(crate) fn is_past_end(&self) -> bool {
        self.at > 8 * self.bytes.len()
    }

    /// Whether nothing is left but fewer than eight zeros.
    pub(crate) fn finish(&self) -> Result<(), EndError> {
        if self.at.div_ceil(8) < self.bytes.len() {
            return Err(EndError::BytesLeft);
        }
        (self.window() == 0).then_some(()).ok_or(EndError::Padding)
    }
}

/// The last few bytes, with zeros behind them.
#[cold]
fn last_word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    for (to, from) in word.iter_mut().zip(bytes) {
        *to = *from;
    }
    u64::from_be_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut BitWriter)) -> Vec<u8> {
        let mut writer = BitWriter::default();
        write(&mut writer);
        writer.fill_up();
        writer.bytes().to_vec()
    }

    #[test]
    fn a_rice_code_is_ones_a_zero_and_the_rest() {
        let bytes = written(|bits| {
            bits.push_rice(0b1101, 2); // 1110 01
            bits.push(1, 1);
        });
        assert_eq!(bytes, [0b1110_0110]);
        let bytes = written(|bits| bits.push_rice(0b11011, 3)); // 1110 011
        assert_eq!(bytes, [0b1110_0110]);
    }

    #[test]
    fn ones_without_an_end_are_a_large_number() {
        let ones = [0xFF; 6_000];
        let mut reader = BitReader::new(&ones);
        assert_eq!(reader.read_rice(0, 0), 48_000);
        assert!(reader.is_past_end());
        let many = vec![0xFF; 1 << 20];
        assert!(BitReader::new(&many).read_rice(0, 1) >= 2 * (1 << 17));
        assert!(BitReader::new(&many).read_rice(11, 1) >= 2 * ((1 << 17) - (1 << 11)));
        assert_eq!(BitReader::new(&[]).read_rice(3, 1), 0);
    }

    #[test]
    fn the_end_is_checked_to_the_bit() {
        let rest = |bytes: &[u8]| {
            let mut reader = BitReader::new(bytes);
            reader.read(3);
            (reader.is_past_end(), reader.finish())
        };
        assert_eq!(rest(&[0b1110_0000]), (false, Ok(())));
        assert_eq!(rest(&[0b1110_0001]), (false, Err(EndError::Padding)));
        assert_eq!(rest(&[0b1110_0000, 0]), (false, Err(EndError::BytesLeft)));
        assert!(rest(&[]).0);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            numbers in prop::collection::vec(prop_oneof![9 => 0u32..100, 1 => 0u32..1 << 16], 0..900),
            parameter in 0u32..=15,
            cut: prop::sample::Index,
        ) {
            let write = |bits: &mut BitWriter, numbers: &[u32]| for number in numbers {
                bits.push_rice(number << 1 | number & 1, parameter + 1);
                bits.push(number >> 3, 13);
                bits.push_rice(*number, parameter);
            };
            let bytes = written(|bits| write(bits, &numbers));
            let mut reader = BitReader::new(&bytes);
            for number in &numbers {
                prop_assert_eq!(reader.read_rice(parameter, 1), number << 1 | number & 1);
                prop_assert_eq!(reader.read(13), number >> 3);
                prop_assert_eq!(reader.read_rice(parameter, 0), *number);
            }
            prop_assert!(!reader.is_past_end());
            prop_assert_eq!(reader.finish(), Ok(()));

            // many at once are those one by one
            let short: Vec<u16> = numbers.iter().map(|number| *number as u16).collect();
            for (begun, parameter) in [(0, parameter), (3, parameter + 1), (31, parameter)] {
                let one_by_one = written(|bits| {
                    bits.push(0, begun);
                    numbers.iter().for_each(|number| bits.push_rice(*number, parameter));
                });
                let at_once = written(|bits| {
                    bits.push(0, begun);
                    bits.push_rices(parameter, &short);
                });
                prop_assert_eq!(at_once, one_by_one);
            }

            // written in two parts, it is the same
            let cut = cut.index(numbers.len() + 1);
            let (mut first, mut second) = (BitWriter::default(), BitWriter::default());
            write(&mut first, &numbers[..cut]);
            write(&mut second, &numbers[cut..]);
            first.append(&second);
            first.fill_up();
            prop_assert_eq!(first.bytes(), &bytes);
        }

        /// Of any bytes, and beyond their end, where there are zeros.
        #[test]
        fn several_at_once_are_those_one_by_one(
            bytes in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..60),
                prop::collection::vec(prop_oneof![3 => Just(0xFFu8), 1 => any::<u8>()], 0..60),
            ],
            start in 0usize..20,
            parameter in 0u32..=11,
            tail in 0u32..=1,
        ) {
            let mut one_by_one = BitReader::new(&bytes);
            one_by_one.at = start;
            let (mut fours, mut all) = (one_by_one.clone(), one_by_one.clone());
            for _ in 0..30 {
                let expected: [u32; 4] = std::array::from_fn(|_| one_by_one.read_rice(parameter, tail));
                prop_assert_eq!(fours.read_rices::<4>(parameter, tail), expected);
                prop_assert_eq!(fours.at, one_by_one.at);
            }

            one_by_one.at = start;
            let (mut found, wanted) = (Vec::new(), 100);
            while found.len() < wanted {
                let before = found.len();
                all.read_rices_while(parameter, |number| {
                    found.push(number);
                    found.len() < wanted
                });
                prop_assert!(found.len() > before);
            }
            let expected: Vec<u32> = (0..wanted).map(|_| one_by_one.read_rice(parameter, 0)).collect();
            prop_assert_eq!(found, expected);
            prop_assert_eq!(all.at, one_by_one.at);
        }
    }
}
