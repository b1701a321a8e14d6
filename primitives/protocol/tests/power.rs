//! How well a premium tells who trained on its own assignment from who did not, by rounds: many drawn networks, from
//! one seed, with premiums and errors as a devnet of three honest miners had them.

use cairn_primitives::{Hotkey, Round, Uid, H256};
use cairn_protocol::value::{accounts, Account, Evidence, Outcome};

/// Gains of honest miners on unassigned windows, by round, in nats per token; the last one stays.
const GAINS: [f64; 7] = [0.6, 0.5, 0.42, 0.35, 0.29, 0.24, 0.19];
/// By how much more they gained on their own; the last one stays.
const PREMIUMS: [f64; 7] = [0.012, 0.018, 0.001, 0.032, 0.045, 0.051, 0.073];
/// Standard deviation of a window's gain.
const SPREAD: f64 = 0.075;
/// Windows of each kind: a quarter of what a miner of that devnet trains on.
const WINDOWS: usize = 80;
/// Honest miners of a network, beside which are the others.
const HONEST: u16 = 3;
/// Who trains on text of its own choice, and helps no less: a clone, a guess at the exam, a replay.
const FOREIGN: Uid = Uid(3);
/// Who trained on its own data in the first eight rounds and then no more.
const TURNED: u16 = 4;
/// Networks that are drawn.
const NETWORKS: u64 = 300;

/// Numbers of a seed (SplitMix64).
struct Draw(u64);

impl Draw {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// About a normal number: the sum of twelve uniform ones.
    fn normal(&mut self) -> f64 {
        let unit = |bits: u64| (bits >> 11) as f64 / (1u64 << 53) as f64;
        (0..12).map(|_| unit(self.bits())).sum::<f64>() - 6.0
    }

    fn gains(&mut self, mean: f64) -> Vec<f32> {
        (0..WINDOWS)
            .map(|_| (mean + SPREAD * self.normal()) as f32)
            .collect()
    }
}

fn at(table: &[f64; 7], round: Round) -> f64 {
    table[(round as usize).min(6)]
}

/// What a validator measures of a network in so many rounds.
fn network(draw: &mut Draw, rounds: Round) -> Vec<Evidence> {
    let mut log = Vec::new();
    for round in 0..rounds {
        for uid in 0..=TURNED {
            let trains = uid < HONEST || (uid == TURNED && round < 8);
            let premium = if trains { at(&PREMIUMS, round) } else { 0.0 };
            let gain = at(&GAINS, round);
            log.push(Evidence {
                round,
                uid: Uid(uid),
                hotkey: Hotkey(H256([uid as u8; 32])),
                outcome: Outcome::Measured {
                    steps: 20,
                    of: 20,
                    alike: 1,
                    repeats: false,
                    assigned: draw.gains(gain + premium),
                    unassigned: draw.gains(gain),
                    unseen: vec![],
                },
            });
        }
    }
    log
}

/// Means over many networks after so many rounds: the factor of an honest miner, that of a foreign one, the share of
/// the foreign one beside an honest one's, and that of who turned.
fn after(rounds: Round) -> [f64; 4] {
    let mut draw = Draw(7);
    let mut sums = [0.0; 5];
    for _ in 0..NETWORKS {
        let found = accounts(&network(&mut draw, rounds), rounds - 1);
        let of = |uid: Uid| -> &Account { &found[&(uid, Hotkey(H256([uid.get() as u8; 32])))] };
        let honest: Vec<&Account> = (0..HONEST).map(Uid).map(of).collect();
        let mean = |value: fn(&Account) -> f64| {
            honest.iter().map(|one| value(one)).sum::<f64>() / f64::from(HONEST)
        };
        sums[0] += mean(|one| one.factor);
        sums[1] += of(FOREIGN).factor;
        sums[2] += mean(|one| one.score);
        sums[3] += of(FOREIGN).score;
        sums[4] += of(Uid(TURNED)).score;
    }
    let [honest, foreign, share, of_foreign, of_turned] = sums;
    let count = NETWORKS as f64;
    [
        honest / count,
        foreign / count,
        of_foreign / share,
        of_turned / share,
    ]
}

#[test]
fn who_trains_on_its_own_data_is_told_from_who_does_not_within_eight_rounds() {
    let table: Vec<(Round, [f64; 4])> = [2, 4, 6, 8, 12, 16, 24]
        .map(|rounds| (rounds, after(rounds)))
        .into();
    for (rounds, [honest, foreign, share, turned]) in &table {
        println!("{rounds} rounds: honest {honest:.2}, foreign {foreign:.2}, its share {share:.2}, who turned {turned:.2}");
    }
    let of = |rounds: Round| {
        table
            .iter()
            .find(|row| row.0 == rounds)
            .expect("it is measured")
            .1
    };
    // In the first rounds nobody can be told apart, and nobody goes empty.
    let [honest, foreign, share, _] = of(4);
    assert!(honest >= 0.5 && foreign >= 0.5 && share > 0.5);
    let [honest, foreign, share, _] = of(8);
    assert!(honest > 0.95 && foreign < 0.15 && share < 0.15);
    let [honest, foreign, share, turned] = of(16);
    assert!(honest > 0.99 && foreign < 0.1 && share < 0.1);
    // What was proven lasts for a while and not for ever.
    assert!(turned > 0.5);
    let [honest, foreign, _, turned] = of(24);
    assert!(honest > 0.99 && foreign < 0.1 && turned < 0.15);
}
