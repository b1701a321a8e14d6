//! An epoch: from scores to payouts and bonds.
//!
//! Subnets take turns. An epoch is due a tempo after the last one was due; a block runs at most one, the
//! one that has waited longest (of two, the one with the lower netuid), and the others wait for the next
//! block. A wait of less than a tempo is made good, so that tempos do not drift; a longer one is forgotten.

use alloc::{collections::BTreeMap, vec::Vec};
use cairn_primitives::{
    api::SubnetEpoch,
    traits::{Membership, Stakes, Work},
    Balance, BlockNumber, BondsRule, EpochIndex, Hyperparameters, Netuid, Pots, Role, Uid,
    Verdicts,
};
use cairn_protocol::{
    eligibility::{seated, seats},
    emission::is_recent,
};
use frame_support::defensive;

use crate::{
    commits,
    pallet::{Bonds, Commits, Config, Event, Pallet, SubnetLedgers, Votes},
    types::{Row, SubnetLedger, Vote},
};

/// How much there was to compute in an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    pub members: u16,
    pub validators: u16,
    /// Validators whose scores count.
    pub voters: u16,
    /// Scores and bonds that they have.
    pub cells: u32,
}

/// A member as an epoch finds it.
pub(crate) struct Neuron<AccountId> {
    pub uid: Uid,
    pub hotkey: AccountId,
    role: Role,
    stake: Balance,
    registered_at: BlockNumber,
    validator: bool,
    /// What it says of who was included.
    vote: Option<Vote>,
    bonds: Row,
    /// How many of the last final rounds it attested, and of how many.
    pub attended: (u32, u32),
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
        let due = ledger.due(hyperparameters.tempo);
        let included = T::Work::included(netuid);
        let neurons = Self::neurons(netuid, hyperparameters, ledger.epochs, &included);
        let size = size_of(&neurons, hyperparameters, due);
        let payable = ledger.late.payable(&ledger.pots);
        // Without anybody to weigh, shares and bonds stay as they are.
        let output = match included.count() {
            0 => Ok(None),
            _ => consensus(&neurons, hyperparameters, &ledger, &payable, due).map(Some),
        };
        match output {
            Ok(output) => {
                let pots = ledger.waiting().unwrap_or_default();
                let paid = match &output {
                    Some(output) => {
                        Self::pay_epoch(netuid, &mut ledger, &neurons, output, payable, now)
                    }
                    None => Self::pay_nobody(netuid, &mut ledger),
                };
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
                if let Some(output) = output {
                    Self::keep_bonds(netuid, output);
                }
            }
            // Rows and members come in order out of storage: it is a hyperparameter out of its range.
            Err(_) => Self::deposit_event(Event::EpochImpossible { netuid }),
        }
        let late = now.saturating_sub(due) >= hyperparameters.tempo.max(1);
        ledger.tempo_from = if late { now } else { due };
        ledger.last_epoch = now;
        ledger.epochs = ledger.epochs.saturating_add(1);
        SubnetLedgers::<T>::insert(netuid, ledger);
        T::Work::on_epoch(netuid);
        size
    }

    /// The members with what an epoch has to know of them. Votes and bonds only of those with a validator's seat, and
    /// of votes only what is on who was included.
    fn neurons(
        netuid: Netuid,
        hyperparameters: &Hyperparameters,
        epoch: EpochIndex,
        included: &Verdicts,
    ) -> Vec<Neuron<T::AccountId>> {
        let mut neurons: Vec<_> = T::Membership::members(netuid)
            .into_iter()
            .map(|(uid, hotkey)| Neuron {
                uid,
                role: T::Membership::role(netuid, uid).unwrap_or_default(),
                stake: T::Stakes::stake(netuid, &hotkey),
                registered_at: T::Membership::registered_at(netuid, uid).unwrap_or_default(),
                hotkey,
                validator: false,
                vote: None,
                bonds: Row::new(),
                attended: (0, 0),
            })
            .collect();
        Self::seat_validators(netuid, hyperparameters, epoch, included, &mut neurons);
        neurons
    }

    /// Finds the validators, their votes and bonds. Those that rounds do not expect have no say, but keep their bonds
    /// where a seat is left; of the others' stake as much counts as in a round.
    fn seat_validators(
        netuid: Netuid,
        hyperparameters: &Hyperparameters,
        epoch: EpochIndex,
        included: &Verdicts,
        neurons: &mut [Neuron<T::AccountId>],
    ) {
        let attended = T::Work::attended(netuid);
        let stakes = neurons.iter().map(|neuron| (neuron.uid, neuron.stake));
        let counted = T::Work::counted(netuid, stakes.collect());
        let (expected, others): (Vec<_>, Vec<_>) = neurons
            .iter_mut()
            .partition(|neuron| counted.contains_key(&neuron.uid));
        let as_candidate =
            |neuron: &&mut Neuron<T::AccountId>| (neuron.uid, neuron.role, neuron.stake);
        let voting = seated(hyperparameters, expected, as_candidate);
        let room = seats(hyperparameters).saturating_sub(voting.len());
        let silent = seated(hyperparameters, others, as_candidate);
        for neuron in voting.into_iter().chain(silent.into_iter().take(room)) {
            neuron.validator = true;
            neuron.bonds = Bonds::<T>::get(netuid, neuron.uid);
            neuron.attended = attended.get(&neuron.uid).copied().unwrap_or_default();
            let Some(stake) = counted.get(&neuron.uid) else {
                continue;
            };
            neuron.stake = *stake;
            if Self::is_hiding(netuid, neuron.uid, epoch) {
                continue;
            }
            neuron.vote = Votes::<T>::get(netuid, neuron.uid);
            if let Some(vote) = &mut neuron.vote {
                vote.scores.retain(|(uid, _)| included.contains(*uid));
            }
        }
    }

    /// Whether a validator has not revealed what it committed to before the last epoch, `epoch` being the one that
    /// runs.
    fn is_hiding(netuid: Netuid, uid: Uid, epoch: EpochIndex) -> bool {
        let Some(last) = epoch.checked_sub(1) else {
            return false;
        };
        Commits::<T>::get((netuid, uid, commits::slot(last)))
            .is_some_and(|commit| commit.epoch == last && !commit.revealed)
    }

    /// Keeps the bonds of validators, and drops those of all others.
    fn keep_bonds(netuid: Netuid, output: yuma::Output) {
        let mut kept: BTreeMap<Uid, Vec<(Uid, u16)>> = output
            .members
            .into_iter()
            .filter(|outcome| !outcome.bonds.is_empty())
            .map(|outcome| (Uid(outcome.uid), of_members(outcome.bonds)))
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
    due: BlockNumber,
) -> Size {
    // A subnet has at most `MAX_MEMBERS` members.
    let count = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
    let votes = |neuron: &&Neuron<AccountId>| is_active(neuron, hyperparameters, due);
    let cells = |neuron: &Neuron<AccountId>| {
        let scores = neuron.vote.as_ref().map_or(0, |vote| vote.scores.len());
        neuron.bonds.len().saturating_add(scores)
    };
    Size {
        members: count(neurons.len()),
        validators: count(neurons.iter().filter(|neuron| neuron.validator).count()),
        voters: count(neurons.iter().filter(votes).count()),
        cells: neurons.iter().map(cells).sum::<usize>() as u32,
    }
}

/// Whether a validator has set scores, and not too long ago.
fn is_active<AccountId>(
    neuron: &Neuron<AccountId>,
    hyperparameters: &Hyperparameters,
    due: BlockNumber,
) -> bool {
    let recent = |vote: &Vote| is_recent(vote.set_at, due, hyperparameters.activity_cutoff);
    neuron.vote.as_ref().is_some_and(recent)
}

/// Yuma consensus on what the subnet's pots may pay.
fn consensus<AccountId>(
    neurons: &[Neuron<AccountId>],
    hyperparameters: &Hyperparameters,
    ledger: &SubnetLedger,
    payable: &Pots,
    due: BlockNumber,
) -> Result<yuma::Output, yuma::InputError> {
    let rows: Vec<Rows> = neurons.iter().map(rows_of).collect();
    let members: Vec<yuma::Member> = neurons
        .iter()
        .zip(&rows)
        .map(|(neuron, rows)| as_member(neuron, rows, hyperparameters, due))
        .collect();
    let input = yuma::Input {
        members: &members,
        last_epoch: ledger.last_epoch.into(),
        pots: yuma::Pots {
            miners: payable.miners,
            validators: payable.validators,
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

/// A member's scores and bonds as `yuma` has them, which knows no identities.
struct Rows {
    scores: Vec<(u16, u16)>,
    bonds: Vec<(u16, u16)>,
}

fn rows_of<AccountId>(neuron: &Neuron<AccountId>) -> Rows {
    let plain = |row: &Row| row.iter().map(|(uid, value)| (uid.get(), *value)).collect();
    Rows {
        scores: neuron
            .vote
            .as_ref()
            .map_or_else(Vec::new, |vote| plain(&vote.scores)),
        bonds: plain(&neuron.bonds),
    }
}

/// A row of `yuma`'s as the chain has it.
fn of_members(row: Vec<(u16, u16)>) -> Vec<(Uid, u16)> {
    row.into_iter()
        .map(|(uid, value)| (Uid(uid), value))
        .collect()
}

fn as_member<'a, AccountId>(
    neuron: &Neuron<AccountId>,
    rows: &'a Rows,
    hyperparameters: &Hyperparameters,
    due: BlockNumber,
) -> yuma::Member<'a> {
    let set_at = neuron.vote.as_ref().map(|vote| vote.set_at);
    yuma::Member {
        uid: neuron.uid.get(),
        stake: neuron.stake,
        validator: neuron.validator,
        active: is_active(neuron, hyperparameters, due),
        registered_at: neuron.registered_at.into(),
        scores_set_at: set_at.unwrap_or_default().into(),
        scores: &rows.scores,
        bonds: &rows.bonds,
    }
}
