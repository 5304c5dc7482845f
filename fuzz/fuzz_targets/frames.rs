//! A whole connection of the sans-IO engine: frames and nonsense behind a good preface, in any pieces, with time passing, and an application that answers,
//! releases and resets as the input says.
//!
//! The first octet chooses the limits, the rest is a script (see `loopswap_fuzz::script`). What must hold, beside what `wire::Observer` wants of the
//! server's frames: nothing panics; streams are within their limit; what is held is bounded; a connection that has ended says nothing more; and when
//! every stream is gone, the connection's window is what it was.

#![no_main]

use std::rc::Rc;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use loopswap::http2::{Connection, ErrorCode, Event, Field, Fields, Indexing, Limits, StreamKey, Visitor};
use loopswap_fuzz::memory;
use loopswap_fuzz::script::{Pending, Script, Step};
use loopswap_fuzz::wire::Observer;

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;

/// What nearly every answer has.
static CONTENT_TYPE: [Field<'static>; 1] = [Field { name: b"content-type", value: b"application/grpc", indexing: Indexing::Common }];
static OK: [Field<'static>; 1] = [Field { name: b"grpc-status", value: b"0", indexing: Indexing::Common }];

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a connection may hold beside its streams and its output: a frame, a header block and the list it comes to, twice each for a vector that has
/// grown; two cached heads with their blocks; the tables; streams that are gone. 16 + 64 + 32 KiB, four times, and some.
const BASE_BYTES: usize = 640 * 1024;

fn limits(which: u8) -> Limits {
    let mut limits = Limits::default();
    if which & 1 != 0 {
        limits.concurrent_streams_max = u32::from(which >> 4);
        limits.header_list_bytes_max = 300;
        limits.header_fields_max = 8;
        limits.header_block_bytes_max = 600;
        limits.continuations_max = 2;
    }
    if which & 2 != 0 {
        limits.stream_window_bytes = u32::from(which >> 2);
        limits.connection_window_bytes = 65_535;
        limits.send_buffer_bytes_max = 100;
    }
    limits
}

/// A stream, as the application knows it.
struct Known {
    key: StreamKey,
    /// Its answer has a head: not to be given twice, and nothing comes before it.
    has_head: bool,
}

struct World {
    connection: Connection,
    limits: Limits,
    now: Instant,
    observer: Observer,
    streams: Vec<Known>,
    /// What the application has written since the output was taken, and what it was given.
    n_written: usize,
    n_given: usize,
    /// The largest part of an answer.
    part_max: usize,
    memory_before: usize,
    input_len: usize,
}

impl World {
    fn hand_over(&mut self, octets: &[u8]) {
        if self.connection.closing().is_none() {
            self.observer.to_server(octets);
        }
        self.n_given += octets.len();
        let mut input = octets;
        while let Some(event) = self.connection.receive(&mut input) {
            match event {
                Event::Request { stream, .. } | Event::TooLarge { stream, .. } => self.streams.push(Known { key: stream, has_head: false }),
                Event::Reset { stream, .. } => self.streams.retain(|known| known.key != stream),
                Event::Data { .. } | Event::End { .. } | Event::Room { .. } => {}
            }
        }
        assert!(input.is_empty(), "all of it was taken");
        self.check();
    }

    fn check(&mut self) {
        let _ = self.connection.take_violations();
        let n_streams = self.connection.n_streams();
        assert!(n_streams <= self.limits.concurrent_streams_max as usize);
        // Answers to frames are at most twice as long as these.
        let output_max = 96 * 1024 + self.n_written + 2 * self.n_given;
        assert!(self.connection.n_output_bytes() <= output_max, "{} bytes of output", self.connection.n_output_bytes());
        let stream_bytes = 1024 + 2 * (self.limits.send_buffer_bytes_max + self.part_max);
        // The harness has the input once more, and the streams that it knows of.
        let held_max = BASE_BYTES + n_streams * stream_bytes + 2 * output_max + 64 * self.input_len;
        let held = memory::live() - self.memory_before;
        assert!(held <= held_max, "{held} bytes for {n_streams} streams");
    }

    /// Takes all that is to be sent.
    fn output(&mut self) {
        loop {
            let output = self.connection.take_output(Vec::new());
            if output.is_empty() {
                break;
            }
            self.observer.to_client(&output);
        }
        self.observer.end();
        (self.n_written, self.n_given) = (0, 0);
    }

    fn deed(&mut self, what: u8, which: u8, n: u16) {
        let long = vec![b'a' + which % 26; usize::from(n)];
        match what {
            0 => return self.output(),
            1 => self.connection.drain("enough"),
            2 => self.connection.shrink(),
            _ => {}
        }
        let i = usize::from(which) % self.streams.len().max(1);
        let Some(Known { key: stream, has_head }) = self.streams.get_mut(i) else { return };
        let (stream, had_head) = (*stream, *has_head);
        // Headers are not held back by windows: their sum is the application's own.
        self.n_written += 600 + 2 * usize::from(n);
        let connection = &mut self.connection;
        let write = &mut |out: &mut Vec<u8>| out.extend_from_slice(&long);
        let plain = &|each: Visitor<'_>| each(Field { name: b"x-long", value: &long, indexing: Indexing::Plain });
        let secret = &|each: Visitor<'_>| each(Field { name: b"x-long", value: &long, indexing: Indexing::Never });
        let has_room = connection.has_room(stream);
        if matches!(what, 3..=7 | 11..=17) {
            self.part_max = self.part_max.max(long.len());
        }
        let mut over = false;
        match what {
            3..=5 if !had_head => {
                connection.send_reply(stream, &CONTENT_TYPE, write, &OK);
                over = true;
            }
            10 if !had_head => {
                connection.send_head(stream, 415, Fields::Each(secret), true);
                over = true;
            }
            3..=18 if !had_head => {
                connection.send_head(stream, 200, Fields::Static(&CONTENT_TYPE), false);
                *has_head = true;
            }
            3..=7 => {
                connection.send_data(stream, write, false);
                connection.send_trailers(stream, Fields::Static(&OK));
                over = true;
            }
            8..=16 if has_room => connection.send_data(stream, write, false),
            17 => connection.send_data(stream, write, true),
            18 => connection.send_trailers(stream, Fields::Each(plain)),
            8..=16 => {}
            19 | 20 => connection.reset(stream, ErrorCode::CANCEL),
            21..=24 => connection.release(stream, usize::from(n)),
            _ => connection.release(stream, usize::MAX >> 33),
        }
        over |= matches!(what, 17..=20) && (had_head || what > 18);
        if over {
            // An application that has answered may forget the stream; one in two does, and what the other does then must do nothing.
            if n.is_multiple_of(2) {
                self.streams.retain(|known| known.key != stream);
            }
        }
        self.check();
    }

    /// Every stream goes, and the windows come back.
    fn end(mut self) {
        for Known { key, .. } in std::mem::take(&mut self.streams) {
            self.connection.reset(key, ErrorCode::CANCEL);
        }
        self.output();
        if self.connection.closing().is_some() {
            self.hand_over(b"more");
            assert_eq!(self.connection.n_output_bytes(), 0, "it has ended");
            assert_eq!((self.connection.n_streams(), self.connection.poll_timeout().is_some()), (0, false));
            return;
        }
        assert!(self.connection.poll_event().is_none(), "an event that was not asked for");
        if self.connection.n_streams() == 0 && self.observer.is_between_frames() {
            let window = i64::from(self.limits.connection_window_bytes.max(65_535));
            assert!(self.observer.granted() > window / 2 - 1, "the client may send {} of {window} bytes", self.observer.granted());
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((&which, script)) = input.split_first() else { return };
    // Long inputs repeat themselves, and cost time.
    let script = &script[..script.len().min(8192)];
    let memory_before = memory::live();
    let (limits, now) = (limits(which), Instant::now());
    let mut world = World {
        connection: Connection::new(Rc::new(limits.clone()), now),
        limits,
        now,
        observer: Observer::default(),
        streams: Vec::new(),
        n_written: 4096,
        n_given: 0,
        part_max: 0,
        memory_before,
        input_len: 8192 + input.len(),
    };
    assert!(world.connection.receive(&mut &*PREFACE).is_none());
    let mut pending = Pending::default();
    for step in Script::new(script) {
        match step {
            Step::Pass(duration) => {
                world.now += duration.min(Duration::from_secs(4 * 3600));
                world.connection.set_now(world.now);
                world.connection.on_timeout();
                while let Some(event) = world.connection.poll_event() {
                    if let Event::Reset { stream, .. } = event {
                        world.streams.retain(|known| known.key != stream);
                    }
                }
                assert!(world.connection.poll_timeout().is_none_or(|due| due > world.now), "what was due is done");
                world.check();
            }
            Step::Deed { what, which, n } => world.deed(what, which, n % 40_000),
            write => {
                if let Some(n) = pending.take(write) {
                    for piece in pending.hand_over(n) {
                        world.hand_over(&piece);
                    }
                }
            }
        }
    }
    let n = pending.len();
    for piece in pending.hand_over(n) {
        world.hand_over(&piece);
    }
    world.end();
    assert!(memory::live() <= memory_before + input.len() + 32 * 1024, "memory is left behind");
});
