//! From what proptest makes to calls that have a chance: most are by who may make them and fit the present
//! state.

use cairn_primitives::{
    blake2_256, key_hash, scores_hash,
    traits::{Membership, Positions, Stakes},
    AuditRules, Balance, Commitment, CompressionSchedule, DataSet, Hotkey, Hyperparameters,
    InitialParameters, InnerOptimizer, ModelRoot, ModelShape, Nano, Netuid, OuterStep, Phase,
    Phases, Role, Round, RunConfig, SealedRoot, Text, Uid, Verdicts, CRN, H256,
};
use frame_support::traits::fungible::Inspect;

use super::{
    audits,
    steps::{Amount, Move, Step, What},
    Actor,
};
use pallet_emissions::Row;
use pallet_training::Attestation;

use crate::{
    configs::accounts::ProxyKind, AccountId, Balances, Runtime, RuntimeCall, Stake, Subnets,
    Training,
};

/// Accounts that have money: the first ones.
pub const COLDKEYS: u8 = 6;
/// Accounts that work: the others.
pub const HOTKEYS: u8 = 12;
/// The account that has the sudo key.
pub const GOVERNOR: Actor = Actor(COLDKEYS - 1);

/// The hotkey of this number.
fn hotkey(number: u8) -> Actor {
    Actor(COLDKEYS + number % HOTKEYS)
}

/// The coldkey that a hotkey has, or would be given.
fn coldkey(hotkey: Actor) -> Actor {
    let known = Subnets::coldkey(&hotkey.account());
    known
        .and_then(|key| Actor::of(&key))
        .unwrap_or(Actor(hotkey.0 % COLDKEYS))
}

/// The subnet's owner, or who would like to be.
fn owner(netuid: Netuid) -> Actor {
    let known = Subnets::owner(netuid);
    known
        .and_then(|key| Actor::of(&key))
        .unwrap_or(Actor(netuid.get() as u8 % COLDKEYS))
}

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
            // Not enough for all hotkeys at once.
            windows: 10,
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
            kept_per_block: 1,
            error_decay: Nano(0),
            final_error_decay: Some(Nano(1)),
        },
        outer: OuterStep {
            learning_rate: Nano(1),
            rho: OuterStep::MIN_RHO,
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
        },
    }
}

/// Rules under which much happens in few blocks.
fn rules(tempo: u8, max_members: u8, periods: u8, wrong: bool) -> Hyperparameters {
    Hyperparameters {
        commit_reveal: periods % 2 == 1,
        tempo: if wrong { 0 } else { 5 + u32::from(tempo % 32) },
        max_members: 2 + u16::from(max_members % 12),
        max_validators: 2,
        immunity_period: u32::from(periods % 16),
        activity_cutoff: 1 + u32::from(periods % 10),
        unbonding_period: 5 + u32::from(periods % 16),
        registration_half_life: 1 + u32::from(periods),
        ..Hyperparameters::default()
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

fn pebble(amount: Amount, signer: Actor, has: Option<Balance>) -> Balance {
    let has = has.unwrap_or_else(|| <Balances as Inspect<AccountId>>::balance(&signer.account()));
    match amount {
        Amount::Nothing => 0,
        Amount::Pebble(n) => n.into(),
        Amount::Crn(n) => Balance::from(n) * CRN,
        Amount::Share(part) => (u128::from(has) * u128::from(part) / 255) as Balance,
        Amount::Everything => has,
        Amount::MoreThanExists => Balance::MAX,
    }
}

/// The call of a move, and who signs it.
pub fn plan(one: &Move) -> (Actor, RuntimeCall) {
    let (by, call) = rightful(one);
    (one.stranger.map_or(by, Actor), call)
}

/// The call of a move by who may make it.
fn rightful(one: &Move) -> (Actor, RuntimeCall) {
    match &one.what {
        What::Commit { .. }
        | What::Reveal { .. }
        | What::CommitAttestation { .. }
        | What::Attest { .. }
        | What::Here => training(one),
        What::Endpoints { file } => endpoints(one, *file),
        What::OpenAudit { .. } | What::CommitVerdict { .. } | What::RevealVerdict { .. } => {
            audits::planned(one)
        }
        What::StartRun { .. } | What::StopRun => training(one),
        What::CreateSubnet | What::SetHyperparameters { .. } => subnets(one),
        What::WithdrawHyperparameters | What::DissolveSubnet => subnets(one),
        What::Register { .. } | What::SetRole { .. } | What::Leave => subnets(one),
        What::AnnounceSwap | What::CancelSwap | What::FinishSwap => swaps(one),
        What::SetScores { .. } | What::CommitScores | What::RevealScores { .. } => emissions(one),
        What::SetEmitting { emits } => governed(Netuid(one.net), *emits),
        What::Transfer { .. } | What::Burn => balances(one),
        What::AddProxy { .. } | What::RemoveProxies => proxies(one),
        What::Batch { .. } | What::ByProxy(_) => wrapped(one),
        _ => stake(one),
    }
}

fn subnets(one: &Move) -> (Actor, RuntimeCall) {
    use pallet_subnets::Call;
    let (netuid, key) = (Netuid(one.net), hotkey(one.hotkey));
    let max_price = Balance::MAX;
    let (by, call) = match &one.what {
        What::CreateSubnet => (
            Actor(one.other % COLDKEYS),
            Call::create_subnet { max_price },
        ),
        What::Register { validates } => {
            let by = coldkey(key);
            let call = Call::register {
                netuid,
                hotkey: key.account(),
                role: role(*validates),
                max_price,
                signature: key.registers(netuid, &by.account()),
            };
            (by, call)
        }
        What::SetRole { validates } => {
            let call = Call::set_role {
                netuid,
                hotkey: key.account(),
                role: role(*validates),
            };
            (coldkey(key), call)
        }
        What::WithdrawHyperparameters => (owner(netuid), Call::withdraw_hyperparameters { netuid }),
        What::SetHyperparameters {
            tempo,
            max_members,
            periods,
            wrong,
        } => {
            let hyperparameters = rules(*tempo, *max_members, *periods, *wrong);
            (
                owner(netuid),
                Call::set_hyperparameters {
                    netuid,
                    hyperparameters,
                },
            )
        }
        What::DissolveSubnet => (owner(netuid), Call::dissolve_subnet { netuid }),
        _ => (
            coldkey(key),
            Call::leave {
                netuid,
                hotkey: key.account(),
            },
        ),
    };
    (by, RuntimeCall::Subnets(call))
}

fn swaps(one: &Move) -> (Actor, RuntimeCall) {
    use pallet_subnets::Call;
    let (netuid, key, other) = (one.net, hotkey(one.hotkey), hotkey(one.other));
    let (by, hotkey) = (coldkey(key), key.account());
    let call = match one.what {
        What::AnnounceSwap => Call::announce_swap {
            netuid: Netuid(netuid),
            hotkey,
            to: other.account(),
            signature: other.registers(Netuid(netuid), &by.account()),
        },
        What::CancelSwap => Call::cancel_swap {
            netuid: Netuid(netuid),
            hotkey,
        },
        _ => Call::finish_swap {
            netuid: Netuid(netuid),
            hotkey,
        },
    };
    (by, RuntimeCall::Subnets(call))
}

fn role(validates: bool) -> Role {
    match validates {
        true => Role::Validator,
        false => Role::Miner,
    }
}

/// Stake comes from the hotkey's own coldkey or, every other time, from somebody who delegates.
fn stake(one: &Move) -> (Actor, RuntimeCall) {
    use pallet_stake::Call;
    let (netuid, key, other) = (Netuid(one.net), hotkey(one.hotkey), hotkey(one.other));
    let (own, hotkey) = (coldkey(key), key.account());
    let backer = if one.other.is_multiple_of(2) {
        own
    } else {
        Actor(one.other % COLDKEYS)
    };
    let position = <Stake as Positions<AccountId>>::position(&backer.account(), netuid, &hotkey);
    let staked = position.map_or(0, |position| position.staked);
    let some = |all: bool| (!all).then(|| pebble(one.amount, backer, Some(staked)));
    let new = pebble(one.amount, backer, None);
    let (by, call) = match one.what {
        What::AddStake => (
            backer,
            Call::add_stake {
                netuid,
                hotkey,
                amount: new,
            },
        ),
        What::RemoveStake { all } => (
            backer,
            Call::remove_stake {
                netuid,
                hotkey,
                amount: some(all),
            },
        ),
        What::WithdrawStake => (backer, Call::withdraw_stake { netuid, hotkey }),
        What::MoveStake { all } => {
            let (to_netuid, to_hotkey, amount) = (Netuid(one.to_net), other.account(), some(all));
            (
                backer,
                Call::move_stake {
                    netuid,
                    hotkey,
                    to_netuid,
                    to_hotkey,
                    amount,
                },
            )
        }
        What::TransferStake { all } => {
            let (to, amount) = (Actor(one.other % COLDKEYS).account(), some(all));
            (
                own,
                Call::transfer_stake {
                    to,
                    netuid,
                    hotkey,
                    amount,
                },
            )
        }
        What::SetTake { take } => (own, Call::set_take { hotkey, take }),
        What::SetForeignStake { allowed } => (own, Call::set_foreign_stake { hotkey, allowed }),
        What::AddBond => (
            own,
            Call::add_bond {
                netuid,
                hotkey,
                amount: new,
            },
        ),
        What::Unbond => (own, Call::unbond { netuid, hotkey }),
        _ => (own, Call::withdraw_bond { netuid, hotkey }),
    };
    (by, RuntimeCall::Stake(call))
}

fn training(one: &Move) -> (Actor, RuntimeCall) {
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

fn emissions(one: &Move) -> (Actor, RuntimeCall) {
    let (netuid, by) = (Netuid(one.net), hotkey(one.hotkey));
    let call = match &one.what {
        What::SetScores { row } => pallet_emissions::Call::set_scores {
            netuid,
            scores: row.clone().try_into().unwrap_or_default(),
        },
        What::RevealScores { wrong_salt } => reveal_scores(netuid, by, u8::from(*wrong_salt)),
        _ => commit_scores(netuid, by),
    };
    (by, RuntimeCall::Emissions(call))
}

fn endpoints(one: &Move, file: bool) -> (Actor, RuntimeCall) {
    let text = match file {
        true => "file:///etc",
        false => "https://mirror.example/run",
    };
    let named = Text::new(text).expect("short");
    let call = pallet_endpoints::Call::set_endpoints {
        netuid: Netuid(one.net),
        endpoints: vec![named].try_into().expect("few"),
    };
    (hotkey(one.hotkey), RuntimeCall::Endpoints(call))
}

/// What is decided by the sudo key.
fn governed(netuid: Netuid, emits: bool) -> (Actor, RuntimeCall) {
    let call = pallet_emissions::Call::set_emitting { netuid, emits };
    let call = Box::new(RuntimeCall::Emissions(call));
    (
        GOVERNOR,
        RuntimeCall::Sudo(pallet_sudo::Call::sudo { call }),
    )
}

/// The number of the subnet's next epoch.
fn next_epoch(netuid: Netuid) -> u32 {
    pallet_emissions::SubnetLedgers::<Runtime>::get(netuid).map_or(0, |ledger| ledger.epochs)
}

/// A member's usual scores on the others: more for higher uids.
fn usual_scores(netuid: Netuid, by: Actor) -> Row {
    let others = Subnets::members(netuid)
        .into_iter()
        .filter(|(_, key)| *key != by.account());
    let row: Vec<(Uid, u16)> = others.map(|(uid, _)| (uid, 100 + uid.get())).collect();
    row.try_into().unwrap_or_default()
}

fn commit_scores(netuid: Netuid, by: Actor) -> pallet_emissions::Call<Runtime> {
    let (epoch, account) = (next_epoch(netuid), by.account());
    let scores = usual_scores(netuid, by);
    let hash = scores_hash(netuid, epoch, &Hotkey::of(&account), &scores, &[by.0; 32]);
    pallet_emissions::Call::commit_scores {
        netuid,
        epoch,
        hash,
    }
}

/// Reveals what [`commit_scores`] committed to before the last epoch.
fn reveal_scores(netuid: Netuid, by: Actor, twist: u8) -> pallet_emissions::Call<Runtime> {
    pallet_emissions::Call::reveal_scores {
        netuid,
        epoch: next_epoch(netuid).saturating_sub(1),
        scores: usual_scores(netuid, by),
        salt: [by.0 ^ twist; 32],
    }
}

fn balances(one: &Move) -> (Actor, RuntimeCall) {
    use pallet_balances::Call;
    let by = Actor(one.other % COLDKEYS);
    let value = pebble(one.amount, by, None);
    let dest = hotkey(one.hotkey).account().into();
    let call = match one.what {
        What::Transfer {
            all: true,
            keep_alive,
        } => Call::transfer_all { dest, keep_alive },
        What::Transfer {
            keep_alive: true, ..
        } => Call::transfer_keep_alive { dest, value },
        What::Transfer { .. } => Call::transfer_allow_death { dest, value },
        _ => Call::burn {
            value,
            keep_alive: true,
        },
    };
    (by, RuntimeCall::Balances(call))
}

fn proxies(one: &Move) -> (Actor, RuntimeCall) {
    use pallet_proxy::Call;
    let proxy_type = match one.what {
        What::AddProxy { kind: 0 } => ProxyKind::Any,
        What::AddProxy { kind: 1 } => ProxyKind::Staking,
        What::AddProxy { kind: 2 } => ProxyKind::Registration,
        _ => ProxyKind::Ownership,
    };
    let delegate = Actor(one.hotkey % COLDKEYS).account().into();
    let call = match one.what {
        What::AddProxy { .. } => Call::add_proxy {
            delegate,
            proxy_type,
            delay: 0,
        },
        _ => Call::remove_proxies {},
    };
    (Actor(one.other % COLDKEYS), RuntimeCall::Proxy(call))
}

/// Calls around calls. A batch is signed by who may make its first call, a proxied call by a proxy.
fn wrapped(one: &Move) -> (Actor, RuntimeCall) {
    match &one.what {
        What::Batch { atomic, moves } => {
            let planned: Vec<_> = moves.iter().map(rightful).collect();
            let by = planned.first().map_or(Actor(0), |(by, _)| *by);
            let calls = planned.into_iter().map(|(_, call)| call).collect();
            let call = match atomic {
                true => pallet_utility::Call::batch_all { calls },
                false => pallet_utility::Call::batch { calls },
            };
            (by, RuntimeCall::Utility(call))
        }
        What::ByProxy(inner) => {
            let (real, call) = rightful(inner);
            let proxies = pallet_proxy::Proxies::<Runtime>::get(real.account()).0;
            let by = proxies.first().and_then(|proxy| Actor::of(&proxy.delegate));
            let call = pallet_proxy::Call::proxy {
                real: real.account().into(),
                force_proxy_type: None,
                call: Box::new(call),
            };
            (
                by.unwrap_or(Actor(one.other % COLDKEYS)),
                RuntimeCall::Proxy(call),
            )
        }
        _ => rightful(one),
    }
}

/// What members of all subnets have to do now: miners commit and reveal, validators attest and set scores on
/// everybody. Some of the miners are lazy in every other round, some never commit; who is missed says that it is
/// back.
pub fn duties() -> Vec<(Actor, RuntimeCall)> {
    let mut duties = Vec::new();
    for netuid in Subnets::netuids() {
        duties.extend(scores(netuid));
        duties.extend(audits::duties(netuid));
        if let Some(run) = Training::run_info(netuid) {
            duties.extend(of_round(netuid, &run.round));
            let missed = run.absent.iter().filter_map(|(_, key)| Actor::of(key));
            let here = || RuntimeCall::Training(pallet_training::Call::here { netuid });
            duties.extend(missed.map(|by| (by, here())));
        }
    }
    duties
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
        verdicts: Verdicts::from_uids(good.map(|made| made.uid)),
        // Some are of one mind, others are not.
        witness: H256([by.0 % 3; 32]),
        salt: [by.0; 32],
    }
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

fn of_round(
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

/// What every validator does about its scores: by commit and reveal, or in the open.
fn scores(netuid: Netuid) -> Vec<(Actor, RuntimeCall)> {
    let Some(rules) = Subnets::hyperparameters(netuid) else {
        return Vec::new();
    };
    let stake = |key: &AccountId| <Stake as Stakes<AccountId>>::stake(netuid, key);
    let mut calls = Vec::new();
    for (uid, key) in Subnets::members(netuid) {
        let validates = Subnets::role(netuid, uid) == Some(Role::Validator)
            && stake(&key) >= rules.min_validator_stake;
        let Some(by) = Actor::of(&key).filter(|_| validates) else {
            continue;
        };
        if rules.commit_reveal {
            calls.push((by, reveal_scores(netuid, by, 0)));
            calls.push((by, commit_scores(netuid, by)));
        } else {
            let scores = usual_scores(netuid, by);
            calls.push((by, pallet_emissions::Call::set_scores { netuid, scores }));
        }
    }
    calls
        .into_iter()
        .map(|(by, call)| (by, RuntimeCall::Emissions(call)))
        .collect()
}

/// How every case begins: a subnet with two validators and three miners that trains; its scores are hidden at
/// first or not.
pub fn opening(hidden: bool) -> Vec<Step> {
    let first = |hotkey: u8, amount: Amount, what: What| Move {
        stranger: None,
        net: 1,
        hotkey,
        other: 0,
        to_net: 2,
        amount,
        what,
    };
    let free = Amount::Nothing;
    let mut moves = vec![
        first(0, free, What::CreateSubnet),
        first(
            0,
            free,
            What::SetHyperparameters {
                tempo: 5,
                max_members: 11,
                periods: 8 + u8::from(hidden),
                wrong: false,
            },
        ),
        first(0, free, What::StartRun { impossible: false }),
    ];
    for key in 0..5 {
        moves.push(first(key, free, What::Register { validates: key < 2 }));
        moves.push(match key {
            0 | 1 => first(key, Amount::Crn(200 + 100 * u16::from(key)), What::AddStake),
            _ => first(key, Amount::Crn(20), What::AddBond),
        });
    }
    vec![
        Step::Block(moves),
        Step::Pass {
            blocks: 12,
            busy: true,
        },
    ]
}
