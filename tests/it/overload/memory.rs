//! Messages that are not whole: what all connections of a worker keep of them together is bounded, so that many clients with a little each are no more than one
//! with much.

use loopswap::Limits;

use crate::raw::{Connection, Fields, announced, data};
use crate::support::{eventually, serve};

use super::assert_refused;

crate::on_every_loop_and_engine!(many_connections_keep_no_more_than_the_worker_may);

const MIB: usize = 1 << 20;

/// What the worker may keep; a connection may keep more.
const BOUND: usize = 16 * MIB;

const N_CONNECTIONS: usize = 10;
const CALLS_A_CONNECTION: usize = 10;

/// Each call sends nearly a MiB of twice as much, in frames of this size.
const FRAME_BYTES: usize = 16_000;
const N_FRAMES: usize = 60;

fn many_connections_keep_no_more_than_the_worker_may(runtime: &str, engine: &str) {
    assert!(Limits::default().partial_messages_bytes_max > BOUND, "it is not the connection's limit that is reached");
    let server = serve(runtime, &["--http2", engine, "--max-partial-bytes", &BOUND.to_string()]);
    Connection::open(server.addr(), &[]).greets();
    let before = server.memory("VmRSS");
    let mut connections: Vec<_> = (0..N_CONNECTIONS).map(|_| Connection::open(server.addr(), &[])).collect();
    let mut calls: Vec<_> = connections.iter_mut().enumerate().flat_map(|(n, connection)| calls(n, connection)).collect();
    let n_room = BOUND / (N_FRAMES * FRAME_BYTES);
    // hyper acknowledges a PING before what came ahead of it has reached its calls.
    eventually("what is too much is refused", || {
        connections.iter_mut().for_each(Connection::all_is_read);
        calls.retain(|(n, stream)| {
            let response = connections[*n].so_far(*stream);
            if response.is_over() {
                assert_refused(response, "the worker's messages that are not whole");
            }
            !response.is_over()
        });
        (calls.len() <= n_room).then_some(())
    });
    assert!(calls.len() >= n_room - 2, "no more than is needed: {} of {n_room} are kept", calls.len());
    // What is kept twice while its buffer grows, sockets' buffers and an allocator's gaps come besides: some three times the bound were seen, where all
    // that was sent would be six, and more while it grows.
    let grown = server.memory("VmHWM").saturating_sub(before);
    assert!(
        grown < 4 * BOUND as u64,
        "{grown} bytes, where all that was sent is {}",
        N_CONNECTIONS * CALLS_A_CONNECTION * N_FRAMES * FRAME_BYTES
    );
    // Whole messages are served, and what goes is room for others.
    Connection::open(server.addr(), &[]).greets();
    drop(connections);
    eventually("there is room again", || {
        let mut connection = Connection::open(server.addr(), &[]);
        let stream = part_of_a_message(&mut connection);
        connection.all_is_read();
        (!connection.so_far(stream).is_over()).then_some(())
    });
}

/// Calls whose messages do not end, each with the number of its connection.
fn calls(n: usize, connection: &mut Connection) -> Vec<(usize, u32)> {
    (0..CALLS_A_CONNECTION).map(|_| (n, part_of_a_message(connection))).collect()
}

/// Such a call.
fn part_of_a_message(connection: &mut Connection) -> u32 {
    let stream = connection.begin(&Fields::hello());
    let first = announced(0, 2 * MIB as u32, &[b'x'; FRAME_BYTES - 5]);
    connection.upload(stream, [&first[..]], data);
    for _ in 1..N_FRAMES {
        if !connection.so_far(stream).is_over() {
            connection.upload(stream, [&[b'x'; FRAME_BYTES][..]], data);
        }
    }
    stream
}
