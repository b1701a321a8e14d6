//! Bits, most significant first, and Rice codes in them.
//!
//! A Rice code of parameter b writes a number g as g >> b in unary (that many ones, then a zero) and its
//! last b bits as they are (R. F. Rice, JPL Publication 79-22, 1979).

/// The largest parameter that can ever be best: gaps are below 4,096, and with 12 every code would take at
/// least as many bits as with 11.
pub(crate) const MAX_RICE: u32 = 11;

/// Collects bits into bytes.
#[derive(Debug, Default)]
pub(crate) struct BitWriter {
    bytes: Vec<u8>,
    /// Bits not yet in `bytes`, from the top; fewer than eight between calls.
    pending: u64,
    count: u32,
}

impl BitWriter {
    /// A writer that goes on after these bytes.
    pub(crate) fn after(bytes: Vec<u8>) -> BitWriter {
        BitWriter {
            bytes,
            ..BitWriter::default()
        }
    }

    /// Appends the last `count` bits of `value`, 32 at most.
    pub(crate) fn push(&mut self, value: u32, count: u32) {
        if count == 0 {
            return;
        }
        self.pending |= u64::from(value) << (64 - self.count - count);
        self.count += count;
        while self.count >= 8 {
            self.bytes.push((self.pending >> 56) as u8);
            self.pending <<= 8;
            self.count -= 8;
        }
    }

    /// Appends a Rice code.
    pub(crate) fn push_rice(&mut self, number: u32, parameter: u32) {
        let mut ones = number >> parameter;
        while ones >= 31 {
            self.push(0x7FFF_FFFF, 31);
            ones -= 31;
        }
        self.push(((1 << ones) - 1) << 1, ones + 1);
        self.push(number & ((1 << parameter) - 1), parameter);
    }

    /// The bytes, the last one filled up with zeros.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        if self.count > 0 {
            self.bytes.push((self.pending >> 56) as u8);
        }
        self.bytes
    }
}

/// Why bits could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BitsError {
    /// The bytes are at their end.
    End,
    /// A Rice code says more than its limit.
    AboveLimit,
    /// Whole bytes are left over.
    BytesLeft,
    /// The bits that fill up the last byte are not all zero.
    Padding,
}

/// Reads bits from bytes.
#[derive(Debug)]
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    /// Bits taken from `bytes` and not yet read, from the top; zeros below them.
    window: u64,
    count: u32,
}

impl<'a> BitReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> BitReader<'a> {
        BitReader {
            bytes,
            window: 0,
            count: 0,
        }
    }

    fn refill(&mut self) {
        while self.count <= 56 {
            let Some((byte, rest)) = self.bytes.split_first() else {
                return;
            };
            self.window |= u64::from(*byte) << (56 - self.count);
            self.count += 8;
            self.bytes = rest;
        }
    }

    fn skip(&mut self, count: u32) {
        self.window = self.window.checked_shl(count).unwrap_or(0);
        self.count -= count;
    }

    /// The next `count` bits, 32 at most.
    pub(crate) fn read(&mut self, count: u32) -> Result<u32, BitsError> {
        if count == 0 {
            return Ok(0);
        }
        if self.count < count {
            self.refill();
            if self.count < count {
                return Err(BitsError::End);
            }
        }
        let value = (self.window >> (64 - count)) as u32;
        self.skip(count);
        Ok(value)
    }

    /// The next Rice code, `limit` at most.
    pub(crate) fn read_rice(&mut self, parameter: u32, limit: u32) -> Result<u32, BitsError> {
        let most = limit >> parameter;
        let mut quotient = 0;
        loop {
            self.refill();
            if self.count == 0 {
                return Err(BitsError::End);
            }
            let ones = self.window.leading_ones().min(self.count);
            quotient += ones;
            if quotient > most {
                return Err(BitsError::AboveLimit);
            }
            if ones < self.count {
                self.skip(ones + 1);
                break;
            }
            self.skip(ones);
        }
        let number = quotient << parameter | self.read(parameter)?;
        (number <= limit)
            .then_some(number)
            .ok_or(BitsError::AboveLimit)
    }

    /// Whether nothing is left but fewer than eight zeros.
    pub(crate) fn finish(self) -> Result<(), BitsError> {
        if !self.bytes.is_empty() || self.count >= 8 {
            return Err(BitsError::BytesLeft);
        }
        (self.window == 0).then_some(()).ok_or(BitsError::Padding)
    }
}

/// What numbers cost in Rice codes of every parameter.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RiceCost {
    quotients: [u64; MAX_RICE as usize + 1],
    count: u64,
}

impl RiceCost {
    /// Takes one more number into account.
    pub(crate) fn add(&mut self, number: u32) {
        for (parameter, sum) in self.quotients.iter_mut().enumerate() {
            *sum += u64::from(number >> parameter);
        }
        self.count += 1;
    }

    /// Takes what another counted into account.
    pub(crate) fn merge(mut self, other: &RiceCost) -> RiceCost {
        for (sum, more) in self.quotients.iter_mut().zip(&other.quotients) {
            *sum += more;
        }
        self.count += other.count;
        self
    }

    /// The parameter with the fewest bits, the lowest of several. Nothing else is canonical.
    pub(crate) fn best(&self) -> u32 {
        let cost = |b: &u32| self.quotients[*b as usize] + self.count * u64::from(b + 1);
        (0..=MAX_RICE).min_by_key(cost).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_rice_code_is_ones_a_zero_and_the_rest() {
        let mut writer = BitWriter::default();
        writer.push_rice(0b1101, 2); // 1110 01
        writer.push(1, 1);
        assert_eq!(writer.finish(), [0b1110_0110]);
    }

    #[test]
    fn a_code_above_its_limit_is_refused_as_soon_as_it_is_known() {
        let ones = [0xFF; 600];
        assert_eq!(
            BitReader::new(&ones).read_rice(0, 4_095),
            Err(BitsError::AboveLimit)
        );
        assert_eq!(
            BitReader::new(&ones[..8]).read_rice(0, 4_095),
            Err(BitsError::End)
        );
        assert_eq!(
            BitReader::new(&[0b0110_0000]).read_rice(2, 2),
            Err(BitsError::AboveLimit)
        );
        assert_eq!(BitReader::new(&[0b0110_0000]).read_rice(2, 3), Ok(3));
    }

    #[test]
    fn the_end_is_checked_to_the_bit() {
        let rest = |bytes: &[u8]| {
            let mut reader = BitReader::new(bytes);
            reader.read(3).and_then(|_| reader.finish())
        };
        assert_eq!(rest(&[0b1110_0000]), Ok(()));
        assert_eq!(rest(&[0b1110_0001]), Err(BitsError::Padding));
        assert_eq!(rest(&[0b1110_0000, 0]), Err(BitsError::BytesLeft));
        assert_eq!(rest(&[]), Err(BitsError::End));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(numbers in prop::collection::vec(0u32..4_096, 0..200), b in 0..=MAX_RICE) {
            let mut writer = BitWriter::default();
            for number in &numbers {
                writer.push_rice(*number, b);
                writer.push(number & 1, 1);
            }
            let bytes = writer.finish();
            let mut reader = BitReader::new(&bytes);
            for number in &numbers {
                prop_assert_eq!(reader.read_rice(b, *number), Ok(*number));
                prop_assert_eq!(reader.read(1), Ok(number & 1));
            }
            prop_assert_eq!(reader.finish(), Ok(()));
        }

        #[test]
        fn the_best_parameter_is_the_lowest_of_the_shortest(
            numbers in prop::collection::vec(0u32..4_096, 1..50),
        ) {
            let length = |b: u32| numbers.iter().map(|n| (n >> b) + 1 + b).sum::<u32>();
            // 12 and above are never better, and never needed
            let shortest = (0..=14).min_by_key(|b| length(*b)).expect("not empty");
            let mut cost = RiceCost::default();
            numbers.iter().for_each(|n| cost.add(*n));
            prop_assert_eq!(cost.best(), shortest);
        }
    }
}
