//! From the block's issuance to the pots of the subnets.

use alloc::vec::Vec;

use cairn_primitives::{
    traits::{Membership, Runs, Stakes, Work},
    Balance, BlockNumber, Netuid, Pots,
};
use frame_support::{defensive, traits::Get};
use sp_runtime::{helpers_128bit::multiply_by_rational_with_rounding, Rounding};

use crate::{
    pallet::{Config, Emitting, Issued, OpenToAll, Pallet, SubnetLedgers, TotalPots},
    schedule,
    types::SubnetLedger,
};

/// A subnet as a block finds it.
struct Seen {
    netuid: Netuid,
    ledger: SubnetLedger,
    /// The average with which it takes part in the split: zero without work.
    claim: u128,
}

impl<T: Config> Pallet<T> {
    /// Moves the stake averages, issues, and fills the pots. Returns the number of subnets.
    pub(crate) fn accrue(now: BlockNumber) -> u32 {
        let open = OpenToAll::<T>::get();
        let mut subnets: Vec<Seen> = T::Membership::netuids()
            .into_iter()
            .map(|netuid| {
                let mut ledger = Self::ledger(netuid, now);
                let stake = T::Stakes::subnet_stake(netuid);
                ledger.stake_average =
                    moved(ledger.stake_average, stake, T::StakeAverageWindow::get());
                let claim = match Self::is_paid(netuid, open) {
                    true => ledger.stake_average,
                    false => 0,
                };
                Seen {
                    netuid,
                    ledger,
                    claim,
                }
            })
            .collect();
        Self::issue(&mut subnets);
        let count = subnets.len();
        for subnet in subnets {
            SubnetLedgers::<T>::insert(subnet.netuid, subnet.ledger);
        }
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// What the pallet keeps of a subnet; a new ledger if a block has not seen it yet.
    pub(crate) fn ledger(netuid: Netuid, now: BlockNumber) -> SubnetLedger {
        SubnetLedgers::<T>::get(netuid).unwrap_or_else(|| SubnetLedger::new(now))
    }

    /// Issues the block's reward into the pots, in proportion to the claims. Exactly what reaches a pot is
    /// issued: what rounding leaves does not come into being. Without any claim nothing is issued.
    fn issue(subnets: &mut [Seen]) {
        let reward = schedule::reward(Issued::<T>::get(), T::MillisecsPerBlock::get());
        let total: u128 = subnets.iter().map(|subnet| subnet.claim).sum();
        let mut minted: Balance = 0;
        for subnet in subnets {
            let part = share(reward, subnet.claim, total);
            match subnet.ledger.pots.checked_add(&Pots::of(part)) {
                Some(pots) => subnet.ledger.pots = pots,
                None => {
                    defensive!("a subnet's pots hold more than the cap", subnet.netuid);
                    continue;
                }
            }
            // The parts add up to at most the reward, which ends at the cap.
            minted = minted.saturating_add(part);
        }
        if minted > 0 {
            // Both stay below the cap.
            Issued::<T>::mutate(|issued| *issued = issued.saturating_add(minted));
            TotalPots::<T>::mutate(|pots| *pots = pots.saturating_add(minted));
        }
    }

    /// Whether a subnet takes part in what this block issues.
    fn is_paid(netuid: Netuid, open: bool) -> bool {
        T::Runs::has_run(netuid)
            && Emitting::<T>::get(netuid).unwrap_or(open)
            && T::Work::claims(netuid)
    }

    /// Whether a subnet's run is one of those that emit.
    pub(crate) fn emits(netuid: Netuid) -> bool {
        Emitting::<T>::get(netuid).unwrap_or_else(OpenToAll::<T>::get)
    }

    /// A subnet's share of each block's issuance, of 10⁹.
    pub(crate) fn share_of(netuid: Netuid) -> u64 {
        let open = OpenToAll::<T>::get();
        let claim = |netuid: Netuid| match Self::is_paid(netuid, open) {
            true => SubnetLedgers::<T>::get(netuid).map_or(0, |ledger| ledger.stake_average),
            false => 0,
        };
        let total = T::Membership::netuids().into_iter().map(claim).sum();
        share(1_000_000_000, claim(netuid), total)
    }
}

/// `whole · claim / total`, rounded down; nothing if nobody has a claim.
pub(crate) fn share(whole: u64, claim: u128, total: u128) -> u64 {
    multiply_by_rational_with_rounding(whole.into(), claim, total, Rounding::Down)
        .and_then(|part| u64::try_from(part).ok())
        .unwrap_or(0)
}

/// The average after one more block with `stake`: 1/`window` of the way there. What leaves is rounded up,
/// so that the average of a subnet without stake reaches zero.
pub(crate) fn moved(average: u128, stake: Balance, window: BlockNumber) -> u128 {
    let window = u128::from(window.max(1));
    let arrives = (u128::from(stake) << 32).checked_div(window);
    average
        .saturating_sub(average.div_ceil(window))
        .saturating_add(arrives.unwrap_or(0))
}
