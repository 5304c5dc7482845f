//! Compression, as a service has it: replies that are compressed where the client accepts it, and what of it a service chooses. The wire's rules for requests
//! are in `grpc_rules::compressed`.

use std::io::Read;
use std::net::SocketAddr;

use futures_util::{StreamExt, stream};
use loopswap::greeter::{Greeter, GreeterServer, HelloReply, HelloRequest};
use loopswap::{Compression, CompressionEncoding, LocalService, Methods, Request, Response, Router, Status, Streaming};
use prost::Message;
use tonic::Code;

use crate::grpc_rules::compressed::{deflate, gzip, zstd};
use crate::raw::{self, Connection, Fields, prefixed, status};
use crate::support::{block_on, client, with_services};

crate::on_every_loop_and_engine!(
    replies_are_compressed_as_the_client_accepts,
    clients_that_say_nothing_are_told_nothing,
    what_gains_nothing_goes_as_it_is,
    a_call_may_opt_out,
    a_message_of_a_stream_may_opt_out,
    what_is_not_accepted_is_unimplemented,
    handlers_know_how_requests_were_compressed,
    the_limit_is_what_is_sent,
    metadata_and_statuses_go_along,
    tonics_client_compresses_both_ways,
);

/// Repeats its caller's name, as often as the caller says.
struct Echo;

impl Greeter for Echo {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let seen = format!("{:?}", request.message_encoding());
        let HelloRequest { name, sleep_millisecond: n } = request.into_inner();
        if name == "fail" {
            return Err(Status::failed_precondition("as the caller wished"));
        }
        let message = if name == "seen" { seen } else { name.repeat(n.unsigned_abs() as usize) };
        let mut response = Response::new(HelloReply { message });
        match name.as_str() {
            "plain" => response.disable_compression(),
            "metadata" => {
                response.metadata_mut().insert("x-before", "1".parse().unwrap());
                response.metadata_mut().insert("grpc-accept-encoding", "all".parse().unwrap());
                response.trailers_mut().insert("x-after", "2".parse().unwrap());
            }
            _ => {}
        }
        Ok(response)
    }
}

/// A stream that compresses every other message, and one that says how its requests came.
struct Streams;

impl LocalService for Streams {
    const NAME: &'static str = "test.Streams";

    fn register(self, methods: &mut Methods) {
        let mut compression = Compression::default();
        compression.send(CompressionEncoding::Gzip);
        methods.compression(compression);
        methods.server_streaming("Alternate", |request: Request<HelloRequest>, mut replies| async move {
            let mut response = Response::new(());
            let compression = response.message_compression();
            let name = request.into_inner().name;
            let messages = stream::iter(0..4).map(move |n| {
                compression.set(n % 2 == 0);
                Ok(HelloReply { message: name.repeat(100) })
            });
            replies.send_all(response.map(|()| messages)).await
        });
        methods.streaming("Seen", |request: Request<Streaming<HelloRequest>>, mut replies| async move {
            let compression = replies.message_compression();
            let mut requests = request.into_inner();
            while let Some(HelloRequest { name, .. }) = requests.message().await? {
                let encoding = requests.message_encoding();
                compression.set(encoding.is_some());
                replies.send(HelloReply { message: format!("{} {encoding:?}", name.repeat(20)) }).await?;
            }
            Ok(())
        });
    }
}

fn services() -> Router {
    let echo = GreeterServer::new(Echo)
        .send_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Deflate)
        .send_compressed(CompressionEncoding::Zstd);
    Router::new().add(echo).add(Streams)
}

/// The reply of [`Echo`], which is one message with this flag; inflated.
fn reply(connection: &mut Connection, fields: &Fields, message: &[u8], flag: u8) -> (raw::Response, String) {
    let stream = connection.request(fields, message);
    let response = connection.response(stream);
    assert_eq!((response.http(), response.grpc()), (200, Some(status::OK)), "{response:?}");
    let [(seen, bytes)] = response.messages()[..] else { panic!("not one message in {response:?}") };
    assert_eq!(seen, flag, "{response:?}");
    let bytes = if flag == 0 { bytes.to_vec() } else { inflate(response.head_field("grpc-encoding"), bytes) };
    let reply = HelloReply::decode(&bytes[..]).expect("it is a reply").message;
    (response, reply)
}

fn inflate(encoding: Option<&str>, bytes: &[u8]) -> Vec<u8> {
    let mut decoder: Box<dyn Read + '_> = match encoding {
        Some("gzip") => Box::new(flate2::read::GzDecoder::new(bytes)),
        Some("deflate") => Box::new(flate2::read::ZlibDecoder::new(bytes)),
        Some("zstd") => Box::new(::zstd::stream::read::Decoder::new(bytes).expect("there is memory")),
        other => panic!("compressed with {other:?}"),
    };
    let mut inflated = Vec::new();
    decoder.read_to_end(&mut inflated).expect("it is right");
    inflated
}

fn accepting(encodings: &str) -> Fields {
    Fields::hello().with("grpc-accept-encoding", encodings)
}

fn replies_are_compressed_as_the_client_accepts(runtime: &str, engine: &str) {
    with_services(runtime, engine, services, |addr| {
        let mut connection = Connection::open(addr, &[]);
        // Twice, for what an engine keeps of the first.
        for _ in 0..2 {
            for (accepts, encoding) in [
                ("gzip", "gzip"),
                ("deflate", "deflate"),
                ("zstd", "zstd"),
                ("identity, deflate, gzip", "deflate"),
                ("x-unheard-of,zstd,gzip", "zstd"),
            ] {
                let (response, message) = reply(&mut connection, &accepting(accepts), &raw::hello("Joe", 100), 1);
                assert_eq!(response.head_field("grpc-encoding"), Some(encoding), "{response:?}");
                assert_eq!(response.head_field("grpc-accept-encoding"), Some("identity,gzip,deflate,zstd"), "{response:?}");
                assert_eq!(message, "Joe".repeat(100));
                assert!(response.body.len() < 100, "{response:?}");
            }
            let (response, message) = reply(&mut connection, &accepting("identity,x-unheard-of"), &raw::hello("Joe", 100), 0);
            assert_eq!(response.head_field("grpc-encoding"), None);
            assert_eq!(response.head_field("grpc-accept-encoding"), Some("identity,gzip,deflate,zstd"));
            assert_eq!(message, "Joe".repeat(100));
        }
        // Larger than a frame and than a window.
        let noise: String = (0..100_000_u32).map(|n| char::from(b'a' + (n.wrapping_mul(2_654_435_761) >> 24) as u8 % 26)).collect();
        for accepts in ["gzip", "deflate", "zstd"] {
            let (_, message) = reply(&mut connection, &accepting(accepts), &raw::hello(&noise[..10_000], 1), 1);
            assert_eq!(message, noise[..10_000]);
        }
    });
}

fn clients_that_say_nothing_are_told_nothing(runtime: &str, engine: &str) {
    with_services(runtime, engine, services, |addr| {
        let mut connection = Connection::open(addr, &[]);
        let (response, message) = reply(&mut connection, &Fields::hello(), &raw::hello("Joe", 100), 0);
        assert_eq!(message, "Joe".repeat(100));
        let fields: Vec<_> = response.blocks.iter().flatten().map(|(name, _)| &name[..]).collect();
        assert_eq!(fields, [":status", "content-type", "grpc-status"]);
    });
}

fn what_gains_nothing_goes_as_it_is(runtime: &str, engine: &str) {
    with_services(runtime, engine, services, |addr| {
        let mut connection = Connection::open(addr, &[]);
        for accepts in ["gzip", "deflate", "zstd"] {
            let (response, message) = reply(&mut connection, &accepting(accepts), &raw::hello("J", 1), 0);
            assert_eq!((response.head_field("grpc-encoding"), &message[..]), (Some(accepts), "J"));
        }
    });
}

fn a_call_may_opt_out(runtime: &str, engine: &str) {
    with_services(runtime, engine, services, |addr| {
        let mut connection = Connection::open(addr, &[]);
        let (_, message) = reply(&mut connection, &accepting("gzip"), &raw::hello("plain", 100), 0);
        assert_eq!(message, "plain".repeat(100));
        reply(&mut connection, &accepting("gzip"), &raw::hello("other", 100), 1);
    });
}

fn a_message_of_a_stream_may_opt_out(runtime: &str, engine: &str) {
    with_services(runtime, engine, services, |addr| {
        let mut connection = Connection::open(addr, &[]);
        let fields = accepting("gzip").set(":path", "/test.Streams/Alternate");
        let stream = connection.request(&fields, &raw::hello("Joe", 0));
        let response = connection.response(stream);
        let wanted = HelloReply { message: "Joe".repeat(100) }.encode_to_vec();
        let mut flags = Vec::new();
        for (flag, bytes) in response.messages() {
            flags.push(flag);
            assert_eq!(if flag == 0 { bytes.to_vec() } else { inflate(Some("gzip"), bytes) }, wanted);
        }
        assert_eq!((&flags[..], response.grpc()), (&[1, 0, 1, 0][..], Some(status::OK)));
    });
}

fn what_is_not_accepted_is_unimplemented(runtime: &str, engine: &str) {
    let services = || {
        let narrow = GreeterServer::new(Echo).accept_compressed(CompressionEncoding::Gzip).send_compressed(CompressionEncoding::Zstd);
        Router::new().add(narrow)
    };
    with_services(runtime, engine, services, |addr| {
        let mut connection = Connection::open(addr, &[]);
        let greeting = raw::hello("Joe", 1)[5..].to_vec();
        for (encoding, message) in [("deflate", deflate(&greeting)), ("zstd", zstd(&greeting))] {
            let stream = connection.request(&Fields::hello().with("grpc-encoding", encoding), &prefixed(1, &message));
            let response = connection.response(stream);
            assert_eq!(response.grpc(), Some(status::UNIMPLEMENTED), "{response:?}");
            assert_eq!(response.field("grpc-accept-encoding"), Some("identity,gzip"), "{response:?}");
        }
        let fields = accepting("gzip, zstd").with("grpc-encoding", "gzip");
        let (response, message) = reply(&mut connection, &fields, &prefixed(1, &gzip(&greeting)), 0);
        assert_eq!(response.head_field("grpc-accept-encoding"), Some("identity,gzip"), "{response:?}");
        assert_eq!((response.head_field("grpc-encoding"), &message[..]), (Some("zstd"), "Joe"), "what is sent is another matter");
    });
}

fn handlers_know_how_requests_were_compressed(runtime: &str, engine: &str) {
    with_services(runtime, engine, services, |addr| {
        let mut connection = Connection::open(addr, &[]);
        let plain = raw::hello("seen", 1);
        for (encoding, message, seen) in [
            ("gzip", prefixed(1, &gzip(&plain[5..])), "Some(Gzip)"),
            ("deflate", prefixed(1, &deflate(&plain[5..])), "Some(Deflate)"),
            ("zstd", prefixed(1, &zstd(&plain[5..])), "Some(Zstd)"),
            ("gzip", plain.clone(), "None"),
        ] {
            let fields = Fields::hello().with("grpc-encoding", encoding);
            assert_eq!(reply(&mut connection, &fields, &message, 0).1, seen);
            let mixed = [&plain[..], &message, &plain].concat();
            let stream = connection.request(&fields.with("grpc-accept-encoding", "gzip").set(":path", "/test.Streams/Seen"), &mixed);
            let response = connection.response(stream);
            let inflated = response.messages().into_iter().map(|(flag, bytes)| {
                let bytes = if flag == 0 { bytes.to_vec() } else { inflate(Some("gzip"), bytes) };
                (flag, HelloReply::decode(&bytes[..]).expect("it is a reply").message.split_off("seen".len() * 20 + 1))
            });
            let flag = u8::from(seen != "None");
            assert_eq!(inflated.collect::<Vec<_>>(), [(0, "None".into()), (flag, seen.into()), (0, "None".into())]);
        }
    });
}

fn the_limit_is_what_is_sent(runtime: &str, engine: &str) {
    let services = || GreeterServer::new(Echo).send_compressed(CompressionEncoding::Gzip).max_encoding_message_size(100).into();
    with_services(runtime, engine, services, |addr| {
        let mut connection = Connection::open(addr, &[]);
        let (_, message) = reply(&mut connection, &accepting("gzip"), &raw::hello("Joe", 100), 1);
        assert_eq!(message.len(), 300);
        let digits: String = (0..60).map(|n: u32| char::from(b'0' + (n.wrapping_mul(2_654_435_761) >> 24) as u8 % 75)).collect();
        for (fields, name, n) in [(Fields::hello(), "Joe", 100), (accepting("gzip"), &digits[..], 3_000)] {
            let stream = connection.request(&fields, &raw::hello(name, n));
            let response = connection.response(stream);
            assert_eq!((response.grpc(), response.body.len()), (Some(status::RESOURCE_EXHAUSTED), 0), "{response:?}");
        }
    });
}

fn metadata_and_statuses_go_along(runtime: &str, engine: &str) {
    with_services(runtime, engine, services, |addr| {
        let mut connection = Connection::open(addr, &[]);
        let (response, _) = reply(&mut connection, &accepting("gzip"), &raw::hello("metadata", 100), 1);
        assert_eq!(response.head_field("x-before"), Some("1"), "{response:?}");
        assert_eq!(response.head_field("grpc-accept-encoding"), Some("identity,gzip,deflate,zstd"), "it is not a handler's to say");
        assert_eq!(response.field("x-after"), Some("2"), "{response:?}");
        let stream = connection.request(&accepting("gzip"), &raw::hello("fail", 0));
        let response = connection.response(stream);
        assert_eq!((response.grpc(), response.blocks.len()), (Some(status::FAILED_PRECONDITION), 1), "{response:?}");
    });
}

fn tonics_client_compresses_both_ways(runtime: &str, engine: &str) {
    let case = |addr: SocketAddr| {
        block_on(async {
            for encoding in [CompressionEncoding::Gzip, CompressionEncoding::Deflate, CompressionEncoding::Zstd] {
                let mut client = client(addr).await.send_compressed(encoding).accept_compressed(encoding);
                let name = "Joe".repeat(1000);
                let request = HelloRequest { name: name.clone(), sleep_millisecond: 3 };
                let response = client.say_hello(request).await.expect("it is read");
                assert_eq!(response.metadata().get("grpc-encoding").expect("it is told"), &encoding.to_string());
                assert_eq!(response.into_inner().message, name.repeat(3));
                let request = HelloRequest { name: "fail".into(), sleep_millisecond: 0 };
                assert_eq!(client.say_hello(request).await.expect_err("it fails").code(), Code::FailedPrecondition);
            }
        });
    };
    with_services(runtime, engine, services, case);
}
