//! Who may have an account recovered, what they have begun, and who inherited it: `cairn wallet recovery show`.

use cairn_chain::{AccountId, RecoveryAttempt};
use cairn_primitives::{api::pebble, Balance, BlockNumber};
use clap::Args;
use serde::Serialize;

use super::recovery::{standings, Standing};
use crate::{
    amount::{cost, thousands},
    cli::{
        args::{JsonArg, KeyArgs, NodeArgs},
        print,
    },
    error::Failure,
};

/// `cairn wallet recovery show`.
#[derive(Args, Debug)]
pub struct Show {
    /// The account: an address, or the name of a wallet [default: the wallet that signs]
    #[arg(value_name = "ADDRESS|WALLET")]
    account: Option<String>,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

/// An account, and who may have it recovered.
#[derive(Serialize)]
struct Recoverable {
    account: String,
    /// Who acts for it, if it was recovered.
    inherited_by: Option<String>,
    groups: Vec<Group>,
}

#[derive(Serialize)]
struct Group {
    group: u32,
    friends: Vec<String>,
    /// How many of them have to say that the key is lost.
    needed: u32,
    /// Who acts for the account then.
    inheritor: String,
    /// Blocks from the first who says so to that.
    delay: BlockNumber,
    /// Blocks from the last who said so to when whoever began can take it back.
    cancel_delay: BlockNumber,
    /// A lower number comes first.
    priority: u32,
    attempt: Option<Attempt>,
}

#[derive(Serialize)]
struct Attempt {
    begun_by: String,
    since: BlockNumber,
    approved_by: Vec<String>,
    /// The first block in which it can be finished, if enough friends have approved it by then.
    not_before: BlockNumber,
    /// What is held of who began, in pebble.
    #[serde(with = "pebble")]
    deposit: Balance,
}

fn texts(accounts: &[AccountId]) -> Vec<String> {
    accounts.iter().map(AccountId::to_string).collect()
}

impl From<Standing> for Group {
    fn from(standing: Standing) -> Group {
        let group = standing.group;
        let attempt = |attempt: RecoveryAttempt| Attempt {
            begun_by: attempt.begun_by.to_string(),
            since: attempt.since,
            approved_by: texts(&attempt.approved_by),
            not_before: attempt.since.saturating_add(group.delay),
            deposit: attempt.deposit,
        };
        Group {
            group: standing.number,
            attempt: standing.attempt.map(attempt),
            friends: texts(&group.friends),
            needed: group.needed,
            inheritor: group.inheritor.to_string(),
            delay: group.delay,
            cancel_delay: group.cancel_delay,
            priority: group.priority,
        }
    }
}

impl Show {
    /// Does it.
    pub async fn run(self) -> Result<(), Failure> {
        let account = match &self.account {
            Some(account) => self.key.account(account)?,
            None => self.key.address()?,
        };
        let view = self.node.connect().await?.at_best().await?;
        let groups = standings(&view, &account).await?;
        let recoverable = Recoverable {
            account: account.to_string(),
            inherited_by: view.inheritor(&account).await?.map(|who| who.to_string()),
            groups: groups.into_iter().map(Group::from).collect(),
        };
        print(self.json.json, &recoverable, Recoverable::text)
    }
}

impl Recoverable {
    fn text(&self) -> String {
        let account = &self.account;
        let mut text = match &self.inherited_by {
            Some(inheritor) => format!("{account} was recovered: {inheritor} acts for it\n"),
            None => String::new(),
        };
        if self.groups.is_empty() {
            text +=
                &format!("no friends may have {account} recovered: a lost key is lost for good\n");
        }
        for group in &self.groups {
            text += &group.text();
        }
        text
    }
}

impl Group {
    fn text(&self) -> String {
        let (needed, count) = (self.needed, self.friends.len());
        let mut text = format!(
            "group {}: {needed} of {count} friends, after {} blocks, for {}; priority {}\n",
            self.group,
            thousands(self.delay.into()),
            self.inheritor,
            self.priority
        );
        let approved: &[String] = match &self.attempt {
            Some(attempt) => &attempt.approved_by,
            None => &[],
        };
        for friend in &self.friends {
            let says = match approved.contains(friend) {
                true => "  says that the key is lost",
                false => "",
            };
            text += &format!("  {friend}{says}\n");
        }
        if let Some(attempt) = &self.attempt {
            text += &format!(
                "  begun in block {}; {} of {needed} say so; can be finished from block {} on, and stopped until \
                 somebody does, with `cairn wallet recovery cancel`; {} of {} are held\n",
                attempt.since,
                attempt.approved_by.len(),
                attempt.not_before,
                cost(attempt.deposit),
                attempt.begun_by
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_chain::FriendGroup;

    fn standing(attempt: Option<RecoveryAttempt>) -> Standing {
        Standing {
            number: 1,
            group: FriendGroup {
                friends: [1, 2, 3].map(|byte| AccountId([byte; 32])).to_vec(),
                needed: 2,
                inheritor: AccountId([9; 32]),
                delay: 100,
                priority: 0,
                cancel_delay: 100,
            },
            attempt,
        }
    }

    #[test]
    fn who_said_that_a_key_is_lost_is_shown_and_until_when_it_can_be_stopped() {
        let quiet = Group::from(standing(None)).text();
        assert_eq!(quiet.lines().count(), 4);
        assert!(!quiet.contains("says"), "{quiet}");
        let begun = Group::from(standing(Some(RecoveryAttempt {
            begun_by: AccountId([2; 32]),
            since: 7,
            last_approval: 7,
            approved_by: vec![AccountId([2; 32])],
            deposit: 10,
        })));
        let told = serde_json::to_value(&begun).unwrap();
        assert_eq!(told["attempt"]["not_before"], 107);
        assert_eq!(told["attempt"]["deposit"], "10");
        let text = begun.text();
        assert_eq!(text.matches("says that").count(), 1, "{text}");
        assert!(text.contains("from block 107 on"), "{text}");
    }

    #[test]
    fn an_account_without_friends_is_told_what_that_means() {
        let alone = Recoverable {
            account: "x".into(),
            inherited_by: Some("y".into()),
            groups: Vec::new(),
        };
        let text = alone.text();
        assert!(text.contains("y acts for it") && text.contains("lost for good"));
    }
}
