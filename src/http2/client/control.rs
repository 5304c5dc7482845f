//! All frames but HEADERS, CONTINUATION and DATA: what they ask for, and what they break.

use super::super::frame::{self, FrameHeader, PAYLOAD_BYTES_MAX, flag, kind, setting};
use super::receive::protocol;
use super::{Connection, ErrorCode, Event, Fault, GoAway, WINDOW_MAX};

/// How much of a GOAWAY's debug data is kept, in bytes.
const DEBUG_BYTES_MAX: usize = 256;

fn size(reason: &'static str) -> Fault {
    Fault { code: ErrorCode::FRAME_SIZE_ERROR, reason }
}

fn flow(reason: &'static str) -> Fault {
    Fault { code: ErrorCode::FLOW_CONTROL_ERROR, reason }
}

impl Connection {
    pub(super) fn control_frame(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<Option<Event<'static>>, Fault> {
        match header.kind {
            kind::SETTINGS => self.settings(header, payload).map(|()| None),
            kind::WINDOW_UPDATE => self.window_update(header, payload),
            kind::PING => self.ping(header, payload).map(|()| None),
            kind::RST_STREAM => self.rst_stream(header, payload),
            kind::GOAWAY => self.goaway(header, payload).map(|()| None),
            kind::PUSH_PROMISE => Err(protocol("a push, which SETTINGS_ENABLE_PUSH forbids")),
            kind::PRIORITY if header.stream_id == 0 => Err(protocol("PRIORITY on stream 0")),
            // 5.3.2: deprecated; 4.1: what is unknown is ignored.
            _ => Ok(None),
        }
    }

    fn settings(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<(), Fault> {
        if header.stream_id != 0 {
            return Err(protocol("SETTINGS on a stream"));
        }
        if header.has(flag::ACK) {
            return if payload.is_empty() { Ok(()) } else { Err(size("an acknowledgement of SETTINGS with a payload")) };
        }
        let (entries, rest) = payload.as_chunks::<6>();
        if !rest.is_empty() {
            return Err(size("SETTINGS of a length that is no multiple of 6"));
        }
        if !self.is_open {
            self.is_open = true;
            self.streams_max = u32::MAX;
        }
        for [a, b, value @ ..] in entries {
            self.setting(u16::from_be_bytes([*a, *b]), u32::from_be_bytes(*value))?;
        }
        frame::settings_ack(&mut self.out);
        self.pump();
        Ok(())
    }

    fn setting(&mut self, id: u16, value: u32) -> Result<(), Fault> {
        match id {
            setting::HEADER_TABLE_SIZE => self.encoder.set_table_bytes_max(value),
            setting::ENABLE_PUSH if value != 0 => return Err(protocol("SETTINGS_ENABLE_PUSH of a server is not 0")),
            setting::MAX_CONCURRENT_STREAMS => self.streams_max = value,
            setting::INITIAL_WINDOW_SIZE => return self.set_peer_window(value),
            // Never used beyond the least that every peer accepts.
            setting::MAX_FRAME_SIZE if !(PAYLOAD_BYTES_MAX..=0xff_ffff).contains(&(value as usize)) => {
                return Err(protocol("SETTINGS_MAX_FRAME_SIZE is not between 2^14 and 2^24 - 1"));
            }
            _ => {}
        }
        Ok(())
    }

    /// 6.9.2: it moves the windows of all open streams, below 0 if need be.
    fn set_peer_window(&mut self, value: u32) -> Result<(), Fault> {
        if i64::from(value) > WINDOW_MAX {
            return Err(flow("SETTINGS_INITIAL_WINDOW_SIZE is above 2^31 - 1"));
        }
        let change = i64::from(value) - i64::from(self.peer_window_initial);
        self.peer_window_initial = value;
        for (key, stream) in self.streams.iter_mut() {
            let window = i64::from(stream.send_window) + change;
            if window > WINDOW_MAX {
                return Err(flow("a stream's window grows above 2^31 - 1"));
            }
            // At least -(2^31 - 1): a window never falls by more than it was given.
            stream.send_window = window as i32;
            if stream.pending.is_some() && window > 0 && !stream.queued {
                stream.queued = true;
                self.sendable.push_back(key);
            }
        }
        Ok(())
    }

    fn window_update(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<Option<Event<'static>>, Fault> {
        let Ok(increment) = payload.try_into().map(|bytes| u32::from_be_bytes(bytes) & 0x7fff_ffff) else {
            return Err(size("WINDOW_UPDATE is not 4 bytes long"));
        };
        if header.stream_id == 0 {
            if increment == 0 {
                return Err(protocol("WINDOW_UPDATE of 0"));
            }
            self.send_window += i64::from(increment);
            if self.send_window > WINDOW_MAX {
                return Err(flow("the connection's window grows above 2^31 - 1"));
            }
            self.pump();
            return Ok(None);
        }
        if self.is_idle(header.stream_id) {
            return Err(protocol("WINDOW_UPDATE on a stream that was never opened"));
        }
        // A stream that has just ended may still get some.
        let Some(key) = self.streams.find(header.stream_id) else { return Ok(None) };
        let stream = self.streams.get_mut(key).expect("just found");
        let window = i64::from(stream.send_window) + i64::from(increment);
        if increment == 0 || window > WINDOW_MAX {
            self.reset(key, if increment == 0 { ErrorCode::PROTOCOL_ERROR } else { ErrorCode::FLOW_CONTROL_ERROR });
            return Ok(Some(Event::Refused { stream: key, why: "WINDOW_UPDATE of 0, or beyond 2^31 - 1" }));
        }
        stream.send_window = window as i32;
        if stream.pending.is_some() && window > 0 && !stream.queued {
            stream.queued = true;
            self.sendable.push_back(key);
            self.pump();
        }
        Ok(None)
    }

    fn ping(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<(), Fault> {
        if header.stream_id != 0 {
            return Err(protocol("PING on a stream"));
        }
        let Ok(data) = <[u8; 8]>::try_from(payload) else {
            return Err(size("PING is not 8 bytes long"));
        };
        if !header.has(flag::ACK) {
            frame::ping(&mut self.out, flag::ACK, data);
        }
        Ok(())
    }

    fn rst_stream(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<Option<Event<'static>>, Fault> {
        let Ok(code) = payload.try_into().map(|bytes| ErrorCode(u32::from_be_bytes(bytes))) else {
            return Err(size("RST_STREAM is not 4 bytes long"));
        };
        if self.is_idle(header.stream_id) {
            return Err(protocol("RST_STREAM on a stream that was never opened"));
        }
        // After an answer that came before the whole request, RST_STREAM with NO_ERROR only says that the rest is not wanted (8.1).
        let Some(key) = self.streams.find(header.stream_id) else { return Ok(None) };
        self.streams.close(key);
        self.has_reset = true;
        Ok(Some(Event::Reset { stream: key, code }))
    }

    fn goaway(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<(), Fault> {
        if header.stream_id != 0 {
            return Err(protocol("GOAWAY on a stream"));
        }
        let Some(([a, b, c, d, code @ ..], debug_data)) = payload.split_first_chunk::<8>() else {
            return Err(size("GOAWAY is shorter than 8 bytes"));
        };
        let last = u32::from_be_bytes([*a, *b, *c, *d]) & 0x7fff_ffff;
        if self.going_away.as_ref().is_some_and(|earlier| last > earlier.last) {
            return Err(protocol("a GOAWAY that takes back what an earlier one said"));
        }
        let debug_data = String::from_utf8_lossy(&debug_data[..debug_data.len().min(DEBUG_BYTES_MAX)]);
        let debug_data = debug_data.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
        self.going_away = Some(GoAway { last, code: ErrorCode(u32::from_be_bytes(*code)), debug_data: debug_data.trim().into() });
        let lost: Vec<_> = self.streams.iter_mut().map(|(key, _)| key).filter(|key| key.id() > last).collect();
        for stream in lost {
            self.streams.close(stream);
            self.has_reset = true;
            self.events.push_back(Event::Unprocessed { stream });
        }
        Ok(())
    }
}
