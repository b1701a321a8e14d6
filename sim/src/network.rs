//! How long messages and files take between a member and the rest, and who is cut off.

use std::collections::{BTreeMap, BTreeSet};

use crate::{clock::Millis, rng::Rng};

/// What the network is like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Links {
    /// Shortest and longest time that a message takes.
    pub latency: (Millis, Millis),
    /// Probability that a message is lost. It is sent again after [`AGAIN`].
    pub loss: f64,
    /// Bytes a second between a member and the store, of each file, however many are under way.
    pub bandwidth: u64,
    /// Instead of that a line of each member's own, which its files share.
    pub lines: Option<Lines>,
}

/// A member's line to the store, in bytes a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lines {
    /// From the member.
    pub up: u64,
    /// To the member.
    pub down: u64,
}

/// Which way a file goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// From a member.
    Up,
    /// To a member.
    Down,
}

/// After how long a lost message is sent again.
pub const AGAIN: Millis = 1_000;
/// A message that was lost so often gets through.
const MOST_LOSSES: u32 = 6;

impl Default for Links {
    fn default() -> Links {
        Links {
            latency: (20, 250),
            loss: 0.0,
            bandwidth: 12_500_000,
            lines: None,
        }
    }
}

/// The network between members, nodes and the store.
#[derive(Debug)]
pub struct Network {
    links: Links,
    cut: BTreeSet<usize>,
    /// By how much nodes that lie behind hear of blocks late.
    behind: BTreeMap<usize, Millis>,
    /// Until when a member's line is taken, in each direction.
    taken: BTreeMap<(usize, Way), Millis>,
    rng: Rng,
}

impl Network {
    /// A network in which nobody is cut off.
    pub fn new(links: Links, rng: Rng) -> Network {
        Network {
            links,
            cut: BTreeSet::new(),
            behind: BTreeMap::new(),
            taken: BTreeMap::new(),
            rng,
        }
    }

    /// How long the next message takes, with what was lost of it.
    pub fn message(&mut self) -> Millis {
        let (least, most) = self.links.latency;
        let mut delay = self.rng.within(least, most);
        for _ in 0..MOST_LOSSES {
            if !self.rng.chance(self.links.loss) {
                break;
            }
            delay += AGAIN;
        }
        delay
    }

    /// How long a file of this many bytes takes that a member begins to send or to fetch at `from`. On a line of its
    /// own it comes after those that were asked about before.
    pub fn file(&mut self, (member, way): (usize, Way), bytes: u64, from: Millis) -> Millis {
        let message = self.message();
        let Some(lines) = self.links.lines else {
            return message.saturating_add(transfer(bytes, self.links.bandwidth));
        };
        let rate = match way {
            Way::Up => lines.up,
            Way::Down => lines.down,
        };
        let free = self.taken.entry((member, way)).or_default();
        *free = from.max(*free).saturating_add(transfer(bytes, rate));
        message.saturating_add(free.saturating_sub(from))
    }

    /// A member sends and fetches nothing any more of what was under way.
    pub fn hang_up(&mut self, member: usize) {
        self.taken.retain(|(who, _), _| *who != member);
    }

    /// From now on no message is lost.
    pub fn calm(&mut self) {
        self.links.loss = 0.0;
    }

    /// Cuts a member off, or connects it again.
    pub fn set_cut(&mut self, member: usize, is_cut: bool) {
        if is_cut {
            self.cut.insert(member);
        } else {
            self.cut.remove(&member);
        }
    }

    /// From now on a member's node hears of blocks so much later; 0: as soon as others.
    pub fn set_behind(&mut self, member: usize, by: Millis) {
        if by > 0 {
            self.behind.insert(member, by);
        } else {
            self.behind.remove(&member);
        }
    }

    /// How much later than others a member's node hears of blocks.
    pub fn behind(&self, member: usize) -> Millis {
        self.behind.get(&member).copied().unwrap_or(0)
    }

    /// Whether a member is cut off from chain and store.
    pub fn is_cut(&self, member: usize) -> bool {
        self.cut.contains(&member)
    }
}

/// How long so many bytes take at `rate` bytes a second.
fn transfer(bytes: u64, rate: u64) -> Millis {
    bytes.saturating_mul(1_000) / rate.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lossy_link_is_slower_and_a_file_takes_its_time() {
        let links = Links {
            latency: (10, 10),
            loss: 0.5,
            bandwidth: 1_000,
            lines: None,
        };
        let mut network = Network::new(links, Rng::new(1));
        let delays: Vec<Millis> = (0..50).map(|_| network.message()).collect();
        assert!(delays
            .iter()
            .all(|delay| delay % AGAIN == 10 && *delay <= 6 * AGAIN + 10));
        assert!(delays.iter().any(|delay| *delay > 10));
        assert!(network.file((0, Way::Up), 3_000, 0) >= 3_010);
    }

    #[test]
    fn files_share_a_members_own_line_in_each_direction() {
        let links = Links {
            latency: (10, 10),
            lines: Some(Lines {
                up: 1_000,
                down: 2_000,
            }),
            ..Links::default()
        };
        let mut network = Network::new(links, Rng::new(1));
        let mut file = |of, now| network.file(of, 4_000, now);
        assert_eq!(file((0, Way::Up), 0), 4_010);
        assert_eq!(file((0, Way::Down), 0), 2_010);
        assert_eq!(file((0, Way::Down), 500), 3_510);
        assert_eq!(file((1, Way::Down), 500), 2_010);
        assert_eq!(file((0, Way::Down), 9_000), 2_010);
        network.hang_up(0);
        assert_eq!(network.file((0, Way::Up), 4_000, 0), 4_010);
        assert_eq!(network.file((1, Way::Down), 4_000, 600), 3_910);
    }

    #[test]
    fn a_node_that_lies_behind_does_so_until_it_is_told_otherwise() {
        let mut network = Network::new(Links::default(), Rng::new(1));
        network.set_behind(3, 4_000);
        assert_eq!((network.behind(3), network.behind(2)), (4_000, 0));
        network.set_behind(3, 0);
        assert_eq!(network.behind(3), 0);
    }

    #[test]
    fn who_is_cut_off_stays_so_until_connected() {
        let mut network = Network::new(Links::default(), Rng::new(1));
        network.set_cut(3, true);
        assert!(network.is_cut(3) && !network.is_cut(2));
        network.set_cut(3, false);
        assert!(!network.is_cut(3));
    }
}
