//! What can happen, as data that proptest makes and shrinks.

use cairn_primitives::Uid;
use proptest::prelude::*;

use super::calls::{COLDKEYS, HOTKEYS};

/// A whole case.
#[derive(Clone, Debug)]
pub struct Game {
    /// How much is issued at its beginning: 0 little, 1 almost to the first halving, 2 almost all.
    pub beginning: u8,
    /// What happens.
    pub steps: Vec<Step>,
}

/// What happens in one block, or in some.
#[derive(Clone, Debug)]
pub enum Step {
    /// Blocks without surprises; if `busy`, members do their duty in them.
    Pass { blocks: u16, busy: bool },
    /// A block with these calls.
    Block(Vec<Move>),
}

/// A call.
#[derive(Clone, Debug)]
pub struct Move {
    /// Who signs if not the one who should: its number.
    pub stranger: Option<u8>,
    /// The subnet, from 1.
    pub net: u16,
    /// The hotkey that it is about.
    pub hotkey: u8,
    /// Another one.
    pub other: u8,
    /// Another subnet.
    pub to_net: u16,
    /// How much.
    pub amount: Amount,
    /// What.
    pub what: What,
}

/// An amount that makes trouble.
#[derive(Clone, Copy, Debug)]
pub enum Amount {
    Nothing,
    Pebble(u16),
    Crn(u16),
    /// Parts of 255 of what the signer has.
    Share(u8),
    Everything,
    MoreThanExists,
}

/// The kinds of calls.
#[derive(Clone, Debug)]
pub enum What {
    CreateSubnet,
    SetHyperparameters {
        tempo: u8,
        max_members: u8,
        periods: u8,
        wrong: bool,
    },
    WithdrawHyperparameters,
    Register {
        validates: bool,
    },
    SetRole {
        validates: bool,
    },
    AnnounceSwap,
    CancelSwap,
    FinishSwap,
    Leave,
    DissolveSubnet,
    AddStake,
    RemoveStake {
        all: bool,
    },
    WithdrawStake,
    MoveStake {
        all: bool,
    },
    TransferStake {
        all: bool,
    },
    SetTake {
        take: u16,
    },
    SetForeignStake {
        allowed: bool,
    },
    AddBond,
    Unbond,
    WithdrawBond,
    StartRun {
        impossible: bool,
    },
    StopRun,
    Commit {
        wrong_round: bool,
    },
    Reveal {
        wrong_key: bool,
    },
    CommitAttestation {
        wrong_root: bool,
    },
    Attest {
        wrong_root: bool,
    },
    Here,
    Endpoints {
        file: bool,
    },
    OpenAudit {
        too_long: bool,
    },
    CommitVerdict {
        failed: bool,
    },
    RevealVerdict {
        wrong_salt: bool,
    },
    CommitScores,
    RevealScores {
        wrong_salt: bool,
    },
    SetScores {
        row: Vec<(Uid, u16)>,
    },
    SetEmitting {
        emits: bool,
    },
    Transfer {
        all: bool,
        keep_alive: bool,
    },
    Burn,
    AddProxy {
        kind: u8,
    },
    RemoveProxies,
    Batch {
        atomic: bool,
        moves: Vec<Move>,
    },
    ByProxy(Box<Move>),
}

fn amount() -> impl Strategy<Value = Amount> {
    prop_oneof![
        1 => Just(Amount::Nothing),
        2 => any::<u16>().prop_map(Amount::Pebble),
        8 => (1u16..2_000).prop_map(Amount::Crn),
        4 => any::<u8>().prop_map(Amount::Share),
        1 => Just(Amount::Everything),
        1 => Just(Amount::MoreThanExists),
    ]
}

fn of_members() -> impl Strategy<Value = What> {
    let often = prop::bool::weighted(0.1);
    let row = prop::collection::vec(((0u16..14).prop_map(Uid), any::<u16>()), 0..6);
    prop_oneof![
        2 => often.prop_map(|wrong_round| What::Commit { wrong_round }),
        2 => often.prop_map(|wrong_key| What::Reveal { wrong_key }),
        2 => often.prop_map(|wrong_root| What::CommitAttestation { wrong_root }),
        2 => often.prop_map(|wrong_root| What::Attest { wrong_root }),
        1 => Just(What::Here),
        1 => any::<bool>().prop_map(|file| What::Endpoints { file }),
        1 => often.prop_map(|too_long| What::OpenAudit { too_long }),
        1 => often.prop_map(|failed| What::CommitVerdict { failed }),
        1 => often.prop_map(|wrong_salt| What::RevealVerdict { wrong_salt }),
        2 => row.prop_map(|row| What::SetScores { row }),
        1 => Just(What::CommitScores),
        1 => often.prop_map(|wrong_salt| What::RevealScores { wrong_salt }),
    ]
}

fn of_owners() -> impl Strategy<Value = What> {
    let wrong = prop::bool::weighted(0.2);
    let rules = (any::<u8>(), any::<u8>(), any::<u8>(), wrong);
    prop_oneof![
        8 => Just(What::CreateSubnet),
        8 => rules.prop_map(|(tempo, max_members, periods, wrong)| {
            What::SetHyperparameters { tempo, max_members, periods, wrong }
        }),
        8 => Just(What::WithdrawHyperparameters),
        12 => wrong.prop_map(|impossible| What::StartRun { impossible }),
        4 => Just(What::StopRun),
        1 => prop::bool::weighted(0.7).prop_map(|emits| What::SetEmitting { emits }),
        1 => Just(What::DissolveSubnet),
    ]
}

fn of_holders() -> impl Strategy<Value = What> {
    prop_oneof![
        6 => any::<bool>().prop_map(|validates| What::Register { validates }),
        2 => any::<bool>().prop_map(|validates| What::SetRole { validates }),
        3 => Just(What::AnnounceSwap),
        3 => Just(What::CancelSwap),
        4 => Just(What::FinishSwap),
        1 => prop::bool::weighted(0.7).prop_map(|allowed| What::SetForeignStake { allowed }),
        2 => Just(What::Leave),
        5 => Just(What::AddStake),
        3 => any::<bool>().prop_map(|all| What::RemoveStake { all }),
        3 => Just(What::WithdrawStake),
        2 => any::<bool>().prop_map(|all| What::MoveStake { all }),
        2 => any::<bool>().prop_map(|all| What::TransferStake { all }),
        1 => prop_oneof![3 => 0u16..700, 1 => any::<u16>()].prop_map(|take| What::SetTake { take }),
        4 => Just(What::AddBond),
        2 => Just(What::Unbond),
        3 => Just(What::WithdrawBond),
        3 => (any::<bool>(), any::<bool>())
            .prop_map(|(all, keep_alive)| What::Transfer { all, keep_alive }),
        1 => Just(What::Burn),
        1 => (0u8..4).prop_map(|kind| What::AddProxy { kind }),
        1 => Just(What::RemoveProxies),
    ]
}

/// Mostly the subnet that every case begins with.
fn subnet() -> impl Strategy<Value = u16> {
    prop_oneof![6 => Just(1u16), 2 => Just(2u16), 1 => 0u16..5]
}

/// Mostly those that are registered early.
fn hotkey() -> impl Strategy<Value = u8> {
    prop_oneof![3 => 0..HOTKEYS / 2, 1 => 0..HOTKEYS]
}

fn move_of(what: impl Strategy<Value = What>) -> impl Strategy<Value = Move> {
    let stranger = prop::option::weighted(0.1, 0..COLDKEYS + HOTKEYS);
    let place = (subnet(), hotkey(), hotkey(), subnet());
    (stranger, place, amount(), what).prop_map(
        |(stranger, (net, hotkey, other, to_net), amount, what)| Move {
            stranger,
            net,
            hotkey,
            other,
            to_net,
            amount,
            what,
        },
    )
}

fn plain() -> impl Strategy<Value = Move> {
    move_of(prop_oneof![2 => of_members(), 2 => of_owners(), 5 => of_holders()])
}

fn batch() -> impl Strategy<Value = Move> {
    let moves = prop::collection::vec(plain(), 1..4);
    move_of((any::<bool>(), moves).prop_map(|(atomic, moves)| What::Batch { atomic, moves }))
}

fn a_move() -> impl Strategy<Value = Move> {
    let inner = prop_oneof![3 => plain(), 1 => batch()];
    let proxied = move_of(inner.prop_map(|one| What::ByProxy(Box::new(one))));
    prop_oneof![8 => plain(), 1 => batch(), 1 => proxied]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (1u16..12, prop::bool::weighted(0.8))
            .prop_map(|(blocks, busy)| Step::Pass { blocks, busy }),
        5 => prop::collection::vec(a_move(), 1..8).prop_map(Step::Block),
    ]
}

/// A case.
pub fn game() -> impl Strategy<Value = Game> {
    (0u8..3, prop::collection::vec(step(), 40..120))
        .prop_map(|(beginning, steps)| Game { beginning, steps })
}
