//! What validators measured, demanded by anybody: the chain has the root of what each committed to with its scores, and
//! its endpoints serve the file.

use std::{
    cmp::Reverse,
    time::{Duration, Instant},
};

use cairn_chain::{AccountId, ChainError, MemberEndpoints, MemberInfo, ValidatorScores, View};
use cairn_primitives::{api::EvidenceCommit, EpochIndex, Netuid, Round, RunConfig, Text, Uid};
use cairn_protocol::limits::{EVIDENCE_BYTES, PREMIUM_ROUNDS};
use cairn_round::scoring::{Difference, EvidenceFile};
use cairn_store::{paths, Blob, Store};
use clap::Args;
use futures::{stream, StreamExt};
use serde::Serialize;

use super::{
    evidence::{account, By, Explained},
    reach::AskArgs,
};
use crate::{error::Failure, roles::sources::Visitor};

/// How long a validator's file may take.
const DEADLINE: Duration = Duration::from_secs(20);
/// How long after the first others are still begun with: who does not answer holds up the rest.
const PATIENCE: Duration = Duration::from_secs(100);
/// Validators that are asked at a time.
const AT_ONCE: usize = 8;

/// Whom evidence is demanded of, beside the endpoints that validators name.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Where evidence is")]
pub struct DemandArgs {
    /// A store that validators share; it is asked beside the endpoints that the chain names
    #[arg(long, env = "CAIRN_STORE", value_name = "URL")]
    store: Option<String>,
    #[command(flatten)]
    ask: AskArgs,
}

/// A validator, as a person names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// By its number.
    Uid(Uid),
    /// By its key.
    Hotkey(AccountId),
}

/// Reads a validator's number or address.
pub fn a_validator(text: &str) -> Result<Whom, String> {
    match text.parse::<u16>() {
        Ok(uid) => Ok(Whom::Uid(Uid(uid))),
        Err(_) => text
            .parse()
            .map(Whom::Hotkey)
            .map_err(|_| "write a validator's number, or the address of its hotkey".into()),
    }
}

/// What is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// The miner.
    pub uid: Uid,
    /// The newest round that the score looks at, if not all.
    pub round: Option<Round>,
    /// Of whom, if not of all.
    pub whom: Option<Whom>,
}

/// What the chain says.
pub struct OnChain {
    /// The subnet.
    pub netuid: Netuid,
    /// The scores that count now.
    pub scores: Vec<ValidatorScores>,
    /// The members.
    pub members: Vec<MemberInfo>,
    /// Where their files can be had.
    pub endpoints: Vec<MemberEndpoints>,
}

/// What a validator said to the demand.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Demanded {
    /// Its number.
    pub validator: Uid,
    /// Its key.
    pub hotkey: AccountId,
    /// The epoch before which it committed to the evidence.
    pub epoch: EpochIndex,
    /// What came.
    #[serde(flatten)]
    pub answer: Answer,
}

/// What came of a demand.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The file to which it committed.
    Evidence {
        /// How the score came about by it; none if it says nothing of the miner.
        explained: Option<Box<Explained>>,
        /// The newest round that it looks at.
        newest: Round,
        /// Where the scores that it revealed are not what follows.
        differences: Vec<Difference>,
    },
    /// Nothing that could be that file.
    Nothing {
        /// Why.
        why: String,
    },
}

impl OnChain {
    /// As of one block.
    ///
    /// # Errors
    /// What the node says.
    pub async fn read(view: &View, netuid: Netuid) -> Result<OnChain, Failure> {
        let scores = match view.scores(netuid).await {
            // An older runtime keeps no evidence.
            Err(ChainError::UnknownFunction { .. }) => Vec::new(),
            scores => scores?,
        };
        Ok(OnChain {
            netuid,
            scores,
            members: view.members(netuid).await?,
            endpoints: view.endpoints(netuid).await?,
        })
    }

    /// The rows of those that are asked, each with what was committed to; those that counted most in the last epoch
    /// first.
    fn asked(&self, whom: Option<Whom>) -> Vec<(&ValidatorScores, EvidenceCommit)> {
        let is_asked = |one: &&ValidatorScores| match whom {
            None => true,
            Some(Whom::Uid(uid)) => one.uid == uid,
            Some(Whom::Hotkey(hotkey)) => one.hotkey == hotkey,
        };
        let asked = self.scores.iter().filter(is_asked);
        let mut asked: Vec<_> = asked.filter_map(|one| Some((one, one.evidence?))).collect();
        asked.sort_by_key(|(one, _)| Reverse(self.dividends_of(one.uid)));
        asked
    }

    fn dividends_of(&self, uid: Uid) -> u16 {
        let mut members = self.members.iter();
        let member = members.find(|member| member.uid == uid);
        member.map_or(0, |member| member.dividends)
    }

    fn endpoints_of(&self, uid: Uid) -> &[Text] {
        let mut named = self.endpoints.iter();
        named
            .find(|one| one.uid == uid)
            .map_or(&[], |one| one.endpoints.as_slice())
    }
}

impl DemandArgs {
    /// Demands the evidence of all who are asked, ascending by uid.
    ///
    /// # Errors
    /// If the store that was named is none.
    pub async fn demand(
        &self,
        chain: &OnChain,
        config: &RunConfig,
        question: Question,
    ) -> Result<Vec<Demanded>, Failure> {
        let own = self.store.as_deref().map(Store::open).transpose()?;
        let asked = chain.asked(question.whom);
        let endpoints = asked.iter();
        let endpoints: Vec<&Text> = endpoints
            .flat_map(|(one, _)| chain.endpoints_of(one.uid))
            .collect();
        let (named, store) = (endpoints.iter().copied(), self.store.as_deref());
        let (relays, _) = self.ask.relays(named, Some(config), store).await;
        let whose = (self.ask.origin(), relays);
        let visitor = Visitor::new(endpoints, own, whose, DEADLINE).await;
        let answers = demand(chain, &visitor, question).await;
        visitor.close().await;
        Ok(answers)
    }
}

/// The same as this visitor.
pub async fn demand(chain: &OnChain, visitor: &Visitor, question: Question) -> Vec<Demanded> {
    let (asked, began) = (chain.asked(question.whom).into_iter(), Instant::now());
    let demands = asked.map(|(one, told)| async move {
        let file = match began.elapsed() < PATIENCE {
            true => evidence(chain, visitor, (one, told)).await,
            false => Err(
                "others took too long: ask it alone by `cairn validate explain --validator`".into(),
            ),
        };
        let answer = match file {
            Ok(file) => answer(chain, one, &file, question),
            Err(why) => Answer::Nothing { why },
        };
        Demanded {
            validator: one.uid,
            hotkey: one.hotkey,
            epoch: told.epoch,
            answer,
        }
    });
    let demands: Vec<_> = demands.collect();
    let mut answers: Vec<Demanded> = stream::iter(demands)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    answers.sort_by_key(|one| one.validator);
    answers
}

/// The file to which a validator committed.
async fn evidence(
    chain: &OnChain,
    visitor: &Visitor,
    (one, told): (&ValidatorScores, EvidenceCommit),
) -> Result<EvidenceFile, String> {
    if told.file.length == 0 {
        return Err("it committed to scores without evidence".into());
    }
    if told.file.length > EVIDENCE_BYTES {
        return Err("it committed to more bytes than evidence can have".into());
    }
    let prefix = paths::evidence(chain.netuid.get(), told.epoch);
    let blob = Blob::new(&prefix, told.file.root.0, told.file.length);
    let bytes = visitor.bring(&blob, chain.endpoints_of(one.uid)).await?;
    let file = EvidenceFile::from_bytes(&bytes).map_err(|fault| fault.to_string())?;
    if (file.netuid, file.epoch) != (chain.netuid, told.epoch) {
        return Err("what it serves is of another epoch, or of another subnet".into());
    }
    match file.hotkey == one.hotkey.hotkey() {
        true => Ok(file),
        // The chain keeps the scores of who swaps its hotkey.
        false => Err("what it serves is another's, or it has another hotkey since".into()),
    }
}

/// What a file says of a miner, and whether the scores follow from it.
fn answer(
    chain: &OnChain,
    one: &ValidatorScores,
    file: &EvidenceFile,
    question: Question,
) -> Answer {
    let (round, uid) = (question.round, question.uid);
    let by = By::Served {
        validator: one.uid,
        epoch: file.epoch,
    };
    let until = round.unwrap_or(file.round);
    let evidence = file.evidence().iter().filter(|item| item.round <= until);
    let evidence: Vec<_> = evidence.cloned().collect();
    // A uid can have passed to somebody else.
    let mut members = chain.members.iter();
    let member = members.find(|member| member.uid == uid);
    let miner = (uid, member.map(|member| member.hotkey.hotkey()));
    let explained = match until <= file.round {
        true => account(by, &evidence, Some(until), miner),
        false => None,
    };
    // Whoever came later may rightly be missing, and who was there before may not.
    let were_there = chain.members.iter();
    let were_there = were_there.filter(|member| member.registered_at < one.set_at);
    let were_there: Vec<_> = were_there
        .map(|member| (member.uid, member.hotkey.hotkey()))
        .collect();
    Answer::Evidence {
        explained: explained.map(Box::new),
        newest: file.round,
        differences: file.differences(&one.scores, &were_there),
    }
}

impl Demanded {
    /// Whether the file came.
    pub fn has_come(&self) -> bool {
        matches!(self.answer, Answer::Evidence { .. })
    }

    /// How the score came about by it.
    pub fn explained(&self) -> Option<&Explained> {
        match &self.answer {
            Answer::Evidence { explained, .. } => explained.as_deref(),
            Answer::Nothing { .. } => None,
        }
    }

    /// For people.
    pub fn text(&self, uid: Uid) -> String {
        let (validator, epoch) = (self.validator, self.epoch);
        match &self.answer {
            Answer::Nothing { why } => {
                format!("validator {validator}, epoch {epoch}: no evidence came: {why}\n")
            }
            Answer::Evidence {
                explained,
                newest,
                differences,
            } => {
                let said = explained.as_ref().map_or_else(
                    || format!("validator {validator}, epoch {epoch}: its evidence, up to round {newest}, says nothing of uid {uid} in those rounds\n"),
                    |explained| explained.text(),
                );
                said + &earlier(self.explained(), *newest) + &bears_out(validator, differences)
            }
        }
    }
}

/// What a file cannot say of a round before its newest, for people.
fn earlier(explained: Option<&Explained>, newest: Round) -> String {
    let first = newest.saturating_sub(PREMIUM_ROUNDS - 1);
    match explained {
        Some(told) if told.round < newest && first > 0 => {
            format!(
                "the file says nothing of rounds before {first}, at which that score looked, too\n"
            )
        }
        _ => String::new(),
    }
}

/// Whether revealed scores are what follows from the evidence, for people.
fn bears_out(validator: Uid, differences: &[Difference]) -> String {
    if differences.is_empty() {
        return format!("the scores that validator {validator} revealed follow from this\n");
    }
    let list: Vec<String> = differences
        .iter()
        .map(|one| {
            format!(
                "{} on uid {} where {} follows",
                one.revealed, one.uid, one.follows
            )
        })
        .collect();
    format!(
        "the scores that validator {validator} revealed DO NOT FOLLOW from its evidence: {}\n",
        list.join(", ")
    )
}

/// What nobody served, in a line: who was asked, and what to do. None if something came.
pub fn unserved(netuid: Netuid, demanded: &[Demanded]) -> Option<Failure> {
    if demanded.iter().any(Demanded::has_come) {
        return None;
    }
    if demanded.is_empty() {
        return Some(Failure::new(
            format!("nobody who is asked in subnet {netuid} has revealed scores with evidence yet"),
            "scores are revealed once an epoch has run: wait for the next one; `cairn status` lists the members",
        ));
    }
    let why = |one: &Demanded| match &one.answer {
        Answer::Nothing { why } => format!("{} ({why})", one.validator),
        Answer::Evidence { .. } => one.validator.to_string(),
    };
    let asked: Vec<String> = demanded.iter().map(why).collect();
    Some(Failure::new(
        format!(
            "no validator of subnet {netuid} served its evidence; asked were the validators {}",
            asked.join(", ")
        ),
        "ask again later, name a store that they share with --store, or add --trust-endpoints if they are in this network",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_primitives::{api::Duty, Role, H256};

    fn demanded(validator: u16, answer: Answer) -> Demanded {
        Demanded {
            validator: Uid(validator),
            hotkey: AccountId([validator as u8; 32]),
            epoch: 7,
            answer,
        }
    }

    fn nothing(validator: u16) -> Demanded {
        let why = "it names no endpoint".to_string();
        demanded(validator, Answer::Nothing { why })
    }

    #[test]
    fn a_validator_is_named_by_its_number_or_its_hotkey() {
        let key = AccountId([7; 32]);
        assert_eq!(a_validator("4"), Ok(Whom::Uid(Uid(4))));
        assert_eq!(a_validator(&key.to_string()), Ok(Whom::Hotkey(key)));
        for text in ["", "-1", "65536", "victor"] {
            assert!(a_validator(text).unwrap_err().contains("number"), "{text}");
        }
    }

    #[test]
    fn where_nobody_serves_it_one_line_says_who_was_asked_and_what_to_do() {
        let line = unserved(Netuid(2), &[nothing(3), nothing(4)]);
        let line = line.expect("nothing came").to_string();
        for part in ["3 (it names no endpoint)", "4 (", "--store", "subnet 2"] {
            assert!(line.contains(part), "{line}");
        }
        let line = unserved(Netuid(2), &[]).expect("nobody").to_string();
        assert!(line.contains("revealed"), "{line}");
    }

    #[test]
    fn scores_that_do_not_follow_are_called_so() {
        let of = |differences| {
            let answer = Answer::Evidence {
                explained: None,
                newest: 9,
                differences,
            };
            demanded(4, answer)
        };
        let good = of(Vec::new());
        assert!(unserved(Netuid(1), &[nothing(3), good.clone()]).is_none());
        let text = good.text(Uid(1));
        assert!(
            text.contains("says nothing of uid 1") && text.contains("follow from this"),
            "{text}"
        );
        let forged = of(vec![Difference {
            uid: Uid(2),
            revealed: 5,
            follows: 0,
        }]);
        let text = forged.text(Uid(1));
        let words = "validator 4 revealed DO NOT FOLLOW from its evidence: 5 on uid 2 where 0";
        assert!(text.contains(words), "{text}");
        let json = serde_json::to_value(&forged).expect("plain data");
        assert_eq!(json["evidence"]["differences"][0]["revealed"], 5);
        assert_eq!(
            serde_json::to_value(nothing(3)).unwrap()["nothing"]["why"],
            "it names no endpoint"
        );
    }

    fn member(uid: u16, dividends: u16) -> MemberInfo {
        MemberInfo {
            uid: Uid(uid),
            hotkey: AccountId([uid as u8; 32]),
            coldkey: AccountId([99; 32]),
            role: Duty::Validator,
            chosen_role: Role::Validator,
            role_can_be_set_from: None,
            takes_foreign_stake: true,
            swap: None,
            registered_at: 1,
            stake: 9,
            bond: 0,
            take: 0,
            incentive: 0,
            dividends,
            last_paid: 0,
            earned: 0,
        }
    }

    #[test]
    fn who_scored_in_the_open_or_is_not_meant_is_not_asked() {
        let scores = |uid: u16, length| ValidatorScores {
            uid: Uid(uid),
            hotkey: AccountId([uid as u8; 32]),
            set_at: 9,
            scores: Vec::new(),
            evidence: Some(EvidenceCommit {
                epoch: 1,
                file: cairn_primitives::Served {
                    root: H256([1; 32]),
                    length,
                },
            }),
        };
        let in_the_open = ValidatorScores {
            evidence: None,
            ..scores(5, 0)
        };
        let chain = OnChain {
            netuid: Netuid(1),
            scores: vec![scores(3, 9), scores(4, 0), in_the_open, scores(6, 9)],
            members: vec![member(3, 1), member(6, 2)],
            endpoints: Vec::new(),
        };
        let asked = |whom| -> Vec<Uid> {
            let asked = chain.asked(whom).into_iter();
            asked.map(|(one, _)| one.uid).collect()
        };
        // Who counts most goes first, so that nobody can hold that up.
        assert_eq!(asked(None), [6, 3, 4].map(Uid));
        assert_eq!(asked(Some(Whom::Uid(Uid(6)))), [Uid(6)]);
        let hotkey = AccountId([3; 32]);
        assert_eq!(asked(Some(Whom::Hotkey(hotkey))), [Uid(3)]);
        assert_eq!(asked(Some(Whom::Uid(Uid(5)))), []);
    }
}
