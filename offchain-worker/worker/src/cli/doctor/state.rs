//! What workers of this machine keep on its disk, and what of it nobody needs any more.

use std::{collections::BTreeMap, io::IsTerminal};

use cairn_chain::{AccountId, Client};
use cairn_primitives::{BlockNumber, Netuid, H256};
use serde::Serialize;

use crate::{
    error::Failure,
    output,
    printable::printable_lines,
    roles::state::{kept, Identity, Kept, StatePlace},
    table::{short, table},
};

/// What is known of a state directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// A worker uses it now.
    InUse,
    /// It is of a run that goes on.
    Current,
    /// Its run is over, or its chain is no more.
    Old,
    /// It is of another chain than the node's: that chain's node knows more.
    OtherChain,
    /// No node was there to ask.
    Unknown,
}

/// A state directory and what is known of it.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    #[serde(flatten)]
    kept: Kept,
    state: Standing,
    /// Whether it has been removed.
    removed: bool,
}

/// All state directories.
#[derive(Debug, Serialize)]
pub struct State {
    /// Why the chain was not asked, if it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_asked: Option<String>,
    directories: Vec<Found>,
}

/// What the node's chain says.
#[derive(Debug, Default)]
struct Runs {
    genesis: H256,
    /// By subnet, the block in which its run was started, and that block's hash.
    present: BTreeMap<Netuid, (BlockNumber, H256)>,
}

impl Runs {
    /// Asks about the subnets that there is state of.
    async fn ask(client: &Client, kept: &[Kept]) -> Result<Runs, Failure> {
        let mut runs = Runs {
            genesis: client.genesis_hash(),
            ..Runs::default()
        };
        let view = client.at_best().await?;
        let own = |identity: &&Identity| identity.genesis == runs.genesis;
        let identities = kept.iter().filter_map(|kept| kept.identity.as_ref());
        let netuids: std::collections::BTreeSet<Netuid> = identities
            .filter(own)
            .map(|identity| identity.netuid)
            .collect();
        for netuid in netuids {
            if let Some(run) = view.run(netuid).await? {
                if let Some(hash) = client.block_hash(run.started_at).await? {
                    runs.present.insert(netuid, (run.started_at, hash));
                }
            }
        }
        Ok(runs)
    }

    fn judge(&self, kept: &Kept) -> Standing {
        let Some(identity) = &kept.identity else {
            // What cannot be read is of no use to any worker.
            return Standing::Old;
        };
        if identity.genesis != self.genesis {
            return Standing::OtherChain;
        }
        let present = self.present.get(&identity.netuid);
        // What older releases wrote has no hash.
        let same = |(at, hash): &(BlockNumber, H256)| {
            *at == identity.started_at
                && (identity.started_in == *hash || identity.started_in.is_zero())
        };
        if present.is_some_and(same) {
            Standing::Current
        } else {
            Standing::Old
        }
    }
}

impl State {
    /// Looks, and asks the node what of it is still needed. Nothing is changed.
    pub async fn look(node: &super::NodeArgs) -> Result<State, Failure> {
        let kept = kept(&StatePlace::default_directory());
        if kept.is_empty() {
            return Ok(State::of(kept, Ok(Runs::default())));
        }
        let runs = match node.connect().await {
            Ok(client) => Ok(Runs::ask(&client, &kept).await?),
            Err(error) => Err(error.to_string()),
        };
        Ok(State::of(kept, runs))
    }

    fn of(kept: Vec<Kept>, runs: Result<Runs, String>) -> State {
        let judge = |kept: &Kept| match &runs {
            _ if kept.in_use => Standing::InUse,
            Ok(runs) => runs.judge(kept),
            Err(_) => Standing::Unknown,
        };
        let found = |kept: Kept| Found {
            state: judge(&kept),
            removed: false,
            kept,
        };
        State {
            directories: kept.into_iter().map(found).collect(),
            not_asked: runs.as_ref().err().cloned(),
        }
    }

    /// Directories that are removed on request.
    fn old(&self, other_chains: bool) -> impl Iterator<Item = usize> + '_ {
        let is_old = move |found: &Found| match found.state {
            Standing::Old => true,
            Standing::OtherChain => other_chains,
            Standing::InUse | Standing::Current | Standing::Unknown => false,
        };
        let all = self.directories.iter().enumerate();
        all.filter(move |(_, found)| is_old(found))
            .map(|(at, _)| at)
    }

    /// Removes what is old, after a person has seen it and said yes.
    pub fn remove_old(&mut self, yes: bool, other_chains: bool) -> Result<(), Failure> {
        if let Some(why) = &self.not_asked {
            let what = format!("which state is old cannot be told without the chain: {why}");
            return Err(Failure::new(what, "nothing was removed"));
        }
        let old: Vec<usize> = self.old(other_chains).collect();
        if old.is_empty() {
            return Ok(());
        }
        let list: Vec<&Found> = old
            .iter()
            .filter_map(|at| self.directories.get(*at))
            .collect();
        let question = format!("to be removed:\n{}", rows(&list));
        if !yes && !confirmed(&question)? {
            let what = format!("{} would be removed", directories(list.len()));
            return Err(Failure::new(
                what,
                "nothing was: add --yes if that is meant",
            ));
        }
        for at in old {
            let Some(found) = self.directories.get_mut(at) else {
                continue;
            };
            found.kept.remove().map_err(|error| {
                let what = format!("cannot remove {}: {error}", found.kept.path.display());
                Failure::new(what, "see who owns it, then try again")
            })?;
            found.removed = true;
        }
        Ok(())
    }

    /// For people.
    pub fn text(&self) -> String {
        if self.directories.is_empty() {
            return "state        none\n".into();
        }
        let found: Vec<&Found> = self.directories.iter().collect();
        let mut text = format!(
            "state        {}\n{}",
            directories(found.len()),
            rows(&found)
        );
        if let Some(why) = &self.not_asked {
            text += &format!("which of it is old was not asked: {why}\n");
        }
        let left = |at: &usize| {
            self.directories
                .get(*at)
                .is_some_and(|found| !found.removed)
        };
        if self.old(true).any(|at| left(&at)) {
            text += "`cairn doctor --remove-old-state` removes what is old (with --other-chains, that of other chains, too)\n";
        }
        text
    }
}

fn directories(count: usize) -> String {
    match count {
        1 => "1 directory".into(),
        count => format!("{count} directories"),
    }
}

fn rows(found: &[&Found]) -> String {
    let row = |found: &&Found| {
        let identity = found.kept.identity.as_ref();
        let of = |text: fn(&Identity) -> String| identity.map_or("–".into(), text);
        vec![
            found.words().to_string(),
            of(|identity| short(&identity.genesis)),
            of(|identity| identity.netuid.to_string()),
            of(|identity| identity.started_at.to_string()),
            of(|identity| AccountId(*identity.hotkey.bytes()).to_string()),
            format!("{:.1} MiB", found.kept.bytes as f64 / f64::from(1 << 20)),
            found.kept.path.display().to_string(),
        ]
    };
    let head = [
        "state",
        "chain",
        "netuid",
        "since block",
        "hotkey",
        "size",
        "directory",
    ];
    table(&head, &found.iter().map(row).collect::<Vec<_>>())
}

impl Found {
    fn words(&self) -> &'static str {
        match (self.removed, self.state) {
            (true, _) => "removed",
            (false, Standing::InUse) => "in use",
            (false, Standing::Current) => "current run",
            (false, Standing::Old) => "old",
            (false, Standing::OtherChain) => "of another chain",
            (false, Standing::Unknown) => "unknown",
        }
    }
}

/// Shows what is asked, and whether a person at a terminal says yes. Without one, the answer is no.
fn confirmed(question: &str) -> Result<bool, Failure> {
    output::say_raw(&printable_lines(question));
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    output::say_raw("remove? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_primitives::{Hotkey, ModelRoot};

    fn state(genesis: u8, netuid: Netuid, started_at: u32, started_in: u8) -> Kept {
        Kept {
            path: format!("/nowhere/{genesis}/{netuid}-{started_at}-{started_in}").into(),
            identity: Some(Identity {
                genesis: H256([genesis; 32]),
                netuid,
                started_at,
                started_in: H256([started_in; 32]),
                initial_root: ModelRoot(H256([3; 32])),
                hotkey: Hotkey(H256([4; 32])),
            }),
            bytes: 1 << 20,
            in_use: false,
        }
    }

    fn runs() -> Runs {
        Runs {
            genesis: H256([1; 32]),
            present: [(Netuid(1), (50, H256([8; 32])))].into(),
        }
    }

    #[test]
    fn state_is_old_when_its_run_is_not_the_subnets_present_one() {
        let (mut used, mut damaged) = (state(1, Netuid(1), 9, 8), state(1, Netuid(1), 9, 8));
        used.in_use = true;
        damaged.identity = None;
        let cases = [
            (state(1, Netuid(1), 50, 8), Standing::Current),
            (state(1, Netuid(1), 50, 0), Standing::Current),
            (state(1, Netuid(1), 49, 8), Standing::Old),
            // A development chain that began again, and had a run started at the same block.
            (state(1, Netuid(1), 50, 7), Standing::Old),
            (state(1, Netuid(2), 50, 8), Standing::Old),
            (state(2, Netuid(1), 50, 8), Standing::OtherChain),
            (damaged, Standing::Old),
            (used, Standing::InUse),
        ];
        let (kept, expected): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
        let state = State::of(kept, Ok(runs()));
        let found: Vec<_> = state.directories.iter().map(|found| found.state).collect();
        assert_eq!(found, expected);
        assert_eq!(state.old(false).collect::<Vec<_>>(), [2, 3, 4, 6]);
        assert_eq!(state.old(true).collect::<Vec<_>>(), [2, 3, 4, 5, 6]);
        let text = state.text();
        assert!(
            text.contains("8 directories") && text.contains("--remove-old-state"),
            "{text}"
        );
    }

    #[test]
    fn without_a_node_nothing_is_old_and_nothing_is_removed() {
        let kept = vec![state(1, Netuid(1), 9, 8)];
        let mut state = State::of(kept, Err("no node answers".into()));
        assert_eq!(state.old(true).count(), 0);
        assert!(state.text().contains("was not asked: no node answers"));
        let error = state.remove_old(true, true).unwrap_err().to_string();
        assert!(error.contains("nothing was removed"), "{error}");
    }

    #[test]
    fn nothing_is_removed_that_nobody_has_agreed_to() {
        let root = tempfile::tempdir().unwrap();
        let mut kept = state(1, Netuid(1), 9, 8);
        kept.path = root.path().join("old");
        std::fs::create_dir(&kept.path).unwrap();
        let mut state = State::of(vec![kept], Ok(runs()));
        state.remove_old(true, false).unwrap();
        assert!(state.directories[0].removed && !root.path().join("old").exists());
        assert!(state.text().contains("removed"));
    }
}
