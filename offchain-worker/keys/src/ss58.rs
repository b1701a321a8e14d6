//! Addresses as key files state them: SS58 of any network, or hexadecimal.

/// What the checksum of an address begins with.
const PREFIX: &[u8] = b"SS58PRE";
/// The most characters of an address: two bytes of network, 32 of key, two of checksum.
const LONGEST: usize = 66;

/// The public key of an address; `None` if it is none.
pub fn public_key(address: &str) -> Option<[u8; 32]> {
    if address.len() > LONGEST {
        return None;
    }
    if let Some(digits) = address.strip_prefix("0x") {
        let mut key = [0u8; 32];
        return hex::decode_to_slice(digits, &mut key).ok().map(|()| key);
    }
    let bytes = bs58::decode(address).into_vec().ok()?;
    // Networks from 64 up take two bytes.
    let network = match bytes.first()? {
        0..=63 => 1,
        64..=127 => 2,
        _ => return None,
    };
    let (body, checksum) = bytes.split_at_checked(bytes.len().checked_sub(2)?)?;
    let hash = blake2b_simd::State::new()
        .update(PREFIX)
        .update(body)
        .finalize();
    let (_, key) = body.split_at_checked(network)?;
    (hash.as_bytes().get(..2)? == checksum).then_some(key.try_into().ok()?)
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
