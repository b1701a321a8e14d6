//! What was measured, as tests begin with it.

use alloc::vec::Vec;
use cairn_primitives::{Hotkey, Round, Uid, H256};

use super::{Evidence, Outcome};

/// The key of the miner with this number.
pub(crate) fn key(uid: Uid) -> Hotkey {
    Hotkey(H256([uid.get() as u8; 32]))
}

/// 32 gains around a mean.
pub(crate) fn around(mean: f32) -> Vec<f32> {
    (0..32).map(|i| mean + (i % 3) as f32 * 0.001).collect()
}

/// Of a miner that made all of 8 steps: these gains on assigned, unassigned and unseen windows.
pub(crate) fn of_gains(
    round: Round,
    uid: Uid,
    [assigned, unassigned, unseen]: [Vec<f32>; 3],
) -> Evidence {
    Evidence {
        round,
        uid,
        hotkey: key(uid),
        outcome: Outcome::Measured {
            steps: 8,
            of: 8,
            alike: 1,
            repeats: false,
            assigned,
            unassigned,
            settled: Vec::new(),
            unseen,
        },
    }
}

/// The same in a run without unseen text: a gain, and by how much it was higher on assigned windows.
pub(crate) fn measured(round: Round, uid: Uid, gain: f32, premium: f32) -> Evidence {
    of_gains(
        round,
        uid,
        [around(gain + premium), around(gain), Vec::new()],
    )
}
