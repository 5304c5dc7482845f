//! A transport that writes down what it is told, and holds every call to the contract of [`Transport`].

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use http::{HeaderMap, HeaderValue, StatusCode};
use prost::Message;

use crate::greeter::HelloReply;
use crate::grpc::{CallId, Partials, Peer, ResponseHead, Trailers, Transport};
use crate::http2::ErrorCode;

pub(in crate::grpc) struct Recorder {
    pub(super) head: RefCell<Option<(StatusCode, HeaderMap)>>,
    pub(super) body: RefCell<Vec<u8>>,
    pub(super) trailers: RefCell<Option<HeaderMap>>,
    pub(super) reset: Cell<Option<ErrorCode>>,
    /// How often the client was told to go on.
    pub(super) n_continues: Cell<usize>,
    pub(super) n_ends: Cell<usize>,
    /// Bytes of the request that the peer's window lacks.
    pub(super) n_held: Cell<usize>,
    /// Data that may be written before there is no more room; no limit without it.
    pub(super) room: Cell<Option<usize>>,
    waiting: RefCell<Option<Waker>>,
    pub(super) partials: Rc<Partials>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new(super::partials_of(usize::MAX))
    }
}

impl Recorder {
    /// Of a connection whose messages that are not whole are counted here.
    pub(super) fn new(partials: Rc<Partials>) -> Self {
        Self {
            head: RefCell::default(),
            body: RefCell::default(),
            trailers: RefCell::default(),
            reset: Cell::default(),
            n_continues: Cell::default(),
            n_ends: Cell::default(),
            n_held: Cell::default(),
            room: Cell::default(),
            waiting: RefCell::default(),
            partials,
        }
    }

    /// The call was given so many bytes.
    pub(super) fn gave(&self, n_bytes: usize) {
        self.n_held.set(self.n_held.get() + n_bytes);
    }

    /// There is room for so many messages more.
    pub(super) fn make_room(&self, n: usize) {
        self.room.set(Some(n));
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }

    /// The answer was ended once, and all of the request was released.
    pub(super) fn assert_complete(&self) {
        assert_eq!(self.n_ends.get(), 1, "an answer ends once");
        assert_eq!(self.n_held.get(), 0, "what came of the request was released");
    }

    pub(super) fn http_status(&self) -> u16 {
        self.head.borrow().as_ref().expect("it was answered").0.as_u16()
    }

    /// A field of the head.
    pub(super) fn head_field(&self, name: &str) -> Option<String> {
        self.head.borrow().as_ref().and_then(|(_, fields)| text(fields, name))
    }

    /// A field of the trailers, which are the head of an answer that is nothing else.
    pub(super) fn ending(&self, name: &str) -> Option<String> {
        match &*self.trailers.borrow() {
            Some(trailers) => text(trailers, name),
            None => self.head_field(name),
        }
    }

    pub(super) fn status(&self) -> i32 {
        self.ending("grpc-status").expect("there is a status").parse().unwrap()
    }

    /// Whether the answer is a head alone.
    pub(super) fn is_trailers_only(&self) -> bool {
        self.head.borrow().is_some() && self.trailers.borrow().is_none() && self.body.borrow().is_empty() && self.n_ends.get() == 1
    }

    /// The messages of the answer.
    pub(super) fn replies(&self) -> Vec<String> {
        let body = self.body.borrow();
        let mut rest = &body[..];
        let mut replies = Vec::new();
        while let Some((prefix, behind)) = rest.split_first_chunk::<5>() {
            assert_eq!(prefix[0], 0, "nothing is compressed");
            let (message, behind) = behind.split_at(u32::from_be_bytes(prefix[1..].try_into().unwrap()) as usize);
            replies.push(HelloReply::decode(message).unwrap().message);
            rest = behind;
        }
        assert!(rest.is_empty());
        replies
    }

    fn end(&self) {
        self.n_ends.set(self.n_ends.get() + 1);
    }

    fn assert_open(&self) {
        assert!(self.head.borrow().is_some(), "a head goes before everything else");
        assert_eq!(self.n_ends.get(), 0, "nothing follows an end");
    }
}

fn text(fields: &HeaderMap, name: &str) -> Option<String> {
    fields.get(name).map(|value| value.to_str().unwrap().to_owned())
}

impl Transport for Recorder {
    fn poll_room(&self, call: CallId, cx: &mut Context<'_>) -> Poll<()> {
        assert_eq!(call, CallId(7));
        if self.room.get() == Some(0) {
            *self.waiting.borrow_mut() = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    fn go_ahead(&self, call: CallId) {
        assert_eq!(call, CallId(7));
        assert!(self.head.borrow().is_none(), "100 comes before the answer");
        self.n_continues.set(self.n_continues.get() + 1);
    }

    fn head(&self, call: CallId, head: ResponseHead<'_>, end: bool) {
        assert_eq!(call, CallId(7));
        let head = match head {
            ResponseHead::Grpc(opening) => (StatusCode::OK, opening.into_fields()),
            ResponseHead::Fields(status, fields) => (status, fields.clone()),
        };
        assert!(self.head.replace(Some(head)).is_none(), "an answer has one head");
        if end {
            self.end();
        }
    }

    fn data(&self, _: CallId, write: &mut dyn FnMut(&mut Vec<u8>), end: bool) {
        self.assert_open();
        write(&mut self.body.borrow_mut());
        self.room.set(self.room.get().map(|n| n.saturating_sub(1)));
        if end {
            self.end();
        }
    }

    fn trailers(&self, _: CallId, trailers: Trailers<'_>) {
        self.assert_open();
        *self.trailers.borrow_mut() = Some(match trailers {
            Trailers::Ok => HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))]),
            Trailers::Fields(fields) => fields.clone(),
        });
        self.end();
    }

    fn reset(&self, _: CallId, code: ErrorCode) {
        assert_eq!(self.n_ends.get(), 0, "nothing follows an end");
        self.reset.set(Some(code));
        self.end();
    }

    fn release(&self, call: CallId, n_bytes: usize) {
        assert_eq!(call, CallId(7));
        let held = self.n_held.get().checked_sub(n_bytes).expect("no more is released than was given");
        self.n_held.set(held);
    }

    fn partials(&self) -> &Partials {
        &self.partials
    }

    fn peer(&self) -> Option<Rc<Peer>> {
        None
    }
}
