//! The client's side, given raw bytes of a server: every sort of frame, whole and in pieces; requests piece by piece are in `parts`, what breaks a rule in `refused`.

mod parts;
mod refused;

use bytes::Bytes;

use super::super::frame::{self, FrameHeader, HEADER_BYTES, PREFACE, flag, kind, setting};
use super::super::hpack::{Decoder, Encoder};
use super::*;

const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";

/// A server's encoder, and what it writes.
struct Server {
    encoder: Encoder,
}

impl Server {
    fn new() -> Self {
        Self { encoder: Encoder::new() }
    }

    fn block(&mut self, status: Option<u16>, fields: &[(&str, &str)]) -> Vec<u8> {
        let mut block = Vec::new();
        self.encoder.begin(&mut block);
        if let Some(status) = status {
            self.encoder.status(&mut block, status);
        }
        for (name, value) in fields {
            self.encoder.common_field(&mut block, name.as_bytes(), value.as_bytes());
        }
        block
    }

    fn head(&mut self, id: u32) -> Vec<u8> {
        let block = self.block(Some(200), &[("content-type", "application/grpc")]);
        raw(kind::HEADERS, flag::END_HEADERS, id, &block)
    }

    fn trailers(&mut self, id: u32) -> Vec<u8> {
        let block = self.block(None, &[("grpc-status", "0")]);
        raw(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, id, &block)
    }

    /// A good answer.
    fn answer(&mut self, id: u32, body: &[u8]) -> Vec<u8> {
        [self.head(id), raw(kind::DATA, 0, id, body), self.trailers(id)].concat()
    }
}

fn raw(kind: u8, flags: u8, id: u32, payload: &[u8]) -> Vec<u8> {
    [&frame::header(payload.len(), kind, flags, id), payload].concat()
}

fn settings(entries: &[(u16, u32)]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::settings(&mut out, entries);
    out
}

fn request(body: &[u8]) -> Request {
    let fields = [(":method", "POST"), (":scheme", "http"), (":path", "/a.B/C"), (":authority", "here"), ("te", "trailers")];
    Request::new(fields.map(|(name, value)| (name, value.to_owned())), &[], Bytes::copy_from_slice(body))
}

/// A client whose preface is out, and which knows the server's SETTINGS.
fn opened(entries: &[(u16, u32)]) -> Connection {
    let mut client = Connection::new();
    assert!(tell(&mut client, &settings(entries)).is_empty());
    client.take_output(Vec::new());
    client
}

/// What is told, written down so that pieces of a body make the same text as the whole.
fn tell(client: &mut Connection, mut input: &[u8]) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    while let Some(event) = client.receive(&mut input) {
        let line = match event {
            Event::Head { stream, head, end } => format!("{} head {}{}", stream.id(), head.status(), if end { " end" } else { "" }),
            Event::Data { stream, bytes, end } => {
                let bytes = String::from_utf8_lossy(bytes);
                format!("{} data {bytes}{}", stream.id(), if end { " end" } else { "" })
            }
            Event::Trailers { stream, head } => {
                format!("{} trailers {:?}", stream.id(), String::from_utf8_lossy(head.get(b"grpc-status").unwrap_or_default()))
            }
            Event::Reset { stream, code } => format!("{} reset {code}", stream.id()),
            Event::Refused { stream, why } => format!("{} refused {why}", stream.id()),
            Event::Unprocessed { stream } => format!("{} unprocessed", stream.id()),
        };
        match told.last_mut() {
            // A piece that goes on where the last one ended.
            Some(last) if last.contains(" data ") && line.contains(" data ") && last.split(' ').next() == line.split(' ').next() => {
                last.push_str(line.split_once(" data ").expect("just found").1);
            }
            _ => told.push(line),
        }
    }
    told
}

/// The frames of an output.
fn frames(mut out: &[u8]) -> Vec<(FrameHeader, Vec<u8>)> {
    let mut frames = Vec::new();
    while let Some((header, rest)) = out.split_first_chunk::<HEADER_BYTES>() {
        let header = FrameHeader::parse(header);
        frames.push((header, rest[..header.len].to_vec()));
        out = &rest[header.len..];
    }
    assert!(out.is_empty());
    frames
}

/// The whole bodies that were sent, by stream: how long, and whether they have ended.
fn sent(out: &[u8]) -> Vec<(u32, usize, bool)> {
    let mut sent: Vec<(u32, usize, bool)> = Vec::new();
    for (header, payload) in frames(out).into_iter().filter(|(header, _)| header.kind == kind::DATA) {
        let at = sent.iter().position(|(id, ..)| *id == header.stream_id);
        let at = at.unwrap_or_else(|| {
            sent.push((header.stream_id, 0, false));
            sent.len() - 1
        });
        let entry = &mut sent[at];
        entry.1 += payload.len();
        entry.2 |= header.has(flag::END_STREAM);
    }
    sent
}

#[test]
fn opens_with_preface_and_settings_and_a_large_window() {
    let mut client = Connection::new();
    let out = client.take_output(Vec::new());
    let rest = out.strip_prefix(PREFACE).expect("the preface comes first");
    let kinds: Vec<_> = frames(rest).iter().map(|(header, payload)| (header.kind, header.stream_id, payload.len())).collect();
    assert_eq!(kinds, [(kind::SETTINGS, 0, 18), (kind::WINDOW_UPDATE, 0, 4)]);
    assert!(!client.is_open());
    assert!(tell(&mut client, SETTINGS).is_empty());
    assert!(client.is_open());
    assert_eq!(client.take_output(Vec::new()), raw(kind::SETTINGS, flag::ACK, 0, b""));
    assert!(tell(&mut client, &raw(kind::SETTINGS, flag::ACK, 0, b"")).is_empty());
    assert_eq!(client.n_output_bytes(), 0);
}

#[test]
fn a_request_is_encoded_once_and_repeated() {
    let mut client = opened(&[]);
    let mut request = request(b"body");
    let mut outs = Vec::new();
    for id in [1, 3, 5] {
        assert_eq!(client.open(&mut request).id(), id);
        outs.push(client.take_output(Vec::new()));
    }
    let mut decoder = Decoder::new(4096);
    for (out, id) in outs.iter().zip([1, 3, 5]) {
        let frames = frames(out);
        let [(head, block), (data, body)] = &frames[..] else { panic!("{frames:?}") };
        assert_eq!((head.kind, head.flags, head.stream_id), (kind::HEADERS, flag::END_HEADERS, id));
        assert_eq!((data.kind, data.flags, data.stream_id, &body[..]), (kind::DATA, flag::END_STREAM, id, &b"body"[..]));
        let mut fields = Vec::new();
        decoder.decode(block, |field| fields.push((field.name.to_vec(), field.value.to_vec()))).unwrap();
        assert_eq!(fields.len(), 5);
        assert_eq!(fields[2], (b":path".to_vec(), b"/a.B/C".to_vec()));
    }
    // All fields are indexed from the second time on.
    assert_eq!(outs[1].len(), 2 * HEADER_BYTES + 5 + 4);
    assert_eq!(outs[2][HEADER_BYTES..][..5], outs[1][HEADER_BYTES..][..5]);
}

#[test]
fn a_smaller_table_of_the_server_is_followed() {
    let mut client = opened(&[]);
    let mut request = request(b"");
    let mut decoder = Decoder::new(4096);
    for entries in [&[][..], &[], &[(setting::HEADER_TABLE_SIZE, 0)], &[], &[(setting::HEADER_TABLE_SIZE, 64)], &[]] {
        tell(&mut client, &settings(entries));
        client.take_output(Vec::new());
        client.open(&mut request);
        let out = client.take_output(Vec::new());
        let mut n = 0;
        decoder.decode(&frames(&out)[0].1, |_| n += 1).unwrap();
        assert_eq!(n, 5);
    }
}

#[test]
fn what_is_written_out_stands_in_each_request() {
    let mut client = opened(&[]);
    let fields = [(":method", "POST"), (":path", "/a.B/C"), ("te", "trailers"), ("content-length", "1")];
    let fields = fields.map(|(name, value)| (name, value.to_owned()));
    let mut request = Request::new(fields, &[":path", "content-length"], Bytes::from_static(b"x"));
    let mut decoder = Decoder::new(4096);
    let mut lens = Vec::new();
    for _ in 0..3 {
        client.open(&mut request);
        let block = frames(&client.take_output(Vec::new()))[0].1.clone();
        let mut found = Vec::new();
        decoder.decode(&block, |field| found.push(String::from_utf8_lossy(field.value).into_owned())).unwrap();
        assert_eq!(found, ["POST", "/a.B/C", "trailers", "1"]);
        lens.push(block.len());
    }
    // An index each for the method and `te`; path and length as they are, each behind the index of its name and its own length.
    assert_eq!(lens[1..], [13, 13], "the first has `te` in full: {lens:?}");
}

#[test]
fn a_long_header_block_is_continued() {
    let mut client = opened(&[]);
    let path = format!("/{}", "{}".repeat(20_000));
    let mut request = Request::new([(":method", "POST".into()), (":path", path.clone())], &[], Bytes::from_static(b"x"));
    for id in [1, 3] {
        client.open(&mut request);
        let out = client.take_output(Vec::new());
        let frames = frames(&out);
        let kinds: Vec<_> = frames.iter().map(|(header, _)| (header.kind, header.flags, header.stream_id)).collect();
        let expected = [
            (kind::HEADERS, 0, id),
            (kind::CONTINUATION, 0, id),
            (kind::CONTINUATION, flag::END_HEADERS, id),
            (kind::DATA, flag::END_STREAM, id),
        ];
        assert_eq!(kinds, expected);
        let block: Vec<u8> = frames[..3].iter().flat_map(|(_, payload)| payload.clone()).collect();
        let mut found = Vec::new();
        Decoder::new(4096).decode(&block, |field| found = field.value.to_vec()).unwrap();
        assert_eq!(found, path.as_bytes());
    }
}

/// Everything that a server may send, cut in two at every place, and into single bytes.
#[test]
fn answers_are_the_same_in_any_pieces() {
    let mut server = Server::new();
    let mut input = SETTINGS.to_vec();
    input.extend(server.answer(1, b"hello"));
    input.extend(raw(kind::PING, 0, 0, b"12345678"));
    // Padded DATA, an empty one, one that is nothing but padding.
    input.extend(server.head(3));
    input.extend(raw(kind::DATA, flag::PADDED, 3, b"\x03abc\0\0\0"));
    input.extend(raw(kind::DATA, 0, 3, b""));
    input.extend(raw(kind::DATA, flag::PADDED, 3, b"\x02\0\0"));
    input.extend(raw(0xfe, 0xff, 3, b"unknown"));
    input.extend(raw(kind::DATA, 0, 3, b"def"));
    input.extend(server.trailers(3));
    // 1xx before the answer; a head in three frames, padded and with a priority.
    let early = server.block(Some(103), &[("link", "x")]);
    input.extend(raw(kind::HEADERS, flag::END_HEADERS, 5, &early));
    let block = server.block(Some(200), &[("content-type", "application/grpc"), ("x-more", "of it")]);
    let (a, b) = block.split_at(block.len() / 2);
    input.extend(raw(kind::HEADERS, flag::PADDED | flag::PRIORITY, 5, &[b"\x02\0\0\0\0\x10", a, b"\0\0"].concat()));
    input.extend(raw(kind::CONTINUATION, 0, 5, b""));
    input.extend(raw(kind::CONTINUATION, flag::END_HEADERS, 5, b));
    input.extend(raw(kind::DATA, flag::END_STREAM, 5, b"end"));
    // Trailers alone.
    let only = server.block(Some(200), &[("content-type", "application/grpc"), ("grpc-status", "5")]);
    input.extend(raw(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 7, &only));
    input.extend(raw(kind::RST_STREAM, 0, 9, &7_u32.to_be_bytes()));
    input.extend(raw(kind::PRIORITY, 0, 11, b"\0\0\0\0\x01"));
    input.extend(raw(kind::WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()));
    input.extend(raw(kind::WINDOW_UPDATE, 0, 11, &1_u32.to_be_bytes()));
    input.extend(raw(kind::GOAWAY, 0, 0, b"\0\0\0\x0b\0\0\0\0enough"));
    let expected = [
        "1 head 200",
        "1 data hello",
        "1 trailers \"0\"",
        "3 head 200",
        "3 data abcdef",
        "3 trailers \"0\"",
        "5 head 200",
        "5 data end end",
        "7 head 200 end",
        "9 reset REFUSED_STREAM",
        "13 unprocessed",
    ];
    let run = |pieces: &[&[u8]]| {
        let mut client = Connection::new();
        for _ in 0..7 {
            client.open(&mut request(b"body"));
        }
        client.take_output(Vec::new());
        let mut told: Vec<String> = Vec::new();
        for piece in pieces {
            for line in tell(&mut client, piece) {
                match told.last_mut() {
                    Some(last) if last.contains(" data ") && line.contains(" data ") => last.push_str(line.split_once(" data ").unwrap().1),
                    _ => told.push(line),
                }
            }
        }
        assert_eq!(client.fault(), None);
        assert_eq!(client.going_away().unwrap().to_string(), "GOAWAY, NO_ERROR: enough");
        let out = client.take_output(Vec::new());
        assert_eq!(out, [raw(kind::SETTINGS, flag::ACK, 0, b""), raw(kind::PING, flag::ACK, 0, b"12345678")].concat());
        assert_eq!(client.streams().count(), 1, "11 is still open");
        told
    };
    assert_eq!(run(&[&input]), expected);
    for at in 0..input.len() {
        let (a, b) = input.split_at(at);
        assert_eq!(run(&[a, b]), expected, "cut at {at}");
    }
    assert_eq!(run(&input.chunks(1).collect::<Vec<_>>()), expected);
}

#[test]
fn equal_blocks_share_their_head_while_the_table_stands_still() {
    let mut client = opened(&[]);
    let mut server = Server::new();
    let head_of = |client: &mut Connection, server: &mut Server, value: Option<&str>| {
        let id = client.open(&mut request(b"")).id();
        let block = match value {
            None => server.block(Some(200), &[("content-type", "application/grpc")]),
            Some(value) => server.block(Some(200), &[("content-type", "application/grpc"), ("x", value)]),
        };
        let input = raw(kind::HEADERS, flag::END_HEADERS, id, &block);
        let Some(Event::Head { head, .. }) = client.receive(&mut &input[..]) else { panic!("no head") };
        head
    };
    head_of(&mut client, &mut server, None);
    let second = head_of(&mut client, &mut server, None);
    let third = head_of(&mut client, &mut server, None);
    assert!(Rc::ptr_eq(&second, &third));
    // A new entry moves the others; the same octets would mean something else.
    assert_eq!(head_of(&mut client, &mut server, Some("1")).get(b"x"), Some(&b"1"[..]));
    let moved = head_of(&mut client, &mut server, None);
    assert!(!Rc::ptr_eq(&second, &moved));
    assert_eq!(moved.get(b"content-type"), Some(&b"application/grpc"[..]));
    assert_eq!(moved.get(b"x"), None);
}

#[test]
fn bodies_keep_to_both_windows() {
    let mut client = opened(&[]);
    let mut request = request(&vec![b'x'; 50_000]);
    // Together they have the connection's 65,535 bytes.
    client.open(&mut request);
    client.open(&mut request);
    let out = client.take_output(Vec::new());
    assert_eq!(sent(&out), [(1, 50_000, true), (3, 15_535, false)]);
    assert!(frames(&out).iter().all(|(header, _)| header.len <= 16_384));
    // The stream's own window is not the connection's.
    tell(&mut client, &raw(kind::WINDOW_UPDATE, 0, 3, &100_000_u32.to_be_bytes()));
    assert_eq!(client.n_output_bytes(), 0);
    tell(&mut client, &raw(kind::WINDOW_UPDATE, 0, 0, &10_000_u32.to_be_bytes()));
    assert_eq!(sent(&client.take_output(Vec::new())), [(3, 10_000, false)]);
    tell(&mut client, &raw(kind::WINDOW_UPDATE, 0, 0, &1_000_000_u32.to_be_bytes()));
    assert_eq!(sent(&client.take_output(Vec::new())), [(3, 24_465, true)]);
    // And the connection's is not the stream's.
    tell(&mut client, &settings(&[(setting::INITIAL_WINDOW_SIZE, 7)]));
    client.open(&mut request);
    assert_eq!(sent(&client.take_output(Vec::new())), [(5, 7, false)]);
    // Lower than what is used up: below 0.
    tell(&mut client, &settings(&[(setting::INITIAL_WINDOW_SIZE, 0)]));
    tell(&mut client, &raw(kind::WINDOW_UPDATE, 0, 5, &7_u32.to_be_bytes()));
    assert_eq!(sent(&client.take_output(Vec::new())), []);
    tell(&mut client, &raw(kind::WINDOW_UPDATE, 0, 5, &3_u32.to_be_bytes()));
    assert_eq!(sent(&client.take_output(Vec::new())), [(5, 3, false)]);
    tell(&mut client, &settings(&[(setting::INITIAL_WINDOW_SIZE, 50_000)]));
    assert_eq!(sent(&client.take_output(Vec::new())), [(5, 49_990, true)]);
}

#[test]
fn the_output_is_bounded_and_goes_on_when_it_is_taken() {
    let mut client = opened(&[(setting::INITIAL_WINDOW_SIZE, 0x7fff_ffff)]);
    tell(&mut client, &raw(kind::WINDOW_UPDATE, 0, 0, &0x7fff_0000_u32.to_be_bytes()));
    let mut request = request(&vec![b'x'; 300_000]);
    client.open(&mut request);
    assert!(!client.can_open());
    let mut n_bytes = 0;
    while client.n_output_bytes() > 0 {
        assert!(client.n_output_bytes() < 64 * 1024 + 2 * 16_393);
        let out = client.take_output(Vec::new());
        n_bytes += sent(&out).iter().map(|(_, n, _)| n).sum::<usize>();
    }
    assert_eq!(n_bytes, 300_000);
    assert!(client.can_open());
}

#[test]
fn replies_open_the_windows_again() {
    let mut client = opened(&[]);
    let mut server = Server::new();
    client.open(&mut request(b""));
    client.take_output(Vec::new());
    tell(&mut client, &server.head(1));
    let data = raw(kind::DATA, 0, 1, &vec![b'x'; 16_384]);
    let (mut of_stream, mut of_connection) = (0, 0);
    // 160 MiB, far more than either window.
    for _ in 0..10_240 {
        tell(&mut client, &data);
        for (header, payload) in frames(&client.take_output(Vec::new())) {
            assert_eq!(header.kind, kind::WINDOW_UPDATE);
            let n = u32::from_be_bytes(payload.try_into().unwrap());
            *(if header.stream_id == 1 { &mut of_stream } else { &mut of_connection }) += n;
        }
    }
    assert_eq!(client.fault(), None);
    let all = 10_240 * 16_384;
    assert!(of_stream >= all - STREAM_WINDOW_BYTES / 2 && of_stream <= all, "{of_stream}");
    assert!(of_connection >= all - CONNECTION_WINDOW_BYTES / 2 && of_connection <= all, "{of_connection}");
}

#[test]
fn the_servers_limit_of_streams_is_kept() {
    let mut client = Connection::new();
    let mut request = request(b"");
    while client.can_open() {
        client.open(&mut request);
    }
    assert_eq!(client.streams().count(), 100, "before its SETTINGS");
    tell(&mut client, &settings(&[(setting::MAX_CONCURRENT_STREAMS, 101)]));
    client.open(&mut request);
    assert!(!client.can_open());
    tell(&mut client, &Server::new().answer(1, b"x"));
    assert!(client.can_open());
    tell(&mut client, &settings(&[(setting::MAX_CONCURRENT_STREAMS, 0)]));
    assert!(!client.can_open() && !client.is_closed_to_new());
}

#[test]
fn identifiers_run_out() {
    let mut client = opened(&[]);
    client.next_id = STREAM_ID_LAST - 2;
    let mut request = request(b"");
    client.open(&mut request);
    assert!(!client.is_closed_to_new());
    assert_eq!(client.open(&mut request).id(), STREAM_ID_LAST);
    assert!(client.is_closed_to_new() && !client.can_open());
    // What is open goes on.
    assert_eq!(tell(&mut client, &Server::new().answer(STREAM_ID_LAST, b"x")).len(), 3);
}

#[test]
fn goaway_leaves_what_was_admitted() {
    let mut client = opened(&[]);
    for _ in 0..3 {
        client.open(&mut request(b""));
    }
    // First of all streams, then of those that were seen (6.8).
    assert!(tell(&mut client, &raw(kind::GOAWAY, 0, 0, b"\x7f\xff\xff\xff\0\0\0\0")).is_empty());
    assert!(client.is_closed_to_new() && !client.can_open());
    assert_eq!(tell(&mut client, &raw(kind::GOAWAY, 0, 0, b"\0\0\0\x01\0\0\0\x0btoo_many_pings\n")), ["3 unprocessed", "5 unprocessed"]);
    assert_eq!(client.going_away().unwrap().to_string(), "GOAWAY, ENHANCE_YOUR_CALM: too_many_pings");
    assert_eq!(tell(&mut client, &Server::new().answer(1, b"x")).len(), 3);
}

#[test]
fn an_early_answer_ends_the_request() {
    let mut client = opened(&[]);
    let mut server = Server::new();
    client.open(&mut request(&[b'x'; 100_000]));
    client.take_output(Vec::new());
    assert_eq!(tell(&mut client, &server.answer(1, b"enough")).len(), 3);
    assert_eq!(client.take_output(Vec::new()), raw(kind::RST_STREAM, 0, 1, &ErrorCode::CANCEL.0.to_be_bytes()));
    // Both are for a stream that is gone.
    let after = [raw(kind::RST_STREAM, 0, 1, &[0; 4]), raw(kind::WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])].concat();
    assert!(tell(&mut client, &after).is_empty() && client.fault().is_none());
}

#[test]
fn what_comes_for_a_stream_that_was_given_up_is_dropped_and_followed() {
    let mut client = opened(&[]);
    let mut server = Server::new();
    let stream = client.open(&mut request(b""));
    client.open(&mut request(b""));
    client.take_output(Vec::new());
    client.reset(stream, ErrorCode::CANCEL);
    assert_eq!(client.take_output(Vec::new()), raw(kind::RST_STREAM, 0, 1, &8_u32.to_be_bytes()));
    assert!(tell(&mut client, &server.answer(1, b"late")).is_empty());
    // The table has followed: these blocks refer to what those have entered.
    assert_eq!(tell(&mut client, &server.answer(3, b"x")), ["3 head 200", "3 data x", "3 trailers \"0\""]);
}

#[test]
fn spaces_at_the_end_of_a_value_are_forgiven() {
    let mut client = opened(&[]);
    client.open(&mut request(b""));
    let block = Server::new().block(Some(200), &[("grpc-status", "5"), ("grpc-message", "no such \u{fc} ")]);
    let input = raw(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 1, &block);
    let Some(Event::Head { head, end: true, .. }) = client.receive(&mut &input[..]) else { panic!("no head") };
    assert_eq!(head.get(b"grpc-message"), Some("no such \u{fc}".as_bytes()));
}
