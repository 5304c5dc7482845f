//! Answers: HEADERS at once, DATA as far as the peer's windows go and the rest later, trailers behind their data.

use super::super::fields::{Field, Fields, Indexing, OwnedField};
use super::super::frame::{self, HEADER_BYTES, PAYLOAD_BYTES_MAX, flag, kind};
use super::super::streams::{End, Pending, StreamKey};
use super::{Connection, Event};

/// The output takes no more DATA while it holds this much: the rest waits with its stream, where it is bounded and has its turn.
const OUT_BYTES_MAX: usize = 64 * 1024;

/// What a stalled stream must send to be given more time.
const PROGRESS_BYTES: usize = 16 * 1024;

/// Kept blocks of [`Fields::Static`]. An application has a head and trailers that nearly all of its answers share.
const STATIC_BLOCKS_MAX: usize = 4;

/// A header block that was encoded before.
#[derive(Debug)]
pub(super) struct StaticBlock {
    fields: &'static [Field<'static>],
    status: Option<u16>,
    /// The encoder's, before and after.
    generation: u32,
    /// HEADERS, whose flags and stream are each answer's own.
    frame: Box<[u8]>,
}

impl StaticBlock {
    fn is(&self, status: Option<u16>, fields: &'static [Field<'static>]) -> bool {
        std::ptr::eq(self.fields, fields) && self.status == status
    }
}

impl Connection {
    /// How many bytes wait to be taken. A driver whose peer does not read should stop reading too, once this is far above 64 KiB: it then consists
    /// of answers to control frames.
    pub fn n_output_bytes(&self) -> usize {
        self.out.len()
    }

    /// Takes all that is to be sent now, and puts `spare`, an empty buffer, in its place.
    pub fn take_output(&mut self, spare: Vec<u8>) -> Vec<u8> {
        debug_assert!(spare.is_empty(), "the output begins where the last one ended");
        let out = std::mem::replace(&mut self.out, spare);
        if !self.sendable.is_empty() {
            self.pump();
        }
        out
    }

    /// Opens the answer. `status` has three digits. With `end` the answer is its header block alone.
    ///
    /// Does nothing on a stream that is gone, as all that follow here.
    pub fn send_head(&mut self, stream: StreamKey, status: u16, fields: Fields<'_>, end: bool) {
        if self.streams.get(stream).is_none_or(|open| open.answered) {
            return;
        }
        self.write_header_block(stream.id(), end, Some(status), fields);
        if end {
            self.answered(stream);
        }
    }

    /// Bids the peer send the request's body: 100 (RFC 9110, 15.2.1), before the answer's head. Does nothing once the request has ended.
    pub fn send_continue(&mut self, stream: StreamKey) {
        if self.streams.get(stream).is_some_and(|open| !open.answered && !open.remote_closed) {
            self.write_header_block(stream.id(), false, Some(100), Fields::Each(&|_| {}));
        }
    }

    /// A part of the answer's body: what `write` appends to the buffer that it is given, which holds other bytes already. With `end` it is the last.
    pub fn send_data(&mut self, stream: StreamKey, write: &mut dyn FnMut(&mut Vec<u8>), end: bool) {
        if self.streams.get(stream).is_none_or(|open| open.answered) {
            return;
        }
        let start = self.out.len();
        write_behind_header(&mut self.out, write);
        if self.commit_data(stream, start, end) && end {
            self.answered(stream);
        }
    }

    /// A whole answer: a head with status 200, one piece of data, trailers. The same as the three one after the other, for less.
    pub fn send_reply(
        &mut self,
        stream: StreamKey,
        head: &'static [Field<'static>],
        write: &mut dyn FnMut(&mut Vec<u8>),
        trailers: &'static [Field<'static>],
    ) {
        if self.streams.get(stream).is_none_or(|open| open.answered) {
            return;
        }
        self.write_header_block(stream.id(), false, Some(200), Fields::Static(head));
        let start = self.out.len();
        write_behind_header(&mut self.out, write);
        if self.commit_data(stream, start, false) {
            self.write_header_block(stream.id(), true, None, Fields::Static(trailers));
            self.answered(stream);
        } else {
            self.send_trailers(stream, Fields::Static(trailers));
        }
    }

    /// Makes a DATA frame of what was written behind the header at `start`, if the windows allow; false: it waits.
    fn commit_data(&mut self, stream: StreamKey, start: usize, end: bool) -> bool {
        let Some(open) = self.streams.get_mut(stream) else { return false };
        let len = self.out.len() - start - HEADER_BYTES;
        if len == 0 && !end {
            self.out.truncate(start);
            return open.pending.is_none();
        }
        let window = i64::from(open.send_window).min(self.send_window);
        let fits = len <= PAYLOAD_BYTES_MAX && len as i64 <= window && start < OUT_BYTES_MAX;
        if open.pending.is_none() && (fits || len == 0) {
            let flags = if end { flag::END_STREAM } else { 0 };
            self.out[start..][..HEADER_BYTES].copy_from_slice(&frame::header(len, kind::DATA, flags, stream.id()));
            open.send_window -= len as i32;
            self.send_window -= len as i64;
            self.data_sent();
            return true;
        }
        let waiting = open.pending.get_or_insert_with(|| {
            let deadline = self.now + self.limits.stall_timeout;
            self.stall_deadline = Some(self.stall_deadline.map_or(deadline, |other| other.min(deadline)));
            Box::new(Pending { bytes: Vec::new(), at: 0, end: End::Open, since: self.now, progress: 0 })
        });
        if waiting.at == waiting.bytes.len() {
            waiting.bytes.clear();
            waiting.at = 0;
        }
        waiting.bytes.extend_from_slice(&self.out[start + HEADER_BYTES..]);
        self.out.truncate(start);
        if end {
            waiting.end = End::WithData;
            open.answered = true;
        }
        if !open.queued && open.send_window > 0 {
            open.queued = true;
            self.sendable.push(stream);
        }
        self.pump();
        false
    }

    /// Ends the answer with trailers.
    pub fn send_trailers(&mut self, stream: StreamKey, fields: Fields<'_>) {
        let Some(open) = self.streams.get_mut(stream).filter(|open| !open.answered) else { return };
        if let Some(pending) = &mut open.pending {
            let mut trailers = Vec::new();
            fields.for_each(&mut |field| trailers.push(OwnedField::from(field)));
            pending.end = End::Trailers(trailers);
            open.answered = true;
            return;
        }
        self.write_header_block(stream.id(), true, None, fields);
        self.answered(stream);
    }

    /// Whether the stream's producer should go on: less than [`Limits::send_buffer_bytes_max`](super::Limits::send_buffer_bytes_max) wait. If not,
    /// [`Event::Room`] tells when. A stream that is gone has room for what will be dropped.
    pub fn has_room(&mut self, stream: StreamKey) -> bool {
        let Some(open) = self.streams.get_mut(stream) else { return true };
        let waiting = open.pending.as_ref().map_or(0, |pending| pending.len());
        open.wants_room = waiting >= self.limits.send_buffer_bytes_max;
        !open.wants_room
    }

    /// Sends what waits, a frame of each stream in turn, as far as the windows and the output go.
    pub(super) fn pump(&mut self) {
        while self.out.len() < OUT_BYTES_MAX && self.send_window > 0 {
            let Some(key) = self.sendable.pop() else { return };
            self.send_pending(key);
        }
    }

    fn send_pending(&mut self, key: StreamKey) {
        let Some(open) = self.streams.get_mut(key) else { return };
        open.queued = false;
        let Some(pending) = &mut open.pending else { return };
        let window = i64::from(open.send_window).min(self.send_window);
        let len = pending.len().min(PAYLOAD_BYTES_MAX).min(window.max(0) as usize);
        if len == 0 && pending.len() > 0 {
            return;
        }
        let last = len == pending.len();
        let end = last && matches!(pending.end, End::WithData);
        let flags = if end { flag::END_STREAM } else { 0 };
        self.out.extend_from_slice(&frame::header(len, kind::DATA, flags, key.id()));
        self.out.extend_from_slice(&pending.bytes[pending.at..][..len]);
        pending.at += len;
        pending.progress += len;
        if pending.progress >= PROGRESS_BYTES {
            pending.progress = 0;
            pending.since = self.now;
        }
        open.send_window -= len as i32;
        self.send_window -= len as i64;
        if open.wants_room && pending.len() < self.limits.send_buffer_bytes_max {
            open.wants_room = false;
            self.events.push(Event::Room { stream: key });
        }
        if !last {
            if open.send_window > 0 {
                open.queued = true;
                self.sendable.push(key);
            }
            self.data_sent();
            return;
        }
        let pending = open.pending.take().expect("looked at above");
        self.data_sent();
        match pending.end {
            End::Open => {}
            End::WithData => self.answered(key),
            End::Trailers(fields) => {
                let each = |each: &mut dyn FnMut(Field<'_>)| fields.iter().map(OwnedField::as_field).for_each(each);
                self.write_header_block(key.id(), true, None, Fields::Each(&each));
                self.answered(key);
            }
        }
    }

    fn data_sent(&mut self) {
        self.pings.forgive();
        self.budgets.window_updates.earn(10);
    }

    /// HEADERS, and CONTINUATION where a frame is too small.
    #[inline]
    fn write_header_block(&mut self, id: u32, end: bool, status: Option<u16>, fields: Fields<'_>) {
        self.pings.forgive();
        match fields {
            Fields::Static(fields) if self.copy_block(id, end, status, fields) => {}
            fields => self.encode_header_block(id, end, status, fields),
        }
    }

    fn encode_header_block(&mut self, id: u32, end: bool, status: Option<u16>, fields: Fields<'_>) {
        let start = self.out.len();
        let generation = self.encoder.generation();
        self.out.extend_from_slice(&[0; HEADER_BYTES]);
        self.encode_block(status, fields);
        let len = self.out.len() - start - HEADER_BYTES;
        let end = if end { flag::END_STREAM } else { 0 };
        if len <= PAYLOAD_BYTES_MAX {
            self.out[start..][..HEADER_BYTES].copy_from_slice(&frame::header(len, kind::HEADERS, end | flag::END_HEADERS, id));
            if let Fields::Static(fields) = fields
                && generation == self.encoder.generation()
            {
                self.keep_block(status, fields, start);
            }
            return;
        }
        let block = self.out.split_off(start + HEADER_BYTES);
        self.out.truncate(start);
        let n = block.len().div_ceil(PAYLOAD_BYTES_MAX);
        for (i, fragment) in block.chunks(PAYLOAD_BYTES_MAX).enumerate() {
            let (kind, flags) = if i == 0 { (kind::HEADERS, end) } else { (kind::CONTINUATION, 0) };
            let flags = if i + 1 == n { flags | flag::END_HEADERS } else { flags };
            self.out.extend_from_slice(&frame::header(fragment.len(), kind, flags, id));
            self.out.extend_from_slice(fragment);
        }
    }
}

impl Connection {
    fn encode_block(&mut self, status: Option<u16>, fields: Fields<'_>) {
        let Self { encoder, out, .. } = self;
        encoder.begin(out);
        if let Some(status) = status {
            encoder.status(out, status);
        }
        fields.for_each(&mut |Field { name, value, indexing }| match indexing {
            Indexing::Common => encoder.common_field(out, name, value),
            Indexing::Plain => encoder.field(out, name, value),
            Indexing::Never => encoder.sensitive_field(out, name, value),
        });
    }

    /// Copies the frame of a block that was encoded before, if the tables have not changed since.
    #[inline]
    fn copy_block(&mut self, id: u32, end: bool, status: Option<u16>, fields: &'static [Field<'static>]) -> bool {
        let generation = self.encoder.generation();
        let Some(block) = self.blocks.iter().find(|block| block.is(status, fields) && block.generation == generation) else { return false };
        let start = self.out.len();
        self.out.extend_from_slice(&block.frame);
        let header = &mut self.out[start..][..HEADER_BYTES];
        header[4] = flag::END_HEADERS | if end { flag::END_STREAM } else { 0 };
        header[5..].copy_from_slice(&id.to_be_bytes());
        true
    }

    /// Keeps the frame that was just written.
    fn keep_block(&mut self, status: Option<u16>, fields: &'static [Field<'static>], start: usize) {
        let block = StaticBlock { fields, status, generation: self.encoder.generation(), frame: self.out[start..].into() };
        if let Some(known) = self.blocks.iter_mut().find(|known| known.is(status, fields)) {
            *known = block;
        } else if self.blocks.len() < STATIC_BLOCKS_MAX {
            self.blocks.push(block);
        }
    }
}

/// Leaves room for a frame's header, and lets `write` append the payload. When it panics, nothing has been written.
fn write_behind_header(out: &mut Vec<u8>, write: &mut dyn FnMut(&mut Vec<u8>)) {
    struct Rollback<'a> {
        out: &'a mut Vec<u8>,
        start: usize,
    }
    impl Drop for Rollback<'_> {
        fn drop(&mut self) {
            self.out.truncate(self.start);
        }
    }
    let start = out.len();
    let rollback = Rollback { out, start };
    rollback.out.extend_from_slice(&[0; HEADER_BYTES]);
    write(rollback.out);
    std::mem::forget(rollback);
}
