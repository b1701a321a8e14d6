//! Sealed files and roots.

use std::io::Read;

use cairn_gradient::{
    decode, model_root, open, seal, sealed_root, DecodeError, Opened, RootHasher,
};

use crate::common::{compression, contribution, layout, Numbers};

#[test]
fn what_is_sealed_opens_with_its_key_only() {
    let layout = layout(&[&[64, 64]]);
    let (sent, plain) = contribution(&layout, 64, 1);
    let mut file = plain.clone();
    seal(&mut file, &[1; 32]);
    assert_ne!(file, plain);
    let mut wrong = file.clone();
    open(&mut wrong, &[2; 32]);
    assert!(matches!(
        decode(&wrong, &layout, &compression(64)),
        Err(DecodeError::Magic { .. })
    ));
    open(&mut file, &[1; 32]);
    assert_eq!(decode(&file, &layout, &compression(64)), Ok(sent));
}

#[test]
fn a_long_file_is_one_stream() {
    // longer than what one thread seals: its pieces must go on where the one before ended
    let mut long = vec![0u8; (2 << 20) + 77];
    seal(&mut long, &[5; 32]);
    let mut first = vec![0u8; 1 << 20];
    seal(&mut first, &[5; 32]);
    assert_eq!(long[..1 << 20], first);
    let second = &long[1 << 20..][..4_096];
    assert!(second != &first[..4_096] && second.iter().any(|byte| *byte != 0));
    open(&mut long, &[5; 32]);
    assert!(long.iter().all(|byte| *byte == 0));
}

#[test]
fn a_sealed_file_can_be_opened_while_it_is_read() {
    let plain: Vec<u8> = (0..3_000_000u32)
        .map(|i| (i.wrapping_mul(i) >> 7) as u8)
        .collect();
    let mut sealed = plain.clone();
    seal(&mut sealed, &[5; 32]);
    let mut opened = Opened::new(&sealed[..], &[5; 32]);
    assert!(!format!("{opened:?}").contains("cipher"));
    let mut read: Vec<u8> = Vec::new();
    // pieces that are no multiple of the cipher's block
    while read.len() < plain.len() {
        let mut piece = vec![0; 1 + read.len() / 3];
        let length = opened.read(&mut piece).unwrap();
        read.extend(&piece[..length]);
    }
    assert!(read == plain);
    assert_eq!(opened.read(&mut [0; 9]).unwrap(), 0);
}

#[test]
fn how_parameters_are_cut_cannot_be_seen_in_their_root() {
    let theta = Numbers(3).vector((1 << 20) + 12_345);
    for length in [1 << 20, 300_001, 70_000, 4_096] {
        let mut hasher = RootHasher::default();
        theta.chunks(length).for_each(|piece| hasher.update(piece));
        assert_eq!(hasher.finish(), model_root(&theta), "pieces of {length}");
    }
}

#[test]
fn the_seal_is_pinned() {
    let mut zeros = [0u8; 16];
    seal(&mut zeros, &[0x2A; 32]);
    assert_eq!(hex::encode(zeros), "967401fb93c2259df300c2ab2eedfc46");
}

#[test]
fn roots_are_blake3() {
    let bytes = vec![0xABu8; 1_000_003];
    assert_eq!(sealed_root(&bytes).bytes(), blake3::hash(&bytes).as_bytes());
    assert_eq!(sealed_root(&[]).bytes(), blake3::hash(&[]).as_bytes());
    let theta = Numbers(3).vector((1 << 20) + 12_345);
    let bytes: Vec<u8> = theta.iter().flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(model_root(&theta).bytes(), blake3::hash(&bytes).as_bytes());
    // 1.0 is 00 00 80 3f in little-endian bytes
    assert_eq!(
        model_root(&[1.0]).bytes(),
        blake3::hash(&[0, 0, 0x80, 0x3F]).as_bytes()
    );
    // not equal, though the numbers are
    assert_ne!(model_root(&[0.0]), model_root(&[-0.0]));
}
