//! GB/s of dense `f32`: in for encoding, dense-equivalent for decoding and the outer step; on one thread.

use std::hint::black_box;

use cairn_gradient::{
    compress, decode, outer_step, outer_step_and_root, Compressor, Contribution, Header, Work,
    Writer,
};
use cairn_primitives::{Compression, Layout, ModelRoot, Nano, Netuid, OuterStep, Tensor, Uid};
use criterion::{criterion_group, criterion_main, Criterion, Throughput};

const CONTRIBUTIONS: u64 = 8;
const SIDE: u32 = 2_048;

/// Bell-shaped numbers, whose scale differs from row to row as a pseudo-gradient's does.
fn pseudo_gradient(seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    let mut values = Vec::new();
    for _ in 0..SIDE {
        let scale = 1e-3 * 4f32.powf(next());
        values.extend((0..SIDE).map(|_| scale * (next() + next() + next() + next())));
    }
    values
}

struct Place {
    layout: Layout,
    compression: Compression,
    outer: OuterStep,
    header: Header,
}

impl Place {
    fn new(kept_per_block: u16) -> Place {
        let layout = Layout(vec![Tensor {
            name: "w".into(),
            shape: vec![SIDE, SIDE],
        }]);
        let header = Header {
            netuid: Netuid(1),
            round: 1,
            hotkey: [1; 32].into(),
            parent_root: ModelRoot::from([2; 32]),
            layout_hash: layout.hash(),
            inner_steps: 30,
            tokens: 61_440,
            mean_loss: 3.0,
            work: Work::default(),
        };
        Place {
            layout,
            compression: Compression {
                kept_per_block,
                error_decay: Nano(950_000_000),
                turn: None,
            },
            outer: OuterStep {
                learning_rate: Nano::ONE,
                rho: Nano::ONE,
                clip: OuterStep::USUAL_CLIP,
                combine: Default::default(),
            },
            header,
        }
    }

    fn files(&self) -> Vec<Vec<u8>> {
        let file = |seed| {
            let delta = pseudo_gradient(seed);
            let mut error = vec![0.0; delta.len()];
            let header = self.header.clone();
            compress(&self.layout, &self.compression, &delta, &mut error, header)
                .expect("finite")
                .1
        };
        (0..CONTRIBUTIONS).map(file).collect()
    }

    fn decoded(&self, files: &[Vec<u8>]) -> Vec<(Uid, u16, Contribution)> {
        let decoded = |file: &Vec<u8>| decode(file, &self.layout, &self.compression).expect("ours");
        let numbered = (0..).map(Uid).zip(files.iter().map(decoded));
        numbered.map(|(uid, sent)| (uid, 1, sent)).collect()
    }
}

fn codec(criterion: &mut Criterion) {
    rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build_global()
        .expect("the first pool");
    let dense = 4 * u64::from(SIDE) * u64::from(SIDE);
    for kept in [64, 512] {
        let place = Place::new(kept);
        let delta = pseudo_gradient(0);
        let mut group = criterion.benchmark_group(format!("{kept} of 4096"));
        group.sample_size(20);

        group.throughput(Throughput::Bytes(dense));
        let compressor = Compressor::new(&place.compression).expect("possible");
        let mut error = vec![0.0; delta.len()];
        let mut choose = || {
            compressor
                .tensor(&place.layout.0[0], &delta, &mut error)
                .expect("finite")
        };
        group.bench_function("select and quantise", |bench| bench.iter(&mut choose));
        let chosen = choose();
        let write = || {
            let (layout, compression) = (&place.layout, &place.compression);
            let mut writer = Writer::new(Vec::new(), place.header.clone(), layout, compression)
                .expect("goes together");
            writer.tensor(&chosen).expect("room");
            writer.finish().expect("room")
        };
        group.bench_function("write", |bench| bench.iter(write));

        group.throughput(Throughput::Bytes(CONTRIBUTIONS * dense));
        let files = place.files();
        group.bench_function("decode eight", |bench| {
            bench.iter(|| black_box(place.decoded(&files)))
        });
        let sent = place.decoded(&files);
        let mut theta = vec![0.5; delta.len()];
        group.bench_function("outer step of eight", |bench| {
            bench.iter(|| outer_step(&mut theta, &place.layout, &sent, &place.outer))
        });
        group.bench_function("outer step of eight, and root", |bench| {
            bench.iter(|| outer_step_and_root(&mut theta, &place.layout, &sent, &place.outer))
        });
        let unequal = sent
            .into_iter()
            .map(|(uid, _, sent)| (uid, 9_999 - uid.get(), sent));
        let unequal: Vec<(Uid, u16, Contribution)> = unequal.collect();
        group.bench_function("outer step of eight of unequal trust", |bench| {
            bench.iter(|| outer_step(&mut theta, &place.layout, &unequal, &place.outer))
        });
    }
}

criterion_group!(benches, codec);
criterion_main!(benches);
