//! Every kind of call over TLS, by tonic's client.

use std::time::Duration;

use futures_util::stream;
use rustix::process::Signal;

use super::pki::Pki;
use super::{connect, greeter, serve_tls, trusting};
use crate::examples::example;
use crate::support::{block_on, eventually, hello, loopswap, output, serve_puppet, served};
use testing::test_service_client::TestServiceClient;
use testing::{Payload, ResponseParameters, SimpleRequest, StreamingInputCallRequest, StreamingOutputCallRequest};

mod testing {
    #![allow(dead_code, missing_docs, unreachable_pub, reason = "generated")]
    loopswap::include_proto!("grpc.testing");
}

crate::on_every_loop_and_engine!(unary, many_at_once, every_kind_and_size, a_slow_reader, over_ipv6_and_unix_sockets, leaks_nothing);

fn unary(runtime: &str, engine: &str) {
    let pki = Pki::new("CA");
    let server = serve_tls(runtime, engine, &pki.server(), &[]);
    block_on(async {
        let mut client = greeter(server.addr(), trusting(&pki)).await;
        for n in 0..10 {
            assert_eq!(hello(&mut client, &n.to_string(), 0).await.unwrap(), format!("Hello, {n}!"));
        }
    });
}

fn many_at_once(runtime: &str, engine: &str) {
    let pki = Pki::new("CA");
    let server = serve_tls(runtime, engine, &pki.server(), &[]);
    block_on(async {
        let mut calls = Vec::new();
        for c in 0..5 {
            let client = greeter(server.addr(), trusting(&pki)).await;
            calls.extend((0..100).map(|n| {
                let mut client = client.clone();
                ::tokio::spawn(async move { (c, n, hello(&mut client, &format!("{c}.{n}"), n % 10).await) })
            }));
        }
        for call in calls {
            let (c, n, reply) = call.await.unwrap();
            assert_eq!(reply.unwrap(), format!("Hello, {c}.{n}!"));
        }
    });
}

fn zeros(n: usize) -> Option<Payload> {
    Some(Payload { r#type: 0, body: vec![0; n] })
}

fn wants(sizes: &[i32], n_bytes: usize) -> StreamingOutputCallRequest {
    let response_parameters = sizes.iter().map(|size| ResponseParameters { size: *size, ..Default::default() }).collect();
    StreamingOutputCallRequest { response_parameters, payload: zeros(n_bytes), ..Default::default() }
}

async fn sizes(responses: &mut tonic::Streaming<testing::StreamingOutputCallResponse>) -> Vec<usize> {
    let mut sizes = Vec::new();
    while let Some(response) = responses.message().await.expect("no error") {
        sizes.push(response.payload.expect("a payload").body.len());
    }
    sizes
}

/// Runs a case with a client of the example `interop`, which has no call left afterwards.
fn with_interop(runtime: &str, engine: &str, case: impl AsyncFnOnce(TestServiceClient<tonic::transport::Channel>)) {
    let pki = Pki::new("CA");
    let identity = pki.server();
    let mut command = example("interop");
    command.args(["--runtime", runtime, "--http2", engine, "--port=0", "--use_tls=true", "--tls_cert_file"]).arg(&identity.certificate);
    command.arg("--tls_key_file").arg(&identity.key);
    let mut server = served(&mut command);
    block_on(async { case(TestServiceClient::new(connect(server.addr(), trusting(&pki)).await.expect("TLS is agreed"))).await });
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0), "nothing had to be cut");
}

/// Sizes below, at and beyond those of records (16 KiB), of what a receive lends (64 KiB), and of windows.
fn every_kind_and_size(runtime: &str, engine: &str) {
    const SIZES: [i32; 8] = [0, 1, 16_383, 16_384, 16_385, 65_537, 300_000, 3_000_000];
    with_interop(runtime, engine, async |mut client| {
        for n in SIZES {
            let request = SimpleRequest { response_size: n, payload: zeros(n as usize), ..Default::default() };
            let response = client.unary_call(request).await.expect("it answers").into_inner();
            assert_eq!(response.payload.expect("a payload").body.len(), n as usize);
        }
        let requests = SIZES.map(|n| StreamingInputCallRequest { payload: zeros(n as usize), ..Default::default() });
        let response = client.streaming_input_call(stream::iter(requests)).await.expect("it answers").into_inner();
        assert_eq!(response.aggregated_payload_size, SIZES.iter().sum::<i32>());
        let mut responses = client.streaming_output_call(wants(&SIZES, 0)).await.expect("it answers").into_inner();
        assert_eq!(sizes(&mut responses).await, SIZES.map(|n| n as usize));
        let (sender, requests) = ::tokio::sync::mpsc::channel(1);
        let requests = stream::unfold(requests, |mut requests| async { Some((requests.recv().await?, requests)) });
        let mut responses = client.full_duplex_call(requests).await.expect("it answers").into_inner();
        for n in SIZES {
            sender.send(wants(&[n], n as usize)).await.expect("the call goes on");
            let response = responses.message().await.expect("no error").expect("a response");
            assert_eq!(response.payload.expect("a payload").body.len(), n as usize);
        }
        drop(sender);
        assert!(responses.message().await.expect("no error").is_none());
    });
}

/// It gets all, and the others are served meanwhile.
fn a_slow_reader(runtime: &str, engine: &str) {
    with_interop(runtime, engine, async |mut client| {
        let many = vec![100_000; 100];
        let mut responses = client.streaming_output_call(wants(&many, 0)).await.expect("it answers").into_inner();
        for n in 0..100 {
            if n % 10 == 0 {
                ::tokio::time::sleep(Duration::from_millis(20)).await;
                let response = client.unary_call(SimpleRequest { response_size: 1, ..Default::default() }).await.expect("it answers");
                assert_eq!(response.into_inner().payload.expect("a payload").body.len(), 1);
            }
            let response = responses.message().await.expect("no error").expect("a response");
            assert_eq!(response.payload.expect("a payload").body.len(), 100_000);
        }
        assert!(responses.message().await.expect("no error").is_none());
    });
}

fn over_ipv6_and_unix_sockets(runtime: &str, engine: &str) {
    let pki = Pki::new("CA");
    let folder = tempfile::tempdir().unwrap();
    for listen in ["[::1]:0".to_owned(), format!("unix:{}", folder.path().join("socket").display())] {
        let (server, _) = serve_puppet(runtime, |builder| builder.listen(&listen).http2(engine.parse().unwrap()).tls(pki.server().tls()));
        let mut command = loopswap();
        command.args(["call", &server.local_addr().to_string(), "--runtime", runtime, "--tls-ca"]).arg(pki.ca());
        let called = output(&mut command);
        assert_eq!(called.stdout, "Hello, Joe!", "{listen}: {}", called.stderr);
    }
}

fn leaks_nothing(runtime: &str, engine: &str) {
    let pki = Pki::new("CA");
    let server = serve_tls(runtime, engine, &pki.server(), &[]);
    let one = || block_on(async { hello(&mut greeter(server.addr(), trusting(&pki)).await, "Joe", 1).await.unwrap() });
    one();
    let before = eventually("the first connection is closed", || {
        let n = server.n_fds();
        std::thread::sleep(Duration::from_millis(20));
        (n == server.n_fds()).then_some(n)
    });
    for _ in 0..50 {
        one();
        // Closed before it has said anything.
        drop(crate::support::connect(server.addr()));
    }
    server.wait_for_fds(before);
}
