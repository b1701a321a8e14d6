//! What contributions have in common.

use cairn_gradient::{resemblance, Contribution, SparseTensor, Turn};
use proptest::prelude::*;

use crate::common::{any_kept, any_layout, contribution, layout};

fn near(found: f64, expected: f64) -> bool {
    (found - expected).abs() < 1e-9
}

#[test]
fn equals_have_all_in_common_whatever_their_length() {
    let layout = layout(&[&[5_000], &[70, 70]]);
    let of = |seed| contribution(&layout, 64, seed).0;
    let (one, other) = (of(1), of(2));
    let found = resemblance(&layout, &[&one, &other, &one], &[&one]).expect("they go together");
    let places: Vec<_> = found.pairs.iter().map(|pair| (pair.0, pair.1)).collect();
    assert_eq!(places, [(0, 1), (0, 2), (1, 2)]);
    assert!(near(found.pairs[1].2, 1.0) && near(found.pairs[0].2, found.pairs[2].2));
    assert!(found.pairs[0].2.abs() < 0.2);
    assert!(near(found.with_before[0], 1.0) && near(found.with_before[1], found.pairs[0].2));
}

#[test]
fn of_none_and_of_one_there_is_an_answer() {
    let layout = layout(&[&[5_000]]);
    let one = contribution(&layout, 64, 1).0;
    let of = |of: &[&Contribution], before: &[&Contribution]| {
        resemblance(&layout, of, before).expect("they go together")
    };
    let none = of(&[], &[&one]);
    assert!(none.pairs.is_empty() && none.with_before.is_empty());
    let alone = of(&[&one], &[]);
    assert!(alone.pairs.is_empty() && alone.with_before.is_empty());
    assert_eq!(of(&[], &[]), none);
}

#[test]
fn what_goes_with_another_layout_is_refused() {
    let (here, there) = (layout(&[&[5_000]]), layout(&[&[5_001]]));
    let (one, other) = (contribution(&here, 64, 1).0, contribution(&there, 64, 1).0);
    assert!(resemblance(&here, &[&one, &other], &[]).is_err());
    assert!(resemblance(&here, &[&one], &[&other]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn cosines_are_cosines(layout in any_layout(), kept in any_kept(), seed: u64) {
        let of: Vec<Contribution> = (0..3).map(|n| contribution(&layout, kept, seed ^ n).0).collect();
        let all: Vec<&Contribution> = of.iter().collect();
        let found = resemblance(&layout, &all, &all).expect("they go together");
        let cosines = found.pairs.iter().map(|pair| pair.2).chain(found.with_before);
        for cosine in cosines {
            prop_assert!((-1.0 - 1e-9..=1.0 + 1e-9).contains(&cosine));
        }
    }
}

/// Who has another turn has nothing in common, and is not compared: else all would be taken for as different as that.
#[test]
fn turns_are_compared_with_their_like() {
    let layout = layout(&[&[5_000], &[70, 70]]);
    let of = |number, seed| contribution(&layout, Turn { number, of: 4 }, seed).0;
    let (one, twin, other) = (of(0, 1), of(0, 1), of(1, 1));
    let last = [of(0, 1), of(1, 1), of(2, 7), of(3, 7)];
    let before: Vec<&Contribution> = last.iter().collect();
    let again = of(2, 8);
    let found = resemblance(&layout, &[&one, &other, &twin, &again], &before);
    let found = found.expect("they go together");
    let [(0, 2, cosine)] = found.pairs[..] else {
        panic!("{found:?}");
    };
    assert!(near(cosine, 1.0));
    // What was sent last in the same turn is sent again by the first three.
    assert!(found.with_before[..3].iter().all(|cosine| *cosine > 0.999));
    assert!(found.with_before[3].abs() < 0.2);
}

/// A tensor's product with numbers at its elements, in the order in which values are sent.
fn product(tensor: &SparseTensor, dense: &[f64]) -> f64 {
    let values = tensor.values();
    values.fold(0.0, |sum, (at, value)| {
        sum + f64::from(value) * dense[at as usize]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn cosines_have_the_bits_of_sums_over_whole_tensors(layout in any_layout(), kept in any_kept(), seed: u64) {
        let of: Vec<Contribution> = (0..4).map(|n| contribution(&layout, kept, seed ^ n).0).collect();
        let (of, before) = of.split_at(2);
        let [all_of, all_before] = [of, before].map(|list| list.iter().collect::<Vec<_>>());
        let found = resemblance(&layout, &all_of, &all_before).expect("they go together");
        let (mut weight, mut pair, mut with_before) = (0.0, 0.0, [0.0; 2]);
        for number in 0..layout.0.len() {
            let [one, other] = [&of[0].tensors[number], &of[1].tensors[number]];
            let mut dense = vec![0.0; one.elements()];
            for (at, value) in one.values() {
                dense[at as usize] = f64::from(value);
            }
            let sent = one.codes().len() as f64;
            let cosine = |product: f64, lengths: f64| if lengths > 0.0 { product / lengths } else { 0.0 };
            weight += sent;
            pair += sent * cosine(product(other, &dense), one.norm() * other.norm());
            let mut sum = vec![0.0; one.elements()];
            for tensor in before.iter().map(|one| &one.tensors[number]).filter(|one| one.norm() > 0.0) {
                for (at, value) in tensor.values() {
                    sum[at as usize] += f64::from(value) / tensor.norm();
                }
            }
            let whole = sum.iter().fold(0.0, |all, value| all + value * value).sqrt();
            for (all, tensor) in with_before.iter_mut().zip([one, other]) {
                let own = tensor.values().map(|(at, _)| sum[at as usize] * sum[at as usize]);
                let length = if kept.is_a_turn() { own.fold(0.0, |all, one| all + one).sqrt() } else { whole };
                *all += sent * cosine(product(tensor, &sum), tensor.norm() * length);
            }
        }
        prop_assert_eq!(found.pairs[0].2, pair / weight);
        prop_assert_eq!(found.with_before, with_before.map(|sum| sum / weight));
    }
}
