//! Calls are counted: each once, under its method and the code that it ended with, whatever ended it.

use std::net::SocketAddr;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use futures_util::{StreamExt, stream};
use loopswap::greeter::stock::greeter_server::GreeterServer as TonicGreeterServer;
use loopswap::greeter::{GreeterServer, Hello, HelloReply, HelloRequest};
use loopswap::{Http2, LocalService, Methods, Replies, Request, Response, Router, Server, Status, Streaming, TextFormat};
use tonic::Code;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic_prost::ProstCodec;

use crate::leaks;
use crate::raw::{Connection, Fields, code, hello as on_the_wire, rst_stream, status};
use crate::support::{block_on, eventually};

use super::scrape::{Metrics, scrape, serve_measured, serve_measured_by};

crate::on_every_loop_and_engine!(
    are_what_was_called_while_they_are_scraped,
    a_call_that_is_cancelled_leaves_flight,
    unknown_methods_have_one_label,
    every_kind_of_method_is_counted_by_its_messages,
    methods_of_tonic_are_told_apart_once_they_answer,
);

const METHOD: [(&str, &str); 3] = [("grpc_type", "unary"), ("grpc_service", "helloworld.Greeter"), ("grpc_method", "SayHello")];

/// How many calls of the Greeter have ended with this code.
fn handled(metrics: &Metrics, code: &str) -> f64 {
    metrics.sum("grpc_server_handled_total", &[&METHOD[..], &[("grpc_code", code)]].concat())
}

/// What must hold at any time when nothing is under way.
fn assert_whole(metrics: &Metrics) {
    for (labels, started) in metrics.of("grpc_server_started_total", &[]) {
        let labels: Vec<_> = labels.iter().map(|(label, value)| (label.as_str(), value.as_str())).collect();
        let sum = |name: &str| metrics.sum(name, &labels);
        assert_eq!(sum("grpc_server_handled_total"), started, "{labels:?}");
        assert_eq!(sum("grpc_server_handling_seconds_count"), started, "{labels:?}");
        assert_eq!(sum("grpc_server_in_flight"), 0.0, "{labels:?}");
        let buckets: Vec<_> =
            metrics.of("grpc_server_handling_seconds_bucket", &labels).map(|(labels, n)| (labels["le"].clone(), n)).collect();
        assert_eq!(buckets.last().map(|(le, n)| (le.as_str(), *n)), Some(("+Inf", started)), "{labels:?}");
        assert!(buckets.is_sorted_by(|(_, a), (_, b)| a <= b), "{buckets:?}");
        assert_eq!(buckets.len(), 17);
    }
}

fn are_what_was_called_while_they_are_scraped(runtime: &str, engine: &str) {
    let (server, metrics) = serve_measured_by(2, runtime, engine, &[]);
    const N_CLIENTS: usize = 4;
    const N_ROUNDS: usize = 25;
    let addr = server.addr();
    let start = Instant::now();
    let load: Vec<_> = (0..N_CLIENTS).map(|_| thread::spawn(move || one_client(addr, N_ROUNDS))).collect();
    let mut last = 0.0;
    while !load.iter().all(JoinHandle::is_finished) {
        let started = scrape(metrics).sum("grpc_server_started_total", &METHOD);
        assert!(started >= last, "a counter goes back from {last} to {started}");
        last = started;
    }
    load.into_iter().for_each(|client| client.join().expect("all calls ended as they should"));
    let each = (N_CLIENTS * N_ROUNDS) as f64;
    let found = scrape(metrics);
    for code in ["OK", "InvalidArgument", "DeadlineExceeded"] {
        assert_eq!(handled(&found, code), each, "{code}");
    }
    assert_eq!(found.sum("grpc_server_started_total", &METHOD), 3.0 * each);
    // On a busy machine the message of a late call may come behind its deadline.
    let n_received = found.sum("grpc_server_msg_received_total", &METHOD);
    assert!((2.0 * each..=3.0 * each).contains(&n_received), "{n_received}");
    assert_eq!(found.sum("grpc_server_msg_sent_total", &METHOD), each);
    // Of the deadlines alone: they take 5 ms and more.
    let within = |le: &str| found.sum("grpc_server_handling_seconds_bucket", &[&METHOD[..], &[("le", le)]].concat());
    assert!(within("0.0025") <= 2.0 * each, "{found:?}");
    let seconds = found.sum("grpc_server_handling_seconds_sum", &METHOD);
    assert!(seconds >= 0.005 * each);
    assert!(seconds <= (2 * N_CLIENTS) as f64 * start.elapsed().as_secs_f64(), "a client has two calls at a time, at most: {seconds} s");
    assert_whole(&found);
    // Two workers, each with figures of its own, and of this loop.
    for worker in ["0", "1"] {
        assert_eq!(found.of("grpc_server_started_total", &[&METHOD[..], &[("loop", runtime), ("worker", worker)]].concat()).count(), 1);
    }
    assert_eq!(found.sum("loopswap_connections_accepted_total", &[]), N_CLIENTS as f64);
    assert!(found.sum("loopswap_received_bytes_total", &[]) > 3.0 * each * 10.0);
    assert!(found.sum("loopswap_sent_bytes_total", &[]) > 3.0 * each * 10.0);
    eventually("the connections are gone", || (scrape(metrics).sum("loopswap_connections_open", &[]) == 0.0).then_some(()));
    // The process is there, too.
    assert!(found.sum("process_resident_memory_bytes", &[]) > 1e6);
    assert!((found.sum("process_open_fds", &[]) - server.n_fds() as f64).abs() < 20.0);
}

/// In each round a good call, a bad one and a late one.
fn one_client(addr: SocketAddr, n_rounds: usize) {
    let mut connection = Connection::open(addr, &[]);
    for _ in 0..n_rounds {
        connection.greets();
        let bad = connection.hello("Joe", -1);
        let late = connection.request(&Fields::hello().with("grpc-timeout", "5m"), &on_the_wire("Joe", 60_000));
        assert_eq!(connection.response(bad).grpc(), Some(status::INVALID_ARGUMENT));
        assert_eq!(connection.response(late).grpc(), Some(status::DEADLINE_EXCEEDED));
    }
}

fn a_call_that_is_cancelled_leaves_flight(runtime: &str, engine: &str) {
    let (server, metrics) = serve_measured(runtime, engine, &[]);
    let in_flight = |n: f64| eventually("it is seen", || (scrape(metrics).sum("grpc_server_in_flight", &METHOD) == n).then_some(()));
    let mut connection = Connection::open(server.addr(), &[]);
    let calls = [connection.hello("Joe", 60_000), connection.hello("Jim", 60_000), connection.hello("Jan", 60_000)];
    in_flight(3.0);
    connection.send([rst_stream(calls[1], code::CANCEL)]);
    in_flight(2.0);
    assert_eq!(handled(&scrape(metrics), "Canceled"), 1.0);
    drop(connection);
    in_flight(0.0);
    let found = scrape(metrics);
    assert_eq!(handled(&found, "Canceled"), 3.0);
    assert_whole(&found);
}

/// Neither paths nor services of a peer's invention become labels; nor does what is refused before it has a method.
fn unknown_methods_have_one_label(runtime: &str, engine: &str) {
    let (server, metrics) = serve_measured(runtime, engine, &[]);
    let n_series = scrape(metrics).samples.len();
    let mut connection = Connection::open(server.addr(), &[]);
    const N: usize = 300;
    for n in 0..N {
        let path = [format!("/helloworld.Greeter/No{n}"), format!("/no.Service{n}/SayHello"), format!("/{n}")][n % 3].clone();
        let stream = connection.request(&Fields::hello().set(":path", path), &on_the_wire("Joe", 0));
        assert_eq!(connection.response(stream).grpc(), Some(status::UNIMPLEMENTED));
    }
    let stream = connection.begin(&Fields::hello().set("content-type", "text/html"));
    connection.response(stream);
    let found = scrape(metrics);
    let unknown = [("grpc_service", "unknown"), ("grpc_method", "unknown"), ("grpc_type", "unknown")];
    assert_eq!(found.sum("grpc_server_handled_total", &[&unknown[..], &[("grpc_code", "Unimplemented")]].concat()), N as f64);
    // HTTP 415 is what its client takes for UNKNOWN. Its method is known all the same.
    assert_eq!(handled(&found, "Unknown"), 1.0);
    assert_whole(&found);
    assert_eq!(found.samples.len(), n_series + 2, "a series for each code that is new, and no other");
}

/// A method of each kind.
struct Kinds;

impl LocalService for Kinds {
    const NAME: &'static str = "test.Kinds";

    fn register(self, methods: &mut Methods) {
        methods.client_streaming("Collect", async |mut request: Request<Streaming<HelloRequest>>| {
            let mut names = String::new();
            while let Some(message) = request.get_mut().message().await? {
                names.push_str(&message.name);
            }
            Ok(Response::new(HelloReply { message: names }))
        });
        methods.server_streaming("Repeat", async |request: Request<HelloRequest>, mut replies: Replies<HelloReply>| {
            for _ in 0..request.get_ref().sleep_millisecond {
                replies.send(HelloReply { message: request.get_ref().name.clone() }).await?;
            }
            Err(Status::data_loss("and no more"))
        });
        methods.streaming("Echo", async |mut request: Request<Streaming<HelloRequest>>, mut replies: Replies<HelloReply>| {
            while let Some(message) = request.get_mut().message().await? {
                replies.send(HelloReply { message: message.name }).await?;
            }
            Ok(())
        });
        methods.unary("Panic", async |_: Request<HelloRequest>| -> Result<Response<HelloReply>, Status> { panic!("as the caller wished") });
    }
}

type Client = Grpc<tonic::transport::Channel>;

async fn raw_client(addr: SocketAddr) -> Client {
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{addr}")).expect("an address makes a URI");
    Grpc::new(endpoint.connect().await.expect("it listens"))
}

/// A call with so many messages; how many came back, and the status.
async fn exchange(client: &mut Client, path: &'static str, messages: Vec<HelloRequest>) -> (usize, Code) {
    client.ready().await.expect("it is connected");
    let codec: ProstCodec<HelloRequest, HelloReply> = ProstCodec::default();
    let request = tonic::Request::new(stream::iter(messages));
    let mut answers = match client.streaming(request, PathAndQuery::from_static(path), codec).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => return (0, status.code()),
    };
    let mut n = 0;
    loop {
        match answers.next().await {
            Some(Ok(_)) => n += 1,
            Some(Err(status)) => return (n, status.code()),
            None => return (n, Code::Ok),
        }
    }
}

fn requests(n: usize) -> Vec<HelloRequest> {
    // Of several frames each.
    (0..n).map(|_| HelloRequest { name: "x".repeat(40_000), sleep_millisecond: 5 }).collect()
}

fn every_kind_of_method_is_counted_by_its_messages(runtime: &str, engine: &str) {
    let metrics = loopswap::Metrics::new();
    let builder = Server::builder().listen("127.0.0.1:0").workers(1).http2(engine.parse::<Http2>().unwrap()).metrics(&metrics);
    let server = leaks::host(builder, runtime, |_| Router::new().add(Kinds));
    let addr = server.local_addr().as_tcp().unwrap();
    block_on(async {
        let mut client = raw_client(addr).await;
        assert_eq!(exchange(&mut client, "/test.Kinds/Collect", requests(7)).await, (1, Code::Ok));
        assert_eq!(exchange(&mut client, "/test.Kinds/Repeat", requests(1)).await, (5, Code::DataLoss));
        assert_eq!(exchange(&mut client, "/test.Kinds/Echo", requests(4)).await, (4, Code::Ok));
        assert_eq!(exchange(&mut client, "/test.Kinds/Panic", requests(1)).await, (0, Code::Internal));
    });
    let found = Metrics::parse(&metrics.render(TextFormat::Prometheus));
    for (method, kind, code, received, sent) in [
        ("Collect", "client_stream", "OK", 7.0, 1.0),
        ("Repeat", "server_stream", "DataLoss", 1.0, 5.0),
        ("Echo", "bidi_stream", "OK", 4.0, 4.0),
        ("Panic", "unary", "Internal", 1.0, 0.0),
    ] {
        let labels = [("grpc_service", "test.Kinds"), ("grpc_method", method), ("grpc_type", kind)];
        assert_eq!(found.sum("grpc_server_handled_total", &[&labels[..], &[("grpc_code", code)]].concat()), 1.0, "{method}");
        assert_eq!(found.sum("grpc_server_msg_received_total", &labels), received, "{method}");
        assert_eq!(found.sum("grpc_server_msg_sent_total", &labels), sent, "{method}");
    }
    assert_whole(&found);
}

/// A service of tonic's does not say which methods it has; what a peer asks for becomes a label when the service has answered it with more than an error.
fn methods_of_tonic_are_told_apart_once_they_answer(runtime: &str, engine: &str) {
    let metrics = loopswap::Metrics::new();
    let builder = Server::builder().listen("127.0.0.1:0").workers(1).http2(engine.parse::<Http2>().unwrap()).metrics(&metrics);
    let server = leaks::host(builder, runtime, |_| Router::new().add_tonic(TonicGreeterServer::new(Hello)));
    let mut connection = Connection::open(server.local_addr().as_tcp().unwrap(), &[]);
    let render = || Metrics::parse(&metrics.render(TextFormat::Prometheus));
    // Under way, and not known yet.
    connection.hello("Joe", 60_000);
    let unknown = [("grpc_service", "unknown"), ("grpc_type", "unknown")];
    eventually("it is under way", || (render().sum("grpc_server_in_flight", &unknown) == 1.0).then_some(()));
    for n in 0..100 {
        let fields = Fields::hello().set(":path", format!("/helloworld.Greeter/No{n}"));
        let stream = connection.request(&fields, &on_the_wire("Joe", 0));
        assert_eq!(connection.response(stream).grpc(), Some(status::UNIMPLEMENTED));
    }
    let n_series = render().samples.len();
    for _ in 0..10 {
        connection.greets();
    }
    let stream = connection.hello("Joe", -1);
    assert_eq!(connection.response(stream).grpc(), Some(status::INVALID_ARGUMENT));
    let found = render();
    let known = [("grpc_service", "helloworld.Greeter"), ("grpc_method", "SayHello"), ("grpc_type", "unknown")];
    assert_eq!(found.sum("grpc_server_handled_total", &[&known[..], &[("grpc_code", "OK")]].concat()), 10.0);
    assert_eq!(found.sum("grpc_server_handled_total", &[&known[..], &[("grpc_code", "InvalidArgument")]].concat()), 1.0);
    assert_eq!(found.sum("grpc_server_msg_received_total", &known), 11.0);
    assert_eq!(found.sum("grpc_server_msg_sent_total", &known), 10.0);
    assert_eq!(found.sum("grpc_server_handled_total", &[&unknown[..], &[("grpc_code", "Unimplemented")]].concat()), 100.0);
    assert!(found.samples.len() < n_series + 40, "one method more: {} series, and {n_series} before", found.samples.len());
    drop(connection);
    eventually("nothing is under way", || (render().sum("grpc_server_in_flight", &[]) == 0.0).then_some(()));
    assert_whole(&render());
}

/// What an earlier server has counted is not its successor's.
#[test]
fn metrics_are_of_the_server_that_was_started_last() {
    let metrics = loopswap::Metrics::new();
    for n_calls in [3, 1] {
        let builder = Server::builder().listen("127.0.0.1:0").workers(1).metrics(&metrics);
        let server = leaks::host(builder, "tokio", |_| GreeterServer::new(Hello));
        let mut connection = Connection::open(server.local_addr().as_tcp().unwrap(), &[]);
        (0..n_calls).for_each(|_| connection.greets());
        let found = Metrics::parse(&metrics.render(TextFormat::Prometheus));
        assert_eq!((handled(&found, "OK"), found.of("grpc_server_started_total", &METHOD).count()), (f64::from(n_calls), 1));
        assert_eq!(found.sum("loopswap_serving", &[]), 1.0);
    }
}
