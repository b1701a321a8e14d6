//! Whatever is called in whatever order, the state stays sound.

use cairn_primitives::{
    traits::{Audits as _, OnMember},
    AuditRules, Finding, Hotkey, Netuid, Served, Uid,
};
use proptest::prelude::*;

use crate::mock::*;

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    Blocks(u8),
    Settle {
        net: u16,
        included: Vec<Uid>,
        often: bool,
    },
    Open {
        uid: Uid,
        back: u32,
        length: u64,
    },
    Commit {
        uid: Uid,
        back: u32,
        auditor: Uid,
    },
    Reveal {
        uid: Uid,
        back: u32,
        auditor: Uid,
        right: bool,
    },
    Leave {
        net: u16,
        uid: Uid,
    },
    Stop {
        net: u16,
    },
    Clear {
        net: u16,
        limit: u32,
    },
    Forget {
        net: u16,
        back: u32,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let (net, uid, back, auditor) = (1u16..3, 10u16..15, 0u32..3, 0u16..4);
    let included = prop::collection::btree_set(10u16..15, 0..5);
    prop_oneof![
        6 => (1u8..7).prop_map(Step::Blocks),
        4 => (net.clone(), included, any::<bool>()).prop_map(|(net, included, often)| {
            Step::Settle { net, included: included.into_iter().map(Uid).collect(), often }
        }),
        4 => (uid.clone(), back.clone(), 0u64..4_000)
            .prop_map(|(uid, back, length)| Step::Open { uid: Uid(uid), back, length }),
        6 => (uid.clone(), back.clone(), auditor.clone())
            .prop_map(|(uid, back, auditor)| Step::Commit { uid: Uid(uid), back, auditor: Uid(auditor) }),
        6 => (uid, back.clone(), auditor, prop::bool::weighted(0.9))
            .prop_map(|(uid, back, auditor, right)| Step::Reveal { uid: Uid(uid), back, auditor: Uid(auditor), right }),
        1 => (net.clone(), 10u16..15).prop_map(|(net, uid)| Step::Leave { net, uid: Uid(uid) }),
        1 => net.clone().prop_map(|net| Step::Stop { net }),
        1 => (net.clone(), 1u32..9).prop_map(|(net, limit)| Step::Clear { net, limit }),
        1 => (net, back).prop_map(|(net, back)| Step::Forget { net, back }),
    ]
}

/// Does a step; `next` is the number of the next round.
fn take(step: Step, next: &mut u32) {
    let of = |back: u32| next.saturating_sub(1 + back);
    let found = |right: bool| {
        if right {
            Finding::Failed
        } else {
            Finding::Passed
        }
    };
    match step {
        Step::Blocks(count) => (0..count).for_each(|_| {
            next_block();
        }),
        Step::Settle {
            net,
            included,
            often,
        } => {
            let rate = if often {
                AuditRules::EACH
            } else {
                AuditRules::EACH / 2
            };
            settle_in(
                Netuid(net),
                *next,
                AuditRules { rate, ..RULES },
                &included,
                &[Uid(0), Uid(1), Uid(2), Uid(3)],
            );
            *next += 1;
        }
        Step::Open { uid, back, length } => {
            let served = Served { length, ..SERVED };
            let _ = Audits::open(by(uid), NET, of(back), uid, served);
        }
        Step::Commit { uid, back, auditor } => {
            let of = of(back);
            let key = hotkey(auditor);
            let at = (NET, of, uid);
            let hash =
                cairn_primitives::finding_hash(at, &Hotkey::of(&key), found(true), &salt(auditor));
            let _ = Audits::commit_verdict(by(auditor), NET, of, uid, hash);
        }
        Step::Reveal {
            uid,
            back,
            auditor,
            right,
        } => {
            let salt = salt(auditor);
            let _ = Audits::reveal_verdict(by(auditor), NET, of(back), uid, found(right), salt);
        }
        Step::Leave { net, uid } => Audits::on_left(Netuid(net), uid, &hotkey(uid)),
        // A run that is stopped is cleared before another begins.
        Step::Stop { net } => {
            Audits::on_stopped(Netuid(net));
            while Audits::clear(Netuid(net), 5) >= 5 {}
        }
        Step::Clear { net, limit } => {
            Audits::on_stopped(Netuid(net));
            Audits::clear(Netuid(net), limit);
        }
        Step::Forget { net, back } => {
            Audits::forget(Netuid(net), of(back));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_state_is_sound_after_every_step(steps in prop::collection::vec(step(), 1..80)) {
        ExtBuilder.build().execute_with(|| {
            next_block();
            let mut next = 0;
            for step in steps {
                let shown = format!("{step:?}");
                take(step, &mut next);
                Audits::do_try_state().unwrap_or_else(|error| panic!("{error:?} after {shown}"));
            }
        });
    }
}
