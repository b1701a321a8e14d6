//! The same model once more: in `f64`, in plain loops, forward only. What the fast one is held to.

use cairn_primitives::{Layout, ModelShape};

pub fn norm(x: &[f64], weight: &[f64]) -> Vec<f64> {
    let width = weight.len();
    let row = |x: &[f64]| {
        let mean = x.iter().map(|x| x * x).sum::<f64>() / width as f64;
        let rate = 1.0 / (mean + 1e-5).sqrt();
        x.iter()
            .zip(weight)
            .map(|(x, w)| x * rate * w)
            .collect::<Vec<_>>()
    };
    x.chunks(width).flat_map(row).collect()
}

/// x·Wᵀ with W of `outer` rows.
pub fn linear(x: &[f64], weight: &[f64], outer: usize) -> Vec<f64> {
    let inner = weight.len() / outer;
    let dot = |x: &[f64], w: &[f64]| x.iter().zip(w).map(|(x, w)| x * w).sum::<f64>();
    x.chunks(inner)
        .flat_map(|x| weight.chunks(inner).map(move |w| dot(x, w)))
        .collect()
}

/// Rotates heads of `width` numbers; row *r* of `row` numbers is at position *r* mod `length`.
pub fn rotate(x: &[f64], row: usize, width: usize, length: usize, base: u32) -> Vec<f64> {
    turn(x, row, width, length, base, 1.0)
}

/// The inverse.
pub fn rotate_back(x: &[f64], row: usize, width: usize, length: usize, base: u32) -> Vec<f64> {
    turn(x, row, width, length, base, -1.0)
}

fn turn(x: &[f64], row: usize, width: usize, length: usize, base: u32, way: f64) -> Vec<f64> {
    let half = width / 2;
    let mut rotated = x.to_vec();
    for (r, (from, to)) in x.chunks(row).zip(rotated.chunks_mut(row)).enumerate() {
        for i in 0..row {
            let (head, place) = (i / width * width, i % width);
            let power = (place % half) as f64 * -2.0 / width as f64;
            let angle = way * (r % length) as f64 * f64::from(base).powf(power);
            let (other, sign) = if place < half {
                (place + half, -1.0)
            } else {
                (place - half, 1.0)
            };
            to[i] = from[i] * angle.cos() + sign * from[head + other] * angle.sin();
        }
    }
    rotated
}

/// Causal attention of one or more sequences of `length`; keys and values have `keys` heads each.
pub fn attention(
    (q, k, v): (&[f64], &[f64], &[f64]),
    (queries, keys): (usize, usize),
    width: usize,
    length: usize,
) -> Vec<f64> {
    let at = |row: usize, heads: usize, head: usize| (row * heads + head) * width;
    let mut output = vec![0.0; q.len()];
    for row in 0..q.len() / (queries * width) {
        let first = row - row % length;
        for head in 0..queries {
            let own = head / (queries / keys);
            let query = &q[at(row, queries, head)..][..width];
            let score = |other: usize| {
                let key = &k[at(other, keys, own)..][..width];
                query.iter().zip(key).map(|(q, k)| q * k).sum::<f64>() / (width as f64).sqrt()
            };
            let scores: Vec<f64> = (first..=row).map(score).collect();
            let sum: f64 = scores.iter().map(|score| score.exp()).sum();
            for (other, score) in (first..=row).zip(&scores) {
                for i in 0..width {
                    let value = v[at(other, keys, own) + i];
                    output[at(row, queries, head) + i] += score.exp() / sum * value;
                }
            }
        }
    }
    output
}

pub fn swiglu(gate: &[f64], up: &[f64]) -> Vec<f64> {
    gate.iter()
        .zip(up)
        .map(|(g, u)| g / (1.0 + (-g).exp()) * u)
        .collect()
}

/// The cross-entropy of each row.
pub fn cross_entropy(logits: &[f64], targets: &[u32]) -> Vec<f64> {
    let row = |(logits, target): (&[f64], &u32)| {
        logits.iter().map(|x| x.exp()).sum::<f64>().ln() - logits[*target as usize]
    };
    logits
        .chunks(logits.len() / targets.len())
        .zip(targets)
        .map(row)
        .collect()
}

fn add(x: &mut [f64], y: &[f64]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}

/// The cross-entropy of each token of the windows.
pub fn losses(shape: &ModelShape, params: &[f64], windows: &[&[u32]]) -> Vec<f64> {
    let layout = Layout::of(shape);
    let tensor = |name: &str| {
        let of_name = layout
            .ranges()
            .find(|(tensor, _)| tensor.name == format!("{name}.weight"));
        &params[of_name.unwrap().1]
    };
    let (d, ffn, length) = (
        shape.d_model as usize,
        shape.ffn as usize,
        windows[0].len() - 1,
    );
    let (heads, kv_heads) = (usize::from(shape.heads), usize::from(shape.kv_heads));
    let width = d / heads;
    let inputs = windows.iter().flat_map(|window| &window[..length]);
    let targets: Vec<u32> = windows
        .iter()
        .flat_map(|window| &window[1..])
        .copied()
        .collect();

    let embedding = tensor("model.embed_tokens");
    let mut x: Vec<f64> = inputs
        .flat_map(|token| &embedding[*token as usize * d..][..d])
        .copied()
        .collect();
    for layer in 0..shape.layers {
        let part = |name: &str| tensor(&format!("model.layers.{layer}.{name}"));
        let normed = norm(&x, part("input_layernorm"));
        let kv = kv_heads * width;
        let turn = |x: Vec<f64>, row| rotate(&x, row, width, length, shape.rope_theta);
        let q = turn(linear(&normed, part("self_attn.q_proj"), d), d);
        let k = turn(linear(&normed, part("self_attn.k_proj"), kv), kv);
        let v = linear(&normed, part("self_attn.v_proj"), kv);
        let mixed = attention((&q, &k, &v), (heads, kv_heads), width, length);
        add(&mut x, &linear(&mixed, part("self_attn.o_proj"), d));

        let normed = norm(&x, part("post_attention_layernorm"));
        let gate = linear(&normed, part("mlp.gate_proj"), ffn);
        let hidden = swiglu(&gate, &linear(&normed, part("mlp.up_proj"), ffn));
        add(&mut x, &linear(&hidden, part("mlp.down_proj"), d));
    }
    let head = if shape.tied_embeddings {
        embedding
    } else {
        tensor("lm_head")
    };
    let logits = linear(
        &norm(&x, tensor("model.norm")),
        head,
        shape.vocabulary as usize,
    );
    cross_entropy(&logits, &targets)
}

pub fn mean_loss(shape: &ModelShape, params: &[f64], windows: &[&[u32]]) -> f64 {
    let losses = losses(shape, params, windows);
    losses.iter().sum::<f64>() / losses.len() as f64
}
