//! Header blocks: gathered from HEADERS and CONTINUATION, decoded, and what they open or end.

use super::super::frame::{FrameHeader, flag};
use super::super::head::HeadBuilder;
use super::super::hpack::DecodeError;
use super::super::limits::Violation;
use super::super::streams::{Resetter, StreamKey, Went};
use super::{Connection, ErrorCode, Event, Fault, Head, WINDOW_INITIAL};

/// Past this identifier we ask the client to go elsewhere, before it runs out of identifiers (5.1.1).
const STREAM_ID_DRAIN: u32 = 0x7fff_0000;

/// A header block whose CONTINUATION frames are arriving.
#[derive(Debug)]
pub(super) struct HeaderBlock {
    opened: Opened,
    fragments: Vec<u8>,
    n_continuations: u32,
}

impl HeaderBlock {
    pub(super) fn stream_id(&self) -> u32 {
        self.opened.stream_id
    }
}

/// What the HEADERS frame says beside its fields.
#[derive(Clone, Copy, Debug)]
struct Opened {
    stream_id: u32,
    end: bool,
    /// Its priority makes the stream depend on itself.
    depends_on_itself: bool,
}

/// What a header block says.
enum Decoded {
    Head(Head),
    Malformed,
    Over(Violation),
}

impl Connection {
    pub(super) fn headers(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<Option<Event<'static>>, Fault> {
        let stream_id = header.stream_id;
        if stream_id.is_multiple_of(2) {
            return Err(Fault::Connection(ErrorCode::PROTOCOL_ERROR, "HEADERS on a stream that a client cannot open"));
        }
        let mut fragment = payload;
        if header.has(flag::PADDED) {
            let Some((&length, rest)) = fragment.split_first() else {
                return Err(Fault::Connection(ErrorCode::FRAME_SIZE_ERROR, "padded HEADERS without the padding's length"));
            };
            let Some(n) = rest.len().checked_sub(usize::from(length)) else {
                return Err(Fault::Connection(ErrorCode::PROTOCOL_ERROR, "padding is longer than its frame"));
            };
            fragment = &rest[..n];
        }
        let mut depends_on_itself = false;
        if header.has(flag::PRIORITY) {
            let Some((priority, rest)) = fragment.split_first_chunk::<5>() else {
                if payload.len() > 5 && header.has(flag::PADDED) {
                    return Err(Fault::Connection(ErrorCode::PROTOCOL_ERROR, "padding is longer than what it pads"));
                }
                return Err(Fault::Connection(ErrorCode::FRAME_SIZE_ERROR, "HEADERS too short for its priority"));
            };
            depends_on_itself = depends_on(priority) == stream_id;
            fragment = rest;
        }
        let opened = Opened { stream_id, end: header.has(flag::END_STREAM), depends_on_itself };
        if header.has(flag::END_HEADERS) {
            return self.header_block(opened, fragment);
        }
        self.block = Some(Box::new(HeaderBlock { opened, fragments: fragment.to_vec(), n_continuations: 0 }));
        Ok(None)
    }

    pub(super) fn continuation(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<Option<Event<'static>>, Fault> {
        let now = self.clock();
        let limits = &self.limits;
        let Some(block) = &mut self.block else { return Ok(None) };
        block.n_continuations += 1;
        if block.n_continuations > limits.continuations_max {
            return Err(Fault::Violation(Violation::Continuations));
        }
        if block.fragments.len() + payload.len() > limits.header_block_bytes_max {
            return Err(Fault::Violation(Violation::HeaderBlockBytes));
        }
        if payload.is_empty() && !self.budgets.empty_frames.spend(limits.empty_frames, now) {
            return Err(Fault::Violation(Violation::EmptyFrames));
        }
        block.fragments.extend_from_slice(payload);
        if !header.has(flag::END_HEADERS) {
            return Ok(None);
        }
        let opened = block.opened;
        let fragments = std::mem::take(&mut block.fragments);
        self.block = None;
        self.header_block(opened, &fragments)
    }

    /// A whole header block. Whatever becomes of it, it is decoded first: the dynamic table must follow the peer's (4.3).
    fn header_block(&mut self, opened: Opened, block: &[u8]) -> Result<Option<Event<'static>>, Fault> {
        let id = opened.stream_id;
        if id <= self.stream_id_last {
            return match self.streams.find(id) {
                Some(key) => self.trailers(opened, key, block),
                None => self.headers_for_gone_stream(opened, block),
            };
        }
        self.stream_id_last = id;
        let decoded = self.request_head(block)?;
        if self.is_ignored(id) {
            return Ok(None);
        }
        if id >= STREAM_ID_DRAIN {
            self.drain("stream identifiers run out");
        }
        self.budgets.priorities.earn(10);
        self.budgets.window_updates.earn(10);
        if self.streams.len() >= self.limits.concurrent_streams_max as usize {
            self.violations.push(Violation::Streams);
            // Until the peer has acknowledged the limit it may not know it.
            if self.settings_acked && !self.budgets.resets.spend(self.limits.resets, self.clock()) {
                return Err(Fault::Violation(Violation::Resets));
            }
            self.write_reset(id, ErrorCode::REFUSED_STREAM);
            return Ok(None);
        }
        match decoded {
            Decoded::Malformed => Err(Fault::Stream(id, ErrorCode::PROTOCOL_ERROR)),
            _ if opened.depends_on_itself => Err(Fault::Stream(id, ErrorCode::PROTOCOL_ERROR)),
            Decoded::Head(head) if opened.end && head.content_length().is_some_and(|length| length > 0) => {
                Err(Fault::Stream(id, ErrorCode::PROTOCOL_ERROR))
            }
            Decoded::Head(head) => {
                let stream = self.open_stream(opened, head.content_length());
                Ok(Some(Event::Request { stream, head, end: opened.end }))
            }
            Decoded::Over(violation) => {
                self.violations.push(violation);
                let stream = self.open_stream(opened, None);
                Ok(Some(Event::TooLarge { stream, violation }))
            }
        }
    }

    #[inline]
    fn open_stream(&mut self, opened: Opened, content_length: Option<u64>) -> StreamKey {
        let mut recv_window = self.limits.stream_window_bytes;
        if !self.settings_acked {
            // The peer may not know yet that ours is smaller than the protocol's.
            recv_window = recv_window.max(WINDOW_INITIAL);
        }
        let (recv_window, send_window) = (recv_window.min(i32::MAX as u32) as i32, self.peer_window_initial as i32);
        self.streams.open(opened.stream_id, recv_window, send_window, opened.end, content_length.filter(|_| !opened.end))
    }

    fn request_head(&mut self, block: &[u8]) -> Result<Decoded, Fault> {
        let generation = self.decoder.generation();
        if let Some(heads) = &mut self.heads
            && let Some(head) = heads.find(block, generation).or_else(|| heads.find_sketched(block, &mut self.decoder))
        {
            return Ok(Decoded::Head(head));
        }
        let mut builder = HeadBuilder::for_request();
        let limits = &self.limits;
        self.decoder.decode(block, |field| builder.request_field(field, limits)).map_err(compression)?;
        if let Some(violation) = builder.over() {
            return Ok(Decoded::Over(violation));
        }
        let (ids, head) = builder.finish(limits);
        let Some(head) = head else { return Ok(Decoded::Malformed) };
        let generation = (generation == self.decoder.generation()).then_some(generation);
        self.heads.get_or_insert_default().keep(block, generation, ids.as_deref(), &head);
        Ok(Decoded::Head(head))
    }

    /// Trailers of a request (8.1).
    fn trailers(&mut self, opened: Opened, key: StreamKey, block: &[u8]) -> Result<Option<Event<'static>>, Fault> {
        let fields = self.trailer_fields(block)?;
        let Some(stream) = self.streams.get_mut(key) else { return Ok(None) };
        if stream.remote_closed {
            return Err(Fault::Stream(key.id(), ErrorCode::STREAM_CLOSED));
        }
        let short = stream.content_left.is_some_and(|left| left > 0);
        if !opened.end || opened.depends_on_itself || fields.is_malformed() || fields.over().is_some() || short {
            return Err(Fault::Stream(key.id(), ErrorCode::PROTOCOL_ERROR));
        }
        stream.remote_closed = true;
        Ok(Some(Event::End { stream: key }))
    }

    fn headers_for_gone_stream(&mut self, opened: Opened, block: &[u8]) -> Result<Option<Event<'static>>, Fault> {
        self.trailer_fields(block)?;
        let id = opened.stream_id;
        // Skipped when a higher one was opened, so it is closed without ever having been open (5.1.1).
        if !self.is_ignored(id) && self.gone.find(id) == Went::Unknown {
            return Err(Fault::Connection(ErrorCode::PROTOCOL_ERROR, "a stream is opened out of order"));
        }
        self.frame_for_gone_stream(id).map(|()| None)
    }

    fn trailer_fields(&mut self, block: &[u8]) -> Result<HeadBuilder, Fault> {
        let mut builder = HeadBuilder::default();
        let limits = &self.limits;
        self.decoder.decode(block, |field| builder.trailer_field(field, limits)).map_err(compression)?;
        Ok(builder)
    }

    /// Whether the stream was never opened: by the peer, who has not come that far, or by us, who open none.
    pub(super) fn is_idle(&self, id: u32) -> bool {
        id.is_multiple_of(2) || id > self.stream_id_last
    }

    /// Remembers a stream that is gone because of RST_STREAM.
    pub(super) fn remember_reset(&mut self, id: u32, by: Resetter) {
        self.gone.remember_reset(id, by);
    }
}

/// The stream that a priority names (RFC 7540, 6.3: deprecated by 9113, still parsed).
pub(super) fn depends_on(priority: &[u8; 5]) -> u32 {
    let [a, b, c, d, _weight] = *priority;
    u32::from_be_bytes([a, b, c, d]) & 0x7fff_ffff
}

fn compression(error: DecodeError) -> Fault {
    Fault::Connection(ErrorCode::COMPRESSION_ERROR, error.reason())
}
