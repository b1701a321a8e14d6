//! What a supervisor hears.

use std::os::unix::net::UnixDatagram;

use cairn_worker::supervisor;

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
