//! Clients that vanish or dawdle, and a handler that never returns, on every loop and both engines.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use rustix::process::Signal;

use crate::raw::*;
use crate::support::{block_on, client, client_process, connect, eventually, hello as greets, loopswap};

crate::on_every_loop_and_engine!(
    one_that_resets_its_connection,
    one_whose_process_is_killed,
    bytes_that_come_one_by_one,
    a_handler_that_never_returns_is_cut,
);

const FOR_EVER_MS: i32 = 60_000;

fn serve(runtime: &'static str, engine: &'static str, args: &[&str]) -> Server {
    Target { runtime, engine }.serve(args)
}

/// Calls under way, and some that have begun only; then RST, which no FIN announces. That the handlers are dropped is seen by the drain at the end, which would
/// wait for them.
fn one_that_resets_its_connection(runtime: &'static str, engine: &'static str) {
    let mut server = serve(runtime, engine, &[]);
    let mut socket = connect(server.addr());
    let mut bytes = PREFACE.to_vec();
    settings(&[]).write(&mut bytes);
    for n in 0..10 {
        call(4 * n + 1, "Joe", FOR_EVER_MS).iter().for_each(|frame| frame.write(&mut bytes));
        headers(4 * n + 3, Fields::hello().block()).write(&mut bytes);
        data(4 * n + 3, &hello("Joe", 0)[..7]).write(&mut bytes);
    }
    ping(*b"come far").write(&mut bytes);
    socket.write_all(&bytes).expect("the server reads");
    while read_frame(&mut socket).is_some_and(|frame| !(frame.kind == kind::PING && frame.has(flag::ACK))) {}
    set_socket_linger(&socket, Some(Duration::ZERO)).expect("a socket has such an option");
    drop(socket);
    server.is_well();
}

/// A client of two connections and twenty calls, killed in the middle of them.
fn one_whose_process_is_killed(runtime: &'static str, engine: &'static str) {
    let mut server = serve(runtime, engine, &[]);
    server.lets_go_of_all();
    let n_fds = server.process().n_fds();
    let mut command = loopswap();
    let call = format!("{{\"name\":\"Joe\",\"sleep_millisecond\":{FOR_EVER_MS}}}");
    command.args(["load", "--runtime", "tokio", "--no-progress", "-n", "1000", "-c", "20", "--connections", "2", "-d", &call]);
    let mut load = client_process(command.arg(server.addr().to_string()).stdout(Stdio::null()).stderr(Stdio::null()));
    eventually("it has connected", || (server.process().n_fds() >= n_fds + 2).then_some(()));
    load.kill().expect("it runs");
    load.wait().expect("it is our child");
    server.is_well();
}

/// Everything, both ways, in writes of one byte: whatever is read or written is short.
fn bytes_that_come_one_by_one(runtime: &'static str, engine: &'static str) {
    let mut server = serve(runtime, engine, &[]);
    let between = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let addr = between.local_addr().expect("it is bound");
    let server_addr = server.addr();
    let proxy = thread::spawn(move || {
        let (near, _) = between.accept().expect("the client connects");
        let far = TcpStream::connect(server_addr).expect("it listens");
        let back = drips(far.try_clone().unwrap(), near.try_clone().unwrap());
        drips(near, far).join().unwrap();
        back.join().unwrap();
    });
    let name = "x".repeat(1000);
    block_on(async {
        let mut client = client(addr).await;
        for _ in 0..3 {
            assert_eq!(greets(&mut client, &name, 0).await.expect("it answers"), format!("Hello, {name}!"));
        }
    });
    proxy.join().unwrap();
    server.is_well();
}

/// Hands bytes on, each by itself.
fn drips(mut from: TcpStream, mut to: TcpStream) -> thread::JoinHandle<()> {
    to.set_nodelay(true).expect("a socket has such an option");
    thread::spawn(move || {
        let mut byte = [0];
        while matches!(from.read(&mut byte), Ok(1)) && to.write_all(&byte).is_ok() {}
        // Either may be gone already.
        let _ = to.shutdown(Shutdown::Write);
    })
}

fn a_handler_that_never_returns_is_cut(runtime: &'static str, engine: &'static str) {
    let mut server = serve(runtime, engine, &["--drain-timeout", "300ms"]);
    let mut connection = server.open();
    connection.hello("Joe", FOR_EVER_MS);
    connection.greets();
    server.process().signal(Signal::TERM);
    connection.until("the connection is closed", |connection| connection.closed.then_some(()));
    assert_eq!(server.process().wait().code(), Some(1));
    let said = server.process().stderr().wait_for("error:").expect("it says so");
    assert!(said.contains("1 connection was cut"), "{said}");
}
