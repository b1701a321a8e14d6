//! A model on a card, beside the same on the CPU. The card is that of `cuda-on-cpu`, which runs the kernels on the CPU.

mod common;

use cairn_inference::{Finish, Generation, InferenceError, Model, Order, Sampling, Sequence, Step};
use cairn_primitives::ModelShape;
use cairn_trainer::cuda::{compile::SOURCES, libraries::Library, CudaReader};
use cuda_on_cpu::Fake;

use common::{numbers, parameters};

/// How far a card's logits may be from the CPU's, and from its own where tokens were cut otherwise, relatively.
const NEAR: f64 = 0.06;

/// The spread of matrices.
const SPREAD: f32 = 0.2;

fn driver() -> &'static Fake {
    let sources = SOURCES.iter();
    let fake = cuda_on_cpu::driver(sources.map(|source| (source.name, source.kernels)));
    Library::Nvrtc
        .require()
        .expect("NVRTC is needed to test the CUDA backend: run `make cuda-tools`");
    fake
}

/// Grouped queries, and heads narrower than their kernel.
fn shape(tied_embeddings: bool) -> ModelShape {
    ModelShape {
        layers: 2,
        d_model: 96,
        heads: 4,
        kv_heads: 2,
        ffn: 160,
        vocabulary: 208,
        context: 160,
        rope_theta: 10_000,
        tied_embeddings,
    }
}

fn text(tokens: usize, seed: u64, shape: &ModelShape) -> Vec<u32> {
    let token = |x: f32| ((x + 1.0) / 2.0 * shape.vocabulary as f32) as u32;
    let tokens = numbers(tokens, seed).into_iter().map(token);
    tokens
        .map(|token| token.min(shape.vocabulary - 1))
        .collect()
}

/// The card's model and the CPU's.
fn both(tied: bool) -> (Model, Model) {
    driver();
    let shape = shape(tied);
    let params = parameters(&shape, SPREAD);
    let card = Model::on_card(&shape, &params, 0).unwrap();
    (card, Model::new(&shape, &params, 1).unwrap())
}

/// The logits after each token, read at once.
fn each(model: &Model, tokens: &[u32]) -> Vec<Vec<f32>> {
    let mut sequence = model.sequence(tokens.len()).unwrap();
    let mut rows = Vec::new();
    let take = |logits: &[f32]| rows.push(logits.to_vec());
    model.feed_each(&mut sequence, tokens, take).unwrap();
    assert_eq!(sequence.len(), tokens.len());
    assert_eq!(Some(sequence.logits()), rows.last().map(Vec::as_slice));
    rows
}

/// How far two vectors are apart, relative to the second's length.
fn apart(got: &[f32], want: &[f32]) -> f64 {
    assert_eq!(got.len(), want.len());
    let square = |x: f32| f64::from(x) * f64::from(x);
    let difference: f64 = got.iter().zip(want).map(|(a, b)| square(a - b)).sum();
    (difference / want.iter().map(|x| square(*x)).sum::<f64>()).sqrt()
}

fn assert_near(got: &[f32], want: &[f32], what: &str) {
    let apart = apart(got, want);
    assert!(apart < NEAR, "{what}: {apart}");
}

#[test]
fn logits_are_near_those_of_the_cpu_however_tokens_are_cut() {
    // Once more tokens than are read at once.
    for (tied, count) in [(true, 140), (false, 30)] {
        let (card, cpu) = both(tied);
        let tokens = text(count, 9, card.shape());
        let want = each(&cpu, &tokens);
        for (i, (got, want)) in each(&card, &tokens).iter().zip(&want).enumerate() {
            assert_near(got, want, &format!("token {i}"));
        }
        // One by one for a while, then in pieces.
        let mut sequence = card.sequence(count).unwrap();
        for i in 0..6 {
            let logits = card.feed(&mut sequence, &tokens[i..=i]).unwrap();
            assert_near(logits, &want[i], &format!("token {i}, alone"));
        }
        for piece in [6..8, 8..21, 21..count - 1, count - 1..count] {
            let last = piece.end - 1;
            let logits = card.feed(&mut sequence, &tokens[piece]).unwrap();
            assert_near(logits, &want[last], &format!("token {last}, in a piece"));
        }
        // Another text's logits are further away than that.
        assert!(apart(&want[count - 1], &want[count - 2]) > 10.0 * NEAR);
    }
}

#[test]
fn texts_that_take_turns_do_not_mix_and_the_same_calls_give_the_same_bits() {
    let (card, _) = both(true);
    let texts = [text(12, 9, card.shape()), text(12, 10, card.shape())];
    let alone = |tokens: &[u32]| {
        let mut sequence = card.sequence(12).unwrap();
        for token in tokens {
            card.feed(&mut sequence, &[*token]).unwrap();
        }
        sequence.logits().to_vec()
    };
    let want = [alone(&texts[0]), alone(&texts[1])];
    assert_ne!(want[0], want[1]);
    let mut sequences = [card.sequence(12).unwrap(), card.sequence(40).unwrap()];
    for i in 0..12 {
        for (sequence, tokens) in sequences.iter_mut().zip(&texts) {
            card.feed(sequence, &tokens[i..=i]).unwrap();
        }
    }
    for (sequence, want) in sequences.iter().zip(&want) {
        assert_eq!(sequence.logits(), want);
    }
}

#[test]
fn a_text_is_generated_to_its_end() {
    let (card, _) = both(true);
    let order = |most| Order {
        prompt: text(5, 9, card.shape()),
        most,
        sampling: Sampling::GREEDY,
        end: None,
        scores: Some(2),
        score_prompt: true,
    };
    let run = |most| {
        let mut generation = Generation::new(&card, order(most)).unwrap();
        let (mut read, mut chosen) = (0, Vec::new());
        loop {
            match generation.step(&card).unwrap() {
                Step::Read(scored) => read += scored.len(),
                Step::Chose(scored) => chosen.push(scored.token),
                Step::Done(finish) => return (read, chosen, finish),
            }
        }
    };
    let (read, chosen, finish) = run(7);
    assert_eq!((read, chosen.len(), finish), (5, 7, Finish::Length));
    assert_eq!(run(7).1, chosen);
}

fn is_of_another(model: &Model, sequence: &mut Sequence) -> bool {
    let fed = model.feed(sequence, &[1]);
    matches!(fed, Err(InferenceError::Sequence))
}

#[test]
fn what_does_not_suit_is_refused_and_a_failure_changes_no_sequence() {
    let (card, cpu) = both(true);
    let (shape, params) = (card.shape().clone(), parameters(card.shape(), SPREAD));
    assert_eq!(cpu.device(), "cpu");
    assert_ne!(card.device(), "cpu");
    assert_eq!(card.bytes(), 6 * params.len());
    let refused = Model::on_card(&shape, &params[1..], 0).err().unwrap();
    assert!(
        matches!(refused, InferenceError::Length { .. }),
        "{refused}"
    );
    let refused = Model::on_card(&shape, &params, 7).err().unwrap();
    assert!(refused.to_string().contains("no GPU 7"), "{refused}");
    let mut of_card = card.sequence(8).unwrap();
    assert!(is_of_another(&card, &mut cpu.sequence(8).unwrap()));
    assert!(is_of_another(&cpu, &mut of_card));
    assert!(card.feed(&mut of_card, &[shape.vocabulary]).is_err());
    // Keys and values of two layers, in bfloat16.
    assert_eq!(of_card.bytes(), 2 * 2 * 2 * 8 * 48);

    let before = card.feed(&mut of_card, &[3, 4]).unwrap().to_vec();
    let want = card
        .feed(&mut card.sequence(8).unwrap(), &[3, 4, 5])
        .unwrap()
        .to_vec();
    let fake = driver();
    for launches in [0, 9] {
        fake.fail_after(launches);
        let failed = card.feed(&mut of_card, &[5]);
        fake.fail_after(-1);
        assert!(matches!(failed, Err(InferenceError::Unsuitable(_))));
        assert_eq!((of_card.len(), of_card.logits()), (2, before.as_slice()));
    }
    let after = card.feed(&mut of_card, &[5]).unwrap();
    assert_near(after, &want, "after a failure");
}

/// Kernels would read angles behind those that there are.
#[test]
#[should_panic(expected = "longer than the model's context")]
fn a_text_has_no_more_room_than_the_model_has_positions() {
    driver();
    let shape = shape(true);
    let reader = CudaReader::new(&shape, &parameters(&shape, SPREAD), 0).unwrap();
    let context = shape.context as usize;
    assert!(reader.text(context).is_ok());
    let _ = reader.text(context + 1);
}
