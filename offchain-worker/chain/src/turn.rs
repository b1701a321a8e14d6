//! Whose turn it is to send for an account: one transaction at a time, so that nonces do not collide, and of those that
//! wait the most urgent one first.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

/// How urgent a call is beside others that wait for its account: the lowest goes first.
pub type Urgency = u8;

#[derive(Debug, Default)]
struct Queue {
    is_taken: bool,
    came: u64,
    waiting: BTreeMap<(Urgency, u64), oneshot::Sender<Turn>>,
    /// The nonce of the account's last transaction, if that was given up and the node may still count it.
    given_up: Option<u64>,
}

/// An account's turns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turns(Arc<Mutex<Queue>>);

/// Whoever has this sends for the account. The turn goes on when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn(Turns);

impl Turns {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the turn. Whoever stops waiting is passed over.
    pub(crate) async fn take(&self, urgency: Urgency) -> Turn {
        loop {
            let granted = {
                let mut queue = self.queue();
                if !queue.is_taken {
                    queue.is_taken = true;
                    return Turn(self.clone());
                }
                let (sender, granted) = oneshot::channel();
                let place = (urgency, queue.came);
                queue.came = queue.came.wrapping_add(1);
                queue.waiting.insert(place, sender);
                granted
            };
            if let Ok(turn) = granted.await {
                return turn;
            }
        }
    }
}

impl Turn {
    /// The nonce of the account's last transaction, if that was given up.
    pub(crate) fn given_up(&self) -> Option<u64> {
        self.0.queue().given_up
    }

    /// Says of the transaction that was sent whether it was given up, and with which nonce.
    pub(crate) fn gives_up(&self, nonce: Option<u64>) {
        self.0.queue().given_up = nonce;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = {
            let mut queue = self.0.queue();
            let next = loop {
                match queue.waiting.pop_first() {
                    Some((_, sender)) if sender.is_closed() => {}
                    next => break next,
                }
            };
            queue.is_taken = next.is_some();
            next
        };
        if let Some((_, sender)) = next {
            // Whoever leaves just now drops it, and so it goes on.
            drop(sender.send(Turn(self.0.clone())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{
        future::{join_all, BoxFuture},
        FutureExt,
    };

    /// Asks for a turn, notes when it has it, and hands it on at once.
    fn waits<'a>(
        turns: &'a Turns,
        urgency: Urgency,
        order: &'a Mutex<Vec<Urgency>>,
    ) -> BoxFuture<'a, ()> {
        async move {
            let _turn = turns.take(urgency).await;
            order.lock().unwrap().push(urgency);
        }
        .boxed()
    }

    #[tokio::test]
    async fn the_most_urgent_goes_first_and_of_equals_the_one_that_came_first() {
        let (turns, order) = (Turns::default(), Mutex::default());
        let first = turns.take(9).await;
        first.gives_up(Some(7));
        let mut all: Vec<_> = [3, 1, 2, 1]
            .map(|urgency| waits(&turns, urgency, &order))
            .into();
        for one in &mut all {
            assert!(one.now_or_never().is_none());
        }
        drop(first);
        join_all(all).await;
        assert_eq!(*order.lock().unwrap(), [1, 1, 2, 3]);
        assert_eq!(turns.take(0).await.given_up(), Some(7));
    }

    #[tokio::test]
    async fn whoever_leaves_is_passed_over_also_when_the_turn_was_on_its_way() {
        let turns = Turns::default();
        let first = turns.take(0).await;
        let mut gone = turns.take(1).boxed();
        let mut late = turns.take(2).boxed();
        let mut last = turns.take(3).boxed();
        for one in [&mut gone, &mut late, &mut last] {
            assert!(one.now_or_never().is_none());
        }
        drop(gone);
        // The turn is on its way to `late`, which leaves before it looks.
        drop(first);
        drop(late);
        drop(last.await);
        assert!(turns.take(0).now_or_never().is_some());
    }
}
