//! What roles do not ask the chain: how long a block takes, and what a member has and was paid.

use std::time::Duration;

use cairn_chain::{AccountId, ChainError, Client, MemberEmission, MemberInfo, Patience, Settings};
use cairn_primitives::{Balance, Netuid, H256};
use tokio::{sync::watch, time::MissedTickBehavior};

use crate::shutdown;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(60);

/// About whom, and where to ask.
#[derive(Clone, Debug)]
pub struct Whose {
    /// The nodes, in the order in which they are asked.
    pub nodes: Vec<String>,
    /// The genesis hash of their chain, if it was said.
    pub genesis: Option<H256>,
    /// The subnet.
    pub netuid: Netuid,
    /// The member.
    pub hotkey: AccountId,
}

/// What the chain said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// From one block to the next, if all goes well.
    pub block_time: Duration,
    /// What the member has; `None` if the hotkey is no member.
    pub money: Option<Money>,
}

/// What a member has, in pebble.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Money {
    /// Its bond.
    pub bond: Balance,
    /// Stake on it.
    pub stake: Balance,
    /// What it earned and does not have yet.
    pub withheld: Balance,
    /// What the last epoch gave it.
    pub last: Balance,
    /// What it was paid since it came.
    pub earned: Balance,
}

impl Money {
    fn of(member: &MemberInfo, emission: &MemberEmission) -> Money {
        let sum = |miner: Balance, validator| miner.saturating_add(validator);
        Money {
            bond: member.bond,
            stake: member.stake,
            withheld: emission.withheld,
            last: sum(emission.last_as_miner, emission.last_as_validator),
            earned: sum(emission.earned_as_miner, emission.earned_as_validator),
        }
    }
}

/// Asks now and then, and hands on what the chain says, until `stop` turns true. The work goes on without it.
pub async fn follow(whose: Whose, know: impl Fn(Asked), mut stop: watch::Receiver<bool>) {
    tokio::select! {
        () = shutdown::asked(&mut stop) => {}
        () = forever(whose, know) => {}
    }
}

async fn forever(whose: Whose, know: impl Fn(Asked)) {
    let (settings, patience) = (Settings::default(), Patience::default());
    let client = Client::connect_to(&whose.nodes, whose.genesis, settings, patience).await;
    let client = match client {
        Ok(client) => client,
        Err(error) => {
            tracing::warn!("what is paid will not be shown: {error}");
            return;
        }
    };
    let mut interval = tokio::time::interval(EVERY);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        match ask(&client, &whose).await {
            Ok(asked) => know(asked),
            Err(error) if error.is_transient() => tracing::debug!("what is paid: {error}"),
            Err(error) => {
                tracing::warn!("what is paid is shown no more: {error}");
                return;
            }
        }
    }
}

async fn ask(client: &Client, whose: &Whose) -> Result<Asked, ChainError> {
    let view = client.at(client.best().await?.hash);
    let block_time = Duration::from_millis(view.block_time().await?);
    let member = view.member(whose.netuid, &whose.hotkey).await?;
    let money = match member {
        Some(member) => {
            let emission = view.member_emission(whose.netuid, member.uid).await?;
            emission.map(|emission| Money::of(&member, &emission))
        }
        None => None,
    };
    Ok(Asked { block_time, money })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roles::testing::a_member;
    use cairn_primitives::Uid;

    #[test]
    fn what_it_earned_in_both_roles_is_one_sum() {
        let hotkey = AccountId([3; 32]);
        let member = MemberInfo {
            bond: 10,
            stake: 20,
            ..a_member(Uid(3), hotkey)
        };
        let emission = MemberEmission {
            netuid: Netuid(1),
            uid: Uid(3),
            hotkey,
            coldkey: hotkey,
            registered_at: 0,
            stake: 20,
            incentive: 0,
            dividends: 0,
            last_as_miner: 1,
            last_as_validator: 2,
            withheld: 5,
            earned_as_miner: 100,
            earned_as_validator: 200,
            earned_ever: 900,
            scores_set_at: None,
        };
        let expected = Money {
            bond: 10,
            stake: 20,
            withheld: 5,
            last: 3,
            earned: 300,
        };
        assert_eq!(Money::of(&member, &emission), expected);
    }
}
