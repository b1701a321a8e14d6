//! An honest validator vouches for what it has opened and found good while its process lives, and calls broken what it
//! has opened and found so, in the round of the parameters that it holds, and measures what it has attested in.

use std::collections::{BTreeMap, BTreeSet};

use cairn_primitives::{Judgement, Round, SealedRoot, Uid, Witness};
use cairn_round::{
    validator::{Found, Measurement, Opened},
    Held,
};

use super::{sight::Sight, Checker, Happening, Who};

/// A contribution that a validator opened.
type File = (Who, Round, Uid, SealedRoot);

/// What each validator's process knows.
#[derive(Debug, Default)]
pub struct Verdicts {
    /// What it opened and found good.
    good: BTreeSet<File>,
    /// What it opened and found broken.
    broken: BTreeSet<File>,
    /// The rounds for which it found out what to attest.
    attested: BTreeSet<(Who, Round)>,
    /// The last round that it measured whole, and what shows it.
    witnesses: BTreeMap<Who, (Round, Witness)>,
}

/// What a validator is about to bind itself to.
#[derive(Clone, Debug)]
pub struct Vow<'a> {
    /// The round, and the root with which it began.
    pub held: Held,
    /// What it found good, and what broken.
    pub said: &'a Judgement,
    /// What shows that the round before was measured.
    pub witness: Witness,
    /// What it has seen of the chain.
    pub seen: &'a Sight,
}

impl Verdicts {
    fn vouches(
        &self,
        who: Who,
        vow: &Vow,
        held: Option<Held>,
        is_bound: bool,
    ) -> Option<&'static str> {
        let (seen, round) = (vow.seen, vow.held.round);
        let has = |all: &BTreeSet<File>, uid: Uid| {
            let root = seen.revealed.get(&uid);
            root.is_some_and(|root| all.contains(&(who, round, uid, *root)))
        };
        let before = self.witnesses.get(&who);
        let before = before.filter(|(measured, _)| measured.checked_add(1) == Some(round));
        if held != Some(vow.held) || seen.round != round {
            Some("of which it does not hold the parameters")
        } else if is_bound || seen.promised.is_some() || seen.has_attested {
            Some("in which it is bound already")
        } else if vow.said.good.uids().any(|uid| !has(&self.good, uid)) {
            Some("and vouches for what it has not opened")
        } else if vow.said.broken.uids().any(|uid| !has(&self.broken, uid)) {
            Some("and calls broken what it has not found so")
        } else if vow.witness != Witness::default()
            && before.map(|(_, it)| *it) != Some(vow.witness)
        {
            Some("with another witness than that of the round before")
        } else {
            None
        }
    }

    fn measures(&self, who: Who, what: &Measurement, held: Option<Held>) -> Option<&'static str> {
        let is_here = |uid: Uid, root: SealedRoot| {
            what.included.contains(&uid) || self.good.contains(&(who, what.round, uid, root))
        };
        let mut subjects = what.subjects.iter();
        let is_next = held.map(|held| held.round) == what.round.checked_add(1);
        if !is_next || !self.attested.contains(&(who, what.round)) {
            Some("which is not the one before, or in which it did not attest")
        } else if subjects
            .any(|one| matches!(one.found, Found::Good(root) if !is_here(one.uid, root)))
        {
            Some("and what it has not opened in it")
        } else {
            None
        }
    }
}

impl Checker for Verdicts {
    fn name(&self) -> &'static str {
        "verdicts"
    }

    fn see(&mut self, happening: &Happening) -> Result<(), String> {
        match happening {
            Happening::Opened {
                who,
                round,
                uid,
                root,
                found,
            } => {
                let one = (*who, *round, *uid, *root);
                match found {
                    Opened::Good => self.good.insert(one),
                    Opened::Broken => self.broken.insert(one),
                    Opened::Bad => false,
                };
            }
            Happening::Vouches {
                who,
                vow,
                held,
                is_bound,
            } => {
                let round = vow.held.round;
                self.attested.insert((*who, round));
                if let Some(why) = self.vouches(*who, vow, *held, *is_bound) {
                    return Err(format!("member {who} attests round {round}, {why}"));
                }
            }
            Happening::Measures {
                who,
                measurement,
                held,
            } => {
                if let Some(why) = self.measures(*who, measurement, *held) {
                    let round = measurement.round;
                    return Err(format!("member {who} measures round {round}, {why}"));
                }
            }
            Happening::Measured {
                who,
                round,
                witness,
            } => {
                self.witnesses.insert(*who, (*round, *witness));
            }
            Happening::Crashed { who } => {
                self.good.retain(|(other, ..)| other != who);
                self.broken.retain(|(other, ..)| other != who);
                self.attested.retain(|(other, _)| other != who);
                self.witnesses.remove(who);
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        rng::Rng,
        settings::{usual_costs, Kind},
        workshop::Workshop,
    };
    use cairn_primitives::{Hotkey, ModelRoot, Netuid, H256};
    use cairn_protocol::assignment::{DataRange, Plan, RoundData};
    use cairn_round::validator::Subject;

    const MINER: Uid = Uid(4);

    fn held(round: Round) -> Held {
        Held {
            round,
            root: ModelRoot::from([round as u8; 32]),
        }
    }

    fn root() -> SealedRoot {
        SealedRoot::from([70; 32])
    }

    /// A checker that saw the validator open a contribution to round 3.
    fn checker() -> Verdicts {
        opened(Opened::Good)
    }

    /// The same, with what that was found to be.
    fn opened(found: Opened) -> Verdicts {
        let mut checker = Verdicts::default();
        let opened = Happening::Opened {
            who: 0,
            round: 3,
            uid: MINER,
            root: root(),
            found,
        };
        assert!(checker.see(&opened).is_ok());
        checker
    }

    fn vouches(checker: &mut Verdicts, seen: &Sight, witness: Witness, own: Option<Held>) -> bool {
        vouches_if(checker, seen, witness, own, false)
    }

    fn vouches_if(
        checker: &mut Verdicts,
        seen: &Sight,
        witness: Witness,
        own: Option<Held>,
        is_bound: bool,
    ) -> bool {
        let said = Judgement::new([MINER], []);
        let vow = Vow {
            held: held(3),
            said: &said,
            witness,
            seen,
        };
        let happening = Happening::Vouches {
            who: 0,
            vow,
            held: own,
            is_bound,
        };
        checker.see(&happening).is_ok()
    }

    #[test]
    fn who_calls_broken_what_it_has_not_found_so_is_found() {
        let seen = revealed(3, root());
        let calls_broken = |mut checker: Verdicts| {
            let vow = Vow {
                held: held(3),
                said: &Judgement::new([], [MINER]),
                witness: Witness::default(),
                seen: &seen,
            };
            let happening = Happening::Vouches {
                who: 0,
                vow,
                held: Some(held(3)),
                is_bound: false,
            };
            checker.see(&happening).is_ok()
        };
        assert!(calls_broken(opened(Opened::Broken)));
        for found in [Opened::Good, Opened::Bad] {
            assert!(!calls_broken(opened(found)), "{found:?}");
        }
        assert!(!calls_broken(Verdicts::default()));
    }

    fn revealed(round: Round, root: SealedRoot) -> Sight {
        Sight {
            round,
            revealed: [(MINER, root)].into(),
            ..Sight::default()
        }
    }

    #[test]
    fn who_vouches_for_what_it_has_not_opened_is_found() {
        let own = Some(held(3));
        let none = Witness::default();
        assert!(vouches(&mut checker(), &revealed(3, root()), none, own));
        let other = revealed(3, SealedRoot::from([71; 32]));
        assert!(!vouches(&mut checker(), &other, none, own));
        let mut crashed = checker();
        assert!(crashed.see(&Happening::Crashed { who: 0 }).is_ok());
        assert!(!vouches(&mut crashed, &revealed(3, root()), none, own));
    }

    #[test]
    fn who_attests_another_round_or_twice_or_what_it_has_not_measured_is_found() {
        let (none, own) = (Witness::default(), Some(held(3)));
        let seen = revealed(3, root());
        assert!(!vouches(&mut checker(), &seen, none, Some(held(4))));
        assert!(!vouches(&mut checker(), &revealed(4, root()), none, own));
        let bound = Sight {
            promised: Some(root().0),
            ..seen.clone()
        };
        assert!(!vouches(&mut checker(), &bound, none, own));
        assert!(!vouches_if(&mut checker(), &seen, none, own, true));
        let witness = Witness {
            gains: H256::repeat_byte(5),
            loss: 5,
        };
        assert!(!vouches(&mut checker(), &seen, witness, own));
        let mut measured = checker();
        let (who, round) = (0, 2);
        let of = Happening::Measured {
            who,
            round,
            witness,
        };
        assert!(measured.see(&of).is_ok());
        assert!(vouches(&mut measured, &seen, witness, own));
    }

    /// A measurement of round 3 in which the miner has contributed this.
    fn measurement(contribution: SealedRoot, included: &[Uid]) -> Measurement {
        let (kind, rng) = (Kind::Cost, Rng::new(1));
        let workshop = Workshop::new(kind, &rng, 100, usual_costs(kind)).expect("a bowl");
        let (pass, cursor, miners) = (0, 0, 1);
        let range = DataRange { pass, cursor };
        let data = RoundData { range, miners };
        Measurement {
            round: 3,
            root: held(3).root,
            plan: Plan::new(Netuid(1), workshop.run(), data),
            exam: H256::zero(),
            salt: H256::zero(),
            subjects: vec![Subject {
                slot: 0,
                uid: MINER,
                hotkey: Hotkey::default(),
                found: Found::Good(contribution),
            }],
            included: included.to_vec(),
            trusts: vec![1; included.len()],
            before: Vec::new(),
        }
    }

    fn measures(checker: &mut Verdicts, measurement: &Measurement, own: Round) -> bool {
        let happening = Happening::Measures {
            who: 0,
            measurement,
            held: Some(held(own)),
        };
        checker.see(&happening).is_ok()
    }

    #[test]
    fn who_measures_what_it_has_not_opened_or_attested_is_found() {
        let mut attested = checker();
        let (seen, none) = (revealed(3, root()), Witness::default());
        assert!(vouches(&mut attested, &seen, none, Some(held(3))));
        let (opened, other) = (root(), SealedRoot::from([71; 32]));
        assert!(measures(&mut attested, &measurement(opened, &[]), 4));
        assert!(measures(&mut attested, &measurement(other, &[MINER]), 4));
        assert!(!measures(&mut attested, &measurement(other, &[]), 4));
        for own in [3, 5] {
            let of = measurement(opened, &[]);
            assert!(!measures(&mut attested, &of, own), "{own}");
        }
        // It has opened the file and not attested.
        assert!(!measures(&mut checker(), &measurement(opened, &[]), 4));
    }
}
