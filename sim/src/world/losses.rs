//! What members lost by audits, beside what they had been paid till then.

use cairn_primitives::{Balance, Netuid, Round, Uid};
use cairn_runtime::{readers, AccountId, Emissions, Runtime, RuntimeEvent, System};

/// An audit that was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Loss {
    /// What it took of the bond, in pebble.
    pub taken: Balance,
    /// What the hotkey had been paid in the subnet in all, in pebble.
    pub paid: Balance,
}

/// What a member lost by audits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// How many it lost.
    pub audits: u32,
    /// What they took of its bond, in pebble.
    pub taken: Balance,
    /// What it had been paid in all when it lost the last of them, for honest work too, in pebble. What was withheld of
    /// it then it never had.
    pub paid: Balance,
}

impl Losses {
    pub(super) fn add(&mut self, loss: Loss) {
        self.audits = self.audits.saturating_add(1);
        self.taken = self.taken.saturating_add(loss.taken);
        self.paid = self.paid.max(loss.paid);
    }

    /// What it had been paid as a share of what was taken of it; zero if it had been paid nothing.
    pub fn gain(&self) -> f64 {
        match (self.paid, self.taken) {
            (0, _) => 0.0,
            (_, 0) => f64::MAX,
            (paid, taken) => paid as f64 / taken as f64,
        }
    }
}

/// The audits that were lost in a block, and the hotkeys that made what they were of. To be asked where a state is.
pub(super) fn of_block(netuid: Netuid) -> Vec<(AccountId, Loss)> {
    let events = System::read_events_no_consensus();
    let lost = events.filter_map(|record| lost(netuid, &record.event));
    let lost: Vec<(Round, Uid, Balance)> = lost.collect();
    let of_maker = |(round, uid, taken): (Round, Uid, Balance)| {
        let mut made = readers::contributions(netuid, round).into_iter();
        let hotkey = made.find(|one| one.uid == uid)?.hotkey;
        let paid = Emissions::earned(netuid, &hotkey);
        Some((hotkey, Loss { taken, paid }))
    };
    lost.into_iter().filter_map(of_maker).collect()
}

/// The round, the maker and what was taken of it, if the event is the end of an audit of the subnet that was lost.
fn lost(netuid: Netuid, event: &RuntimeEvent) -> Option<(Round, Uid, Balance)> {
    match event {
        RuntimeEvent::Audits(pallet_audits::Event::<Runtime>::Ended {
            netuid: of,
            round,
            uid,
            outcome,
            slashed,
            ..
        }) if *of == netuid && outcome.is_lost() => Some((*round, *uid, *slashed)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_primitives::AuditOutcome;

    #[test]
    fn what_several_took_is_held_against_all_that_was_paid_before() {
        let mut losses = Losses::default();
        assert_eq!(losses.gain(), 0.0);
        losses.add(Loss { taken: 0, paid: 0 });
        assert_eq!(losses.gain(), 0.0, "it took nothing from who had nothing");
        losses.add(Loss { taken: 10, paid: 4 });
        losses.add(Loss { taken: 0, paid: 4 });
        assert_eq!((losses.audits, losses.taken, losses.paid), (3, 10, 4));
        assert_eq!(losses.gain(), 0.4);
        let mut cheap = Losses::default();
        cheap.add(Loss { taken: 0, paid: 1 });
        assert!(cheap.gain() > 1.0);
    }

    #[test]
    fn audits_of_the_subnet_count_that_were_lost() {
        let ended = |outcome| {
            RuntimeEvent::Audits(pallet_audits::Event::Ended {
                netuid: Netuid(1),
                round: 3,
                uid: Uid(4),
                outcome,
                slashed: 10,
                forfeited: 5,
            })
        };
        for outcome in [AuditOutcome::Failed, AuditOutcome::Silent] {
            let found = lost(Netuid(1), &ended(outcome));
            assert_eq!(found, Some((3, Uid(4), 10)));
            assert_eq!(lost(Netuid(2), &ended(outcome)), None);
        }
        for outcome in [AuditOutcome::Passed, AuditOutcome::Undecided] {
            assert_eq!(lost(Netuid(1), &ended(outcome)), None);
        }
    }
}
