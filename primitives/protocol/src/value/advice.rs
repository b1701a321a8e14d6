//! What would raise a score.

use alloc::vec::Vec;

use super::{Account, Found};
#[cfg(feature = "serde")]
use serde::Serialize;

/// Something that keeps a score down.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Advice {
    /// In so many rounds it delivered nothing good, or had no part.
    Missed(u32),
    /// In so many rounds what it delivered did not help on text that nobody trained on.
    NoGain(u32),
    /// In so many rounds less than half of what it gained counted, as it does not hold on text that miners do not have.
    Memorised(u32),
    /// In so many rounds it shared its score with contributions that resemble its own.
    Alike(u32),
    /// In so many rounds it sent what the round before had changed.
    Repeats(u32),
    /// It declared so large a share of the inner steps on average.
    FewSteps(f64),
    /// It is new, and has not proven yet that it trains on its own data.
    New,
    /// It has not proven that it trains on its own data, and is no newcomer.
    Unproven,
}

/// What keeps the score of an account down, what weighs most first.
pub fn advice(account: &Account) -> Vec<Advice> {
    let rounds = || account.rounds.iter();
    let count = |what: fn(&&super::Part) -> bool| {
        let found = rounds().filter(what).count();
        u32::try_from(found).unwrap_or(u32::MAX)
    };
    let measured = count(|part| part.found == Found::Measured);
    let steps: f64 = rounds().map(|part| part.steps).sum();
    let steps = steps / f64::from(measured.max(1));
    let unproven = if account.is_new {
        Advice::New
    } else {
        Advice::Unproven
    };
    let all = [
        (account.factor < 1.0).then_some(unproven),
        some(count(|part| part.repeats), Advice::Repeats),
        some(count(|part| part.alike > 1), Advice::Alike),
        some(count(|part| part.found == Found::Missed), Advice::Missed),
        some(
            count(|part| part.found == Found::Measured && part.gain <= 0.0),
            Advice::NoGain,
        ),
        some(
            count(|part| part.gain > 0.0 && part.holds < 0.5),
            Advice::Memorised,
        ),
        (measured > 0 && steps < 1.0).then_some(Advice::FewSteps(steps)),
    ];
    all.into_iter().flatten().collect()
}

fn some(rounds: u32, advice: fn(u32) -> Advice) -> Option<Advice> {
    (rounds > 0).then(|| advice(rounds))
}
