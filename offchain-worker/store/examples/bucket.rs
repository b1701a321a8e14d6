//! An S3 server on this machine, to try `s3://` stores against: not for keeping anything.
//!
//!     cargo run -p cairn-store --example bucket -- DIRECTORY PORT [ADDRESS]
//!
//! Each directory in DIRECTORY is a bucket; one named `bucket` is made. It listens on 127.0.0.1, or on another address
//! of this machine's. It prints the variables to set.

use std::error::Error;

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};

const KEY: &str = "bucket";
const SECRET: &str = "only-on-this-machine";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(directory), Some(port)) = (words.next(), words.next()) else {
        return Err("name a directory and a port".into());
    };
    std::fs::create_dir_all(format!("{directory}/bucket"))?;
    let files = s3s_fs::FileSystem::new(&directory).map_err(|error| format!("{error:?}"))?;
    let mut builder = S3ServiceBuilder::new(files);
    builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
    let service = builder.build();
    let address = words.next().unwrap_or_else(|| "127.0.0.1".into());
    let listener = tokio::net::TcpListener::bind((address.as_str(), port.parse()?)).await?;
    println!(
        "export AWS_ENDPOINT_URL=http://{} AWS_ALLOW_HTTP=true",
        listener.local_addr()?
    );
    println!("export AWS_ACCESS_KEY_ID={KEY} AWS_SECRET_ACCESS_KEY={SECRET}");
    loop {
        let (socket, _) = listener.accept().await?;
        let service = service.clone();
        tokio::spawn(async move {
            let builder = Builder::new(TokioExecutor::new());
            // A client that goes away ends its own connection only.
            let _ = builder
                .serve_connection(TokioIo::new(socket), service)
                .await;
        });
    }
}
