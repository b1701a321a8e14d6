//! What is served for an audit, taken as it comes: what was taken is held as numbers, and never as bytes beside them.

use cairn_gradient::VectorMaker;
use cairn_primitives::H256;
use cairn_protocol::{
    audit::{Interval, Opened, LONGEST_OPENED},
    trace,
};
use codec::Decode;

use crate::{audit::Audited, AdamState, State};

/// Bytes that are waited for before what stands in front of the vectors is read.
const HEAD: usize = LONGEST_OPENED as usize;

/// What was served, or that it is nothing that the contribution's header binds.
pub struct Served(pub(crate) Option<Parts>);

/// What a blob holds.
pub(crate) struct Parts {
    pub interval: Interval,
    pub opened: Opened,
    pub begin: State,
    /// Of a card.
    pub end: Option<State>,
    /// Of the last interval.
    pub source: Option<Source>,
}

/// What a file was made of, beside the parameters after the last step.
pub(crate) struct Source {
    /// The parameters before the first.
    pub parameters: Vec<f32>,
    /// The error feedback before; none before a maker's first contribution.
    pub feedback: Option<Vec<f32>>,
}

/// A blob that comes in pieces, cut in any way.
pub struct Incoming<'a> {
    audited: Audited<'a>,
    coming: Coming,
}

/// How far it has come.
enum Coming {
    /// To what stands in front of the vectors.
    Head(Vec<u8>),
    Vectors(Box<Vectors>),
    /// Something else came than had to.
    Other,
}

impl<'a> Incoming<'a> {
    /// Of what is audited; nothing came yet.
    pub fn of(audited: &Audited<'a>) -> Incoming<'a> {
        Incoming {
            audited: *audited,
            coming: Coming::Head(Vec::new()),
        }
    }

    /// Takes the next bytes.
    pub fn take(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        if let Coming::Head(head) = &mut self.coming {
            let missing = HEAD.saturating_sub(head.len());
            let (now, later) = bytes.split_at(missing.min(bytes.len()));
            head.extend_from_slice(now);
            if head.len() < HEAD {
                return;
            }
            rest = later;
            self.open();
        }
        let fits = match &mut self.coming {
            Coming::Vectors(vectors) => vectors.take(rest),
            Coming::Head(_) | Coming::Other => return,
        };
        if !fits {
            self.coming = Coming::Other;
        }
    }

    /// What came, where no more comes.
    pub fn finish(mut self) -> Served {
        self.open();
        Served(match self.coming {
            Coming::Vectors(vectors) => vectors.finish(&self.audited),
            Coming::Head(_) | Coming::Other => None,
        })
    }

    /// Reads what stands in front of the vectors, with as much of these as came with it, unless that was done.
    fn open(&mut self) {
        if let Coming::Head(head) = &mut self.coming {
            let head = std::mem::take(head);
            let vectors = Vectors::behind(&head, &self.audited);
            self.coming = vectors.map_or(Coming::Other, |vectors| Coming::Vectors(vectors.into()));
        }
    }
}

/// The vectors of a blob. Each has its hash, so that the states are those that were traced.
struct Vectors {
    interval: Interval,
    opened: Opened,
    /// The hash of each that has bytes, and its numbers.
    expected: Vec<(H256, usize)>,
    /// The first of them, which came.
    whole: Vec<Vec<f32>>,
    /// The next, and how many of its bytes are to come.
    under_way: Option<(VectorMaker, usize)>,
}

impl Vectors {
    /// Those behind what the first bytes say, if that is of the contribution.
    fn behind(head: &[u8], audited: &Audited) -> Option<Vectors> {
        let mut rest = head;
        let interval = audited.interval()?;
        let opened = Opened::decode(&mut rest).ok()?;
        let every = audited.config.inner.trace_every;
        opened.check(audited.header, every, interval).ok()?;
        let mut vectors = Vectors {
            interval,
            expected: expected(&opened, interval, audited)?,
            opened,
            whole: Vec::new(),
            under_way: None,
        };
        vectors.take(rest).then_some(vectors)
    }

    /// Takes the next bytes; `false` if they are others than had to come.
    fn take(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            if self.under_way.is_none() {
                self.under_way = self.next();
            }
            let Some((vector, missing)) = &mut self.under_way else {
                return false;
            };
            let (now, later) = bytes.split_at((*missing).min(bytes.len()));
            vector.take(now);
            *missing = missing.saturating_sub(now.len());
            bytes = later;
            if *missing == 0 && !self.close() {
                return false;
            }
        }
        true
    }

    /// The vector that was under way is whole; `false` if it is another one than had to come.
    fn close(&mut self) -> bool {
        let Some((vector, _)) = self.under_way.take() else {
            return false;
        };
        let (numbers, found) = vector.finish();
        let expected = self.expected.get(self.whole.len());
        let is_it = expected.is_some_and(|(hash, _)| *hash == found);
        self.whole.push(numbers);
        is_it
    }

    /// The vector that comes next, of which nothing came; `None` behind the last.
    fn next(&self) -> Option<(VectorMaker, usize)> {
        let (_, count) = self.expected.get(self.whole.len())?;
        let bytes = count.checked_mul(4)?;
        // Whose memory is too small says nothing of others' work: it ends where it cannot go on.
        let vector = VectorMaker::new(bytes as u64).unwrap_or_default();
        Some((vector, bytes))
    }

    /// What they are, if all came.
    fn finish(self, audited: &Audited) -> Option<Parts> {
        if self.under_way.is_some() || self.whole.len() != self.expected.len() {
            return None;
        }
        let (header, interval, opened) = (audited.header, self.interval, self.opened);
        let mut whole = self.whole.into_iter();
        let begin = state(&mut whole, &opened.begin, audited)?;
        let end = match header.work.engine.is_card() {
            true => Some(state(&mut whole, &opened.end, audited)?),
            false => None,
        };
        let source = match interval.is_last(header.inner_steps) {
            false => None,
            true => Some(Source {
                parameters: match interval.begin {
                    0 => begin.parameters.clone(),
                    _ => whole.next()?,
                },
                feedback: match header.work.before.feedback.is_zero() {
                    true => None,
                    false => Some(whole.next()?),
                },
            }),
        };
        Some(Parts {
            interval,
            opened,
            begin,
            end,
            source,
        })
    }
}

/// The vectors that have to come, in order: the hash and the numbers of each. A hash of zero stands for no bytes.
fn expected(opened: &Opened, interval: Interval, audited: &Audited) -> Option<Vec<(H256, usize)>> {
    let header = audited.header;
    let all = audited.layout.parameters();
    let seconds = audited.config.inner.matrices.second_moments(audited.layout);
    let mut states = vec![&opened.begin];
    if header.work.engine.is_card() {
        states.push(&opened.end);
    }
    let mut expected = Vec::new();
    for state in states {
        if !has_fit_moments(state) || state.parameters.is_zero() {
            return None;
        }
        expected.extend([
            (state.parameters, all),
            (state.first_moment, all),
            (state.second_moment, seconds),
        ]);
    }
    if interval.is_last(header.inner_steps) {
        if interval.begin > 0 {
            expected.push((header.parent_root.0, all));
        }
        expected.push((header.work.before.feedback, all));
    }
    expected.retain(|(hash, _)| !hash.is_zero());
    Some(expected)
}

/// A traced state of its vectors, which come first of these.
fn state(
    whole: &mut impl Iterator<Item = Vec<f32>>,
    traced: &trace::State,
    audited: &Audited,
) -> Option<State> {
    let all = audited.layout.parameters();
    let seconds = audited.config.inner.matrices.second_moments(audited.layout);
    let parameters = whole.next()?;
    let mut moment = |hash: H256, count: usize| match hash.is_zero() {
        true => Some(vec![0.0; count]),
        false => whole.next(),
    };
    let optimizer = AdamState {
        m: moment(traced.first_moment, all)?,
        v: moment(traced.second_moment, seconds)?,
        step: traced.steps,
    };
    Some(State {
        optimizer: Some(optimizer),
        ..State::new(parameters)
    })
}

/// Whether an engine can have a state with these hashes: moments have one from the optimizer's first step on.
fn has_fit_moments(state: &trace::State) -> bool {
    let has_begun = state.steps > 0;
    let moments = [state.first_moment, state.second_moment];
    moments.iter().all(|hash| hash.is_zero() != has_begun)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_hashes_once_the_optimizer_has_begun() {
        let after = |step| {
            let state = State {
                optimizer: Some(AdamState {
                    m: vec![0.0; 4],
                    v: vec![0.0; 4],
                    step,
                }),
                ..State::new(vec![1.0; 4])
            };
            state.traced()
        };
        for step in [0, 1, 7] {
            let traced = after(step);
            assert!(has_fit_moments(&traced));
            let other = u64::from(step == 0);
            let forged = trace::State {
                steps: other,
                ..traced
            };
            assert!(!has_fit_moments(&forged), "{step}");
        }
        let half = trace::State {
            second_moment: H256::zero(),
            ..after(7)
        };
        assert!(!has_fit_moments(&half));
    }
}
