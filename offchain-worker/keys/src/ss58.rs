//! Addresses as key files state them: SS58 of any network, or hexadecimal.

/// What the checksum of an address begins with.
const PREFIX: &[u8] = b"SS58PRE";
/// Bytes of the checksum.
const CHECKSUM: usize = 2;
/// The most characters of an address: two bytes of network, 32 of key, two of checksum.
const LONGEST: usize = 66;

/// The network and the public key of an address; `None` if it is none. Hexadecimal is of no network.
pub fn read(address: &str) -> Option<(Option<u16>, [u8; 32])> {
    if address.len() > LONGEST {
        return None;
    }
    if let Some(digits) = address.strip_prefix("0x") {
        let mut key = [0u8; 32];
        return hex::decode_to_slice(digits, &mut key)
            .ok()
            .map(|()| (None, key));
    }
    let bytes = bs58::decode(address).into_vec().ok()?;
    // Networks from 64 up take two bytes, in which their bits are turned about.
    let (network, length) = match *bytes.as_slice() {
        [first @ 0..=63, ..] => (u16::from(first), 1),
        [first @ 64..=127, second, ..] => {
            let low = (first << 2) | (second >> 6);
            (u16::from_le_bytes([low, second & 0b0011_1111]), 2)
        }
        _ => return None,
    };
    let (body, checksum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM)?)?;
    let (_, key) = body.split_at_checked(length)?;
    (checksum_of(body) == checksum).then_some((Some(network), key.try_into().ok()?))
}

/// The public key of an address, of whatever network; `None` if it is none.
pub fn public_key(address: &str) -> Option<[u8; 32]> {
    read(address).map(|(_, key)| key)
}

/// The address of a public key on a network. Of `network` 14 bits count.
pub fn address(network: u16, key: &[u8; 32]) -> String {
    let [low, high] = network.to_le_bytes();
    let mut bytes = match network {
        0..=63 => vec![low],
        _ => vec![(low >> 2) | 0b0100_0000, (high & 0b0011_1111) | (low << 6)],
    };
    bytes.extend(key);
    bytes.extend(checksum_of(&bytes));
    bs58::encode(bytes).into_string()
}

fn checksum_of(body: &[u8]) -> [u8; CHECKSUM] {
    let hash = blake2b_simd::State::new()
        .update(PREFIX)
        .update(body)
        .finalize();
    let [first, second, ..] = *hash.as_array();
    [first, second]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_any_network_is_its_key() {
        let alice = "d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d";
        for address in [
            // Of networks 42, 0 and 2, as the registry's tools write them, and 255 with two bytes.
            "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY",
            "15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5",
            "HNZata7iMYWmk5RvZRTiAsSDhV8366zq2YGb3tLH5Upf74F",
            &format!("0x{alice}"),
        ] {
            assert_eq!(
                public_key(address).map(hex::encode).as_deref(),
                Some(alice),
                "{address}"
            );
        }
        // As subkey, Substrate's own tool, writes them.
        for (network, written) in [
            (42, "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"),
            (0, "15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5"),
            (2, "HNZata7iMYWmk5RvZRTiAsSDhV8366zq2YGb3tLH5Upf74F"),
        ] {
            let key = public_key(written).expect("an address");
            assert_eq!(address(network, &key), written);
            assert_eq!(read(written), Some((Some(network), key)));
        }
        for network in [63, 64, 255, 256, 11_077, 16_383] {
            let written = address(network, &[7; 32]);
            assert_eq!(read(&written), Some((Some(network), [7; 32])), "{network}");
        }
        for address in [
            "",
            "5",
            "0x12",
            "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQZ",
            "0OIl",
        ] {
            assert_eq!(public_key(address), None, "{address}");
        }
        assert_eq!(public_key(&"5".repeat(67)), None);
    }
}
