//! Services of all kinds under one router, with tonic's client, on both engines: metadata, deadlines, panics, large messages and long streams.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use loopswap::greeter::stock::greeter_server::GreeterServer as TonicGreeterServer;
use loopswap::greeter::{Hello, HelloReply, HelloRequest};
use loopswap::{Http2, LocalService, Methods, Request, Response, Router, Server, Status, Streaming};
use tonic::Code;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic_health::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::pb::{HealthCheckRequest, health_check_response};
use tonic_health::server::{HealthReporter, HealthService};

use crate::grpc_rules::compressed::{Compress, deflate, gzip, zstd};
use crate::leaks::host;
use crate::raw::{Connection, Fields, code, data, hello as named_on_the_wire, prefixed, rst_stream, setting, status, window_update};
use crate::support::{block_on, client, eventually, hello};

crate::on_every_loop!(
    a_local_service_stands_next_to_a_tonic_one,
    tonic_health_is_served_as_it_is,
    metadata_goes_both_ways,
    what_is_not_there_is_unimplemented,
    a_deadline_ends_the_handler,
    a_deadline_does_not_wait_for_windows,
    panics_cost_their_call_alone,
    a_long_exchange_is_whole,
    a_message_may_be_larger_than_a_window,
    a_client_that_cancels_a_stream_ends_its_handler,
    compressed_messages_of_a_stream_are_read,
);

/// Handlers that are running, as the test sees them.
#[derive(Clone, Default)]
struct Running(Arc<AtomicUsize>);

impl Running {
    fn enter(&self) -> Entered {
        self.0.fetch_add(1, Ordering::SeqCst);
        Entered(self.clone())
    }

    fn n(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

struct Entered(Running);

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

struct PanicInDrop;

impl Drop for PanicInDrop {
    fn drop(&mut self) {
        panic!("as the caller wished");
    }
}

/// A local service with state that is not `Send`.
struct Kinds {
    running: Running,
    n_calls: Rc<Cell<usize>>,
}

impl LocalService for Kinds {
    const NAME: &'static str = "test.Kinds";

    fn register(self, methods: &mut Methods) {
        let Self { running, n_calls } = self;
        let on = running.clone();
        methods.unary("Unary", move |request: Request<HelloRequest>| {
            n_calls.set(n_calls.get() + 1);
            let (entered, n) = (on.enter(), n_calls.get());
            async move {
                let _entered = entered;
                unary(request, n).await
            }
        });
        methods.client_streaming("Count", |request: Request<Streaming<HelloRequest>>| async move {
            let mut requests = request.into_inner();
            let mut n_bytes = 0;
            while let Some(request) = requests.message().await? {
                n_bytes += request.name.len();
            }
            Ok(Response::new(reply(n_bytes.to_string())))
        });
        methods.server_streaming("Panic", |_: Request<HelloRequest>, mut replies| async move {
            let numbers = stream::iter(0..5).map(|n| if n < 2 { Ok(reply(n.to_string())) } else { panic!("as the caller wished") });
            replies.send_all(Response::new(numbers)).await
        });
        methods.streaming("Echo", move |request: Request<Streaming<HelloRequest>>, mut replies| {
            let entered = running.enter();
            async move {
                let _entered = entered;
                let mut requests = request.into_inner();
                while let Some(request) = requests.message().await? {
                    replies.send(reply(request.name)).await?;
                }
                Ok(())
            }
        });
    }
}

async fn unary(request: Request<HelloRequest>, n: usize) -> Result<Response<HelloReply>, Status> {
    let HelloRequest { name, sleep_millisecond } = request.get_ref().clone();
    let pause = Duration::from_millis(sleep_millisecond.unsigned_abs().into());
    match name.as_str() {
        "panic at once" => panic!("as the caller wished"),
        "panic in drop" => drop(PanicInDrop),
        "panic when cancelled" => {
            let _held = PanicInDrop;
            loopswap::rt::sleep(pause).await;
        }
        "time left" => {
            let left = request.time_left().ok_or_else(|| Status::invalid_argument("no deadline"))?;
            return Ok(Response::new(reply(left.as_millis().to_string())));
        }
        _ => loopswap::rt::sleep(pause).await,
    }
    let mut response = Response::new(reply(format!("{name}, {n}")));
    if let Some(question) = request.metadata().get("question") {
        response.metadata_mut().insert("answer", question.clone());
        let bytes = request.metadata().get_bin("question-bin").ok_or_else(|| Status::invalid_argument("no bytes"))?;
        response.metadata_mut().insert_bin("answer-bin", bytes.clone());
    }
    Ok(response)
}

fn reply(message: String) -> HelloReply {
    HelloReply { message }
}

fn named(name: &str, sleep_millisecond: i32) -> HelloRequest {
    HelloRequest { name: name.into(), sleep_millisecond }
}

/// What a case has: a client of tonic's, the address for another, the local service's handlers, and what the health service is told.
struct Case {
    channel: Channel,
    addr: SocketAddr,
    running: Running,
    health: HealthReporter,
}

/// Serves all services on each engine, runs the case, and sees that nothing is left to drain.
fn on_each_engine(runtime: &str, case: impl AsyncFn(&Case)) {
    for engine in Http2::ALL {
        let seen = Running::default();
        let service = seen.clone();
        let health = HealthReporter::new();
        let reporter = health.clone();
        let builder = Server::builder().listen("127.0.0.1:0").workers(1).http2(engine);
        let start = move |_: &loopswap::rt::Worker| {
            let kinds = Kinds { running: service.clone(), n_calls: Rc::default() };
            let health = HealthServer::new(HealthService::from_health_reporter(reporter.clone()));
            Router::new().add(kinds).add_tonic(TonicGreeterServer::new(Hello)).add_tonic(health)
        };
        let server = host(builder, runtime, start);
        let addr = server.local_addr().as_tcp().expect("it listens on TCP");
        block_on(async {
            let endpoint = Endpoint::from_shared(format!("http://{addr}")).expect("an address makes a URI");
            let channel = endpoint.connect().await.expect("it listens");
            case(&Case { channel, addr, running: seen.clone(), health: health.clone() }).await;
            // Whatever has happened, the worker serves.
            assert_eq!(hello(&mut client(addr).await, "Joe", 0).await.unwrap(), "Hello, Joe!");
        });
        eventually("no handler runs", || (seen.n() == 0).then_some(()));
    }
}

type Codec = tonic_prost::ProstCodec<HelloRequest, HelloReply>;

async fn grpc(channel: &Channel) -> tonic::client::Grpc<Channel> {
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready().await.expect("the connection is there");
    grpc
}

async fn call(channel: &Channel, path: &'static str, request: tonic::Request<HelloRequest>) -> Result<tonic::Response<HelloReply>, Status> {
    grpc(channel).await.unary(request, http::uri::PathAndQuery::from_static(path), Codec::default()).await
}

const UNARY: &str = "/test.Kinds/Unary";

fn a_local_service_stands_next_to_a_tonic_one(runtime: &str) {
    on_each_engine(runtime, async |Case { channel, .. }| {
        for n in 1..=3 {
            let reply = call(channel, UNARY, tonic::Request::new(named("Joe", n))).await.unwrap();
            assert_eq!(reply.into_inner().message, format!("Joe, {n}"), "one service a worker, which remembers");
            let reply = call(channel, "/helloworld.Greeter/SayHello", tonic::Request::new(named("Joe", n))).await.unwrap();
            assert_eq!(reply.into_inner().message, "Hello, Joe!");
        }
    });
}

/// Its answers, and the news that it brings from another thread; the local service beside it is served all the while.
fn tonic_health_is_served_as_it_is(runtime: &str) {
    use health_check_response::ServingStatus as Told;
    on_each_engine(runtime, async |Case { channel, health, .. }| {
        let mut client = HealthClient::new(channel.clone());
        let of = |service: &str| HealthCheckRequest { service: service.into() };
        assert_eq!(client.check(of("")).await.unwrap().into_inner().status(), Told::Serving);
        assert_eq!(client.check(of("test.Kinds")).await.unwrap_err().code(), Code::NotFound);
        health.set_service_status("test.Kinds", ServingStatus::NotServing).await;
        assert_eq!(client.check(of("test.Kinds")).await.unwrap().into_inner().status(), Told::NotServing);
        let mut news = client.watch(of("test.Kinds")).await.unwrap().into_inner();
        assert_eq!(news.message().await.unwrap().unwrap().status(), Told::NotServing);
        for (status, told) in [(ServingStatus::Serving, Told::Serving), (ServingStatus::NotServing, Told::NotServing)] {
            health.set_service_status("test.Kinds", status).await;
            assert_eq!(news.message().await.unwrap().unwrap().status(), told);
            assert!(call(channel, UNARY, tonic::Request::new(named("Joe", 0))).await.is_ok());
        }
    });
}

fn metadata_goes_both_ways(runtime: &str) {
    on_each_engine(runtime, async |Case { channel, .. }| {
        let mut request = tonic::Request::new(named("Joe", 0));
        request.metadata_mut().insert("question", MetadataValue::from_static("6 x 9"));
        request.metadata_mut().insert_bin("question-bin", MetadataValue::from_bytes(b"\0\xff,"));
        let response = call(channel, UNARY, request).await.unwrap();
        assert_eq!(response.metadata().get("answer").unwrap(), "6 x 9");
        assert_eq!(response.metadata().get_bin("answer-bin").unwrap().to_bytes().unwrap().as_ref(), b"\0\xff,");
    });
}

fn what_is_not_there_is_unimplemented(runtime: &str) {
    on_each_engine(runtime, async |Case { channel, .. }| {
        for path in ["/test.Kinds/Binary", "/helloworld.Greeter/SayGoodbye", "/test.None/Unary", "/test.Kinds/Unary/"] {
            let status = call(channel, path, tonic::Request::new(named("Joe", 0))).await.unwrap_err();
            assert_eq!(status.code(), Code::Unimplemented, "{path}: {status}");
        }
    });
}

fn a_deadline_ends_the_handler(runtime: &str) {
    on_each_engine(runtime, async |Case { channel, addr, running, .. }| {
        // In raw frames: tonic's client ends such a call by itself, with a code of its own.
        let mut connection = Connection::open(*addr, &[]);
        for path in [UNARY, "/helloworld.Greeter/SayHello"] {
            let start = Instant::now();
            let fields = Fields::hello().set(":path", path).with("grpc-timeout", "50m");
            let stream = connection.request(&fields, &named_on_the_wire("Joe", 30_000));
            let response = connection.response(stream);
            assert_eq!(response.grpc(), Some(status::DEADLINE_EXCEEDED), "{response:?}");
            assert!((Duration::from_millis(50)..Duration::from_secs(5)).contains(&start.elapsed()), "{:?}", start.elapsed());
            assert_eq!(running.n(), 0, "the handler was dropped before the client was told");
        }
        let mut request = tonic::Request::new(named("time left", 0));
        request.set_timeout(Duration::from_secs(60));
        let left: u64 = call(channel, UNARY, request).await.unwrap().into_inner().message.parse().unwrap();
        assert!((50_000..=60_000).contains(&left), "{left} ms");
    });
}

/// The client takes no byte of the answer, so that the engine has nothing to do for the call.
fn a_deadline_does_not_wait_for_windows(runtime: &str) {
    on_each_engine(runtime, async |Case { addr, running, .. }| {
        let mut connection = Connection::open(*addr, &[(setting::INITIAL_WINDOW_SIZE, 0)]);
        let echo = Fields::hello().set(":path", "/test.Kinds/Echo");
        let start = Instant::now();
        // The later deadline first, and one that will not pass.
        let begun = ["200m", "100m", "1H"].map(|timeout| {
            let stream = connection.begin(&echo.clone().with("grpc-timeout", timeout));
            connection.send([data(stream, named_on_the_wire("Joe", 0))]);
            stream
        });
        for stream in begun {
            connection.until("the answer has begun", |connection| (!connection.so_far(stream).blocks.is_empty()).then_some(()));
        }
        eventually("the handlers are dropped whose time is over", || (running.n() == 1).then_some(()));
        assert!(start.elapsed() >= Duration::from_millis(200), "{:?}", start.elapsed());
        assert!(begun.iter().all(|stream| connection.so_far(*stream).body.is_empty()), "the window was shut all the while");
        connection.send(begun.map(|stream| window_update(stream, 1000)));
        for stream in &begun[..2] {
            let response = connection.response(*stream);
            assert_eq!((response.grpc(), response.body.len()), (Some(status::DEADLINE_EXCEEDED), 5 + 2 + "Joe".len()), "{response:?}");
        }
        connection.until("the other call's answer comes", |connection| (!connection.so_far(begun[2]).body.is_empty()).then_some(()));
        connection.send([data(begun[2], []).end()]);
        assert_eq!(connection.response(begun[2]).grpc(), Some(status::OK));
    });
}

fn panics_cost_their_call_alone(runtime: &str) {
    on_each_engine(runtime, async |Case { channel, addr, .. }| {
        let bystander = {
            let channel = channel.clone();
            ::tokio::spawn(async move { call(&channel, UNARY, tonic::Request::new(named("bystander", 100))).await })
        };
        for name in ["panic at once", "panic in drop"] {
            let status = call(channel, UNARY, tonic::Request::new(named(name, 0))).await.unwrap_err();
            assert_eq!((status.code(), status.message()), (Code::Internal, "the handler panicked"), "{name}");
        }
        let mut connection = Connection::open(*addr, &[]);
        let fields = Fields::hello().set(":path", UNARY).with("grpc-timeout", "10m");
        let stream = connection.request(&fields, &named_on_the_wire("panic when cancelled", 30_000));
        assert_eq!(connection.response(stream).grpc(), Some(status::DEADLINE_EXCEEDED));
        let path = http::uri::PathAndQuery::from_static("/test.Kinds/Panic");
        let replies = grpc(channel).await.server_streaming(tonic::Request::new(named("", 0)), path, Codec::default()).await.unwrap();
        let mut replies = replies.into_inner();
        for n in 0..2 {
            assert_eq!(replies.message().await.unwrap().unwrap().message, n.to_string());
        }
        assert_eq!(replies.message().await.unwrap_err().code(), Code::Internal);
        assert!(bystander.await.unwrap().is_ok());
    });
}

/// 20 MB each way, with a reader that starts late.
fn a_long_exchange_is_whole(runtime: &str) {
    const N: usize = 200;
    on_each_engine(runtime, async |Case { channel, .. }| {
        let name = "x".repeat(100_000);
        let request = named(&name, 0);
        let requests = stream::iter((0..N).map(move |_| request.clone()));
        let path = http::uri::PathAndQuery::from_static("/test.Kinds/Echo");
        let replies = grpc(channel).await.streaming(tonic::Request::new(requests), path, Codec::default()).await.unwrap();
        let mut replies = replies.into_inner();
        // Until it reads both directions stand still, at their windows.
        ::tokio::time::sleep(Duration::from_millis(20)).await;
        let mut n = 0;
        while let Some(reply) = replies.message().await.unwrap() {
            assert_eq!(reply.message.len(), name.len());
            n += 1;
        }
        assert_eq!(n, N);
    });
}

fn a_message_may_be_larger_than_a_window(runtime: &str) {
    on_each_engine(runtime, async |Case { channel, .. }| {
        // The window has 1 MiB.
        let name = "x".repeat(4_000_000);
        let reply = call(channel, UNARY, tonic::Request::new(named(&name, 0))).await.unwrap().into_inner();
        assert_eq!(reply.message.len(), name.len() + ", 1".len());
        let requests = stream::iter([named(&name, 0), named(&name, 0)]);
        let path = http::uri::PathAndQuery::from_static("/test.Kinds/Count");
        let reply = grpc(channel).await.client_streaming(tonic::Request::new(requests), path, Codec::default()).await.unwrap();
        assert_eq!(reply.into_inner().message, (2 * name.len()).to_string());
        let status = call(channel, UNARY, tonic::Request::new(named(&"x".repeat(4 << 20), 0))).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    });
}

fn a_client_that_cancels_a_stream_ends_its_handler(runtime: &str) {
    on_each_engine(runtime, async |Case { addr, running, .. }| {
        let mut connection = Connection::open(*addr, &[]);
        let stream = connection.begin(&Fields::hello().set(":path", "/test.Kinds/Echo"));
        connection.send([data(stream, named_on_the_wire("first", 0)).open()]);
        connection.until("the first reply", |connection| (!connection.so_far(stream).body.is_empty()).then_some(()));
        assert_eq!(running.n(), 1);
        connection.send([rst_stream(stream, code::CANCEL)]);
        eventually("the handler is dropped", || (running.n() == 0).then_some(()));
    });
}

fn compressed_messages_of_a_stream_are_read(runtime: &str) {
    on_each_engine(runtime, async |Case { addr, .. }| {
        let mut connection = Connection::open(*addr, &[]);
        let plain = named_on_the_wire("Joe", 0);
        let bomb = vec![0; 10_000_000];
        for (encoding, compress) in [("gzip", gzip as Compress), ("deflate", deflate), ("zstd", zstd)] {
            let (message, bomb) = (compress(&plain[5..]), compress(&bomb));
            let fields = Fields::hello().set(":path", "/test.Kinds/Count").with("grpc-encoding", encoding);
            let stream = connection.request(&fields, &[&plain[..], &prefixed(1, &message), &plain].concat());
            assert_eq!(connection.response(stream).greeting(), "9");
            for (bad, grpc) in [(&message[1..], status::INTERNAL), (&bomb, status::RESOURCE_EXHAUSTED)] {
                let stream = connection.request(&fields, &[&plain[..], &prefixed(1, bad)].concat());
                assert_eq!(connection.response(stream).grpc(), Some(grpc), "{encoding}");
            }
        }
    });
}
