//! What a member reads of the chain: the view that the machines decide by, and what people want to know.

use std::{collections::BTreeMap, rc::Rc};

use cairn_primitives::{
    api::{MemberInfo, RunInfo},
    Balance, BlockNumber, Hotkey, MicroNats, ModelRoot, Netuid, Round, RunConfig, Standing, Uid,
    H256,
};
use cairn_protocol::{
    assignment::{DataRange, Plan, RoundData},
    attestation::Statement,
    phase::Timetable,
};
use cairn_round::{
    hidden_row::{Committed, Scoring},
    machine::Question,
    Attester, Included, Next, RoundView, Seen, Settlement, View,
};
use cairn_runtime::{readers, AccountId, Runtime};
use serde::Serialize;

use super::{Chain, Id};

/// What was read already: all members ask the same of the same blocks.
#[derive(Default)]
pub struct Reads {
    current: BTreeMap<(BlockNumber, H256, Netuid), Option<Rc<View>>>,
    settled: BTreeMap<(BlockNumber, H256, Netuid, Round), Option<Settlement>>,
}

impl Reads {
    /// Forgets what was read of blocks below `oldest`.
    pub fn forget(&mut self, oldest: BlockNumber) {
        self.current.retain(|(number, ..), _| *number >= oldest);
        self.settled.retain(|(number, ..), _| *number >= oldest);
    }
}

/// A member's working key.
pub fn id(account: &AccountId) -> Hotkey {
    Hotkey::of(account)
}

/// How far each validator came in a round. To be asked where a state is.
pub fn statements(netuid: Netuid, round: Round) -> BTreeMap<Uid, Statement> {
    pallet_training::Attestations::<Runtime>::iter_prefix((netuid, round)).collect()
}

/// The scores of each validator that count now. To be asked where a state is.
pub fn scores(netuid: Netuid) -> BTreeMap<Uid, Vec<(Uid, u16)>> {
    let rows = pallet_emissions::Votes::<Runtime>::iter_prefix(netuid);
    rows.map(|(uid, row)| (uid, row.scores.into_inner()))
        .collect()
}

/// A hotkey's bond in pebble: what counts, and what is being withdrawn. To be asked where a state is.
pub fn bond(netuid: Netuid, hotkey: &AccountId) -> (Balance, Balance) {
    let bond = pallet_stake::Pallet::<Runtime>::bond_of(netuid, hotkey);
    (bond.active, bond.unbonding)
}

fn miners(miners: &[(Uid, AccountId)]) -> Vec<(Uid, Hotkey)> {
    let miners = miners.iter();
    miners.map(|(uid, hotkey)| (*uid, id(hotkey))).collect()
}

fn seen(netuid: Netuid, round: Round) -> Vec<Seen> {
    let found = readers::contributions(netuid, round).into_iter();
    found
        .map(|one| Seen {
            uid: one.uid,
            hotkey: id(&one.hotkey),
            commitment: one.commitment,
            key: one.key,
        })
        .collect()
}

fn current(netuid: Netuid) -> Option<View> {
    let RunInfo {
        config,
        round,
        oldest_round,
        absent,
        unawaited,
        next,
        ..
    } = readers::run(netuid)?;
    let attester = |one: &cairn_primitives::api::Attester<AccountId>| Attester {
        uid: one.uid,
        hotkey: id(&one.hotkey),
        committed: one.committed,
        attested: one.attested,
    };
    Some(View {
        round: RoundView {
            round: round.round,
            times: Timetable(round.times),
            certain: Timetable::new(round.times.start, &config.phases),
            at_final: None,
            oldest: oldest_round,
        },
        plan: plan(netuid, &config, (round.pass, round.cursor), &round.miners),
        miners: miners(&round.miners),
        base: round.base,
        next: next.map(|next| Next {
            round: next.round,
            plan: plan(netuid, &config, (next.pass, next.cursor), &next.miners),
            miners: miners(&next.miners),
        }),
        validators: round.validators.iter().map(attester).collect(),
        absent: absent.iter().map(|(_, hotkey)| id(hotkey)).collect(),
        unawaited: unawaited.iter().map(|(_, hotkey)| id(hotkey)).collect(),
        contributions: seen(netuid, round.round),
        audits: readers::open_audits(netuid)
            .into_iter()
            .map(|info| info.map(|account| id(&account)))
            .collect(),
        settled: None,
        named: None,
        voting: None,
    })
}

/// Who has to train on what in a round, and what its contributions are measured on.
fn plan(
    netuid: Netuid,
    config: &RunConfig,
    (pass, cursor): (u32, u64),
    miners: &[(Uid, AccountId)],
) -> Plan {
    let data = RoundData {
        range: DataRange { pass, cursor },
        miners: miners.len() as u64,
    };
    Plan::new(netuid, config, data)
}

/// The loss that is kept of the parameters with which a round began.
fn loss(netuid: Netuid, round: Round) -> Option<MicroNats> {
    let lineage = readers::lineage(netuid, round).into_iter();
    let mut found = lineage.filter(|entry| entry.round == round);
    found.next().and_then(|entry| entry.loss)
}

/// The root with which a round began, if that is final.
fn root(netuid: Netuid, round: Round) -> Option<ModelRoot> {
    let lineage = readers::lineage(netuid, round).into_iter();
    let mut found = lineage.filter(|entry| entry.round == round && entry.is_final);
    found.next().map(|entry| entry.model_root)
}

fn settlement(netuid: Netuid, round: Round) -> Option<Settlement> {
    let settled = readers::settled(netuid, round)?;
    let info = readers::round(netuid, round)?;
    let config = readers::run(netuid)?.config;
    let standings: BTreeMap<Uid, Standing> = settled.standings().collect();
    let contributions = seen(netuid, round).into_iter();
    let included = contributions.filter_map(|seen| {
        let standing = *standings.get(&seen.uid)?;
        Some(Included { seen, standing })
    });
    Some(Settlement {
        round,
        included: included.collect(),
        miners: miners(&info.miners),
        plan: plan(netuid, &config, (info.pass, info.cursor), &info.miners),
        exam: settled.exam,
        base: info.base,
        before: root(netuid, round),
        after: root(netuid, round.saturating_add(1)),
    })
}

fn voting(netuid: Netuid, hotkey: &AccountId) -> Option<Scoring> {
    let voting = readers::voting(netuid, hotkey)?;
    let committed = voting.commits.into_iter().map(|commit| Committed {
        epoch: commit.epoch,
        hash: commit.hash,
        at: commit.at,
        revealed: commit.revealed,
    });
    Some(Scoring {
        commit_reveal: voting.commit_reveal,
        epoch: voting.epoch,
        due: voting.due,
        rate_limit: voting.rate_limit,
        commits: committed.collect(),
    })
}

/// Who had a part in a round, and did it; ascending uids.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Miners that had data.
    pub assigned: Vec<Uid>,
    /// Those that committed.
    pub committed: Vec<Uid>,
    /// Those that revealed.
    pub revealed: Vec<Uid>,
    /// Validators that attested.
    pub attested: Vec<Uid>,
}

fn part(netuid: Netuid, round: Round) -> Option<Part> {
    let info = readers::round(netuid, round)?;
    let mut assigned: Vec<Uid> = info.miners.iter().map(|(uid, _)| *uid).collect();
    assigned.sort_unstable();
    let contributions = readers::contributions(netuid, round);
    let revealed = contributions.iter().filter(|one| one.key.is_some());
    let attested = info.validators.iter().filter(|one| one.attested);
    Some(Part {
        assigned,
        committed: contributions.iter().map(|one| one.uid).collect(),
        revealed: revealed.map(|one| one.uid).collect(),
        attested: attested.map(|one| one.uid).collect(),
    })
}

impl Chain {
    /// What the chain says at the best block `best` and the finalised one; the inner `None` if the subnet has no run.
    /// `None` if a state is no longer kept.
    pub fn view(
        &mut self,
        (best, finalised): (Id, Id),
        netuid: Netuid,
        hotkey: &AccountId,
        question: Question,
    ) -> Option<Option<View>> {
        let Some(shared) = self.current(best, netuid)? else {
            return Some(None);
        };
        let mut view = View::clone(&shared);
        let known = self.current(finalised, netuid)?.map(|known| known.round);
        view.round.at_final = known.map(|known| known.round);
        // Before round 0 has begun a run has one of that number without times: of that nothing is known.
        let known = known.filter(|known| known.times.due() > known.times.start());
        if let Some(known) = known.filter(|known| known.round == view.round.round) {
            view.round.certain = known.times;
        }
        if let Some(round) = question.settled.filter(|round| *round < view.round.round) {
            view.settled = self.settlement(finalised, netuid, round)?;
        }
        if question.voting {
            view.voting = self.ask(best, || voting(netuid, hotkey))?;
        }
        Some(Some(view))
    }

    /// The current round at a block.
    pub fn current(&mut self, at: Id, netuid: Netuid) -> Option<Option<Rc<View>>> {
        let name = (at.number, at.hash, netuid);
        if let Some(known) = self.reads.current.get(&name) {
            return Some(known.clone());
        }
        let found = self.ask(at, || current(netuid))?.map(Rc::new);
        self.reads.current.insert(name, found.clone());
        Some(found)
    }

    /// How a round ended, as of a block. `None` if that block's state is gone.
    pub fn settlement(
        &mut self,
        at: Id,
        netuid: Netuid,
        round: Round,
    ) -> Option<Option<Settlement>> {
        let name = (at.number, at.hash, netuid, round);
        if let Some(known) = self.reads.settled.get(&name) {
            return Some(known.clone());
        }
        let found = self.ask(at, || settlement(netuid, round))?;
        self.reads.settled.insert(name, found.clone());
        Some(found)
    }

    /// The roots that are final as of a block, of rounds that can be gone on from.
    pub fn vouched(
        &mut self,
        at: Id,
        netuid: Netuid,
    ) -> Option<(Round, BTreeMap<Round, ModelRoot>)> {
        let (oldest, lineage) = self.ask(at, || {
            let run = readers::run(netuid);
            let oldest = run.map_or(0, |run| run.oldest_round);
            (oldest, readers::lineage(netuid, oldest))
        })?;
        let vouched = lineage.into_iter().filter(|entry| entry.is_final);
        let roots = vouched.map(|entry| (entry.round, entry.model_root));
        Some((oldest, roots.collect()))
    }

    /// Who had a part in a round, as of a block; nobody if that is not known there.
    pub fn part(&mut self, at: Id, netuid: Netuid, round: Round) -> Part {
        let found = self.ask(at, || part(netuid, round)).flatten();
        found.unwrap_or_default()
    }

    /// The loss that is kept of the parameters with which a round began, as of a block.
    pub fn loss(&mut self, at: Id, netuid: Netuid, round: Round) -> Option<MicroNats> {
        self.ask(at, || loss(netuid, round)).flatten()
    }

    /// Hotkeys of a round's validators that attested, and of all of them.
    pub fn attesters(
        &mut self,
        at: Id,
        netuid: Netuid,
        round: Round,
    ) -> (Vec<Hotkey>, Vec<Hotkey>) {
        let info = self.ask(at, || readers::round(netuid, round)).flatten();
        let validators = info.map_or_else(Vec::new, |info| info.validators);
        let attested = validators.iter().filter(|one| one.attested);
        let attested = attested.map(|one| id(&one.hotkey)).collect();
        (
            attested,
            validators.iter().map(|one| id(&one.hotkey)).collect(),
        )
    }

    /// The members at a block.
    pub fn members(&mut self, at: Id, netuid: Netuid) -> Option<Vec<MemberInfo<AccountId>>> {
        self.ask(at, || readers::members(netuid))
    }
}
