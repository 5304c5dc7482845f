//! A client's connection: sends what it is told, keeps account of what comes back, and holds the server to the rules that any client relies on
//! (order, windows, frame sizes, header tables). All waits are bounded.

use std::collections::{BTreeMap, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::support::{PATIENCE, connect};

use super::frame::{self, Frame, MAX_31_BITS, MAX_FRAME_SIZE, WINDOW, code, flag, kind, setting};
use super::hpack;
use super::response::{GoAway, Response};

/// What a client says first (RFC 9113, 3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection, and all that the server has said on it.
pub(crate) struct Connection {
    socket: TcpStream,
    frames: Receiver<Frame>,
    reader: Option<JoinHandle<()>>,
    reading: Arc<AtomicBool>,
    decoder: hpack::Decoder,
    /// SETTINGS that were sent and not yet acknowledged.
    unacknowledged: VecDeque<Vec<(u16, u32)>>,
    /// What the server may send: by its stream, and 0 for the connection.
    windows: BTreeMap<u32, i64>,
    initial_window: i64,
    frame_bytes_max: usize,
    /// A header block whose end is outstanding: its stream, what there is, and whether it ends the stream.
    block: Option<(u32, Vec<u8>, bool)>,
    next_stream: u32,
    responses: BTreeMap<u32, Response>,
    /// How much the server has raised its own windows, and how much of them is used: by stream, and 0 for the connection.
    granted: BTreeMap<u32, u64>,
    used: BTreeMap<u32, u64>,
    pub(crate) server_settings: Vec<(u16, u32)>,
    /// Whether SETTINGS of the server are acknowledged, and its PINGs answered. It is by default.
    pub(crate) polite: bool,
    pub(crate) n_settings_acks: usize,
    /// PING frames with ACK, in their order.
    pub(crate) pongs: Vec<[u8; 8]>,
    /// PING frames of the server's own.
    pub(crate) pings: Vec<[u8; 8]>,
    pub(crate) goaways: Vec<GoAway>,
    /// The server has closed its side.
    pub(crate) closed: bool,
    /// The last of what came, for whoever must find out why a test fails.
    seen: VecDeque<String>,
}

impl Connection {
    /// Connects and says nothing.
    pub(crate) fn silent(addr: SocketAddr) -> Self {
        let socket = connect(addr);
        let mut socket_to_read = socket.try_clone().expect("a socket has a second handle");
        // What the server sends is always taken, so that neither side waits for the other.
        socket_to_read.set_read_timeout(None).unwrap();
        let (sender, frames) = mpsc::channel();
        let goes_on = Arc::new(AtomicBool::new(true));
        let watch = Arc::clone(&goes_on);
        let reader = thread::spawn(move || {
            while watch.load(Ordering::Relaxed) && read_frame(&mut socket_to_read).is_some_and(|frame| sender.send(frame).is_ok()) {}
        });
        Self {
            socket,
            frames,
            reader: Some(reader),
            reading: goes_on,
            decoder: hpack::Decoder::default(),
            unacknowledged: VecDeque::new(),
            windows: BTreeMap::from([(0, WINDOW)]),
            initial_window: WINDOW,
            frame_bytes_max: MAX_FRAME_SIZE,
            block: None,
            next_stream: 1,
            responses: BTreeMap::new(),
            granted: BTreeMap::new(),
            used: BTreeMap::new(),
            server_settings: Vec::new(),
            polite: true,
            n_settings_acks: 0,
            pongs: Vec::new(),
            pings: Vec::new(),
            goaways: Vec::new(),
            closed: false,
            seen: VecDeque::new(),
        }
    }

    /// Opens HTTP/2 with these settings, and waits until both sides' are acknowledged.
    pub(crate) fn open(addr: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let mut connection = Self::silent(addr);
        connection.send_bytes(PREFACE);
        connection.set(settings);
        connection.until("the server's SETTINGS have come", |connection| (!connection.server_settings.is_empty()).then_some(()));
        connection
    }

    /// The client's end.
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.socket.local_addr().expect("it is connected")
    }

    /// The number of a stream that was not used yet.
    pub(crate) fn new_stream(&mut self) -> u32 {
        self.next_stream += 2;
        self.next_stream - 2
    }

    /// The next stream is this one.
    pub(crate) fn skip_to(&mut self, stream: u32) {
        self.next_stream = stream;
    }

    /// Sends SETTINGS, and waits until the server keeps to them.
    pub(crate) fn set(&mut self, settings: &[(u16, u32)]) {
        self.send([frame::settings(settings)]);
        self.until("SETTINGS are acknowledged", |connection| connection.unacknowledged.is_empty().then_some(()));
    }

    /// Sends frames in one piece. A server that has closed is no reason to fail: what it said is still to be read.
    pub(crate) fn send(&mut self, frames: impl IntoIterator<Item = Frame>) {
        let mut bytes = Vec::new();
        for frame in frames {
            frame.write(&mut bytes);
            match frame.kind {
                kind::SETTINGS if !frame.has(flag::ACK) => self.unacknowledged.push_back(entries(&frame.payload)),
                kind::WINDOW_UPDATE if frame.payload.len() == 4 => {
                    *self.window(frame.stream) += i64::from(frame.number(0));
                }
                kind::DATA => {
                    for stream in [0, frame.stream] {
                        *self.used.entry(stream).or_default() += frame.payload.len() as u64;
                    }
                }
                _ => {}
            }
        }
        self.send_bytes(&bytes);
    }

    /// Empty SETTINGS are among bytes that are sent by themselves.
    pub(crate) fn expect_acknowledgement(&mut self) {
        self.unacknowledged.push_back(Vec::new());
    }

    /// Sends bytes of which no account is kept.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        match self.socket.write_all(bytes) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {}
            Err(error) => panic!("the server takes nothing: {error}; {:#?}", self.seen),
        }
    }

    /// The socket buffers no more than some 128 KiB from now on, however fast the server sends.
    pub(crate) fn take_little(&self) {
        rustix::net::sockopt::set_socket_recv_buffer_size(&self.socket, 64 * 1024).expect("a socket has such an option");
    }

    /// Takes a frame more at most, and leaves what comes then in the socket.
    pub(crate) fn stop_reading(&self) {
        self.reading.store(false, Ordering::Relaxed);
    }

    /// What has come of the response on this stream.
    pub(crate) fn so_far(&mut self, stream: u32) -> &Response {
        self.responses.entry(stream).or_default()
    }

    /// Waits until there is something to see, and takes what comes meanwhile.
    ///
    /// # Panics
    ///
    /// When that takes too long, or the server closes before.
    pub(crate) fn until<T>(&mut self, what: &str, mut look: impl FnMut(&mut Self) -> Option<T>) -> T {
        let give_up = Instant::now() + PATIENCE;
        loop {
            if let Some(seen) = look(self) {
                return seen;
            }
            assert!(!self.closed, "closed before {what}; last came {:#?}", self.seen);
            assert!(self.step(give_up), "waited {PATIENCE:?} in vain until {what}; last came {:#?}", self.seen);
        }
    }

    /// Takes what comes for this long.
    pub(crate) fn listen(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while !self.closed && self.step(end) {}
    }

    /// Takes what has come already.
    pub(crate) fn drain(&mut self) {
        self.listen(Duration::ZERO);
    }

    /// What came last, for the message of a failing test.
    pub(crate) fn seen(&self) -> String {
        format!("last came {:#?}", self.seen)
    }

    /// Takes the next frame or the end; `false` when it is too late.
    fn step(&mut self, until: Instant) -> bool {
        match self.frames.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(frame) => {
                self.seen.push_back(format!("{frame:?}"));
                if self.seen.len() > 30 {
                    self.seen.pop_front();
                }
                self.take(&frame);
                true
            }
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => {
                self.closed = true;
                true
            }
        }
    }

    fn take(&mut self, frame: &Frame) {
        assert!(frame.payload.len() <= self.frame_bytes_max, "longer than we allow: {frame:?}");
        let in_block = self.block.as_ref().map(|(stream, ..)| *stream);
        let expected = in_block.filter(|_| frame.kind == kind::CONTINUATION);
        assert!(in_block.is_none() || expected == Some(frame.stream), "in the middle of a header block: {frame:?}");
        match frame.kind {
            kind::DATA => {
                let bytes = frame.payload.len() as i64;
                for stream in [0, frame.stream] {
                    let window = self.window(stream);
                    *window -= bytes;
                    assert!(bytes == 0 || *window >= 0, "{frame:?} exceeds the window of {stream}, which is {}", *window + bytes);
                }
                self.responses.entry(frame.stream).or_default().data(frame.content(), frame.has(flag::END_STREAM));
            }
            kind::HEADERS | kind::CONTINUATION => self.take_block(frame),
            kind::RST_STREAM => {
                let response = self.responses.entry(frame.stream).or_default();
                // What was asked for by frames behind the first is of no interest.
                response.reset.get_or_insert(frame.number(0));
            }
            kind::SETTINGS if frame.has(flag::ACK) => self.settings_are_acknowledged(),
            kind::SETTINGS => {
                self.server_settings.extend(entries(&frame.payload));
                if self.polite {
                    self.send([frame::settings_ack()]);
                }
            }
            kind::PING => {
                let payload = frame.payload[..].try_into().expect("8 octets (RFC 9113, 6.7)");
                if frame.has(flag::ACK) {
                    self.pongs.push(payload);
                } else {
                    self.pings.push(payload);
                    if self.polite {
                        self.send([frame::ping_ack(payload)]);
                    }
                }
            }
            kind::GOAWAY => {
                assert_eq!(frame.stream, 0, "GOAWAY is the connection's (RFC 9113, 6.8)");
                let before = self.goaways.last().map_or(MAX_31_BITS, |goaway| goaway.last);
                assert!(frame.number(0) <= before, "the last stream of GOAWAY grows from {before} (RFC 9113, 6.8): {frame:?}");
                let debug = String::from_utf8(frame.payload[8..].to_vec()).expect("the debug data is text");
                self.goaways.push(GoAway { last: frame.number(0), code: frame.number(4), debug });
            }
            kind::WINDOW_UPDATE => *self.granted.entry(frame.stream).or_default() += u64::from(frame.number(0)),
            _ => panic!("a server sends no {frame:?}"),
        }
    }

    fn take_block(&mut self, frame: &Frame) {
        let (_, mut bytes, end) = self.block.take().unwrap_or_else(|| {
            assert_eq!(frame.kind, kind::HEADERS, "CONTINUATION of nothing");
            (frame.stream, Vec::new(), frame.has(flag::END_STREAM))
        });
        bytes.extend_from_slice(frame.content());
        if frame.has(flag::END_HEADERS) {
            let fields = self.decoder.decode(&bytes);
            self.responses.entry(frame.stream).or_default().head(fields, end);
        } else {
            self.block = Some((frame.stream, bytes, end));
        }
    }

    /// From here on the server must keep to them (RFC 9113, 6.5.3).
    fn settings_are_acknowledged(&mut self) {
        self.n_settings_acks += 1;
        let settings = self.unacknowledged.pop_front().expect("an acknowledgement of nothing");
        for (id, value) in settings {
            match id {
                setting::HEADER_TABLE_SIZE => self.decoder.allow(value as usize),
                setting::INITIAL_WINDOW_SIZE => {
                    let change = i64::from(value) - self.initial_window;
                    self.initial_window = i64::from(value);
                    self.windows.iter_mut().filter(|(stream, _)| **stream != 0).for_each(|(_, window)| *window += change);
                }
                setting::MAX_FRAME_SIZE => self.frame_bytes_max = value as usize,
                _ => {}
            }
        }
    }

    /// How many fields the server took from its dynamic table.
    pub(crate) fn n_indexed(&self) -> usize {
        self.decoder.n_indexed()
    }

    fn window(&mut self, stream: u32) -> &mut i64 {
        self.windows.entry(stream).or_insert(self.initial_window)
    }

    /// How many bytes of DATA the server takes on this stream now, on 0 by the connection's window alone (RFC 9113, 6.9.1).
    pub(crate) fn room(&self, stream: u32) -> u64 {
        let initial = self.server_settings.iter().rev().find(|(id, _)| *id == setting::INITIAL_WINDOW_SIZE);
        let initial = initial.map_or(WINDOW as u64, |(_, value)| u64::from(*value));
        let room = |of: u32, initial: u64| {
            let granted = initial + self.granted.get(&of).copied().unwrap_or(0);
            granted.saturating_sub(self.used.get(&of).copied().unwrap_or(0))
        };
        let of_connection = room(0, WINDOW as u64);
        if stream == 0 { of_connection } else { of_connection.min(room(stream, initial)) }
    }

    /// The first GOAWAY that is an error.
    pub(crate) fn error(&self) -> Option<&GoAway> {
        self.goaways.iter().find(|goaway| goaway.code != code::NO_ERROR)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Both);
        if let Some(reader) = self.reader.take() {
            // It ends with the socket; its panics were ours to see as a closed connection.
            let _ = reader.join();
        }
    }
}

/// The next frame; `None` at the end, which may be a reset.
pub(crate) fn read_frame(socket: &mut TcpStream) -> Option<Frame> {
    let mut head = [0; 9];
    socket.read_exact(&mut head).ok()?;
    let mut payload = vec![0; usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2])];
    socket.read_exact(&mut payload).ok()?;
    let stream = u32::from_be_bytes(head[5..9].try_into().expect("four bytes")) & MAX_31_BITS;
    Some(Frame::new(head[3], head[4], stream, payload))
}

/// Whole entries of SETTINGS.
fn entries(payload: &[u8]) -> Vec<(u16, u32)> {
    let entry = |entry: &[u8]| {
        let id = u16::from_be_bytes([entry[0], entry[1]]);
        (id, u32::from_be_bytes([entry[2], entry[3], entry[4], entry[5]]))
    };
    payload.chunks_exact(6).map(entry).collect()
}
