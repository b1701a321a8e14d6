//! What the kernels should compute, written down plainly in double precision.

use super::super::ops::Heads;

/// Rows of `width` numbers, normalised, and the rates: y = w · x · rate.
pub fn norm(x: &[f64], weight: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let width = weight.len();
    let rate = |row: &[f64]| {
        let mean = row.iter().map(|x| x * x).sum::<f64>() / width as f64;
        1.0 / (mean + 1e-5).sqrt()
    };
    let rates: Vec<f64> = x.chunks(width).map(rate).collect();
    let row = |(row, rate): (&[f64], &f64)| -> Vec<f64> {
        row.iter().zip(weight).map(|(x, w)| w * x * rate).collect()
    };
    let normed = x.chunks(width).zip(&rates).flat_map(row).collect();
    (normed, rates)
}

/// The gradients of x and of the weight.
pub fn norm_backward(x: &[f64], weight: &[f64], dy: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let width = weight.len();
    let (_, rates) = norm(x, weight);
    let (mut dx, mut dweight) = (vec![0.0; x.len()], vec![0.0; width]);
    for (row, rate) in rates.iter().enumerate() {
        let at = row * width..(row + 1) * width;
        let (x, dy) = (&x[at.clone()], &dy[at.clone()]);
        let product: f64 = (0..width).map(|i| dy[i] * weight[i] * x[i]).sum();
        let pull = rate.powi(3) * product / width as f64;
        for (i, dx) in dx[at].iter_mut().enumerate() {
            *dx = rate * weight[i] * dy[i] - pull * x[i];
            dweight[i] += dy[i] * x[i] * rate;
        }
    }
    (dx, dweight)
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// silu(gate) · up for rows of gate and up.
pub fn swiglu(gate_up: &[f64], width: usize) -> Vec<f64> {
    let row = |row: &[f64]| -> Vec<f64> {
        let (gate, up) = row.split_at(width);
        let both = gate.iter().zip(up);
        both.map(|(g, u)| g * sigmoid(*g) * u).collect()
    };
    gate_up.chunks(2 * width).flat_map(row).collect()
}

/// The gradients of gate and up.
pub fn swiglu_backward(gate_up: &[f64], dhidden: &[f64], width: usize) -> Vec<f64> {
    let mut gradient = vec![0.0; gate_up.len()];
    let rows = gate_up.chunks(2 * width).zip(dhidden.chunks(width));
    for ((row, dout), to) in rows.zip(gradient.chunks_mut(2 * width)) {
        for (i, d) in dout.iter().enumerate() {
            let (g, u) = (row[i], row[width + i]);
            let s = sigmoid(g);
            to[i] = d * u * (s + g * s * (1.0 - s));
            to[width + i] = d * g * s;
        }
    }
    gradient
}

/// The first `turned` heads of each row turned by their position's angles.
pub fn rotate(rows: &[f64], angles: &[f64], heads: &Heads, sign: f64) -> Vec<f64> {
    let (width, row) = (heads.width as usize, heads.row());
    let (half, turned) = (width / 2, (heads.queries + heads.keys) as usize);
    let mut out = rows.to_vec();
    for (number, row) in out.chunks_mut(row).enumerate() {
        let position = number % heads.length as usize;
        for head in row.chunks_mut(width).take(turned) {
            for i in 0..half {
                let angle = sign * angles[position * half + i];
                let (a, b) = (head[i], head[half + i]);
                head[i] = a * angle.cos() - b * angle.sin();
                head[half + i] = b * angle.cos() + a * angle.sin();
            }
        }
    }
    out
}

/// Losses of rows of logits, and `share` times their gradients.
pub fn cross_entropy(
    logits: &[f64],
    targets: &[u32],
    vocabulary: usize,
    share: f64,
) -> (Vec<f64>, Vec<f64>) {
    let (mut losses, mut gradient) = (Vec::new(), Vec::new());
    for (row, target) in logits.chunks(vocabulary).zip(targets) {
        let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = row.iter().map(|x| (x - largest).exp()).sum();
        losses.push(sum.ln() + largest - row[*target as usize]);
        gradient.extend(row.iter().enumerate().map(|(i, x)| {
            let own = f64::from(i == *target as usize);
            share * ((x - largest).exp() / sum - own)
        }));
    }
    (losses, gradient)
}

/// Attention's output and, given the gradient of it, that of queries, keys and values.
pub fn attention(qkv: &[f64], dout: &[f64], heads: &Heads) -> (Vec<f64>, Vec<f64>) {
    let (length, width, row) = (heads.length as usize, heads.width as usize, heads.row());
    let (queries, keys) = (heads.queries as usize, heads.keys as usize);
    let (mut out, mut dqkv) = (vec![0.0; dout.len()], vec![0.0; qkv.len()]);
    let windows = qkv.len() / row / length;
    for (window, head) in (0..windows).flat_map(|w| (0..queries).map(move |h| (w, h))) {
        let key_head = head * keys / queries;
        let at = |position: usize, head: usize| (window * length + position) * row + head * width;
        let (key, value) = (queries + key_head, queries + keys + key_head);
        for i in 0..length {
            let q = at(i, head);
            let o = ((window * length + i) * queries + head) * width;
            let dot = |from: &[f64], a: usize, b: &[f64], c: usize| -> f64 {
                (0..width).map(|x| from[a + x] * b[c + x]).sum()
            };
            let scale = 1.0 / (width as f64).sqrt();
            let scores: Vec<f64> = (0..=i)
                .map(|j| dot(qkv, q, qkv, at(j, key)) * scale)
                .collect();
            let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = scores.iter().map(|s| (s - largest).exp()).sum();
            let p: Vec<f64> = scores.iter().map(|s| (s - largest).exp() / sum).collect();
            for (j, p) in p.iter().enumerate() {
                for x in 0..width {
                    out[o + x] += p * qkv[at(j, value) + x];
                }
            }
            let dp: Vec<f64> = (0..=i).map(|j| dot(dout, o, qkv, at(j, value))).collect();
            let mean: f64 = p.iter().zip(&dp).map(|(p, dp)| p * dp).sum();
            for j in 0..=i {
                let ds = p[j] * (dp[j] - mean) * scale;
                for x in 0..width {
                    dqkv[at(j, value) + x] += p[j] * dout[o + x];
                    dqkv[q + x] += ds * qkv[at(j, key) + x];
                    dqkv[at(j, key) + x] += ds * qkv[q + x];
                }
            }
        }
    }
    (out, dqkv)
}

/// `[m, k]` · `[k, n]` of whichever factors are transposed; `at(i, j)` of each.
pub fn product(
    (m, n, k): (usize, usize, usize),
    a: impl Fn(usize, usize) -> f64,
    b: impl Fn(usize, usize) -> f64,
) -> Vec<f64> {
    let element = |i, j| (0..k).map(|p| a(i, p) * b(p, j)).sum();
    (0..m)
        .flat_map(|i| (0..n).map(move |j| (i, j)))
        .map(|(i, j)| element(i, j))
        .collect()
}

/// What a block sends of `accumulated`, in single and double precision as the contribution's rule has it: places and
/// values; what is not sent stays.
pub fn compress(accumulated: &mut [f32], keep: usize) -> (Vec<u16>, Vec<f32>) {
    let mut order: Vec<usize> = (0..accumulated.len()).collect();
    order.sort_by(|a, b| {
        accumulated[*b]
            .abs()
            .total_cmp(&accumulated[*a].abs())
            .then(a.cmp(b))
    });
    let mut places = order[..keep].to_vec();
    let ascending: Vec<f32> = places.iter().rev().map(|i| accumulated[*i].abs()).collect();
    let total: f64 = ascending.iter().map(|x| f64::from(*x)).sum();
    let level = |mean: f64| half::bf16::from_f32(mean as f32).to_f32().min(65_280.0);
    let (mut below, mut best): (f64, Option<(f64, f32, f32, f32)>) = (0.0, None);
    for split in 1..keep {
        below += f64::from(ascending[split - 1]);
        let (low, high) = (
            below / split as f64,
            (total - below) / (keep - split) as f64,
        );
        let gain = below * low + (total - below) * high;
        let different = ascending[split - 1] != ascending[split];
        if different && best.is_none_or(|(most, ..)| gain > most) {
            best = Some((gain, level(low), level(high), ascending[split]));
        }
    }
    let only = level(total / keep as f64);
    let (low, high, threshold) = match best {
        Some((_, low, high, threshold)) if low < high => (low, high, threshold),
        _ => (only, only, f32::INFINITY),
    };
    places.sort_unstable();
    let send = |place: &usize| {
        let x = &mut accumulated[*place];
        let level = if x.abs() >= threshold { high } else { low };
        let sent = if level == 0.0 {
            0.0
        } else {
            level.copysign(*x)
        };
        *x -= sent;
        sent
    };
    let values = places.iter().map(send).collect();
    (places.iter().map(|place| *place as u16).collect(), values)
}
