//! How often the checkers were told of each kind of happening: what nobody tells them, none of them can find.

use std::collections::BTreeMap;

use super::Happening;

/// Names the kinds of happenings, once. The match is whole: a kind that is not named does not compile.
macro_rules! kinds {
    ($($kind:ident),+ $(,)?) => {
        /// The names of all kinds of happenings.
        pub const KINDS: &[&str] = &[$(stringify!($kind)),+];

        /// The name of a happening's kind.
        pub fn kind(happening: &Happening) -> &'static str {
            match happening {
                $(Happening::$kind { .. } => stringify!($kind),)+
            }
        }
    };
}

kinds!(
    Block,
    Round,
    Settled,
    Member,
    Begun,
    Over,
    Sent,
    Applies,
    Opened,
    Vouches,
    Measures,
    Measured,
    Kept,
    Joined,
    Sealed,
    Crashed,
    Restarted,
    Disturbed,
    Reorganised,
    Stopped,
);

/// How often each kind of happening was told, by its name. Kinds that never were are in it, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally(BTreeMap<&'static str, usize>);

impl Default for Tally {
    fn default() -> Tally {
        Tally(KINDS.iter().map(|kind| (*kind, 0)).collect())
    }
}

impl Tally {
    /// Counts what was told.
    pub fn note(&mut self, happening: &Happening) {
        *self.0.entry(kind(happening)).or_default() += 1;
    }

    /// How often a kind was told; nothing of a name that no kind has.
    pub fn of(&self, kind: &str) -> Option<usize> {
        self.0.get(kind).copied()
    }

    /// The kinds that were never told.
    pub fn untold(&self) -> Vec<&'static str> {
        let untold = self.0.iter().filter(|(_, times)| **times == 0);
        untold.map(|(kind, _)| *kind).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_counted_by_its_kind_and_the_rest_is_named() {
        let mut tally = Tally::default();
        assert_eq!(tally.untold().len(), KINDS.len());
        tally.note(&Happening::Reorganised);
        tally.note(&Happening::Round(3));
        tally.note(&Happening::Round(4));
        let of = |kind| tally.of(kind);
        assert_eq!(
            [of("Reorganised"), of("Round"), of("Crashed"), of("Rain")],
            [Some(1), Some(2), Some(0), None]
        );
        assert_eq!(tally.untold().len(), KINDS.len() - 2);
        assert!(!tally.untold().contains(&"Round"));
    }
}
