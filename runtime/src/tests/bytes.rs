//! What members' duties take of the chain, in bytes: `docs/operators.md` says it, and here it is measured.

use cairn_primitives::{
    Commitment, Finding, Judgement, ModelRoot, Netuid, SealedRoot, Served, Text, Uid, Witness,
    H256, MAX_ENDPOINTS, MAX_MEMBERS,
};
use codec::Encode;

use super::chain::{genesis, Actor, Chain};
use crate::{presets, RuntimeCall};

/// Each free call, at its longest, by the name that the page has for it.
fn duties() -> Vec<(&'static str, RuntimeCall)> {
    use pallet_audits::Call as Audits;
    use pallet_emissions::Call as Emissions;
    use pallet_training::Call as Training;
    let (netuid, round, uid) = (Netuid(u16::MAX), u32::MAX, Uid(255));
    let (hash, salt) = (H256([7; 32]), [8; 32]);
    // A member sets no score on itself.
    let row: Vec<(Uid, u16)> = (1..MAX_MEMBERS as u16).map(|uid| (Uid(uid), 9)).collect();
    let scores: pallet_emissions::Row = row.try_into().expect("as many as there are members");
    let commitment = Commitment {
        parent_root: ModelRoot(hash),
        sealed_root: SealedRoot(hash),
        length: u64::MAX,
        key_hash: hash,
    };
    let served = Served {
        root: hash,
        length: u64::MAX,
    };
    let training = |call| RuntimeCall::Training(call);
    let audits = |call| RuntimeCall::Audits(call);
    let emissions = |call| RuntimeCall::Emissions(call);
    vec![
        (
            "`commit`",
            training(Training::commit {
                netuid,
                round,
                commitment,
            }),
        ),
        (
            "`reveal`",
            training(Training::reveal {
                netuid,
                round,
                key: salt,
            }),
        ),
        (
            "`commit_attestation`",
            training(Training::commit_attestation {
                netuid,
                round,
                hash,
            }),
        ),
        (
            "`attest`",
            training(Training::attest {
                netuid,
                round,
                model_root: ModelRoot(hash),
                // As many bytes as any two sets take that have none in common.
                verdicts: Judgement::new(
                    (0..MAX_MEMBERS as u16 - 1).map(Uid),
                    [Uid(MAX_MEMBERS as u16 - 1)],
                ),
                witness: Witness::default(),
                salt,
            }),
        ),
        ("`here`", training(Training::here { netuid })),
        (
            "`open`",
            audits(Audits::open {
                netuid,
                round,
                uid,
                served,
            }),
        ),
        (
            "`commit_verdict`",
            audits(Audits::commit_verdict {
                netuid,
                round,
                uid,
                hash,
            }),
        ),
        (
            "`reveal_verdict`",
            audits(Audits::reveal_verdict {
                netuid,
                round,
                uid,
                finding: Finding::Failed,
                salt,
            }),
        ),
        (
            "`set_endpoints`",
            RuntimeCall::Endpoints(pallet_endpoints::Call::set_endpoints {
                netuid,
                endpoints: longest_endpoints(),
            }),
        ),
        (
            "`set_scores`",
            emissions(Emissions::set_scores {
                netuid,
                scores: scores.clone(),
            }),
        ),
        (
            "`commit_scores`",
            emissions(Emissions::commit_scores {
                netuid,
                epoch: u32::MAX,
                hash,
            }),
        ),
        (
            "`reveal_scores`",
            emissions(Emissions::reveal_scores {
                netuid,
                epoch: u32::MAX,
                scores,
                evidence: served,
                salt,
            }),
        ),
    ]
}

/// As many as a member may name, each as long as it may be.
fn longest_endpoints() -> pallet_endpoints::List {
    let one = |number: u32| {
        let text = format!("https://{number}.example/");
        Text::new(&format!("{text:x<256}")).expect("short")
    };
    let all: Vec<Text> = (0..MAX_ENDPOINTS).map(one).collect();
    all.try_into().expect("as many as may be")
}

#[test]
fn the_page_says_how_long_each_duty_is() {
    let page = include_str!("../../../docs/operators.md");
    let said = |name: &str| -> usize {
        let mut rows = page
            .lines()
            .filter(|line| line.starts_with(&format!("| {name} |")));
        let row = rows.next().unwrap_or_else(|| panic!("no row of {name}"));
        let bytes = row.trim_end_matches(" |").rsplit("| ").next();
        bytes
            .and_then(|bytes| bytes.parse().ok())
            .unwrap_or_else(|| panic!("no number in: {row}"))
    };
    let mut chain = Chain::new(&genesis(presets::DEVELOPMENT_PRESET));
    let in_a_block = chain.block(|| {
        let measured = duties().into_iter().map(|(name, call)| {
            // Workers' transactions are mortal, which takes a byte more.
            let length = Actor(0).sign_nth(63, call).encoded_size() + 1;
            (name, length)
        });
        let wrong: Vec<_> = measured
            .filter(|(name, length)| *length != said(name))
            .collect();
        assert_eq!(wrong, [], "what the page should say");
    });
    in_a_block.expect("the books are right");
}
