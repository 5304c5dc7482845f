//! What happens by itself when time passes.

use std::time::Instant;

use super::super::limits::Violation;
use super::super::streams::StreamKey;
use super::{Connection, ErrorCode, Event};

impl Connection {
    /// Tells the time. To be called before anything else in each turn of the driver; it never goes back.
    pub fn set_now(&mut self, now: Instant) {
        self.now = now;
    }

    /// When [`on_timeout`](Self::on_timeout) is to be called, if nothing changes before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.closing.is_some() {
            return None;
        }
        [self.opening_deadline(), self.drain_deadline(), self.stall_deadline].into_iter().flatten().min()
    }

    /// Does what is due now. May be called at any time.
    pub fn on_timeout(&mut self) {
        if self.closing.is_some() {
            return;
        }
        if self.opening_deadline().is_some_and(|deadline| deadline <= self.now) {
            self.close(ErrorCode::SETTINGS_TIMEOUT, Violation::Handshake.name(), Some(Violation::Handshake));
            return;
        }
        if self.drain_deadline().is_some_and(|deadline| deadline <= self.now) {
            self.end_announcement();
        }
        if self.stall_deadline.is_some_and(|deadline| deadline <= self.now) {
            self.reset_stalled();
        }
    }

    fn opening_deadline(&self) -> Option<Instant> {
        (!self.is_open()).then(|| self.start + self.limits.handshake_timeout)
    }

    /// Resets the streams whose answers have waited too long for the peer, and finds out when to look again.
    fn reset_stalled(&mut self) {
        let mut stalled: Vec<StreamKey> = Vec::new();
        let mut next: Option<Instant> = None;
        for (key, stream) in self.streams.iter_mut() {
            let Some(pending) = &stream.pending else { continue };
            let deadline = pending.since + self.limits.stall_timeout;
            if deadline <= self.now {
                stalled.push(key);
            } else {
                next = Some(next.map_or(deadline, |other| other.min(deadline)));
            }
        }
        self.stall_deadline = next;
        for stream in stalled {
            self.violations.push(Violation::Stalled);
            self.reset(stream, ErrorCode::CANCEL);
            self.events.push(Event::Reset { stream, code: ErrorCode::CANCEL });
        }
    }
}
