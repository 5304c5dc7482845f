//! What a server may not send: what fails a call, and what ends the connection.

use super::*;

/// What ends a connection with one call, and is told in GOAWAY.
fn fault_of(input: &[u8]) -> String {
    let mut client = opened(&[]);
    client.open(&mut request(b"body"));
    client.take_output(Vec::new());
    tell(&mut client, input);
    let out = client.take_output(Vec::new());
    let fault = client.fault().unwrap_or_else(|| panic!("no fault by {input:?}")).to_string();
    let (header, payload) = frames(&out).pop().expect("GOAWAY");
    assert_eq!((header.kind, &payload[..4]), (kind::GOAWAY, &[0, 0, 0, 0][..]));
    assert!(fault.ends_with(std::str::from_utf8(&payload[8..]).unwrap()));
    fault
}

#[test]
fn a_bad_answer_fails_its_call_alone() {
    let mut cases: Vec<(&str, Vec<u8>)> = Vec::new();
    let mut add = |why, make: &dyn Fn(&mut Server) -> Vec<u8>| cases.push((why, make(&mut Server::new())));
    let whole = flag::END_HEADERS | flag::END_STREAM;
    let headers = |flags: u8, block: Vec<u8>| raw(kind::HEADERS, flags, 1, &block);
    add("malformed header fields", &|server| headers(flag::END_HEADERS, server.block(None, &[("a", "b")])));
    add("malformed header fields", &|server| headers(flag::END_HEADERS, server.block(Some(101), &[])));
    add("malformed header fields", &|server| headers(flag::END_HEADERS, server.block(Some(999), &[(":status", "200")])));
    add("malformed header fields", &|server| headers(flag::END_HEADERS, server.block(Some(200), &[("A", "b")])));
    add("malformed header fields", &|server| headers(flag::END_HEADERS, server.block(Some(200), &[("a", "b\nc")])));
    add("malformed header fields", &|server| headers(flag::END_HEADERS, server.block(Some(200), &[(":path", "/")])));
    add("malformed header fields", &|server| headers(flag::END_HEADERS, server.block(Some(200), &[("connection", "close")])));
    add("malformed header fields", &|server| headers(flag::END_HEADERS, server.block(Some(200), &[("a", "b"), (":status", "200")])));
    add("malformed header fields", &|server| headers(flag::END_HEADERS, server.block(Some(200), &[("content-length", "many")])));
    add("malformed header fields", &|server| [server.head(1), headers(whole, server.block(Some(200), &[]))].concat());
    add("the answer's header list is longer than 16 KiB", &|server| {
        headers(flag::END_HEADERS, server.block(Some(200), &[("a", &"~".repeat(16_340))]))
    });
    add("trailers that do not end the answer", &|server| {
        [server.head(1), headers(flag::END_HEADERS, server.block(None, &[("grpc-status", "0")]))].concat()
    });
    add("the answer ended before it began", &|server| headers(whole, server.block(Some(100), &[])));
    add("DATA before the answer's head", &|_| raw(kind::DATA, 0, 1, b"x"));
    add("no body, where content-length promises one", &|server| headers(whole, server.block(Some(200), &[("content-length", "1")])));
    let promised = |server: &mut Server, n: &str| headers(flag::END_HEADERS, server.block(Some(200), &[("content-length", n)]));
    let other = "a body of another length than content-length says";
    add(other, &|server| [promised(server, "3"), raw(kind::DATA, 0, 1, b"abcd")].concat());
    add(other, &|server| [promised(server, "3"), raw(kind::DATA, flag::END_STREAM, 1, b"ab")].concat());
    add(other, &|server| [promised(server, "3"), raw(kind::DATA, 0, 1, b"ab"), server.trailers(1)].concat());
    add("WINDOW_UPDATE of 0, or beyond 2^31 - 1", &|_| raw(kind::WINDOW_UPDATE, 0, 1, &[0; 4]));
    add("WINDOW_UPDATE of 0, or beyond 2^31 - 1", &|_| raw(kind::WINDOW_UPDATE, 0, 1, &0x7fff_ffff_u32.to_be_bytes()));
    for (why, input) in cases {
        let mut client = opened(&[]);
        client.open(&mut request(b""));
        client.open(&mut request(b""));
        client.take_output(Vec::new());
        let told = tell(&mut client, &input);
        assert_eq!(told.last().unwrap(), &format!("1 refused {why}"));
        let out = client.take_output(Vec::new());
        assert_eq!(frames(&out).last().map(|(header, _)| (header.kind, header.stream_id)), Some((kind::RST_STREAM, 1)));
        // The other goes on; its blocks are those of an encoder that has entered nothing.
        assert_eq!(client.fault(), None, "{why}");
        assert_eq!(tell(&mut client, &raw(kind::HEADERS, whole, 3, &[0x88])), ["3 head 200 end"]);
    }
}

#[test]
fn a_bad_server_ends_the_connection() {
    let cases: &[(&str, Vec<u8>)] = &[
        ("FRAME_SIZE_ERROR: a frame is larger than SETTINGS_MAX_FRAME_SIZE", frame::header(16_385, kind::DATA, 0, 1).to_vec()),
        ("FRAME_SIZE_ERROR: a frame is larger than SETTINGS_MAX_FRAME_SIZE", frame::header(0xff_ffff, kind::SETTINGS, 0, 0).to_vec()),
        ("PROTOCOL_ERROR: SETTINGS on a stream", raw(kind::SETTINGS, 0, 1, b"")),
        ("FRAME_SIZE_ERROR: SETTINGS of a length that is no multiple of 6", raw(kind::SETTINGS, 0, 0, b"12345")),
        ("FRAME_SIZE_ERROR: an acknowledgement of SETTINGS with a payload", raw(kind::SETTINGS, flag::ACK, 0, b"123456")),
        ("PROTOCOL_ERROR: SETTINGS_ENABLE_PUSH of a server is not 0", settings(&[(setting::ENABLE_PUSH, 1)])),
        ("FLOW_CONTROL_ERROR: SETTINGS_INITIAL_WINDOW_SIZE is above 2^31 - 1", settings(&[(setting::INITIAL_WINDOW_SIZE, 1 << 31)])),
        ("PROTOCOL_ERROR: SETTINGS_MAX_FRAME_SIZE is not between 2^14 and 2^24 - 1", settings(&[(setting::MAX_FRAME_SIZE, 16_383)])),
        ("PROTOCOL_ERROR: WINDOW_UPDATE of 0", raw(kind::WINDOW_UPDATE, 0, 0, &[0; 4])),
        ("FRAME_SIZE_ERROR: WINDOW_UPDATE is not 4 bytes long", raw(kind::WINDOW_UPDATE, 0, 0, &[0; 3])),
        (
            "FLOW_CONTROL_ERROR: the connection's window grows above 2^31 - 1",
            raw(kind::WINDOW_UPDATE, 0, 0, &0x7fff_ffff_u32.to_be_bytes()),
        ),
        ("PROTOCOL_ERROR: WINDOW_UPDATE on a stream that was never opened", raw(kind::WINDOW_UPDATE, 0, 3, &[0, 0, 0, 1])),
        ("PROTOCOL_ERROR: PING on a stream", raw(kind::PING, 0, 1, b"12345678")),
        ("FRAME_SIZE_ERROR: PING is not 8 bytes long", raw(kind::PING, 0, 0, b"1234567")),
        ("FRAME_SIZE_ERROR: RST_STREAM is not 4 bytes long", raw(kind::RST_STREAM, 0, 1, b"123")),
        ("PROTOCOL_ERROR: RST_STREAM on a stream that was never opened", raw(kind::RST_STREAM, 0, 3, &[0; 4])),
        ("PROTOCOL_ERROR: GOAWAY on a stream", raw(kind::GOAWAY, 0, 1, &[0; 8])),
        ("FRAME_SIZE_ERROR: GOAWAY is shorter than 8 bytes", raw(kind::GOAWAY, 0, 0, &[0; 7])),
        (
            "PROTOCOL_ERROR: a GOAWAY that takes back what an earlier one said",
            [raw(kind::GOAWAY, 0, 0, &[0; 8]), raw(kind::GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0])].concat(),
        ),
        ("PROTOCOL_ERROR: a push, which SETTINGS_ENABLE_PUSH forbids", raw(kind::PUSH_PROMISE, flag::END_HEADERS, 1, b"\0\0\0\x02\x82")),
        ("PROTOCOL_ERROR: PRIORITY on stream 0", raw(kind::PRIORITY, 0, 0, b"\0\0\0\0\x01")),
        ("PROTOCOL_ERROR: CONTINUATION without HEADERS", raw(kind::CONTINUATION, 0, 1, b"")),
        ("PROTOCOL_ERROR: another frame within a header block", [raw(kind::HEADERS, 0, 1, b""), raw(kind::PING, 0, 0, &[0; 8])].concat()),
        (
            "PROTOCOL_ERROR: another frame within a header block",
            [raw(kind::HEADERS, 0, 1, b""), raw(kind::CONTINUATION, 0, 3, b"")].concat(),
        ),
        (
            "ENHANCE_YOUR_CALM: a header block in too many frames",
            [raw(kind::HEADERS, 0, 1, b""), raw(kind::CONTINUATION, 0, 1, b"").repeat(9)].concat(),
        ),
        (
            "ENHANCE_YOUR_CALM: a header block is too large",
            [raw(kind::HEADERS, 0, 1, b""), raw(kind::CONTINUATION, 0, 1, &[0x88; 16_384]).repeat(5)].concat(),
        ),
        ("COMPRESSION_ERROR: HPACK: the block ends within a field", raw(kind::HEADERS, flag::END_HEADERS, 1, &[0xff])),
        ("PROTOCOL_ERROR: a frame on a stream that was never opened", raw(kind::HEADERS, flag::END_HEADERS, 3, &[0x88])),
        ("PROTOCOL_ERROR: a frame on a stream that was never opened", raw(kind::HEADERS, flag::END_HEADERS, 2, &[0x88])),
        ("PROTOCOL_ERROR: a frame on a stream that was never opened", raw(kind::DATA, 0, 0, b"x")),
        ("FRAME_SIZE_ERROR: HEADERS is too short for its padding or priority", raw(kind::HEADERS, flag::PADDED, 1, b"")),
        ("FRAME_SIZE_ERROR: HEADERS is too short for its padding or priority", raw(kind::HEADERS, flag::PRIORITY, 1, b"\0\0\0\0")),
        ("PROTOCOL_ERROR: padding is longer than its frame", raw(kind::HEADERS, flag::PADDED, 1, b"\x02\x88")),
        ("FRAME_SIZE_ERROR: padded DATA without the padding's length", raw(kind::DATA, flag::PADDED, 1, b"")),
        (
            "PROTOCOL_ERROR: padding is longer than its frame",
            [raw(kind::HEADERS, flag::END_HEADERS, 1, &[0x88]), raw(kind::DATA, flag::PADDED, 1, b"\x02x")].concat(),
        ),
        (
            "STREAM_CLOSED: a frame on a stream that is closed",
            [raw(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 1, &[0x88]), raw(kind::DATA, 0, 1, b"x")].concat(),
        ),
    ];
    for (expected, input) in cases {
        assert_eq!(fault_of(input), *expected);
        // The same, byte by byte.
        let mut client = opened(&[]);
        client.open(&mut request(b"body"));
        input.chunks(1).for_each(|byte| drop(tell(&mut client, byte)));
        assert_eq!(client.fault().unwrap().to_string(), *expected);
    }
}

#[test]
fn what_is_not_http2_is_known_by_its_first_frame() {
    for input in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"\x15\x03\x01\0\x02\x02\x50\0\0\0", &raw(kind::SETTINGS, flag::ACK, 0, b"")] {
        let mut client = Connection::new();
        tell(&mut client, input);
        assert_eq!(client.fault().unwrap().to_string(), "PROTOCOL_ERROR: the server's first frame is not SETTINGS");
        assert!(client.is_closed_to_new());
    }
}

#[test]
fn windows_that_are_overrun_end_the_connection() {
    let mut client = opened(&[]);
    client.open(&mut request(b""));
    tell(&mut client, &Server::new().head(1));
    client.recv_window = 9;
    tell(&mut client, &raw(kind::DATA, 0, 1, b"0123456789"));
    assert_eq!(client.fault().unwrap().to_string(), "FLOW_CONTROL_ERROR: DATA beyond the connection's window");

    let mut client = opened(&[]);
    let stream = client.open(&mut request(b""));
    tell(&mut client, &Server::new().head(1));
    client.streams.get_mut(stream).unwrap().recv_window = 9;
    tell(&mut client, &raw(kind::DATA, 0, 1, b"0123456789"));
    assert_eq!(client.fault().unwrap().to_string(), "FLOW_CONTROL_ERROR: DATA beyond a stream's window");
}
