//! Header blocks: gathered from HEADERS and CONTINUATION, decoded, and what they begin or end.

use std::rc::Rc;

use super::super::frame::{FrameHeader, flag};
use super::head::{AnswerHeadBuilder, BadHead};
use super::receive::protocol;
use super::streams::StreamKey;
use super::{AnswerHead, Connection, ErrorCode, Event, Fault};

/// Bytes of an encoded header block, which must be whole before it is decoded. 64 KiB, as the server allows.
const BLOCK_BYTES_MAX: usize = 64 * 1024;

/// CONTINUATION frames of a header block. 8, as the server allows.
const CONTINUATIONS_MAX: u32 = 8;

/// A header block whose CONTINUATION frames are arriving.
#[derive(Debug)]
pub(super) struct HeaderBlock {
    stream_id: u32,
    end: bool,
    fragments: Vec<u8>,
    n_continuations: u32,
}

impl HeaderBlock {
    pub(super) fn stream_id(&self) -> u32 {
        self.stream_id
    }
}

/// The last blocks of a sort that were decoded. A block that changes nothing in the dynamic table means the same again, for as long as the table
/// stays as it is.
#[derive(Debug, Default)]
pub(super) struct HeadCache {
    known: [Option<KnownHead>; Self::N],
    next: usize,
}

#[derive(Debug)]
struct KnownHead {
    block: Box<[u8]>,
    generation: u64,
    head: Rc<AnswerHead>,
}

impl HeadCache {
    /// Good answers, and one sort of bad ones.
    const N: usize = 2;

    #[inline]
    fn find(&self, block: &[u8], generation: u64) -> Option<&Rc<AnswerHead>> {
        let known = self.known.iter().flatten().find(|known| known.generation == generation && *known.block == *block)?;
        Some(&known.head)
    }

    fn keep(&mut self, block: &[u8], generation: u64, head: &Rc<AnswerHead>) {
        self.known[self.next] = Some(KnownHead { block: block.into(), generation, head: Rc::clone(head) });
        self.next = (self.next + 1) % Self::N;
    }
}

impl Connection {
    #[inline]
    pub(super) fn headers(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<Option<Event<'static>>, Fault> {
        let mut fragment = payload;
        if header.flags & (flag::PADDED | flag::PRIORITY) != 0 {
            fragment = fragment_of(header, payload)?;
        }
        let end = header.has(flag::END_STREAM);
        if header.has(flag::END_HEADERS) {
            return self.header_block(header.stream_id, end, fragment);
        }
        self.block = Some(HeaderBlock { stream_id: header.stream_id, end, fragments: fragment.to_vec(), n_continuations: 0 });
        Ok(None)
    }

    pub(super) fn continuation(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<Option<Event<'static>>, Fault> {
        let calm = |reason| Err(Fault { code: ErrorCode::ENHANCE_YOUR_CALM, reason });
        let Some(block) = &mut self.block else { return Ok(None) };
        block.n_continuations += 1;
        if block.n_continuations > CONTINUATIONS_MAX {
            return calm("a header block in too many frames");
        }
        if block.fragments.len() + payload.len() > BLOCK_BYTES_MAX {
            return calm("a header block is too large");
        }
        block.fragments.extend_from_slice(payload);
        if !header.has(flag::END_HEADERS) {
            return Ok(None);
        }
        let (stream_id, end, fragments) = (block.stream_id, block.end, std::mem::take(&mut block.fragments));
        self.block = None;
        self.header_block(stream_id, end, &fragments)
    }

    /// A whole header block. Whatever becomes of it, it is decoded: the dynamic table must follow the server's (4.3).
    #[inline]
    fn header_block(&mut self, id: u32, end: bool, block: &[u8]) -> Result<Option<Event<'static>>, Fault> {
        let Some(key) = self.streams.find(id) else {
            self.frame_for_gone_stream(id)?;
            self.decode(block, true)?.ok();
            return Ok(None);
        };
        let is_trailers = self.streams.get_mut(key).expect("just found").has_head;
        let head = match self.decode(block, is_trailers)? {
            Ok(head) => head,
            Err(BadHead::TooLarge) => return Ok(Some(self.refused(key, "the answer's header list is longer than 16 KiB"))),
            Err(BadHead::Malformed) => return Ok(Some(self.refused(key, "malformed header fields"))),
        };
        if is_trailers {
            return Ok(Some(self.answer_trailers(key, head, end)));
        }
        if head.is_informational() {
            return Ok(end.then(|| self.refused(key, "the answer ended before it began")));
        }
        let stream = self.streams.get_mut(key).expect("just found");
        stream.has_head = true;
        stream.content_left = head.content_length();
        if end {
            if head.content_length().is_some_and(|length| length > 0) {
                return Ok(Some(self.refused(key, "no body, where content-length promises one")));
            }
            self.ended(key);
        }
        Ok(Some(Event::Head { stream: key, head, end }))
    }

    fn answer_trailers(&mut self, key: StreamKey, head: Rc<AnswerHead>, end: bool) -> Event<'static> {
        let stream = self.streams.get_mut(key).expect("its caller has found it");
        if !end {
            return self.refused(key, "trailers that do not end the answer");
        }
        if stream.content_left.is_some_and(|left| left > 0) {
            return self.refused(key, "a body of another length than content-length says");
        }
        self.ended(key);
        Event::Trailers { stream: key, head }
    }

    #[inline]
    fn decode(&mut self, block: &[u8], is_trailers: bool) -> Result<Result<Rc<AnswerHead>, BadHead>, Fault> {
        let generation = self.decoder.generation();
        let cache = if is_trailers { &self.trailers } else { &self.heads };
        if let Some(head) = cache.find(block, generation) {
            return Ok(Ok(Rc::clone(head)));
        }
        let mut builder = AnswerHeadBuilder::default();
        let decoded = self.decoder.decode(block, |field| builder.field(field));
        decoded.map_err(|error| Fault { code: ErrorCode::COMPRESSION_ERROR, reason: error.reason() })?;
        let head = match builder.finish(is_trailers) {
            Ok(head) => Rc::new(head),
            Err(bad) => return Ok(Err(bad)),
        };
        if generation == self.decoder.generation() {
            let cache = if is_trailers { &mut self.trailers } else { &mut self.heads };
            cache.keep(block, generation, &head);
        }
        Ok(Ok(head))
    }

    /// The answer is whole. A server that has not waited for the whole request need not have the rest (8.1).
    #[inline]
    pub(super) fn ended(&mut self, key: StreamKey) {
        if self.streams.get_mut(key).is_some_and(|stream| stream.pending.is_some() || stream.goes_on) {
            self.reset(key, ErrorCode::CANCEL);
        } else {
            self.streams.close(key);
        }
    }

    /// A malformed answer is a stream error (8.1.1).
    pub(super) fn refused(&mut self, key: StreamKey, why: &'static str) -> Event<'static> {
        self.reset(key, ErrorCode::PROTOCOL_ERROR);
        Event::Refused { stream: key, why }
    }
}

/// What is left of HEADERS without padding and priority (6.2).
fn fragment_of<'a>(header: &FrameHeader, payload: &'a [u8]) -> Result<&'a [u8], Fault> {
    let short = Fault { code: ErrorCode::FRAME_SIZE_ERROR, reason: "HEADERS is too short for its padding or priority" };
    let mut fragment = payload;
    if header.has(flag::PADDED) {
        let (&length, rest) = fragment.split_first().ok_or(short)?;
        let n = rest.len().checked_sub(usize::from(length)).ok_or(protocol("padding is longer than its frame"))?;
        fragment = &rest[..n];
    }
    if header.has(flag::PRIORITY) {
        fragment = fragment.split_first_chunk::<5>().ok_or(short)?.1;
    }
    Ok(fragment)
}
