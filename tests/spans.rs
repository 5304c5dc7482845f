//! A call's span is entered whenever its handler runs, and at no other time: on every loop and engine, by services of both sorts. It is a test of its own because
//! a process has one subscriber.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use futures_util::future::join_all;
use loopswap::greeter::stock::greeter_server::{Greeter as TonicGreeter, GreeterServer as TonicGreeterServer};
use loopswap::greeter::{Greeter, GreeterClient, GreeterServer, HelloReply, HelloRequest};
use loopswap::{Http2, Loop, Request, Response, Router, Server, Status};
use tonic::transport::Endpoint;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

/// How long anything may take that takes milliseconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(45);

/// Says on the log what it does: before a wait and after, in a span of its own, and when it is dropped.
#[derive(Clone, Copy)]
struct Talkative;

struct SaysBye(String);

impl Drop for SaysBye {
    fn drop(&mut self) {
        tracing::info!("{} is dropped", self.0);
    }
}

async fn talk(request: HelloRequest) -> HelloReply {
    let HelloRequest { name, sleep_millisecond } = request;
    let _bye = SaysBye(name.clone());
    tracing::info!("{name} begins");
    loopswap::rt::sleep(Duration::from_millis(sleep_millisecond.unsigned_abs().into())).await;
    tracing::info_span!("work").in_scope(|| tracing::info!("{name} works"));
    HelloReply { message: name }
}

impl Greeter for Talkative {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        Ok(Response::new(talk(request.into_inner()).await))
    }
}

#[tonic::async_trait]
impl TonicGreeter for Talkative {
    async fn say_hello(&self, request: tonic::Request<HelloRequest>) -> Result<tonic::Response<HelloReply>, Status> {
        Ok(tonic::Response::new(talk(request.into_inner()).await))
    }
}

/// What was logged.
#[derive(Clone, Debug)]
struct Line {
    text: String,
    /// From the outermost: name, number.
    spans: Vec<(&'static str, u64)>,
}

#[derive(Default)]
struct Log {
    lines: Vec<Line>,
    /// Spans of calls that are not closed.
    open: BTreeMap<u64, String>,
}

static LOG: Mutex<Log> = Mutex::new(Log { lines: Vec::new(), open: BTreeMap::new() });

fn log() -> MutexGuard<'static, Log> {
    LOG.lock().expect("nothing panics under the lock")
}

/// All fields in a text.
struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, "{}={value:?} ", field.name());
    }
}

struct Collect;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Collect {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, _: Context<'_, S>) {
        if attributes.metadata().target() == "loopswap::calls" {
            let mut fields = Fields(String::new());
            attributes.record(&mut fields);
            log().open.insert(id.into_u64(), fields.0);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields(String::new());
        event.record(&mut fields);
        let spans = context.event_scope(event).into_iter().flat_map(|scope| scope.from_root());
        let spans = spans.map(|span| (span.name(), span.id().into_u64())).collect();
        log().lines.push(Line { text: fields.0, spans });
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        log().open.remove(&id.into_u64());
    }
}

#[test]
fn handlers_log_within_their_call() {
    let subscriber = tracing_subscriber::registry().with(Collect);
    tracing::subscriber::set_global_default(subscriber).expect("it is the first");
    for event_loop in Loop::all() {
        for engine in Http2::ALL {
            for is_tonic in [false, true] {
                of(event_loop.clone(), engine, is_tonic);
            }
        }
    }
}

fn of(event_loop: Loop, engine: Http2, is_tonic: bool) {
    let case = format!("{}, {engine}, tonic: {is_tonic}", event_loop.name());
    log().lines.clear();
    let builder = Server::builder().listen("127.0.0.1:0").workers(1).http2(engine).call_spans(true);
    let running = builder
        .start(event_loop, move |_| match is_tonic {
            false => Router::from(GreeterServer::new(Talkative)),
            true => Router::new().add_tonic(TonicGreeterServer::new(Talkative)),
        })
        .expect("the loop runs here");
    let addr = running.local_addr().as_tcp().expect("it listens on TCP");

    // Side by side on one connection: their handlers take turns. The last is given up.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("epoll is there");
    let calls = async {
        let endpoint = Endpoint::from_shared(format!("http://{addr}")).expect("an address makes a URI");
        let client = GreeterClient::new(endpoint.connect().await.expect("it listens"));
        let call = |name: &str, sleep_millisecond| {
            let (mut client, request) = (client.clone(), HelloRequest { name: name.into(), sleep_millisecond });
            async move { client.say_hello(request).await }
        };
        let given_up = tokio::time::timeout(Duration::from_millis(100), call("Jan", 60_000));
        let (replies, given_up) = tokio::join!(join_all([call("Joe", 20), call("Jim", 10)]), given_up);
        assert!(given_up.is_err());
        for reply in replies {
            reply.expect("it is a good call");
        }
    };
    runtime.block_on(async { tokio::time::timeout(PATIENCE, calls).await.expect("they end") });
    drop(runtime);
    running.handle().drain();
    running.wait().expect("nothing is left to cut");

    let log = log();
    let mut calls = Vec::new();
    for (name, does, status) in [("Joe", ["begins", "works", "is dropped"], "OK"), ("Jim", ["begins", "works", "is dropped"], "OK")] {
        calls.push(within(&log, &case, name, &does, status));
    }
    calls.push(within(&log, &case, "Jan", &["begins", "is dropped"], "Canceled"));
    calls.sort_unstable();
    calls.dedup();
    assert_eq!(calls.len(), 3, "{case}: each has a span of its own");
    assert!(log.open.is_empty(), "{case}: all are closed: {:?}", log.open);
    // What is no part of a call is in no span.
    for line in log.lines.iter().filter(|line| line.text.contains("connection closed")) {
        assert!(line.spans.is_empty(), "{case}: {line:?}");
    }
}

/// The number of the span in which all was logged that this call did, and how it ended.
fn within(log: &Log, case: &str, name: &str, does: &[&str], status: &str) -> u64 {
    let mut call = None;
    for what in does {
        let text = format!("{name} {what} ");
        let line =
            log.lines.iter().find(|line| line.text.contains(&text)).unwrap_or_else(|| panic!("{case}: no `{text}`: {:#?}", log.lines));
        let [("call", id), inner @ ..] = &line.spans[..] else { panic!("{case}: {line:?} is in no call") };
        assert_eq!(
            inner.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
            if *what == "works" { vec!["work"] } else { vec![] },
            "{case}: {line:?}"
        );
        assert_eq!(*call.get_or_insert(*id), *id, "{case}: {line:?}");
    }
    let call = call.expect("it did something");
    let ended: Vec<_> = log.lines.iter().filter(|line| line.text.contains("call ended") && line.spans == [("call", call)]).collect();
    assert_eq!(ended.len(), 1, "{case}: {:#?}", log.lines);
    assert!(ended[0].text.contains(&format!("status=\"{status}\"")), "{case}: {ended:?}");
    call
}
