//! A service that was written for tonic, with its interceptor, compression, health and reflection: it answers the same on tonic's own server and, when nothing
//! but its start-up is changed, on every loop and engine. The guide shows that change.

use std::fs;
use std::net::SocketAddr;

use depot::depot_client::DepotClient;
use depot::{Prefix, Receipt, Stock, Thing};
use futures_util::{StreamExt, TryStreamExt, stream};
use rustix::process::Signal;
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataValue;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::{v1, v1alpha};

use crate::examples::example;
use crate::support::{block_on, served};

crate::on_every_loop!(it_runs_after_its_start_up_is_changed);

mod depot {
    #![allow(dead_code, missing_docs, unreachable_pub, reason = "generated")]
    loopswap::include_proto!("depot");
}

#[test]
fn it_runs_on_tonic() {
    let server = served(example("from_tonic_before").arg("127.0.0.1:0")).foreign();
    block_on(uses_all_of_it(server.addr()));
}

fn it_runs_after_its_start_up_is_changed(runtime: &str) {
    for engine in ["native", "hyper"] {
        let mut server = served(example("from_tonic").args(["127.0.0.1:0", runtime, engine]));
        block_on(uses_all_of_it(server.addr()));
        server.signal(Signal::TERM);
        assert_eq!(server.wait().code(), Some(0), "{engine}: {}", server.stderr().so_far());
    }
}

type Client = DepotClient<InterceptedService<Channel, fn(Request<()>) -> Result<Request<()>, Status>>>;

fn with_token(mut request: Request<()>) -> Result<Request<()>, Status> {
    request.metadata_mut().insert("authorization", MetadataValue::from_static("Bearer storekeeper"));
    Ok(request)
}

fn stock(name: &str, amount: u64) -> Stock {
    Stock { name: name.into(), amount }
}

async fn uses_all_of_it(addr: SocketAddr) {
    let channel = Endpoint::from_shared(format!("http://{addr}")).unwrap().connect().await.unwrap();
    refuses_strangers(channel.clone()).await;
    let mut client: Client = DepotClient::with_interceptor(channel.clone(), with_token);
    serves_every_kind(&mut client).await;
    serves_long_exchanges(&mut client).await;
    compresses_both_ways(channel.clone()).await;
    is_healthy(channel.clone()).await;
    tells_what_it_serves(channel).await;
}

async fn refuses_strangers(channel: Channel) {
    let status = DepotClient::new(channel).count(Thing { name: "nut".into() }).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unauthenticated, "who are you?"));
}

async fn serves_every_kind(client: &mut Client) {
    let stocks = [stock("nut", 3), stock("nail", 5), stock("bolt", 2), stock("nut", 4)];
    let receipt = client.store(stream::iter(stocks)).await.unwrap().into_inner();
    assert_eq!(receipt, Receipt { amount: 14, by: "the storekeeper".into() }, "the interceptor told who calls");
    assert_eq!(client.count(Thing { name: "nut".into() }).await.unwrap().into_inner(), stock("nut", 7));
    let status = client.count(Thing { name: "glue".into() }).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::NotFound, "there never was any"));
    let list = client.list(Prefix { text: "n".into() }).await.unwrap().into_inner();
    assert_eq!(list.try_collect::<Vec<_>>().await.unwrap(), [stock("nail", 5), stock("nut", 7)]);
    let picked = client.pick(stream::iter([stock("nail", 4), stock("nail", 4), stock("glue", 1)])).await.unwrap().into_inner();
    assert_eq!(picked.try_collect::<Vec<_>>().await.unwrap(), [stock("nail", 4), stock("nail", 1), stock("glue", 0)]);
}

/// More than windows and channels hold, each answer awaited before the next request is made; and one that is given up midway.
async fn serves_long_exchanges(client: &mut Client) {
    let n = 1000;
    client.store(stream::iter([stock("screw", n)])).await.unwrap();
    let (sender, requests) = ::tokio::sync::mpsc::channel(1);
    let requests = stream::unfold(requests, |mut requests| async { Some((requests.recv().await?, requests)) });
    let mut picked = client.pick(requests).await.unwrap().into_inner();
    for i in 0..n {
        sender.send(stock("screw", 1)).await.unwrap();
        assert_eq!(picked.message().await.unwrap(), Some(stock("screw", 1)), "the {i}th");
    }
    drop(picked);
    let requests = stream::repeat(stock("screw", 1)).take(n as usize);
    let picked = client.pick(requests).await.unwrap().into_inner();
    let amounts: Vec<_> = picked.map_ok(|stock| stock.amount).try_collect().await.unwrap();
    assert_eq!((amounts.len(), amounts.iter().sum::<u64>()), (n as usize, 0), "all were taken before");
    let things = (0..n).map(|i| stock(&format!("thing {i:04} {}", "x".repeat(200)), i));
    client.store(stream::iter(things)).await.unwrap();
    let list = client.list(Prefix { text: "thing".into() }).await.unwrap().into_inner();
    assert_eq!(list.map_ok(|stock| stock.amount).try_collect::<Vec<_>>().await.unwrap(), (0..n).collect::<Vec<_>>());
}

async fn compresses_both_ways(channel: Channel) {
    let client: Client = DepotClient::with_interceptor(channel, with_token);
    let mut client = client.send_compressed(CompressionEncoding::Gzip).accept_compressed(CompressionEncoding::Gzip);
    client.store(stream::iter([stock(&"z".repeat(10_000), 1), stock(&"z".repeat(20_000), 2)])).await.unwrap();
    let list = client.list(Prefix { text: "z".into() }).await.unwrap();
    assert_eq!(list.metadata().get("grpc-encoding").map(|encoding| encoding.as_bytes()), Some(&b"gzip"[..]));
    let amounts: Vec<_> = list.into_inner().map_ok(|stock| (stock.name.len(), stock.amount)).try_collect().await.unwrap();
    assert_eq!(amounts, [(10_000, 1), (20_000, 2)]);
}

async fn is_healthy(channel: Channel) {
    let mut health = HealthClient::new(channel);
    let request = HealthCheckRequest { service: "depot.Depot".into() };
    let status = health.check(request.clone()).await.unwrap().into_inner().status;
    assert_eq!(status, ServingStatus::Serving as i32);
    let mut watch = health.watch(request).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status, ServingStatus::Serving as i32);
    let status = health.check(HealthCheckRequest { service: "no.Such".into() }).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
}

/// By reflection, both versions of it.
macro_rules! reflected {
    ($version:ident, $channel:expr) => {{
        use $version::server_reflection_client::ServerReflectionClient;
        use $version::server_reflection_request::MessageRequest;
        use $version::server_reflection_response::MessageResponse;
        let ask = |question| $version::ServerReflectionRequest { host: String::new(), message_request: Some(question) };
        let questions = [MessageRequest::ListServices(String::new()), MessageRequest::FileContainingSymbol("depot.Depot".into())];
        let mut client = ServerReflectionClient::new($channel);
        let answers = client.server_reflection_info(stream::iter(questions.map(ask))).await.unwrap().into_inner();
        let answers: Vec<_> = answers.map_ok(|answer| answer.message_response.unwrap()).try_collect().await.unwrap();
        let [MessageResponse::ListServicesResponse(services), MessageResponse::FileDescriptorResponse(files)] = &answers[..] else {
            panic!("{answers:?}");
        };
        let names: Vec<_> = services.service.iter().map(|service| service.name.as_str()).collect();
        assert!(names.contains(&"depot.Depot"), "{names:?}");
        assert_eq!(files.file_descriptor_proto.len(), 1);
    }};
}

async fn tells_what_it_serves(channel: Channel) {
    reflected!(v1, channel.clone());
    reflected!(v1alpha, channel);
}

/// The guide's diff is that of the two examples: without its `+` lines it is the end of one, without its `-` lines that of the other.
#[test]
fn the_guide_shows_what_is_changed() {
    let read =
        |path: &str| fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap_or_else(|error| panic!("{path}: {error}"));
    let guide = read("docs/guide/from-tonic.md");
    let diff = guide.split("```diff\n").nth(1).and_then(|rest| rest.split("```").next()).expect("the guide has a diff");
    for (path, left_out) in [("examples/from_tonic/before.rs", '+'), ("examples/from_tonic/after.rs", '-')] {
        let shown: String =
            diff.lines().filter(|line| !line.starts_with(left_out)).map(|line| format!("{}\n", line.get(1..).unwrap_or(""))).collect();
        let code = read(path);
        let start = code.find("use std::error::Error;").expect("its first line of code");
        assert_eq!(shown, code[start..], "{path}");
    }
}
