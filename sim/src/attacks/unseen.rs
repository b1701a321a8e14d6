//! Validators that leave a part of their work undone: one calls files good before it has opened them, one sends no
//! scores.

use cairn_primitives::{api::MemberInfo, Judgement, ModelRoot, Round, Uid};
use cairn_round::View;
use cairn_runtime::AccountId;

use super::{long_files::LongFiles, Attack, Scene};
use crate::{
    behaviour::Behaviour,
    settings::{Recruit, Role},
};

/// All that was revealed is called good.
pub const GOOD: Attack = Attack {
    id: "C1",
    name: "unseen-good",
    what: "a validator calls good whatever is revealed, before it has opened any of it, and opens and measures it \
           afterwards; a miner beside it sends random bytes in each round",
    beside: Role::Validator,
    attackers: 1,
    stage: unseen_good,
    setting: |_| (),
};

/// Nothing is scored.
pub const NO_SCORES: Attack = Attack {
    id: "C2",
    name: "no-scores",
    what: "a validator attests honestly and measures, and never sends scores",
    beside: Role::Validator,
    attackers: 1,
    stage: |scene| scene.recruits(Role::Validator, "no-scores", |_| NoScores),
    setting: |_| (),
};

fn unseen_good(scene: &Scene) -> Vec<Recruit> {
    let name = GOOD.name;
    let mut recruits = scene.recruits(Role::Validator, name, |_| Unseen::default());
    let broken = LongFiles::of(0);
    recruits.push(Recruit::attacker(
        Role::Miner,
        "the sender of random bytes",
        name,
        broken,
    ));
    recruits
}

/// Calls good what it has not seen.
#[derive(Default)]
struct Unseen {
    said: Option<(Round, Judgement)>,
    /// Files that it called good, and that it would have found not to be.
    broken: usize,
}

impl Behaviour for Unseen {
    fn attests(
        &mut self,
        (found, root): (Judgement, ModelRoot),
        round: Round,
        view: Option<&View>,
    ) -> (Judgement, ModelRoot) {
        let known = self.said.as_ref().filter(|(of, _)| *of == round);
        if let Some((_, said)) = known {
            return (said.clone(), root);
        }
        let seen = view.into_iter().flat_map(|view| &view.contributions);
        let revealed = seen.filter(|seen| seen.key.is_some());
        let said = Judgement::new(revealed.map(|seen| seen.uid), []);
        let good = said.good.uids();
        self.broken += good.filter(|uid| !found.good.contains(*uid)).count();
        self.said = Some((round, said.clone()));
        (said, root)
    }

    fn tells(&self) -> Option<String> {
        let broken = self.broken;
        Some(format!("it called good {broken} files that are not"))
    }
}

/// Keeps to itself what contributions are worth.
struct NoScores;

impl Behaviour for NoScores {
    fn scores(
        &mut self,
        _: Vec<(Uid, u16)>,
        _: &[MemberInfo<AccountId>],
        _: &AccountId,
    ) -> Vec<(Uid, u16)> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        attacks::{self, find},
        settings::Settings,
        world::{RoundResult, RunResult, World},
    };

    fn run(name: &str) -> RunResult {
        let mut settings = Settings::honest(7, 3, 3, 6);
        let attack = find(name).expect("it is in the table");
        attacks::stage(&mut settings, attack, None);
        World::new(settings).expect("a network").run()
    }

    #[test]
    fn who_calls_good_unseen_a_broken_file_that_no_round_includes_is_slashed() {
        let result = run("unseen-good");
        let attackers = result.members.iter().filter(|one| one.attack.is_some());
        let told = attackers.clone().find_map(|one| one.told.clone());
        let told = told.expect("it tells");
        assert!(!told.contains(" 0 files"), "{told}");
        let sender = attackers.clone().find(|one| one.role == "miner");
        let uid = sender.and_then(|one| one.uid).expect("it has a seat");
        let sent = |round: &&RoundResult| round.part.revealed.contains(&uid);
        assert!(result.rounds.iter().filter(sent).count() >= 2);
        assert!(result
            .rounds
            .iter()
            .all(|round| !round.included.contains(&uid)));
        // A slash takes a hundredth of a validator's stake; what registering costs is far less.
        for one in result.members.iter().filter(|one| one.role == "validator") {
            let is_slashed = one.lost > one.staked / 200;
            assert_eq!(
                is_slashed,
                one.attack.is_some(),
                "{}: {}",
                one.name,
                one.lost
            );
        }
    }

    #[test]
    fn who_sends_no_scores_has_no_dividends() {
        let result = run("no-scores");
        let of = |is_attacker| {
            let validators = result.members.iter().filter(|one| one.role == "validator");
            let those = validators.filter(move |one| one.attack.is_some() == is_attacker);
            those.map(|one| one.earned).max()
        };
        assert_eq!(of(true), Some(0));
        assert!(of(false) > Some(0));
    }
}
