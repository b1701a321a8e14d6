//! Bytes that must never change, and the example of `docs/contribution-format.md`.

use cairn_gradient::{
    decode, encode, model_root, outer_step, sealed_root, Contribution, Header, SparseTensor, Turn,
};
use cairn_primitives::{
    Compression, Layout, ModelRoot, Nano, Netuid, OuterStep, Tensor, Uid, H256,
};

use crate::common::{contribution, layout, work, Numbers, Sends};

const PAGE: &str = include_str!("../../../../docs/contribution-format.md");

/// The bytes of the page's example: the fenced blocks marked `hex`, without what stands behind `;`.
fn bytes_of_the_page() -> Vec<u8> {
    let mut digits = String::new();
    for block in PAGE.split("```hex\n").skip(1) {
        for line in block.split("```").next().unwrap_or("").lines() {
            digits.extend(line.split(';').next().unwrap_or("").split_whitespace());
        }
    }
    hex::decode(digits).expect("hexadecimal digits")
}

fn example() -> (Layout, Compression, Contribution) {
    let tensor = |name: &str, shape: &[u32]| Tensor {
        name: name.into(),
        shape: shape.to_vec(),
    };
    let layout = Layout(vec![tensor("w", &[2, 3]), tensor("b", &[4])]);
    let compression = Compression {
        kept_per_block: 2_048,
        error_decay: Nano(950_000_000),
        turn: None,
    };
    let header = Header {
        netuid: Netuid(1),
        round: 2,
        hotkey: [0x11; 32].into(),
        parent_root: ModelRoot(H256([0x22; 32])),
        layout_hash: layout.hash(),
        inner_steps: 30,
        tokens: 61_440,
        mean_loss: 5.5,
        work: work(),
    };
    let of = |number: usize, values: &[(u32, f32)]| {
        SparseTensor::from_values(&layout.0[number], &compression, values).expect("can be sent")
    };
    let tensors = vec![
        of(0, &[(0, 0.5), (4, -2.0), (5, 0.5)]),
        of(1, &[(1, -1.0), (3, 1.0)]),
    ];
    (layout, compression, Contribution { header, tensors })
}

#[test]
fn the_example_of_the_page_is_true() {
    let (layout, compression, contribution) = example();
    let bytes = encode(&contribution, &layout, &compression).unwrap();
    assert_eq!(hex::encode(&bytes), hex::encode(bytes_of_the_page()));
    assert_eq!(
        decode(&bytes_of_the_page(), &layout, &compression),
        Ok(contribution)
    );
    let root = hex::encode(sealed_root(&bytes).bytes());
    assert!(PAGE.contains(&root), "the page does not say {root}");
}

#[test]
fn files_and_steps_are_pinned() {
    let layout = layout(&[&[130, 70], &[5_000], &[64, 64]]);
    let files: Vec<(Contribution, Vec<u8>)> =
        (0..4).map(|seed| contribution(&layout, 64, seed)).collect();
    let of_file = |number: usize| {
        let bytes = &files[number].1;
        format!(
            "{} bytes, {}",
            bytes.len(),
            hex::encode(sealed_root(bytes).bytes())
        )
    };
    let mut pins = vec![of_file(0), of_file(3)];

    let mut theta = Numbers(99).vector(layout.parameters());
    pins.push(hex::encode(model_root(&theta).bytes()));
    let of_trust = |trusts: [u16; 4]| -> Vec<(Uid, u16, Contribution)> {
        let trusted = trusts.iter().zip(&files);
        let numbered = (0..).map(Uid).zip(trusted);
        numbered
            .map(|(uid, (trust, (sent, _)))| (uid, *trust, sent.clone()))
            .collect()
    };
    for trusts in [[9; 4], [65_535, 1, 300, 20_000]] {
        for rho in [0, 500_000_000, 1_000_000_000] {
            let outer = OuterStep {
                learning_rate: Nano(700_000_000),
                rho: Nano(rho),
                clip: OuterStep::USUAL_CLIP,
                combine: Default::default(),
            };
            outer_step(&mut theta, &layout, &of_trust(trusts), &outer).unwrap();
            pins.push(hex::encode(model_root(&theta).bytes()));
        }
    }
    let expected = [
        "749 bytes, 853248c2609d02ee5f3dd6d79ec9949f39861cdc0998da90631d9cc176ae766d",
        "752 bytes, 2d40c0020e6bbb4b079d1c218879e13e325f5d7eb2583d4d39a6988438ccb586",
        "86c4e9df893a026b49f96147fc06840345f550f4f4cf91e870f6daf19a2a09b7",
        "db7924fc8e577562e645479668a0ba6bdb596060f9a06938870b275c857caa81",
        "06f3de4fd38823930338e7703d774d2f2ea5c5cac416f781cd72a74aad5bb92e",
        "865b7973fd6924febecad1298823415cca31bd1b4f8621add07ea7c280868296",
        "b3a914370ade3a5a8710dcafbc12de8ded3e39f306b0d697e12c44f4baa9caed",
        "62062acb040af016277fd0bfc0e189820379447f40698a4a11a07074a5910756",
        "86f5cfa9949e9d895cc1c465b60aa7c0a0b4becaf65ac80aa2535f5ae2e4c3b6",
    ];
    assert_eq!(
        pins, expected,
        "a release would not agree with those before it"
    );
}

/// What sends many values of a block is made in another way. These were made by a program of its own, which sorts, and
/// which gives the files above, too; the one of all values was that program's until it lost its gaps, 18,196 bits. The
/// one of a turn is what the unit tests' plain way gives, which is held to the fast one.
#[test]
fn files_that_send_much_are_pinned() {
    let layout = layout(&[&[130, 70], &[5_000], &[64, 64]]);
    let turn = Turn { number: 2, of: 4 };
    for (kept, seed, pin) in [
        (
            512.into(),
            0,
            "2182 bytes, 92a59066f7d24c22710e7d4b0f28d77db80f06cdc79c0f1f4adf2c7f2e04b560",
        ),
        (
            512.into(),
            3,
            "2176 bytes, aa76fd25f9a89c830969cb30ac28f74dfb9992f5b7b249ed149de823e7876231",
        ),
        (
            1_024.into(),
            0,
            "3248 bytes, 02c8e062ad3ef8a328a0e5ad16309b375a2e2c2d873783316d9a0ed63eb01387",
        ),
        (
            4_096.into(),
            0,
            "3704 bytes, e30d0bb480df2b1378cbe6fff013b8dc9b2bb1fdc4cc5536201a9956b6cd9194",
        ),
        (
            Sends::from(turn),
            0,
            "1232 bytes, 77e80f1056b59dc67caa0329cda3c044a5802b835d623f9155852196db628f67",
        ),
    ] {
        let (_, bytes) = contribution(&layout, kept, seed);
        let found = format!(
            "{} bytes, {}",
            bytes.len(),
            hex::encode(sealed_root(&bytes))
        );
        assert_eq!(found, pin, "{kept:?}, seed {seed}");
    }
}
