//! Bytes in: the preface, frames cut out of any split of the input, and DATA, whose payload is given on as it arrives.

use super::super::frame::{self, FrameHeader, HEADER_BYTES, PAYLOAD_BYTES_MAX, PREFACE, flag, kind};
use super::super::limits::Violation;
use super::super::streams::{Resetter, StreamKey, Went};
use super::{Connection, ErrorCode, Event, Fault};

/// DATA shorter than this opens no gRPC message.
const TINY_BYTES: usize = 5;

/// What is still to come before the first request.
#[derive(Debug)]
pub(super) enum Opening {
    /// The preface, of which `n_matched` bytes have come.
    Preface { n_matched: u8 },
    /// The first frame, which must be SETTINGS (3.4).
    FirstSettings,
    /// Nothing.
    Done,
}

/// A DATA frame whose payload is arriving.
#[derive(Debug)]
pub(super) struct DataFrame {
    /// `None`: the payload belongs to no open stream, and is dropped.
    stream: Option<StreamKey>,
    /// Bytes of the payload that have not come yet, padding included.
    left: u32,
    /// The padding's length is still to come.
    pad_unread: bool,
    padding: u8,
    /// The body ends with this frame, and the application has not been told.
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
    /// After an error of the connection the rest is dropped: see [`closing`](Self::closing).
    pub fn receive<'a>(&mut self, input: &mut &'a [u8]) -> Option<Event<'a>> {
        while self.closing.is_none() {
            match self.step(input) {
                Ok(Step::Event(event)) => return Some(event),
                Ok(Step::Nothing) => {}
                Ok(Step::Starved) => return self.poll_event(),
                Err(fault) => {
                    if let Some(event) = self.fault(fault) {
                        return Some(event);
                    }
                }
            }
        }
        *input = &[];
        self.poll_event()
    }

    /// The next of the events that come by themselves. [`receive`](Self::receive) yields them too.
    pub fn poll_event(&mut self) -> Option<Event<'static>> {
        self.events.pop()
    }

    fn step<'a>(&mut self, input: &mut &'a [u8]) -> Result<Step<'a>, Fault> {
        if self.data.is_some() {
            return self.data_payload(input);
        }
        if let Opening::Preface { n_matched } = self.opening {
            return self.preface(input, usize::from(n_matched));
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
            self.begin_data(&header)?;
            return self.data_payload(input);
        }
        let Some((payload, rest)) = rest.split_at_checked(header.len) else {
            self.partial.extend_from_slice(input);
            *input = &[];
            return Ok(Step::Starved);
        };
        *input = rest;
        Ok(self.frame(&header, payload)?.map_or(Step::Nothing, Step::Event))
    }

    fn preface<'a>(&mut self, input: &mut &'a [u8], n_matched: usize) -> Result<Step<'a>, Fault> {
        let expected = &PREFACE[n_matched..];
        let n = expected.len().min(input.len());
        let (now, rest) = input.split_at(n);
        if now != &expected[..n] {
            return Err(Fault::Connection(ErrorCode::PROTOCOL_ERROR, "this is not HTTP/2: bad connection preface"));
        }
        *input = rest;
        if n < expected.len() {
            self.opening = Opening::Preface { n_matched: (n_matched + n) as u8 };
            return Ok(Step::Starved);
        }
        self.opening = Opening::FirstSettings;
        Ok(Step::Nothing)
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
        let whole = std::mem::take(&mut self.partial);
        Ok(self.frame(&header, &whole[HEADER_BYTES..])?.map_or(Step::Nothing, Step::Event))
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
    fn admit(&self, header: &FrameHeader) -> Result<(), Fault> {
        if header.len > PAYLOAD_BYTES_MAX {
            return Err(Fault::Connection(ErrorCode::FRAME_SIZE_ERROR, "a frame is larger than SETTINGS_MAX_FRAME_SIZE"));
        }
        if matches!(self.opening, Opening::FirstSettings) && (header.kind != kind::SETTINGS || header.has(flag::ACK)) {
            return Err(Fault::Connection(ErrorCode::PROTOCOL_ERROR, "the first frame is not SETTINGS"));
        }
        let continues = self.block.as_ref().map(|block| block.stream_id());
        match (continues, header.kind) {
            (None, kind::CONTINUATION) => Err(Fault::Connection(ErrorCode::PROTOCOL_ERROR, "CONTINUATION without HEADERS")),
            (Some(id), kind::CONTINUATION) if id == header.stream_id => Ok(()),
            (Some(_), _) => Err(Fault::Connection(ErrorCode::PROTOCOL_ERROR, "another frame within a header block")),
            (None, _) => Ok(()),
        }
    }

    fn frame(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<Option<Event<'static>>, Fault> {
        match header.kind {
            kind::HEADERS => self.headers(header, payload),
            kind::CONTINUATION => self.continuation(header, payload),
            _ => self.control_frame(header, payload),
        }
    }

    fn begin_data(&mut self, header: &FrameHeader) -> Result<(), Fault> {
        let padded = header.has(flag::PADDED);
        if header.stream_id == 0 {
            return Err(Fault::Connection(ErrorCode::PROTOCOL_ERROR, "DATA on stream 0"));
        }
        if padded && header.len == 0 {
            return Err(Fault::Connection(ErrorCode::FRAME_SIZE_ERROR, "padded DATA without the padding's length"));
        }
        // The whole payload counts, padding too (6.9.1).
        self.recv_window -= header.len as i64;
        if self.recv_window < 0 {
            return Err(Fault::Connection(ErrorCode::FLOW_CONTROL_ERROR, "DATA beyond the connection's window"));
        }
        let ends = header.has(flag::END_STREAM);
        if !ends && header.len < TINY_BYTES {
            self.charge_small_data(header.len)?;
        }
        let stream = self.stream_for_data(header);
        let known = stream.as_ref().ok().copied().flatten();
        self.data = Some(DataFrame { stream: known, left: header.len as u32, pad_unread: padded, padding: 0, ends });
        stream.map(drop)
    }

    fn charge_small_data(&mut self, len: usize) -> Result<(), Fault> {
        let now = self.clock();
        let limits = &self.limits;
        let (budget, rate, violation) = if len == 0 {
            (&mut self.budgets.empty_frames, limits.empty_frames, Violation::EmptyFrames)
        } else {
            (&mut self.budgets.tiny_frames, limits.tiny_frames, Violation::TinyFrames)
        };
        if budget.spend(rate, now) { Ok(()) } else { Err(Fault::Violation(violation)) }
    }

    /// The stream that takes a DATA frame, or none when its payload is to be dropped.
    fn stream_for_data(&mut self, header: &FrameHeader) -> Result<Option<StreamKey>, Fault> {
        let id = header.stream_id;
        let Some((key, stream)) = self.streams.find_mut(id) else {
            return self.frame_for_gone_stream(id).map(|()| None);
        };
        if stream.remote_closed {
            return Err(Fault::Stream(id, ErrorCode::STREAM_CLOSED));
        }
        stream.recv_window -= header.len as i32;
        if stream.recv_window < 0 {
            return Err(Fault::Stream(id, ErrorCode::FLOW_CONTROL_ERROR));
        }
        stream.unreleased += header.len as u32;
        Ok(Some(key))
    }

    /// DATA, or trailers, for a stream that is not open (5.1).
    pub(super) fn frame_for_gone_stream(&self, id: u32) -> Result<(), Fault> {
        if self.is_idle(id) {
            return Err(Fault::Connection(ErrorCode::PROTOCOL_ERROR, "a frame on a stream that was never opened"));
        }
        // Opened by the peer before it knew that we go away.
        if self.is_ignored(id) {
            return Ok(());
        }
        match self.gone.find(id) {
            // It was sent before our RST_STREAM arrived.
            Went::Reset(Resetter::Us) => Ok(()),
            Went::Reset(Resetter::Peer) => Err(Fault::Stream(id, ErrorCode::STREAM_CLOSED)),
            Went::Done | Went::Unknown => Err(Fault::Connection(ErrorCode::STREAM_CLOSED, "a frame on a stream that is closed")),
        }
    }

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
            data.padding = length;
            if u32::from(length) > data.left {
                return Err(Fault::Connection(ErrorCode::PROTOCOL_ERROR, "padding is longer than its frame"));
            }
            // Nobody will read it.
            self.release_for(data.stream, 1 + usize::from(length));
        }
        let content = (data.left - u32::from(data.padding)) as usize;
        if content == 0 && !data.ends {
            // The padding, and then the frame is over.
            let n = usize::from(data.padding).min(input.len());
            *input = &input[n..];
            data.padding -= n as u8;
            data.left -= n as u32;
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
        data.left -= bytes.len() as u32;
        let end = data.ends && bytes.len() == content;
        if end {
            data.ends = false;
        }
        let stream = data.stream;
        if data.left > 0 {
            self.data = Some(data);
        }
        let Some(key) = stream else {
            self.release_for(None, bytes.len());
            return Ok(Step::Nothing);
        };
        self.body(key, bytes, end)
    }

    /// A part of a request's body.
    fn body<'a>(&mut self, key: StreamKey, bytes: &'a [u8], end: bool) -> Result<Step<'a>, Fault> {
        let Some(stream) = self.streams.get_mut(key) else {
            // It ended while its frame was arriving; `close` has released what had been counted, this part too.
            return Ok(Step::Nothing);
        };
        if let Some(left) = &mut stream.content_left {
            // 8.1.1: the body is as long as `content-length` says.
            match left.checked_sub(bytes.len() as u64) {
                Some(rest) if rest == 0 || !end => *left = rest,
                _ => return Err(Fault::Stream(key.id(), ErrorCode::PROTOCOL_ERROR)),
            }
        }
        stream.remote_closed |= end;
        Ok(Step::Event(Event::Data { stream: key, bytes, end }))
    }

    /// Gives back window for bytes that the application does not see.
    fn release_for(&mut self, stream: Option<StreamKey>, n_bytes: usize) {
        match stream {
            Some(key) => self.release(key, n_bytes),
            None => self.release_connection(n_bytes as u32),
        }
    }

    /// The application has taken `n_bytes` of the stream's body: the peer may send as many more. Windows are raised in bulk, when half of one is free.
    pub fn release(&mut self, stream: StreamKey, n_bytes: usize) {
        let window = self.limits.stream_window_bytes;
        let Some(open) = self.streams.get_mut(stream) else { return };
        let n_bytes = (n_bytes as u32).min(open.unreleased);
        open.unreleased -= n_bytes;
        open.unannounced += n_bytes;
        if open.unannounced >= (window / 2).max(1) && !open.remote_closed {
            frame::window_update(&mut self.out, stream.id(), open.unannounced);
            open.recv_window += open.unannounced as i32;
            open.unannounced = 0;
        }
        self.release_connection(n_bytes);
    }

    pub(super) fn release_connection(&mut self, n_bytes: u32) {
        self.unannounced += n_bytes;
        let window = self.limits.connection_window_bytes.max(super::WINDOW_INITIAL);
        if self.unannounced >= window / 2 && self.closing.is_none() {
            frame::window_update(&mut self.out, 0, self.unannounced);
            self.recv_window += i64::from(self.unannounced);
            self.unannounced = 0;
        }
    }
}
