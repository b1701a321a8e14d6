//! `cairn serve`.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use cairn_primitives::ModelRoot;
use clap::Args;
use serde::Serialize;
use tokio::{net::TcpListener, sync::watch};

use super::{
    args::JsonArg,
    dashboard::cannot_listen,
    model::{ComputingArgs, ModelArgs},
};
use crate::{
    error::Failure,
    output,
    serving::{
        follow::{Follower, Source},
        server::{serve, Limits},
        Computing, Loaded, Origin,
    },
    shutdown,
};

/// `cairn serve`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  cairn serve --netuid 1 --store file:///srv/cairn\n  cairn serve --model model --listen 127.0.0.1:8080\n  cairn serve --model model --listen 127.0.0.1:0 --json     a free port, and a line of JSON that says which\n\nIt speaks OpenAI's interface: POST /v1/completions and GET /v1/models. The newest parameters whose root is final on chain are\ntaken when it starts, and newer ones when there are any; every answer names the root of those that made it as\n`system_fingerprint`. There is no password: who reaches the address can use it."
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
    /// Seconds between two looks for newer parameters, which take over when they are read; 0: never
    #[arg(long, env = "CAIRN_REFRESH", default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(0..=86_400))]
    refresh: u32,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    on: ComputingArgs,
    #[command(flatten)]
    json: JsonArg,
}

/// What is said once requests are taken.
#[derive(Serialize)]
struct Served {
    url: String,
    model: String,
    /// What computes.
    device: String,
    #[serde(flatten)]
    origin: Origin,
}

impl Serve {
    /// Serves until Ctrl-C.
    pub async fn run(self) -> Result<(), Failure> {
        let on = self.on.chosen()?;
        let stop = shutdown::watch();
        // An address that is taken is said before a model is loaded.
        let listener = TcpListener::bind(self.listen)
            .await
            .map_err(|error| cannot_listen(self.listen, &error))?;
        let loaded = Arc::new(self.model.load(on).await?);
        let at = listener.local_addr()?;
        let served = Served {
            url: format!("http://{at}/v1"),
            model: loaded.origin.name().into(),
            device: loaded.model.device(),
            origin: loaded.origin.clone(),
        };
        match self.json.json {
            true => output::show_json_line(&served)?,
            false => output::show(&format!(
                "model `{}` ({}) on {} at {}; Ctrl-C ends it",
                served.model, served.origin, served.device, served.url
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
        let (models, coming) = watch::channel(loaded);
        let every = Duration::from_secs(self.refresh.into());
        let model = self.model;
        let follower = match model.follows() && !every.is_zero() {
            true => {
                let on = on.settled(&served.device);
                Some(Follower::new(Newest { model, on }, models))
            }
            false => None,
        };
        let follower = follower.map(|follower| tokio::spawn(follower.follow(every)));
        let served = serve(listener, coming, limits, stop).await;
        if let Some(follower) = follower {
            follower.abort();
        }
        served
    }
}

/// The newest parameters of a run, and what computes with them.
struct Newest {
    model: ModelArgs,
    on: Computing,
}

impl Source for Newest {
    async fn newer_than(&self, held: ModelRoot) -> Result<Option<ModelRoot>, Failure> {
        self.model.newer_than(held).await
    }

    async fn load(&self) -> Result<Loaded, Failure> {
        self.model.load(self.on).await
    }
}
