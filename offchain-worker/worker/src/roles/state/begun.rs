//! What lies behind the vectors of a traced state: how the steps of its round had come there.
//!
//! With it who was killed between two steps goes on from there. It is bound to the state by a hash over both, and to
//! what the steps follow from by `work`. What does not fit is not gone on with, and costs no more than the steps.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

use cairn_engine::{is_on_the_way, AdamState, Begun, State, Trained};
use cairn_gradient::read_vector;
use cairn_primitives::{InnerOptimizer, H256};
use cairn_protocol::trace;
use codec::{Decode, Encode};

use super::traces::{Sizes, HEAD};

/// Bytes of the hash at the end.
const HASH: usize = 32;

/// How the steps of a round had come to a state.
#[derive(Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Course {
    /// What the steps follow from, beside the state that they began with.
    work: H256,
    /// Numbers in the parameters, in the first moment and in the second.
    lengths: [u64; 3],
    /// The bits of the loss before each step.
    losses: Vec<u32>,
    /// The hashes of the traced states; the last is this one's.
    trace: Vec<H256>,
}

impl Course {
    /// Of steps that led to a state; none if that has no moments.
    pub fn of(work: H256, so_far: &Trained, state: &State) -> Option<Course> {
        let optimizer = state.optimizer.as_ref()?;
        let vectors = [&state.parameters, &optimizer.m, &optimizer.v];
        Some(Course {
            work,
            lengths: vectors.map(|vector| vector.len() as u64),
            losses: so_far.losses.iter().map(|loss| loss.to_bits()).collect(),
            trace: so_far.trace.clone(),
        })
    }

    /// As it lies behind the vectors of the state for which `traced` stands.
    pub fn bytes(&self, traced: &trace::State) -> Vec<u8> {
        let mut bytes = self.encode();
        let hash = bound(traced, &bytes);
        bytes.extend(hash.0);
        bytes
    }

    /// What is at the end of a file, if it is whole.
    fn read(bytes: &[u8], traced: &trace::State) -> Option<Course> {
        let (mut course, hash) = bytes.split_at_checked(bytes.len().checked_sub(HASH)?)?;
        if bound(traced, course).0 != hash {
            return None;
        }
        let read = Course::decode(&mut course).ok()?;
        course.is_empty().then_some(read)
    }
}

/// Binds a course to its state.
fn bound(traced: &trace::State, course: &[u8]) -> H256 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&traced.encode()).update(course);
    H256(*hasher.finalize().as_bytes())
}

/// The steps that led to the state in a file, as a run has it; none if they follow from something else than `work` and
/// `first`, no steps of that run go on from there, or the file is damaged. Of the vectors, nothing beside them is held in
/// memory.
pub(super) fn read(
    path: &Path,
    (sizes, inner): (Sizes, &InnerOptimizer),
    (work, first): (H256, &trace::State),
) -> Option<Begun> {
    let Sizes {
        vectors,
        course: most,
    } = sizes;
    let mut file = File::open(path).ok()?;
    let behind = file.metadata().ok()?.len();
    let behind = behind.checked_sub(HEAD)?.checked_sub(vectors)?;
    if behind == 0 || behind > most {
        return None;
    }
    let mut head = [0u8; HEAD as usize];
    file.read_exact(&mut head).ok()?;
    let traced = trace::State::decode(&mut &head[..]).ok()?;
    let course = course(&mut file, vectors, &traced)?;
    let is_it = course.work == work
        && course.trace.first() == Some(&first.hash())
        && course.trace.last() == Some(&traced.hash());
    let done = u32::try_from(course.losses.len()).ok()?;
    let numbers = course.lengths.iter().copied().fold(0, u64::saturating_add);
    let fits = numbers.checked_mul(4) == Some(vectors);
    if !is_it || !fits || !is_on_the_way(done, inner.steps.into(), inner) {
        return None;
    }
    file.seek(SeekFrom::Start(HEAD)).ok()?;
    let [parameters, m, v] = course.lengths;
    let parameters = numbers_of(&mut file, parameters, traced.parameters)?;
    let optimizer = AdamState {
        m: numbers_of(&mut file, m, traced.first_moment)?,
        v: numbers_of(&mut file, v, traced.second_moment)?,
        step: traced.steps,
    };
    Some(Begun {
        losses: course.losses.into_iter().map(f32::from_bits).collect(),
        trace: course.trace,
        state: State {
            optimizer: Some(optimizer),
            ..State::new(parameters)
        },
    })
}

/// What lies behind the vectors.
fn course(file: &mut File, vectors: u64, traced: &trace::State) -> Option<Course> {
    let behind = HEAD.checked_add(vectors)?;
    file.seek(SeekFrom::Start(behind)).ok()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).ok()?;
    Course::read(&bytes, traced)
}

/// So many numbers from where the file is, if they have this hash.
fn numbers_of(file: &mut File, count: u64, hash: H256) -> Option<Vec<f32>> {
    let bytes = count.checked_mul(4)?;
    let (numbers, found) = read_vector(file.take(bytes), bytes).ok()?;
    (found == hash).then_some(numbers)
}
