//! What is issued is the sum of all places where it can be, each pallet's promises of its storage hold, and nothing
//! that was issued comes in leaps.

use super::{Checker, Happening};

/// The most that one block may issue, in pebble: what the schedule gives a block of two seconds at first.
const MOST_A_BLOCK: u64 = 166_666_667;

/// Looks at the books after every block.
#[derive(Debug, Default)]
pub struct Money;

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
        if issued.saturating_sub(*before) > MOST_A_BLOCK {
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

    fn see(audit: Result<(), String>, issued: u64) -> bool {
        let happening = Happening::Block {
            number: 2,
            audit: &audit,
            issued,
            before: 1_000,
        };
        Money.see(&happening).is_ok()
    }

    #[test]
    fn wrong_books_and_a_leap_of_issuance_are_found() {
        assert!(see(Ok(()), 1_000));
        assert!(see(Ok(()), 1_000 + MOST_A_BLOCK));
        assert!(!see(Ok(()), 1_001 + MOST_A_BLOCK));
        assert!(!see(Err("a pebble too many".into()), 1_001));
    }
}
