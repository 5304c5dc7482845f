//! Start and stop hooks of workers: on the worker's loop, once each, all or none, within bounds.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use loopswap::greeter::{GreeterServer, Hello};
use loopswap::rt::{Worker, current_loop, sleep};
use loopswap::{Error, ErrorKind, Loop, Server, Started};

use crate::support::{PATIENCE, Puppet, block_on, client, hello};

crate::on_every_loop!(
    run_on_each_workers_loop,
    one_that_fails_keeps_the_server_from_starting,
    one_that_panics_does_so_too,
    one_that_hangs_does_so_too,
    a_stop_hook_that_hangs_is_dropped,
    a_stop_hook_comes_after_the_drain,
);

/// What the hooks of a server have done, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn says(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }

    fn sorted(&self) -> Vec<String> {
        let mut said = self.0.lock().unwrap().clone();
        said.sort();
        said
    }
}

fn event_loop(runtime: &str) -> Loop {
    Loop::choose(runtime).expect("it is built in")
}

fn run_on_each_workers_loop(runtime: &'static str) {
    let log = Log::default();
    let says = log.clone();
    let server = Server::builder().listen("127.0.0.1:0").workers(2);
    let server = server.start_with(event_loop(runtime), async move |worker: &Worker| {
        sleep(Duration::from_millis(1)).await;
        let (index, says) = (worker.index, says.clone());
        says.says(format!("start {index} on {}", current_loop().expect("a loop runs")));
        Ok::<_, Error>(Started::new(GreeterServer::new(Hello)).on_stop(async move {
            sleep(Duration::from_millis(1)).await;
            says.says(format!("stop {index} on {}", current_loop().expect("a loop runs")));
        }))
    });
    let server = server.expect("it starts");
    let started = [format!("start 0 on {runtime}"), format!("start 1 on {runtime}")];
    assert_eq!(log.sorted(), started);
    block_on(async { hello(&mut client(server.local_addr().as_tcp().unwrap()).await, "Joe", 0).await.expect("it serves") });
    assert_eq!(log.sorted(), started);
    server.handle().drain();
    server.wait().expect("it ends well");
    assert_eq!(log.sorted()[2..], [format!("stop 0 on {runtime}"), format!("stop 1 on {runtime}")]);
}

/// Worker 1 fails as it is told, worker 0 has started: nothing was bound, and worker 0 has run its stop hook.
fn fails(runtime: &'static str, fail: impl AsyncFn() -> Result<(), String> + Send + Sync + 'static, says: &str) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a port").local_addr().unwrap().port();
    let log = Log::default();
    let writes = log.clone();
    let server = Server::builder().listen(format!("127.0.0.1:{port}")).workers(2).hook_timeout(Duration::from_millis(300));
    let failed = server.start_with(event_loop(runtime), async move |worker: &Worker| {
        let writes = writes.clone();
        if worker.index == 1 {
            // When the other has started for sure.
            while writes.sorted().is_empty() {
                sleep(Duration::from_millis(1)).await;
            }
            fail().await?;
        }
        let index = worker.index;
        writes.says(format!("start {index}"));
        Ok::<_, String>(Started::new(GreeterServer::new(Hello)).on_stop(async move { writes.says(format!("stop {index}")) }))
    });
    let error = failed.expect_err("it cannot start");
    assert_eq!(error.kind(), ErrorKind::Worker);
    let message = error.to_string();
    assert!(message.contains("worker 1 cannot start") && message.contains(says), "{message}");
    assert_eq!(log.sorted(), ["start 0", "stop 0"]);
    std::net::TcpListener::bind(("127.0.0.1", port)).expect("nobody has bound it");
}

fn one_that_fails_keeps_the_server_from_starting(runtime: &'static str) {
    fails(runtime, async || Err("the database is not there".into()), "its start hook failed: the database is not there");
}

fn one_that_panics_does_so_too(runtime: &'static str) {
    fails(runtime, async || panic!("as the test wishes"), "panicked");
}

fn one_that_hangs_does_so_too(runtime: &'static str) {
    fails(runtime, async || std::future::pending().await, "its start hook has not ended within 300ms");
}

fn a_stop_hook_that_hangs_is_dropped(runtime: &'static str) {
    struct Dropped(Log);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.says("dropped".into());
        }
    }
    let log = Log::default();
    let writes = log.clone();
    let server = Server::builder().listen("127.0.0.1:0").workers(1).hook_timeout(Duration::from_millis(50));
    let server = server.start_with(event_loop(runtime), async move |_: &Worker| {
        let dropped = Dropped(writes.clone());
        let stop = async move {
            let _dropped = dropped;
            std::future::pending().await
        };
        Ok::<_, Error>(Started::new(GreeterServer::new(Hello)).on_stop(stop))
    });
    let server = server.expect("it starts");
    let start = std::time::Instant::now();
    server.handle().drain();
    server.wait().expect("it ends well all the same");
    assert!(start.elapsed() < PATIENCE / 2);
    assert_eq!(log.sorted(), ["dropped"]);
}

/// A call that is under way when the drain begins ends before the stop hook begins.
fn a_stop_hook_comes_after_the_drain(runtime: &'static str) {
    let (log, puppet) = (Log::default(), Puppet::default());
    let (writes, service) = (log.clone(), puppet.clone());
    let server = Server::builder().listen("127.0.0.1:0").workers(1);
    let server = server.start_with(event_loop(runtime), async move |_: &Worker| {
        let (writes, ended) = (writes.clone(), Arc::clone(&service.ended));
        let stop = async move { writes.says(format!("stop after {} calls", ended.lock().unwrap().len())) };
        Ok::<_, Error>(Started::new(GreeterServer::new(service.clone())).on_stop(stop))
    });
    let server = server.expect("it starts");
    block_on(async {
        let mut client = client(server.local_addr().as_tcp().unwrap()).await;
        let call = hello(&mut client, "Joe", 200);
        let drain = async {
            while *puppet.begun.lock().unwrap() == 0 {
                ::tokio::time::sleep(Duration::from_millis(1)).await;
            }
            server.handle().drain();
        };
        let (reply, ()) = futures_util::future::join(call, drain).await;
        reply.expect("the drain waits for it");
    });
    server.wait().expect("it ends well");
    assert_eq!(log.sorted(), ["stop after 1 calls"]);
}
