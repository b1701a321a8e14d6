//! `cairn subnet set` and `cairn subnet dissolve`: what a subnet's owner decides.

use cairn_chain::Call;
use cairn_primitives::{BlockNumber, Hyperparameters, Netuid};
use clap::Args;
use serde_json::Value;

use super::{
    args::{JsonArg, KeyArgs, NetuidArg, NodeArgs},
    look::no_subnet,
    receipt::{sent, when, Sent},
    refusal::Asked,
};
use crate::{amount::parse_crn, error::Failure};

/// `cairn subnet set`.
#[derive(Args, Debug)]
pub struct Set {
    /// Hyperparameters as NAME=VALUE, named as `cairn subnet show` does; amounts in pebble, or in CRN as 100CRN
    #[arg(required_unless_present = "withdraw", value_name = "NAME=VALUE", value_parser = parse_change)]
    changes: Vec<(String, String)>,
    /// Take back what was announced and does not hold yet
    #[arg(long, env = "CAIRN_WITHDRAW", conflicts_with = "changes", value_parser = clap::builder::BoolishValueParser::new())]
    withdraw: bool,
    #[command(flatten)]
    netuid: NetuidArg,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

/// `cairn subnet dissolve`.
#[derive(Args, Debug)]
pub struct Dissolve {
    /// Confirm that you mean it: this cannot be undone
    #[arg(long, env = "CAIRN_FOR_EVER", value_parser = clap::builder::BoolishValueParser::new())]
    for_ever: bool,
    #[command(flatten)]
    netuid: NetuidArg,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

impl Set {
    /// Does it: what is not named stays as it is.
    pub async fn run(self) -> Result<(), Failure> {
        let netuid = self.netuid.netuid;
        if self.withdraw {
            return self.take_back().await;
        }
        let signer = self.key.signer()?;
        // What cannot be is refused before anybody is asked.
        changed(&Hyperparameters::default(), &self.changes)?;
        let client = self.node.connect().await?;
        let subnet = client.at_best().await?.subnet(netuid).await?;
        let subnet = subnet.ok_or_else(|| no_subnet(netuid))?;
        // What was announced before holds with the rest: one notice takes the place of the other.
        let before = subnet
            .announced
            .map_or(subnet.hyperparameters, |announced| {
                announced.hyperparameters
            });
        let hyperparameters = changed(&before, &self.changes)?;
        let call = Call::set_hyperparameters(netuid, &hyperparameters);
        let asked = Asked {
            hyperparameters: Some(&hyperparameters),
            ..Asked::new(&client, &signer).on(netuid)
        };
        let included = asked.submit(&call).await?;
        let names: Vec<_> = self.changes.iter().map(|(name, _)| name.as_str()).collect();
        let did = format!("set {}", names.join(", "));
        let mut done = Sent::new(did, netuid, &included);
        let announced = included.event("Subnets", "HyperparametersAnnounced");
        if let Some((_, from)) = announced.and_then(|event| event.first::<(Netuid, BlockNumber)>())
        {
            let when = when(&client, from, included.block.number).await;
            done = done.note(format!(
                "it holds from {when}; until then `cairn subnet set --netuid {netuid} --withdraw` takes it back"
            ));
        }
        sent(self.json.json, done)
    }

    async fn take_back(self) -> Result<(), Failure> {
        let netuid = self.netuid.netuid;
        let signer = self.key.signer()?;
        let client = self.node.connect().await?;
        let asked = Asked::new(&client, &signer).on(netuid);
        let call = Call::withdraw_hyperparameters(netuid);
        let included = asked.submit(&call).await?;
        let did = "took announced hyperparameters back,".into();
        sent(self.json.json, Sent::new(did, netuid, &included))
    }
}

impl Dissolve {
    /// Does it.
    pub async fn run(self) -> Result<(), Failure> {
        let netuid = self.netuid.netuid;
        if !self.for_ever {
            return Err(Failure::new(
                format!("dissolving subnet {netuid} stops its run, removes all members, and cannot be undone"),
                "add --for-ever to confirm",
            ));
        }
        let signer = self.key.signer()?;
        let client = self.node.connect().await?;
        let asked = Asked::new(&client, &signer).on(netuid);
        let included = asked.submit(&Call::dissolve_subnet(netuid)).await?;
        let event = included
            .event("Subnets", "SubnetDissolving")
            .and_then(|event| event.fields());
        let mut done = Sent::new("began to dissolve,".into(), netuid, &included);
        if let Some((_, from)) = event as Option<(u16, u32)> {
            let when = when(&client, from, included.block.number).await;
            done = done.note(format!("everything on it is given back from {when}"));
        }
        sent(self.json.json, done)
    }
}

/// Reads NAME=VALUE.
fn parse_change(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.trim().into(), value.trim().into()))
        }
        _ => Err(format!("`{text}` is not NAME=VALUE, such as tempo=360")),
    }
}

/// Hyperparameters with some of them replaced.
fn changed(
    present: &Hyperparameters,
    changes: &[(String, String)],
) -> Result<Hyperparameters, Failure> {
    let mut fields = serde_json::to_value(present)?;
    for (name, value) in changes {
        let field = fields.get_mut(name).ok_or_else(|| {
            Failure::new(
                format!("there is no hyperparameter `{name}`"),
                "`cairn subnet show` lists them",
            )
        })?;
        let before = field.clone();
        *field = read(value).ok_or_else(|| wrong(name, value, &before))?;
        let fits = serde_json::from_value::<Hyperparameters>(fields.clone());
        fits.map_err(|_| wrong(name, value, &before))?;
    }
    Ok(serde_json::from_value(fields)?)
}

/// A value: an amount in CRN, or JSON, or a word.
fn read(text: &str) -> Option<Value> {
    match text.strip_suffix("CRN") {
        Some(amount) => parse_crn(amount.trim()).ok().map(Value::from),
        None => Some(serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))),
    }
}

fn wrong(name: &str, value: &str, like: &Value) -> Failure {
    let expected = match like {
        Value::Bool(_) => "true or false".into(),
        Value::Number(_) => {
            format!("a number such as {like}, or an amount such as 20CRN where it is one")
        }
        like => format!("a word such as {like}"),
    };
    Failure::new(
        format!("`{value}` is not a value for `{name}`, which takes {expected}"),
        "see its current one with `cairn subnet show`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_primitives::{BondsRule, Nano, CRN};

    fn set(changes: &[&str]) -> Result<Hyperparameters, Failure> {
        let changes: Vec<_> = changes
            .iter()
            .map(|text| parse_change(text).unwrap())
            .collect();
        changed(&Hyperparameters::default(), &changes)
    }

    #[test]
    fn what_is_not_named_stays() {
        let expected = Hyperparameters {
            tempo: 100,
            min_miner_bond: 5 * CRN / 2,
            registration_price_factor: Nano(1_500_000_000),
            bonds_rule: BondsRule::Yuma2,
            commit_reveal: false,
            ..Hyperparameters::default()
        };
        let changes = [
            "tempo=100",
            "min_miner_bond = 2.5CRN",
            "registration_price_factor=1.5",
            "bonds_rule=yuma2",
            "commit_reveal=false",
        ];
        assert_eq!(set(&changes).unwrap(), expected);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (change, word) in [
            ("temp=100", "temp"),
            ("tempo=-1", "-1"),
            ("tempo=soon", "soon"),
            ("kappa=70000", "70000"),
            ("bonds_rule=yuma4", "yuma4"),
            ("min_miner_bond=2,5CRN", "2,5CRN"),
        ] {
            let error = set(&[change]).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
        for text in ["tempo", "=3", "tempo="] {
            assert!(parse_change(text).is_err(), "{text}");
        }
    }
}
