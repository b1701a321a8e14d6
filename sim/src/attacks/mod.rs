//! The attack table: each attack is a file, run beside the same network without it.

mod absurd_run;
mod aggregate;
mod asleep;
mod busy_subnets;
mod clones;
mod collusion;
mod copied_scores;
mod copy;
mod delete;
mod echo;
mod exam;
mod few_declared;
mod flood;
mod front_run;
mod half_steps;
mod idle_seats;
mod junk;
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
mod rival;
mod scale;
mod self_dealing;
mod sign_flip;
mod squat;
mod sudo;
mod tiny_norms;
mod twice;
mod two_slots;
mod voter;
mod wrong_root;
mod zeros;

use std::collections::BTreeMap;

use cairn_primitives::{api::pebble, Balance, CRN};
use serde::Serialize;

use crate::{
    behaviour::Behaviour,
    settings::{Kind, Recruit, Role, Settings},
    world::{MemberResult, RunResult, World, WorldError},
};

/// All attacks, those first that pay without work.
pub const ALL: [&Attack; 47] = [
    &exam::ATTACK,
    &few_declared::ATTACK,
    &clones::ATTACK,
    &two_slots::ATTACK,
    &self_dealing::ATTACK,
    &aggregate::ATTACK,
    &old_file::ATTACK,
    &one_in_eight::ATTACK,
    &half_steps::ATTACK,
    &private_data::ATTACK,
    &copy::ATTACK,
    &late::ATTACK,
    &twice::ATTACK,
    &no_reveal::ATTACK,
    &noise::ATTACK,
    &idle_seats::ATTACK,
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
    &copied_scores::ATTACK,
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

/// What the table is measured in.
#[derive(Clone, Copy, Debug)]
pub struct Bench {
    /// The seed.
    pub seed: u64,
    /// Honest miners.
    pub miners: usize,
    /// Honest validators.
    pub validators: usize,
    /// Rounds.
    pub rounds: u32,
    /// The engine.
    pub engine: Kind,
}

impl Bench {
    /// What `make attacks` measures with.
    pub fn usual(seed: u64) -> Bench {
        Bench {
            seed,
            miners: 4,
            validators: 3,
            rounds: 16,
            engine: Kind::Tiny,
        }
    }

    fn settings(&self) -> Settings {
        Settings {
            engine: self.engine,
            ..Settings::honest(self.seed, self.miners, self.validators, self.rounds)
        }
    }
}

/// What came of an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It brought at most half of an honest share, moved the loss by at most 1 %, and stopped at most three rounds.
    Holds,
    /// It brought less than an honest share, moved the loss by at most 5 %, and stopped at most half of the rounds.
    Partly,
    /// It brought an honest share or more, did more harm than that, or took what others had.
    Open,
}

/// A row of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The attack.
    pub attack: &'static str,
    /// The seed that replays it.
    pub seed: u64,
    /// What the attackers earned for each of their GPUs (validators: for as much stake) beside what an honest member of the
    /// same role earned on average in the same run. An outsider counts as one.
    pub share_per_gpu: f64,
    /// By how much the held-out loss ended above the mean of the same network's twins without the attack, as a share of that.
    pub loss_change: f64,
    /// The same of what was earned in the second half of the rounds: a network that begins has its own ways to be paid.
    pub late_share_per_gpu: f64,
    /// Null rounds more than without the attack.
    pub stalled_rounds: i64,
    /// What the attackers' coldkeys are poorer by, earnings aside, in pebble.
    #[serde(with = "pebble")]
    pub attacker_lost: Balance,
    /// The most sealed bytes that an honest validator held at once.
    pub held_bytes: u64,
    /// What the attackers' coldkeys are richer by, earnings aside, in pebble.
    #[serde(with = "pebble")]
    pub attacker_gained: Balance,
    /// What the attackers have to tell.
    pub told: Option<String>,
    /// What that amounts to.
    pub verdict: Verdict,
}

/// The attack of this name.
pub fn find(name: &str) -> Option<&'static Attack> {
    ALL.into_iter().find(|attack| attack.name == name)
}

/// Adds the attackers of an attack to a simulation.
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
    settings.cast.extend((attack.stage)(&scene));
}

/// Networks without an attack, of which one would do if chance had no part in them.
const TWINS: u64 = 4;

/// What comes of a network without an attack.
#[derive(Clone, Copy, Debug)]
struct Peace {
    /// The mean held-out loss of its twins, in nats per token.
    loss: f64,
    /// Twice the standard deviation of their losses, as a share of the mean.
    chance: f64,
    /// The mean of their null rounds, rounded down.
    null_rounds: i64,
}

impl Peace {
    fn of(twins: &[RunResult]) -> Peace {
        let count = twins.len().max(1) as f64;
        let loss = twins.iter().map(|twin| twin.heldout_loss).sum::<f64>() / count;
        let squares = twins.iter().map(|twin| (twin.heldout_loss - loss).powi(2));
        let deviation = (squares.sum::<f64>() / (count - 1.0).max(1.0)).sqrt();
        let null_rounds: usize = twins.iter().map(RunResult::null_rounds).sum();
        Peace {
            loss,
            chance: 2.0 * deviation / loss,
            null_rounds: (null_rounds / twins.len().max(1)) as i64,
        }
    }
}

/// Runs attacks, each beside the same network without it.
#[derive(Default)]
pub struct Field {
    /// By seed, and by what attacks change in the network: its windows and how many take part.
    known: BTreeMap<(u64, u64, usize), Peace>,
}

impl Field {
    /// Runs an attack.
    ///
    /// # Errors
    /// [`WorldError`] if a network cannot be set up.
    pub fn measure(&mut self, attack: &Attack, bench: Bench) -> Result<Row, WorldError> {
        let peace = self.peace(attack, bench)?;
        let mut war = bench.settings();
        stage(&mut war, attack, None);
        Ok(row(attack, peace, &World::new(war)?.run()))
    }

    fn peace(&mut self, attack: &Attack, bench: Bench) -> Result<Peace, WorldError> {
        let settings = |twin| {
            let mut settings = bench.settings();
            (attack.setting)(&mut settings);
            settings.twin = twin;
            settings
        };
        let first = settings(0);
        let name = (bench.seed, first.windows, first.cast.len());
        if let Some(known) = self.known.get(&name) {
            return Ok(*known);
        }
        let twins = (0..TWINS).map(|twin| Ok(World::new(settings(twin))?.run()));
        let peace = Peace::of(&twins.collect::<Result<Vec<_>, WorldError>>()?);
        self.known.insert(name, peace);
        Ok(peace)
    }
}

fn row(attack: &Attack, peace: Peace, war: &RunResult) -> Row {
    let share_per_gpu = share(attack.beside, war, |member| member.earned);
    let late_share_per_gpu = share(attack.beside, war, |member| member.earned_late);
    let attackers = || war.members.iter().filter(|member| member.attack.is_some());
    let attacker_gained = attackers().map(|member| member.gained).sum();
    let loss_change = (war.heldout_loss - peace.loss) / peace.loss;
    let stalled_rounds = war.null_rounds() as i64 - peace.null_rounds;
    // What chance does as well is no harm.
    let harm = if loss_change > peace.chance {
        loss_change
    } else {
        0.0
    };
    Row {
        attack: attack.name,
        seed: war.seed,
        share_per_gpu,
        late_share_per_gpu,
        loss_change,
        stalled_rounds,
        attacker_lost: attackers().map(|member| member.lost).sum(),
        held_bytes: war.held_bytes,
        attacker_gained,
        told: attackers().find_map(|member| member.told.clone()),
        verdict: if attacker_gained >= CRN {
            Verdict::Open
        } else {
            verdict(share_per_gpu, harm, stalled_rounds, war.rounds.len())
        },
    }
}

/// What attackers of a role, or outsiders, earned for what they put in, beside what honest members of that role did. A
/// miner puts in its GPUs, a validator its stake; an outsider counts as one honest member.
fn share(role: Role, war: &RunResult, earned: fn(&MemberResult) -> Balance) -> f64 {
    let beside = match role {
        Role::Miner => "miner",
        Role::Validator => "validator",
        Role::Outsider => "outsider",
    };
    let members = war.members.iter();
    let (attackers, honest): (Vec<_>, Vec<_>) = members
        .filter(|member| member.role == beside || member.role == "outsider")
        .partition(|member| member.attack.is_some());
    let usual = honest
        .iter()
        .map(|member| member.staked as f64)
        .sum::<f64>();
    let usual = usual / honest.len().max(1) as f64;
    let puts_in = |member: &MemberResult| match member.role {
        "validator" if usual > 0.0 => member.staked as f64 / usual,
        "outsider" => 1.0,
        _ => member.gpus,
    };
    let rate = |members: &[&MemberResult]| {
        let earned: f64 = members.iter().map(|member| earned(member) as f64).sum();
        let put_in: f64 = members.iter().map(|member| puts_in(member)).sum();
        if put_in > 0.0 {
            earned / put_in
        } else {
            0.0
        }
    };
    match (rate(&attackers), rate(&honest)) {
        (attackers, honest) if honest > 0.0 => attackers / honest,
        (attackers, _) if attackers > 0.0 => f64::MAX,
        _ => 0.0,
    }
}

fn verdict(share: f64, loss: f64, stalled: i64, rounds: usize) -> Verdict {
    if share <= 0.5 && loss <= 0.01 && stalled <= 3 {
        Verdict::Holds
    } else if share < 0.95 && loss <= 0.05 && stalled.saturating_mul(2) <= rounds as i64 {
        Verdict::Partly
    } else {
        Verdict::Open
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
    fn the_verdict_is_that_of_the_worst() {
        assert_eq!(verdict(0.5, 0.01, 3, 16), Verdict::Holds);
        assert_eq!(verdict(0.6, 0.01, 3, 16), Verdict::Partly);
        assert_eq!(verdict(0.0, 0.02, 0, 16), Verdict::Partly);
        assert_eq!(verdict(0.0, 0.0, 8, 16), Verdict::Partly);
        assert_eq!(verdict(1.0, 0.0, 0, 16), Verdict::Open);
        assert_eq!(verdict(0.0, 0.06, 0, 16), Verdict::Open);
        assert_eq!(verdict(0.0, 0.0, 9, 16), Verdict::Open);
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
