//! An honest member with a part in the rounds, that was neither cut off nor down, is included, or attests, again within
//! [`WITHIN`] rounds; and the rounds go on.

use std::collections::{BTreeMap, BTreeSet};

use cairn_primitives::{Hotkey, Round};

use super::{Checker, Happening, Who};

/// Within how many rounds.
pub const WITHIN: Round = 5;

/// Since when each member could have taken part.
#[derive(Debug, Default)]
pub struct NobodyStarves {
    members: BTreeMap<Hotkey, Who>,
    round: Round,
    /// Members that are cut off or down.
    away: BTreeSet<Who>,
    /// The first round that each member could do undisturbed and has had no part in since.
    since: BTreeMap<Who, Round>,
}

impl NobodyStarves {
    fn begin_anew(&mut self, who: Who) {
        self.since.insert(who, self.round.saturating_add(1));
    }

    /// One who was to take part in a round did, or did not.
    fn part(&mut self, hotkey: Hotkey, round: Round, took_part: bool) -> Result<(), String> {
        let Some(who) = self.members.get(&hotkey).copied() else {
            return Ok(());
        };
        let since = *self.since.entry(who).or_insert(round);
        if took_part || self.away.contains(&who) {
            let next = round.saturating_add(1).max(since);
            self.since.insert(who, next);
            return Ok(());
        }
        if round.saturating_add(1).saturating_sub(since) <= WITHIN {
            return Ok(());
        }
        // Told once.
        self.since.insert(who, round.saturating_add(1));
        Err(format!(
            "member {who} has had no part in the rounds from {since} to {round}"
        ))
    }
}

impl Checker for NobodyStarves {
    fn name(&self) -> &'static str {
        "nobody_starves"
    }

    fn see(&mut self, happening: &Happening) -> Result<(), String> {
        match happening {
            Happening::Member {
                who,
                hotkey,
                is_honest: true,
            } => {
                self.members.insert(*hotkey, *who);
            }
            Happening::Round(round) => self.round = *round,
            Happening::Crashed { who } => {
                self.away.insert(*who);
            }
            Happening::Disturbed {
                who,
                is_over: false,
            } => {
                self.away.insert(*who);
            }
            Happening::Restarted { who, .. } | Happening::Disturbed { who, is_over: true } => {
                self.away.remove(who);
                self.begin_anew(*who);
            }
            Happening::Settled {
                settlement,
                attested,
                validators,
                ..
            } => {
                let mut starved = Ok(());
                for (_, hotkey) in &settlement.miners {
                    let took_part = settlement.own(*hotkey).is_some();
                    starved = starved.and(self.part(*hotkey, settlement.round, took_part));
                }
                for hotkey in *validators {
                    let took_part = attested.contains(hotkey);
                    starved = starved.and(self.part(*hotkey, settlement.round, took_part));
                }
                return starved;
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_primitives::H256;

    fn member(checker: &mut NobodyStarves) -> Hotkey {
        let hotkey = Hotkey(H256::repeat_byte(1));
        let here = Happening::Member {
            who: 0,
            hotkey,
            is_honest: true,
        };
        assert!(checker.see(&here).is_ok());
        hotkey
    }

    #[test]
    fn who_is_left_out_too_often_is_found() {
        let mut checker = NobodyStarves::default();
        let hotkey = member(&mut checker);
        assert!(checker.part(hotkey, 0, true).is_ok());
        for round in 1..=WITHIN {
            assert!(checker.part(hotkey, round, false).is_ok());
        }
        assert!(checker.part(hotkey, WITHIN + 1, false).is_err());
    }

    #[test]
    fn who_was_away_has_its_rounds_anew() {
        let mut checker = NobodyStarves::default();
        let hotkey = member(&mut checker);
        for round in 0..WITHIN {
            assert!(checker.part(hotkey, round, false).is_ok());
        }
        assert!(checker.see(&Happening::Crashed { who: 0 }).is_ok());
        for round in WITHIN..3 * WITHIN {
            assert!(checker.see(&Happening::Round(round)).is_ok());
            assert!(checker.part(hotkey, round, false).is_ok());
        }
        let back = Happening::Restarted {
            who: 0,
            held: None,
            made: &[],
        };
        assert!(checker.see(&back).is_ok());
        let next = 3 * WITHIN;
        for round in next..next + WITHIN {
            assert!(checker.part(hotkey, round, false).is_ok());
        }
        assert!(checker.part(hotkey, next + WITHIN, false).is_err());
    }
}
