//! Each rule of an epoch by a small example.

use yuma::{epoch, BondsRule, Input, InputError, Member, Output, Params, Pots};

const POTS: Pots = Pots {
    miners: 1_000,
    validators: 1_000,
};

fn params(bonds: BondsRule) -> Params {
    Params {
        kappa: 32_767,
        bonds_moving_average: 900_000,
        bonds_penalty: 65_535,
        bonds,
        liquid_alpha: None,
    }
}

fn validator(uid: u16, stake: u64, scores: &[(u16, u16)]) -> Member<'_> {
    Member {
        uid,
        stake,
        validator: true,
        active: true,
        registered_at: 0,
        scores_set_at: 10,
        scores,
        bonds: &[],
    }
}

fn miner(uid: u16) -> Member<'static> {
    Member {
        validator: false,
        active: false,
        ..validator(uid, 0, &[])
    }
}

fn run_by(rule: BondsRule, members: &[Member]) -> Output {
    epoch(
        &Input {
            members,
            last_epoch: 10,
            pots: POTS,
        },
        &params(rule),
    )
    .unwrap()
}

fn run(members: &[Member]) -> Output {
    run_by(BondsRule::Yuma3, members)
}

fn incentives(output: &Output) -> Vec<u16> {
    output
        .members
        .iter()
        .map(|outcome| outcome.incentive)
        .collect()
}

fn dividends(output: &Output) -> Vec<u16> {
    output
        .members
        .iter()
        .map(|outcome| outcome.dividends)
        .collect()
}

#[test]
fn miners_share_their_pot_by_incentive_and_validators_theirs_by_dividends() {
    let votes = [(2, 3), (3, 1)];
    let output = run(&[
        validator(0, 60, &votes),
        validator(1, 40, &votes),
        miner(2),
        miner(3),
    ]);
    let paid =
        |pick: fn(&yuma::Outcome) -> u64| output.members.iter().map(pick).collect::<Vec<_>>();
    assert_eq!(paid(|outcome| outcome.miner_emission), [0, 0, 750, 249]);
    assert_eq!(paid(|outcome| outcome.validator_emission), [600, 400, 0, 0]);
    assert_eq!(
        output.remainder,
        Pots {
            miners: 1,
            validators: 0
        }
    );
}

#[test]
fn a_minority_cannot_pay_its_friend_nor_gain_from_trying() {
    let output = run(&[
        validator(0, 60, &[(2, 1)]),
        validator(1, 40, &[(3, 1)]),
        miner(2),
        miner(3),
    ]);
    assert_eq!(incentives(&output), [0, 0, 65_535, 0]);
    assert_eq!(dividends(&output), [65_535, 0, 0, 0]);
    assert_eq!(output.members[0].trust, 65_535);
    assert_eq!(output.members[1].trust, 0);
    assert_eq!(output.members[2].consensus, 65_535);
}

#[test]
fn nothing_is_paid_where_nobody_gave_scores() {
    let output = run(&[validator(0, 60, &[]), validator(1, 40, &[]), miner(2)]);
    assert_eq!(output.remainder, POTS);
    assert!(output
        .members
        .iter()
        .all(|o| o.miner_emission == 0 && o.validator_emission == 0));
    assert_eq!(output.combined_emission(100), [59, 39, 0]);
}

#[test]
fn scores_on_oneself_are_ignored() {
    let output = run(&[validator(0, 100, &[(0, 60_000), (1, 1)]), miner(1)]);
    assert_eq!(incentives(&output), [0, 65_535]);
}

#[test]
fn scores_on_who_came_after_they_were_set_are_ignored() {
    for (registered_at, expected) in [(9, 65_535), (10, 0), (11, 0)] {
        let output = run(&[
            validator(0, 1, &[(1, 1)]),
            Member {
                registered_at,
                ..miner(1)
            },
        ]);
        assert_eq!(
            incentives(&output),
            [0, expected],
            "came at {registered_at}"
        );
    }
}

#[test]
fn scores_and_bonds_on_who_is_not_there_are_ignored() {
    let bonds = [(1, 65_535), (7, 65_535), (900, 65_535)];
    let voter = Member {
        bonds: &bonds,
        ..validator(0, 1, &[(1, 1), (7, 9), (900, 9)])
    };
    let output = run(&[voter, miner(1), miner(8)]);
    assert_eq!(incentives(&output), [0, 65_535, 0]);
    assert_eq!(output.members[0].bonds, [(1, 65_535)]);
}

#[test]
fn bonds_in_who_came_since_the_last_epoch_are_dropped() {
    for rule in [BondsRule::Yuma2, BondsRule::Yuma3] {
        let voter = Member {
            bonds: &[(1, 60_000), (2, 60_000)],
            ..validator(0, 1, &[])
        };
        let output = run_by(
            rule,
            &[
                voter,
                miner(1),
                Member {
                    registered_at: 10,
                    ..miner(2)
                },
            ],
        );
        let uids: Vec<u16> = output.members[0].bonds.iter().map(|bond| bond.0).collect();
        assert_eq!(uids, [1], "{rule:?}");
    }
}

#[test]
fn a_bond_without_a_weight_decays_and_a_new_weight_begins_one() {
    let voter = Member {
        bonds: &[(1, 60_000)],
        ..validator(0, 1, &[(2, 1)])
    };
    let output = run(&[voter, miner(1), miner(2)]);
    assert_eq!(output.members[0].bonds, [(1, 53_999), (2, 6_553)]);
}

#[test]
fn who_is_no_validator_has_neither_votes_nor_bonds() {
    let bonds = [(1, 60_000)];
    let other = Member {
        validator: false,
        bonds: &bonds,
        ..validator(2, 90, &[(3, 1)])
    };
    let output = run(&[validator(0, 10, &[(1, 1)]), miner(1), other, miner(3)]);
    assert_eq!(incentives(&output), [0, 65_535, 0, 0]);
    assert!(output.members[2].bonds.is_empty());
}

#[test]
fn an_inactive_validator_does_not_vote_and_its_bonds_decay() {
    let idle = Member {
        active: false,
        scores_set_at: 0,
        bonds: &[(3, 60_000)],
        ..validator(1, 90, &[(3, 1)])
    };
    let output = run(&[validator(0, 10, &[(2, 1)]), idle, miner(2), miner(3)]);
    assert_eq!(incentives(&output), [0, 0, 65_535, 0]);
    assert_eq!(dividends(&output), [65_535, 0, 0, 0]);
    assert_eq!(output.members[1].bonds, [(3, 53_999)]);
}

#[test]
fn who_was_early_earns_more_than_who_was_late() {
    let votes = [(2, 1)];
    let early = Member {
        bonds: &[(2, 30_000)],
        ..validator(0, 50, &votes)
    };
    let output = run(&[early, validator(1, 50, &votes), miner(2)]);
    assert!(output.members[0].dividends > 4 * output.members[1].dividends);
}

#[test]
fn the_penalty_decides_whether_bonds_follow_clipped_scores() {
    let members = [
        validator(0, 60, &[(2, 1)]),
        validator(1, 40, &[(2, 1), (3, 1)]),
        miner(2),
        miner(3),
    ];
    let bonds = |bonds_penalty| {
        let params = Params {
            bonds_penalty,
            ..params(BondsRule::Yuma3)
        };
        let input = Input {
            members: &members,
            last_epoch: 10,
            pots: POTS,
        };
        epoch(&input, &params).unwrap().members[1].bonds.clone()
    };
    assert_eq!(bonds(0), [(2, 3_276), (3, 3_276)]);
    assert_eq!(bonds(65_535), [(2, 3_276)]);
    assert_eq!(bonds(32_768), [(2, 3_276), (3, 1_638)]);
}

#[test]
fn what_cannot_be_is_refused() {
    let refused = |members: &[Member], params: &Params| {
        epoch(
            &Input {
                members,
                last_epoch: 0,
                pots: POTS,
            },
            params,
        )
        .unwrap_err()
    };
    let usual = params(BondsRule::Yuma3);
    for (uids, uid) in [([1, 1, 2], 1), ([0, 2, 1], 1), ([5, 4, 1], 4)] {
        let error = InputError::MembersNotAscending { uid };
        assert_eq!(refused(&uids.map(miner), &usual), error, "{uids:?}");
    }
    for row in [[(1, 5), (1, 5)], [(2, 5), (1, 5)]] {
        let error = InputError::RowNotAscending { uid: 4 };
        assert_eq!(refused(&[validator(4, 1, &row)], &usual), error);
        let member = Member {
            bonds: &row,
            ..validator(4, 1, &[])
        };
        assert_eq!(refused(&[member], &usual), error);
    }
    let error = InputError::MovingAverageAboveOne(1_000_001);
    assert_eq!(
        refused(
            &[],
            &Params {
                bonds_moving_average: 1_000_001,
                ..usual
            }
        ),
        error
    );
    assert_eq!(
        error.to_string(),
        "bonds_moving_average is 1000001: it must be at most 1,000,000"
    );
}

#[test]
fn an_empty_subnet_pays_nobody() {
    assert_eq!(
        run(&[]),
        Output {
            members: vec![],
            remainder: POTS
        }
    );
}
