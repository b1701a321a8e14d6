//! A model that reads token by token, beside the trainer that reads all at once.

mod common;

use cairn_inference::{scores, Finish, Generation, InferenceError, Model, Order, Sampling, Step};
use cairn_primitives::ModelShape;
use cairn_trainer::Trainer;

use common::{numbers, parameters};

/// Grouped queries, more than 256 positions, and no size that is a multiple of a vector's.
fn odd(tied_embeddings: bool) -> ModelShape {
    ModelShape {
        layers: 2,
        d_model: 84,
        heads: 6,
        kv_heads: 2,
        ffn: 150,
        vocabulary: 611,
        context: 600,
        rope_theta: 10_000,
        tied_embeddings,
    }
}

/// The spread of matrices.
const SPREAD: f32 = 0.3;

fn text(tokens: usize, shape: &ModelShape) -> Vec<u32> {
    let token = |x: f32| ((x + 1.0) / 2.0 * shape.vocabulary as f32) as u32;
    let tokens = numbers(tokens, 9).into_iter().map(token);
    tokens
        .map(|token| token.min(shape.vocabulary - 1))
        .collect()
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|x| x.to_bits()).collect()
}

fn order(prompt: Vec<u32>, most: usize) -> Order {
    Order {
        prompt,
        most,
        sampling: Sampling::GREEDY,
        end: None,
        scores: None,
        score_prompt: false,
    }
}

/// The tokens that a generation chooses, and why it ended.
fn run(model: &Model, order: Order) -> (Vec<u32>, Finish) {
    let mut generation = Generation::new(model, order).unwrap();
    let mut chosen = Vec::new();
    loop {
        match generation.step(model).unwrap() {
            Step::Read(_) => {}
            Step::Chose(scored) => chosen.push(scored.token),
            Step::Done(finish) => return (chosen, finish),
        }
    }
}

#[test]
fn logits_have_the_bits_of_the_whole_forward_pass() {
    for tied in [true, false] {
        let shape = odd(tied);
        let (params, tokens) = (parameters(&shape, SPREAD), text(600, &shape));
        let whole = Trainer::new(&shape, 2)
            .unwrap()
            .logits(&params, &tokens)
            .unwrap();
        let rows: Vec<_> = whole.chunks(shape.vocabulary as usize).map(bits).collect();
        for threads in [1, 3] {
            let model = Model::new(&shape, &params, threads).unwrap();
            // One by one for a while, then in pieces of any length, then the rest at once.
            let mut sequence = model.sequence(600).unwrap();
            for i in 0..70 {
                let logits = model.feed(&mut sequence, &tokens[i..=i]).unwrap();
                assert_eq!(bits(logits), rows[i], "token {i}, {threads} threads");
            }
            for piece in [70..72, 72..107, 107..300, 300..301] {
                let last = piece.end - 1;
                let logits = model.feed(&mut sequence, &tokens[piece]).unwrap();
                assert_eq!(bits(logits), rows[last], "token {last}, {threads} threads");
            }
            let mut at = 301;
            let each = |logits: &[f32]| {
                assert_eq!(bits(logits), rows[at], "token {at}, {threads} threads");
                at += 1;
            };
            model
                .feed_each(&mut sequence, &tokens[301..], each)
                .unwrap();
            assert_eq!((at, sequence.len()), (600, 600));
            assert_eq!(bits(sequence.logits()), rows[599]);
        }
    }
}

#[test]
fn greedy_text_is_the_same_without_keys_and_values_kept() {
    let shape = odd(true);
    let params = parameters(&shape, SPREAD);
    let model = Model::new(&shape, &params, 2).unwrap();
    let (chosen, finish) = run(&model, order(text(20, &shape), 40));
    assert_eq!(finish, Finish::Length);
    let mut trainer = Trainer::new(&shape, 2).unwrap();
    let mut tokens = text(20, &shape);
    for _ in 0..40 {
        let logits = trainer.logits(&params, &tokens).unwrap();
        let last = &logits[logits.len() - shape.vocabulary as usize..];
        tokens.push(scores::largest(last).unwrap());
    }
    assert_eq!(chosen, tokens[20..]);
    // Not the same token again and again, which would show little.
    let mut kinds = chosen;
    kinds.sort_unstable();
    kinds.dedup();
    assert!(kinds.len() > 5, "{kinds:?}");
}

#[test]
fn a_text_ends_where_it_should() {
    let shape = odd(true);
    let model = Model::new(&shape, &parameters(&shape, SPREAD), 1).unwrap();
    let (free, _) = run(&model, order(text(20, &shape), 8));
    let place = free.iter().position(|token| *token == free[5]).unwrap();
    let ending = Order {
        end: Some(free[5]),
        ..order(text(20, &shape), 8)
    };
    assert_eq!(run(&model, ending), (free[..=place].to_vec(), Finish::End));
    assert_eq!(
        run(&model, order(text(20, &shape), 0)),
        (vec![], Finish::Length)
    );
    // The context holds 600: the token after the last is chosen, and never read.
    let (chosen, finish) = run(&model, order(text(598, &shape), 100));
    assert_eq!((chosen.len(), finish), (3, Finish::Length));
    let (chosen, _) = run(&model, order(text(600, &shape), usize::MAX));
    assert_eq!(chosen.len(), 1);
}

#[test]
fn a_seed_repeats_a_text_and_another_makes_another() {
    let shape = odd(false);
    let model = Model::new(&shape, &parameters(&shape, SPREAD), 2).unwrap();
    let text = |seed| {
        let sampling = Sampling {
            temperature: 1.0,
            top_k: 50,
            top_p: 0.95,
            seed,
        };
        let order = Order {
            sampling,
            ..order(text(5, &shape), 20)
        };
        run(&model, order).0
    };
    assert_eq!(text(1), text(1));
    assert_ne!(text(1), text(2));
}

#[test]
fn scores_of_given_tokens_are_the_trainers_losses() {
    let shape = odd(true);
    let params = parameters(&shape, SPREAD);
    let model = Model::new(&shape, &params, 2).unwrap();
    let tokens = text(300, &shape);
    let scored = Order {
        scores: Some(3),
        score_prompt: true,
        ..order(tokens.clone(), 2)
    };
    let mut generation = Generation::new(&model, scored).unwrap();
    let (mut read, mut chosen) = (Vec::new(), Vec::new());
    loop {
        match generation.step(&model).unwrap() {
            Step::Read(some) => read.extend(some),
            Step::Chose(one) => chosen.push(one),
            Step::Done(_) => break,
        }
    }
    let found: Vec<u32> = read.iter().map(|one| one.token).collect();
    assert_eq!((found, chosen.len()), (tokens.clone(), 2));
    assert_eq!((read[0].logprob, read[0].likeliest.len()), (None, 0));
    let sum: f64 = read.iter().filter_map(|one| one.logprob).sum();
    let loss = Trainer::new(&shape, 1)
        .unwrap()
        .losses(&params, &[&tokens])
        .unwrap();
    let mean = -sum / 299.0;
    assert!(
        (mean - f64::from(loss[0])).abs() < 1e-5 * mean,
        "{mean} for {loss:?}"
    );
    for one in read.iter().skip(1).chain(&chosen) {
        assert_eq!(one.likeliest.len(), 3);
        assert!(one.logprob.unwrap() <= one.likeliest[0].1);
    }
    // What is chosen greedily is the likeliest.
    assert!(chosen.iter().all(|one| one.likeliest[0].0 == one.token));
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let shape = odd(true);
    let params = parameters(&shape, SPREAD);
    let model = Model::new(&shape, &params, 1).unwrap();
    let mut sequence = model.sequence(4).unwrap();
    let before = bits(model.feed(&mut sequence, &[1, 2]).unwrap());
    let refused = model.feed(&mut sequence, &[3, 4, 5]);
    assert!(matches!(
        refused,
        Err(InferenceError::Full { tokens: 5, room: 4 })
    ));
    let refused = model.feed(&mut sequence, &[3, 611]);
    assert!(matches!(
        refused,
        Err(InferenceError::Token {
            place: 1,
            token: 611,
            vocabulary: 611
        })
    ));
    let refused = model.feed(&mut sequence, &[]);
    assert!(matches!(refused, Err(InferenceError::EmptyPrompt)));
    assert_eq!((sequence.len(), bits(sequence.logits())), (2, before));
    assert!(model.feed(&mut sequence, &[3, 4]).is_ok());

    let begun = |prompt| Generation::new(&model, order(prompt, 1)).err();
    assert!(matches!(begun(vec![]), Some(InferenceError::EmptyPrompt)));
    let full = begun(vec![1; 601]);
    assert!(matches!(
        full,
        Some(InferenceError::Full {
            tokens: 601,
            room: 600
        })
    ));
    let unknown = begun(vec![1, 2, u32::MAX]);
    assert!(matches!(
        unknown,
        Some(InferenceError::Token { place: 2, .. })
    ));
    assert!(matches!(
        model.sequence(601),
        Err(InferenceError::Full { .. })
    ));
}

#[test]
fn what_is_no_model_is_refused() {
    let shape = odd(true);
    let params = parameters(&shape, SPREAD);
    let short = Model::new(&shape, &params[1..], 1);
    assert!(matches!(short, Err(InferenceError::Length { .. })));
    assert!(matches!(
        Model::new(&shape, &params, 0),
        Err(InferenceError::Threads { .. })
    ));
    let none = ModelShape {
        heads: 0,
        ..shape.clone()
    };
    assert!(matches!(
        Model::new(&none, &params, 1),
        Err(InferenceError::Unsuitable(_))
    ));
    let broken = vec![f32::NAN; params.len()];
    let model = Model::new(&shape, &broken, 1).unwrap();
    let mut generation = Generation::new(&model, order(vec![1], 1)).unwrap();
    generation.step(&model).unwrap();
    assert!(matches!(
        generation.step(&model),
        Err(InferenceError::NotFinite)
    ));
    // A sequence of another model is not read on.
    let other = Model::new(&odd(false), &parameters(&odd(false), SPREAD), 1).unwrap();
    let mut sequence = other.sequence(4).unwrap();
    let model = Model::new(&shape, &params, 1).unwrap();
    assert!(matches!(
        model.feed(&mut sequence, &[1]),
        Err(InferenceError::Sequence)
    ));
}
