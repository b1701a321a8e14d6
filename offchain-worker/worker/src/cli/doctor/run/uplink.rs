//! Whether others get a contribution from here in time, where each member serves its own store: how fast this machine
//! sends to validators, beside what they fetch.

use std::time::Duration;

use cairn_chain::RunInfo;

use super::{check::Check, machine::contribution};
use crate::{
    amount::size,
    roles::sources::{Probed, Unanswered},
};

/// Reasons that are shown at most.
const MOST: usize = 3;

/// What others fetch of a contribution.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    validators: u64,
    /// By all of them.
    bytes: u64,
    /// The time that there is for it.
    there: Duration,
}

impl Need {
    /// That of a run with blocks so far apart.
    pub fn of(run: &RunInfo, block: Duration) -> Need {
        let validators = run.round.validators.len().max(1) as u64;
        let phases = &run.config.phases;
        let half = phases.attest.div_ceil(2);
        Need {
            validators,
            bytes: contribution(&run.config).saturating_mul(validators),
            there: block.saturating_mul(phases.reveal.saturating_add(half)),
        }
    }

    /// Bits a second.
    pub fn bits(&self) -> f64 {
        8.0 * self.bytes as f64 / self.there.as_secs_f64().max(1e-9)
    }

    /// Bits a second that one of them needs, by one connection, as a probe has one.
    fn bits_of_one(&self) -> f64 {
        self.bits() / self.validators.max(1) as f64
    }

    fn text(&self) -> String {
        format!(
            "{} validators fetch {} in {:.0} s, which takes {}",
            self.validators,
            size(self.bytes),
            self.there.as_secs_f64(),
            rate(self.bits())
        )
    }
}

/// Whether the fastest of these validators' peers got as much as is needed. One connection shows no more than its window
/// and its way let through, and all of them fetch at once: so too little is only what one of them could not do with.
pub fn judge(need: &Need, probed: &[Probed]) -> Check {
    let (bits, needs) = (need.bits(), need.text());
    let taken = probed.iter().filter_map(|(_, found)| found.as_ref().ok());
    let fastest = taken.clone().copied().reduce(f64::max);
    let line = format!("have a line that sends {} or more", rate(bits));
    let check = match fastest {
        Some(fastest) => {
            let who = match taken.count() {
                1 => "to the one validator that took a probe".to_string(),
                several => format!("to the fastest of {several} validators that took a probe"),
            };
            let found = format!("{} or more {who}; {needs}", rate(fastest));
            let remedy = format!(
                "{line}; if yours does, measure again while no worker sends from here: who was asked may have been \
                 slow or far away"
            );
            let check = match fastest {
                enough if enough >= bits => Check::ok("uplink", found),
                some if some >= need.bits_of_one() => Check::unknown("uplink", found, remedy),
                _ => Check::fix("uplink", found, remedy),
            };
            check.with("measured_bits_per_s", fastest)
        }
        None => {
            let found = format!("not measured: {}; {needs}", why(probed));
            Check::unknown("uplink", found, line)
        }
    };
    check.with("needed_bits_per_s", bits)
}

/// Why nobody took a probe.
fn why(probed: &[Probed]) -> String {
    let reason = |(endpoint, found): &Probed| {
        let why = match found {
            Ok(_) => return None,
            Err(Unanswered::NotAsked(why)) => format!("not asked ({why})"),
            Err(Unanswered::Silent(why) | Unanswered::Declined(why)) => why.clone(),
        };
        let text = endpoint.to_text();
        let peer = text.split('?').next().unwrap_or_default();
        Some(format!("{peer}: {why}"))
    };
    let reasons: Vec<String> = probed.iter().filter_map(reason).take(MOST).collect();
    match reasons.is_empty() {
        true => "no other validator of this round is a peer".into(),
        false => reasons.join("; "),
    }
}

fn rate(bits: f64) -> String {
    format!("{:.2} Mbit/s", bits / 1e6)
}

#[cfg(test)]
mod tests {
    use cairn_primitives::Text;

    use super::{super::check::State, *};
    use crate::roles::testing::a_run;

    const BLOCK: Duration = Duration::from_secs(2);

    fn need() -> Need {
        Need {
            validators: 4,
            bytes: 5_000_000,
            there: Duration::from_secs(10),
        }
    }

    fn of(found: &[Result<f64, Unanswered>]) -> Check {
        let peer = |number: usize| {
            let text = format!("iroh://0{number}?at=203.0.113.7:4433");
            Text::new(&text).unwrap()
        };
        let probed = found.iter().cloned().enumerate();
        let probed = probed.map(|(number, found)| (peer(number), found));
        judge(&need(), &probed.collect::<Vec<_>>())
    }

    fn silent(why: &str) -> Result<f64, Unanswered> {
        Err(Unanswered::Silent(why.into()))
    }

    #[test]
    fn what_is_needed_is_what_all_validators_fetch_until_half_of_them_attest() {
        let run = a_run();
        let need = Need::of(&run, BLOCK);
        let phases = &run.config.phases;
        let there = 2 * u64::from(phases.reveal + phases.attest.div_ceil(2));
        assert_eq!(need.there, Duration::from_secs(there));
        let validators = run.round.validators.len().max(1) as u64;
        assert_eq!(need.bytes, validators * contribution(&run.config));
        assert_eq!(need.bits(), 8.0 * need.bytes as f64 / there as f64);
    }

    #[test]
    fn the_fastest_that_took_a_probe_counts() {
        let good = of(&[silent("it is slow"), Ok(1e6), Ok(4e6)]);
        assert_eq!((good.check, good.state), ("uplink", State::Ok));
        assert_eq!(good.remedy, None);
        let says = [
            "4.00 Mbit/s or more",
            "fastest of 2 validators",
            "4 validators fetch",
            "in 10 s",
        ];
        assert!(
            says.iter().all(|words| good.found.contains(words)),
            "{}",
            good.found
        );
        assert_eq!(good.figures["measured_bits_per_s"], 4e6);
        assert_eq!(good.figures["needed_bits_per_s"], 4e6);
    }

    #[test]
    fn who_sends_too_slowly_is_told_how_much_it_takes() {
        let bad = of(&[Ok(0.99e6)]);
        assert_eq!(bad.state, State::Fix);
        let text = bad.text();
        let says = [
            "0.99 Mbit/s or more to the one validator",
            "sends 4.00 Mbit/s or more",
            "measure again",
        ];
        assert!(says.iter().all(|words| text.contains(words)), "{text}");
        assert_eq!(bad.figures["measured_bits_per_s"], 0.99e6);
    }

    #[test]
    fn what_one_validator_could_do_with_proves_nothing_of_four() {
        for shown in [1e6, 3.99e6] {
            let found = of(&[Ok(shown)]);
            assert_eq!(found.state, State::Unknown);
            assert!(found.text().contains("slow or far away"));
            assert_eq!(found.figures["measured_bits_per_s"], shown);
        }
    }

    #[test]
    fn what_cannot_be_measured_is_said_not_to_be_and_why() {
        let left_out = Err(Unanswered::NotAsked("it is private".into()));
        let busy = || Err(Unanswered::Declined("it takes no probe now".into()));
        let unknown = of(&[left_out, busy(), silent("its version is older"), busy()]);
        assert_eq!(unknown.state, State::Unknown);
        let text = unknown.text();
        let says = [
            "not measured: iroh://00: not asked (it is private); iroh://01: it takes no probe now;",
            "iroh://02: its version is older",
            "sends 4.00 Mbit/s or more",
        ];
        assert!(says.iter().all(|words| text.contains(words)), "{text}");
        assert!(
            !text.contains("iroh://03") && !text.contains("203.0.113.7"),
            "{text}"
        );
        assert!(!unknown.figures.contains_key("measured_bits_per_s"));
        assert_eq!(unknown.figures["needed_bits_per_s"], 4e6);
        let nobody = of(&[]);
        assert_eq!(nobody.state, State::Unknown);
        assert!(
            nobody.found.contains("no other validator"),
            "{}",
            nobody.found
        );
    }
}
