//! A network whose members share a bucket, on a server that checks signatures.

mod common;
#[path = "common/network.rs"]
mod network;

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

#[test]
fn members_that_share_a_bucket_train_one_model() {
    let rounds = ROUNDS.to_string();
    let mut devnet = Devnet::new(
        "kept",
        &[
            "--transport",
            "s3",
            "--store",
            "s3://bucket/devnet",
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
    let buckets = devnet.beside("buckets");
    std::fs::create_dir_all(buckets.join("bucket")).expect("room");
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let endpoint = runtime.block_on(serve(&buckets));
    devnet
        .command
        .env("AWS_ENDPOINT_URL", &endpoint)
        .env("AWS_ALLOW_HTTP", "true")
        .env("AWS_ACCESS_KEY_ID", KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET);
    let ended = devnet.run(ROUNDS, |_| {});
    ended.most_rounds_included_somebody();
    ended.all_hold_one_model();
    // What they made is in the bucket, and nowhere else.
    let there = buckets.join("bucket/devnet/contributions");
    assert!(there.is_dir(), "nothing was stored:\n{}", ended.shown);
    assert!(!ended.kept.join("store").exists());
    assert!(!ended.shown.contains(SECRET), "a secret is shown");
}
