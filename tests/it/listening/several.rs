//! Several addresses at once, by the flag, its variable and the library.

use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixListener;

use rustix::process::Signal;

use super::{addresses, greeted_at, serve_here, unix_word};
use crate::support::{block_on, loopswap, output, served};

crate::on_every_loop_and_engine!(each_is_served, listeners_that_were_given);

/// TCP over both families, twice over one, and a Unix socket, on two workers; and all of it ends with the server.
fn each_is_served(runtime: &str, http2: &str) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let mut command = loopswap();
    command.args(["serve", "--runtime", runtime, "--http2", http2, "--workers", "2"]);
    command.args(["--addr", "127.0.0.1:0", "--addr", "[::1]:0", "--addr", "127.0.0.1:0", "--addr", &unix_word(&socket)]);
    let mut server = served(&mut command);
    let addresses = addresses(&server, 4);
    assert!(addresses[1].starts_with("[::1]:") && addresses[0] != addresses[2] && addresses[3] == unix_word(&socket), "{addresses:?}");
    block_on(async {
        for address in addresses.iter().chain(&addresses) {
            assert_eq!(greeted_at(address).await, "Hello, Joe!");
        }
    });
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0), "{}", server.stderr().so_far());
    for address in &addresses[..3] {
        TcpStream::connect(address).expect_err("nobody listens any more");
    }
    assert!(!socket.exists(), "the socket's file went with its server");
}

fn listeners_that_were_given(runtime: &str, http2: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = tcp.local_addr().unwrap().to_string();
    let unix = UnixListener::bind(&path).unwrap();
    for workers in [1, 2] {
        let (tcp, unix) = (tcp.try_clone().unwrap(), unix.try_clone().unwrap());
        let server = serve_here(runtime, http2, |builder| builder.listen_on(tcp).listen("127.0.0.1:0").listen_on(unix).workers(workers));
        let addresses: Vec<_> = server.local_addrs().iter().map(ToString::to_string).collect();
        assert_eq!((&addresses[0], &addresses[2], addresses.len()), (&address, &unix_word(&path), 3));
        assert_eq!(server.local_addr(), &server.local_addrs()[0]);
        block_on(async {
            for address in &addresses {
                greeted_at(address).await;
            }
        });
        server.handle().drain();
        server.wait().expect("it ends well");
    }
    // Nobody shut them down: they are as they were, for whoever holds them.
    let _waits = TcpStream::connect(&address).expect("it listens");
    tcp.accept().expect("a client waits");
    assert!(path.exists(), "it is not the server's");
}

#[test]
fn a_list_in_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let list = format!("127.0.0.1:0,{}", unix_word(&folder.path().join("socket")));
    let server = served(loopswap().args(["--runtime", "tokio", "--workers", "1"]).env("LOOPSWAP_ADDR", list));
    let addresses = addresses(&server, 2);
    block_on(async {
        for address in &addresses {
            assert_eq!(greeted_at(address).await, "Hello, Joe!");
        }
    });
}

#[test]
fn json_names_each() {
    let server = served(loopswap().args(["--runtime", "tokio", "--json", "--addr", "127.0.0.1:0", "--addr", "[::1]:0"]));
    let line = server.stdout().wait_for("[::1]").expect("the second is named");
    let announced: serde_json::Value = serde_json::from_str(&line).expect("it is JSON");
    assert_eq!(announced["event"], "listening");
}

/// One that cannot be had is told, and nothing is left of the others.
#[test]
fn all_or_none() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let ended = output(loopswap().args(["--runtime", "tokio", "--addr", &unix_word(&socket), "--addr", &address]));
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains(&address) && ended.stderr.contains("in use"), "{}", ended.stderr);
    assert!(!socket.exists());
}
