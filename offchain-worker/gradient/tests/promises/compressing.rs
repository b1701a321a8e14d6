//! Selection, levels, error feedback, size.

use cairn_gradient::{
    compress, decode, max_encoded_len, put_back, CompressError, Compressor, Contribution,
    EncodeError, MismatchError, Writer,
};
use cairn_primitives::{Compression, Layout, Nano};
use proptest::prelude::*;

use crate::common::{any_kept, any_layout, compression, contribution, header, layout, Numbers};

/// The contribution as a flat vector.
fn dense(layout: &Layout, sent: &Contribution) -> Vec<f32> {
    let mut flat = vec![0.0; layout.parameters()];
    for ((_, range), tensor) in layout.ranges().zip(&sent.tensors) {
        tensor.add_to(&mut flat[range]);
    }
    flat
}

/// What is sent of the first tensor: indices and values.
fn first(sent: &Contribution) -> (Vec<u32>, Vec<f32>) {
    sent.tensors[0].values().unzip()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_not_sent_is_kept(layout in any_layout(), kept in any_kept(), seed: u64) {
        let mut numbers = Numbers(seed);
        let delta = numbers.vector(layout.parameters());
        let old = numbers.vector(layout.parameters());
        let mut error = old.clone();
        let compression = compression(kept);
        let (sent, _) = compress(&layout, &compression, &delta, &mut error, header(&layout)).unwrap();
        let sent_flat = dense(&layout, &sent);
        for i in 0..delta.len() {
            // one rounding each: β·e, + Δ, − sent
            let accumulated = 0.95f32 * old[i] + delta[i];
            prop_assert_eq!(error[i], accumulated - sent_flat[i]);
            let rounding = f32::EPSILON * (accumulated.abs() + sent_flat[i].abs());
            prop_assert!((error[i] + sent_flat[i] - accumulated).abs() <= rounding);
        }
        // not included: all of it comes back
        put_back(&mut error, &layout, &sent).unwrap();
        for i in 0..delta.len() {
            let accumulated = 0.95f32 * old[i] + delta[i];
            let rounding = f32::EPSILON * (accumulated.abs() + sent_flat[i].abs());
            prop_assert!((error[i] - accumulated).abs() <= rounding);
        }
    }

    #[test]
    fn every_file_fits(layout in any_layout(), kept in any_kept(), seed: u64) {
        let (_, bytes) = contribution(&layout, kept, seed);
        prop_assert!(bytes.len() as u64 <= max_encoded_len(&layout, &compression(kept)));
    }
}

#[test]
fn the_largest_of_each_block_are_sent_as_signed_means() {
    let layout = layout(&[&[8]]);
    let delta = [0.5, -8.0, 1.0, 0.0, 9.0, -1.5, 0.25, 10.0];
    let mut error = vec![0.0; 8];
    // 2,048 of 4,096: four of eight
    let (sent, _) = compress(
        &layout,
        &compression(2_048),
        &delta,
        &mut error,
        header(&layout),
    )
    .unwrap();
    // low level: 1.5 alone; high: the mean of 8, 9, 10
    let expected = (vec![1, 4, 5, 7], vec![-9.0, 9.0, -1.5, 9.0]);
    assert_eq!(first(&sent), expected);
    assert_eq!(error, [0.5, 1.0, 1.0, 0.0, 0.0, 0.0, 0.25, 1.0]);
}

#[test]
fn of_equal_magnitudes_the_first_are_sent() {
    let layout = layout(&[&[64, 128]]);
    let delta: Vec<f32> = (0..64 * 128)
        .map(|i| if i % 2 == 0 { 1.0 } else { -1.0 })
        .collect();
    let mut error = vec![0.0; delta.len()];
    let (sent, _) = compress(
        &layout,
        &compression(3),
        &delta,
        &mut error,
        header(&layout),
    )
    .unwrap();
    let expected = (
        vec![0, 1, 2, 64, 65, 66],
        vec![1.0, -1.0, 1.0, 1.0, -1.0, 1.0],
    );
    assert_eq!(first(&sent), expected);
}

#[test]
fn sent_late_is_sent_nevertheless() {
    let layout = layout(&[&[4_096]]);
    let compression = Compression {
        kept_per_block: 64,
        error_decay: Nano::ONE,
        turn: None,
    };
    let delta = Numbers(5).vector(4_096);
    let mut error = vec![0.0; 4_096];
    let mut arrived = vec![0.0f64; 4_096];
    let nothing = vec![0.0; 4_096];
    for round in 0..400 {
        let delta = if round == 0 { &delta } else { &nothing };
        let sent = match compress(&layout, &compression, delta, &mut error, header(&layout)) {
            Ok((sent, _)) => dense(&layout, &sent),
            // Nothing is left.
            Err(CompressError::Encode(EncodeError::Empty)) => break,
            Err(error) => panic!("{error}"),
        };
        arrived
            .iter_mut()
            .zip(sent)
            .for_each(|(sum, value)| *sum += f64::from(value));
    }
    let square = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
    let all = square(&mut delta.iter().map(|v| f64::from(*v)));
    let missing = square(&mut delta.iter().zip(&arrived).map(|(d, a)| f64::from(*d) - a));
    assert!(missing < 1e-3 * all, "{missing} of {all} is still missing");
}

#[test]
fn who_learned_nothing_has_nothing_to_send() {
    let layout = layout(&[&[70, 70], &[100]]);
    let (nothing, mut error) = ([-0.0; 5_000], vec![0.0; 5_000]);
    let made = compress(
        &layout,
        &compression(64),
        &nothing,
        &mut error,
        header(&layout),
    );
    assert!(matches!(
        made,
        Err(CompressError::Encode(EncodeError::Empty))
    ));
}

#[test]
fn the_largest_and_smallest_numbers_survive() {
    let layout = layout(&[&[6]]);
    let delta = [f32::MAX, -f32::MAX, f32::MIN_POSITIVE, -1e-45, 1e-45, 1.0];
    let mut error = vec![0.0; 6];
    let (sent, bytes) = compress(
        &layout,
        &compression(4_096),
        &delta,
        &mut error,
        header(&layout),
    )
    .unwrap();
    assert!(error.iter().all(|e| e.is_finite()));
    assert_eq!(decode(&bytes, &layout, &compression(4_096)), Ok(sent));
}

#[test]
fn a_diverged_training_changes_nothing() {
    let layout = layout(&[&[70, 70]]);
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut delta = vec![1.0; 4_900];
        delta[4_321] = bad;
        let mut error = vec![0.25; 4_900];
        let result = compress(
            &layout,
            &compression(64),
            &delta,
            &mut error,
            header(&layout),
        );
        assert!(matches!(
            result,
            Err(CompressError::NotFinite { tensor, index: 4_321 }) if tensor == "t0"
        ));
        assert!(error.iter().all(|e| *e == 0.25));
    }
}

#[test]
fn what_does_not_go_together_is_refused() {
    let ours = layout(&[&[10]]);
    let (delta, mut error) = (vec![1.0; 10], vec![0.0; 10]);
    let mut run = |compression: &Compression, delta: &[f32], header| {
        compress(&ours, compression, delta, &mut error, header).expect_err("refused")
    };
    let length = MismatchError::VectorLength {
        found: 9,
        expected: 10,
    };
    assert!(matches!(
        run(&compression(64), &delta[..9], header(&ours)),
        CompressError::Mismatch(found) if found == length
    ));
    let foreign = run(&compression(64), &delta, header(&layout(&[&[11]])));
    assert!(matches!(
        foreign,
        CompressError::Mismatch(MismatchError::ForeignLayout { .. })
    ));
    assert!(matches!(
        run(&compression(0), &delta, header(&ours)),
        CompressError::Mismatch(MismatchError::Layout(_))
    ));
    for mean_loss in [f32::NAN, f32::INFINITY, -1.0, -0.0] {
        let mut header = header(&ours);
        header.mean_loss = mean_loss;
        assert!(matches!(
            run(&compression(64), &delta, header),
            CompressError::Encode(EncodeError::MeanLoss)
        ));
    }
    let growing = Compression {
        kept_per_block: 64,
        error_decay: Nano(1_000_000_001),
        turn: None,
    };
    assert!(matches!(
        run(&growing, &delta, header(&ours)),
        CompressError::ErrorDecay { .. }
    ));
    assert!(error.iter().all(|e| *e == 0.0));

    let (sent, _) = contribution(&ours, 64, 1);
    assert_eq!(put_back(&mut error[..9], &ours, &sent), Err(length));
    let mut other = sent;
    let (of_another_shape, _) = contribution(&layout(&[&[11]]), 64, 1);
    other.tensors = of_another_shape.tensors;
    assert!(matches!(
        put_back(&mut error, &ours, &other),
        Err(MismatchError::Tensor { .. })
    ));
    other.tensors.clear();
    assert!(matches!(
        put_back(&mut error, &ours, &other),
        Err(MismatchError::TensorCount { .. })
    ));
    assert!(error.iter().all(|e| *e == 0.0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Tensor by tensor and strip by strip, in pieces of any size, it is the same file and the same error.
    #[test]
    fn streaming_cannot_be_seen(
        layout in any_layout(),
        kept in any_kept(),
        seed: u64,
        strips in 1usize..4,
    ) {
        let mut numbers = Numbers(seed);
        let delta = numbers.vector(layout.parameters());
        let mut error = numbers.vector(layout.parameters());
        let mut streamed = error.clone();
        let compression = compression(kept);
        let (_, bytes) = compress(&layout, &compression, &delta, &mut error, header(&layout)).unwrap();

        let compressor = Compressor::new(&compression).unwrap();
        let mut writer = Writer::new(Vec::new(), header(&layout), &layout, &compression).unwrap();
        for (tensor, range) in layout.ranges() {
            let mut pieces = compressor.strips(tensor).unwrap();
            let length = strips * pieces.strip_len();
            let (delta, error) = (&delta[range.clone()], &mut streamed[range]);
            for (delta, error) in delta.chunks(length).zip(error.chunks_mut(length)) {
                pieces.push(delta, error).unwrap();
            }
            writer.tensor(&pieces.finish().unwrap()).unwrap();
        }
        prop_assert_eq!(writer.finish().unwrap(), bytes);
        prop_assert_eq!(streamed, error);
    }
}

#[test]
fn pieces_must_be_whole_strips_and_all_there() {
    let layout = layout(&[&[130, 70]]);
    let compressor = Compressor::new(&compression(64)).unwrap();
    let tensor = &layout.0[0];
    let (delta, mut error) = (vec![1.0; 130 * 70], vec![0.0; 130 * 70]);
    let mut pieces = compressor.strips(tensor).unwrap();
    assert_eq!(pieces.strip_len(), 64 * 70);
    let length = |result: Result<(), CompressError>| match result {
        Err(CompressError::Mismatch(MismatchError::VectorLength { found, expected })) => {
            (found, expected)
        }
        other => panic!("{other:?}"),
    };
    let half = &mut error[..32 * 70];
    assert_eq!(length(pieces.push(&delta[..32 * 70], half)), (2_240, 9_100));
    pieces
        .push(&delta[..64 * 70], &mut error[..64 * 70])
        .unwrap();
    assert_eq!(length(pieces.push(&delta, &mut error)), (9_100, 4_620));
    assert_eq!(length(pieces.finish().map(|_| ())), (4_480, 9_100));

    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes, header(&layout), &layout, &compression(64)).unwrap();
    let denser = Compressor::new(&compression(65)).unwrap();
    let of_other_density = denser.tensor(tensor, &delta, &mut error).unwrap();
    assert!(matches!(
        writer.tensor(&of_other_density),
        Err(EncodeError::Mismatch(MismatchError::Tensor { .. }))
    ));
    assert!(matches!(
        writer.finish(),
        Err(EncodeError::Mismatch(MismatchError::TensorCount {
            found: 0,
            expected: 1
        }))
    ));
}

#[test]
fn a_gaussian_matrix_is_sent_in_a_210th() {
    let layout = layout(&[&[1_024, 1_024]]);
    let mut numbers = Numbers(1);
    let mut unit = || f64::from(numbers.uniform()) + 0.5;
    let mut gaussian = || {
        let radius = (-2.0 * (1.0 - unit()).ln()).sqrt();
        (1e-3 * radius * (std::f64::consts::TAU * unit()).cos()) as f32
    };
    let delta: Vec<f32> = (0..1 << 20).map(|_| gaussian()).collect();
    let mut error = vec![0.0; delta.len()];
    let (sent, bytes) = compress(
        &layout,
        &compression(64),
        &delta,
        &mut error,
        header(&layout),
    )
    .unwrap();
    let ratio = 4.0 * delta.len() as f64 / bytes.len() as f64;
    let (mut wrong, mut all) = (0.0, 0.0);
    for (index, value) in sent.tensors[0].values() {
        let exact = f64::from(delta[index as usize]);
        wrong += (exact - f64::from(value)).powi(2);
        all += exact * exact;
    }
    let values = sent.tensors[0].codes().len();
    println!(
        "{} bytes for {values} values: {:.3} bits each, {ratio:.1} times below fp32 (at most {}); \
         relative squared error {:.5}",
        bytes.len(),
        8.0 * bytes.len() as f64 / values as f64,
        max_encoded_len(&layout, &compression(64)),
        wrong / all,
    );
    assert!(ratio > 210.0, "only {ratio:.1} times smaller");
    assert!(
        wrong / all < 0.004,
        "the levels are off by {:.5}",
        wrong / all
    );
}
