//! Between what limits a subnet's owner may set its hyperparameters.
//!
//! The limits keep a subnet's work per block bounded, its seats from being free, a consensus from being one of few, and
//! what is asked back from being locked for long. Beyond that they judge no policy. `bonds_penalty` may be anything.

use core::{fmt, ops::RangeInclusive};

use crate::{Balance, BlockNumber, Hyperparameters, Nano, CRN, MAX_MEMBERS, MAX_VALIDATORS};

/// Blocks between two epochs.
pub const TEMPO: RangeInclusive<BlockNumber> = 5..=50_400;
/// Longest immunity and half-life: a year of blocks of 6 s.
pub const MAX_PERIOD: BlockNumber = 5_256_000;
/// The longest unbonding, whatever the audit window: 21 days of blocks of 6 s.
pub const MAX_UNBONDING_PERIOD: BlockNumber = 302_400;
/// The longest unbonding in audit windows.
pub const UNBONDING_WINDOWS: BlockNumber = 4;
/// The longest unbonding on a chain whose audit window is shorter than a quarter of it: what it is by default.
pub const SHORT_UNBONDING_PERIOD: BlockNumber = 7_200;
/// Share of stake that must support a score, of 65,535: 0.4 to 0.75. Less would let few decide, more few prevent.
pub const KAPPA: RangeInclusive<u16> = 26_214..=49_151;
/// Largest stake or bond that can be asked for, and highest price: all that will ever be issued.
pub const MAX_AMOUNT: Balance = 21_000_000 * CRN;
/// Lowest price of a seat, in pebble: a thousandth of a CRN. A member sends transactions for which it pays nothing.
pub const MIN_PRICE: Balance = CRN / 1_000;
/// Tempos after which scores are too old at the latest: those of the tempo before the last still count.
pub const ACTIVE_TEMPOS: BlockNumber = 2;
/// By how much a sale may multiply the price of a seat.
pub const PRICE_FACTOR: RangeInclusive<Nano> = Nano(1_000_000_000)..=Nano(10_000_000_000);
/// Largest `bonds_moving_average`: a bond that never changes.
pub const MAX_BONDS_MOVING_AVERAGE: u32 = 1_000_000;

/// Which kind of limit a hyperparameter is outside of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// `tempo`.
    Tempo,
    /// `max_members`, `max_validators`.
    Seats,
    /// `immunity_period`, `activity_cutoff`, `unbonding_period`.
    Period,
    /// `unbonding_period` is within its limits, but shorter than the audit window or than `tempo`.
    Unbonding,
    /// How validators' scores become a consensus.
    Consensus,
    /// `min_validator_stake`, `min_miner_bond`.
    Stake,
    /// Prices of a seat, their half-life and factor.
    Price,
}

/// A hyperparameter outside its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfLimits {
    /// Which limit it is.
    pub group: Group,
    /// The hyperparameter, as JSON names it.
    pub name: &'static str,
    /// What it was to be: pebble, blocks, or what the hyperparameter is in; a [`Nano`] in units of 10⁻⁹.
    pub value: u64,
    /// The least that it can be, beside the others.
    pub least: u64,
    /// The most that it can be, beside the others.
    pub most: u64,
}

impl fmt::Display for OutOfLimits {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OutOfLimits {
            name,
            value,
            least,
            most,
            ..
        } = self;
        write!(
            out,
            "{name} cannot be {value}: it is from {least} to {most}"
        )
    }
}

/// Whether a hyperparameter is within its limits.
fn within(
    group: Group,
    name: &'static str,
    value: impl Into<u64>,
    least: impl Into<u64>,
    most: impl Into<u64>,
) -> Result<(), OutOfLimits> {
    let (value, least, most) = (value.into(), least.into(), most.into());
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(OutOfLimits {
        group,
        name,
        value,
        least,
        most,
    })
}

/// The longest unbonding, in blocks, on a chain on which work can be checked for `audit_window` blocks: so many
/// windows, and never less than one.
pub fn longest_unbonding(audit_window: BlockNumber) -> BlockNumber {
    audit_window
        .saturating_mul(UNBONDING_WINDOWS)
        .clamp(SHORT_UNBONDING_PERIOD, MAX_UNBONDING_PERIOD)
        .max(audit_window)
}

impl Hyperparameters {
    /// Whether all are within their limits, on a chain on which work can be checked for `audit_window` blocks.
    ///
    /// # Errors
    /// The first one that is not.
    pub fn check(&self, audit_window: BlockNumber) -> Result<(), OutOfLimits> {
        within(
            Group::Tempo,
            "tempo",
            self.tempo,
            *TEMPO.start(),
            *TEMPO.end(),
        )?;
        self.check_seats()?;
        self.check_periods(audit_window)?;
        let least = self.tempo.max(audit_window);
        let unbonding = self.unbonding_period;
        within(
            Group::Unbonding,
            "unbonding_period",
            unbonding,
            least,
            longest_unbonding(audit_window),
        )?;
        self.check_consensus()?;
        self.check_stakes()?;
        self.check_prices()
    }

    /// At least one seat, at least one validator, no more validators than seats.
    fn check_seats(&self) -> Result<(), OutOfLimits> {
        within(
            Group::Seats,
            "max_members",
            self.max_members,
            1u8,
            MAX_MEMBERS,
        )?;
        let most = MAX_VALIDATORS.min(self.max_members.into());
        within(
            Group::Seats,
            "max_validators",
            self.max_validators,
            1u8,
            most,
        )
    }

    /// Immunity may be none; the others last at least a block, and what is asked back comes before too long.
    fn check_periods(&self, audit_window: BlockNumber) -> Result<(), OutOfLimits> {
        let longest = longest_unbonding(audit_window);
        let active = self.tempo.saturating_mul(ACTIVE_TEMPOS);
        let periods = [
            ("immunity_period", self.immunity_period, 0u8, MAX_PERIOD),
            ("activity_cutoff", self.activity_cutoff, 1, active),
            ("unbonding_period", self.unbonding_period, 1, longest),
        ];
        periods
            .into_iter()
            .try_for_each(|(name, value, least, most)| {
                within(Group::Period, name, value, least, most)
            })
    }

    /// Neither a few validators are the consensus nor do a few prevent it; rates lie between their ends.
    fn check_consensus(&self) -> Result<(), OutOfLimits> {
        let average = self.bonds_moving_average;
        let (least, most) = (*KAPPA.start(), *KAPPA.end());
        within(Group::Consensus, "kappa", self.kappa, least, most)?;
        within(
            Group::Consensus,
            "bonds_moving_average",
            average,
            0u8,
            MAX_BONDS_MOVING_AVERAGE,
        )?;
        let (low, high) = (self.liquid_alpha_low, self.liquid_alpha_high);
        within(Group::Consensus, "liquid_alpha_low", low, 0u8, high)
    }

    /// Nobody validates with nothing at stake; a miner's bond may be waived.
    fn check_stakes(&self) -> Result<(), OutOfLimits> {
        let (stake, bond) = (self.min_validator_stake, self.min_miner_bond);
        within(Group::Stake, "min_validator_stake", stake, 1u8, MAX_AMOUNT)?;
        within(Group::Stake, "min_miner_bond", bond, 0u8, MAX_AMOUNT)
    }

    /// The price has room between its ends and can move.
    fn check_prices(&self) -> Result<(), OutOfLimits> {
        let (least, most) = (self.min_registration_price, self.max_registration_price);
        let factor = self.registration_price_factor.0;
        let factors = (PRICE_FACTOR.start().0, PRICE_FACTOR.end().0);
        let half_life = self.registration_half_life;
        let group = Group::Price;
        within(group, "max_registration_price", most, MIN_PRICE, MAX_AMOUNT)?;
        within(group, "min_registration_price", least, MIN_PRICE, most)?;
        within(group, "registration_half_life", half_life, 1u8, MAX_PERIOD)?;
        within(
            group,
            "registration_price_factor",
            factor,
            factors.0,
            factors.1,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong once something was changed.
    fn wrong(change: impl FnOnce(&mut Hyperparameters)) -> OutOfLimits {
        let mut hyperparameters = Hyperparameters::default();
        change(&mut hyperparameters);
        hyperparameters.check(7_200).expect_err("out of limits")
    }

    #[test]
    fn the_defaults_are_within_their_limits() {
        assert_eq!(Hyperparameters::default().check(7_200), Ok(()));
    }

    #[test]
    fn unbonding_ends_within_four_audits_and_within_21_days() {
        let longest = [
            (20, 7_200),
            (1_800, 7_200),
            (7_200, 28_800),
            (75_600, 302_400),
            (100_000, 302_400),
            // What can be audited for longer has to stay for longer.
            (400_000, 400_000),
        ];
        for (window, most) in longest {
            assert_eq!(longest_unbonding(window), most);
            let with = |unbonding_period| Hyperparameters {
                unbonding_period,
                ..Hyperparameters::default()
            };
            assert_eq!(with(most).check(window), Ok(()));
            let fault = with(most + 1).check(window).expect_err("too long");
            assert_eq!((fault.group, fault.most), (Group::Period, most.into()));
        }
    }

    #[test]
    fn what_is_out_of_them_is_told_with_its_limits() {
        let short = wrong(|h| h.unbonding_period = 100);
        assert_eq!((short.group, short.least), (Group::Unbonding, 7_200));
        assert_eq!(
            short.to_string(),
            "unbonding_period cannot be 100: it is from 7200 to 28800"
        );
        // A long tempo raises what unbonding has to be.
        assert_eq!(wrong(|h| h.tempo = 8_000).least, 8_000);
        // Scores of the tempo before the last still count, older ones do not.
        let old = wrong(|h| h.activity_cutoff = 721);
        assert_eq!((old.name, old.most), ("activity_cutoff", 720));
        // Beside seven members there are seven validators at most.
        let seats = wrong(|h| (h.max_members, h.max_validators) = (7, 8));
        assert_eq!((seats.name, seats.most), ("max_validators", 7));
        let price = wrong(|h| h.min_registration_price = 101 * CRN);
        assert_eq!((price.value, price.most), (101 * CRN, 100 * CRN));
        let factor = wrong(|h| h.registration_price_factor = Nano(0));
        assert_eq!(
            (factor.name, factor.least),
            ("registration_price_factor", 1_000_000_000)
        );
    }
}
