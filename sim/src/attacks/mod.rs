//! The attack table: each attack is a file, run beside the same network without it.

mod absurd_run;
mod aggregate;
mod alternates;
mod asleep;
mod before;
mod busy_subnets;
mod clones;
mod collusion;
mod copied_evidence;
mod copied_scores;
mod copy;
mod dawdle;
mod delete;
mod echo;
mod exam;
mod few_declared;
mod field;
mod flood;
mod front_run;
mod half_steps;
mod idle_seats;
mod junk;
mod junk_bytes;
mod late;
mod leave;
mod leave_late;
mod long_files;
mod lying_node;
mod never_scores;
mod no_reveal;
mod noise;
mod not_served;
mod old_file;
mod one_in_eight;
mod owner;
pub mod page;
mod private_data;
mod proofs;
pub mod report;
mod rival;
mod scale;
mod self_dealing;
mod sign_flip;
mod squat;
mod sudo;
mod table;
mod tiny_norms;
mod twice;
mod two_slots;
mod unseen;
mod voter;
mod wrong_root;
mod zeros;

use cairn_primitives::Balance;
pub use field::{Bench, Field, Unsound};
pub use table::{harmful, Row, Verdict};

use crate::{
    behaviour::Behaviour,
    settings::{Recruit, Role, Settings},
};

/// All attacks, those first that pay without work.
pub const ALL: [&Attack; 55] = [
    &exam::ATTACK,
    &few_declared::ATTACK,
    &clones::ATTACK,
    &two_slots::ATTACK,
    &self_dealing::ATTACK,
    &aggregate::ATTACK,
    &old_file::ATTACK,
    &alternates::ATTACK,
    &alternates::HALF,
    &one_in_eight::ATTACK,
    &half_steps::ATTACK,
    &private_data::ATTACK,
    &copy::ATTACK,
    &late::ATTACK,
    &dawdle::ATTACK,
    &twice::ATTACK,
    &no_reveal::ATTACK,
    &noise::ATTACK,
    &idle_seats::ATTACK,
    &idle_seats::COMMITS,
    &squat::ATTACK,
    &front_run::ATTACK,
    &lying_node::ATTACK,
    &sign_flip::ATTACK,
    &zeros::ATTACK,
    &tiny_norms::ATTACK,
    &scale::ATTACK,
    &scale::DOUBLE,
    &echo::ATTACK,
    &never_scores::ATTACK,
    &unseen::GOOD,
    &unseen::NO_SCORES,
    &copied_scores::ATTACK,
    &copied_evidence::ATTACK,
    &collusion::OWN_MINER,
    &collusion::TENTH,
    &collusion::FIFTH,
    &collusion::THIRTY,
    &wrong_root::TENTH,
    &wrong_root::THIRTY,
    &wrong_root::THIRD,
    &asleep::ATTACK,
    &rival::ATTACK,
    &junk::ATTACK,
    &junk_bytes::ATTACK,
    &not_served::ATTACK,
    &delete::ATTACK,
    &owner::ATTACK,
    &busy_subnets::ATTACK,
    &flood::ATTACK,
    &leave::ATTACK,
    &leave_late::ATTACK,
    &long_files::ATTACK,
    &absurd_run::ATTACK,
    &sudo::ATTACK,
];

/// Makes the attackers of a scene.
pub type Stage = fn(&Scene) -> Vec<Recruit>;

/// An attack.
pub struct Attack {
    /// Its number in the review of attacks.
    pub id: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What the attackers do, as a clause for people.
    pub what: &'static str,
    /// Whose share an attacker's is compared with.
    pub beside: Role,
    /// How many attackers there are if nothing else is said.
    pub attackers: usize,
    /// Makes them.
    pub stage: Stage,
    /// What is otherwise in the network, with the attack and without.
    pub setting: fn(&mut Settings),
}

/// What an attack begins with.
pub struct Scene {
    /// Attackers.
    pub attackers: usize,
    /// Stake on honest validators, in pebble.
    pub honest_stake: Balance,
}

impl Scene {
    /// So many attackers with one GPU each.
    pub fn recruits<B: Behaviour + 'static>(
        &self,
        role: Role,
        attack: &'static str,
        mut behaviour: impl FnMut(usize) -> B,
    ) -> Vec<Recruit> {
        (0..self.attackers)
            .map(|number| {
                let name = format!("{attack} {number}");
                Recruit::attacker(role, &name, attack, behaviour(number))
            })
            .collect()
    }

    /// So many attackers that share `gpus`.
    pub fn sharing<B: Behaviour + 'static>(
        &self,
        role: Role,
        attack: &'static str,
        gpus: f64,
        behaviour: impl FnMut(usize) -> B,
    ) -> Vec<Recruit> {
        let mut recruits = self.recruits(role, attack, behaviour);
        for recruit in &mut recruits {
            recruit.gpus = gpus / self.attackers.max(1) as f64;
        }
        recruits
    }

    /// The stake that is so many percent of all.
    pub fn stake_of(&self, percent: u64) -> Balance {
        let honest = u128::from(self.honest_stake) * u128::from(percent);
        u64::try_from(honest.div_ceil(100 - u128::from(percent.min(99)))).unwrap_or(Balance::MAX)
    }
}

/// The attack of this name.
pub fn find(name: &str) -> Option<&'static Attack> {
    ALL.into_iter().find(|attack| attack.name == name)
}

/// Adds the attackers of an attack to a simulation. One with the name of an honest member has its place.
pub fn stage(settings: &mut Settings, attack: &Attack, attackers: Option<usize>) {
    (attack.setting)(settings);
    let validators = settings
        .cast
        .iter()
        .filter(|one| one.role == Role::Validator);
    let scene = Scene {
        attackers: attackers.unwrap_or(attack.attackers),
        honest_stake: validators.map(|one| one.stake).sum(),
    };
    for recruit in (attack.stage)(&scene) {
        let mut cast = settings.cast.iter_mut();
        match cast.find(|one| one.name == recruit.name) {
            Some(honest) => *honest = recruit,
            None => settings.cast.push(recruit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_told_apart_and_found() {
        let names: BTreeSet<&str> = ALL.iter().map(|attack| attack.name).collect();
        assert_eq!(names.len(), ALL.len());
        assert!(ALL.iter().all(|attack| find(attack.name).is_some()));
        assert!(find("kindness").is_none());
    }

    #[test]
    fn a_share_of_the_stake_is_what_it_says() {
        let scene = Scene {
            attackers: 1,
            honest_stake: 3_000,
        };
        assert_eq!(scene.stake_of(50), 3_000);
        assert_eq!(scene.stake_of(25), 1_000);
    }
}
