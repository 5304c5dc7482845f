//! Listening sockets that the process inherits: by number, and as systemd passes them (sd_listen_fds(3)).

use std::fs::File;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};

use rustix::process::Signal;
use socket2::SockRef;

use super::{addresses, greeted_at, unix_word};
use crate::support::{Output, block_on, loopswap, output_with, served_with};

crate::on_every_loop_and_engine!(by_number, from_systemd);

/// `script`, in a shell that becomes the binary, with a socket as its standard input: systemd hands down what is behind 3, and so does the script.
fn shell(script: &str, args: &[&str]) -> Command {
    let binary = loopswap();
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{script}; exec \"$0\" \"$@\"")]).arg(binary.get_program()).arg("serve").args(args);
    for (name, value) in binary.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

fn hand_down(socket: impl Into<OwnedFd>) -> Stdio {
    Stdio::from(socket.into())
}

/// What holds a socket too, as systemd does, goes on listening when the server has ended.
fn by_number(runtime: &str, http2: &str) {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap().to_string();
    for workers in ["1", "2"] {
        let args = ["--runtime", runtime, "--http2", http2, "--workers", workers, "--addr", "fd:3"];
        let mut server = served_with(&mut shell("exec 3<&0 0</dev/null", &args), hand_down(held.try_clone().unwrap()), Stdio::piped());
        assert_eq!(addresses(&server, 1), [&*address]);
        assert_eq!(block_on(greeted_at(&address)), "Hello, Joe!");
        assert!(SockRef::from(&held).tcp_nodelay().unwrap(), "what it accepts has it too");
        server.signal(Signal::TERM);
        assert_eq!(server.wait().code(), Some(0));
        let client = TcpStream::connect(&address).expect("the socket listens, for its next server");
        held.set_nonblocking(false).unwrap();
        let (_, peer) = held.accept().unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
    }
}

/// TCP and a Unix socket, with names: all, or one of them.
fn from_systemd(runtime: &str, http2: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let (tcp, unix) = (TcpListener::bind("[::1]:0").unwrap(), UnixListener::bind(&path).unwrap());
    let both = [tcp.local_addr().unwrap().to_string(), unix_word(&path)];
    let script = "exec 3<&0 4<&2 0</dev/null 2>/dev/null; export LISTEN_FDS=2 LISTEN_PID=$$ LISTEN_FDNAMES=public:private";
    for (word, addresses_of_it) in [("systemd", &both[..]), ("systemd:private", &both[1..])] {
        let args = ["--runtime", runtime, "--http2", http2, "--workers", "2", "--addr", word];
        let mut command = shell(script, &args);
        let mut server = served_with(&mut command, hand_down(tcp.try_clone().unwrap()), hand_down(unix.try_clone().unwrap()));
        assert_eq!(addresses(&server, addresses_of_it.len()), addresses_of_it);
        block_on(async {
            for address in addresses_of_it {
                assert_eq!(greeted_at(address).await, "Hello, Joe!");
            }
        });
        server.signal(Signal::TERM);
        assert_eq!(server.wait().code(), Some(0));
        assert!(path.exists(), "the file is systemd's");
    }
}

fn refused(script: &str, addr: &str, socket: impl Into<OwnedFd>) -> Output {
    output_with(&mut shell(script, &["--runtime", "tokio", "--workers", "1", "--addr", addr]), hand_down(socket))
}

#[track_caller]
fn is_told(ended: &Output, texts: &[&str]) {
    assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    for text in texts {
        assert!(ended.stderr.contains(text), "no `{text}` in: {}", ended.stderr);
    }
}

const THREE: &str = "exec 3<&0 0</dev/null";

#[test]
fn what_is_no_listening_socket_is_told() {
    is_told(&refused("true", "fd:3", File::open("/dev/null").unwrap()), &["fd:3", "not inherited"]);
    is_told(&refused(THREE, "fd:3", File::open("/dev/null").unwrap()), &["fd:3", "no socket"]);
    is_told(&refused(THREE, "fd:3", UdpSocket::bind("127.0.0.1:0").unwrap()), &["fd:3", "no stream socket", "ListenStream="]);
    is_told(&refused(THREE, "fd:3", UnixStream::pair().unwrap().0), &["fd:3", "does not listen", "Accept=no"]);
    is_told(&refused(THREE, "fd:3,fd:3", TcpListener::bind("127.0.0.1:0").unwrap()), &["fd:3", "taken it already"]);
    is_told(&refused(THREE, "fd:0", File::open("/dev/null").unwrap()), &["fd:0", "standard streams"]);
    is_told(&refused(THREE, "fd:three", File::open("/dev/null").unwrap()), &["fd:three", "as in fd:3"]);
}

#[test]
fn what_systemd_did_not_pass_is_told() {
    let socket = || TcpListener::bind("127.0.0.1:0").unwrap();
    let told = |environment: &str, addr: &str, texts: &[&str]| is_told(&refused(&format!("{THREE}; {environment}"), addr, socket()), texts);
    told("true", "systemd", &["LISTEN_FDS is not set", ".socket unit"]);
    told("export LISTEN_FDS=1 LISTEN_PID=1", "systemd", &["to process `1`", "exec"]);
    told("export LISTEN_FDS=1 LISTEN_PID=$$ LISTEN_FDNAMES=a:b", "systemd", &["LISTEN_FDNAMES names 2"]);
    told("export LISTEN_FDS=1 LISTEN_PID=$$ LISTEN_FDNAMES=a", "systemd:b", &["systemd:b", "there are: a", "FileDescriptorName="]);
    told("export LISTEN_FDS=2 LISTEN_PID=$$", "systemd", &["systemd:unknown (descriptor 4)", "not inherited"]);
    told("true", "systemd:", &["systemd:", "wants a name"]);
}
