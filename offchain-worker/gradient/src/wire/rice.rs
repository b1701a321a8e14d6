//! The four Rice parameters of a tensor, and which ones are best.

use std::fmt;

/// What is written in Rice codes of its own parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// How many places are left out before a value.
    Gap,
    /// How many values of the low level come before one of the high level.
    Run,
    /// By how much a block's high level differs from that of the block before.
    High,
    /// By how much a block's low level is below its high one.
    Low,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Code::Gap => "gaps",
            Code::Run => "runs",
            Code::High => "high levels",
            Code::Low => "low levels",
        })
    }
}

/// All codes, in the order of their parameters in the file.
pub(crate) const CODES: [Code; 4] = [Code::Gap, Code::Run, Code::High, Code::Low];

/// One number per [`Code`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parameters {
    pub(crate) gap: u32,
    pub(crate) run: u32,
    pub(crate) high: u32,
    pub(crate) low: u32,
}

/// Bytes of the parameters: four bits each.
pub(crate) const PARAMETER_BYTES: usize = 2;
/// The largest parameter.
pub(crate) const MAX_PARAMETER: u32 = 15;
/// The largest parameter that is ever best for gaps and runs: they are below 4,096, and with 12 every code would
/// take at least as many bits as with 11.
pub(crate) const MAX_SHORT: u32 = 11;

impl Parameters {
    pub(crate) fn to_bytes(self) -> [u8; PARAMETER_BYTES] {
        [self.gap << 4 | self.run, self.high << 4 | self.low].map(|byte| byte as u8)
    }

    pub(crate) fn from_bytes(bytes: [u8; PARAMETER_BYTES]) -> Parameters {
        let [short, levels] = bytes.map(u32::from);
        Parameters {
            gap: short >> 4,
            run: short & 15,
            high: levels >> 4,
            low: levels & 15,
        }
    }

    pub(crate) fn of(&self, code: Code) -> u32 {
        match code {
            Code::Gap => self.gap,
            Code::Run => self.run,
            Code::High => self.high,
            Code::Low => self.low,
        }
    }
}

/// What numbers cost in Rice codes of every parameter.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RiceCost {
    quotients: [u64; MAX_PARAMETER as usize + 1],
    count: u64,
}

impl RiceCost {
    /// Takes one more number into account.
    #[inline(always)]
    pub(crate) fn add(&mut self, number: u32) {
        for (parameter, sum) in self.quotients.iter_mut().enumerate() {
            *sum += u64::from(number >> parameter);
        }
        self.count += 1;
    }

    /// Takes numbers into account, which are below 4,096 and add up to less than 2¹⁶.
    #[inline(always)]
    pub(crate) fn add_short(&mut self, numbers: &[u16]) {
        for (parameter, sum) in self.quotients[..=MAX_SHORT as usize].iter_mut().enumerate() {
            let mut quotients = 0u16;
            for number in numbers {
                quotients = quotients.wrapping_add(number >> parameter);
            }
            *sum += u64::from(quotients);
        }
        self.count += numbers.len() as u64;
    }

    fn merge(&mut self, other: &RiceCost) {
        for (sum, more) in self.quotients.iter_mut().zip(&other.quotients) {
            *sum += more;
        }
        self.count += other.count;
    }

    /// Bits that all numbers take with this parameter.
    pub(crate) fn bits(&self, parameter: u32) -> u64 {
        self.quotients[parameter as usize] + self.count * u64::from(parameter + 1)
    }

    /// The parameter, up to `most`, with the fewest bits, the lowest of several.
    fn best(&self, most: u32) -> u32 {
        (0..=most)
            .min_by_key(|parameter| self.bits(*parameter))
            .unwrap_or(0)
    }
}

/// What a tensor's numbers cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Costs {
    pub(crate) gap: RiceCost,
    pub(crate) run: RiceCost,
    pub(crate) high: RiceCost,
    pub(crate) low: RiceCost,
}

impl Costs {
    /// Takes what was counted elsewhere into account.
    pub(crate) fn merge(mut self, other: &Costs) -> Costs {
        self.gap.merge(&other.gap);
        self.run.merge(&other.run);
        self.high.merge(&other.high);
        self.low.merge(&other.low);
        self
    }

    /// The parameters with the fewest bits, the lowest of several. Nothing else is canonical.
    pub(crate) fn best(&self) -> Parameters {
        Parameters {
            gap: self.gap.best(MAX_SHORT),
            run: self.run.best(MAX_SHORT),
            high: self.high.best(MAX_PARAMETER),
            low: self.low.best(MAX_PARAMETER),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lowest_of_the_shortest(numbers: &[u16], most: u32) -> u32 {
        let length = |b: u32| -> u32 { numbers.iter().map(|n| (u32::from(*n) >> b) + 1 + b).sum() };
        (0..=most).min_by_key(|b| length(*b)).expect("not empty")
    }

    proptest! {
        #[test]
        fn the_best_parameter_is_the_lowest_of_the_shortest(
            short in prop::collection::vec(prop_oneof![0u16..4_096, 0u16..100], 0..16),
            long in prop::collection::vec(any::<u16>(), 0..50),
            cut: prop::sample::Index,
        ) {
            let cut = cut.index(short.len() + 1);
            let (mut first, mut second) = (Costs::default(), Costs::default());
            first.gap.add_short(&short[..cut]);
            second.gap.add_short(&short[cut..]);
            first.run.add_short(&short);
            long.iter().for_each(|number| second.high.add(u32::from(*number)));
            let best = first.merge(&second).best();
            // 12 and above are never better for what is short, and never needed
            prop_assert_eq!(best.gap, lowest_of_the_shortest(&short, 15));
            prop_assert_eq!(best.run, best.gap);
            prop_assert_eq!(best.high, lowest_of_the_shortest(&long, 15));
            prop_assert_eq!(best.low, 0);
        }

        #[test]
        fn parameters_take_four_bits_each(bytes: [u8; 2]) {
            prop_assert_eq!(Parameters::from_bytes(bytes).to_bytes(), bytes);
        }
    }
}
