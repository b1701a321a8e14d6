//! A member's machine has one look at the chain under way at a time, one computation, and one transaction of a kind.

use std::collections::BTreeSet;

use super::{Checker, Happening, One, Who};

/// What is under way.
#[derive(Debug, Default)]
pub struct OneAtATime(BTreeSet<(Who, One)>);

impl Checker for OneAtATime {
    fn name(&self) -> &'static str {
        "one_at_a_time"
    }

    fn see(&mut self, happening: &Happening) -> Result<(), String> {
        match happening {
            Happening::Begun { who, one } => {
                let is_first = self.0.insert((*who, *one));
                let two = || format!("member {who} has two of {one:?} under way");
                return is_first.then_some(()).ok_or_else(two);
            }
            Happening::Over { who, one } => {
                self.0.remove(&(*who, *one));
            }
            Happening::Crashed { who } | Happening::Stopped { who, .. } => {
                self.0.retain(|(other, _)| other != who);
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_round::machine::Kind;

    #[test]
    fn a_second_one_is_found_and_a_crash_ends_the_first() {
        let mut checker = OneAtATime::default();
        let mut begin = |who, one| checker.see(&Happening::Begun { who, one }).is_ok();
        assert!(begin(0, One::Look) && begin(1, One::Look));
        assert!(begin(0, One::Computation));
        assert!(begin(0, One::Transaction(Kind::Scores)));
        assert!(begin(0, One::Transaction(Kind::Attestation)));
        assert!(!begin(0, One::Computation));
        assert!(!begin(0, One::Transaction(Kind::Scores)));
        let over = Happening::Over {
            who: 0,
            one: One::Look,
        };
        assert!(checker.see(&over).is_ok());
        assert!(checker.see(&Happening::Crashed { who: 1 }).is_ok());
        for who in [0, 1] {
            let look = Happening::Begun {
                who,
                one: One::Look,
            };
            assert!(checker.see(&look).is_ok(), "{who}");
        }
    }
}
