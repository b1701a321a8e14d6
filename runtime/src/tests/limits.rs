//! What a block may do, and that what it does by itself leaves room for transactions.

use cairn_primitives::{AuditRules, MAX_MEMBERS, MAX_VALIDATORS};
use frame_support::{
    dispatch::DispatchClass,
    traits::Get,
    weights::{constants::WEIGHT_REF_TIME_PER_SECOND, Weight},
};

use crate::{
    configs::{
        cairn::{DefaultAuditWindow, MaxSubnets},
        system::Weights,
    },
    Runtime,
};

/// Cells of scores, and as many of bonds, of all validators on everybody else.
const FULL_ROWS: u32 = 2 * MAX_VALIDATORS * (MAX_MEMBERS - 1);

fn sum(parts: &[Weight]) -> Weight {
    parts
        .iter()
        .fold(Weight::zero(), |sum, part| sum.saturating_add(*part))
}

/// The most that the training pallet's hook can do in a block.
fn training() -> Weight {
    use pallet_training::WeightInfo;
    type W = <Runtime as pallet_training::Config>::WeightInfo;
    let transitions: u32 = <Runtime as pallet_training::Config>::MaxTransitionsPerBlock::get();
    let round = sum(&[
        W::settle(MAX_MEMBERS),
        W::attend(MAX_MEMBERS),
        W::slash_lost_roots(MAX_VALIDATORS),
        // Where rounds overlap: that costs more.
        W::begin_ahead(MAX_MEMBERS),
        // Two old rounds and their roots.
        W::prune(2 * (MAX_MEMBERS + 4)),
    ]);
    let waiters = W::begin_ahead(MAX_MEMBERS);
    sum(&[
        W::on_initialize(),
        // What a stopped run left: up to the limit, and a round more.
        W::prune(128 + MAX_MEMBERS + 5),
        round
            .saturating_add(waiters)
            .saturating_mul(transitions.into()),
    ])
}

/// The most that the audits pallet does in a block: what it draws when rounds are settled, and its hook.
fn audits() -> Weight {
    use pallet_audits::WeightInfo;
    type W = <Runtime as pallet_audits::Config>::WeightInfo;
    let settled: u32 = <Runtime as pallet_training::Config>::MaxTransitionsPerBlock::get();
    let ends: u32 = <Runtime as pallet_audits::Config>::MaxEndsPerBlock::get();
    sum(&[
        W::draw(MAX_MEMBERS, MAX_MEMBERS - 1).saturating_mul(settled.into()),
        W::on_initialize(),
        W::end().saturating_mul(ends.into()),
    ])
}

/// The most that the emissions pallet's hook can do in a block.
fn emissions() -> Weight {
    use pallet_emissions::WeightInfo;
    type W = <Runtime as pallet_emissions::Config>::WeightInfo;
    sum(&[
        W::accrue(MaxSubnets::get()),
        W::epoch(MAX_MEMBERS, FULL_ROWS),
        pallet_emissions::Pallet::<Runtime>::wages_weight(MAX_MEMBERS as u16),
    ])
}

/// The most that the subnets pallet's hook can do in a block.
fn subnets() -> Weight {
    use pallet_subnets::WeightInfo;
    type W = <Runtime as pallet_subnets::Config>::WeightInfo;
    let given_back: u32 = <Runtime as pallet_subnets::Config>::DissolvedPerBlock::get();
    W::look_for_dissolving(MaxSubnets::get()).saturating_add(W::dissolve(given_back + 1))
}

#[test]
fn hooks_at_their_worst_leave_ordinary_transactions_their_share() {
    let weights: frame_system::limits::BlockWeights = Weights::get();
    let ordinary = weights
        .get(DispatchClass::Normal)
        .max_total
        .expect("it has a limit");
    let room = weights.max_block.saturating_sub(ordinary);
    let tasks = crate::configs::governance::ScheduledWeight::get();
    let hooks = sum(&[subnets(), training(), audits(), emissions(), tasks]);
    assert!(
        hooks.ref_time() <= room.ref_time(),
        "hooks need up to {hooks}, and {room} is left for them",
    );
}

#[test]
fn an_audit_is_over_before_a_bond_comes_back() {
    let window: u32 = DefaultAuditWindow::get();
    // With what a reveal phase may take, and the attest phase after it.
    assert!(AuditRules::STAGES * AuditRules::MAX_BLOCKS + 1_800 <= window);
}

#[test]
fn a_block_takes_a_third_of_its_time_at_most() {
    let weights: frame_system::limits::BlockWeights = Weights::get();
    weights
        .clone()
        .validate()
        .expect("the limits belong together");
    assert_eq!(weights.max_block.ref_time(), 2 * WEIGHT_REF_TIME_PER_SECOND);
}
