use std::collections::BTreeMap;

use cairn_primitives::H256;
use proptest::prelude::*;

use crate::{
    root, DataError, DataSet, DataSetMaker, Manifest, Shard, ShardInfo, TokenWidth, UnseenText,
    MAX_MANIFEST_BYTES,
};

fn shard(tokens: impl IntoIterator<Item = u32>) -> Vec<u8> {
    let tokens = tokens.into_iter().collect();
    Shard {
        width: TokenWidth::Two,
        tokens,
    }
    .to_bytes()
    .unwrap()
}

/// Tokens 0..100 and 100..130 to train on, 200..220 held out.
fn example() -> (Manifest, BTreeMap<H256, Vec<u8>>) {
    let files = [shard(0..100), shard(100..130), shard(200..220)];
    let infos: Vec<ShardInfo> = files
        .iter()
        .map(|file| ShardInfo::of(file).unwrap())
        .collect();
    let mut manifest = Manifest::new("an example", 300, H256([7; 32]));
    manifest.train = infos[..2].to_vec();
    manifest.heldout = infos[2..].to_vec();
    (
        manifest,
        files.into_iter().map(|file| (root(&file), file)).collect(),
    )
}

fn load(manifest: &Manifest, files: &BTreeMap<H256, Vec<u8>>) -> Result<DataSet, DataError> {
    DataSet::new(manifest, |root| files.get(&root))
}

#[test]
fn windows_follow_each_other_across_shards_and_share_one_token() {
    let (manifest, files) = example();
    let data = load(&manifest, &files).unwrap();
    assert_eq!(
        (
            data.train_tokens(),
            data.heldout_tokens(),
            data.vocabulary()
        ),
        (130, 20, 300)
    );
    assert_eq!(data.windows(8), 16);
    for index in 0..16 {
        let start = index as u32 * 8;
        assert_eq!(
            data.window(index, 8).unwrap(),
            (start..=start + 8).collect::<Vec<_>>()
        );
    }
    assert_eq!(data.window(16, 8), None);
    assert_eq!(data.heldout_windows(6), 3);
    assert_eq!(
        data.heldout_window(2, 6).unwrap(),
        (212..=218).collect::<Vec<_>>()
    );
    assert_eq!(data.heldout_window(3, 6), None);
}

#[test]
fn shards_are_taken_one_after_the_other_and_another_file_is_not_taken() {
    let (manifest, files) = example();
    let mut data = DataSetMaker::new(&manifest);
    for number in 0..3 {
        let wanted = data.wanted().unwrap();
        assert_eq!(Some(wanted), manifest.shards().nth(number));
        let mut file = files[&wanted.root].clone();
        *file.last_mut().unwrap() ^= 1;
        assert!(matches!(data.take(&file), Err(DataError::Root { .. })));
        assert_eq!(data.wanted(), Some(wanted));
        data.take(&files[&wanted.root]).unwrap();
    }
    assert_eq!(data.wanted(), None);
    data.take(b"more").unwrap();
    let (data, whole) = (data.finish(), load(&manifest, &files).unwrap());
    assert_eq!(data.window(0, 129), whole.window(0, 129));
    assert_eq!(data.heldout_window(0, 19), whole.heldout_window(0, 19));
    assert_eq!((data.train_tokens(), data.heldout_tokens()), (130, 20));
}

#[test]
fn a_window_needs_the_token_after_it() {
    let (manifest, files) = example();
    let data = load(&manifest, &files).unwrap();
    assert_eq!((data.windows(129), data.windows(130)), (1, 0));
    assert_eq!(data.window(0, 130), None);
}

#[test]
fn no_length_and_no_index_makes_trouble() {
    let (manifest, files) = example();
    let data = load(&manifest, &files).unwrap();
    assert_eq!((data.windows(0), data.window(0, 0)), (0, None));
    assert_eq!(data.window(u64::MAX, u32::MAX), None);
    assert_eq!(data.window(u64::MAX, 1), None);
}

#[test]
fn a_manifest_survives_the_journey_and_has_one_form() {
    let (manifest, _) = example();
    let bytes = manifest.to_bytes().unwrap();
    assert_eq!(Manifest::from_bytes(&bytes).unwrap(), manifest);
    assert_eq!(
        Manifest::from_verified(&bytes, manifest.root().unwrap()).unwrap(),
        manifest
    );
    let mut spaced = bytes.clone();
    spaced.push(b' ');
    assert_eq!(
        Manifest::from_bytes(&spaced),
        Err(DataError::ManifestNotCanonical)
    );
    assert_eq!(manifest.file_length(&manifest.train[0]), 24 + 200);
}

#[test]
fn a_manifest_names_relays_or_is_as_it_was_without_them() {
    let (manifest, _) = example();
    let without = manifest.to_bytes().unwrap();
    assert!(!String::from_utf8(without.clone())
        .unwrap()
        .contains("relays"));
    let mut with = manifest.clone();
    with.relays = vec!["https://relay.example".into()];
    let bytes = with.to_bytes().unwrap();
    assert_eq!(Manifest::from_bytes(&bytes).unwrap(), with);
    assert_ne!(with.root().unwrap(), manifest.root().unwrap());
    // One content has one form.
    let text = String::from_utf8(without).unwrap();
    let empty = text.replace("  \"train\"", "  \"relays\": [],\n  \"train\"");
    assert_ne!(empty, text);
    assert_eq!(
        Manifest::from_bytes(empty.as_bytes()),
        Err(DataError::ManifestNotCanonical)
    );
    // Nor is a file read that nobody could have written.
    let text = String::from_utf8(bytes).unwrap();
    let inside = text.replace("https://relay.example", "http://127.0.0.1");
    assert_eq!(
        Manifest::from_bytes(inside.as_bytes()),
        Err(DataError::Relay {
            number: 1,
            why: "it is no https:// URL"
        })
    );
}

/// Pins the form of the file, which the root depends on.
#[test]
fn a_manifest_looks_like_this() {
    let (manifest, _) = example();
    let text = String::from_utf8(manifest.to_bytes().unwrap()).unwrap();
    let start =
        "{\n  \"version\": 1,\n  \"description\": \"an example\",\n  \"vocabulary\": 300,\n  \
                 \"token_bytes\": 2,\n  \"tokenizer\": \"0x0707";
    assert!(text.starts_with(start), "{text}");
    assert!(
        text.ends_with("\n      \"tokens\": 20\n    }\n  ]\n}\n"),
        "{text}"
    );
}

#[test]
fn a_manifest_of_another_root_is_refused() {
    let (manifest, _) = example();
    let bytes = manifest.to_bytes().unwrap();
    let error = Manifest::from_verified(&bytes, H256([1; 32])).unwrap_err();
    let found = root(&bytes);
    assert_eq!(
        error,
        DataError::Root {
            what: "manifest",
            root: H256([1; 32]),
            found
        }
    );
}

#[test]
fn a_manifest_with_something_else_in_it_is_refused() {
    let (manifest, _) = example();
    let text = String::from_utf8(manifest.to_bytes().unwrap()).unwrap();
    let refused = |from: &str, to: &str| {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        Manifest::from_bytes(changed.as_bytes()).unwrap_err()
    };
    let version = DataError::Version {
        what: "manifest",
        expected: 1,
        found: 2,
    };
    assert_eq!(refused("\"version\": 1", "\"version\": 2"), version);
    let unknown = refused("\"vocabulary\"", "\"colour\": 1, \"vocabulary\"");
    assert!(
        unknown.to_string().contains("unknown field `colour`"),
        "{unknown}"
    );
    assert_eq!(
        refused("\"token_bytes\": 2", "\"token_bytes\": 3"),
        DataError::Width { found: 3 }
    );
    let vocabulary = DataError::Vocabulary {
        vocabulary: 65_537,
        bytes: 2,
    };
    assert_eq!(refused("300", "65537"), vocabulary);
    assert_eq!(
        refused("300", "0"),
        DataError::Vocabulary {
            vocabulary: 0,
            bytes: 2
        }
    );
    let cut = Manifest::from_bytes(&text.as_bytes()[..40]).unwrap_err();
    assert!(matches!(cut, DataError::ManifestForm { .. }), "{cut}");
    let found = MAX_MANIFEST_BYTES + 1;
    let huge = Manifest::from_bytes(&vec![b' '; found]).unwrap_err();
    assert_eq!(huge, DataError::ManifestSize { found });
}

#[test]
fn a_missing_shard_is_named() {
    let (manifest, mut files) = example();
    let gone = manifest.train[1].root;
    files.remove(&gone);
    assert_eq!(
        load(&manifest, &files).unwrap_err(),
        DataError::Missing { root: gone }
    );
}

#[test]
fn a_damaged_shard_is_refused() {
    let (manifest, mut files) = example();
    let damaged = manifest.heldout[0].root;
    files.entry(damaged).and_modify(|file| file[30] ^= 1);
    let found = root(&files[&damaged]);
    let error = load(&manifest, &files).unwrap_err();
    assert_eq!(
        error,
        DataError::Root {
            what: "shard",
            root: damaged,
            found
        }
    );
}

#[test]
fn a_shard_that_its_manifest_describes_otherwise_is_refused() {
    let (mut manifest, files) = example();
    manifest.train[0].tokens = 99;
    let root = manifest.train[0].root;
    let error = load(&manifest, &files).unwrap_err();
    let counts = DataError::Mismatch {
        root,
        expected: 99,
        expected_bytes: 2,
        found: 100,
        found_bytes: 2,
    };
    assert_eq!(error, counts);
}

#[test]
fn an_empty_shard_is_refused_by_name() {
    let (mut manifest, _) = example();
    let text = String::from_utf8(manifest.to_bytes().unwrap()).unwrap();
    let error = DataError::Empty {
        root: manifest.heldout[0].root,
    };
    let changed = text.replace("\"tokens\": 20", "\"tokens\": 0");
    assert_ne!(changed, text);
    assert_eq!(Manifest::from_bytes(changed.as_bytes()), Err(error.clone()));
    manifest.heldout = vec![ShardInfo {
        tokens: 0,
        ..manifest.heldout[0]
    }];
    assert_eq!(manifest.to_bytes(), Err(error));
}

/// The example, and a shard of tokens 250..281 that miners do not have.
fn with_unseen() -> (Manifest, Vec<u8>) {
    let (mut manifest, _) = example();
    let file = shard(250..281);
    manifest.unseen = Some(ShardInfo::of(&file).unwrap());
    (manifest, file)
}

#[test]
fn a_text_that_miners_do_not_have_is_named_in_the_manifest_and_is_in_no_data_set() {
    let (manifest, file) = with_unseen();
    let bytes = manifest.to_bytes().unwrap();
    assert_eq!(Manifest::from_bytes(&bytes).unwrap(), manifest);
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.ends_with("\"tokens\": 31\n  }\n}\n"), "{text}");
    let (_, files) = example();
    let data = load(&manifest, &files).unwrap();
    assert_eq!((data.train_tokens(), data.heldout_tokens()), (130, 20));
    assert!(manifest.shards().all(|shard| shard.root != root(&file)));
    let unseen = UnseenText::new(&manifest, &file).unwrap();
    assert_eq!(unseen.windows(8), 3);
    let last = unseen.window(2, 8).unwrap();
    assert_eq!(last, (266..=274).collect::<Vec<_>>());
    assert_eq!(unseen.window(3, 8), None);
    assert_eq!(format!("{unseen:?}"), "UnseenText { .. }");
}

#[test]
fn another_file_is_not_the_text_that_miners_do_not_have() {
    let (mut manifest, file) = with_unseen();
    let other = shard(250..282);
    let error = UnseenText::new(&manifest, &other).unwrap_err();
    let found = root(&other);
    let what = "shard";
    let expected = DataError::Root {
        what,
        root: root(&file),
        found,
    };
    assert_eq!(error, expected);
    manifest.vocabulary = 279;
    let error = UnseenText::new(&manifest, &file).unwrap_err();
    assert!(
        matches!(error, DataError::Token { token: 279, .. }),
        "{error}"
    );
    manifest.unseen = None;
    let error = UnseenText::new(&manifest, &file).unwrap_err();
    assert_eq!(error, DataError::NoUnseen);
}

#[test]
fn a_manifest_whose_unseen_text_is_none_is_refused() {
    let (mut manifest, _) = with_unseen();
    let text = String::from_utf8(manifest.to_bytes().unwrap()).unwrap();
    let unseen = manifest.unseen.unwrap();
    let refused = |from: &str, to: &str| {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        Manifest::from_bytes(changed.as_bytes()).unwrap_err()
    };
    let empty = DataError::Empty { root: unseen.root };
    assert_eq!(refused("\"tokens\": 31", "\"tokens\": 0"), empty);
    let more = refused("\"tokens\": 31", "\"tokens\": 31, \"windows\": 3");
    assert!(
        more.to_string().contains("unknown field `windows`"),
        "{more}"
    );
    let (before, _) = text.split_once(",\n  \"unseen\"").unwrap();
    let null = format!("{before},\n  \"unseen\": null\n}}\n");
    let null = Manifest::from_bytes(null.as_bytes());
    assert_eq!(null, Err(DataError::ManifestNotCanonical));
    let seen = manifest.train[1];
    manifest.unseen = Some(seen);
    assert_eq!(
        manifest.to_bytes(),
        Err(DataError::Seen { root: seen.root })
    );
}

#[test]
fn a_token_outside_the_vocabulary_is_refused() {
    let (mut manifest, files) = example();
    manifest.vocabulary = 110;
    let error = load(&manifest, &files).unwrap_err();
    assert_eq!(
        error,
        DataError::Token {
            token: 110,
            position: 10,
            largest: 109
        }
    );
}

#[test]
fn a_shard_with_something_else_in_it_is_refused() {
    let good = shard(0..10);
    let refused = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        Shard::from_bytes(&bytes).unwrap_err()
    };
    assert_eq!(refused(0, 0), DataError::Magic);
    assert_eq!(
        refused(8, 9),
        DataError::Version {
            what: "shard",
            expected: 1,
            found: 9
        }
    );
    assert_eq!(refused(12, 3), DataError::Width { found: 3 });
    assert_eq!(
        refused(16, 11),
        DataError::Length {
            expected: 46,
            found: 44
        }
    );
    assert_eq!(refused(23, 255).to_string(), {
        let expected = (0xff00_0000_0000_000a_u64)
            .saturating_mul(2)
            .saturating_add(24);
        DataError::Length {
            expected,
            found: 44,
        }
        .to_string()
    });
    for length in 0..good.len() {
        let error = Shard::from_bytes(&good[..length]).unwrap_err();
        assert!(
            matches!(error, DataError::Length { .. }),
            "{length}: {error}"
        );
    }
}

#[test]
fn a_token_wider_than_the_file_is_refused() {
    let shard = Shard {
        width: TokenWidth::Two,
        tokens: vec![1, 65_536],
    };
    let error = DataError::Token {
        token: 65_536,
        position: 1,
        largest: 65_535,
    };
    assert_eq!(shard.to_bytes(), Err(error));
    assert_eq!(TokenWidth::of(65_536), TokenWidth::Two);
    assert_eq!(TokenWidth::of(65_537), TokenWidth::Four);
}

proptest! {
    #[test]
    fn shards_survive_the_journey(tokens in prop::collection::vec(any::<u32>(), 0..200)) {
        let shard = Shard { width: TokenWidth::Four, tokens };
        let bytes = shard.to_bytes().unwrap();
        prop_assert_eq!(Shard::from_bytes(&bytes).unwrap(), shard);
        prop_assert!(Shard::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = Shard::from_bytes(&bytes);
        let _ = Shard::from_bytes(&[&b"cairntok\x01\0\0\0\x02\0\0\0"[..], &bytes].concat());
        let _ = Manifest::from_bytes(&bytes);
    }
}
