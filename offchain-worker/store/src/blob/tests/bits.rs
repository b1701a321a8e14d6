//! Trees, walks and bitmaps, bit by bit.

use proptest::prelude::*;

use super::{
    super::{
        bitmap::Bitmap,
        partial::outboard_of,
        tree::{halves, Tree, Walk, Wanted, GROUP, PAIR, SMALL},
    },
    content, groups,
};

/// Lengths around whole groups, and around the longest blob without an outboard.
fn lengths() -> impl Strategy<Value = usize> {
    let near = prop_oneof![Just(-1i64), Just(0), Just(1), -9_000i64..9_000];
    prop_oneof![
        0usize..3_000,
        (1usize..50, near).prop_map(|(count, near)| (groups(count) as i64 + near) as usize),
    ]
}

/// Goes through blob and outboard; `Err` with what was refused.
fn walk(tree: Tree, bytes: &[u8], outboard: &[u8]) -> Result<(), Wanted> {
    let mut walk = Walk::whole(tree);
    while let Some(wanted) = walk.wanted() {
        let is_good = match wanted {
            Wanted::Pair => {
                let at = (walk.pairs() * PAIR) as usize;
                let pair = outboard.get(at..).and_then(|rest| rest.first_chunk());
                pair.is_some_and(|pair| walk.pair(pair))
            }
            Wanted::Group(group) => {
                let range = tree.bytes(group);
                let group = bytes.get(range.start as usize..range.end as usize);
                group.is_some_and(|group| walk.group(group))
            }
        };
        if !is_good {
            return Err(wanted);
        }
    }
    Ok(())
}

#[test]
fn a_known_outboard_has_known_bits() {
    let bytes = content(groups(37) + 5);
    let (tree, outboard) = outboard_of(&bytes);
    assert_eq!(outboard.len(), 37 * 64);
    assert_eq!(tree.root, *blake3::hash(&bytes).as_bytes());
    assert_eq!(
        blake3::hash(&outboard).to_hex().as_str(),
        "8e9f1368bcacf4e23cf791eecc2e05b330e27195052725a36f058a3bc81b6e25"
    );
}

#[test]
fn a_small_blob_is_one_group_and_has_no_outboard() {
    for length in [0, 1, SMALL as usize] {
        let (tree, outboard) = outboard_of(&content(length));
        assert!(outboard.is_empty());
        assert_eq!((tree.groups(), tree.outboard_length()), (1, 0));
        assert_eq!(tree.bytes(0), 0..length as u64);
    }
    let (tree, outboard) = outboard_of(&content(SMALL as usize + 1));
    assert_eq!((tree.groups(), outboard.len()), (17, 16 * 64));
}

#[test]
fn the_longest_blob_has_a_tree_and_a_longer_one_has_none() {
    let tree = Tree::new([0; 32], super::super::MAX_LENGTH).unwrap();
    let last = tree.groups() - 1;
    assert!(tree.place(last).unwrap().0 < tree.pairs());
    assert_eq!(tree.place(last + 1), None);
    assert!(Tree::new([0; 32], super::super::MAX_LENGTH + 1).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_group_has_its_hash_at_its_place(length in lengths()) {
        let bytes = content(length);
        let (tree, outboard) = outboard_of(&bytes);
        prop_assert_eq!(outboard.len() as u64, tree.outboard_length());
        if !tree.is_small() {
            prop_assert_eq!(tree.outboard_length(), tree.bao().outboard_size());
        }
        for group in 0..tree.groups() {
            let range = tree.bytes(group);
            let hash = tree.hash(group, &bytes[range.start as usize..range.end as usize]);
            match tree.place(group) {
                None => prop_assert_eq!(hash, tree.root),
                Some((pair, is_right)) => {
                    let at = (pair * PAIR) as usize;
                    let (left, right) = halves(outboard[at..].first_chunk().unwrap());
                    prop_assert_eq!(hash, if is_right { right } else { left });
                }
            }
        }
        prop_assert_eq!(walk(tree, &bytes, &outboard), Ok(()));
    }

    #[test]
    fn a_flipped_bit_is_refused_where_it_is(
        length in 1usize..groups(40),
        at in any::<prop::sample::Index>(),
        bit in 0u8..8,
        in_outboard: bool,
    ) {
        let bytes = content(length);
        let (tree, outboard) = outboard_of(&bytes);
        let (mut bytes, mut outboard) = (bytes.to_vec(), outboard);
        if in_outboard && !outboard.is_empty() {
            let at = at.index(outboard.len());
            outboard[at] ^= 1 << bit;
            prop_assert_eq!(walk(tree, &bytes, &outboard), Err(Wanted::Pair));
            let mut alone = Walk::outboard(tree);
            for pair in outboard.as_chunks().0 {
                if !alone.pair(pair) {
                    break;
                }
            }
            prop_assert_eq!(alone.pairs(), at as u64 / PAIR);
        } else {
            let at = at.index(length);
            bytes[at] ^= 1 << bit;
            let group = if tree.is_small() { 0 } else { at as u64 / GROUP };
            prop_assert_eq!(walk(tree, &bytes, &outboard), Err(Wanted::Group(group)));
        }
    }

    #[test]
    fn another_length_is_refused(length in 1usize..groups(40), other in 1usize..groups(40)) {
        prop_assume!(length != other);
        let bytes = content(length.max(other));
        let (tree, _) = outboard_of(&bytes[..length]);
        let (_, outboard) = outboard_of(&bytes[..other]);
        let claimed = Tree { length: other as u64, ..tree };
        prop_assert!(walk(claimed, &bytes[..other], &outboard).is_err());
    }

    #[test]
    fn a_walk_takes_anything_without_a_panic(
        root: [u8; 32],
        length in 0u64..super::super::MAX_LENGTH,
        pairs in prop::collection::vec(any::<[u8; 64]>(), 0..4),
        bytes in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let mut walk = Walk::whole(Tree { root, length });
        for pair in &pairs {
            prop_assert!(!walk.pair(pair));
            prop_assert!(!walk.group(&bytes));
        }
    }

    #[test]
    fn bitmaps_survive_the_journey_and_nothing_else_does(
        length in 0u64..2_000 * GROUP,
        set in prop::collection::vec(any::<prop::sample::Index>(), 0..300),
        at in any::<prop::sample::Index>(),
        bit in 0u8..8,
    ) {
        let tree = Tree { root: [7; 32], length };
        let mut bitmap = Bitmap::new(tree.groups());
        for group in &set {
            bitmap.put(group.index(tree.groups() as usize) as u64, true);
        }
        let mut file = bitmap.encode(&tree);
        prop_assert_eq!(file.len() as u64, Bitmap::file_length(&tree));
        prop_assert_eq!(Bitmap::decode(&tree, &file), Some(bitmap.clone()));
        prop_assert_eq!(Bitmap::decode(&Tree { root: [8; 32], length }, &file), None);
        prop_assert_eq!(Bitmap::decode(&Tree { root: [7; 32], length: length + 1 }, &file), None);
        let missing: u64 = bitmap.gaps().iter().map(|gap| gap.end - gap.start).sum();
        prop_assert_eq!(missing, tree.groups() - (0..tree.groups()).filter(|g| bitmap.has(*g)).count() as u64);
        prop_assert_eq!(missing == 0, bitmap.is_full());
        let at = at.index(file.len());
        file[at] ^= 1 << bit;
        prop_assert_eq!(Bitmap::decode(&tree, &file), None);
        prop_assert_eq!(Bitmap::decode(&tree, &file[..at]), None);
    }

    #[test]
    fn any_file_may_be_offered_as_a_bitmap(file in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(Bitmap::decode(&Tree { root: [0; 32], length: 1 }, &file), None);
    }
}
