//! Whether the peer is still there: gRPC's keepalive (gRFC A8, grpc/doc/keepalive.md). A peer that has been silent for long is asked by a PING, and whatever
//! it says then is as good as an answer.
//!
//! Its times are hours rather than milliseconds, and every byte puts them off. So they are not among those of [`Connection::poll_timeout`]: a driver of many
//! connections can look at them by one coarse timer for all.

use std::time::Instant;

use super::super::frame;
use super::super::limits::Violation;
use super::Connection;

/// What a PING of the keepalive carries, to be told from a drain's.
const PING: [u8; 8] = *b"keepaliv";

/// When the peer was heard, and whether it was asked since.
#[derive(Debug)]
pub(super) struct Keepalive {
    /// When bytes came last, or the peer was asked.
    since: Instant,
    /// It was asked, and nothing has come since.
    is_asked: bool,
    /// The PING's own answer has not come. It may come behind other bytes.
    is_unanswered: bool,
}

impl Keepalive {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, is_asked: false, is_unanswered: false }
    }

    /// Whether the payload of an acknowledgement is that of a PING of ours which nobody has answered.
    pub(super) fn is_answered(&mut self, data: [u8; 8]) -> bool {
        let is_answer = self.is_unanswered && data == PING;
        self.is_unanswered &= !is_answer;
        is_answer
    }
}

impl Connection {
    /// Bytes have come from the peer: it is alive. To be said once for all that were received together.
    pub fn heard(&mut self) {
        self.keepalive.since = self.now;
        self.keepalive.is_asked = false;
    }

    /// When [`keep_alive`](Self::keep_alive) is to be called, if nothing comes before; `None`: never.
    pub fn poll_keepalive(&self) -> Option<Instant> {
        let time = self.limits.keepalive_time.filter(|_| self.closing.is_none())?;
        let wait = if self.keepalive.is_asked { self.limits.keepalive_timeout } else { time };
        self.keepalive.since.checked_add(wait)
    }

    /// Asks a peer that was silent for [`Limits::keepalive_time`](super::Limits::keepalive_time), and gives up one that has not answered within
    /// [`Limits::keepalive_timeout`](super::Limits::keepalive_timeout). May be called at any time.
    pub fn keep_alive(&mut self) {
        if self.poll_keepalive().is_none_or(|due| due > self.now) {
            return;
        }
        if self.keepalive.is_asked {
            return self.cut(Violation::Keepalive);
        }
        frame::ping(&mut self.out, 0, PING);
        self.keepalive = Keepalive { since: self.now, is_asked: true, is_unanswered: true };
    }
}
