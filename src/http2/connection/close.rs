//! How streams end, and how the connection does: by a fault, by a limit, by a drain.

use std::time::{Duration, Instant};

use super::super::frame;
use super::super::limits::Violation;
use super::super::streams::{Resetter, StreamKey};
use super::{Closing, Connection, ErrorCode, Event, Fault};

/// The PING between the two GOAWAYs of a drain: when it comes back, the peer has seen the first (RFC 9113, 6.8).
const DRAIN_PING: [u8; 8] = *b"draining";

/// A client that goes away closes the connection itself; if it does not, we do after this time. What it has sent along, a PING for example, is answered
/// until then. 1 s, as in `x/net/http2`.
const PARTING_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a connection that is drained before it is open may take to be opened.
const OPENING_TIMEOUT: Duration = Duration::from_secs(1);

/// The first GOAWAY of a drain names no stream that could be opened.
const STREAM_ID_MAX: u32 = 0x7fff_ffff;

/// How far a drain has come.
#[derive(Debug)]
pub(super) enum Drain {
    Not,
    /// The first GOAWAY is out; streams that are opened meanwhile are served.
    Announced(Box<Announced>),
    /// The last GOAWAY is out.
    Final(Box<Final>),
}

/// The last GOAWAY.
#[derive(Debug)]
pub(super) struct Final {
    /// Streams above it are not served.
    last: u32,
    /// The connection is not done before.
    until: Instant,
}

/// The first GOAWAY.
#[derive(Debug)]
pub(super) struct Announced {
    /// When the last one goes out, whether the peer has answered or not.
    deadline: Instant,
    reason: &'static str,
}

impl Connection {
    /// Asks the peer to go elsewhere: it is told at once, and told again which streams were the last when it has answered, or after
    /// [`Limits::drain_ping_timeout`](super::Limits::drain_ping_timeout). Streams that are open go on; then the connection [is done](Self::is_done).
    ///
    /// A peer that has just connected may have begun a request already, which proxies do not make again elsewhere (nginx does not): it has 1 s to open the connection.
    pub fn drain(&mut self, reason: &'static str) {
        if self.closing.is_some() || !matches!(self.drain, Drain::Not) {
            return;
        }
        frame::goaway(&mut self.out, STREAM_ID_MAX, ErrorCode::NO_ERROR, reason.as_bytes());
        frame::ping(&mut self.out, 0, DRAIN_PING);
        let timeout = self.limits.drain_ping_timeout;
        let timeout = if self.is_open() { timeout } else { timeout.min(OPENING_TIMEOUT) };
        self.drain = Drain::Announced(Box::new(Announced { deadline: self.now + timeout, reason }));
    }

    /// Ends the connection, whatever is under way: the peer is told by which limit, and that it has done nothing wrong.
    pub fn cut(&mut self, limit: Violation) {
        if self.closing.is_none() {
            self.close(ErrorCode::NO_ERROR, limit.name(), Some(limit));
        }
    }

    /// Whether the connection has no more to do: it has failed; or no stream is open, and the peer knows that none would be served. What waits in
    /// the output is still to be sent.
    pub fn is_done(&self) -> bool {
        self.closing.is_some() || (matches!(&self.drain, Drain::Final(said) if said.until <= self.now) && self.streams.is_empty())
    }

    /// Ends the stream at once.
    pub fn reset(&mut self, stream: StreamKey, code: ErrorCode) {
        if self.streams.get(stream).is_some() {
            self.write_reset(stream.id(), code);
            self.forget_stream(stream);
        }
    }

    pub(super) fn drain_deadline(&self) -> Option<Instant> {
        match &self.drain {
            Drain::Announced(announced) => Some(announced.deadline),
            Drain::Final(said) if said.until > self.now => Some(said.until),
            Drain::Not | Drain::Final(_) => None,
        }
    }

    /// Whether the acknowledgement was waited for.
    pub(super) fn ping_acked(&mut self, data: [u8; 8]) -> bool {
        if self.keepalive.is_answered(data) {
            return true;
        }
        let awaited = data == DRAIN_PING && matches!(self.drain, Drain::Announced(_));
        if awaited {
            self.finish_drain();
        }
        awaited
    }

    /// The drain goes on, whether the peer has answered or not.
    pub(super) fn end_announcement(&mut self) {
        match &self.drain {
            // Nothing of it has been processed, and GOAWAY says so.
            Drain::Announced(announced) if !self.is_open() => self.close(ErrorCode::NO_ERROR, announced.reason, None),
            Drain::Announced(_) => {
                self.violations.push(Violation::DrainPing);
                self.finish_drain();
            }
            Drain::Not | Drain::Final(_) => {}
        }
    }

    fn finish_drain(&mut self) {
        if let Drain::Announced(announced) = &self.drain {
            let last = self.stream_id_last;
            frame::goaway(&mut self.out, last, ErrorCode::NO_ERROR, announced.reason.as_bytes());
            self.drain = Drain::Final(Box::new(Final { last, until: self.now }));
        }
    }

    /// The peer goes away. It has opened its last stream, and learns that we know it before the connection ends (6.8).
    pub(super) fn part(&mut self) {
        if matches!(self.drain, Drain::Not) {
            let last = self.stream_id_last;
            frame::goaway(&mut self.out, last, ErrorCode::NO_ERROR, b"");
            self.drain = Drain::Final(Box::new(Final { last, until: self.now + PARTING_TIMEOUT }));
        }
    }

    /// Whether the stream was opened after we had said that it would not be served.
    pub(super) fn is_ignored(&self, id: u32) -> bool {
        matches!(&self.drain, Drain::Final(said) if id > said.last)
    }

    /// What a fault comes to. The application hears of it when it knows the stream.
    pub(super) fn fault(&mut self, fault: Fault) -> Option<Event<'static>> {
        match fault {
            Fault::Connection(code, reason) => self.close(code, reason, None),
            Fault::Violation(violation) => self.close(ErrorCode::ENHANCE_YOUR_CALM, violation.name(), Some(violation)),
            Fault::Stream(id, code) => {
                // Resets that we are made to send are the peer's (CVE-2025-8671).
                if !self.budgets.resets.spend(self.limits.resets, self.clock()) {
                    return self.fault(Fault::Violation(Violation::Resets));
                }
                self.write_reset(id, code);
                let stream = self.streams.find(id)?;
                self.forget_stream(stream);
                return Some(Event::Reset { stream, code });
            }
        }
        None
    }

    /// The application's part of the answer is complete and written.
    pub(super) fn answered(&mut self, key: StreamKey) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        self.budgets.resets.earn(1);
        if stream.remote_closed {
            self.gone.remember_done(key.id());
        } else {
            // 8.1: a complete answer, and no interest in the rest of the request.
            self.write_reset(key.id(), ErrorCode::NO_ERROR);
        }
        self.forget_stream(key);
    }

    pub(super) fn write_reset(&mut self, id: u32, code: ErrorCode) {
        frame::rst_stream(&mut self.out, id, code);
        self.remember_reset(id, Resetter::Us);
    }

    /// What the application had not released goes back to the connection's window.
    pub(super) fn forget_stream(&mut self, key: StreamKey) {
        // A peer whose window of the connection is closed could have the queue grow by a stream that it resets, and another, and another.
        let Some(closed) = self.streams.close(key) else { return };
        if self.streams.is_empty() {
            self.idle_since = self.now;
        }
        if closed.was_queued {
            self.sendable.retain(|queued| *queued != key);
        }
        if closed.unreleased > 0 {
            self.release_connection(closed.unreleased);
        }
    }

    pub(super) fn close(&mut self, code: ErrorCode, reason: &'static str, violation: Option<Violation>) {
        // What has been said of the last stream is never taken back (6.8).
        let last = if let Drain::Final(said) = &self.drain { said.last } else { self.stream_id_last };
        frame::goaway(&mut self.out, last, code, reason.as_bytes());
        if let Some(violation) = violation {
            self.violations.push(violation);
        }
        self.closing = Some(Box::new(Closing { code, reason, violation }));
        self.streams = Default::default();
        self.sendable.take();
        self.events.take();
        (self.data, self.block) = (None, None);
        self.partial = Vec::new();
    }
}
