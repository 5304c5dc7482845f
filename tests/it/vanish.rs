//! Clients that vanish in the middle of a call: the handler's future is dropped promptly, and nothing is left.

use std::time::{Duration, Instant};

use crate::support::{block_on, client, eventually, hello, serve_puppet};

crate::on_every_loop!(by_closing_the_connection, by_cancelling_the_call);

const PROMPTLY: Duration = Duration::from_millis(100);

/// How often a client vanishes: on a busy machine the server may have to wait for a CPU, so the best of the tries counts.
const TRIES_MAX: usize = 20;

fn handlers_are_dropped(runtime: &str, cancel_calls_only: bool) {
    let mut tries = Vec::new();
    while tries.len() < TRIES_MAX {
        let took = until_handlers_are_dropped(runtime, cancel_calls_only);
        if took < PROMPTLY {
            return;
        }
        tries.push(took);
    }
    panic!("dropped after {tries:?}");
}

/// Twenty calls of an hour begin, and their client vanishes: how long until their handlers are dropped.
fn until_handlers_are_dropped(runtime: &str, cancel_calls_only: bool) -> Duration {
    let (running, puppet) = serve_puppet(runtime, |builder| builder);
    let vanished = block_on(async {
        let client = client(running.local_addr().as_tcp().unwrap()).await;
        let calls: Vec<_> = (0..20)
            .map(|_| {
                let mut client = client.clone();
                ::tokio::spawn(async move { hello(&mut client, "Joe", 3_600_000).await })
            })
            .collect();
        while *puppet.begun.lock().unwrap() < 20 {
            ::tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(puppet.ended.lock().unwrap().is_empty());
        let vanished = Instant::now();
        for call in calls {
            call.abort();
            assert!(call.await.is_err());
        }
        if cancel_calls_only {
            // The connection lives on, and serves.
            while puppet.ended.lock().unwrap().len() < 20 {
                ::tokio::time::sleep(Duration::from_millis(1)).await;
            }
            assert!(hello(&mut client.clone(), "Joe", 0).await.is_ok());
        }
        vanished
    });
    let ended = eventually("the handlers are dropped", || {
        let ended = puppet.ended.lock().unwrap();
        (ended.len() >= 20).then(|| ended[19])
    });
    ended.saturating_duration_since(vanished)
}

fn by_closing_the_connection(runtime: &str) {
    handlers_are_dropped(runtime, false);
}

fn by_cancelling_the_call(runtime: &str) {
    handlers_are_dropped(runtime, true);
}
