//! Members and stake together: validators that call only their own miners' files good, score only these, whatever they
//! send, and in audits pass their work and fail everybody else's.

use cairn_primitives::{api::MemberInfo, Finding, Hotkey, Judgement, ModelRoot, Round, Uid};
use cairn_round::{audit::Audit, Seen, View};
use cairn_runtime::AccountId;

use super::{Attack, Scene};
use crate::{
    behaviour::{Behaviour, Lesson},
    chain::{keys::Key, reads::id},
    rng::Rng,
    settings::{Recruit, Role, Settings},
};

/// Validators, and as many miners, honest and colluding ones together.
const MEMBERS: usize = 10;

const fn attack(
    name: &'static str,
    what: &'static str,
    attackers: usize,
    stage: super::Stage,
) -> Attack {
    Attack {
        id: "C8",
        name,
        what,
        beside: Role::Miner,
        attackers,
        stage,
        setting: ten_and_ten,
    }
}

/// With a tenth of the members and of the stake.
pub const TENTH: Attack = attack(
    "collusion-10",
    "one of ten validators and one of ten miners collude: the miner sends noise, the validator calls good and scores \
     only it, passes it in audits, and fails everybody else",
    1,
    |scene| stage(scene, "collusion-10"),
);
/// With a fifth.
pub const FIFTH: Attack = attack(
    "collusion-20",
    "the same with two of ten validators and two of ten miners",
    2,
    |scene| stage(scene, "collusion-20"),
);
/// With three tenths.
pub const THIRTY: Attack = attack(
    "collusion-30",
    "the same with three of ten validators and three of ten miners",
    3,
    |scene| stage(scene, "collusion-30"),
);
/// One validator favours its own miner, and attests and audits honestly.
pub const OWN_MINER: Attack = Attack {
    id: "C4",
    name: "own-miner",
    what: "a validator with a quarter of the stake scores only its own miner, which sends noise",
    beside: Role::Miner,
    attackers: 1,
    stage: own_miner,
    setting: |_| (),
};

const MINER: &str = "the colluding miner";

fn ten_and_ten(settings: &mut Settings) {
    settings.cast = Settings::honest(settings.seed, MEMBERS, MEMBERS, settings.rounds).cast;
}

/// The last miners and validators, in place of the honest ones of these names.
fn stage(scene: &Scene, attack: &'static str) -> Vec<Recruit> {
    let numbers = MEMBERS.saturating_sub(scene.attackers)..MEMBERS;
    let miners: Vec<String> = numbers.clone().map(|it| format!("miner {it}")).collect();
    let friends: Vec<Hotkey> = miners.iter().map(|name| Key::of(name).id()).collect();
    let validator = |number: usize| {
        let partner = Partner {
            friends: friends.clone(),
            is_against_others: true,
        };
        let name = format!("validator {number}");
        Recruit::attacker(Role::Validator, &name, attack, partner)
    };
    let miner = |name: &String| Recruit::attacker(Role::Miner, name, attack, Noise);
    let miners = miners.iter().map(miner);
    miners.chain(numbers.map(validator)).collect()
}

fn own_miner(scene: &Scene) -> Vec<Recruit> {
    let partner = Partner {
        friends: vec![Key::of(MINER).id()],
        is_against_others: false,
    };
    let name = OWN_MINER.name;
    let validator = Recruit {
        stake: scene.stake_of(25),
        ..Recruit::attacker(Role::Validator, "the colluding validator", name, partner)
    };
    let miner = Recruit::attacker(Role::Miner, MINER, name, Noise);
    vec![validator, miner]
}

/// Sends noise.
struct Noise;

impl Behaviour for Noise {
    fn brings(&mut self, _: &Lesson, found: Vec<f32>, rng: &mut Rng) -> Vec<f32> {
        let value = |_: &f32| ((rng.unit() * 2.0 - 1.0) * 5e-3) as f32;
        found.iter().map(value).collect()
    }
}

/// Scores its own miners only.
struct Partner {
    friends: Vec<Hotkey>,
    /// Whether it calls others' files broken, too, and fails their work.
    is_against_others: bool,
}

impl Partner {
    fn is_friend(&self, hotkey: Hotkey) -> bool {
        self.friends.contains(&hotkey)
    }
}

impl Behaviour for Partner {
    fn attests(
        &mut self,
        (verdicts, root): (Judgement, ModelRoot),
        _: Round,
        view: Option<&View>,
    ) -> (Judgement, ModelRoot) {
        if !self.is_against_others {
            return (verdicts, root);
        }
        let seen = view.into_iter().flat_map(|view| &view.contributions);
        let revealed = seen.filter(|seen| seen.key.is_some());
        let (good, others): (Vec<&Seen>, Vec<&Seen>) =
            revealed.partition(|seen| self.is_friend(seen.hotkey));
        let uids = |all: Vec<&Seen>| all.into_iter().map(|seen| seen.uid).collect::<Vec<_>>();
        (Judgement::new(uids(good), uids(others)), root)
    }

    fn finds(&mut self, audit: &Audit, found: Option<Finding>) -> Option<Finding> {
        match (self.is_against_others, self.is_friend(audit.hotkey)) {
            (false, _) => found,
            (true, true) => Some(Finding::Passed),
            (true, false) => Some(Finding::Failed),
        }
    }

    fn scores(
        &mut self,
        _: Vec<(Uid, u16)>,
        members: &[MemberInfo<AccountId>],
        _: &AccountId,
    ) -> Vec<(Uid, u16)> {
        let own = members.iter();
        let own = own.filter(|member| self.is_friend(id(&member.hotkey)));
        own.map(|member| (member.uid, u16::MAX)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attacks;

    fn staged(attack: Option<&Attack>) -> Settings {
        let mut settings = Settings::honest(7, 4, 3, 2);
        match attack {
            Some(attack) => attacks::stage(&mut settings, attack, None),
            None => ten_and_ten(&mut settings),
        }
        settings
    }

    #[test]
    fn as_many_of_ten_collude_as_the_name_says_and_all_others_are_those_of_peace() {
        let peace = staged(None);
        for (attack, colluding) in [(&TENTH, 1), (&FIFTH, 2), (&THIRTY, 3)] {
            let war = staged(Some(attack));
            assert!(attack.name.ends_with(&format!("{colluding}0")));
            let same = |one: &Recruit, other: &Recruit| {
                let of = |it: &Recruit| (it.name.clone(), it.coldkey.clone(), it.stake, it.bond);
                of(one) == of(other) && one.role == other.role
            };
            assert_eq!(war.cast.len(), 2 * MEMBERS);
            let mut pairs = war.cast.iter().zip(&peace.cast);
            assert!(pairs.all(|(one, other)| same(one, other)));
            let of = |role| {
                let attackers = war.cast.iter().filter(|one| one.attack.is_some());
                attackers.filter(|one| one.role == role).count()
            };
            assert_eq!([of(Role::Miner), of(Role::Validator)], [colluding; 2]);
        }
    }

    #[test]
    fn friends_pass_whatever_was_found_and_others_fail() {
        let mut gang = Partner {
            friends: vec![Key::of("friend").id()],
            is_against_others: true,
        };
        let of = |name: &str| Audit {
            round: 3,
            uid: Uid(4),
            hotkey: Key::of(name).id(),
            opens_until: 10,
            commits_until: 20,
            reveals_until: 30,
            drawn: 0,
            is_new: true,
            is_disputed: false,
            longest: 100,
            served: None,
            auditors: Vec::new(),
        };
        let found = [None, Some(Finding::Passed), Some(Finding::Failed)];
        for found in found {
            assert_eq!(gang.finds(&of("friend"), found), Some(Finding::Passed));
            assert_eq!(gang.finds(&of("stranger"), found), Some(Finding::Failed));
        }
        gang.is_against_others = false;
        for found in found {
            assert_eq!(gang.finds(&of("friend"), found), found);
        }
    }
}
