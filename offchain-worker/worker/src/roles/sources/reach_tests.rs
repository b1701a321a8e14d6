//! Whom a worker asks by what members name on the chain, and for how long what came in part lies on its disk.

use std::path::Path;

use cairn_primitives::{Round, Text};
use cairn_store::Store;

use super::{Reach, Sources, INCOMING_ROUNDS};

/// Those of a worker that keeps all it has below this directory.
async fn sources(directory: &Path, reach: &Reach) -> Sources {
    let store = Store::create_in(&directory.join("store")).expect("room");
    let sources = Sources::new(reach, &[], &store, directory).await;
    sources.expect("it is no peer")
}

#[tokio::test]
async fn a_member_cannot_send_a_worker_to_its_own_machine_or_network() {
    for trusts_endpoints in [false, true] {
        let directory = tempfile::tempdir().expect("a directory");
        let reach = Reach {
            trusts_endpoints,
            ..Reach::default()
        };
        let sources = sources(directory.path(), &reach).await;
        let asks = |url: &str| sources.at(&Text::new(url).expect("short")).is_some();
        for inside in [
            "https://127.0.0.1:9000/bucket",
            "https://10.0.0.1/run",
            "https://192.168.1.2/run",
            "https://169.254.169.254/latest",
            "https://[::1]/run",
        ] {
            assert_eq!(asks(inside), trusts_endpoints, "{inside}");
        }
        assert!(asks("https://mirror.example/run"));
        // Told so or not: these are no endpoints.
        for other in ["file:///etc", "http://127.0.0.1/run", "s3://bucket/run"] {
            assert!(!asks(other), "{other}");
        }
    }
}

/// Begins with a file of a round below a directory.
fn begin(under: &Path, round: Round) {
    let place = under.join(round.to_string());
    std::fs::create_dir_all(&place).expect("room");
    std::fs::write(place.join("some.partial"), "some").expect("room");
}

/// The rounds of which something lies below a directory, ascending.
fn rounds(under: &Path) -> Vec<Round> {
    let entries = std::fs::read_dir(under).expect("it is there");
    let names = entries.map(|entry| entry.expect("readable").file_name());
    let rounds = names.map(|name| name.to_string_lossy().parse());
    let mut rounds: Vec<Round> = rounds.map(|round| round.expect("a round")).collect();
    rounds.sort_unstable();
    rounds
}

#[tokio::test]
async fn what_came_in_part_goes_after_some_rounds_and_when_a_worker_starts() {
    let directory = tempfile::tempdir().expect("a directory");
    let reach = Reach::default();
    let (incoming, ahead) = (
        directory.path().join("incoming"),
        directory.path().join("ahead"),
    );
    let first = sources(directory.path(), &reach).await;
    let end = INCOMING_ROUNDS + 4;
    for round in 0..end {
        begin(&incoming, round);
        begin(&ahead, round);
    }
    // Of the first rounds nothing is too old.
    first.forget_before(INCOMING_ROUNDS).await;
    assert_eq!(rounds(&incoming), (0..end).collect::<Vec<_>>());
    first.forget_before(end).await;
    assert_eq!(rounds(&incoming), (4..end).collect::<Vec<_>>());
    // What was fetched before it is needed is of use until its round is applied.
    assert_eq!(rounds(&ahead), (0..end).collect::<Vec<_>>());
    first.forget_ahead(end - 1).await;
    assert_eq!(rounds(&ahead), [end - 1]);
    drop(first);
    sources(directory.path(), &reach).await;
    assert!(!incoming.exists(), "who starts begins anew");
    assert_eq!(rounds(&ahead), [end - 1]);
}
