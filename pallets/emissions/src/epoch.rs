//! An epoch: from weights to payouts and bonds.
//!
//! Subnets take turns. An epoch is due a tempo after the last one was due; a block runs at most one, the
//! one that has waited longest (of two, the one with the lower netuid), and the others wait for the next
//! block. A wait of less than a tempo is made good, so that tempos do not drift; a longer one is forgotten.

use alloc::{collections::BTreeMap, vec::Vec};
use cairn_primitives::{
    api::SubnetEpoch,
    traits::{Membership, Stakes},
    Balance, BlockNumber, BondsRule, Hyperparameters, Netuid, Uid,
};
use cairn_protocol::eligibility::seated;
use frame_support::defensive;

use crate::{
    pallet::{Bonds, Config, Event, Pallet, SubnetLedgers, Votes},
    types::{Row, SubnetLedger, Vote},
};

/// How much there was to compute in an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    pub members: u16,
    pub validators: u16,
    /// Validators whose weights count.
    pub voters: u16,
    /// Weights and bonds that they have.
    pub cells: u32,
}

/// A member as an epoch finds it.
pub(crate) struct Neuron<AccountId> {
    pub uid: Uid,
    pub hotkey: AccountId,
    stake: Balance,
    registered_at: BlockNumber,
    validator: bool,
    vote: Option<Vote>,
    bonds: Row,
}

impl<T: Config> Pallet<T> {
    /// The subnet whose epoch is due longest.
    pub(crate) fn most_overdue(now: BlockNumber) -> Option<(Netuid, Hyperparameters)> {
        let due = |netuid: Netuid| {
            let hyperparameters = T::Membership::hyperparameters(netuid)?;
            let due = SubnetLedgers::<T>::get(netuid)?.due(hyperparameters.tempo);
            (due <= now).then_some((due, netuid, hyperparameters))
        };
        T::Membership::netuids()
            .into_iter()
            .filter_map(due)
            .min_by_key(|(due, netuid, _)| (*due, *netuid))
            .map(|(_, netuid, hyperparameters)| (netuid, hyperparameters))
    }

    /// Runs a subnet's epoch.
    pub(crate) fn run_epoch(
        netuid: Netuid,
        hyperparameters: &Hyperparameters,
        now: BlockNumber,
    ) -> Size {
        let mut ledger = Self::ledger(netuid, now);
        let neurons = Self::neurons(netuid, hyperparameters);
        let size = size_of(&neurons, hyperparameters, now);
        match consensus(&neurons, hyperparameters, &ledger, now) {
            Ok(output) => {
                let pots = ledger.pots;
                let paid = Self::pay_epoch(netuid, &mut ledger, &neurons, &output, now);
                let epoch = SubnetEpoch {
                    epoch: ledger.epochs,
                    block: now,
                    pots,
                    paid,
                    members: size.members,
                    validators: size.validators,
                    voters: size.voters,
                };
                Self::remember_subnet(netuid, epoch);
                Self::keep_bonds(netuid, output);
            }
            // Rows and members come in order out of storage: it is a hyperparameter out of its range.
            Err(_) => Self::deposit_event(Event::EpochImpossible { netuid }),
        }
        let due = ledger.due(hyperparameters.tempo);
        let late = now.saturating_sub(due) >= hyperparameters.tempo.max(1);
        ledger.tempo_from = if late { now } else { due };
        ledger.last_epoch = now;
        ledger.epochs = ledger.epochs.saturating_add(1);
        SubnetLedgers::<T>::insert(netuid, ledger);
        size
    }

    /// The members with what an epoch has to know of them. Votes and bonds only of those with a validator's seat.
    fn neurons(netuid: Netuid, hyperparameters: &Hyperparameters) -> Vec<Neuron<T::AccountId>> {
        let mut neurons: Vec<_> = T::Membership::members(netuid)
            .into_iter()
            .map(|(uid, hotkey)| Neuron {
                uid,
                stake: T::Stakes::stake(netuid, &hotkey),
                registered_at: T::Membership::registered_at(netuid, uid).unwrap_or_default(),
                hotkey,
                validator: false,
                vote: None,
                bonds: Row::new(),
            })
            .collect();
        let stake = |neuron: &&mut Neuron<T::AccountId>| (neuron.uid, neuron.stake);
        for neuron in seated(hyperparameters, neurons.iter_mut(), stake) {
            neuron.validator = true;
            neuron.vote = Votes::<T>::get(netuid, neuron.uid);
            neuron.bonds = Bonds::<T>::get(netuid, neuron.uid);
        }
        neurons
    }

    /// Keeps the bonds of validators, and drops those of all others.
    fn keep_bonds(netuid: Netuid, output: yuma::Output) {
        let mut kept: BTreeMap<Uid, Vec<(Uid, u16)>> = output
            .members
            .into_iter()
            .filter(|outcome| !outcome.bonds.is_empty())
            .map(|outcome| (outcome.uid, outcome.bonds))
            .collect();
        // Only validators have rows: at most `MAX_VALIDATORS`.
        let old: Vec<Uid> = Bonds::<T>::iter_key_prefix(netuid).collect();
        for uid in old.into_iter().filter(|uid| !kept.contains_key(uid)) {
            Bonds::<T>::remove(netuid, uid);
        }
        while let Some((uid, row)) = kept.pop_first() {
            match Row::try_from(row) {
                Ok(row) => Bonds::<T>::insert(netuid, uid, row),
                Err(_) => {
                    defensive!("bonds in more members than a subnet has", (netuid, uid));
                }
            }
        }
    }
}

fn size_of<AccountId>(
    neurons: &[Neuron<AccountId>],
    hyperparameters: &Hyperparameters,
    now: BlockNumber,
) -> Size {
    // A subnet has at most `MAX_MEMBERS` members.
    let count = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
    let votes = |neuron: &&Neuron<AccountId>| is_active(neuron, hyperparameters, now);
    let cells = |neuron: &Neuron<AccountId>| {
        let weights = neuron.vote.as_ref().map_or(0, |vote| vote.weights.len());
        neuron.bonds.len().saturating_add(weights)
    };
    Size {
        members: count(neurons.len()),
        validators: count(neurons.iter().filter(|neuron| neuron.validator).count()),
        voters: count(neurons.iter().filter(votes).count()),
        cells: neurons.iter().map(cells).sum::<usize>() as u32,
    }
}

/// Whether a validator has set weights, and not too long ago.
fn is_active<AccountId>(
    neuron: &Neuron<AccountId>,
    hyperparameters: &Hyperparameters,
    now: BlockNumber,
) -> bool {
    let recent = |vote: &Vote| now.saturating_sub(vote.set_at) <= hyperparameters.activity_cutoff;
    neuron.vote.as_ref().is_some_and(recent)
}

/// Yuma consensus on what the subnet's pots hold.
fn consensus<AccountId>(
    neurons: &[Neuron<AccountId>],
    hyperparameters: &Hyperparameters,
    ledger: &SubnetLedger,
    now: BlockNumber,
) -> Result<yuma::Output, yuma::InputError> {
    let members: Vec<yuma::Member> = neurons
        .iter()
        .map(|neuron| as_member(neuron, hyperparameters, now))
        .collect();
    let input = yuma::Input {
        members: &members,
        last_epoch: ledger.last_epoch.into(),
        pots: yuma::Pots {
            miners: ledger.pots.miners,
            validators: ledger.pots.validators,
        },
    };
    yuma::epoch(&input, &params(hyperparameters))
}

/// What the subnet's owner chose of consensus.
fn params(h: &Hyperparameters) -> yuma::Params {
    yuma::Params {
        kappa: h.kappa,
        bonds_moving_average: h.bonds_moving_average,
        bonds_penalty: h.bonds_penalty,
        bonds: match h.bonds_rule {
            BondsRule::Yuma2 => yuma::BondsRule::Yuma2,
            BondsRule::Yuma3 => yuma::BondsRule::Yuma3,
        },
        liquid_alpha: h.liquid_alpha.then_some(yuma::LiquidAlpha {
            low: h.liquid_alpha_low,
            high: h.liquid_alpha_high,
            steepness: h.liquid_alpha_steepness,
        }),
    }
}

fn as_member<'a, AccountId>(
    neuron: &'a Neuron<AccountId>,
    hyperparameters: &Hyperparameters,
    now: BlockNumber,
) -> yuma::Member<'a> {
    let set_at = neuron.vote.as_ref().map(|vote| vote.set_at);
    yuma::Member {
        uid: neuron.uid,
        stake: neuron.stake,
        validator: neuron.validator,
        active: is_active(neuron, hyperparameters, now),
        registered_at: neuron.registered_at.into(),
        weights_set_at: set_at.unwrap_or_default().into(),
        weights: neuron
            .vote
            .as_ref()
            .map_or(&[], |vote| vote.weights.as_slice()),
        bonds: &neuron.bonds,
    }
}
