//! Runs the node until somebody stops it.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    sync::Arc,
    time::Duration,
};

use futures::{channel::oneshot, future::Either, FutureExt};
use sc_cli::{print_node_infos, CliConfiguration, Signals, SubstrateCli};
use sc_service::{Configuration, TaskManager};

use crate::{
    address,
    cli::Cli,
    error::{explain, Place},
    pool, ports, progress, service, supervisor,
};

/// How long the node's tasks have to end.
const GRACE: Duration = Duration::from_secs(60);

/// Runs the node. It ends with `Ok` when it is told to, by Ctrl-C or SIGTERM.
///
/// # Errors
/// Why it could not be started, or why it broke down.
pub fn run(cli: &Cli) -> Result<(), String> {
    let place = Place::of_flags(&cli.run.shared_params);
    let failed = |error: sc_cli::Error| explain(&error, Some(&place));
    let tokio = sc_cli::build_runtime().map_err(|error| failed(error.into()))?;
    let signals = tokio.block_on(async { Signals::capture() });
    let signals = signals.map_err(|error| failed(error.into()))?;
    let run = &cli.run;
    let mut config = run
        .create_configuration(cli, tokio.handle().clone())
        .map_err(failed)?;
    run.init(&Cli::support_url(), &Cli::impl_version(), |_| {})
        .map_err(failed)?;
    address::show_as(&config.chain_spec.properties());
    pool::check(&config, cli)?;
    ports::check(&mut config, cli)?;
    let network = run.shared_params.chain.clone().unwrap_or_default();
    let place = Place::of(&config, &network);
    place.make(&config.data_path)?;
    print_node_infos::<Cli>(&config);

    let stopped = stop_on(signals, &tokio);
    let started = tokio.block_on(start(config));
    let mut tasks =
        started.map_err(|error| explain(&sc_cli::Error::Service(error), Some(&place)))?;
    stopped.begun.store(true, Ordering::SeqCst);
    supervisor::ready();
    let ended = tokio.block_on(async {
        match futures::future::select(stopped.asked, tasks.future().boxed()).await {
            Either::Left(_) => Ok(()),
            Either::Right((outcome, _)) => outcome,
        }
    });
    match ended {
        Ok(()) => {
            log::info!("stopping");
            supervisor::stopping();
            end_quietly(tasks, tokio);
            Ok(())
        }
        Err(_) => {
            end(tasks, tokio);
            Err("a part of the node failed: the last lines of the log above say which; start it again".into())
        }
    }
}

/// What stops the node.
struct Stop {
    /// Set once the node runs: until then a signal ends the process at once.
    begun: Arc<AtomicBool>,
    /// Done when somebody asks it to stop.
    asked: oneshot::Receiver<()>,
}

/// Listens for Ctrl-C and SIGTERM, from now on: starting takes long, and nobody waits for it to end it.
fn stop_on(signals: Signals, tokio: &tokio::runtime::Runtime) -> Stop {
    let (tell, asked) = oneshot::channel();
    let begun = Arc::new(AtomicBool::new(false));
    let runs = begun.clone();
    tokio.spawn(async move {
        signals.future().await;
        if !runs.load(Ordering::SeqCst) {
            log::info!("stopped while it was starting");
            // The database takes no harm from this: it is written as a log.
            std::process::exit(0);
        }
        let _ = tell.send(());
    });
    Stop { begun, asked }
}

async fn start(config: Configuration) -> Result<TaskManager, sc_service::Error> {
    progress::during(
        "starting: opening the database, compiling the runtime",
        progress::log,
        || service::new_full(config),
    )
}

/// Ends all tasks. They find each other gone and say that they failed, which is not so when everything ends.
fn end_quietly(tasks: TaskManager, tokio: tokio::runtime::Runtime) {
    log::set_max_level(log::LevelFilter::Off);
    for task in end(tasks, tokio) {
        progress::tell(&format!(
            "the task {task} did not end in {} s",
            GRACE.as_secs()
        ));
    }
}

/// Ends all tasks and names those that did not.
fn end(tasks: TaskManager, tokio: tokio::runtime::Runtime) -> Vec<String> {
    let registry = tasks.into_task_registry();
    tokio.shutdown_timeout(GRACE);
    let running = registry.running_tasks().into_iter();
    running.map(|(task, _)| task.name.to_string()).collect()
}
