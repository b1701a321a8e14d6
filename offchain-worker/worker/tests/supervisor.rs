//! What a supervisor hears, and what it says by a signal.

use std::{os::unix::net::UnixDatagram, process::Command, time::Duration};

use cairn_worker::{shutdown, supervisor};

#[test]
fn a_supervisor_hears_that_a_worker_is_ready_lives_and_stops() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("notify");
    // Without anybody who listens nothing happens.
    supervisor::alive("block 1");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    std::env::set_var("NOTIFY_SOCKET", &path);
    supervisor::ready("waiting for a run");
    supervisor::alive("block 7, round 1");
    supervisor::stopping();
    let heard = || {
        let mut bytes = [0; 256];
        let length = socket.recv(&mut bytes).expect("it was told");
        String::from_utf8_lossy(&bytes[..length]).trim().to_string()
    };
    assert_eq!(heard(), "READY=1\nSTATUS=waiting for a run");
    assert_eq!(heard(), "WATCHDOG=1\nSTATUS=block 7, round 1");
    assert_eq!(heard(), "STOPPING=1");
}

/// A miner that has drained ends with 0, and one that a signal stopped does not.
#[test]
fn what_starts_miners_again_leaves_one_down_that_has_drained() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../");
    let text = |path: &str| std::fs::read_to_string(format!("{root}{path}")).expect(path);
    let unit = text("ops/systemd/cairn-miner.service");
    let says = |line: &str| unit.lines().any(|it| it == line);
    assert!(says("Restart=always") && says("RestartPreventExitStatus=0"));
    assert!(says(&format!("SuccessExitStatus={}", shutdown::STOPPED)));
    let compose = text("ops/container/compose.yaml");
    let (_, miner) = compose.split_once("\n  miner:\n").expect("a miner");
    let (miner, _) = miner.split_once("\n  validator:\n").expect("a validator");
    assert!(miner.lines().any(|line| line == "    restart: on-failure"));
    let page = text("docs/miners.md");
    assert!(page.contains("ends with exit code 0:"));
    assert!(page.contains(&format!("exit code {}", shutdown::STOPPED)));
}

/// Who does not listen for it is ended by it.
#[test]
fn a_worker_that_is_told_to_drain_by_a_signal_hears_it_and_goes_on() {
    let mut drain = shutdown::watch_for_drain(false);
    assert!(!*drain.borrow(), "nobody said so yet");
    for _ in 0..2 {
        let told = Command::new("sh").args(["-c", "kill -USR1 $PPID"]).status();
        assert!(told.expect("a shell").success());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let hears = async {
        let asked = shutdown::asked(&mut drain);
        tokio::time::timeout(Duration::from_secs(240), asked).await
    };
    let heard = runtime.expect("a runtime").block_on(hears);
    heard.expect("it was told");
    let asked = shutdown::watch_for_drain(true);
    assert!(*asked.borrow(), "from the beginning");
}
