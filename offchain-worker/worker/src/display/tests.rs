//! What is seen of what happened, on terminals of several sizes.

use std::time::{Duration, Instant};

use cairn_chain::{AccountId, RunInfo};
use cairn_primitives::{
    api::Attester, Finding, ModelRoot, Netuid, Phase, Round, SealedRoot, Uid, CRN, H256,
};
use cairn_protocol::phase::Timetable;
use ratatui::{backend::TestBackend, buffer::Buffer, layout::Rect, Terminal};

use super::{
    ask::{Asked, Money},
    board::{Board, Place},
    draw::draw,
};
use crate::{
    metrics::{note::Note, Stage},
    roles::{idle::Part, ledger::Line, progress::Progress, testing::a_run, Status},
};

const NETUID: Netuid = Netuid(7);
const SIZES: [(u16, u16); 2] = [(80, 24), (120, 40)];
const SECOND: Duration = Duration::from_secs(1);

/// Round 9 begins in block 100.
fn run() -> RunInfo {
    let mut run = a_run();
    run.round.round = 9;
    run.round.times = Timetable::new(100, &run.config.phases).0;
    run.round.seed = H256([1; 32]);
    let key = AccountId([1; 32]);
    run.round.miners = vec![(Uid(0), key), (Uid(3), key), (Uid(4), key)];
    let attester = |uid, attested| Attester {
        uid: Uid(uid),
        hotkey: key,
        stake: 9,
        committed: None,
        attested,
    };
    run.round.validators = vec![attester(1, true), attester(2, false)];
    run
}

fn status(role: &str) -> Status {
    Status {
        role: role.into(),
        uid: Some(Uid(3)),
        hotkey: AccountId([7; 32]),
        netuid: NETUID,
        block: 102,
        round: 9,
        model_root: ModelRoot(H256([8; 32])),
        loss: None,
        rounds_committed: 12,
        rounds_included: 11,
        idle: None,
        drains_until: None,
    }
}

fn trained(round: Round, last_loss: f32) -> Progress {
    Progress::Trained {
        round,
        steps: 6,
        tokens: 768,
        first_loss: 6.9,
        last_loss,
        bytes: 1 << 20,
    }
}

fn settled(round: Round, included: Vec<Uid>) -> Progress {
    Progress::Settled {
        round,
        included,
        model_root: ModelRoot(H256([9; 32])),
        block: 101,
    }
}

fn line(round: Round, included: bool) -> Line {
    Line {
        round,
        contributions: 2,
        committed: true,
        included,
        incentive: 9,
        earned: 13 * CRN,
        model_root: ModelRoot(H256([9; 32])),
    }
}

fn asked() -> Asked {
    let money = Money {
        bond: 10 * CRN,
        stake: 250 * CRN,
        withheld: 3 * CRN / 2,
        last: CRN / 4,
        earned: 12 * CRN,
    };
    Asked {
        block_time: 6 * SECOND,
        money: Some(money),
    }
}

/// Tells a board what is so for both roles, at block 102.
fn begun(part: Part, at: Instant) -> Board {
    let mut board = Board::new(part, NETUID);
    board.see(&Note::Beat(102), at);
    board.see(&Note::Looked(&status(part.name()), &run()), at);
    board.see(&Note::Fetched(3 << 20), at);
    let (open, passed_over) = (2, 1);
    board.see(&Note::Sources { open, passed_over }, at);
    board.know(asked());
    board
}

/// A miner in the middle of its fourth inner step.
fn miner(at: Instant) -> Board {
    let mut board = begun(Part::Miner, at);
    for (round, loss) in [(6, 6.21), (7, 6.05), (8, 5.98)] {
        board.see(&Note::Said(&trained(round, loss)), at);
    }
    board.see(&Note::Said(&settled(8, vec![Uid(0), Uid(3)])), at);
    board.see(&Note::Settled(&line(8, true)), at);
    board.see(&Note::Began(Stage::Train), at);
    for done in 1..=3u32 {
        let (of, loss) = (6, 6.0 - done as f32 / 10.0);
        board.see(&Note::Stepped { done, of, loss }, at + done * SECOND);
    }
    board
}

fn validator(at: Instant) -> Board {
    let mut board = begun(Part::Validator, at);
    let said = [
        settled(8, Vec::new()),
        Progress::Scored {
            round: 8,
            measured: 2,
            miners: 3,
        },
        Progress::VerdictRevealed {
            round: 7,
            uid: Uid(4),
            finding: Finding::Failed,
        },
        Progress::ScoresRevealed {
            round: 8,
            epoch: 4,
            scores: vec![(Uid(0), u16::MAX / 2), (Uid(4), 0), (Uid(3), u16::MAX)],
        },
        Progress::AttestationCommitted { round: 9 },
    ];
    for progress in &said {
        board.see(&Note::Said(progress), at);
    }
    for _ in 0..2 {
        board.see(&Note::Began(Stage::Fetch), at);
    }
    board
}

/// What a terminal of that size shows.
fn shown(board: &Board, (columns, rows): (u16, u16), now: Instant) -> String {
    let log: Vec<String> = (0..100).map(|number| format!("line {number}")).collect();
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal
        .draw(|frame| draw(board, &log, frame.buffer_mut(), now))
        .unwrap();
    terminal.backend().to_string()
}

#[track_caller]
fn has(shown: &str, words: &[&str]) {
    for words in words {
        assert!(shown.contains(words), "`{words}` is missing in\n{shown}");
    }
}

#[test]
fn a_miner_sees_its_round_its_steps_its_losses_and_its_pay() {
    let at = Instant::now();
    let board = miner(at);
    for size in SIZES {
        let shown = shown(&board, size, at + 4 * SECOND);
        has(
            &shown,
            &[
                "cairn miner · run test · subnet 7 · uid 3 · block 102",
                "3 miners, 2 validators, 1 of them attested",
                "round 9 · train, ",
                // A step in a second, of 8 sequences of 16 tokens.
                "step 3 of 6 · loss 5.700 · 128 tokens/s",
                "· train  · commit  · reveal",
                "round 8 settled with uids 0, 3 · this worker's was included",
                "now: train 4 s",
                "loss by round: 6.21 → 5.98",
                "12 committed, 11 included",
                "2 open, 1 passed over",
                "3.0 MiB out, 3.0 MiB in",
                "10.00 CRN",
                "0.25 last, 13.00 CRN",
                "withheld  1.50 CRN",
                "line 99",
            ],
        );
        // The highest loss fills its column; of the phase and the steps some is over.
        has(&shown, &["█", "━"]);
    }
}

#[test]
fn a_validator_sees_what_it_measured_and_whom_it_scored() {
    let at = Instant::now();
    let board = validator(at);
    for size in SIZES {
        let shown = shown(&board, size, at + 75 * SECOND);
        has(
            &shown,
            &[
                "cairn validator · no new block for 1 min 15 s · run test · subnet 7",
                "measured 2 of 3 miners in round 8 · audits: 0 passed, 1 failed",
                "✓ commit  · attest",
                "round 8 settled, nothing included",
                "now: 2 × fetch 1 min 15 s",
                "scores set last",
                "uid 3     1.000 ████████████████████",
                "uid 0     0.500 ██████████",
                "12 attested",
                "stake     250.00 CRN",
                "line 99",
            ],
        );
        assert!(!shown.contains("withheld"), "{shown}");
        let place = |words: &str| shown.find(words).unwrap();
        assert!(place("uid 3     1.000") < place("uid 0     0.500"));
    }
}

#[test]
fn marks_are_of_the_current_round_alone() {
    let at = Instant::now();
    let mut board = miner(at);
    let root = SealedRoot::from([1; 32]);
    let committed = |round| Progress::Committed {
        round,
        sealed_root: root,
    };
    board.see(&Note::Said(&committed(8)), at);
    has(
        &shown(&board, SIZES[0], at),
        &["· train  · commit  · reveal"],
    );
    board.see(&Note::Said(&trained(9, 5.9)), at);
    board.see(&Note::Said(&committed(9)), at);
    has(
        &shown(&board, SIZES[0], at),
        &["✓ train  ✓ commit  · reveal"],
    );
}

#[test]
fn time_left_is_blocks_by_their_length_and_runs_down_between_them() {
    let at = Instant::now();
    let mut board = begun(Part::Miner, at);
    let left = Timetable::new(100, &run().config.phases)
        .0
        .reveal
        .saturating_sub(102);
    let place = |board: &Board, seconds: u32| board.place(at + seconds * SECOND);
    let expected = Place {
        round: 9,
        phase: Phase::Train,
        over: 2,
        left,
        time_left: Some(left * 6 * SECOND - 2 * SECOND),
    };
    assert_eq!(place(&board, 2), Some(expected));
    // A block that is late makes no time less than none.
    let late = place(&board, 1_000_000).unwrap();
    assert_eq!(late.time_left, Some(Duration::ZERO));
    board.block_time = None;
    assert_eq!(place(&board, 2).unwrap().time_left, None);
    has(&shown(&board, SIZES[0], at), &["blocks left"]);
    let due = run().round.times.due;
    board.see(&Note::Beat(due), at);
    has(
        &shown(&board, SIZES[0], at),
        &["round 9 · the next block settles it"],
    );
}

#[test]
fn steps_of_another_contribution_begin_anew() {
    let at = Instant::now();
    let mut board = miner(at);
    assert_eq!(board.steps.unwrap().per_second(), Some(1.0));
    board.see(&Note::Ended(Stage::Train), at);
    assert!(board.busy.is_empty());
    board.see(&Note::Began(Stage::Train), at);
    has(&shown(&board, SIZES[0], at), &["no inner step yet"]);
    let (done, of, loss) = (1, 6, 5.5);
    board.see(&Note::Stepped { done, of, loss }, at + 9 * SECOND);
    assert_eq!(board.steps.unwrap().per_second(), None);
    has(&shown(&board, SIZES[0], at), &["step 1 of 6 · loss 5.500"]);
}

#[test]
fn who_drains_sees_for_what_once_nothing_is_being_done() {
    let at = Instant::now();
    let mut board = miner(at);
    let draining = Progress::Draining {
        round: 9,
        owes: "audit",
        until: 137,
        blocks: 35,
        seconds: Some(210),
    };
    board.see(&Note::Said(&draining), at);
    has(&shown(&board, SIZES[0], at), &["now: train"]);
    board.see(&Note::Ended(Stage::Train), at);
    let owed = "round 9 · draining: its contribution is audited";
    has(&shown(&board, SIZES[0], at), &[owed]);
}

#[test]
fn who_has_no_part_sees_why_and_another_run_begins_with_nothing() {
    let at = Instant::now();
    let mut board = miner(at);
    let idle = Progress::Idle {
        round: 9,
        reason: "its bond is 5.00 of 10.00 CRN\u{1b}[2J".into(),
    };
    board.see(&Note::Said(&idle), at);
    let text = shown(&board, SIZES[0], at);
    has(
        &text,
        &["no part in it: its bond is 5.00 of 10.00 CRN\\u{1b}[2J"],
    );
    let started_at = 200;
    board.see(&Note::Said(&Progress::AnotherRun { started_at }), at);
    let text = shown(&board, SIZES[0], at);
    has(
        &text,
        &[
            "looking for the run",
            "loss by round: none yet",
            "no round settled yet",
            "uid 3",
            "10.00 CRN",
        ],
    );
    assert!(!text.contains("run test"), "{text}");
}

#[test]
fn losses_that_are_none_or_all_alike_can_be_drawn() {
    let at = Instant::now();
    let mut board = begun(Part::Miner, at);
    board.see(&Note::Said(&trained(1, f32::NAN)), at);
    has(&shown(&board, SIZES[0], at), &["loss by round: NaN → NaN"]);
    board.see(&Note::Said(&trained(2, 5.0)), at);
    board.see(&Note::Said(&trained(3, f32::INFINITY)), at);
    has(&shown(&board, SIZES[0], at), &["loss by round: NaN → inf"]);
    for round in 4..2_000 {
        board.see(&Note::Said(&trained(round, 5.0)), at);
    }
    assert!(board.rounds.len() <= 512, "{}", board.rounds.len());
    has(
        &shown(&board, SIZES[0], at),
        &["loss by round: 5.00 → 5.00"],
    );
}

#[test]
fn a_small_terminal_shows_what_matters_most_and_none_is_too_small() {
    let at = Instant::now();
    for board in [miner(at), validator(at)] {
        let text = shown(&board, (50, 8), at);
        has(
            &text,
            &["round 9 · train", "now: ", "line 97", "line 98", "line 99"],
        );
        assert!(!text.contains("line 96"), "{text}");
        for columns in [0, 1, 2, 3, 40, 59, 60, 61] {
            for rows in [0, 1, 2, 4, 6, 19, 20, 21] {
                let mut buffer = Buffer::empty(Rect::new(0, 0, columns, rows));
                draw(&board, &["a line".into()], &mut buffer, at);
            }
        }
    }
    // Before anything is known.
    let board = Board::new(Part::Validator, NETUID);
    for size in SIZES {
        has(
            &shown(&board, size, at),
            &[
                "looking for the run",
                "nothing measured yet",
                "not known yet",
            ],
        );
    }
}

#[test]
fn long_lines_of_the_log_go_on_in_the_next_row() {
    let at = Instant::now();
    let board = begun(Part::Miner, at);
    let log = vec!["words ".repeat(40).trim_end().to_string() + " end"];
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
    terminal
        .draw(|frame| draw(&board, &log, frame.buffer_mut(), at))
        .unwrap();
    let text = terminal.backend().to_string();
    has(&text, &["    words words", "words end"]);
}
