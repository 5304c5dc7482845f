//! The server of gRPC's interoperability tests, for anybody's client to be pointed at. The cases are described in gRPC's
//! doc/interop-test-descriptions.md; those that want credentials are not served.
//!
//!     cargo run --release --example interop -- --runtime tokio-uring --port 10000

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use loopswap::tls::ServerTls;
use loopswap::{CompressionEncoding, Http2, Loop, MessageCompression, Request, Response, Server, Status, Stream, Streaming, rt};
use testing::{
    BoolValue, EchoStatus, Empty, Payload, PayloadType, ResponseParameters, SimpleRequest, SimpleResponse, StreamingInputCallRequest,
    StreamingInputCallResponse, StreamingOutputCallRequest, StreamingOutputCallResponse, TestService, TestServiceServer,
};
use tonic::Code;
use tonic::metadata::MetadataMap;

pub(crate) mod testing {
    #![allow(dead_code, missing_docs, unreachable_pub, reason = "generated")]
    loopswap::include_proto!("grpc.testing");
}

/// The largest payload that a client may ask for; the tests ask for 1 MiB at most.
const PAYLOAD_BYTES_MAX: i32 = 16 << 20;
/// As many requests as a half-duplex call may have, since they are remembered until the last has come.
const N_REMEMBERED_MAX: usize = 1024;

const ECHO_INITIAL: &str = "x-grpc-test-echo-initial";
const ECHO_TRAILING: &str = "x-grpc-test-echo-trailing-bin";

/// It has no state: each call says what it wants.
pub(crate) struct Interop;

impl TestService for Interop {
    async fn empty_call(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        Ok(Response::new(Empty {}))
    }

    async fn unary_call(&self, request: Request<SimpleRequest>) -> Result<Response<SimpleResponse>, Status> {
        let SimpleRequest { response_type, response_size, response_status, response_compressed, expect_compressed, .. } = request.get_ref();
        check_compressed(expect_compressed.as_ref(), request.message_encoding())?;
        echo_status(response_status.as_ref())?;
        let payload = Some(payload(*response_type, *response_size)?);
        let mut response = echo_metadata(request.metadata(), SimpleResponse { payload, ..Default::default() });
        response.message_compression().set(is_wanted(response_compressed.as_ref()));
        Ok(response)
    }

    async fn streaming_output_call(
        &self,
        request: Request<StreamingOutputCallRequest>,
    ) -> Result<Response<impl Stream<Item = Result<StreamingOutputCallResponse, Status>>>, Status> {
        let request = request.into_inner();
        echo_status(request.response_status.as_ref())?;
        let mut response = Response::new(());
        let compression = response.message_compression();
        Ok(response.map(|()| outputs(request, compression)))
    }

    async fn streaming_input_call(
        &self,
        request: Request<Streaming<StreamingInputCallRequest>>,
    ) -> Result<Response<StreamingInputCallResponse>, Status> {
        let mut requests = request.into_inner();
        let mut n_bytes = 0;
        while let Some(StreamingInputCallRequest { payload, expect_compressed }) = requests.message().await? {
            check_compressed(expect_compressed.as_ref(), requests.message_encoding())?;
            n_bytes += payload.map_or(0, |payload| payload.body.len());
        }
        let aggregated_payload_size = i32::try_from(n_bytes).map_err(|_| Status::out_of_range("more payload than the response can say"))?;
        Ok(Response::new(StreamingInputCallResponse { aggregated_payload_size }))
    }

    async fn full_duplex_call(
        &self,
        request: Request<Streaming<StreamingOutputCallRequest>>,
    ) -> Result<Response<impl Stream<Item = Result<StreamingOutputCallResponse, Status>>>, Status> {
        let mut response = echo_metadata(request.metadata(), ());
        let compression = response.message_compression();
        let replies = request.into_inner().map(move |request| {
            let request = request?;
            echo_status(request.response_status.as_ref())?;
            Ok::<_, Status>(outputs(request, compression.clone()))
        });
        Ok(response.map(|()| replies.try_flatten()))
    }

    async fn half_duplex_call(
        &self,
        request: Request<Streaming<StreamingOutputCallRequest>>,
    ) -> Result<Response<impl Stream<Item = Result<StreamingOutputCallResponse, Status>>>, Status> {
        let mut requests = request.into_inner();
        let mut remembered = Vec::new();
        while let Some(request) = requests.message().await? {
            echo_status(request.response_status.as_ref())?;
            if remembered.len() == N_REMEMBERED_MAX {
                return Err(Status::resource_exhausted(format!("more than {N_REMEMBERED_MAX} requests in a half-duplex call")));
            }
            // Its own payload is of no use here.
            remembered.push(StreamingOutputCallRequest { payload: None, ..request });
        }
        let mut response = Response::new(());
        let compression = response.message_compression();
        Ok(response.map(|()| stream::iter(remembered).flat_map(move |request| outputs(request, compression.clone()))))
    }

    async fn unimplemented_call(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        Err(Status::unimplemented("no server implements this call"))
    }
}

/// The responses that a request asks for, each after its pause, and compressed as it is asked for.
fn outputs(
    request: StreamingOutputCallRequest,
    compression: MessageCompression,
) -> impl Stream<Item = Result<StreamingOutputCallResponse, Status>> {
    let StreamingOutputCallRequest { response_type, response_parameters, .. } = request;
    stream::iter(response_parameters).then(move |ResponseParameters { size, interval_us, compressed }| {
        let compression = compression.clone();
        async move {
            let pause = u64::try_from(interval_us).map_err(|_| Status::invalid_argument(format!("interval_us is {interval_us}")))?;
            if pause > 0 {
                rt::sleep(Duration::from_micros(pause)).await;
            }
            compression.set(is_wanted(compressed.as_ref()));
            Ok(StreamingOutputCallResponse { payload: Some(payload(response_type, size)?) })
        }
    })
}

/// So many zeros.
fn payload(r#type: i32, size: i32) -> Result<Payload, Status> {
    if PayloadType::try_from(r#type).is_err() {
        return Err(Status::invalid_argument(format!("there is no payload of type {}", r#type)));
    }
    if !(0..=PAYLOAD_BYTES_MAX).contains(&size) {
        return Err(Status::invalid_argument(format!("a payload of {size} bytes; it must be 0 to {PAYLOAD_BYTES_MAX}")));
    }
    Ok(Payload { r#type, body: vec![0; size as usize] })
}

/// Fails the call as its client asked for it.
fn echo_status(status: Option<&EchoStatus>) -> Result<(), Status> {
    match status {
        Some(EchoStatus { code, message }) if *code != 0 => Err(Status::new(Code::from(*code), message)),
        _ => Ok(()),
    }
}

/// Whether a message came as its client says that it should. By a first one that says what is not so, a client learns whether the server looks.
fn check_compressed(expected: Option<&BoolValue>, encoding: Option<CompressionEncoding>) -> Result<(), Status> {
    match (expected, encoding) {
        (Some(BoolValue { value: true }), None) => Err(Status::invalid_argument("the request is not compressed")),
        (Some(BoolValue { value: false }), Some(encoding)) => {
            Err(Status::invalid_argument(format!("the request is compressed with {encoding}")))
        }
        _ => Ok(()),
    }
}

fn is_wanted(compressed: Option<&BoolValue>) -> bool {
    compressed.is_some_and(|compressed| compressed.value)
}

/// The response, with the metadata that the client wants back.
fn echo_metadata<T>(metadata: &MetadataMap, message: T) -> Response<T> {
    let mut response = Response::new(message);
    if let Some(value) = metadata.get(ECHO_INITIAL) {
        response.metadata_mut().insert(ECHO_INITIAL, value.clone());
    }
    if let Some(value) = metadata.get_bin(ECHO_TRAILING) {
        response.trailers_mut().insert_bin(ECHO_TRAILING, value.clone());
    }
    response
}

/// It compresses what is asked for in whatever its client accepts.
fn service() -> TestServiceServer<Interop> {
    let encodings = [CompressionEncoding::Gzip, CompressionEncoding::Deflate];
    encodings.into_iter().fold(TestServiceServer::new(Interop), TestServiceServer::send_compressed)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut runtime, mut http2, mut port) = ("auto".to_owned(), Http2::default(), 10000_u16);
    let (mut use_tls, mut certificate, mut key) = (false, "server1.pem".to_owned(), "server1.key".to_owned());
    // Both `--port 1` and `--port=1`, as the runners of the tests write it.
    let mut words = std::env::args().skip(1).flat_map(|word| word.splitn(2, '=').map(str::to_owned).collect::<Vec<_>>());
    while let Some(flag) = words.next() {
        let value = words.next().ok_or_else(|| format!("{flag} wants a value"))?;
        match (&*flag, &*value) {
            ("--runtime", _) => runtime = value,
            ("--http2", _) => http2 = value.parse()?,
            ("--port", _) => port = value.parse()?,
            ("--use_tls", _) => use_tls = value.parse()?,
            ("--tls_cert_file", _) => certificate = value,
            ("--tls_key_file", _) => key = value,
            _ => {
                let usage =
                    "interop [--runtime LOOP] [--http2 ENGINE] [--port N] [--use_tls BOOL] [--tls_cert_file FILE] [--tls_key_file FILE]";
                return Err(format!("{flag} {value}? usage: {usage}").into());
            }
        }
    }
    let mut builder = Server::builder().listen(format!("127.0.0.1:{port}")).http2(http2);
    if use_tls {
        builder = builder.tls(ServerTls::files(certificate, key));
    }
    let mut server = builder.start(Loop::choose(&runtime)?, |_worker| service())?;
    server.drain_on_signals()?;
    println!("listening on {}", server.local_addr());
    Ok(server.wait()?)
}
