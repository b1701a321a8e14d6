//! Whatever is called in whatever order, the state stays sound.

use cairn_primitives::{ModelRoot, Netuid, Role, SealedRoot, Uid, H256};
use proptest::prelude::*;

use crate::mock::*;

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    Blocks(u8),
    Commit {
        net: Netuid,
        uid: Uid,
        sealed: u8,
        late: bool,
    },
    Reveal {
        net: Netuid,
        uid: Uid,
        right: bool,
    },
    CommitAttestation {
        net: u16,
        uid: Uid,
        good: Vec<Uid>,
        root: bool,
    },
    Attest {
        net: Netuid,
        uid: Uid,
        good: Vec<Uid>,
        root: bool,
    },
    CallBroken {
        uid: Uid,
        broken: Vec<Uid>,
    },
    Here {
        net: u16,
        uid: Uid,
    },
    Leave {
        net: Netuid,
        uid: Uid,
    },
    Join {
        net: Netuid,
        uid: Uid,
        stake: u64,
        bond: u64,
    },
    Stop {
        net: Netuid,
    },
    Start {
        net: Netuid,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let net = (1u16..3).prop_map(Netuid);
    let uid = (0u16..7).prop_map(Uid);
    let attest = (
        net.clone(),
        uid.clone(),
        prop::collection::vec((0u16..8).prop_map(Uid), 0..6),
        any::<bool>(),
    );
    let join = (net.clone(), uid.clone(), 0u64..300, 0u64..20);
    prop_oneof![
        8 => (1u8..3).prop_map(Step::Blocks),
        8 => (net.clone(), uid.clone(), 0u8..9, prop::bool::weighted(0.1))
            .prop_map(|(net, uid, sealed, late)| Step::Commit { net, uid, sealed, late }),
        8 => (net.clone(), uid.clone(), prop::bool::weighted(0.9))
            .prop_map(|(net, uid, right)| Step::Reveal { net, uid, right }),
        2 => attest.clone().prop_map(|(net, uid, good, root)| Step::CommitAttestation { net: net.get(), uid, good, root }),
        8 => attest.prop_map(|(net, uid, good, root)| Step::Attest { net, uid, good, root }),
        2 => (uid.clone(), prop::collection::vec((0u16..8).prop_map(Uid), 0..4))
            .prop_map(|(uid, broken)| Step::CallBroken { uid, broken }),
        1 => (net.clone(), uid.clone()).prop_map(|(net, uid)| Step::Here { net: net.get(), uid }),
        1 => (net.clone(), uid.clone()).prop_map(|(net, uid)| Step::Leave { net, uid }),
        2 => join.prop_map(|(net, uid, stake, bond)| Step::Join { net, uid, stake, bond }),
        1 => net.clone().prop_map(|net| Step::Stop { net }),
        2 => net.prop_map(|net| Step::Start { net }),
    ]
}

fn model_root(right: bool) -> ModelRoot {
    if right {
        ROOT
    } else {
        ModelRoot(H256([9; 32]))
    }
}

/// Calls are free to fail; that they then change nothing is what the other tests look at.
fn take(step: Step) {
    let round = |net| Training::run_info(net).map_or(0, |run| run.round.round);
    match step {
        Step::Blocks(count) => (0..count).for_each(|_| {
            next_block();
        }),
        Step::Commit {
            net,
            uid,
            sealed,
            late,
        } => {
            let mut made = commitment(net, round(net), uid, ROOT);
            made.sealed_root = SealedRoot(H256([sealed; 32]));
            let round = round(net).saturating_sub(u32::from(late));
            let _ = Training::commit(by(hotkey(net, uid)), net, round, made);
        }
        Step::Reveal { net, uid, right } => {
            let key = if right { key(uid) } else { [77; 32] };
            let _ = Training::reveal(by(hotkey(net, uid)), net, round(net), key);
        }
        Step::CommitAttestation {
            net,
            uid,
            good,
            root,
        } => {
            let _ = commit_attestation(
                Netuid(net),
                round(Netuid(net)),
                uid,
                &good,
                model_root(root),
            );
        }
        Step::Attest {
            net,
            uid,
            good,
            root,
        } => {
            let _ = attest(net, round(net), uid, &good, model_root(root));
        }
        Step::CallBroken { uid, broken } => calls_broken(uid, &broken),
        Step::Here { net, uid } => {
            let _ = Training::here(by(hotkey(Netuid(net), uid)), Netuid(net));
        }
        Step::Leave { net, uid } => World::leave(net, uid),
        Step::Join {
            net,
            uid,
            stake,
            bond,
        } => {
            World::leave(net, uid);
            let member = Member {
                hotkey: hotkey(net, uid),
                role: if bond > stake {
                    Role::Miner
                } else {
                    Role::Validator
                },
                stake,
                bond,
                incentive: stake as u16,
            };
            World::change(net, |subnet| subnet.members.insert(uid, member));
        }
        Step::Stop { net } => {
            let _ = Training::stop_run(by(owner(net)), net);
        }
        Step::Start { net } => {
            let _ = Training::start_run(by(owner(net)), net, with_floor(25));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..Default::default() })]

    #[test]
    fn the_state_stays_sound(steps in prop::collection::vec(step(), 1..200)) {
        let mut built = ExtBuilder::default();
        for net in (1..3).map(Netuid) {
            built = built.subnet(net).validators(net, &[100, 150, 200])
                .run(net, with_floor(if net == Netuid(2) { 25 } else { 100 }));
            for uid in 3..6 {
                built = built.miner(net, Uid(uid));
            }
        }
        built.execute(|| {
            for step in steps {
                let shown = format!("{step:?}");
                take(step);
                Training::do_try_state().unwrap_or_else(|error| panic!("{shown}: {error:?}"));
            }
        });
    }
}
