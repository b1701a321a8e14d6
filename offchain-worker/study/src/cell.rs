//! What is compared: one method of communication and its settings.

use cairn_gradient::{Turn, BLOCK};
use cairn_primitives::Combination;
use serde::{Deserialize, Serialize};

use crate::dense::Code;

/// How workers tell each other what they learned.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// One AdamW on the mean gradient of all workers, in every step.
    AdamW,
    /// The mean of dense pseudo-gradients, Nesterov outside (arXiv 2311.08105).
    DiLoCo,
    /// SparseLoCo as Templar's release 2.1 has it: one quantiser of four bins per tensor, 14 bits per value,
    /// norms clipped to their median, mean over senders.
    Templar,
    /// Ours: two levels per block, and ρ.
    Cairn,
    /// All values, rounded, with error feedback; the mean of all workers.
    Dense,
}

/// What steps the blocks' matrices inside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Inner {
    /// AdamW, as all others.
    #[default]
    AdamW,
    /// Muon.
    Muon,
}

/// What becomes of the blocks' matrices after the exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum After {
    /// Nothing.
    #[default]
    Nothing,
    /// Their pseudo-gradient is orthogonalised, and as long as so many times before.
    Spread(f64),
    /// Momentum is exchanged in place of their pseudo-gradient, and Muon's step taken after it, so many times as long
    /// as a round's steps would be in one direction.
    Muon(f64),
}

/// How our method rounds the values that it sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quantiser {
    /// Sign and one of two magnitudes per block.
    #[default]
    Levels,
    /// Templar's four bins per tensor.
    Bins,
    /// As they are, 32 bits each.
    Exact,
}

/// Which values our method sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Places {
    /// Those of largest magnitude, and each worker its own.
    #[default]
    Largest,
    /// The same of all workers, others in each round until all have had their turn; places need no bits.
    Turns,
    /// Those of largest magnitude of the whole model, however many that is of each block.
    Anywhere,
}

/// Who sends a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shares {
    /// All workers.
    #[default]
    None,
    /// One, always the same.
    Own,
    /// One, another in each round.
    Turns,
}

/// What becomes of the workers' moments after a round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Moments {
    /// Each keeps its own.
    #[default]
    Own,
    /// All go on with their means, for eight bytes per parameter.
    Mean,
}

/// What becomes of a worker's unsent part where others sent something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Heard {
    /// It stays.
    #[default]
    Ignored,
    /// It is lessened by as much as the common parameters moved in its direction, down to nothing.
    Deducted,
}

/// What becomes of a round's step that was found while the step of the round before it was applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Met {
    /// It is taken whole.
    #[default]
    Ignored,
    /// It is less by so much of the step before: negative momentum, against what a delay does (arXiv 1605.09774).
    Less(f64),
    /// Where the step before goes in its direction, it is less by that, down to nothing.
    Deducted,
}

/// One cell of the study.
///
/// Settings with a default came later: lines without them stay readable and keep their names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    pub method: Method,
    /// R.
    pub workers: usize,
    /// H.
    pub inner_steps: usize,
    pub rounds: usize,
    /// Windows of 128 tokens in one worker's inner step.
    pub windows: usize,
    /// Values sent of each block of 4,096.
    pub kept_per_block: u16,
    /// ρ of the outer step.
    pub rho: f64,
    /// β of the error feedback.
    pub error_decay: f64,
    pub inner_rate: f64,
    pub outer_rate: f64,
    /// Nesterov momentum outside.
    pub momentum: f64,
    /// Rounds in which the outer rate rises linearly to its value.
    pub outer_warmup: usize,
    pub seed: u64,
    #[serde(default)]
    pub quantiser: Quantiser,
    #[serde(default)]
    pub places: Places,
    /// A worker begins a round at the common parameters less so much of its error feedback.
    #[serde(default)]
    pub ahead: f64,
    /// Values sent in the last round, reached geometrically; 0: as many as in the first.
    #[serde(default)]
    pub kept_at_the_end: u16,
    /// β in the last round, reached linearly; none: that of the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decay_at_the_end: Option<f64>,
    #[serde(default)]
    pub heard: Heard,
    /// The inner rate at the end of its cosine, as a part of the highest; none: a tenth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_rate: Option<f64>,
    #[serde(default, skip_serializing_if = "is_usual")]
    pub inner: Inner,
    /// Root mean square of Muon's steps, in inner rates; none: a fifth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rms: Option<f64>,
    /// How `Dense` rounds.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub code: Code,
    #[serde(default, skip_serializing_if = "is_usual")]
    pub after: After,
    /// So much of the last round's step is expected of this one, and taken; what is sent is the difference.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub expected: f64,
    /// Workers, the last ones, that make a quarter of the others' inner steps in each round.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub slow: usize,
    /// By what our outer step combines what workers send, all of whom it trusts alike.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub combine: Combination,
    /// Rounds by which training runs ahead of the outer step: a round begins at the parameters with which the one so
    /// many before it began, or at the first. 1 is what the protocol's `overlap = 1` does.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub delay: usize,
    /// With a delay of 1: a worker begins at its base less so much of what it sent in the round before, as that was
    /// encoded. One part in R, or all of it (eager updates, arXiv 2502.12996).
    #[serde(default, skip_serializing_if = "is_usual")]
    pub eager: f64,
    /// With a delay of 1: workers begin at their base, further by so much of the last step that led to it.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub repeated: f64,
    #[serde(default, skip_serializing_if = "is_usual")]
    pub met: Met,
    /// Values are chosen along axes that follow from the settled steps, of which each round's weighs so much of the
    /// next one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turned: Option<f64>,
    #[serde(default, skip_serializing_if = "is_usual")]
    pub moments: Moments,
    /// Each value has one sender, and what other workers find of it nobody sends. That costs no places.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub shares: Shares,
    /// Rounds have fewer steps where the inner rate is high, and more where it is low: steps of each round have the
    /// same sum of rates to this power. 0: all rounds have as many.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub evened: f64,
    /// In how many turns workers of ours send all values, one another in each round; 0: all send alike.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub turns: u8,
    /// How far above the median norm a contribution of ours may be, if further than to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<f64>,
}

/// Whether a setting is what a line without it has.
fn is_usual<T: Default + PartialEq>(setting: &T) -> bool {
    *setting == T::default()
}

impl Cell {
    /// What tells it from other cells.
    pub fn name(&self) -> String {
        let Cell {
            method,
            workers,
            inner_steps,
            rounds,
            windows,
            kept_per_block,
            rho,
            error_decay,
            inner_rate,
            outer_rate,
            momentum,
            outer_warmup,
            seed,
            quantiser,
            places,
            ahead,
            kept_at_the_end,
            decay_at_the_end,
            final_rate,
            heard,
            inner,
            rms,
            code,
            after,
            expected,
            slow,
            combine,
            delay,
            eager,
            repeated,
            met,
            turned,
            moments,
            shares,
            evened,
            turns,
            clip,
        } = self;
        let mut name = format!(
            "{method:?} R={workers} H={inner_steps} rounds={rounds} windows={windows} inner={inner_rate} seed={seed}"
        );
        let mut setting = |is_set: bool, text: String| {
            if is_set {
                name.push(' ');
                name.push_str(&text);
            }
        };
        let sparse = matches!(method, Method::Templar | Method::Cairn);
        let fed_back = sparse || *method == Method::Dense;
        setting(sparse, format!("kept={kept_per_block}"));
        setting(*method == Method::Cairn, format!("rho={rho}"));
        setting(fed_back, format!("beta={error_decay}"));
        setting(*method != Method::AdamW, format!("outer={outer_rate}"));
        setting(*momentum != 0.0, format!("momentum={momentum}"));
        setting(*outer_warmup != 0, format!("warmup={outer_warmup}"));
        setting(
            *quantiser != Quantiser::Levels,
            format!("quantiser={quantiser:?}"),
        );
        setting(*places != Places::Largest, format!("places={places:?}"));
        setting(*ahead != 0.0, format!("ahead={ahead}"));
        setting(*kept_at_the_end != 0, format!("end={kept_at_the_end}"));
        if let Some(decay) = decay_at_the_end {
            setting(true, format!("beta-end={decay}"));
        }
        if let Some(rate) = final_rate {
            setting(true, format!("inner-end={rate}"));
        }
        setting(*heard != Heard::Ignored, format!("heard={heard:?}"));
        setting(!is_usual(inner), format!("blocks={inner:?}"));
        if let Some(rms) = rms {
            setting(true, format!("rms={rms}"));
        }
        setting(!is_usual(code), format!("code={code:?}"));
        setting(!is_usual(after), format!("after={after:?}"));
        setting(!is_usual(expected), format!("expected={expected}"));
        setting(!is_usual(slow), format!("slow={slow}"));
        setting(!is_usual(combine), format!("combine={combine:?}"));
        setting(!is_usual(delay), format!("delay={delay}"));
        setting(!is_usual(eager), format!("eager={eager}"));
        setting(!is_usual(repeated), format!("repeated={repeated}"));
        setting(!is_usual(met), format!("met={met:?}"));
        if let Some(turned) = turned {
            setting(true, format!("turned={turned}"));
        }
        setting(!is_usual(moments), format!("moments={moments:?}"));
        setting(!is_usual(shares), format!("shares={shares:?}"));
        setting(!is_usual(evened), format!("evened={evened}"));
        setting(!is_usual(turns), format!("turns={turns}"));
        if let Some(clip) = clip {
            setting(true, format!("clip={clip}"));
        }
        name.to_lowercase()
    }

    /// The settings that few cells have, for people.
    pub fn besides(&self) -> String {
        let mut settings = Vec::new();
        if self.momentum != 0.0 {
            settings.push(format!("momentum {}", self.momentum));
        }
        if self.outer_warmup != 0 {
            settings.push(format!("{} rounds of outer warm-up", self.outer_warmup));
        }
        match self.quantiser {
            Quantiser::Levels => {}
            Quantiser::Bins => settings.push("Templar's quantiser".into()),
            Quantiser::Exact => settings.push("no quantiser".into()),
        }
        match self.places {
            Places::Largest => {}
            Places::Turns => settings.push("places in turn".into()),
            Places::Anywhere if self.turned.is_some() => {}
            Places::Anywhere => settings.push("anywhere".into()),
        }
        if let Some(turned) = self.turned {
            settings.push(format!("along axes, γ {turned}"));
        }
        if self.ahead != 0.0 {
            settings.push(format!("{} of the error ahead", self.ahead));
        }
        if self.kept_at_the_end != 0 {
            settings.push(format!("{} kept at the end", self.kept_at_the_end));
        }
        if let Some(decay) = self.decay_at_the_end {
            settings.push(format!("β to {decay}"));
        }
        match self.heard {
            Heard::Ignored => {}
            Heard::Deducted => settings.push("what others sent deducted".into()),
        }
        if self.moments == Moments::Mean {
            settings.push("mean moments".into());
        }
        match self.shares {
            Shares::None => {}
            Shares::Own => settings.push("one sender".into()),
            Shares::Turns => settings.push("one sender in turn".into()),
        }
        if self.turns > 0 {
            settings.push(format!("{} turns", self.turns));
        }
        if let Some(clip) = self.clip {
            settings.push(format!("clip {clip}"));
        }
        if self.evened != 0.0 {
            settings.push(format!("steps evened by rate^{}", self.evened));
        }
        if let Some(rate) = self.final_rate {
            settings.push(format!("rate to {rate}"));
        }
        if self.inner == Inner::Muon {
            settings.push("Muon".into());
        }
        if let Some(rms) = self.rms {
            settings.push(format!("rms {rms}"));
        }
        match self.code {
            Code::None => {}
            Code::Two => settings.push("two levels".into()),
            Code::Sign => settings.push("signs, a level per row and column".into()),
            Code::Three(zone) => settings.push(format!("zone {zone}")),
        }
        if self.expected != 0.0 {
            settings.push(format!("{} of the last step expected", self.expected));
        }
        match self.after {
            After::Nothing => {}
            After::Spread(gain) => settings.push(format!("orthogonalised after, {gain} times")),
            After::Muon(gain) => settings.push(format!("Muon after the exchange, {gain} times")),
        }
        if self.slow != 0 {
            settings.push(format!("{} with a quarter of the steps", self.slow));
        }
        if self.combine == Combination::Tokens {
            settings.push("combined by tokens".into());
        }
        settings.extend(self.of_the_delay());
        settings.join(", ")
    }

    /// The delay, and what is to make up for it, for people.
    fn of_the_delay(&self) -> Vec<String> {
        let mut settings = Vec::new();
        match self.delay {
            0 => {}
            1 => settings.push("a round late".into()),
            rounds => settings.push(format!("{rounds} rounds late")),
        }
        if self.eager != 0.0 {
            settings.push(format!("eager {}", self.eager));
        }
        if self.repeated != 0.0 {
            settings.push(format!("repeated {}", self.repeated));
        }
        match self.met {
            Met::Ignored => {}
            Met::Less(share) => settings.push(format!("less {share}")),
            Met::Deducted => settings.push("deducted".into()),
        }
        settings
    }

    /// Why it cannot be trained, if it cannot.
    pub fn fault(&self) -> Option<&'static str> {
        let knows = self.heard != Heard::Ignored || self.expected != 0.0;
        if self.delay != 0 && (self.method == Method::AdamW || knows) {
            // with a delay nobody knows yet what came of the last round
            return Some("leave out `delay`, or what goes on from the last round");
        }
        let is_eager = self.eager != 0.0;
        if self.delay != 1 && (is_eager || self.repeated != 0.0 || self.met != Met::Ignored) {
            return Some("`eager`, `repeated` and `met` take a `delay` of 1");
        }
        let is_anywhere = self.method == Method::Cairn && self.places == Places::Anywhere;
        if !is_anywhere && self.turned.is_some() {
            return Some("`turned` takes `places` anywhere");
        }
        if is_anywhere && (self.heard != Heard::Ignored || self.quantiser != Quantiser::Levels) {
            return Some("leave out `heard` and `quantiser`, or `places` anywhere");
        }
        let by_rows = self.code == Code::Sign;
        if self.shares != Shares::None && (self.method != Method::Dense || by_rows) {
            return Some("`shares` takes the method dense, and no code by rows");
        }
        let is_clipped = matches!(self.method, Method::Cairn | Method::Templar);
        if self.clip.is_some() && !is_clipped {
            return Some("`clip` takes cairn or templar");
        }
        if self.turns > 0 && !self.can_take_turns() {
            return Some("`turns` takes cairn, all values, and places as they are; 2 to 4 and no more than workers");
        }
        if self.evened != 0.0 && (self.method == Method::AdamW || self.slow != 0) {
            return Some("`evened` takes rounds, and workers of one speed");
        }
        let goes_on = self.after != After::Nothing;
        (is_eager && goes_on).then_some("leave out `eager`, or `after`: what is sent is no step")
    }

    fn can_take_turns(&self) -> bool {
        let keeps_all = usize::from(self.kept_per_block) == BLOCK && self.kept_at_the_end == 0;
        let is_plain = self.heard == Heard::Ignored && self.places == Places::Largest;
        let is_ours = self.method == Method::Cairn && self.quantiser == Quantiser::Levels;
        let is_possible = (2..=Turn::MOST).contains(&self.turns);
        is_possible && is_ours && is_plain && keeps_all && usize::from(self.turns) <= self.workers
    }

    /// Inner steps that a worker makes in a round. One AdamW of all knows no slow ones.
    pub fn steps_of(&self, worker: usize) -> usize {
        match self.method != Method::AdamW && worker + self.slow >= self.workers {
            true => (self.inner_steps / 4).max(1),
            false => self.inner_steps,
        }
    }

    /// Values sent of each block in a round.
    pub fn kept_in(&self, round: usize) -> u16 {
        let first = f64::from(self.kept_per_block);
        if self.kept_at_the_end == 0 {
            return self.kept_per_block;
        }
        let ratio = f64::from(self.kept_at_the_end) / first;
        (first * ratio.powf(self.way(round))).round() as u16
    }

    /// β in a round.
    pub fn decay_in(&self, round: usize) -> f64 {
        let first = self.error_decay;
        let last = self.decay_at_the_end.unwrap_or(first);
        first + (last - first) * self.way(round)
    }

    /// The part of the rounds that lies behind: 0 in the first, 1 in the last.
    fn way(&self, round: usize) -> f64 {
        match self.rounds {
            0 | 1 => 0.0,
            rounds => round as f64 / (rounds - 1) as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::cairn;

    #[test]
    fn density_goes_geometrically_from_first_to_last() {
        let mut cell = cairn(4, 15, 5, 16, 1.0);
        assert_eq!(cell.kept_in(4), 16);
        cell.kept_at_the_end = 256;
        let kept: Vec<u16> = (0..5).map(|round| cell.kept_in(round)).collect();
        assert_eq!(kept, [16, 32, 64, 128, 256]);
    }

    #[test]
    fn decay_goes_linearly_from_first_to_last() {
        let mut cell = cairn(4, 15, 5, 16, 1.0);
        assert_eq!(cell.decay_in(4), 0.95);
        (cell.error_decay, cell.decay_at_the_end) = (0.5, Some(1.0));
        let decays: Vec<f64> = (0..5).map(|round| cell.decay_in(round)).collect();
        assert_eq!(decays, [0.5, 0.625, 0.75, 0.875, 1.0]);
    }

    #[test]
    fn the_last_workers_are_slow() {
        let mut cell = cairn(3, 20, 5, 16, 1.0);
        let name = cell.name();
        let steps = |cell: &Cell| [0, 1, 2].map(|worker| cell.steps_of(worker));
        assert_eq!(steps(&cell), [20; 3]);
        (cell.slow, cell.combine) = (2, Combination::Tokens);
        assert_eq!(steps(&cell), [20, 5, 5]);
        assert_eq!(cell.name(), format!("{name} slow=2 combine=tokens"));
        cell.inner_steps = 1;
        assert_eq!(steps(&cell), [1; 3]);
    }

    /// What is stored of cells without a delay keeps its name and its line.
    #[test]
    fn only_a_delay_is_named() {
        let mut cell = cairn(4, 15, 5, 16, 1.0);
        let (name, line) = (cell.name(), serde_json::to_string(&cell).unwrap());
        assert!(!name.contains("delay") && !line.contains("delay"));
        cell.delay = 1;
        assert_eq!(cell.name(), format!("{name} delay=1"));
        let line = serde_json::to_string(&cell).unwrap();
        assert_eq!(serde_json::from_str::<Cell>(&line).unwrap(), cell);
    }

    #[test]
    fn who_goes_on_from_the_last_round_cannot_be_late() {
        let mut cells = vec![cairn(4, 15, 5, 16, 1.0); 4];
        cells[1].method = Method::AdamW;
        cells[2].heard = Heard::Deducted;
        cells[3].expected = 0.5;
        let faulty = |cells: &[Cell]| -> Vec<bool> {
            let faults = cells.iter().map(Cell::fault);
            faults.map(|fault| fault.is_some()).collect()
        };
        assert_eq!(faulty(&cells), [false; 4]);
        cells.iter_mut().for_each(|cell| cell.delay = 1);
        assert_eq!(faulty(&cells), [false, true, true, true]);
    }

    /// Of a delay of one round, and of no other.
    #[test]
    fn what_makes_up_for_a_delay_takes_one() {
        let cell = Cell {
            delay: 1,
            ..cairn(4, 15, 5, 16, 1.0)
        };
        let mut cells = vec![cell.clone(); 4];
        cells[0].eager = 0.25;
        cells[1].repeated = 1.0;
        cells[2].met = Met::Less(0.5);
        cells[3].met = Met::Deducted;
        let names = ["eager=0.25", "repeated=1", "met=less(0.5)", "met=deducted"];
        for (mut late, name) in cells.into_iter().zip(names) {
            assert_eq!(late.name(), format!("{} {name}", cell.name()));
            assert!(late.besides().starts_with("a round late, "));
            let line = serde_json::to_string(&late).unwrap();
            assert_eq!(serde_json::from_str::<Cell>(&line).unwrap(), late);
            assert_eq!(late.fault(), None);
            for delay in [0, 2] {
                late.delay = delay;
                assert!(late.fault().is_some(), "{late:?}");
            }
        }
        let mut eager = Cell { eager: 1.0, ..cell };
        assert_eq!(eager.fault(), None);
        eager.after = After::Muon(1.0);
        assert!(eager.fault().is_some(), "momentum is no step");
    }

    /// Axes are of values anywhere, which only our method sends; evened steps are of rounds.
    #[test]
    fn what_goes_together_with_values_anywhere() {
        let cell = Cell {
            places: Places::Anywhere,
            ..cairn(4, 15, 5, 16, 0.0)
        };
        let mut cells = vec![cell.clone(); 4];
        cells[0].turned = Some(0.9);
        cells[1].moments = Moments::Mean;
        cells[2].evened = 0.5;
        let names = ["", "turned=0.9", "moments=mean", "evened=0.5"];
        for (with, name) in [vec![cell.clone()], cells.clone()]
            .concat()
            .iter()
            .zip(names)
        {
            assert_eq!(with.name(), format!("{} {name}", cell.name()).trim());
            let line = serde_json::to_string(with).unwrap();
            assert_eq!(serde_json::from_str::<Cell>(&line).unwrap(), *with);
            assert_eq!(with.fault(), None);
        }
        let with_shares = |method| Cell {
            method,
            shares: Shares::Turns,
            ..cell.clone()
        };
        assert_eq!(with_shares(Method::Dense).fault(), None);
        assert!(with_shares(Method::Cairn).fault().is_some());
        cells[0].places = Places::Largest;
        cells[1].heard = Heard::Deducted;
        cells[2].slow = 1;
        cells[3].quantiser = Quantiser::Bins;
        assert!(cells.iter().all(|cell| cell.fault().is_some()));
    }

    #[test]
    fn a_line_without_later_settings_is_read() {
        let cell = cairn(4, 15, 5, 16, 1.0);
        let mut line = serde_json::to_value(&cell).unwrap();
        for later in ["quantiser", "places", "ahead", "kept_at_the_end", "heard"] {
            line.as_object_mut().unwrap().remove(later).unwrap();
        }
        assert_eq!(serde_json::from_value::<Cell>(line).unwrap(), cell);
    }
}
