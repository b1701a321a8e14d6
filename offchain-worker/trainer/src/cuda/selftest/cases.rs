//! One comparison per kernel.

use half::bf16;

use super::{
    contribution,
    lab::{error, wide, Lab, Work},
    muon, reference,
};
use crate::cuda::{
    device::Buffer,
    error::CudaError,
    gemm::{Form, Out, Sizes},
    ops::{for_width, Heads, ROWS_PER_PARTIAL},
    plan::{norm_partials, sorted},
};

type Done = Result<(), CudaError>;

/// One rounding to bfloat16 is 2⁻⁹ of the value; a kernel may round twice and come near a boundary.
const ROUNDED: f64 = 1.0 / 128.0;
/// Sums of some thousand floats.
const FLOATS: f64 = 1e-4;
/// Attention rounds probabilities before it adds them up.
const ATTENTION: f64 = 1.0 / 64.0;
/// Its gradients pass through three roundings, and differences of numbers that were rounded.
const ATTENTION_GRADIENT: f64 = 1.0 / 16.0;

/// All kernels but those that depend on the heads' width.
pub fn all_but_attention(lab: &mut Lab, large: bool) -> Done {
    let sizes: &[(usize, usize)] = if large {
        &[(16_384, 2048)]
    } else {
        &[(1, 8), (70, 136), (150, 328)]
    };
    for (rows, width) in sizes {
        norm(lab, *rows, *width)?;
        swiglu(lab, *rows, *width)?;
        embedding(lab, *rows, *width)?;
        head(
            lab,
            if large { 4096 } else { *rows },
            if large { 32_768 } else { *width * 4 },
        )?;
        gradient_norm(lab, rows * width + 3)?;
        round(lab, rows * width + 5)?;
        ranks(lab, rows * width + 7)?;
    }
    contribution::all(lab, if large { 8192 } else { 2 })?;
    let matrices: &[((usize, usize), usize)] = if large {
        &[((2048, 8192), 2048)]
    } else {
        // Keys have fewer rows than columns, gate and up more; the rest is of low rank.
        &[
            ((8, 24), 8),
            ((72, 24), 24),
            ((40, 40), 40),
            ((136, 200), 136),
            ((64, 96), 4),
            ((96, 64), 4),
        ]
    };
    matrices
        .iter()
        .try_for_each(|(sides, rank)| muon::orthogonal(lab, *sides, *rank))?;
    let products: &[(usize, usize, usize)] = if large {
        &[(8192, 8192, 2048)]
    } else {
        &[(8, 8, 8), (72, 40, 104)]
    };
    products
        .iter()
        .try_for_each(|sizes| products_of(lab, *sizes))
}

fn floats(buffer: &Buffer<f32>, lab: &Lab) -> Result<Vec<f64>, CudaError> {
    Ok(wide(&lab.device.downloaded(buffer)?))
}

fn halves(buffer: &Buffer<bf16>, device: &crate::cuda::Device) -> Result<Vec<f64>, CudaError> {
    Ok(wide(&device.downloaded(buffer)?))
}

fn norm(lab: &mut Lab, rows: usize, width: usize) -> Done {
    let device = lab.device;
    let (input, input_at) = lab.floats(rows * width, 2.0)?;
    let (branch, branch_at) = lab.rounded(rows * width, 1.0)?;
    let (weight, weight_at) = lab.floats(width, 1.5)?;
    let (dy, dy_at) = lab.rounded(rows * width, 1.0)?;
    let stream = device.buffer::<f32>(rows * width, "a test")?;
    let normed = device.buffer::<bf16>(rows * width, "a test")?;
    let rates = device.buffer::<f32>(rows, "a test")?;
    let parameters = wide(&weight);
    lab.trial(
        "residual_norm_forward",
        ROUNDED,
        Work::Bytes(rows * width * (4 + 2 + 4 + 2)),
        || {
            device.residual_norm_forward(
                stream.ptr(),
                normed.ptr(),
                rates.ptr(),
                input_at.ptr(),
                branch_at.ptr(),
                weight_at.ptr(),
                rows,
                width,
            )
        },
        || {
            let sum: Vec<f64> = input
                .iter()
                .zip(&branch)
                .map(|(x, b)| f64::from(*x) + b)
                .collect();
            let (want, want_rates) = reference::norm(&sum, &parameters);
            let first = error(halves(&normed, device)?, &want);
            let second = error(wide(&device.downloaded(&rates)?), &want_rates);
            let third = error(wide(&device.downloaded(&stream)?), &sum);
            Ok(first.max(second).max(third))
        },
    )?;
    let x = floats(&stream, lab)?;
    let (before, dstream) = lab.floats(rows * width, 0.5)?;
    let rounded = device.buffer::<bf16>(rows * width, "a test")?;
    let partial = device.buffer::<f32>(rows.div_ceil(ROWS_PER_PARTIAL) * width, "a test")?;
    let (weight_before, dweight) = lab.floats(width, 1.0)?;
    lab.trial(
        "norm_backward",
        ROUNDED,
        Work::Bytes(rows * width * (2 + 4 + 4 + 4 + 2)),
        || {
            device.norm_backward(
                dstream.ptr(),
                rounded.ptr(),
                partial.ptr(),
                dweight.ptr(),
                dy_at.ptr(),
                stream.ptr(),
                weight_at.ptr(),
                rates.ptr(),
                rows,
                width,
            )
        },
        || {
            let (mut dx, mut dw) = reference::norm_backward(&x, &parameters, &dy);
            dx.iter_mut()
                .zip(&before)
                .for_each(|(dx, before)| *dx += f64::from(*before));
            dw.iter_mut()
                .zip(&weight_before)
                .for_each(|(dw, before)| *dw += f64::from(*before));
            let first = error(wide(&device.downloaded(&dstream)?), &dx);
            let second = error(halves(&rounded, device)?, &dx);
            let third = error(wide(&device.downloaded(&dweight)?), &dw);
            Ok(first.max(second).max(third))
        },
    )
}

fn swiglu(lab: &mut Lab, rows: usize, width: usize) -> Done {
    let device = lab.device;
    let (gate_up, gate_up_at) = lab.rounded(rows * 2 * width, 4.0)?;
    let (dhidden, dhidden_at) = lab.rounded(rows * width, 1.0)?;
    let hidden = device.buffer::<bf16>(rows * width, "a test")?;
    lab.trial(
        "swiglu_forward",
        ROUNDED,
        Work::Bytes(rows * width * 6),
        || device.swiglu_forward(hidden.ptr(), gate_up_at.ptr(), rows, width),
        || {
            Ok(error(
                halves(&hidden, device)?,
                &reference::swiglu(&gate_up, width),
            ))
        },
    )?;
    lab.trial(
        "swiglu_backward",
        ROUNDED,
        Work::Bytes(rows * width * 10),
        || device.swiglu_backward(gate_up_at.ptr(), dhidden_at.ptr(), rows, width),
        || {
            let want = reference::swiglu_backward(&gate_up, &dhidden, width);
            Ok(error(halves(&gate_up_at, device)?, &want))
        },
    )
}

/// What came from the other ranks, added by a rank in the middle.
fn ranks(lab: &mut Lab, length: usize) -> Done {
    let (device, of) = (lab.device, (1, 3));
    let (own, _) = lab.floats(length, 1.0)?;
    let (others, others_at) = lab.floats(2 * length, 1.0)?;
    let (before, behind) = others.split_at(length);
    let sums = own.iter().zip(before).zip(behind);
    let sums: Vec<f64> = sums
        .map(|((own, before), behind)| f64::from(before + own + behind))
        .collect();
    // Launched once for each comparison: the sum takes the place of what is added.
    let once = device.uploaded(&own, "a test")?;
    lab.trial(
        "add_ranks",
        0.0,
        Work::Bytes(length * 16),
        || device.add_ranks(once.ptr(), others_at.ptr(), length, of),
        || Ok(error(wide(&device.downloaded(&once)?), &sums)),
    )?;
    let report = device.uploaded(&[2.0, 4.0], "a test")?;
    let reports_at = device.uploaded(&[1.0, 3.0, 5.0, 12.0], "a test")?;
    lab.trial(
        "join_reports",
        0.0,
        Work::Bytes(48),
        || device.join_reports(report.ptr(), reports_at.ptr(), of),
        || Ok(error(device.downloaded(&report)?, &[8.0, 13.0])),
    )
}

fn embedding(lab: &mut Lab, rows: usize, width: usize) -> Done {
    let device = lab.device;
    // Few tokens, so that many rows belong to one.
    let vocabulary = 24;
    let (table, table_at) = lab.floats(vocabulary * width, 1.0)?;
    let tokens: Vec<u32> = (0..rows).map(|_| lab.below(vocabulary as u32)).collect();
    let tokens_at = device.uploaded(&tokens, "a test")?;
    let stream = device.buffer::<f32>(rows * width, "a test")?;
    lab.trial(
        "embedding_forward",
        0.0,
        Work::Bytes(rows * width * 8),
        || device.embedding_forward(stream.ptr(), table_at.ptr(), tokens_at.ptr(), rows, width),
        || {
            let row = |token: &u32| wide(&table[*token as usize * width..][..width]);
            let want: Vec<f64> = tokens.iter().flat_map(row).collect();
            Ok(error(wide(&device.downloaded(&stream)?), &want))
        },
    )?;
    let (order, starts) = sorted(&tokens);
    let (order_at, starts_at) = (
        device.uploaded(&order, "a test")?,
        device.uploaded(&starts, "a test")?,
    );
    let buckets = device.uploaded(&[starts.len() as u32 - 1], "a test")?;
    let (drows, drows_at) = lab.floats(rows * width, 1.0)?;
    lab.trial(
        "embedding_backward",
        FLOATS,
        Work::Bytes(rows * width * 4),
        || {
            device.embedding_backward(
                table_at.ptr(),
                drows_at.ptr(),
                tokens_at.ptr(),
                order_at.ptr(),
                starts_at.ptr(),
                buckets.ptr(),
                rows,
                width,
            )
        },
        || {
            let mut want = wide(&table);
            for (token, row) in tokens.iter().zip(drows.chunks(width)) {
                let to = &mut want[*token as usize * width..][..width];
                to.iter_mut()
                    .zip(row)
                    .for_each(|(to, x)| *to += f64::from(*x));
            }
            Ok(error(wide(&device.downloaded(&table_at)?), &want))
        },
    )
}

fn head(lab: &mut Lab, rows: usize, vocabulary: usize) -> Done {
    let device = lab.device;
    let (logits, logits_at) = lab.floats(rows * vocabulary, 8.0)?;
    let targets: Vec<u32> = (0..rows).map(|_| lab.below(vocabulary as u32)).collect();
    let targets_at = device.uploaded(&targets, "a test")?;
    let losses = device.buffer::<f32>(rows, "a test")?;
    let dlogits = device.buffer::<bf16>(rows * vocabulary, "a test")?;
    let share = 1.0 / rows as f32;
    lab.trial(
        "cross_entropy",
        ROUNDED,
        Work::Bytes(rows * vocabulary * 6),
        || {
            device.cross_entropy(
                losses.ptr(),
                dlogits.ptr(),
                logits_at.ptr(),
                targets_at.ptr(),
                rows,
                vocabulary,
                share,
            )
        },
        || {
            let (want, dwant) =
                reference::cross_entropy(&wide(&logits), &targets, vocabulary, share.into());
            let first = error(wide(&device.downloaded(&losses)?), &want);
            Ok(first.max(error(halves(&dlogits, device)?, &dwant)))
        },
    )?;
    let total = device.uploaded(&[1.5f64], "a test")?;
    let each = floats(&losses, lab)?;
    lab.trial(
        "add_losses",
        1e-12,
        Work::Bytes(rows * 4),
        || device.add_losses(total.ptr(), losses.ptr(), rows),
        || {
            Ok(error(
                device.downloaded(&total)?,
                &[1.5 + each.iter().sum::<f64>()],
            ))
        },
    )
}

fn gradient_norm(lab: &mut Lab, length: usize) -> Done {
    let device = lab.device;
    let (numbers, numbers_at) = lab.floats(length, 1.0)?;
    let partial = device.buffer::<f64>(norm_partials(length), "a test")?;
    let norm = device.buffer::<f64>(1, "a test")?;
    lab.trial(
        "gradient_norm",
        1e-12,
        Work::Bytes(length * 4),
        || device.norm(norm.ptr(), partial.ptr(), numbers_at.ptr(), length),
        || {
            let want = wide(&numbers).iter().map(|x| x * x).sum::<f64>().sqrt();
            Ok(error(device.downloaded(&norm)?, &[want]))
        },
    )
}

fn round(lab: &mut Lab, length: usize) -> Done {
    let device = lab.device;
    let (mut numbers, mut numbers_at) = lab.floats(length, 1.0)?;
    let special = [
        f32::INFINITY,
        f32::MAX,
        1.0 + 1.0 / 256.0,
        1.0 + 3.0 / 256.0,
        -0.0,
        1e-40,
    ];
    numbers
        .iter_mut()
        .zip(special)
        .for_each(|(x, special)| *x = special);
    device.upload(&numbers, &mut numbers_at)?;
    let rounded = device.buffer::<bf16>(length, "a test")?;
    lab.trial(
        "round_floats",
        0.0,
        Work::Bytes(length * 6),
        || device.round(rounded.ptr(), numbers_at.ptr(), length),
        || {
            let got = device.downloaded(&rounded)?;
            let same = |(x, got): (&f32, &bf16)| bf16::from_f32(*x).to_bits() == got.to_bits();
            Ok(if numbers.iter().zip(&got).all(same) {
                0.0
            } else {
                f64::INFINITY
            })
        },
    )
}

fn products_of(lab: &mut Lab, (m, n, k): (usize, usize, usize)) -> Done {
    let device = lab.device;
    let (a, a_at) = lab.rounded(m * k, 1.0)?;
    let (b, b_at) = lab.rounded(k * n, 1.0)?;
    let (before, out) = lab.floats(m * n, 1.0)?;
    let rounded = device.buffer::<bf16>(m * n, "a test")?;
    let sizes = Sizes { m, n, k };
    let work = Work::Flops(2 * m * n * k);
    lab.trial(
        "product (forward)",
        ROUNDED,
        work,
        || {
            device.gemm.product(
                Form::RightTransposed,
                sizes,
                a_at.ptr(),
                b_at.ptr(),
                Out::Rounded(rounded.ptr()),
            )
        },
        || {
            let want = reference::product((m, n, k), |i, p| a[i * k + p], |p, j| b[j * k + p]);
            Ok(error(halves(&rounded, device)?, &want))
        },
    )?;
    lab.trial(
        "product (input's gradient)",
        ROUNDED,
        work,
        || {
            device.gemm.product(
                Form::Plain,
                sizes,
                a_at.ptr(),
                b_at.ptr(),
                Out::Rounded(rounded.ptr()),
            )
        },
        || {
            let want = reference::product((m, n, k), |i, p| a[i * k + p], |p, j| b[p * n + j]);
            Ok(error(halves(&rounded, device)?, &want))
        },
    )?;
    lab.trial(
        "product (weight's gradient)",
        FLOATS,
        work,
        || {
            device.gemm.product(
                Form::LeftTransposed,
                sizes,
                a_at.ptr(),
                b_at.ptr(),
                Out::Added(out.ptr()),
            )
        },
        || {
            let mut want = reference::product((m, n, k), |i, p| a[p * m + i], |p, j| b[p * n + j]);
            want.iter_mut()
                .zip(&before)
                .for_each(|(want, before)| *want += f64::from(*before));
            Ok(error(wide(&device.downloaded(&out)?), &want))
        },
    )?;
    let logits = device.buffer::<f32>(m * n, "a test")?;
    lab.trial(
        "product (logits)",
        FLOATS,
        work,
        || {
            device.gemm.product(
                Form::RightTransposed,
                sizes,
                a_at.ptr(),
                b_at.ptr(),
                Out::Floats(logits.ptr()),
            )
        },
        || {
            let want = reference::product((m, n, k), |i, p| a[i * k + p], |p, j| b[j * k + p]);
            Ok(error(wide(&device.downloaded(&logits)?), &want))
        },
    )
}

/// The kernels of heads of up to `width` numbers.
pub fn attention(lab: &mut Lab, width: usize, large: bool) -> Done {
    let sizes: &[(usize, u32, u32, u32)] = if large {
        &[(8, 2048, 16, 4)]
    } else {
        &[(2, 70, 2, 2), (1, 130, 2, 1)]
    };
    for (windows, length, queries, keys) in sizes {
        let of_width = |width: usize| Heads {
            length: *length,
            queries: *queries,
            keys: *keys,
            width: width as u32,
            scale: (1.0 / (width as f64).sqrt()) as f32,
        };
        attend(lab, &of_width(width), *windows)?;
        attend_kept(lab, &of_width(width))?;
        if !large {
            // Narrower than its kernel.
            attend(lab, &of_width(width - 8), *windows)?;
            attend_kept(lab, &of_width(width - 8))?;
        }
    }
    Ok(())
}

fn attend(lab: &mut Lab, heads: &Heads, windows: usize) -> Done {
    let device = lab.device;
    let rows = windows * heads.length as usize;
    let out_width = (heads.queries * heads.width) as usize;
    let width = Heads::kernel_width(heads.width as usize).unwrap_or(128);
    rotate(lab, heads, windows)?;
    let (qkv, qkv_at) = lab.rounded(rows * heads.row(), 2.0)?;
    let (dout, dout_at) = lab.rounded(rows * out_width, 1.0)?;
    let out = device.buffer::<bf16>(rows * out_width, "a test")?;
    let stats = rows * heads.queries as usize;
    let lse = device.buffer::<f32>(stats, "a test")?;
    let delta = device.buffer::<f32>(stats, "a test")?;
    let dqkv = device.buffer::<bf16>(rows * heads.row(), "a test")?;
    // Half of the scores are never computed.
    let product = stats * heads.length as usize * heads.width as usize;
    let mut want = None;
    lab.trial(
        for_width!("attention_forward", width),
        ATTENTION,
        Work::Flops(2 * product),
        || device.attention_forward(out.ptr(), lse.ptr(), qkv_at.ptr(), heads, windows),
        || {
            let (want_out, want_dqkv) = reference::attention(&qkv, &dout, heads);
            let error = error(halves(&out, device)?, &want_out);
            want = Some(want_dqkv);
            Ok(error)
        },
    )?;
    lab.trial(
        for_width!("attention_backward", width),
        ATTENTION_GRADIENT,
        Work::Flops(5 * product),
        || {
            device.attention_backward(
                dqkv.ptr(),
                dout_at.ptr(),
                delta.ptr(),
                out.ptr(),
                lse.ptr(),
                qkv_at.ptr(),
                heads,
                windows,
            )
        },
        || Ok(error(halves(&dqkv, device)?, &want.unwrap_or_default())),
    )
}

/// Rows of a window that attend to what is kept of those before them, and of themselves.
const LAST: usize = 5;

/// A window is kept in two pieces, and the second attends.
fn attend_kept(lab: &mut Lab, heads: &Heads) -> Done {
    let device = lab.device;
    let (length, row) = (heads.length as usize, heads.row());
    let (asked, width) = (
        (heads.queries * heads.width) as usize,
        (heads.keys * heads.width) as usize,
    );
    let first = length - LAST;
    let (qkv, qkv_at) = lab.rounded(length * row, 2.0)?;
    let keys = device.buffer::<bf16>(length * width, "a test")?;
    let values = device.buffer::<bf16>(length * width, "a test")?;
    let mixed = device.buffer::<bf16>(LAST * asked, "a test")?;
    let kept = (keys.ptr(), values.ptr());
    lab.trial(
        "keep_rows",
        0.0,
        Work::Bytes(8 * length * width),
        || {
            device.keep_rows(kept, qkv_at.ptr(), first, 0, heads)?;
            device.keep_rows(kept, qkv_at.at(first * row), LAST, first, heads)
        },
        || {
            let of = |from: usize| -> Vec<f64> {
                let rows = qkv.chunks_exact(row);
                rows.flat_map(|row| row[from..from + width].to_vec())
                    .collect()
            };
            let (want_keys, want_values) = (of(asked), of(asked + width));
            let first = error(halves(&keys, device)?, &want_keys);
            Ok(first.max(error(halves(&values, device)?, &want_values)))
        },
    )?;
    lab.trial(
        "attend_kept",
        ATTENTION,
        Work::Bytes(4 * length * width),
        || {
            device.attend_kept(
                mixed.ptr(),
                qkv_at.at(first * row),
                kept,
                LAST,
                first,
                heads,
            )
        },
        || {
            let (want, _) = reference::attention(&qkv, &vec![0.0; length * asked], heads);
            Ok(error(halves(&mixed, device)?, &want[first * asked..]))
        },
    )
}

fn rotate(lab: &mut Lab, heads: &Heads, windows: usize) -> Done {
    let device = lab.device;
    let (rows, half) = (windows * heads.length as usize, heads.width as usize / 2);
    let (qkv, qkv_at) = lab.rounded(rows * heads.row(), 1.0)?;
    let angles: Vec<f64> = (0..heads.length as usize * half)
        .map(|_| f64::from(lab.number()) * 3.0)
        .collect();
    let table = |f: fn(f64) -> f64| -> Vec<f32> { angles.iter().map(|x| f(*x) as f32).collect() };
    let cosines = device.uploaded(&table(f64::cos), "a test")?;
    let sines = device.uploaded(&table(f64::sin), "a test")?;
    let turned = (heads.queries + heads.keys) as usize * heads.width as usize;
    lab.trial(
        "rotate",
        ROUNDED,
        Work::Bytes(rows * turned * 4),
        || {
            device.rotate(
                qkv_at.ptr(),
                cosines.ptr(),
                sines.ptr(),
                heads,
                windows,
                -1.0,
            )
        },
        || {
            Ok(error(
                halves(&qkv_at, device)?,
                &reference::rotate(&qkv, &angles, heads, -1.0),
            ))
        },
    )
}
