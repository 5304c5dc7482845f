//! The connection without I/O: any split of the input, windows, time, and every limit. What a frame means on the wire is tested there, by raw frames
//! against the running server. `keepalive` is what the connection asks by itself.

mod keepalive;

use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::http2::frame::{self, FrameHeader, HEADER_BYTES, PREFACE, flag, kind};
use crate::http2::{Connection, ErrorCode, Event, Field, Fields, Head, Indexing, Limits, StreamKey, Violation};

/// A request for `/`, without a body to come or with one: indexed fields and two literals.
const BLOCK: &[u8] = &[0x83, 0x86, 0x84, 0x41, 0x01, b'a', 0x40, 0x01, b'n', 0x01, b'v'];
/// The same once the tables know it.
const BLOCK_AGAIN: &[u8] = &[0x83, 0x86, 0x84, 0xbf, 0xbe];

/// What an application would have seen, without what is borrowed.
#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Request(StreamKey, bool),
    TooLarge(StreamKey, Violation),
    Data(StreamKey, Vec<u8>, bool),
    End(StreamKey),
    Reset(StreamKey, ErrorCode),
    Room(StreamKey),
}

struct Peer {
    connection: Connection,
    now: Instant,
}

impl Peer {
    /// A connection whose handshake is done, and whose output is empty.
    fn open(limits: Limits) -> Self {
        let now = Instant::now();
        let mut peer = Self { connection: Connection::new(Rc::new(limits), now), now };
        let mut opening = PREFACE.to_vec();
        frame::settings(&mut opening, &[]);
        frame::settings_ack(&mut opening);
        assert_eq!(peer.send(&opening), []);
        peer.output();
        peer
    }

    fn send(&mut self, mut bytes: &[u8]) -> Vec<Seen> {
        let mut seen = Vec::new();
        while let Some(event) = self.connection.receive(&mut bytes) {
            seen.push(match event {
                Event::Request { stream, end, .. } => Seen::Request(stream, end),
                Event::TooLarge { stream, violation } => Seen::TooLarge(stream, violation),
                Event::Data { stream, bytes, end } => Seen::Data(stream, bytes.to_vec(), end),
                Event::End { stream } => Seen::End(stream),
                Event::Reset { stream, code } => Seen::Reset(stream, code),
                Event::Room { stream } => Seen::Room(stream),
            });
        }
        assert!(bytes.is_empty());
        seen
    }

    fn frame(&mut self, kind: u8, flags: u8, id: u32, payload: &[u8]) -> Vec<Seen> {
        self.send(&frame_of(kind, flags, id, payload))
    }

    /// Opens a stream whose body is still to come, or not.
    fn request(&mut self, id: u32, end: bool) -> StreamKey {
        let flags = if end { flag::END_STREAM | flag::END_HEADERS } else { flag::END_HEADERS };
        match self.frame(kind::HEADERS, flags, id, BLOCK)[..] {
            [Seen::Request(key, ended)] if ended == end => key,
            ref other => panic!("{other:?}"),
        }
    }

    fn output(&mut self) -> Vec<(FrameHeader, Vec<u8>)> {
        let mut frames = Vec::new();
        loop {
            let output = self.connection.take_output(Vec::new());
            if output.is_empty() {
                return frames;
            }
            let mut rest = &output[..];
            while let Some((header, more)) = rest.split_first_chunk::<HEADER_BYTES>() {
                let header = FrameHeader::parse(header);
                frames.push((header, more[..header.len].to_vec()));
                rest = &more[header.len..];
            }
            assert!(rest.is_empty());
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.connection.set_now(self.now);
        self.connection.on_timeout();
    }

    /// The limit by which the connection ends, as GOAWAY says it.
    fn violation(&mut self) -> Violation {
        let closing = self.connection.closing().expect("it ends").clone();
        let violation = closing.violation.expect("by a limit");
        let (header, payload) = self.output().pop().expect("GOAWAY");
        assert_eq!(header.kind, kind::GOAWAY);
        assert_eq!(&payload[8..], violation.name().as_bytes());
        assert!(self.connection.take_violations().contains(&violation), "counted");
        violation
    }
}

fn frame_of(kind: u8, flags: u8, id: u32, payload: &[u8]) -> Vec<u8> {
    [&frame::header(payload.len(), kind, flags, id)[..], payload].concat()
}

static HEAD: [Field<'_>; 1] = [Field { name: b"content-type", value: b"application/grpc", indexing: Indexing::Common }];
static TRAILERS: [Field<'_>; 1] = [Field { name: b"grpc-status", value: b"0", indexing: Indexing::Common }];

fn answer(peer: &mut Peer, key: StreamKey, body: &[u8]) {
    peer.connection.send_head(key, 200, Fields::Static(&HEAD), false);
    peer.connection.send_data(key, &mut |out| out.extend_from_slice(body), false);
    peer.connection.send_trailers(key, Fields::Static(&TRAILERS));
}

fn data_bytes(frames: &[(FrameHeader, Vec<u8>)]) -> usize {
    frames.iter().filter(|(header, _)| header.kind == kind::DATA).map(|(_, payload)| payload.len()).sum()
}

#[test]
fn any_split_of_the_input_means_the_same() {
    let mut input = PREFACE.to_vec();
    frame::settings(&mut input, &[(3, 7), (4, 70_000)]);
    input.extend(frame_of(kind::HEADERS, flag::END_HEADERS, 1, BLOCK));
    input.extend(frame_of(kind::DATA, flag::PADDED, 1, &[&[3][..], b"hello", &[0; 3]].concat()));
    input.extend(frame_of(kind::DATA, 0, 1, b""));
    input.extend(frame_of(kind::DATA, flag::END_STREAM, 1, b" world"));
    input.extend(frame_of(kind::HEADERS, flag::END_STREAM, 3, &BLOCK_AGAIN[..2]));
    input.extend(frame_of(kind::CONTINUATION, flag::END_HEADERS, 3, &BLOCK_AGAIN[2..]));
    input.extend(frame_of(kind::HEADERS, flag::END_HEADERS, 5, BLOCK_AGAIN));
    input.extend(frame_of(kind::DATA, flag::PADDED | flag::END_STREAM, 5, &[2, 0, 0]));
    input.extend(frame_of(kind::HEADERS, flag::END_HEADERS, 7, BLOCK_AGAIN));
    input.extend(frame_of(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 7, &[0x40, 0x01, b't', 0x01, b'v']));
    input.extend(frame_of(kind::PING, 0, 0, b"12345678"));
    input.extend(frame_of(kind::RST_STREAM, 0, 5, &[0, 0, 0, 8]));
    let whole = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let now = Instant::now();
        let mut peer = Peer { connection: Connection::new(Rc::default(), now), now };
        let mut seen: Vec<Seen> = Vec::new();
        for piece in pieces {
            for event in peer.send(piece) {
                // Data may come in more pieces.
                match (seen.last_mut(), event) {
                    (Some(Seen::Data(key, bytes, false)), Seen::Data(other, more, end)) if *key == other => {
                        bytes.extend(more);
                        let bytes = std::mem::take(bytes);
                        *seen.last_mut().expect("just seen") = Seen::Data(other, bytes, end);
                    }
                    (_, event) => seen.push(event),
                }
            }
        }
        assert_eq!(peer.connection.closing(), None);
        (seen, peer.output())
    };
    let expected = whole(&mut [&input[..]].into_iter());
    assert_eq!(expected.0.len(), 8, "{:?}", expected.0);
    for size in 1..input.len() {
        assert_eq!(whole(&mut input.chunks(size)), expected, "in pieces of {size}");
    }
    for at in 1..input.len() {
        assert_eq!(whole(&mut [&input[..at], &input[at..]].into_iter()), expected, "cut at {at}");
    }
}

#[test]
fn equal_fields_share_a_head_however_they_are_sent() {
    let shares = |a: &Head, b: &Head| std::ptr::eq(a.memo(|_| 0_u8), b.memo(|_| 0_u8));
    let mut peer = Peer::open(Limits::default());
    let mut head = |id, block: &[u8]| {
        let input = frame_of(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, id, block);
        match peer.connection.receive(&mut &input[..]) {
            Some(Event::Request { head, .. }) => head,
            other => panic!("{other:?}"),
        }
    };
    let (first, second, third) = (head(1, BLOCK), head(3, BLOCK_AGAIN), head(5, BLOCK_AGAIN));
    assert!(shares(&first, &second), "the first one's literals are entries now");
    assert!(shares(&second, &third));
    assert_eq!(third.fields().collect::<Vec<_>>(), [(&b"n"[..], &b"v"[..])]);
    assert_eq!((third.method(), third.path(), third.authority()), (&b"POST"[..], &b"/"[..], Some(&b"a"[..])));
    // Another entry moves what the same indices mean.
    head(7, &[0x83, 0x86, 0x84, 0x40, 0x01, b'x', 0x01, b'y']);
    let moved = head(9, BLOCK_AGAIN);
    assert!(!shares(&third, &moved));
    assert_eq!(moved.fields().collect::<Vec<_>>(), [(&b"n"[..], &b"v"[..]), (&b"x"[..], &b"y"[..])]);
}

#[test]
fn an_answer_in_windows_of_the_peers_size() {
    let mut peer = Peer::open(Limits::default());
    let key = peer.request(1, true);
    let body = vec![7; 200_000];
    answer(&mut peer, key, &body);
    let sent = peer.output();
    assert_eq!(data_bytes(&sent), 65_535, "the initial window, of the stream and of the connection");
    assert_eq!(peer.connection.n_streams(), 1);
    // The stream's alone opens nothing.
    peer.frame(kind::WINDOW_UPDATE, 0, 1, &200_000_u32.to_be_bytes());
    assert_eq!(peer.output(), []);
    peer.frame(kind::WINDOW_UPDATE, 0, 0, &30_000_u32.to_be_bytes());
    assert_eq!(data_bytes(&peer.output()), 30_000);
    peer.frame(kind::WINDOW_UPDATE, 0, 0, &1_000_000_u32.to_be_bytes());
    let sent = peer.output();
    assert_eq!(data_bytes(&sent), 200_000 - 65_535 - 30_000);
    let (last, _) = sent.last().expect("trailers");
    assert!(last.kind == kind::HEADERS && last.has(flag::END_STREAM));
    assert_eq!(peer.connection.n_streams(), 0);
}

#[test]
fn a_window_that_shrinks_below_zero_is_waited_for() {
    let mut peer = Peer::open(Limits::default());
    let key = peer.request(1, true);
    answer(&mut peer, key, &[0; 70_000]);
    assert_eq!(data_bytes(&peer.output()), 65_535);
    let mut settings = Vec::new();
    frame::settings(&mut settings, &[(4, 10)]);
    peer.send(&settings);
    peer.frame(kind::WINDOW_UPDATE, 0, 0, &100_000_u32.to_be_bytes());
    peer.frame(kind::WINDOW_UPDATE, 0, 1, &65_525_u32.to_be_bytes());
    assert_eq!(data_bytes(&peer.output()), 0, "the stream's window is 0");
    peer.frame(kind::WINDOW_UPDATE, 0, 1, &1_u32.to_be_bytes());
    assert_eq!(data_bytes(&peer.output()), 1);
}

#[test]
fn streams_take_turns() {
    let mut peer = Peer::open(Limits::default());
    let mut settings = Vec::new();
    frame::settings(&mut settings, &[(4, 1_000_000)]);
    peer.send(&settings);
    peer.frame(kind::WINDOW_UPDATE, 0, 0, &10_000_000_u32.to_be_bytes());
    for id in [1, 3, 5] {
        let key = peer.request(id, true);
        peer.connection.send_head(key, 200, Fields::Static(&[]), false);
        peer.connection.send_data(key, &mut |out| out.resize(out.len() + 100_000, 0), true);
    }
    let ids: Vec<u32> = peer.output().iter().filter(|(header, _)| header.kind == kind::DATA).map(|(header, _)| header.stream_id).collect();
    let first_end = ids.iter().rposition(|id| *id == 1).expect("stream 1 was sent");
    assert!(ids[..first_end].contains(&3) && ids[..first_end].contains(&5), "{ids:?}");
    assert_eq!(peer.connection.n_streams(), 0);
}

#[test]
fn a_producer_pauses_until_there_is_room() {
    let mut peer = Peer::open(Limits::default());
    let key = peer.request(1, true);
    peer.connection.send_head(key, 200, Fields::Static(&[]), false);
    let mut n_messages = 0;
    while peer.connection.has_room(key) {
        peer.connection.send_data(key, &mut |out| out.extend_from_slice(&[0; 1000]), false);
        n_messages += 1;
        peer.output();
    }
    assert!((130..=132).contains(&n_messages), "a window and a send buffer: {n_messages}");
    peer.frame(kind::WINDOW_UPDATE, 0, 0, &100_000_u32.to_be_bytes());
    assert_eq!(peer.frame(kind::WINDOW_UPDATE, 0, 1, &10_000_u32.to_be_bytes()), [Seen::Room(key)]);
    assert!(peer.connection.has_room(key));
}

#[test]
fn received_bytes_come_back_in_bulk_and_those_of_dropped_streams_too() {
    let limits = Limits { stream_window_bytes: 100_000, connection_window_bytes: 100_000, ..Limits::default() };
    let mut peer = Peer::open(limits);
    let first = peer.request(1, false);
    let chunk = [0; 10_000];
    for i in 0..5 {
        assert_eq!(peer.output(), [], "{i}");
        peer.frame(kind::DATA, 0, 1, &chunk);
        peer.connection.release(first, chunk.len());
    }
    let updates: Vec<_> = peer.output().iter().map(|(header, payload)| (header.kind, header.stream_id, payload.clone())).collect();
    let update = 50_000_u32.to_be_bytes().to_vec();
    assert_eq!(updates, [(kind::WINDOW_UPDATE, 1, update.clone()), (kind::WINDOW_UPDATE, 0, update.clone())]);
    // Never released, but reset: the connection's window is whole again.
    let second = peer.request(3, false);
    for _ in 0..5 {
        peer.frame(kind::DATA, 0, 3, &chunk);
    }
    assert_eq!(peer.output(), []);
    peer.connection.reset(second, ErrorCode::CANCEL);
    let kinds: Vec<_> = peer.output().iter().map(|(header, payload)| (header.kind, header.stream_id, payload.clone())).collect();
    assert!(kinds.contains(&(kind::WINDOW_UPDATE, 0, update)));
    // Padding is nobody's, and comes back by itself; so does what follows a reset.
    let padded = [&[255][..], &[0; 300]].concat();
    for _ in 0..200 {
        peer.frame(kind::DATA, flag::PADDED, 3, &padded);
    }
    assert_eq!(peer.connection.closing(), None);
    assert!(peer.output().iter().any(|(header, _)| header.kind == kind::WINDOW_UPDATE && header.stream_id == 0));
}

#[test]
fn drips_do_not_keep_a_stalled_answer_alive() {
    let limits = Limits { stall_timeout: Duration::from_secs(10), ..Limits::default() };
    let mut peer = Peer::open(limits);
    let key = peer.request(1, true);
    answer(&mut peer, key, &[0; 200_000]);
    peer.output();
    // 16 KiB in time is progress.
    peer.pass(Duration::from_secs(9));
    for id in [0, 1] {
        peer.frame(kind::WINDOW_UPDATE, 0, id, &16_384_u32.to_be_bytes());
    }
    assert_eq!(data_bytes(&peer.output()), 16_384);
    for _ in 0..9 {
        peer.pass(Duration::from_secs(1));
        for id in [0, 1] {
            peer.frame(kind::WINDOW_UPDATE, 0, id, &1_u32.to_be_bytes());
        }
        assert_eq!(data_bytes(&peer.output()), 1);
    }
    assert!(peer.connection.poll_timeout().is_some_and(|deadline| deadline <= peer.now + Duration::from_secs(1)));
    peer.pass(Duration::from_secs(2));
    assert_eq!(peer.send(&[]), [Seen::Reset(key, ErrorCode::CANCEL)]);
    assert!(peer.output().iter().any(|(header, _)| header.kind == kind::RST_STREAM));
    assert_eq!(peer.connection.take_violations(), [Violation::Stalled]);
    assert_eq!(peer.connection.n_streams(), 0);
    assert_eq!(peer.connection.poll_timeout(), None);
}

#[test]
fn the_handshake_has_one_deadline() {
    let now = Instant::now();
    let mut peer = Peer { connection: Connection::new(Rc::default(), now), now };
    for byte in &PREFACE[..9] {
        peer.send(&[*byte]);
        peer.pass(Duration::from_secs(1));
    }
    assert_eq!(peer.connection.closing(), None);
    peer.pass(Duration::from_secs(1));
    assert_eq!(peer.violation(), Violation::Handshake);
    assert_eq!(peer.connection.poll_timeout(), None, "nothing is due any more");
}

#[test]
fn a_client_that_goes_away_is_answered_and_closed_behind() {
    let mut peer = Peer::open(Limits::default());
    let stream = peer.request(1, true);
    for _ in 0..2 {
        peer.frame(kind::GOAWAY, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 0xff]);
    }
    peer.frame(kind::PING, 0, 0, b"overtake");
    let frames = peer.output();
    let kinds: Vec<_> = frames.iter().map(|(header, _)| header.kind).collect();
    assert_eq!(kinds, [kind::GOAWAY, kind::PING]);
    assert_eq!(frames[0].1, [0, 0, 0, 1, 0, 0, 0, 0], "its last stream, and no error");
    let timeout = peer.connection.poll_timeout().expect("it is waited for") - peer.now;
    peer.pass(timeout);
    assert_eq!(peer.connection.take_violations(), []);
    assert!(!peer.connection.is_done(), "a stream is open");
    assert_eq!(peer.connection.poll_timeout(), None, "no timer turns in vain");
    answer(&mut peer, stream, b"x");
    assert!(peer.connection.is_done());
    // Without a stream it waits for the time.
    let mut peer = Peer::open(Limits::default());
    peer.frame(kind::GOAWAY, 0, 0, &[0; 8]);
    assert!(!peer.connection.is_done());
    peer.pass(timeout);
    assert!(peer.connection.is_done());
}

#[test]
fn a_drain_waits_for_its_ping_but_not_for_ever() {
    for acked in [true, false] {
        let mut peer = Peer::open(Limits::default());
        let first = peer.request(1, true);
        peer.connection.drain("test");
        let frames = peer.output();
        assert_eq!(frames[0].1[..8], [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        assert_eq!(&frames[0].1[8..], b"test");
        let (_, ping) = &frames[1];
        // A stream that crossed the first GOAWAY is served.
        let second = peer.request(3, true);
        if acked {
            peer.frame(kind::PING, flag::ACK, 0, ping);
        } else {
            peer.pass(Duration::from_secs(5));
            assert_eq!(peer.connection.take_violations(), [Violation::DrainPing]);
        }
        assert_eq!(peer.output()[0].1[..4], [0, 0, 0, 3], "the last one that is served");
        assert_eq!(peer.frame(kind::HEADERS, flag::END_HEADERS, 5, BLOCK), [], "too late");
        assert_eq!(peer.frame(kind::DATA, flag::END_STREAM, 5, b"ignored"), []);
        for key in [first, second] {
            assert!(!peer.connection.is_done());
            answer(&mut peer, key, b"x");
        }
        assert!(peer.connection.is_done());
        assert_eq!(peer.connection.closing(), None);
    }
}

#[test]
fn pings_are_judged_as_grpc_has_it() {
    let mut peer = Peer::open(Limits::default());
    let key = peer.request(1, true);
    let ping = |peer: &mut Peer| peer.frame(kind::PING, 0, 0, &[0; 8]);
    for _ in 0..10 {
        ping(&mut peer);
        peer.pass(Duration::from_secs(5 * 60));
    }
    // The third that comes too early ends it; an answer in between forgives.
    ping(&mut peer);
    ping(&mut peer);
    answer(&mut peer, key, b"x");
    for _ in 0..3 {
        ping(&mut peer);
    }
    assert_eq!(peer.connection.closing(), None);
    // Without a call two hours are the least.
    peer.pass(Duration::from_secs(3600));
    ping(&mut peer);
    assert_eq!(peer.violation(), Violation::Pings);
}

/// Every limit that ends the connection does, is told by its name, and is counted; and what is within it does not.
#[test]
fn limits_end_the_connection() {
    type Abuse = fn(&mut Peer, u32);
    let cases: &[(Violation, u32, Abuse)] = &[
        (Violation::Resets, 200, |peer, i| {
            let id = 2 * i + 1;
            peer.frame(kind::HEADERS, flag::END_HEADERS, id, BLOCK);
            peer.frame(kind::RST_STREAM, 0, id, &[0; 4]);
        }),
        // Resets that we are made to send.
        (Violation::Resets, 200, |peer, i| {
            let id = 2 * i + 1;
            peer.frame(kind::HEADERS, flag::END_HEADERS, id, BLOCK);
            peer.frame(kind::WINDOW_UPDATE, 0, id, &[0; 4]);
        }),
        (Violation::Resets, 200, |peer, i| {
            peer.frame(kind::HEADERS, flag::END_HEADERS, 2 * i + 1, &[0x83]);
        }),
        // One was spent by the handshake, and its acknowledgement was another.
        (Violation::Settings, 98, |peer, _| {
            peer.frame(kind::SETTINGS, 0, 0, &[]);
        }),
        (Violation::Settings, 0, |peer, _| {
            peer.frame(kind::SETTINGS, 0, 0, &[0; 33 * 6]);
        }),
        (Violation::Priorities, 1000, |peer, _| {
            peer.frame(kind::PRIORITY, 0, 1, &[0; 5]);
        }),
        (Violation::WindowUpdates, 5000, |peer, _| {
            peer.frame(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]);
        }),
        (Violation::UnknownFrames, 1000, |peer, _| {
            peer.frame(0x42, 0, 0, b"?");
        }),
        (Violation::UnknownFrames, 1001, |peer, _| {
            peer.frame(kind::GOAWAY, 0, 0, &[0; 8]);
        }),
        (Violation::UnknownFrames, 1000, |peer, _| {
            peer.frame(kind::PING, flag::ACK, 0, &[0; 8]);
        }),
        (Violation::EmptyFrames, 100, |peer, i| {
            if i == 0 {
                peer.frame(kind::HEADERS, flag::END_HEADERS, 1, BLOCK);
            }
            peer.frame(kind::DATA, 0, 1, &[]);
        }),
        (Violation::TinyFrames, 10_000, |peer, i| {
            if i == 0 {
                peer.frame(kind::HEADERS, flag::END_HEADERS, 1, BLOCK);
            }
            peer.frame(kind::DATA, 0, 1, &[1]);
        }),
        (Violation::Continuations, 8, |peer, i| {
            if i == 0 {
                peer.frame(kind::HEADERS, 0, 1, BLOCK);
            }
            peer.frame(kind::CONTINUATION, 0, 1, &[]);
        }),
        (Violation::HeaderBlockBytes, 3, |peer, i| {
            if i == 0 {
                peer.frame(kind::HEADERS, 0, 1, &[0x83; 16_384]);
            }
            peer.frame(kind::CONTINUATION, 0, 1, &[0x83; 16_384]);
        }),
    ];
    for (violation, n_allowed, abuse) in cases {
        let mut peer = Peer::open(Limits::default());
        for i in 0..*n_allowed {
            abuse(&mut peer, i);
            assert_eq!(peer.connection.closing(), None, "{violation}: the {i}th is within the limit");
            peer.output();
        }
        abuse(&mut peer, *n_allowed);
        assert_eq!(peer.violation(), *violation);
    }
}

/// Limits that cost a call, and leave the connection alone.
#[test]
fn limits_refuse_a_call() {
    let mut peer = Peer::open(Limits { concurrent_streams_max: 2, ..Limits::default() });
    let first = peer.request(1, true);
    peer.request(3, true);
    assert_eq!(peer.frame(kind::HEADERS, flag::END_HEADERS, 5, BLOCK_AGAIN), []);
    let (header, payload) = peer.output().pop().expect("RST_STREAM");
    assert_eq!((header.kind, header.stream_id, &payload[..]), (kind::RST_STREAM, 5, &[0, 0, 0, 7][..]));
    assert_eq!(peer.connection.take_violations(), [Violation::Streams]);
    answer(&mut peer, first, b"x");

    // 32 bytes of each field's overhead bound both.
    let many = [BLOCK, &[0xbe; 125]].concat();
    let large = [BLOCK, &[0x00, 0x01, b'l', 0x7f, 0x81, 0x7e][..], &[b'v'; 16_256]].concat();
    for (id, block, violation) in [(7, many, Violation::HeaderFields), (9, large, Violation::HeaderListBytes)] {
        let seen = peer.frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, id, &block);
        let [Seen::TooLarge(key, found)] = seen[..] else { panic!("{seen:?}") };
        assert_eq!((key.id(), found), (id, violation));
        assert_eq!(peer.connection.take_violations(), [violation]);
        answer(&mut peer, key, b"x");
    }
    assert_eq!(peer.connection.closing(), None);
    // The tables went on through it.
    peer.output();
    peer.request(11, true);
}

#[test]
fn frames_for_streams_that_are_gone() {
    let mut peer = Peer::open(Limits::default());
    // Answered before its request ended: what is on its way is dropped.
    let key = peer.request(1, false);
    answer(&mut peer, key, b"x");
    let (last, payload) = peer.output().pop().expect("RST_STREAM");
    assert_eq!((last.kind, &payload[..]), (kind::RST_STREAM, &[0; 4][..]));
    assert_eq!(peer.frame(kind::DATA, 0, 1, b"hello"), []);
    assert_eq!(peer.frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 1, &[0x40, 0x01, b't', 0x01, b'v']), []);
    assert_eq!(peer.frame(kind::WINDOW_UPDATE, 0, 1, &[0, 0, 0, 9]), []);
    assert_eq!(peer.output(), []);
    // Reset by the peer: it knows.
    peer.request(3, false);
    peer.frame(kind::RST_STREAM, 0, 3, &[0; 4]);
    peer.frame(kind::DATA, 0, 3, b"hello");
    assert_eq!(peer.output().pop().map(|(header, payload)| (header.kind, payload)), Some((kind::RST_STREAM, vec![0, 0, 0, 5])));
    // Ended by both sides.
    let key = peer.request(5, true);
    answer(&mut peer, key, b"x");
    peer.output();
    peer.frame(kind::DATA, 0, 5, b"hello");
    assert_eq!(peer.connection.closing().map(|closing| closing.code), Some(ErrorCode::STREAM_CLOSED));
    // A key that outlives its stream does nothing.
    peer.output();
    answer(&mut peer, key, b"late");
    peer.connection.reset(key, ErrorCode::CANCEL);
    peer.connection.release(key, 10);
    assert_eq!(peer.output(), []);
}

/// A static block is copied once it is known, and encoded anew when the peer's table has changed.
#[test]
fn static_blocks_follow_the_table() {
    let mut peer = Peer::open(Limits::default());
    let mut decoder = crate::http2::hpack::Decoder::new(4096);
    let mut lengths = Vec::new();
    for i in 0..6 {
        if i == 3 {
            let mut settings = Vec::new();
            frame::settings(&mut settings, &[(1, 0)]);
            peer.send(&settings);
        }
        let key = peer.request(2 * i + 1, true);
        answer(&mut peer, key, b"x");
        let mut fields = Vec::new();
        for (_, block) in peer.output().iter().filter(|(header, _)| header.kind == kind::HEADERS) {
            decoder.decode(block, |field| fields.push((field.name.to_vec(), field.value.to_vec()))).expect("in step");
            lengths.push(block.len());
        }
        let text = |(name, value): &(Vec<u8>, Vec<u8>)| format!("{}={}", String::from_utf8_lossy(name), String::from_utf8_lossy(value));
        let fields: Vec<_> = fields.iter().map(text).collect();
        assert_eq!(fields, [":status=200", "content-type=application/grpc", "grpc-status=0"]);
    }
    assert_eq!(lengths[2..6], [2, 1, 2, 1], "one octet a field");
    assert!(lengths[8..].iter().all(|length| *length > 2), "no table, no indices: {lengths:?}");
}

#[test]
fn who_has_just_connected_is_served_before_it_goes() {
    for speaks in [true, false] {
        let now = Instant::now();
        let mut peer = Peer { connection: Connection::new(Rc::new(Limits::default()), now), now };
        peer.connection.drain("test");
        let last = |(header, payload): (FrameHeader, Vec<u8>)| (header.kind == kind::GOAWAY).then(|| payload[..4].to_vec());
        assert_eq!(peer.output().into_iter().filter_map(last).collect::<Vec<_>>(), [[0x7f, 0xff, 0xff, 0xff]]);
        if speaks {
            let mut opening = PREFACE.to_vec();
            frame::settings(&mut opening, &[]);
            assert_eq!(peer.send(&opening), []);
            let stream = peer.request(1, true);
            peer.frame(kind::PING, flag::ACK, 0, b"draining");
            answer(&mut peer, stream, b"x");
        } else {
            peer.pass(Duration::from_millis(999));
            assert!(!peer.connection.is_done());
            peer.pass(Duration::from_millis(1));
            assert!(peer.connection.closing().is_some_and(|closing| closing.violation.is_none()));
        }
        assert_eq!(peer.output().into_iter().filter_map(last).collect::<Vec<_>>(), [[0, 0, 0, u8::from(speaks)]]);
        assert!(peer.connection.is_done());
        assert_eq!(peer.connection.take_violations(), []);
    }
}

#[test]
fn what_goaway_said_of_the_last_stream_is_not_taken_back() {
    let mut peer = Peer::open(Limits::default());
    peer.request(1, true);
    peer.connection.drain("enough");
    peer.frame(kind::PING, flag::ACK, 0, b"draining");
    // Ignored, and then there is an error.
    assert_eq!(peer.frame(kind::HEADERS, flag::END_HEADERS, 5, BLOCK_AGAIN), []);
    peer.frame(kind::PUSH_PROMISE, 0, 1, b"");
    let lasts: Vec<_> =
        peer.output().into_iter().filter(|(header, _)| header.kind == kind::GOAWAY).map(|(_, payload)| payload[..4].to_vec()).collect();
    assert_eq!(lasts, [[0x7f, 0xff, 0xff, 0xff], [0, 0, 0, 1], [0, 0, 0, 1]]);
}

#[test]
fn a_stream_that_is_reset_leaves_the_queue_of_senders() {
    let mut peer = Peer::open(Limits::default());
    // The window of the connection is used up by the first, so that the others stand in the queue, though their own are open.
    let first = peer.request(1, true);
    answer(&mut peer, first, &[0; 65_535]);
    for id in (3..403).step_by(4) {
        let stream = peer.request(id, true);
        answer(&mut peer, stream, b"waits");
        assert_eq!(peer.connection.sendable.len(), 1);
        assert_eq!(peer.frame(kind::RST_STREAM, 0, id, &[0, 0, 0, 8]).len(), 1);
        // It earns what the reset has cost.
        let stream = peer.request(id + 2, true);
        peer.connection.send_head(stream, 404, Fields::Static(&[]), true);
    }
    assert_eq!(peer.connection.closing(), None);
    assert!(peer.connection.sendable.is_empty());
}

#[test]
fn no_window_update_of_nothing() {
    let mut peer = Peer::open(Limits { stream_window_bytes: 1, ..Limits::default() });
    let stream = peer.request(1, false);
    peer.output();
    peer.connection.release(stream, 0);
    assert_eq!(peer.output(), []);
    assert_eq!(peer.frame(kind::DATA, 0, 1, b"a").len(), 1);
    peer.connection.release(stream, 1);
    assert_eq!(peer.output().len(), 1);
}
