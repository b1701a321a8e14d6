//! What a real pseudo-gradient takes: the devnet's model, trained on the repository's corpus.

use std::path::{Path, PathBuf};

use cairn_data::{Corpus, TextTokenizer};
use cairn_gradient::{compress, outer_step, Contribution, Header, Work};
use cairn_primitives::{
    Compression, InnerOptimizer, Layout, ModelRoot, ModelShape, Nano, Netuid, OuterStep, Tensor,
    Uid, H256,
};
use cairn_trainer::{config, initial_parameters, AdamState, Trainer};

const ROUNDS: usize = 12;
const STEPS: usize = 10;
const WINDOWS: usize = 8;
const LENGTH: usize = 128;

fn corpus(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../data")
        .join(name)
}

/// The corpus's first tokens, as many as the test trains on.
fn tokens() -> Vec<u32> {
    let corpus_text = Corpus::read(&corpus("sotu.txt.zst"), 0.05).expect("there");
    let tokenizer = TextTokenizer::read(&corpus("tokenizer.json")).expect("there");
    let mut tokens = Vec::new();
    for document in corpus_text.training() {
        let encoded = tokenizer.encode(&[document], 0).expect("encodes");
        tokens.extend(encoded.into_iter().flatten());
        if tokens.len() > ROUNDS * STEPS * WINDOWS * LENGTH {
            break;
        }
    }
    tokens
}

fn optimizer() -> InnerOptimizer {
    let nano = |value| Nano::from_f64(value).expect("possible");
    InnerOptimizer {
        steps: STEPS as u16,
        sequences: WINDOWS as u16,
        sequence_length: LENGTH as u32,
        learning_rate: nano(3e-3),
        final_rate: nano(0.1),
        warmup_steps: 20,
        total_steps: 1_000,
        beta1: nano(0.9),
        beta2: nano(0.95),
        epsilon: nano(1e-8),
        weight_decay: nano(0.1),
        clip_norm: nano(1.0),
        trace_every: 1,
        matrices: Default::default(),
    }
}

fn density(kept_per_block: u16) -> Compression {
    Compression {
        kept_per_block,
        error_decay: Nano(950_000_000),
        turn: None,
    }
}

/// β · error + Δ of the last of several rounds of one miner, and what it says of itself.
fn accumulated(shape: &ModelShape, layout: &Layout) -> (Vec<f32>, Header) {
    let tokens = tokens();
    let windows: Vec<&[u32]> = (0..ROUNDS * STEPS * WINDOWS)
        .map(|number| &tokens[number * LENGTH..number * LENGTH + LENGTH + 1])
        .collect();
    let mut trainer = Trainer::new(shape, 2).expect("possible");
    let mut theta = initial_parameters(shape, 1);
    let (mut adam, mut error) = (AdamState::new(theta.len()), vec![0.0; theta.len()]);
    let mut header = Header {
        netuid: Netuid(1),
        round: 0,
        hotkey: [1; 32].into(),
        parent_root: ModelRoot(H256([2; 32])),
        layout_hash: layout.hash(),
        inner_steps: STEPS as u32,
        tokens: (STEPS * WINDOWS * LENGTH) as u64,
        mean_loss: 0.0,
        work: Work::default(),
    };
    let outer = OuterStep {
        learning_rate: Nano::ONE,
        rho: Nano::ONE,
        clip: OuterStep::USUAL_CLIP,
        combine: Default::default(),
    };
    for (round, windows) in windows.chunks(STEPS * WINDOWS).enumerate() {
        let mut params = theta.clone();
        for batch in windows.chunks(WINDOWS) {
            header.mean_loss = trainer
                .step(&mut params, &mut adam, &optimizer(), batch)
                .expect("trains");
        }
        let delta: Vec<f32> = theta.iter().zip(&params).map(|(a, b)| a - b).collect();
        if round + 1 == ROUNDS {
            let sum = error.iter().zip(&delta).map(|(e, d)| 0.95 * e + d);
            return (sum.collect(), header);
        }
        let compression = density(64);
        let (sent, _) =
            compress(layout, &compression, &delta, &mut error, header.clone()).expect("finite");
        outer_step(&mut theta, layout, &[(Uid(0), 1, sent)], &outer).expect("goes together");
    }
    unreachable!("the last round returns")
}

fn squared(values: impl Iterator<Item = f32>) -> f64 {
    values.map(|value| f64::from(value).powi(2)).sum()
}

/// The quantiser of Templar's release 2.1: four bins of 1.5 standard deviations around the mean of all values
/// sent of a tensor, each value standing for the mean of its bin.
fn templar(values: &[f32]) -> Vec<f32> {
    let count = values.len() as f64;
    let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
    let centred: Vec<f64> = values.iter().map(|v| f64::from(*v) - mean).collect();
    let variance = centred.iter().map(|c| c * c).sum::<f64>() / (count - 1.0);
    let scale = match 1.5 * variance.sqrt() {
        scale if scale.is_finite() && scale > 0.0 => scale,
        _ => 1.0,
    };
    let bin = |c: f64| (c / scale + 2.0).round_ties_even().clamp(0.0, 3.0) as usize;
    let mut bins = [(0.0, 0.0); 4];
    for c in &centred {
        let (sum, members) = &mut bins[bin(*c)];
        *sum += c;
        *members += 1.0;
    }
    let value = |c: &f64| {
        let (sum, members): (f64, f64) = bins[bin(*c)];
        (sum / members + mean) as f32
    };
    centred.iter().map(value).collect()
}

/// The squared error of a contribution, and of what Templar makes of the same values; in matrices.
fn errors(layout: &Layout, exact: &[f32], sent: &Contribution) -> (f64, f64) {
    let (mut ours, mut theirs) = (0.0, 0.0);
    for ((tensor, range), sent) in layout.ranges().zip(&sent.tensors) {
        if tensor.shape.len() != 2 {
            continue;
        }
        let exact = &exact[range];
        let (chosen, said): (Vec<f32>, Vec<f32>) = sent
            .values()
            .map(|(index, value)| (exact[index as usize], value))
            .unzip();
        ours += squared(chosen.iter().zip(&said).map(|(a, b)| a - b));
        theirs += squared(chosen.iter().zip(templar(&chosen)).map(|(a, b)| a - b));
    }
    (ours, theirs)
}

#[test]
fn templars_quantiser_is_templars() {
    // worked by hand: shift 0.0375, scale 4.93728
    let values = [-4.0, -3.0, -2.5, -2.0, 2.0, 2.2, 2.6, 5.0];
    let expected = [
        -3.166_667, -3.166_667, -3.166_667, 0.733_333, 0.733_333, 0.733_333, 3.8, 3.8,
    ];
    for (found, expected) in templar(&values).iter().zip(expected) {
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    }
}

#[test]
fn a_real_pseudo_gradient_is_sent_in_a_two_hundredth_with_less_error_than_templar() {
    let shape = config::named("tiny").expect("there");
    let layout = Layout::of(&shape);
    let (exact, header) = accumulated(&shape, &layout);
    assert!(
        header.mean_loss < 6.0,
        "it did not train: {}",
        header.mean_loss
    );
    let compressed = |kept| {
        let mut left = vec![0.0; exact.len()];
        let (sent, file) =
            compress(&layout, &density(kept), &exact, &mut left, header.clone()).expect("finite");
        (sent, file, squared(left.into_iter()))
    };
    let (sent, file, _) = compressed(64);
    let ratio = 4.0 * exact.len() as f64 / file.len() as f64;
    let (ours, theirs) = errors(&layout, &exact, &sent);
    // Templar's published size: 12 bits for a place and 2 for a value, 64 values of 4,096 of a matrix, and
    // all of a vector
    let values = |tensor: &Tensor| match tensor.shape.len() {
        2 => tensor.len() / 64,
        _ => tensor.len(),
    };
    let templar_bytes = layout.0.iter().map(values).sum::<usize>() * 14 / 8;
    let of_their_size = (64..=4_096)
        .map(compressed)
        .take_while(|(_, file, _)| file.len() <= templar_bytes)
        .last()
        .expect("64 fits");
    let unsent = left_by_templar(&layout, &exact, &sent);
    println!(
        "{} parameters in {} bytes: {ratio:.1} times below fp32; squared error of the values sent {:.2} of Templar's; \
         in Templar's {templar_bytes} bytes {:.3} of its whole error",
        exact.len(),
        file.len(),
        ours / theirs,
        of_their_size.2 / unsent,
    );
    assert!(ratio >= 205.0, "only {ratio:.1} times below fp32");
    assert!(ours < theirs);
    assert!(of_their_size.2 < unsent);
}

/// Templar's squared error of everything, sent or not: it sends all of a vector.
fn left_by_templar(layout: &Layout, exact: &[f32], sent: &Contribution) -> f64 {
    let (_, mut all) = errors(layout, exact, sent);
    for ((tensor, range), sent) in layout.ranges().zip(&sent.tensors) {
        let exact = &exact[range];
        if tensor.shape.len() == 2 {
            let chosen = squared(sent.values().map(|(index, _)| exact[index as usize]));
            all += squared(exact.iter().copied()) - chosen;
        } else {
            all += squared(exact.iter().zip(templar(exact)).map(|(a, b)| a - b));
        }
    }
    all
}
