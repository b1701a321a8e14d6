//! A server of buckets for tests and labs: `s3 127.0.0.1:9000 DIRECTORY`. Each directory below DIRECTORY is a bucket;
//! whoever has the key in `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` reads and writes. It serves until it is
//! killed.

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let at = arguments.next().ok_or("say where: IP:PORT DIRECTORY")?;
    let directory = arguments.next().ok_or("say where: IP:PORT DIRECTORY")?;
    let (key, secret) = (
        std::env::var("AWS_ACCESS_KEY_ID")?,
        std::env::var("AWS_SECRET_ACCESS_KEY")?,
    );
    let files = s3s_fs::FileSystem::new(&directory).map_err(|error| format!("{error:?}"))?;
    let mut builder = S3ServiceBuilder::new(files);
    builder.set_auth(SimpleAuth::from_single(key, secret));
    let service = builder.build();
    let listener = tokio::net::TcpListener::bind(at).await?;
    println!("http://{}", listener.local_addr()?);
    loop {
        let (socket, _) = listener.accept().await?;
        let service = service.clone();
        tokio::spawn(async move {
            let builder = Builder::new(TokioExecutor::new());
            let _ = builder
                .serve_connection(TokioIo::new(socket), service)
                .await;
        });
    }
}
