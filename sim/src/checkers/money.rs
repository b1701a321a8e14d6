//! What is issued is the sum of all places where it can be, each pallet's promises of its storage hold, and nothing that was
//! issued comes in leaps.

use super::{Checker, Happening};

/// The most that one block may issue, in pebble: what the schedule gives a block of two seconds at first.
const MOST_A_BLOCK: u64 = 166_666_667;

/// Looks at the books after every block.
#[derive(Debug, Default)]
pub struct Money {
    issued: Option<(u32, u64)>,
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
        } = happening
        else {
            return Ok(());
        };
        let before = self.issued.replace((*number, *issued));
        (*audit)
            .clone()
            .map_err(|error| format!("block {number}: {error}"))?;
        if let Some((then, before)) = before.filter(|(then, _)| then < number) {
            let most = MOST_A_BLOCK.saturating_mul(u64::from(number - then));
            if issued.saturating_sub(before) > most {
                return Err(format!(
                    "block {number}: {issued} pebble are issued, {before} were at block {then}"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn see(money: &mut Money, number: u32, audit: Result<(), String>, issued: u64) -> bool {
        let happening = Happening::Block {
            number,
            audit: &audit,
            issued,
        };
        money.see(&happening).is_ok()
    }

    #[test]
    fn wrong_books_and_a_leap_of_issuance_are_found() {
        let mut money = Money::default();
        assert!(see(&mut money, 1, Ok(()), 1_000));
        assert!(see(&mut money, 2, Ok(()), 1_000 + MOST_A_BLOCK));
        assert!(!see(&mut money, 3, Ok(()), 1_001 + 2 * MOST_A_BLOCK));
        assert!(!see(&mut money, 4, Err("a pebble too many".into()), 1_001));
    }
}
