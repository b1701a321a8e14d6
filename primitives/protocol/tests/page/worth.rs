//! What a contribution is worth: its exam, what it gained, and the text that miners do not have.

use std::collections::{BTreeMap, BTreeSet};

use cairn_primitives::{AuditRules, Combination, Hotkey, Nano, Netuid, OuterStep, Uid};
use cairn_protocol::{
    exam, limits, unseen,
    value::{self, Evidence, Outcome},
};

use super::{evidence, root, Section};

/// Gains with this mean and this standard error.
fn gains(mean: f32, error: f32) -> Vec<f32> {
    // 16 gains on each side, so far from the mean that the error of the mean is right.
    let off = error * 31f32.sqrt();
    (0..32)
        .map(|number| {
            if number % 2 == 0 {
                mean + off
            } else {
                mean - off
            }
        })
        .collect()
}

fn measured(round: u32, uid: Uid) -> Evidence {
    let found = [gains(0.6, 0.01), gains(0.5, 0.01)];
    evidence((round, uid), (8, 8), found)
}

pub fn exam(page: &Section) {
    page.says("draws a round's exam in the block that settles it");
    let piece = page.number("First come ", " of each kind");
    assert_eq!(limits::EXAM_PIECE, piece);
    let step = page.number("of each kind, then ", " at a time");
    assert_eq!(exam::piece(0), 0..piece as usize);
    assert_eq!(
        exam::piece(2),
        (piece + step) as usize..(piece + 2 * step) as usize
    );
    let most = page.number("at most ", " of each kind");
    assert_eq!(limits::VALUE_WINDOWS, most);
    let share = page.number("at most one for each ", " that a miner trains on");
    assert_eq!(exam::most_windows(share * (most - 1)), most - 1);
    assert_eq!(exam::most_windows(share * (most + 9)), most);
    assert_eq!(
        exam::most_windows(0),
        page.number("but up to ", " in any case")
    );
    let errors = page.number("more than ", " standard errors below zero") as f32;
    let decided = |own: f32, free: f32, error: f32| {
        let (own, free) = (gains(own, error), gains(free, error));
        exam::Trial {
            assigned: &own,
            unassigned: &free,
            settled: &[],
            part: 0.0,
            is_proven: false,
            most,
        }
        .is_decided()
    };
    assert!(decided(0.0, -errors * 0.01 * 1.01, 0.01));
    assert!(!decided(-errors * 0.01 * 0.99, -errors * 0.01 * 0.99, 0.01));
    let apart = page.number("differ by at least ", " standard errors") as f32;
    let off = |times: f32| 0.5 + apart * 0.01 * 2f32.sqrt() * times;
    assert!(decided(off(1.01), 0.5, 0.01) && !decided(off(0.99), 0.5, 0.01));
    let part = page.number("at most a ", "th of it") as f32;
    assert!(decided(9.0, 0.01 * part * 1.01, 0.01));
    assert!(!decided(9.0, 0.01 * part * 0.99, 0.01));
    let sure = page.number("of the rounds before was at least ", ",") as f64;
    assert!(value::is_sure(sure) && !value::is_sure(sure - 0.01));
    as_good(page, most);
}

/// When a premium is known as well as the most windows would say.
fn as_good(page: &Section, most: u64) {
    let times = page.number("the squared error is at most ", " times the variance") as f64;
    // 32 windows of which the settled parameters gained the same, but for what is apart.
    let decided = |share: f64, part: f64| {
        let error = 0.01f32;
        let variance = f64::from(error) * f64::from(error) * 32.0;
        // Of both kinds, and with the variance of what is apart at right angles to the gains.
        let squared = share * times * variance / most as f64;
        let apart: Vec<f32> = gains(0.0, (squared / 2.0).sqrt() as f32);
        let half = |number: usize| if number % 4 < 2 { 1.0 } else { -1.0 };
        let free: Vec<f32> = (0..32)
            .map(|number| 0.5 + half(number) * error * 31f32.sqrt())
            .collect();
        let settled: Vec<f32> = free
            .iter()
            .zip(&apart)
            .map(|(free, apart)| free - apart)
            .collect();
        exam::Trial {
            assigned: &apart,
            unassigned: &free,
            settled: &settled,
            part,
            is_proven: false,
            most,
        }
        .is_decided()
    };
    page.says("times the square of the part, by trust, that others have");
    assert!(decided(0.98, 0.0) && !decided(1.02, 0.0));
    assert!(decided(0.98 * 0.25, 0.5) && !decided(1.02 * 0.25, 0.5));
}

pub fn value(page: &Section) {
    let errors = page.number("if it is more than ", " standard errors above zero") as f32;
    let of = |own: &[f32], free: &[f32]| value::round_gain(own, free);
    let (above, below) = (errors * 0.01 * 1.01, errors * 0.01 * 0.99);
    assert!(of(&gains(above, 0.01), &gains(above, 0.01)) > 0.0);
    assert_eq!(of(&gains(below, 0.01), &gains(below, 0.01)), 0.0);
    let least = page.number("at least ", " windows of each kind") as usize;
    let some = gains(0.5, 0.01);
    assert!(of(&some[..least], &some) > 0.0);
    assert_eq!(of(&some[..least - 1], &some), 0.0);
    page.says("where no text is unassigned, nothing is gained");
    assert_eq!(of(&some, &[]), 0.0);
    held_against(page);
    premiums_are_as(page);
    copies_are_as(page);
    scores_are_as(page);
    rows_are_as(page);
    let most = page.number("It has at most ", " bytes");
    assert_eq!(limits::EVIDENCE_BYTES, most);
}

/// What contributions are held against, by the run's configuration.
fn held_against(page: &Section) {
    page.says("with which the round began where a round included less than two, where work is not audited");
    let below = page.number("where ρ is below ", ", and where tokens are counted");
    let one = Nano(below * 1_000_000_000);
    let settled = |rate, rho, combine| {
        let audits = AuditRules {
            rate,
            ..AuditRules::default()
        };
        let outer = OuterStep {
            learning_rate: Nano::ONE,
            rho,
            clip: OuterStep::USUAL_CLIP,
            combine,
        };
        exam::is_beside(&audits, &outer)
    };
    assert!(settled(1, one, Combination::Trust));
    assert!(!settled(1, Nano(one.0 - 1), Combination::Trust));
    assert!(!settled(0, one, Combination::Trust));
    assert!(!settled(1, one, Combination::Tokens));
}

fn premiums_are_as(page: &Section) {
    let nothing = page.number("for nothing up to a premium of ", ",") as f64;
    let all = page.number("in full from ", " on") as f64;
    let of = |own| value::factor(own, all, false);
    let middle = (nothing + all) / 2.0;
    assert_eq!([nothing, middle, all].map(of), [0.0, 0.5, 1.0]);
    assert!(of(nothing + 0.01) > 0.0 && of(all - 0.01) < 1.0);
    page.says("a newcomer's counts for a half at least");
    assert_eq!(value::factor(nothing, all, true), 0.5);
    let proven = page.number("while the best premium is below ", ",") as f64;
    assert_eq!(value::factor(0.0, proven, false), 0.0);
    assert!(value::factor(0.0, proven - 0.01, false) > 0.0);
    page.says("half of the part that the best one lacks of that");
    assert_eq!(value::factor(0.0, proven / 2.0, false), 0.25);
    let rounds = page.number("over the last ", " rounds, in standard errors") as u32;
    let log = [measured(3, Uid(1)), measured(3 + rounds - 1, Uid(2))];
    let known = |newest| value::accounts(&log, newest).len();
    assert_eq!((known(3 + rounds - 1), known(3 + rounds)), (2, 1));
}

fn copies_are_as(page: &Section) {
    let deviations = page.number("by more than ", " times their median deviation") as f64;
    page.says("of the lower half of the round's pairs");
    let bound = value::bound(&[0.56, 0.6, 0.64, 0.7, 0.8]);
    assert!((bound - (0.6 + deviations * 0.04)).abs() < 1e-9);
    let least = page.number("taken for at least ", " hundredths") as f64;
    let bound = value::bound(&[0.6, 0.6, 0.6]);
    assert!((bound - (0.6 + deviations * least / 100.0)).abs() < 1e-9);
    let floor = page.number("it is not above ", " hundredths they") as f64;
    let ceiling = page.number("and above ", " hundredths in any case") as f64;
    assert_eq!(value::bound(&[0.1, 0.1, 0.1]) * 100.0, floor);
    assert_eq!(value::bound(&[0.99, 0.99, 0.99]) * 100.0, ceiling);
}

fn scores_are_as(page: &Section) {
    let rounds = page.number("a mean over the last ", " rounds") as u32;
    let least = page.number("but over ", " at least") as u32;
    let account = |newest| {
        let log: Vec<Evidence> = (0..=newest).map(|round| measured(round, Uid(1))).collect();
        value::accounts(&log, newest)[&(Uid(1), Hotkey(root(1)))].clone()
    };
    assert_eq!(account(0).over, least);
    assert_eq!(account(least).over, least + 1);
    assert_eq!(account(rounds + 3).over, rounds);
    assert_eq!(account(rounds + 3).score, 1.0);
    let grace = page.number("the first ", " rounds from its first on") as u32;
    assert!(account(grace - 1).is_new && !account(grace).is_new);
    page.says("nothing to show counts as zero");
    page.says("could not measure does not count");
    let after = |outcome| {
        let mut log: Vec<Evidence> = (0..least).map(|round| measured(round, Uid(1))).collect();
        log.push(Evidence {
            outcome,
            ..measured(least, Uid(1))
        });
        let account = &value::accounts(&log, least)[&(Uid(1), Hotkey(root(1)))];
        (account.over, account.score)
    };
    let mean = f64::from(least) / f64::from(least + 1);
    assert_eq!(after(Outcome::Missed), (least + 1, mean));
    assert_eq!(after(Outcome::Unmeasured), (least, 1.0));
}

fn rows_are_as(page: &Section) {
    let highest = page.number("the highest score becomes ", ";") as u16;
    let scores: BTreeMap<(Uid, Hotkey), f64> = [(1, 2.0), (2, 1.0), (3, 9.0), (4, 9.0)]
        .map(|(uid, score)| ((Uid(uid), Hotkey(root(uid as u8))), score))
        .into();
    let members = [1, 2, 3].map(|uid| (Uid(uid), Hotkey(root(uid as u8))));
    page.says("who is no member is not in it, nor is the validator itself");
    let row = value::row(&scores, members, Hotkey(root(3))).expect("somebody is worth something");
    assert_eq!(row, [(Uid(1), highest), (Uid(2), highest / 2 + 1)]);
}

pub fn unseen(page: &Section) {
    let least = page.number("It has at least ", " windows");
    assert!(unseen::is_long_enough(least) && !unseen::is_long_enough(least - 1));
    page.says("Half of them follow from the exam alone");
    let drawn = |salt: Option<u8>| unseen::sample(&exam::seeds(root(9), salt.map(root)), least, 64);
    let common: BTreeSet<u64> = drawn(None).into_iter().collect();
    for salt in [1, 2] {
        let found = drawn(Some(salt)).into_iter();
        let is_common = |window: &u64| common.contains(window);
        assert!((32..40).contains(&found.filter(is_common).count()));
    }
    page.says("No witness depends on them");
    let witness = |on_unseen: Vec<f32>| {
        let mut evidence = measured(3, Uid(1));
        if let Outcome::Measured { unseen, .. } = &mut evidence.outcome {
            *unseen = on_unseen;
        }
        exam::witness((Netuid(7), 3), root(1), &[Uid(1)], &[evidence], Some(9))
    };
    assert!(witness(vec![]).is_some());
    assert_eq!(witness(vec![]), witness(gains(0.5, 0.01)));
    page.says("its gain on unseen windows over that on unassigned ones");
    assert_eq!(unseen::ratio(0.4, Some(0.1)), Some(0.25));
    page.says("the lowest at which half of what all gains count has this ratio or a lower one");
    let usual = |counts| unseen::usual(vec![(0.2, counts), (0.5, 1.0), (0.7, 1.0)]);
    assert_eq!((usual(1.9), usual(2.1)), (Some(0.5), Some(0.2)));
    page.says("From half of the usual ratio on a gain counts in full");
    page.says("below that in proportion, and for nothing if there is none");
    let holds = |ratio| unseen::holds(Some(ratio), Some(0.4));
    assert_eq!([0.8, 0.4, 0.2, -0.1].map(holds), [1.0, 1.0, 1.0, 0.0]);
    assert_eq!([0.1, 0.05].map(holds), [0.5, 0.25]);
    page.says("Where the usual ratio is not above zero the text says nothing");
    assert_eq!(unseen::usual(vec![(0.0, 1.0)]), None);
    assert_eq!(unseen::holds(Some(-0.1), None), 1.0);
    let few = page.number("of which fewer than ", " windows of it were measured") as usize;
    let some = gains(0.5, 0.01);
    assert_eq!(unseen::gain(&some[..few - 1]), None);
    assert!(unseen::gain(&some[..few]).is_some());
    assert_eq!(unseen::holds(None, Some(0.4)), 1.0);
}
