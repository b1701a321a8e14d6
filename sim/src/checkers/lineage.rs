//! All honest members hold the same root in a round, and it is the one that the chain takes for final.

use std::collections::{BTreeMap, BTreeSet};

use cairn_primitives::{ModelRoot, Round};
use cairn_round::{machine::Reason, Held};

use super::{Checker, Happening, Who};

/// The root of each round.
#[derive(Debug, Default)]
pub struct Lineage {
    held: BTreeMap<Round, ModelRoot>,
    last: BTreeMap<Round, ModelRoot>,
    cheats: BTreeSet<Who>,
}

impl Lineage {
    fn holds(&mut self, who: Who, held: Held) -> Result<(), String> {
        if self.cheats.contains(&who) {
            return Ok(());
        }
        let known = *self.held.entry(held.round).or_insert(held.root);
        if known != held.root {
            return Err(format!(
                "member {who} begins round {} with {:?}, others with {known:?}",
                held.round, held.root
            ));
        }
        self.agrees(held.round)
    }

    fn is_final(&mut self, round: Round, root: Option<ModelRoot>) -> Result<(), String> {
        let Some(root) = root else {
            return Ok(());
        };
        let known = *self.last.entry(round).or_insert(root);
        if known != root {
            return Err(format!(
                "round {round} had the final root {known:?} and now has {root:?}"
            ));
        }
        self.agrees(round)
    }

    fn agrees(&self, round: Round) -> Result<(), String> {
        match (self.held.get(&round), self.last.get(&round)) {
            (Some(held), Some(last)) if held != last => Err(format!(
                "round {round}: members hold {held:?}, the chain's is {last:?}"
            )),
            _ => Ok(()),
        }
    }
}

impl Checker for Lineage {
    fn name(&self) -> &'static str {
        "lineage"
    }

    fn see(&mut self, happening: &Happening) -> Result<(), String> {
        match happening {
            Happening::Member {
                who,
                is_honest: false,
                ..
            } => {
                self.cheats.insert(*who);
                Ok(())
            }
            Happening::Kept { who, held } | Happening::Joined { who, held } => {
                self.holds(*who, *held)
            }
            Happening::Settled { settlement, .. } => {
                self.is_final(settlement.round, settlement.before)?;
                self.is_final(settlement.round.saturating_add(1), settlement.after)
            }
            Happening::Stopped {
                who,
                reason: reason @ Reason::Diverged { .. },
            } if !self.cheats.contains(who) => Err(format!("member {who} ended: {reason:?}")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_primitives::Hotkey;

    fn root_of(byte: u8) -> ModelRoot {
        ModelRoot::from([byte; 32])
    }

    fn kept(who: Who, round: Round, root: u8) -> Happening<'static> {
        let root = root_of(root);
        Happening::Kept {
            who,
            held: Held { round, root },
        }
    }

    #[test]
    fn another_root_in_the_same_round_is_found() {
        let mut lineage = Lineage::default();
        assert!(lineage.see(&kept(0, 1, 5)).is_ok());
        assert!(lineage.see(&kept(1, 1, 5)).is_ok());
        assert!(lineage.see(&kept(1, 2, 6)).is_ok());
        assert!(lineage.see(&kept(2, 1, 7)).is_err());
    }

    #[test]
    fn a_root_that_is_not_the_chains_is_found_and_a_cheats_is_none_of_ours() {
        let mut lineage = Lineage::default();
        assert!(lineage.is_final(3, Some(root_of(9))).is_ok());
        let cheat = Happening::Member {
            who: 4,
            hotkey: Hotkey::default(),
            is_honest: false,
        };
        assert!(lineage.see(&cheat).is_ok());
        assert!(lineage.see(&kept(4, 3, 1)).is_ok());
        assert!(lineage.see(&kept(0, 3, 1)).is_err());
        assert!(lineage.is_final(3, Some(root_of(8))).is_err());
    }
}
