//! The weights that a worker holds, and the step from one round's to the next's.

use std::{collections::BTreeMap, sync::Arc};

use cairn_gradient::state_root;
use cairn_primitives::{Round, Uid, H256};
use futures::{stream, StreamExt, TryStreamExt};
use tokio::task::spawn_blocking;

use super::{
    chain::Chain,
    inspect::{check, fetch, Claim},
    run::Run,
    RoleError,
};
use crate::checked::{outer_step, Checked};

/// Files fetched at the same time.
const PARALLEL_FETCHES: usize = 8;

/// The weights with which a round begins.
#[derive(Clone, Debug)]
pub struct Held {
    /// The round.
    pub round: Round,
    /// The weights.
    pub theta: Arc<Vec<f32>>,
    /// Their root.
    pub root: H256,
}

impl Held {
    /// Weights and their root.
    pub fn new(round: Round, theta: Vec<f32>) -> Held {
        let root = state_root(&theta);
        Held {
            round,
            theta: Arc::new(theta),
            root,
        }
    }
}

/// Makes sure that the chain, where it has decided, has the same weights.
///
/// # Errors
/// [`RoleError::Diverged`].
pub async fn check_lineage<C: Chain>(
    chain: &C,
    run: &Run,
    at: H256,
    held: &Held,
) -> Result<(), RoleError> {
    let lineage = chain.lineage(at, run.netuid, held.round).await?;
    match lineage
        .iter()
        .find(|entry| entry.round == held.round && entry.is_final)
    {
        Some(entry) if entry.state_root != held.root => Err(RoleError::Diverged {
            round: held.round,
            here: held.root,
            chain: entry.state_root,
        }),
        _ => Ok(()),
    }
}

/// Applies the round that `held` begins, which included `included`. What is not among `at_hand` is fetched.
/// The roots before and after are compared with the lineage of block `at`.
///
/// # Errors
/// [`RoleError::Diverged`], and those of chain and store, which may be gone in a moment.
pub async fn advance<C: Chain>(
    chain: &C,
    run: &Arc<Run>,
    at: H256,
    held: &Held,
    included: &[Uid],
    at_hand: &BTreeMap<Uid, Arc<Checked>>,
) -> Result<Held, RoleError> {
    check_lineage(chain, run, at, held).await?;
    let next = if included.is_empty() {
        Held {
            round: held.round + 1,
            ..held.clone()
        }
    } else {
        let contributions = gather(chain, run, at, held, included, at_hand).await?;
        let (run, held) = (run.clone(), held.clone());
        spawn_blocking(move || {
            let mut theta = held.theta.as_ref().clone();
            let root = outer_step(&mut theta, &run.layout, &run.config, &contributions)
                .map_err(|error| broken(held.round, &error))?;
            Ok::<_, RoleError>(Held {
                round: held.round + 1,
                theta: Arc::new(theta),
                root,
            })
        })
        .await??
    };
    check_lineage(chain, run, at, &next).await?;
    Ok(next)
}

/// The included contributions, ascending by uid.
async fn gather<C: Chain>(
    chain: &C,
    run: &Arc<Run>,
    at: H256,
    held: &Held,
    included: &[Uid],
    at_hand: &BTreeMap<Uid, Arc<Checked>>,
) -> Result<Vec<(Uid, Arc<Checked>)>, RoleError> {
    let on_chain = chain.contributions(at, run.netuid, held.round).await?;
    let get = |uid: Uid| {
        let entry = on_chain.iter().find(|entry| entry.uid == uid);
        async move {
            if let Some(known) = at_hand.get(&uid) {
                return Ok::<_, RoleError>((uid, known.clone()));
            }
            let missing = || {
                broken(
                    held.round,
                    &format!("the chain does not have what uid {uid} revealed"),
                )
            };
            let entry = entry.ok_or_else(missing)?;
            let claim = Claim {
                round: held.round,
                hotkey: entry.hotkey,
                commitment: entry.commitment.clone(),
                key: entry.key.ok_or_else(missing)?,
                parent_root: held.root,
            };
            let sealed = fetch(run, held.round, &entry.commitment).await?;
            let run = run.clone();
            let checked = spawn_blocking(move || check(&run, &claim, &sealed)).await?;
            let checked = checked.map_err(|error| broken(held.round, &error))?;
            Ok((uid, Arc::new(checked)))
        }
    };
    // A plain list of futures: a closure inside the stream would tie its lifetime to the job's.
    let jobs: Vec<_> = included.iter().map(|uid| get(*uid)).collect();
    let mut found: Vec<(Uid, Arc<Checked>)> = stream::iter(jobs)
        .buffer_unordered(PARALLEL_FETCHES)
        .try_collect()
        .await?;
    found.sort_unstable_by_key(|(uid, _)| *uid);
    Ok(found)
}

fn broken(round: Round, error: &dyn std::fmt::Display) -> RoleError {
    RoleError::Broken(format!(
        "round {round} was settled with a contribution that cannot be applied: {error}"
    ))
}
