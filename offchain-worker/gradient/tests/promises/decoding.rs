//! One content, one encoding; every other file has a named fault.

use cairn_gradient::{
    decode, decode_header, encode, max_encoded_len, BlockFault, DecodeError, EncodeError,
    MismatchError, TensorFault, HEADER_LENGTH,
};
use proptest::prelude::*;

use crate::common::{any_kept, any_layout, compression, contribution, header, layout};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_encoded_is_decoded(layout in any_layout(), kept in any_kept(), seed: u64) {
        let (sent, bytes) = contribution(&layout, kept, seed);
        let decoded = decode(&bytes, &layout, &compression(kept));
        prop_assert_eq!(decoded.as_ref(), Ok(&sent));
        prop_assert_eq!(encode(&sent, &layout, &compression(kept)), Ok(bytes));
    }

    #[test]
    fn damage_is_an_error_or_another_contribution(
        layout in any_layout(),
        kept in any_kept(),
        seed: u64,
        damage in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..4),
    ) {
        let (_, mut bytes) = contribution(&layout, kept, seed);
        for (place, bits) in damage {
            let place = place.index(bytes.len());
            bytes[place] ^= bits;
        }
        if let Ok(decoded) = decode(&bytes, &layout, &compression(kept)) {
            prop_assert_eq!(encode(&decoded, &layout, &compression(kept)), Ok(bytes));
        }
    }

    #[test]
    fn random_bodies_never_panic(
        layout in any_layout(),
        kept in any_kept(),
        body in prop::collection::vec(any::<u8>(), 0..4_000),
        rice in 0u8..12,
    ) {
        let (_, mut bytes) = contribution(&layout, kept, 0);
        let start = HEADER_LENGTH + 4 * layout.0.len();
        bytes[start] = rice;
        bytes.iter_mut().skip(start + 1).zip(&body).for_each(|(byte, random)| *byte = *random);
        if let Ok(decoded) = decode(&bytes, &layout, &compression(kept)) {
            prop_assert_eq!(encode(&decoded, &layout, &compression(kept)), Ok(bytes));
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let layout = layout(&[&[64, 64]]);
        prop_assert!(decode(&bytes, &layout, &compression(64)).is_err());
        prop_assert!(decode_header(&bytes).is_err());
    }
}

#[test]
fn every_bit_of_a_file_matters() {
    let layout = layout(&[&[9, 70], &[30]]);
    let compression = compression(400);
    let (sent, bytes) = contribution(&layout, 400, 8);
    let mut accepted = 0;
    for bit in 0..8 * bytes.len() {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 0x80 >> (bit % 8);
        if let Ok(other) = decode(&damaged, &layout, &compression) {
            assert_ne!(other, sent, "bit {bit} says nothing");
            assert_eq!(encode(&other, &layout, &compression), Ok(damaged));
            accepted += 1;
        }
    }
    assert!(accepted > 0, "levels and signs may differ");
}

#[test]
fn a_file_has_one_length() {
    let layout = layout(&[&[9, 70], &[30]]);
    let compression = compression(400);
    let (_, bytes) = contribution(&layout, 400, 8);
    for length in 0..bytes.len() {
        assert!(
            decode(&bytes[..length], &layout, &compression).is_err(),
            "cut to {length}"
        );
    }
    for more in 1..40 {
        let mut longer = bytes.clone();
        longer.resize(bytes.len() + more, 0);
        assert!(
            decode(&longer, &layout, &compression).is_err(),
            "{more} more"
        );
    }
}

#[test]
fn the_header_is_read_alone() {
    let layout = layout(&[&[9, 70]]);
    let (sent, bytes) = contribution(&layout, 64, 8);
    assert_eq!(decode_header(&bytes[..HEADER_LENGTH]), Ok(sent.header));
    let truncated = DecodeError::HeaderTruncated { length: 123 };
    assert_eq!(decode_header(&bytes[..HEADER_LENGTH - 1]), Err(truncated));
    let spoiled = |at: usize, with: &[u8]| {
        let mut bytes = bytes.clone();
        bytes[at..at + with.len()].copy_from_slice(with);
        decode_header(&bytes).expect_err("spoiled")
    };
    assert_eq!(spoiled(0, b"CRNX"), DecodeError::Magic { found: *b"CRNX" });
    assert_eq!(spoiled(4, &[2, 0]), DecodeError::Version { found: 2 });
    for loss in [f32::NAN, f32::INFINITY, -1.0, -0.0] {
        assert_eq!(spoiled(120, &loss.to_le_bytes()), DecodeError::MeanLoss);
    }
}

#[test]
fn another_runs_contribution_is_refused() {
    let (ours, theirs) = (layout(&[&[9, 70]]), layout(&[&[70, 9]]));
    let (_, bytes) = contribution(&theirs, 64, 8);
    let foreign = DecodeError::ForeignLayout {
        found: theirs.hash(),
        expected: ours.hash(),
    };
    assert_eq!(decode(&bytes, &ours, &compression(64)), Err(foreign));
    // same model, fewer values
    assert!(decode(&bytes, &theirs, &compression(256)).is_err());
    assert!(matches!(
        decode(&bytes, &theirs, &compression(0)),
        Err(DecodeError::Layout(_))
    ));
    assert_eq!(max_encoded_len(&theirs, &compression(0)), 0);
}

/// The file of a vector of 8 elements, 4 of which are sent, with this body behind the Rice parameter.
fn vector_of_eight(rice: u8, bits: &str) -> Result<(), DecodeError> {
    let layout = layout(&[&[8]]);
    let (_, mut bytes) = contribution(&layout, 2_048, 1);
    bytes.truncate(HEADER_LENGTH);
    let bits: Vec<u8> = bits
        .bytes()
        .filter(|bit| *bit != b' ')
        .map(|bit| bit - b'0')
        .collect();
    let body: Vec<u8> = bits
        .chunks(8)
        .map(|byte| byte.iter().fold(0, |value, bit| value << 1 | bit))
        .collect();
    bytes.extend((body.len() as u32 + 1).to_le_bytes());
    bytes.push(rice);
    bytes.extend(body);
    let decoded = decode(&bytes, &layout, &compression(2_048))?;
    assert_eq!(encode(&decoded, &layout, &compression(2_048)), Ok(bytes));
    Ok(())
}

#[test]
fn every_fault_has_its_name() {
    use TensorFault::*;
    const ONE: &str = "011111110000000 "; // 1.0
    const TWO: &str = "100000000000000 "; // 2.0
    const ZERO: &str = "000000000000000 ";
    const INFINITE: &str = "111111110000000 ";
    let fault = |rice, levels: [&str; 2], rest: &str| match vector_of_eight(
        rice,
        &(levels.concat() + rest),
    ) {
        Err(DecodeError::Tensor { fault, .. }) => fault,
        other => panic!("{other:?}"),
    };
    // gap, sign, magnitude: four values without gaps take 42 bits; 6 bits fill up the sixth byte
    let good = "000 000 001 001 000000";
    assert_eq!(vector_of_eight(0, &[ONE, TWO, good].concat()), Ok(()));
    let block = 0;
    let no_gaps = "000 000 000 000 000000";
    assert_eq!(fault(0, [ONE, TWO], no_gaps), LevelUnused { block });
    assert_eq!(
        fault(0, [ONE, TWO], "001 001 001 001 000000"),
        LevelUnused { block }
    );
    assert_eq!(fault(0, [TWO, ONE], good), LevelsNotAscending { block });
    assert_eq!(fault(0, [ONE, INFINITE], good), LevelTooLarge { block });
    assert_eq!(fault(0, [INFINITE, ONE], good), LevelTooLarge { block });
    assert_eq!(fault(0, [ONE, ONE], good), LevelsEqual { block });
    assert_eq!(vector_of_eight(0, &[ONE, ONE, no_gaps].concat()), Ok(()));
    assert_eq!(
        fault(0, [ZERO, ONE], "010 000 001 001 000000"),
        NegativeZero { block }
    );
    assert_eq!(
        vector_of_eight(0, &[ZERO, ONE, "000 000 011 001 000000"].concat()),
        Ok(())
    );
    assert_eq!(fault(0, [ONE, TWO], "000 000 001 001 000001"), Padding);
    // gaps of 4 in all may be left out, but not 5
    assert_eq!(
        vector_of_eight(0, &[ONE, TWO, "1111000 000 001 001 00"].concat()),
        Ok(())
    );
    let outside = OutsideBlock { block };
    assert_eq!(fault(0, [ONE, TWO], "11111000 000 001 001 0"), outside);
    assert_eq!(fault(0, [ONE, TWO], "000 000 001 11111 1111"), outside);
    assert_eq!(fault(0, [ONE, TWO], "111000 111000 001 001"), outside);
    assert_eq!(
        fault(2, [ONE, TWO], "000 00 000 00 000 00 000"),
        Truncated { block }
    );
    assert_eq!(fault(12, [ONE, TWO], good), RiceParameter { found: 12 });
    let not_best = RiceNotBest { found: 1, best: 0 };
    assert_eq!(fault(1, [ONE, TWO], "0000 0000 0001 0001 00"), not_best);
}

#[test]
fn bytes_behind_the_last_block_are_refused() {
    let layout = layout(&[&[64, 64]]);
    let (_, mut bytes) = contribution(&layout, 64, 8);
    bytes[HEADER_LENGTH] += 1;
    bytes.push(0);
    let tensor = "t0".into();
    let fault = TensorFault::TrailingBytes;
    let trailing = DecodeError::Tensor { tensor, fault };
    assert_eq!(decode(&bytes, &layout, &compression(64)), Err(trailing));
}

#[test]
fn lengths_must_add_up() {
    let layout = layout(&[&[64, 64], &[64, 64]]);
    let compression = compression(64);
    let (_, bytes) = contribution(&layout, 64, 8);
    let with_lengths = |first: u32, second: u32| {
        let mut bytes = bytes.clone();
        bytes[HEADER_LENGTH..][..4].copy_from_slice(&first.to_le_bytes());
        bytes[HEADER_LENGTH + 4..][..4].copy_from_slice(&second.to_le_bytes());
        decode(&bytes, &layout, &compression).map(|_| ())
    };
    let of = |number: usize| {
        let field: [u8; 4] = bytes[HEADER_LENGTH + 4 * number..][..4].try_into().unwrap();
        u32::from_le_bytes(field)
    };
    assert_eq!(with_lengths(of(0), of(1)), Ok(()));
    let present = u64::from(of(0) + of(1));
    let lengths = |stated| Err(DecodeError::Lengths { stated, present });
    assert_eq!(with_lengths(of(0) + 1, of(1)), lengths(present + 1));
    // no overflow makes them add up
    assert_eq!(
        with_lengths(u32::MAX, of(0) + of(1) + 1),
        lengths(present + (1 << 32))
    );
    // they add up, but a byte is on the wrong side
    assert!(matches!(
        with_lengths(of(0) - 1, of(1) + 1),
        Err(DecodeError::Tensor { .. })
    ));
    assert!(matches!(
        with_lengths(of(0) + of(1), 0),
        Err(DecodeError::Tensor { .. })
    ));
    assert_eq!(
        with_lengths(3, of(0) + of(1) - 3),
        Err(DecodeError::Tensor {
            tensor: "t0".into(),
            fault: TensorFault::TooShort {
                length: 3,
                least: 29,
            },
        })
    );
}

#[test]
fn a_file_of_impossible_length_is_not_looked_at() {
    let layout = layout(&[&[64, 64]]);
    let (_, mut bytes) = contribution(&layout, 64, 8);
    // header, one length, the parameter, 30 bits of levels, 3 bits for each value
    let least = 124 + 4 + 1 + (30 + 64 * 3u64).div_ceil(8);
    let most = max_encoded_len(&layout, &compression(64));
    // parameter 5: 8 bits for each value, and 4,032 / 32 for what is left out
    assert_eq!(most, 124 + 4 + 1 + (30 + 64 * 8 + 126u64).div_ceil(8));
    let short = bytes[..least as usize - 1].to_vec();
    let length = short.len() as u64;
    assert_eq!(
        decode(&short, &layout, &compression(64)),
        Err(DecodeError::TooShort { length, least })
    );
    bytes.resize(most as usize + 1, 0);
    let length = bytes.len() as u64;
    assert_eq!(
        decode(&bytes, &layout, &compression(64)),
        Err(DecodeError::TooLong { length, most })
    );
}

#[test]
fn what_cannot_be_said_is_not_encoded() {
    let ours = layout(&[&[9, 70]]);
    let (sent, _) = contribution(&ours, 400, 8);
    let spoiled = |spoil: &dyn Fn(&mut cairn_gradient::Contribution)| {
        let mut sent = sent.clone();
        spoil(&mut sent);
        encode(&sent, &ours, &compression(400)).expect_err("spoiled")
    };
    let block = |fault| EncodeError::Block {
        tensor: "t0".into(),
        fault,
    };
    let value = |value: f32| spoiled(&move |sent| sent.tensors[0].values[5] = value);
    assert_eq!(value(1.001), block(BlockFault::NotALevel));
    assert_eq!(value(0.015_625), block(BlockFault::ThirdLevel));
    assert_eq!(value(-0.0), block(BlockFault::NegativeZero));
    assert!(matches!(
        value(f32::NAN),
        EncodeError::Mismatch(MismatchError::Tensor { .. })
    ));
    let fewer = spoiled(&|sent| {
        sent.tensors[0].indices.pop();
        sent.tensors[0].values.pop();
    });
    assert_eq!(fewer, block(BlockFault::WrongNumber));
    let is_tensor = |error| matches!(error, EncodeError::Mismatch(MismatchError::Tensor { .. }));
    assert!(is_tensor(spoiled(&|sent| sent.tensors[0]
        .indices
        .swap(0, 1))));
    assert!(is_tensor(spoiled(&|sent| {
        sent.tensors[0].values.pop();
    })));
    assert!(is_tensor(spoiled(&|sent| {
        *sent.tensors[0].indices.last_mut().unwrap() = 630;
    })));
    assert!(matches!(
        spoiled(&|sent| sent.tensors.clear()),
        EncodeError::Mismatch(MismatchError::TensorCount { .. })
    ));
    assert!(matches!(
        spoiled(&|sent| sent.header = header(&layout(&[&[1]]))),
        EncodeError::Mismatch(MismatchError::ForeignLayout { .. })
    ));
    assert_eq!(
        spoiled(&|sent| sent.header.mean_loss = f32::NAN),
        EncodeError::MeanLoss
    );
}
