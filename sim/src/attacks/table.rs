//! What came of an attack, as a row of the table.

use cairn_primitives::{api::pebble, Balance, CRN};
use serde::Serialize;

use super::{field::Peace, Attack};
use crate::{
    settings::Role,
    world::{MemberResult, RunResult},
};

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
    /// What the attackers earned for each of their GPUs (validators: for as much stake) beside what an honest member
    /// of the same role earned on average in the same run. An outsider counts as one.
    pub share_per_gpu: f64,
    /// By how much the held-out loss ended above the mean of the same network's twins without the attack, as a share
    /// of that.
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

pub(super) fn row(attack: &Attack, peace: Peace, war: &RunResult) -> Row {
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
}
