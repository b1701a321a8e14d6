//! What stays as it is through every upgrade: constants that people relied on when they came, and the books of what
//! they own and were paid.

use cairn_primitives::{blake2_256, Balance, Pots, CRN, H256};
use codec::Encode;
use frame_support::{
    storage::{storage_prefix, unhashed, KeyPrefixIterator},
    StorageHasher, Twox128,
};
use pallet_emissions::schedule;

use crate::configs::cairn::{MaxTake, ReporterShare};

/// The hash of the constants: how much there will ever be, what a day issues and when that halves, how a running
/// subnet's part is split, what of a bond a reporter gets, and the most that a validator may take.
pub fn constants() -> H256 {
    let halvings: [u32; 4] = [0, 10_500_000, 15_750_000, 18_375_000]
        .map(|issued: Balance| schedule::halvings(issued * CRN));
    let money = (schedule::CAP, schedule::PER_DAY, CRN, halvings);
    let shares = (Pots::SPLIT, ReporterShare::get(), MaxTake::get());
    blake2_256(&(money, shares).encode())
}

/// The pallets that hold what people own and were paid.
const BOOKS: [&str; 3] = ["Balances", "Stake", "Emissions"];

/// The hash of every entry of the books: balances, stakes, bonds, pots and paid-out history.
///
/// An upgrade leaves it as it was. It reads all of them: for rehearsals, not for blocks.
pub fn books() -> H256 {
    let mut prefixes: alloc::vec::Vec<_> = BOOKS
        .iter()
        .map(|pallet| Twox128::hash(pallet.as_bytes()).to_vec())
        .collect();
    // Accounts, with their balances.
    prefixes.push(storage_prefix(b"System", b"Account").to_vec());
    let mut sum = H256::zero();
    for prefix in prefixes {
        let rests =
            KeyPrefixIterator::new(prefix.clone(), prefix.clone(), |rest| Ok(rest.to_vec()));
        for rest in rests {
            let key = [&prefix[..], &rest[..]].concat();
            let value = unhashed::get_raw(&key);
            sum = blake2_256(&(sum, key, value).encode());
        }
    }
    sum
}
