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
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Losses {
    /// How many it lost.
    pub audits: u32,
    /// What they took of its bond, in pebble.
    pub taken: Balance,
    /// What it had been paid in all when it lost the last of them, for honest work too, in pebble. What was withheld of
    /// it then it never had.
    pub paid: Balance,
    /// What the last bond that they took was, in pebble.
    bond: Balance,
    /// What had been paid when the one before was lost, in pebble.
    before: Balance,
    worst: f64,
}

impl Losses {
    pub(super) fn add(&mut self, loss: Loss) {
        if loss.taken > 0 {
            (self.before, self.bond) = (self.paid, loss.taken);
        }
        self.audits = self.audits.saturating_add(1);
        self.taken = self.taken.saturating_add(loss.taken);
        self.paid = self.paid.max(loss.paid);
        let since = self.paid.saturating_sub(self.before);
        self.worst = self.worst.max(share(since, self.bond));
    }

    /// The most that one of these audits had brought: what was paid since a bond had been lost the last time, as a share
    /// of the bond that was lost then; zero if nothing was paid. An audit that found the bond gone is held against it
    /// together with the one that took it.
    pub fn gain(&self) -> f64 {
        self.worst
    }
}

/// What was paid as a share of what was taken.
fn share(paid: Balance, taken: Balance) -> f64 {
    match (paid, taken) {
        (0, _) => 0.0,
        (_, 0) => f64::MAX,
        (paid, taken) => paid as f64 / taken as f64,
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
    fn each_bond_is_held_against_what_was_paid_since_the_one_before() {
        let of = |lost: &[(Balance, Balance)]| {
            let mut losses = Losses::default();
            for (taken, paid) in lost.iter().copied() {
                losses.add(Loss { taken, paid });
            }
            losses.gain()
        };
        assert_eq!(of(&[(10, 4), (10, 6)]), 0.4);
        assert_eq!(of(&[(10, 4), (10, 13)]), 0.9);
        // A later bond is no price of what an earlier one was too small for.
        assert_eq!(of(&[(10, 12), (100, 12)]), 1.2);
        // Paid for what another audit was of, after the bond was gone.
        assert_eq!(of(&[(10, 4), (0, 11)]), 1.1);
        assert_eq!(of(&[(0, 0), (10, 4)]), 0.4);
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
