//! Why the chain refused: the limit, where things stand, and from when on it is allowed.
//!
//! The chain names its errors; the numbers that belong to them are read from its state, after the refusal.

use cairn_chain::{AccountId, Call, ChainError, Client, Included, View};
use cairn_primitives::{Balance, BlockNumber, Hyperparameters, Netuid};

use super::{
    purse::Purse,
    receipt::when,
    signer::{Signer, Unsent},
};
use crate::{
    amount::{as_percent, cost, percent_within, thousands},
    error::Failure,
};

/// A call, and what it is about.
pub struct Asked<'a> {
    /// The node.
    pub client: &'a Client,
    /// Who signs.
    pub signer: &'a Signer,
    /// On which subnet.
    pub netuid: Option<Netuid>,
    /// As, or for, which hotkey.
    pub hotkey: Option<AccountId>,
    /// How much.
    pub amount: Option<Balance>,
    /// Of which a take would be.
    pub take: Option<u16>,
    /// What would be set.
    pub hyperparameters: Option<&'a Hyperparameters>,
}

impl<'a> Asked<'a> {
    /// Something about a hotkey on a subnet.
    pub fn new(client: &'a Client, signer: &'a Signer) -> Asked<'a> {
        Asked {
            client,
            signer,
            netuid: None,
            hotkey: None,
            amount: None,
            take: None,
            hyperparameters: None,
        }
    }

    /// On which subnet.
    pub fn on(mut self, netuid: Netuid) -> Asked<'a> {
        self.netuid = Some(netuid);
        self
    }

    /// As, or for, which hotkey.
    pub fn hotkey(mut self, hotkey: AccountId) -> Asked<'a> {
        self.hotkey = Some(hotkey);
        self
    }

    /// Signs the call and sees it into a block. A refusal is explained.
    ///
    /// # Errors
    /// Why it is in no block; [`Failure::ended`] if others have to sign first, and that was said.
    pub async fn submit(&self, call: &Call) -> Result<Included, Failure> {
        let error = match self.signer.submit(self.client, call).await {
            Ok(included) => return Ok(included),
            Err(Unsent::Waits) => return Err(Failure::ended()),
            Err(Unsent::Failed(failure)) => return Err(failure),
            Err(Unsent::Refused(error)) => error,
        };
        // What cannot be explained is said as the chain said it.
        let explained = match &error {
            ChainError::Rejected { reason, .. } if reason.contains("pay some fees") => {
                let purse = Purse::of_payer(self.client, self.signer, call).await;
                purse.ok().and_then(|purse| purse.cannot_pay())
            }
            _ => self.explain(&error).await.ok().flatten(),
        };
        Err(explained.unwrap_or_else(|| error.into()))
    }

    async fn explain(&self, error: &ChainError) -> Result<Option<Failure>, ChainError> {
        let ChainError::Dispatch { error, .. } = error else {
            return Ok(None);
        };
        let about = About {
            asked: self,
            view: self.client.at_best().await?,
            now: self.client.best().await?.number,
        };
        match (error.pallet.as_str(), error.name.as_str()) {
            ("Subnets" | "Stake", "NotHotkeysColdkey") => about.coldkey().await,
            ("Subnets" | "Stake", "NotMember") => Ok(about.no_seat()),
            ("Subnets" | "Stake", "SubnetDissolving") => about.dissolving().await,
            ("Subnets" | "Stake", "UnknownSubnet") => Ok(self.netuid.map(super::look::no_subnet)),
            ("Subnets", "AlreadyMember") => about.seat().await,
            ("Subnets", "NotSubnetOwner") => about.owner().await,
            ("Subnets", "PriceTooHigh") => about.price().await,
            ("Subnets", "SubnetFull") => about.full().await,
            ("Subnets", "HyperparametersTooSoon") => about.rules_too_soon().await,
            ("Subnets", "UnbondingTooShort") => about.unbonding_too_short().await,
            ("Subnets", "NothingAnnounced") => Ok(about.nothing_announced()),
            ("Subnets", "RunNeedsCommitReveal") => Ok(about.run_hides_scores()),
            ("Subnets", "BadHotkeySignature") => Ok(about.bad_signature()),
            ("Subnets", "RoleUnchanged") => about.role_unchanged().await,
            ("Subnets", "RoleTooSoon") => about.role_too_soon().await,
            ("Subnets", "SwapAnnounced" | "SwapTooSoon" | "NoSwapAnnounced") => {
                about.swap_waits().await
            }
            ("Subnets", name) => Ok(about.range(name)),
            ("Stake", "TakeTooHigh" | "TakeStepTooLarge" | "TakeRaisedTooSoon") => {
                about.take_refused(&error.name).await
            }
            ("Stake", "TakeUnchanged") => about.take_unchanged().await,
            ("Stake", "AmountTooSmall" | "RemainderTooSmall" | "NotEnoughStake") => {
                about.amount(&error.name).await
            }
            ("Stake", "StakeLocked" | "UnbondingQueueFull" | "NoStakeUnbonding") => {
                about.stake_waits(&error.name).await
            }
            ("Stake", "BondLocked" | "NothingUnbonding" | "NothingBonded") => {
                about.bond_waits(&error.name).await
            }
            ("Stake", "ForeignStakeRefused") => Ok(about.foreign_stake_refused()),
            ("Stake", "UnknownHotkey") => Ok(self.hotkey.map(|hotkey| {
                Failure::new(
                    format!("nobody ever registered the hotkey {hotkey}"),
                    "register it with `cairn subnet register`, or look for a mistake in it",
                )
            })),
            _ => Ok(None),
        }
    }
}

/// A refused call, and the state that says why.
struct About<'a> {
    asked: &'a Asked<'a>,
    view: View,
    now: BlockNumber,
}

type Explained = Result<Option<Failure>, ChainError>;

impl About<'_> {
    fn hotkey(&self) -> Option<(Netuid, AccountId)> {
        self.asked.netuid.zip(self.asked.hotkey)
    }

    async fn when(&self, at: BlockNumber) -> String {
        when(self.asked.client, at, self.now).await
    }

    async fn coldkey(&self) -> Explained {
        let Some(hotkey) = self.asked.hotkey else {
            return Ok(None);
        };
        let signer = self.asked.signer.account();
        Ok(self.view.coldkey(&hotkey).await?.map(|owner| {
            Failure::new(
                format!("the hotkey {hotkey} belongs to the coldkey {owner}, and {signer} signed"),
                "sign with that coldkey, or use a hotkey of your own: a hotkey never changes hands",
            )
        }))
    }

    fn no_seat(&self) -> Option<Failure> {
        self.hotkey().map(|(netuid, hotkey)| {
            Failure::new(
                format!("the hotkey {hotkey} has no seat on subnet {netuid}"),
                format!("`cairn subnet show --netuid {netuid}` lists who has; one is bought with `cairn subnet register`"),
            )
        })
    }

    async fn dissolving(&self) -> Explained {
        let Some(netuid) = self.asked.netuid else {
            return Ok(None);
        };
        let subnet = self.view.subnet(netuid).await?;
        let Some(from) = subnet.and_then(|subnet| subnet.dissolves_from) else {
            return Ok(None);
        };
        let when = self.when(from).await;
        Ok(Some(Failure::new(
            format!("subnet {netuid} is being dissolved and gives everything back from {when}"),
            "there is nothing to do: stake and bonds come back by themselves",
        )))
    }

    async fn seat(&self) -> Explained {
        let Some((netuid, hotkey)) = self.hotkey() else {
            return Ok(None);
        };
        let member = self.view.member(netuid, &hotkey).await?;
        Ok(member.map(|member| {
            Failure::new(
                format!(
                    "the hotkey {hotkey} has the seat with uid {} on subnet {netuid} already, under the coldkey {}",
                    member.uid, member.coldkey
                ),
                "if that is not yours, somebody else registered your hotkey: make a new one with `cairn wallet new`",
            )
        }))
    }

    fn nothing_announced(&self) -> Option<Failure> {
        self.asked.netuid.map(|netuid| {
            Failure::new(
                format!("no hyperparameters of subnet {netuid} wait for their block"),
                "`cairn subnet show` lists those that hold",
            )
        })
    }

    fn run_hides_scores(&self) -> Option<Failure> {
        self.asked.netuid.map(|netuid| {
            Failure::new(
                format!("subnet {netuid} has a run, and as long as it has one its validators' scores stay hidden"),
                "stop the run first, with `cairn run stop`, or leave commit_reveal as it is",
            )
        })
    }

    fn bad_signature(&self) -> Option<Failure> {
        let signer = self.asked.signer.account();
        self.hotkey().map(|(netuid, hotkey)| {
            Failure::new(
                format!(
                    "the signature is not the hotkey {hotkey}'s for subnet {netuid} of this chain and the coldkey {signer}"
                ),
                "sign again with `cairn wallet sign-registration`, for this subnet, this coldkey and this chain",
            )
        })
    }

    async fn role_unchanged(&self) -> Explained {
        let Some((netuid, hotkey)) = self.hotkey() else {
            return Ok(None);
        };
        let member = self.view.member(netuid, &hotkey).await?;
        Ok(member.map(|member| {
            Failure::new(
                format!("{hotkey} is a {} already", member.chosen_role),
                "there is nothing to do",
            )
        }))
    }

    async fn role_too_soon(&self) -> Explained {
        let Some((netuid, hotkey)) = self.hotkey() else {
            return Ok(None);
        };
        let member = self.view.member(netuid, &hotkey).await?;
        let Some((from, role)) =
            member.and_then(|member| Some((member.role_can_be_set_from?, member.chosen_role)))
        else {
            return Ok(None);
        };
        let when = self.when(from).await;
        Ok(Some(Failure::new(
            format!("{hotkey} became a {role} less than two tempos ago"),
            format!("choose again from {when}"),
        )))
    }

    async fn swap_waits(&self) -> Explained {
        let Some((netuid, hotkey)) = self.hotkey() else {
            return Ok(None);
        };
        let member = self.view.member(netuid, &hotkey).await?;
        Ok(match member.map(|member| member.swap) {
            None => None,
            Some(None) => Some(Failure::new(
                format!("no other hotkey was announced for {hotkey}"),
                "announce one with `cairn subnet swap --to`",
            )),
            Some(Some((to, from))) => Some(Failure::new(
                format!("{to} was announced for {hotkey}"),
                format!(
                    "it can take the seat from {}; until then --cancel takes it back",
                    self.when(from).await
                ),
            )),
        })
    }

    fn foreign_stake_refused(&self) -> Option<Failure> {
        self.asked.hotkey.map(|hotkey| {
            Failure::new(
                format!("the hotkey {hotkey} takes no stake of others"),
                "stake on another hotkey, or ask its owner, who allows it with `cairn stake foreign`",
            )
        })
    }

    async fn owner(&self) -> Explained {
        let Some(netuid) = self.asked.netuid else {
            return Ok(None);
        };
        let signer = self.asked.signer.account();
        Ok(self.view.subnet(netuid).await?.map(|subnet| {
            Failure::new(
                format!(
                    "subnet {netuid} belongs to {}, and {signer} signed",
                    subnet.owner
                ),
                "sign with the owner's key",
            )
        }))
    }

    async fn price(&self) -> Explained {
        let (what, price) = match self.asked.netuid {
            Some(netuid) => match self.view.subnet(netuid).await? {
                Some(subnet) => (
                    format!("a seat on subnet {netuid}"),
                    subnet.registration_price,
                ),
                None => return Ok(None),
            },
            None => ("a subnet".into(), self.view.creation_price().await?),
        };
        let limit = self.asked.amount.map(cost).unwrap_or_default();
        Ok(Some(Failure::new(
            format!(
                "{what} costs {} now, and the most to pay was {limit}",
                cost(price)
            ),
            "wait until it is cheaper, or raise --max-price",
        )))
    }

    async fn full(&self) -> Explained {
        let Some(netuid) = self.asked.netuid else {
            return Ok(None);
        };
        let Some(subnet) = self.view.subnet(netuid).await? else {
            return Ok(None);
        };
        let members = self.view.members(netuid).await?;
        let immunity = subnet.hyperparameters.immunity_period;
        let free_at = members
            .iter()
            .filter(|member| member.coldkey != subnet.owner)
            .map(|member| member.registered_at.saturating_add(immunity))
            .min();
        let what = format!("all {} seats of subnet {netuid} are taken", members.len());
        Ok(Some(match free_at.filter(|at| *at > self.now) {
            Some(at) => Failure::new(
                format!("{what} and everybody on them is new"),
                format!("the first can be replaced from {}", self.when(at).await),
            ),
            None => Failure::new(what, "wait for a seat, or choose another subnet"),
        }))
    }

    async fn rules_too_soon(&self) -> Explained {
        let Some(netuid) = self.asked.netuid else {
            return Ok(None);
        };
        let limit: BlockNumber = self
            .asked
            .client
            .constant("Subnets", "HyperparametersRateLimit")
            .await?;
        let Some(set_at) = self.view.hyperparameters_set_at(netuid).await? else {
            return Ok(None);
        };
        let when = self.when(set_at.saturating_add(limit)).await;
        Ok(Some(Failure::new(
            format!(
                "the hyperparameters of subnet {netuid} were set in block {}, and {} blocks have to lie between two changes",
                thousands(set_at.into()),
                thousands(limit.into())
            ),
            format!("set them again from {when}"),
        )))
    }

    async fn unbonding_too_short(&self) -> Explained {
        let Some(asked) = self.asked.hyperparameters else {
            return Ok(None);
        };
        let window = match self.view.audit_window().await? {
            Some(window) => window,
            None => {
                let default = self.asked.client.constant("Subnets", "DefaultAuditWindow");
                default.await?
            }
        };
        let least = window.max(asked.tempo);
        Ok(Some(Failure::new(
            format!(
                "unbonding_period = {} is too short: it must be at least the chain's audit window of {} blocks and the tempo of {}",
                asked.unbonding_period,
                thousands(window.into()),
                thousands(asked.tempo.into())
            ),
            format!("set it to {least} or more"),
        )))
    }

    /// Hyperparameters that are outside of their limits.
    fn range(&self, name: &str) -> Option<Failure> {
        let asked = self.asked.hyperparameters?;
        let values = serde_json::to_value(asked).ok()?;
        let (fields, limits) = limits_of(name)?;
        let shown: Vec<String> = fields
            .iter()
            .map(|field| format!("{field} = {}", values.get(field).unwrap_or_default()))
            .collect();
        Some(Failure::new(
            format!("out of range: {}", shown.join(", ")),
            limits,
        ))
    }

    /// The take of the hotkey now, and when it was set, if it ever was.
    async fn take_now(&self, hotkey: &AccountId) -> Result<(u16, Option<BlockNumber>), ChainError> {
        let most: u16 = self.asked.client.constant("Stake", "MaxTake").await?;
        let take = self.view.take(hotkey).await?;
        let share = take.map_or(most, |take| take.share.min(most));
        Ok((share, take.map(|take| take.set_at)))
    }

    async fn take_refused(&self, why: &str) -> Explained {
        let (Some(hotkey), Some(asked)) = (self.asked.hotkey, self.asked.take) else {
            return Ok(None);
        };
        let client = self.asked.client;
        let most: u16 = client.constant("Stake", "MaxTake").await?;
        let step: u16 = client.constant("Stake", "TakeStep").await?;
        let interval: BlockNumber = client.constant("Stake", "TakeInterval").await?;
        let (now, set_at) = self.take_now(&hotkey).await?;
        let what = format!(
            "a take of {} is refused: {hotkey} takes {} now",
            as_percent(asked),
            as_percent(now)
        );
        let next = percent_within(now.saturating_add(step).min(most));
        Ok(Some(match (why, set_at) {
            ("TakeRaisedTooSoon", Some(set_at)) => {
                let when = self.when(set_at.saturating_add(interval)).await;
                Failure::new(
                    format!("{what}, set in block {}", thousands(set_at.into())),
                    format!("it can be raised from {when}; lowering it is possible at any time"),
                )
            }
            ("TakeStepTooLarge", _) => Failure::new(
                format!(
                    "{what}, and one step raises it by {} at most",
                    as_percent(step)
                ),
                format!("the most that can be set now is {next}"),
            ),
            _ => Failure::new(
                format!("{what}, and the chain allows {} at most", as_percent(most)),
                format!("the most that can be set is {}", percent_within(most)),
            ),
        }))
    }

    async fn take_unchanged(&self) -> Explained {
        let Some(hotkey) = self.asked.hotkey else {
            return Ok(None);
        };
        let (now, _) = self.take_now(&hotkey).await?;
        Ok(Some(Failure::new(
            format!("the take of {hotkey} is {} already", as_percent(now)),
            "there is nothing to do",
        )))
    }

    async fn amount(&self, why: &str) -> Explained {
        let Some((netuid, hotkey)) = self.hotkey() else {
            return Ok(None);
        };
        let least: Balance = self.asked.client.constant("Stake", "MinimumAmount").await?;
        let asked = self.asked.amount;
        if why == "AmountTooSmall" {
            let what = asked.map_or("the amount is too small".into(), |amount| {
                format!("{} is too little", cost(amount))
            });
            return Ok(Some(Failure::new(
                what,
                format!(
                    "the least that can be staked or bonded at a time is {}",
                    cost(least)
                ),
            )));
        }
        let signer = self.asked.signer.account();
        let position = self.view.position(&signer, netuid, &hotkey).await?;
        let staked = position.map_or(0, |position| position.staked);
        let what = format!(
            "{signer} has {} staked on {hotkey} on subnet {netuid}",
            cost(staked)
        );
        if staked == 0 {
            let remedy = "`cairn stake show` lists where its stake is";
            return Ok(Some(Failure::new(what, remedy)));
        }
        Ok(Some(match why {
            "RemainderTooSmall" => Failure::new(
                format!("{what}, and no less than {} may be left of it", cost(least)),
                format!(
                    "ask for {} at most, or for all",
                    cost(staked.saturating_sub(least))
                ),
            ),
            _ => Failure::new(
                format!(
                    "{what}, and {} are more",
                    asked.map(cost).unwrap_or_default()
                ),
                format!("the most is {}; `all` takes it", cost(staked)),
            ),
        }))
    }

    async fn stake_waits(&self, why: &str) -> Explained {
        let Some((netuid, hotkey)) = self.hotkey() else {
            return Ok(None);
        };
        let signer = self.asked.signer.account();
        let position = self.view.position(&signer, netuid, &hotkey).await?;
        let waiting = position
            .map(|position| position.unbonding)
            .unwrap_or_default();
        let Some(first) = waiting.iter().min_by_key(|part| part.release_at) else {
            return Ok(Some(Failure::new(
                format!("none of the stake of {signer} on {hotkey} on subnet {netuid} is being withdrawn"),
                "ask for some with `cairn stake remove`",
            )));
        };
        let when = self.when(first.release_at).await;
        let what = match why {
            "UnbondingQueueFull" => format!("{} withdrawals wait already", waiting.len()),
            _ => "all that is being withdrawn is still locked".into(),
        };
        let next = format!(
            "the next {} can be withdrawn from {when}",
            cost(first.amount)
        );
        Ok(Some(Failure::new(what, next)))
    }

    async fn bond_waits(&self, why: &str) -> Explained {
        let Some((netuid, hotkey)) = self.hotkey() else {
            return Ok(None);
        };
        let bond = self.view.bond(netuid, &hotkey).await?;
        let of = format!("the hotkey {hotkey} on subnet {netuid}");
        Ok(Some(match why {
            "NothingBonded" => Failure::new(
                format!(
                    "{of} has no bond that counts, and {} wait to be withdrawn",
                    cost(bond.unbonding)
                ),
                "withdraw those with `cairn stake withdraw --bond`, or bond with `cairn stake bond`",
            ),
            "NothingUnbonding" => Failure::new(
                format!(
                    "{of} has no bond that is being withdrawn, and {} that count",
                    cost(bond.active)
                ),
                "ask for them with `cairn stake unbond`",
            ),
            _ => Failure::new(
                format!("the bond of {of}, {}, is still locked", cost(bond.unbonding)),
                format!("withdraw it from {}", self.when(bond.release_at).await),
            ),
        }))
    }
}

/// The hyperparameters of which an error of the chain is about, and their limits.
fn limits_of(error: &str) -> Option<(&'static [&'static str], &'static str)> {
    Some(match error {
        "TempoOutOfRange" => (&["tempo"], "tempo is from 5 to 50400 blocks"),
        "SeatsOutOfRange" => (
            &["max_members", "max_validators"],
            "max_members is from 1 to 256, max_validators from 1 to 64 and no more than max_members",
        ),
        "PeriodOutOfRange" => (
            &["immunity_period", "activity_cutoff", "unbonding_period"],
            "immunity_period is from 0, activity_cutoff from 1 to two tempos, the others to 5256000 blocks; unbonding_period is \
             to four audit windows, or 7200 if those are less, and 302400 at most",
        ),
        "ConsensusOutOfRange" => (
            &["kappa", "bonds_moving_average", "liquid_alpha_low", "liquid_alpha_high"],
            "kappa is from 26214 to 49151, bonds_moving_average to 1000000, liquid_alpha_low no more than liquid_alpha_high",
        ),
        "StakeOutOfRange" => (
            &["min_validator_stake", "min_miner_bond"],
            "min_validator_stake is from 1 pebble, min_miner_bond from 0, each to 21000000CRN",
        ),
        "PriceOutOfRange" => (
            &[
                "min_registration_price",
                "max_registration_price",
                "registration_half_life",
                "registration_price_factor",
            ],
            "prices are from 0.001CRN to 21000000CRN, the lowest first; the half-life from 1 to 5256000 blocks; \
             the factor from 1 to 10",
        ),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A limit that is explained names fields that there are.
    #[test]
    fn limits_are_about_hyperparameters() {
        let values = serde_json::to_value(Hyperparameters::default()).unwrap();
        for error in [
            "TempoOutOfRange",
            "SeatsOutOfRange",
            "PeriodOutOfRange",
            "ConsensusOutOfRange",
            "StakeOutOfRange",
            "PriceOutOfRange",
        ] {
            let (fields, _) = limits_of(error).expect(error);
            for field in fields {
                assert!(values.get(field).is_some(), "{field}");
            }
        }
        assert!(limits_of("AlreadyMember").is_none());
    }
}
