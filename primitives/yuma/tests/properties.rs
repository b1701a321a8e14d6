//! What holds for every subnet.

use proptest::{
    collection::{btree_map, btree_set},
    prelude::*,
};
use yuma::{epoch, BondsRule, Input, LiquidAlpha, Member, Outcome, Output, Params, Pots};

#[derive(Clone, Debug)]
struct Neuron {
    uid: u16,
    stake: u64,
    validator: bool,
    active: bool,
    registered_at: u64,
    scores: Vec<(u16, u16)>,
    bonds: Vec<(u16, u16)>,
}

#[derive(Clone, Debug)]
struct Subnet {
    neurons: Vec<Neuron>,
    params: Params,
    pots: Pots,
}

impl Subnet {
    fn epoch(&self) -> Output {
        let members: Vec<Member> = self.neurons.iter().map(Neuron::as_member).collect();
        epoch(
            &Input {
                members: &members,
                last_epoch: 5,
                pots: self.pots,
            },
            &self.params,
        )
        .unwrap()
    }

    /// The stake of those that vote and are `among` some.
    fn voting_stake(&self, among: impl Fn(u16) -> bool) -> u128 {
        let votes = |neuron: &&Neuron| neuron.validator && neuron.active && among(neuron.uid);
        let voting = self.neurons.iter().filter(votes);
        voting.map(|neuron| u128::from(neuron.stake)).sum()
    }

    /// The same subnet under other uids.
    fn renumbered(&self, new: impl Fn(u16) -> u16) -> Subnet {
        let row = |row: &[(u16, u16)]| {
            let mut row: Vec<_> = row.iter().map(|&(uid, value)| (new(uid), value)).collect();
            row.sort_unstable();
            row
        };
        let neuron = |neuron: &Neuron| Neuron {
            uid: new(neuron.uid),
            scores: row(&neuron.scores),
            bonds: row(&neuron.bonds),
            ..neuron.clone()
        };
        let mut neurons: Vec<Neuron> = self.neurons.iter().map(neuron).collect();
        neurons.sort_unstable_by_key(|neuron| neuron.uid);
        Subnet {
            neurons,
            ..self.clone()
        }
    }
}

impl Neuron {
    /// Its score on another as a share of 65,535 of all that it gave; 0 if it has no say.
    fn given_to(&self, other: u16) -> u16 {
        let counts = self.validator && self.active && self.stake > 0;
        let score = |&&(uid, _): &&(u16, u16)| uid != self.uid;
        let whole: u64 = self
            .scores
            .iter()
            .filter(score)
            .map(|cell| u64::from(cell.1))
            .sum();
        let to = self
            .scores
            .iter()
            .filter(score)
            .find(|cell| cell.0 == other);
        match (to, counts) {
            (Some(cell), true) if whole > 0 => (u64::from(cell.1) * 65_535 / whole) as u16,
            _ => 0,
        }
    }

    fn as_member(&self) -> Member<'_> {
        Member {
            uid: self.uid,
            stake: self.stake,
            validator: self.validator,
            active: self.active,
            registered_at: self.registered_at,
            scores_set_at: 5,
            scores: &self.scores,
            bonds: &self.bonds,
        }
    }
}

const SIZE: u16 = 12;

fn row() -> impl Strategy<Value = Vec<(u16, u16)>> {
    btree_map(0..SIZE, any::<u16>(), 0..usize::from(SIZE)).prop_map(|row| row.into_iter().collect())
}

fn neuron(uid: u16) -> impl Strategy<Value = Neuron> {
    let stake = prop_oneof![Just(0), 1..100u64, any::<u64>()];
    (
        stake,
        any::<bool>(),
        prop::bool::weighted(0.8),
        0..7u64,
        row(),
        row(),
    )
        .prop_map(
            move |(stake, validator, active, registered_at, scores, bonds)| Neuron {
                uid,
                stake,
                validator,
                active,
                registered_at,
                scores,
                bonds,
            },
        )
}

fn params() -> impl Strategy<Value = Params> {
    let bonds = prop_oneof![Just(BondsRule::Yuma2), Just(BondsRule::Yuma3)];
    let liquid = (any::<u16>(), any::<u16>(), any::<u16>()).prop_map(|(a, b, steepness)| {
        let (low, high) = (a.min(b), a.max(b));
        LiquidAlpha {
            low,
            high,
            steepness,
        }
    });
    let liquid = prop::option::of(liquid);
    (any::<u16>(), 0..=1_000_000u32, any::<u16>(), bonds, liquid).prop_map(
        |(kappa, bonds_moving_average, bonds_penalty, bonds, liquid_alpha)| Params {
            kappa,
            bonds_moving_average,
            bonds_penalty,
            bonds,
            liquid_alpha,
        },
    )
}

fn subnet() -> impl Strategy<Value = Subnet> {
    let neurons: Vec<_> = (0..SIZE).map(neuron).collect();
    (neurons, params(), any::<u64>(), any::<u64>()).prop_map(
        |(neurons, params, miners, validators)| Subnet {
            neurons,
            params,
            pots: Pots { miners, validators },
        },
    )
}

fn total(output: &Output, amount: fn(&Outcome) -> u64) -> u128 {
    output
        .members
        .iter()
        .map(|outcome| u128::from(amount(outcome)))
        .sum()
}

proptest! {
    #[test]
    fn a_pot_is_paid_out_or_kept_to_the_unit(subnet in subnet()) {
        let output = subnet.epoch();
        let (miners, validators) =
            (total(&output, |o| o.miner_emission), total(&output, |o| o.validator_emission));
        prop_assert_eq!(miners + u128::from(output.remainder.miners), subnet.pots.miners.into());
        prop_assert_eq!(
            validators + u128::from(output.remainder.validators),
            subnet.pots.validators.into()
        );
        // Less than a unit per member stays, or everything.
        for (left, pot) in [
            (output.remainder.miners, subnet.pots.miners),
            (output.remainder.validators, subnet.pots.validators),
        ] {
            prop_assert!(left == pot || left < SIZE.into(), "{} of {} left", left, pot);
        }
        let combined: u128 = output.combined_emission(1 << 40).into_iter().map(u128::from).sum();
        prop_assert!(combined <= 1 << 40);
    }

    #[test]
    fn renumbering_the_members_renumbers_the_result(
        subnet in subnet(),
        order in Just((0..SIZE).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        // Gaps between uids must not matter either.
        let new = |uid: u16| order[usize::from(uid)] * 3 + 1;
        let renumbered = subnet.renumbered(new).epoch();
        let output = subnet.epoch();
        for mut outcome in output.members {
            outcome.uid = new(outcome.uid);
            outcome.bonds.iter_mut().for_each(|bond| bond.0 = new(bond.0));
            outcome.bonds.sort_unstable();
            prop_assert!(renumbered.members.contains(&outcome), "{:?}", outcome);
        }
        prop_assert_eq!(renumbered.remainder, output.remainder);
    }

    #[test]
    fn a_validator_without_stake_changes_nothing(
        subnet in subnet(),
        who in 0..SIZE,
        scores in row(),
        bonds in row(),
    ) {
        let mut without = subnet;
        let silent = &mut without.neurons[usize::from(who)];
        (silent.stake, silent.validator) = (0, false);
        let mut with = without.clone();
        let loud = &mut with.neurons[usize::from(who)];
        (loud.validator, loud.active) = (true, true);
        (loud.scores, loud.bonds) = (scores, bonds);
        prop_assert_eq!(with.epoch(), without.epoch());
    }

    #[test]
    fn a_coalition_below_kappa_cannot_raise_its_miner_above_what_others_gave(
        mut subnet in subnet(),
        coalition in btree_set(0..SIZE, 1..usize::from(SIZE)),
        friend in 0..SIZE,
        surplus in 0..65_535u32,
    ) {
        // The coalition gives its miner all it has; κ is some way above its share of the voting stake.
        for neuron in &mut subnet.neurons {
            neuron.registered_at = 0;
            neuron.stake = neuron.stake.min(1 << 40);
            if coalition.contains(&neuron.uid) {
                neuron.scores = vec![(friend, u16::MAX)];
            }
        }
        let (ours, all) = (subnet.voting_stake(|uid| coalition.contains(&uid)), subnet.voting_stake(|_| true));
        prop_assume!(all > 0);
        let enough = (ours * 65_535 / all) as u32 + 2;
        prop_assume!(enough < 65_535);
        subnet.params.kappa = (enough + surplus % (65_536 - enough)) as u16;

        let most = subnet.neurons.iter().filter(|neuron| !coalition.contains(&neuron.uid));
        let most = most.map(|neuron| neuron.given_to(friend)).max().unwrap_or(0);
        let output = subnet.epoch();
        let friend = &output.members[usize::from(friend)];
        prop_assert!(friend.consensus <= most, "{} above {}", friend.consensus, most);
        if most == 0 {
            prop_assert_eq!(friend.miner_emission, 0);
        }
    }

    #[test]
    fn shares_add_up_to_one_at_most_and_bonds_can_be_fed_back(subnet in subnet()) {
        let output = subnet.epoch();
        for share in [|o: &Outcome| u64::from(o.incentive), |o: &Outcome| u64::from(o.dividends)] {
            prop_assert!(total(&output, share) <= 65_535);
        }
        let mut next = subnet;
        for (neuron, outcome) in next.neurons.iter_mut().zip(output.members) {
            neuron.bonds = outcome.bonds;
        }
        next.epoch();
    }
}
