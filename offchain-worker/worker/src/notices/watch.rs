//! Looks at the finalised chain now and then, and posts what happened.

use std::sync::Arc;

use cairn_chain::{AccountId, BlockStream, ChainError, Client, Settings};
use cairn_primitives::{BlockNumber, EpochIndex, Netuid, H256};
use futures::StreamExt;
use serde::Serialize;
use tokio::sync::watch;

use super::{happened, look::look, Happening, View, Webhook};
use crate::{metrics::Metrics, shutdown};

/// Finalised blocks between two looks.
const EVERY: BlockNumber = 5;

/// About whom, and where to ask.
#[derive(Clone)]
pub struct About {
    /// The nodes, in the order in which they are asked.
    pub nodes: Vec<String>,
    /// The genesis hash of their chain, if it was said.
    pub genesis: Option<H256>,
    /// The subnet.
    pub netuid: Netuid,
    /// The member.
    pub hotkey: AccountId,
    /// `miner` or `validator`.
    pub role: &'static str,
    /// Epochs without a reward of which to tell; 0 for never.
    pub dry: EpochIndex,
}

/// What is posted.
#[derive(Serialize)]
struct Notice<'a> {
    #[serde(flatten)]
    happening: &'a Happening,
    /// For people.
    text: String,
    role: &'static str,
    netuid: Netuid,
    hotkey: AccountId,
    uid: Option<cairn_primitives::Uid>,
    block: BlockNumber,
}

/// Posts what happens to a member until `stop` turns true. Only finalised blocks count: nothing of it is taken back.
pub async fn watch(
    about: About,
    webhook: Webhook,
    metrics: Arc<Metrics>,
    mut stop: watch::Receiver<bool>,
) {
    tokio::select! {
        () = shutdown::asked(&mut stop) => {}
        () = forever(about, webhook, metrics) => {}
    }
}

async fn forever(about: About, webhook: Webhook, metrics: Arc<Metrics>) {
    let (settings, patience) = (Settings::default(), cairn_chain::Patience::default());
    let client = Client::connect_to(&about.nodes, about.genesis, settings, patience).await;
    let client = match client {
        Ok(client) => client,
        Err(error) => {
            tracing::warn!("no notices will be posted: {error}");
            return;
        }
    };
    let (mut before, mut blocks): (Option<View>, BlockStream) = (None, client.finalized_blocks());
    loop {
        let now = match next(&client, &mut blocks, &about, before.as_ref()).await {
            Ok(Some(now)) => now,
            Ok(None) => continue,
            Err(error) if error.is_transient() => {
                tracing::debug!("notices: {error}");
                continue;
            }
            Err(error) => {
                tracing::warn!("no more notices are posted: {error}");
                return;
            }
        };
        for happening in happened(before.as_ref(), &now, about.dry) {
            post(&about, &now, &happening, &webhook, &metrics).await;
        }
        before = Some(now);
    }
}

/// The next view; `None` if it is too early for one.
async fn next(
    client: &Client,
    blocks: &mut BlockStream,
    about: &About,
    before: Option<&View>,
) -> Result<Option<View>, ChainError> {
    let Some(block) = blocks.next().await.transpose()? else {
        return std::future::pending().await;
    };
    let due = before.map_or(0, |before| before.block.saturating_add(EVERY));
    if block.number < due {
        return Ok(None);
    }
    let view = look(client, block, about.netuid, &about.hotkey, before).await?;
    Ok(Some(view))
}

async fn post(
    about: &About,
    now: &View,
    happening: &Happening,
    webhook: &Webhook,
    metrics: &Metrics,
) {
    let (role, netuid, hotkey) = (about.role, about.netuid, about.hotkey);
    let notice = Notice {
        happening,
        text: format!("cairn {role} {hotkey}, subnet {netuid}: {happening}"),
        role,
        netuid,
        hotkey,
        uid: now.member.as_ref().map(|member| member.uid),
        block: now.block,
    };
    tracing::info!("{happening}");
    let posted = match serde_json::to_string(&notice) {
        Ok(json) => webhook.post(&json).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    metrics.notified(posted.is_ok());
    if let Err(why) = posted {
        tracing::warn!("a notice is lost: {why}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_has_a_line_for_people_and_facts_for_programs() {
        let hotkey = AccountId([7; 32]);
        let happening = Happening::NoReward { epochs: 3 };
        let notice = Notice {
            happening: &happening,
            text: happening.to_string(),
            role: "miner",
            netuid: Netuid(1),
            hotkey,
            uid: Some(cairn_primitives::Uid(3)),
            block: 99,
        };
        let json = serde_json::to_value(&notice).unwrap();
        let expected = serde_json::json!({
            "event": "no_reward", "epochs": 3, "text": "it was paid nothing in 3 epochs", "role": "miner",
            "netuid": 1, "hotkey": hotkey.to_string(), "uid": 3, "block": 99,
        });
        assert_eq!(json, expected);
    }
}
