//! Out of file descriptors: the server backs off, spends nothing on it, and recovers.

use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::Duration;

use loopswap::Balance;
use rustix::process::Signal;
use socket2::SockRef;

use crate::support::{block_on, client, connect, hello, loopswap, served};

crate::on_every_loop!(backs_off_and_recovers, the_acceptor_does_so_too, clients_that_reset_before_they_are_accepted);

const LIMIT: usize = 64;

fn backs_off_and_recovers(runtime: &str) {
    recovers(runtime, &["--workers", "1"]);
}

fn the_acceptor_does_so_too(runtime: &str) {
    recovers(runtime, &["--workers", "2", "--balance", "least-connections"]);
}

fn recovers(runtime: &str, args: &[&str]) {
    let binary = loopswap();
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("ulimit -n {LIMIT}; exec \"$0\" \"$@\"")).arg(binary.get_program());
    command.args(["serve", "--runtime", runtime, "--addr", "127.0.0.1:0", "--handshake-timeout", "60s"]).args(args);
    let server = served(&mut command);

    // More than it can take; those it cannot take wait in the kernel.
    let clients: Vec<TcpStream> = (0..LIMIT * 2).map(|_| connect(server.addr())).collect();
    server.stderr().wait_for("cannot accept").expect("it says so");
    // By now the pauses are long.
    thread::sleep(Duration::from_millis(300));
    let cpu = server.cpu();
    thread::sleep(Duration::from_secs(1));
    let spent = server.cpu() - cpu;
    assert!(spent < Duration::from_millis(50), "it spent {spent:?} of CPU in a second of waiting");

    drop(clients);
    let reply = block_on(async { hello(&mut client(server.addr()).await, "Joe", 0).await });
    assert_eq!(reply.unwrap(), "Hello, Joe!");
}

/// Clients that are gone, by a reset, before anybody has accepted them cost nobody else anything.
fn clients_that_reset_before_they_are_accepted(runtime: &str) {
    for balance in Balance::ALL {
        let mut command = loopswap();
        command.args(["serve", "--runtime", runtime, "--addr", "127.0.0.1:0", "--workers", "2", "--balance", balance.name()]);
        let mut server = served(&mut command);
        let greets = || block_on(async { hello(&mut client(server.addr()).await, "Joe", 0).await });
        greets().unwrap();
        server.signal(Signal::STOP);
        for _ in 0..50 {
            let socket = connect(server.addr());
            SockRef::from(&socket).set_linger(Some(Duration::ZERO)).unwrap();
        }
        server.signal(Signal::CONT);
        for _ in 0..4 {
            assert_eq!(greets().unwrap(), "Hello, Joe!");
        }
        server.signal(Signal::TERM);
        assert_eq!(server.wait().code(), Some(0), "{}", server.stderr().so_far());
    }
}
