//! Compressed messages (PROTOCOL-HTTP2, "Message-Encoding"; compression.md): those that are read, and those that mean harm.

use std::io::Write;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

use crate::raw::*;

on_every_loop_and_engine!(
    what_is_compressed_is_read,
    not_every_message_must_be_compressed,
    a_bomb_is_refused_at_the_limit,
    bombs_delay_nobody,
    what_cannot_be_inflated,
);

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

pub(crate) fn zstd(message: &[u8]) -> Vec<u8> {
    zstd::encode_all(message, zstd::DEFAULT_COMPRESSION_LEVEL).expect("a vector takes all")
}

/// Makes a compressed message.
pub(crate) type Compress = fn(&[u8]) -> Vec<u8>;

const ALL: [(&str, Compress); 3] = [("gzip", gzip), ("deflate", deflate), ("zstd", zstd)];

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

fn what_is_compressed_is_read(server: &mut Server) {
    let mut connection = server.open();
    // The second is no shorter when it is compressed, the third comes in several frames.
    for name in ["Joe".repeat(100), "J".into(), (0..6_000).map(|n| format!("{n:x}")).collect()] {
        for (encoding, compress) in ALL {
            let stream = connection.begin(&encoded(encoding));
            let body = prefixed(1, &compress(&greeting(&name)));
            connection.upload(stream, body.chunks(1000), data);
            connection.send([data(stream, []).end()]);
            connection.is_greeted(stream, &name);
        }
    }
}

fn not_every_message_must_be_compressed(server: &mut Server) {
    let mut connection = server.open();
    for (encoding, _) in ALL {
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
    let (grown, ()) = server.memory_for("VmHWM", || {
        let stream = connection.begin(&encoded("gzip"));
        connection.upload(stream, bomb.chunks(MAX_FRAME_SIZE), data);
        connection.send([data(stream, []).end()]);
        assert_eq!(connection.response(stream).grpc(), Some(status::RESOURCE_EXHAUSTED));
    });
    assert!(grown < 32 << 20, "{grown} bytes for a message that may have 4 MiB");
    for (encoding, compress) in ALL {
        fails_with(&mut connection, &encoded(encoding), &prefixed(1, &compress(&vec![0; 10_000_000])), status::RESOURCE_EXHAUSTED);
    }
    connection.greets();
}

/// Many that are whole at once, each of which takes its milliseconds; a call of another connection comes between.
fn bombs_delay_nobody(server: &mut Server) {
    let bomb = prefixed(1, &gzip(&vec![0; 10_000_000]));
    let (mut attacker, mut other) = (server.open(), server.open());
    let (most, last) = bomb.split_at(bomb.len() - 1);
    let streams: Vec<_> = (0..20)
        .map(|_| {
            let stream = attacker.begin(&encoded("gzip"));
            attacker.upload(stream, [most], data);
            stream
        })
        .collect();
    attacker.all_is_read();
    attacker.send(streams.iter().map(|stream| data(*stream, last).end()));
    other.greets();
    attacker.drain();
    let n_over = streams.iter().filter(|stream| attacker.so_far(**stream).is_over()).count();
    for stream in &streams {
        assert_eq!(attacker.response(*stream).grpc(), Some(status::RESOURCE_EXHAUSTED));
    }
    assert!(n_over < streams.len(), "the greeting came when all bombs had gone off");
}

fn what_cannot_be_inflated(server: &mut Server) {
    let mut connection = server.open();
    let message = greeting("Joe");
    for (i, (encoding, compress)) in ALL.into_iter().enumerate() {
        let (good, other) = (compress(&message), ALL[(i + 1) % ALL.len()].1(&message));
        let cut = good[..good.len() - 1].to_vec();
        let longer = [&good[..], b"x"].concat();
        for bad in [message.clone(), other, cut, longer, Vec::new()] {
            fails_with(&mut connection, &encoded(encoding), &prefixed(1, &bad), status::INTERNAL);
        }
    }
    connection.greets();
}
