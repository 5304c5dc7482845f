//! What a call answers, written down on its transport.
//!
//! It knows how far the answer has come, so that one answer is never begun or ended twice, whatever ends a call: its handler, a panic, the deadline. Who looks at the
//! call is told what is written down.

use std::cell::Cell;
use std::mem;
use std::rc::Rc;
use std::task::{Context, Poll};

use http::{HeaderMap, StatusCode};
use prost::Message;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

use crate::grpc::encoding::Encoding;
use crate::grpc::framing::{compressed, encode, encoded_len};
use crate::grpc::inflation::Inflation;
use crate::grpc::{
    CallId, Inbox, MessageCompression, Opening, Partials, Peer, Response, ResponseHead, ResponseParts, Trailers, Transport, fields,
};
use crate::http2::ErrorCode;
use crate::observe::{Entered, Watched};

/// How far an answer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Awaited,
    /// The head was sent.
    Begun,
    Ended,
}

/// One answer.
pub(crate) struct Answer {
    transport: Rc<dyn Transport>,
    id: CallId,
    /// What its head says of compression.
    opening: Opening,
    progress: Progress,
}

/// A call that answers at its end keeps its course to itself; one that answers on the way shares it with whoever does.
enum Progress {
    Own(Course),
    Shared(Rc<Course>),
}

/// The course that an answer takes.
struct Course {
    stage: Cell<Stage>,
    /// Who looks at it, if anyone does.
    watched: Option<Watched>,
}

impl Progress {
    fn begin(watched: Option<Watched>) -> Self {
        Self::Own(Course { stage: Cell::new(Stage::Awaited), watched })
    }
}

impl Answer {
    pub(crate) fn new(transport: Rc<dyn Transport>, id: CallId, watched: Option<Watched>) -> Self {
        Self { transport, id, opening: Opening::default(), progress: Progress::begin(watched) }
    }

    /// What the head is to say of compression. It is said before anything is answered, and before the answer is shared.
    pub(super) fn open_with(&mut self, opening: Opening) {
        self.opening = opening;
    }

    /// Another way to write the same answer.
    pub(crate) fn share(&mut self) -> Self {
        let shared = match mem::replace(&mut self.progress, Progress::begin(None)) {
            Progress::Own(course) => Rc::new(course),
            Progress::Shared(course) => course,
        };
        self.progress = Progress::Shared(Rc::clone(&shared));
        Self { transport: Rc::clone(&self.transport), id: self.id, opening: self.opening, progress: Progress::Shared(shared) }
    }

    /// An answer to the same call on another transport, which passes things on to this one. Nobody looks at it: this one is looked at.
    pub(super) fn on(&self, transport: Rc<dyn Transport>) -> Self {
        Self { transport, id: self.id, opening: self.opening, progress: Progress::begin(None) }
    }

    /// The call, as it is looked at.
    #[inline]
    pub(super) fn watched(&self) -> Option<&Watched> {
        self.course().watched.as_ref()
    }

    /// Enters the call's span, if it has one.
    #[inline]
    pub(super) fn enter(&self) -> Option<Entered> {
        self.watched().and_then(Watched::enter)
    }

    /// The ends of the call's connection.
    pub(crate) fn peer(&self) -> Option<Rc<Peer>> {
        self.transport.peer()
    }

    pub(crate) fn stage(&self) -> Stage {
        self.cell().get()
    }

    /// Ready while another message may be made.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.transport.poll_room(self.id, cx)
    }

    /// An inbox for the request of the same call.
    pub(super) fn inbox(&self) -> Inbox {
        Inbox::new(Rc::clone(&self.transport), self.id)
    }

    /// A message of the same call, to be inflated.
    ///
    /// # Errors
    ///
    /// Those of [`Inflation::new`].
    pub(super) fn inflation(&self, encoding: Encoding, bytes: &[u8], bytes_max: usize) -> Result<Inflation, Status> {
        Inflation::new(Rc::clone(&self.transport), encoding, bytes, bytes_max)
    }

    /// What the calls of the same connection keep of messages that are not whole.
    pub(super) fn partials(&self) -> &Partials {
        self.transport.partials()
    }

    /// Lets the peer send this many bytes more.
    pub(crate) fn release(&self, n_bytes: usize) {
        if n_bytes > 0 {
            self.transport.release(self.id, n_bytes);
        }
    }

    /// The client may send its body.
    pub(super) fn go_ahead(&self) {
        self.transport.go_ahead(self.id);
    }

    /// Opens the answer, if it is not open yet.
    pub(crate) fn head(&self, metadata: Option<MetadataMap>) {
        if self.stage() != Stage::Awaited {
            return;
        }
        self.cell().set(Stage::Begun);
        match metadata.filter(|metadata| !metadata.is_empty()) {
            None => self.transport.head(self.id, ResponseHead::Grpc(self.opening), false),
            Some(metadata) => {
                let fields = fields::opening(metadata, self.opening);
                self.transport.head(self.id, ResponseHead::Fields(StatusCode::OK, &fields), false);
            }
        }
        if let Some(watched) = self.watched() {
            watched.exists();
        }
    }

    /// Sends a message. The answer was opened before. `compression`: whether it may be compressed; it may, unless that says otherwise.
    ///
    /// # Errors
    ///
    /// RESOURCE_EXHAUSTED when it is too large; then it was not sent.
    pub(crate) fn message<M: Message>(
        &self,
        message: &M,
        encode_bytes_max: usize,
        compression: Option<&MessageCompression>,
    ) -> Result<(), Status> {
        if let Some(encoding) = self.encoding(compression) {
            let bytes = compressed(message, encoding, encode_bytes_max)?;
            self.one_message(&mut |buffer| buffer.extend_from_slice(&bytes));
            return Ok(());
        }
        let len = encoded_len(message, encode_bytes_max)?;
        self.one_message(&mut |buffer| encode(message, len, buffer));
        Ok(())
    }

    /// The whole answer: head, one message, OK. Instead of a message that is too large, its status.
    pub(crate) fn reply<M: Message>(&self, response: Response<M>, encode_bytes_max: usize) {
        let ResponseParts { message, metadata, trailers, compression } = response.into_parts();
        if let Some(encoding) = self.encoding(compression.as_ref()) {
            return match compressed(&message, encoding, encode_bytes_max) {
                Err(status) => self.status(&status),
                Ok(bytes) => self.whole(metadata, &mut |buffer| buffer.extend_from_slice(&bytes), trailers),
            };
        }
        match encoded_len(&message, encode_bytes_max) {
            Err(status) => self.status(&status),
            Ok(len) => self.whole(metadata, &mut |buffer| encode(&message, len, buffer), trailers),
        }
    }

    #[inline]
    fn whole(&self, metadata: Option<Box<MetadataMap>>, write: &mut dyn FnMut(&mut Vec<u8>), trailers: Option<Box<MetadataMap>>) {
        if metadata.is_none() && trailers.is_none() && self.stage() == Stage::Awaited {
            // Should the message's own code panic, a status can still follow the head.
            self.cell().set(Stage::Begun);
            self.transport.reply(self.id, self.opening, write);
            self.cell().set(Stage::Ended);
            if let Some(watched) = self.watched() {
                watched.replied();
            }
        } else {
            self.head(metadata.map(|metadata| *metadata));
            self.one_message(write);
            self.ok_with(trailers.map(|trailers| *trailers));
        }
    }

    /// Sends what `write` makes, a message with its prefix, unless the answer has ended.
    #[inline]
    fn one_message(&self, write: &mut dyn FnMut(&mut Vec<u8>)) {
        if self.stage() == Stage::Begun {
            self.transport.data(self.id, write, false);
            if let Some(watched) = self.watched() {
                watched.sent_message();
            }
        }
    }

    /// How a message is compressed of which this is said.
    fn encoding(&self, compression: Option<&MessageCompression>) -> Option<Encoding> {
        self.opening.encoding.filter(|_| compression.is_none_or(MessageCompression::get))
    }

    /// Ends the answer well.
    pub(crate) fn ok(&self) {
        self.head(None);
        if self.stage() == Stage::Begun {
            self.cell().set(Stage::Ended);
            self.transport.trailers(self.id, Trailers::Ok);
            if let Some(watched) = self.watched() {
                watched.ended(Code::Ok);
            }
        }
    }

    /// Ends the answer well, with these trailers besides.
    pub(crate) fn ok_with(&self, trailers: Option<MetadataMap>) {
        match trailers.filter(|trailers| !trailers.is_empty()) {
            None => self.ok(),
            Some(trailers) => {
                // A head first: a Trailers-Only answer would bring them as what goes before the messages.
                self.head(None);
                self.status(&Status::with_metadata(Code::Ok, "", trailers));
            }
        }
    }

    /// Ends the answer with this status: in its head if that has not been sent (Trailers-Only), else in its trailers. Nothing, if it has ended.
    pub(crate) fn status(&self, status: &Status) {
        match self.stage() {
            Stage::Awaited => self.plain_head(StatusCode::OK, &fields::trailers_only(status), true),
            Stage::Begun => self.plain_trailers(&fields::ending(status)),
            Stage::Ended => {}
        }
    }

    /// Opens an answer that is not of our making. With `end` it is the whole of it.
    pub(crate) fn plain_head(&self, status: StatusCode, fields: &HeaderMap, end: bool) {
        self.cell().set(if end { Stage::Ended } else { Stage::Begun });
        self.transport.head(self.id, ResponseHead::Fields(status, fields), end);
        match self.watched() {
            Some(watched) if end => watched.ended_with(status, fields),
            Some(watched) => watched.exists(),
            None => {}
        }
    }

    /// A part of such an answer's body.
    pub(crate) fn plain_data(&self, bytes: &[u8], end: bool) {
        if end {
            self.cell().set(Stage::Ended);
        }
        self.transport.data(self.id, &mut |buffer| buffer.extend_from_slice(bytes), end);
        if let Some(watched) = self.watched() {
            watched.sent(bytes);
            if end {
                // It has no status, as no answer of gRPC's has.
                watched.ended(Code::Unknown);
            }
        }
    }

    /// A part of an answer's body that another answer has framed.
    pub(super) fn pass_data(&self, write: &mut dyn FnMut(&mut Vec<u8>)) {
        if self.stage() != Stage::Begun {
            return;
        }
        let Some(watched) = self.watched() else { return self.transport.data(self.id, write, false) };
        let mut seen = |buffer: &mut Vec<u8>| {
            let start = buffer.len();
            write(buffer);
            watched.sent(&buffer[start..]);
        };
        self.transport.data(self.id, &mut seen, false);
    }

    /// Ends such an answer.
    pub(crate) fn plain_trailers(&self, fields: &HeaderMap) {
        self.cell().set(Stage::Ended);
        self.transport.trailers(self.id, Trailers::Fields(fields));
        if let Some(watched) = self.watched() {
            watched.ended_with(StatusCode::OK, fields);
        }
    }

    /// Breaks the answer off.
    pub(crate) fn reset(&self, code: ErrorCode) {
        if self.cell().replace(Stage::Ended) != Stage::Ended {
            self.transport.reset(self.id, code);
            if let Some(watched) = self.watched() {
                watched.reset(code);
            }
        }
    }

    fn cell(&self) -> &Cell<Stage> {
        &self.course().stage
    }

    #[inline]
    fn course(&self) -> &Course {
        match &self.progress {
            Progress::Own(course) => course,
            Progress::Shared(course) => course,
        }
    }
}
