//! One connection of the endpoint: it asks once, is answered, and is closed.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::PollFlags;

use super::request::{Method, Reply, Request};

/// All that a client does must be done within this time: asking, and taking the answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A request's head.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// What is read at a time.
const READ_BYTES: usize = 4 * 1024;

pub(super) struct Client {
    socket: TcpStream,
    deadline: Instant,
    state: State,
}

enum State {
    /// What has come of its head.
    Asking(Vec<u8>),
    /// The answer, from this byte on.
    Answered(Vec<u8>, usize),
    /// All was sent. What still comes is taken and forgotten, because a socket that is closed with unread bytes sends RST, which can overtake the answer.
    Leaving,
}

impl Client {
    pub(super) fn new(socket: TcpStream, now: Instant) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self { socket, deadline: now + TIMEOUT, state: State::Asking(Vec::new()) })
    }

    pub(super) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// When it is closed, however far it has come.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// What it waits for.
    pub(super) fn waits_for(&self) -> PollFlags {
        match self.state {
            State::Asking(_) | State::Leaving => PollFlags::IN,
            State::Answered(..) => PollFlags::OUT,
        }
    }

    /// Goes on as far as it can. Whether there is more to do.
    pub(super) fn go_on(&mut self, answer: impl FnOnce(&Request<'_>) -> Reply) -> bool {
        match self.step(answer) {
            Ok(goes_on) => goes_on,
            Err(error) => matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted),
        }
    }

    fn step(&mut self, answer: impl FnOnce(&Request<'_>) -> Reply) -> io::Result<bool> {
        if let State::Asking(head) = &mut self.state {
            let mut bytes = [0; READ_BYTES];
            let n = self.socket.read(&mut bytes[..READ_BYTES.min(HEAD_BYTES_MAX + 1 - head.len())])?;
            if n == 0 {
                return Ok(false);
            }
            head.extend_from_slice(&bytes[..n]);
            let (reply, method) = match end_of_head(head) {
                Some(end) => match Request::parse(&head[..end]) {
                    Ok(request) => (answer(&request), request.method),
                    Err(_) => (Reply::text("400 Bad Request", "this is no HTTP/1"), Method::Other),
                },
                None if head.len() > HEAD_BYTES_MAX => {
                    (Reply::text("431 Request Header Fields Too Large", "a head has at most 8 KiB"), Method::Other)
                }
                None => return Ok(true),
            };
            self.state = State::Answered(reply.into_bytes(method), 0);
        }
        if let State::Answered(bytes, sent) = &mut self.state {
            while *sent < bytes.len() {
                *sent += self.socket.write(&bytes[*sent..])?;
            }
            self.socket.shutdown(Shutdown::Write)?;
            self.state = State::Leaving;
        }
        let mut bytes = [0; READ_BYTES];
        Ok(self.socket.read(&mut bytes)? > 0)
    }
}

/// Where a head ends, its empty line included.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|place| place + 4)
}
