//! What is issued is the sum of all places where it can be, each pallet's promises of its storage hold, and nothing
//! that was issued comes in leaps.

use cairn_primitives::{Balance, CRN};

use super::{Checker, Happening};
use crate::clock::Millis;

/// What the schedule gives a day at first, in pebble.
const A_DAY: Balance = 7_200 * CRN;
/// A day, in milliseconds.
const DAY: Millis = 86_400_000;

/// Looks at the books after every block.
#[derive(Debug)]
pub struct Money {
    /// The most that one block may issue, in pebble.
    most: Balance,
}

impl Money {
    /// Of a chain that makes a block each so many milliseconds.
    pub fn new(block_time: Millis) -> Money {
        Money {
            most: A_DAY.saturating_mul(block_time).div_ceil(DAY),
        }
    }
}

impl Checker for Money {
    fn name(&self) -> &'static str {
        "money"
    }

    fn see(&mut self, happening: &Happening) -> Result<(), String> {
        let Happening::Block {
            number,
            audit,
            issued,
            before,
        } = happening
        else {
            return Ok(());
        };
        (*audit)
            .clone()
            .map_err(|error| format!("block {number}: {error}"))?;
        if issued.saturating_sub(*before) > self.most {
            return Err(format!(
                "block {number}: {issued} pebble are issued, {before} were before it"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the schedule gives a block of two seconds at first.
    const MOST: Balance = 166_666_667;

    fn see(block_time: Millis, audit: Result<(), String>, issued: Balance) -> bool {
        let happening = Happening::Block {
            number: 2,
            audit: &audit,
            issued,
            before: 1_000,
        };
        Money::new(block_time).see(&happening).is_ok()
    }

    #[test]
    fn wrong_books_and_a_leap_of_issuance_are_found() {
        assert!(see(2_000, Ok(()), 1_000));
        assert!(see(2_000, Ok(()), 1_000 + MOST));
        assert!(!see(2_000, Ok(()), 1_001 + MOST));
        assert!(!see(2_000, Err("a pebble too many".into()), 1_001));
        assert!(see(6_000, Ok(()), 1_000 + 500_000_000));
        assert!(!see(6_000, Ok(()), 1_001 + 500_000_000));
    }
}
