//! Several cards that make one step together, each a rank with a thread: ZeRO-1.
//!
//! Every rank has all parameters and the gradient of its part of a step's windows. Gradients are of the mean over all
//! tokens of the step, so what ranks have only has to be added, whoever has more windows. The flat vector is cut into
//! one shard for each rank: a rank gets the others' gradients of its shard, adds them in the order of ranks, makes
//! AdamW's step with the moments of its shard, which nobody else has, and sends the new parameters to all.
//!
//! The norm to which is clipped and the loss are put together by every rank from the same numbers in the same order, so
//! all clip alike. On one model of card and with as many ranks the same steps give the same bits; the number of ranks
//! changes them, within the rounding of sums.
//!
//! The first rank's thread is the caller's. If a rank fails, the others stop at their next look and all cards are
//! closed: the next step opens them anew.

use std::{
    ops::Range,
    panic::resume_unwind,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use cairn_primitives::{Layout, Matrices};

use super::{
    device::{Buffer, Device, Ptr},
    error::CudaError,
    muon,
    nccl::{Comm, Move, Patience},
    open::Open,
    ops::Update,
    trainer::CudaOptions,
};
use crate::{model::Model, windows::tokens_of, AdamState};

/// The most numbers of a shard that come from each rank at once, unless something else is asked for.
pub const CROSSING: usize = 4 << 20;
/// How long a rank waits for the others.
const DEADLINE: Duration = Duration::from_secs(300);

/// The flat vector, cut into a shard for each rank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shards {
    /// Where each begins, and where the last ends.
    bounds: Vec<usize>,
}

impl Shards {
    /// Cuts so many numbers into `ranks` shards, as even as fours of numbers allow.
    ///
    /// # Errors
    ///
    /// [`CudaError::Ranks`] if there is not one four for each.
    pub fn new(parameters: usize, ranks: usize) -> Result<Shards, CudaError> {
        let fours = parameters.div_ceil(4);
        if fours < ranks {
            return Err(CudaError::Ranks { ranks, parameters });
        }
        let bound = |rank: usize| (4 * (rank * fours / ranks)).min(parameters);
        Ok(Shards {
            bounds: (0..=ranks).map(bound).collect(),
        })
    }

    /// The shard of a rank.
    pub fn of(&self, rank: usize) -> Range<usize> {
        self.bounds[rank]..self.bounds[rank + 1]
    }

    fn longest(&self) -> usize {
        let lengths = self.bounds.windows(2).map(|ends| ends[1] - ends[0]);
        lengths.max().unwrap_or_default()
    }
}

/// The windows of each rank, one rank's behind the other's and as even as can be; the last ranks have one more.
fn parts<'w, 't>(windows: &'w [&'t [u32]], ranks: usize) -> Vec<&'w [&'t [u32]]> {
    let bound = |rank: usize| rank * windows.len() / ranks;
    let part = |rank| &windows[bound(rank)..bound(rank + 1)];
    (0..ranks).map(part).collect()
}

/// The open cards of a trainer. What joins them is ended before their memory is given back: fields are dropped in
/// order.
pub(super) struct Cards {
    /// One for each rank; none if there is one.
    ends: Vec<End>,
    first: Open,
    others: Vec<Open>,
    shards: Shards,
    options: CudaOptions,
}

/// A rank's end of what joins ranks, and the memory for what comes.
struct End {
    comm: Comm,
    rank: usize,
    ranks: usize,
    /// Numbers of a shard that come from each of the others at once.
    crossing: usize,
    gradients: Buffer<f32>,
    reports: Buffer<f64>,
}

impl Cards {
    /// Opens all cards and joins them.
    ///
    /// # Errors
    ///
    /// [`CudaError`], which says what is missing.
    pub fn open(model: &Model, layout: &Layout, options: CudaOptions) -> Result<Cards, CudaError> {
        let ranks = options.ranks();
        if ranks > 1 && options.matrices != Matrices::AdamW {
            return Err(CudaError::Matrices { ranks });
        }
        let shards = Shards::new(model.parameters, ranks)?;
        let open = |rank: usize| -> Result<Open, CudaError> {
            let ordinal = options.ordinal + rank;
            let matrices = &options.matrices;
            let opened = Open::new(model, layout, ordinal, shards.of(rank), matrices);
            opened.map_err(|error| on_card(options, rank, error))
        };
        let mut cards = Cards {
            ends: Vec::new(),
            first: open(0)?,
            others: (1..ranks).map(open).collect::<Result<_, _>>()?,
            shards,
            options,
        };
        cards.check_alike()?;
        if !cards.others.is_empty() {
            cards.join()?;
            cards.greet()?;
            let room = cards.first.try_room();
            room.map_err(|error| on_card(options, 0, error))?;
        }
        Ok(cards)
    }

    /// Joins the cards, and gives each its memory for what comes.
    fn join(&mut self) -> Result<(), CudaError> {
        let ranks = self.options.ranks();
        let devices: Vec<&Device> = self.all().map(|open| &open.device).collect();
        let comms = Comm::join(&devices, self.deadline())?;
        let crossing = self.options.crossing.unwrap_or(CROSSING);
        let crossing = crossing.clamp(1, self.shards.longest());
        let what = "what comes from other GPUs";
        let ends = devices.iter().zip(comms).enumerate();
        let ends = ends.map(|(rank, (device, comm))| {
            Ok(End {
                comm,
                rank,
                ranks,
                crossing,
                gradients: device.buffer((ranks - 1) * crossing, what)?,
                reports: device.buffer(2 * (ranks - 1), what)?,
            })
        });
        self.ends = ends.collect::<Result<_, CudaError>>()?;
        Ok(())
    }

    /// Lets each rank send something to each. NCCL connects two when they first do, and takes memory of the cards for
    /// it: whoever looks later at what is free does not count that.
    fn greet(&mut self) -> Result<(), CudaError> {
        let (options, deadline) = (self.options, self.deadline().max(DEADLINE));
        let stop = AtomicBool::new(false);
        let patience = Patience {
            stop: &stop,
            deadline: Some(deadline),
        };
        let cards = std::iter::once(&mut self.first).chain(&mut self.others);
        let ranks = cards.zip(&mut self.ends).map(|(open, end)| {
            move || -> Reported {
                let mut alarm = Alarm {
                    stop: patience.stop,
                    is_well: false,
                };
                open.device.bind()?;
                end.cross_reports(open, "connecting GPUs", patience)?;
                alarm.is_well = true;
                Ok([0.0; 2])
            }
        });
        in_all(options, together(ranks))?;
        Ok(())
    }

    /// All cards have to be of one model: it is what others are told.
    fn check_alike(&self) -> Result<(), CudaError> {
        let first = self.first.device.card();
        let mut others = self.others.iter().map(|open| open.device.card());
        match others.find(|card| card.name != first.name) {
            None => Ok(()),
            Some(card) => Err(CudaError::Unlike {
                first: first.ordinal,
                first_name: first.name.clone(),
                ordinal: card.ordinal,
                name: card.name.clone(),
            }),
        }
    }

    fn all(&self) -> impl Iterator<Item = &Open> {
        std::iter::once(&self.first).chain(&self.others)
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut Open> {
        std::iter::once(&mut self.first).chain(&mut self.others)
    }

    fn deadline(&self) -> Duration {
        self.options.deadline.unwrap_or(DEADLINE)
    }

    /// The first card, which makes by itself what is no step.
    pub fn first(&self) -> &Open {
        &self.first
    }

    /// The same, to use it.
    pub fn first_mut(&mut self) -> &mut Open {
        &mut self.first
    }

    /// What they are, for people, and for whoever wants the same bits.
    pub fn name(&self) -> String {
        let name = &self.first.device.card().name;
        match self.others.len() {
            0 => name.clone(),
            more => format!("{}x {name}", more + 1),
        }
    }

    /// Copies parameters to all cards, and its shard of the moments to each.
    ///
    /// # Errors
    ///
    /// [`CudaError`] if a card fails.
    pub fn begin(
        &mut self,
        model: &Model,
        params: &[f32],
        adam: &AdamState,
    ) -> Result<(), CudaError> {
        let (shards, options) = (self.shards.clone(), self.options);
        for (rank, open) in self.all_mut().enumerate() {
            let shard = shards.of(rank);
            // A card alone has all second moments there are, which are fewer than the first in a run of Muon's.
            let second = match options.ranks() {
                1 => adam.v.as_slice(),
                _ => &adam.v[shard.clone()],
            };
            let put = open.begin(model, params, (&adam.m[shard], second));
            put.map_err(|error| on_card(options, rank, error))?;
        }
        Ok(())
    }

    /// The optimizer's state after `step` steps, put together of all shards.
    ///
    /// # Errors
    ///
    /// [`CudaError`] if a card fails.
    pub fn adam(&self, step: u64) -> Result<AdamState, CudaError> {
        let (mut m, mut v) = (Vec::new(), Vec::new());
        for (rank, open) in self.all().enumerate() {
            let shard = open.moments();
            let (first, second) = shard.map_err(|error| on_card(self.options, rank, error))?;
            // The first rank's vectors become those of all.
            match rank {
                0 => (m, v) = (first, second),
                _ => {
                    m.extend(first);
                    v.extend(second);
                }
            }
        }
        Ok(AdamState { m, v, step })
    }

    /// One step on the cards, with Muon's numbers on a card alone that was opened for it: the sum of all losses, and the
    /// gradient's norm.
    ///
    /// # Errors
    ///
    /// [`CudaError`]; of several cards that of the one that failed first by itself. They are of no more use then.
    pub fn step(
        &mut self,
        model: &Model,
        windows: &[&[u32]],
        update: Update,
        numbers: Option<muon::Numbers>,
    ) -> Result<[f64; 2], CudaError> {
        let tokens = tokens_of(windows);
        let options = self.options;
        if self.others.is_empty() {
            self.first.accumulate(model, options, windows, tokens)?;
            self.first.update(update, numbers)?;
            return self.first.report();
        }
        let deadline = self.deadline();
        let parts = parts(windows, options.ranks());
        let shards = &self.shards;
        let (stop, arrived) = (AtomicBool::new(false), AtomicUsize::new(0));
        let cards = std::iter::once(&mut self.first).chain(&mut self.others);
        let ranks = cards.zip(&mut self.ends).zip(parts);
        let steps = ranks.map(|((open, end), windows)| Step {
            open,
            end,
            windows,
            tokens,
            model,
            shards,
            options,
            update,
            stop: &stop,
            arrived: &arrived,
            deadline,
        });
        let results = together(steps.map(|step| move || step.run()));
        in_all(options, results)
    }
}

/// What a rank reports.
type Reported = Result<[f64; 2], CudaError>;

/// Does the ranks' parts of something, the first on this thread and each other on one of its own.
fn together<P: FnOnce() -> Reported + Send>(mut parts: impl Iterator<Item = P>) -> Vec<Reported> {
    thread::scope(|scope| {
        let first = parts.next();
        let threads: Vec<_> = parts.map(|part| scope.spawn(part)).collect();
        let mut results: Vec<_> = first.into_iter().map(|part| part()).collect();
        let joined = threads.into_iter().map(|thread| match thread.join() {
            Ok(result) => result,
            Err(panic) => resume_unwind(panic),
        });
        results.extend(joined);
        results
    })
}

/// What the ranks report, which is the same of all; or the error that the others' come from.
fn in_all(options: CudaOptions, results: Vec<Reported>) -> Reported {
    let cause = |error: &CudaError| match error {
        CudaError::Stopped => 3,
        CudaError::Late { .. } => 2,
        // It may be how another's lost card is seen.
        CudaError::Nccl { .. } => 1,
        _ => 0,
    };
    let (mut report, mut errors) = ([0.0; 2], Vec::new());
    for (rank, result) in results.into_iter().enumerate() {
        match result {
            Ok(found) => report = found,
            Err(error) => errors.push((rank, error)),
        }
    }
    match errors.into_iter().min_by_key(|(_, error)| cause(error)) {
        None => Ok(report),
        Some((rank, error)) => Err(on_card(options, rank, error)),
    }
}

/// Says of which card an error is, if there are several.
fn on_card(options: CudaOptions, rank: usize, error: CudaError) -> CudaError {
    match options.ranks() {
        1 => error,
        _ => CudaError::OnCard {
            ordinal: options.ordinal + rank,
            error: Box::new(error),
        },
    }
}

/// Tells the other ranks to stop, unless all went well; if this one panics, too.
struct Alarm<'a> {
    stop: &'a AtomicBool,
    is_well: bool,
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if !self.is_well {
            self.stop.store(true, Ordering::Release);
        }
    }
}

/// A rank's part of a step.
struct Step<'a> {
    open: &'a mut Open,
    end: &'a mut End,
    windows: &'a [&'a [u32]],
    /// Of all ranks' windows.
    tokens: usize,
    model: &'a Model,
    shards: &'a Shards,
    options: CudaOptions,
    update: Update,
    stop: &'a AtomicBool,
    /// Ranks that have their own gradient.
    arrived: &'a AtomicUsize,
    deadline: Duration,
}

impl Step<'_> {
    fn run(mut self) -> Result<[f64; 2], CudaError> {
        let mut alarm = Alarm {
            stop: self.stop,
            is_well: false,
        };
        let report = self.made()?;
        alarm.is_well = true;
        Ok(report)
    }

    fn made(&mut self) -> Result<[f64; 2], CudaError> {
        let Step {
            open, end, model, ..
        } = self;
        open.device.bind()?;
        // Before anything that waits for others is on the stream: a copy may wait for what is.
        open.put_update(self.update)?;
        open.accumulate(model, self.options, self.windows, self.tokens)?;
        let doing = "waiting for a GPU's own gradient";
        let alone = Patience {
            stop: self.stop,
            deadline: None,
        };
        end.comm.finish(&open.device, doing, alone)?;
        meet(self.arrived, end.ranks, self.stop, self.deadline)?;
        let patience = Patience {
            stop: self.stop,
            deadline: Some(self.deadline),
        };
        end.reduce(open, self.shards, patience)?;
        let shard = self.shards.of(end.rank);
        open.norm_of(shard)?;
        end.report(open, patience)?;
        open.adamw()?;
        end.gather(open, self.shards, patience)?;
        open.round_parameters(model)?;
        open.report()
    }
}

/// Waits until all ranks have their own gradient. Until then nothing of NCCL runs on any card: what a rank still asks
/// of the driver, as memory, might have to wait for it.
fn meet(
    arrived: &AtomicUsize,
    ranks: usize,
    stop: &AtomicBool,
    deadline: Duration,
) -> Result<(), CudaError> {
    arrived.fetch_add(1, Ordering::AcqRel);
    let patience = Patience {
        stop,
        deadline: Some(deadline.max(DEADLINE)),
    };
    patience.until("waiting for other GPUs' gradients", || {
        Ok(arrived.load(Ordering::Acquire) >= ranks)
    })
}

impl End {
    /// The other ranks, and which place each has among them.
    fn peers(&self) -> impl Iterator<Item = (usize, usize)> {
        let rank = self.rank;
        (0..self.ranks)
            .filter(move |peer| *peer != rank)
            .enumerate()
    }

    /// The gradient of the shard becomes the sum of all ranks', a part of it after the other.
    fn reduce(
        &mut self,
        open: &Open,
        shards: &Shards,
        patience: Patience,
    ) -> Result<(), CudaError> {
        let gradient = &open.resident.parameters.gradient;
        let (crossing, of) = (self.crossing, (self.rank, self.ranks));
        let part = |rank: usize, from: usize| {
            let Range { start, end } = shards.of(rank);
            (start + from).min(end)..(start + from + crossing).min(end)
        };
        for from in (0..shards.longest()).step_by(crossing) {
            let own = part(self.rank, from);
            let mut moves = Vec::new();
            for (place, peer) in self.peers() {
                let theirs = part(peer, from);
                moves.push(send(peer, gradient.at(theirs.start), theirs.len()));
                let to = self.gradients.at(place * own.len());
                moves.push(receive(peer, to, own.len()));
            }
            let doing = "adding up gradients of several GPUs";
            self.comm.exchange(&open.device, doing, &moves, patience)?;
            if !own.is_empty() {
                let (to, others) = (gradient.at(own.start), self.gradients.ptr());
                open.device.add_ranks(to, others, own.len(), of)?;
            }
        }
        Ok(())
    }

    /// The report becomes that of all ranks.
    fn report(&mut self, open: &Open, patience: Patience) -> Result<(), CudaError> {
        self.cross_reports(open, "comparing losses of several GPUs", patience)?;
        let of = (self.rank, self.ranks);
        let report = open.resident.report.ptr();
        open.device.join_reports(report, self.reports.ptr(), of)
    }

    /// All ranks get all reports.
    fn cross_reports(
        &mut self,
        open: &Open,
        doing: &'static str,
        patience: Patience,
    ) -> Result<(), CudaError> {
        let report = open.resident.report.ptr();
        let both = self.peers().flat_map(|(place, peer)| {
            let to = self.reports.at(2 * place);
            [send(peer, report, 2), receive(peer, to, 2)]
        });
        let moves: Vec<Move> = both.collect();
        self.comm.exchange(&open.device, doing, &moves, patience)
    }

    /// The parameters of all shards become what their ranks made of them.
    fn gather(
        &mut self,
        open: &Open,
        shards: &Shards,
        patience: Patience,
    ) -> Result<(), CudaError> {
        let values = &open.resident.parameters.values;
        let own = shards.of(self.rank);
        let both = self.peers().flat_map(|(_, peer)| {
            let theirs = shards.of(peer);
            [
                send(peer, values.at(own.start), own.len()),
                receive(peer, values.at(theirs.start), theirs.len()),
            ]
        });
        let moves: Vec<Move> = both.collect();
        let doing = "exchanging parameters between GPUs";
        self.comm.exchange(&open.device, doing, &moves, patience)
    }
}

fn send<T>(with: usize, from: Ptr<T>, numbers: usize) -> Move {
    Move {
        with,
        at: from.0,
        bytes: numbers * std::mem::size_of::<T>(),
        goes: true,
    }
}

fn receive<T>(with: usize, to: Ptr<T>, numbers: usize) -> Move {
    Move {
        goes: false,
        ..send(with, to, numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_all_of_the_vector_and_differ_by_a_four_at_most() {
        for (parameters, ranks) in [
            (1_003, 1),
            (1_003, 2),
            (1_003, 3),
            (16, 4),
            (13, 4),
            (4_096, 7),
        ] {
            let shards = Shards::new(parameters, ranks).unwrap();
            let all: Vec<usize> = (0..ranks).flat_map(|rank| shards.of(rank)).collect();
            assert_eq!(all, (0..parameters).collect::<Vec<_>>());
            let lengths = (0..ranks).map(|rank| shards.of(rank).len());
            let shortest = lengths.min().unwrap();
            assert!(shortest > 0 && shards.longest() - shortest < 8);
        }
        assert!(matches!(
            Shards::new(12, 4),
            Err(CudaError::Ranks {
                ranks: 4,
                parameters: 12
            })
        ));
    }

    #[test]
    fn of_all_errors_the_cause_is_told() {
        let options = CudaOptions {
            ordinal: 4,
            others: 3,
            ..CudaOptions::default()
        };
        let doing = "testing";
        let late = CudaError::Late {
            doing,
            seconds: 1.0,
        };
        let nccl = CudaError::Nccl {
            doing,
            status: 6,
            said: String::new(),
        };
        let lost = CudaError::Lost {
            doing,
            error: String::new(),
        };
        let all = vec![Err(CudaError::Stopped), Err(late), Err(nccl), Err(lost)];
        let error = in_all(options, all).unwrap_err();
        let is_right = matches!(&error, CudaError::OnCard { ordinal: 7, error } if error.is_lost());
        assert!(is_right, "{error}");
        assert!(in_all(options, vec![Ok([1.0, 2.0])]).is_ok());
    }

    #[test]
    fn windows_are_shared_out_in_order() {
        let tokens = [[1u32, 2]; 8];
        let windows: Vec<&[u32]> = tokens.iter().map(|window| window.as_slice()).collect();
        for (count, ranks, want) in [
            (8, 3, vec![2, 3, 3]),
            (2, 3, vec![0, 1, 1]),
            (4, 2, vec![2, 2]),
        ] {
            let parts = parts(&windows[..count], ranks);
            let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
            assert_eq!(lengths, want);
        }
    }
}
