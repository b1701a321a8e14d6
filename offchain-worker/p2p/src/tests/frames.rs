//! The frames: golden bytes, and bytes from anybody.

use cairn_store::paths;
use proptest::prelude::*;

use crate::frame::{
    FrameError, Head, Probe, Receipt, Request, HEAD, MAX_PROBE, MAX_RANGE, MAX_REQUEST, PROBE_FRAME,
};

#[test]
fn requests_have_golden_bytes() {
    let request = Request::new("data/ab", 0x0102..0x0304).unwrap();
    let golden = [
        &[1][..],
        &[7 << 2],
        b"data/ab",
        &[2, 1, 0, 0, 0, 0, 0, 0],
        &[4, 3, 0, 0, 0, 0, 0, 0],
    ]
    .concat();
    assert_eq!(request.encode(), golden);
    assert_eq!(Request::decode(&golden), Ok(request));
    // A path of 64 bytes and more has two bytes of length.
    let longest = Request::new(&"a".repeat(paths::MAX_PATH), 0..MAX_RANGE).unwrap();
    let frame = longest.encode();
    assert_eq!(frame.len(), MAX_REQUEST);
    assert_eq!(frame[..3], [1, 0x01, 0x10]);
    assert_eq!(Request::decode(&frame), Ok(longest));
}

#[test]
fn heads_have_golden_bytes() {
    let length = 0x0102_0304_0506_0708;
    for (head, golden) in [
        (Head::Found { length }, [1, 0, 8, 7, 6, 5, 4, 3, 2, 1]),
        (Head::Absent, [1, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
        (Head::Beyond { length }, [1, 2, 8, 7, 6, 5, 4, 3, 2, 1]),
        (Head::Failed, [1, 3, 0, 0, 0, 0, 0, 0, 0, 0]),
    ] {
        assert_eq!(head.encode(), golden);
        assert_eq!(Head::decode(&golden), Ok(head));
    }
}

#[test]
fn probes_and_their_receipts_have_golden_bytes() {
    let probe = Probe::new(0x0001_0203).unwrap();
    let golden = [2, 3, 2, 1, 0, 0, 0, 0, 0];
    assert_eq!(probe.encode(), golden);
    assert_eq!(Probe::decode(&golden), Ok(probe));
    let bytes = 0x0102_0304_0506_0708;
    for (receipt, golden) in [
        (Receipt::Took { bytes }, [2, 0, 8, 7, 6, 5, 4, 3, 2, 1]),
        (Receipt::Busy, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
    ] {
        assert_eq!(receipt.encode(), golden);
        assert_eq!(Receipt::decode(&golden), Ok(receipt));
        // It is no head, and no head is one.
        assert_eq!(Head::decode(&golden), Err(FrameError::Version { found: 2 }));
        assert_eq!(
            Receipt::decode(&Head::Absent.encode()),
            Err(FrameError::Malformed)
        );
    }
}

#[test]
fn who_does_not_know_probes_takes_them_for_another_version() {
    // As much as such a server reads of it.
    let frame = Probe::new(MAX_PROBE).unwrap().encode();
    let request = [&frame[..], &vec![0; MAX_REQUEST - frame.len()][..]].concat();
    let found = Request::decode(&request);
    assert_eq!(found, Err(FrameError::Version { found: 2 }));
    let more = [&request[..], &[0]].concat();
    let most = MAX_REQUEST;
    assert_eq!(Request::decode(&more), Err(FrameError::TooLong { most }));
}

/// A frame made by hand.
fn frame(version: u8, path: &[u8], from: u64, to: u64) -> Vec<u8> {
    assert!(path.len() < 64);
    let length = [(path.len() as u8) << 2];
    [
        &[version],
        &length[..],
        path,
        &from.to_le_bytes(),
        &to.to_le_bytes(),
    ]
    .concat()
}

/// Frames that no honest peer writes.
pub(super) fn bad() -> Vec<(Vec<u8>, FrameError)> {
    let good = frame(1, b"data/ab", 0, 1);
    assert!(Request::decode(&good).is_ok());
    let malformed = FrameError::Malformed;
    let mut cases = vec![
        (Vec::new(), FrameError::Version { found: 0 }),
        (frame(0, b"data/ab", 0, 1), FrameError::Version { found: 0 }),
        (frame(2, b"data/ab", 0, 1), FrameError::Version { found: 2 }),
        (
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            FrameError::Version { found: b'G' },
        ),
        ([&good[..], &[0]].concat(), malformed.clone()),
        (good[..good.len() - 1].to_vec(), malformed.clone()),
        // A length of 4 GiB, one of 2^536, and one that could be said shorter.
        (vec![1, 3, 255, 255, 255, 255], malformed.clone()),
        (vec![1, 255, 255, 255, 255, 255], malformed.clone()),
        ([&[1, 0x1d, 0x00], &good[2..]].concat(), malformed),
        (
            vec![1; MAX_REQUEST + 1],
            FrameError::TooLong { most: MAX_REQUEST },
        ),
    ];
    for path in [
        "",
        "..",
        "../x",
        "/etc/passwd",
        "a//b",
        "a\0b",
        "a\\b",
        "data/é",
    ] {
        cases.push((frame(1, path.as_bytes(), 0, 1), FrameError::Path));
    }
    cases.push((frame(1, &[0xff, 0xfe], 0, 1), FrameError::Path));
    for (from, to) in [
        (0, 0),
        (5, 5),
        (5, 4),
        (u64::MAX, 0),
        (0, MAX_RANGE + 1),
        (0, u64::MAX),
    ] {
        cases.push((
            frame(1, b"data/ab", from, to),
            FrameError::Range { from, to },
        ));
    }
    cases
}

#[test]
fn each_kind_of_bad_frame_has_its_error() {
    for (frame, error) in bad() {
        assert_eq!(Request::decode(&frame), Err(error), "{frame:?}");
    }
    assert!(Request::new("data/ab", u64::MAX - MAX_RANGE..u64::MAX).is_ok());
}

proptest! {
    #[test]
    fn any_bytes_are_one_request_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..1_300)) {
        if let Ok(request) = Request::decode(&bytes) {
            prop_assert_eq!(request.encode(), bytes);
        }
    }

    #[test]
    fn bytes_that_are_nearly_a_request_are_one_or_none(
        path in "[a-z/.\\-]{0,40}",
        from in any::<u64>(),
        length in 0..2 * MAX_RANGE,
        at in any::<prop::sample::Index>(),
        flip in any::<u8>(),
        cut in 0usize..4,
    ) {
        let mut bytes = frame(1, path.as_bytes(), from, from.wrapping_add(length));
        let index = at.index(bytes.len());
        bytes[index] ^= flip;
        bytes.truncate(bytes.len() - cut);
        if let Ok(request) = Request::decode(&bytes) {
            prop_assert!(paths::check(request.path()).is_ok());
            let range = request.bytes();
            prop_assert!(range.start < range.end && range.end - range.start <= MAX_RANGE);
            prop_assert_eq!(request.encode(), bytes);
        }
    }

    #[test]
    fn what_is_asked_is_what_is_read(
        path in "[A-Za-z0-9_\\-]{1,500}(/[A-Za-z0-9_\\-]{1,500})?",
        from in 0..u64::MAX - MAX_RANGE,
        length in 1..=MAX_RANGE,
    ) {
        let request = Request::new(&path, from..from + length).unwrap();
        prop_assert!(request.encode().len() <= MAX_REQUEST);
        prop_assert_eq!(Request::decode(&request.encode()), Ok(request));
    }

    #[test]
    fn any_bytes_are_one_probe_or_none(
        mut frame in proptest::collection::vec(any::<u8>(), 0..12),
        bytes in 0..2 * MAX_PROBE,
        is_near: bool,
    ) {
        if is_near {
            frame = [&[2][..], &bytes.to_le_bytes()].concat();
        }
        match Probe::decode(&frame) {
            Ok(probe) => {
                prop_assert!((1..=MAX_PROBE).contains(&probe.bytes()));
                prop_assert_eq!(&probe.encode()[..], &frame[..]);
            }
            Err(error) if frame.len() == PROBE_FRAME && frame[0] == 2 => {
                let is_probe = matches!(error, FrameError::Probe { .. });
                prop_assert!(is_probe);
            }
            Err(error) => prop_assert_eq!(error, FrameError::Malformed),
        }
    }

    #[test]
    fn any_ten_bytes_are_one_receipt_or_none(mut bytes in any::<[u8; HEAD]>(), status in 0u8..3, is_near: bool) {
        if is_near {
            (bytes[0], bytes[1]) = (2, status);
        }
        if let Ok(receipt) = Receipt::decode(&bytes) {
            prop_assert_eq!(receipt.encode(), bytes);
        }
    }

    #[test]
    fn any_ten_bytes_are_one_head_or_none(mut bytes in any::<[u8; HEAD]>(), status in 0u8..5, is_near: bool) {
        if is_near {
            (bytes[0], bytes[1]) = (1, status);
        }
        if let Ok(head) = Head::decode(&bytes) {
            prop_assert_eq!(head.encode(), bytes);
        }
    }
}
