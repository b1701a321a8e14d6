//! What came of an attack, as a row of the table.

use cairn_primitives::{api::pebble, Balance, CRN};
use serde::Serialize;

use super::{
    field::{Peace, TWINS},
    Attack, ALL,
};
use crate::{
    settings::Role,
    world::{MemberResult, RunResult},
};

/// Attacks whose miners do a miner's work, and something else beside it.
const WORKERS: [&str; 5] = ["dawdle", "rival", "delete", "alternates", "alternates-half"];

/// What came of an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It brought at most half of an honest share, cost honest miners at most 5 % of their pay, moved the loss by at
    /// most 1 %, and stopped at most three rounds.
    Holds,
    /// It brought less than an honest share, cost honest miners at most half of their pay, moved the loss by at most
    /// 5 %, and stopped at most half of the rounds.
    Partly,
    /// It brought an honest share or more, did more harm than that, took what others had, had audits take honest
    /// miners' bonds, or had been paid as much as lost audits took.
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
    /// of the same role earned on average in the same run. An outsider counts as one. Of those that do a miner's work,
    /// what they earned beyond 1.
    pub share_per_gpu: f64,
    /// By how much the held-out loss ended above the mean of the same network's twins without the attack, as a share
    /// of that.
    pub loss_change: f64,
    /// Twice the standard deviation of the held-out losses of those twins, as a share of their mean.
    pub chance: f64,
    /// The same of what was earned in the second half of the rounds: a network that begins has its own ways to be paid.
    pub late_share_per_gpu: f64,
    /// By how much more was issued for honest miners than in those twins, in as long a time, as a share of that.
    pub honest_change: f64,
    /// Null rounds more than without the attack.
    pub stalled_rounds: i64,
    /// Rounds that were settled.
    pub rounds: usize,
    /// What the attackers' coldkeys are poorer by, earnings aside, in pebble.
    #[serde(with = "pebble")]
    pub attacker_lost: Balance,
    /// The most sealed bytes that an honest validator held at once.
    pub held_bytes: u64,
    /// Audits that attackers lost.
    pub lost_audits: u32,
    /// The most that one of them had been paid when it lost a bond by them, since the one before and for honest work
    /// too, as a share of that bond.
    pub audit_gain: f64,
    /// What the attackers' coldkeys are richer by, earnings aside, in pebble.
    #[serde(with = "pebble")]
    pub attacker_gained: Balance,
    /// Audits that honest miners lost.
    pub honest_lost_audits: u32,
    /// What these took of their bonds, in pebble.
    #[serde(with = "pebble")]
    pub honest_bonds: Balance,
    /// What the attackers have to tell.
    pub told: Option<String>,
    /// What that amounts to.
    pub verdict: Verdict,
}

pub(super) fn row(attack: &Attack, peace: Peace, war: &RunResult) -> Row {
    let works = WORKERS.contains(&attack.name);
    let brought =
        |earned: fn(&MemberResult) -> Balance| beyond(share(attack.beside, war, earned), works);
    let share_per_gpu = brought(|member| member.earned);
    let late_share_per_gpu = brought(|member| member.earned_late);
    let attackers = || war.members.iter().filter(|member| member.attack.is_some());
    let honest = || war.members.iter().filter(|member| member.attack.is_none());
    let attacker_gained = attackers().map(|member| member.gained).sum();
    let loss_change = (war.heldout_loss - peace.loss) / peace.loss;
    let mut row = Row {
        attack: attack.name,
        seed: war.seed,
        share_per_gpu,
        late_share_per_gpu,
        loss_change,
        chance: peace.chance,
        honest_change: change(war.honest_pay(works), peace.honest_pay),
        stalled_rounds: war.null_rounds() as i64 - peace.null_rounds,
        rounds: war.rounds.len(),
        attacker_lost: attackers().map(|member| member.lost).sum(),
        held_bytes: war.held_bytes,
        lost_audits: attackers().map(|member| member.losses.audits).sum(),
        audit_gain: attackers()
            .map(|member| member.losses.gain())
            .fold(0.0, f64::max),
        attacker_gained,
        honest_lost_audits: honest().map(|member| member.losses.audits).sum(),
        honest_bonds: honest().map(|member| member.losses.taken).sum(),
        told: attackers().find_map(|member| member.told.clone()),
        verdict: Verdict::Holds,
    };
    row.verdict = verdict_of(&[&row]);
    row
}

/// What an attack amounts to over the seeds of these rows: by the seed in which it brought or stalled most, and by the
/// mean of what it did to the loss.
pub(super) fn verdict_of(rows: &[&Row]) -> Verdict {
    let changes: Vec<(f64, f64)> = rows
        .iter()
        .map(|row| (row.loss_change, row.chance))
        .collect();
    let by_loss = verdict(0.0, harm(&changes), 0, 1);
    let worst = rows.iter().map(|row| row.brought()).max();
    worst.map_or(by_loss, |worst| worst.max(by_loss))
}

impl Row {
    /// Whether an audit that was lost cost no more than it had brought.
    pub fn pays(&self) -> bool {
        self.audit_gain >= 1.0
    }

    /// What it amounts to, the loss aside.
    fn brought(&self) -> Verdict {
        if self.attacker_gained.max(self.honest_bonds) >= CRN || self.pays() {
            return Verdict::Open;
        }
        let paid = paid(self.honest_change);
        verdict(self.share_per_gpu, 0.0, self.stalled_rounds, self.rounds).max(paid)
    }
}

/// What of a share is more than a miner's work brings, if that was done.
fn beyond(share: f64, works: bool) -> f64 {
    match works {
        true => (share - 1.0).max(0.0),
        false => share,
    }
}

/// By how much `now` is above `before`, as a share of that; zero if there was nothing before.
fn change(now: f64, before: f64) -> f64 {
    if before > 0.0 {
        now / before - 1.0
    } else {
        0.0
    }
}

/// The attacks that by these rows did more to the loss, or cost honest miners more of their pay, than one that holds
/// may, in the order of the table.
pub fn harmful(rows: &[Row]) -> Vec<&'static Attack> {
    let did = |attack: &&Attack| {
        let rows = || rows.iter().filter(|row| row.attack == attack.name);
        let changes: Vec<(f64, f64)> = rows().map(|row| (row.loss_change, row.chance)).collect();
        let did_harm = !changes.is_empty() && verdict(0.0, harm(&changes), 0, 1) != Verdict::Holds;
        did_harm || rows().any(|row| paid(row.honest_change) != Verdict::Holds)
    };
    ALL.into_iter().filter(did).collect()
}

/// The mean of what an attack did to the loss in each seed, unless chance does as well: unless it is within twice its
/// standard error. Each change comes with twice the deviation of its seed's twins. What is no number is no chance.
fn harm(changes: &[(f64, f64)]) -> f64 {
    let mean = changes.iter().map(|(change, _)| change).sum::<f64>() / changes.len().max(1) as f64;
    match mean <= 2.0 * standard_error(changes) {
        true => 0.0,
        false => mean,
    }
}

/// The standard error of the mean of these changes. An attack's run spreads as its twins do: so each change has the
/// error of one run and of a mean of [`TWINS`], and all seeds tell alike how large that is.
fn standard_error(changes: &[(f64, f64)]) -> f64 {
    let seeds = changes.len().max(1) as f64;
    let squares = changes.iter().map(|(_, chance)| (chance / 2.0).powi(2));
    let pooled = squares.sum::<f64>() / seeds;
    (pooled * (1.0 / seeds + 1.0 / (TWINS as f64 * seeds))).sqrt()
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

/// What is said of an attack by whose doing honest miners have so much more of their pay.
fn paid(honest_change: f64) -> Verdict {
    match honest_change {
        change if change >= -0.05 => Verdict::Holds,
        change if change >= -0.5 => Verdict::Partly,
        _ => Verdict::Open,
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

    #[test]
    fn who_works_is_measured_by_what_it_has_beyond_that() {
        assert_eq!(
            [0.5, 1.0, 1.5].map(|share| beyond(share, true)),
            [0.0, 0.0, 0.5]
        );
        assert_eq!(beyond(0.5, false), 0.5);
        let is_known = |name: &&str| ALL.iter().any(|attack| attack.name == *name);
        assert!(WORKERS.iter().all(is_known));
        assert_eq!([change(3.0, 4.0), change(3.0, 0.0)], [-0.25, 0.0]);
    }

    #[test]
    fn what_harmed_the_model_is_found_by_its_mean_and_not_by_chance() {
        let row = |attack, loss_change| Row {
            attack,
            seed: 1,
            share_per_gpu: 1.0,
            late_share_per_gpu: 1.0,
            loss_change,
            chance: 0.02,
            honest_change: 0.0,
            stalled_rounds: 9,
            rounds: 16,
            attacker_lost: 0,
            held_bytes: 0,
            lost_audits: 0,
            audit_gain: 0.0,
            attacker_gained: CRN,
            honest_lost_audits: 0,
            honest_bonds: 0,
            told: None,
            verdict: Verdict::Open,
        };
        let names = |rows: &[Row]| -> Vec<&str> {
            let found = harmful(rows);
            found.iter().map(|attack| attack.name).collect()
        };
        assert!(names(&[]).is_empty());
        // Twice the error is 0.0224 of one seed, and 0.0158 of two.
        assert!(names(&[row("noise", 0.022)]).is_empty());
        let rows = [row("noise", 0.03), row("noise", 0.0), row("clones", 0.023)];
        assert_eq!(names(&rows), ["clones"]);
        let rows = [row("noise", 0.03), row("noise", 0.01), row("clones", 0.023)];
        assert_eq!(names(&rows), ["clones", "noise"]);
        // What cost honest miners more than a twentieth of their pay with one seed, too.
        let dear = |honest_change| Row {
            honest_change,
            ..row("asleep", 0.0)
        };
        assert!(names(&[dear(0.0), dear(-0.05)]).is_empty());
        assert_eq!(names(&[dear(0.0), dear(-0.06)]), ["asleep"]);
    }

    #[test]
    fn the_error_of_a_change_is_that_of_one_run_and_of_a_mean_of_four() {
        let error = |chances: &[f64]| {
            let changes: Vec<(f64, f64)> = chances.iter().map(|chance| (0.5, *chance)).collect();
            standard_error(&changes)
        };
        let is_near = |found: f64, expected: f64| (found - expected).abs() < 1e-12;
        assert!(is_near(error(&[0.02]), 0.01 * 1.25_f64.sqrt()));
        assert!(is_near(error(&[0.02; 6]), 0.01 * (1.25_f64 / 6.0).sqrt()));
        // The mean of the squares of 0.01 and 0.03 is 0.0005.
        let pooled = (0.0005_f64 * (0.5 + 0.125)).sqrt();
        assert!(is_near(error(&[0.02, 0.06]), pooled));
    }

    #[test]
    fn what_chance_does_as_well_is_no_harm() {
        let of = |changes: &[f64]| {
            let changes: Vec<(f64, f64)> = changes.iter().map(|change| (*change, 0.02)).collect();
            harm(&changes)
        };
        // Twice the error is 0.0224 of one seed, and 0.0091 of six.
        assert_eq!(of(&[0.022]), 0.0);
        assert_eq!(of(&[0.023]), 0.023);
        assert_eq!(of(&[0.05, 0.0, 0.0, 0.0, 0.0, 0.0]), 0.0);
        assert!((of(&[0.012; 6]) - 0.012).abs() < 1e-12);
        assert_eq!(of(&[-0.5; 6]), 0.0);
        assert_eq!(of(&[]), 0.0);
        // Nor is a model that came to nothing a matter of chance.
        let ruined = harm(&[(f64::NAN, 0.02)]);
        assert_eq!(verdict(0.0, ruined, 0, 16), Verdict::Open);
    }
}
