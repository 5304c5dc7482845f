//! A server in raw frames for a channel to talk to: it does as its script says, right or wrong, and sees what the channel does.
//!
//! A script runs in a thread of its own, the channel on its loop in the case's; they wait for each other by what they send. All waits are bounded.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use loopswap::client::Channel;
use loopswap::greeter::{GreeterClient, HelloReply, HelloRequest};
use prost::Message;
use tonic::Status;

use super::on_loop;
use crate::raw::*;
use crate::support::PATIENCE;

/// Where the channel connects to.
pub(super) struct Peer {
    listener: TcpListener,
}

/// Runs a script, and against it a client on this loop; both must come to their ends.
pub(super) fn against<T: 'static>(
    runtime: &str,
    script: impl FnOnce(&Peer) + Send,
    client: impl AsyncFnOnce(SocketAddr) -> T + 'static,
) -> T {
    let peer = Peer { listener: TcpListener::bind("127.0.0.1:0").expect("there is a port") };
    let addr = peer.listener.local_addr().expect("it is bound");
    thread::scope(|scope| {
        let script = scope.spawn(move || script(&peer));
        let done = on_loop(runtime, async move || client(addr).await);
        script.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        done
    })
}

/// One call, by a name of which no reply depends.
pub(super) async fn hello(channel: &Channel, name: &str) -> Result<String, Status> {
    let request = HelloRequest { name: name.into(), sleep_millisecond: 0 };
    GreeterClient::new(channel.clone()).say_hello(request).await.map(|reply| reply.into_inner().message)
}

impl Peer {
    /// The next connection, of which nothing has been read.
    pub(super) fn accept_raw(&self) -> TcpStream {
        let socket = self.next_client(PATIENCE).expect("the channel connects");
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        socket.set_nodelay(true).unwrap();
        socket
    }

    /// The next connection, with the preface read and these SETTINGS sent.
    pub(super) fn accept_with(&self, settings_: &[(u16, u32)]) -> Line {
        let mut socket = self.accept_raw();
        let mut preface = [0; PREFACE.len()];
        socket.read_exact(&mut preface).expect("the channel speaks first");
        assert_eq!(preface, PREFACE);
        let mut line = Line::of(socket);
        line.send([settings(settings_)]);
        line
    }

    pub(super) fn accept(&self) -> Line {
        self.accept_with(&[])
    }

    /// Nobody connects for this long.
    pub(super) fn sees_nobody_for(&self, time: Duration) {
        assert!(self.next_client(time).is_none(), "the channel should not connect yet");
    }

    fn next_client(&self, patience: Duration) -> Option<TcpStream> {
        self.listener.set_nonblocking(true).expect("a listener has such an option");
        let give_up = Instant::now() + patience;
        loop {
            match self.listener.accept() {
                Ok((socket, _)) => {
                    socket.set_nonblocking(false).expect("a socket has such an option");
                    return Some(socket);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("it cannot be accepted: {error}"),
            }
            if Instant::now() >= give_up {
                return None;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A connection of the channel's.
pub(super) struct Line {
    socket: TcpStream,
    /// Acknowledgements of our SETTINGS.
    pub(super) n_acks: usize,
    /// PINGs are answered. They are by default.
    pub(super) polite: bool,
}

impl Line {
    /// A connection of which whatever stands before the frames has been read.
    pub(super) fn of(socket: TcpStream) -> Self {
        Self { socket, n_acks: 0, polite: true }
    }

    pub(super) fn send(&mut self, frames: impl IntoIterator<Item = Frame>) {
        let mut bytes = Vec::new();
        frames.into_iter().for_each(|frame| frame.write(&mut bytes));
        match self.socket.write_all(&bytes) {
            Ok(()) => {}
            // It has given us up; what it said is still to be read.
            Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {}
            Err(error) => panic!("the channel takes nothing: {error}"),
        }
    }

    /// The next frame that a script can be interested in; `None` at the end.
    fn next(&mut self) -> Option<Frame> {
        loop {
            let frame = read_frame(&mut self.socket)?;
            if let Some(frame) = self.take(frame) {
                return Some(frame);
            }
        }
    }

    /// SETTINGS are acknowledged, PINGs answered if that is polite, windows not looked at; other frames are the script's.
    fn take(&mut self, frame: Frame) -> Option<Frame> {
        match frame.kind {
            kind::SETTINGS if frame.has(flag::ACK) => self.n_acks += 1,
            kind::SETTINGS => self.send([settings_ack()]),
            kind::PING if self.polite && !frame.has(flag::ACK) => {
                self.send([ping_ack(frame.payload[..].try_into().expect("8 octets (RFC 9113, 6.7)"))]);
            }
            kind::WINDOW_UPDATE => {}
            _ => return Some(frame),
        }
        None
    }

    /// Reads until this comes, which is the next but for windows and SETTINGS.
    #[track_caller]
    fn expect(&mut self, what: &str, kind: u8) -> Frame {
        let frame = self.next().unwrap_or_else(|| panic!("the connection should have {what}, and not end"));
        assert_eq!(frame.kind, kind, "not {what}: {frame:?}");
        frame
    }

    /// The stream of the next request, which is whole.
    #[track_caller]
    pub(super) fn request(&mut self) -> u32 {
        let stream = self.begun();
        self.rest(stream);
        stream
    }

    /// The stream of the next request, which may go on.
    #[track_caller]
    pub(super) fn begun(&mut self) -> u32 {
        let head = self.expect("a request", kind::HEADERS);
        assert!(head.has(flag::END_HEADERS) && !head.has(flag::END_STREAM), "{head:?}");
        head.stream
    }

    /// Reads a request to its end; how many bytes it had.
    #[track_caller]
    pub(super) fn rest(&mut self, stream: u32) -> usize {
        let mut n_bytes = 0;
        loop {
            let data = self.expect("more of the request", kind::DATA);
            assert_eq!(data.stream, stream, "one request after the other");
            n_bytes += data.payload.len();
            if data.has(flag::END_STREAM) {
                return n_bytes;
            }
        }
    }

    /// Reads so many bytes of a request.
    #[track_caller]
    pub(super) fn some_of(&mut self, stream: u32, n_bytes: usize) -> usize {
        let mut n_read = 0;
        while n_read < n_bytes {
            let data = self.expect("more of the request", kind::DATA);
            assert_eq!(data.stream, stream, "one request after the other");
            n_read += data.payload.len();
        }
        n_read
    }

    /// The streams of the next requests.
    #[track_caller]
    pub(super) fn requests<const N: usize>(&mut self) -> [u32; N] {
        [(); N].map(|()| self.request())
    }

    /// The streams of the next requests, whose frames may be mixed, in the order in which they end.
    #[track_caller]
    pub(super) fn whole<const N: usize>(&mut self) -> [u32; N] {
        [(); N].map(|()| {
            loop {
                let frame = self.next().expect("the connection should have requests, and not end");
                assert!([kind::HEADERS, kind::DATA].contains(&frame.kind), "not a request: {frame:?}");
                if frame.has(flag::END_STREAM) {
                    return frame.stream;
                }
            }
        })
    }

    /// The stream and the code of the next RST_STREAM.
    #[track_caller]
    pub(super) fn reset(&mut self) -> (u32, u32) {
        let reset = self.expect("RST_STREAM", kind::RST_STREAM);
        (reset.stream, reset.number(0))
    }

    /// The next PING, which is not answered.
    #[track_caller]
    pub(super) fn ping(&mut self) -> [u8; 8] {
        assert!(!self.polite, "it would have been answered");
        let ping = self.expect("PING", kind::PING);
        ping.payload[..].try_into().expect("8 octets (RFC 9113, 6.7)")
    }

    /// The answer to a PING of ours.
    #[track_caller]
    pub(super) fn pong(&mut self) -> [u8; 8] {
        let pong = self.expect("the answer to PING", kind::PING);
        assert!(pong.has(flag::ACK), "{pong:?}");
        pong.payload[..].try_into().expect("8 octets (RFC 9113, 6.7)")
    }

    /// The channel says goodbye with this code, and closes.
    #[track_caller]
    pub(super) fn is_left(&mut self, code: u32) {
        let goaway = self.expect("GOAWAY", kind::GOAWAY);
        assert_eq!((goaway.number(0), goaway.number(4)), (0, code), "{goaway:?}");
        self.is_closed();
    }

    /// The channel closes, and says nothing else.
    #[track_caller]
    pub(super) fn is_closed(&mut self) {
        let frame = self.next();
        assert!(frame.is_none(), "the connection should end: {frame:?}");
    }

    /// Whatever comes, until the channel closes; a reset counts as closed.
    pub(super) fn reads_to_the_end(mut self) {
        crate::support::until_closed(&mut self.socket);
    }

    /// Nothing that a script can be interested in comes for this long.
    #[track_caller]
    pub(super) fn hears_nothing_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.socket.set_read_timeout(Some(left)).unwrap();
            let peeked = self.socket.peek(&mut [0]);
            self.socket.set_read_timeout(Some(PATIENCE)).unwrap();
            match peeked {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Ok(1) => {
                    let frame = read_frame(&mut self.socket).and_then(|frame| self.take(frame));
                    assert!(frame.is_none(), "nothing should come: {frame:?}");
                }
                other => panic!("the connection should last: {other:?}"),
            }
        }
    }

    /// Waits until the channel has come to the end of what was sent.
    #[track_caller]
    pub(super) fn all_is_read(&mut self) {
        self.send([ping(*b"come far")]);
        assert_eq!(&self.pong(), b"come far");
    }

    /// A good answer.
    pub(super) fn answer(&mut self, stream: u32) {
        self.send(good_answer(stream));
    }

    /// The connection breaks: with a reset, or as that of a process that ends.
    pub(super) fn breaks(self, by_reset: bool) {
        if by_reset {
            rustix::net::sockopt::set_socket_linger(&self.socket, Some(Duration::ZERO)).expect("a socket has such an option");
        }
    }
}

/// The head of a good answer.
pub(super) fn head(stream: u32) -> Frame {
    headers(stream, Block::new().literal(":status", "200").literal("content-type", "application/grpc"))
}

/// Trailers that end an answer with this status.
pub(super) fn trailers(stream: u32, status: &str) -> Frame {
    headers(stream, Block::new().literal("grpc-status", status)).end()
}

/// A reply of the Greeter, as a prefixed message.
pub(super) fn reply() -> Vec<u8> {
    prefixed(0, &HelloReply { message: "Hello!".into() }.encode_to_vec())
}

pub(super) fn good_answer(stream: u32) -> [Frame; 3] {
    [head(stream), data(stream, reply()), trailers(stream, "0")]
}
