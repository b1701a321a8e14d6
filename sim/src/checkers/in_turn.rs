//! A member applies the round that it holds, and carries on what its own contribution left if that was included.

use super::{Checker, Happening};

/// Looks at each outer step that begins.
#[derive(Debug, Default)]
pub struct InTurn;

impl Checker for InTurn {
    fn name(&self) -> &'static str {
        "in_turn"
    }

    fn see(&mut self, happening: &Happening) -> Result<(), String> {
        let Happening::Applies {
            who,
            round,
            held,
            is_included,
            made,
            included,
        } = happening
        else {
            return Ok(());
        };
        if held.map(|held| held.round) != Some(*round) {
            return Err(format!(
                "member {who} applies round {round} and holds {held:?}"
            ));
        }
        let was_included = made.is_some() && made == included;
        if *is_included != was_included {
            return Err(format!(
                "member {who} made {made:?} in round {round}, which has {included:?} of it, and takes it for \
                 included: {is_included}"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_primitives::{ModelRoot, SealedRoot};
    use cairn_round::Held;

    fn applies(round: u32, is_included: bool, made: Option<u8>, included: Option<u8>) -> bool {
        let root = |byte: Option<u8>| byte.map(|byte| SealedRoot::from([byte; 32]));
        let held = Some(Held {
            round: 3,
            root: ModelRoot::zero(),
        });
        let happening = Happening::Applies {
            who: 0,
            round,
            held,
            is_included,
            made: root(made),
            included: root(included),
        };
        InTurn.see(&happening).is_ok()
    }

    #[test]
    fn another_round_or_what_is_taken_for_included_wrongly_is_found() {
        assert!(applies(3, true, Some(1), Some(1)));
        assert!(applies(3, false, None, None));
        assert!(applies(3, false, Some(1), Some(2)));
        assert!(applies(3, false, None, Some(2)));
        assert!(!applies(4, false, None, None));
        assert!(!applies(3, false, Some(1), Some(1)));
        assert!(!applies(3, true, Some(1), Some(2)));
        assert!(!applies(3, true, None, None));
    }
}
