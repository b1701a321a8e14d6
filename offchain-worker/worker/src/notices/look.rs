//! Asks the chain for a [`View`].

use cairn_chain::{AccountId, Block, ChainError, Client, MemberInfo, SubnetInfo};
use cairn_primitives::{
    api::{MemberEpoch, SubnetEmission},
    BlockNumber, EpochIndex, Netuid,
};
use cairn_protocol::registration::{replaced, Seat};

use super::view::{Member, Recovery, Stake, View};

/// Epochs of which the chain keeps what a member was paid.
const KEPT: EpochIndex = 64;

/// What the chain says of a hotkey and its coldkey, as of a block. `before` is the view before, whose audits may be
/// over.
///
/// # Errors
/// What the chain says.
pub async fn look(
    client: &Client,
    block: Block,
    netuid: Netuid,
    hotkey: &AccountId,
    before: Option<&View>,
) -> Result<View, ChainError> {
    let at = client.at(block.hash);
    let mut view = View {
        block: block.number,
        run: at.run(netuid).await?.map(|run| run.started_at),
        ..View::default()
    };
    add_member(&at, (netuid, hotkey), before, &mut view).await?;
    let Some(coldkey) = at.hotkey(hotkey).await?.coldkey else {
        return Ok(view);
    };
    for position in at.positions(&coldkey).await? {
        let unbonding = position.unbonding.iter();
        let stake = Stake {
            staked: position.staked,
            unbonding: unbonding
                .map(|part| (part.amount, part.release_at))
                .collect(),
            take: position.take,
        };
        view.positions
            .insert((position.netuid, position.hotkey), stake);
    }
    add_recoveries(&at, &coldkey, &mut view).await?;
    if let Some(member) = &mut view.member {
        let account = at.account(&coldkey).await?;
        let mut own = account.iter().filter(|one| one.owned);
        if let Some(own) = own.find(|one| (one.netuid, one.hotkey) == (netuid, *hotkey)) {
            member.bond = own.bond.saturating_sub(own.unbonding_bond);
            member.unbonding_bond = own.unbonding_bond;
            member.bond_release_at = own.bond_release_at;
        }
    }
    Ok(view)
}

/// Adds what friends of the coldkey have begun who say that its key is lost, and who inherited it.
async fn add_recoveries(
    at: &cairn_chain::View,
    coldkey: &AccountId,
    view: &mut View,
) -> Result<(), ChainError> {
    for (number, group) in (0..).zip(at.friend_groups(coldkey).await?) {
        if let Some(attempt) = at.recovery_attempt(coldkey, number, &group).await? {
            let recovery = Recovery {
                by: attempt.begun_by,
                since: attempt.since,
                not_before: attempt.since.saturating_add(group.delay),
                inheritor: group.inheritor,
            };
            view.recoveries.insert(number, recovery);
        }
    }
    view.inheritor = at.inheritor(coldkey).await?;
    Ok(())
}

/// Adds the member, if the hotkey is one, and the audits of its work.
async fn add_member(
    at: &cairn_chain::View,
    (netuid, hotkey): (Netuid, &AccountId),
    before: Option<&View>,
    view: &mut View,
) -> Result<(), ChainError> {
    let (Some(subnet), Some(emission)) = (at.subnet(netuid).await?, at.emission(netuid).await?)
    else {
        return Ok(());
    };
    let members = at.members(netuid).await?;
    let Some(own) = members.iter().find(|member| member.hotkey == *hotkey) else {
        return Ok(());
    };
    view.goes_next = goes_next(&subnet, &members, own, view.block);
    let from = emission.epochs.saturating_sub(KEPT);
    let page = at.member_history(netuid, own.uid, from, KEPT).await?;
    let epochs = page.map_or_else(Vec::new, |page| page.epochs);
    view.member = Some(Member {
        uid: own.uid,
        registered_at: own.registered_at,
        epochs: emission.epochs,
        dry: dry(own, &emission, subnet.hyperparameters.tempo, &epochs),
        bond: own.bond,
        unbonding_bond: 0,
        bond_release_at: None,
        swap: own.swap,
    });
    let audits = at.open_audits(netuid).await?;
    let audits = audits.iter().filter(|audit| audit.hotkey == *hotkey);
    view.audits = audits.map(|audit| audit.round).collect();
    let over = before.map(|before| &before.audits - &view.audits);
    for round in over.unwrap_or_default() {
        if let Some(outcome) = at.audit_outcome(netuid, round, own.uid).await? {
            view.outcomes.insert(round, outcome);
        }
    }
    Ok(())
}

/// Whether the subnet is full and the next newcomer takes this member's seat.
pub fn goes_next(
    subnet: &SubnetInfo,
    members: &[MemberInfo],
    own: &MemberInfo,
    now: BlockNumber,
) -> bool {
    let rules = &subnet.hyperparameters;
    if subnet.members < rules.max_members {
        return false;
    }
    let seats = members.iter().map(|member| Seat {
        uid: member.uid,
        is_owners: member.coldkey == subnet.owner,
        registered_at: member.registered_at,
    });
    let paid = |uid| {
        let member = members.iter().find(|member| member.uid == uid);
        member.map_or(0, |member| member.last_paid)
    };
    replaced(seats, rules.immunity_period, now, paid) == Some(own.uid)
}

/// Epochs at the end in which a member was paid nothing: since the last that paid it, or since it came.
fn dry(
    own: &MemberInfo,
    emission: &SubnetEmission,
    tempo: u32,
    epochs: &[MemberEpoch],
) -> EpochIndex {
    let since_it_came = match emission.last_epoch.checked_sub(own.registered_at) {
        Some(blocks) => blocks.checked_div(tempo).unwrap_or(0).saturating_add(1),
        None => 0,
    };
    let mut newest_first = epochs.iter().rev();
    let paid = newest_first.find(|epoch| {
        let is_its = epoch.block >= own.registered_at;
        is_its && epoch.as_miner.saturating_add(epoch.as_validator) > 0
    });
    let since_paid = match paid {
        Some(paid) => emission.epochs.saturating_sub(paid.epoch).saturating_sub(1),
        None => KEPT.min(emission.epochs),
    };
    since_it_came.min(since_paid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_primitives::{api::Duty, Hyperparameters, Pots, Role, Uid};

    fn member(uid: u16, registered_at: u32, last_paid: u64) -> MemberInfo {
        MemberInfo {
            uid: Uid(uid),
            hotkey: AccountId([uid as u8; 32]),
            coldkey: AccountId([100 + uid as u8; 32]),
            role: Duty::Miner,
            chosen_role: Role::Miner,
            role_can_be_set_from: None,
            takes_foreign_stake: true,
            swap: None,
            registered_at,
            stake: 0,
            bond: 0,
            take: 0,
            incentive: 0,
            dividends: 0,
            last_paid,
            earned: 0,
        }
    }

    fn subnet(members: u16, max_members: u16) -> SubnetInfo {
        SubnetInfo {
            netuid: Netuid(1),
            owner: AccountId([9; 32]),
            created_at: 0,
            members,
            registration_price: 0,
            dissolves_from: None,
            can_be_set_from: None,
            stake: 0,
            bonds: 0,
            has_run: true,
            is_clearing_run: false,
            hyperparameters: Hyperparameters {
                max_members,
                immunity_period: 10,
                ..Hyperparameters::default()
            },
            announced: None,
        }
    }

    #[test]
    fn who_is_paid_least_goes_next_where_all_seats_are_taken() {
        let members = [member(0, 5, 9), member(1, 5, 3), member(2, 95, 0)];
        let next = |max_members| {
            let subnet = subnet(3, max_members);
            let goes = members
                .iter()
                .map(|own| goes_next(&subnet, &members, own, 100));
            goes.collect::<Vec<_>>()
        };
        assert_eq!(next(3), [false, true, false]);
        assert_eq!(next(4), [false; 3]);
    }

    #[test]
    fn an_epoch_is_dry_if_it_paid_nothing_since_the_member_came() {
        let emission = |epochs, last_epoch| SubnetEmission {
            netuid: Netuid(1),
            share: 0,
            emits: true,
            works: true,
            owner_pot: 0,
            miners_pot: 0,
            validators_pot: 0,
            late: 0,
            late_epochs: 0,
            withheld: 0,
            epochs,
            last_epoch,
            next_epoch: last_epoch + 10,
            paid: 0,
            paid_to: Pots::default(),
        };
        let epoch = |epoch: EpochIndex, as_miner| MemberEpoch {
            epoch,
            block: 10 + 10 * epoch,
            incentive: 0,
            dividends: 0,
            as_miner,
            as_validator: 0,
        };
        let own = member(1, 5, 0);
        // Epochs 0 to 7, in blocks 10 to 80.
        let now = emission(8, 80);
        assert_eq!(dry(&own, &now, 10, &[epoch(7, 1)]), 0);
        assert_eq!(dry(&own, &now, 10, &[epoch(4, 1), epoch(5, 0)]), 3);
        assert_eq!(dry(&own, &now, 10, &[]), 8);
        // It came in block 65, and an epoch before paid another one on its seat.
        let new = member(1, 65, 0);
        assert_eq!(dry(&new, &now, 10, &[epoch(5, 7)]), 2);
        assert_eq!(dry(&member(1, 81, 0), &now, 10, &[]), 0);
    }
}
