//! Compressed messages (PROTOCOL-HTTP2, "Message-Encoding"; compression.md): those that are read, and those that mean harm.

use std::io::Write;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

use crate::raw::*;

on_every_engine!(gzip_and_deflate_are_read, not_every_message_must_be_compressed, a_bomb_is_refused_at_the_limit, what_cannot_be_inflated);

pub(crate) fn gzip(message: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(message).expect("a vector takes all");
    encoder.finish().expect("a vector takes all")
}

pub(crate) fn deflate(message: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(message).expect("a vector takes all");
    encoder.finish().expect("a vector takes all")
}

/// A message that greets, without its prefix.
fn greeting(name: &str) -> Vec<u8> {
    hello(name, 0)[5..].to_vec()
}

fn encoded(encoding: &str) -> Fields {
    Fields::hello().with("grpc-encoding", encoding)
}

fn fails_with(connection: &mut Connection, fields: &Fields, body: &[u8], grpc: u32) {
    let stream = connection.request(fields, body);
    let response = connection.response(stream);
    assert_eq!((response.http(), response.grpc()), (200, Some(grpc)), "{response:?}");
    assert!(response.body.is_empty(), "{response:?}");
}

fn gzip_and_deflate_are_read(server: &mut Server) {
    let mut connection = server.open();
    // The second is no shorter when it is compressed, the third comes in several frames.
    for name in ["Joe".repeat(100), "J".into(), (0..6_000).map(|n| format!("{n:x}")).collect()] {
        for (encoding, message) in [("gzip", gzip(&greeting(&name))), ("deflate", deflate(&greeting(&name)))] {
            let stream = connection.begin(&encoded(encoding));
            let body = prefixed(1, &message);
            connection.upload(stream, body.chunks(1000), data);
            connection.send([data(stream, []).end()]);
            connection.is_greeted(stream, &name);
        }
    }
}

fn not_every_message_must_be_compressed(server: &mut Server) {
    let mut connection = server.open();
    for encoding in ["gzip", "deflate"] {
        let stream = connection.request(&encoded(encoding), &hello("Joe", 0));
        connection.is_greeted(stream, "Joe");
    }
}

/// 200 MB in some 200 kB, as one gzip file of twenty members; the limit is 4 MiB.
fn a_bomb_is_refused_at_the_limit(server: &mut Server) {
    let member = gzip(&vec![0; 10_000_000]);
    let bomb = prefixed(1, &member.repeat(20));
    assert!(bomb.len() < 250_000, "{} bytes", bomb.len());
    let mut connection = server.open();
    let stream = connection.begin(&encoded("gzip"));
    connection.upload(stream, bomb.chunks(MAX_FRAME_SIZE), data);
    connection.send([data(stream, []).end()]);
    assert_eq!(connection.response(stream).grpc(), Some(status::RESOURCE_EXHAUSTED));
    connection.greets();
}

fn what_cannot_be_inflated(server: &mut Server) {
    let mut connection = server.open();
    let message = greeting("Joe");
    for (encoding, good, other) in [("gzip", gzip(&message), deflate(&message)), ("deflate", deflate(&message), gzip(&message))] {
        let cut = good[..good.len() - 1].to_vec();
        let longer = [&good[..], b"x"].concat();
        for bad in [message.clone(), other, cut, longer, Vec::new()] {
            fails_with(&mut connection, &encoded(encoding), &prefixed(1, &bad), status::INTERNAL);
        }
    }
    connection.greets();
}
