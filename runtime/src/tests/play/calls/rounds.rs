//! Calls of a run and its rounds, and what members owe in them.

use cairn_primitives::{
    blake2_256, key_hash, AuditRules, Commitment, CompressionSchedule, DataSet, Hotkey,
    InitialParameters, InnerOptimizer, Judgement, ModelRoot, ModelShape, Nano, Netuid, OuterStep,
    Phase, Phases, Round, RunConfig, SealedRoot, Text, Uid, Witness, H256,
};
use pallet_training::Attestation;

use super::{hotkey, owner};
use crate::{
    tests::{
        chain::Actor,
        play::steps::{Move, What},
    },
    AccountId, Runtime, RuntimeCall, Training,
};

/// What a run trains: tiny rounds, so that many go by.
pub fn run_config(impossible: bool) -> RunConfig {
    let root = H256([7; 32]);
    RunConfig {
        name: Text::default(),
        model: ModelShape {
            layers: 1,
            d_model: if impossible { 0 } else { 8 },
            heads: 1,
            kv_heads: 1,
            ffn: 8,
            vocabulary: 8,
            context: 8,
            rope_theta: 10_000,
            tied_embeddings: true,
        },
        initial_parameters: InitialParameters::Seed(1),
        initial_root: ModelRoot(root),
        data: DataSet {
            manifest_root: root,
            tokenizer_root: root,
            store: Text::default(),
            // Beside the exam's 128 not enough for all hotkeys at once.
            windows: 138,
        },
        inner: InnerOptimizer {
            steps: 1,
            sequences: 1,
            sequence_length: 8,
            learning_rate: Nano(1),
            final_rate: Nano(0),
            warmup_steps: 0,
            total_steps: 1,
            beta1: Nano(0),
            beta2: Nano(0),
            epsilon: Nano(1),
            weight_decay: Nano(0),
            clip_norm: Nano(1),
            trace_every: 1,
            matrices: Default::default(),
        },
        compression: CompressionSchedule {
            turns: CompressionSchedule::usual_turns(),
            kept_per_block: 1,
            error_decay: Nano(0),
            final_error_decay: Some(Nano(1)),
        },
        outer: OuterStep {
            learning_rate: Nano(1),
            rho: OuterStep::MIN_RHO,
            clip: OuterStep::USUAL_CLIP,
            combine: Default::default(),
        },
        phases: Phases {
            train: 4,
            reveal: 2,
            attest: 4,
            floor: 25,
        },
        max_contributors: 3,
        audits: AuditRules {
            rate: AuditRules::EACH,
            auditors: 3,
            blocks: 4,
            ..AuditRules::default()
        },
        overlap: 0,
        checkpoint_every: RunConfig::USUAL_CHECKPOINT_EVERY,
    }
}

/// The root of the parameters that everybody holds in a round.
fn root(netuid: Netuid, round: u32) -> H256 {
    let expected = pallet_training::Runs::<Runtime>::get(netuid).and_then(|run| run.expected_root);
    expected
        .unwrap_or_else(|| {
            let mut name = b"parameters".to_vec();
            name.extend(netuid.get().to_le_bytes());
            name.extend(round.to_le_bytes());
            ModelRoot(blake2_256(&name))
        })
        .0
}

fn commitment(netuid: Netuid, round: u32, by: Actor) -> Commitment {
    let account: AccountId = by.account();
    Commitment {
        parent_root: ModelRoot(root(netuid, round)),
        sealed_root: SealedRoot(blake2_256(account.as_ref())),
        length: 1,
        key_hash: key_hash(netuid, round, &Hotkey::of(&account), &[by.0; 32]),
    }
}

pub fn training(one: &Move) -> (Actor, RuntimeCall) {
    use pallet_training::Call;
    let (netuid, by) = (Netuid(one.net), hotkey(one.hotkey));
    let round = Training::run_info(netuid).map_or(0, |run| run.round.round);
    let (by, call) = match &one.what {
        What::StartRun { impossible } => {
            let config = run_config(*impossible);
            (owner(netuid), Call::start_run { netuid, config })
        }
        What::StopRun => (owner(netuid), Call::stop_run { netuid }),
        What::Commit { wrong_round } => {
            let commitment = commitment(netuid, round, by);
            let round = round + u32::from(*wrong_round);
            (
                by,
                Call::commit {
                    netuid,
                    round,
                    commitment,
                },
            )
        }
        What::Reveal { wrong_key } => {
            let key = [by.0 ^ u8::from(*wrong_key); 32];
            (by, Call::reveal { netuid, round, key })
        }
        What::CommitAttestation { wrong_root } => {
            let said = attestation(netuid, round, by, *wrong_root);
            let hash = said.hash((netuid, round, &Hotkey::of(&by.account())));
            (
                by,
                Call::commit_attestation {
                    netuid,
                    round,
                    hash,
                },
            )
        }
        What::Attest { wrong_root } => {
            let said = attestation(netuid, round, by, *wrong_root);
            (by, attest(netuid, round, said))
        }
        What::Here => (by, Call::here { netuid }),
        _ => (by, Call::stop_run { netuid }),
    };
    (by, RuntimeCall::Training(call))
}

/// What a validator says of all that was revealed.
fn attestation(netuid: Netuid, round: Round, by: Actor, wrong_root: bool) -> Attestation {
    let revealed = Training::contributions(netuid, round).into_iter();
    let good = revealed.filter(|made| made.key.is_some());
    Attestation {
        model_root: match wrong_root {
            true => ModelRoot(H256([9; 32])),
            false => ModelRoot(root(netuid, round)),
        },
        verdicts: judgement(good.map(|made| made.uid), by),
        // Some are of one mind, others are not.
        witness: Witness {
            gains: H256([by.0 % 3; 32]),
            loss: u32::from(by.0 % 2),
        },
        salt: [by.0; 32],
    }
}

/// Most call all good, and some every third one broken.
fn judgement(revealed: impl Iterator<Item = Uid>, by: Actor) -> Judgement {
    let is_good = |uid: &Uid| !by.0.is_multiple_of(5) || !uid.get().is_multiple_of(3);
    let (good, broken): (Vec<Uid>, Vec<Uid>) = revealed.partition(is_good);
    Judgement::new(good, broken)
}

fn attest(netuid: Netuid, round: Round, said: Attestation) -> pallet_training::Call<Runtime> {
    pallet_training::Call::attest {
        netuid,
        round,
        model_root: said.model_root,
        verdicts: said.verdicts,
        witness: said.witness,
        salt: said.salt,
    }
}

pub fn of_round(
    netuid: Netuid,
    info: &cairn_primitives::api::RoundInfo<AccountId>,
) -> Vec<(Actor, RuntimeCall)> {
    use pallet_training::Call;
    let round = info.round;
    let lazy = |uid: Uid| uid.get() % 4 == 3 || (uid.get() % 4 == 1 && round % 2 == 1);
    let miners = info.miners.iter().filter(|(uid, _)| !lazy(*uid));
    let miners = miners.filter_map(|(_, key)| Actor::of(key));
    let calls: Vec<(Actor, Call<Runtime>)> = match info.phase {
        Phase::Train => miners
            .map(|by| {
                (
                    by,
                    Call::commit {
                        netuid,
                        round,
                        commitment: commitment(netuid, round, by),
                    },
                )
            })
            .collect(),
        Phase::Reveal => miners
            .map(|by| {
                (
                    by,
                    Call::reveal {
                        netuid,
                        round,
                        key: [by.0; 32],
                    },
                )
            })
            .collect(),
        Phase::Attest => {
            let validators = info.validators.iter().filter(|one| !one.attested);
            let said = |by: Actor| attestation(netuid, round, by, false);
            let call = |(by, is_bound): (Actor, bool)| match is_bound {
                true => (by, attest(netuid, round, said(by))),
                false => {
                    let hash = said(by).hash((netuid, round, &Hotkey::of(&by.account())));
                    let commit = Call::commit_attestation {
                        netuid,
                        round,
                        hash,
                    };
                    (by, commit)
                }
            };
            validators
                .filter_map(|one| Some((Actor::of(&one.hotkey)?, one.committed.is_some())))
                .map(call)
                .collect()
        }
        Phase::Settle => Vec::new(),
    };
    calls
        .into_iter()
        .map(|(by, call)| (by, RuntimeCall::Training(call)))
        .collect()
}
