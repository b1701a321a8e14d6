//! What enough of the stake agrees on, and what that makes of the miners.

use alloc::{vec, vec::Vec};

use crate::{
    median::Median,
    share::{at, normalise, Share},
    votes::Votes,
};

/// What the voters agree on.
pub struct Agreement {
    /// Per member the largest score that at least κ of the stake supports.
    pub consensus: Vec<Share>,
    /// Per member its share as a miner: the stake-weighted sum of clipped scores, normalised.
    pub incentive: Vec<Share>,
    /// Per voter the sum of its clipped scores.
    pub trust: Vec<Share>,
}

impl Agreement {
    /// Consensus at `kappa`, clipping and ranks.
    pub fn of(votes: &Votes, kappa: Share) -> Agreement {
        let mut median = Median::new(&votes.stake, kappa);
        let mut trust = vec![Share::ZERO; votes.voters.len()];
        let (mut consensus, mut incentive) = (Vec::new(), Vec::new());
        for column in votes.cells.iter() {
            let agreed = median.of(column);
            // At most the sum of the stake.
            let mut rank = Share::ZERO;
            if !agreed.is_zero() {
                for cell in column {
                    let clipped = cell.score().min(agreed);
                    rank = rank.plus(clipped.times(at(&votes.stake, cell.voter)));
                    if let Some(trust) = trust.get_mut(usize::from(cell.voter)) {
                        *trust = trust.plus(clipped);
                    }
                }
            }
            consensus.push(agreed);
            incentive.push(rank);
        }
        normalise(&mut incentive);
        Agreement {
            consensus,
            incentive,
            trust,
        }
    }

    /// Whether there is a score that enough stake supports.
    pub fn is_any(&self) -> bool {
        self.consensus.iter().any(|agreed| !agreed.is_zero())
    }
}
