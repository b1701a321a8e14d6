//! What the fuzzer and the crate's tests do with bytes: the first says for which run, the rest is a file.

use cairn_gradient::{
    decode, encode, verify, Contribution, DecodeError, ReadError, Reader, SparseTensor, Turn,
};
use cairn_primitives::{Compression, Layout, Nano, Tensor};

/// Shapes, values kept of each block, and whose turn it is.
type Run = (&'static [&'static [u32]], u16, Option<Turn>);

/// Shapes and density of a few runs: blocks of every kind, one value, all of them, and a turn's.
const RUNS: [Run; 6] = [
    (&[&[64, 64]], 64, None),
    (&[&[9, 70], &[30]], 400, None),
    (&[&[8]], 2_048, None),
    (&[&[130, 70], &[5_000], &[3, 1]], 64, None),
    (&[&[1], &[70, 3]], 4_096, None),
    (&[&[66, 70], &[2]], 4_096, Some(Turn { number: 3, of: 4 })),
];

/// The run that a byte stands for.
pub fn run(byte: u8) -> (Layout, Compression) {
    let (shapes, kept_per_block, turn) = RUNS[usize::from(byte) % RUNS.len()];
    let tensors = shapes.iter().enumerate().map(|(number, shape)| Tensor {
        name: format!("t{number}"),
        shape: shape.to_vec(),
    });
    let compression = Compression {
        kept_per_block,
        error_decay: Nano(950_000_000),
        turn,
    };
    (Layout(tensors.collect()), compression)
}

/// Decodes in one go and tensor by tensor and verifies, which must agree, and encodes what was decoded.
pub fn check(data: &[u8]) -> Option<Result<Contribution, DecodeError>> {
    let (first, file) = data.split_first()?;
    let (layout, compression) = run(*first);
    let decoded = decode(file, &layout, &compression);
    let verified = verify(file, &layout, &compression);
    assert_eq!(
        verified.as_ref().map(|verified| &verified.header),
        decoded.as_ref().map(|whole| &whole.header)
    );
    match (&decoded, read(file, &layout, &compression)) {
        (Ok(whole), Ok(tensors)) => {
            assert_eq!(whole.tensors, tensors);
            let again = encode(whole, &layout, &compression).expect("goes together");
            assert!(again == file, "two encodings of one content");
        }
        (Err(_), Err(ReadError::Decode(_))) => {}
        (whole, tensors) => panic!("{whole:?} in one go, {tensors:?} tensor by tensor"),
    }
    Some(decoded)
}

fn read(
    file: &[u8],
    layout: &Layout,
    compression: &Compression,
) -> Result<Vec<SparseTensor>, ReadError> {
    let mut reader = Reader::new(file, layout, compression)?;
    let (mut tensors, mut tensor) = (Vec::new(), None);
    while reader.tensor(&mut tensor)? {
        tensors.extend(tensor.clone());
    }
    reader.finish().map(|_| tensors)
}
