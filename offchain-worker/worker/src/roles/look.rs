//! One look at the chain, for a role's machine: what the best block says of the current round, and what the finalised
//! one says of a round that has ended.
//!
//! A node may be far away. So all that a look needs is asked at once, for the round that the last look found: it takes
//! one answer's time, and two when another round has begun since. A test counts.

use cairn_chain::{AccountId, ChainError, ContributionInfo, MemberInfo, RoundInfo, RunInfo};
use cairn_primitives::{
    api::{self, LineageEntry, NextRound, SettledRound},
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

use super::{
    chain::{Answer, Chain},
    heads::Heads,
    idle::has_begun,
    run::Run,
    setup::locked,
    RoleError,
};

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

/// What is taken to be so until the chain has answered: what the last look found. It costs time if it is not so, and
/// nothing else.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guess {
    /// The current round.
    pub round: Round,
    /// Whether this worker has a slot, where slots are drawn a round ahead.
    pub has_slot: bool,
}

impl Guess {
    /// That the run still is as it was.
    pub fn of(info: &RunInfo, hotkey: AccountId) -> Guess {
        let has_slot = |next: &NextRound<AccountId>| {
            let mut slots = next.miners.iter().chain(&info.round.miners);
            slots.any(|(_, miner)| *miner == hotkey)
        };
        Guess {
            round: info.round.round,
            has_slot: info.next.as_ref().is_some_and(has_slot),
        }
    }
}

/// Asks the chain. `None` if it has no run.
///
/// # Errors
/// [`RoleError::RunReplaced`], and what the chain says.
pub(super) async fn look<C: Chain>(
    chain: &C,
    run: &Run,
    heads: Heads,
    (question, guess): (Question, Guess),
) -> Result<Option<Looked>, RoleError> {
    let (best, netuid) = (heads.best.hash, run.netuid);
    let heard_at = run.clocks.now();
    let (info, known, of_round, voting, audits, named, bond) = tokio::try_join!(
        chain.run(best, netuid),
        chain.run(heads.finalized.hash, netuid),
        of_round(chain, run, heads, (question, guess.round)),
        voting(chain, run, best, question),
        chain.audits(best, netuid),
        named(chain, run, best),
        bond(chain, run, best, guess),
    )?;
    let Some(info) = info else {
        return Ok(None);
    };
    run.expect(&info)?;
    let round = &info.round;
    if has_begun(&info) {
        let begun = (round.round, round.times.start);
        locked(&run.heard).note(begun, heads.best.number, heard_at);
    }
    let OfRound {
        contributions,
        ended,
    } = match round.round == guess.round {
        true => of_round,
        false => self::of_round(chain, run, heads, (question, round.round)).await?,
    };
    let (settled, member) = match ended {
        Some((asked, said, member)) => (said.settlement(run, asked)?, member),
        None => (None, None),
    };
    let member = member.filter(|_| settled.is_some());
    let of_it = |known: &&RunInfo| known.started_at == info.started_at;
    let at_final = known.as_ref().filter(of_it).map(|known| known.round.round);
    let certain = certain(chain, run, heads, (&info, known, &contributions[..])).await;
    let view = View {
        round: RoundView {
            round: round.round,
            times: Timetable(round.times),
            certain,
            at_final,
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
        view: backed(chain, run, best, (view, bond)).await?,
        info,
        member,
        block: heads.best.number,
    }))
}

/// What is asked of rounds by their numbers.
struct OfRound {
    /// Commitments of the current one.
    contributions: Vec<ContributionInfo>,
    /// The one that was asked for, how it ended, and this worker as a member then.
    ended: Option<(Round, Said, Option<MemberInfo>)>,
}

/// Asks for it, where `round` is the current one.
async fn of_round<C: Chain>(
    chain: &C,
    run: &Run,
    heads: Heads,
    (question, round): (Question, Round),
) -> Answer<OfRound> {
    let (best, at, netuid) = (heads.best.hash, heads.finalized.hash, run.netuid);
    let contributions = chain.contributions(best, netuid, round);
    let Some(asked) = question.settled.filter(|asked| *asked < round) else {
        return Ok(OfRound {
            contributions: contributions.await?,
            ended: None,
        });
    };
    let member = chain.member(at, netuid, run.hotkey);
    let (contributions, said, member) =
        tokio::try_join!(contributions, Said::of(chain, run, at, asked), member)?;
    Ok(OfRound {
        contributions,
        ended: Some((asked, said, member)),
    })
}

/// Whether this worker may mine by its bond, if it has a slot for which that counts.
async fn bond<C: Chain>(chain: &C, run: &Run, at: H256, guess: Guess) -> Answer<Option<bool>> {
    match guess.has_slot {
        true => has_bond(chain, run, at).await.map(Some),
        false => Ok(None),
    }
}

/// Where rounds overlap, slots are drawn a round ahead, and who has not the bond when its round begins has no part in
/// it. So of who has not enough now the view has no slot in the next round, and none in this one if it had not enough
/// when that began. `known` is whether it has enough, if that was asked.
async fn backed<C: Chain>(
    chain: &C,
    run: &Run,
    best: H256,
    (mut view, known): (View, Option<bool>),
) -> Answer<View> {
    let own = run.hotkey.hotkey();
    let has_slot = |next: &Next| next.slot_of(own).is_some() || view.slot_of(own).is_some();
    if !view.next.as_ref().is_some_and(has_slot) {
        return Ok(view);
    }
    let has_enough = match known {
        Some(has_enough) => has_enough,
        None => has_bond(chain, run, best).await?,
    };
    if has_enough {
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
async fn has_bond<C: Chain>(chain: &C, run: &Run, at: H256) -> Answer<bool> {
    let member = chain.member(at, run.netuid, run.hotkey);
    let subnet = chain.subnet(at, run.netuid);
    let (member, subnet) = tokio::try_join!(member, subnet)?;
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

/// When the current round is, as far as the final block has it: the run that is `known` there. Before round 0 has begun
/// a run has one of that number without times: of that nothing is known. Of who has a key to keep until nobody can
/// commit any more, that is not one node's word alone.
async fn certain<C: Chain>(
    chain: &C,
    run: &Run,
    heads: Heads,
    (best, known, contributions): (&RunInfo, Option<RunInfo>, &[ContributionInfo]),
) -> Timetable {
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
    match asks_others {
        true => borne_out(chain, run, (now, best), certain).await,
        false => certain,
    }
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
            "by this machine's clock training is not over, and no other node answers; see whether the clock is right, \
             and name another --node"
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
///
/// # Errors
/// What the chain says, and [`RoleError::Broken`] if that does not hold together.
pub(super) async fn settlement<C: Chain>(
    chain: &C,
    run: &Run,
    at: H256,
    round: Round,
) -> Result<Option<Settlement>, RoleError> {
    Said::of(chain, run, at, round)
        .await?
        .settlement(run, round)
}

/// What the chain says of a round that may have ended, all of it as of one block.
struct Said {
    settled: Option<SettledRound>,
    info: Option<RoundInfo>,
    contributions: Vec<ContributionInfo>,
    lineage: Vec<LineageEntry>,
}

impl Said {
    /// Asks for it.
    async fn of<C: Chain>(chain: &C, run: &Run, at: H256, round: Round) -> Answer<Said> {
        let netuid = run.netuid;
        let (settled, info, contributions, lineage) = tokio::try_join!(
            chain.settled(at, netuid, round),
            chain.round(at, netuid, round),
            chain.contributions(at, netuid, round),
            chain.lineage(at, netuid, round),
        )?;
        Ok(Said {
            settled,
            info,
            contributions,
            lineage,
        })
    }

    /// How the round ended, if it has.
    fn settlement(self, run: &Run, round: Round) -> Result<Option<Settlement>, RoleError> {
        let (Some(settled), Some(info)) = (self.settled, self.info) else {
            return Ok(None);
        };
        let (contributions, lineage) = (self.contributions, self.lineage);
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
async fn named<C: Chain>(chain: &C, run: &Run, at: H256) -> Answer<Option<Named>> {
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

/// What this worker has to know to set its scores, if that is asked for and there is a subnet.
async fn voting<C: Chain>(
    chain: &C,
    run: &Run,
    at: H256,
    question: Question,
) -> Answer<Option<Scoring>> {
    match question.voting {
        true => Ok(chain.voting(at, run.netuid, run.hotkey).await?.map(scoring)),
        false => Ok(None),
    }
}

fn scoring(voting: api::Scoring) -> Scoring {
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
        testing::{config_and_store, Network, SimChain, NETUID, PHASES},
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
            let known = Chain::run(&chain, finalized.hash, NETUID).await;
            let known = known.expect("it answers");
            let found = certain(&chain, &run, heads, (&info, known, &[])).await;
            assert_eq!(found, longest);
        }
    }

    /// Who is far from its node waits for each answer that it needs before it can ask on.
    #[tokio::test]
    async fn a_look_takes_one_answers_time_and_two_when_a_round_begins() {
        let directory = tempfile::tempdir().expect("a directory");
        let (mut config, store) = config_and_store(directory.path()).await;
        config.overlap = 1;
        let chain = SimChain::with_run(config, &["Alice"], &["Victor"]);
        let heads = |block: Block| Heads {
            best: block,
            finalized: block,
        };
        let info = Chain::run(&chain, chain.head().hash, NETUID).await;
        let info = info.expect("it answers").expect("a run");
        let alice = Network::account("Alice");
        let run = Run::load(NETUID, alice, &info, &Stores::at(store.url())).await;
        let run = run.expect("it is there");
        let question = Question {
            settled: Some(0),
            voting: true,
        };
        let begun = Guess::of(&info, alice);
        assert!(begun.has_slot, "its bond is asked for");
        chain.far();
        let looked = look(&chain, &run, heads(chain.head()), (question, begun));
        let (looked, trips) = chain.trips(looked).await;
        let looked = looked.expect("it answers").expect("a run");
        assert_eq!((looked.view.round.round, trips), (0, 1));
        assert!(looked.view.settled.is_none() && looked.view.voting.is_some());
        // The next round, which is not the one that was expected; then it is.
        while chain.state().round == 0 {
            chain.tick();
        }
        let mut guess = begun;
        for expected in [2, 1] {
            let looked = look(&chain, &run, heads(chain.head()), (question, guess));
            let (looked, trips) = chain.trips(looked).await;
            let looked = looked.expect("it answers").expect("a run");
            assert_eq!((looked.view.round.round, trips), (1, expected));
            let settled = looked.view.settled.as_ref().expect("round 0 has ended");
            assert_eq!((settled.round, settled.included.len()), (0, 0));
            assert!(looked.member.is_some());
            guess = Guess::of(&looked.info, alice);
        }
    }
}
