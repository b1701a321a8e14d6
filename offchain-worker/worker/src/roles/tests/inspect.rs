//! What a validator takes and what it refuses.

use std::sync::Arc;

use cairn_chain::AccountId;
use cairn_gradient::{compress, seal, sealed_root, Header};
use cairn_primitives::{key_hash, Commitment, H256};

use crate::roles::{
    chain::Chain,
    inspect::{check, Claim, Refusal},
    run::Run,
    testing::{config_and_store, FakeChain, NETUID},
};

const ROUND: u32 = 3;
const KEY: [u8; 32] = [5; 32];
const HOTKEY: AccountId = AccountId([6; 32]);
const PARENT: H256 = H256([7; 32]);

async fn a_run(directory: &std::path::Path) -> Arc<Run> {
    let (config, store) = config_and_store(directory).await;
    let chain = FakeChain::new(config);
    let info = Chain::run(&chain, H256::from_low_u64_be(1), NETUID)
        .await
        .expect("there");
    Run::load(NETUID, HOTKEY, &info.expect("a run"), store.url())
        .await
        .expect("fine")
}

/// A sealed contribution with a header that `change` may spoil, and its commitment.
fn sealed(run: &Run, change: impl FnOnce(&mut Header)) -> (Vec<u8>, Commitment) {
    let mut header = Header {
        netuid: NETUID,
        round: ROUND,
        hotkey: HOTKEY.0,
        parent_root: PARENT,
        layout_hash: run.layout_hash,
        inner_steps: u32::from(run.config.inner.steps),
        tokens: 1,
        mean_loss: 3.0,
    };
    change(&mut header);
    let delta: Vec<f32> = (0..run.layout.parameters())
        .map(|i| (i % 7) as f32 - 3.0)
        .collect();
    let mut error = vec![0.0; delta.len()];
    let made = compress(
        &run.layout,
        &run.config.compression_in(0),
        &delta,
        &mut error,
        header,
    );
    let mut bytes = made.expect("it fits").1;
    seal(&mut bytes, &KEY);
    let commitment = Commitment {
        parent_root: PARENT,
        sealed_root: sealed_root(&bytes),
        length: bytes.len() as u64,
        key_hash: key_hash(NETUID, ROUND, &HOTKEY.0, &KEY),
    };
    (bytes, commitment)
}

fn claim(commitment: &Commitment) -> Claim {
    Claim {
        round: ROUND,
        hotkey: HOTKEY,
        commitment: commitment.clone(),
        key: KEY,
        parent_root: PARENT,
    }
}

#[tokio::test]
async fn a_good_contribution_is_taken() {
    let directory = tempfile::tempdir().expect("a directory");
    let run = a_run(directory.path()).await;
    let (bytes, commitment) = sealed(&run, |_| {});
    let checked = check(&run, &claim(&commitment), &bytes).expect("it is good");
    assert_eq!(checked.header().hotkey, HOTKEY.0);
}

#[tokio::test]
async fn what_is_for_something_else_or_claims_too_much_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let run = a_run(directory.path()).await;
    type Spoil = fn(&mut Header);
    let spoilt: [(Spoil, &str); 5] = [
        (|header| header.netuid += 1, "subnet"),
        (|header| header.round -= 1, "round"),
        (|header| header.hotkey[0] ^= 1, "hotkey"),
        (|header| header.parent_root = H256::zero(), "parent root"),
        (|header| header.inner_steps += 1, "inner steps"),
    ];
    for (spoil, word) in spoilt {
        let (bytes, commitment) = sealed(&run, spoil);
        let error = check(&run, &claim(&commitment), &bytes)
            .expect_err(word)
            .to_string();
        assert!(error.contains(word), "{error}");
    }
    let (bytes, commitment) = sealed(&run, |_| {});
    let other = Commitment {
        parent_root: H256::zero(),
        ..commitment.clone()
    };
    let refusal = check(&run, &claim(&other), &bytes).expect_err("another parent");
    assert_eq!(
        refusal,
        Refusal::Header("parent root than was committed to")
    );
}

#[tokio::test]
async fn what_is_cut_off_flipped_or_opened_with_another_key_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let run = a_run(directory.path()).await;
    let (bytes, commitment) = sealed(&run, |_| {});
    let cut = check(&run, &claim(&commitment), &bytes[..bytes.len() - 1]);
    assert!(matches!(cut, Err(Refusal::Length { .. })), "{cut:?}");
    let wrong_key = Claim {
        key: [9; 32],
        ..claim(&commitment)
    };
    assert!(matches!(
        check(&run, &wrong_key, &bytes),
        Err(Refusal::Decode(_))
    ));
    let mut flipped = bytes.clone();
    flipped[0] ^= 1;
    assert!(matches!(
        check(&run, &claim(&commitment), &flipped),
        Err(Refusal::Decode(_))
    ));
}
