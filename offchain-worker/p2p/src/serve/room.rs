//! Who is in, and who has to go for whom. No I/O, no clock.

use std::collections::BTreeMap;

use crate::PeerId;

/// A connection's place, in the order in which they came.
pub(crate) type Place = u64;

#[derive(Debug)]
struct Guest {
    peer: PeerId,
    /// Requests that it has under way.
    busy: u32,
    /// The higher, the later it was that it had none any more.
    idle_since: u64,
}

/// What happens to somebody who wants in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// He is in.
    In(Place),
    /// He is in; this other connection has to be closed.
    Instead(Place, Place),
    /// Everybody else is busy.
    Full,
}

/// All connections.
#[derive(Debug)]
pub(crate) struct Room {
    most: usize,
    most_each: usize,
    guests: BTreeMap<Place, Guest>,
    /// Counts what happens.
    now: u64,
}

impl Room {
    pub fn new(most: usize, most_each: usize) -> Room {
        Room {
            most,
            most_each: most_each.max(1),
            guests: BTreeMap::new(),
            now: 0,
        }
    }

    /// A peer has proven who it is. If it has too many connections its oldest one makes room: it is likely to be that
    /// of a process which died. If there are too many of all, the one makes room that has had nothing to do for
    /// longest.
    pub fn enter(&mut self, peer: PeerId) -> Entry {
        let own = self.guests.iter().filter(|(_, guest)| guest.peer == peer);
        let (own, oldest) = (own.clone().count(), own.map(|(place, _)| *place).next());
        let idle = self.guests.iter().filter(|(_, guest)| guest.busy == 0);
        let idlest = idle.min_by_key(|(_, guest)| guest.idle_since);
        let leaves = match (own >= self.most_each, self.guests.len() >= self.most) {
            (true, _) => oldest,
            (false, true) => match idlest {
                Some((place, _)) => Some(*place),
                None => return Entry::Full,
            },
            (false, false) => None,
        };
        self.now = self.now.saturating_add(1);
        let (place, idle_since) = (self.now, self.now);
        if let Some(leaves) = leaves {
            self.guests.remove(&leaves);
        }
        let guest = Guest {
            peer,
            busy: 0,
            idle_since,
        };
        self.guests.insert(place, guest);
        match leaves {
            Some(leaves) => Entry::Instead(place, leaves),
            None => Entry::In(place),
        }
    }

    /// A request begins.
    pub fn begins(&mut self, place: Place) {
        if let Some(guest) = self.guests.get_mut(&place) {
            guest.busy = guest.busy.saturating_add(1);
        }
    }

    /// A request is over.
    pub fn ends(&mut self, place: Place) {
        self.now = self.now.saturating_add(1);
        if let Some(guest) = self.guests.get_mut(&place) {
            guest.busy = guest.busy.saturating_sub(1);
            guest.idle_since = self.now;
        }
    }

    /// A connection is closed.
    pub fn leave(&mut self, place: Place) {
        self.guests.remove(&place);
    }

    /// How many are in.
    pub fn len(&self) -> usize {
        self.guests.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn peer(number: u8) -> PeerId {
        PeerId([number; 32])
    }

    #[test]
    fn a_peer_that_comes_again_takes_its_own_place() {
        let mut room = Room::new(10, 2);
        assert_eq!(room.enter(peer(1)), Entry::In(1));
        assert_eq!(room.enter(peer(2)), Entry::In(2));
        assert_eq!(room.enter(peer(1)), Entry::In(3));
        room.begins(1);
        assert_eq!(room.enter(peer(1)), Entry::Instead(4, 1));
        assert_eq!(room.len(), 3);
    }

    #[test]
    fn the_idlest_makes_room_and_nobody_who_is_served() {
        let mut room = Room::new(3, 2);
        for number in 1..=3 {
            room.enter(peer(number));
        }
        for place in 1..=3 {
            room.begins(place);
        }
        assert_eq!(room.enter(peer(4)), Entry::Full);
        room.ends(2);
        room.ends(1);
        assert_eq!(room.enter(peer(4)), Entry::Instead(6, 2));
        room.leave(3);
        assert_eq!(room.enter(peer(5)), Entry::In(7));
        assert_eq!(room.len(), 3);
    }

    proptest! {
        #[test]
        fn there_are_never_too_many(
            most in 1usize..6,
            each in 0usize..4,
            doings in proptest::collection::vec((0u8..4, 0u8..5, 1u64..40), 0..200),
        ) {
            let mut room = Room::new(most, each);
            for (what, who, place) in doings {
                match what {
                    0 => { room.enter(peer(who)); }
                    1 => room.begins(place),
                    2 => room.ends(place),
                    _ => room.leave(place),
                }
                prop_assert!(room.len() <= most);
                for who in 0..5 {
                    let own = room.guests.values().filter(|guest| guest.peer == peer(who));
                    prop_assert!(own.count() <= each.max(1));
                }
            }
        }
    }
}
