//! Networks over buckets, on servers that check signatures.

mod common;
#[path = "common/network.rs"]
mod network;

use common::cairn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use network::{Devnet, RUN};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};

const KEY: &str = "AKIDEXAMPLE";
const SECRET: &str = "do-not-show-me";
const ROUNDS: usize = 3;

/// Serves the buckets below a directory until the runtime ends; gives the address.
async fn serve(directory: &std::path::Path) -> String {
    let files = s3s_fs::FileSystem::new(directory).expect("a directory");
    let mut builder = S3ServiceBuilder::new(files);
    builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
    let service = builder.build();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
    tokio::spawn(async move {
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
    endpoint
}

/// Each writes its own bucket, with credentials of its own, and reads the others' as anybody may.
#[test]
fn members_with_a_bucket_each_train_one_model() {
    let rounds = ROUNDS.to_string();
    let devnet = Devnet::new(
        "kept",
        &[
            "--transport",
            "s3",
            "--run",
            RUN,
            "--rounds",
            &rounds,
            "--miners",
            "2",
            "--validators",
            "1",
            "--cheats",
            "0",
        ],
    );
    let ended = devnet.run(ROUNDS, |_| {});
    ended.most_rounds_included_somebody();
    ended.all_hold_one_model();
    // What they made is in their own buckets, and nowhere else.
    let made = |name: &str| {
        let bucket = ended.kept.join("buckets").join(name);
        bucket.join("run/contributions").is_dir()
    };
    let shown = &ended.shown;
    assert!(
        made("miner-1") || made("miner-2"),
        "nothing is there:\n{shown}"
    );
    assert!(!made("data") && !ended.kept.join("store").exists());
    let certificate = std::fs::read_to_string(ended.kept.join("buckets.pem"));
    assert!(!certificate.expect("it is left").contains("PRIVATE"));
}

/// Up to the first thing that needs a node, of which there is none.
#[test]
fn a_bucket_that_is_named_is_used_and_no_server_started() {
    let directory = tempfile::tempdir().expect("room");
    let (buckets, kept) = (
        directory.path().join("buckets"),
        directory.path().join("kept"),
    );
    std::fs::create_dir_all(buckets.join("bucket")).expect("room");
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let endpoint = runtime.block_on(serve(&buckets));
    let mut command = cairn(&["devnet", "--transport", "s3", "--run", RUN]);
    command
        .args(["--store", "s3://bucket/devnet", "--keep"])
        .arg(&kept);
    // A program that ends at once: it knows none of a node's options.
    let no_node = std::env::current_exe().expect("this one");
    command.arg("--node-bin").arg(no_node);
    command
        .env("AWS_ENDPOINT_URL", &endpoint)
        .env("AWS_ALLOW_HTTP", "true")
        .env("AWS_ACCESS_KEY_ID", KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET);
    let ended = command.output().expect("it runs");
    let told = [ended.stdout, ended.stderr].concat();
    let told = String::from_utf8_lossy(&told);
    assert!(!ended.status.success(), "{told}");
    assert!(buckets.join("bucket/devnet/data").is_dir(), "{told}");
    assert!(!kept.join("buckets").exists() && !kept.join("store").exists());
    assert!(!told.contains(SECRET), "a secret is shown");
}
