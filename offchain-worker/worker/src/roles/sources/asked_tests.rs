//! Fetches that end well, late, or because somebody said so, and what is remembered of each source then.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_primitives::Text;
use cairn_store::{paths, Blob, Reply, Store};
use futures::StreamExt;

use super::*;
use crate::roles::sources::{whole, Reach, Sources};

/// A small blob: one group of 208 KiB, of which nothing is checked before all of it is there.
const LENGTH: usize = 13 << 14;
/// What is sent at once of it.
const PART: usize = 1 << 14;

/// What a source does with a request.
#[derive(Clone, Copy, Debug)]
enum Manner {
    /// Sends each 16 KiB in time, and so few that the file is late.
    Trickles,
    /// Sends other bytes.
    Lies,
    /// Sends nothing.
    Hangs,
    /// Sends what there is.
    Serves,
}

#[derive(Debug)]
struct Member {
    content: Bytes,
    manner: Manner,
}

#[async_trait]
impl Source for Member {
    fn name(&self) -> &str {
        "a member"
    }

    async fn read(&self, _: &str, bytes: Range<u64>) -> Result<Reply, Fault> {
        let part = self.content.slice(bytes.start as usize..bytes.end as usize);
        let parts: Vec<Bytes> = part.chunks(PART).map(Bytes::copy_from_slice).collect();
        let parts = futures::stream::iter(parts);
        let manner = self.manner;
        let sent = parts.then(move |part| async move {
            match manner {
                Manner::Trickles => tokio::time::sleep(Duration::from_millis(4_900)).await,
                Manner::Hangs => std::future::pending().await,
                Manner::Lies => return Ok(Bytes::from(vec![0; part.len()])),
                Manner::Serves => {}
            }
            Ok::<Bytes, Fault>(part)
        });
        Ok(Reply {
            length: self.content.len() as u64,
            bytes: sent.boxed(),
        })
    }
}

/// A worker that knows members of these manners, a blob that all of them say to have, and where it goes.
struct Place {
    directory: tempfile::TempDir,
    sources: Sources,
    blob: Blob,
    endpoints: Vec<Text>,
}

impl Place {
    async fn with(manners: &[Manner]) -> Place {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::create_in(&directory.path().join("store")).expect("room");
        let sources = Sources::new(&Reach::default(), &[], &store, directory.path()).await;
        let sources = sources.expect("it is no peer");
        let content = Bytes::from(vec![7; LENGTH]);
        let root = *blake3::hash(&content).as_bytes();
        let mut endpoints = Vec::new();
        for (number, manner) in manners.iter().enumerate() {
            let endpoint = format!("https://{number}.example");
            let (content, manner) = (content.clone(), *manner);
            let member = Arc::new(Member { content, manner });
            locked(&sources.open).insert(endpoint.clone(), member);
            endpoints.push(Text::new(&endpoint).expect("short"));
        }
        Place {
            directory,
            sources,
            blob: Blob::new(paths::DATA, root, LENGTH as u64),
            endpoints,
        }
    }

    /// Those that are asked now, by their places.
    fn asked(&self) -> Vec<usize> {
        let numbered = self.endpoints.iter().enumerate();
        let asked = numbered.filter(|(_, endpoint)| self.sources.at(endpoint).is_some());
        asked.map(|(number, _)| number).collect()
    }

    /// Fetches from all that are asked, for as long as such a file may take.
    async fn bring(&self) -> Result<(), String> {
        self.bring_in(whole(LENGTH as u64)).await
    }

    /// The same for so long at most.
    async fn bring_in(&self, limit: Duration) -> Result<(), String> {
        let asked: Vec<Asked> = self
            .endpoints
            .iter()
            .filter_map(|one| self.sources.at(one))
            .collect();
        let into = self.directory.path().join("fetched");
        self.sources.bring(&self.blob, &into, &asked, limit).await
    }
}

#[tokio::test(start_paused = true)]
async fn who_let_a_file_trickle_until_it_was_given_up_is_passed_over() {
    let place = Place::with(&[Manner::Trickles]).await;
    let why = place.bring().await.expect_err("it does not come in time");
    assert!(why.contains("did not come in 30 s"), "{why}");
    assert_eq!(place.asked(), Vec::<usize>::new());
    // What is brought before it is needed may be given up sooner.
    let place = Place::with(&[Manner::Trickles]).await;
    let why = place.bring_in(Duration::from_secs(20)).await;
    let why = why.expect_err("it does not come in time");
    assert!(why.contains("did not come in 20 s"), "{why}");
    assert_eq!(place.asked(), Vec::<usize>::new());
}

#[tokio::test(start_paused = true)]
async fn of_two_that_let_a_file_trickle_together_neither_is_passed_over() {
    // The second one is asked as well, once the first is late; that may be the own line.
    let place = Place::with(&[Manner::Trickles, Manner::Trickles]).await;
    place.bring().await.expect_err("it does not come in time");
    assert_eq!(place.asked(), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn who_lied_is_remembered_though_the_file_was_given_up() {
    let place = Place::with(&[Manner::Lies, Manner::Trickles]).await;
    place.bring().await.expect_err("it does not come in time");
    assert_eq!(place.asked(), Vec::<usize>::new());
    let place = Place::with(&[Manner::Lies, Manner::Serves]).await;
    place.bring().await.expect("one of them has it");
    assert_eq!(place.asked(), [1]);
}

#[tokio::test(start_paused = true)]
async fn of_a_fetch_that_is_told_to_end_lies_stay_and_nothing_else() {
    let place = Place::with(&[Manner::Lies, Manner::Hangs]).await;
    let told = tokio::time::timeout(Duration::from_secs(5), place.bring()).await;
    told.expect_err("nobody brings it");
    assert_eq!(
        place.asked(),
        [1],
        "who had time left did nothing wrong yet"
    );
}

/// What is found of a member that brought so many bytes at this speed.
fn report(bytes: u64, speed: Option<f64>) -> Report {
    Report {
        source: "a member".into(),
        bytes,
        speed,
        fault: None,
        passed_over: false,
    }
}

/// Whether the first of these is passed over after a fetch that was given up.
fn falls(all: &[Report]) -> bool {
    after(Duration::from_secs(100), &all[0], all).passed_over
}

#[test]
fn who_is_slow_falls_where_the_line_can_do_more() {
    let (slow, fast) = (report(9_999, Some(TRICKLE - 1.0)), report(1, Some(TRICKLE)));
    let unasked = report(0, None);
    assert!(
        falls(std::slice::from_ref(&slow)),
        "it alone let the file trickle"
    );
    assert!(falls(&[slow.clone(), unasked.clone()]));
    assert!(falls(&[slow.clone(), fast.clone()]));
    // Who came late brought little in all, and not slowly.
    assert!(!falls(std::slice::from_ref(&fast)) && !falls(&[fast, slow.clone()]));
    assert!(!falls(&[unasked, slow.clone()]), "it was never asked");
    // Of a small blob nothing is known to be good until all of it is.
    let unchecked = report(0, slow.speed);
    assert!(falls(std::slice::from_ref(&unchecked)));
    assert!(!falls(&[unchecked, slow]));
}

#[test]
fn a_slow_line_is_no_fault_of_those_who_sent_what_went_over_it() {
    let slow = report(300_000, Some(3_072.0));
    assert!(!falls(&[slow.clone(), slow.clone()]));
    let gone = Report {
        fault: Some(Fault::Cut { at: 0 }),
        passed_over: true,
        ..report(500_000, Some(1e6))
    };
    assert!(
        falls(&[slow.clone(), gone]),
        "it was alone after the other had gone"
    );
    let cut = Report {
        fault: Some(Fault::Cut { at: 0 }),
        ..report(0, None)
    };
    let all = [cut.clone(), slow];
    let found = after(Duration::from_secs(100), &cut, &all);
    assert!(found.passed_over);
    assert_eq!(found.fault, cut.fault, "the reason stays");
    assert!(falls(std::slice::from_ref(&cut)));
    assert!(
        !falls(&[cut.clone(), cut]),
        "the own line may have been down"
    );
}
