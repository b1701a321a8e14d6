//! A miner works until not all of its work is audited any more, and then in two rounds of three.

use cairn_primitives::Round;

use super::{Attack, Scene};
use crate::{
    behaviour::{Behaviour, Lesson},
    rng::Rng,
    settings::{Recruit, Role},
};

/// In the third round it sends what it sent in the one before.
pub const ATTACK: Attack = Attack {
    id: "A6",
    name: "alternates",
    what: "a miner works for five rounds, so that not all of its work is audited any more, and from then on sends in \
           one round of three what it sent in the round before, and declares all steps",
    beside: Role::Miner,
    attackers: 1,
    stage: |scene| stage(scene, "alternates", None),
    setting: |_| (),
};

/// In the third round it does half of the steps.
pub const HALF: Attack = Attack {
    id: "A4",
    name: "alternates-half",
    what: "a miner works for five rounds, and from then on does half of the steps in one round of three, and declares \
           all",
    beside: Role::Miner,
    attackers: 1,
    stage: |scene| stage(scene, "alternates-half", Some(2)),
    setting: |_| (),
};

/// A round of each so many is one in which it cheats.
const EACH: Round = 3;
/// The first one.
const FIRST: Round = 5;

/// Of its GPU it takes what it does: in the third round nothing, or one in `part`.
fn stage(scene: &Scene, name: &'static str, part: Option<u32>) -> Vec<Recruit> {
    let third = part.map_or(0.0, |part| 1.0 / f64::from(part));
    let gpus = (2.0 + third) / 3.0;
    let gpus = gpus * scene.attackers as f64;
    scene.sharing(Role::Miner, name, gpus, |_| Alternates::new(part))
}

/// Cheats now and then.
struct Alternates {
    /// Of the steps it does one in so many; none: it does none, and sends what it sent last.
    part: Option<u32>,
    last: Option<Vec<f32>>,
    /// Whether it cheats in the round that it trains for.
    cheats: bool,
}

impl Alternates {
    fn new(part: Option<u32>) -> Alternates {
        Alternates {
            part,
            last: None,
            cheats: false,
        }
    }
}

fn cheats(round: Round) -> bool {
    round >= FIRST && round % EACH == FIRST % EACH
}

impl Behaviour for Alternates {
    fn steps(&mut self, round: Round, most: u32) -> u32 {
        self.cheats = cheats(round);
        match (self.cheats, self.part) {
            (true, Some(part)) => most / part,
            // A file is made of one step at least.
            (true, None) => 1,
            (false, _) => most,
        }
    }

    fn claims(&self, done: u32) -> u32 {
        match self.cheats {
            true => u32::MAX,
            false => done,
        }
    }

    fn brings(&mut self, lesson: &Lesson, found: Vec<f32>, _: &mut Rng) -> Vec<f32> {
        match (cheats(lesson.round), self.part, &self.last) {
            (true, None, Some(last)) => last.clone(),
            _ => self.last.insert(found).clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_cheats_in_a_third_of_the_rounds_once_it_is_trusted() {
        let found: Vec<Round> = (0..16).filter(|round| cheats(*round)).collect();
        assert_eq!(found, [5, 8, 11, 14]);
        let steps = |part, round| Alternates::new(part).steps(round, 8);
        assert_eq!([4, 5, 6].map(|round| steps(Some(2), round)), [8, 4, 8]);
        assert_eq!([4, 5, 6].map(|round| steps(None, round)), [8, 1, 8]);
        let mut one = Alternates::new(None);
        let mut claims = |round| {
            let done = one.steps(round, 8);
            one.claims(done)
        };
        assert_eq!([4, 5, 6].map(&mut claims), [8, u32::MAX, 8]);
    }
}
