//! Runs against a server in this process: each sort of trouble that a run must survive, and report.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tokio::sync::watch;

use crate::client::{Target, Wording};
use crate::greeter::{Greeter, GreeterServer, Hello, HelloReply, HelloRequest};
use crate::load::{Amount, Early, Plan, Progress, Report, Watch, Workload, run};
use crate::rt::Runtime;
use crate::{Error, ErrorKind, EventLoop, Loop, Request, Response, Running, Server, Status, UseLoop};

fn serve<G: Greeter + Clone + Send + Sync>(addr: &str, greeter: G) -> Running {
    let start = move |_: &crate::rt::Worker| GreeterServer::new(greeter.clone());
    Server::builder().listen(addr).workers(1).start(Loop::choose("tokio").unwrap(), start).unwrap()
}

fn hello(sleep_millisecond: i32) -> Workload {
    Workload::SayHello(HelloRequest { name: "Joe".into(), sleep_millisecond })
}

fn plan(running: &Running, amount: Amount) -> Plan {
    Plan {
        target: Target::resolve(&running.local_addr().to_string()).unwrap(),
        workload: hello(0),
        concurrency: 8,
        connections: 2,
        amount,
        rps: 0,
        timeout: Duration::from_secs(10),
        warmup: 0,
        wording: Wording::Grpc,
    }
}

/// Runs the plan on tokio, and calls `meanwhile` on another thread.
fn run_while(plan: Plan, meanwhile: impl FnOnce(&Progress, &watch::Sender<bool>) + Send + 'static) -> Result<Report, Error> {
    struct Run(Plan, Watch);
    impl UseLoop for Run {
        type Output = Result<Report, Error>;
        fn with<R: Runtime>(self, runtime: R) -> Self::Output {
            run(runtime, self.0, self.1)
        }
    }
    let progress = Arc::new(Progress::default());
    let (stop, stopped) = watch::channel(false);
    let seen = Arc::clone(&progress);
    let other = thread::spawn(move || {
        meanwhile(&seen, &stop);
        // A sender that is gone would stop the run.
        stop
    });
    let report = Loop::choose("tokio").unwrap().with(Run(plan, Watch { progress, stop: stopped }));
    other.join().unwrap();
    report
}

fn wait_for(progress: &Progress, n: u64) {
    while progress.n_ended.load(Ordering::Relaxed) < n {
        thread::yield_now();
    }
}

/// Greets every fourth caller by another name.
#[derive(Clone, Default)]
struct Forgetful {
    n_calls: Arc<AtomicU64>,
}

impl Greeter for Forgetful {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let n = self.n_calls.fetch_add(1, Ordering::Relaxed);
        let name = if n % 4 == 3 { "Bob" } else { &request.get_ref().name };
        Ok(Response::new(HelloReply { message: format!("Hello, {name}!") }))
    }
}

#[test]
fn counts_every_call_and_warm_up_apart() {
    let running = serve("127.0.0.1:0", Hello);
    let report = run_while(Plan { warmup: 50, ..plan(&running, Amount::Calls(1000)) }, |_, _| ()).unwrap();
    assert!(report.is_success(), "{report:?}");
    assert_eq!((report.count, report.statuses), (1000, vec![("OK", 1000)]));
}

#[test]
fn a_wrong_reply_is_an_error_of_its_own() {
    let running = serve("127.0.0.1:0", Forgetful::default());
    let report = run_while(plan(&running, Amount::Calls(100)), |_, _| ()).unwrap();
    assert!(!report.is_success());
    assert_eq!((report.count, report.ok, report.wrong_replies), (100, 75, 25));
    assert_eq!(report.errors, [(r#"wrong reply: "Hello, Bob!" where "Hello, Joe!" was expected"#.into(), 25)]);
}

#[test]
fn without_a_server_no_call_is_made() {
    let running = serve("127.0.0.1:0", Hello);
    let plan = plan(&running, Amount::Calls(1));
    drop(running);
    let error = run_while(plan, |_, _| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.to_string().contains("start a server with `loopswap serve --addr 127.0.0.1:"), "{error}");
}

#[test]
fn a_server_that_dies_ends_the_run() {
    let running = serve("127.0.0.1:0", Hello);
    let plan = plan(&running, Amount::Calls(u64::MAX));
    let report = run_while(plan, |progress, _| {
        wait_for(progress, 100);
        drop(running);
    });
    let report = report.unwrap();
    assert!(matches!(report.early, Some(Early::GivenUp(_))), "{report:?}");
    assert!(report.ok >= 100 && report.errors.iter().all(|(message, _)| message.starts_with("UNAVAILABLE: ")), "{report:?}");
    assert_eq!(report.count, report.statuses.iter().map(|(_, n)| n).sum::<u64>());
}

#[test]
fn a_server_that_comes_back_is_found_again() {
    let running = serve("127.0.0.1:0", Hello);
    let addr = running.local_addr().to_string();
    let plan = Plan { workload: hello(1), ..plan(&running, Amount::Calls(2000)) };
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let report = run_while(plan, move |progress, _| {
        wait_for(progress, 100);
        drop(running);
        let again = serve(&addr, Hello);
        // It serves until the run is over.
        thread::spawn(move || {
            let _ = wait.recv();
            drop(again);
        });
    });
    drop(done);
    let report = report.unwrap();
    assert!(report.early.is_none() && report.count == 2000, "{report:?}");
    assert!(report.ok >= 1900, "only calls in flight, and begun before the end was noticed, may fail: {report:?}");
}

#[test]
fn an_interrupt_reports_what_was_done() {
    let running = serve("127.0.0.1:0", Hello);
    let plan = Plan { workload: hello(30_000), ..plan(&running, Amount::Calls(100)) };
    let report = run_while(plan, |_, stop| {
        stop.send_replace(true);
    });
    let report = report.unwrap();
    assert!(matches!(report.early, Some(Early::Interrupted)) && report.count == 0 && report.abandoned <= 8, "{report:?}");
}

#[test]
fn a_call_without_a_reply_ends_in_time() {
    let running = serve("127.0.0.1:0", Hello);
    let plan = Plan { workload: hello(30_000), timeout: Duration::from_millis(20), ..plan(&running, Amount::Calls(16)) };
    let report = run_while(plan, |_, _| ()).unwrap();
    assert_eq!(report.statuses, [("DEADLINE_EXCEEDED", 16)]);
}

#[test]
fn a_rate_and_a_duration_are_kept() {
    let running = serve("127.0.0.1:0", Hello);
    // A call is due at 0, 5, ..., 195 ms; on a machine that is held up, the last ones may find the time over, but not at each try.
    let mut counts = Vec::new();
    while counts.len() < 20 && counts.last().is_none_or(|count| *count < 10) {
        let plan = Plan { rps: 200, ..plan(&running, Amount::Time(Duration::from_millis(200))) };
        let report = run_while(plan, |_, _| ()).unwrap();
        assert!(report.is_success() && (1..=40).contains(&report.count), "{report:?}");
        counts.push(report.count);
    }
    assert!(counts.last().is_some_and(|count| *count >= 10), "{counts:?}");
}
