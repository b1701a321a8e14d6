//! What a hotkey signs before it becomes somebody's.
//!
//! Without it whoever registers a hotkey first would own for ever what that hotkey earns. The bytes name the chain, the
//! subnet and the coldkey, so a signature that was seen on its way serves nobody else, and nowhere else.

use alloc::vec::Vec;

use cairn_primitives::Netuid;
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

    proptest! {
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
