//! Key files of stock wallets, made by their own packages, and files from anybody.

use cairn_keys::{verify, write, Format, KeyError, KeyFile, Keypair, Passphrase, Secret, MAX_FILE};
use proptest::prelude::*;

/// What made the vectors: their README says how.
const PHRASE: &str = "legal winner thank year wave sausage worth useful legal winner thank yellow";
const PASSPHRASE: &str = "throw-away passphrase";

const POLKADOT_JS: &[u8] = include_bytes!("vectors/polkadot-js.json");
const POLKADOT_JS_PLAIN: &[u8] = include_bytes!("vectors/polkadot-js-plain.json");
const BITTENSOR: &[u8] = include_bytes!("vectors/bittensor.json");
const NACL: &[u8] = include_bytes!("vectors/bittensor.nacl");

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(text.to_string().into()).unwrap()
}

fn key(uri: &str) -> [u8; 32] {
    Keypair::from_uri(uri).unwrap().public_key()
}

fn open(bytes: &[u8], with: Option<&str>) -> Result<Secret, KeyError> {
    let with = with.map(passphrase);
    KeyFile::read(bytes)?.open(with.as_ref())
}

/// That the key of a secret signs for its public key.
fn signs(secret: &Secret) {
    let key = secret.keypair();
    assert!(verify(&key.sign(b"message"), b"message", &key.public_key()));
}

#[test]
fn files_of_polkadot_js_open() {
    let of_path = &format!("{PHRASE}//hard/soft");
    for (bytes, with, uri) in [
        (POLKADOT_JS, Some(PASSPHRASE), PHRASE),
        (POLKADOT_JS_PLAIN, None, PHRASE),
        (
            include_bytes!("vectors/polkadot-js-2024.json"),
            Some(PASSPHRASE),
            PHRASE,
        ),
        (
            include_bytes!("vectors/polkadot-js-soft.json"),
            Some(PASSPHRASE),
            of_path,
        ),
        (
            include_bytes!("vectors/polkadot-js-network-0.json"),
            None,
            PHRASE,
        ),
    ] {
        let file = KeyFile::read(bytes).unwrap();
        assert_eq!(file.format(), Format::PolkadotJs);
        assert_eq!(file.is_encrypted(), with.is_some());
        assert_eq!(
            file.public_key(),
            Some(key(uri)),
            "seen without the passphrase"
        );
        let secret = open(bytes, with).unwrap();
        assert_eq!(secret.keypair().public_key(), key(uri));
        assert_eq!(secret.phrase(), None);
        signs(&secret);
    }
}

#[test]
fn files_of_bittensor_open() {
    let of_path = &format!("{PHRASE}//hard/soft");
    for (bytes, with, uri, phrase) in [
        (BITTENSOR, None, PHRASE, Some(PHRASE)),
        (NACL, Some(PASSPHRASE), PHRASE, Some(PHRASE)),
        (
            include_bytes!("vectors/bittensor-seed.json"),
            None,
            PHRASE,
            None,
        ),
        (
            include_bytes!("vectors/bittensor-derived.json"),
            None,
            of_path,
            None,
        ),
    ] {
        let file = KeyFile::read(bytes).unwrap();
        assert_eq!(file.format(), Format::Bittensor);
        assert_eq!(file.is_encrypted(), with.is_some());
        assert_eq!(file.public_key(), with.is_none().then(|| key(uri)));
        let secret = open(bytes, with).unwrap();
        assert_eq!(secret.keypair().public_key(), key(uri));
        assert_eq!(secret.phrase(), phrase);
        signs(&secret);
    }
}

#[test]
fn without_its_passphrase_no_file_opens() {
    for bytes in [POLKADOT_JS, NACL] {
        assert_eq!(open(bytes, None).err(), Some(KeyError::Encrypted));
        let wrong = open(bytes, Some("throw-away passphrasf"));
        assert_eq!(wrong.err(), Some(KeyError::WrongPassphrase));
    }
}

#[test]
fn what_is_another_kind_of_file_is_named() {
    for (bytes, words) in [
        (
            &include_bytes!("vectors/polkadot-js-ed25519.json")[..],
            "sr25519",
        ),
        (
            include_bytes!("vectors/polkadot-js-backup.json"),
            "several accounts",
        ),
        (include_bytes!("vectors/bittensor-ed25519.json"), "sr25519"),
        (b"$ANSIBLE_VAULT;1.1;AES256", "old Bittensor"),
        (b"gAAAAABmZm", "old Bittensor"),
        (b"$NACL", "cut off"),
        (b"mnemonic = \"a b c\"", "no JSON"),
        (&[0xff; 4], "no text"),
    ] {
        let error = KeyFile::read(bytes).err().unwrap().to_string();
        assert!(error.contains(words) && !error.contains('\n'), "{error}");
    }
    let public = open(include_bytes!("vectors/bittensor-public.txt"), None);
    let error = public.err().unwrap().to_string();
    assert!(error.contains("no secret key"), "{error}");
    let long = vec![b' '; MAX_FILE + 1];
    assert_eq!(KeyFile::read(&long).err(), Some(KeyError::TooLong));
    let version = String::from_utf8(POLKADOT_JS.to_vec()).unwrap();
    let version = version.replace("\"version\":\"3\"", "\"version\":\"2\"");
    let error = KeyFile::read(version.as_bytes()).err().unwrap().to_string();
    assert!(error.contains("version"), "{error}");
}

/// The vector, with another text in the place of one.
fn changed(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = std::str::from_utf8(bytes).unwrap();
    assert!(text.contains(from), "{from}");
    text.replace(from, to).into_bytes()
}

#[test]
fn a_file_whose_key_is_not_the_one_it_states_is_refused() {
    let own = address_in(POLKADOT_JS);
    let alice = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
    for (bytes, with) in [
        (POLKADOT_JS, Some(PASSPHRASE)),
        (POLKADOT_JS_PLAIN, None),
        (BITTENSOR, None),
    ] {
        let error = open(&changed(bytes, &own, alice), with).err();
        assert!(
            matches!(error, Some(KeyError::Mismatch { .. })),
            "{error:?}"
        );
    }
    let public = hex::encode(key(PHRASE));
    let seed = "0x4313249608fe8ac10fd5886c92c4579007272cb77c21551ee5b8d60b78041685";
    for (from, to) in [
        (
            public.as_str(),
            "d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d",
        ),
        (
            "legal winner thank year wave sausage worth useful legal winner thank yellow",
            "letter advice cage absurd amount doctor acoustic avoid letter advice cage above",
        ),
        (
            "\"secretSeed\":\"",
            &format!("\"secretSeed\":\"{seed}\",\"x\":\""),
        ),
    ] {
        let error = open(&changed(BITTENSOR, from, to), None).err();
        assert!(
            matches!(error, Some(KeyError::Mismatch { .. })),
            "{from}: {error:?}"
        );
    }
}

fn address_in(bytes: &[u8]) -> String {
    let text = std::str::from_utf8(bytes).unwrap();
    let after = text.split("\"address\":\"").nth(1).unwrap();
    after.split('"').next().unwrap().to_string()
}

#[test]
fn a_file_cannot_ask_for_more_than_stock_wallets_do() {
    let text = String::from_utf8(POLKADOT_JS.to_vec()).unwrap();
    let encoded = text
        .split("\"encoded\":\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let engine = base64::engine::general_purpose::STANDARD;
    let bytes = base64::Engine::decode(&engine, encoded).unwrap();
    // N, p and r, each four bytes after the salt: 64 GiB, and as much work as there is.
    for (at, value) in [
        (32, 1u32 << 26),
        (36, u32::MAX),
        (40, 1 << 16),
        (32, 0),
        (36, 0),
        (40, 0),
    ] {
        let mut bytes = bytes.clone();
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        let file = changed(
            POLKADOT_JS,
            encoded,
            &base64::Engine::encode(&engine, bytes),
        );
        let error = KeyFile::read(&file).err();
        assert!(matches!(error, Some(KeyError::Cost { .. })), "{error:?}");
    }
    for length in [0, 31, 43, 67] {
        let cut = base64::Engine::encode(&engine, &bytes[..length]);
        let error = KeyFile::read(&changed(POLKADOT_JS, encoded, &cut)).err();
        assert!(
            matches!(error, Some(KeyError::NotAKeyFile { .. })),
            "{error:?}"
        );
    }
}

#[test]
fn what_is_written_opens_again() {
    let of_phrase = Secret::of_phrase(PHRASE).unwrap();
    let of_uri = Secret::from(Keypair::from_uri("//Alice/soft").unwrap());
    for (secret, format, with) in [
        (&of_phrase, Format::PolkadotJs, Some(PASSPHRASE)),
        (&of_phrase, Format::PolkadotJs, None),
        (&of_uri, Format::PolkadotJs, None),
        (&of_phrase, Format::Bittensor, Some(PASSPHRASE)),
        (&of_phrase, Format::Bittensor, None),
        (&of_uri, Format::Bittensor, None),
    ] {
        let address = format!("0x{}", hex::encode(secret.keypair().public_key()));
        let passphrase = with.map(passphrase);
        let names = ("name", address.as_str());
        let bytes = write(format, secret, names, passphrase.as_ref()).unwrap();
        let opened = open(&bytes, with).unwrap();
        assert_eq!(KeyFile::read(&bytes).unwrap().format(), format);
        assert_eq!(opened.keypair().public_key(), secret.keypair().public_key());
        signs(&opened);
        match format {
            Format::PolkadotJs => assert_eq!(opened.phrase(), None),
            Format::Bittensor => assert_eq!(opened.phrase(), secret.phrase()),
        }
        if with.is_some() {
            let shown = String::from_utf8_lossy(&bytes);
            assert!(!shown.contains("legal") && !shown.contains("privateKey"));
            let again = write(format, secret, names, passphrase.as_ref()).unwrap();
            assert_ne!(*bytes, *again, "salt and nonce are drawn anew");
        }
    }
}

/// In plain text a file has no random part, so all of it is that of the package, but for what people call the key.
#[test]
fn plain_files_are_those_of_the_packages() {
    let secret = Secret::of_phrase(PHRASE).unwrap();
    let address = address_in(POLKADOT_JS);
    let json = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap();
    for (format, vector) in [
        (Format::PolkadotJs, POLKADOT_JS_PLAIN),
        (Format::Bittensor, BITTENSOR),
    ] {
        let bytes = write(format, &secret, ("vector", &address), None).unwrap();
        assert_eq!(json(&bytes), json(vector));
    }
}

#[test]
fn nothing_of_a_secret_is_shown() {
    let secret = open(BITTENSOR, None).unwrap();
    let shown = format!(
        "{secret:?} {:?} {:?}",
        secret.keypair(),
        passphrase(PASSPHRASE)
    );
    assert!(
        !shown.contains("legal") && !shown.contains(PASSPHRASE),
        "{shown}"
    );
    let json: serde_json::Value = serde_json::from_slice(BITTENSOR).unwrap();
    for field in ["privateKey", "secretSeed"] {
        let digits = json[field].as_str().unwrap().trim_start_matches("0x");
        assert!(!shown.contains(digits), "{shown}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_file_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(file) = KeyFile::read(&bytes) {
            let _ = file.open(None);
        }
    }

    /// JSON with the fields of key files and anything in them.
    #[test]
    fn any_fields_are_a_file_or_an_error(
        fields in proptest::collection::vec((0usize..11, "[\\PC]{0,70}|0x[0-9a-f]{64}|0x[0-9a-f]{128}"), 0..6)
    ) {
        const NAMES: [&str; 11] = [
            "address", "encoded", "accountId", "publicKey", "privateKey", "secretPhrase", "secretSeed", "ss58Address",
            "cryptoType", "accounts", "meta",
        ];
        let mut json = serde_json::Map::new();
        for (at, text) in fields {
            json.insert(NAMES[at].into(), text.into());
        }
        let plain = serde_json::json!({
            "content": ["pkcs8", "sr25519"], "type": ["none"], "version": "3",
        });
        for encoding in [None, Some(plain)] {
            let mut json = json.clone();
            json.extend(encoding.map(|value| ("encoding".to_string(), value)));
            let bytes = serde_json::to_vec(&json).unwrap();
            if let Ok(file) = KeyFile::read(&bytes) {
                let _ = file.open(None);
            }
        }
    }

    /// A bit that was flipped in a plain file is seen, or does not matter: never is it another key.
    #[test]
    fn a_flipped_bit_never_makes_another_key(at in 0usize..564 * 8, which in 0usize..2) {
        let mut bytes = [POLKADOT_JS_PLAIN, BITTENSOR][which].to_vec();
        let at = at % (bytes.len() * 8);
        bytes[at / 8] ^= 1 << (at % 8);
        if let Ok(secret) = open(&bytes, None) {
            prop_assert_eq!(secret.keypair().public_key(), key(PHRASE));
        }
    }
}

/// Of a file under a passphrase, `encoded` is flipped bit by bit: what is not refused before a key is made is one of a
/// few costs. Those that are refused by the box alone are in the tests of `seal`.
#[test]
fn a_flipped_bit_of_salt_or_cost_never_opens() {
    let vector: &[u8] = include_bytes!("vectors/polkadot-js-2024.json");
    let text = std::str::from_utf8(vector).unwrap();
    let encoded = text
        .split("\"encoded\":\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let engine = base64::engine::general_purpose::STANDARD;
    let bytes = base64::Engine::decode(&engine, encoded).unwrap();
    let mut tried = 0;
    // All bits of the cost, a few of the salt, of the nonce, of the tag and of the box.
    let few = [0, 31, 44, 67, 68, 83, 84, 200].map(|byte| byte * 8 + byte % 8);
    for bit in (32 * 8..44 * 8).chain(few) {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let file = changed(vector, encoded, &base64::Engine::encode(&engine, bytes));
        match open(&file, Some(PASSPHRASE)).err() {
            Some(KeyError::WrongPassphrase) => tried += 1,
            Some(KeyError::Cost { .. }) => {}
            other => panic!("bit {bit}: {other:?}"),
        }
    }
    // And p of 3 instead of 1.
    assert_eq!(tried, few.len() + 1);
}
