//! What a transaction will cost, for those who ask before they send it.

use frame_support::storage::with_transaction_unchecked;
use pallet_transaction_payment::{FeeDetails, RuntimeDispatchInfo};
use sp_runtime::{generic::Preamble, traits::StaticLookup, TransactionOutcome};

use crate::{Balance, Runtime, RuntimeOrigin, System, TransactionPayment, UncheckedExtrinsic};

/// Weight, class and fee of a transaction; the fee is 0 if it would be free in the next block.
pub fn info(transaction: UncheckedExtrinsic, length: u32) -> RuntimeDispatchInfo<Balance> {
    let free = is_free(&transaction);
    let mut info = TransactionPayment::query_info(transaction, length);
    if free {
        info.partial_fee = 0;
    }
    info
}

/// The parts of a transaction's fee; none if it would be free in the next block.
pub fn details(transaction: UncheckedExtrinsic, length: u32) -> FeeDetails<Balance> {
    match is_free(&transaction) {
        true => FeeDetails {
            inclusion_fee: None,
            tip: 0,
        },
        false => TransactionPayment::query_fee_details(transaction, length),
    }
}

/// Whether a transaction's call is free for who signed it, as the next block will find: [`crate::TxExtension`] asks the
/// same. A call within a batch or of a proxy never is, nor one with a tip.
fn is_free(transaction: &UncheckedExtrinsic) -> bool {
    let Preamble::Signed(address, _, extension) = &transaction.preamble else {
        return false;
    };
    let Ok(signer) = <Runtime as frame_system::Config>::Lookup::lookup(address.clone()) else {
        return false;
    };
    // Phases are told by blocks: what counts is the one that it would be in.
    with_transaction_unchecked(|| {
        System::initialize(
            &System::block_number().saturating_add(1),
            &System::parent_hash(),
            &Default::default(),
        );
        let origin = RuntimeOrigin::signed(signer);
        let (.., fee, _, _) = extension;
        TransactionOutcome::Rollback(fee.is_free(&origin, &transaction.function))
    })
}
