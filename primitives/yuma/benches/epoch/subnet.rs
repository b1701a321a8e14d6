//! Subnets of any size, the same on every machine. Without the standard library, since the benchmark in WASM
//! uses it as well.

use alloc::vec::Vec;

use yuma::{epoch, BondsRule, Input, LiquidAlpha, Member, Output, Params, Pots};

/// Members of whom the first are validators, with scores, and bonds that have settled.
pub struct Subnet {
    members: u16,
    stake: Vec<u64>,
    scores: Vec<Vec<(u16, u16)>>,
    bonds: Vec<Vec<(u16, u16)>>,
}

/// Who is weighed by whom.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// Everybody by every validator.
    Full,
    /// So many of 1,000 cells, anywhere.
    Scattered(u64),
    /// So many of 1,000 members, by every validator.
    Agreed(u64),
}

/// The rules that are compared, in the order of [`params`].
pub const RULES: [&str; 4] = ["yuma2", "yuma3", "yuma2-liquid", "yuma3-liquid"];

/// The parameters of a rule by its number in [`RULES`].
pub fn params(rule: usize) -> Params {
    Params {
        bonds: match rule % 2 {
            0 => BondsRule::Yuma2,
            _ => BondsRule::Yuma3,
        },
        liquid_alpha: (rule >= 2).then(LiquidAlpha::default),
        // Half clipped, so that the distance to consensus is not always zero.
        bonds_penalty: u16::MAX / 2,
        ..Params::default()
    }
}

impl Subnet {
    /// A subnet whose validators agree on the members' quality to within a half, after three epochs.
    pub fn new(members: u16, validators: u16, fill: Fill, params: &Params) -> Subnet {
        let quality = |uid: u16| random(uid.into()) % 20_000 + 2_000;
        let listed = |validator: u16, uid: u16| match fill {
            Fill::Full => true,
            Fill::Scattered(part) => random(pair(validator, uid) | 1 << 40) % 1_000 < part,
            Fill::Agreed(part) => random(u64::from(uid) | 1 << 41) % 1_000 < part,
        };
        let score = |validator: u16, uid: u16| {
            let noise = 500 + random(pair(validator, uid) | 1 << 42) % 1_000;
            (uid, (quality(uid) * noise / 500) as u16)
        };
        let row = |validator: u16| {
            let uids = (0..members).filter(|&uid| uid != validator && listed(validator, uid));
            uids.map(|uid| score(validator, uid)).collect()
        };
        let mut subnet = Subnet {
            members,
            stake: (0..validators)
                .map(|uid| 1_000 + random(u64::from(uid) | 1 << 43) % 100_000)
                .collect(),
            scores: (0..validators).map(row).collect(),
            bonds: (0..validators).map(|_| Vec::new()).collect(),
        };
        for _ in 0..3 {
            let output = subnet.epoch(params);
            let rows = output.members.into_iter().map(|outcome| outcome.bonds);
            subnet.bonds = rows.take(validators.into()).collect();
        }
        subnet
    }

    /// Cells with a score in them.
    pub fn cells(&self) -> usize {
        self.scores.iter().map(Vec::len).sum()
    }

    /// One epoch.
    pub fn epoch(&self, params: &Params) -> Output {
        let member = |uid: u16| {
            let index = usize::from(uid);
            Member {
                uid,
                stake: self.stake.get(index).copied().unwrap_or(0),
                validator: index < self.stake.len(),
                active: true,
                registered_at: 0,
                scores_set_at: 1,
                scores: self.scores.get(index).map_or(&[], Vec::as_slice),
                bonds: self.bonds.get(index).map_or(&[], Vec::as_slice),
            }
        };
        let members: Vec<Member> = (0..self.members).map(member).collect();
        let pots = Pots {
            miners: 1 << 40,
            validators: 1 << 40,
        };
        let input = Input {
            members: &members,
            last_epoch: 1,
            pots,
        };
        epoch(&input, params).unwrap_or_else(|_| unreachable!("rows are in order"))
    }
}

fn pair(validator: u16, uid: u16) -> u64 {
    u64::from(validator) << 16 | u64::from(uid)
}

/// A number that looks random: SplitMix64 (Steele, Lea and Flood 2014) at `seed`.
fn random(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}
