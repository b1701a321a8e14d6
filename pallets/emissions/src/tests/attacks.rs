//! Ways to be paid for nothing, and what comes of them.

use cairn_primitives::{
    scores_hash,
    traits::{Incentives, OnMember},
    Balance, EpochIndex, Hotkey, Netuid, Served, Uid, CRN, H256,
};
use codec::Encode;
use frame_support::{assert_noop, assert_ok};

use crate::{mock::*, Bonds, Commits, Error, Row, Votes};

const SALT: [u8; 32] = [7; 32];
const FILE: Served = Served {
    root: H256([5; 32]),
    length: 99,
};

fn row(cells: &[(Uid, u16)]) -> Row {
    cells.to_vec().try_into().unwrap()
}

fn commit(uid: Uid, epoch: EpochIndex, cells: &[(Uid, u16)]) {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&hotkey(Netuid(1), uid).encode());
    let hash = scores_hash(Netuid(1), epoch, &Hotkey::from(key), cells, FILE, &SALT);
    let signer = RuntimeOrigin::signed(hotkey(Netuid(1), uid));
    assert_ok!(Emissions::commit_scores(signer, Netuid(1), epoch, hash));
}

fn reveal(uid: Uid, epoch: EpochIndex, cells: &[(Uid, u16)]) {
    let signer = RuntimeOrigin::signed(hotkey(Netuid(1), uid));
    assert_ok!(Emissions::reveal_scores(
        signer,
        Netuid(1),
        epoch,
        row(cells),
        FILE,
        SALT
    ));
}

fn dividends(uid: Uid) -> Balance {
    Emissions::member(Netuid(1), uid).earned_as_validator
}

/// Three validators with as much stake each, and three miners, of whom another is the best in every epoch.
fn three_validators() -> ExtBuilder {
    (0..3)
        .fold(ExtBuilder::default().subnet(Netuid(1)), |builder, uid| {
            builder.validator(Netuid(1), Uid(uid), 1_000_000 * CRN)
        })
        .miner(Netuid(1), Uid(3))
        .miner(Netuid(1), Uid(4))
        .miner(Netuid(1), Uid(5))
}

/// What validators who look themselves say before an epoch.
fn measured(epoch: EpochIndex) -> [(Uid, u16); 3] {
    let mut row = [3, 4, 5].map(|uid| (Uid(uid), 1_000));
    row[epoch as usize % 3].1 = 60_000;
    row
}

/// Epochs that the copying is tried in.
const EPOCHS: EpochIndex = 30;

#[test]
fn copying_scores_in_the_open_pays_as_much_as_looking() {
    three_validators().build_and_execute(|| {
        for epoch in 0..EPOCHS {
            run_to(11 + 10 * u64::from(epoch));
            vote(Netuid(1), Uid(0), &measured(epoch));
            vote(Netuid(1), Uid(1), &measured(epoch));
            // What it reads in the same block.
            let copied = Votes::<Test>::get(Netuid(1), Uid(0)).unwrap().scores;
            vote(Netuid(1), Uid(2), &copied);
        }
        run_to(12 + 10 * u64::from(EPOCHS));
        assert_eq!(dividends(Uid(2)), dividends(Uid(1)));
    });
}

#[test]
fn copying_scores_that_were_revealed_pays_less_than_looking() {
    let hidden = three_validators().with(Netuid(1), |subnet| {
        subnet.hyperparameters.commit_reveal = true
    });
    hidden.build_and_execute(|| {
        let mut copies = Vec::new();
        for epoch in 0..EPOCHS {
            // As early as can be: right after the epoch before.
            run_to(2 + 10 * u64::from(epoch));
            if let Some(last) = epoch.checked_sub(1) {
                for uid in [0, 1] {
                    reveal(Uid(uid), last, &measured(last));
                }
            }
            for uid in [0, 1] {
                commit(Uid(uid), epoch, &measured(epoch));
            }
            // The copier commits to the newest row that anybody can read, and reveals it in its turn.
            if let Some(copy) = copies.last().filter(|(at, _)| at + 1 == epoch) {
                let (at, cells): &(EpochIndex, Row) = copy;
                reveal(Uid(2), *at, cells);
            }
            if let Some(seen) = Votes::<Test>::get(Netuid(1), Uid(0)) {
                commit(Uid(2), epoch, &seen.scores);
                copies.push((epoch, seen.scores));
            }
        }
        assert_eq!(
            copies.len(),
            EPOCHS as usize - 1,
            "it copied whenever it could"
        );
        run_to(12 + 10 * u64::from(EPOCHS));
        let (honest, copier) = (dividends(Uid(1)), dividends(Uid(2)));
        assert_eq!(dividends(Uid(0)), honest);
        assert!(copier < honest / 2, "{copier} of {honest}");
    });
}

#[test]
fn stake_that_comes_before_an_epoch_takes_little_of_it() {
    ExtBuilder::usual().build_and_execute(|| {
        vote(Netuid(1), Uid(0), &[(Uid(2), 1)]);
        vote(Netuid(1), Uid(1), &[(Uid(2), 1)]);
        run_to(51);
        let before = [dividends(Uid(0)), dividends(Uid(1))];
        // Somebody doubles the stake of the subnet a block before the epoch, and votes like everybody.
        World::change_subnet(Netuid(1), |subnet| {
            subnet
                .members
                .insert(Uid(4), (hotkey(Netuid(1), Uid(4)), 50));
            subnet.stakes.insert(hotkey(Netuid(1), Uid(4)), 100 * CRN);
            subnet.validators.insert(Uid(4));
        });
        crate::Issued::<Test>::mutate(|issued| *issued += 100 * CRN);
        vote(Netuid(1), Uid(4), &[(Uid(2), 1)]);
        run_to(52);
        // Bonds grow epoch by epoch: half of the stake got far less than half of the dividends.
        let others = dividends(Uid(0)) + dividends(Uid(1)) - before[0] - before[1];
        assert!(
            dividends(Uid(4)) < others / 3,
            "{} of {others}",
            dividends(Uid(4))
        );
        // Out again: what it has no stake for it gets nothing for.
        World::change_subnet(Netuid(1), |subnet| {
            subnet.stakes.remove(&hotkey(Netuid(1), Uid(4)));
        });
        let reward = dividends(Uid(4));
        crate::Issued::<Test>::mutate(|issued| *issued -= 100 * CRN + reward);
        run_to(62);
        assert_eq!(dividends(Uid(4)), reward);
        assert!(Bonds::<Test>::get(Netuid(1), Uid(4)).is_empty());
    });
}

#[test]
fn stake_that_comes_for_a_block_moves_a_subnets_share_by_a_block() {
    let two = |builder: ExtBuilder, netuid: Netuid| {
        builder.subnet(netuid).validator(netuid, Uid(0), 100 * CRN)
    };
    StakeAverageWindow::set(1_000);
    [1, 2]
        .map(Netuid)
        .into_iter()
        .fold(ExtBuilder::default(), two)
        .build_and_execute(|| {
            run_to(2_000);
            let share = |netuid| Emissions::emission(netuid).unwrap().share;
            let before = share(Netuid(1));
            World::change_subnet(Netuid(1), |subnet| {
                subnet.stakes.insert(hotkey(Netuid(1), Uid(0)), 1_100 * CRN);
            });
            crate::Issued::<Test>::mutate(|issued| *issued += 1_000 * CRN);
            run_to(2_001);
            // Ten times its stake for one block of a thousand.
            assert!(
                share(Netuid(1)) - before < 5_000_000,
                "{before} to {}",
                share(Netuid(1))
            );
        });
}

#[test]
fn who_registers_again_inherits_nothing() {
    ExtBuilder::hidden().build_and_execute(|| {
        commit(Uid(0), 0, &[(Uid(2), 1)]);
        commit(Uid(1), 0, &[(Uid(2), 1)]);
        run_to(12);
        reveal(Uid(0), 0, &[(Uid(2), 1)]);
        commit(Uid(0), 1, &[(Uid(2), 1)]);
        run_to(22);
        assert!(
            Emissions::incentive(Netuid(1), Uid(2)) > 0
                && !Bonds::<Test>::get(Netuid(1), Uid(0)).is_empty()
        );
        // Both a validator and the miner that it voted for leave, and come back to the same uids.
        for uid in [0, 2] {
            <Emissions as OnMember<AccountId>>::on_left(
                Netuid(1),
                Uid(uid),
                &hotkey(Netuid(1), Uid(uid)),
            );
            World::change_subnet(Netuid(1), |subnet| {
                subnet
                    .members
                    .insert(Uid(uid), (hotkey(Netuid(1), Uid(uid)), 22));
            });
            <Emissions as OnMember<AccountId>>::on_joined(
                Netuid(1),
                Uid(uid),
                &hotkey(Netuid(1), Uid(uid)),
            );
        }
        assert_eq!(Votes::<Test>::get(Netuid(1), Uid(0)), None);
        assert_eq!(Commits::<Test>::iter_prefix((Netuid(1), Uid(0))).count(), 0);
        let signer = RuntimeOrigin::signed(hotkey(Netuid(1), Uid(0)));
        let again = Emissions::reveal_scores(signer, Netuid(1), 1, row(&[(Uid(2), 1)]), FILE, SALT);
        assert_noop!(again, Error::<Test>::NoCommit);
        run_to(32);
        assert_eq!(Emissions::incentive(Netuid(1), Uid(2)), 0);
        assert!(Bonds::<Test>::get(Netuid(1), Uid(0)).is_empty());
    });
}

/// Scores that were committed for a member are not its successor's, however late they are revealed.
#[test]
fn scores_committed_for_who_left_are_not_for_who_came() {
    ExtBuilder::hidden().build_and_execute(|| {
        run_to(3);
        commit(Uid(0), 0, &[(Uid(2), 1), (Uid(3), 1)]);
        run_to(8);
        <Emissions as OnMember<AccountId>>::on_left(Netuid(1), Uid(3), &hotkey(Netuid(1), Uid(3)));
        World::change_subnet(Netuid(1), |subnet| {
            subnet.members.insert(Uid(3), (777, 8));
        });
        run_to(12);
        reveal(Uid(0), 0, &[(Uid(2), 1), (Uid(3), 1)]);
        run_to(22);
        assert_eq!(Emissions::incentive(Netuid(1), Uid(2)), 65_535);
        assert_eq!(Emissions::incentive(Netuid(1), Uid(3)), 0);
    });
}

#[test]
fn nobody_weighs_itself() {
    ExtBuilder::usual().build_and_execute(|| {
        let signer = RuntimeOrigin::signed(hotkey(Netuid(1), Uid(0)));
        let itself =
            Emissions::set_scores(signer, Netuid(1), row(&[(Uid(0), 65_535), (Uid(2), 1)]));
        assert_noop!(itself, Error::<Test>::SelfScore);
    });
}

/// A validator with less than half of the stake gives all its score to a miner of its own.
#[test]
fn who_weighs_its_own_miner_gains_nothing_for_it() {
    let votes = |own: &[(Uid, u16)]| {
        let own = own.to_vec();
        let mut earned = (0, 0);
        ExtBuilder::usual().build_and_execute(|| {
            vote(Netuid(1), Uid(0), &[(Uid(2), 1)]);
            vote(Netuid(1), Uid(1), &own);
            run_to(102);
            earned = (
                Emissions::member(Netuid(1), Uid(3)).earned_as_miner,
                dividends(Uid(1)),
            );
        });
        earned
    };
    let (miner, selfish) = votes(&[(Uid(3), 1)]);
    let (_, honest) = votes(&[(Uid(2), 1)]);
    assert_eq!(miner, 0);
    assert!(selfish < honest / 10, "{selfish} of {honest}");
}
