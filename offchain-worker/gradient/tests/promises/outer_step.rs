//! The outer step: its arithmetic, and that nothing else can be seen in its bits.

use std::collections::HashMap;

use cairn_gradient::{
    encode, model_root, outer_step, outer_step_and_root, Contribution, MismatchError,
    OuterStepError, Reader, SparseTensor, StreamError, StreamedStep, Turn,
};
use cairn_primitives::{Compression, Layout, ModelRoot, Nano, OuterStep, Tensor, Uid, H256};
use proptest::prelude::*;

use crate::common::{any_layout, compression, contribution, header, layout, Numbers, Sends};

fn outer(learning_rate: f64, rho: f64) -> OuterStep {
    OuterStep {
        learning_rate: Nano::from_f64(learning_rate).unwrap(),
        rho: Nano::from_f64(rho).unwrap(),
        clip: OuterStep::USUAL_CLIP,
        combine: Default::default(),
    }
}

/// A contribution to a layout of one tensor of few elements.
fn sent(layout: &Layout, content: &[(u32, f32)]) -> Contribution {
    let tensor = &layout.0[0];
    let kept = 4_096 / tensor.len() * content.len();
    Contribution {
        header: header(layout),
        tensors: vec![
            SparseTensor::from_values(tensor, &compression(kept as u16), content).unwrap(),
        ],
    }
}

/// Steps from zeros with α = 1, and equal trust.
fn moved(rho: f64, contents: &[&[(u32, f32)]]) -> Vec<f32> {
    let trusted: Vec<_> = contents.iter().map(|content| (77, *content)).collect();
    moved_by(rho, &trusted)
}

/// Steps from zeros with α = 1.
fn moved_by(rho: f64, contents: &[(u16, &[(u32, f32)])]) -> Vec<f32> {
    let layout = layout(&[&[4]]);
    let numbered = (0..).map(Uid).zip(contents);
    let contributions: Vec<(Uid, u16, Contribution)> = numbered
        .map(|(uid, (trust, content))| (uid, *trust, sent(&layout, content)))
        .collect();
    let mut theta = vec![0.0; 4];
    outer_step(&mut theta, &layout, &contributions, &outer(1.0, rho)).unwrap();
    theta
}

#[test]
fn rho_chooses_between_all_and_senders() {
    // norm 2 each; three send element 0, one element 1, nobody element 3
    let two: &[(u32, f32)] = &[(0, 2.0)];
    let contents = [two, two, two, &[(1, -2.0)], &[(2, 0.0), (3, 2.0)]];
    assert_eq!(moved(0.0, &contents), [-2.0, 2.0, 0.0, -2.0]);
    // ⌈0.5 · 5⌉ = 3
    let third = 2.0 * (1.0f32 / 3.0);
    assert_eq!(
        moved(0.5, &contents),
        [-(6.0 * (1.0f32 / 3.0)), third, 0.0, -third]
    );
    let fifth = 1.0f32 / 5.0;
    assert_eq!(
        moved(1.0, &contents),
        [-6.0 * fifth, 2.0 * fifth, 0.0, -2.0 * fifth]
    );
}

#[test]
fn norms_are_clipped_to_the_lower_median() {
    // odd: norms 1, 5, 100, median 5
    let odd = moved(0.0, &[&[(0, 1.0)], &[(1, 3.0), (2, 4.0)], &[(3, 100.0)]]);
    assert_eq!(odd, [-1.0, -3.0, -4.0, -(5.0f64 / 100.0) as f32 * 100.0]);
    // even: norms 1, 2, 4, 8, lower median 2
    let even = moved(0.0, &[&[(0, 8.0)], &[(1, 1.0)], &[(2, -4.0)], &[(3, 2.0)]]);
    assert_eq!(even, [-2.0, -1.0, 2.0, -2.0]);
    // two: the smaller one
    assert_eq!(
        moved(0.0, &[&[(0, 8.0)], &[(1, 2.0)]]),
        [-2.0, -2.0, 0.0, 0.0]
    );
    // one is its own median
    assert_eq!(moved(1.0, &[&[(0, 8.0)]]), [-8.0, 0.0, 0.0, 0.0]);
}

#[test]
fn norms_may_be_as_far_above_the_median_as_the_run_says() {
    let contents: [&[(u32, f32)]; 4] = [&[(0, 8.0)], &[(1, 1.0)], &[(2, -3.0)], &[(3, 2.0)]];
    // the median is 2, so that 3 is the most that a norm is
    let outer = OuterStep {
        clip: Nano(1_500_000_000),
        ..outer(1.0, 0.0)
    };
    let layout = layout(&[&[4]]);
    let made = |(uid, content): (u16, &&[(u32, f32)])| (Uid(uid), 1, sent(&layout, content));
    let contributions: Vec<_> = (0..).zip(&contents).map(made).collect();
    let mut theta = vec![0.0; 4];
    outer_step(&mut theta, &layout, &contributions, &outer).unwrap();
    assert_eq!(theta, [-3.0, -1.0, 3.0, -2.0]);
}

#[test]
fn trust_weighs_the_mean_and_the_median() {
    // norms 1, 1 and 4; the last has more than half of the trust, so that 4 is the median
    let contents: [(u16, &[(u32, f32)]); 3] =
        [(1, &[(0, 1.0)]), (1, &[(1, 1.0)]), (6, &[(2, 4.0)])];
    let eighth = 1.0f32 / 8.0;
    let want = [-eighth, -eighth, -(24.0 * eighth), 0.0];
    assert_eq!(moved_by(1.0, &contents), want);
    // ⌈0.25 · 8⌉ = 2 is the least divisor
    assert_eq!(moved_by(0.25, &contents), [-0.5, -0.5, -4.0, 0.0]);
    // with a third of it, 1 is: 4 is clipped to a quarter, then counts twice
    let contents = [(2, contents[0].1), (2, contents[1].1), (2, contents[2].1)];
    assert_eq!(moved_by(0.0, &contents), [-1.0, -1.0, -1.0, 0.0]);
}

#[test]
fn half_of_the_seats_freeze_nothing_without_half_of_the_trust() {
    let tiny: &[(u32, f32)] = &[(0, 0.000_976_562_5)];
    let honest: &[(u32, f32)] = &[(1, 1.0)];
    let of = |trust: u16| {
        let contents = [
            (1, tiny),
            (1, tiny),
            (1, tiny),
            (trust, honest),
            (trust, honest),
        ];
        moved_by(0.0, &contents)[1]
    };
    // counted by head the seats hold the whole step down to their own
    assert!(of(1) > -2e-3);
    assert_eq!(of(10), -1.0);
}

#[test]
fn norms_are_per_tensor() {
    let layout = layout(&[&[1], &[1]]);
    let of = |a: f32, b: f32| Contribution {
        header: header(&layout),
        tensors: [a, b]
            .map(|value| {
                SparseTensor::from_values(&layout.0[0], &compression(4_096), &[(0, value)]).unwrap()
            })
            .to_vec(),
    };
    let mut theta = vec![0.0; 2];
    let both = [(Uid(0), 3, of(1.0, 4.0)), (Uid(1), 3, of(2.0, 1.0))];
    outer_step(&mut theta, &layout, &both, &outer(1.0, 1.0)).unwrap();
    assert_eq!(theta, [-1.0, -1.0]);
}

#[test]
fn zeros_are_clipped_to_nothing_else() {
    // norms 0, 0, 3: the median is 0, and 0/0 is never computed
    assert_eq!(
        moved(0.0, &[&[(0, 0.0)], &[(1, 0.0)], &[(2, 3.0)]]),
        [0.0; 4]
    );
}

/// The definition in the module's documentation, element by element.
fn reference(
    theta: &[f32],
    layout: &Layout,
    sent: &[(Uid, u16, Contribution)],
    outer: &OuterStep,
) -> Vec<f32> {
    let mut next = theta.to_vec();
    let trusts: Vec<u64> = sent.iter().map(|(_, trust, _)| u64::from(*trust)).collect();
    let divisor = (1..=65_535)
        .rev()
        .find(|d| trusts.iter().all(|trust| trust % d == 0));
    let trusts: Vec<u64> = trusts
        .iter()
        .map(|trust| trust / divisor.unwrap())
        .collect();
    let all: u64 = trusts.iter().sum();
    for (t, (tensor, range)) in layout.ranges().enumerate() {
        let norms: Vec<f64> = sent
            .iter()
            .map(|(.., c)| norm(&c.tensors[t], tensor))
            .collect();
        let most = outer.clip.to_f64() * weighted_median(&norms, &trusts);
        let values: Vec<HashMap<u32, f32>> = sent
            .iter()
            .map(|(.., c)| c.tensors[t].values().collect())
            .collect();
        for i in 0..tensor.len() {
            let (mut sum, mut trusted) = (0f32, 0u64);
            for ((values, norm), trust) in values.iter().zip(&norms).zip(&trusts) {
                if let Some(value) = values.get(&(i as u32)) {
                    let clip = if *norm <= most {
                        1.0
                    } else {
                        (most / norm) as f32
                    };
                    let factor = *trust as f32 * clip;
                    let weighed = factor * value;
                    sum += weighed;
                    trusted += trust;
                }
            }
            if trusted > 0 {
                let least = (outer.rho.0 * all).div_ceil(1_000_000_000);
                let inverse = 1f32 / trusted.max(least) as f32;
                let mean = sum * inverse;
                let change = outer.learning_rate.to_f32() * mean;
                next[range.start + i] -= change;
            }
        }
    }
    next
}

/// The least norm up to which half of the trust is.
fn weighted_median(norms: &[f64], trusts: &[u64]) -> f64 {
    let up_to = |most: f64| -> u64 {
        let those = norms.iter().zip(trusts).filter(|(norm, _)| **norm <= most);
        those.map(|(_, trust)| trust).sum()
    };
    let all = trusts.iter().sum::<u64>();
    let enough = norms.iter().copied().filter(|norm| 2 * up_to(*norm) >= all);
    enough.fold(f64::INFINITY, f64::min)
}

/// The norm by its definition: blocks in their order, in each first the values of the low level.
fn norm(sent: &SparseTensor, tensor: &Tensor) -> f64 {
    let mut levels = sent.levels();
    let mut of_block: HashMap<(u32, u32), usize> = HashMap::new();
    let mut blocks: Vec<Vec<f32>> = Vec::new();
    let cols = tensor.shape.get(1).copied().unwrap_or(1);
    for (index, value) in sent.values() {
        let at = match tensor.shape.len() {
            1 => (index / 4_096, 0),
            _ => (index / cols / 64, index % cols / 64),
        };
        let number = *of_block.entry(at).or_insert_with(|| {
            blocks.push(Vec::new());
            blocks.len() - 1
        });
        blocks[number].push(value.abs());
    }
    let mut sum = 0f64;
    for magnitudes in blocks {
        let [low, high] = levels
            .next()
            .unwrap()
            .map(|bits| f32::from_bits(u32::from(bits) << 16));
        let of = |level: f32| {
            let count = magnitudes.iter().filter(|m| **m == level).count() as f64;
            count * (f64::from(level) * f64::from(level))
        };
        sum += if low == high {
            of(low)
        } else {
            of(low) + of(high)
        };
    }
    sum.sqrt()
}

fn same_bits(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

fn on_threads<T: Send>(threads: usize, job: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap()
        .install(job)
}

/// The step tensor by tensor, from files.
fn streamed(
    theta: &[f32],
    layout: &Layout,
    by: impl Fn(Uid) -> Compression,
    sent: &[(Uid, u16, Contribution)],
    outer: &OuterStep,
) -> (Vec<f32>, ModelRoot) {
    let file = |uid: Uid, sent: &Contribution| encode(sent, layout, &by(uid)).unwrap();
    let files: Vec<(Uid, u16, Vec<u8>)> = sent
        .iter()
        .map(|(uid, trust, sent)| (*uid, *trust, file(*uid, sent)))
        .collect();
    let read = |uid: Uid, file| Reader::new(file, layout, &by(uid)).unwrap();
    let readers = files
        .iter()
        .map(|(uid, trust, file)| (*uid, *trust, read(*uid, &file[..])))
        .collect();
    let mut step = StreamedStep::new(readers, outer).unwrap();
    let mut theta = theta.to_vec();
    for (_, range) in layout.ranges() {
        step.tensor(&mut theta[range]).unwrap();
    }
    let stepped = step.finish().unwrap();
    assert!(stepped.norm.is_some());
    (theta, stepped.root)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn neither_order_nor_threads_can_be_seen(
        layout in any_layout(),
        kept in 1u16..2_000,
        turns in prop::option::of(2..=Turn::MOST),
        members in prop::collection::btree_map(any::<u16>().prop_map(Uid), prop_oneof![1u16..4, 1u16..], 1..8),
        rho in prop_oneof![Just(0u64), Just(500_000_000), Just(1_000_000_000), 0u64..1_000_000_000],
        clip in prop_oneof![Just(1_000_000_000u64), 1_000_000_000u64..=2_000_000_000],
        seed: u64,
    ) {
        let sends = |uid| turns.map_or(kept.into(), |of| Sends::from(Turn::in_round(uid, 7, of)));
        let mut numbers = Numbers(seed);
        let theta = numbers.vector(layout.parameters());
        let outer = OuterStep { learning_rate: Nano(700_000_000), rho: Nano(rho), clip: Nano(clip), combine: Default::default() };
        let ascending: Vec<(Uid, u16, Contribution)> =
            members.iter().map(|(uid, trust)| (*uid, *trust, contribution(&layout, sends(*uid), numbers.next()).0)).collect();
        let expected = reference(&theta, &layout, &ascending, &outer);
        let mut shuffled = ascending;
        for threads in [1, 2, 5] {
            for last in (1..shuffled.len()).rev() {
                shuffled.swap(last, numbers.next() as usize % (last + 1));
            }
            let mut stepped = theta.clone();
            on_threads(threads, || outer_step(&mut stepped, &layout, &shuffled, &outer)).unwrap();
            prop_assert!(same_bits(&stepped, &expected), "{threads} threads");
            prop_assert_eq!(&on_threads(threads, || streamed(&theta, &layout, |uid| compression(sends(uid)), &shuffled, &outer)),
                &(expected.clone(), model_root(&expected)));
        }
    }
}

#[test]
fn a_tensor_of_many_pieces_gives_the_same_bits_on_any_number_of_threads() {
    let layout = layout(&[&[300, 500], &[100_000]]);
    let theta = Numbers(1).vector(layout.parameters());
    let sent: Vec<(Uid, u16, Contribution)> = (0..5)
        .map(|uid| {
            (
                Uid(uid),
                1 + uid % 2,
                contribution(&layout, 256, u64::from(uid)).0,
            )
        })
        .collect();
    let outer = outer(0.7, 0.5);
    let expected = reference(&theta, &layout, &sent, &outer);
    for threads in [1, 3, 8] {
        let mut stepped = theta.clone();
        let root = on_threads(threads, || {
            outer_step_and_root(&mut stepped, &layout, &sent, &outer).unwrap()
        });
        assert!(same_bits(&stepped, &expected), "{threads} threads");
        assert_eq!(root, model_root(&expected));
    }
}

#[test]
fn a_null_round_changes_nothing() {
    let mut theta = vec![-0.0, 1.0, f32::NAN, 2.0];
    let before = theta.clone();
    let root = outer_step_and_root(&mut theta, &layout(&[&[4]]), &[], &outer(1.0, 1.0)).unwrap();
    assert!(same_bits(&theta, &before));
    assert_eq!(root, model_root(&before));
}

#[test]
fn errors_name_their_cause_and_leave_the_parameters() {
    let ours = layout(&[&[2, 2]]);
    let good = sent(&ours, &[(0, 1.0)]);
    let mut theta = vec![0.5; 4];
    let mut step = |contributions: &[(Uid, u16, Contribution)], outer: &OuterStep| {
        outer_step(&mut theta, &ours, contributions, outer).expect_err("refused")
    };
    let twice = [
        (Uid(7), 1, good.clone()),
        (Uid(3), 1, good.clone()),
        (Uid(7), 1, good.clone()),
    ];
    let one = outer(1.0, 1.0);
    assert_eq!(
        step(&twice, &one),
        OuterStepError::DuplicateUid { uid: Uid(7) }
    );
    let above = outer(1.0, 1.000_000_001);
    assert_eq!(
        step(&twice[..1], &above),
        OuterStepError::Rho { rho: above.rho }
    );
    let of_three =
        |other: Contribution| match step(&[(Uid(1), 1, good.clone()), (Uid(3), 1, other)], &one) {
            OuterStepError::Contribution { uid: Uid(3), error } => error,
            other => panic!("{other}"),
        };
    let mut of_three = of_three;
    let mut of_another_shape = good.clone();
    of_another_shape.tensors = sent(&layout(&[&[4]]), &[(0, 1.0)]).tensors;
    assert!(matches!(
        of_three(of_another_shape),
        MismatchError::Tensor { .. }
    ));
    let mut foreign = good.clone();
    foreign.header.layout_hash = H256::zero();
    assert!(matches!(
        of_three(foreign),
        MismatchError::ForeignLayout { .. }
    ));
    let mut less = good.clone();
    less.tensors.clear();
    assert!(matches!(of_three(less), MismatchError::TensorCount { .. }));
    let none = [(Uid(1), 1, good.clone()), (Uid(3), 0, good.clone())];
    assert_eq!(step(&none, &one), OuterStepError::NoTrust { uid: Uid(3) });
    let many = (0..258).map(|uid| (Uid(uid), 65_535 - uid % 2, good.clone()));
    let many: Vec<(Uid, u16, Contribution)> = many.collect();
    let sum = 129 * (65_535 + 65_534);
    assert_eq!(step(&many, &one), OuterStepError::TooMuchTrust { sum });
    assert_eq!(theta, [0.5; 4]);
    let short = outer_step(&mut theta[..3], &ours, &twice[..1], &one);
    assert!(matches!(short, Err(OuterStepError::Parameters(_))));
}

#[test]
fn no_step_leads_out_of_the_finite_numbers() {
    let layout = layout(&[&[4]]);
    let most = [(0, 65_280.0), (1, -65_280.0), (2, 65_280.0), (3, -65_280.0)];
    let all = (0..256).map(|uid| (Uid(uid), 65_535 - uid % 2, sent(&layout, &most)));
    let all: Vec<(Uid, u16, Contribution)> = all.collect();
    let mut theta = [f32::MAX, f32::MAX, -f32::MAX, -f32::MAX];
    // the largest α that a run can have
    let outer = outer(9.2e9, 0.0);
    outer_step(&mut theta, &layout, &all, &outer).unwrap();
    assert!(theta.iter().all(|value| value.is_finite()));
}

#[test]
fn a_streamed_step_names_what_is_wrong() {
    let ours = layout(&[&[64, 64], &[9]]);
    let (compression, outer) = (compression(64), outer(1.0, 1.0));
    let (_, file) = contribution(&ours, 64, 1);
    let read = |file| Reader::new(file, &ours, &compression).unwrap();
    let twice = StreamedStep::new(
        vec![(Uid(4), 1, read(&file[..])), (Uid(4), 1, read(&file[..]))],
        &outer,
    );
    assert_eq!(
        twice.err(),
        Some(OuterStepError::DuplicateUid { uid: Uid(4) })
    );
    let other = layout(&[&[9]]);
    let (_, foreign) = contribution(&other, 64, 1);
    let foreign = Reader::new(&foreign[..], &other, &compression).unwrap();
    let mixed = StreamedStep::new(
        vec![(Uid(4), 1, foreign), (Uid(3), 1, read(&file[..]))],
        &outer,
    );
    assert!(matches!(
        mixed.err(),
        Some(OuterStepError::Contribution { uid: Uid(4), .. })
    ));

    let (mut theta, before) = ([0.5; 64 * 64], [0.5; 64 * 64]);
    let cut = &file[..file.len() - 1];
    let mut step = StreamedStep::new(vec![(Uid(4), 1, read(cut))], &outer).unwrap();
    assert!(matches!(
        step.tensor(&mut theta[1..]),
        Err(StreamError::Step(OuterStepError::Parameters(_)))
    ));
    assert_eq!(theta, before);
    step.tensor(&mut theta).unwrap();
    let mut last = [0.25; 9];
    assert!(matches!(
        step.tensor(&mut last),
        Err(StreamError::Read { uid: Uid(4), .. })
    ));
    assert_eq!(last, [0.25; 9]);

    let mut step = StreamedStep::new(vec![(Uid(4), 1, read(&file[..]))], &outer).unwrap();
    step.tensor(&mut theta).unwrap();
    let expected = 2;
    assert!(matches!(
        step.finish(),
        Err(StreamError::Tensors { found: 1, expected: e }) if e == expected
    ));
    let mut step = StreamedStep::new(vec![(Uid(4), 1, read(&file[..]))], &outer).unwrap();
    step.tensor(&mut theta).unwrap();
    step.tensor(&mut last).unwrap();
    assert!(matches!(
        step.tensor(&mut last),
        Err(StreamError::Tensors { found: 3, expected: e }) if e == expected
    ));

    let mut longer = file.clone();
    longer.push(0);
    let mut step = StreamedStep::new(vec![(Uid(4), 1, read(&longer[..]))], &outer).unwrap();
    step.tensor(&mut theta).unwrap();
    step.tensor(&mut last).unwrap();
    assert!(matches!(
        step.finish(),
        Err(StreamError::Read { uid: Uid(4), .. })
    ));
}
