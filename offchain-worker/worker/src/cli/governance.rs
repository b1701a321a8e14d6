//! `cairn governance`: what is voted on, and how.

use std::path::{Path, PathBuf};

use cairn_chain::{AccountId, Call, Client, Event, Referendum, Rule, Stage, Track};
use cairn_primitives::{blake2_256, Balance, BlockNumber, Netuid, H256};
use clap::{ArgGroup, Args, Subcommand};

use super::{
    args::{numbered, JsonArg, KeyArgs, NodeArgs},
    print,
    receipt::{sent, Sent},
    refusal::Asked,
};
use crate::{
    amount::{cost, crn, parse_crn, thousands},
    error::Failure,
    table::table,
};

/// How many blocks after their session has begun authorities vote anew, where finality was lost: nodes see by then on
/// which chain that is.
const RESTART_AFTER: BlockNumber = 10;
/// The most referenda in one list.
const MOST_LISTED: u32 = 64;

/// `cairn governance …`.
#[derive(Subcommand, Debug)]
pub enum Governance {
    /// List the newest referenda
    #[command(
        visible_alias = "ls",
        after_help = "Examples:\n  cairn governance list\n  cairn governance list --json"
    )]
    List(List),
    /// Show a referendum
    #[command(after_help = "Examples:\n  cairn governance show 3")]
    Show(Show),
    /// Propose a change, as a referendum that others vote on
    #[command(
        after_help = "Examples:\n  cairn governance propose --key savings --rule creation-price-floor=50\n  cairn governance propose --key savings --emits 3\n  cairn governance propose --key savings --upgrade runtime.wasm\n  cairn governance propose --key savings --cancel 3\n\nNobody votes on it before somebody has reserved what its decision takes: cairn governance deposit."
    )]
    Propose(Propose),
    /// Reserve what the decision of a referendum takes; it comes back unless the referendum is killed
    #[command(after_help = "Examples:\n  cairn governance deposit --key savings 3")]
    Deposit(On),
    /// Vote with a part of a balance, which is locked; it can be voted with in other referenda too
    #[command(
        after_help = "Examples:\n  cairn governance vote --key savings --aye 3 1000\n  cairn governance vote --key savings --nay 3 1000 --conviction 3\n\nConviction 0 locks nothing and weighs a tenth; from 1 to 6 it weighs as much, and locks for 7 days and longer."
    )]
    Vote(Vote),
    /// Take a vote back, and unlock what no vote locks any more
    #[command(after_help = "Examples:\n  cairn governance unvote --key savings --track rules 3")]
    Unvote(Unvote),
    /// As a member of the council: move to cancel a referendum
    #[command(after_help = "Examples:\n  cairn governance cancel --key seat 3")]
    Cancel(On),
    /// As a member of the council: move that a new runtime should not wait for the usual delays
    #[command(
        after_help = "Examples:\n  cairn governance endorse --key seat runtime.wasm\n\nOnce the motion is carried out, and for 7 days: cairn governance propose --repair runtime.wasm"
    )]
    Endorse(Endorse),
    /// As a member of the council: be for a motion and, once enough are, carry it out
    #[command(
        after_help = "Examples:\n  cairn governance approve --key seat 0x2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a"
    )]
    Approve(Approve),
}

/// `cairn governance list`.
#[derive(Args, Debug)]
pub struct List {
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

/// `cairn governance show`.
#[derive(Args, Debug)]
pub struct Show {
    /// Its number
    #[arg(value_name = "REFERENDUM")]
    index: u32,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

/// On which referendum, and whose signature.
#[derive(Args, Debug)]
pub struct On {
    /// The referendum's number
    #[arg(value_name = "REFERENDUM")]
    index: u32,
    #[command(flatten)]
    signed: SignedArgs,
}

/// Whose signature, and where.
#[derive(Args, Debug)]
struct SignedArgs {
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

/// `cairn governance propose`.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("what").required(true).args(["rule", "emits", "silences", "upgrade", "repair", "last_final", "ends", "authority", "no_authority", "seats"])))]
pub struct Propose {
    /// Set a rule: creation-price-floor in CRN, creation-price-decay, hyperparameters-rate-limit or scores-rate-limit
    /// in blocks
    #[arg(long, env = "CAIRN_RULE", value_name = "NAME=VALUE", value_parser = parse_rule)]
    rule: Option<Rule>,
    /// Let a subnet's run emit
    #[arg(long, env = "CAIRN_EMITS", value_name = "NETUID", value_parser = numbered::<Netuid>())]
    emits: Option<Netuid>,
    /// Let a subnet's run emit no longer
    #[arg(long, env = "CAIRN_SILENCES", value_name = "NETUID", value_parser = numbered::<Netuid>())]
    silences: Option<Netuid>,
    /// Authorise a new runtime: its file
    #[arg(long, env = "CAIRN_UPGRADE", value_name = "FILE")]
    upgrade: Option<PathBuf>,
    /// Authorise a new runtime soon, which the council has endorsed: its file
    #[arg(long, env = "CAIRN_REPAIR", value_name = "FILE")]
    repair: Option<PathBuf>,
    /// Have finality begin anew, where so many authorities are lost that no block becomes final: the newest block that
    /// is final at all nodes
    #[arg(
        long = "restart-finality",
        env = "CAIRN_RESTART_FINALITY",
        value_name = "BLOCK"
    )]
    last_final: Option<u32>,
    /// Cancel another referendum, or what it will enact
    #[arg(long = "cancel", env = "CAIRN_CANCELS", value_name = "REFERENDUM")]
    ends: Option<u32>,
    /// Let an account make and finalise blocks: an address, or the name of a wallet
    #[arg(
        long = "add-authority",
        env = "CAIRN_ADD_AUTHORITY",
        value_name = "ADDRESS|WALLET"
    )]
    authority: Option<String>,
    /// Let an account make and finalise blocks no longer
    #[arg(
        long = "remove-authority",
        env = "CAIRN_REMOVE_AUTHORITY",
        value_name = "ADDRESS|WALLET"
    )]
    no_authority: Option<String>,
    /// Give the council's seats to these accounts, with commas between
    #[arg(
        long,
        env = "CAIRN_SEATS",
        value_name = "ADDRESS|WALLET",
        value_delimiter = ','
    )]
    seats: Vec<String>,
    #[command(flatten)]
    signed: SignedArgs,
}

/// `cairn governance vote`.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("side").required(true).args(["aye", "nay"])))]
pub struct Vote {
    /// Vote for it
    #[arg(long, env = "CAIRN_AYE")]
    aye: bool,
    /// Vote against it
    #[arg(long, env = "CAIRN_NAY")]
    nay: bool,
    /// The referendum's number
    #[arg(value_name = "REFERENDUM")]
    index: u32,
    /// With how much, in CRN
    #[arg(value_name = "CRN", value_parser = parse_crn)]
    amount: Balance,
    /// How much it weighs and how long it is locked
    #[arg(long, env = "CAIRN_CONVICTION", default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=6))]
    conviction: u8,
    #[command(flatten)]
    signed: SignedArgs,
}

/// `cairn governance unvote`.
#[derive(Args, Debug)]
pub struct Unvote {
    /// The referendum's number
    #[arg(value_name = "REFERENDUM")]
    index: u32,
    /// Its track: emission, rules, council, upgrade, repair, cancel or authorities
    #[arg(long, env = "CAIRN_TRACK", value_name = "TRACK", value_parser = parse_track)]
    track: Track,
    #[command(flatten)]
    signed: SignedArgs,
}

/// `cairn governance endorse`.
#[derive(Args, Debug)]
pub struct Endorse {
    /// The runtime's file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    signed: SignedArgs,
}

/// `cairn governance approve`.
#[derive(Args, Debug)]
pub struct Approve {
    /// The motion's hash, which `cancel` or `endorse` printed
    #[arg(value_name = "MOTION", value_parser = super::args::parse_hash)]
    motion: H256,
    #[command(flatten)]
    signed: SignedArgs,
}

/// A rule from `creation-price-floor=50`.
fn parse_rule(text: &str) -> Result<Rule, String> {
    let (name, value) = text.split_once('=').ok_or("it has no `=`")?;
    let blocks = || -> Result<BlockNumber, String> {
        value
            .parse()
            .map_err(|_| format!("{value} is no number of blocks"))
    };
    Ok(match name {
        "creation-price-floor" => Rule::CreationPriceFloor(parse_crn(value)?),
        "creation-price-decay" => Rule::CreationPriceDecay(blocks()?),
        "hyperparameters-rate-limit" => Rule::HyperparametersRateLimit(blocks()?),
        "scores-rate-limit" => Rule::ScoresRateLimit(blocks()?),
        _ => {
            return Err(format!(
                "there is no rule {name}: creation-price-floor, creation-price-decay, hyperparameters-rate-limit, \
                 scores-rate-limit"
            ))
        }
    })
}

/// The name of a track.
fn track_name(track: Track) -> String {
    format!("{track:?}").to_lowercase()
}

fn parse_track(text: &str) -> Result<Track, String> {
    let found = Track::ALL
        .into_iter()
        .find(|track| track_name(*track) == text);
    found.ok_or_else(|| {
        let names: Vec<_> = Track::ALL.into_iter().map(track_name).collect();
        format!("there is no track {text}: {}", names.join(", "))
    })
}

impl Governance {
    /// Does it.
    pub async fn run(self) -> Result<(), Failure> {
        match self {
            Governance::List(list) => list.run().await,
            Governance::Show(show) => show.run().await,
            Governance::Propose(propose) => propose.run().await,
            Governance::Deposit(on) => on.deposit().await,
            Governance::Vote(vote) => vote.run().await,
            Governance::Unvote(unvote) => unvote.run().await,
            Governance::Cancel(on) => on.cancel().await,
            Governance::Endorse(endorse) => endorse.run().await,
            Governance::Approve(approve) => approve.run().await,
        }
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let client = self.node.connect().await?;
        let view = client.at_best().await?;
        let count = view.referenda().await?;
        let mut seen = Vec::new();
        for index in (count.saturating_sub(MOST_LISTED)..count).rev() {
            seen.extend(view.referendum(index).await?);
        }
        print(self.json.json, &seen, |seen| {
            if seen.is_empty() {
                return "there has been no referendum\n".into();
            }
            let rows: Vec<_> = seen.iter().map(row).collect();
            table(
                &[
                    "referendum",
                    "track",
                    "stage",
                    "block",
                    "ayes",
                    "nays",
                    "support",
                ],
                &rows,
            )
        })
    }
}

/// A line of the list.
fn row(one: &Referendum) -> Vec<String> {
    let track = one.track.map_or_else(|| "-".into(), track_name);
    let amount = |pebble| match one.track {
        Some(_) => crn(pebble, 0),
        None => "-".into(),
    };
    vec![
        one.index.to_string(),
        track,
        stage_name(one.stage).into(),
        one.at.to_string(),
        amount(one.ayes),
        amount(one.nays),
        amount(one.support),
    ]
}

fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Submitted => "submitted",
        Stage::Prepared => "prepared",
        Stage::Deciding => "deciding",
        Stage::Confirming => "confirming",
        Stage::Approved => "approved",
        Stage::Rejected => "rejected",
        Stage::Cancelled => "cancelled",
        Stage::TimedOut => "timed out",
        Stage::Killed => "killed",
    }
}

impl Show {
    async fn run(self) -> Result<(), Failure> {
        let client = self.node.connect().await?;
        let one = found(&client, self.index).await?;
        print(self.json.json, &one, text)
    }
}

/// What is said of a referendum.
fn text(one: &Referendum) -> String {
    let block = thousands(one.at.into());
    let stage = match one.stage {
        Stage::Submitted => format!(
            "submitted at block {block}; nobody votes before its deposit is there: `cairn governance deposit {}`",
            one.index
        ),
        Stage::Prepared => format!("submitted at block {block}; it will be decided"),
        Stage::Deciding => format!("decided since block {block}"),
        Stage::Confirming => format!("ahead; it passes at block {block} if it stays so"),
        ended => format!("{} at block {block}", stage_name(ended)),
    };
    let mut text = format!("referendum {}: {stage}\n", one.index);
    if let Some(track) = one.track {
        let (ayes, nays) = (crn(one.ayes, 0), crn(one.nays, 0));
        text += &format!("  track     {}\n", track_name(track));
        text += &format!("  votes     {ayes} for it, {nays} against it, by what they weigh\n");
        text += &format!("  support   {}\n", cost(one.support));
    }
    if let Some(hash) = one.proposal {
        text += &format!("  proposal  {hash:?}\n");
    }
    if let Some(call) = &one.call {
        text += &format!("  call      0x{}\n", hex::encode(call));
    }
    text
}

/// A referendum that there is.
async fn found(client: &Client, index: u32) -> Result<Referendum, Failure> {
    let found = client.at_best().await?.referendum(index).await?;
    found.ok_or_else(|| {
        Failure::new(
            format!("there is no referendum {index}"),
            "list them with `cairn governance list`",
        )
    })
}

impl Propose {
    async fn run(self) -> Result<(), Failure> {
        let client = self.signed.node.connect().await?;
        let (track, call, what) = self.what(&client).await?;
        let signer = self.signed.key.signer()?;
        let call = Call::propose(track, call);
        let included = Asked::new(&client, &signer).submit(&call).await?;
        let event = included.event("Referenda", "Submitted");
        let index = event.and_then(Event::first::<u32>).ok_or_else(silent)?;
        let done = Sent::new(format!("proposed as referendum {index}: {what}"), None, &included)
            .note(format!(
                "nobody votes on it before its deposit is there: `cairn governance deposit {index} --key WALLET`"
            ));
        sent(self.signed.json.json, done)
    }

    /// On which track, which call, and in words.
    async fn what(&self, client: &Client) -> Result<(Track, Call, String), Failure> {
        if let Some(rule) = self.rule {
            return Ok((Track::Rules, Call::set_rule(rule), format!("{rule:?}")));
        }
        for (netuid, emits) in [(self.emits, true), (self.silences, false)] {
            if let Some(netuid) = netuid {
                let what = if emits { "emits" } else { "emits no longer" };
                let call = Call::set_emitting(netuid, emits);
                return Ok((Track::Emission, call, format!("subnet {netuid} {what}")));
            }
        }
        for (file, track) in [
            (&self.upgrade, Track::Upgrade),
            (&self.repair, Track::Repair),
        ] {
            if let Some(file) = file {
                let hash = hash_of(file)?;
                let call = Call::authorize_upgrade(hash);
                return Ok((track, call, format!("the runtime {hash:?}")));
            }
        }
        if let Some(last) = self.last_final {
            let here = client.finalized().await?.number;
            if last > here {
                return Err(Failure::new(
                    format!("block {last} is not final at this node, which has {here}: behind it the chain would stop"),
                    "give the lowest that `chain_getFinalizedHead` says at any of the authorities' nodes",
                ));
            }
            let set = client.voting_set().await?;
            let call = Call::restart_finality(RESTART_AFTER, last, set);
            return Ok((
                Track::Repair,
                call,
                format!("finality begins anew behind block {last}"),
            ));
        }
        if let Some(index) = self.ends {
            let call = Call::cancel_referendum(index);
            return Ok((Track::Cancel, call, format!("cancel referendum {index}")));
        }
        let read = |name: &String| self.signed.key.account(name);
        if let Some(name) = &self.authority {
            let call = Call::add_authority(&read(name)?);
            return Ok((
                Track::Authorities,
                call,
                format!("{name} becomes an authority"),
            ));
        }
        if let Some(name) = &self.no_authority {
            let call = Call::remove_authority(&read(name)?);
            return Ok((
                Track::Authorities,
                call,
                format!("{name} is no authority any more"),
            ));
        }
        let members: Vec<AccountId> = self.seats.iter().map(read).collect::<Result<_, _>>()?;
        let seats = client.at_best().await?.council().await?.len();
        let seats = u32::try_from(seats).unwrap_or(u32::MAX);
        let call = Call::set_council(&members, seats);
        Ok((
            Track::Council,
            call,
            format!("{} seats in the council", members.len()),
        ))
    }
}

impl On {
    async fn deposit(self) -> Result<(), Failure> {
        let signer = self.signed.key.signer()?;
        let client = self.signed.node.connect().await?;
        let call = Call::place_decision_deposit(self.index);
        let included = Asked::new(&client, &signer).submit(&call).await?;
        let did = format!(
            "reserved what the decision of referendum {} takes",
            self.index
        );
        sent(self.signed.json.json, Sent::new(did, None, &included))
    }

    async fn cancel(self) -> Result<(), Failure> {
        let what = format!("to cancel referendum {}", self.index);
        self.signed
            .moves(Call::cancel_referendum(self.index), &what)
            .await
    }
}

impl Endorse {
    async fn run(self) -> Result<(), Failure> {
        let hash = hash_of(&self.file)?;
        let what = format!("to endorse the runtime {hash:?}");
        self.signed.moves(Call::endorse_upgrade(hash), &what).await
    }
}

impl SignedArgs {
    /// Moves the council to make a call: `what` it is, in words.
    async fn moves(self, call: Call, what: &str) -> Result<(), Failure> {
        let signer = self.key.signer()?;
        let client = self.node.connect().await?;
        let seats = client.at_best().await?.council().await?.len();
        let seats = u32::try_from(seats).unwrap_or(u32::MAX);
        let call = Call::move_council(two_thirds(seats), call);
        let included = Asked::new(&client, &signer).submit(&call).await?;
        let mut done = Sent::new(format!("moved {what}"), None, &included);
        type Fields = ([u8; 32], u32, H256);
        let moved = included
            .event("Council", "Proposed")
            .and_then(Event::first::<Fields>);
        if let Some((.., motion)) = moved {
            done = done.note(format!(
                "{} of {seats} have to be for it: `cairn governance approve {motion:?} --key WALLET`",
                two_thirds(seats)
            ));
        }
        sent(self.json.json, done)
    }
}

/// The hash by which a runtime is named, of its file.
fn hash_of(file: &Path) -> Result<H256, Failure> {
    let code = std::fs::read(file)
        .map_err(|error| Failure::during(format!("cannot read {}", file.display()), error))?;
    Ok(blake2_256(&code))
}

/// How many of the council's seats are two thirds of them, and more than one: a motion of one is carried out at once.
fn two_thirds(seats: u32) -> u32 {
    seats.saturating_mul(2).div_ceil(3).max(1)
}

impl Vote {
    async fn run(self) -> Result<(), Failure> {
        let signer = self.signed.key.signer()?;
        let client = self.signed.node.connect().await?;
        let call = Call::vote(self.index, self.aye, self.conviction, self.amount);
        let asked = Asked {
            amount: Some(self.amount),
            ..Asked::new(&client, &signer)
        };
        let included = asked.submit(&call).await?;
        let side = if self.aye { "for" } else { "against" };
        let did = format!(
            "voted {side} referendum {} with {}",
            self.index,
            cost(self.amount)
        );
        sent(
            self.signed.json.json,
            Sent::new(did, None, &included).amount(self.amount),
        )
    }
}

impl Unvote {
    async fn run(self) -> Result<(), Failure> {
        let signer = self.signed.key.signer()?;
        let client = self.signed.node.connect().await?;
        let call = Call::batch_all(vec![
            Call::remove_vote(self.track, self.index),
            Call::unlock_votes(self.track, &signer.account()),
        ]);
        let included = Asked::new(&client, &signer).submit(&call).await?;
        let did = format!("took the vote on referendum {} back", self.index);
        sent(self.signed.json.json, Sent::new(did, None, &included))
    }
}

impl Approve {
    async fn run(self) -> Result<(), Failure> {
        let signer = self.signed.key.signer()?;
        let client = self.signed.node.connect().await?;
        let motion = client.at_best().await?.motion(self.motion).await?;
        let motion = motion.ok_or_else(|| {
            Failure::new(
                format!("there is no motion {:?}", self.motion),
                "it is over, or its hash is another: `cancel` or `endorse` printed it",
            )
        })?;
        let for_it = u32::try_from(motion.ayes.len()).unwrap_or(u32::MAX);
        let is_carried = for_it >= motion.threshold;
        let call = match is_carried {
            true => Call::close_motion(self.motion, motion.index),
            false => Call::vote_in_council(self.motion, motion.index, true),
        };
        let included = Asked::new(&client, &signer).submit(&call).await?;
        let done = match is_carried {
            true => Sent::new("carried the motion out".into(), None, &included),
            false => Sent::new("is for the motion".into(), None, &included)
                .note("once enough are, the same command carries it out".into()),
        };
        sent(self.signed.json.json, done)
    }
}

/// The node executed a transaction and said nothing of what came of it.
fn silent() -> Failure {
    Failure::new(
        "it is done, but the node did not say what came of it",
        "look with `cairn governance list`, and use a worker and a node of the same release",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_primitives::CRN;

    #[test]
    fn rules_are_read_by_their_names() {
        let read = parse_rule("creation-price-floor=0.5");
        assert_eq!(read, Ok(Rule::CreationPriceFloor(CRN / 2)));
        assert_eq!(
            parse_rule("scores-rate-limit=20"),
            Ok(Rule::ScoresRateLimit(20))
        );
        for wrong in [
            "scores-rate-limit",
            "scores-rate-limit=-1",
            "cap=5",
            "=",
            "",
        ] {
            assert!(parse_rule(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn tracks_are_read_by_their_names() {
        for track in Track::ALL {
            assert_eq!(parse_track(&track_name(track)), Ok(track));
        }
        let error = parse_track("root").unwrap_err();
        assert!(error.contains("emission, rules"), "{error}");
    }

    #[test]
    fn two_thirds_are_never_less() {
        let thirds = [(1, 1), (2, 2), (3, 2), (4, 3), (12, 8)];
        for (seats, least) in thirds {
            assert_eq!(two_thirds(seats), least);
        }
    }

    #[test]
    fn a_referendum_says_what_it_waits_for() {
        let mut one = Referendum {
            index: 3,
            stage: Stage::Submitted,
            at: 1_234,
            track: Some(Track::Rules),
            proposal: Some(H256([7; 32])),
            call: Some(vec![25, 0]),
            ayes: 2 * CRN,
            nays: 0,
            support: CRN,
        };
        let said = text(&one);
        assert!(
            said.contains("cairn governance deposit 3") && said.contains("0x1900"),
            "{said}"
        );
        one.stage = Stage::Confirming;
        assert!(text(&one).contains("passes at block 1,234"));
        (one.stage, one.track) = (Stage::Killed, None);
        assert!(text(&one).starts_with("referendum 3: killed at block 1,234"));
        assert_eq!(row(&one)[1..3], ["-".to_string(), "killed".into()]);
    }
}
