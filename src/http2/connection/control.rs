//! All frames but HEADERS, CONTINUATION and DATA: what they ask for, what they break, and what they cost.

use std::time::Instant;

use super::super::frame::{self, FrameHeader, PAYLOAD_BYTES_MAX, flag, kind, setting};
use super::super::limits::Violation;
use super::super::streams::Resetter;
use super::receive::Opening;
use super::requests::depends_on;
use super::{Connection, ErrorCode, Event, Fault, WINDOW_MAX};

/// How the peer's PINGs are judged: gRPC's keepalive enforcement.
#[derive(Debug, Default)]
pub(super) struct Pings {
    /// When the last one came, unless we have sent HEADERS or DATA since.
    last: Option<Instant>,
    strikes: u32,
}

impl Pings {
    /// HEADERS or DATA went out: whoever is being served may ask how fast.
    pub(super) fn forgive(&mut self) {
        *self = Self::default();
    }
}

impl Connection {
    pub(super) fn control_frame(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<Option<Event<'static>>, Fault> {
        match header.kind {
            kind::SETTINGS => self.settings(header, payload),
            kind::WINDOW_UPDATE => self.window_update(header, payload),
            kind::PING => self.ping(header, payload),
            kind::RST_STREAM => return self.rst_stream(header, payload),
            kind::PRIORITY => self.priority(header, payload),
            kind::GOAWAY => self.goaway(header, payload),
            kind::PUSH_PROMISE => Err(Fault::Connection(ErrorCode::PROTOCOL_ERROR, "a client cannot push")),
            // 4.1: ignored.
            _ if self.budgets.unknown_frames.spend(self.limits.unknown_frames, self.clock()) => Ok(()),
            _ => Err(Fault::Violation(Violation::UnknownFrames)),
        }
        .map(|()| None)
    }

    fn settings(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<(), Fault> {
        if header.stream_id != 0 {
            return Err(Fault::Connection(ErrorCode::PROTOCOL_ERROR, "SETTINGS on a stream"));
        }
        if !self.budgets.settings.spend(self.limits.settings, self.clock()) || payload.len() / 6 > self.limits.settings_entries_max {
            return Err(Fault::Violation(Violation::Settings));
        }
        if header.has(flag::ACK) {
            if !payload.is_empty() {
                return Err(Fault::Connection(ErrorCode::FRAME_SIZE_ERROR, "an acknowledgement of SETTINGS with a payload"));
            }
            self.settings_acked = true;
            return Ok(());
        }
        let (entries, rest) = payload.as_chunks::<6>();
        if !rest.is_empty() {
            return Err(Fault::Connection(ErrorCode::FRAME_SIZE_ERROR, "SETTINGS of a length that is no multiple of 6"));
        }
        for [a, b, value @ ..] in entries {
            self.setting(u16::from_be_bytes([*a, *b]), u32::from_be_bytes(*value))?;
        }
        frame::settings_ack(&mut self.out);
        self.opening = Opening::Done;
        self.pump();
        Ok(())
    }

    fn setting(&mut self, id: u16, value: u32) -> Result<(), Fault> {
        match id {
            setting::HEADER_TABLE_SIZE => self.encoder.set_table_bytes_max(value),
            setting::ENABLE_PUSH if value > 1 => {
                return Err(Fault::Connection(ErrorCode::PROTOCOL_ERROR, "SETTINGS_ENABLE_PUSH is neither 0 nor 1"));
            }
            setting::INITIAL_WINDOW_SIZE => return self.set_peer_window(value),
            // Never used beyond the least that every peer accepts.
            setting::MAX_FRAME_SIZE if !(PAYLOAD_BYTES_MAX..=0xff_ffff).contains(&(value as usize)) => {
                return Err(Fault::Connection(ErrorCode::PROTOCOL_ERROR, "SETTINGS_MAX_FRAME_SIZE is not between 2^14 and 2^24 - 1"));
            }
            _ => {}
        }
        Ok(())
    }

    /// 6.9.2: it moves the windows of all open streams, below 0 if need be.
    fn set_peer_window(&mut self, value: u32) -> Result<(), Fault> {
        if i64::from(value) > WINDOW_MAX {
            return Err(Fault::Connection(ErrorCode::FLOW_CONTROL_ERROR, "SETTINGS_INITIAL_WINDOW_SIZE is above 2^31 - 1"));
        }
        let change = i64::from(value) - i64::from(self.peer_window_initial);
        self.peer_window_initial = value;
        for (key, stream) in self.streams.iter_mut() {
            let window = i64::from(stream.send_window) + change;
            if window > WINDOW_MAX {
                return Err(Fault::Connection(ErrorCode::FLOW_CONTROL_ERROR, "a stream's window grows above 2^31 - 1"));
            }
            // At least -(2^31 - 1): a window never falls by more than it was given.
            stream.send_window = window as i32;
            if stream.pending.is_some() && window > 0 && !stream.queued {
                stream.queued = true;
                self.sendable.push(key);
            }
        }
        Ok(())
    }

    fn window_update(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<(), Fault> {
        let Ok(increment) = payload.try_into().map(|bytes| u32::from_be_bytes(bytes) & 0x7fff_ffff) else {
            return Err(Fault::Connection(ErrorCode::FRAME_SIZE_ERROR, "WINDOW_UPDATE is not 4 bytes long"));
        };
        if !self.budgets.window_updates.spend(self.limits.window_updates, self.clock()) {
            return Err(Fault::Violation(Violation::WindowUpdates));
        }
        if header.stream_id == 0 {
            if increment == 0 {
                return Err(Fault::Connection(ErrorCode::PROTOCOL_ERROR, "WINDOW_UPDATE of 0"));
            }
            self.send_window += i64::from(increment);
            if self.send_window > WINDOW_MAX {
                return Err(Fault::Connection(ErrorCode::FLOW_CONTROL_ERROR, "the connection's window grows above 2^31 - 1"));
            }
            self.pump();
            return Ok(());
        }
        if self.is_idle(header.stream_id) {
            return Err(Fault::Connection(ErrorCode::PROTOCOL_ERROR, "WINDOW_UPDATE on a stream that was never opened"));
        }
        // A stream that has just ended may still get some.
        let Some(key) = self.streams.find(header.stream_id) else { return Ok(()) };
        let Some(stream) = self.streams.get_mut(key) else { return Ok(()) };
        if increment == 0 {
            return Err(Fault::Stream(key.id(), ErrorCode::PROTOCOL_ERROR));
        }
        let window = i64::from(stream.send_window) + i64::from(increment);
        if window > WINDOW_MAX {
            return Err(Fault::Stream(key.id(), ErrorCode::FLOW_CONTROL_ERROR));
        }
        stream.send_window = window as i32;
        if stream.pending.is_some() && window > 0 && !stream.queued {
            stream.queued = true;
            self.sendable.push(key);
            self.pump();
        }
        Ok(())
    }

    fn ping(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<(), Fault> {
        if header.stream_id != 0 {
            return Err(Fault::Connection(ErrorCode::PROTOCOL_ERROR, "PING on a stream"));
        }
        let Ok(data) = <[u8; 8]>::try_from(payload) else {
            return Err(Fault::Connection(ErrorCode::FRAME_SIZE_ERROR, "PING is not 8 bytes long"));
        };
        if header.has(flag::ACK) {
            if !self.ping_acked(data) && !self.budgets.unknown_frames.spend(self.limits.unknown_frames, self.clock()) {
                return Err(Fault::Violation(Violation::UnknownFrames));
            }
            return Ok(());
        }
        let interval = if self.streams.is_empty() { self.limits.ping_interval_idle_min } else { self.limits.ping_interval_min };
        let early = self.pings.last.is_some_and(|last| self.now.saturating_duration_since(last) < interval);
        self.pings.last = Some(self.now);
        self.pings.strikes += u32::from(early);
        if self.pings.strikes > self.limits.ping_strikes_max {
            return Err(Fault::Violation(Violation::Pings));
        }
        frame::ping(&mut self.out, flag::ACK, data);
        Ok(())
    }

    fn rst_stream(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<Option<Event<'static>>, Fault> {
        let id = header.stream_id;
        let Ok(code) = payload.try_into().map(|bytes| ErrorCode(u32::from_be_bytes(bytes))) else {
            return Err(Fault::Connection(ErrorCode::FRAME_SIZE_ERROR, "RST_STREAM is not 4 bytes long"));
        };
        if self.is_idle(id) {
            return Err(Fault::Connection(ErrorCode::PROTOCOL_ERROR, "RST_STREAM on a stream that was never opened"));
        }
        // For a stream that is gone, too: a flood of them is a flood.
        if !self.budgets.resets.spend(self.limits.resets, self.clock()) {
            return Err(Fault::Violation(Violation::Resets));
        }
        let Some(key) = self.streams.find(id) else { return Ok(None) };
        self.remember_reset(id, Resetter::Peer);
        self.forget_stream(key);
        Ok(Some(Event::Reset { stream: key, code }))
    }

    /// 5.3.2: deprecated, and ignored but for what makes no sense at all.
    fn priority(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<(), Fault> {
        let id = header.stream_id;
        if id == 0 {
            return Err(Fault::Connection(ErrorCode::PROTOCOL_ERROR, "PRIORITY on stream 0"));
        }
        if !self.budgets.priorities.spend(self.limits.priorities, self.clock()) {
            return Err(Fault::Violation(Violation::Priorities));
        }
        let fault = match payload.try_into() {
            Err(_) => ErrorCode::FRAME_SIZE_ERROR,
            Ok(priority) if depends_on(priority) == id => ErrorCode::PROTOCOL_ERROR,
            Ok(_) => return Ok(()),
        };
        // A stream error; but one that was never opened cannot be reset (6.4).
        if self.is_idle(id) { Err(Fault::Connection(fault, "bad PRIORITY")) } else { Err(Fault::Stream(id, fault)) }
    }

    fn goaway(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<(), Fault> {
        if header.stream_id != 0 {
            return Err(Fault::Connection(ErrorCode::PROTOCOL_ERROR, "GOAWAY on a stream"));
        }
        if payload.len() < 8 {
            return Err(Fault::Connection(ErrorCode::FRAME_SIZE_ERROR, "GOAWAY is shorter than 8 bytes"));
        }
        if self.peer_goes_away && !self.budgets.unknown_frames.spend(self.limits.unknown_frames, self.clock()) {
            return Err(Fault::Violation(Violation::UnknownFrames));
        }
        self.peer_goes_away = true;
        self.part();
        Ok(())
    }
}
