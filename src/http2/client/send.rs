//! Requests: HEADERS at once, DATA as far as the server's windows go, and the rest later.

use super::super::frame::{self, PAYLOAD_BYTES_MAX, flag, kind};
use super::Connection;
#[cfg(feature = "cli")]
use super::Request;
#[cfg(feature = "cli")]
use super::streams::StreamKey;

/// The output takes no more requests or DATA while it holds this much: enough for a send, and what a server does not read is bounded by it. 64 KiB.
const OUT_BYTES_MAX: usize = 64 * 1024;

impl Connection {
    /// How many bytes wait to be taken.
    pub(crate) fn n_output_bytes(&self) -> usize {
        self.out.len()
    }

    /// Takes all that is to be sent now, and puts `spare`, an empty buffer, in its place.
    pub(crate) fn take_output(&mut self, spare: Vec<u8>) -> Vec<u8> {
        debug_assert!(spare.is_empty(), "the output begins where the last one ended");
        let out = std::mem::replace(&mut self.out, spare);
        if !self.sendable.is_empty() {
            self.pump();
        }
        out
    }

    /// Whether [`open`](Self::open) would open a stream now: the server allows one more, and the output has room.
    #[inline]
    pub(crate) fn can_open(&self) -> bool {
        self.streams.len() < self.streams_max as usize && self.out.len() < OUT_BYTES_MAX && !self.is_closed_to_new()
    }

    /// Opens a stream with this request, whose body may wait for the server's windows.
    ///
    /// # Panics
    ///
    /// When [`can_open`](Self::can_open) says no.
    #[cfg(feature = "cli")]
    #[inline]
    pub(crate) fn open(&mut self, request: &mut Request) -> StreamKey {
        assert!(self.can_open(), "asked before");
        let id = self.next_id;
        self.next_id += 2;
        let len = request.body().len();
        let window = i64::from(self.peer_window_initial).min(self.send_window);
        let stream = self.streams.open(id, self.stream_window as i32, self.peer_window_initial as i32);
        // Those that wait have come before.
        let at_once = request.has_short_body() && len as i64 <= window && self.sendable.is_empty();
        request.write(&mut self.encoder, &mut self.out, id, at_once);
        let open = self.streams.get_mut(stream).expect("just opened");
        if at_once {
            open.send_window -= len as i32;
            self.send_window -= len as i64;
        } else {
            open.pending = Some(request.body().clone());
            if open.send_window > 0 {
                open.queued = true;
                self.sendable.push_back(stream);
            }
            self.pump();
        }
        stream
    }

    /// Writes what waits, as far as windows and the output go: whoever waits longest to its end, then the next.
    pub(super) fn pump(&mut self) {
        while self.out.len() < OUT_BYTES_MAX
            && self.send_window > 0
            && let Some(key) = self.sendable.pop_front()
        {
            let Some(stream) = self.streams.get_mut(key) else { continue };
            let Some(body) = &mut stream.pending else { continue };
            let window = i64::from(stream.send_window).min(self.send_window).clamp(0, PAYLOAD_BYTES_MAX as i64);
            let part = body.split_to(body.len().min(window as usize));
            let is_sent = body.is_empty();
            let ends = is_sent && !stream.goes_on;
            if part.is_empty() && !is_sent {
                // Its window has shrunk meanwhile.
                stream.queued = false;
                continue;
            }
            self.out.extend_from_slice(&frame::header(part.len(), kind::DATA, if ends { flag::END_STREAM } else { 0 }, key.id()));
            self.out.extend_from_slice(&part);
            stream.send_window -= part.len() as i32;
            self.send_window -= part.len() as i64;
            if is_sent {
                stream.pending = None;
                stream.queued = false;
                if !ends {
                    self.roomy.push(key);
                }
            } else if stream.send_window > 0 {
                self.sendable.push_front(key);
            } else {
                stream.queued = false;
            }
        }
    }
}
