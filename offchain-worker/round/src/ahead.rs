//! Which sealed files a miner fetches before their round is settled.
//!
//! A contribution can be fetched as soon as it is committed to, and is opened once the round is settled. What is here
//! by then nobody waits for; the rest is fetched then, as if it had never been asked for.
//!
//! - A file is asked for once, until that has ended. What was not to be had is asked for again after a block, then
//!   after twice as many each time, and never more than [`MOST_PAUSE`].
//! - [`AT_ONCE`] are under way at most, those first whose makers' keys come after this miner's, so that not all miners
//!   begin with the same one.
//! - Of one miner [`MOST_OF_ONE`] files of a round are asked for at most, whatever re-organisations do. So commitments
//!   that are never revealed, or never included, cost that many files for each seat at most.
//! - Makers' own lines are left to validators until these have bound themselves ([`Whom`]).
//! - Once the round is settled, or cannot be applied any more, nothing is asked for, and what is under way ends.

use std::collections::BTreeMap;

use cairn_primitives::{BlockNumber, Commitment, Hotkey, Round};
use cairn_protocol::phase::Attesting;

use crate::{validator::Id, Seen, View};

/// Files under way at the same time: as many as a peer answers at once on one connection.
pub const AT_ONCE: usize = 4;
/// Files of one miner in a round: a re-organisation may have it commit to another one.
pub const MOST_OF_ONE: usize = 2;
/// Blocks after which what was not to be had is asked for again at the latest.
pub const MOST_PAUSE: BlockNumber = 4;

/// A sealed file that is to be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The round.
    pub round: Round,
    /// Which.
    pub id: Id,
    /// Who committed to it.
    pub hotkey: Hotkey,
    /// What it said.
    pub commitment: Commitment,
    /// Who may be asked.
    pub whom: Whom,
}

/// Who is asked for a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// Stores and validators, but not its maker at the end of its own line: validators need that, and a round that
    /// waits for them gains nothing from miners that have files before they do.
    NotItsLine,
    /// Whoever has it.
    Anybody,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Missing,
    UnderWay,
    Here,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct File {
    hotkey: Hotkey,
    commitment: Commitment,
    place: Place,
    /// How often it was not to be had.
    misses: u32,
    /// The block from which it is asked for, again if it was before.
    from: BlockNumber,
}

impl File {
    fn is_due(&self, now: BlockNumber) -> bool {
        self.place == Place::Missing && self.from <= now
    }
}

/// What a miner has fetched, and fetches, of the round whose parameters it holds. Nothing of it is on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ahead {
    round: Option<Round>,
    files: BTreeMap<Id, File>,
    /// Whether makers are asked at the end of their own lines, too.
    asks_makers: bool,
    is_over: bool,
}

impl Ahead {
    /// Of this round, of which nothing is known yet.
    pub fn of(round: Option<Round>) -> Ahead {
        Ahead {
            round,
            ..Ahead::default()
        }
    }

    /// What the miner with the key `own` is to fetch now, by a view of block `now`.
    #[must_use = "what is not fetched is not asked for again"]
    pub fn next(&mut self, view: &View, own: Hotkey, now: BlockNumber) -> Vec<Sealed> {
        let Some(round) = self.round.filter(|_| !self.is_over) else {
            return Vec::new();
        };
        if view.round.round == round {
            self.note(&view.contributions, own);
        }
        let whom = whom(view, round, now);
        let asked_makers = std::mem::replace(&mut self.asks_makers, whom == Whom::Anybody);
        if self.asks_makers && !asked_makers {
            // Whoever has it for sure can be asked now, so there is no need to wait.
            self.files.values_mut().for_each(|file| file.from = 0);
        }
        let under_way = self.files.values();
        let under_way = under_way.filter(|file| file.place == Place::UnderWay);
        let free = AT_ONCE.saturating_sub(under_way.count());
        let due = self.files.iter_mut().filter(|(_, file)| file.is_due(now));
        let mut due: Vec<(&Id, &mut File)> = due.collect();
        due.sort_by_key(|(id, file)| (file.misses, file.hotkey < own, file.hotkey, **id));
        let begun = due.into_iter().take(free).map(|(id, file)| {
            let pause = 2u32.saturating_pow(file.misses).min(MOST_PAUSE);
            file.place = Place::UnderWay;
            file.from = now.saturating_add(pause);
            Sealed {
                round,
                id: *id,
                hotkey: file.hotkey,
                commitment: file.commitment.clone(),
                whom,
            }
        });
        begun.collect()
    }

    /// Takes note of what others have committed to.
    fn note(&mut self, contributions: &[Seen], own: Hotkey) {
        for seen in contributions.iter().filter(|seen| seen.hotkey != own) {
            let of_one = self.files.keys().filter(|(uid, _)| *uid == seen.uid);
            if of_one.count() >= MOST_OF_ONE {
                continue;
            }
            let id = (seen.uid, seen.commitment.sealed_root);
            self.files.entry(id).or_insert_with(|| File {
                hotkey: seen.hotkey,
                commitment: seen.commitment.clone(),
                place: Place::Missing,
                misses: 0,
                from: 0,
            });
        }
    }

    /// A file of a round is here, or is not to be had, as of block `now`. Whether another one can be begun.
    pub fn ended(&mut self, round: Round, id: Id, is_here: bool, now: BlockNumber) -> bool {
        if self.round != Some(round) {
            return false;
        }
        let file = self.files.get_mut(&id);
        let Some(file) = file.filter(|file| file.place == Place::UnderWay) else {
            return false;
        };
        file.place = if is_here {
            Place::Here
        } else {
            file.misses = file.misses.saturating_add(1);
            Place::Missing
        };
        // What failed waits for a block that comes after it was asked for.
        let may_go_on = is_here || file.is_due(now);
        let is_due = self.files.values().any(|file| file.is_due(now));
        may_go_on && is_due && !self.is_over
    }

    /// Nothing more is asked for. The round of which something is under way, which is to end.
    pub fn end(&mut self) -> Option<Round> {
        let was_over = std::mem::replace(&mut self.is_over, true);
        let mut files = self.files.values();
        let is_under_way = files.any(|file| file.place == Place::UnderWay);
        self.round.filter(|_| is_under_way && !was_over)
    }
}

/// Whom files of `round` are asked of.
fn whom(view: &View, round: Round, now: BlockNumber) -> Whom {
    let has_gone_by = view.round.round > round;
    match view.round.timetable().next_attesting(now) {
        Attesting::NotYet | Attesting::Commit if !has_gone_by => Whom::NotItsLine,
        _ => Whom::Anybody,
    }
}
