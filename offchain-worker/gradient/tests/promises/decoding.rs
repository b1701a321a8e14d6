//! One content, one encoding; every other file has a named fault.

use cairn_gradient::{
    decode, decode_header, encode, max_encoded_len, verify, BlockFault, Code, Contribution,
    DecodeError, EncodeError, MismatchError, ReadError, Reader, SparseError, SparseTensor,
    TensorFault, Turn, HEADER_LENGTH, VERSION, VERSION_OF_ALL,
};
use cairn_primitives::{Compression, Layout, Selected};
use proptest::prelude::*;

use crate::common::{any_kept, any_layout, compression, contribution, header, layout, Sends};

/// Decodes in one go and tensor by tensor and verifies, which must come to the same; what is accepted must be
/// canonical.
fn decoded(
    bytes: &[u8],
    layout: &Layout,
    compression: &Compression,
) -> Result<Contribution, DecodeError> {
    let decoded = decode(bytes, layout, compression);
    let verified = verify(bytes, layout, compression);
    assert_eq!(
        verified.as_ref().map(|verified| &verified.header),
        decoded.as_ref().map(|decoded| &decoded.header)
    );
    if let (Ok(verified), Ok(decoded)) = (&verified, &decoded) {
        let energy = decoded
            .tensors
            .iter()
            .map(SparseTensor::energy)
            .sum::<f64>();
        assert_eq!(verified.norm, energy.sqrt());
    }
    match (&decoded, read(bytes, layout, compression)) {
        (Ok(decoded), Ok(read)) => {
            assert_eq!(*decoded, read);
            let again = encode(decoded, layout, compression).expect("goes together");
            assert!(again == bytes, "not canonical");
        }
        (Err(_), Err(ReadError::Decode(_))) => {}
        (decoded, read) => panic!("{decoded:?} but {read:?}"),
    }
    decoded
}

fn read(
    bytes: &[u8],
    layout: &Layout,
    compression: &Compression,
) -> Result<Contribution, ReadError> {
    let mut reader = Reader::new(bytes, layout, compression)?;
    let mut tensors = Vec::new();
    let mut tensor = None;
    while reader.tensor(&mut tensor)? {
        tensors.extend(tensor.clone());
    }
    let header = reader.finish()?;
    Ok(Contribution { header, tensors })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_encoded_is_decoded(layout in any_layout(), kept in any_kept(), seed: u64) {
        let (sent, bytes) = contribution(&layout, kept, seed);
        let decoded = decoded(&bytes, &layout, &compression(kept));
        prop_assert_eq!(decoded.as_ref(), Ok(&sent));
        for (tensor, sent) in layout.0.iter().zip(&sent.tensors) {
            let values: Vec<(u32, f32)> = sent.values().collect();
            let again = SparseTensor::from_values(tensor, &compression(kept), &values);
            prop_assert_eq!(again.as_ref(), Ok(sent));
            let again = SparseTensor::from_selected(tensor, &compression(kept), sent.selected().clone());
            prop_assert_eq!(again.as_ref(), Ok(sent));
        }
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
        let _ = decoded(&bytes, &layout, &compression(kept));
    }

    #[test]
    fn random_bodies_never_panic(
        layout in any_layout(),
        kept in any_kept(),
        body in prop::collection::vec(any::<u8>(), 0..4_000),
        skipped in 0usize..8,
    ) {
        let (_, mut bytes) = contribution(&layout, kept, 0);
        // with or without the first length and parameters
        let start = HEADER_LENGTH + skipped;
        bytes.iter_mut().skip(start).zip(&body).for_each(|(byte, random)| *byte = *random);
        let _ = decoded(&bytes, &layout, &compression(kept));
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let layout = layout(&[&[64, 64]]);
        prop_assert!(decoded(&bytes, &layout, &compression(64)).is_err());
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
        if let Ok(other) = decoded(&damaged, &layout, &compression) {
            assert_ne!(other, sent, "bit {bit} says nothing");
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
            decoded(&bytes[..length], &layout, &compression).is_err(),
            "cut to {length}"
        );
    }
    for more in 1..40 {
        let mut longer = bytes.clone();
        longer.resize(bytes.len() + more, 0);
        assert!(
            decoded(&longer, &layout, &compression).is_err(),
            "{more} more"
        );
    }
}

#[test]
fn the_header_is_read_alone() {
    let layout = layout(&[&[9, 70]]);
    let (sent, bytes) = contribution(&layout, 64, 8);
    assert_eq!(decode_header(&bytes[..HEADER_LENGTH]), Ok(sent.header));
    let truncated = DecodeError::HeaderTruncated { length: 387 };
    assert_eq!(decode_header(&bytes[..HEADER_LENGTH - 1]), Err(truncated));
    let spoiled = |at: usize, with: &[u8]| {
        let mut bytes = bytes.clone();
        bytes[at..at + with.len()].copy_from_slice(with);
        decode_header(&bytes).expect_err("spoiled")
    };
    assert_eq!(spoiled(0, b"CRNX"), DecodeError::Magic { found: *b"CRNX" });
    assert_eq!(spoiled(4, &[1, 0]), DecodeError::Version { found: 1 });
    for loss in [f32::NAN, f32::INFINITY, -1.0, -0.0] {
        assert_eq!(spoiled(120, &loss.to_le_bytes()), DecodeError::MeanLoss);
    }
    for engine in [&b"gpu"[..], b"cpu?", b"cuda\0", b"\0"] {
        assert_eq!(spoiled(124, engine), DecodeError::Engine);
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

/// The file of a vector of 8 elements, 4 of which are sent, with these parameters (gaps, runs, high and low
/// levels) and this body.
fn vector_of_eight(parameters: [u8; 4], bits: &str) -> Result<(), DecodeError> {
    vector_of(8, 2_048, parameters, bits).map(|_| ())
}

/// The same of so many elements, of which the run keeps so many of 4,096.
fn vector_of(
    elements: u32,
    kept: u16,
    parameters: [u8; 4],
    bits: &str,
) -> Result<Contribution, DecodeError> {
    let layout = layout(&[&[elements]]);
    let (_, mut bytes) = contribution(&layout, kept, 1);
    bytes.truncate(HEADER_LENGTH);
    let bits: Vec<u8> = bits
        .bytes()
        .filter(|bit| *bit != b' ')
        .map(|bit| bit - b'0')
        .collect();
    assert_eq!(bits.len() % 8, 0);
    let body: Vec<u8> = bits
        .chunks(8)
        .map(|byte| byte.iter().fold(0, |value, bit| value << 1 | bit))
        .collect();
    let [gap, run, high, low] = parameters;
    bytes.push(body.len() as u8 + 2);
    bytes.extend([gap << 4 | run, high << 4 | low]);
    bytes.extend(body);
    decoded(&bytes, &layout, &compression(kept))
}

const ONE: &str = "011111110000000 "; // 1.0
const TWO: &str = "100000000000000 "; // 2.0
const ZERO: &str = "000000000000000 ";
const INFINITE: &str = "111111110000000 ";
/// From 2.0 to 1.0 there are 128 levels: with parameter 6.
const HALF: &str = "110000000 ";
/// From 1.0 to 0 there are 16,256: with parameter 13.
const TO_ZERO: &str = "101111110000000 ";
/// The same level: with parameter 0.
const SAME: &str = "0 ";

#[test]
fn what_is_right_is_read() {
    let ok = |parameters, parts: &[&str]| vector_of_eight(parameters, &parts.concat());
    // four values without gaps, positive; two of the low level, then two of the high one
    let good = [TWO, HALF, "00 00 00 00 ", "110 0 ", "0000"];
    assert_eq!(ok([0, 0, 0, 6], &good), Ok(()));
    // no runs where there is one level
    assert_eq!(ok([0; 4], &[ONE, SAME, "00 01 00 01"]), Ok(()));
    // level 0 is read, and says nothing
    let nothing = ok([0; 4], &[ZERO, SAME, "00 00 00 00"]);
    assert_eq!(nothing, Err(DecodeError::Empty));
    // the low level is 0, and only the high one is ever negative
    let with_zeros = [ONE, TO_ZERO, "00 00 01 00 ", "110 0 ", "000000"];
    assert_eq!(ok([0, 0, 0, 13], &with_zeros), Ok(()));
    // a low value at the end: the last run says so
    let low_last = [TWO, HALF, "00 00 00 00 ", "0 1110 ", "000"];
    assert_eq!(ok([0, 0, 0, 6], &low_last), Ok(()));
    // four places may be left out in all
    let gap = [TWO, HALF, "111100 00 00 00 ", "110 0 "];
    assert_eq!(ok([0, 0, 0, 6], &gap), Ok(()));
}

/// Who sends all values says no places: signs follow each other.
#[test]
fn of_all_values_there_are_no_gaps() {
    let read = |parameters, parts: &[&str]| vector_of(4, 4_096, parameters, &parts.concat());
    let values = |parts: &[&str]| -> Vec<(u32, f32)> {
        let contribution = read([0, 0, 0, 6], parts).unwrap();
        contribution.tensors[0].values().collect()
    };
    // positive, negative, negative, positive; two of the low level, then two of the high one
    let good = [TWO, HALF, "0110 ", "110 0"];
    let expected = [(0, 1.0), (1, -1.0), (2, -2.0), (3, 2.0)];
    assert_eq!(values(&good), expected);
    let with_gaps = read([0, 0, 0, 6], &[TWO, HALF, "00 01 01 00 ", "110 0 ", "0000"]);
    assert!(with_gaps.is_err());
    // no code of gaps, so no parameter but 0
    let fault = TensorFault::RiceNotBest {
        code: Code::Gap,
        found: 1,
        best: 0,
    };
    let named = |fault| DecodeError::Tensor {
        tensor: layout(&[&[4]]).0[0].name.clone(),
        fault,
    };
    assert_eq!(read([1, 0, 0, 6], &good), Err(named(fault)));
    let zero = TensorFault::NegativeZero { block: 0 };
    let with_zeros = [ONE, TO_ZERO, "0100 ", "110 0 ", "00"];
    assert_eq!(read([0, 0, 0, 13], &with_zeros), Err(named(zero)));
}

/// A run has one version of the format; whoever has the other may be of another release.
#[test]
fn runs_that_send_all_values_have_a_version_of_their_own() {
    let layout = layout(&[&[9, 70]]);
    let turn = Turn { number: 1, of: 4 };
    for (kept, version, other) in [
        (Sends::from(4_095), VERSION, VERSION_OF_ALL),
        (Sends::from(4_096), VERSION_OF_ALL, VERSION),
        (Sends::from(turn), VERSION_OF_ALL, VERSION),
    ] {
        let (sent, mut bytes) = contribution(&layout, kept, 8);
        assert_eq!(bytes[4..6], version.to_le_bytes());
        bytes[4..6].copy_from_slice(&other.to_le_bytes());
        let foreign = DecodeError::ForeignVersion {
            found: other,
            expected: version,
        };
        assert_eq!(decoded(&bytes, &layout, &compression(kept)), Err(foreign));
        assert_eq!(decode_header(&bytes), Ok(sent.header));
    }
}

/// In another one's turn a file of as many values says something else, and cannot be put together.
#[test]
fn a_turn_has_values_of_its_own() {
    let layout = layout(&[&[64, 64]]);
    let [own, other] = [1, 2].map(|number| compression(Turn { number, of: 4 }));
    let (sent, bytes) = contribution(&layout, Turn { number: 1, of: 4 }, 5);
    let places: Vec<u32> = sent.tensors[0].values().map(|(index, _)| index).collect();
    assert_eq!((places.len(), &places[..3]), (1_024, &[1, 5, 9][..]));
    let misread = decode(&bytes, &layout, &other).unwrap();
    assert_eq!(misread.tensors[0].values().next().unwrap().0, 2);
    assert!(matches!(
        encode(&sent, &layout, &other),
        Err(EncodeError::Mismatch(_))
    ));
    let selected = || sent.tensors[0].selected().clone();
    let (tensor, fault) = (&layout.0[0], BlockFault::OutOfTurn);
    assert!(SparseTensor::from_selected(tensor, &own, selected()).is_ok());
    match SparseTensor::from_selected(tensor, &other, selected()) {
        Err(SparseError::Block { fault: found, .. }) => assert_eq!(found, fault),
        found => panic!("{found:?}"),
    }
}

#[test]
fn every_fault_has_its_name() {
    use TensorFault::*;
    let fault = |parameters, parts: &[&str]| match vector_of_eight(parameters, &parts.concat()) {
        Err(DecodeError::Tensor { fault, .. }) => fault,
        other => panic!("{other:?}"),
    };
    let six = [0, 0, 0, 6];
    let block = 0;
    let no_gaps = "00 00 00 00 ";
    let unused = LevelUnused { block };
    assert_eq!(fault(six, &[TWO, HALF, no_gaps, "11110 ", "000"]), unused);
    assert_eq!(
        fault(six, &[TWO, HALF, no_gaps, "0 0 0 0 ", "0000"]),
        unused
    );
    let too_long = RunTooLong { block };
    assert_eq!(fault(six, &[TWO, HALF, no_gaps, "111110 ", "00"]), too_long);
    assert_eq!(
        fault(six, &[TWO, HALF, no_gaps, "110 110 ", "00"]),
        too_long
    );
    let too_large = LevelTooLarge { block };
    assert_eq!(fault([0; 4], &[INFINITE, SAME, no_gaps]), too_large);
    // 16,384 levels below 1.0 there is nothing
    let nothing = "10 00000000000000 ";
    assert_eq!(
        fault([0, 0, 0, 14], &[ONE, nothing, no_gaps, "0"]),
        too_large
    );
    let negative_zero = NegativeZero { block };
    let with_zeros = [ONE, TO_ZERO, "00 01 00 00 ", "110 0 ", "000000"];
    assert_eq!(fault([0, 0, 0, 13], &with_zeros), negative_zero);
    assert_eq!(fault([0; 4], &[ZERO, SAME, "00 00 00 01"]), negative_zero);
    assert_eq!(fault(six, &[TWO, HALF, no_gaps, "110 0 ", "0001"]), Padding);
    assert_eq!(
        fault(six, &[TWO, HALF, no_gaps, "110 0 ", "0000 00000000"]),
        TrailingBytes
    );
    let outside = OutsideBlock { block };
    let five = [TWO, HALF, "1111100 00 00 00 ", "110 0 ", "0000000"];
    assert_eq!(fault(six, &five), outside);
    let at_the_end = [TWO, HALF, "00 00 00 1111100 ", "110 0 ", "0000000"];
    assert_eq!(fault(six, &at_the_end), outside);
    let together = [TWO, HALF, "11100 11100 00 00 ", "110 0 ", "000000"];
    assert_eq!(fault(six, &together), outside);
    assert_eq!(fault(six, &[TWO, HALF]), Truncated { block });
    assert_eq!(fault(six, &[TWO, HALF, no_gaps]), Truncated { block });
    let (length, least) = (4, 5);
    assert_eq!(fault(six, &[TWO, "1"]), TooShort { length, least });
    let not_best = |code, found, best| RiceNotBest { code, found, best };
    assert_eq!(
        fault([1, 0, 0, 6], &[TWO, HALF, "000 000 000 000 ", "110 0 "]),
        not_best(Code::Gap, 1, 0)
    );
    assert_eq!(
        fault([0, 1, 0, 6], &[TWO, HALF, no_gaps, "100 00 ", "000"]),
        not_best(Code::Run, 1, 0)
    );
    assert_eq!(
        fault([0, 0, 3, 6], &[TWO, HALF, no_gaps, "110 0 ", "0000"]),
        not_best(Code::High, 3, 0)
    );
    assert_eq!(
        fault(
            [0, 0, 0, 7],
            &[TWO, "100000000 ", no_gaps, "110 0 ", "0000"]
        ),
        not_best(Code::Low, 7, 6)
    );
}

/// Of all values: 16 bits of levels for the first block and 2 for others, a sign each; at most a bit for each, too, to
/// say which is of the high level, and one more.
#[test]
fn lengths_of_all_values_are_checked() {
    let layout = layout(&[&[64, 128]]);
    let (_, mut bytes) = contribution(&layout, 4_096, 8);
    bytes.truncate(HEADER_LENGTH);
    let mut fault = |length: u64| {
        bytes.truncate(HEADER_LENGTH);
        bytes.extend([length as u8 | 0x80, (length >> 7) as u8]);
        match decoded(&bytes, &layout, &compression(4_096)) {
            Err(DecodeError::Tensor { fault, .. }) => fault,
            other => panic!("{other:?}"),
        }
    };
    let least = 2 + (16 + 2 + 2 * 4_096u64).div_ceil(8);
    let length = least - 1;
    assert_eq!(fault(length), TensorFault::TooShort { length, least });
    assert_eq!(fault(least), TensorFault::Missing);
    let most = 2 + (15 + 16 + 17 + 16 + 2 * (2 * 4_096 + 1u64)).div_ceil(8);
    let length = most + 1;
    assert_eq!(fault(length), TensorFault::TooLong { length, most });
    assert_eq!(fault(most), TensorFault::Missing);
}

#[test]
fn parts_and_their_lengths_are_checked() {
    let layout = layout(&[&[64, 64], &[64, 64]]);
    let compression = compression(64);
    let (_, bytes) = contribution(&layout, 64, 8);
    let (header, parts) = bytes.split_at(HEADER_LENGTH);
    let (first, second) = parts.split_at(1 + usize::from(parts[0]));
    assert_eq!(second.len(), 1 + usize::from(second[0]));
    let of =
        |parts: &[&[u8]]| decoded(&[&[header], parts].concat().concat(), &layout, &compression);
    assert!(of(&[first, second]).is_ok());
    let fault = |parts: &[&[u8]]| match of(parts) {
        Err(DecodeError::Tensor { tensor, fault }) => (tensor, fault),
        other => panic!("{other:?}"),
    };
    let in_first = |fault| ("t0".to_string(), fault);
    let in_second = |fault| ("t1".to_string(), fault);
    let missing = TensorFault::Missing;
    assert_eq!(fault(&[]), in_first(missing));
    assert_eq!(fault(&[&first[..9]]), in_first(missing));
    assert_eq!(fault(&[first]), in_second(missing));
    assert_eq!(fault(&[first, &second[..1]]), in_second(missing));
    assert_eq!(of(&[first, second, &[0]]), Err(DecodeError::TrailingBytes));
    let not_shortest = TensorFault::LengthNotShortest;
    let longer = [first[0] | 0x80, 0];
    assert_eq!(
        fault(&[&longer, &first[1..], second]),
        in_first(not_shortest)
    );
    assert_eq!(fault(&[&[0x80; 9], first, second]), in_first(not_shortest));
    // parameters, 15 + 2 bits of levels, 2 bits for each value
    let least = 2 + (16 + 2 * 64u64).div_ceil(8);
    let too_short = TensorFault::TooShort { length: 3, least };
    assert_eq!(fault(&[&[3], first, second]), in_first(too_short));
    // gaps with parameter 5: 6 bits for each value, and 4,032 / 32 for what is left out; 65 bits of runs
    let most = 2 + (15 + 16 + 64 + 64 * 6 + 126 + 65u64).div_ceil(8);
    assert_eq!(most, 86);
    let too_long = TensorFault::TooLong { length: 87, most };
    assert_eq!(fault(&[&[87], first, second]), in_first(too_long));
    let huge = [0xFF, 0xFF, 0xFF, 0xFF, 0x7F];
    let length = (1 << 35) - 1;
    assert_eq!(
        fault(&[&huge, first, second]),
        in_first(TensorFault::TooLong { length, most })
    );
    // a byte on the wrong side
    let mut less = bytes.clone();
    less[HEADER_LENGTH] -= 1;
    assert!(decoded(&less, &layout, &compression).is_err());
    assert_eq!(max_encoded_len(&layout, &compression), 388 + 2 * (1 + most));
}

#[test]
fn what_cannot_be_said_is_not_made() {
    let ours = layout(&[&[9, 70]]);
    let tensor = &ours.0[0];
    let (sent, _) = contribution(&ours, 400, 8);
    type Values = Vec<(u32, f32)>;
    let values: Values = sent.tensors[0].values().collect();
    let spoiled = |spoil: &dyn Fn(&mut Values)| {
        let mut values = values.clone();
        spoil(&mut values);
        match SparseTensor::from_values(tensor, &compression(400), &values) {
            Err(SparseError::Block {
                block: 0, fault, ..
            }) => fault,
            other => panic!("{other:?}"),
        }
    };
    let value = |value: f32| spoiled(&move |values| values[5].1 = value);
    assert_eq!(value(1.001), BlockFault::NotALevel);
    assert_eq!(value(f32::NAN), BlockFault::NotALevel);
    assert_eq!(value(65_536.0), BlockFault::NotALevel);
    assert_eq!(value(0.015_625), BlockFault::ThirdLevel);
    let fewer = spoiled(&|values| values.truncate(5));
    assert_eq!(fewer, BlockFault::WrongNumber);
    let twice = spoiled(&|values| values[1].0 = values[0].0);
    assert_eq!(twice, BlockFault::NotAscending);
    let outside = SparseTensor::from_values(tensor, &compression(400), &[(630, 1.0)]);
    let fault = BlockFault::Outside;
    assert!(matches!(outside, Err(SparseError::Block { fault: f, .. }) if f == fault));
    let zero = SparseTensor::from_values(&layout(&[&[1]]).0[0], &compression(1), &[(0, -0.0)]);
    let fault = BlockFault::NegativeZero;
    assert!(matches!(zero, Err(SparseError::Block { fault: f, .. }) if f == fault));
    assert!(matches!(
        SparseTensor::from_values(tensor, &compression(0), &values),
        Err(SparseError::Layout(_))
    ));
    let of_codes = |codes: &[u16], levels: [u16; 2]| {
        let eight = &layout(&[&[8]]).0[0];
        let selected = Selected {
            codes: codes.to_vec(),
            levels: vec![levels],
        };
        match SparseTensor::from_selected(eight, &compression(1_024), selected) {
            Ok(_) => None,
            Err(SparseError::Block { fault, .. }) => Some(fault),
            Err(other) => panic!("{other}"),
        }
    };
    let (one, two, high) = (0x3F80, 0x4000, 1 << 14);
    assert_eq!(of_codes(&[3, 5 | high], [one, two]), None);
    assert_eq!(of_codes(&[3, 5], [one, one]), None);
    use BlockFault::*;
    assert_eq!(of_codes(&[3], [one, one]), Some(WrongNumber));
    assert_eq!(of_codes(&[3, 8], [one, one]), Some(Outside));
    assert_eq!(of_codes(&[3, 5 | 1 << 12], [one, one]), Some(Outside));
    assert_eq!(of_codes(&[5, 5], [one, one]), Some(NotAscending));
    assert_eq!(
        of_codes(&[3, 5 | high], [two, one]),
        Some(LevelsNotAscending)
    );
    assert_eq!(of_codes(&[3, 5], [one, two]), Some(LevelUnused));
    assert_eq!(
        of_codes(&[3 | high, 5 | high], [one, two]),
        Some(LevelUnused)
    );
    assert_eq!(of_codes(&[3, 5 | high], [one, one]), Some(LevelUnused));
    assert_eq!(of_codes(&[3, 5 | high], [one, 0x4780]), Some(NotALevel));
    assert_eq!(of_codes(&[3, 5 | 1 << 15], [0, 0]), Some(NegativeZero));
}

#[test]
fn what_does_not_go_together_is_not_encoded() {
    let ours = layout(&[&[9, 70]]);
    let (sent, _) = contribution(&ours, 400, 8);
    let spoiled = |spoil: &dyn Fn(&mut Contribution)| {
        let mut sent = sent.clone();
        spoil(&mut sent);
        encode(&sent, &ours, &compression(400)).expect_err("spoiled")
    };
    assert!(matches!(
        spoiled(&|sent| sent.tensors.clear()),
        EncodeError::Mismatch(MismatchError::TensorCount { .. })
    ));
    assert!(matches!(
        spoiled(&|sent| sent.tensors.push(sent.tensors[0].clone())),
        EncodeError::Mismatch(MismatchError::TensorCount { .. })
    ));
    assert!(matches!(
        spoiled(&|sent| sent.header = header(&layout(&[&[1]]))),
        EncodeError::Mismatch(MismatchError::ForeignLayout { .. })
    ));
    assert!(matches!(
        spoiled(&|sent| sent.header.mean_loss = f32::NAN),
        EncodeError::MeanLoss
    ));
    assert!(matches!(
        encode(&sent, &ours, &compression(401)),
        Err(EncodeError::Mismatch(MismatchError::Tensor { .. }))
    ));
}

#[test]
fn a_contribution_of_zeros_is_none() {
    let (layout, compression) = (layout(&[&[8]]), compression(2_048));
    let (sent, bytes) = contribution(&layout, 2_048, 1);
    // four values of level 0 without gaps: 15 + 1 + 4 · 2 bits, and the parameters
    let zeros = [&bytes[..HEADER_LENGTH], &[5, 0, 0, 0, 0, 0]].concat();
    assert_eq!(
        decoded(&zeros, &layout, &compression),
        Err(DecodeError::Empty)
    );
    let nothing: Vec<(u32, f32)> = (0..4).map(|place| (place, 0.0)).collect();
    let tensor = SparseTensor::from_values(&layout.0[0], &compression, &nothing).unwrap();
    assert!(tensor.is_zero() && !sent.tensors[0].is_zero());
    let empty = Contribution {
        header: sent.header,
        tensors: vec![tensor],
    };
    assert!(matches!(
        encode(&empty, &layout, &compression),
        Err(EncodeError::Empty)
    ));
}
