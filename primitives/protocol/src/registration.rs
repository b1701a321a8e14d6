//! What a hotkey signs before it becomes somebody's, and who makes room for it.
//!
//! Without a signature whoever registers a hotkey first would own for ever what that hotkey earns. The bytes name the
//! chain, the subnet and the coldkey, so a signature that was seen on its way serves nobody else, and nowhere else.

use alloc::vec::Vec;

use cairn_primitives::{Balance, BlockNumber, Netuid, Uid};
use codec::Encode;

/// What the signed bytes begin with: nothing else that a hotkey signs does.
pub const DOMAIN: &[u8; 14] = b"cairn/register";

/// What a hotkey signs to sit on subnet `netuid` as `coldkey`'s, on the chain whose block 0 has the hash `genesis`.
///
/// The domain, and behind it the SCALE of each: 80 bytes where hash and account have 32.
pub fn payload(genesis: &impl Encode, netuid: Netuid, coldkey: &impl Encode) -> Vec<u8> {
    let mut bytes = DOMAIN.to_vec();
    genesis.encode_to(&mut bytes);
    netuid.encode_to(&mut bytes);
    coldkey.encode_to(&mut bytes);
    bytes
}

/// A member, as far as it matters for whether a newcomer takes its seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Its number.
    pub uid: Uid,
    /// Whether it is one of the subnet's owner's.
    pub is_owners: bool,
    /// The block in which it came.
    pub registered_at: BlockNumber,
}

/// The member whom a newcomer on a full subnet replaces at block `now`; `None` if nobody can be.
///
/// Of those that came `immunity` blocks ago or earlier, and are not the oldest of the owner's own: whom the last epoch
/// paid least, then who came first, then the lowest uid.
pub fn replaced(
    seats: impl Iterator<Item = Seat> + Clone,
    immunity: BlockNumber,
    now: BlockNumber,
    last_paid: impl Fn(Uid) -> Balance,
) -> Option<Uid> {
    let owners = seats.clone().filter(|seat| seat.is_owners);
    let kept = owners.min_by_key(|seat| (seat.registered_at, seat.uid));
    let kept = kept.map(|seat| seat.uid);
    let can_go = seats.filter(|seat| {
        Some(seat.uid) != kept && now.saturating_sub(seat.registered_at) >= immunity
    });
    let goes = can_go.min_by_key(|seat| (last_paid(seat.uid), seat.registered_at, seat.uid));
    goes.map(|seat| seat.uid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_primitives::H256;
    use proptest::prelude::*;

    #[test]
    fn the_bytes_are_those_that_other_programs_make() {
        let bytes = payload(&H256([1; 32]), Netuid(0x0203), &[4u8; 32]);
        let mut expected = b"cairn/register".to_vec();
        expected.extend([1; 32]);
        expected.extend([3, 2]);
        expected.extend([4; 32]);
        assert_eq!(bytes, expected);
        assert_eq!(bytes.len(), 80);
    }

    /// Uid, whether it is the owner's, when it came, what it was last paid.
    type Row = (u16, bool, BlockNumber, Balance);

    fn goes(rows: &[Row], immunity: BlockNumber, now: BlockNumber) -> Option<u16> {
        let seats = rows.iter().map(|(uid, is_owners, registered_at, _)| Seat {
            uid: Uid(*uid),
            is_owners: *is_owners,
            registered_at: *registered_at,
        });
        let paid = |uid: Uid| rows.iter().find(|row| row.0 == uid.0).expect("a row").3;
        replaced(seats, immunity, now, paid).map(|uid| uid.0)
    }

    #[test]
    fn who_was_paid_least_goes_and_the_owner_keeps_one_seat() {
        let rows = [
            (0, true, 1, 0),
            (1, false, 2, 7),
            (2, false, 3, 5),
            (3, true, 4, 9),
        ];
        assert_eq!(goes(&rows, 10, 100), Some(2));
        // Among equals who came first.
        assert_eq!(
            goes(&[(4, false, 9, 5), (5, false, 8, 5)], 10, 100),
            Some(5)
        );
        // Who is new stays, to the last block.
        assert_eq!(goes(&rows, 10, 12), Some(1));
        assert_eq!(goes(&rows, 10, 11), None);
        // Only the oldest of the owner's is safe.
        assert_eq!(goes(&[(0, true, 5, 9), (1, true, 6, 9)], 0, 100), Some(1));
    }

    proptest! {
        #[test]
        fn nobody_goes_who_was_paid_more_than_another_that_could(
            rows in proptest::collection::btree_map(
                0u16..40, (any::<bool>(), 0u32..50, 0u64..5), 0..20,
            ),
            (immunity, now) in (0u32..60, 0u32..100),
        ) {
            let rows: Vec<Row> = rows.into_iter().map(|(uid, (a, b, c))| (uid, a, b, c)).collect();
            let can_go = |row: &&Row| now.saturating_sub(row.2) >= immunity && !row.1;
            match goes(&rows, immunity, now) {
                None => prop_assert!(!rows.iter().any(|row| can_go(&row))),
                Some(uid) => {
                    let gone = rows.iter().find(|row| row.0 == uid).expect("a row");
                    prop_assert!(now.saturating_sub(gone.2) >= immunity);
                    prop_assert!(rows.iter().filter(can_go).all(|row| gone.3 <= row.3));
                    let older = |row: &&Row| row.1 && (row.2, row.0) < (gone.2, gone.0);
                    prop_assert!(!gone.1 || rows.iter().any(|row| older(&row)));
                }
            }
        }

        #[test]
        fn no_two_registrations_are_signed_alike(
            (genesis, other_genesis) in any::<([u8; 32], [u8; 32])>(),
            (netuid, other_netuid) in any::<(u16, u16)>(),
            (coldkey, other_coldkey) in any::<([u8; 32], [u8; 32])>(),
        ) {
            let one = payload(&genesis, Netuid(netuid), &coldkey);
            let other = payload(&other_genesis, Netuid(other_netuid), &other_coldkey);
            let same = (genesis, netuid, coldkey) == (other_genesis, other_netuid, other_coldkey);
            prop_assert_eq!(one == other, same);
            prop_assert_eq!(one, payload(&genesis, Netuid(netuid), &coldkey));
        }
    }
}
