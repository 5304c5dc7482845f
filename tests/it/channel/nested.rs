//! Calls that handlers make: with the handler's deadline, ended with it, on its own loop; in local services and in tonic's, on either engine.

use std::time::{Duration, Instant};

use loopswap::client::{Channel, Endpoint};
use loopswap::greeter::stock::greeter_server::{Greeter as TonicGreeter, GreeterServer as TonicGreeterServer};
use loopswap::greeter::{Greeter, GreeterClient, GreeterServer, HelloReply, HelloRequest};
use loopswap::rt::Worker;
use loopswap::{Builder, Request, Response, Router, Server, Status, current_deadline, current_trace};
use rustix::process::Signal;
use tonic::Code;

use crate::examples::example;
use crate::leaks::{Hosted, host, host_with};
use crate::support::{block_on, client, eventually, hello, serve, serve_puppet, served};

crate::on_every_loop!(
    the_deadline_goes_onward,
    the_deadline_ends_what_was_called,
    a_deadline_stays_here_when_it_is_told_to,
    a_deadline_is_that_of_its_call_alone,
    a_cancelled_call_cancels_what_it_has_called,
    the_trace_goes_onward,
    a_trace_is_that_of_its_call_alone,
    without_spans_no_trace_is_looked_at,
    the_example_relays,
    the_example_outlives_its_upstream,
);

struct Relay {
    upstream: GreeterClient<Channel>,
}

impl Greeter for Relay {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        // As tonic has it: what came with the outer call stays here, so the deadline is not simply passed on with the request.
        let reply = self.upstream.clone().say_hello(request.into_inner()).await?;
        Ok(Response::new(reply.into_inner()))
    }
}

#[tonic::async_trait]
impl TonicGreeter for Relay {
    async fn say_hello(&self, request: tonic::Request<HelloRequest>) -> Result<tonic::Response<HelloReply>, Status> {
        self.upstream.clone().say_hello(request.into_inner()).await
    }
}

/// A relay to `upstream`, as a local service or as one of tonic's, on this loop and engine.
fn relay(runtime: &str, engine: &str, is_tonics: bool, upstream: Endpoint) -> Hosted {
    relay_by(Server::builder(), runtime, engine, is_tonics, upstream)
}

/// The same, with these settings.
pub(crate) fn relay_by(server: Builder, runtime: &str, engine: &str, is_tonics: bool, upstream: Endpoint) -> Hosted {
    let server = server.listen("127.0.0.1:0").workers(1).http2(engine.parse().expect("an engine"));
    host_with(server, runtime, async move |_: &Worker| {
        let channel = upstream.clone().connect_lazy().expect("a loop runs");
        let relay = Relay { upstream: GreeterClient::new(channel.clone()) };
        let router = if is_tonics { Router::new().add_tonic(TonicGreeterServer::new(relay)) } else { GreeterServer::new(relay).into() };
        (router, async move { channel.close().await })
    })
}

pub(crate) fn each_way(mut case: impl FnMut(&'static str, bool)) {
    for engine in ["native", "hyper"] {
        for is_tonics in [false, true] {
            case(engine, is_tonics);
        }
    }
}

/// A server whose replies are what this says of their requests.
fn upstream(runtime: &str, says: fn(&Request<HelloRequest>) -> String) -> Hosted {
    struct Says(fn(&Request<HelloRequest>) -> String);
    impl Greeter for Says {
        async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
            Ok(Response::new(HelloReply { message: (self.0)(&request) }))
        }
    }
    host(Server::builder().listen("127.0.0.1:0").workers(1), runtime, move |_| GreeterServer::new(Says(says)))
}

/// How long a call may still take, in ms.
fn time_left(request: &Request<HelloRequest>) -> String {
    let left = request.deadline().map(|deadline| deadline.saturating_duration_since(loopswap::rt::now()).as_millis());
    left.map_or("for ever".into(), |ms| ms.to_string())
}

fn joe(sleep_millisecond: i32) -> tonic::Request<HelloRequest> {
    tonic::Request::new(HelloRequest { name: "Joe".into(), sleep_millisecond })
}

/// Makes this call.
fn calls(server: &Hosted, request: tonic::Request<HelloRequest>) -> Result<String, tonic::Status> {
    let addr = server.local_addr().as_tcp().expect("it listens on TCP");
    block_on(async { Ok(client(addr).await.say_hello(request).await?.into_inner().message) })
}

/// What the upstream is told of a call that may take this long.
fn told(relay: &Hosted, timeout: Option<Duration>) -> String {
    let mut request = joe(0);
    timeout.into_iter().for_each(|timeout| request.set_timeout(timeout));
    calls(relay, request).expect("it answers")
}

/// What is left of it is told to the upstream; where there is none, none is made up.
fn the_deadline_goes_onward(runtime: &'static str) {
    each_way(|engine, is_tonics| {
        let upstream = upstream(runtime, time_left);
        let relay = relay(runtime, engine, is_tonics, super::endpoint(upstream.local_addr()));
        let ms: u64 = told(&relay, Some(Duration::from_secs(300))).parse().expect("it is told");
        assert!((200_000..=300_000).contains(&ms), "{engine}: {ms} ms");
        assert_eq!(told(&relay, None), "for ever", "{engine}");
    });
}

fn a_deadline_stays_here_when_it_is_told_to(runtime: &'static str) {
    let upstream = upstream(runtime, time_left);
    let relay = relay(runtime, "native", false, super::endpoint(upstream.local_addr()).inherit_deadlines(false));
    assert_eq!(told(&relay, Some(Duration::from_secs(300))), "for ever");
}

/// The upstream takes an hour; the handler's deadline ends the call, here and there.
fn the_deadline_ends_what_was_called(runtime: &'static str) {
    each_way(|engine, is_tonics| {
        let (upstream, puppet) = serve_puppet(runtime, |builder| builder);
        let relay = relay(runtime, engine, is_tonics, super::endpoint(upstream.local_addr()));
        let mut request = joe(3_600_000);
        request.set_timeout(Duration::from_millis(300));
        let start = Instant::now();
        let status = calls(&relay, request).expect_err("nobody answers");
        // tonic's client says CANCELLED when its own clock was first.
        assert!(matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled), "{engine}: {status:?}");
        assert!(start.elapsed() >= Duration::from_millis(299));
        eventually("the upstream's handler ends", || (puppet.ended.lock().unwrap().len() == 1).then_some(()));
    });
}

/// What a handler may ask for of its own call, and what its request says of it.
struct OfItsCall {
    current: fn() -> Option<String>,
    own: fn(&Request<HelloRequest>) -> Option<String>,
}

impl Greeter for OfItsCall {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let Self { current, own } = *self;
        let message = format!("{:?}", loopswap::rt::spawn_local(async move { current() }).await.expect("no panic"));
        let own = own(&request);
        for _ in 0..20 {
            loopswap::rt::sleep(Duration::from_millis(1)).await;
            let seen = [current(), current()];
            if seen.iter().any(|seen| *seen != own) {
                return Err(Status::internal(format!("{seen:?}, not {own:?}")));
            }
        }
        Ok(Response::new(HelloReply { message }))
    }
}

/// Calls in turn on one worker, each polled between the others' polls, and two in three of them `marked`: each sees its own, and tasks see none.
fn is_that_of_its_call_alone(
    runtime: &'static str,
    builder: Builder,
    of_its_call: fn() -> OfItsCall,
    mark: fn(&mut tonic::Request<HelloRequest>, u64),
) {
    for engine in ["native", "hyper"] {
        let server = builder.clone().listen("127.0.0.1:0").workers(1).http2(engine.parse().expect("an engine"));
        let server = host(server, runtime, move |_| GreeterServer::new(of_its_call()));
        block_on(async {
            let client = client(server.local_addr().as_tcp().unwrap()).await;
            let calls = (0..6).map(|n| {
                let (mut client, mut request) = (client.clone(), joe(0));
                if n % 3 > 0 {
                    mark(&mut request, n);
                }
                async move { client.say_hello(request).await.expect("each sees its own").into_inner().message }
            });
            for message in futures_util::future::join_all(calls).await {
                assert_eq!(message, "None", "{engine}: a task is no part of its call");
            }
        });
    }
}

fn a_deadline_is_that_of_its_call_alone(runtime: &'static str) {
    fn told(deadline: Option<Instant>) -> Option<String> {
        deadline.map(|deadline| format!("{deadline:?}"))
    }
    let of_its_call = || OfItsCall { current: || told(current_deadline()), own: |request| told(request.deadline()) };
    is_that_of_its_call_alone(runtime, Server::builder(), of_its_call, |request, n| request.set_timeout(Duration::from_secs(20 + n)));
}

/// The outer client vanishes: its handler is dropped, and with it the upstream's.
fn a_cancelled_call_cancels_what_it_has_called(runtime: &'static str) {
    each_way(|engine, is_tonics| {
        let (upstream, puppet) = serve_puppet(runtime, |builder| builder.http2(engine.parse().expect("an engine")));
        let server = relay(runtime, engine, is_tonics, super::endpoint(upstream.local_addr()));
        block_on(async {
            let client = client(server.local_addr().as_tcp().unwrap()).await;
            let calls: Vec<_> = (0..5)
                .map(|_| {
                    let mut client = client.clone();
                    ::tokio::spawn(async move { hello(&mut client, "Joe", 3_600_000).await })
                })
                .collect();
            while *puppet.begun.lock().unwrap() < 5 {
                ::tokio::time::sleep(Duration::from_millis(1)).await;
            }
            assert!(puppet.ended.lock().unwrap().is_empty());
            calls.iter().for_each(::tokio::task::JoinHandle::abort);
            while puppet.ended.lock().unwrap().len() < 5 {
                ::tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
    });
}

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// What came of the trace.
fn trace_fields(request: &Request<HelloRequest>) -> String {
    let all = |name| request.metadata().get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>().join(" & ");
    format!("{}, {}", all("traceparent"), all("tracestate"))
}

/// What the upstream is told of a call that came with these.
pub(crate) fn trace_told(relay: &Hosted, fields: &[(&'static str, &'static str)]) -> String {
    let mut request = joe(0);
    for (name, value) in fields {
        request.metadata_mut().append(*name, value.parse().expect("a value"));
    }
    calls(relay, request).expect("it answers")
}

/// As it came: a server that exports no spans has none of its own to be a parent.
fn the_trace_goes_onward(runtime: &'static str) {
    each_way(|engine, is_tonics| {
        let upstream = upstream(runtime, trace_fields);
        let to = super::endpoint(upstream.local_addr());
        let relay = relay_by(Server::builder().call_spans(true), runtime, engine, is_tonics, to.clone());
        assert_eq!(trace_told(&relay, &[]), ", ", "{engine}");
        assert_eq!(trace_told(&relay, &[("traceparent", TRACE)]), format!("{TRACE}, "), "{engine}");
        let all = [("tracestate", "a=1"), ("traceparent", TRACE), ("tracestate", "b=2,c=3")];
        assert_eq!(trace_told(&relay, &all), format!("{TRACE}, a=1,b=2,c=3"), "{engine}");
        // What cannot be read is as good as nothing; a state without a trace means nothing, and one that is no good is left out.
        assert_eq!(trace_told(&relay, &[("traceparent", "00-0-0-01"), ("tracestate", "a=1")]), ", ", "{engine}");
        assert_eq!(trace_told(&relay, &[("traceparent", TRACE), ("tracestate", "A=1")]), format!("{TRACE}, "), "{engine}");
        let silent = relay_by(Server::builder().call_spans(true), runtime, engine, is_tonics, to.inherit_trace(false));
        assert_eq!(trace_told(&silent, &[("traceparent", TRACE)]), ", ", "{engine}");
    });
}

fn a_trace_is_that_of_its_call_alone(runtime: &'static str) {
    let of_its_call = || OfItsCall {
        current: || current_trace().map(|trace| trace.to_string()),
        own: |request| request.metadata().get("traceparent").map(|value| value.to_str().unwrap().to_owned()),
    };
    is_that_of_its_call_alone(runtime, Server::builder().call_spans(true), of_its_call, |request, n| {
        request.metadata_mut().insert("traceparent", TRACE.replace("4bf9", &format!("000{n}")).parse().unwrap());
    });
}

fn without_spans_no_trace_is_looked_at(runtime: &'static str) {
    let upstream = upstream(runtime, trace_fields);
    let relay = relay(runtime, "native", false, super::endpoint(upstream.local_addr()));
    assert_eq!(trace_told(&relay, &[("traceparent", TRACE)]), ", ");
}

fn the_example_relays(runtime: &'static str) {
    for engine in ["native", "hyper"] {
        let mut upstream = serve(runtime, &["--http2", engine]);
        let to = format!("http://{}", upstream.addr());
        let mut command = example("relay");
        let mut relay = served(command.args(["--runtime", runtime, "--http2", engine, "--addr", "127.0.0.1:0", "--upstream", &to]));
        let reply = block_on(async { hello(&mut client(relay.addr()).await, "Joe", 1).await });
        assert_eq!(reply.expect("it answers"), format!("Hello, Joe! (relayed on {runtime})"));
        // The relay's drain closes its channels: the upstream then has nobody left.
        relay.signal(Signal::TERM);
        assert_eq!(relay.wait().code(), Some(0));
        upstream.signal(Signal::TERM);
        assert_eq!(upstream.wait().code(), Some(0));
    }
}

/// The upstream is killed again and again: the relay answers as before once it is back, and holds no descriptor of those that are gone.
fn the_example_outlives_its_upstream(runtime: &'static str) {
    let mut upstream = serve(runtime, &[]);
    let addr = upstream.addr().to_string();
    let to = format!("http://{addr}");
    let mut command = example("relay");
    // Each worker has a channel of its own; the connections of the client below go to any of them.
    let relay = served(command.args(["--runtime", runtime, "--addr", "127.0.0.1:0", "--upstream", &to]));
    let answers = || block_on(async { hello(&mut client(relay.addr()).await, "Joe", 0).await });
    eventually("the relay answers", || answers().ok());
    let n_fds = relay.n_fds();
    for _ in 0..2 {
        upstream.signal(Signal::KILL);
        upstream.wait();
        assert_eq!(answers().expect_err("nobody is behind it").code(), Code::Unavailable);
        upstream = served(crate::support::loopswap().args(["serve", "--runtime", runtime, "--workers", "1", "--addr", &addr]));
        eventually("the relay answers again", || answers().ok());
    }
    // A connection to the upstream for each worker, at most.
    let n_workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    relay.wait_for_fds(n_fds + n_workers);
}
