//! Servers that break HTTP/2, or gRPC: what ends the connection and every call on it, and what ends one call alone.

use futures_util::future::join;
use http::uri::PathAndQuery;
use loopswap::greeter::{HelloReply, HelloRequest};
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

use super::channel;
use super::peer::{Line, Peer, against, good_answer, head, hello, reply, trailers};
use crate::raw::*;

crate::on_every_loop!(
    what_ends_the_connection,
    data_beyond_a_streams_window,
    what_ends_the_call_alone,
    resets,
    http_statuses,
    messages_that_are_none,
);

/// What a server does with a call on this stream.
type Deed = fn(u32) -> Vec<Frame>;

/// Its calls, and that of another beside it, are UNAVAILABLE; GOAWAY has the code, and the next call has a new connection.
fn what_ends_the_connection(runtime: &'static str) {
    let deeds: [(u32, Deed); 13] = [
        // HPACK: an index behind the tables, a block that ends within a field, a table larger than was allowed.
        (code::COMPRESSION_ERROR, |stream| vec![headers(stream, Block::new().indexed(100))]),
        (code::COMPRESSION_ERROR, |stream| vec![headers(stream, [0x00, 0x7f])]),
        (code::COMPRESSION_ERROR, |stream| vec![headers(stream, Block::new().table_size(1 << 20).indexed(8))]),
        // Frames that are out of order, of nobody, or not a server's.
        (code::PROTOCOL_ERROR, |stream| vec![continuation(stream, Block::new().indexed(8))]),
        (code::PROTOCOL_ERROR, |stream| vec![head(stream).open(), ping([0; 8])]),
        (code::PROTOCOL_ERROR, |stream| vec![head(stream + 2)]),
        (code::PROTOCOL_ERROR, |_| vec![head(2)]),
        (code::PROTOCOL_ERROR, |_| vec![data(0, *b"nobody's")]),
        (code::PROTOCOL_ERROR, |stream| vec![Frame::new(kind::PUSH_PROMISE, flag::END_HEADERS, stream, [0, 0, 0, 2, 0x82])]),
        (code::STREAM_CLOSED, |stream| vec![trailers_only(stream), data(stream, *b"late")]),
        // Lengths and values.
        (code::FRAME_SIZE_ERROR, |stream| vec![data(stream, vec![0; MAX_FRAME_SIZE + 1])]),
        (code::FRAME_SIZE_ERROR, |_| vec![Frame::new(kind::SETTINGS, 0, 0, [0; 5])]),
        (code::FLOW_CONTROL_ERROR, |_| vec![settings(&[(setting::INITIAL_WINDOW_SIZE, 1 << 31)])]),
    ];
    for (n, (expected, deed)) in deeds.into_iter().enumerate() {
        let script = move |peer: &Peer| {
            let mut line = peer.accept();
            let [_, second] = line.requests();
            line.send(deed(second));
            line.is_left(expected);
            serves_one(&mut peer.accept());
        };
        against(runtime, script, async move |addr| {
            let channel = channel(addr);
            let (other, this) = join(hello(&channel, "Jane"), hello(&channel, "Joe")).await;
            let broken = other.expect_err("it ends with the connection");
            assert_eq!(broken.code(), Code::Unavailable, "deed {n}: {broken:?}");
            assert!(this.is_err(), "deed {n}");
            hello(&channel, "Joe").await.expect("the next connection is good");
            channel.close().await;
        });
    }
}

fn trailers_only(stream: u32) -> Frame {
    let block = Block::new().literal(":status", "200").literal("content-type", "application/grpc").literal("grpc-status", "13");
    headers(stream, block).end()
}

fn serves_one(line: &mut Line) {
    let stream = line.request();
    line.answer(stream);
    line.is_left(code::NO_ERROR);
}

/// 1 MiB, and a frame, for a reader who takes none of it.
fn data_beyond_a_streams_window(runtime: &'static str) {
    let script = |peer: &Peer| {
        let mut line = peer.accept();
        let stream = line.request();
        line.send([head(stream)]);
        line.request();
        line.send(vec![data(stream, vec![0; MAX_FRAME_SIZE]); 65]);
        line.is_left(code::FLOW_CONTROL_ERROR);
        serves_one(&mut peer.accept());
    };
    against(runtime, script, async |addr| {
        let channel = channel(addr);
        let mut grpc = tonic::client::Grpc::new(channel.clone());
        let request = tonic::Request::new(HelloRequest { name: "Joe".into(), sleep_millisecond: 0 });
        let path = PathAndQuery::from_static("/helloworld.Greeter/SayHello");
        let codec = ProstCodec::<HelloRequest, HelloReply>::default();
        let unread = grpc.server_streaming(request, path, codec).await.expect("its head has come");
        let status = hello(&channel, "Jane").await.expect_err("it ends with the connection");
        assert!(status.code() == Code::Unavailable && status.message().contains("DATA beyond a stream's window"), "{status:?}");
        hello(&channel, "Joe").await.expect("the next connection is good");
        drop(unread);
        channel.close().await;
    });
}

/// What a call ends with by this deed, which the connection survives. `None`: the channel resets the stream with this code.
fn ends_with(runtime: &'static str, deed: impl FnOnce(u32) -> Vec<Frame> + Send + 'static, reset: Option<u32>) -> Status {
    let script = move |peer: &Peer| {
        let mut line = peer.accept();
        let stream = line.request();
        line.send(deed(stream));
        if let Some(code) = reset {
            assert_eq!(line.reset(), (stream, code));
        }
        serves_one(&mut line);
    };
    against(runtime, script, async |addr| {
        let channel = channel(addr);
        let status = hello(&channel, "Joe").await.expect_err("it is no good answer");
        hello(&channel, "Joe").await.expect("the connection lives");
        channel.close().await;
        status
    })
}

fn what_ends_the_call_alone(runtime: &'static str) {
    const BROKEN: Option<u32> = Some(code::PROTOCOL_ERROR);
    let deeds: [(Code, Option<u32>, Deed); 11] = [
        // HTTP/2: malformed (RFC 9113, 8.1.1).
        (Code::Internal, BROKEN, |stream| vec![headers(stream, Block::new().literal("content-type", "application/grpc"))]),
        (Code::Internal, BROKEN, |stream| vec![headers(stream, Block::new().literal(":status", "20").literal("a", "b"))]),
        (Code::Internal, BROKEN, |stream| vec![headers(stream, Block::new().literal(":status", "200").literal("A", "b"))]),
        (Code::Internal, BROKEN, |stream| vec![data(stream, *b"early")]),
        (Code::Internal, BROKEN, |stream| vec![head(stream), headers(stream, Block::new().literal("grpc-status", "0"))]),
        (Code::Internal, BROKEN, |stream| {
            let head = Block::new().literal(":status", "200").literal("content-type", "application/grpc").literal("content-length", "3");
            vec![headers(stream, head), data(stream, *b"four").end()]
        }),
        // gRPC: no status, or none that is one.
        (Code::Unknown, None, |stream| vec![head(stream), data(stream, reply()).end()]),
        (Code::Unknown, None, |stream| vec![head(stream), data(stream, reply()), headers(stream, Block::new().literal("x", "y")).end()]),
        (Code::Unknown, None, |stream| vec![head(stream), data(stream, reply()), trailers(stream, "banana")]),
        (Code::Unknown, None, |stream| vec![head(stream), data(stream, reply()), trailers(stream, "17")]),
        (Code::Internal, None, |stream| vec![trailers_only(stream)]),
    ];
    for (n, (expected, reset, deed)) in deeds.into_iter().enumerate() {
        let status = ends_with(runtime, deed, reset);
        assert_eq!(status.code(), expected, "deed {n}: {status:?}");
    }
}

/// gRPC, PROTOCOL-HTTP2.md, "Errors"; and REFUSED_STREAM once the server has begun to answer, which is no offer to try again.
fn resets(runtime: &'static str) {
    const NO_ERROR: u32 = code::NO_ERROR;
    let codes = [
        (NO_ERROR, Code::Internal),
        (code::PROTOCOL_ERROR, Code::Internal),
        (code::CANCEL, Code::Cancelled),
        (code::ENHANCE_YOUR_CALM, Code::ResourceExhausted),
        (0xc, Code::PermissionDenied),
        (0xdead, Code::Internal),
    ];
    for (reset, expected) in codes {
        let status = ends_with(runtime, move |stream| vec![rst_stream(stream, reset)], None);
        assert_eq!(status.code(), expected, "{reset:#x}: {status:?}");
    }
    let status = ends_with(runtime, |stream| vec![head(stream), rst_stream(stream, code::REFUSED_STREAM)], None);
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
}

/// gRPC, http-grpc-status-mapping.md, with a body as proxies have it, or without; and gRPC's own status where there is one. A page that came with 200 is no
/// answer either.
fn http_statuses(runtime: &'static str) {
    let codes = [
        ("400", Code::Internal),
        ("401", Code::Unauthenticated),
        ("403", Code::PermissionDenied),
        ("404", Code::Unimplemented),
        ("429", Code::Unavailable),
        ("502", Code::Unavailable),
        ("503", Code::Unavailable),
        ("504", Code::Unavailable),
        ("500", Code::Unknown),
        ("302", Code::Unknown),
        ("200", Code::Unknown),
    ];
    for (http, expected) in codes {
        let page = move |stream| headers(stream, Block::new().literal(":status", http).literal("content-type", "text/html"));
        let whole = ends_with(runtime, move |stream| vec![page(stream).end()], None);
        // The page that nobody wants is not waited for.
        let begun = ends_with(runtime, move |stream| vec![page(stream), data(stream, *b"<html>")], Some(code::CANCEL));
        for status in [whole, begun] {
            assert_eq!(status.code(), expected, "HTTP {http}: {status:?}");
            assert!(http == "200" || status.message().contains(http), "{status:?}");
        }
    }
    let with_status = |stream| vec![headers(stream, Block::new().literal(":status", "503").literal("grpc-status", "7")).end()];
    assert_eq!(ends_with(runtime, with_status, None).code(), Code::PermissionDenied);
}

fn messages_that_are_none(runtime: &'static str) {
    let answer = |stream, body: Vec<u8>| vec![head(stream), data(stream, body), trailers(stream, "0")];
    let message = reply();
    let bodies = [
        // Compressed, and no encoding was named; a flag that means nothing; cut off; no protobuf; larger than the client allows.
        (Code::Internal, prefixed(1, &message[5..])),
        (Code::Internal, prefixed(2, &message[5..])),
        (Code::Internal, message[..message.len() - 1].to_vec()),
        (Code::Internal, prefixed(0, &[0x0a, 0x7f])),
        (Code::OutOfRange, announced(0, (4 << 20) + 1, b"")),
    ];
    for (expected, body) in bodies {
        let sent = body.clone();
        // The client gives up what it cannot read; whether the answer has ended by then is a matter of luck, so no reset is asked for.
        let status = ends_with(runtime, move |stream| answer(stream, sent), None);
        assert_eq!(status.code(), expected, "{body:?}: {status:?}");
    }
    let named = |stream| {
        let head =
            Block::new().literal(":status", "200").literal("content-type", "application/grpc").literal("grpc-encoding", "x-unheard-of");
        let [_, data, trailers] = good_answer(stream);
        vec![headers(stream, head), data, trailers]
    };
    assert_eq!(ends_with(runtime, named, None).code(), Code::Unimplemented);
}
