//! A call of an audit is free of fees exactly when it will succeed; and who has a part in which stage.

use cairn_primitives::{Finding, Served, Uid};
use frame_support::{assert_ok, dispatch::CheckIfFeeless, traits::UnfilteredDispatchable};

use crate::{mock::*, Call, Stage};

fn opening(served: Served) -> Call<Test> {
    Call::open {
        netuid: NET,
        round: ROUND,
        uid: MINER,
        served,
    }
}

fn committing(auditor: Uid) -> Call<Test> {
    Call::commit_verdict {
        netuid: NET,
        round: ROUND,
        uid: MINER,
        hash: hash(auditor, Finding::Failed),
    }
}

fn revealing(auditor: Uid, finding: Finding) -> Call<Test> {
    Call::reveal_verdict {
        netuid: NET,
        round: ROUND,
        uid: MINER,
        finding,
        salt: salt(auditor),
    }
}

#[test]
fn a_call_is_free_exactly_when_it_succeeds() {
    ExtBuilder.audited(|| {
        let empty = Served {
            length: 0,
            ..SERVED
        };
        let mut free = 0;
        // Of an audit and of its dispute.
        for _ in 0..=5 * BLOCKS {
            for uid in (0..4).map(Uid).chain([MINER]) {
                let calls = [
                    opening(empty),
                    opening(SERVED),
                    committing(uid),
                    revealing(uid, Finding::Passed),
                    revealing(uid, Finding::Failed),
                ];
                for call in calls {
                    let is_free = call.is_feeless(&by(uid));
                    assert!(!call.is_feeless(&RuntimeOrigin::root()));
                    let done = call.clone().dispatch_bypass_filter(by(uid));
                    assert_eq!(is_free, done.is_ok(), "{uid}: {call:?}");
                    free += u32::from(is_free);
                    assert!(!call.is_feeless(&by(uid)), "once");
                }
            }
            next_block();
        }
        assert_eq!(free, 1 + 4 + 4);
    });
}

#[test]
fn who_has_a_part_in_a_stage_is_known_by_its_hotkey() {
    ExtBuilder.audited(|| {
        let id = (NET, ROUND, MINER);
        let of = |uid, stage| Audits::party(&hotkey(uid), id, stage);
        let auditor = auditors()[1];
        assert_eq!(of(MINER, Stage::Open), Some((MINER, 105)));
        assert_eq!(of(MINER, Stage::Commit), None);
        assert_eq!(of(auditor, Stage::Open), None);
        assert_eq!(of(auditor, Stage::Commit), Some((auditor, 110)));
        assert_eq!(of(auditor, Stage::Reveal), Some((auditor, 115)));
        assert_eq!(
            Audits::party(&hotkey(MINER), (NET, ROUND, Uid(3)), Stage::Open),
            None
        );
        assert_ok!(open());
        assert_eq!(of(MINER, Stage::Open), Some((MINER, 105)));
    });
}
