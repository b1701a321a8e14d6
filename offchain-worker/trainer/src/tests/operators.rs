//! Each operator against its reference, and its gradient against finite differences of the reference.
//!
//! The loss of an operator's output y is Σ `dy`·y for some fixed `dy`, whose gradient for y is `dy`.

use super::{assert_gradient, assert_near, numbers, reference, wide};
use crate::attention::{Heads, Kept};
use crate::gemm::{Matrix, Right, Start};
use crate::rope::{Angles, Turn};
use crate::{embedding, head, norm, swiglu};

fn dot(a: &[f64], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * f64::from(*b)).sum()
}

#[test]
fn norm_and_its_gradient() {
    // More rows than one block, and a width that fills no vector.
    let (rows, width) = (norm::ROWS + 3, 21);
    let (x, dy) = (numbers(rows * width, 1), numbers(rows * width, 2));
    let weight = numbers(width, 3);
    let (mut y, mut rates) = (vec![0.0; rows * width], vec![0.0; rows]);
    norm::forward(&x, &weight, &mut y, &mut rates);
    let (wide_x, wide_weight) = (wide(&x), wide(&weight));
    assert_near("y", &y, &reference::norm(&wide_x, &wide_weight));

    let mut again = vec![0.0; rows * width];
    norm::again(&x, &weight, &rates, &mut again);
    assert_eq!(again, y);

    // The gradient is added to what comes past the norm.
    let (mut dx, mut dweight) = (vec![5.0; rows * width], vec![0.0; width]);
    let mut partial = vec![7.0; norm::partials(rows) * width];
    let given = norm::Given {
        dy: &dy,
        x: &x,
        weight: &weight,
        rates: &rates,
        past: &vec![1.0; rows * width],
    };
    norm::backward(&given, &mut dx, &mut partial);
    norm::add_partials(&partial, &mut dweight);
    dx.iter_mut().for_each(|dx| *dx -= 1.0);
    assert_gradient("dx", &dx, &wide_x, |x| {
        dot(&reference::norm(x, &wide_weight), &dy)
    });
    assert_gradient("dweight", &dweight, &wide_weight, |w| {
        dot(&reference::norm(&wide_x, w), &dy)
    });
}

#[test]
fn rotation_and_its_gradient() {
    let (width, heads, length) = (6, 2, 5);
    let (row, rows) = (width * (heads + 1), 2 * length);
    let mut angles = Angles::default();
    angles.reach(2, width, 100);
    angles.reach(length, width, 100);
    let x = numbers(rows * row, 1);
    let mut y = x.clone();
    angles.turn_batch(&mut y, row, width * heads, 0, length);
    // Of three heads, the first two are rotated.
    let rotate = |x: &[f64]| {
        let mut y = reference::rotate(x, row, width, length, 100);
        for (y, x) in y.chunks_mut(row).zip(x.chunks(row)) {
            y[width * heads..].copy_from_slice(&x[width * heads..]);
        }
        y
    };
    assert_near("y", &y, &rotate(&wide(&x)));
    // The gradient, of one sequence's first head.
    let (x, dy) = (numbers(length * width, 3), numbers(length * width, 2));
    let mut dx = dy.clone();
    angles.turn(&mut dx, width, 0, Turn::Back);
    assert_gradient("dx", &dx, &wide(&x), |x| {
        dot(&reference::rotate(x, width, width, length, 100), &dy)
    });
}

/// Attention by the reference, of rows that hold queries, keys and values.
fn attend(heads: &Heads, qkv: &[f64]) -> Vec<f64> {
    let (first, second) = (heads.out(), heads.out() + heads.keys * heads.width);
    let part = |from: usize, to: usize| -> Vec<f64> {
        qkv.chunks(heads.row())
            .flat_map(|row| &row[from..to])
            .copied()
            .collect()
    };
    let (q, k, v) = (
        part(0, first),
        part(first, second),
        part(second, heads.row()),
    );
    reference::attention(
        (&q, &k, &v),
        (heads.queries, heads.keys),
        heads.width,
        heads.length,
    )
}

/// Rotates queries and keys as the model does before attention.
fn rotated(heads: &Heads, qkv: &[f64]) -> Vec<f64> {
    let turned = reference::rotate(qkv, heads.row(), heads.width, heads.length, BASE);
    with_values(heads, &turned, qkv)
}

/// Turns them back.
fn unrotated(heads: &Heads, qkv: &[f64]) -> Vec<f64> {
    let turned = reference::rotate_back(qkv, heads.row(), heads.width, heads.length, BASE);
    with_values(heads, &turned, qkv)
}

/// Values are not rotated.
fn with_values(heads: &Heads, turned: &[f64], qkv: &[f64]) -> Vec<f64> {
    let first = (heads.queries + heads.keys) * heads.width;
    let rows = turned.chunks(heads.row()).zip(qkv.chunks(heads.row()));
    rows.flat_map(|(turned, row)| [&turned[..first], &row[first..]].concat())
        .collect()
}

/// Base of the rotations.
const BASE: u32 = 100;

fn check_attention(heads: Heads, sequences: usize) {
    let rows = sequences * heads.length;
    // Scores that differ enough to matter.
    let qkv: Vec<f32> = numbers(rows * heads.row(), 1)
        .iter()
        .map(|x| 1.5 * x)
        .collect();
    let mut output = vec![0.0; rows * heads.out()];
    let (mut maxima, mut rates) = (
        vec![0.0; rows * heads.queries],
        vec![0.0; rows * heads.queries],
    );
    heads.forward(&qkv, &mut output, &mut maxima, &mut rates);
    assert_near("output", &output, &attend(&heads, &wide(&qkv)));

    let dy = numbers(rows * heads.out(), 2);
    let mut dqkv = vec![3.0; rows * heads.row()];
    let kept = Kept {
        qkv: &qkv,
        output: &output,
        maxima: &maxima,
        rates: &rates,
    };
    // The gradient is that of queries and keys before their rotation.
    let mut angles = Angles::default();
    angles.reach(heads.length, heads.width, BASE);
    let plain = unrotated(&heads, &wide(&qkv));
    heads.backward(&dy, kept, &angles, &mut dqkv);
    assert_gradient("dqkv", &dqkv, &plain, |plain| {
        dot(&attend(&heads, &rotated(&heads, plain)), &dy)
    });
}

#[test]
fn attention_and_its_gradient() {
    check_attention(
        Heads {
            queries: 4,
            keys: 2,
            width: 6,
            length: 7,
        },
        2,
    );
    check_attention(
        Heads {
            queries: 2,
            keys: 2,
            width: 2,
            length: 1,
        },
        1,
    );
}

#[test]
fn attention_over_more_than_a_block_of_queries() {
    check_attention(
        Heads {
            queries: 2,
            keys: 1,
            width: 2,
            length: 67,
        },
        1,
    );
}

#[test]
fn swiglu_and_its_gradient() {
    let (rows, width) = (3, 19);
    let gate_up: Vec<f32> = numbers(rows * 2 * width, 1)
        .iter()
        .map(|x| 4.0 * x)
        .collect();
    let compute = |gate_up: &[f64]| -> Vec<f64> {
        let row = |row: &[f64]| reference::swiglu(&row[..width], &row[width..]);
        gate_up.chunks(2 * width).flat_map(row).collect()
    };
    let mut hidden = vec![0.0; rows * width];
    swiglu::forward(&gate_up, width, &mut hidden);
    assert_near("hidden", &hidden, &compute(&wide(&gate_up)));

    let dy = numbers(rows * width, 2);
    let (mut slopes, mut again) = (gate_up.clone(), vec![0.0; rows * width]);
    swiglu::backward(&dy, width, &mut slopes, &mut again);
    assert_eq!(again, hidden);
    assert_gradient("gate_up", &slopes, &wide(&gate_up), |x| {
        dot(&compute(x), &dy)
    });
}

#[test]
fn cross_entropy_and_its_gradient() {
    // More rows than one block of logits.
    let (rows, width, vocabulary) = (head::ROWS + 5, 4, 7);
    let (x, weight) = (numbers(rows * width, 1), numbers(vocabulary * width, 2));
    let targets: Vec<u32> = (0..rows as u32).map(|i| i * i % 7).collect();
    let compute = |x: &[f64], w: &[f64]| {
        reference::cross_entropy(&reference::linear(x, w, vocabulary), &targets)
    };
    let mean = |losses: Vec<f64>| losses.iter().sum::<f64>() / rows as f64;
    let (mut losses, mut logits) = (vec![0.0; rows], vec![0.0; head::ROWS * vocabulary]);
    let (mut dx, mut dweight) = (vec![9.0; rows * width], vec![9.0; vocabulary * width]);
    let to = head::Gradients {
        rows: &mut dx,
        weight: &mut dweight,
        start: Start::Zero,
    };
    let head = head::Head {
        weight: Matrix::new(&weight, width),
        width,
        vocabulary,
        tokens: rows,
    };
    head.cross_entropy(&x, &targets, &mut logits, &mut losses, Some(to));
    let (x, weight) = (wide(&x), wide(&weight));
    assert_near("losses", &losses, &compute(&x, &weight));
    assert_gradient("dx", &dx, &x, |x| mean(compute(x, &weight)));
    assert_gradient("dweight", &dweight, &weight, |w| mean(compute(&x, w)));
}

#[test]
fn a_heads_bits_do_not_depend_on_how_it_is_packed_nor_on_whether_gradients_are_wanted() {
    let (rows, width, vocabulary) = (head::ROWS + 37, 24, 75);
    let (x, weight) = (numbers(rows * width, 1), numbers(vocabulary * width, 2));
    let targets: Vec<u32> = (0..rows as u32).map(|i| i * i % 75).collect();
    let head = head::Head {
        weight: Matrix::new(&weight, width),
        width,
        vocabulary,
        tokens: rows,
    };
    let mut packed = Right::EMPTY;
    packed.pack(head.weight.t());
    let compute = |packed: Option<&Right>, is_wanted: bool| {
        let (mut losses, mut logits) = (vec![0.0; rows], vec![0.0; head::ROWS * vocabulary]);
        let (mut dx, mut dweight) = (vec![9.0; rows * width], vec![9.0; vocabulary * width]);
        let to = head::Gradients {
            rows: &mut dx,
            weight: &mut dweight,
            start: Start::Zero,
        };
        let to = is_wanted.then_some(to);
        head.in_blocks(packed, &x, &targets, &mut logits, &mut losses, to);
        (losses, dx, dweight)
    };
    let anew = compute(None, true);
    assert_eq!(compute(Some(&packed), true), anew);
    assert_eq!(compute(Some(&packed), false).0, anew.0);
    assert_eq!(compute(None, false).0, anew.0);
}

#[test]
fn cross_entropy_survives_large_logits() {
    let (mut losses, mut logits) = ([0.0; 2], [0.0; 4]);
    let weight = [1.0, -1.0];
    let head = head::Head {
        weight: Matrix::new(&weight, 1),
        width: 1,
        vocabulary: 2,
        tokens: 2,
    };
    head.cross_entropy(&[1e4, 1e4], &[0, 1], &mut logits, &mut losses, None);
    assert_eq!(losses[0], 0.0);
    assert!((losses[1] - 2e4).abs() < 1.0, "{}", losses[1]);
}

#[test]
fn embedding_and_its_gradient() {
    let table: Vec<f32> = numbers(5 * 3, 1);
    let tokens = [4, 0, 4, 2];
    let mut rows = vec![0.0; 12];
    embedding::forward(&tokens, &table, &mut rows, 3);
    let compute = |table: &[f64]| -> Vec<f64> {
        tokens
            .iter()
            .flat_map(|token| &table[*token as usize * 3..][..3])
            .copied()
            .collect()
    };
    assert_near("rows", &rows, &compute(&wide(&table)));
    let dy = numbers(12, 2);
    // The gradient is added to what was there.
    let mut dtable = vec![1.0; 15];
    embedding::backward(&tokens, &dy, &mut dtable, 3);
    dtable.iter_mut().for_each(|d| *d -= 1.0);
    assert_gradient("dtable", &dtable, &wide(&table), |table| {
        dot(&compute(table), &dy)
    });
}
