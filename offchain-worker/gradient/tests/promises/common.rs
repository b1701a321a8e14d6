//! Layouts, numbers and contributions for tests.

use cairn_gradient::{compress, Contribution, Header, Turn, Work};
use cairn_primitives::{
    Carried, Compression, EngineClass, Layout, ModelRoot, Nano, Netuid, Tensor, H256,
};
use proptest::prelude::*;

/// SplitMix64, so that the numbers never change.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in −0.5..0.5; exact in `f32`.
    pub fn uniform(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 24) as f32 - 0.5
    }

    /// Bell-shaped around 0, with a few larger ones; no function of the platform's library.
    pub fn bell(&mut self) -> f32 {
        let sum = self.uniform() + self.uniform() + self.uniform() + self.uniform();
        sum * sum * sum
    }

    pub fn vector(&mut self, length: usize) -> Vec<f32> {
        (0..length).map(|_| self.bell()).collect()
    }
}

pub fn layout(shapes: &[&[u32]]) -> Layout {
    let tensor = |(number, shape): (usize, &&[u32])| Tensor {
        name: format!("t{number}"),
        shape: shape.to_vec(),
    };
    Layout(shapes.iter().enumerate().map(tensor).collect())
}

/// So many values of a block, or all in a turn.
#[derive(Clone, Copy, Debug)]
pub struct Sends(u16, Option<Turn>);

impl Sends {
    pub fn is_a_turn(self) -> bool {
        self.1.is_some()
    }
}

impl From<u16> for Sends {
    fn from(kept: u16) -> Sends {
        Sends(kept, None)
    }
}

impl From<Turn> for Sends {
    fn from(turn: Turn) -> Sends {
        Sends(4_096, Some(turn))
    }
}

pub fn compression(sends: impl Into<Sends>) -> Compression {
    let Sends(kept_per_block, turn) = sends.into();
    Compression {
        kept_per_block,
        error_decay: Nano(950_000_000),
        turn,
    }
}

pub fn header(layout: &Layout) -> Header {
    Header {
        netuid: Netuid(3),
        round: 41,
        hotkey: [7; 32].into(),
        parent_root: ModelRoot(H256([9; 32])),
        layout_hash: layout.hash(),
        inner_steps: 30,
        tokens: 61_440,
        mean_loss: 5.25,
        work: work(),
    }
}

/// Work of which no two fields are alike.
pub fn work() -> Work {
    let carried = |byte: u8, steps| Carried {
        first_moment: H256([byte; 32]),
        second_moment: H256([byte + 1; 32]),
        feedback: H256([byte + 2; 32]),
        steps,
    };
    Work {
        engine: EngineClass::cuda("NVIDIA H200"),
        before: carried(0x30, 1_230),
        after: carried(0x40, 0),
        trace: H256([0x50; 32]),
    }
}

/// A contribution of random numbers, and its file.
pub fn contribution(layout: &Layout, kept: impl Into<Sends>, seed: u64) -> (Contribution, Vec<u8>) {
    let delta = Numbers(seed).vector(layout.parameters());
    let mut error = vec![0.0; delta.len()];
    compress(
        layout,
        &compression(kept),
        &delta,
        &mut error,
        header(layout),
    )
    .expect("compresses")
}

/// A few tensors, with edges that no block divides.
pub fn any_layout() -> impl Strategy<Value = Layout> {
    let vector = (1u32..9_000).prop_map(|n| vec![n]);
    let matrix = (1u32..140, 1u32..140).prop_map(|(n, m)| vec![n, m]);
    prop::collection::vec(prop_oneof![vector, matrix], 1..4).prop_map(|shapes| {
        let shapes: Vec<&[u32]> = shapes.iter().map(Vec::as_slice).collect();
        layout(&shapes)
    })
}

/// Numbers of values kept per block, of every order of magnitude, and turns.
pub fn any_kept() -> impl Strategy<Value = Sends> {
    let counts = prop_oneof![1u16..=4_096, 1u16..=128, Just(1), Just(4_096)];
    prop_oneof![
        3 => counts.prop_map(Sends::from),
        1 => any_turn().prop_map(Sends::from),
    ]
}

pub fn any_turn() -> impl Strategy<Value = Turn> {
    let turns = (2..=Turn::MOST).prop_flat_map(|of| (0..of, Just(of)));
    turns.prop_map(|(number, of)| Turn { number, of })
}
