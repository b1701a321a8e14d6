//! How long messages and files take between a member and the rest, and who is cut off.

use std::collections::BTreeSet;

use crate::{clock::Millis, rng::Rng};

/// What the network is like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Links {
    /// Shortest and longest time that a message takes.
    pub latency: (Millis, Millis),
    /// Probability that a message is lost. It is sent again after [`AGAIN`].
    pub loss: f64,
    /// Bytes a second between a member and the store.
    pub bandwidth: u64,
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
        }
    }
}

/// The network between members, nodes and the store.
#[derive(Debug)]
pub struct Network {
    links: Links,
    cut: BTreeSet<usize>,
    rng: Rng,
}

impl Network {
    /// A network in which nobody is cut off.
    pub fn new(links: Links, rng: Rng) -> Network {
        Network {
            links,
            cut: BTreeSet::new(),
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

    /// How long a file of this many bytes takes.
    pub fn file(&mut self, bytes: u64) -> Millis {
        let transfer = bytes.saturating_mul(1_000) / self.links.bandwidth.max(1);
        self.message().saturating_add(transfer)
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

    /// Whether a member is cut off from chain and store.
    pub fn is_cut(&self, member: usize) -> bool {
        self.cut.contains(&member)
    }
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
        };
        let mut network = Network::new(links, Rng::new(1));
        let delays: Vec<Millis> = (0..50).map(|_| network.message()).collect();
        assert!(delays
            .iter()
            .all(|delay| delay % AGAIN == 10 && *delay <= 6 * AGAIN + 10));
        assert!(delays.iter().any(|delay| *delay > 10));
        assert!(network.file(3_000) >= 3_010);
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
