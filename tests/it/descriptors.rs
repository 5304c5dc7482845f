//! Out of file descriptors: the server backs off, spends nothing on it, and recovers.

use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::support::{block_on, client, connect, hello, loopswap, served};

crate::on_every_loop!(backs_off_and_recovers);

const LIMIT: usize = 64;

fn backs_off_and_recovers(runtime: &str) {
    let binary = loopswap();
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("ulimit -n {LIMIT}; exec \"$0\" \"$@\"")).arg(binary.get_program());
    command.args(["serve", "--runtime", runtime, "--workers", "1", "--addr", "127.0.0.1:0", "--handshake-timeout", "60s"]);
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
