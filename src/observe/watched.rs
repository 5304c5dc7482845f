//! A call that is looked at.
//!
//! It is beside the call's [answer](crate::grpc::Answer), which tells it what it writes down: so it sees how the answer ends, whatever ends it (the handler, a refusal,
//! a panic, the deadline, a service of tonic's), and the call tells it when it is dropped before, that it was cancelled. It changes nothing.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::time::Instant;

use http::{HeaderMap, StatusCode};
use tonic::Code;

use crate::grpc::{Head, Kind, Peer, code_of_http};
use crate::http2::ErrorCode;
use crate::observe::Observer;
use crate::observe::counts::{Count, MethodCounts};
use crate::observe::messages::{Messages, is_one_message};
use crate::observe::observer::UNKNOWN;
use crate::observe::traced::{Entered, Traced};

/// One call. It is [named](Self::name) before anything is answered.
pub(crate) struct Watched {
    observer: Rc<Observer>,
    began: Instant,
    /// Where it is counted; `None` while a service of tonic's has been asked for its path, and whether it has such a method is not known.
    place: Cell<Option<u32>>,
    has_ended: Cell<bool>,
    /// In a box, because calls are moved about.
    rest: OnceCell<Box<Rest>>,
}

/// What most calls do without.
#[derive(Default)]
struct Rest {
    /// The path, of a call without a place.
    asked: Cell<Box<[u8]>>,
    /// Its messages, received and sent.
    uncounted: Cell<[u64; 2]>,
    /// How far bodies have come, received and sent, of which a part ended within a message.
    bodies: [Cell<Messages>; 2],
    traced: OnceCell<Traced>,
}

/// Of the two ways in which messages go.
#[derive(Clone, Copy)]
enum Way {
    Received,
    Sent,
}

impl Watched {
    /// A call whose head has come, at this time.
    pub(crate) fn new(observer: &Rc<Observer>, began: Instant) -> Self {
        let place = Cell::new(Some(UNKNOWN));
        Self { observer: Rc::clone(observer), began, place, has_ended: Cell::new(false), rest: OnceCell::new() }
    }

    /// The call begins: it has this head. `known` is what is remembered of heads like it.
    pub(crate) fn name(&self, head: &Head, known: &OnceCell<u32>) {
        match self.observer.place(head.path(), known) {
            Some(place) => self.begin(place),
            None => {
                self.place.set(None);
                self.rest().asked.set(head.path().into());
                self.observer.counts().n_unnamed.add(1);
            }
        }
        if self.observer.telling().is_wanted() {
            self.begin_to_tell(Some(head), head.peer().as_deref());
        }
    }

    /// The call begins, without a head, because that was too large.
    pub(crate) fn name_none(&self, peer: Option<&Peer>) {
        self.begin(UNKNOWN);
        if self.observer.telling().is_wanted() {
            self.begin_to_tell(None, peer);
        }
    }

    /// Enters the call's span, if it is told of.
    #[inline]
    pub(crate) fn enter(&self) -> Option<Entered> {
        self.traced().map(Traced::enter)
    }

    /// A part of the request's body.
    #[inline]
    pub(crate) fn received(&self, bytes: &[u8]) {
        self.see(Way::Received, bytes);
    }

    /// A part of the answer's body.
    pub(crate) fn sent(&self, bytes: &[u8]) {
        self.see(Way::Sent, bytes);
    }

    /// A message of the answer.
    pub(crate) fn sent_message(&self) {
        self.add_messages(Way::Sent, 1);
    }

    /// It is answered with one message, and well.
    pub(crate) fn replied(&self) {
        self.ended_after(1, Code::Ok);
    }

    /// It is answered by more than a status: so there is such a method.
    #[inline]
    pub(crate) fn exists(&self) {
        if self.place.get().is_none() {
            self.settle(None);
        }
    }

    /// The answer has ended so, unless it had before.
    pub(crate) fn ended(&self, code: Code) {
        self.ended_after(0, code);
    }

    /// The answer has ended with these fields.
    pub(crate) fn ended_with(&self, status: StatusCode, fields: &HeaderMap) {
        self.ended(code_of(status, fields));
    }

    /// The answer was broken off.
    pub(crate) fn reset(&self, code: ErrorCode) {
        self.ended(if code == ErrorCode::CANCEL { Code::Cancelled } else { Code::Internal });
    }

    /// Nothing more is answered: what has no status by now was cancelled.
    pub(crate) fn end(&self) {
        self.ended(Code::Cancelled);
    }

    /// The answer has ended so, after so many messages that were not counted yet, unless it had before.
    fn ended_after(&self, n_sent: u64, code: Code) {
        if self.has_ended.replace(true) {
            return;
        }
        let took = self.observer.now().saturating_duration_since(self.began);
        if code == Code::Ok {
            self.exists();
        }
        let place = self.place.get().unwrap_or_else(|| self.settle(Some(UNKNOWN)));
        self.observer.with_method(place, |method| {
            method.messages_sent.add(n_sent);
            method.ended(code, took);
        });
        if let Some(traced) = self.traced() {
            traced.ended(code, took, place != UNKNOWN);
        }
    }

    fn rest(&self) -> &Rest {
        self.rest.get_or_init(Box::default)
    }

    fn begin(&self, place: u32) {
        self.place.set(Some(place));
        self.observer.with_method(place, |method| method.started.add(1));
    }

    #[inline]
    fn traced(&self) -> Option<&Traced> {
        self.rest.get()?.traced.get()
    }

    #[cold]
    fn begin_to_tell(&self, head: Option<&Head>, peer: Option<&Peer>) {
        let _ = self.rest().traced.set(self.observer.telling().begin(head, peer));
    }

    /// Counts the messages that end in these bytes.
    #[inline]
    fn see(&self, way: Way, bytes: &[u8]) {
        if self.rest.get().is_none() && is_one_message(bytes) {
            self.add_messages(way, 1);
        } else {
            self.see_parts(way, bytes);
        }
    }

    fn see_parts(&self, way: Way, bytes: &[u8]) {
        let body = self.rest.get().map(|rest| &rest.bodies[way as usize]);
        let mut messages = body.map_or_else(Messages::default, Cell::get);
        let n = messages.see(bytes);
        match body {
            Some(body) => body.set(messages),
            None if messages.is_whole() => {}
            None => self.rest().bodies[way as usize].set(messages),
        }
        if n > 0 {
            self.add_messages(way, n);
        }
    }

    fn add_messages(&self, way: Way, n: u64) {
        match self.place.get() {
            Some(place) => self.observer.with_method(place, |method| messages_of(method)[way as usize].add(n)),
            None => {
                let uncounted = &self.rest().uncounted;
                let mut sums = uncounted.get();
                sums[way as usize] += n;
                uncounted.set(sums);
            }
        }
    }

    /// From here on it is counted in this place, which it returns; or in one of its own, as a method that is learnt now.
    #[cold]
    fn settle(&self, place: Option<u32>) -> u32 {
        let place = place.unwrap_or_else(|| self.observer.learn(&self.rest().asked.take(), Kind::Unknown));
        self.observer.counts().n_unnamed.subtract(1);
        self.begin(place);
        self.observer.with_method(place, |method| {
            messages_of(method).into_iter().zip(self.rest().uncounted.take()).for_each(|(count, n)| count.add(n));
        });
        place
    }
}

fn messages_of(method: &MethodCounts) -> [&Count; 2] {
    [&method.messages_received, &method.messages_sent]
}

/// What fields that end an answer say. Without a status they are of a refusal that does not speak gRPC, which clients read so.
fn code_of(status: StatusCode, fields: &HeaderMap) -> Code {
    fields.get("grpc-status").map_or_else(|| code_of_http(status.as_u16()), |code| Code::from_bytes(code.as_bytes()))
}
