//! Requests that come piece by piece, and answers whose readers take their time: `parts`.

use super::*;
use crate::http2::{Field, Indexing};

/// A client whose streams have readers, which knows these SETTINGS.
fn with_readers(entries: &[(u16, u32)]) -> Connection {
    let mut client = Connection::with_readers();
    assert!(tell(&mut client, &settings(entries)).is_empty());
    client.take_output(Vec::new());
    client
}

/// Fields of a request, each to be indexed so.
fn begin(client: &mut Connection, fields: &[(&str, &str, Indexing)], end: bool) -> StreamKey {
    client.begin(
        |see| {
            for (name, value, indexing) in fields {
                see(Field { name: name.as_bytes(), value: value.as_bytes(), indexing: *indexing });
            }
        },
        end,
    )
}

fn post(client: &mut Connection, end: bool) -> StreamKey {
    begin(client, &[(":method", "POST", Indexing::Common), (":path", "/a.B/C", Indexing::Common)], end)
}

fn piece(n: usize) -> Bytes {
    vec![b'x'; n].into()
}

fn window_update(id: u32, n: u32) -> Vec<u8> {
    raw(kind::WINDOW_UPDATE, 0, id, &n.to_be_bytes())
}

/// What the windows were opened by, by stream.
fn opened_by(out: &[u8]) -> Vec<(u32, u32)> {
    let updates = frames(out).into_iter().filter(|(header, _)| header.kind == kind::WINDOW_UPDATE);
    updates.map(|(header, payload)| (header.stream_id, u32::from_be_bytes(payload.try_into().unwrap()))).collect()
}

#[test]
fn a_request_is_its_fields_and_its_end() {
    let mut client = with_readers(&[]);
    for (id, end) in [(1, true), (3, false), (5, true)] {
        let stream = post(&mut client, end);
        assert_eq!((stream.id(), client.has_room(stream)), (id, !end));
        let out = client.take_output(Vec::new());
        let [(head, block)] = &frames(&out)[..] else { panic!("{out:?}") };
        let flags = if end { flag::END_HEADERS | flag::END_STREAM } else { flag::END_HEADERS };
        assert_eq!((head.kind, head.flags, head.stream_id), (kind::HEADERS, flags, id));
        assert!(!block.is_empty());
    }
    assert_eq!(client.streams().count(), 3);
}

/// What is the same in each request costs an octet, what is not stands there, what is secret enters no table on the way (RFC 7541, 6.2.3).
#[test]
fn fields_are_indexed_as_their_owner_says() {
    let mut client = with_readers(&[]);
    let mut decoder = Decoder::new(4096);
    let mut lens = Vec::new();
    for _ in 0..3 {
        let fields =
            [(":path", "/a.B/C", Indexing::Common), ("x-plain", "plain", Indexing::Plain), ("authorization", "secret", Indexing::Never)];
        begin(&mut client, &fields, true);
        let block = frames(&client.take_output(Vec::new()))[0].1.clone();
        let mut found = Vec::new();
        decoder.decode(&block, |field| found.push((field.name.to_vec(), field.value.to_vec()))).unwrap();
        assert_eq!(found, fields.map(|(name, value, _)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())));
        // The index of `authorization` in the static table is 23: never indexed, as 0001 with 15 of it in four bits, and 8.
        assert!(block.windows(2).any(|two| two == [0x1f, 8]), "{block:x?}");
        lens.push(block.len());
    }
    assert!(lens[0] > lens[1] && lens[1] == lens[2], "{lens:?}");
}

#[test]
fn a_long_block_is_continued_and_ends_the_stream_in_its_first_frame() {
    for (n_bytes, n_continued) in [(16_000, 0), (40_000, 2)] {
        let mut client = with_readers(&[]);
        let value = "{}".repeat(n_bytes / 2);
        begin(&mut client, &[("x-long", &value, Indexing::Plain)], true);
        let out = client.take_output(Vec::new());
        let frames = frames(&out);
        let block: Vec<u8> = frames.iter().flat_map(|(_, payload)| payload.clone()).collect();
        let mut found = 0;
        Decoder::new(4096).decode(&block, |field| found = field.value.len()).unwrap();
        assert_eq!((found, frames.len()), (n_bytes, 1 + n_continued));
        for (n, (header, payload)) in frames.iter().enumerate() {
            let is_last = n == n_continued;
            assert_eq!(header.kind, if n == 0 { kind::HEADERS } else { kind::CONTINUATION });
            assert_eq!((header.has(flag::END_STREAM), header.has(flag::END_HEADERS)), (n == 0, is_last));
            assert!(payload.len() == 16_384 || is_last && payload.len() < 16_384);
        }
    }
}

#[test]
fn pieces_go_out_one_by_one() {
    let mut client = with_readers(&[]);
    let stream = post(&mut client, false);
    client.take_output(Vec::new());
    for n in [1, 20_000, 7] {
        assert!(client.has_room(stream));
        client.send(stream, piece(n), false);
        assert_eq!(sent(&client.take_output(Vec::new())), [(1, n, false)]);
        assert!(client.has_roomy());
        assert_eq!(client.take_roomy(), [stream]);
        assert!(!client.has_roomy());
    }
    // An empty piece in the middle says nothing, and leaves the room.
    client.send(stream, Bytes::new(), false);
    assert!(client.take_output(Vec::new()).is_empty() && client.has_room(stream));
    client.send(stream, piece(3), true);
    assert_eq!(client.take_output(Vec::new()), raw(kind::DATA, flag::END_STREAM, 1, b"xxx"));
    assert!(!client.has_room(stream) && client.take_roomy().is_empty(), "nothing follows the last");
}

#[test]
fn an_empty_end_needs_no_window() {
    let mut client = with_readers(&[(setting::INITIAL_WINDOW_SIZE, 3)]);
    let stream = post(&mut client, false);
    client.send(stream, piece(3), false);
    client.take_output(Vec::new());
    client.send(stream, Bytes::new(), true);
    assert_eq!(client.take_output(Vec::new()), raw(kind::DATA, flag::END_STREAM, 1, b""));
    assert!(!client.has_room(stream));
}

#[test]
fn a_piece_waits_for_the_streams_window_and_says_when_it_has_left() {
    let mut client = with_readers(&[(setting::INITIAL_WINDOW_SIZE, 4)]);
    let stream = post(&mut client, false);
    client.take_output(Vec::new());
    client.send(stream, piece(10), false);
    assert_eq!(sent(&client.take_output(Vec::new())), [(1, 4, false)]);
    assert!(!client.has_room(stream) && !client.has_roomy());
    tell(&mut client, &window_update(1, 5));
    assert_eq!(sent(&client.take_output(Vec::new())), [(1, 5, false)]);
    assert!(!client.has_room(stream) && !client.has_roomy());
    tell(&mut client, &window_update(1, 5));
    assert_eq!(sent(&client.take_output(Vec::new())), [(1, 1, false)]);
    assert!(client.has_room(stream));
    assert_eq!(client.take_roomy(), [stream]);
    // With no window at all it waits from the beginning, and its end with it.
    client.send(stream, piece(4), false);
    client.take_output(Vec::new());
    client.send(stream, piece(2), true);
    assert!(client.take_output(Vec::new()).is_empty());
    tell(&mut client, &window_update(1, 100));
    assert_eq!(sent(&client.take_output(Vec::new())), [(1, 2, true)]);
}

#[test]
fn streams_take_turns_at_the_connections_window() {
    let mut client = with_readers(&[(setting::INITIAL_WINDOW_SIZE, 1 << 20)]);
    let streams = [post(&mut client, false), post(&mut client, false)];
    client.take_output(Vec::new());
    streams.iter().for_each(|stream| client.send(*stream, piece(60_000), false));
    assert_eq!(sent(&client.take_output(Vec::new())), [(1, 60_000, false), (3, 5535, false)]);
    assert_eq!(client.take_roomy(), [streams[0]]);
    client.send(streams[0], piece(10), false);
    tell(&mut client, &window_update(0, 60_000));
    assert_eq!(sent(&client.take_output(Vec::new())), [(3, 54_465, false), (1, 10, false)], "who waits longest is first");
    assert_eq!(client.take_roomy(), [streams[1], streams[0]]);
}

#[test]
fn a_stream_that_is_gone_takes_nothing_and_has_no_room() {
    let mut client = with_readers(&[]);
    let stream = post(&mut client, false);
    client.send(stream, piece(70_000), false);
    client.take_output(Vec::new());
    client.reset(stream, ErrorCode::CANCEL);
    assert_eq!(client.take_output(Vec::new()), raw(kind::RST_STREAM, 0, 1, &ErrorCode::CANCEL.0.to_be_bytes()));
    client.send(stream, piece(10), true);
    client.release(stream, 1 << 20);
    assert!(!client.has_room(stream) && client.take_output(Vec::new()).is_empty());
    // Nor does the next in its slot get what was its.
    let next = post(&mut client, true);
    assert_eq!((next.slot(), next.id()), (stream.slot(), 3));
    client.send(stream, piece(10), true);
    client.release(stream, 1 << 20);
    tell(&mut client, &window_update(0, 1 << 20));
    assert_eq!(frames(&client.take_output(Vec::new())).len(), 1, "HEADERS alone");
}

#[test]
#[should_panic(expected = "asked before")]
fn a_piece_without_room_is_a_mistake() {
    let mut client = with_readers(&[(setting::INITIAL_WINDOW_SIZE, 0)]);
    let stream = post(&mut client, false);
    client.send(stream, piece(1), false);
    client.send(stream, piece(1), false);
}

#[test]
#[should_panic(expected = "asked before")]
fn a_stream_that_cannot_be_opened_is_a_mistake() {
    let mut client = with_readers(&[(setting::MAX_CONCURRENT_STREAMS, 1)]);
    post(&mut client, true);
    post(&mut client, true);
}

/// A window is opened again by what was read, not by what has come; by half of it at a time.
#[test]
fn windows_open_as_readers_take() {
    let mut client = with_readers(&[]);
    let mut server = Server::new();
    let stream = post(&mut client, true);
    client.take_output(Vec::new());
    let half = READ_WINDOW_BYTES / 2;
    tell(&mut client, &server.head(1));
    for _ in 0..READ_WINDOW_BYTES / 16_384 {
        tell(&mut client, &raw(kind::DATA, 0, 1, &[b'x'; 16_384]));
    }
    assert_eq!(opened_by(&client.take_output(Vec::new())), [], "nobody has read");
    client.release(stream, half as usize - 1);
    assert_eq!(opened_by(&client.take_output(Vec::new())), []);
    client.release(stream, 1);
    assert_eq!(opened_by(&client.take_output(Vec::new())), [(1, half)]);
    client.release(stream, half as usize);
    assert_eq!(opened_by(&client.take_output(Vec::new())), [(1, half)]);
    // Twice what the window has is within it, and a byte more is not.
    for _ in 0..READ_WINDOW_BYTES / 16_384 {
        tell(&mut client, &raw(kind::DATA, 0, 1, &[b'x'; 16_384]));
    }
    assert_eq!(client.fault(), None);
    tell(&mut client, &raw(kind::DATA, 0, 1, b"x"));
    assert_eq!(client.fault().map(|fault| fault.code), Some(ErrorCode::FLOW_CONTROL_ERROR));
}

#[test]
fn an_answer_that_has_ended_wants_no_more_window() {
    let mut client = with_readers(&[]);
    let mut server = Server::new();
    let stream = post(&mut client, true);
    client.take_output(Vec::new());
    tell(&mut client, &server.head(1));
    // A frame that ends the stream, whose payload is still coming.
    let data = raw(kind::DATA, flag::END_STREAM, 1, &[b'x'; 10_000]);
    assert_eq!(tell(&mut client, &data[..5000]).len(), 1);
    client.release(stream, READ_WINDOW_BYTES as usize);
    assert!(client.take_output(Vec::new()).is_empty());
}

#[test]
fn pings_and_goodbyes() {
    let mut client = with_readers(&[]);
    client.ask();
    assert_eq!(client.take_output(Vec::new()), raw(kind::PING, 0, 0, b"loopswap"));
    assert!(tell(&mut client, &raw(kind::PING, flag::ACK, 0, b"loopswap")).is_empty());
    client.say_goodbye();
    assert_eq!(client.take_output(Vec::new()), raw(kind::GOAWAY, 0, 0, &[0; 8]));
}
