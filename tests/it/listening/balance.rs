//! Least connections: who gets the next one, who waits for whom, and that none is lost.

use std::time::{Duration, Instant};

use loopswap::Balance;
use loopswap::greeter::GreeterClient;
use rustix::process::Signal;
use tonic::transport::Channel;

use super::{BLOCKED, client_of, is_served_or_told_to_go, serve_here, who_has_called, worker_of};
use crate::raw::Connection;
use crate::support::{PATIENCE, block_on, hello, loopswap, output, served};

crate::on_every_loop_and_engine!(
    the_next_goes_to_the_worker_with_the_fewest,
    a_worker_that_is_stuck_keeps_few_waiting,
    a_drain_loses_no_client_that_has_connected,
);

const WORKERS: usize = 4;

/// Clients, and the worker that each is on.
async fn open(address: &str, n: usize) -> Vec<(usize, GreeterClient<Channel>)> {
    let mut clients = Vec::new();
    for _ in 0..n {
        let mut client = client_of(address).await.expect("it listens");
        clients.push((worker_of(&mut client).await, client));
    }
    clients
}

fn counts(clients: &[(usize, GreeterClient<Channel>)]) -> [usize; WORKERS] {
    let mut n = [0; WORKERS];
    clients.iter().for_each(|(worker, _)| n[*worker] += 1);
    n
}

fn the_next_goes_to_the_worker_with_the_fewest(runtime: &str, http2: &str) {
    let server = serve_here(runtime, http2, |builder| builder.listen("127.0.0.1:0").workers(WORKERS).balance(Balance::LeastConnections));
    let address = server.local_addr().to_string();
    block_on(async {
        let mut clients = open(&address, 4 * WORKERS).await;
        assert_eq!(counts(&clients), [4; WORKERS]);
        // Worker 2 loses its own, and gets the next ones. A server sees the end of a connection later than its client, so those that are opened too early go
        // elsewhere, and are opened again.
        clients.retain(|(worker, _)| *worker != 2);
        let give_up = Instant::now() + PATIENCE / 2;
        let next = loop {
            let next = open(&address, 4).await;
            if next.iter().all(|(worker, _)| *worker == 2) {
                break next;
            }
            assert!(Instant::now() < give_up, "worker 2 has no connection, and others get the next ones: {:?}", counts(&next));
            drop(next);
            ::tokio::time::sleep(Duration::from_millis(20)).await;
        };
        clients.extend(next);
        assert_eq!(counts(&clients), [4; WORKERS]);
    });
}

/// A handler holds one of two workers. Of many clients no more wait for it than its queue is long.
fn a_worker_that_is_stuck_keeps_few_waiting(runtime: &str, http2: &str) {
    const CLIENTS: usize = 200;
    // What the acceptor lets wait for a worker.
    const QUEUE: usize = 64;
    let server = serve_here(runtime, http2, |builder| builder.listen("127.0.0.1:0").workers(2).balance(Balance::LeastConnections));
    let address = server.local_addr().to_string();
    block_on(async {
        let mut stuck = client_of(&address).await.expect("it listens");
        let held = worker_of(&mut stuck).await;
        let name = format!("through {address}");
        let block = ::tokio::spawn(async move { hello(&mut stuck, &name, 2_000).await });
        while !BLOCKED.lock().unwrap().contains(&format!("through {address}")) {
            ::tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut calls = Vec::new();
        for _ in 0..CLIENTS {
            let address = address.clone();
            calls.push(::tokio::spawn(async move { worker_of(&mut client_of(&address).await.expect("it listens")).await }));
        }
        let mut free = 0;
        for call in calls {
            free += usize::from(call.await.expect("it is answered, sooner or later") != held);
        }
        assert!(free >= CLIENTS - QUEUE, "{free} of {CLIENTS} were served by the worker that was free");
        block.await.unwrap().expect("it ends well");
    });
}

/// Whoever has connected when the drain begins is served, or told that the server is going, and never just closed: those whom the acceptor has in hand, those in the workers' queues, and
/// those that nobody has accepted.
fn a_drain_loses_no_client_that_has_connected(runtime: &str, http2: &str) {
    const CLIENTS: usize = 150;
    for stopped_meanwhile in [true, false] {
        let mut command = loopswap();
        command.args([
            "serve",
            "--runtime",
            runtime,
            "--http2",
            http2,
            "--workers",
            "2",
            "--addr",
            "127.0.0.1:0",
            "--balance",
            "least-connections",
        ]);
        let mut server = served(&mut command);
        Connection::open(server.addr(), &[]).greets();
        if stopped_meanwhile {
            server.signal(Signal::STOP);
        }
        let mut clients: Vec<_> = (0..CLIENTS).map(|_| who_has_called(server.addr())).collect();
        server.signal(Signal::TERM);
        server.signal(Signal::CONT);
        clients.iter_mut().for_each(is_served_or_told_to_go);
        drop(clients);
        assert_eq!(server.wait().code(), Some(0), "{}", server.stderr().so_far());
    }
}

#[test]
fn an_unknown_balance_lists_the_words() {
    let ended = output(loopswap().args(["--balance", "round-robin"]));
    assert_eq!(ended.status.code(), Some(2));
    assert!(ended.stderr.contains("reuseport") && ended.stderr.contains("least-connections"), "{}", ended.stderr);
}
