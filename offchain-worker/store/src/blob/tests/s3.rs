//! Buckets, against a server in this process that checks signatures.

use std::{
    collections::HashMap,
    sync::{
        atomic::{AtomicU64, Ordering},
        Arc,
    },
};

use bytes::Bytes;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use tempfile::TempDir;

use super::{
    super::{partial::outboard_of, Blob, Content, Fault, SMALL},
    content, groups,
    server::{Act, Asked, Server},
    several::get,
    shelf::Shelf,
};
use crate::{open::s3, paths, Store, StoreError};

const KEY: &str = "AKIDEXAMPLE";
const SECRET: &str = "do-not-show-me";

pub(super) struct Bucket {
    directory: TempDir,
    address: std::net::SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Bucket {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Bucket {
    pub async fn start() -> Bucket {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("bucket")).unwrap();
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(directory.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let service = builder.build();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    let builder = Builder::new(TokioExecutor::new());
                    let _ = builder
                        .serve_connection(TokioIo::new(socket), service)
                        .await;
                });
            }
        });
        Bucket {
            directory,
            address,
            task,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> std::net::SocketAddr {
        self.address
    }

    pub fn variables(&self) -> HashMap<&'static str, String> {
        HashMap::from([
            ("AWS_ENDPOINT_URL", format!("http://{}", self.address)),
            ("AWS_ALLOW_HTTP", "true".into()),
            ("AWS_ACCESS_KEY_ID", KEY.into()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.into()),
        ])
    }

    pub fn store(&self) -> Store {
        open(&self.variables()).unwrap()
    }

    /// The file of a path on the server's disk.
    fn file(&self, path: &str) -> std::path::PathBuf {
        self.directory.path().join("bucket/my/prefix").join(path)
    }
}

pub(super) fn open(variables: &HashMap<&'static str, String>) -> Result<Store, StoreError> {
    let url = "s3://bucket/my/prefix";
    let files = s3::open(url, "bucket", "my/prefix", |name| {
        variables.get(name).cloned()
    })?;
    Ok(Store::over(url, files))
}

#[tokio::test]
async fn a_bucket_is_a_store() {
    let bucket = Bucket::start().await;
    let store = bucket.store();
    store.check_writable().await.unwrap();
    store.put("a/b", Bytes::from_static(b"one")).await.unwrap();
    assert_eq!(store.get("a/b", 3).await.unwrap().as_ref(), b"one");
    assert!(matches!(
        store.get("a/b", 2).await,
        Err(StoreError::TooLarge { .. })
    ));
    assert!(matches!(
        store.get("a/c", 2).await,
        Err(StoreError::NotFound { .. })
    ));
    let root = store
        .put_blob(paths::DATA, Bytes::from_static(b"two"))
        .await
        .unwrap();
    let listed: Vec<_> = store
        .list("")
        .await
        .unwrap()
        .into_iter()
        .map(|it| it.path)
        .collect();
    assert_eq!(listed, ["a/b".to_string(), paths::blob(paths::DATA, &root)]);
    assert!(bucket.file("a/b").is_file(), "it lies under the prefix");
    store.delete("a/b").await.unwrap();
    assert!(!store.exists("a/b").await.unwrap());
}

#[tokio::test]
async fn what_is_published_is_fetched() {
    let bucket = Bucket::start().await;
    let store = bucket.store();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    // In no part, in one request, and in several parts.
    for length in [0, 1, SMALL as usize, groups(40) + 1, (20 << 20) + 17] {
        let content = content(length);
        std::fs::write(&file, &content).unwrap();
        for what in [Content::File(file.clone()), Content::Bytes(content.clone())] {
            let root = store.publish(paths::DATA, what).await.unwrap();
            assert_eq!(root, *blake3::hash(&content).as_bytes());
            let blob = Blob::new(paths::DATA, root, length as u64);
            let into = tempfile::tempdir().unwrap();
            let (_, got) = get(&blob, &[store.source()], into.path()).await.unwrap();
            assert_eq!(got, content);
            let listed = store.list("").await.unwrap();
            assert_eq!(listed.len(), if length > SMALL as usize { 2 } else { 1 });
            for entry in listed {
                store.delete(&entry.path).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn what_was_damaged_is_found_and_published_again() {
    let bucket = Bucket::start().await;
    let store = bucket.store();
    let content = content(groups(50));
    let root = store.publish(paths::DATA, content.clone()).await.unwrap();
    let path = paths::blob(paths::DATA, &root);
    for file in [path.clone(), paths::outboard(&path)] {
        let on_disk = bucket.file(&file);
        let mut bytes = std::fs::read(&on_disk).unwrap();
        bytes[2_000] ^= 1;
        std::fs::write(&on_disk, bytes).unwrap();
        let error = store
            .check_blob(paths::DATA, &root, content.len() as u64)
            .await
            .unwrap_err();
        assert!(
            matches!(&error, StoreError::Damaged { path, .. } if *path == file),
            "{error:?}"
        );
        store.publish(paths::DATA, content.clone()).await.unwrap();
        store
            .check_blob(paths::DATA, &root, content.len() as u64)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_bucket_and_others_serve_one_blob() {
    let bucket = Bucket::start().await;
    let content = content(groups(700));
    let root = bucket
        .store()
        .publish(paths::DATA, content.clone())
        .await
        .unwrap();
    let (blob, shelf) = Shelf::honest(&content);
    assert_eq!(root, blob.root);
    let disk = tempfile::tempdir().unwrap();
    let store = Store::create_in(disk.path()).unwrap();
    store.publish(paths::DATA, content.clone()).await.unwrap();
    let into = tempfile::tempdir().unwrap();
    let sources = [bucket.store().source(), shelf, store.source()];
    let (outcome, got) = get(&blob, &sources, into.path()).await.unwrap();
    assert_eq!(got, content);
    assert!(outcome.sources.iter().all(|source| source.fault.is_none()));
}

#[tokio::test]
async fn wrong_credentials_are_one_line_and_are_not_shown() {
    let bucket = Bucket::start().await;
    bucket
        .store()
        .put("a", Bytes::from_static(b"x"))
        .await
        .unwrap();
    let mut wrong = bucket.variables();
    wrong.insert("AWS_SECRET_ACCESS_KEY", "not-it-at-all".into());
    let mut nobody = bucket.variables();
    nobody.retain(|name, _| !name.contains("KEY"));
    let mut unknown = bucket.variables();
    unknown.insert("AWS_ACCESS_KEY_ID", "AKIDUNKNOWN".into());
    for variables in [wrong, nobody, unknown] {
        let store = open(&variables).unwrap();
        let fault = store
            .source()
            .read("a", 0..1)
            .await
            .map(|_| ())
            .unwrap_err();
        assert_eq!(fault, Fault::Refused);
        for error in [
            store.get("a", 1).await.unwrap_err(),
            store.put("a", Bytes::new()).await.unwrap_err(),
            store.list("").await.unwrap_err(),
            store
                .publish("data/", Bytes::from_static(b"x"))
                .await
                .unwrap_err(),
        ] {
            assert!(matches!(error, StoreError::Refused { .. }), "{error:?}");
            let shown = format!("{error} {error:?} {store:?} {fault}");
            assert!(
                !shown.contains("not-it") && !shown.contains("AKID"),
                "{shown}"
            );
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }
}

#[tokio::test]
async fn credentials_that_have_expired_are_named_and_not_shown() {
    let body = "<?xml version=\"1.0\"?><Error><Code>ExpiredToken</Code><Message>The provided token has expired.\
                </Message><Token-0>my-token</Token-0></Error>";
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/xml\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let files = HashMap::from([("/bucket/my/prefix/a".to_string(), Bytes::from_static(b"x"))]);
    let server = Server::start(
        files,
        Arc::new(move |_: &Asked| Act::Raw(answer.clone().into_bytes())),
    )
    .await;
    let endpoint = server.url.trim_end_matches("/mirror");
    let variables = HashMap::from([
        ("AWS_ENDPOINT_URL", endpoint.to_string()),
        ("AWS_ALLOW_HTTP", "true".into()),
        ("AWS_ACCESS_KEY_ID", KEY.into()),
        ("AWS_SECRET_ACCESS_KEY", SECRET.into()),
        ("AWS_SESSION_TOKEN", "my-token".into()),
    ]);
    let error = open(&variables).unwrap().get("a", 1).await.unwrap_err();
    assert!(matches!(error, StoreError::Expired { .. }), "{error:?}");
    let shown = format!("{error} {error:?}");
    assert!(
        !shown.contains("my-token") && !shown.contains(SECRET) && !shown.contains('\n'),
        "{shown}"
    );
}

#[test]
fn settings_that_are_not_right_say_what_to_set() {
    let cases: [(&[(&'static str, &str)], &str); 5] = [
        (
            &[("AWS_ACCESS_KEY_ID", KEY)],
            "AWS_SECRET_ACCESS_KEY is not set",
        ),
        (
            &[("AWS_SECRET_ACCESS_KEY", SECRET)],
            "AWS_ACCESS_KEY_ID is not set",
        ),
        (
            &[("AWS_ENDPOINT_URL", "http://host")],
            "set AWS_ALLOW_HTTP=true",
        ),
        (&[("AWS_ENDPOINT_URL", "host")], "is no URL"),
        (&[("AWS_ENDPOINT_URL", "https://me:word@host")], "is no URL"),
    ];
    for (variables, text) in cases {
        let variables = variables
            .iter()
            .map(|(name, value)| (*name, value.to_string()));
        let error = open(&variables.collect()).unwrap_err();
        assert!(matches!(error, StoreError::Settings { .. }), "{error:?}");
        let shown = format!("{error} {error:?}");
        assert!(
            shown.contains(text) && shown.contains("s3://bucket/my/prefix"),
            "{shown}"
        );
        assert!(
            !shown.contains(SECRET) && !shown.contains("word"),
            "{shown}"
        );
    }
    // Nobody's credentials: what anybody may read.
    open(&HashMap::new()).unwrap();
}

#[tokio::test]
async fn a_file_that_is_not_there_is_not_published() {
    let bucket = Bucket::start().await;
    let file = std::path::Path::new("/nowhere/at/all");
    let error = bucket.store().publish(paths::DATA, file).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreadable { .. }), "{error:?}");
}

/// Members publish to buckets of their own, and whoever reads has no account there.
#[tokio::test]
async fn who_has_no_credentials_reads_what_anybody_may_and_signs_nothing() {
    let content = content(groups(40));
    let (tree, outboard) = outboard_of(&content);
    let blob = Blob::new(paths::DATA, tree.root, tree.length);
    let at = |path: &str| format!("/bucket/my/prefix/{path}");
    let files = HashMap::from([
        (at(&paths::outboard(&blob.path)), outboard.into()),
        (at(&blob.path), content.clone()),
    ]);
    let signed = Arc::new(AtomicU64::new(0));
    let counter = signed.clone();
    let counts = move |asked: &Asked| {
        counter.fetch_add(asked.is_signed.into(), Ordering::SeqCst);
        Act::Serve
    };
    let server = Server::start(files, Arc::new(counts)).await;
    let endpoint = server.url.trim_end_matches("/mirror").to_string();
    let mut variables = HashMap::from([
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ALLOW_HTTP", "true".into()),
    ]);
    let fetched = async |variables: &HashMap<&'static str, String>| {
        let source = open(variables).unwrap().source();
        let directory = tempfile::tempdir().unwrap();
        get(&blob, &[source], directory.path()).await.unwrap().1
    };
    assert_eq!(fetched(&variables).await, content);
    assert_eq!(signed.load(Ordering::SeqCst), 0);
    variables.insert("AWS_ACCESS_KEY_ID", KEY.into());
    variables.insert("AWS_SECRET_ACCESS_KEY", SECRET.into());
    assert_eq!(fetched(&variables).await, content);
    assert!(signed.load(Ordering::SeqCst) > 0, "a signature is seen");
}
