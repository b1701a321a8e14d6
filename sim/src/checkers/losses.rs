//! A loss on chain is one that an honest validator measured, where one did.

use std::collections::{BTreeMap, BTreeSet};

use cairn_primitives::{MicroNats, Round};

use super::{Checker, Happening, Who};

/// What honest validators state.
#[derive(Debug, Default)]
pub struct Losses {
    /// By round, what was measured of it: on another branch of the chain it may be something else.
    measured: BTreeMap<Round, BTreeSet<MicroNats>>,
    cheats: BTreeSet<Who>,
}

impl Losses {
    fn is_kept(&self, round: Round, loss: MicroNats) -> Result<(), String> {
        match self.measured.get(&round) {
            Some(measured) if !measured.contains(&loss) => Err(format!(
                "the chain keeps a loss of {loss} micro-nats for round {round}, honest validators measured {measured:?}"
            )),
            _ => Ok(()),
        }
    }
}

impl Checker for Losses {
    fn name(&self) -> &'static str {
        "losses"
    }

    fn see(&mut self, happening: &Happening) -> Result<(), String> {
        match happening {
            Happening::Member {
                who,
                is_honest: false,
                ..
            } => {
                self.cheats.insert(*who);
            }
            Happening::Measured {
                who,
                round,
                witness,
            } if !self.cheats.contains(who) => {
                let measured = self.measured.entry(*round).or_default();
                measured.extend(witness.stated_loss());
            }
            Happening::Settled {
                settlement,
                loss: Some(loss),
                ..
            } => {
                let before = settlement.round.saturating_sub(1);
                return self.is_kept(before, *loss);
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_primitives::{Hotkey, Witness, H256};

    fn measured(who: Who, loss: MicroNats) -> Happening<'static> {
        let gains = H256::repeat_byte(5);
        Happening::Measured {
            who,
            round: 3,
            witness: Witness { gains, loss },
        }
    }

    #[test]
    fn a_loss_that_no_honest_validator_measured_is_found() {
        let mut losses = Losses::default();
        assert!(losses.is_kept(3, 9).is_ok(), "nobody knows better");
        assert!(losses.see(&measured(0, 7)).is_ok());
        let cheat = Happening::Member {
            who: 4,
            hotkey: Hotkey::default(),
            is_honest: false,
        };
        assert!(losses.see(&cheat).is_ok());
        assert!(losses.see(&measured(4, 9)).is_ok());
        assert!(losses.is_kept(3, 7).is_ok());
        assert!(losses.is_kept(3, 9).is_err());
        assert!(losses.is_kept(2, 9).is_ok());
    }
}
