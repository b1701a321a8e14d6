//! A validator that measures nothing: its scores follow from the evidence that others serve.

use std::collections::BTreeMap;

use cairn_primitives::{api::MemberInfo, Hotkey, Round, Uid, H256};
use cairn_protocol::value::{proportions, Evidence, EvidenceFile, Miner};
use cairn_runtime::{readers, AccountId};

use super::{Attack, Scene};
use crate::{
    behaviour::{Behaviour, Turn},
    chain::reads::id,
    settings::{Recruit, Role},
};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "C3",
    name: "copied-evidence",
    what: "a validator attests honestly, measures nothing, and fetches the evidence of others as soon as their scores \
           are revealed; it gives the mean of the scores that follow, with the newest gains in it for the rounds since",
    beside: Role::Validator,
    attackers: 1,
    stage,
    setting: |_| (),
};

fn stage(scene: &Scene) -> Vec<Recruit> {
    scene.recruits(Role::Validator, ATTACK.name, |_| CopiedEvidence::default())
}

/// Copies.
#[derive(Default)]
struct CopiedEvidence {
    /// By validator, the root of its newest file, and what is in it.
    files: BTreeMap<Uid, (H256, EvidenceFile)>,
    /// The newest round that others have measured, or are measuring.
    newest: Round,
}

impl CopiedEvidence {
    /// The row that follows from a file as of the newest round: in rounds of which it does not tell, all did what they
    /// did in the last one of which it does.
    fn row_of(
        &self,
        file: &EvidenceFile,
        members: &[Miner],
        own: Hotkey,
    ) -> Option<Vec<(Uid, u16)>> {
        let known = file.evidence();
        let told = known.iter().map(|one| one.round).max()?;
        let last = || known.iter().filter(move |one| one.round == told);
        let since = told.saturating_add(1)..=self.newest;
        let made_up = since.flat_map(|round| {
            last().map(move |one| Evidence {
                round,
                ..one.clone()
            })
        });
        let log: Vec<Evidence> = known.iter().cloned().chain(made_up).collect();
        let of = (file.netuid, file.epoch, own);
        EvidenceFile::new(of, self.newest.max(told), &log, members).row()
    }
}

impl Behaviour for CopiedEvidence {
    fn measures(&self) -> bool {
        false
    }

    fn acts(&mut self, turn: &mut Turn) {
        if let Some(view) = &turn.view {
            self.newest = view.round.round.saturating_sub(1);
        }
        let netuid = turn.netuid;
        let revealed = turn.chain.ask(turn.head, || readers::scores(netuid));
        for one in revealed.unwrap_or_default() {
            let Some(commit) = one.evidence else {
                continue;
            };
            let root = commit.file.root;
            let known = self.files.get(&one.uid);
            let is_new = known.is_none_or(|(known, _)| *known != root);
            if !is_new || id(&one.hotkey) == turn.hotkey.id() {
                continue;
            }
            let bytes = turn.store.get(root, turn.now);
            let file = bytes.and_then(|bytes| EvidenceFile::from_bytes(&bytes).ok());
            if let Some(file) = file {
                self.files.insert(one.uid, (root, file));
            }
        }
    }

    fn scores(
        &mut self,
        _: Vec<(Uid, u16)>,
        members: &[MemberInfo<AccountId>],
        own: &AccountId,
    ) -> Vec<(Uid, u16)> {
        let members: Vec<Miner> = members
            .iter()
            .map(|member| (member.uid, id(&member.hotkey)))
            .collect();
        let mut sums: BTreeMap<Uid, f64> = BTreeMap::new();
        for (_, file) in self.files.values() {
            let row = self.row_of(file, &members, id(own));
            for (uid, score) in row.into_iter().flatten() {
                *sums.entry(uid).or_default() += f64::from(score);
            }
        }
        proportions(sums)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_primitives::Netuid;
    use cairn_protocol::value::Outcome;

    #[test]
    fn what_is_newest_stands_for_the_rounds_since() {
        let key = |byte| Hotkey(H256([byte; 32]));
        let members = [(Uid(1), key(1)), (Uid(2), key(2))];
        let gained = |round, gains: [f32; 2]| {
            members.into_iter().zip(gains).map(move |(member, gain)| {
                let (uid, hotkey) = member;
                let outcome = Outcome::Measured {
                    steps: 4,
                    of: 4,
                    alike: 1,
                    repeats: false,
                    assigned: vec![gain; 32],
                    unassigned: vec![gain; 32],
                    settled: Vec::new(),
                    unseen: Vec::new(),
                };
                Evidence {
                    round,
                    uid,
                    hotkey,
                    outcome,
                }
            })
        };
        let log: Vec<Evidence> = gained(2, [0.125, 0.375])
            .chain(gained(3, [0.375, 0.125]))
            .collect();
        let file = EvidenceFile::new((Netuid(1), 4, key(9)), 3, &log, &members);
        let row_at = |newest| {
            let copier = CopiedEvidence {
                newest,
                ..CopiedEvidence::default()
            };
            copier.row_of(&file, &members, key(8))
        };
        let alike = [(Uid(1), 65_535), (Uid(2), 65_535)];
        assert_eq!(row_at(3).as_deref(), Some(&alike[..]));
        // One quarter and three of three quarters, beside three quarters and three of one.
        let since = [(Uid(1), 65_535), (Uid(2), 39_321)];
        assert_eq!(row_at(5).as_deref(), Some(&since[..]));
        assert_eq!(row_at(0).as_deref(), Some(&alike[..]));
    }
}
