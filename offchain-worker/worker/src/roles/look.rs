//! One look at the chain, for a role's machine: what the best block says of the current round, and what the finalised
//! one says of a round that has ended.

use cairn_chain::{AccountId, ChainError, ContributionInfo, MemberInfo, RoundInfo, RunInfo};
use cairn_primitives::{
    api::{self, NextRound},
    BlockNumber, Hotkey, Phase, Round, Uid, H256,
};
use cairn_protocol::{
    assignment::DataRange,
    eligibility::{claim, Claim},
    phase::Timetable,
};
use cairn_round::{
    hidden_row::{Committed, Scoring},
    machine::Question,
    Attester, Included, Named, Next, RoundView, Seen, Settlement, View,
};

use futures::StreamExt;

use super::{chain::Chain, heads::Heads, idle::has_begun, run::Run, setup::locked, RoleError};

/// What the chain said.
pub(super) struct Looked {
    /// For the machine.
    pub view: View,
    /// The run, for people.
    pub info: RunInfo,
    /// This worker as a member when the round that was asked for had been settled.
    pub member: Option<MemberInfo>,
    /// The best block as of which it said so.
    pub block: BlockNumber,
}

/// Asks the chain. `None` if it has no run.
///
/// # Errors
/// [`RoleError::RunReplaced`], and what the chain says.
pub(super) async fn look<C: Chain>(
    chain: &C,
    run: &Run,
    heads: Heads,
    question: Question,
) -> Result<Option<Looked>, RoleError> {
    let (best, netuid) = (heads.best.hash, run.netuid);
    let heard_at = run.clocks.now();
    let Some(info) = chain.run(best, netuid).await? else {
        return Ok(None);
    };
    run.expect(&info)?;
    let round = &info.round;
    if has_begun(&info) {
        let begun = (round.round, round.times.start);
        locked(&run.heard).note(begun, heads.best.number, heard_at);
    }
    let contributions = chain.contributions(best, netuid, round.round).await?;
    let voting = match question.voting {
        true => chain.voting(best, netuid, run.hotkey).await?.map(voting),
        false => None,
    };
    let audits = chain.audits(best, netuid).await?;
    let named = named(chain, run, best).await?;
    let at = heads.finalized.hash;
    let asked = question.settled.filter(|asked| *asked < round.round);
    let settled = match asked {
        Some(asked) => settlement(chain, run, at, asked).await?,
        None => None,
    };
    let member = match &settled {
        Some(_) => chain.member(at, netuid, run.hotkey).await?,
        None => None,
    };
    let certain = certain(chain, run, heads, (&info, &contributions[..])).await?;
    let view = View {
        round: RoundView {
            round: round.round,
            times: Timetable(round.times),
            certain,
            oldest: info.oldest_round,
        },
        plan: run.plan(round),
        miners: members(&round.miners),
        base: round.base,
        next: info.next.as_ref().map(|next| ahead(run, next)),
        validators: validators(round),
        absent: hotkeys(&info.absent),
        unawaited: hotkeys(&info.unawaited),
        contributions: contributions.iter().map(seen).collect(),
        audits: audits
            .into_iter()
            .map(|info| info.map(AccountId::hotkey))
            .collect(),
        settled,
        named,
        voting,
    };
    Ok(Some(Looked {
        view: backed(chain, run, best, view).await?,
        info,
        member,
        block: heads.best.number,
    }))
}

/// Where rounds overlap, slots are drawn a round ahead, and who has not the bond when its round begins has no part in
/// it. So of who has not enough now the view has no slot in the next round, and none in this one if it had not enough
/// when that began.
async fn backed<C: Chain>(
    chain: &C,
    run: &Run,
    best: H256,
    mut view: View,
) -> Result<View, RoleError> {
    let own = run.hotkey.hotkey();
    let has_slot = |next: &Next| next.slot_of(own).is_some() || view.slot_of(own).is_some();
    if !view.next.as_ref().is_some_and(has_slot) || has_bond(chain, run, best).await? {
        return Ok(view);
    }
    let is_another = |(_, hotkey): &(Uid, Hotkey)| *hotkey != own;
    if let Some(next) = &mut view.next {
        next.miners.retain(is_another);
    }
    let start = chain.block_hash(view.round.timetable().start()).await?;
    let had_bond = match start {
        // What a node does not keep any more says nothing.
        Some(start) => has_bond(chain, run, start).await.unwrap_or(true),
        None => true,
    };
    if !had_bond {
        view.miners.retain(is_another);
    }
    Ok(view)
}

/// Whether this worker may mine by its bond, as of a block.
async fn has_bond<C: Chain>(chain: &C, run: &Run, at: H256) -> Result<bool, RoleError> {
    let member = chain.member(at, run.netuid, run.hotkey).await?;
    let subnet = chain.subnet(at, run.netuid).await?;
    Ok(match (member, subnet) {
        (Some(member), Some(subnet)) => {
            let (rules, role) = (&subnet.hyperparameters, member.chosen_role);
            claim(rules, role, || member.stake, || member.bond) == Claim::Data
        }
        _ => true,
    })
}

/// A round that is drawn and has not begun.
fn ahead(run: &Run, next: &NextRound<AccountId>) -> Next {
    let (pass, cursor) = (next.pass, next.cursor);
    Next {
        round: next.round,
        plan: run.plan_at(DataRange { pass, cursor }, next.miners.len()),
        miners: members(&next.miners),
    }
}

fn hotkeys(members: &[(Uid, AccountId)]) -> Vec<Hotkey> {
    members.iter().map(|(_, hotkey)| hotkey.hotkey()).collect()
}

/// When the current round is, as far as the final block knows. Before round 0 has begun a run has one of that number
/// without times: of that nothing is known. Of who has a key to keep until nobody can commit any more, that is not one
/// node's word alone.
async fn certain<C: Chain>(
    chain: &C,
    run: &Run,
    heads: Heads,
    (best, contributions): (&RunInfo, &[ContributionInfo]),
) -> Result<Timetable, RoleError> {
    let known = chain.run(heads.finalized.hash, run.netuid).await?;
    let known = known.filter(has_begun);
    let known = known.filter(|known| known.round.round == best.round.round);
    let known = known.filter(|known| known.started_at == best.started_at);
    let certain = match known {
        Some(known) => Timetable(known.round.times),
        None => Timetable::new(best.round.times.start, &best.config.phases),
    };
    let now = heads.best.number;
    let mut own = contributions.iter().filter(|one| one.hotkey == run.hotkey);
    let is_asked_for = Timetable(best.round.times).next_phase(now) == Phase::Reveal;
    let would_show = is_asked_for && own.any(|one| one.key.is_none());
    let asks_others = would_show && certain.next_phase(now) != Phase::Train;
    Ok(match asks_others {
        true => borne_out(chain, run, (now, best), certain).await,
        false => certain,
    })
}

/// A round's times, if another node bears out that nobody can commit any more; or none answers, and by this machine's
/// own clock it can be so. Else as if the round began only now: a key that is out while others can commit gives the
/// work away, and one node may say anything.
async fn borne_out<C: Chain>(
    chain: &C,
    run: &Run,
    (now, info): (BlockNumber, &RunInfo),
    certain: Timetable,
) -> Timetable {
    let mut others = chain.elsewhere(run.netuid);
    let mut is_denied = false;
    while let Some((at, said)) = others.next().await {
        if said.is_some_and(|said| is_over(info, &said, at)) {
            return certain;
        }
        is_denied = true;
    }
    let (round, times) = (info.round.round, Timetable(info.round.times));
    let can_be_over =
        || locked(&run.heard).can_be_over(times, &run.config.phases, run.clocks.now());
    if !is_denied && can_be_over() {
        return certain;
    }
    let why = match is_denied {
        true => "no other node says that training is over; see which --node is wrong",
        false => {
            "by this machine's clock training is not over, whatever its only node says; name a second --node, and see \
             whether the clock is right"
        }
    };
    tracing::warn!("round {round} · the key is kept back: {why}");
    Timetable::new(now.saturating_add(1), &info.config.phases)
}

/// Whether training of the round that one node has is over by what another one says at block `at`. Where round 0 has
/// not begun it has no times yet.
fn is_over(info: &RunInfo, said: &RunInfo, at: BlockNumber) -> bool {
    let (ours, theirs) = (info.round.round, said.round.round);
    let is_past = Timetable(said.round.times).next_phase(at) != Phase::Train;
    let has_ended = has_begun(said) && is_past;
    let is_it = info.started_at == said.started_at;
    is_it && (theirs > ours || (theirs == ours && has_ended))
}

/// How `round` ended, as of block `at`.
pub(super) async fn settlement<C: Chain>(
    chain: &C,
    run: &Run,
    at: H256,
    round: Round,
) -> Result<Option<Settlement>, RoleError> {
    let netuid = run.netuid;
    let (Some(settled), Some(info)) = (
        chain.settled(at, netuid, round).await?,
        chain.round(at, netuid, round).await?,
    ) else {
        return Ok(None);
    };
    let contributions = chain.contributions(at, netuid, round).await?;
    let lineage = chain.lineage(at, netuid, round).await?;
    let root_of = |round: Round| {
        let mut entries = lineage.iter().filter(|entry| entry.is_final);
        let entry = entries.find(|entry| entry.round == round)?;
        Some(entry.model_root)
    };
    let made_by = |uid: Uid| contributions.iter().find(|entry| entry.uid == uid);
    let standings = settled.standings();
    let included: Vec<Included> = standings
        .filter_map(|(uid, standing)| {
            let seen = seen(made_by(uid)?);
            Some(Included { seen, standing })
        })
        .collect();
    if included.len() != settled.included.len() {
        let what = format!("the chain does not have all that round {round} included");
        return Err(RoleError::Broken(what));
    }
    Ok(Some(Settlement {
        round,
        included,
        miners: members(&info.miners),
        plan: run.plan(&info),
        exam: settled.exam,
        base: info.base,
        before: root_of(round),
        after: root_of(round.saturating_add(1)),
    }))
}

fn members(members: &[(Uid, AccountId)]) -> Vec<(Uid, Hotkey)> {
    let member = |(uid, hotkey): &(Uid, AccountId)| (*uid, hotkey.hotkey());
    members.iter().map(member).collect()
}

fn validators(round: &RoundInfo) -> Vec<Attester> {
    let validators = round.validators.iter().map(|validator| Attester {
        uid: validator.uid,
        hotkey: validator.hotkey.hotkey(),
        committed: validator.committed,
        attested: validator.attested,
    });
    validators.collect()
}

fn seen(entry: &ContributionInfo) -> Seen {
    Seen {
        uid: entry.uid,
        hotkey: entry.hotkey.hotkey(),
        commitment: entry.commitment.clone(),
        key: entry.key,
    }
}

/// What this worker has named as its endpoints by block `at`, if it is a member.
async fn named<C: Chain>(chain: &C, run: &Run, at: H256) -> Result<Option<Named>, RoleError> {
    let own = match chain.endpoints_of(at, run.netuid, &[run.hotkey]).await {
        // An older runtime names no endpoints.
        Err(ChainError::UnknownFunction { .. }) => Vec::new(),
        own => own?,
    };
    let named = own.into_iter().next().map(|own| Named {
        endpoints: own.endpoints,
        set_at: own.set_at,
    });
    Ok(named)
}

fn voting(voting: api::Scoring) -> Scoring {
    let committed = |commit: &api::ScoresCommit| Committed {
        epoch: commit.epoch,
        hash: commit.hash,
        at: commit.at,
        revealed: commit.revealed,
    };
    Scoring {
        commit_reveal: voting.commit_reveal,
        epoch: voting.epoch,
        due: voting.due,
        rate_limit: voting.rate_limit,
        commits: voting.commits.iter().map(committed).collect(),
    }
}

#[cfg(test)]
mod tests {
    use cairn_chain::Block;

    use super::*;
    use crate::roles::{
        stores::Stores,
        testing::{config_and_store, SimChain, NETUID, PHASES},
    };

    /// A miner that took it for over would throw away what it made for round 0.
    #[tokio::test]
    async fn before_round_0_is_final_it_is_taken_for_as_long_as_it_can_be() {
        let directory = tempfile::tempdir().expect("a directory");
        let (config, store) = config_and_store(directory.path()).await;
        let chain = SimChain::with_run(config, &["Alice"], &["Victor"]);
        let best = chain.head();
        let info = Chain::run(&chain, best.hash, NETUID).await;
        let info = info.expect("it answers").expect("a run");
        let run = Run::load(NETUID, AccountId([1; 32]), &info, &Stores::at(store.url())).await;
        let run = run.expect("it is there");
        let earlier = chain.block_hash(best.number - 1).await;
        let earlier = earlier.expect("it answers").expect("a block");
        let before = Chain::run(&chain, earlier, NETUID).await;
        let before = before.expect("it answers").expect("a run");
        assert!(!has_begun(&before));
        assert!(!is_over(&info, &before, best.number - 1), "nor elsewhere");
        let last = info.round.times.reveal - 1;
        assert!(!is_over(&info, &info, last - 1));
        assert!(is_over(&info, &info, last));
        let longest = Timetable::new(best.number, &PHASES);
        let earlier = Block {
            hash: earlier,
            number: best.number - 1,
        };
        for finalized in [earlier, best] {
            let heads = Heads { best, finalized };
            let found = certain(&chain, &run, heads, (&info, &[])).await;
            assert_eq!(found.expect("it answers"), longest);
        }
    }
}
