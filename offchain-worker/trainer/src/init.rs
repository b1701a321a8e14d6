//! The first parameters of a run.

use cairn_primitives::{Layout, ModelShape};

/// What the generator's key is derived from; another text would give other parameters.
const CONTEXT: &str = "cairn-trainer initial weights, version 1";
/// Standard deviation of a matrix's elements.
const DEVIATION: f64 = 0.02;

/// Makes the first parameters of a run, in the order of [`Layout::of`].
///
/// Vectors (the norms' parameters) are ones. Elements of matrices are normal with standard deviation 0.02;
/// those of `o_proj` and `down_proj`, whose results are added to the residual stream, with 0.02/√(2·layers)
/// (Radford et al. 2019, section 2.3).
///
/// The generator counts: elements 2i and 2i + 1 of a tensor come from bytes 8i..8i + 8 of the output of
/// BLAKE3, keyed by the seed and the tensor's name, by the transformation of Box and Muller in `f64` with the
/// `libm` crate's functions. So an element does not depend on any other, and the bits on no machine.
///
/// The shape must be one that [`Trainer::new`](crate::Trainer::new) accepts: memory for all parameters is
/// allocated here.
pub fn initial_parameters(shape: &ModelShape, seed: u64) -> Vec<f32> {
    let layout = Layout::of(shape);
    let mut parameters = vec![1.0; layout.parameters()];
    let deeper = DEVIATION / (2.0 * f64::from(shape.layers)).sqrt();
    for (tensor, range) in layout
        .ranges()
        .filter(|(tensor, _)| tensor.shape.len() == 2)
    {
        let residual = ["o_proj.weight", "down_proj.weight"]
            .iter()
            .any(|end| tensor.name.ends_with(end));
        let deviation = if residual { deeper } else { DEVIATION };
        fill_normal(&mut parameters[range], &tensor.name, seed, deviation);
    }
    parameters
}

/// Fills `parameters` with the tensor's normal numbers.
fn fill_normal(parameters: &mut [f32], name: &str, seed: u64, deviation: f64) {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(&seed.to_le_bytes()).update(name.as_bytes());
    let mut stream = hasher.finalize_xof();
    let mut bytes = [0u8; 8 * 512];
    for parameters in parameters.chunks_mut(2 * 512) {
        stream.fill(&mut bytes);
        for (pair, bytes) in parameters.chunks_mut(2).zip(bytes.chunks_exact(8)) {
            let (a, b) = bytes.split_at(4);
            let normal = box_muller(uniform(a), uniform(b));
            pair.iter_mut()
                .zip(normal)
                .for_each(|(x, z)| *x = (z * deviation) as f32);
        }
    }
}

/// A number in 0..1 from four bytes, smallest first.
fn uniform(bytes: &[u8]) -> f64 {
    let integer = bytes
        .iter()
        .rev()
        .fold(0u32, |n, byte| n << 8 | u32::from(*byte));
    f64::from(integer) / 4_294_967_296.0
}

/// Two independent normal numbers from two uniform ones.
fn box_muller(a: f64, b: f64) -> [f64; 2] {
    // 1 − a lies above zero, where the logarithm is finite.
    let radius = (-2.0 * libm::log(1.0 - a)).sqrt();
    let angle = 2.0 * std::f64::consts::PI * b;
    [radius * libm::cos(angle), radius * libm::sin(angle)]
}
