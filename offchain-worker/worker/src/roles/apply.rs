//! The outer step of a settled round: fetch what was included, check it, compute the parameters after it.

use std::{collections::BTreeMap, sync::Arc};

use cairn_gradient::{checked::counted, Checked};
use cairn_primitives::{ModelRoot, Round, SealedRoot, Standing, Uid};
use cairn_protocol::{overlap, verdict::Before};
use cairn_round::{validator::Claim, Included, Settlement};
use futures::{stream, StreamExt, TryStreamExt};
use tokio::task::spawn_blocking;

use super::{
    ahead,
    chain::Chain,
    driver::{with_engine, Desk},
    inspect::{check, fetch},
    setup::locked,
    RoleError,
};

/// Files fetched at the same time.
const PARALLEL_FETCHES: usize = 8;

/// Checked contributions by uid and sealed root.
pub(super) type AtHand = BTreeMap<(Uid, SealedRoot), Arc<Checked>>;

/// Computes the parameters after a round, and gives their root and what was included. They are pending in the engine.
/// What is not among `at_hand` is fetched. `is_included` says whether the member's own contribution is one of them.
///
/// # Errors
/// [`RoleError::Unappliable`]; those of engine and store, which may be gone in a moment.
pub(super) async fn apply<C: Chain>(
    desk: &Desk<C>,
    settlement: &Settlement,
    at_hand: &AtHand,
    is_included: bool,
) -> Result<(ModelRoot, AtHand), RoleError> {
    let held = with_engine(desk, |engine| Ok(engine.root(cairn_engine::Version::Held)?)).await?;
    let parent_root = overlap::base(held, settlement.base);
    // A plain list of futures: a closure inside the stream would tie its lifetime to the job's.
    let included = settlement.included.iter();
    let jobs: Vec<_> = included
        .map(|one| {
            let seen = &one.seen;
            let known = at_hand.get(&(seen.uid, seen.commitment.sealed_root));
            get(
                desk,
                settlement.round,
                one.clone(),
                known.cloned(),
                parent_root,
            )
        })
        .collect();
    let contributions: Vec<(Uid, Standing, Arc<Checked>)> = stream::iter(jobs)
        .buffer_unordered(PARALLEL_FETCHES)
        .try_collect()
        .await?;
    let run = &desk.run;
    let contributions = counted(&run.config, contributions);
    let mut ends = locked(&run.ends).clone();
    ends.note(contributions.iter().map(|(_, _, checked)| checked.header()));
    *locked(&run.next_ends) = Some(ends);
    let ids = settlement.included.iter().map(|one| &one.seen);
    let ids = ids.map(|seen| (seen.uid, seen.commitment.sealed_root));
    let ids: BTreeMap<Uid, SealedRoot> = ids.collect();
    let (state, overlaps) = (desk.state.clone(), run.config.overlaps());
    with_engine(desk, move |engine| {
        engine.discard();
        let is_carried_on = match overlaps {
            true => ahead::carries_on(engine, &state, is_included)?,
            false => is_included,
        };
        let root = engine.settle(&cairn_engine::Settlement {
            included: &contributions,
            is_included: is_carried_on,
        })?;
        let files = contributions.into_iter();
        let files = files.filter_map(|(uid, _, file)| Some(((uid, *ids.get(&uid)?), file)));
        Ok((root, files.collect()))
    })
    .await
}

/// One included contribution, and what the settlement says of it.
async fn get<C: Chain>(
    desk: &Desk<C>,
    round: Round,
    Included { seen, standing }: Included,
    known: Option<Arc<Checked>>,
    parent_root: ModelRoot,
) -> Result<(Uid, Standing, Arc<Checked>), RoleError> {
    let uid = seen.uid;
    if let Some(known) = known {
        return Ok((uid, standing, known));
    }
    let unappliable = |why: String| RoleError::Unappliable { round, uid, why };
    let key = seen
        .key
        .ok_or_else(|| unappliable("the chain has no key of it".into()))?;
    let sealed = fetch(desk, round, seen.hotkey, &seen.commitment).await?;
    let run = desk.run.clone();
    let claim = Claim {
        round,
        uid,
        hotkey: seen.hotkey,
        commitment: seen.commitment,
        key,
        parent_root,
    };
    let checked = spawn_blocking(move || check(&run, &claim, Before::default(), &sealed)).await?;
    let checked = checked.map_err(|refusal| unappliable(refusal.to_string()))?;
    Ok((uid, standing, Arc::new(checked)))
}
