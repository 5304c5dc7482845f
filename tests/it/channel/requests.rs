//! Requests that go on, to a server that takes them without a word: what they send waits for its windows, and for nothing else.

use futures_util::stream;
use http::uri::PathAndQuery;
use loopswap::client::Channel;
use loopswap::greeter::{HelloReply, HelloRequest};
use tonic::Status;
use tonic_prost::ProstCodec;

use super::channel;
use super::peer::{Line, Peer, against};
use crate::raw::*;

crate::on_every_loop!(messages_larger_than_the_output, a_call_behind_a_large_one, windows_that_open_byte_by_byte);

/// A name that makes a message of this many bytes.
fn of_bytes(n: usize) -> HelloRequest {
    HelloRequest { name: "x".repeat(n), sleep_millisecond: 0 }
}

/// A call that sends these.
async fn sends(channel: &Channel, messages: Vec<HelloRequest>) -> Result<HelloReply, Status> {
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    let path = PathAndQuery::from_static("/helloworld.Greeter/SayHello");
    let codec = ProstCodec::<HelloRequest, HelloReply>::default();
    grpc.client_streaming(tonic::Request::new(stream::iter(messages)), path, codec).await.map(tonic::Response::into_inner)
}

/// With windows that never close.
fn accept_widely(peer: &Peer) -> Line {
    let mut line = peer.accept_with(&[(setting::INITIAL_WINDOW_SIZE, MAX_31_BITS)]);
    line.send([window_update(0, MAX_31_BITS - WINDOW as u32)]);
    line
}

/// The channel writes 64 KiB ahead; when those are taken, it goes on by itself.
fn messages_larger_than_the_output(runtime: &'static str) {
    let script = |peer: &Peer| {
        let mut line = accept_widely(peer);
        let stream = line.begun();
        assert!(line.rest(stream) > 10 * 100_000);
        line.answer(stream);
        line.is_left(code::NO_ERROR);
    };
    against(runtime, script, async |addr| {
        let channel = channel(addr);
        sends(&channel, vec![of_bytes(100_000); 10]).await.expect("it is answered");
        channel.close().await;
    });
}

/// It need not wait until the server says something.
fn a_call_behind_a_large_one(runtime: &'static str) {
    let script = |peer: &Peer| {
        let mut line = accept_widely(peer);
        for stream in line.whole::<2>() {
            line.answer(stream);
        }
        line.is_left(code::NO_ERROR);
    };
    against(runtime, script, async |addr| {
        let channel = channel(addr);
        let (large, small) = futures_util::future::join(sends(&channel, vec![of_bytes(100_000)]), sends(&channel, vec![of_bytes(1)])).await;
        large.and(small).expect("both are answered");
        channel.close().await;
    });
}

fn windows_that_open_byte_by_byte(runtime: &'static str) {
    let script = |peer: &Peer| {
        let mut line = peer.accept_with(&[(setting::INITIAL_WINDOW_SIZE, 0)]);
        let stream = line.begun();
        // Two messages of seven bytes, and their prefixes.
        let mut n_bytes = 0;
        while n_bytes < 24 {
            line.send([window_update(stream, 1)]);
            n_bytes += line.some_of(stream, 1);
        }
        line.answer(stream);
        line.is_left(code::NO_ERROR);
    };
    against(runtime, script, async |addr| {
        let channel = channel(addr);
        sends(&channel, vec![of_bytes(5), of_bytes(5)]).await.expect("it is answered");
        channel.close().await;
    });
}
