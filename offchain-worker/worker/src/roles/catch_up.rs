//! Rounds that were settled since the one whose parameters are held: what they included is brought here while that one
//! is being applied. So who comes late, or comes back, waits for one round's files and not for one round after the
//! other.
//!
//! Nothing is held in memory, and what is fetched is what would be fetched later: into the own store, or beside the
//! state, until its round is over. What does not come is fetched when it is needed, as if it had not been asked for.

use std::ops::Range;

use cairn_primitives::Round;
use cairn_protocol::limits::MOST_REPLAYED;
use cairn_round::{
    ahead::{Sealed, Whom},
    Held,
};
use futures::{stream, StreamExt};
use tokio::sync::watch;

use super::{
    chain::Chain,
    driver::{Desk, Ended, Jobs},
    inspect,
    look::settlement,
};

/// Files under way at the same time: as many as a peer answers at once on one connection. And rounds of which the chain
/// is asked at the same time.
const AT_ONCE: usize = 4;

/// Which rounds are brought.
#[derive(Default)]
pub(super) struct CatchUp {
    /// All rounds before this one were begun with, or were not needed.
    next: Round,
    is_under_way: bool,
    /// The newest round that is being applied: whoever applies it fetches what is missing.
    over: watch::Sender<Option<Round>>,
}

impl CatchUp {
    /// Begins with what is to be brought now, by what is held and the current round, if there is anything.
    pub fn go_on<C: Chain, O: Send + 'static>(
        &mut self,
        desk: &Desk<C>,
        (held, current): (Option<Held>, Round),
        jobs: &mut Jobs<O>,
    ) {
        let Some(rounds) = held.and_then(|held| self.begin(held.round, current)) else {
            return;
        };
        let (desk, over) = (desk.clone(), self.over.subscribe());
        jobs.spawn_beside(async move {
            bring(&desk, rounds, over).await;
            Ok(Ended::CaughtUp)
        });
    }

    /// The rounds to begin with now, by the round whose parameters are held and the current one; `None` if there are
    /// none, or others are under way. The round held is fetched by who applies it.
    fn begin(&mut self, held: Round, current: Round) -> Option<Range<Round>> {
        let after = held.saturating_add(1);
        let from = after.max(self.next);
        // No more than that lies here unused, however often it is asked.
        let to = current.min(after.saturating_add(MOST_REPLAYED));
        if self.is_under_way || from >= to {
            return None;
        }
        self.is_under_way = true;
        self.next = to;
        Some(from..to)
    }

    /// A round is being applied.
    pub fn applies(&self, round: Round) {
        self.over.send_replace(Some(round));
    }

    /// What was begun with has ended.
    pub fn ended(&mut self) {
        self.is_under_way = false;
    }
}

/// Brings what these rounds included, those first that are needed first.
async fn bring<C: Chain>(
    desk: &Desk<C>,
    rounds: Range<Round>,
    over: watch::Receiver<Option<Round>>,
) {
    let at = desk.heads.finalized.hash;
    // Plain lists of futures: a closure inside the stream would tie its lifetime to the job's.
    let asked = rounds.map(|round| settlement(&desk.chain, &desk.run, at, round));
    let asked: Vec<_> = asked.collect();
    let settled: Vec<_> = stream::iter(asked).buffered(AT_ONCE).collect().await;
    let settled = settled.into_iter().filter_map(Result::ok).flatten();
    let sealed = settled.flat_map(|settlement| {
        let round = settlement.round;
        settlement.included.into_iter().map(move |one| Sealed {
            round,
            id: (one.seen.uid, one.seen.commitment.sealed_root),
            hotkey: one.seen.hotkey,
            commitment: one.seen.commitment,
            whom: Whom::Anybody,
        })
    });
    let files: Vec<_> = sealed.map(|one| file(desk, one, over.clone())).collect();
    let mut files = stream::iter(files).buffer_unordered(AT_ONCE);
    while files.next().await.is_some() {}
}

/// Brings one file, unless its round is being applied.
async fn file<C: Chain>(desk: &Desk<C>, sealed: Sealed, over: watch::Receiver<Option<Round>>) {
    let round = sealed.round;
    tokio::select! {
        () = until_applied(over, round) => {}
        fetched = inspect::fetch_ahead(desk, &sealed) => {
            if let Err(error) = fetched {
                tracing::debug!("round {round} · {error}");
            }
        }
    }
}

/// Waits until this round is being applied, or a later one.
async fn until_applied(mut over: watch::Receiver<Option<Round>>, round: Round) {
    let is_it = |over: &Option<Round>| over.is_some_and(|over| over >= round);
    // There is nobody left to tell of it, or it was told.
    let _ = over.wait_for(is_it).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn each_round_is_begun_with_once_and_few_at_a_time() {
        let mut catch_up = CatchUp::default();
        // The round held is fetched by who applies it, and the current one has not ended.
        assert_eq!(catch_up.begin(7, 7), None);
        assert_eq!(catch_up.begin(7, 8), None);
        assert_eq!(catch_up.begin(7, 10), Some(8..10));
        assert_eq!(catch_up.begin(7, 12), None, "others are under way");
        catch_up.ended();
        assert_eq!(catch_up.begin(8, 12), Some(10..12));
        catch_up.ended();
        assert_eq!(catch_up.begin(9, 12), None, "all were begun with");
        // Who went far ahead, by a checkpoint, leaves out what is no longer needed.
        let some = catch_up.begin(100, 200);
        assert_eq!(some, Some(101..101 + MOST_REPLAYED));
        catch_up.ended();
        assert_eq!(catch_up.begin(100, 200), None, "so many lie here unused");
        catch_up.ended();
        assert_eq!(catch_up.begin(101, 200), Some(117..118));
    }

    #[test]
    fn what_is_under_way_of_a_round_ends_when_that_is_applied() {
        let catch_up = CatchUp::default();
        let of = |round| until_applied(catch_up.over.subscribe(), round).boxed();
        let (mut third, mut fourth) = (of(3), of(4));
        assert!((&mut third).now_or_never().is_none());
        catch_up.applies(2);
        assert!((&mut third).now_or_never().is_none());
        catch_up.applies(3);
        assert!((&mut third).now_or_never().is_some());
        assert!((&mut fourth).now_or_never().is_none());
        catch_up.applies(4);
        assert!((&mut fourth).now_or_never().is_some());
        // Who begins later learns of it, too.
        assert!(of(3).now_or_never().is_some());
    }
}
