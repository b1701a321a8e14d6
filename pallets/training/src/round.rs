//! The hook: runs that are opened and closed, rounds that begin when the one before is over.
//!
//! Runs with a round in progress are on the *agenda* under the block at which that round is over. A
//! block works off the agenda from its oldest entry on, up to a limit; what it does not reach, the next
//! block does first. Runs that wait for their first round are looked at in turn, again up to a limit,
//! so that however many of them there are they delay nobody.

use alloc::vec::Vec;
use cairn_primitives::{
    traits::{Audits, Incentives, Membership, Stakes},
    BlockNumber, Netuid, Role, Round, RoundTimes, RunConfig, Uid, Verdicts, H256, MAX_MEMBERS,
};
use cairn_protocol::{
    assignment::{self, DataRange, Shown},
    eligibility::{self, Claim},
    overlap,
};
use codec::Encode;
use frame_support::{
    traits::{Get, Randomness},
    weights::Weight,
    BoundedVec,
};

use crate::{
    AbsencesOf, Agenda, Assignment, Assignments, Clearing, Config, Configs, Event, LastWaiter,
    NextDue, Pallet, Records, Remains, Rounds, Run, Runs, Snapshot, Tallies, Tally, Turnouts,
    Validator, Waiting, WeightInfo,
};

/// Blocks with nothing left on their agenda over which one block steps: more than one, so that the
/// agenda catches up.
pub(crate) const DONE_BLOCKS_PER_BLOCK: u32 = 16;

/// Who can take part in a round.
pub(crate) struct Participants<AccountId> {
    /// Miners with the bond, ascending by uid.
    miners: Vec<(Uid, AccountId)>,
    /// Validators with the most stake, the most first, each with what counts of it.
    validators: Vec<Validator<AccountId>>,
}

impl<T: Config> Pallet<T> {
    /// All that a block does by itself.
    pub(crate) fn turn(now: BlockNumber) -> Weight {
        T::WeightInfo::on_initialize()
            .saturating_add(Self::clear_some())
            .saturating_add(Self::work_off_agenda(now))
            .saturating_add(Self::look_at_waiters(now))
    }

    /// Puts a run among those that wait for their first round.
    pub(crate) fn open_run(netuid: Netuid, config: RunConfig) {
        let initial_root = config.initial_root;
        let run = Run {
            started_at: Self::now(),
            round: None,
            times: RoundTimes::default(),
            pass: 0,
            cursor: 0,
            expected_root: Some(initial_root),
            undecided: 0,
            oldest_round: 0,
            oldest_root: 0,
        };
        // What was earned in another run says nothing of who trains in this one.
        T::Incentives::forget(netuid);
        Configs::<T>::insert(netuid, config);
        Runs::<T>::insert(netuid, run);
        Waiting::<T>::insert(netuid, ());
        Self::deposit_event(Event::RunStarted {
            netuid,
            initial_root,
        });
    }

    /// Takes a run off the agenda and leaves its rounds to be removed.
    pub(crate) fn close_run(netuid: Netuid, run: Run) {
        if let Some(config) = Configs::<T>::take(netuid) {
            if config.overlaps() {
                Assignments::<T>::remove(netuid);
            }
            Self::remember(netuid, &run, config);
        }
        Waiting::<T>::remove(netuid);
        AbsencesOf::<T>::remove(netuid);
        Turnouts::<T>::remove(netuid);
        if let Some(round) = run.round {
            Agenda::<T>::remove(run.times.due, netuid);
            let questions = T::Audits::on_stopped(netuid);
            Records::<T>::mutate_extant(netuid, |record| record.stopped(questions.as_ref()));
            let next = run.oldest_root.min(run.oldest_round);
            Clearing::<T>::insert(
                netuid,
                Remains {
                    next,
                    end: round.saturating_add(1),
                },
            );
        }
        Self::deposit_event(Event::RunStopped { netuid });
    }

    /// Settles rounds that are over and begins the next ones, those that are due longest first.
    fn work_off_agenda(now: BlockNumber) -> Weight {
        let mut weight = Weight::zero();
        let first = NextDue::<T>::get().unwrap_or(now);
        let mut block = first;
        let (mut transitions, mut done_blocks) = (0u32, 0u32);
        while block <= now
            && transitions < T::MaxTransitionsPerBlock::get()
            && done_blocks < DONE_BLOCKS_PER_BLOCK
        {
            if let Some(netuid) = Agenda::<T>::iter_key_prefix(block).next() {
                Agenda::<T>::remove(block, netuid);
                weight.saturating_accrue(Self::next_round(netuid, now));
                transitions = transitions.saturating_add(1);
            } else {
                block = block.saturating_add(1);
                done_blocks = done_blocks.saturating_add(1);
            }
        }
        if block != first || NextDue::<T>::get().is_none() {
            NextDue::<T>::put(block);
        }
        weight
    }

    /// Settles a run's current round and begins the next one.
    fn next_round(netuid: Netuid, now: BlockNumber) -> Weight {
        let (Some(mut run), Some(config)) = (Runs::<T>::get(netuid), Configs::<T>::get(netuid))
        else {
            return T::DbWeight::get().reads(2);
        };
        let Some(round) = run.round else {
            return T::DbWeight::get().reads(2);
        };
        let expected = run.expected_root;
        let (settled, ancestor) = Self::settle(netuid, round, &mut run, &config, now);
        let consequences = Self::draw_consequences(netuid, round, &run, expected, &ancestor);
        let audits = Self::tell_audits(netuid, round, &config);
        let (participants, members) = Self::participants(netuid);
        let pruned = Self::begin(
            netuid,
            round.saturating_add(1),
            &config,
            run,
            participants,
            now,
        );
        T::WeightInfo::settle(settled)
            // Who is proven is the audits pallet's to say. The loss goes to the root of the round before.
            .saturating_add(T::DbWeight::get().reads_writes(2, 1))
            .saturating_add(consequences)
            .saturating_add(audits)
            .saturating_add(T::WeightInfo::begin(members))
            .saturating_add(Self::drawing_ahead(&config, members))
            .saturating_add(T::WeightInfo::prune(pruned))
    }

    /// Begins the first round of runs that waited for a miner and a validator and now have them.
    fn look_at_waiters(now: BlockNumber) -> Weight {
        let mut weight = Weight::zero();
        for netuid in Self::next_waiters() {
            let (participants, members) = Self::participants(netuid);
            weight.saturating_accrue(T::WeightInfo::begin(members));
            if participants.miners.is_empty() || participants.validators.is_empty() {
                continue;
            }
            if let (Some(run), Some(config)) = (Runs::<T>::get(netuid), Configs::<T>::get(netuid)) {
                Waiting::<T>::remove(netuid);
                weight.saturating_accrue(Self::drawing_ahead(&config, members));
                Self::begin(netuid, 0, &config, run, participants, now);
            }
        }
        weight
    }

    /// The next waiting runs in turn, up to the limit.
    fn next_waiters() -> Vec<Netuid> {
        let most = usize::try_from(T::MaxTransitionsPerBlock::get()).unwrap_or(usize::MAX);
        let mut turn: Vec<Netuid> = match LastWaiter::<T>::get() {
            Some(last) => Waiting::<T>::iter_keys_from(Waiting::<T>::hashed_key_for(last))
                .take(most)
                .collect(),
            None => Vec::new(),
        };
        let left = most.saturating_sub(turn.len());
        let again: Vec<Netuid> = Waiting::<T>::iter_keys().take(left).collect();
        for netuid in again {
            if !turn.contains(&netuid) {
                turn.push(netuid);
            }
        }
        if let Some(last) = turn.last() {
            LastWaiter::<T>::put(last);
        }
        turn
    }

    /// Begins `round`, and says how many items of old rounds went.
    pub(crate) fn begin(
        netuid: Netuid,
        round: Round,
        config: &RunConfig,
        mut run: Run,
        participants: Participants<T::AccountId>,
        now: BlockNumber,
    ) -> u32 {
        let Assignment {
            seed,
            pass,
            cursor,
            miners,
            ..
        } = Self::assigned(netuid, round, config, &mut run, &participants.miners);
        let (departed, validators) = Self::parts(config, &miners, &participants);
        let validators = BoundedVec::truncate_from(validators);
        let stakes = validators.iter().map(|validator| validator.stake);
        let tally = Tally::new(stakes);
        let snapshot = Snapshot {
            start: now,
            phases: config.phases,
            seed,
            pass,
            cursor,
            miners,
            validators,
        };
        run.times = snapshot.limits().0;
        Self::expect_turnout(netuid, &snapshot, &departed);
        Tallies::<T>::insert(netuid, round, Tally { departed, ..tally });
        Rounds::<T>::insert(netuid, round, snapshot);
        if config.overlaps() {
            let next = round.saturating_add(1);
            let next = Self::draw(netuid, next, config, &mut run, &participants.miners);
            Assignments::<T>::insert(netuid, next);
        }
        run.round = Some(round);
        Agenda::<T>::insert(run.times.due, netuid, ());
        let pruned = Self::prune(netuid, round, &mut run);
        Runs::<T>::insert(netuid, run);
        Self::deposit_event(Event::RoundStarted {
            netuid,
            round,
            seed,
        });
        pruned
    }

    /// Who has to train on what in a round that begins: as it was drawn when the round before began, if rounds overlap
    /// and there was one; else as it is drawn now.
    fn assigned(
        netuid: Netuid,
        round: Round,
        config: &RunConfig,
        run: &mut Run,
        miners: &[(Uid, T::AccountId)],
    ) -> Assignment<T::AccountId> {
        let known = match config.overlaps() {
            true => Assignments::<T>::take(netuid),
            false => None,
        };
        let known = known.filter(|known| known.round == round);
        known.unwrap_or_else(|| Self::draw(netuid, round, config, run, miners))
    }

    /// Draws who of these miners has to train on what in a round, and takes the next stretch of the data for it.
    fn draw(
        netuid: Netuid,
        round: Round,
        config: &RunConfig,
        run: &mut Run,
        miners: &[(Uid, T::AccountId)],
    ) -> Assignment<T::AccountId> {
        let seed = Self::draw_seed(netuid, round);
        let (windows, per_miner) = (config.data.windows, config.windows_per_miner());
        let miners = BoundedVec::truncate_from(Self::draw_slots(netuid, seed, miners, config));
        let count = u64::try_from(miners.len()).unwrap_or(u64::MAX);
        let next = DataRange {
            pass: run.pass,
            cursor: run.cursor,
        };
        let range = next.fit(windows, per_miner, count);
        let end = range.advance(per_miner, count);
        (run.pass, run.cursor) = (end.pass, end.cursor);
        Assignment {
            round,
            seed,
            pass: range.pass,
            cursor: range.cursor,
            miners,
        }
    }

    /// Of a round with these miners: those of them that have no part in it, and its validators. Where rounds overlap,
    /// the miners were chosen a round ago: who cannot mine any more has no part, and nobody that has a slot, or has the
    /// number of who has one, validates before the next round.
    fn parts(
        config: &RunConfig,
        miners: &[(Uid, T::AccountId)],
        participants: &Participants<T::AccountId>,
    ) -> (Verdicts, Vec<Validator<T::AccountId>>) {
        let mut validators = participants.validators.clone();
        if !config.overlaps() {
            return (Verdicts::default(), validators);
        }
        let slots = Verdicts::from_uids(miners.iter().map(|(uid, _)| *uid));
        validators.retain(|one| !slots.contains(one.uid));
        let departed = overlap::without_part(miners, &participants.miners);
        (departed, validators)
    }

    /// What it costs more to begin a round where rounds overlap: another round's slots are drawn, and the base of the one
    /// before is read.
    fn drawing_ahead(config: &RunConfig, members: u32) -> Weight {
        match config.overlaps() {
            true => {
                T::WeightInfo::begin_ahead(members).saturating_sub(T::WeightInfo::begin(members))
            }
            false => Weight::zero(),
        }
    }

    /// The miners of a round in the order of their slots.
    fn draw_slots(
        netuid: Netuid,
        seed: H256,
        miners: &[(Uid, T::AccountId)],
        config: &RunConfig,
    ) -> Vec<(Uid, T::AccountId)> {
        let absences = AbsencesOf::<T>::get(netuid);
        let shown = |(uid, _): &(Uid, T::AccountId)| {
            let absence = absences.get(uid).copied().unwrap_or_default();
            Shown::of(T::Incentives::incentive(netuid, *uid) > 0, &absence)
        };
        assignment::draw_slots(seed, miners, assignment::room(config), shown)
    }

    /// The seed of a round: of randomness alone, since a hash of the parent block is what its author makes of it.
    fn draw_seed(netuid: Netuid, round: Round) -> H256 {
        let (randomness, _) = T::Randomness::random(&(b"cairn/round", netuid, round).encode());
        assignment::round_seed(netuid, round, randomness)
    }

    /// Who can take part in a round that begins now, and how many members were looked at.
    pub(crate) fn participants(netuid: Netuid) -> (Participants<T::AccountId>, u32) {
        let (mut miners, mut stakers) = (Vec::new(), Vec::new());
        let mut members = 0u32;
        let Some(rules) = T::Membership::hyperparameters(netuid) else {
            let validators = stakers;
            return (Participants { miners, validators }, 0);
        };
        let absences = AbsencesOf::<T>::get(netuid);
        let absence = |uid: Uid| absences.get(&uid).copied().unwrap_or_default();
        for (uid, hotkey) in Self::members(netuid) {
            members = members.saturating_add(1);
            let Some(role) = T::Membership::role(netuid, uid) else {
                continue;
            };
            if !absence(uid).is_expected() {
                continue;
            }
            let stake = || T::Stakes::stake(netuid, &hotkey);
            let bond = || T::Stakes::bond(netuid, &hotkey);
            match eligibility::claim(&rules, role, stake, bond) {
                Claim::Seat => {
                    let stake = stake();
                    stakers.push(Validator::new(uid, hotkey, stake));
                }
                Claim::Data => miners.push((uid, hotkey)),
                Claim::Nothing => {}
            }
        }
        let as_candidate = |one: &Validator<T::AccountId>| (one.uid, Role::Validator, one.stake);
        let seated = eligibility::seated(&rules, stakers, as_candidate);
        let counted = seated.into_iter().map(|one| {
            let absence = absence(one.uid);
            one.after(&absence)
        });
        let validators = counted.collect();
        (Participants { miners, validators }, members)
    }

    /// The members of a subnet, ascending by uid: at most [`MAX_MEMBERS`].
    fn members(netuid: Netuid) -> impl Iterator<Item = (Uid, T::AccountId)> {
        let possible = |uid: Uid| u32::from(uid.get()) < MAX_MEMBERS;
        T::Membership::members(netuid)
            .into_iter()
            .filter(move |(uid, _)| possible(*uid))
    }
}
