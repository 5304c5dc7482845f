//! Calls of every kind, by tonic's generated client over our channel, on each loop, against either engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use loopswap::client::Channel;
use loopswap::greeter::{GreeterClient, HelloRequest};
use loopswap::rt::{self, sleep, spawn_local};
use rustix::process::Signal;
use tonic::metadata::MetadataValue;
use tonic::{Code, Request};

use super::{channel, endpoint, on_loop};
use crate::examples::example;
use crate::support::{PATIENCE, Puppet, serve_puppet, served};
use testing::test_service_client::TestServiceClient;
use testing::{EchoStatus, Empty, Payload, ResponseParameters, SimpleRequest, StreamingInputCallRequest, StreamingOutputCallRequest};

mod testing {
    #![allow(dead_code, missing_docs, unreachable_pub, reason = "generated")]
    loopswap::include_proto!("grpc.testing");
}

crate::on_every_loop!(
    unary,
    client_streaming,
    server_streaming,
    both_streaming_in_turn,
    metadata_and_trailers,
    statuses,
    a_thousand_calls_at_once,
    messages_larger_than_windows,
    a_slow_reader_holds_the_server_back,
    a_slow_server_holds_the_source_back,
    dropped_calls_are_cancelled,
    deadlines_are_told_and_kept,
    a_source_that_fails_or_panics_ends_its_call_alone,
    is_refused_on_another_thread,
);

type Client = TestServiceClient<Channel>;

/// Runs a case on this loop against the example `interop` on either engine, which afterwards has no call left.
fn with_client(runtime: &'static str, case: impl AsyncFn(Client) + Copy + 'static) {
    for engine in ["native", "hyper"] {
        let mut server = served(example("interop").args(["--runtime", runtime, "--http2", engine, "--port=0"]));
        let addr = server.addr();
        on_loop(runtime, async move || {
            let channel = channel(addr);
            case(TestServiceClient::new(channel.clone())).await;
            channel.close().await;
        });
        server.signal(Signal::TERM);
        assert_eq!(server.wait().code(), Some(0), "{engine}: nothing had to be cut");
    }
}

fn zeros(n: usize) -> Option<Payload> {
    Some(Payload { r#type: 0, body: vec![0; n] })
}

fn wants(sizes: &[i32], n_bytes: usize) -> StreamingOutputCallRequest {
    let response_parameters = sizes.iter().map(|size| ResponseParameters { size: *size, ..Default::default() }).collect();
    StreamingOutputCallRequest { response_parameters, payload: zeros(n_bytes), ..Default::default() }
}

async fn next_size(responses: &mut tonic::Streaming<testing::StreamingOutputCallResponse>) -> Option<usize> {
    let response = responses.message().await.expect("no error")?;
    Some(response.payload.expect("a payload").body.len())
}

fn unary(runtime: &'static str) {
    with_client(runtime, async |mut client| {
        assert_eq!(client.empty_call(Empty {}).await.expect("it answers").into_inner(), Empty {});
        let request = SimpleRequest { response_size: 314_159, payload: zeros(271_828), ..Default::default() };
        let response = client.unary_call(request).await.expect("it answers").into_inner();
        assert_eq!(response.payload, zeros(314_159));
    });
}

fn client_streaming(runtime: &'static str) {
    with_client(runtime, async |mut client| {
        let requests = [27_182, 8, 1_828, 45_904].map(|n| StreamingInputCallRequest { payload: zeros(n), ..Default::default() });
        let response = client.streaming_input_call(stream::iter(requests)).await.expect("it answers");
        assert_eq!(response.into_inner().aggregated_payload_size, 74_922);
        // None at all, and some that come when they like.
        assert_eq!(client.streaming_input_call(stream::empty()).await.expect("it answers").into_inner().aggregated_payload_size, 0);
        let slow = stream::iter(1..=3).then(async |n| {
            sleep(Duration::from_millis(2)).await;
            StreamingInputCallRequest { payload: zeros(n), ..Default::default() }
        });
        assert_eq!(client.streaming_input_call(slow).await.expect("it answers").into_inner().aggregated_payload_size, 6);
    });
}

fn server_streaming(runtime: &'static str) {
    with_client(runtime, async |mut client| {
        let mut responses = client.streaming_output_call(wants(&[31_415, 9, 2_653, 58_979], 0)).await.expect("it answers").into_inner();
        for size in [31_415, 9, 2_653, 58_979] {
            assert_eq!(next_size(&mut responses).await, Some(size));
        }
        assert_eq!(next_size(&mut responses).await, None);
        let mut responses = client.streaming_output_call(wants(&[], 0)).await.expect("it answers").into_inner();
        assert_eq!(next_size(&mut responses).await, None);
    });
}

fn both_streaming_in_turn(runtime: &'static str) {
    with_client(runtime, async |mut client| {
        let (requests, outgoing) = ::tokio::sync::mpsc::channel(1);
        let outgoing = stream::unfold(outgoing, async |mut outgoing| outgoing.recv().await.map(|request| (request, outgoing)));
        let mut responses = client.full_duplex_call(outgoing).await.expect("it answers before the first request").into_inner();
        for (wanted, n_bytes) in [(31_415, 27_182), (9, 8), (2_653, 1_828), (58_979, 45_904)] {
            requests.send(wants(&[wanted], n_bytes)).await.expect("the call goes on");
            assert_eq!(next_size(&mut responses).await, Some(wanted as usize));
        }
        drop(requests);
        assert_eq!(next_size(&mut responses).await, None);
    });
}

fn metadata_and_trailers(runtime: &'static str) {
    const INITIAL: &str = "x-grpc-test-echo-initial";
    const TRAILING: &str = "x-grpc-test-echo-trailing-bin";
    with_client(runtime, async |mut client| {
        let mut request = Request::new(stream::iter([wants(&[1], 1)]));
        request.metadata_mut().insert(INITIAL, MetadataValue::from_static("as it was"));
        request.metadata_mut().insert_bin(TRAILING, MetadataValue::from_bytes(b"\xab\x00\xff"));
        let response = client.full_duplex_call(request).await.expect("it answers");
        assert_eq!(response.metadata().get(INITIAL).expect("echoed"), "as it was");
        assert!(response.metadata().get_bin(TRAILING).is_none(), "not before the end");
        let mut responses = response.into_inner();
        while next_size(&mut responses).await.is_some() {}
        let trailers = responses.trailers().await.expect("no error").expect("trailers");
        assert_eq!(trailers.get_bin(TRAILING).expect("echoed").to_bytes().expect("base64"), &b"\xab\x00\xff"[..]);
    });
}

fn statuses(runtime: &'static str) {
    with_client(runtime, async |mut client| {
        let message = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n";
        let response_status = Some(EchoStatus { code: 2, message: message.into() });
        let request = SimpleRequest { response_status: response_status.clone(), ..Default::default() };
        let status = client.unary_call(request).await.expect_err("it fails as it was told");
        assert_eq!((status.code(), status.message()), (Code::Unknown, message));
        let request = StreamingOutputCallRequest { response_status, ..wants(&[], 0) };
        let mut responses = client.full_duplex_call(stream::iter([wants(&[7], 0), request])).await.expect("it begins").into_inner();
        assert_eq!(next_size(&mut responses).await, Some(7));
        let status = responses.message().await.expect_err("it fails as it was told");
        assert_eq!((status.code(), status.message()), (Code::Unknown, message));
        assert_eq!(client.unimplemented_call(Empty {}).await.expect_err("it fails").code(), Code::Unimplemented);
    });
}

/// Far more than the server allows at a time: the others wait.
fn a_thousand_calls_at_once(runtime: &'static str) {
    with_client(runtime, async |client| {
        let calls: Vec<_> = (0..1000)
            .map(|n| {
                let mut client = client.clone();
                spawn_local(async move {
                    let request = SimpleRequest { response_size: n, ..Default::default() };
                    client.unary_call(request).await.map(|response| response.into_inner().payload.expect("a payload").body.len())
                })
            })
            .collect();
        for (n, call) in calls.into_iter().enumerate() {
            assert_eq!(call.await.expect("no panic").expect("it answers"), n);
        }
    });
}

fn messages_larger_than_windows(runtime: &'static str) {
    with_client(runtime, async |client| {
        let mut client = client.max_decoding_message_size(16 << 20);
        let mut responses = client.streaming_output_call(wants(&[8 << 20, 1, 3 << 20], 0)).await.expect("it answers").into_inner();
        for size in [8 << 20, 1, 3 << 20] {
            assert_eq!(next_size(&mut responses).await, Some(size));
        }
        let request = StreamingInputCallRequest { payload: zeros(3 << 20), ..Default::default() };
        let response = client.streaming_input_call(stream::iter([request.clone(), request])).await.expect("it answers");
        assert_eq!(response.into_inner().aggregated_payload_size, 6 << 20);
    });
}

/// A reader that does not read costs a window, not all that the server has; and other calls on the connection go on.
fn a_slow_reader_holds_the_server_back(runtime: &'static str) {
    with_client(runtime, async |mut client| {
        let (sent, n_bytes) = (64, 256 * 1024);
        let mut slow = client.streaming_output_call(wants(&vec![n_bytes; sent], 0)).await.expect("it answers").into_inner();
        for _ in 0..20 {
            client.empty_call(Empty {}).await.expect("another call is not held back");
        }
        for _ in 0..sent {
            assert_eq!(next_size(&mut slow).await, Some(n_bytes as usize));
        }
        assert_eq!(next_size(&mut slow).await, None);
    });
}

/// The server answers nothing and reads nothing more once its own answers find no reader: the source of requests is not drained without bound.
fn a_slow_server_holds_the_source_back(runtime: &'static str) {
    with_client(runtime, async |mut client| {
        let n_taken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&n_taken);
        let source = stream::iter(0..4096).map(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            wants(&[64 * 1024], 64 * 1024)
        });
        let mut responses = client.full_duplex_call(source).await.expect("it answers").into_inner();
        // Until nothing moves any more.
        let (mut taken, mut n_quiet) = (0, 0);
        while n_quiet < 20 {
            sleep(Duration::from_millis(5)).await;
            let now = n_taken.load(Ordering::SeqCst);
            n_quiet = if now == taken { n_quiet + 1 } else { 0 };
            taken = now;
        }
        assert!(taken < 400, "{taken} messages of 64 KiB were taken from the source while nobody read");
        assert_eq!(next_size(&mut responses).await, Some(64 * 1024));
    });
}

fn dropped_calls_are_cancelled(runtime: &'static str) {
    for engine in ["native", "hyper"] {
        let (server, puppet) = serve_puppet(runtime, |builder| builder.http2(engine.parse().expect("an engine")));
        let addr = server.local_addr().clone();
        let Puppet { begun, ended } = puppet;
        on_loop(runtime, async move || {
            let client = GreeterClient::new(channel(addr));
            let calls: Vec<_> = (0..20)
                .map(|_| {
                    let mut client = client.clone();
                    spawn_local(async move { client.say_hello(HelloRequest { name: "Joe".into(), sleep_millisecond: 3_600_000 }).await })
                })
                .collect();
            while *begun.lock().unwrap() < 20 {
                sleep(Duration::from_millis(1)).await;
            }
            assert!(ended.lock().unwrap().is_empty());
            calls.iter().for_each(rt::Task::abort);
            while ended.lock().unwrap().len() < 20 {
                sleep(Duration::from_millis(1)).await;
            }
            // The connection lives on.
            client.clone().say_hello(HelloRequest { name: "Joe".into(), sleep_millisecond: 0 }).await.expect("it answers");
        });
    }
}

fn deadlines_are_told_and_kept(runtime: &'static str) {
    for engine in ["native", "hyper"] {
        let (server, puppet) = serve_puppet(runtime, |builder| builder.http2(engine.parse().expect("an engine")));
        let addr = server.local_addr().clone();
        on_loop(runtime, async move || {
            let hour = || HelloRequest { name: "Joe".into(), sleep_millisecond: 3_600_000 };
            let start = Instant::now();
            // The call's own, and the endpoint's where that is shorter.
            let mut own = Request::new(hour());
            own.set_timeout(Duration::from_millis(50));
            let status = GreeterClient::new(channel(&addr)).say_hello(own).await.expect_err("it is late");
            assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
            assert!(start.elapsed() >= Duration::from_millis(50));
            let mut longer = Request::new(hour());
            longer.set_timeout(Duration::from_secs(3600));
            let hasty = endpoint(&addr).timeout(Duration::from_millis(50)).connect_lazy().expect("a loop runs");
            let status = GreeterClient::new(hasty).say_hello(longer).await.expect_err("it is late");
            assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
            assert!(start.elapsed() < PATIENCE / 2);
            while puppet.ended.lock().unwrap().len() < 2 {
                sleep(Duration::from_millis(1)).await;
            }
        });
    }
}

fn a_source_that_fails_or_panics_ends_its_call_alone(runtime: &'static str) {
    with_client(runtime, async |mut client| {
        let panics = stream::iter(0..2).map(|n| if n == 0 { wants(&[1], 0) } else { panic!("as the test wishes") });
        let mut responses = match client.full_duplex_call(panics).await {
            Ok(response) => response.into_inner(),
            Err(status) => return assert_eq!(status.code(), Code::Internal),
        };
        let status = loop {
            match responses.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the call has ended well"),
                Err(status) => break status,
            }
        };
        assert_eq!((status.code(), status.message()), (Code::Internal, "the source of the request's messages panicked"));
        client.empty_call(Empty {}).await.expect("the connection lives");
    });
}

/// A channel may be held anywhere, and used on its own thread only: elsewhere a call says so.
fn is_refused_on_another_thread(runtime: &'static str) {
    let (server, _) = serve_puppet(runtime, |builder| builder);
    let addr = server.local_addr().clone();
    on_loop(runtime, async move || {
        let channel = channel(addr);
        let mut elsewhere = GreeterClient::new(channel.clone());
        let status = rt::offload(move || {
            let request = HelloRequest { name: "Joe".into(), sleep_millisecond: 0 };
            crate::support::block_on(async move { elsewhere.say_hello(request).await.expect_err("it is not its thread") })
        })
        .await;
        assert_eq!(status.code(), Code::Internal);
        assert!(status.message().contains("another thread"), "{status:?}");
        GreeterClient::new(channel)
            .say_hello(HelloRequest { name: "Joe".into(), sleep_millisecond: 0 })
            .await
            .expect("here it is used well");
    });
}
