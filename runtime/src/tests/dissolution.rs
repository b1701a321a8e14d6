//! A subnet that is dissolved in the middle of a round and of an epoch, on the whole chain.

use cairn_primitives::{blake2_256, Hyperparameters, Netuid, Role, Uid, CRN};
use frame_support::assert_ok;
use sp_keyring::Sr25519Keyring::{self, Alice, Bob, Charlie, Dave, Eve};
use sp_runtime::traits::Dispatchable;

use super::{
    chain::{genesis, Chain},
    play::calls::run_config,
};
use crate::{presets, readers, AccountId, Balances, Runtime, RuntimeCall, RuntimeOrigin, Subnets};

/// What a member of the subnet put up.
const STAKE: u64 = 1_000 * CRN;
const BOND: u64 = 50 * CRN;

fn call(who: AccountId, call: impl Into<RuntimeCall>) {
    assert_ok!(call.into().dispatch(RuntimeOrigin::signed(who)));
}

/// A subnet of Alice's with a run. Bob validates with his own and Dave's stake; Charlie mines.
fn people_at_work() {
    let (alice, bob, charlie) = (
        Alice.to_account_id(),
        Bob.to_account_id(),
        Charlie.to_account_id(),
    );
    let max_price = u64::MAX;
    call(
        alice.clone(),
        pallet_subnets::Call::create_subnet { max_price },
    );
    let hyperparameters = Hyperparameters {
        tempo: 20,
        activity_cutoff: 40,
        unbonding_period: 20,
        min_validator_stake: CRN,
        min_miner_bond: CRN,
        ..Hyperparameters::default()
    };
    let netuid = Netuid(1);
    call(
        alice.clone(),
        pallet_subnets::Call::set_hyperparameters {
            netuid,
            hyperparameters,
        },
    );
    for (coldkey, hotkey, role) in [
        (bob.clone(), hot(Bob), Role::Validator),
        (charlie.clone(), hot(Charlie), Role::Miner),
    ] {
        // What a hotkey signs is tested elsewhere.
        let joined = Subnets::join(netuid, coldkey, hotkey, role, max_price);
        assert_ok!(joined);
    }
    for backer in [Bob, Dave] {
        let (hotkey, amount) = (hot(Bob), STAKE);
        call(
            backer.to_account_id(),
            pallet_stake::Call::add_stake {
                netuid,
                hotkey,
                amount,
            },
        );
    }
    let (hotkey, amount) = (hot(Charlie), BOND);
    call(
        charlie,
        pallet_stake::Call::add_bond {
            netuid,
            hotkey,
            amount,
        },
    );
    let config = run_config(false);
    call(alice, pallet_training::Call::start_run { netuid, config });
    // As if a round had been work, so that there is emission.
    let mut record = pallet_training::Record::default();
    record.settled(true, [1].map(Uid));
    pallet_training::Records::<Runtime>::insert(netuid, record);
}

/// The hotkey of a well-known coldkey: nobody signs with it here.
fn hot(coldkey: Sr25519Keyring) -> AccountId {
    blake2_256(&coldkey.to_raw_public()).0.into()
}

/// A block in which `work` is done, and after which the books are right.
fn block<R>(chain: &mut Chain, work: impl FnOnce() -> R) -> R {
    chain.block(work).expect("the books are right")
}

fn free() -> [u64; 3] {
    [Bob, Charlie, Dave].map(|who| Balances::free_balance(who.to_account_id()))
}

#[test]
fn everything_comes_back_and_the_books_are_right_after_every_block() {
    let mut chain = Chain::new(&genesis(presets::DEVELOPMENT_PRESET));
    block(&mut chain, people_at_work);
    for _ in 0..12 {
        block(&mut chain, || ());
    }
    let before = block(&mut chain, || {
        // In a round, and between two epochs, with something in every pot.
        assert!(readers::run(Netuid(1)).is_some_and(|run| run.round.miners.len() == 1));
        assert!(readers::emission(Netuid(1)).is_some_and(|emission| emission.owner_pot > 0));
        // Some of the stake is on its way back already.
        let (netuid, hotkey, amount) = (Netuid(1), hot(Bob), Some(STAKE / 4));
        let remove = pallet_stake::Call::remove_stake {
            netuid,
            hotkey,
            amount,
        };
        call(Dave.to_account_id(), remove);
        call(
            Alice.to_account_id(),
            pallet_subnets::Call::dissolve_subnet { netuid },
        );
        assert!(readers::run(Netuid(1)).is_none(), "the run has stopped");
        free()
    });
    let mut blocks = 0;
    while block(&mut chain, || readers::subnet(Netuid(1)).is_some()) {
        blocks += 1;
        assert!(blocks < 60, "it never ends");
    }
    assert!(blocks >= 18, "it waits for the audit");
    block(&mut chain, || {
        let left = readers::issuance();
        assert_eq!(
            (left.stakes, left.unbonding, left.bonds, left.pots),
            (0, 0, 0, 0)
        );
        // No epoch found anything that the pots could be shared out by: members get what they put up.
        let back = [STAKE, BOND, STAKE];
        for ((before, after), back) in before.into_iter().zip(free()).zip(back) {
            assert_eq!(after, before + back);
        }
        assert!(readers::subnets().is_empty());
        // Its number is not used again.
        let max_price = u64::MAX;
        call(
            Eve.to_account_id(),
            pallet_subnets::Call::create_subnet { max_price },
        );
        assert_eq!(readers::subnets()[0].netuid, Netuid(2));
    });
}
