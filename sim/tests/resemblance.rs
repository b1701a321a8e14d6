//! How much honest contributions have in common, by rounds, and what copies have: of the tiny model, really trained.

use std::rc::Rc;

use cairn_gradient::{decode, model_root, outer_step, resemblance, Contribution, Resemblance};
use cairn_primitives::{Layout, Netuid, Uid};
use cairn_protocol::{
    assignment::{DataRange, Plan, RoundData},
    value::{alike, repeats, FLOOR},
};
use cairn_round::Held;
use cairn_sim::{
    rng::Rng,
    settings::{usual_costs, Kind},
    workshop::{Label, Memory, Theta, Trained, Workshop},
};

const MINERS: u64 = 6;
const WINDOWS: u64 = 20_000;
/// Inner steps of a round.
const STEPS: u32 = 8;

/// A network of miners without a chain.
struct Field {
    workshop: Workshop,
    layout: Layout,
    theta: Theta,
    /// Of each miner, and of whoever sends what the last round changed.
    memories: Vec<Rc<Memory>>,
    before: Vec<Contribution>,
    last: Vec<f32>,
}

impl Field {
    fn new(kind: Kind, seed: u64) -> Field {
        let (rng, costs) = (Rng::new(seed), usual_costs(kind));
        let workshop = Workshop::new(kind, &rng, WINDOWS, costs);
        let workshop = workshop.expect("it trains here");
        let initial = workshop.initial();
        Field {
            layout: Layout::of(&workshop.run().model),
            theta: Theta {
                root: initial.root,
                values: initial.values.clone(),
            },
            memories: (0..=MINERS).map(|_| Rc::default()).collect(),
            before: Vec::new(),
            last: Vec::new(),
            workshop,
        }
    }

    fn label(&self, round: u32, miner: usize) -> Label {
        let root = self.theta.root;
        Label {
            netuid: 1,
            hotkey: [miner as u8; 32].into(),
            uid: Uid(miner as u16),
            held: Held { round, root },
        }
    }

    /// What a miner's file holds, that has the turn of the one whose work it is; it remembers what it left unsent.
    fn send(&mut self, (round, of): (u32, usize), miner: usize, trained: &Trained) -> Contribution {
        self.memories[miner] = Rc::new(trained.memory.clone());
        let compression = self.workshop.run().compression_of(Uid(of as u16), round);
        decode(&trained.plain, &self.layout, &compression).expect("it was just made")
    }

    /// A miner's honest work, and the pseudo-gradient that it found. One that remembers nothing unsent is what is
    /// found.
    fn train(&mut self, round: u32, miner: usize) -> (Trained, Vec<f32>) {
        let run = self.workshop.run().clone();
        let cursor = u64::from(round) * MINERS * run.windows_per_miner();
        let data = RoundData {
            range: DataRange { pass: 0, cursor },
            miners: MINERS,
        };
        let plan = Plan::new(Netuid(1), &run, data);
        let steps = 0..u32::from(run.inner.steps);
        let windows: Vec<_> = steps.map(|step| plan.of_step(miner as u64, step)).collect();
        let label = self.label(round, miner);
        let memory = self.memories[miner].clone();
        let moments = Memory {
            feedback: None,
            ..Memory::clone(&memory)
        };
        let mut train = |memory: &Memory| {
            let trained = self.workshop.train(label, &self.theta, memory, &windows);
            trained.expect("it is finite")
        };
        let (trained, plain) = (train(&memory), train(&moments));
        let found = self.workshop.found(&plain).expect("it goes together");
        (trained, found)
    }

    /// A round of honest miners, beside a clone of the last one and whoever sends what the last round changed.
    fn round(&mut self, round: u32) -> Vec<Contribution> {
        let mut sent = Vec::new();
        let (mut clone, mut again) = (None, None);
        for miner in 0..MINERS as usize {
            let (trained, mut values) = self.train(round, miner);
            let before = self.memories[miner].clone();
            sent.push(self.send((round, miner), miner, &trained));
            if miner + 1 == MINERS as usize {
                let most = values
                    .iter()
                    .fold(0f32, |most, value| most.max(value.abs()));
                for at in 0..8 {
                    values[at * 211] = most;
                }
                // The clone has what its model had before it sent.
                let copy = self.workshop.by_hand(&trained, STEPS, &values, &before);
                let memory = self.memories[miner].clone();
                clone = Some(self.send((round, miner), miner, &copy.expect("it is finite")));
                self.memories[miner] = memory;
                if !self.last.is_empty() {
                    let other = MINERS as usize;
                    let memory = self.memories[other].clone();
                    let made = self.workshop.by_hand(&trained, STEPS, &self.last, &memory);
                    again = Some(self.send((round, miner), other, &made.expect("it is finite")));
                }
            }
        }
        let alike = |(uid, sent): (Uid, &Contribution)| (uid, 1, sent.clone());
        let honest: Vec<(Uid, u16, Contribution)> = (0..).map(Uid).zip(&sent).map(alike).collect();
        let before = self.theta.values.clone();
        let outer = self.workshop.run().outer.clone();
        outer_step(&mut self.theta.values, &self.layout, &honest, &outer)
            .expect("they go together");
        self.theta.root = model_root(&self.theta.values);
        let pairs = before.iter().zip(&self.theta.values);
        self.last = pairs.map(|(before, after)| before - after).collect();
        sent.extend(clone);
        sent.extend(again);
        sent
    }

    /// What those of a round have in common, with each other and with the last one's.
    fn in_common(&self, sent: &[Contribution]) -> Resemblance {
        let all: Vec<&Contribution> = sent.iter().collect();
        let before: Vec<&Contribution> = self.before.iter().collect();
        resemblance(&self.layout, &all, &before).expect("they go together")
    }
}

/// Makes sure that a round's honest miners are alone, but for the clone's model, and that only who sends again what the
/// last round changed repeats it. Gives how many the model and the clone are taken for.
fn sizes(round: u32, count: usize, common: &Resemblance) -> [u16; 2] {
    let miners = MINERS as usize;
    let groups = alike(count, &common.pairs);
    let are_alone = groups[..miners - 1].iter().all(|size| *size == 1);
    assert!(are_alone, "{groups:?}");
    if round > 1 {
        let found = repeats(&common.with_before);
        assert!(found[..=miners].iter().all(|one| !one), "{found:?}");
        assert!(found[miners + 1], "{found:?}");
    }
    [groups[miners - 1], groups[miners]]
}

#[test]
fn honest_miners_are_each_alone_and_copies_are_not() {
    for seed in [7, 8] {
        let mut field = Field::new(Kind::Tiny, seed);
        for round in 0..12 {
            let sent = field.round(round);
            let common = field.in_common(&sent);
            let miners = MINERS as usize;
            let of_honest = |pair: &&(usize, usize, f64)| pair.1 < miners;
            let honest = common.pairs.iter().filter(of_honest).map(|pair| pair.2);
            let highest = honest.clone().fold(-1.0, f64::max);
            let lowest = honest.fold(1.0, f64::min);
            let clone = common
                .pairs
                .iter()
                .find(|pair| (pair.0, pair.1) == (miners - 1, miners));
            let clone = clone.expect("it is there").2;
            println!("round {round}: honest {lowest:.2} to {highest:.2}, clone {clone:.2}, with the last round {:.2?}", common.with_before);
            assert!(highest < FLOOR && clone > FLOOR, "{highest} {clone}");
            assert_eq!(sizes(round, sent.len(), &common), [2, 2]);
            field.before = sent[..miners].to_vec();
        }
    }
}

/// Six miners take four turns, so that two have the turn of another one: none of them is taken for a copy. A clone in
/// its model's turn mostly is, and who sends again what the last round changed is seen in all.
#[test]
fn in_turns_honest_miners_are_alone_too() {
    for seed in [7, 8] {
        let mut field = Field::new(Kind::Turns, seed);
        let (mut found, mut rounds) = (0, 0);
        for round in 0..12 {
            let sent = field.round(round);
            let common = field.in_common(&sent);
            println!(
                "round {round}: {:.2?}, with the last round {:.2?}",
                common.pairs, common.with_before
            );
            found += usize::from(sizes(round, sent.len(), &common) == [2, 2]);
            rounds += 1;
            field.before = sent[..MINERS as usize].to_vec();
        }
        // A few numbers that are far larger than all others change both levels of a block, and so a clone.
        assert!(found > rounds / 2 && found < rounds, "{found} of {rounds}");
    }
}
