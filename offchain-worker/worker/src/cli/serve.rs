//! `cairn serve`.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use clap::Args;
use serde::Serialize;
use tokio::net::TcpListener;

use super::{args::JsonArg, dashboard::cannot_listen, model::ModelArgs};
use crate::{
    error::Failure,
    output,
    serving::{
        server::{serve, Limits},
        Origin,
    },
    shutdown,
};

/// `cairn serve`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  cairn serve --netuid 1 --store file:///srv/cairn\n  cairn serve --model model --listen 127.0.0.1:8080\n  cairn serve --model model --listen 127.0.0.1:0 --json     a free port, and a line of JSON that says which\n\nIt speaks OpenAI's interface: POST /v1/completions and GET /v1/models. The newest parameters whose root is final on chain are\ntaken when it starts; every answer names their root as `system_fingerprint`. There is no password: who reaches the address can use it."
)]
pub struct Serve {
    /// Address on which requests are taken: only this machine reaches one that begins with 127
    #[arg(
        long,
        env = "CAIRN_SERVE_LISTEN",
        default_value = "127.0.0.1:8000",
        value_name = "ADDRESS:PORT"
    )]
    listen: SocketAddr,
    /// Prompts that may wait or be worked on; others are sent away
    #[arg(long, env = "CAIRN_QUEUE", default_value_t = 128, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    queue: u16,
    /// Seconds that an answer may take
    #[arg(long, env = "CAIRN_DEADLINE", default_value_t = 300, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    deadline: u32,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    json: JsonArg,
}

/// What is said once requests are taken.
#[derive(Serialize)]
struct Served {
    url: String,
    model: String,
    #[serde(flatten)]
    origin: Origin,
}

impl Serve {
    /// Serves until Ctrl-C.
    pub async fn run(self) -> Result<(), Failure> {
        let stop = shutdown::watch();
        // An address that is taken is said before a model is loaded.
        let listener = TcpListener::bind(self.listen)
            .await
            .map_err(|error| cannot_listen(self.listen, &error))?;
        let loaded = Arc::new(self.model.load().await?);
        let at = listener.local_addr()?;
        let served = Served {
            url: format!("http://{at}/v1"),
            model: loaded.origin.name().into(),
            origin: loaded.origin.clone(),
        };
        match self.json.json {
            true => output::show_json_line(&served)?,
            false => output::show(&format!(
                "model `{}` ({}) at {}; Ctrl-C ends it",
                served.model, served.origin, served.url
            ))?,
        }
        if !at.ip().is_loopback() {
            output::say("cairn: others can use the model: there is no password");
        }
        let limits = Limits {
            queue: self.queue.into(),
            deadline: Duration::from_secs(self.deadline.into()),
            ..Limits::default()
        };
        serve(listener, loaded, limits, stop).await
    }
}
