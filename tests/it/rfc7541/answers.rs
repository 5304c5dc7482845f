//! The server's own blocks, and the table that the client allows it (4.2). The connection's decoder is strict: a table that grows beyond what was
//! acknowledged, or a reduction that is not signalled, ends the case.

use crate::raw::*;

on_every_engine!(
    s4_2_no_table,
    s4_2_a_small_table,
    s4_2_a_table_that_is_taken_away,
    s4_2_a_table_that_comes_and_goes,
    s4_2_down_and_up_in_two_frames,
    s4_2_down_and_up_in_one_frame("hyper: takes note of the last value alone"),
    s4_2_a_huge_table,
);

/// Answers of several kinds, more than once, so that a table has something to hold.
fn answers(connection: &mut Connection) {
    for _ in 0..5 {
        connection.greets();
        let stream = connection.request(&Fields::hello().set(":path", "/helloworld.Greeter/Unknown"), &hello("Joe", 0));
        assert_eq!(connection.response(stream).grpc(), Some(status::UNIMPLEMENTED));
        let stream = connection.hello("Joe", -1);
        assert_eq!(connection.response(stream).grpc(), Some(status::INVALID_ARGUMENT));
    }
}

fn s4_2_no_table(server: &mut Server) {
    let mut connection = server.open_with(&[(setting::HEADER_TABLE_SIZE, 0)]);
    answers(&mut connection);
    assert_eq!(connection.n_indexed(), 0);
}

fn s4_2_a_small_table(server: &mut Server) {
    // Less than any entry, one entry of some kinds, two or three.
    for size in [10, 60, 150] {
        let mut connection = server.open_with(&[(setting::HEADER_TABLE_SIZE, size)]);
        answers(&mut connection);
    }
}

fn s4_2_a_table_that_is_taken_away(server: &mut Server) {
    let mut connection = server.open();
    answers(&mut connection);
    connection.set(&[(setting::HEADER_TABLE_SIZE, 0)]);
    let before = connection.n_indexed();
    answers(&mut connection);
    assert_eq!(connection.n_indexed(), before);
}

fn s4_2_a_table_that_comes_and_goes(server: &mut Server) {
    let mut connection = server.open();
    for size in [0, 4096, 40, 100_000, 200, 0, 70, 4096] {
        connection.set(&[(setting::HEADER_TABLE_SIZE, size)]);
        answers(&mut connection);
    }
}

/// The table is empty then, and the next block must say so.
fn s4_2_down_and_up_in_two_frames(server: &mut Server) {
    let mut connection = server.open();
    answers(&mut connection);
    connection.send([settings(&[(setting::HEADER_TABLE_SIZE, 0)]), settings(&[(setting::HEADER_TABLE_SIZE, 4096)])]);
    answers(&mut connection);
}

/// Values are processed in their order (RFC 9113, 6.5.3).
fn s4_2_down_and_up_in_one_frame(server: &mut Server) {
    let mut connection = server.open();
    answers(&mut connection);
    connection.set(&[(setting::HEADER_TABLE_SIZE, 0), (setting::HEADER_TABLE_SIZE, 4096)]);
    answers(&mut connection);
}

fn s4_2_a_huge_table(server: &mut Server) {
    let (grown, ()) = server.memory_for("VmSize", || {
        let mut connection = server.open_with(&[(setting::HEADER_TABLE_SIZE, u32::MAX)]);
        answers(&mut connection);
    });
    assert!(grown < 64 << 20, "the client allows much, which is no reason to take it: {grown} bytes");
}
