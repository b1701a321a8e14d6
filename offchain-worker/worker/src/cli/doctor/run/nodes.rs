//! Whether nodes answer, how fast, how far they are, and how this machine's clock stands to their newest block.

use std::time::{Duration, Instant};

use cairn_chain::{ChainError, Client, Patience, Settings, BEHIND};
use cairn_primitives::{BlockNumber, H256};
use futures::future::join_all;

use super::check::Check;

/// So many requests are timed.
const TIMED: usize = 5;
/// Requests that a worker makes one after the other to look at a block.
const REQUESTS: u32 = 10;
/// A clock may be wrong by this much, in milliseconds: what a network's delay cannot be told from.
const CLOCK: i64 = 2_000;
/// A newest block may be so many blocks old.
const LATE_BLOCKS: u64 = 10;

/// What a node showed.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    genesis: H256,
    connect: Duration,
    /// The median.
    request: Duration,
    best: BlockNumber,
    finalized: BlockNumber,
}

/// A node that was asked.
pub struct Asked {
    url: String,
    answer: Result<Answer, String>,
}

/// Asks each node on its own, all at once.
pub async fn ask(urls: &[String], genesis: Option<H256>) -> Vec<Asked> {
    let asked = urls.iter().map(|url| async move {
        let answer = one(url, genesis).await;
        Asked {
            url: url.clone(),
            answer: answer.map_err(|error| error.to_string()),
        }
    });
    join_all(asked).await
}

async fn one(url: &str, genesis: Option<H256>) -> Result<Answer, ChainError> {
    let settings = Settings {
        patience: Patience::NONE,
        ..Settings::default()
    };
    let began = Instant::now();
    let urls = [url.to_string()];
    let client = Client::connect_to(&urls, genesis, settings, Patience::NONE).await?;
    let connect = began.elapsed();
    let mut times = Vec::new();
    for _ in 0..TIMED {
        let began = Instant::now();
        client.best().await?;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    Ok(Answer {
        genesis: client.genesis_hash(),
        connect,
        request: times.get(TIMED / 2).copied().unwrap_or_default(),
        best: client.best().await?.number,
        finalized: client.finalized().await?.number,
    })
}

/// A line for each node. `block` is the time between two blocks, if the chain said it.
pub fn judge(asked: &[Asked], block: Option<Duration>) -> Vec<Check> {
    let answers = asked.iter().filter_map(|node| node.answer.as_ref().ok());
    let chain = answers.clone().next().map(|answer| answer.genesis);
    // How far another chain is says nothing of this one.
    let same = answers.filter(|answer| Some(answer.genesis) == chain);
    let highest = same.map(|answer| answer.best).max().unwrap_or(0);
    let mut checks: Vec<Check> = asked
        .iter()
        .map(|node| match &node.answer {
            Err(why) => {
                let found = format!("{} does not answer: {why}", node.url);
                Check::fix("node", found, "start it, correct --node, or leave it out")
            }
            Ok(answer) => of_one(&node.url, answer, (chain, highest, block)),
        })
        .collect();
    if let ([only], 1) = (&mut checks[..], asked.len()) {
        let other = only.clone();
        *only = other.advised("name a second node with --node, which is asked when this one fails");
    }
    checks
}

fn of_one(
    url: &str,
    answer: &Answer,
    (chain, highest, block): (Option<H256>, BlockNumber, Option<Duration>),
) -> Check {
    let Answer {
        genesis,
        connect,
        request,
        best,
        finalized,
    } = *answer;
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let found = format!(
        "{url} answers in {:.1} ms, connects in {:.0} ms; best block {best}, final {finalized}",
        milliseconds(request),
        milliseconds(connect)
    );
    let is_slow = block.is_some_and(|block| request.saturating_mul(REQUESTS) > block);
    let check = if chain != Some(genesis) {
        let found = format!("{url} is on another chain ({genesis:?}) than the first node");
        Check::fix(
            "node",
            found,
            "correct --node, or say which chain with --genesis",
        )
    } else if best.saturating_add(BEHIND) < highest {
        let found = format!("{found}; another node has block {highest}");
        Check::fix(
            "node",
            found,
            "wait until it is in sync: until then it is passed over",
        )
    } else if is_slow {
        let found = format!("{found}; a worker asks {REQUESTS} times a block");
        Check::fix("node", found, "name a nearer node, or run one here")
    } else {
        Check::ok("node", found)
    };
    check
        .with("request_ms", milliseconds(request))
        .with("connect_ms", milliseconds(connect))
        .with("best", best.into())
        .with("finalized", finalized.into())
}

/// This machine's clock (milliseconds since 1970) beside the time that the newest block's author put in it.
pub fn clock(now: u64, block: u64, every: Duration) -> Check {
    let cut = |time: u64| i64::try_from(time).unwrap_or(i64::MAX);
    let age = cut(now).saturating_sub(cut(block));
    let late = cut(u64::try_from(every.as_millis()).unwrap_or(u64::MAX))
        .saturating_mul(cut(LATE_BLOCKS))
        .max(CLOCK);
    let seconds = age.unsigned_abs() as f64 / 1e3;
    let check = if age < -CLOCK {
        let found = format!("the newest block is {seconds:.1} s in the future of this clock");
        Check::fix(
            "clock",
            found,
            "set this machine's clock by NTP: see `timedatectl status`",
        )
    } else if age > late {
        let found = format!("the newest block is {seconds:.1} s old by this clock");
        let remedy = "set this machine's clock by NTP; if it is right, the node is not in sync or the chain stands";
        Check::fix("clock", found, remedy)
    } else {
        let found = format!("the newest block is {seconds:.1} s old by this clock");
        Check::ok("clock", found)
    };
    check.with("age_s", age as f64 / 1e3)
}

#[cfg(test)]
mod tests {
    use super::{super::check::State, *};

    const BLOCK: Duration = Duration::from_secs(2);

    fn node(url: &str, best: BlockNumber, milliseconds: u64) -> Asked {
        Asked {
            url: url.into(),
            answer: Ok(Answer {
                genesis: H256([1; 32]),
                connect: Duration::from_millis(3),
                request: Duration::from_millis(milliseconds),
                best,
                finalized: best - 2,
            }),
        }
    }

    fn found(asked: &[Asked]) -> Vec<(State, String)> {
        let checks = judge(asked, Some(BLOCK));
        let both = |check: &Check| (check.state, check.text());
        checks.iter().map(both).collect()
    }

    #[test]
    fn each_way_in_which_a_node_is_of_no_use_has_its_line() {
        let gone = Asked {
            url: "ws://gone".into(),
            answer: Err("refused".into()),
        };
        let mut other = node("ws://other", 1_000_000, 1);
        if let Ok(answer) = &mut other.answer {
            answer.genesis = H256([2; 32]);
        }
        let nodes = [
            node("ws://good", 100, 1),
            gone,
            other,
            node("ws://behind", 83, 1),
            node("ws://abreast", 84, 1),
            node("ws://slow", 100, 201),
        ];
        let found = found(&nodes);
        let states: Vec<State> = found.iter().map(|(state, _)| *state).collect();
        let (ok, fix) = (State::Ok, State::Fix);
        assert_eq!(states, [ok, fix, fix, fix, ok, fix]);
        for (at, words) in [
            (1, "does not answer: refused"),
            (2, "another chain"),
            (3, "another node has block 100"),
            (5, "a nearer node"),
        ] {
            assert!(found[at].1.contains(words), "{}", found[at].1);
        }
    }

    #[test]
    fn a_second_node_is_advised_and_no_must() {
        let one = [node("ws://only", 100, 1)];
        let found = found(&one);
        assert_eq!(found[0].0, State::Ok);
        assert!(found[0].1.contains("second node"), "{}", found[0].1);
    }

    #[tokio::test]
    async fn a_node_that_is_not_there_is_said_to_be() {
        // Nobody listens on port 1.
        let asked = ask(&["ws://127.0.0.1:1".into()], None).await;
        let checks = judge(&asked, None);
        assert_eq!(checks[0].state, State::Fix);
        assert!(checks[0].found.contains("does not answer"));
    }

    #[test]
    fn a_clock_is_wrong_that_is_ahead_or_behind() {
        let at = |now: u64| clock(now, 1_000_000, BLOCK);
        assert_eq!(at(1_000_000).state, State::Ok);
        assert_eq!(at(998_000).state, State::Ok);
        assert_eq!(at(1_020_000).state, State::Ok);
        let behind = at(997_999);
        assert_eq!(behind.state, State::Fix);
        assert!(behind.found.contains("in the future"), "{}", behind.found);
        let ahead = at(1_020_001);
        assert_eq!(ahead.state, State::Fix);
        assert!(ahead.text().contains("not in sync"), "{}", ahead.text());
    }
}
