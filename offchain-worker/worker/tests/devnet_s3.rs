//! A network whose members share a bucket, on a server that checks signatures.

mod common;
#[path = "common/network.rs"]
mod network;

use common::cairn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use network::{logs, node, Network};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};

use cairn_worker::devnet::Report;

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

#[test]
fn members_that_share_a_bucket_train_one_model() {
    let directory = tempfile::tempdir().expect("room");
    let buckets = directory.path().join("buckets");
    std::fs::create_dir_all(buckets.join("bucket")).expect("room");
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let endpoint = runtime.block_on(serve(&buckets));
    let (kept, json) = (
        directory.path().join("kept"),
        directory.path().join("report.json"),
    );
    let run = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/run-small.toml");
    let mut devnet = cairn(&["devnet", "--transport", "s3"]);
    devnet.args(["--store", "s3://bucket/devnet", "--run", run]);
    devnet.args(["--rounds", &ROUNDS.to_string(), "--miners", "2"]);
    devnet.args(["--validators", "1", "--cheats", "0"]);
    devnet
        .env("AWS_ENDPOINT_URL", &endpoint)
        .env("AWS_ALLOW_HTTP", "true")
        .env("AWS_ACCESS_KEY_ID", KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
        .arg("--node-bin")
        .arg(node())
        .arg("--keep")
        .arg(&kept)
        .arg("--json")
        .arg(&json);
    let mut running = Network::start(&mut devnet);
    let told: Vec<String> = running.lines().collect();
    let (status, said) = running.end();
    let told = told.join("\n");
    assert!(status.success(), "{told}\n{said}\n{}", logs(&kept));
    let report = std::fs::read(&json).expect("written");
    let report: Report = serde_json::from_slice(&report).expect("a report");
    assert_eq!(report.rounds.len(), ROUNDS);
    let included: usize = report.rounds.iter().map(|it| it.included.len()).sum();
    assert!(included >= ROUNDS, "{:?}", report.rounds);
    let last = report.rounds.last().expect("three").model_root;
    for member in &report.members {
        assert_eq!(member.model_root, Some(last), "member {}", member.uid);
    }
    // What they made is in the bucket, and nowhere else.
    let there = buckets.join("bucket/devnet/contributions");
    assert!(there.is_dir(), "nothing was stored:\n{told}");
    assert!(!kept.join("store").exists());
    let shown = format!("{told}{said}{}", logs(&kept));
    assert!(!shown.contains(SECRET), "a secret is shown");
}
