//! What each call and each part of the hook costs, at the sizes that make it cost more.
//!
//! The pallets around this one are set up by [`BenchmarkHelper`], so that the measured reads are those of
//! the runtime that uses the parameters. A *full* subnet has [`MAX_MEMBERS`] members, [`MAX_VALIDATORS`] of
//! them validators: no round is larger, and what a call decodes is largest then.

// Sizes are those of this file, and what fails here fails a measurement, no block.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::expect_used
)]

use alloc::vec::Vec;

use cairn_primitives::{
    key_hash,
    traits::{Membership, OnMember},
    AuditRules, BlockNumber, Commitment, CompressionSchedule, ContributionKey, DataSet, Hotkey,
    InitialParameters, InnerOptimizer, Judgement, ModelRoot, ModelShape, Nano, Netuid, OuterStep,
    Phases, Round, RunConfig, Salt, SealedRoot, Standing, Text, Uid, Witness, H256, MAX_MEMBERS,
    MAX_VALIDATORS,
};
use frame_benchmarking::v2::*;
use frame_support::{
    dispatch::CheckIfFeeless,
    traits::{Get, UnfilteredDispatchable},
    BoundedVec,
};
use frame_system::RawOrigin;

use crate::{
    attendance::Said, Absence, Absences, AbsencesOf, Ancestor, Assignments, Attendances, Attended,
    Attestation, Attestations, Call, Clearing, Config, Configs, Contribution, Contributions,
    Included, Lineage, NextDue, Pallet, Record, Records, Rounds, Runs, Settlement, Settlements,
    Snapshot, Statement, Tallies, Tally, Validator,
};

/// Sets up the pallets that this one asks.
pub trait BenchmarkHelper {
    /// A new subnet with so many members that have the stake to validate, and so many with a miner's bond.
    /// A run there would begin with all of them.
    fn subnet(validators: u32, miners: u32) -> Netuid;
}

/// The most miners of a round with all its validators.
const MOST_MINERS: u32 = MAX_MEMBERS - MAX_VALIDATORS;
/// Root of the first parameters.
const ROOT: H256 = H256([7; 32]);
/// The key of every contribution.
const KEY: ContributionKey = [5; 32];
/// What every attestation shows of the round before.
const SHOWN: Witness = Witness {
    gains: ROOT,
    loss: 5_000_000,
};
/// What hides every attestation.
const SALT: Salt = [6; 32];
const PHASES: Phases = Phases {
    train: 4,
    reveal: 2,
    attest: 4,
    floor: 100,
};

/// A run with texts as long as they may be, and data for everybody.
pub fn run_config() -> RunConfig {
    let long = || Text(BoundedVec::truncate_from(alloc::vec![b'x'; 256]));
    RunConfig {
        name: long(),
        model: ModelShape {
            layers: 2,
            d_model: 64,
            heads: 4,
            kv_heads: 2,
            ffn: 128,
            vocabulary: 256,
            context: 64,
            rope_theta: 10_000,
            tied_embeddings: true,
        },
        initial_parameters: InitialParameters::Checkpoint(long()),
        initial_root: ModelRoot(ROOT),
        data: DataSet {
            manifest_root: ROOT,
            tokenizer_root: ROOT,
            store: long(),
            windows: 1_000_000,
        },
        inner: InnerOptimizer {
            steps: 2,
            sequences: 3,
            sequence_length: 64,
            learning_rate: Nano(3_000_000),
            final_rate: Nano(100_000_000),
            warmup_steps: 10,
            total_steps: 100,
            beta1: Nano(900_000_000),
            beta2: Nano(950_000_000),
            epsilon: Nano(1),
            weight_decay: Nano(100_000_000),
            clip_norm: Nano::ONE,
            trace_every: 1,
            matrices: Default::default(),
        },
        compression: CompressionSchedule {
            turns: CompressionSchedule::usual_turns(),
            kept_per_block: 64,
            error_decay: Nano(500_000_000),
            final_error_decay: Some(Nano(950_000_000)),
        },
        outer: OuterStep {
            learning_rate: Nano(700_000_000),
            rho: Nano::ONE,
            clip: OuterStep::USUAL_CLIP,
            combine: Default::default(),
        },
        phases: PHASES,
        // Fewer than there can be, so that settling has to choose.
        max_contributors: 100,
        audits: AuditRules {
            rate: AuditRules::EACH,
            auditors: 15,
            blocks: 10,
            ..AuditRules::default()
        },
        overlap: 0,
        checkpoint_every: RunConfig::USUAL_CHECKPOINT_EVERY,
    }
}

fn to_block<T: Config>(block: BlockNumber) {
    frame_system::Pallet::<T>::set_block_number(block.into());
}

fn owner_of<T: Config>(netuid: Netuid) -> Result<RawOrigin<T::AccountId>, BenchmarkError> {
    let owner = T::Membership::owner(netuid).ok_or("the helper made no subnet")?;
    Ok(RawOrigin::Signed(owner))
}

/// A run whose first round begins in this block.
struct Begun<T: Config> {
    netuid: Netuid,
    start: BlockNumber,
    snapshot: Snapshot<T::AccountId>,
}

impl<T: Config> Begun<T> {
    fn with(validators: u32, miners: u32) -> Result<Begun<T>, BenchmarkError> {
        Self::on(run_config(), validators, miners)
    }

    /// A run with this configuration.
    fn on(config: RunConfig, validators: u32, miners: u32) -> Result<Begun<T>, BenchmarkError> {
        let netuid = T::BenchmarkHelper::subnet(validators, miners);
        Pallet::<T>::start_run(owner_of::<T>(netuid)?.into(), netuid, config)?;
        let start = Pallet::<T>::now().saturating_add(1);
        to_block::<T>(start);
        Pallet::<T>::turn(start);
        let snapshot = Rounds::<T>::get(netuid, 0).ok_or("the round did not begin")?;
        let size = (snapshot.validators.len(), snapshot.miners.len());
        if size != (validators as usize, miners as usize) {
            return Err("the helper made another subnet than it was asked for".into());
        }
        Ok(Begun {
            netuid,
            start,
            snapshot,
        })
    }

    fn full() -> Result<Begun<T>, BenchmarkError> {
        Self::with(MAX_VALIDATORS, MOST_MINERS)
    }

    /// The miner that a search from the front finds last.
    fn last_miner(&self) -> Result<(Uid, T::AccountId), BenchmarkError> {
        Ok(self.snapshot.miners.last().cloned().ok_or("no miner")?)
    }

    /// The validator that a search from the front finds last.
    fn last_validator(&self) -> Result<Validator<T::AccountId>, BenchmarkError> {
        let validators = &self.snapshot.validators;
        Ok(validators.last().cloned().ok_or("no validator")?)
    }

    fn commitment(&self, hotkey: &T::AccountId) -> Commitment {
        Commitment {
            parent_root: ModelRoot(ROOT),
            sealed_root: SealedRoot(ROOT),
            length: T::MaxContributionBytes::get(),
            key_hash: key_hash(self.netuid, 0, &Hotkey::of(&hotkey), &KEY),
        }
    }

    /// The first `count` miners have committed and revealed; every validator but the last found all of
    /// them good.
    fn contributed(&self, count: u32) -> Result<(), BenchmarkError> {
        let mut tally = Tallies::<T>::get(self.netuid, 0);
        for (uid, hotkey) in self.snapshot.miners.iter().take(count as usize) {
            let contribution = Contribution {
                hotkey: hotkey.clone(),
                commitment: self.commitment(hotkey),
                key: Some(KEY),
            };
            Contributions::<T>::insert((self.netuid, 0, *uid), contribution);
            tally.reveal(*uid).map_err(|_| "no room in the tally")?;
        }
        let uids: Vec<Uid> = tally.support.keys().copied().collect();
        let said = Attestation {
            model_root: ModelRoot(ROOT),
            verdicts: Judgement::new(uids, []),
            witness: SHOWN,
            salt: SALT,
        };
        for validator in self.snapshot.validators.iter().rev().skip(1) {
            tally
                .add(&said, validator.stake)
                .map_err(|_| "the tally overflows")?;
            let statement = Statement::Attested(said.clone());
            Attestations::<T>::insert((self.netuid, 0, validator.uid), statement);
        }
        Tallies::<T>::insert(self.netuid, 0, tally);
        Ok(())
    }
}

/// Makes the first round of a run one to which all its miners have contributed, and which can be settled.
pub fn everybody_contributed<T: Config>(netuid: Netuid) -> Result<(), BenchmarkError> {
    let snapshot = Rounds::<T>::get(netuid, 0).ok_or("the round did not begin")?;
    let miners = snapshot.miners.len() as u32;
    let begun = Begun::<T> {
        netuid,
        start: snapshot.start,
        snapshot,
    };
    begun.contributed(miners)
}

/// Lets all members of a subnet have been included since the last epoch, which was work, and have attested it.
pub fn everybody_worked<T: Config>(netuid: Netuid) {
    let uids: Vec<Uid> = T::Membership::members(netuid)
        .into_iter()
        .map(|(uid, _)| uid)
        .collect();
    let seats: Vec<(Uid, bool)> = uids.iter().map(|uid| (*uid, true)).collect();
    let mut record = Record::default();
    record.settled(true, uids);
    Records::<T>::insert(netuid, record);
    let mut attended = Attendances::default();
    attended.note(&seats);
    Attended::<T>::insert(netuid, attended);
}

/// What a feeless call costs: the transaction extension asks whether it is free, then it runs.
fn ask_and_dispatch<T: Config>(call: Call<T>, hotkey: T::AccountId) -> Result<(), BenchmarkError> {
    let origin: T::RuntimeOrigin = RawOrigin::Signed(hotkey).into();
    if !call.is_feeless(&origin) {
        return Err("the call is not free".into());
    }
    call.dispatch_bypass_filter(origin)?;
    Ok(())
}

/// All members of a round have missed so much that they are not expected any more.
fn everybody_is_absent<T: Config>(begun: &Begun<T>) -> Result<(), BenchmarkError> {
    let absent = (0..u8::MAX).fold(Absence::default(), |one, _| one.after(false));
    let miners = begun.snapshot.miners.iter().map(|(uid, _)| *uid);
    let validators = begun.snapshot.validators.iter().map(|one| one.uid);
    let all = miners.chain(validators).map(|uid| (uid, absent));
    let all = all.collect::<alloc::collections::BTreeMap<Uid, Absence>>();
    let absences = Absences::try_from(all).map_err(|_| "too many members")?;
    AbsencesOf::<T>::insert(begun.netuid, absences);
    Ok(())
}

/// The first `miners` of a kept round of which everything is there.
fn old_round<T: Config>(netuid: Netuid, round: Round, miners: u32) {
    let miners: Vec<(Uid, T::AccountId)> = (0..miners)
        .map(|index| (Uid(index as u16), account("miner", index, 0)))
        .collect();
    for (uid, hotkey) in &miners {
        let contribution = Contribution {
            hotkey: hotkey.clone(),
            commitment: Commitment {
                parent_root: ModelRoot(ROOT),
                sealed_root: SealedRoot(ROOT),
                length: 1,
                key_hash: ROOT,
            },
            key: Some(KEY),
        };
        Contributions::<T>::insert((netuid, round, *uid), contribution);
    }
    let miners = BoundedVec::truncate_from(miners);
    let snapshot = Snapshot {
        start: 1,
        phases: PHASES,
        seed: ROOT,
        pass: 0,
        cursor: 0,
        miners: miners.clone(),
        validators: BoundedVec::default(),
    };
    let included: Vec<Included<T::AccountId>> = miners
        .into_iter()
        .map(|(uid, hotkey)| Included {
            uid,
            hotkey,
            standing: Standing {
                trust: 1,
                is_proven: false,
            },
        })
        .collect();
    let settlement = Settlement {
        settled_at: 1,
        included: BoundedVec::truncate_from(included),
        exam: ROOT,
        attesting_stake: 1,
        total_stake: 1,
    };
    Rounds::<T>::insert(netuid, round, snapshot);
    Tallies::<T>::insert(netuid, round, Tally::default());
    Settlements::<T>::insert(netuid, round, settlement);
}

#[benchmarks]
mod benchmarks {
    use super::*;

    #[benchmark]
    fn start_run() -> Result<(), BenchmarkError> {
        let netuid = T::BenchmarkHelper::subnet(1, 1);
        let owner = owner_of::<T>(netuid)?;
        #[extrinsic_call]
        _(owner, netuid, run_config());
        assert!(Runs::<T>::contains_key(netuid));
        Ok(())
    }

    #[benchmark]
    fn stop_run() -> Result<(), BenchmarkError> {
        let netuid = Begun::<T>::with(1, 1)?.netuid;
        let owner = owner_of::<T>(netuid)?;
        #[extrinsic_call]
        _(owner, netuid);
        assert!(Clearing::<T>::contains_key(netuid));
        Ok(())
    }

    #[benchmark]
    fn commit() -> Result<(), BenchmarkError> {
        let begun = Begun::<T>::full()?;
        let (netuid, round) = (begun.netuid, 0);
        let (uid, hotkey) = begun.last_miner()?;
        let commitment = begun.commitment(&hotkey);
        let call = Call::<T>::commit {
            netuid,
            round,
            commitment,
        };
        #[block]
        {
            ask_and_dispatch(call, hotkey)?;
        }
        assert!(Contributions::<T>::contains_key((netuid, 0, uid)));
        Ok(())
    }

    #[benchmark]
    fn reveal() -> Result<(), BenchmarkError> {
        let begun = Begun::<T>::full()?;
        let (netuid, round) = (begun.netuid, 0);
        begun.contributed(MOST_MINERS - 1)?;
        let (uid, hotkey) = begun.last_miner()?;
        let contribution = Contribution {
            hotkey: hotkey.clone(),
            commitment: begun.commitment(&hotkey),
            key: None,
        };
        Contributions::<T>::insert((netuid, round, uid), contribution);
        to_block::<T>(begun.start + PHASES.train);
        let call = Call::<T>::reveal {
            netuid,
            round,
            key: KEY,
        };
        #[block]
        {
            ask_and_dispatch(call, hotkey)?;
        }
        assert!(Tallies::<T>::get(netuid, 0).support.contains_key(&uid));
        Ok(())
    }

    /// `v`: the contributions of which the verdicts say something, of every second one that it is broken: room is made
    /// for those in the tally.
    #[benchmark]
    fn attest(v: Linear<0, { MOST_MINERS }>) -> Result<(), BenchmarkError> {
        let begun = Begun::<T>::full()?;
        let (netuid, round) = (begun.netuid, 0);
        begun.contributed(MOST_MINERS)?;
        let validator = begun.last_validator()?;
        to_block::<T>(begun.start + PHASES.train + PHASES.reveal + PHASES.attest.div_ceil(2));
        let judged = begun.snapshot.miners.iter().take(v as usize);
        let judged = judged.map(|(uid, _)| *uid);
        let (good, broken): (Vec<Uid>, Vec<Uid>) =
            judged.partition(|uid| uid.get().is_multiple_of(2));
        let said = Attestation {
            model_root: ModelRoot(ROOT),
            verdicts: Judgement::new(good, broken),
            witness: SHOWN,
            salt: SALT,
        };
        let hash = said.hash((netuid, round, &Hotkey::of(&validator.hotkey)));
        let at = (netuid, round, validator.uid);
        Attestations::<T>::insert(at, Statement::Committed(hash));
        let call = Call::<T>::attest {
            netuid,
            round,
            model_root: said.model_root,
            verdicts: said.verdicts.clone(),
            witness: said.witness,
            salt: said.salt,
        };
        #[block]
        {
            ask_and_dispatch(call, validator.hotkey)?;
        }
        let kept = Attestations::<T>::get(at);
        assert_eq!(kept, Some(Statement::Attested(said)));
        Ok(())
    }

    #[benchmark]
    fn commit_attestation() -> Result<(), BenchmarkError> {
        let begun = Begun::<T>::full()?;
        let (netuid, round) = (begun.netuid, 0);
        begun.contributed(MOST_MINERS)?;
        let validator = begun.last_validator()?;
        to_block::<T>(begun.start + PHASES.train + PHASES.reveal);
        let call = Call::<T>::commit_attestation {
            netuid,
            round,
            hash: ROOT,
        };
        #[block]
        {
            ask_and_dispatch(call, validator.hotkey)?;
        }
        let kept = Attestations::<T>::get((netuid, round, validator.uid));
        assert_eq!(kept, Some(Statement::Committed(ROOT)));
        Ok(())
    }

    /// As many members as there can be are not expected.
    #[benchmark]
    fn here() -> Result<(), BenchmarkError> {
        let begun = Begun::<T>::full()?;
        let netuid = begun.netuid;
        everybody_is_absent::<T>(&begun)?;
        let (uid, hotkey) = begun.last_miner()?;
        let call = Call::<T>::here { netuid };
        #[block]
        {
            ask_and_dispatch(call, hotkey)?;
        }
        let absence = AbsencesOf::<T>::get(netuid).get(&uid).copied();
        assert!(absence.is_some_and(|absence| absence.is_expected()));
        Ok(())
    }

    /// A validator that has attested: what it said is taken out of a full tally.
    #[benchmark]
    fn on_left() -> Result<(), BenchmarkError> {
        let begun = Begun::<T>::full()?;
        begun.contributed(MOST_MINERS)?;
        // The last one has not attested.
        let validators = &begun.snapshot.validators;
        let validator = validators
            .iter()
            .rev()
            .nth(1)
            .cloned()
            .ok_or("no validator")?;
        #[block]
        {
            Pallet::<T>::on_left(begun.netuid, validator.uid, &validator.hotkey);
        }
        let tally = Tallies::<T>::get(begun.netuid, 0);
        assert!(tally.departed.contains(validator.uid));
        Ok(())
    }

    /// A block without work that steps over as many empty agendas as one block may.
    #[benchmark]
    fn on_initialize() -> Result<(), BenchmarkError> {
        let now = 1_000;
        to_block::<T>(now);
        NextDue::<T>::put(now - crate::round::DONE_BLOCKS_PER_BLOCK);
        #[block]
        {
            Pallet::<T>::turn(now);
        }
        assert_eq!(NextDue::<T>::get(), Some(now));
        Ok(())
    }

    /// `c`: the revealed contributions, all good, and more of them than the run includes.
    #[benchmark]
    fn settle(c: Linear<0, { MOST_MINERS }>) -> Result<(), BenchmarkError> {
        let begun = Begun::<T>::full()?;
        let netuid = begun.netuid;
        begun.contributed(c)?;
        let now = begun.start + PHASES.round();
        to_block::<T>(now);
        let most;
        #[block]
        {
            // As `next_round` begins.
            let mut run = Runs::<T>::get(netuid).ok_or("no run")?;
            let config = Configs::<T>::get(netuid).ok_or("no configuration")?;
            most = config.max_contributors;
            let _ = Pallet::<T>::settle(netuid, 0, &mut run, &config, now);
        }
        let settled = Settlements::<T>::get(netuid, 0).ok_or("not settled")?;
        assert_eq!(settled.included.len(), (c as usize).min(most.into()));
        assert!(Lineage::<T>::contains_key(netuid, 0));
        Ok(())
    }

    /// `m`: the members of a round that is over, a quarter of them validators. All contributed, all but one validator
    /// attested, and the round has no final root.
    #[benchmark]
    fn attend(m: Linear<2, { MAX_MEMBERS }>) -> Result<(), BenchmarkError> {
        let validators = (m / 4).max(1);
        let begun = Begun::<T>::with(validators, m - validators)?;
        let netuid = begun.netuid;
        begun.contributed(m - validators)?;
        everybody_is_absent::<T>(&begun)?;
        let mut run = Runs::<T>::get(netuid).ok_or("no run")?;
        run.undecided = 9;
        let ancestor = Ancestor {
            model_root: ModelRoot::zero(),
            attested_stake: 0,
            attesting_stake: 0,
            total_stake: 0,
            is_final: false,
            loss: None,
        };
        let said;
        #[block]
        {
            let snapshot = Rounds::<T>::get(netuid, 0).ok_or("no round")?;
            said = Pallet::<T>::note_attendance(netuid, 0, &run, None, &ancestor, snapshot);
        }
        assert_eq!(said.len(), validators as usize);
        let absences = AbsencesOf::<T>::get(netuid);
        assert!(begun.snapshot.validators.iter().all(|one| {
            absences
                .get(&one.uid)
                .is_some_and(|absence| absence.halved == 1)
        }));
        Ok(())
    }

    /// `v`: the validators that attested another root than the final one. Who called good what it had not opened costs
    /// no more.
    #[benchmark]
    fn slash_lost_roots(v: Linear<1, { MAX_VALIDATORS - 1 }>) -> Result<(), BenchmarkError> {
        let begun = Begun::<T>::full()?;
        let netuid = begun.netuid;
        let root = |at: u32| ModelRoot(if at < v { H256([9; 32]) } else { ROOT });
        let validators = begun.snapshot.validators.iter().cloned();
        let said: Vec<Said<T::AccountId>> = (0..)
            .zip(validators)
            .map(|(at, validator)| Said {
                validator,
                root: Some(root(at)),
                unseen: None,
            })
            .collect();
        let slashed;
        #[block]
        {
            slashed = Pallet::<T>::slash_lost_roots(netuid, 0, ModelRoot(ROOT), &said);
        }
        assert_eq!(slashed, v);
        Ok(())
    }

    /// `m`: the subnet's members, a quarter of them validators.
    #[benchmark]
    fn begin(m: Linear<2, { MAX_MEMBERS }>) -> Result<(), BenchmarkError> {
        let validators = (m / 4).max(1);
        let netuid = Begun::<T>::with(validators, m - validators)?.netuid;
        let run = Runs::<T>::get(netuid).ok_or("no run")?;
        let config = Configs::<T>::get(netuid).ok_or("no configuration")?;
        let now = run.times.due;
        to_block::<T>(now);
        #[block]
        {
            let (participants, members) = Pallet::<T>::participants(netuid);
            assert_eq!(members, m);
            Pallet::<T>::begin(netuid, 1, &config, run, participants, now);
        }
        assert!(Rounds::<T>::contains_key(netuid, 1));
        Ok(())
    }

    /// `m`: the subnet's members, a quarter of them validators. Rounds overlap, and what was drawn ahead is of another
    /// round: two are drawn, and the root is read that is the base of the one that ends.
    #[benchmark]
    fn begin_ahead(m: Linear<2, { MAX_MEMBERS }>) -> Result<(), BenchmarkError> {
        let validators = (m / 4).max(1);
        let config = RunConfig {
            overlap: 1,
            ..run_config()
        };
        let netuid = Begun::<T>::on(config.clone(), validators, m - validators)?.netuid;
        let run = Runs::<T>::get(netuid).ok_or("no run")?;
        let root = ModelRoot(ROOT);
        let ancestor = Ancestor {
            model_root: root,
            attested_stake: 1,
            attesting_stake: 1,
            total_stake: 1,
            is_final: true,
            loss: None,
        };
        Lineage::<T>::insert(netuid, 0, ancestor);
        Assignments::<T>::mutate_extant(netuid, |drawn| drawn.round = 9);
        let now = run.times.due;
        to_block::<T>(now);
        let base;
        #[block]
        {
            base = Pallet::<T>::root_before(netuid, 1, &config);
            let (participants, members) = Pallet::<T>::participants(netuid);
            assert_eq!(members, m);
            Pallet::<T>::begin(netuid, 1, &config, run, participants, now);
        }
        assert_eq!(base, Some(root));
        let drawn = Assignments::<T>::get(netuid).map(|drawn| drawn.round);
        assert_eq!(drawn, Some(2));
        Ok(())
    }

    /// `i`: the items of an old round.
    #[benchmark]
    fn prune(i: Linear<3, { MAX_MEMBERS + 3 }>) -> Result<(), BenchmarkError> {
        let (netuid, round) = (Netuid(1), 0);
        old_round::<T>(netuid, round, i - 3);
        let removed;
        #[block]
        {
            removed = Pallet::<T>::remove_round(netuid, round);
        }
        assert_eq!(removed, i);
        assert!(Contributions::<T>::iter_prefix((netuid, round))
            .next()
            .is_none());
        Ok(())
    }

    impl_benchmark_test_suite!(
        Pallet,
        crate::mock::ExtBuilder::default().build(),
        crate::mock::Test
    );
}
