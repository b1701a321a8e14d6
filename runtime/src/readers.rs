//! Answers that need more than one pallet: who is in a subnet and what that brought.

use alloc::vec::Vec;

use cairn_primitives::{
    api::{
        AccountEarning, AnnouncedRules, AuditInfo, ContributionInfo, Duty, EndedRun, EpochPage,
        HotkeyInfo, Issuance, Limits, LineageEntry, MemberEmission, MemberEndpoints, MemberEpoch,
        MemberInfo, Position, RoundInfo, RunInfo, Schedule, Scoring, Seat, SettledRound,
        SubnetEmission, SubnetEpoch, SubnetInfo, ValidatorScores,
    },
    traits::{Membership, Positions, Runs, Stakes},
    AuditOutcome, Balance, EpochIndex, Hyperparameters, Netuid, Role, Round, Uid, PER_PAGE,
};
use cairn_protocol::eligibility::{self, Claim};

use crate::{
    configs::{cairn, money::ExistentialDeposit, system::MAX_TRANSACTION_BYTES},
    governance::CurrentRules,
    AccountId, Audits, Emissions, Endpoints, Runtime, Stake, Subnets, Training,
};

/// A page of a list that ascends by what `number` gives: from `from` on, and of 1 to `PER_PAGE`.
fn page<T, N: PartialOrd>(
    all: impl IntoIterator<Item = T>,
    number: impl Fn(&T) -> N,
    from: &N,
    limit: u32,
) -> Vec<T> {
    let limit = usize::try_from(limit.clamp(1, PER_PAGE)).unwrap_or(usize::MAX);
    let rest = all.into_iter().skip_while(|one| number(one) < *from);
    rest.take(limit).collect()
}

/// What the members of a subnet have named as their endpoints, ascending by uid.
pub fn endpoints(netuid: Netuid) -> Vec<MemberEndpoints<AccountId>> {
    Endpoints::endpoints(netuid)
}

/// A page of what the members of a subnet have named as their endpoints.
pub fn endpoints_page(netuid: Netuid, from: Uid, limit: u32) -> Vec<MemberEndpoints<AccountId>> {
    page(endpoints(netuid), |member| member.uid, &from, limit)
}

/// What those of these hotkeys that are members have named.
pub fn endpoints_of(netuid: Netuid, hotkeys: &[AccountId]) -> Vec<MemberEndpoints<AccountId>> {
    Endpoints::endpoints_of(netuid, hotkeys)
}

/// All subnets, ascending, those that are being dissolved included.
pub fn subnets() -> Vec<SubnetInfo<AccountId>> {
    let netuids = Subnets::all_netuids().into_iter();
    netuids.filter_map(subnet).collect()
}

/// A page of all subnets.
pub fn subnets_page(from: Netuid, limit: u32) -> Vec<SubnetInfo<AccountId>> {
    let netuids = Subnets::all_netuids().into_iter();
    // Of those before it nothing is read.
    let rest = netuids.filter(|netuid| *netuid >= from);
    page(rest.filter_map(subnet), |one| one.netuid, &from, limit)
}

/// One subnet.
pub fn subnet(netuid: Netuid) -> Option<SubnetInfo<AccountId>> {
    let subnet = Subnets::subnet(netuid)?;
    Some(SubnetInfo {
        netuid,
        owner: subnet.owner,
        created_at: subnet.created_at,
        members: subnet.members,
        registration_price: Subnets::price(netuid)?,
        stake: Stake::subnet_stake(netuid),
        dissolves_from: Subnets::dissolves_from(netuid),
        can_be_set_from: Subnets::can_be_set_from(netuid),
        bonds: Stake::subnet_bonds(netuid),
        has_run: Training::has_run(netuid),
        is_clearing_run: Training::is_clearing(netuid),
        hyperparameters: Subnets::rules(netuid)?,
        announced: Subnets::announced_rules(netuid).map(|announced| AnnouncedRules {
            from: announced.from,
            hyperparameters: announced.rules,
        }),
    })
}

/// A subnet's members, ascending by uid.
pub fn members(netuid: Netuid) -> Vec<MemberInfo<AccountId>> {
    members_page(netuid, Uid(0), PER_PAGE)
}

/// A page of a subnet's members.
pub fn members_page(netuid: Netuid, from: Uid, limit: u32) -> Vec<MemberInfo<AccountId>> {
    let Some(hyperparameters) = Subnets::hyperparameters(netuid) else {
        return Vec::new();
    };
    // Who sits is a matter of all stakes, however short the page is.
    let seated = seated(netuid, &hyperparameters);
    let all = Subnets::member_list(netuid);
    page(all, |(uid, _)| *uid, &from, limit)
        .into_iter()
        .map(|(uid, member)| {
            let has_seat = || seated.contains(&uid);
            member_info(netuid, uid, member, &hyperparameters, has_seat)
        })
        .collect()
}

/// The member with this hotkey.
pub fn member(netuid: Netuid, hotkey: &AccountId) -> Option<MemberInfo<AccountId>> {
    let uid = Subnets::uid(netuid, hotkey)?;
    let member = Subnets::member(netuid, uid)?;
    let hyperparameters = Subnets::hyperparameters(netuid)?;
    let members = Subnets::subnet(netuid)?.members;
    // Where all could sit, the others' stakes need not be read.
    let has_seat = || {
        usize::from(members) <= eligibility::seats(&hyperparameters)
            || seated(netuid, &hyperparameters).contains(&uid)
    };
    Some(member_info(netuid, uid, member, &hyperparameters, has_seat))
}

/// The members that have a validator's seat.
fn seated(netuid: Netuid, hyperparameters: &Hyperparameters) -> Vec<Uid> {
    let members = Subnets::member_list(netuid).into_iter();
    let candidates = members.map(|(uid, member)| {
        let stake = stake(netuid, &member.hotkey);
        (uid, member.role, stake)
    });
    let seated = eligibility::seated(hyperparameters, candidates, |member| *member);
    seated
        .into_iter()
        .map(|(uid, _, _): (Uid, Role, Balance)| uid)
        .collect()
}

fn stake(netuid: Netuid, hotkey: &AccountId) -> Balance {
    <Stake as Stakes<AccountId>>::stake(netuid, hotkey)
}

fn member_info(
    netuid: Netuid,
    uid: Uid,
    member: pallet_subnets::Member<AccountId>,
    hyperparameters: &Hyperparameters,
    has_seat: impl FnOnce() -> bool,
) -> MemberInfo<AccountId> {
    let record = Emissions::member(netuid, uid);
    let stake = stake(netuid, &member.hotkey);
    let bond = <Stake as Stakes<AccountId>>::bond(netuid, &member.hotkey);
    let take = <Stake as Positions<AccountId>>::take(&member.hotkey);
    let role = match eligibility::claim(hyperparameters, member.role, || stake, || bond) {
        Claim::Seat if has_seat() => Duty::Validator,
        Claim::Data => Duty::Miner,
        Claim::Seat | Claim::Nothing => Duty::Idle,
    };
    MemberInfo {
        uid,
        chosen_role: member.role,
        role_can_be_set_from: Subnets::role_can_be_set_from(netuid, uid),
        swap: Subnets::swap(netuid, uid).map(|swap| (swap.to, swap.from)),
        takes_foreign_stake: Stake::takes_foreign_stake(&member.hotkey),
        hotkey: member.hotkey,
        coldkey: member.coldkey,
        role,
        registered_at: member.registered_at,
        stake,
        bond,
        take,
        incentive: record.incentive,
        dividends: record.dividends,
        last_paid: record.last_paid(),
        earned: record.earned(),
    }
}

/// What creating a subnet costs now.
pub fn creation_price() -> Balance {
    Subnets::creation_price()
}

/// Whose a hotkey is, where it is a member, and what its owner takes.
pub fn hotkey(hotkey: AccountId) -> HotkeyInfo<AccountId> {
    let seats = Subnets::all_netuids()
        .into_iter()
        .filter_map(|netuid| Subnets::uid(netuid, &hotkey).map(|uid| Seat { netuid, uid }))
        .collect();
    HotkeyInfo {
        coldkey: Subnets::coldkey(&hotkey),
        seats,
        take: Stake::take_of(&hotkey),
        highest_take_now: Stake::highest_take_now(&hotkey),
        take_can_rise_from: Stake::take_can_rise_from(&hotkey),
        hotkey,
    }
}

/// The hotkeys that a coldkey owns: at most `PER_PAGE`, from the first or after this one.
pub fn hotkeys(coldkey: &AccountId, after: Option<&AccountId>) -> Vec<AccountId> {
    let limit = usize::try_from(PER_PAGE).unwrap_or(usize::MAX);
    Subnets::hotkeys(coldkey, after, limit)
}

/// Limits that hold for everybody.
pub fn limits() -> Limits {
    Limits {
        existential_deposit: ExistentialDeposit::get(),
        minimum_stake: cairn::MinimumStake::get(),
        max_unbonding: pallet_stake::MAX_UNBONDING,
        max_take: cairn::MaxTake::get(),
        take_step: cairn::TakeStep::get(),
        take_interval: cairn::TakeInterval::get(),
        hyperparameters_interval: CurrentRules::<Runtime>::get().hyperparameters_rate_limit,
        audit_window: pallet_subnets::AuditWindow::<Runtime>::get(),
        max_subnets: cairn::MaxSubnets::get(),
        max_transaction_bytes: MAX_TRANSACTION_BYTES,
    }
}

/// What a coldkey stands behind: at most `PER_PAGE` positions, from the first or after the one on that
/// subnet and hotkey.
pub fn positions(
    coldkey: &AccountId,
    after: Option<(Netuid, AccountId)>,
) -> Vec<Position<AccountId>> {
    <Stake as Positions<AccountId>>::positions(coldkey, after, PER_PAGE)
}

/// What a coldkey has on one hotkey in one subnet.
pub fn position(
    coldkey: &AccountId,
    netuid: Netuid,
    hotkey: &AccountId,
) -> Option<Position<AccountId>> {
    <Stake as Positions<AccountId>>::position(coldkey, netuid, hotkey)
}

/// The subnet's run.
pub fn run(netuid: Netuid) -> Option<RunInfo<AccountId>> {
    Training::run_info(netuid)
}

/// A round that is still kept.
pub fn round(netuid: Netuid, round: Round) -> Option<RoundInfo<AccountId>> {
    Training::round_info(netuid, round)
}

/// The commitments of a round, ascending by uid.
pub fn contributions(netuid: Netuid, round: Round) -> Vec<ContributionInfo<AccountId>> {
    Training::contributions(netuid, round)
}

/// A page of the commitments of a round.
pub fn contributions_page(
    netuid: Netuid,
    round: Round,
    from: Uid,
    limit: u32,
) -> Vec<ContributionInfo<AccountId>> {
    let all = contributions(netuid, round);
    page(all, |contribution| contribution.uid, &from, limit)
}

/// How a round ended.
pub fn settled(netuid: Netuid, round: Round) -> Option<SettledRound> {
    Training::settled(netuid, round)
}

/// The lineage from round `from` on.
pub fn lineage(netuid: Netuid, from: Round) -> Vec<LineageEntry> {
    Training::lineage(netuid, from)
}

/// The subnet's last stopped run.
pub fn ended_run(netuid: Netuid) -> Option<EndedRun> {
    Training::ended_run(netuid)
}

/// The open audits of a subnet, ascending by round and uid.
pub fn open_audits(netuid: Netuid) -> Vec<AuditInfo<AccountId>> {
    Audits::open_audits(netuid)
}

/// A page of the open audits of a subnet: from the first, or after the one of that round and uid.
pub fn open_audits_page(
    netuid: Netuid,
    after: Option<(Round, Uid)>,
    limit: u32,
) -> Vec<AuditInfo<AccountId>> {
    let from = after.map_or((0, 0), |(round, uid)| (round, u32::from(uid.get()) + 1));
    let number = |audit: &AuditInfo<AccountId>| (audit.round, u32::from(audit.uid.get()));
    page(open_audits(netuid), number, &from, limit)
}

/// How the audit of a contribution ended.
pub fn audit_outcome(netuid: Netuid, round: Round, uid: Uid) -> Option<AuditOutcome> {
    Audits::outcome(netuid, round, uid)
}

/// How the token comes into being.
pub fn schedule() -> Schedule {
    Emissions::schedule()
}

/// Where everything that was issued is.
pub fn issuance() -> Issuance {
    Emissions::issuance()
}

/// A subnet's emission.
pub fn emission(netuid: Netuid) -> Option<SubnetEmission> {
    Emissions::emission(netuid)
}

/// A member and what it earned.
pub fn member_emission(netuid: Netuid, uid: Uid) -> Option<MemberEmission<AccountId>> {
    let member = Subnets::member(netuid, uid)?;
    let record = Emissions::member(netuid, uid);
    Some(MemberEmission {
        netuid,
        uid,
        registered_at: member.registered_at,
        stake: <Stake as Stakes<AccountId>>::stake(netuid, &member.hotkey),
        incentive: record.incentive,
        dividends: record.dividends,
        last_as_miner: record.last_as_miner,
        last_as_validator: record.last_as_validator,
        withheld: Emissions::withheld(netuid, uid),
        earned_as_miner: record.earned_as_miner,
        earned_as_validator: record.earned_as_validator,
        earned_ever: Emissions::earned(netuid, &member.hotkey),
        scores_set_at: Emissions::scores_set_at(netuid, uid),
        hotkey: member.hotkey,
        coldkey: member.coldkey,
    })
}

/// The last epochs of a subnet.
pub fn subnet_history(
    netuid: Netuid,
    from: EpochIndex,
    limit: u32,
) -> Option<EpochPage<SubnetEpoch>> {
    Emissions::subnet_history(netuid, from, limit)
}

/// The last epochs of a member.
pub fn member_history(
    netuid: Netuid,
    uid: Uid,
    from: EpochIndex,
    limit: u32,
) -> Option<EpochPage<MemberEpoch>> {
    Emissions::member_history(netuid, uid, from, limit)
}

/// What a validator has to know to set its scores.
pub fn voting(netuid: Netuid, hotkey: &AccountId) -> Option<Scoring> {
    Emissions::voting(netuid, hotkey)
}

/// The scores of each validator that count now.
pub fn scores(netuid: Netuid) -> Vec<ValidatorScores<AccountId>> {
    Emissions::scores(netuid)
}

/// What an account has and earned in each subnet through each hotkey that it owns, stands behind, or is: at
/// most `PER_PAGE` that it stands behind, and as many hotkeys that it owns.
pub fn account(account: &AccountId) -> Vec<AccountEarning<AccountId>> {
    let mut hotkeys = hotkeys(account, None);
    if Subnets::coldkey(account).is_some() && !hotkeys.contains(account) {
        hotkeys.push(account.clone());
    }
    let positions = positions(account, None);
    let mut earnings: Vec<_> = positions
        .iter()
        .map(|position| earning(account, position.netuid, &position.hotkey, Some(position)))
        .collect();
    for netuid in Subnets::all_netuids() {
        for hotkey in &hotkeys {
            let is_told =
                |told: &AccountEarning<AccountId>| (told.netuid, &told.hotkey) == (netuid, hotkey);
            if earnings.iter().take(positions.len()).any(is_told) {
                continue;
            }
            let earning = earning(account, netuid, hotkey, None);
            let worth_telling = earning.uid.is_some()
                || earning.stake > 0
                || earning.bond > 0
                || earning.earned > 0;
            if worth_telling {
                earnings.push(earning);
            }
        }
    }
    earnings.sort_by(|a, b| (a.netuid, &a.hotkey).cmp(&(b.netuid, &b.hotkey)));
    earnings
}

fn earning(
    account: &AccountId,
    netuid: Netuid,
    hotkey: &AccountId,
    position: Option<&Position<AccountId>>,
) -> AccountEarning<AccountId> {
    let bond = Stake::bond_of(netuid, hotkey);
    AccountEarning {
        netuid,
        hotkey: hotkey.clone(),
        uid: Subnets::uid(netuid, hotkey),
        owned: Subnets::coldkey(hotkey).as_ref() == Some(account),
        staked: position.map_or(0, |position| position.staked),
        unbonding: position.map_or(0, Position::total_unbonding),
        take: <Stake as Positions<AccountId>>::take(hotkey),
        stake: <Stake as Stakes<AccountId>>::stake(netuid, hotkey),
        bond: bond.active.saturating_add(bond.unbonding),
        unbonding_bond: bond.unbonding,
        bond_release_at: (bond.unbonding > 0).then_some(bond.release_at),
        earned: Emissions::earned(netuid, hotkey),
    }
}
