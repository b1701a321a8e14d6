//! The cost model: the same each time, and honest work is worth something.

use cairn_engine::{cost::Cost, Engine, Settlement, State, Version};
use cairn_gradient::{compress, Header};
use cairn_primitives::{Layout, Uid};

use crate::{
    fixture::{compression_of, config, sequences, slices},
    rounds::{checked, contribute, cost, header, including, start, train, COSTS},
};

fn mean(losses: Option<Vec<f32>>) -> f64 {
    let losses = losses.unwrap();
    losses.iter().map(|loss| f64::from(*loss)).sum::<f64>() / losses.len() as f64
}

#[test]
fn the_same_seed_gives_the_same_files_and_another_one_others() {
    let file = |seed| {
        let mut engine = Cost::new(&config(), COSTS, seed);
        engine.load(State::new(start())).unwrap();
        contribute(&mut engine, Uid(1), 0)
    };
    assert_eq!(file(5), file(5));
    assert_ne!(file(5), file(6));
}

#[test]
fn the_meter_adds_up_what_work_takes() {
    let mut engine = Cost::new(&config(), COSTS, 5);
    let meter = engine.meter();
    engine.load(State::new(start())).unwrap();
    let file = contribute(&mut engine, Uid(1), 0);
    assert_eq!(meter.microseconds(), 3 * COSTS.step);
    engine.keep().unwrap();
    let included = [(Uid(1), 1, checked(&config(), &file))];
    engine.settle(&including(&included)).unwrap();
    engine.keep().unwrap();
    let sequences = sequences(1, 0, 0);
    let measured = engine.measure(None, &slices(&sequences), &mut || true);
    assert_eq!(measured.unwrap().unwrap().len(), 4);
    let want = 3 * COSTS.step + COSTS.contribution + 4 * COSTS.sequence;
    assert_eq!(meter.microseconds(), want);
}

#[test]
fn honest_work_lowers_losses_most_on_its_own_text_and_invented_work_does_not() {
    let mut engine = cost();
    let root = engine.load(State::new(start())).unwrap();
    let honest = checked(&config(), &contribute(engine.as_mut(), Uid(1), 0));
    engine.discard();
    let trained = train(engine.as_mut(), Uid(1), 0);
    engine.discard();
    let invented = checked(&config(), &invent(header(Uid(1), 0, root.0, &trained)));
    engine.settle(&including(&[])).unwrap();
    engine.keep().unwrap();
    let steps =
        |uid| -> Vec<Vec<u32>> { (0..3).flat_map(|step| sequences(uid, 0, step)).collect() };
    let (own, others) = (steps(1), steps(2));
    let mut gain = |contribution, text: &[Vec<u32>]| {
        let text = slices(text);
        let before = engine.measure(None, &text, &mut || true).unwrap();
        let after = engine.measure(Some(contribution), &text, &mut || true);
        mean(before) - mean(after.unwrap())
    };
    let (on_own, on_others) = (gain(&honest, &own), gain(&honest, &others));
    assert!(
        on_own > on_others && on_others > 0.0,
        "{on_own} {on_others}"
    );
    assert!(gain(&invented, &others) < 0.0);
}

/// Large values of no use.
fn invent(header: Header) -> Vec<u8> {
    let layout = Layout::of(&config().model);
    let sign = |i: usize| if i * 7 % 5 < 2 { 0.5 } else { -0.5 };
    let values: Vec<f32> = (0..layout.parameters()).map(sign).collect();
    let mut rest = vec![0.0; values.len()];
    let compression = compression_of(0);
    compress(&layout, &compression, &values, &mut rest, header)
        .unwrap()
        .1
}

#[test]
fn the_loss_falls_from_round_to_round() {
    let mut engine = cost();
    engine.load(State::new(start())).unwrap();
    let mut losses = Vec::new();
    for round in 0..6 {
        let file = contribute(engine.as_mut(), Uid(1), round);
        engine.keep().unwrap();
        let included = [(Uid(1), 1, checked(&config(), &file))];
        let settlement = Settlement {
            is_included: true,
            ..including(&included)
        };
        engine.settle(&settlement).unwrap();
        engine.keep().unwrap();
        let held_out = sequences(9, 0, 0);
        let measured = engine.measure(None, &slices(&held_out), &mut || true);
        losses.push(mean(measured.unwrap()));
    }
    assert!(
        losses.windows(2).all(|pair| pair[1] < pair[0]),
        "{losses:?}"
    );
    assert_eq!(engine.optimizer_steps(Version::Held).unwrap(), 18);
}
