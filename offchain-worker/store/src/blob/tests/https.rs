//! Mirrors over HTTP, and where a chain may not send us.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{atomic::Ordering, Arc},
};

use bytes::Bytes;
use proptest::prelude::*;

use super::{
    super::{partial::outboard_of, Blob, Fault, Patience, Source, GROUP},
    content, groups,
    server::{Act, Asked, Manner, Server},
    several::{get, get_by, only_fault, HASTY, QUICK},
};
use crate::{
    guard::{self, Origin},
    paths,
    url::place,
    Store, StoreError,
};

/// A mirror of one blob.
async fn mirror(content: &Bytes, manner: Manner) -> (Blob, Server, Arc<dyn Source>) {
    let (tree, outboard) = outboard_of(content);
    let blob = Blob::new(paths::DATA, tree.root, tree.length);
    let mut files = HashMap::from([(blob.path.clone(), content.clone())]);
    if !tree.is_small() {
        files.insert(paths::outboard(&blob.path), outboard.into());
    }
    let server = Server::start(files, manner).await;
    let source = Store::open(&server.url).unwrap().source();
    (blob, server, source)
}

fn always(act: Act) -> Manner {
    Arc::new(move |_| act.clone())
}

fn blob_only(act: Act) -> Manner {
    Arc::new(
        move |asked: &Asked| match asked.path.ends_with(".outboard") {
            true => Act::Serve,
            false => act.clone(),
        },
    )
}

async fn fault(content: &Bytes, manner: Manner) -> Fault {
    fault_by(QUICK, content, manner).await
}

async fn fault_by(patience: Patience, content: &Bytes, manner: Manner) -> Fault {
    let (blob, _server, source) = mirror(content, manner).await;
    let directory = tempfile::tempdir().unwrap();
    only_fault(get_by(patience, &blob, &[source], directory.path()).await)
}

#[tokio::test]
async fn a_mirror_is_read_and_not_written() {
    let content = content(groups(40));
    let (blob, server, source) = mirror(&content, always(Act::Serve)).await;
    let directory = tempfile::tempdir().unwrap();
    let (_, got) = get(&blob, &[source], directory.path()).await.unwrap();
    assert_eq!(got, content);
    let store = Store::open(&server.url).unwrap();
    let length = content.len() as u64;
    assert_eq!(
        store
            .get_blob(paths::DATA, &blob.root, length)
            .await
            .unwrap(),
        content
    );
    assert!(store.has_blob(paths::DATA, &blob.root).await.unwrap());
    assert!(!store.has_blob(paths::DATA, &[1; 32]).await.unwrap());
    store
        .check_blob(paths::DATA, &blob.root, length)
        .await
        .unwrap();
    for error in [
        store.put("a", Bytes::new()).await.unwrap_err(),
        store.delete("a").await.unwrap_err(),
        store.check_writable().await.unwrap_err(),
        store
            .publish(paths::DATA, Bytes::from_static(b"x"))
            .await
            .unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn what_a_server_does_wrong_is_told_apart() {
    let content = content(groups(30));
    let length = content.len() as u64;
    assert_eq!(
        fault(&content, blob_only(Act::IgnoreRange)).await,
        Fault::NoRanges
    );
    assert_eq!(
        fault(&content, blob_only(Act::Status(403))).await,
        Fault::Refused
    );
    let absent = fault(&content, blob_only(Act::Status(404))).await;
    assert!(matches!(absent, Fault::Absent { .. }), "{absent:?}");
    let busy = fault(&content, blob_only(Act::Status(503))).await;
    assert!(busy.to_string().contains("503"), "{busy}");
    let cut = fault(&content, blob_only(Act::Cut(100))).await;
    assert!(
        matches!(cut, Fault::Failed { .. } | Fault::Cut { .. }),
        "{cut:?}"
    );
    let hang = fault_by(HASTY, &content, blob_only(Act::Hang)).await;
    assert!(matches!(hang, Fault::Stalled { .. }), "{hang:?}");
    let lie = fault(&content, blob_only(Act::Flip(groups(7) as u64 + 3))).await;
    assert!(
        matches!(lie, Fault::Lied { at, .. } if at == groups(7) as u64),
        "{lie:?}"
    );
    for total in [length - 1, length + 1] {
        let wrong = fault(&content, blob_only(Act::Total(total))).await;
        assert!(
            matches!(wrong, Fault::WrongLength { found, .. } if found == total),
            "{wrong:?}"
        );
    }
    let other = b"HTTP/1.1 206 P\r\ncontent-length: 2\r\ncontent-range: bytes 8-9/491520\r\n\r\nxx";
    let other = fault(&content, blob_only(Act::Raw(other.to_vec()))).await;
    assert!(matches!(other, Fault::Failed { .. }), "{other:?}");
    let raw = fault(
        &content,
        blob_only(Act::Raw(b"220 mail ready\r\n".to_vec())),
    )
    .await;
    assert!(matches!(raw, Fault::Failed { .. }), "{raw:?}");
}

#[tokio::test]
async fn what_comes_with_an_error_is_not_read() {
    let content = content(groups(30));
    // Whoever waits for the rest of it, of which there could be any amount, finds the connection closed.
    let with = |code: u16| {
        let said = format!("HTTP/1.1 {code} No\r\ncontent-length: 99999999999\r\n\r\nxx");
        blob_only(Act::Raw(said.into_bytes()))
    };
    assert_eq!(fault(&content, with(403)).await, Fault::Refused);
    let absent = fault(&content, with(404)).await;
    assert!(matches!(absent, Fault::Absent { .. }), "{absent:?}");
}

#[tokio::test]
async fn what_comes_beyond_the_end_is_not_read() {
    let content = content(groups(30));
    let (blob, _server, source) = mirror(&content, always(Act::TooMuch)).await;
    let directory = tempfile::tempdir().unwrap();
    let (_, got) = get(&blob, &[source], directory.path()).await.unwrap();
    assert_eq!(got, content);
}

#[tokio::test]
async fn a_server_that_stumbles_now_and_then_is_forgiven() {
    let content = content(groups(300));
    let stumbles: Manner = Arc::new(|asked: &Asked| match asked.number % 3 {
        0 => Act::Status(503),
        1 => Act::Cut(3 * GROUP as usize + 100),
        _ => Act::Serve,
    });
    let (blob, server, source) = mirror(&content, stumbles).await;
    let directory = tempfile::tempdir().unwrap();
    let (outcome, got) = get(&blob, &[source], directory.path()).await.unwrap();
    assert_eq!(got, content);
    assert_eq!(outcome.fetched, content.len() as u64);
    assert!(server.requests.load(Ordering::SeqCst) > 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_four_mirrors_one_lies_one_cuts_one_is_busy_and_one_is_good() {
    let content = content(groups(900) + 13);
    let (blob, _one, liar) = mirror(&content, blob_only(Act::Flip(5))).await;
    let (_, _two, cuts) = mirror(&content, blob_only(Act::Cut(100_000))).await;
    let (_, _three, busy) = mirror(&content, always(Act::Status(503))).await;
    let (_, _four, good) = mirror(&content, always(Act::Serve)).await;
    let directory = tempfile::tempdir().unwrap();
    let sources = [liar, cuts, busy, good];
    let (outcome, got) = get(&blob, &sources, directory.path()).await.unwrap();
    assert_eq!(got, content);
    assert_eq!(outcome.sources[3].fault, None);
    assert!(outcome.sources[3].bytes > 0);
}

#[tokio::test]
async fn a_server_may_send_us_on() {
    let content = content(groups(20));
    let (_, there, _) = mirror(&content, always(Act::Serve)).await;
    let url = there.url.clone();
    let on: Manner = Arc::new(move |asked: &Asked| Act::Redirect(format!("{url}/{}", asked.path)));
    let (blob, _here, source) = mirror(&content, on).await;
    let directory = tempfile::tempdir().unwrap();
    let (_, got) = get(&blob, &[source], directory.path()).await.unwrap();
    assert_eq!(got, content);
}

#[tokio::test]
async fn a_ring_of_redirects_ends() {
    let content = content(groups(20));
    let ring: Manner = Arc::new(|asked: &Asked| Act::Redirect(format!("/mirror/{}", asked.path)));
    let fault = fault(&content, ring).await;
    assert!(matches!(fault, Fault::Failed { .. }), "{fault:?}");
}

#[tokio::test]
async fn nobody_at_the_other_end_is_one_line() {
    // A port that was ours a moment ago.
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    for url in [format!("http://{gone}/x"), format!("https://{gone}/x")] {
        let store = Store::open(&url).unwrap();
        let error = store.get("a", 1).await.unwrap_err();
        assert!(matches!(error, StoreError::Failed { .. }), "{error:?}");
        assert!(error.to_string().contains("refused"), "{error}");
    }
}

#[tokio::test]
async fn what_speaks_no_tls_is_not_spoken_to() {
    let (_, server, _) = mirror(&content(5), always(Act::Serve)).await;
    let store = Store::open(&server.url.replace("http://", "https://")).unwrap();
    let error = store.get("a", 1).await.unwrap_err();
    assert!(matches!(error, StoreError::Failed { .. }), "{error:?}");
    assert_eq!(server.requests.load(Ordering::SeqCst), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever a server says instead of HTTP, or as its head.
    #[test]
    fn any_answer_is_a_fault_and_no_panic(
        is_http: bool,
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        length in "[0-9]{0,20}",
        span in "[-0-9/ a-z*]{0,40}",
    ) {
        let answer = match is_http {
            false => bytes,
            true => [
                format!("HTTP/1.1 206 P\r\ncontent-length: {length}\r\n").into_bytes(),
                format!("content-range: bytes {span}\r\n\r\n").into_bytes(),
                bytes,
            ].concat(),
        };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let content = content(groups(18));
        runtime.block_on(fault(&content, blob_only(Act::Raw(answer))));
    }
}

#[test]
fn a_chain_may_name_public_https_and_nothing_else() {
    for url in [
        "https://mirror.example.org/cairn",
        "https://93.184.215.14/x",
        "https://[2606:2800::1]:8443/x",
    ] {
        guard::check(url, Origin::Chain).unwrap();
    }
    for url in [
        "file:///etc",
        "s3://bucket/prefix",
        "http://127.0.0.1/x",
        "http://localhost/x",
        "https://127.0.0.1/x",
        "https://127.1/x",
        "https://2130706433/x",
        "https://0x7f.0.0.1/x",
        "https://0/x",
        "https://0.0.0.0/x",
        "https://10.1.2.3/x",
        "https://172.16.0.1/x",
        "https://172.31.255.255/x",
        "https://192.168.1.1/x",
        "https://169.254.169.254/latest",
        "https://100.64.0.1/x",
        "https://198.18.0.1/x",
        "https://224.0.0.1/x",
        "https://255.255.255.255/x",
        "https://[::1]/x",
        "https://[::]/x",
        "https://[fe80::1]/x",
        "https://[fc00::1]/x",
        "https://[fd12:3456::1]/x",
        "https://[ff02::1]/x",
        "https://[::ffff:127.0.0.1]/x",
        "https://[::ffff:10.0.0.1]/x",
        "https://[::127.0.0.1]/x",
        "https://[64:ff9b::7f00:1]/x",
        "https://[2002:7f00:1::]/x",
        "https://[2001:db8::1]/x",
    ] {
        let error = guard::check(url, Origin::Chain).unwrap_err();
        assert!(
            matches!(error, StoreError::Forbidden { .. }),
            "{url}: {error:?}"
        );
        assert!(!error.to_string().contains('\n'), "{error}");
        let opened = Store::open_named_by(url, Origin::Chain);
        assert!(matches!(opened, Err(StoreError::Forbidden { .. })), "{url}");
        // The owner may.
        guard::check(url, Origin::Owner).unwrap();
    }
    for url in [
        "https://user:word@host/x",
        "https://host/x?y",
        "s3://k:s@bucket/x",
        "http://host/x",
    ] {
        for origin in [Origin::Chain, Origin::Owner] {
            let error = guard::check(url, origin).unwrap_err();
            assert!(
                matches!(error, StoreError::InvalidUrl { .. }),
                "{url}: {error:?}"
            );
            assert!(!error.to_string().contains("word"), "{error}");
        }
    }
}

/// Opens a mirror as a chain names it, with names that lead where the test wants.
fn from_a_chain(url: &str, lookup: guard::Lookup) -> Store {
    let place = place(url).unwrap();
    Store::beyond(url, place, Origin::Chain, lookup).unwrap()
}

#[tokio::test]
async fn a_name_that_leads_to_this_machine_is_refused_when_it_is_connected_to() {
    let (_, server, _) = mirror(&content(5), always(Act::Serve)).await;
    let address: SocketAddr = server.url[7..].trim_end_matches("/mirror").parse().unwrap();
    // The system's own answer for this name, and answers that hide one private address among public ones.
    let port = address.port();
    let private = |_: String| -> futures::future::BoxFuture<'static, _> {
        let both = ["93.184.215.14:0", "10.0.0.1:0"].map(|address| address.parse().unwrap());
        Box::pin(async move { Ok(both.to_vec()) })
    };
    for store in [
        from_a_chain(
            &format!("https://localhost:{port}/mirror"),
            guard::by_the_system,
        ),
        from_a_chain(&format!("https://mirror.example.org:{port}/x"), private),
    ] {
        let error = store.get("a", 1).await.unwrap_err();
        assert!(matches!(error, StoreError::Forbidden { .. }), "{error:?}");
        assert!(error.to_string().contains("its name leads to"), "{error}");
        let fault = store
            .source()
            .read("a", 0..1)
            .await
            .map(|_| ())
            .unwrap_err();
        assert!(matches!(fault, Fault::Forbidden { .. }), "{fault:?}");
    }
    assert_eq!(server.requests.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_address_that_is_written_out_is_refused_too_when_it_is_connected_to() {
    // As if the text had not been checked: a client of a chain's speaks https only.
    let (_, server, _) = mirror(&content(5), always(Act::Serve)).await;
    let store = from_a_chain(&server.url, guard::by_the_system);
    assert!(store.get("a", 1).await.is_err());
    assert_eq!(server.requests.load(Ordering::SeqCst), 0);
}

proptest! {
    #[test]
    fn version_4_is_judged_the_same_however_it_is_written(address: [u8; 4]) {
        let plain = std::net::Ipv4Addr::from(address);
        let mapped = plain.to_ipv6_mapped();
        prop_assert_eq!(guard::is_public(plain.into()), guard::is_public(mapped.into()));
        let is_private = plain.is_private() || plain.is_loopback() || plain.is_link_local()
            || plain.is_unspecified() || plain.is_multicast() || plain.is_broadcast() || plain.is_documentation();
        prop_assert!(!(is_private && guard::is_public(plain.into())));
    }

    #[test]
    fn no_special_address_of_version_6_is_public(address: [u8; 16]) {
        let address = std::net::Ipv6Addr::from(address);
        let is_special = address.is_unique_local() || address.is_unicast_link_local() || address.is_multicast();
        prop_assert!(!(is_special && guard::is_public(address.into())));
    }

    #[test]
    fn any_text_may_be_offered_as_a_url(text in ".{0,60}", scheme in "(file|s3|https|http)://") {
        let _ = guard::check(&text, Origin::Chain);
        let _ = guard::check(&format!("{scheme}{text}"), Origin::Chain);
    }
}
