//! Runs are started and stopped.

use cairn_primitives::{
    traits::{Dissolve, Runs as _},
    Combination, CompressionSchedule, Hyperparameters, InitialParameters, Matrices, ModelRoot,
    Muon, Nano, RunConfig, Text, Uid, H256,
};
use frame_support::{assert_noop, assert_ok};
use sp_runtime::DispatchError;

use crate::{mock::*, Clearing, Configs, Error, Event, Rounds, Runs};

fn start(config: RunConfig) -> sp_runtime::DispatchResult {
    Training::start_run(by(owner(NET)), NET, config)
}

#[test]
fn an_owner_starts_a_run() {
    ExtBuilder::default().subnet(NET).execute(|| {
        assert!(!Training::has_run(NET));
        assert_ok!(start(config()));
        assert_eq!(
            events(),
            [Event::RunStarted {
                netuid: NET,
                initial_root: ROOT
            }]
        );
        assert!(Training::has_run(NET));
        assert_eq!(Configs::<Test>::get(NET), Some(config()));
    });
}

#[test]
fn nobody_else_starts_or_stops_a_run() {
    ExtBuilder::usual().execute(|| {
        let error = Error::<Test>::NotSubnetOwner;
        assert_noop!(Training::start_run(by(stranger()), NET, config()), error);
        let error = Error::<Test>::NotSubnetOwner;
        assert_noop!(Training::stop_run(by(stranger()), NET), error);
        assert_noop!(
            Training::start_run(RuntimeOrigin::root(), NET, config()),
            DispatchError::BadOrigin
        );
        assert_noop!(
            Training::stop_run(RuntimeOrigin::none(), NET),
            DispatchError::BadOrigin
        );
    });
}

#[test]
fn there_is_no_run_without_a_subnet() {
    ExtBuilder::default().execute(|| {
        assert_noop!(start(config()), Error::<Test>::UnknownSubnet);
        assert_noop!(
            Training::stop_run(by(owner(NET)), NET),
            Error::<Test>::UnknownSubnet
        );
    });
}

#[test]
fn a_subnet_has_one_run() {
    ExtBuilder::usual().execute(|| {
        assert_noop!(start(config()), Error::<Test>::RunExists);
    });
}

#[test]
fn a_run_begins_with_nobodys_incentive() {
    let built = ExtBuilder::default().subnet(NET);
    built.run(NET, config()).execute(|| {
        assert_eq!(FORGOTTEN.take(), [NET]);
    });
}

#[test]
fn what_is_not_running_cannot_be_stopped() {
    ExtBuilder::default().subnet(NET).execute(|| {
        assert_noop!(
            Training::stop_run(by(owner(NET)), NET),
            Error::<Test>::NoRun
        );
    });
}

/// All that turns ask for, but for how many there are and ρ.
fn take_turns(config: &mut RunConfig, turns: u8, rho: Nano) {
    config.compression = CompressionSchedule {
        kept_per_block: 4_096,
        error_decay: Nano(0),
        final_error_decay: None,
        turns,
    };
    config.outer.rho = rho;
    config.audits.rate = 1;
}

#[test]
fn members_of_a_run_may_take_turns() {
    let mut config = config();
    take_turns(&mut config, 4, Nano(250_000_000));
    assert_eq!(config.check(), Ok(()));
}

#[test]
fn each_impossible_configuration_has_its_error() {
    type Change = fn(&mut RunConfig);
    let cases: [(Change, Error<Test>); 33] = [
        (|c| c.model.heads = 3, Error::ImpossibleShape),
        (|c| c.inner.steps = 0, Error::ImpossibleInnerSteps),
        (|c| c.overlap = 2, Error::ImpossibleOverlap),
        (|c| c.checkpoint_every = 0, Error::ImpossibleCheckpoints),
        (|c| c.checkpoint_every = 33, Error::ImpossibleCheckpoints),
        (|c| c.inner.beta1 = Nano::ONE, Error::ImpossibleOptimizer),
        (
            |c| {
                c.inner.matrices = Matrices::Muon(Muon {
                    momentum: Nano::ONE,
                    rms: Nano::ONE,
                })
            },
            Error::ImpossibleOptimizer,
        ),
        (
            |c| c.inner.warmup_steps = c.inner.total_steps + 1,
            Error::ImpossibleOptimizer,
        ),
        (
            |c| c.compression.kept_per_block = 0,
            Error::ImpossibleCompression,
        ),
        (
            |c| c.compression.error_decay = Nano(1_000_000_001),
            Error::ImpossibleCompression,
        ),
        (|c| c.compression.turns = 0, Error::ImpossibleCompression),
        (
            |c| take_turns(c, 5, Nano(200_000_000)),
            Error::ImpossibleCompression,
        ),
        (
            |c| {
                take_turns(c, 4, Nano(250_000_000));
                c.compression.kept_per_block = 4_095;
            },
            Error::ImpossibleCompression,
        ),
        (
            |c| {
                take_turns(c, 4, Nano(250_000_000));
                c.compression.error_decay = Nano(1);
            },
            Error::ImpossibleCompression,
        ),
        (
            |c| {
                take_turns(c, 4, Nano(250_000_000));
                c.audits.rate = 0;
            },
            Error::ImpossibleCompression,
        ),
        (
            |c| take_turns(c, 4, Nano(250_000_001)),
            Error::ImpossibleOuterStep,
        ),
        (
            |c| c.outer.clip = Nano(999_999_999),
            Error::ImpossibleOuterStep,
        ),
        (
            |c| c.outer.clip = Nano(2_000_000_001),
            Error::ImpossibleOuterStep,
        ),
        (
            |c| c.compression.final_error_decay = Some(Nano(1_000_000_001)),
            Error::ImpossibleCompression,
        ),
        (
            |c| c.outer.rho = Nano(1_000_000_001),
            Error::ImpossibleOuterStep,
        ),
        (|c| c.phases.reveal = 0, Error::PhasesTooShort),
        (|c| c.phases.attest = 3, Error::PhasesTooShort),
        (|c| c.phases.train = 3, Error::PhasesTooShort),
        (|c| c.phases.train = (1 << 21) + 1, Error::TooLarge),
        (|c| c.model.layers = 1_025, Error::TooLarge),
        (|c| c.model.d_model = 1 << 19, Error::TooLarge),
        (|c| c.model.vocabulary = (1 << 22) + 1, Error::TooLarge),
        (
            |c| (c.model.d_model, c.model.layers) = (1 << 18, 1_024),
            Error::TooLarge,
        ),
        (
            |c| c.outer.rho = Nano(249_999_999),
            Error::ImpossibleOuterStep,
        ),
        (|c| c.max_contributors = 0, Error::ImpossibleContributors),
        (|c| c.data.windows = 5, Error::TooLittleData),
        // A miner takes 6, the exam 128.
        (|c| c.data.windows = 133, Error::TooLittleData),
        (
            |c| c.initial_root = ModelRoot::zero(),
            Error::ZeroInitialRoot,
        ),
    ];
    ExtBuilder::default().subnet(NET).execute(|| {
        for (change, error) in cases {
            let mut changed = config();
            change(&mut changed);
            assert_noop!(start(changed), error);
        }
    });
}

#[test]
fn tokens_count_only_where_audits_bear_them_out() {
    let mut config = config();
    config.outer.combine = Combination::Tokens;
    config.audits.rate = 0;
    ExtBuilder::default().subnet(NET).execute(|| {
        let refused = Error::<Test>::ImpossibleOuterStep;
        assert_noop!(start(config.clone()), refused);
        config.audits.rate = 1;
        assert_ok!(start(config));
    });
}

#[test]
fn what_everybody_would_print_is_printable() {
    let raw = |text: &[u8]| Text(text.to_vec().try_into().expect("short"));
    let evil = [
        raw(b"evil\x1b[31m"),
        raw(b"two\nlines"),
        raw("a\u{202e}b".as_bytes()),
        raw("\u{9b}2J".as_bytes()),
        raw(&[0xff, 0xfe]),
    ];
    let places: [fn(&mut RunConfig, Text); 3] = [
        |c, text| c.name = text,
        |c, text| c.data.store = text,
        |c, text| c.initial_parameters = InitialParameters::Checkpoint(text),
    ];
    ExtBuilder::default().subnet(NET).execute(|| {
        for place in places {
            for text in &evil {
                let mut changed = config();
                place(&mut changed, text.clone());
                assert_noop!(start(changed), Error::<Test>::UnprintableText);
            }
            let mut fine = config();
            place(&mut fine, raw("Größe 10 M, 日本語".as_bytes()));
            assert_eq!(fine.check(), Ok(()));
        }
    });
}

#[test]
fn a_stopped_run_leaves_nothing_behind_and_another_can_be_started() {
    ExtBuilder::usual().execute(|| {
        whole_round(&[Uid(10), Uid(11)], &[0, 1, 2].map(Uid), ROOT);
        assert_ok!(commit(NET, 1, Uid(10), ModelRoot(H256([8; 32]))));
        assert_ok!(Training::stop_run(by(owner(NET)), NET));
        assert_eq!(events().last(), Some(&Event::RunStopped { netuid: NET }));
        assert!(!Training::has_run(NET));
        assert!(Training::run_info(NET).is_none());
        assert_eq!(Training::lineage(NET, 0), []);
        assert_eq!(Configs::<Test>::get(NET), None);
        assert!(Training::is_clearing(NET));
        assert_noop!(start(config()), Error::<Test>::RunBeingCleared);
        assert_noop!(commit(NET, 1, Uid(11), ROOT), Error::<Test>::NoRun);
        Training::do_try_state().unwrap();

        next_block();
        assert_eq!(events(), [Event::RunCleared { netuid: NET }]);
        assert!(!Training::is_clearing(NET));
        assert_eq!(Rounds::<Test>::iter().count(), 0);
        assert_eq!(crate::Contributions::<Test>::iter().count(), 0);
        assert_eq!(crate::Lineage::<Test>::iter().count(), 0);
        assert_ok!(start(config()));
        next_block();
        assert_eq!(Runs::<Test>::get(NET).and_then(|run| run.round), Some(0));
    });
}

#[test]
fn a_run_that_never_began_leaves_nothing_to_clear() {
    ExtBuilder::default()
        .subnet(NET)
        .run(NET, config())
        .execute(|| {
            assert_ok!(Training::stop_run(by(owner(NET)), NET));
            assert_eq!(Clearing::<Test>::iter().count(), 0);
            assert_ok!(start(config()));
        });
}

/// In the middle of a round, with a commitment made.
#[test]
fn a_subnet_that_is_dissolved_stops_its_run_and_waits_until_nothing_is_left_of_it() {
    ExtBuilder::usual().execute(|| {
        whole_round(&[Uid(10), Uid(11)], &[0, 1, 2].map(Uid), ROOT);
        assert_ok!(commit(NET, 1, Uid(10), ModelRoot(H256([8; 32]))));
        World::change(NET, |subnet| subnet.dissolving = true);
        <Training as Dissolve>::on_dissolving(NET);
        assert_eq!(events().last(), Some(&Event::RunStopped { netuid: NET }));
        assert_noop!(
            commit(NET, 1, Uid(11), ROOT),
            Error::<Test>::SubnetDissolving
        );
        assert_noop!(start(config()), Error::<Test>::SubnetDissolving);
        let stop = Training::stop_run(by(owner(NET)), NET);
        assert_eq!(stop, Err(Error::<Test>::SubnetDissolving.into()));
        assert_eq!(<Training as Dissolve>::dissolve(NET, 7), 7);
        next_block();
        assert_eq!(events(), [Event::RunCleared { netuid: NET }]);
        assert_eq!(<Training as Dissolve>::dissolve(NET, 0), 0);
        assert!(Training::ended_run(NET).is_some());
        // The ended run, and the two records of its work.
        assert_eq!(<Training as Dissolve>::dissolve(NET, 7), 3);
        assert_eq!(Training::ended_run(NET), None);
        assert_eq!(<Training as Dissolve>::dissolve(NET, 7), 0);
        Training::do_try_state().unwrap();
    });
}

/// The rounds whose roots stayed of the last run, and these roots.
fn ended_roots() -> Vec<(u32, ModelRoot)> {
    let ended = Training::ended_run(NET).unwrap();
    let roots = ended.final_roots.into_iter();
    roots.map(|known| (known.round, known.model_root)).collect()
}

#[test]
fn of_a_stopped_run_the_configuration_and_the_last_final_roots_stay() {
    ExtBuilder::usual().execute(|| {
        let started_at = Runs::<Test>::get(NET).unwrap().started_at;
        for _ in 0..11 {
            whole_round(&[Uid(10), Uid(11)], &[0, 1, 2].map(Uid), ROOT);
        }
        assert_eq!(Training::ended_run(NET), None);
        assert_ok!(Training::stop_run(by(owner(NET)), NET));
        let ended = Training::ended_run(NET).unwrap();
        assert_eq!((ended.started_at, ended.round), (started_at, Some(11)));
        assert_eq!(ended.stopped_at, System::block_number());
        assert_eq!(ended.config, config());
        // Round 11 began with parameters that nobody attested; the mock keeps the lineage of five rounds.
        let roots = [10, 9, 8, 7, 6].map(|round| (round, ROOT));
        assert_eq!(ended_roots(), roots);
        Training::do_try_state().unwrap();

        // It stays while the next run goes on, and until that one is stopped.
        next_block();
        let mut other = config();
        other.initial_root = ModelRoot(H256([9; 32]));
        assert_ok!(start(other.clone()));
        next_block();
        assert_eq!(Training::ended_run(NET), Some(ended));
        assert_ok!(Training::stop_run(by(owner(NET)), NET));
        assert_eq!(Training::ended_run(NET).unwrap().config, other);
        assert_eq!(ended_roots(), [(0, ModelRoot(H256([9; 32])))]);
        Training::do_try_state().unwrap();
    });
}

#[test]
fn a_run_that_never_began_leaves_its_first_root() {
    ExtBuilder::default()
        .subnet(NET)
        .run(NET, config())
        .execute(|| {
            assert_ok!(Training::stop_run(by(owner(NET)), NET));
            assert_eq!(Training::ended_run(NET).unwrap().round, None);
            assert_eq!(ended_roots(), [(0, ROOT)]);
            Training::do_try_state().unwrap();
        });
}

/// The round is never settled, but its validators have agreed.
#[test]
fn a_root_that_was_attested_in_the_last_round_counts() {
    ExtBuilder::usual().execute(|| {
        whole_round(&[Uid(10), Uid(11)], &[0, 1, 2].map(Uid), ROOT);
        assert_eq!(
            Runs::<Test>::get(NET).unwrap().expected_root,
            None,
            "something was included"
        );
        run_to(crate::mock::start() + 8);
        let next = ModelRoot(H256([5; 32]));
        for uid in [0, 1, 2] {
            assert_ok!(attest(NET, 1, Uid(uid), &[], next));
        }
        assert_ok!(Training::stop_run(by(owner(NET)), NET));
        assert_eq!(ended_roots(), [(1, next), (0, ROOT)]);
    });
}

#[test]
fn no_run_starts_while_it_is_announced_that_scores_will_be_shown() {
    ExtBuilder::default().subnet(NET).execute(|| {
        let shown = Hyperparameters {
            commit_reveal: false,
            ..Hyperparameters::default()
        };
        let announce = |rules| World::change(NET, |subnet| subnet.announced = rules);
        announce(Some(shown.clone()));
        assert_noop!(start(config()), Error::<Test>::CommitRevealEnds);
        // Other rules may come, and where scores are shown already there is nothing to lose.
        announce(Some(Hyperparameters::default()));
        assert_ok!(start(config()));
        assert_ok!(Training::stop_run(by(owner(NET)), NET));
        next_block();
        announce(Some(shown.clone()));
        World::change(NET, |subnet| subnet.rules = shown);
        assert_ok!(start(config()));
    });
}
