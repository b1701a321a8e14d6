//! Whether files get from here to others in time: the store is written to and read back, endpoints are asked.

use std::time::{Duration, Instant};

use cairn_chain::RunInfo;
use cairn_primitives::{Role, RunConfig, Text};
use cairn_protocol::phase::Timetable;
use cairn_store::{guard::Origin, paths, Store, StoreError};

use super::{check::Check, machine::contribution};
use crate::{
    amount::size,
    roles::sources::{answers, only_inside, Relays, Unanswered, HOW_TO_BE_REACHED, IF_TRUSTED},
};

/// The most bytes that are written to time a store.
const MOST: u64 = 4 << 20;
/// Where they go.
const PREFIX: &str = "doctor/";

/// What a store did.
#[derive(Clone, Copy, Debug)]
pub struct Timed {
    /// Bytes that were written, and read back.
    pub bytes: u64,
    /// The time that took.
    pub time: Duration,
    /// Whether the store is a directory of this machine.
    pub is_directory: bool,
}

/// Publishes as many bytes as a contribution has, or [`MOST`], and removes them again.
///
/// # Errors
/// Those of the store.
pub async fn time(url: &str, config: &RunConfig) -> Result<Timed, StoreError> {
    let store = Store::open(url)?;
    let bytes = contribution(config).clamp(1, MOST);
    let mut content = vec![0u8; usize::try_from(bytes).unwrap_or_default()];
    // Nobody has stored just these before.
    let mut seed = [0u8; 32];
    let _ = getrandom::fill(&mut seed);
    let mut source = blake3::Hasher::new_keyed(&seed);
    source.update(b"doctor").finalize_xof().fill(&mut content);
    let began = Instant::now();
    let root = store.publish(PREFIX, content).await?;
    let time = began.elapsed();
    let path = paths::blob(PREFIX, &root);
    store.delete(&path).await?;
    store.delete(&paths::outboard(&path)).await?;
    Ok(Timed {
        bytes,
        time,
        is_directory: store.directory().is_some(),
    })
}

/// Whether a contribution is stored in the time that is kept free for it.
pub fn store(timed: &Timed, run: &RunInfo, block: Duration) -> Check {
    let config = &run.config;
    let (most, times) = (contribution(config), Timetable::new(0, &config.phases));
    let margin = times
        .commit_deadline()
        .saturating_sub(times.training_deadline());
    let there = block.saturating_mul(margin).as_secs_f64();
    let rate = timed.bytes as f64 / timed.time.as_secs_f64().max(1e-9);
    let takes = most as f64 / rate;
    let found = format!(
        "a contribution of at most {} is written and read back in {takes:.2} s of {there:.1} s, at {}/s",
        size(most),
        size(rate as u64)
    );
    let remedy =
        "use a nearer bucket or a faster line: what is stored too late is not committed to";
    Check::either("store", takes <= there, found, remedy)
        .with("contribution_bytes", most as f64)
        .with("bytes_per_s", rate)
        .with("seconds", takes)
        .with("seconds_there", there)
}

/// A line for a store that cannot be used, or was not named.
pub fn no_store(why: Option<&StoreError>) -> Check {
    match why {
        None => Check::unknown(
            "store",
            "not measured",
            "name the worker's store with --store",
        ),
        Some(error) => Check::fix("store", error.to_string(), "the worker ends with this, too"),
    }
}

/// An endpoint that the chain names, and whether it answers.
pub type Answered = (Text, Result<Duration, Unanswered>);

/// Asks the member's own endpoints, from here.
pub async fn ask(endpoints: &[Text], origin: Origin, relays: &Relays) -> Vec<Answered> {
    let asked = endpoints.iter().map(|endpoint| async move {
        let answer = answers(endpoint, origin, relays).await;
        (endpoint.clone(), answer)
    });
    futures::future::join_all(asked).await
}

/// A line for each endpoint, or for there being none.
pub fn endpoints(answered: &[Answered], role: Role) -> Vec<Check> {
    if answered.is_empty() {
        let found = "the chain names none of this member";
        let remedy = match role {
            Role::Miner => "nothing, if all share one store; else start the worker with --p2p, or with --endpoint URL",
            Role::Validator => {
                "nothing, if all share one store; else start the worker with --p2p: whoever attests serves"
            }
        };
        return vec![Check::unknown("endpoint", found, remedy)];
    }
    let line = |(endpoint, answer): &Answered| match (endpoint.to_text(), answer) {
        (endpoint, Ok(time)) => {
            let milliseconds = time.as_secs_f64() * 1e3;
            let found = format!("{endpoint} answers from here in {milliseconds:.0} ms");
            Check::ok("endpoint", found)
                .with("answer_ms", milliseconds)
                .advised(
                    "ask from another network, too: `cairn doctor --netuid N --hotkey ADDRESS` there",
                )
        }
        (endpoint, Err(Unanswered::NotAsked(why))) => {
            let found = format!("{endpoint} was not asked: {why}");
            let remedy = "if it is meant to be on this machine or in a private network, add --trust-endpoints; without \
                          that, others do not ask it there either";
            Check::unknown("endpoint", found, remedy)
        }
        (endpoint, Err(Unanswered::Silent(why) | Unanswered::Declined(why))) => {
            let found = format!("{endpoint} does not answer: {why}");
            let remedy =
                "start the worker; if it runs, open its UDP port or name a relay (--p2p-relay)";
            Check::fix("endpoint", found, remedy)
        }
    };
    answered.iter().map(line).collect()
}

/// A line for each relay of the run that is not used.
pub fn left_out(said: Vec<String>) -> Vec<Check> {
    let line = |said: String| Check::unknown("relay", said, IF_TRUSTED);
    said.into_iter().map(line).collect()
}

/// A line if nobody outside can come by any of a member's endpoints. Who trusts those in private networks may mean it.
pub fn outside(endpoints: &[Text], origin: Origin) -> Option<Check> {
    let found = only_inside(endpoints)?;
    Some(match origin {
        Origin::Chain => Check::fix("outside", found, HOW_TO_BE_REACHED),
        Origin::Owner => {
            let remedy = format!(
                "nothing, if all members are in the same network; else {HOW_TO_BE_REACHED}"
            );
            Check::unknown("outside", found, remedy)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{super::check::State, *};
    use crate::roles::testing::a_run;

    const BLOCK: Duration = Duration::from_secs(2);

    fn timed(milliseconds: u64) -> Timed {
        Timed {
            bytes: contribution(&a_run().config),
            time: Duration::from_millis(milliseconds),
            is_directory: false,
        }
    }

    #[test]
    fn a_store_that_is_too_slow_is_said_to_be() {
        // Two of six blocks are kept free.
        let run = a_run();
        let good = store(&timed(3_999), &run, BLOCK);
        assert_eq!(good.state, State::Ok);
        assert_eq!(good.figures["seconds_there"], 4.0);
        let bad = store(&timed(4_001), &run, BLOCK);
        assert_eq!(bad.state, State::Fix);
        assert!(bad.text().contains("faster line"));
    }

    #[test]
    fn a_store_that_is_not_named_is_not_measured() {
        assert_eq!(no_store(None).state, State::Unknown);
    }

    #[tokio::test]
    async fn a_store_is_timed_and_nothing_is_left_in_it() {
        let directory = tempfile::tempdir().unwrap();
        let made = Store::create_in(directory.path()).unwrap();
        let timed = time(made.url(), &a_run().config).await.unwrap();
        assert!(timed.is_directory && timed.bytes == contribution(&a_run().config));
        assert_eq!(made.list("").await.unwrap(), []);
        let none = format!("file://{}/none", directory.path().display());
        let error = time(&none, &a_run().config).await.unwrap_err();
        let check = no_store(Some(&error));
        assert_eq!(check.state, State::Fix);
        assert!(check.found.contains("none"), "{}", check.found);
    }

    #[test]
    fn a_member_that_nobody_outside_reaches_is_told_what_to_do() {
        let inside = [Text::new("iroh://ab?at=10.0.0.5:4433").unwrap()];
        let line = outside(&inside, Origin::Chain).unwrap();
        assert_eq!((line.check, line.state), ("outside", State::Fix));
        let text = line.text();
        assert!(
            text.contains("10.0.0.5") && text.contains("--p2p-address"),
            "{text}"
        );
        let line = outside(&inside, Origin::Owner).unwrap();
        assert_eq!(line.state, State::Unknown);
        let public = [Text::new("iroh://ab?at=8.8.8.8:4433").unwrap()];
        assert_eq!(outside(&public, Origin::Chain), None);
    }

    #[test]
    fn a_relay_of_the_run_that_is_not_used_is_named() {
        let run = ["https://10.0.0.1", "https://relay.example"].map(String::from);
        let (_, said) = Relays::choose(None, &run, Origin::Chain);
        let lines = left_out(said);
        assert_eq!(lines.len(), 1);
        assert_eq!((lines[0].check, lines[0].state), ("relay", State::Unknown));
        let text = lines[0].text();
        assert!(
            text.contains("https://10.0.0.1") && text.contains("--p2p-relay"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn endpoints_that_do_not_answer_are_named() {
        // What a chain named may not be on this machine.
        let inside = Text::new("https://127.0.0.1/run").unwrap();
        let (relays, _) = Relays::choose(None, &[], Origin::Chain);
        let asked = ask(&[inside], Origin::Chain, &relays).await;
        let found = endpoints(&asked, Role::Miner);
        assert_eq!(found[0].state, State::Unknown);
        assert!(
            found[0].found.contains("https://127.0.0.1/run"),
            "{}",
            found[0].found
        );
        let silent = (
            Text::new("https://a.example").unwrap(),
            Err(Unanswered::Silent("it does not answer".into())),
        );
        let found = endpoints(&[silent], Role::Miner);
        assert_eq!(found[0].state, State::Fix);
        assert!(found[0].text().contains("start the worker"));
        let well = (
            Text::new("https://a.example").unwrap(),
            Ok(Duration::from_millis(7)),
        );
        assert_eq!(endpoints(&[well], Role::Miner)[0].state, State::Ok);
        assert_eq!(endpoints(&[], Role::Validator)[0].state, State::Unknown);
    }
}
