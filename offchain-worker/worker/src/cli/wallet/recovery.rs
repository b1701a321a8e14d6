//! An account whose key is lost: `cairn wallet recovery`.

use cairn_chain::{AccountId, Call, Client, FriendGroup, RecoveryAttempt, View};
use cairn_primitives::{Balance, BlockNumber};
use cairn_protocol::limits::{LEAST_RECOVERY_DELAY, MOST_RECOVERY_DELAY};
use clap::{Args, Subcommand};

use super::recovered::Show;
use crate::{
    amount::{cost, thousands},
    cli::{
        args::{JsonArg, KeyArgs, NodeArgs},
        receipt::{sent, when, Sent},
        refusal::Asked,
        signer::Signer,
    },
    error::Failure,
};

/// `cairn wallet recovery …`.
#[derive(Subcommand, Debug)]
pub enum Recovery {
    /// Name friends who together may have the account that signs recovered
    #[command(
        after_help = "Examples:\n  cairn wallet recovery add --key savings --friends ann,bob,carol --needed 2 --inheritor new\n  cairn wallet recovery add --key savings --friends ann,bob --needed 2 --inheritor new --delay 432000 --priority 1\n\nIf the key is lost, they say so (`begin`, `approve`), and after the delay `new` acts for the account with --recovered.\nUntil then whoever has the key stops it (`cancel`, `slash`). It helps against a loss, not against a theft: a thief stops it, too.\nOther groups of friends that were named stay."
    )]
    Add(Add),
    /// Let a group of friends recover the account that signs no longer
    #[command(after_help = "Examples:\n  cairn wallet recovery remove --key savings --group 1")]
    Remove(OfGroup),
    /// Show the friends of an account, what they have begun, and who inherited it
    #[command(
        visible_alias = "ls",
        after_help = "Examples:\n  cairn wallet recovery show savings\n  cairn wallet recovery show savings --json"
    )]
    Show(Show),
    /// Say, as the first of its friends, that the key of an account is lost
    #[command(
        after_help = "Examples:\n  cairn wallet recovery begin --key ann 5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY\n\nA deposit is held until it is over. The owner can burn it, if the key is not lost."
    )]
    Begin(Step),
    /// Say, as another of its friends, that the key of an account is lost
    #[command(
        after_help = "Examples:\n  cairn wallet recovery approve --key bob 5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
    )]
    Approve(Step),
    /// Give an account to its inheritor, once enough friends have said that its key is lost and the delay is over
    #[command(
        after_help = "Examples:\n  cairn wallet recovery finish --key new 5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY\n  cairn wallet send --key new --recovered 5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY --to new all    what the inheritor does then\n\nAnybody can do it. A small deposit is held while the account is recovered."
    )]
    Finish(Step),
    /// Stop a recovery: of the account that signs, or after a delay one that the account has begun
    #[command(
        after_help = "Examples:\n  cairn wallet recovery cancel --key savings\n  cairn wallet recovery cancel --key ann 5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY\n\nThe deposit goes back to who began."
    )]
    Cancel(Cancel),
    /// Stop a recovery of the account that signs, and burn the deposit of who began
    #[command(after_help = "Examples:\n  cairn wallet recovery slash --key savings")]
    Slash(OfGroup),
    /// Take the account that signs back from who inherited it
    #[command(after_help = "Examples:\n  cairn wallet recovery revoke --key savings")]
    Revoke(Revoke),
}

/// Which friends.
#[derive(Args, Clone, Copy, Debug)]
struct GroupArg {
    /// Number of the group of friends, as `cairn wallet recovery show` has it
    #[arg(long, env = "CAIRN_GROUP", default_value_t = 0, value_name = "NUMBER")]
    group: u32,
}

/// `cairn wallet recovery add`.
#[derive(Args, Debug)]
pub struct Add {
    /// The friends: addresses, or names of wallets
    #[arg(
        long,
        env = "CAIRN_FRIENDS",
        value_name = "ACCOUNT,…",
        value_delimiter = ',',
        required = true
    )]
    friends: Vec<String>,
    /// How many of them have to say that the key is lost
    #[arg(long, env = "CAIRN_NEEDED", value_name = "NUMBER")]
    needed: u32,
    /// Who acts for the account then: an address, or the name of a wallet
    #[arg(long, env = "CAIRN_INHERITOR", value_name = "ADDRESS|WALLET")]
    inheritor: String,
    /// Blocks from the first who says so to that: two weeks of blocks of six seconds, unless it is said
    #[arg(
        long,
        env = "CAIRN_DELAY",
        default_value_t = 201_600,
        value_name = "BLOCKS"
    )]
    delay: BlockNumber,
    /// A group with a lower number may take the account from the inheritor of one with a higher number
    #[arg(
        long,
        env = "CAIRN_PRIORITY",
        default_value_t = 0,
        value_name = "NUMBER"
    )]
    priority: u32,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

/// `cairn wallet recovery remove` and `slash`.
#[derive(Args, Debug)]
pub struct OfGroup {
    #[command(flatten)]
    group: GroupArg,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

/// `cairn wallet recovery begin`, `approve` and `finish`.
#[derive(Args, Debug)]
pub struct Step {
    /// The account whose key is lost: an address, or the name of a wallet
    #[arg(value_name = "ADDRESS|WALLET")]
    account: String,
    #[command(flatten)]
    of: OfGroup,
}

/// `cairn wallet recovery cancel`.
#[derive(Args, Debug)]
pub struct Cancel {
    /// The account whose key was said to be lost: an address, or the name of a wallet [default: the one that signs]
    #[arg(value_name = "ADDRESS|WALLET")]
    account: Option<String>,
    #[command(flatten)]
    of: OfGroup,
}

/// `cairn wallet recovery revoke`.
#[derive(Args, Debug)]
pub struct Revoke {
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

impl Recovery {
    /// Does it.
    pub async fn run(self) -> Result<(), Failure> {
        match self {
            Recovery::Add(add) => add.run().await,
            Recovery::Remove(of) => of.remove().await,
            Recovery::Show(show) => show.run().await,
            Recovery::Begin(step) => step.begin().await,
            Recovery::Approve(step) => step.approve().await,
            Recovery::Finish(step) => step.finish().await,
            Recovery::Cancel(cancel) => cancel.run().await,
            Recovery::Slash(of) => of.slash().await,
            Recovery::Revoke(revoke) => revoke.run().await,
        }
    }
}

/// A group of an account's friends, and what they have begun.
pub struct Standing {
    /// The group's number.
    pub number: u32,
    /// The friends.
    pub group: FriendGroup,
    /// What they have begun.
    pub attempt: Option<RecoveryAttempt>,
}

/// The groups of an account's friends, and what they have begun.
///
/// # Errors
/// Those of the connection.
pub async fn standings(view: &View, account: &AccountId) -> Result<Vec<Standing>, Failure> {
    let groups = view.friend_groups(account).await?;
    let mut all = Vec::new();
    for (number, group) in (0..).zip(groups) {
        let attempt = view.recovery_attempt(account, number, &group).await?;
        all.push(Standing {
            number,
            group,
            attempt,
        });
    }
    Ok(all)
}

/// The group of this number.
async fn standing(view: &View, account: &AccountId, number: u32) -> Result<Standing, Failure> {
    let all = standings(view, account).await?;
    let found = all.into_iter().find(|one| one.number == number);
    found.ok_or_else(|| {
        Failure::new(
            format!("{account} has named no group {number} of friends who may have it recovered"),
            "`cairn wallet recovery show` lists those that it has named",
        )
    })
}

impl Standing {
    /// What they have begun.
    fn begun(&self, account: &AccountId) -> Result<&RecoveryAttempt, Failure> {
        self.attempt.as_ref().ok_or_else(|| {
            Failure::new(
                format!("no friend of {account} says that its key is lost"),
                "the first says so with `cairn wallet recovery begin`",
            )
        })
    }

    /// The first block in which the account can be recovered, and the first in which who began can take it back.
    fn times(&self, attempt: &RecoveryAttempt) -> (BlockNumber, BlockNumber) {
        let FriendGroup {
            delay,
            cancel_delay,
            ..
        } = self.group;
        (
            attempt.since.saturating_add(delay),
            attempt.last_approval.saturating_add(cancel_delay),
        )
    }

    fn ensure_friend(&self, account: &AccountId, own: &AccountId) -> Result<(), Failure> {
        if self.group.friends.contains(own) {
            return Ok(());
        }
        Err(Failure::new(
            format!(
                "{own} is none of the friends of {account} in its group {}",
                self.number
            ),
            "`cairn wallet recovery show` lists them; --group names another group",
        ))
    }
}

/// Makes sure that no friend says that the key is lost: as long as one does, the groups stay as they are.
fn ensure_at_rest(account: &AccountId, all: &[Standing]) -> Result<(), Failure> {
    match all.iter().find(|one| one.attempt.is_some()) {
        None => Ok(()),
        Some(one) => Err(Failure::new(
            format!(
                "friends in group {} say that the key of {account} is lost, and as long as they do nothing changes",
                one.number
            ),
            "if it is not, stop them first with `cairn wallet recovery cancel` or `slash`",
        )),
    }
}

/// What is wrong with a group that an account would name.
fn fault(
    own: &AccountId,
    group: &FriendGroup,
    most: u32,
    least_delay: BlockNumber,
) -> Option<Failure> {
    let count = group.friends.len();
    let twice = group
        .friends
        .windows(2)
        .find(|two| two.first() == two.last());
    let failure = |what: String, remedy: &str| Some(Failure::new(what, remedy));
    if let Some(friend) = twice.and_then(<[AccountId]>::first) {
        return failure(format!("{friend} is named twice"), "name each friend once");
    }
    if group.friends.contains(own) || group.inheritor == *own {
        return failure(
            format!("{own} would have itself recovered"),
            "name other accounts: its key may be lost",
        );
    }
    if usize::try_from(most).is_ok_and(|most| count > most) {
        return failure(
            format!("{count} friends are named, and a group has {most} at most"),
            "name fewer, or several groups",
        );
    }
    let needed = usize::try_from(group.needed).unwrap_or(usize::MAX);
    if needed == 0 || needed > count {
        return failure(
            format!("{needed} of {count} friends cannot be needed"),
            "need one at least, and no more than there are",
        );
    }
    if !(least_delay..=MOST_RECOVERY_DELAY).contains(&group.delay) {
        let (least, most) = (least_delay.into(), MOST_RECOVERY_DELAY.into());
        return failure(
            format!(
                "a delay of {} blocks is too short to object, or too long",
                thousands(group.delay.into())
            ),
            &format!(
                "this chain takes {} to {} blocks",
                thousands(least),
                thousands(most)
            ),
        );
    }
    None
}

impl Add {
    async fn run(self) -> Result<(), Failure> {
        let signer = self.key.signer()?;
        let own = signer.account();
        let friends = self
            .friends
            .iter()
            .map(|friend| self.key.account(friend.trim()));
        let mut friends = friends.collect::<Result<Vec<_>, _>>()?;
        friends.sort();
        let group = FriendGroup {
            friends,
            needed: self.needed,
            inheritor: self.key.account(&self.inheritor)?,
            delay: self.delay,
            priority: self.priority,
            // So that who began can neither take the deposit out of the owner's reach nor drop what others have yet to
            // finish.
            cancel_delay: self.delay.saturating_mul(2).min(MOST_RECOVERY_DELAY),
        };
        let client = self.node.connect().await?;
        let view = client.at_best().await?;
        let most: u32 = client.constant("Recovery", "MaxFriendsPerConfig").await?;
        let least = LEAST_RECOVERY_DELAY.checked_div(view.hurry().await?);
        if let Some(fault) = fault(&own, &group, most, least.unwrap_or_default().max(1)) {
            return Err(fault);
        }
        let all = standings(&view, &own).await?;
        ensure_at_rest(&own, &all)?;
        let number = all.len();
        if number == FriendGroup::MOST {
            return Err(Failure::new(
                format!("{own} has named {number} groups of friends, and no account has more"),
                "remove one with `cairn wallet recovery remove`",
            ));
        }
        let (needed, count, inheritor) = (group.needed, group.friends.len(), group.inheritor);
        let mut groups: Vec<FriendGroup> = all.into_iter().map(|one| one.group).collect();
        groups.push(group);
        let call = Call::set_friend_groups(&groups);
        let included = Asked::new(&client, &signer).submit(&call).await?;
        let did = format!(
            "{needed} of {count} friends, group {number}, may have {own} recovered for {inheritor}"
        );
        let delay = thousands(self.delay.into());
        let done = Sent::new(did, None, &included).note(format!(
            "for {delay} blocks after the first of them says that the key is lost, {own} can stop it: look once in that time"
        ));
        sent(self.json.json, done)
    }
}

impl OfGroup {
    async fn remove(self) -> Result<(), Failure> {
        let signer = self.key.signer()?;
        let (own, number) = (signer.account(), self.group.group);
        let client = self.node.connect().await?;
        let view = client.at_best().await?;
        standing(&view, &own, number).await?;
        let all = standings(&view, &own).await?;
        ensure_at_rest(&own, &all)?;
        let left = all.into_iter().filter(|one| one.number != number);
        let left: Vec<FriendGroup> = left.map(|one| one.group).collect();
        let call = Call::set_friend_groups(&left);
        let included = Asked::new(&client, &signer).submit(&call).await?;
        let did = format!("group {number} of friends may have {own} recovered no longer");
        let done = Sent::new(did, None, &included);
        let done = match left.len() {
            0 => done.note("no friends are left: a lost key is lost for good".into()),
            _ => done.note("groups that come after it have a number less now".into()),
        };
        sent(self.json.json, done)
    }

    async fn slash(self) -> Result<(), Failure> {
        let signer = self.key.signer()?;
        let (own, number) = (signer.account(), self.group.group);
        let client = self.node.connect().await?;
        let view = client.at_best().await?;
        let standing = standing(&view, &own, number).await?;
        let attempt = standing.begun(&own)?;
        let call = Call::slash_recovery(number);
        let included = Asked::new(&client, &signer).submit(&call).await?;
        let did = format!(
            "{own} is recovered by nobody, and {} of {} were burned",
            cost(attempt.deposit),
            attempt.begun_by
        );
        sent(self.json.json, Sent::new(did, None, &included))
    }
}

/// What a friend, or somebody else, does about a lost account.
struct Doing {
    lost: AccountId,
    signer: Signer,
    client: Client,
    now: BlockNumber,
    standing: Standing,
}

impl Step {
    async fn doing(&self) -> Result<Doing, Failure> {
        let lost = self.of.key.account(&self.account)?;
        let signer = self.of.key.signer()?;
        let client = self.of.node.connect().await?;
        let now = client.best().await?.number;
        let view = client.at_best().await?;
        let standing = standing(&view, &lost, self.of.group.group).await?;
        Ok(Doing {
            lost,
            signer,
            client,
            now,
            standing,
        })
    }

    async fn begin(self) -> Result<(), Failure> {
        let doing = self.doing().await?;
        let (lost, standing) = (&doing.lost, &doing.standing);
        standing.ensure_friend(lost, &doing.signer.account())?;
        if let Some(attempt) = &standing.attempt {
            return Err(Failure::new(
                format!("{} has begun to recover {lost} already", attempt.begun_by),
                "say so, too, with `cairn wallet recovery approve`",
            ));
        }
        let held: Balance = doing.client.constant("Recovery", "SecurityDeposit").await?;
        let call = Call::begin_recovery(lost, standing.number);
        let asked = Asked::new(&doing.client, &doing.signer);
        let included = asked.submit(&call).await?;
        let begun = included.block.number;
        let from = begun.saturating_add(standing.group.delay);
        let from = when(&doing.client, from, begun).await;
        let needed = standing.group.needed;
        let done = Sent::new(
            format!("said that the key of {lost} is lost"),
            None,
            &included,
        )
        .note(format!(
            "1 of {needed} friends says so now; it can be finished from {from}"
        ))
        .note(format!("{} are held until it is over", cost(held)));
        sent(self.of.json.json, done)
    }

    async fn approve(self) -> Result<(), Failure> {
        let doing = self.doing().await?;
        let (lost, standing) = (&doing.lost, &doing.standing);
        let own = doing.signer.account();
        standing.ensure_friend(lost, &own)?;
        let attempt = standing.begun(lost)?;
        let (said, needed) = (attempt.approved_by.len(), standing.group.needed);
        let enough = usize::try_from(needed).is_ok_and(|needed| said >= needed);
        if enough || attempt.approved_by.contains(&own) {
            let who = if enough {
                "enough friends"
            } else {
                "this friend"
            };
            return Err(Failure::new(
                format!("{who} said already that the key of {lost} is lost, {said} of {needed}"),
                "`cairn wallet recovery show` says from when on it can be finished",
            ));
        }
        let call = Call::approve_recovery(lost, standing.number);
        let asked = Asked::new(&doing.client, &doing.signer);
        let included = asked.submit(&call).await?;
        let (from, _) = standing.times(attempt);
        let from = when(&doing.client, from, included.block.number).await;
        let said = said.saturating_add(1);
        let done = Sent::new(
            format!("said that the key of {lost} is lost"),
            None,
            &included,
        )
        .note(format!(
            "{said} of {needed} friends say so now; it can be finished from {from}"
        ));
        sent(self.of.json.json, done)
    }

    async fn finish(self) -> Result<(), Failure> {
        let doing = self.doing().await?;
        let (lost, standing) = (&doing.lost, &doing.standing);
        let attempt = standing.begun(lost)?;
        let (said, needed) = (attempt.approved_by.len(), standing.group.needed);
        if usize::try_from(needed).is_ok_and(|needed| said < needed) {
            return Err(Failure::new(
                format!("{said} of {needed} friends say that the key of {lost} is lost"),
                "the others say so with `cairn wallet recovery approve`",
            ));
        }
        let (from, _) = standing.times(attempt);
        // It can be in the next block at the earliest.
        if doing.now.saturating_add(1) < from {
            return Err(Failure::new(
                format!("whoever has the key of {lost} can still object"),
                format!(
                    "finish it from {}",
                    when(&doing.client, from, doing.now).await
                ),
            ));
        }
        let call = Call::finish_recovery(lost, standing.number);
        let asked = Asked::new(&doing.client, &doing.signer);
        let included = asked.submit(&call).await?;
        if included.event("Recovery", "AttemptFinished").is_none() {
            return Err(Failure::new(
                format!("{lost} was recovered before, by a group of friends that comes first"),
                "`cairn wallet recovery show` says who inherited it",
            ));
        }
        let inheritor = standing.group.inheritor;
        let done = Sent::new(format!("{inheritor} acts for {lost} now"), None, &included).note(
            format!("with --recovered {lost}, every command that sends one transaction does"),
        );
        sent(self.of.json.json, done)
    }
}

impl Cancel {
    async fn run(self) -> Result<(), Failure> {
        let signer = self.of.key.signer()?;
        let own = signer.account();
        let lost = match &self.account {
            Some(account) => self.of.key.account(account)?,
            None => own,
        };
        let number = self.of.group.group;
        let client = self.of.node.connect().await?;
        let now = client.best().await?.number;
        let view = client.at_best().await?;
        let standing = standing(&view, &lost, number).await?;
        let attempt = standing.begun(&lost)?;
        if own != lost && own != attempt.begun_by {
            return Err(Failure::new(
                format!(
                    "{} began to recover {lost}, and {own} signed",
                    attempt.begun_by
                ),
                "sign with that key, or with that of the account itself",
            ));
        }
        let (_, from) = standing.times(attempt);
        if own != lost && now.saturating_add(1) < from {
            return Err(Failure::new(
                format!("{lost} can still burn what is held for it"),
                format!("take it back from {}", when(&client, from, now).await),
            ));
        }
        let call = Call::cancel_recovery(&lost, number);
        let included = Asked::new(&client, &signer).submit(&call).await?;
        let did = format!("{lost} is recovered by nobody");
        let done = Sent::new(did, None, &included).note(format!(
            "{} went back to {}",
            cost(attempt.deposit),
            attempt.begun_by
        ));
        sent(self.of.json.json, done)
    }
}

impl Revoke {
    async fn run(self) -> Result<(), Failure> {
        let signer = self.key.signer()?;
        let own = signer.account();
        let client = self.node.connect().await?;
        let inheritor = client.at_best().await?.inheritor(&own).await?;
        let inheritor = inheritor.ok_or_else(|| {
            Failure::new(
                format!("{own} was not recovered"),
                "there is nothing to take back",
            )
        })?;
        let call = Call::revoke_inheritor();
        let included = Asked::new(&client, &signer).submit(&call).await?;
        let did = format!("{inheritor} acts for {own} no longer");
        sent(self.json.json, Sent::new(did, None, &included))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(byte: u8) -> AccountId {
        AccountId([byte; 32])
    }

    fn group(friends: &[u8], needed: u32, delay: BlockNumber) -> FriendGroup {
        FriendGroup {
            friends: friends.iter().map(|byte| account(*byte)).collect(),
            needed,
            inheritor: account(9),
            delay,
            priority: 0,
            cancel_delay: delay,
        }
    }

    #[test]
    fn groups_that_the_chain_would_refuse_are_refused_with_a_reason() {
        let said = |group: FriendGroup| fault(&account(5), &group, 3, 2).map(|it| it.to_string());
        assert_eq!(said(group(&[1, 2, 3], 2, 2)), None);
        assert_eq!(said(group(&[1], 1, MOST_RECOVERY_DELAY)), None);
        for (wrong, word) in [
            (group(&[1, 1, 2], 2, 2), "twice"),
            (group(&[1, 5], 2, 2), "itself"),
            (group(&[1, 2, 3, 4], 2, 2), "3 at most"),
            (group(&[1, 2], 0, 2), "0 of 2"),
            (group(&[1, 2], 3, 2), "3 of 2"),
            (group(&[1, 2], 2, 1), "too short"),
            (group(&[1, 2], 2, MOST_RECOVERY_DELAY + 1), "too long"),
        ] {
            let said = said(wrong).expect(word);
            assert!(said.contains(word), "{said}");
        }
        let own = FriendGroup {
            inheritor: account(5),
            ..group(&[1, 2], 2, 2)
        };
        assert!(said(own).is_some_and(|said| said.contains("itself")));
    }

    #[test]
    fn times_count_from_the_first_and_from_the_last_word() {
        let standing = Standing {
            number: 0,
            group: group(&[1, 2], 2, 100),
            attempt: None,
        };
        let attempt = RecoveryAttempt {
            begun_by: account(1),
            since: 7,
            last_approval: 50,
            approved_by: vec![account(1)],
            deposit: 1,
        };
        assert_eq!(standing.times(&attempt), (107, 150));
        assert!(standing.begun(&account(5)).is_err());
        assert!(standing.ensure_friend(&account(5), &account(2)).is_ok());
        assert!(standing.ensure_friend(&account(5), &account(9)).is_err());
        let begun = Standing {
            attempt: Some(attempt),
            ..standing
        };
        assert!(ensure_at_rest(&account(5), &[begun]).is_err());
        assert!(ensure_at_rest(&account(5), &[]).is_ok());
    }
}
