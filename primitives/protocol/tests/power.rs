//! How well a premium tells who trained on its own assignment from who did not, by rounds: many drawn networks, from
//! one seed, with premiums and errors as a devnet of three honest miners had them. Once each contribution is measured
//! by itself on as many windows as it may be, once beside the settled parameters for as long as nothing is decided.

use std::collections::BTreeMap;

use cairn_primitives::{Hotkey, Round, Uid, H256};
use cairn_protocol::{
    exam::{piece, Trial},
    limits::EXAM_LOSS,
    value::{accounts, proven, Account, Evidence, Outcome},
};

/// Gains of honest miners on unassigned windows, by round, in nats per token; the last one stays.
const GAINS: [f64; 7] = [0.6, 0.5, 0.42, 0.35, 0.29, 0.24, 0.19];
/// By how much more they gained on their own; the last one stays.
const PREMIUMS: [f64; 7] = [0.012, 0.018, 0.001, 0.032, 0.045, 0.051, 0.073];
/// Standard deviation of a window's gain.
const SPREAD: f64 = 0.075;
/// The part of it in which contributions differ on the same window.
const APART: f64 = 0.035;
/// Windows of each kind: a quarter of what a miner of that devnet trains on.
const WINDOWS: usize = 80;
/// Honest miners of a network, beside which are the others.
const HONEST: u16 = 3;
/// Who trains on text of its own choice, and helps no less: a clone, a guess at the exam, a replay.
const FOREIGN: Uid = Uid(3);
/// Who trained on its own data in the first eight rounds and then no more.
const TURNED: u16 = 4;
/// By how much an accomplice with a tenth of what counts made the settled parameters worse on the windows that a
/// foreign one claims, in nats per token.
const WORSE: f64 = 0.0078;
/// Rounds until its audit takes its bond.
const AUDITED: Round = 5;
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

    fn around(&mut self, mean: f64, spread: f64) -> f64 {
        mean + spread * self.normal()
    }
}

/// How contributions are measured.
#[derive(Clone, Copy)]
enum Way {
    /// Each by itself.
    Alone,
    /// Beside the settled parameters, which an accomplice of the foreign one makes so much worse, in so many rounds, on
    /// the windows that it says it trained on.
    Beside { worse: f64, until: Round },
}

/// A network under measurement.
struct Network {
    draw: Draw,
    way: Way,
    log: Vec<Evidence>,
    /// Losses of windows that were computed.
    computed: usize,
}

fn at(table: &[f64; 7], round: Round) -> f64 {
    table[(round as usize).min(6)]
}

fn miner(uid: u16) -> (Uid, Hotkey) {
    (Uid(uid), Hotkey(H256([uid as u8; 32])))
}

fn uids() -> std::ops::RangeInclusive<u16> {
    0..=TURNED
}

impl Network {
    /// What all gain on a window of this member's, or of nobody's.
    fn gained(&mut self, round: Round, owner: Option<u16>) -> Vec<f64> {
        let apart = APART * APART;
        let shared = self
            .draw
            .around(at(&GAINS, round), (SPREAD * SPREAD - apart).sqrt());
        let trains = |uid: u16| uid < HONEST || (uid == TURNED && round < 8);
        uids()
            .map(|uid| {
                let is_own = owner == Some(uid) && trains(uid);
                let premium = if is_own { at(&PREMIUMS, round) } else { 0.0 };
                self.draw.around(shared + premium, APART)
            })
            .collect()
    }

    /// Measures a round.
    fn measure(&mut self, round: Round) {
        let sure = proven(&self.log, round);
        let free: Vec<Vec<f64>> = (0..WINDOWS).map(|_| self.gained(round, None)).collect();
        let mut most = 0;
        for uid in uids() {
            let own: Vec<Vec<f64>> = (0..WINDOWS)
                .map(|_| self.gained(round, Some(uid)))
                .collect();
            let (assigned, unassigned, settled) =
                self.of((round, uid), sure.contains(&miner(uid)), &own, &free);
            most = most.max(unassigned.len());
            self.computed += 2 * assigned.len() + unassigned.len();
            self.log.push(Evidence {
                round,
                uid: Uid(uid),
                hotkey: miner(uid).1,
                outcome: Outcome::Measured {
                    steps: 20,
                    of: 20,
                    alike: 1,
                    repeats: false,
                    assigned,
                    unassigned,
                    settled,
                    unseen: vec![],
                },
            });
        }
        self.computed += match self.way {
            Way::Alone => most,
            // Half of the unassigned windows are among those on which the loss is stated.
            Way::Beside { .. } => 2 * most + EXAM_LOSS as usize - most / 2,
        };
    }

    /// What is found of one of them.
    fn of(
        &self,
        (round, uid): (Round, u16),
        is_proven: bool,
        own: &[Vec<f64>],
        free: &[Vec<f64>],
    ) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        let place = usize::from(uid);
        let alone = |windows: &[Vec<f64>]| windows.iter().map(|all| all[place] as f32).collect();
        let Way::Beside { worse, until } = self.way else {
            return (alone(own), alone(free), vec![]);
        };
        let is_helped = Uid(uid) == FOREIGN && round < until;
        let worse = if is_helped { worse } else { 0.0 };
        let mean = |all: &Vec<f64>| all.iter().sum::<f64>() / all.len() as f64;
        let mut found = (vec![], vec![], vec![]);
        for number in 0.. {
            let places = piece(number);
            let places = places.start..places.end.min(WINDOWS);
            let (own, free) = (&own[places.clone()], &free[places]);
            let better = |all: &Vec<f64>| (all[place] - mean(all) + worse) as f32;
            found.0.extend(own.iter().map(better));
            found.1.extend::<Vec<f32>>(alone(free));
            found.2.extend(free.iter().map(|all| mean(all) as f32));
            let trial = Trial {
                assigned: &found.0,
                unassigned: &found.1,
                settled: &found.2,
                part: 1.0 / f64::from(TURNED + 1),
                is_proven,
                most: WINDOWS as u64,
            };
            if trial.is_decided() || found.0.len() == WINDOWS {
                break;
            }
        }
        found
    }
}

/// Means over many networks after so many rounds: the factor of an honest miner, that of a foreign one, the share of
/// the foreign one beside an honest one's, and that of who turned; and losses that were computed for a contribution.
fn after(way: Way, rounds: Round) -> ([f64; 4], f64) {
    let mut sums = [0.0; 5];
    let (mut draw, mut computed) = (Draw(7), 0);
    for _ in 0..NETWORKS {
        let mut network = Network {
            draw,
            way,
            log: Vec::new(),
            computed: 0,
        };
        (0..rounds).for_each(|round| network.measure(round));
        computed += network.computed;
        let found = accounts(&network.log, rounds - 1);
        draw = network.draw;
        let of = |uid: Uid| -> &Account { &found[&miner(uid.get())] };
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
    let contributions = count * f64::from(rounds) * uids().count() as f64;
    (
        [
            honest / count,
            foreign / count,
            of_foreign / share,
            of_turned / share,
        ],
        computed as f64 / contributions,
    )
}

/// What is so after the rounds of the table, which is printed.
fn table(way: Way) -> BTreeMap<Round, ([f64; 4], f64)> {
    let rows = [2, 4, 6, 8, 12, 16, 24].map(|rounds| (rounds, after(way, rounds)));
    for (rounds, ([honest, foreign, share, turned], losses)) in &rows {
        println!("{rounds} rounds: honest {honest:.2}, foreign {foreign:.2}, its share {share:.2}, who turned {turned:.2}, {losses:.0} losses");
    }
    rows.into()
}

#[test]
fn who_trains_on_its_own_data_is_told_from_who_does_not_within_eight_rounds() {
    let ways = [
        Way::Alone,
        Way::Beside {
            worse: 0.0,
            until: 0,
        },
    ]
    .map(table);
    for table in &ways {
        let of = |rounds: Round| table[&rounds].0;
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
    let [alone, beside] = ways;
    for (rounds, ([honest, foreign, share, _], losses)) in &beside {
        let ([as_honest, as_foreign, as_share, _], of_all) = alone[rounds];
        // As good as by itself, at little more than a third of the work.
        assert!(
            *honest > as_honest - 0.02 && *foreign < as_foreign + 0.02,
            "{rounds}"
        );
        assert!(
            *share < as_share + 0.02 && 2.8 * losses < of_all,
            "{rounds}"
        );
    }
}

/// An accomplice that undoes what others' training says of the windows that a foreign one claims.
#[test]
fn an_accomplice_proves_little_until_it_is_audited() {
    let [audited, always] = [AUDITED, 16].map(|until| {
        let worse = WORSE;
        let ([honest, foreign, ..], _) = after(Way::Beside { worse, until }, 16);
        println!("with an accomplice in {until} rounds: honest {honest:.2}, foreign {foreign:.2}");
        assert!(honest > 0.99);
        foreign
    });
    // Without audits it proves what it likes, for one other.
    assert!(audited < 0.3 && audited < always);
}
