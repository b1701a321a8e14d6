//! `cairn subnet endpoints`.

use cairn_chain::MemberEndpoints;
use cairn_primitives::Text;
use clap::Args;

use super::{
    args::{JsonArg, NetuidArg, NodeArgs},
    look::no_subnet,
    print,
};
use crate::{error::Failure, table::table};

/// `cairn subnet endpoints`.
#[derive(Args, Debug)]
pub struct Endpoints {
    #[command(flatten)]
    netuid: NetuidArg,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

impl Endpoints {
    pub async fn run(self) -> Result<(), Failure> {
        let netuid = self.netuid.netuid;
        let view = self.node.connect().await?.at_best().await?;
        if view.subnet(netuid).await?.is_none() {
            return Err(no_subnet(netuid));
        }
        let named = view.endpoints(netuid).await?;
        print(self.json.json, &named, |named| shown(named))
    }
}

fn shown(named: &[MemberEndpoints]) -> String {
    if named.is_empty() {
        return "no member has named an endpoint: they share one store, or cannot be reached\n"
            .into();
    }
    let rows: Vec<Vec<String>> = named
        .iter()
        .flat_map(|member| member.endpoints.iter().map(|one| row(member, one)))
        .collect();
    table(&["uid", "since block", "endpoint"], &rows)
}

fn row(member: &MemberEndpoints, endpoint: &Text) -> Vec<String> {
    let since = member.set_at.map(|block| block.to_string());
    vec![
        member.uid.to_string(),
        since.unwrap_or_default(),
        endpoint.to_text(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_chain::AccountId;
    use cairn_primitives::Uid;

    #[test]
    fn each_endpoint_has_a_line() {
        assert!(shown(&[]).starts_with("no member"));
        let text = |text: &str| Text::new(text).expect("short");
        let member = MemberEndpoints {
            uid: Uid(3),
            hotkey: AccountId([1; 32]),
            endpoints: vec![
                text("https://mirror.example/run"),
                text("iroh://00?at=1.2.3.4:5"),
            ],
            set_at: Some(17),
        };
        let shown = shown(&[member]);
        assert_eq!(shown.lines().count(), 3, "{shown}");
        assert!(shown.contains("https://mirror.example/run") && shown.contains("17"));
    }
}
