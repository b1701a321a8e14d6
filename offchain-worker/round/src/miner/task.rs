//! What a miner does, and how it ends.

use cairn_primitives::{BlockNumber, Commitment, Round, SealedRoot, Secret, Served, Uid};
use serde::{Deserialize, Serialize};

use crate::{ahead::Sealed, audit::Demand, plan::Plan, validator::Id};

/// A contribution that is stored and ready to be committed to, or has been.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The round it was made for.
    pub round: Round,
    /// What goes on chain.
    pub commitment: Commitment,
    /// What opens it.
    pub key: Secret,
}

/// A miner's own work.
#[derive(Clone, Debug, PartialEq)]
pub enum Task {
    /// Train in this round on the data of `slot`; make, store and persist a contribution.
    Train {
        /// The round.
        round: Round,
        /// The miner's uid in it.
        uid: Uid,
        /// The miner's slot in it.
        slot: u64,
        /// Which data that is.
        plan: Plan,
        /// The block at which to stop with what is there; the last block that there can be while the round has not
        /// begun.
        deadline: BlockNumber,
        /// Whether the contribution that was not settled is void, and what was made ahead with it: training goes on
        /// from where the last included one ended.
        anew: bool,
    },
    /// The round that is trained has begun: stop at this block with what is there.
    TrainUntil(BlockNumber),
    /// Store this contribution, of which a copy is on disk.
    Store(Intent),
    /// Stop training after the present inner step and make a contribution of what is there.
    FinishTraining,
    /// Stop training: the round is over.
    AbandonTraining,
    /// Take states of a round from what was kept, or make them again from what it began with; store them for who audits
    /// it.
    Serve(Demand),
    /// Fetch a sealed file, so that it is here when its round is settled.
    FetchAhead(Sealed),
    /// End what is being fetched like that of this round, and of those before it: the rest is fetched as it is needed.
    StopFetching(Round),
}

/// How that ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// A contribution is stored and the intent is on disk.
    Sealed(Intent),
    /// A copy of a contribution is on disk. It is not stored, or the intent is not on disk yet: that is left to be done
    /// beside what is computed, or the store did not take it.
    Made(Intent),
    /// The contribution with this sealed root is stored and its intent is on disk, or it could not be stored.
    Stored(SealedRoot, bool),
    /// Training of this round ended without a contribution.
    NothingTrained(Round),
    /// States of this round are stored and their root is on disk, or that came to nothing.
    Served(Round, Option<Served>),
    /// A sealed file is here and matches its root, or is not to be had now.
    Fetched {
        /// The round.
        round: Round,
        /// Which.
        id: Id,
        /// Whether it is here.
        is_here: bool,
    },
}
