//! Bytes in: frames cut out of any split of the input, and DATA, whose payload is given on as it arrives.

use super::super::frame::{self, FrameHeader, HEADER_BYTES, PAYLOAD_BYTES_MAX, flag, kind};
use super::streams::StreamKey;
use super::{CONNECTION_WINDOW_BYTES, Connection, ErrorCode, Event, Fault};

/// A DATA frame whose payload is arriving.
#[derive(Debug)]
pub(super) struct DataFrame {
    /// `None`: the payload belongs to no open stream, and is dropped.
    stream: Option<StreamKey>,
    /// Bytes of the payload that have not come yet, padding included.
    left: usize,
    /// The padding's length is still to come.
    pad_unread: bool,
    padding: usize,
    /// The answer ends with this frame, and nobody has been told.
    ends: bool,
}

/// What a step through the input has found.
enum Step<'a> {
    Event(Event<'a>),
    Nothing,
    /// The input is used up.
    Starved,
}

impl Connection {
    /// Works through `input`, from which it takes what it has used, until something must be told. `None`: all of it is used up.
    ///
    /// After a fault the rest is dropped: see [`fault`](Self::fault).
    #[inline]
    pub(crate) fn receive<'a>(&mut self, input: &mut &'a [u8]) -> Option<Event<'a>> {
        while self.fault.is_none() {
            match self.step(input) {
                Ok(Step::Event(event)) => return Some(event),
                Ok(Step::Nothing) => {}
                Ok(Step::Starved) => return self.events.pop_front(),
                Err(fault) => {
                    // A server opens no streams, so none was served.
                    frame::goaway(&mut self.out, 0, fault.code, fault.reason.as_bytes());
                    self.fault = Some(fault);
                }
            }
        }
        *input = &[];
        self.events.pop_front()
    }

    #[inline]
    fn step<'a>(&mut self, input: &mut &'a [u8]) -> Result<Step<'a>, Fault> {
        if self.data.is_some() {
            return self.data_payload(input);
        }
        if !self.partial.is_empty() {
            return self.continue_frame(input);
        }
        let Some((header, rest)) = input.split_first_chunk::<HEADER_BYTES>() else {
            self.partial.extend_from_slice(input);
            *input = &[];
            return Ok(Step::Starved);
        };
        let header = FrameHeader::parse(header);
        self.admit(&header)?;
        if header.kind == kind::DATA {
            *input = rest;
            return self.begin_data(&header).map(|()| Step::Nothing);
        }
        let Some((payload, rest)) = rest.split_at_checked(header.len) else {
            self.partial.extend_from_slice(input);
            *input = &[];
            return Ok(Step::Starved);
        };
        *input = rest;
        Ok(self.frame(&header, payload)?.map_or(Step::Nothing, Step::Event))
    }

    /// A frame that came in parts.
    fn continue_frame<'a>(&mut self, input: &mut &'a [u8]) -> Result<Step<'a>, Fault> {
        if !self.fill_partial(input, HEADER_BYTES) {
            return Ok(Step::Starved);
        }
        let header = self.partial.first_chunk().expect("filled to a header's length");
        let header = FrameHeader::parse(header);
        self.admit(&header)?;
        if header.kind == kind::DATA {
            self.partial.clear();
            return self.begin_data(&header).map(|()| Step::Nothing);
        }
        if !self.fill_partial(input, HEADER_BYTES + header.len) {
            return Ok(Step::Starved);
        }
        let mut whole = std::mem::take(&mut self.partial);
        let event = self.frame(&header, &whole[HEADER_BYTES..])?;
        whole.clear();
        self.partial = whole;
        Ok(event.map_or(Step::Nothing, Step::Event))
    }

    /// Whether `partial` now has `n` bytes.
    fn fill_partial(&mut self, input: &mut &[u8], n: usize) -> bool {
        let missing = n.saturating_sub(self.partial.len()).min(input.len());
        let (taken, rest) = input.split_at(missing);
        self.partial.extend_from_slice(taken);
        *input = rest;
        self.partial.len() >= n
    }

    /// What a frame's header alone can break. May be asked more than once about the same frame.
    #[inline]
    fn admit(&self, header: &FrameHeader) -> Result<(), Fault> {
        if !self.is_open && (header.kind != kind::SETTINGS || header.has(flag::ACK)) {
            return Err(Fault { code: ErrorCode::PROTOCOL_ERROR, reason: "the server's first frame is not SETTINGS" });
        }
        if header.len > PAYLOAD_BYTES_MAX {
            return Err(Fault { code: ErrorCode::FRAME_SIZE_ERROR, reason: "a frame is larger than SETTINGS_MAX_FRAME_SIZE" });
        }
        match (&self.block, header.kind) {
            (None, kind::CONTINUATION) => Err(protocol("CONTINUATION without HEADERS")),
            (None, _) => Ok(()),
            (Some(block), kind::CONTINUATION) if block.stream_id() == header.stream_id => Ok(()),
            (Some(_), _) => Err(protocol("another frame within a header block")),
        }
    }

    #[inline]
    fn frame(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<Option<Event<'static>>, Fault> {
        match header.kind {
            kind::HEADERS => self.headers(header, payload),
            kind::CONTINUATION => self.continuation(header, payload),
            _ => self.control_frame(header, payload),
        }
    }

    #[inline]
    fn begin_data(&mut self, header: &FrameHeader) -> Result<(), Fault> {
        let pad_unread = header.has(flag::PADDED);
        if pad_unread && header.len == 0 {
            return Err(Fault { code: ErrorCode::FRAME_SIZE_ERROR, reason: "padded DATA without the padding's length" });
        }
        // The whole payload counts, padding too (6.9.1).
        self.recv_window -= header.len as i64;
        if self.recv_window < 0 {
            return Err(Fault { code: ErrorCode::FLOW_CONTROL_ERROR, reason: "DATA beyond the connection's window" });
        }
        self.unannounced += header.len as u32;
        if self.unannounced >= CONNECTION_WINDOW_BYTES / 2 {
            frame::window_update(&mut self.out, 0, self.unannounced);
            self.recv_window += i64::from(self.unannounced);
            self.unannounced = 0;
        }
        let stream = self.stream_for_data(header)?;
        self.data = Some(DataFrame { stream, left: header.len, pad_unread, padding: 0, ends: header.has(flag::END_STREAM) });
        Ok(())
    }

    /// The stream that takes a DATA frame, or none when its payload is to be dropped.
    #[inline]
    fn stream_for_data(&mut self, header: &FrameHeader) -> Result<Option<StreamKey>, Fault> {
        let Some(key) = self.streams.find(header.stream_id) else {
            return self.frame_for_gone_stream(header.stream_id).map(|()| None);
        };
        let (has_readers, window) = (self.has_readers, self.stream_window);
        let stream = self.streams.get_mut(key).expect("just found");
        if !stream.has_head {
            let refused = self.refused(key, "DATA before the answer's head");
            self.events.push_back(refused);
            return Ok(None);
        }
        stream.recv_window -= header.len as i32;
        if stream.recv_window < 0 {
            return Err(Fault { code: ErrorCode::FLOW_CONTROL_ERROR, reason: "DATA beyond a stream's window" });
        }
        stream.remote_closed = header.has(flag::END_STREAM);
        if has_readers {
            return Ok(Some(key));
        }
        stream.unannounced += header.len as u32;
        if stream.unannounced >= window / 2 && !stream.remote_closed {
            frame::window_update(&mut self.out, key.id(), stream.unannounced);
            stream.recv_window += stream.unannounced as i32;
            stream.unannounced = 0;
        }
        Ok(Some(key))
    }

    /// A frame for a stream that is not open (5.1).
    pub(super) fn frame_for_gone_stream(&self, id: u32) -> Result<(), Fault> {
        if self.is_idle(id) {
            return Err(protocol("a frame on a stream that was never opened"));
        }
        // What was sent before a RST_STREAM arrived is to be ignored; whose it was is not kept.
        if self.has_reset {
            return Ok(());
        }
        Err(Fault { code: ErrorCode::STREAM_CLOSED, reason: "a frame on a stream that is closed" })
    }

    /// Whether we never opened the stream.
    pub(super) fn is_idle(&self, id: u32) -> bool {
        id.is_multiple_of(2) || id >= self.next_id
    }

    #[inline]
    fn data_payload<'a>(&mut self, input: &mut &'a [u8]) -> Result<Step<'a>, Fault> {
        let Some(mut data) = self.data.take() else { return Ok(Step::Nothing) };
        if data.pad_unread {
            let Some((&length, rest)) = input.split_first() else {
                self.data = Some(data);
                return Ok(Step::Starved);
            };
            *input = rest;
            data.pad_unread = false;
            data.left -= 1;
            data.padding = usize::from(length);
            if data.padding > data.left {
                return Err(protocol("padding is longer than its frame"));
            }
            // No reader sees the padding (6.9.1).
            if let Some(key) = data.stream
                && self.has_readers
            {
                self.release(key, 1 + data.padding);
            }
        }
        let content = data.left - data.padding;
        if content == 0 && !data.ends {
            // The padding, and then the frame is over.
            let n = data.padding.min(input.len());
            *input = &input[n..];
            data.padding -= n;
            data.left -= n;
            if data.left > 0 {
                self.data = Some(data);
                return Ok(Step::Starved);
            }
            return Ok(Step::Nothing);
        }
        let (bytes, rest) = input.split_at(content.min(input.len()));
        if bytes.is_empty() && content > 0 {
            self.data = Some(data);
            return Ok(Step::Starved);
        }
        *input = rest;
        data.left -= bytes.len();
        let end = data.ends && bytes.len() == content;
        data.ends &= !end;
        let stream = data.stream;
        if data.left > 0 {
            self.data = Some(data);
        }
        Ok(stream.and_then(|key| self.body(key, bytes, end)).map_or(Step::Nothing, Step::Event))
    }

    /// A part of an answer's body.
    #[inline]
    fn body<'a>(&mut self, key: StreamKey, bytes: &'a [u8], end: bool) -> Option<Event<'a>> {
        // Gone, if its client has given it up while its frame was arriving.
        let stream = self.streams.get_mut(key)?;
        if let Some(left) = &mut stream.content_left {
            // 8.1.1: the body is as long as `content-length` says.
            match left.checked_sub(bytes.len() as u64) {
                Some(rest) if rest == 0 || !end => *left = rest,
                _ => return Some(self.refused(key, "a body of another length than content-length says")),
            }
        }
        if end {
            self.ended(key);
        }
        Some(Event::Data { stream: key, bytes, end })
    }
}

pub(super) fn protocol(reason: &'static str) -> Fault {
    Fault { code: ErrorCode::PROTOCOL_ERROR, reason }
}
