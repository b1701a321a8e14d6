//! What is announced for a call is what is taken: free is what the next block will find free, and nothing else.

use std::collections::BTreeMap;

use super::{begin, calls, duties, name, play_steps, Actor, Chain, Seen};
use crate::{
    fees, tests::chain::send, Executive, Hash, Nonce, RuntimeCall, RuntimeEvent, System,
    UncheckedExtrinsic,
};
use cairn_primitives::{Netuid, CRN};
use codec::Encode;
use sp_runtime::{
    transaction_validity::{
        InvalidTransaction, TransactionSource, TransactionValidity, UnknownTransaction,
    },
    TransactionOutcome,
};

/// A chain with a subnet at work.
pub(super) fn at_work(hidden: bool) -> Chain {
    let mut chain = begin(0);
    play_steps(&mut chain, calls::opening(hidden), &mut Seen::new()).expect("the books are right");
    chain
}

/// What is announced for a transaction, by both ways of asking.
pub(super) fn announced(transaction: &UncheckedExtrinsic) -> u64 {
    let length = transaction.encoded_size() as u32;
    let details = fees::details(transaction.clone(), length);
    let fee = fees::info(transaction.clone(), length).partial_fee;
    let parts = details.inclusion_fee.map_or(0, |fee| fee.inclusion_fee());
    assert_eq!((fee, details.tip), (parts, 0));
    fee
}

/// How often a fee was skipped in this block.
pub(super) fn skipped() -> usize {
    let is_skip = |event: &RuntimeEvent| matches!(event, RuntimeEvent::SkipFeelessPayment(_));
    let events = System::events().into_iter();
    events.filter(|record| is_skip(&record.event)).count()
}

/// What a block turns over by itself: rounds and epochs.
fn clocks() -> (Option<u32>, Option<u32>) {
    (
        crate::readers::run(Netuid(1)).map(|run| run.round.round),
        crate::readers::emission(Netuid(1)).map(|emission| emission.epochs),
    )
}

#[test]
fn what_is_announced_is_what_is_taken() {
    let mut compared: BTreeMap<_, [usize; 2]> = BTreeMap::new();
    for hidden in [true, false] {
        let mut chain = at_work(hidden);
        for _ in 0..24 {
            let (plan, before) = chain.ask(|| {
                let signed = |(by, call): (Actor, RuntimeCall)| {
                    let free = announced(&by.sign(call.clone())) == 0;
                    (by, call, free)
                };
                (
                    duties().into_iter().map(signed).collect::<Vec<_>>(),
                    clocks(),
                )
            });
            let outcome = chain.block(|| {
                // Neither the question nor the pool knows what the block's own hooks will do.
                let same = clocks() == before;
                for (by, call, free) in plan {
                    let already = skipped();
                    let _ = send(by, call.clone());
                    // Scores in the open can be set whatever the clocks say.
                    let in_the_open = name(&call) == Some(("emissions", "set_scores"));
                    if same || in_the_open {
                        assert_eq!(skipped() > already, free, "{call:?}");
                        let [paid, none] = compared.entry(name(&call)).or_default();
                        *(if free { none } else { paid }) += 1;
                    }
                }
            });
            outcome.expect("the books are right");
        }
    }
    for call in ["commit", "reveal", "commit_attestation", "attest"] {
        let [_, free] = compared[&Some(("training", call))];
        assert!(free > 0, "{call} was never free: {compared:?}");
    }
    for call in ["set_scores", "commit_scores", "reveal_scores"] {
        let [_, free] = compared[&Some(("emissions", call))];
        assert!(free > 0, "{call} was never free: {compared:?}");
    }
    assert!(compared.values().any(|[paid, _]| *paid > 0), "{compared:?}");
}

#[test]
fn others_and_wrapped_calls_pay() {
    let mut chain = at_work(true);
    let mut seen = 0;
    for _ in 0..12 {
        chain.ask(|| {
            for (by, call) in duties() {
                if announced(&by.sign(call.clone())) > 0 {
                    continue;
                }
                seen += 1;
                assert!(announced(&Actor(0).sign(call.clone())) > 0, "{call:?}");
                let calls = vec![call.clone()];
                let batch = pallet_utility::Call::batch { calls };
                assert!(announced(&by.sign(batch.into())) > 0);
                let proxied = pallet_proxy::Call::proxy {
                    real: by.account().into(),
                    force_proxy_type: None,
                    call: Box::new(call),
                };
                assert!(announced(&by.sign(proxied.into())) > 0);
            }
        });
        chain.block(|| ()).expect("the books are right");
    }
    assert!(seen > 0, "nobody had anything to do");
}

/// What the pool would say of a transaction.
pub(super) fn judged(transaction: UncheckedExtrinsic) -> TransactionValidity {
    frame_support::storage::with_transaction_unchecked(|| {
        let source = TransactionSource::External;
        let validity = Executive::validate_transaction(source, transaction, Hash::zero());
        TransactionOutcome::Rollback(validity)
    })
}

pub(super) fn remark(bytes: usize) -> RuntimeCall {
    let remark = vec![0; bytes];
    frame_system::Call::remark { remark }.into()
}

#[test]
fn an_account_has_only_so_many_waiting() {
    use crate::extensions::{MAX_WAITING, TOO_MANY_WAITING};
    let mut chain = at_work(false);
    let waiting = |nonce: Nonce| {
        let next = System::account_nonce(Actor(1).account());
        judged(Actor(1).sign_nth(next + nonce, remark(1)))
    };
    for nonce in [0, 12, MAX_WAITING - 1] {
        assert!(chain.ask(|| waiting(nonce)).is_ok());
    }
    let late = Err(UnknownTransaction::Custom(TOO_MANY_WAITING).into());
    for nonce in [MAX_WAITING, Nonce::MAX / 2] {
        assert_eq!(chain.ask(|| waiting(nonce)), late);
    }
}

#[test]
fn a_transaction_has_only_so_many_bytes() {
    let mut chain = begin(0);
    let most = crate::configs::system::MAX_TRANSACTION_BYTES as usize;
    let room = |by: Actor| most - by.sign(remark(1)).encoded_size();
    chain
        .block(|| {
            // A few bytes are for the longer length.
            assert_eq!(send(Actor(1), remark(room(Actor(1)) - 8)), Ok(Ok(())));
            let long = Actor(1).sign(remark(most));
            let refused = Err(InvalidTransaction::ExhaustsResources.into());
            assert_eq!(judged(long), refused);
            assert_eq!(
                send(Actor(1), remark(most)),
                Err(InvalidTransaction::ExhaustsResources.into())
            );
            // A new runtime is long.
            pallet_sudo::Key::<crate::Runtime>::put(Actor(2).account());
            assert_eq!(send(Actor(2), remark(1 << 20)), Ok(Ok(())));
        })
        .expect("the books are right");
}

#[test]
fn long_transactions_are_dear_and_short_ones_are_not() {
    let mut chain = begin(0);
    chain.ask(|| {
        let of_length = crate::TransactionPayment::length_to_fee;
        let transfer = pallet_balances::Call::transfer_keep_alive {
            dest: Actor(1).account().into(),
            value: CRN,
        };
        let transfer = Actor(0).sign(transfer.into());
        assert!(of_length(transfer.encoded_size() as u32) < announced(&transfer) / 8);
        assert!(of_length(32 << 10) > CRN / 50 && of_length(1 << 20) > 30 * CRN);
    });
}

#[test]
fn wallets_see_nothing_new() {
    use sp_runtime::traits::TransactionExtension;
    let seen = <crate::TxExtension as TransactionExtension<RuntimeCall>>::metadata();
    let names: Vec<_> = seen.iter().map(|extension| extension.identifier).collect();
    assert_eq!(
        names,
        [
            "CheckNonZeroSender",
            "CheckSpecVersion",
            "CheckTxVersion",
            "CheckGenesis",
            "CheckMortality",
            "CheckNonce",
            "CheckWeight",
            "ChargeTransactionPayment",
            "CheckMetadataHash",
            "WeightReclaim",
        ]
    );
    let original = scale_info::meta_type::<frame_system::CheckNonce<crate::Runtime>>();
    assert_eq!(seen[5].ty.type_info(), original.type_info());
}
