//! The CPU's engine has the bits of its parts, and those that they always had.

use cairn_engine::{AdamState, Engine, Settlement, State, Version};
use cairn_gradient::{model_root, HEADER_LENGTH};
use cairn_primitives::{Uid, H256};
use cairn_trainer::Trainer;

use crate::{
    by_hand::{Member, TRUST},
    fixture::{config, sequences, slices},
    rounds::{checked, contribute, cpu, held, including, start},
};

/// Hashes of two rounds of two members, as trainer and codec made them before there were engines.
const FILES: [[&str; 2]; 2] = [
    [
        "0x0600d158c43b2f962a39c1f3df7d7117f69f07a3547b90c150d5f1f0d8196f81",
        "0xfffd38fd81f6ab241d212117ac64d182c0c988813147cea653e37cf3105a8d8f",
    ],
    [
        "0xcb5df9b54fff3e868cffe52ad2822605b8fd00fccaa837a44c2f3f692c5c3a4e",
        "0x3f1e087636e56470f59bb0c9867e0048e7a0bc1a89cb985865c239a48809f75c",
    ],
];
const ROOTS: [&str; 2] = [
    "0x946cd61719770f5157ac59642091eb0177184fc401a1957e4826446f61e3d556",
    "0x667f3c0aec6b6df6f17e9113708d5e492e1bfe13dc9cd42419f83270dcec2a5f",
];
const MOMENTS: [&str; 2] = [
    "0xc7c46db0c944403870a6a2576b33c5a21892ba7bbe54b9fa7d6f2c87f79b34ac",
    "0x95595e1fb862aa99cf001aa79a9b26f4503370c6e5198c9cbbbbfefb3fdec689",
];
/// Of the first member.
const FEEDBACK: &str = "0x767310489e9be0964e9000b44dac3bd69bea83defb8acf443e63d30f4292271d";

fn hash(bytes: &[u8]) -> String {
    let root = cairn_gradient::sealed_root(bytes);
    format!("{root:?}")
}

fn root_of(numbers: &[f32]) -> String {
    format!("{:?}", model_root(numbers))
}

/// The hash of a file without what version 3 of the format added to its header.
fn hash_before(file: &[u8]) -> String {
    let mut before = [&file[..124], &file[HEADER_LENGTH..]].concat();
    before[4] = 2;
    hash(&before)
}

/// The hash of saved moments without what version 2 of that format added: how many the second has.
fn moments_before(optimizer: &AdamState) -> String {
    let saved = optimizer.to_bytes();
    let mut before = [&saved[..28], &saved[36..saved.len() - 32]].concat();
    before[8] = 1;
    let checksum = cairn_gradient::sealed_root(&before);
    before.extend(checksum.bytes());
    hash(&before)
}

/// A member whose rounds an engine computes, beside one whose rounds are made by hand.
struct Pair {
    engine: Box<dyn Engine>,
    by_hand: Member,
}

impl Pair {
    fn new(uid: Uid) -> Pair {
        let mut engine = cpu();
        engine.load(State::new(start())).unwrap();
        let by_hand = Member::new(uid, &start());
        Pair { engine, by_hand }
    }

    fn contribute(&mut self, round: u32, root: H256) -> Vec<u8> {
        let made = contribute(self.engine.as_mut(), self.by_hand.uid, round);
        self.engine.keep().unwrap();
        assert_eq!(made, self.by_hand.contribute(&config(), round, root));
        made
    }

    fn settle(&mut self, included: &[(Uid, &[u8])]) -> H256 {
        let files: Vec<_> = included
            .iter()
            .map(|(uid, file)| (*uid, TRUST, checked(&config(), file)))
            .collect();
        let settlement = Settlement {
            is_included: included.iter().any(|(uid, _)| *uid == self.by_hand.uid),
            ..including(&files)
        };
        let root = self.engine.settle(&settlement).unwrap();
        self.engine.keep().unwrap();
        self.by_hand.apply(&config(), included);
        self.assert_same();
        assert_eq!(root, model_root(&self.by_hand.parameters));
        root.0
    }

    fn assert_same(&self) {
        let state = held(self.engine.as_ref());
        assert_eq!(state.parameters, self.by_hand.parameters);
        assert_eq!(state.optimizer.as_ref(), Some(&self.by_hand.adam));
        assert_eq!(state.feedback.as_ref(), Some(&self.by_hand.feedback));
        assert_eq!(state.sent, None);
    }
}

#[test]
fn two_rounds_have_the_bits_of_their_parts_and_of_the_code_before() {
    let mut members = [Pair::new(Uid(1)), Pair::new(Uid(2))];
    let root = model_root(&start());
    let first: Vec<Vec<u8>> = members
        .iter_mut()
        .map(|member| member.contribute(0, root.0))
        .collect();
    assert_eq!(
        [&first[0], &first[1]].map(|file| hash_before(file)),
        FILES[0]
    );
    // Contributions may come in any order.
    let both: [(Uid, &[u8]); 2] = [(Uid(2), &first[1]), (Uid(1), &first[0])];
    let roots = members.each_mut().map(|member| member.settle(&both));
    assert_eq!(roots.map(|root| format!("{root:?}")), [ROOTS[0]; 2]);

    let second: Vec<Vec<u8>> = members
        .iter_mut()
        .map(|member| member.contribute(1, roots[0]))
        .collect();
    assert_eq!(
        [&second[0], &second[1]].map(|file| hash_before(file)),
        FILES[1]
    );
    for (number, member) in members.iter().enumerate() {
        let sent = held(member.engine.as_ref()).sent.unwrap();
        assert_eq!(moments_before(&sent.optimizer), MOMENTS[number]);
    }
    let one: [(Uid, &[u8]); 1] = [(Uid(1), &second[0])];
    let roots = members.each_mut().map(|member| member.settle(&one));
    assert_eq!(roots.map(|root| format!("{root:?}")), [ROOTS[1]; 2]);
    let first = held(members[0].engine.as_ref());
    assert_eq!(moments_before(&first.optimizer.unwrap()), MOMENTS[0]);
    assert_eq!(root_of(&first.feedback.unwrap()), FEEDBACK);
}

#[test]
fn what_is_measured_are_the_losses_before_and_after_an_outer_step_alone() {
    let mut pair = Pair::new(Uid(1));
    let root = model_root(&start());
    let file = pair.contribute(0, root.0);
    pair.settle(&[(Uid(1), &file)]);
    let sequences: Vec<Vec<u32>> = (0..5).flat_map(|step| sequences(3, 0, step)).collect();
    let sequences = slices(&sequences);

    let mut alone = Member::new(Uid(1), &start());
    alone.apply(&config(), &[(Uid(1), &file)]);
    let mut trainer = Trainer::new(&config().model, 1).unwrap();
    let before = trainer.losses(&start(), &sequences).unwrap();
    let after = trainer.losses(&alone.parameters, &sequences).unwrap();
    assert_ne!(before, after);

    // Another one of the same round.
    let other = Pair::new(Uid(2)).contribute(0, root.0);
    let mut alone = Member::new(Uid(1), &start());
    alone.apply(&config(), &[(Uid(1), &other)]);
    let after_other = trainer.losses(&alone.parameters, &sequences).unwrap();
    assert_ne!(after_other, after);

    let (contribution, other) = (checked(&config(), &file), checked(&config(), &other));
    let engine = &mut pair.engine;
    for _ in 0..2 {
        let losses = engine.measure(None, &sequences, &mut || true).unwrap();
        assert_eq!(losses.as_ref(), Some(&before));
        // What was applied last is kept, and nothing else is taken for it.
        for _ in 0..2 {
            let losses = engine.measure(Some(&other), &sequences, &mut || true);
            assert_eq!(losses.unwrap().as_ref(), Some(&after_other));
        }
        let losses = engine.measure(Some(&contribution), &sequences, &mut || true);
        assert_eq!(losses.unwrap().as_ref(), Some(&after));
        // What the round made of it alone is the same.
        let losses = engine.measure_settled(&sequences, &mut || true);
        assert_eq!(losses.unwrap().as_ref(), Some(&after));
    }
    // Measuring moves nothing.
    pair.assert_same();
    let base = pair.engine.state(Version::Base).unwrap();
    assert_eq!(base, State::new(start()));
}
