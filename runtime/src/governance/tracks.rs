//! What a referendum of each kind takes: deposit, delays, and how much of what was issued has to want it.

use alloc::borrow::Cow;
use cairn_primitives::{Balance, BlockNumber, CRN};
use pallet_referenda::{Curve, TrackInfo};
use sp_runtime::{str_array, Perbill};

use super::{paced, Origin};
use crate::{OriginCaller, Runtime};

/// Blocks of a day, at six seconds.
pub const DAY: BlockNumber = 14_400;
/// Blocks of an hour.
pub const HOUR: BlockNumber = 600;

/// Which runs emit.
pub const EMISSION: u16 = 0;
/// The numbers that may be set.
pub const RULES: u16 = 1;
/// The council's seats.
pub const COUNCIL: u16 = 2;
/// A new runtime.
pub const UPGRADE: u16 = 3;
/// A new runtime, soon.
pub const REPAIR: u16 = 4;
/// What ends other referenda.
pub const CANCEL: u16 = 5;
/// Who makes and finalises blocks.
pub const AUTHORITIES: u16 = 6;

/// A track on a chain that is not for development. Delays are in blocks, shares in percent.
pub struct Row {
    /// As whom it enacts.
    pub origin: Origin,
    /// Its name.
    pub name: [u8; 25],
    /// How many referenda on it are decided at a time.
    pub at_a_time: u32,
    /// What somebody reserves so that one is decided, in CRN.
    pub deposit: Balance,
    /// From its beginning to the first block in which it can be decided.
    pub prepare: BlockNumber,
    /// How long it is decided at the most.
    pub decision: BlockNumber,
    /// How long it has to stay ahead.
    pub confirm: BlockNumber,
    /// From its approval to its enactment, at the least.
    pub enactment: BlockNumber,
    /// The share of the votes that has to be for it, in the first block of its decision and in the last.
    pub approval: (u32, u32),
    /// The share of all that was issued that has to be for it, likewise.
    pub support: (u32, u32),
}

/// All tracks, by their number.
pub const ROWS: [Row; 7] = [
    Row {
        origin: Origin::Emission,
        name: str_array("emission"),
        at_a_time: 8,
        deposit: 100 * CRN,
        prepare: DAY,
        decision: 14 * DAY,
        confirm: DAY,
        enactment: 4 * DAY,
        approval: (100, 50),
        support: (50, 5),
    },
    Row {
        origin: Origin::Rules,
        name: str_array("rules"),
        at_a_time: 4,
        deposit: 500 * CRN,
        prepare: DAY,
        decision: 21 * DAY,
        confirm: 2 * DAY,
        enactment: 7 * DAY,
        approval: (100, 50),
        support: (50, 5),
    },
    Row {
        origin: Origin::Council,
        name: str_array("council"),
        at_a_time: 2,
        deposit: 500 * CRN,
        prepare: DAY,
        decision: 21 * DAY,
        confirm: 2 * DAY,
        enactment: 7 * DAY,
        approval: (100, 50),
        support: (50, 5),
    },
    Row {
        origin: Origin::Upgrade,
        name: str_array("upgrade"),
        at_a_time: 1,
        deposit: 1_000 * CRN,
        prepare: 2 * DAY,
        decision: 21 * DAY,
        confirm: 2 * DAY,
        enactment: 7 * DAY,
        approval: (100, 67),
        support: (50, 10),
    },
    Row {
        origin: Origin::Repair,
        name: str_array("repair"),
        at_a_time: 1,
        deposit: 1_000 * CRN,
        prepare: HOUR,
        decision: 3 * DAY,
        confirm: 6 * HOUR,
        enactment: 6 * HOUR,
        approval: (90, 80),
        support: (30, 20),
    },
    Row {
        origin: Origin::Cancel,
        name: str_array("cancel"),
        at_a_time: 8,
        deposit: 100 * CRN,
        prepare: HOUR,
        decision: 2 * DAY,
        confirm: 3 * HOUR,
        enactment: 10,
        approval: (100, 50),
        support: (25, 2),
    },
    Row {
        origin: Origin::Authorities,
        name: str_array("authorities"),
        at_a_time: 4,
        deposit: 500 * CRN,
        prepare: DAY,
        decision: 14 * DAY,
        confirm: 2 * DAY,
        enactment: 4 * DAY,
        approval: (100, 60),
        support: (50, 5),
    },
];

type Info = TrackInfo<Balance, BlockNumber>;
type Track = pallet_referenda::Track<u16, Balance, BlockNumber>;

/// From a share at first to another at last, evenly.
const fn falling((first, last): (u32, u32)) -> Curve {
    Curve::LinearDecreasing {
        length: Perbill::from_percent(100),
        floor: Perbill::from_percent(last),
        ceil: Perbill::from_percent(first),
    }
}

impl Row {
    /// The track on this chain.
    fn info(&self) -> Info {
        Info {
            name: self.name,
            max_deciding: self.at_a_time,
            decision_deposit: self.deposit,
            prepare_period: paced::<Runtime>(self.prepare),
            decision_period: paced::<Runtime>(self.decision),
            confirm_period: paced::<Runtime>(self.confirm),
            min_enactment_period: paced::<Runtime>(self.enactment),
            min_approval: falling(self.approval),
            min_support: falling(self.support),
        }
    }
}

/// The tracks of this chain.
pub struct Tracks;

impl pallet_referenda::TracksInfo<Balance, BlockNumber> for Tracks {
    type Id = u16;
    type RuntimeOrigin = OriginCaller;

    fn tracks() -> impl Iterator<Item = Cow<'static, Track>> {
        ROWS.iter().map(|row| {
            let (id, info) = (row.origin.id(), row.info());
            Cow::Owned(Track { id, info })
        })
    }

    fn info(id: u16) -> Option<Cow<'static, Info>> {
        let row = ROWS.get(usize::from(id))?;
        Some(Cow::Owned(row.info()))
    }

    fn track_ids() -> impl Iterator<Item = u16> {
        ROWS.iter().map(|row| row.origin.id())
    }

    fn track_for(origin: &OriginCaller) -> Result<u16, ()> {
        match origin {
            OriginCaller::Governance(origin) => Ok(origin.id()),
            _ => Err(()),
        }
    }

    // The usual check asks for the delays, which are in the state.
    fn check_integrity() -> Result<(), &'static str> {
        let sorted = ROWS.iter().map(|row| row.origin).eq(Origin::ALL);
        sorted.then_some(()).ok_or("the tracks are not sorted")
    }
}
