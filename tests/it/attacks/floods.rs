//! Frames that cost the client little, and each of which a server must look at: budgeted by kind.

use crate::raw::*;

on_every_engine!(
    of_settings("hyper: acknowledges all"),
    of_settings_in_one_frame("hyper: takes all"),
    of_priorities("hyper: ignores all"),
    of_window_updates_of_the_connection("hyper: ignores all"),
    of_window_updates_of_a_stream("hyper: ignores all"),
    of_unknown_frames("hyper: ignores all"),
    of_empty_data("hyper: has another word for it"),
    of_empty_data_that_is_padded("hyper: has another word for it"),
    of_data_of_one_byte("hyper: has another word for it"),
    of_continuations,
    of_empty_continuations,
    of_continuations_of_one_byte,
    a_busy_client_is_no_attacker,
);

const MANY: usize = 200_000;

/// The connection ends because of the flood, before it is over.
fn is_stopped<I: IntoIterator<Item = Frame>>(connection: &mut Connection, words: &[&str], make: impl FnMut(usize) -> I) {
    let sent = connection.flood(MANY, make);
    connection.is_told_to_calm_down(words);
    assert!(sent < MANY, "the flood ends with the connection");
}

/// CVE-2019-9515.
fn of_settings(server: &mut Server) {
    is_stopped(&mut server.open(), &["too_many_settings"], |_| [settings(&[])]);
    is_stopped(&mut server.open(), &["too_many_settings"], |n| [settings(&[(setting::INITIAL_WINDOW_SIZE, n as u32)])]);
}

/// A frame's worth of settings that mean nothing, or the same.
fn of_settings_in_one_frame(server: &mut Server) {
    for id in [0x99, setting::MAX_CONCURRENT_STREAMS] {
        let mut connection = server.open();
        connection.send([settings(&[(id, 100); 1000])]);
        connection.is_told_to_calm_down(&["too_many_settings"]);
    }
}

/// CVE-2019-9513.
fn of_priorities(server: &mut Server) {
    is_stopped(&mut server.open(), &["too_many_priorities"], |n| [priority(2 * n as u32 + 1, 0, 1)]);
}

fn of_window_updates_of_the_connection(server: &mut Server) {
    is_stopped(&mut server.open(), &["too_many_window_updates"], |_| [window_update(0, 1)]);
}

fn of_window_updates_of_a_stream(server: &mut Server) {
    let mut connection = server.open();
    let stream = connection.hello("Joe", 60_000);
    is_stopped(&mut connection, &["too_many_window_updates"], |_| [window_update(stream, 1)]);
}

fn of_unknown_frames(server: &mut Server) {
    is_stopped(&mut server.open(), &["too_many_unknown_frames"], |n| [Frame::new(0x20 + (n % 100) as u8, 0, n as u32, [])]);
}

/// CVE-2019-9518, RUSTSEC-2026-0258.
fn of_empty_data(server: &mut Server) {
    let mut connection = server.open();
    let stream = connection.begin(&Fields::hello());
    is_stopped(&mut connection, &["too_many_empty_frames"], |_| [data(stream, [])]);
}

/// They fill the windows without a byte of a message; so few are sent that the windows need not open.
fn of_empty_data_that_is_padded(server: &mut Server) {
    let mut connection = server.open();
    let stream = connection.begin(&Fields::hello());
    let padded = || data(stream, []).padded(1);
    for _ in 0..MANY / 100 {
        connection.send((0..100).map(|_| padded()));
        connection.until("the windows have room, or the connection ends", |connection| {
            (connection.room(stream) > 1000 || connection.error().is_some()).then_some(())
        });
        if connection.error().is_some() {
            break;
        }
    }
    connection.is_told_to_calm_down(&["too_many_empty_frames", "too_many_tiny_frames"]);
}

fn of_data_of_one_byte(server: &mut Server) {
    let mut connection = server.open();
    let stream = connection.begin(&Fields::hello());
    connection.send([data(stream, announced(0, MANY as u32, b""))]);
    is_stopped(&mut connection, &["too_many_tiny_frames"], |_| [data(stream, [0])]);
}

/// CVE-2024-27316.
fn of_continuations(server: &mut Server) {
    let mut connection = server.open();
    let more = Block::new().literal("x-more", vec![b'v'; 16_000]);
    connection.send([headers(1, Fields::hello().block()).open()]);
    is_stopped(&mut connection, &["too_many_continuations", "header_block_too_large"], |_| [continuation(1, more.clone()).open()]);
}

/// CVE-2026-33871.
fn of_empty_continuations(server: &mut Server) {
    let mut connection = server.open();
    connection.send([headers(1, Fields::hello().block()).open()]);
    is_stopped(&mut connection, &["too_many_continuations"], |_| [continuation(1, []).open()]);
}

fn of_continuations_of_one_byte(server: &mut Server) {
    let mut connection = server.open();
    connection.send([headers(1, []).open()]);
    // An indexed field, `accept-encoding`.
    is_stopped(&mut connection, &["too_many_continuations"], |_| [continuation(1, Block::new().indexed(16)).open()]);
}

/// All that a client has reasons for, ten times a call.
fn a_busy_client_is_no_attacker(server: &mut Server) {
    let mut connection = server.open();
    for n in 0..300 {
        let stream = connection.new_stream();
        let [head, body] = call(stream, "Joe", 0);
        connection.send([priority(stream, 0, 1), head, window_update(0, 10), window_update(stream, 10), Frame::new(0x42, 0, 0, [1])]);
        connection.send([body]);
        if n % 10 == 0 {
            connection.send([settings(&[(setting::INITIAL_WINDOW_SIZE, 65_535 + n)])]);
        }
        connection.is_greeted(stream, "Joe");
    }
}
