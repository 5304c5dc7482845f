//! Out of file descriptors: the server backs off, spends nothing on it, and recovers.

use std::fs;
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::Duration;

use loopswap::Balance;
use rustix::process::Signal;
use socket2::SockRef;

use crate::support::{Served, block_on, client, connect, hello, loopswap, served};

crate::on_every_loop!(
    backs_off_and_recovers,
    the_acceptor_does_so_too,
    does_not_come_to_that_unless_told_to,
    clients_that_reset_before_they_are_accepted,
);

const LIMIT: usize = 64;

/// Serves with as many descriptors as `ulimit` says.
fn limited(ulimit: &str, runtime: &str, args: &[&str]) -> Served {
    let binary = loopswap();
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("ulimit {ulimit}; exec \"$0\" \"$@\"")).arg(binary.get_program());
    command.args(["serve", "--runtime", runtime, "--addr", "127.0.0.1:0", "--handshake-timeout", "60s"]).args(args);
    served(&mut command)
}

fn backs_off_and_recovers(runtime: &str) {
    recovers(runtime, &["--workers", "1"]);
}

fn the_acceptor_does_so_too(runtime: &str) {
    recovers(runtime, &["--workers", "2", "--balance", "least-connections"]);
}

/// Told that there may be as many connections as descriptors.
fn recovers(runtime: &str, args: &[&str]) {
    let limit = LIMIT.to_string();
    let server = limited(&format!("-n {limit}"), runtime, &[args, &["--max-connections", &limit]].concat());

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

/// By default a quarter of the descriptors is left for other things.
fn does_not_come_to_that_unless_told_to(runtime: &str) {
    for balance in Balance::ALL {
        let server = limited("-n 256", runtime, &["--workers", "2", "--balance", balance.name()]);
        let clients: Vec<TcpStream> = (0..250).map(|_| connect(server.addr())).collect();
        let line = server.stderr().wait_for("which is the maximum").expect("it says so");
        assert!(line.contains(" 192 connections are open"), "{line}");
        drop(clients);
        let reply = block_on(async { hello(&mut client(server.addr()).await, "Joe", 0).await });
        assert_eq!(reply.unwrap(), "Hello, Joe!");
        assert!(!server.stderr().so_far().contains("cannot accept"), "{}", server.stderr().so_far());
    }
}

/// The soft limit and the hard one, as the kernel has them.
fn limits(server: &Served) -> (u64, u64) {
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.id())).expect("the process is there");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).expect("there is such a limit");
    let figures: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    (figures[0], figures[1])
}

#[test]
fn the_soft_limit_is_raised_unless_it_is_to_stay() {
    let server = limited("-S -n 200", "tokio", &[]);
    let (soft, hard) = limits(&server);
    assert_eq!(soft, hard);
    assert!(hard > 200, "the tests want a hard limit that is higher");
    let server = limited("-S -n 200", "tokio", &["--raise-ulimit", "off"]);
    assert_eq!(limits(&server).0, 200);
    let _clients: Vec<TcpStream> = (0..180).map(|_| connect(server.addr())).collect();
    assert!(server.stderr().wait_for(" 150 connections are open").is_some(), "three quarters of what it may have");
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
