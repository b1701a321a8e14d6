//! No level of SIMD can be seen in what is sent, written, read or stepped.

use cairn_primitives::{Nano, OuterStep, Tensor, Uid};
use proptest::prelude::*;

use crate::outer::{apply::Step, Trust};
use crate::plain_tests::any_compression;
use crate::simd::Simd;
use crate::wire::{decode_part_at, encode_part_at};
use crate::{Compressor, SparseTensor};

fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..count).map(|_| next() * next() * next()).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn tensor(shape: &[u32]) -> Tensor {
    Tensor {
        name: "t".into(),
        shape: shape.to_vec(),
    }
}

/// The error, what is sent, its part of the file, and the parameters.
type Found = (Vec<u32>, SparseTensor, Vec<u8>, Vec<u32>);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn all_levels_give_the_same_bits(
        shape in prop_oneof![
            (1u32..9_000).prop_map(|n| vec![n]),
            (1u32..140, 1u32..140).prop_map(|(n, m)| vec![n, m]),
        ],
        compression in any_compression(),
        rho in 0u64..=1_000_000_000,
        trusts in (1u16.., 1u16..),
        seed: u64,
    ) {
        let tensor = tensor(&shape);
        let outer = OuterStep { learning_rate: Nano(700_000_000), rho: Nano(rho), clip: OuterStep::USUAL_CLIP, combine: Default::default() };
        let mut seen: Option<Found> = None;
        for simd in Simd::all() {
            let compressor = Compressor::new(&compression).unwrap().at(simd);
            let mut error = numbers(tensor.len(), seed ^ 1);
            let sent = compressor.tensor(&tensor, &numbers(tensor.len(), seed), &mut error).unwrap();
            let other = compressor
                .tensor(&tensor, &numbers(tensor.len(), seed ^ 2), &mut error)
                .unwrap();
            let part = encode_part_at(simd, &sent);
            let mut read = SparseTensor::blank(sent.grid(), sent.kept());
            prop_assert_eq!(decode_part_at(simd, &part, &mut read), Ok(()));
            prop_assert_eq!(&read, &sent);
            let mut theta = numbers(tensor.len(), seed ^ 3);
            let trust = Trust::new([(Uid(0), trusts.0), (Uid(1), trusts.1)].into_iter()).unwrap();
            let step = Step::new(&outer, trust).unwrap().at(simd);
            step.tensor(sent.grid(), &mut theta, &[&sent, &other], None);
            let found = (bits(&error), sent, part, bits(&theta));
            match &seen {
                None => seen = Some(found),
                Some(first) => prop_assert!(*first == found, "{:?}", simd),
            }
        }
    }
}
