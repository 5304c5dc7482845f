//! What a connection may cost in memory, whatever the client announces, compresses or pads.

use crate::raw::*;

on_every_engine!(
    one_octet_for_a_large_field,
    one_octet_for_a_small_field,
    calls_that_hang_with_all_the_fields_they_may_have,
    messages_that_are_announced,
    padding_is_counted_and_given_back,
    answers_to_a_client_with_no_window,
);

const MIB: u64 = 1 << 20;
/// The native engine's. hyper's is not ours to state; what it needs varies with how its reads are cut.
const BOUND: u64 = 8 * MIB;
const BOUND_OF_HYPER: u64 = 16 * MIB;

fn bound(server: &Server) -> u64 {
    if server.engine() == "native" { BOUND } else { BOUND_OF_HYPER }
}

/// Requests whose header blocks refer to one entry of the table again and again (HTTP/2 Bomb, CVE-2026-49975), from a client that takes no answer.
fn bomb(server: &Server, value_bytes: usize, n_references: usize) {
    let (grown, ()) = server.memory_for("VmHWM", || {
        let mut connection = server.open_with(&[(setting::INITIAL_WINDOW_SIZE, 0)]);
        let armed = Fields::hello().block().remembered("x", vec![b'v'; value_bytes]);
        let blocks = [armed, Fields::hello().block()].map(|block| (0..n_references).fold(block, |block, _| block.indexed(62)));
        for n in 0..200 {
            // Not ended, so that who does not refuse them must keep them.
            let stream = connection.new_stream();
            connection.send([headers(stream, blocks[n.min(1)].clone())]);
        }
        connection.all_is_read();
    });
    assert!(grown < bound(server), "{grown} bytes");
}

fn one_octet_for_a_large_field(server: &mut Server) {
    bomb(server, 4000, 12_000);
}

fn one_octet_for_a_small_field(server: &mut Server) {
    bomb(server, 1, 12_000);
}

/// Within the limits: 200 calls of 118 fields, 14 KB each as the limits count, no two alike, for an octet a field.
fn calls_that_hang_with_all_the_fields_they_may_have(server: &mut Server) {
    let (grown, ()) = server.memory_for("VmHWM", || {
        let mut connection = server.open_with(&[(setting::INITIAL_WINDOW_SIZE, 0)]);
        for n in 0..200 {
            let stream = connection.new_stream();
            let block = Fields::hello().block().literal("x-n", n.to_string());
            let block = if n == 0 { block.remembered("x-armed", "v".repeat(83)) } else { block.indexed(62) };
            let block = (0..110).fold(block, |block, _| block.indexed(62));
            connection.send([headers(stream, block), data(stream, hello("Joe", 60_000)).end()]);
        }
        // The connection is full: all of them were read, and none is answered.
        let above = connection.hello("Joe", 0);
        assert_eq!(connection.response(above).reset, Some(code::REFUSED_STREAM));
        assert!((0..200).all(|n| !connection.so_far(2 * n + 1).is_over()), "{}", connection.seen());
    });
    assert!(grown < bound(server), "{grown} bytes");
}

/// Nothing is allocated before it has arrived. Address space is neither, but an allocator takes it a GiB at a time.
fn messages_that_are_announced(server: &mut Server) {
    for (kind, bound) in [("VmSize", 3 << 29), ("VmHWM", 32 * MIB)] {
        let (grown, _) = server.memory_for(kind, || {
            [(); 5].map(|()| {
                let mut connection = server.open();
                for _ in 0..150 {
                    let stream = connection.begin(&Fields::hello());
                    connection.send([data(stream, announced(0, 4 << 20, b"hello"))]);
                }
                // The answer to what came last: all is read by now.
                connection.greets();
                connection
            })
        });
        assert!(grown < bound, "{grown} bytes of {kind} for 750 × 4 MiB that never came");
    }
}

/// 5,000 frames with more padding in all than any window of the server's has bytes; a client that keeps to the windows comes to its end.
fn padding_is_counted_and_given_back(server: &mut Server) {
    let mut connection = server.open_with(&[(setting::INITIAL_WINDOW_SIZE, MAX_31_BITS)]);
    connection.send([window_update(0, MAX_31_BITS - WINDOW as u32)]);
    let name = "x".repeat(2_500_000);
    let stream = connection.begin(&Fields::hello());
    connection.upload(stream, hello(&name, 0).chunks(500), |stream, piece| data(stream, piece).padded(255));
    connection.send([data(stream, []).end()]);
    connection.is_greeted(stream, &name);
}

/// 200 answers of 15 KB each, which must wait somewhere: 3 MB, in whichever buffers, and the calls around them.
fn answers_to_a_client_with_no_window(server: &mut Server) {
    let name = "x".repeat(15_000);
    let (grown, ()) = server.memory_for("VmHWM", || {
        let mut connection = server.open_with(&[(setting::INITIAL_WINDOW_SIZE, 0)]);
        let streams: Vec<_> = (0..200).map(|_| connection.hello(&name, 0)).collect();
        for stream in streams {
            connection.until("the head comes", |connection| (!connection.so_far(stream).blocks.is_empty()).then_some(()));
        }
    });
    assert!(grown < 16 * MIB, "{grown} bytes");
}
