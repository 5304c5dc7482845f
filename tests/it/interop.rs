//! gRPC's interoperability tests, on the example `interop`, with tonic's client. The cases and their figures are those of gRPC's
//! doc/interop-test-descriptions.md; cases that want TLS or credentials are left out.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::stream;
use prost::Message;
use rustix::process::Signal;
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};

use crate::examples::example;
use crate::grpc_rules::compressed::gzip;
use crate::raw::{self, Connection, Fields, MAX_FRAME_SIZE, data, prefixed, window_update};
use crate::support::{block_on, served};
use testing::test_service_client::TestServiceClient;
use testing::unimplemented_service_client::UnimplementedServiceClient;
use testing::{
    BoolValue, EchoStatus, Empty, Payload, ResponseParameters, SimpleRequest, StreamingInputCallRequest, StreamingInputCallResponse,
    StreamingOutputCallRequest, StreamingOutputCallResponse,
};

mod testing {
    #![allow(dead_code, missing_docs, unreachable_pub, reason = "generated")]
    loopswap::include_proto!("grpc.testing");
}

crate::on_every_loop_and_engine!(
    empty_unary,
    large_unary,
    client_streaming,
    server_streaming,
    pauses_between_responses,
    ping_pong,
    half_duplex,
    empty_stream,
    custom_metadata,
    status_code_and_message,
    special_status_message,
    unimplemented_method,
    unimplemented_service,
    cancel_after_begin,
    cancel_after_first_response,
    timeout_on_sleeping_server,
    rpc_soak,
    channel_soak,
    concurrent_large_unary,
    client_compressed_unary,
    server_compressed_unary,
    client_compressed_streaming,
    server_compressed_streaming,
    compressed_as_the_wire_has_it,
    refuses_what_it_cannot_do
);

/// Calls of a soak test, one behind the other, and of those that run at once. The descriptions leave the numbers to who runs them.
const N_SOAK: usize = 20;
const N_CONCURRENT: usize = 50;

type Client = TestServiceClient<Channel>;

/// Runs a case with a server and its address, then ends the server, which has no call left.
fn with_server(runtime: &str, engine: &str, case: impl FnOnce(SocketAddr)) {
    let mut server = served(example("interop").args(["--runtime", runtime, "--http2", engine, "--port=0", "--use_tls=false"]));
    case(server.addr());
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0), "nothing had to be cut");
}

/// Runs a case with a client.
fn with_client(runtime: &str, engine: &str, case: impl AsyncFnOnce(Client)) {
    with_server(runtime, engine, |addr| block_on(async { case(TestServiceClient::new(channel(addr).await)).await }));
}

async fn channel(addr: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{addr}")).expect("an address makes a URI").connect().await.expect("it listens")
}

fn zeros(n: usize) -> Option<Payload> {
    Some(Payload { r#type: 0, body: vec![0; n] })
}

fn sizes(sizes: &[i32]) -> Vec<ResponseParameters> {
    sizes.iter().map(|size| ResponseParameters { size: *size, ..Default::default() }).collect()
}

fn wants(wanted: &[i32], n_bytes: usize) -> StreamingOutputCallRequest {
    StreamingOutputCallRequest { response_parameters: sizes(wanted), payload: zeros(n_bytes), ..Default::default() }
}

fn size(response: &StreamingOutputCallResponse) -> usize {
    let body = &response.payload.as_ref().expect("a payload").body;
    assert!(body.iter().all(|byte| *byte == 0));
    body.len()
}

/// The sizes of all responses that are left.
async fn rest(responses: &mut tonic::Streaming<StreamingOutputCallResponse>) -> Vec<usize> {
    let mut sizes = Vec::new();
    while let Some(response) = responses.message().await.expect("no error") {
        sizes.push(size(&response));
    }
    sizes
}

fn empty_unary(runtime: &str, engine: &str) {
    with_client(runtime, engine, async |mut client| {
        assert_eq!(client.empty_call(Empty {}).await.expect("it answers").into_inner(), Empty {});
    });
}

fn large_unary(runtime: &str, engine: &str) {
    with_client(runtime, engine, async |mut client| large_call(&mut client).await);
}

fn client_streaming(runtime: &str, engine: &str) {
    with_client(runtime, engine, async |mut client| {
        let requests = [27_182, 8, 1_828, 45_904].map(|n| StreamingInputCallRequest { payload: zeros(n), ..Default::default() });
        let response = client.streaming_input_call(stream::iter(requests)).await.expect("it answers");
        assert_eq!(response.into_inner().aggregated_payload_size, 74_922);
    });
}

fn server_streaming(runtime: &str, engine: &str) {
    with_client(runtime, engine, async |mut client| {
        let request = wants(&[31_415, 9, 2_653, 58_979], 0);
        let mut responses = client.streaming_output_call(request).await.expect("it answers").into_inner();
        assert_eq!(rest(&mut responses).await, [31_415, 9, 2_653, 58_979]);
    });
}

/// "Observe ResponseParameters.interval_us".
fn pauses_between_responses(runtime: &str, engine: &str) {
    with_client(runtime, engine, async |mut client| {
        let pause = ResponseParameters { size: 1, interval_us: 20_000, ..Default::default() };
        let request = StreamingOutputCallRequest { response_parameters: vec![pause; 3], ..Default::default() };
        let start = Instant::now();
        let mut responses = client.streaming_output_call(request).await.expect("it answers").into_inner();
        for n in 1..=3 {
            responses.message().await.expect("no error").expect("a response");
            assert!(start.elapsed() >= n * Duration::from_millis(20), "response {n} after {:?}", start.elapsed());
        }
    });
}

fn ping_pong(runtime: &str, engine: &str) {
    with_client(runtime, engine, async |mut client| {
        let (requests, outgoing) = ::tokio::sync::mpsc::channel(1);
        let outgoing = stream::unfold(outgoing, async |mut outgoing| outgoing.recv().await.map(|request| (request, outgoing)));
        let mut responses = client.full_duplex_call(outgoing).await.expect("it answers before the first request").into_inner();
        for (wanted, n_bytes) in [(31_415, 27_182), (9, 8), (2_653, 1_828), (58_979, 45_904)] {
            requests.send(wants(&[wanted], n_bytes)).await.expect("the call goes on");
            let response = responses.message().await.expect("no error").expect("a response");
            assert_eq!(size(&response), wanted as usize);
        }
        drop(requests);
        assert!(responses.message().await.expect("no error").is_none());
    });
}

fn half_duplex(runtime: &str, engine: &str) {
    with_client(runtime, engine, async |mut client| {
        let requests = stream::iter([wants(&[7, 3], 27_182), wants(&[], 1), wants(&[31_415], 8)]);
        let mut responses = client.half_duplex_call(requests).await.expect("it answers").into_inner();
        assert_eq!(rest(&mut responses).await, [7, 3, 31_415]);
    });
}

fn empty_stream(runtime: &str, engine: &str) {
    with_client(runtime, engine, async |mut client| {
        let mut responses = client.full_duplex_call(stream::empty()).await.expect("it answers").into_inner();
        assert!(rest(&mut responses).await.is_empty());
    });
}

const INITIAL: &str = "x-grpc-test-echo-initial";
const TRAILING: &str = "x-grpc-test-echo-trailing-bin";

fn with_metadata<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert(INITIAL, MetadataValue::from_static("test_initial_metadata_value"));
    request.metadata_mut().insert_bin(TRAILING, MetadataValue::from_bytes(b"\xab\xab\xab"));
    request
}

fn custom_metadata(runtime: &str, engine: &str) {
    with_client(runtime, engine, async |mut client| {
        let request = SimpleRequest { response_size: 314_159, payload: zeros(271_828), ..Default::default() };
        let response = client.unary_call(with_metadata(request)).await.expect("it answers");
        assert_eq!(response.metadata().get(INITIAL).expect("echoed"), "test_initial_metadata_value");
        // tonic's client puts a unary call's trailers to the rest.
        assert_eq!(response.metadata().get_bin(TRAILING).expect("echoed").to_bytes().expect("base64"), &b"\xab\xab\xab"[..]);

        let requests = stream::iter([wants(&[314_159], 271_828)]);
        let response = client.full_duplex_call(with_metadata(requests)).await.expect("it answers");
        assert_eq!(response.metadata().get(INITIAL).expect("echoed"), "test_initial_metadata_value");
        assert!(response.metadata().get_bin(TRAILING).is_none(), "not before the end");
        let mut responses = response.into_inner();
        assert_eq!(rest(&mut responses).await, [314_159]);
        let trailers = responses.trailers().await.expect("no error").expect("trailers");
        assert_eq!(trailers.get_bin(TRAILING).expect("echoed").to_bytes().expect("base64"), &b"\xab\xab\xab"[..]);
    });
}

async fn echoes(client: &mut Client, message: &str) {
    let response_status = Some(EchoStatus { code: 2, message: message.into() });
    let request = SimpleRequest { response_status: response_status.clone(), ..Default::default() };
    let status = client.unary_call(request).await.expect_err("it fails as it was told");
    assert_eq!((status.code(), status.message()), (Code::Unknown, message));

    let request = StreamingOutputCallRequest { response_status, ..Default::default() };
    let mut responses = client.full_duplex_call(stream::iter([request])).await.expect("it begins").into_inner();
    let status = responses.message().await.expect_err("it fails as it was told");
    assert_eq!((status.code(), status.message()), (Code::Unknown, message));
}

fn status_code_and_message(runtime: &str, engine: &str) {
    with_client(runtime, engine, async |mut client| echoes(&mut client, "test status message").await);
}

fn special_status_message(runtime: &str, engine: &str) {
    let message = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n";
    with_client(runtime, engine, async |mut client| echoes(&mut client, message).await);
}

fn unimplemented_method(runtime: &str, engine: &str) {
    with_client(runtime, engine, async |mut client| {
        assert_eq!(client.unimplemented_call(Empty {}).await.expect_err("it fails").code(), Code::Unimplemented);
    });
}

fn unimplemented_service(runtime: &str, engine: &str) {
    with_server(runtime, engine, |addr| {
        block_on(async {
            let mut client = UnimplementedServiceClient::new(channel(addr).await);
            assert_eq!(client.unimplemented_call(Empty {}).await.expect_err("it fails").code(), Code::Unimplemented);
        });
    });
}

fn cancel_after_begin(runtime: &str, engine: &str) {
    with_client(runtime, engine, async |mut client| {
        let mut other = client.clone();
        let call = ::tokio::spawn(async move { other.streaming_input_call(stream::pending()).await.map(|_| ()) });
        ::tokio::task::yield_now().await;
        call.abort();
        assert!(call.await.expect_err("it was cancelled").is_cancelled());
        client.empty_call(Empty {}).await.expect("the connection lives");
    });
}

fn cancel_after_first_response(runtime: &str, engine: &str) {
    with_client(runtime, engine, async |mut client| {
        let requests = futures_util::StreamExt::chain(stream::iter([wants(&[31_415], 27_182)]), stream::pending());
        let mut responses = client.full_duplex_call(requests).await.expect("it answers").into_inner();
        assert_eq!(size(&responses.message().await.expect("no error").expect("a response")), 31_415);
        drop(responses);
        client.empty_call(Empty {}).await.expect("the connection lives");
    });
}

/// In raw frames: tonic's client may end such a call by itself, with a code of its own.
fn timeout_on_sleeping_server(runtime: &str, engine: &str) {
    with_server(runtime, engine, |addr| {
        let mut connection = Connection::open(addr, &[]);
        let fields = Fields::hello().set(":path", "/grpc.testing.TestService/FullDuplexCall").with("grpc-timeout", "10m");
        let stream = connection.begin(&fields);
        let message = prefixed(0, &wants(&[], 27_182).encode_to_vec());
        connection.upload(stream, message.chunks(MAX_FRAME_SIZE), data);
        let response = connection.response(stream);
        assert_eq!(response.grpc(), Some(raw::status::DEADLINE_EXCEEDED), "{response:?}");
    });
}

async fn large_call(client: &mut Client) {
    let request = SimpleRequest { response_size: 314_159, payload: zeros(271_828), ..Default::default() };
    let response = client.unary_call(request).await.expect("it answers").into_inner();
    assert_eq!(response.payload, zeros(314_159));
}

/// "A number of large_unary RPCs in sequence over the same channel".
fn rpc_soak(runtime: &str, engine: &str) {
    with_client(runtime, engine, async |mut client| {
        for _ in 0..N_SOAK {
            large_call(&mut client).await;
        }
    });
}

/// "The same as rpc_soak, but with a new channel for each RPC".
fn channel_soak(runtime: &str, engine: &str) {
    with_server(runtime, engine, |addr| {
        block_on(async {
            for _ in 0..N_SOAK {
                large_call(&mut TestServiceClient::new(channel(addr).await)).await;
            }
        });
    });
}

/// "Many concurrent large_unary RPCs on the same channel".
fn concurrent_large_unary(runtime: &str, engine: &str) {
    with_client(runtime, engine, async |client| {
        join_all((0..N_CONCURRENT).map(|_| {
            let mut client = client.clone();
            async move { large_call(&mut client).await }
        }))
        .await;
    });
}

fn boolean(value: bool) -> Option<BoolValue> {
    Some(BoolValue { value })
}

/// The same connection by a client that compresses its requests; a call of tonic's is compressed throughout or not at all.
fn compressing(client: &Client) -> Client {
    client.clone().send_compressed(CompressionEncoding::Gzip).accept_compressed(CompressionEncoding::Gzip)
}

fn client_compressed_unary(runtime: &str, engine: &str) {
    with_client(runtime, engine, async |mut client| {
        let expecting = |compressed| SimpleRequest {
            expect_compressed: boolean(compressed),
            response_size: 314_159,
            payload: zeros(271_828),
            ..Default::default()
        };
        // The probe: does the server look?
        assert_eq!(client.unary_call(expecting(true)).await.expect_err("it is not compressed").code(), Code::InvalidArgument);
        for (client, compressed) in [(&mut compressing(&client), true), (&mut client, false)] {
            let response = client.unary_call(expecting(compressed)).await.expect("it answers").into_inner();
            assert_eq!(response.payload, zeros(314_159));
        }
        let wrong = compressing(&client).unary_call(expecting(false)).await;
        assert_eq!(wrong.expect_err("it is compressed").code(), Code::InvalidArgument);
    });
}

/// What is compressed on the wire is shown below.
fn server_compressed_unary(runtime: &str, engine: &str) {
    with_client(runtime, engine, async |client| {
        for compressed in [true, false] {
            let request = SimpleRequest {
                response_compressed: boolean(compressed),
                response_size: 314_159,
                payload: zeros(271_828),
                ..Default::default()
            };
            let response = compressing(&client).unary_call(request).await.expect("it answers");
            assert_eq!(response.metadata().get("grpc-encoding").expect("it may compress"), "gzip");
            assert_eq!(response.into_inner().payload, zeros(314_159));
        }
    });
}

fn client_compressed_streaming(runtime: &str, engine: &str) {
    with_client(runtime, engine, async |mut client| {
        let request = |n, compressed| StreamingInputCallRequest { payload: zeros(n), expect_compressed: boolean(compressed) };
        let wrong = client.streaming_input_call(stream::iter([request(27_182, true)])).await;
        assert_eq!(wrong.expect_err("it is not compressed").code(), Code::InvalidArgument);
        let requests = stream::iter([request(27_182, true), request(45_904, true)]);
        let response = compressing(&client).streaming_input_call(requests).await.expect("it answers");
        assert_eq!(response.into_inner().aggregated_payload_size, 73_086);
    });
    // A message that is compressed and one that is not, which tonic's client does not send in one call.
    with_server(runtime, engine, |addr| {
        let mut connection = Connection::open(addr, &[]);
        let message =
            |n, compressed| StreamingInputCallRequest { payload: zeros(n), expect_compressed: boolean(compressed) }.encode_to_vec();
        let body = [prefixed(1, &gzip(&message(27_182, true))), prefixed(0, &message(45_904, false))].concat();
        let stream = connection.begin(&method("StreamingInputCall").with("grpc-encoding", "gzip"));
        connection.upload(stream, body.chunks(MAX_FRAME_SIZE), data);
        connection.send([data(stream, []).end()]);
        let response = connection.response(stream);
        let [(0, bytes)] = response.messages()[..] else { panic!("not one message in {response:?}") };
        assert_eq!(StreamingInputCallResponse::decode(bytes).expect("it is one").aggregated_payload_size, 73_086);
    });
}

fn two_outputs() -> StreamingOutputCallRequest {
    let output = |size, compressed| ResponseParameters { size, compressed: boolean(compressed), ..Default::default() };
    StreamingOutputCallRequest { response_parameters: vec![output(31_415, true), output(92_653, false)], ..Default::default() }
}

fn server_compressed_streaming(runtime: &str, engine: &str) {
    with_client(runtime, engine, async |client| {
        let mut responses = compressing(&client).streaming_output_call(two_outputs()).await.expect("it answers").into_inner();
        assert_eq!(rest(&mut responses).await, [31_415, 92_653]);
    });
}

fn method(name: &str) -> Fields {
    Fields::hello().set(":path", format!("/grpc.testing.TestService/{name}"))
}

/// "Call was successful; when response_compressed is true, the compressed flag was set": what tonic's client does not tell.
fn compressed_as_the_wire_has_it(runtime: &str, engine: &str) {
    with_server(runtime, engine, |addr| {
        let mut connection = Connection::open(addr, &[]);
        for compressed in [true, false] {
            let request = SimpleRequest { response_compressed: boolean(compressed), response_size: 10_000, ..Default::default() };
            let fields = method("UnaryCall").with("grpc-accept-encoding", "identity,gzip");
            let stream = connection.request(&fields, &prefixed(0, &request.encode_to_vec()));
            let response = connection.response(stream);
            let [(flag, bytes)] = response.messages()[..] else { panic!("not one message in {response:?}") };
            assert_eq!((flag, bytes.len() < 1000), (u8::from(compressed), compressed), "{response:?}");
        }
        let fields = method("StreamingOutputCall").with("grpc-accept-encoding", "gzip");
        let stream = connection.request(&fields, &prefixed(0, &two_outputs().encode_to_vec()));
        connection.send([window_update(0, 1 << 20), window_update(stream, 1 << 20)]);
        let response = connection.response(stream);
        let [(1, first), (0, second)] = response.messages()[..] else { panic!("{response:?}") };
        assert!(first.len() < 1000 && second.len() > 92_653, "{response:?}");
    });
}

fn refuses_what_it_cannot_do(runtime: &str, engine: &str) {
    with_client(runtime, engine, async |mut client| {
        for request in [
            SimpleRequest { expect_compressed: boolean(true), ..Default::default() },
            SimpleRequest { response_type: 7, ..Default::default() },
            SimpleRequest { response_size: -1, ..Default::default() },
            SimpleRequest { response_size: i32::MAX, ..Default::default() },
        ] {
            assert_eq!(client.unary_call(request).await.expect_err("it fails").code(), Code::InvalidArgument);
        }
    });
}
