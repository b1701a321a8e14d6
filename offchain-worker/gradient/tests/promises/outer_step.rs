//! The outer step: its arithmetic, and that nothing else can be seen in its bits.

use cairn_gradient::{
    outer_step, state_root, Contribution, MismatchError, OuterStepError, SparseTensor,
};
use cairn_primitives::{Layout, Nano, OuterStep, Uid, H256};
use proptest::prelude::*;

use crate::common::{any_layout, contribution, header, layout, Numbers};

fn outer(learning_rate: f64, rho: f64) -> OuterStep {
    OuterStep {
        learning_rate: Nano::from_f64(learning_rate).unwrap(),
        rho: Nano::from_f64(rho).unwrap(),
    }
}

/// A contribution to a layout of one tensor.
fn sent(layout: &Layout, content: &[(u32, f32)]) -> Contribution {
    let (indices, values) = content.iter().copied().unzip();
    Contribution {
        header: header(layout),
        tensors: vec![SparseTensor { indices, values }],
    }
}

/// Steps from zeros with α = 1.
fn moved(rho: f64, contents: &[&[(u32, f32)]]) -> Vec<f32> {
    let layout = layout(&[&[4]]);
    let contributions: Vec<(Uid, Contribution)> = (0..)
        .zip(contents.iter().map(|content| sent(&layout, content)))
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
fn norms_are_per_tensor() {
    let layout = layout(&[&[1], &[1]]);
    let of = |a: f32, b: f32| Contribution {
        header: header(&layout),
        tensors: [a, b]
            .map(|value| SparseTensor {
                indices: vec![0],
                values: vec![value],
            })
            .to_vec(),
    };
    let mut theta = vec![0.0; 2];
    let both = [(0, of(1.0, 4.0)), (1, of(2.0, 1.0))];
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
    sent: &[(Uid, Contribution)],
    outer: &OuterStep,
) -> Vec<f32> {
    let mut next = theta.to_vec();
    for (t, (tensor, range)) in layout.ranges().enumerate() {
        let norm = |c: &Contribution| {
            let mut sum = 0f64;
            for value in &c.tensors[t].values {
                sum += (*value as f64) * (*value as f64);
            }
            sum.sqrt()
        };
        let norms: Vec<f64> = sent.iter().map(|(_, c)| norm(c)).collect();
        let mut sorted = norms.clone();
        sorted.sort_by(|a, b| a.partial_cmp(b).unwrap());
        let median = sorted[(sorted.len() - 1) / 2];
        for i in 0..tensor.len() {
            let (mut sum, mut senders) = (0f32, 0u64);
            for ((_, c), norm) in sent.iter().zip(&norms) {
                if let Ok(at) = c.tensors[t].indices.binary_search(&(i as u32)) {
                    let clip = if *norm <= median {
                        1.0
                    } else {
                        (median / norm) as f32
                    };
                    let clipped = clip * c.tensors[t].values[at];
                    sum += clipped;
                    senders += 1;
                }
            }
            if senders > 0 {
                let least = (outer.rho.0 * sent.len() as u64).div_ceil(1_000_000_000);
                let inverse = 1f32 / senders.max(least) as f32;
                let mean = sum * inverse;
                let change = outer.learning_rate.to_f32() * mean;
                next[range.start + i] -= change;
            }
        }
    }
    next
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn neither_order_nor_threads_can_be_seen(
        layout in any_layout(),
        kept in 1u16..2_000,
        uids in prop::collection::btree_set(any::<Uid>(), 1..8),
        rho in prop_oneof![Just(0u64), Just(500_000_000), Just(1_000_000_000), 0u64..1_000_000_000],
        seed: u64,
    ) {
        let mut numbers = Numbers(seed);
        let theta = numbers.vector(layout.parameters());
        let outer = OuterStep { learning_rate: Nano(700_000_000), rho: Nano(rho) };
        let ascending: Vec<(Uid, Contribution)> =
            uids.iter().map(|uid| (*uid, contribution(&layout, kept, numbers.next()).0)).collect();
        let expected = reference(&theta, &layout, &ascending, &outer);
        let mut shuffled = ascending;
        for threads in [1, 2, 5] {
            for last in (1..shuffled.len()).rev() {
                shuffled.swap(last, numbers.next() as usize % (last + 1));
            }
            let mut stepped = theta.clone();
            on_threads(threads, || outer_step(&mut stepped, &layout, &shuffled, &outer)).unwrap();
            prop_assert!(same_bits(&stepped, &expected), "{threads} threads");
        }
    }
}

#[test]
fn a_tensor_of_many_pieces_gives_the_same_bits_on_any_number_of_threads() {
    let layout = layout(&[&[300, 500], &[100_000]]);
    let theta = Numbers(1).vector(layout.parameters());
    let sent: Vec<(Uid, Contribution)> = (0..5)
        .map(|uid| (uid, contribution(&layout, 256, u64::from(uid)).0))
        .collect();
    let outer = outer(0.7, 0.5);
    let expected = reference(&theta, &layout, &sent, &outer);
    for threads in [1, 3, 8] {
        let mut stepped = theta.clone();
        let root = on_threads(threads, || {
            outer_step(&mut stepped, &layout, &sent, &outer).unwrap();
            state_root(&stepped)
        });
        assert!(same_bits(&stepped, &expected), "{threads} threads");
        assert_eq!(root, state_root(&expected));
    }
}

#[test]
fn a_null_round_changes_nothing() {
    let mut theta = vec![-0.0, 1.0, f32::NAN, 2.0];
    let before = theta.clone();
    outer_step(&mut theta, &layout(&[&[4]]), &[], &outer(1.0, 1.0)).unwrap();
    assert!(same_bits(&theta, &before));
}

#[test]
fn errors_name_their_cause_and_leave_the_weights() {
    let ours = layout(&[&[2, 2]]);
    let good = sent(&ours, &[(0, 1.0)]);
    let mut theta = vec![0.5; 4];
    let mut step = |contributions: &[(Uid, Contribution)], outer: &OuterStep| {
        outer_step(&mut theta, &ours, contributions, outer).expect_err("refused")
    };
    let twice = [(7, good.clone()), (3, good.clone()), (7, good.clone())];
    let one = outer(1.0, 1.0);
    assert_eq!(step(&twice, &one), OuterStepError::DuplicateUid { uid: 7 });
    let above = outer(1.0, 1.000_000_001);
    assert_eq!(
        step(&twice[..1], &above),
        OuterStepError::Rho { rho: above.rho }
    );
    let of_three = |other: Contribution| match step(&[(1, good.clone()), (3, other)], &one) {
        OuterStepError::Contribution { uid: 3, error } => error,
        other => panic!("{other}"),
    };
    let mut of_three = of_three;
    for content in [&[(4, 1.0)][..], &[(1, 1.0), (1, 1.0)], &[(0, f32::NAN)]] {
        assert!(matches!(
            of_three(sent(&ours, content)),
            MismatchError::Tensor { .. }
        ));
    }
    let mut foreign = good.clone();
    foreign.header.layout_hash = H256::zero();
    assert!(matches!(
        of_three(foreign),
        MismatchError::ForeignLayout { .. }
    ));
    let mut less = good.clone();
    less.tensors.clear();
    assert!(matches!(of_three(less), MismatchError::TensorCount { .. }));
    // two times the largest number, in the third of four elements, behind one that would be changed
    let huge = sent(&ours, &[(0, 1.0), (2, f32::MAX)]);
    let beyond = [(0, huge.clone()), (1, huge)];
    let not_finite = OuterStepError::NotFinite {
        tensor: "t0".into(),
        index: 2,
    };
    assert_eq!(step(&beyond, &one), not_finite);
    assert_eq!(theta, [0.5; 4]);
    let short = outer_step(&mut theta[..3], &ours, &beyond, &one);
    assert!(matches!(short, Err(OuterStepError::Weights(_))));
}
