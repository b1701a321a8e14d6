//! What is drawn of a board. Pure.

use std::{
    cmp::Reverse,
    collections::VecDeque,
    time::{Duration, Instant},
};

use cairn_primitives::{Phase, Uid};
use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Block, LineGauge, Paragraph, Sparkline, SparklineBar, Widget},
};

use super::board::{Board, Mark, Place};
use crate::{
    amount::{counted, crn, size, thousands},
    metrics::pulse::STILL,
    output::wrapped,
    printable::printable,
    roles::{idle::Part, progress::uids},
};

/// A terminal that is smaller gets a few lines instead of panes.
const LEAST: (u16, u16) = (60, 20);
/// Rows of the pane about the round, and of those about the work: what they hold, and a frame.
const ROUND_ROWS: u16 = 7;
const WORK_ROWS: u16 = 8;
/// Columns of the bar of a full score.
const SCORE_BAR: f64 = 20.0;
/// The height of the highest loss, and of the lowest: one that is there is seen.
const HIGHEST: f32 = 1_000.0;
const LOWEST: f32 = 100.0;

const PLAIN: Style = Style::new();
const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const GOOD: Style = Style::new().fg(Color::Green);
const FAINT: Style = Style::new().fg(Color::DarkGray);
const WARN: Style = Style::new().fg(Color::Yellow);

/// Draws a board, and below it the last lines of `log`, over the whole buffer.
pub fn draw(board: &Board, log: &[String], buffer: &mut Buffer, now: Instant) {
    let area = buffer.area;
    if area.width < LEAST.0 || area.height < LEAST.1 {
        return small(board, log, buffer, now);
    }
    let rows = [
        Constraint::Length(1),
        Constraint::Length(ROUND_ROWS),
        Constraint::Length(WORK_ROWS),
        Constraint::Fill(1),
    ];
    let [head, round, work, rest] = Layout::vertical(rows).areas(area);
    let halves = [Constraint::Fill(1), Constraint::Fill(1)];
    let [left, right] = Layout::horizontal(halves).areas(work);
    title(board, now).render(head, buffer);
    about_round(board, round, buffer, now);
    match board.part {
        Part::Miner => losses(board, left, buffer),
        Part::Validator => scores(board, left, buffer),
    }
    let frame = Block::bordered().title(" work and pay ");
    Paragraph::new(work_and_pay(board))
        .block(frame)
        .render(right, buffer);
    let frame = Block::bordered().title(" log ");
    let inner = frame.inner(rest);
    let lines = rows_of(log, inner.width, inner.height.into());
    Paragraph::new(lines).block(frame).render(rest, buffer);
}

/// The same where there is little room: what matters most first, and of the log what is left.
fn small(board: &Board, log: &[String], buffer: &mut Buffer, now: Instant) {
    let area = buffer.area;
    let mut lines = vec![
        title(board, now),
        Line::from(place_in_words(board, now)),
        Line::from(work_in_words(board)),
        marks(board),
        doing(board, now),
    ];
    let room = usize::from(area.height).saturating_sub(lines.len());
    lines.extend(rows_of(log, area.width, room));
    Paragraph::new(lines).render(area, buffer);
}

/// Who works where, in a line, and whether the chain stands still.
fn title(board: &Board, now: Instant) -> Line<'static> {
    let role = board.part.name();
    let mut parts = vec![Span::styled(format!("cairn {role}"), BOLD)];
    let mut add =
        |text: String, style: Style| parts.push(Span::styled(format!(" · {text}"), style));
    let ago = board
        .block
        .map(|(_, came)| now.saturating_duration_since(came));
    if let Some(ago) = ago.filter(|ago| *ago >= STILL) {
        add(format!("no new block for {}", clock(ago)), WARN);
    }
    if let Some(run) = &board.run {
        add(format!("run {}", printable(&run.name)), PLAIN);
    }
    add(format!("subnet {}", board.netuid), PLAIN);
    if let Some(uid) = board.uid {
        add(format!("uid {uid}"), PLAIN);
    }
    if let Some((block, _)) = board.block {
        add(format!("block {}", thousands(block.into())), PLAIN);
    }
    Line::from(parts)
}

fn about_round(board: &Board, area: Rect, buffer: &mut Buffer, now: Instant) {
    let title = match &board.run {
        Some(run) => format!(
            " {}, {}, {} of them attested ",
            counted(run.miners as u64, "miner"),
            counted(run.validators as u64, "validator"),
            run.attested
        ),
        None => " round ".into(),
    };
    let frame = Block::bordered().title(title);
    let inner = frame.inner(area);
    frame.render(area, buffer);
    let rows = [Constraint::Length(1); 5];
    let [place, work, done, last, does] = Layout::vertical(rows).areas(inner);
    let over = board.place(now).and_then(share_over);
    gauge(place_in_words(board, now), over).render(place, buffer);
    let steps = board.steps.filter(|_| board.part == Part::Miner);
    let made = steps.and_then(|steps| share(steps.done.into(), steps.of.into()));
    gauge(work_in_words(board), made).render(work, buffer);
    marks(board).render(done, buffer);
    Line::from(last_in_words(board)).render(last, buffer);
    doing(board, now).render(does, buffer);
}

/// A text and how much is over; without that, the text alone.
fn gauge(label: String, over: Option<f64>) -> LineGauge<'static> {
    let gauge = LineGauge::default().label(label);
    match over {
        Some(over) => gauge
            .ratio(over)
            .filled_symbol("━")
            .unfilled_symbol("─")
            .filled_style(GOOD)
            .unfilled_style(FAINT),
        None => gauge.ratio(0.0).unfilled_symbol(" "),
    }
}

/// From 0 to 1; `None` of nothing.
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| (part as f64 / whole as f64).clamp(0.0, 1.0))
}

fn share_over(place: Place) -> Option<f64> {
    let all = u64::from(place.over).saturating_add(place.left.into());
    share(place.over.into(), all)
}

/// Where the round is, and the time left.
fn place_in_words(board: &Board, now: Instant) -> String {
    let Some(place) = board.place(now) else {
        return match (&board.run, board.block) {
            (None, _) => "looking for the run".into(),
            (Some(_), None) => "waiting for a block".into(),
            (Some(_), Some(_)) => "no round yet".into(),
        };
    };
    let round = place.round;
    let phase = match place.phase {
        Phase::Train => "train",
        Phase::Reveal => "reveal",
        Phase::Attest => "attest",
        Phase::Settle => return format!("round {round} · the next block settles it"),
    };
    let blocks = counted(place.left, "block");
    match place.time_left {
        Some(time) => format!(
            "round {round} · {phase}, {blocks} left, about {}",
            clock(time)
        ),
        None => format!("round {round} · {phase}, {blocks} left"),
    }
}

/// What the role does most of the time, and how far it is.
fn work_in_words(board: &Board) -> String {
    match (board.part, board.steps, board.measured) {
        (Part::Miner, Some(steps), _) => {
            let rate = board.tokens_per_second();
            let rate = rate.map_or(String::new(), |rate| {
                format!(" · {} tokens/s", thousands(rate.round() as u64))
            });
            let (done, of, loss) = (steps.done, steps.of, steps.loss);
            format!("step {done} of {of} · loss {loss:.3}{rate}")
        }
        (Part::Miner, None, _) => "no inner step yet".into(),
        (Part::Validator, _, Some((round, measured, miners))) => {
            let (passed, failed) = board.audits;
            let miners = counted(miners as u64, "miner");
            let audits = match (passed, failed) {
                (0, 0) => String::new(),
                _ => format!(" · audits: {passed} passed, {failed} failed"),
            };
            format!("measured {measured} of {miners} in round {round}{audits}")
        }
        (Part::Validator, _, None) => "nothing measured yet".into(),
    }
}

/// What is done in the current round, and what is to come.
fn marks(board: &Board) -> Line<'static> {
    let round = board.run.as_ref().and_then(|run| run.round);
    let notes = round.and_then(|round| board.rounds.get(&round));
    let mut spans = Vec::new();
    for mark in Mark::of(board.part) {
        let is_done = notes.is_some_and(|notes| notes.marks.contains(mark));
        let (sign, style) = match is_done {
            true => ("✓", GOOD),
            false => ("·", FAINT),
        };
        spans.push(Span::styled(format!("{sign} {}  ", mark.name()), style));
    }
    Line::from(spans)
}

/// How the last round ended.
fn last_in_words(board: &Board) -> String {
    let Some((round, notes)) = board.last_settled() else {
        return "no round settled yet".into();
    };
    let included = notes.included.as_deref().unwrap_or_default();
    let with = match included {
        [] => "settled, nothing included".into(),
        included => format!("settled with {}", uids(included)),
    };
    let own = match (board.part, notes.own) {
        (Part::Miner, Some(true)) => " · this worker's was included",
        (Part::Miner, Some(false)) => " · this worker's was not",
        _ => "",
    };
    format!("round {round} {with}{own}")
}

/// What is being done, and for how long; or why nothing is.
fn doing(board: &Board, now: Instant) -> Line<'static> {
    if let Some(why) = &board.idle {
        return Line::styled(format!("no part in it: {}", printable(why)), WARN);
    }
    let one = |(name, since): (&&str, &VecDeque<Instant>)| {
        let longest = since.front().copied().unwrap_or(now);
        let time = clock(now.saturating_duration_since(longest));
        match since.len() {
            0 | 1 => format!("{name} {time}"),
            several => format!("{several} × {name} {time}"),
        }
    };
    if let Some(owed) = board.draining.as_ref().filter(|_| board.busy.is_empty()) {
        return Line::styled(printable(owed), WARN);
    }
    let all: Vec<String> = board.busy.iter().map(one).collect();
    match all.is_empty() {
        true => Line::styled("now: waiting", FAINT),
        false => Line::styled(format!("now: {}", all.join(", ")), PLAIN),
    }
}

/// The losses of the last rounds, a column each.
fn losses(board: &Board, area: Rect, buffer: &mut Buffer) {
    let all: Vec<f32> = board
        .rounds
        .values()
        .filter_map(|notes| notes.loss)
        .collect();
    let title = match (all.first(), all.last()) {
        (Some(first), Some(last)) => format!(" loss by round: {first:.2} → {last:.2} "),
        _ => " loss by round: none yet ".into(),
    };
    let frame = Block::bordered().title(title);
    let room = usize::from(frame.inner(area).width);
    let shown = all
        .get(all.len().saturating_sub(room)..)
        .unwrap_or_default();
    Sparkline::default()
        .block(frame)
        .data(bars(shown))
        .max(HIGHEST as u64)
        .style(GOOD)
        .render(area, buffer);
}

/// Losses as heights between the lowest and the highest of them; what is no number has none.
fn bars(losses: &[f32]) -> Vec<SparklineBar> {
    let finite = losses.iter().copied().filter(|loss| loss.is_finite());
    let (low, high) = finite.fold((f32::MAX, f32::MIN), |(low, high), loss| {
        (low.min(loss), high.max(loss))
    });
    let bar = |loss: &f32| {
        let place = match high > low {
            true => (loss - low) / (high - low),
            false => 0.5,
        };
        let height = LOWEST + place * (HIGHEST - LOWEST);
        SparklineBar::from(loss.is_finite().then_some(height.round() as u64))
    };
    losses.iter().map(bar).collect()
}

/// The scores that a validator set last, the highest first.
fn scores(board: &Board, area: Rect, buffer: &mut Buffer) {
    let title = match board.scores.is_empty() {
        true => " scores: none set yet ",
        false => " scores set last ",
    };
    let mut scores = board.scores.clone();
    scores.sort_by_key(|(uid, score)| (Reverse(*score), *uid));
    let line = |(uid, score): &(Uid, u16)| {
        let share = f64::from(*score) / f64::from(u16::MAX);
        let bar = "█".repeat((share * SCORE_BAR).round() as usize);
        Line::from(vec![
            Span::raw(format!("uid {uid:<5} {share:.3} ")),
            Span::styled(bar, GOOD),
        ])
    };
    let lines: Vec<Line<'_>> = scores.iter().map(line).collect();
    let frame = Block::bordered().title(title);
    Paragraph::new(lines).block(frame).render(area, buffer);
}

fn work_and_pay(board: &Board) -> Vec<Line<'static>> {
    let (open, passed_over) = board.sources;
    let rounds = match board.part {
        Part::Miner => format!("{} committed, {} included", board.committed, board.included),
        Part::Validator => format!("{} attested", board.committed),
    };
    let bytes = format!("{} out, {} in", size(board.sent), size(board.fetched));
    let mut rows = vec![
        ("rounds", rounds),
        ("peers", format!("{open} open, {passed_over} passed over")),
        ("bytes", bytes),
    ];
    match (&board.money, board.part) {
        (None, _) => rows.push(("pay", "not known yet".into())),
        (Some(money), part) => {
            rows.push(match part {
                Part::Miner => ("bond", format!("{} CRN", crn(money.bond, 2))),
                Part::Validator => ("stake", format!("{} CRN", crn(money.stake, 2))),
            });
            let (last, earned) = (crn(money.last, 4), crn(money.earned, 4));
            rows.push(("paid", format!("{last} last, {earned} CRN")));
            if part == Part::Miner {
                rows.push(("withheld", format!("{} CRN", crn(money.withheld, 4))));
            }
        }
    }
    let line = |(name, text): (&str, String)| Line::from(format!("{name:<9} {text}"));
    rows.into_iter().map(line).collect()
}

/// The last lines of a log, wrapped, in at most so many rows.
fn rows_of(log: &[String], columns: u16, most: usize) -> Vec<Line<'static>> {
    let mut rows = Vec::new();
    for line in log {
        let wrapped = wrapped(&printable(line), columns.into());
        rows.extend(wrapped.lines().map(|row| Line::from(row.to_string())));
    }
    let before = rows.len().saturating_sub(most);
    rows.split_off(before)
}

/// `42 s`, `3 min 05 s`, `1 h 05 min`.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours) = (seconds / 60, seconds / 3_600);
    match (hours, minutes) {
        (0, 0) => format!("{seconds} s"),
        (0, minutes) => format!("{minutes} min {:02} s", seconds % 60),
        (hours, minutes) => format!("{hours} h {:02} min", minutes % 60),
    }
}
