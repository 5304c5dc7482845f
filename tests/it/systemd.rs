//! What a service manager is told: a Unix datagram socket as NOTIFY_SOCKET, by its path or by an abstract name.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::examples::example;
use crate::support::{PATIENCE, Served, block_on, client, hello, loopswap, served};

crate::on_every_loop!(it_listens_and_it_ends, by_an_abstract_name, signs_of_life, a_loop_that_stands_still_gives_none, nobody_there);

/// The manager, as far as a server sees it.
struct Manager {
    socket: UnixDatagram,
    name: String,
    _folder: Option<TempDir>,
}

impl Manager {
    fn at_a_path() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        Self::new(UnixDatagram::bind(&path).unwrap(), path.display().to_string(), Some(folder))
    }

    fn abstract_one() -> Self {
        let name = format!("loopswap-notify-{}", tempfile::tempdir().unwrap().path().file_name().unwrap().display());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        Self::new(socket, format!("@{name}"), None)
    }

    fn new(socket: UnixDatagram, name: String, folder: Option<TempDir>) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, name, _folder: folder }
    }

    fn starts(&self, command: &mut Command) -> Served {
        served(command.env("NOTIFY_SOCKET", &self.name))
    }

    fn is_told(&self) -> String {
        let mut bytes = [0; 100];
        let n = self.socket.recv(&mut bytes).expect("it is told something");
        str::from_utf8(&bytes[..n]).unwrap().into()
    }
}

fn serve(runtime: &str) -> Command {
    let mut command = loopswap();
    command.args(["serve", "--runtime", runtime, "--workers", "2", "--addr", "127.0.0.1:0"]);
    command
}

fn it_listens_and_it_ends(runtime: &str) {
    let manager = Manager::at_a_path();
    let mut server = manager.starts(serve(runtime).args(["--drain-delay", "300ms"]));
    assert_eq!(manager.is_told(), "READY=1");
    block_on(async {
        let mut client = client(server.addr()).await;
        assert!(hello(&mut client, "Joe", 0).await.is_ok());
        server.signal(Signal::TERM);
        // While it serves on.
        assert_eq!(manager.is_told(), "STOPPING=1");
        assert!(server.is_running());
        assert!(hello(&mut client, "Joe", 0).await.is_ok());
    });
    assert_eq!(server.wait().code(), Some(0));
    manager.socket.set_nonblocking(true).unwrap();
    assert!(manager.socket.recv(&mut [0; 100]).is_err(), "each is told once");
}

fn by_an_abstract_name(runtime: &str) {
    let manager = Manager::abstract_one();
    let mut server = manager.starts(&mut serve(runtime));
    assert_eq!(manager.is_told(), "READY=1");
    // No call was made before it said so, and it serves.
    block_on(async { assert!(hello(&mut client(server.addr()).await, "Joe", 0).await.is_ok()) });
    server.signal(Signal::INT);
    assert_eq!(manager.is_told(), "STOPPING=1");
    assert_eq!(server.wait().code(), Some(0));
}

/// Twice in the time that is set: never as late as that, and no oftener.
fn signs_of_life(runtime: &str) {
    let manager = Manager::at_a_path();
    let _server = manager.starts(serve(runtime).env("WATCHDOG_USEC", "4000000"));
    assert_eq!(manager.is_told(), "READY=1");
    for _ in 0..2 {
        let before = Instant::now();
        assert_eq!(manager.is_told(), "WATCHDOG=1");
        let pause = before.elapsed();
        assert!(pause > Duration::from_millis(1500) && pause < Duration::from_millis(3900), "{pause:?}");
    }
}

/// A handler that blocks for seconds: for so long nothing is said.
fn a_loop_that_stands_still_gives_none(runtime: &str) {
    let manager = Manager::at_a_path();
    let server = manager.starts(example("busy_server").args(["--runtime", runtime, "--compute-us", "0"]).env("WATCHDOG_USEC", "1000000"));
    assert_eq!((manager.is_told(), manager.is_told()), ("READY=1".into(), "WATCHDOG=1".into()));
    let blocking = Instant::now();
    block_on(async { assert!(hello(&mut client(server.addr()).await, "block", 4000).await.is_ok()) });
    let blocked = blocking.elapsed();
    assert!(blocked >= Duration::from_secs(4), "{blocked:?}");
    // What was said meanwhile: before the loop was late, and no more.
    manager.socket.set_nonblocking(true).unwrap();
    let n_meanwhile = std::iter::from_fn(|| manager.socket.recv(&mut [0; 100]).ok()).count();
    assert!(n_meanwhile <= 4, "{n_meanwhile} in {blocked:?}");
    manager.socket.set_nonblocking(false).unwrap();
    assert_eq!(manager.is_told(), "WATCHDOG=1");
}

/// Who cannot be told is no reason not to serve.
fn nobody_there(runtime: &str) {
    let folder = tempfile::tempdir().unwrap();
    let server = served(serve(runtime).env("NOTIFY_SOCKET", folder.path().join("nobody")));
    block_on(async { assert!(hello(&mut client(server.addr()).await, "Joe", 0).await.is_ok()) });
    let line = server.stderr().wait_for("cannot tell systemd").expect("it says so");
    assert!(line.contains("READY=1") && line.contains("nobody"), "{line}");
}

#[test]
fn variables_that_make_no_sense_are_told() {
    let manager = Manager::at_a_path();
    for (socket, usec, what) in [("notify", "1", "NOTIFY_SOCKET=notify"), (&*manager.name, "soon", "WATCHDOG_USEC=soon")] {
        let server = served(serve("tokio").env("NOTIFY_SOCKET", socket).env("WATCHDOG_USEC", usec));
        let line = server.stderr().wait_for(what).expect("it says so");
        assert!(line.contains("WARN"), "{line}");
    }
    assert_eq!(manager.is_told(), "READY=1", "the other one is told all the same");
}
