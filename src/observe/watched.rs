//! A call that is looked at.
//!
//! It stands between the call and its transport: so it sees how the answer ends, whatever ends it (the handler, a refusal, a panic, the deadline, a service of
//! tonic's), and when the call is dropped before, that it was cancelled. It changes nothing of what it passes on.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use http::{HeaderMap, StatusCode};
use tonic::Code;

use crate::grpc::{CallId, Head, Kind, Opening, Partials, Peer, ResponseHead, Trailers, Transport};
use crate::http2::ErrorCode;
use crate::observe::counts::MethodCounts;
use crate::observe::messages::Messages;
use crate::observe::traced::{Entered, Traced};
use crate::observe::{Label, Observer};

/// One call, on its transport.
pub(crate) struct Watched {
    transport: Rc<dyn Transport>,
    observer: Rc<Observer>,
    began: Instant,
    label: RefCell<Label>,
    received: Cell<Messages>,
    sent: Cell<Messages>,
    /// Messages, received and sent, of a call whose method is not known yet.
    uncounted: Cell<[u64; 2]>,
    has_ended: Cell<bool>,
    /// In a box, because most calls do without.
    traced: OnceCell<Box<Traced>>,
}

impl Watched {
    /// A transport that is looked at, if there is an observer; and what it sees. To be [named](Self::name) before anything is answered.
    pub(crate) fn over(
        observer: Option<&Rc<Observer>>,
        transport: Rc<dyn Transport>,
        began: Instant,
    ) -> (Rc<dyn Transport>, Option<Rc<Self>>) {
        let Some(observer) = observer else { return (transport, None) };
        let watched = Rc::new(Self {
            transport,
            observer: Rc::clone(observer),
            began,
            label: RefCell::new(Label::UNKNOWN),
            received: Cell::default(),
            sent: Cell::default(),
            uncounted: Cell::default(),
            has_ended: Cell::new(false),
            traced: OnceCell::new(),
        });
        (Rc::clone(&watched) as Rc<dyn Transport>, Some(watched))
    }

    /// The call begins: it has this head, which was judged; or none, because that was too large.
    pub(crate) fn name(&self, head: Option<&Head>) {
        let label = head.map_or(Label::UNKNOWN, |head| self.observer.label(head));
        match label {
            Label::Known(place) => self.observer.with_method(place, |method| method.started.add(1)),
            Label::Asked(_) => self.observer.counts().n_unnamed.add(1),
        }
        self.label.replace(label);
        let telling = self.observer.telling();
        if telling.is_wanted() {
            let peer = head.map_or_else(|| self.transport.peer(), Head::peer);
            let _ = self.traced.set(Box::new(telling.begin(head, peer.as_deref())));
        }
    }

    /// Enters the call's span, if it is told of.
    #[inline]
    pub(crate) fn enter(&self) -> Option<Entered> {
        self.traced.get().map(|traced| traced.enter())
    }

    /// A part of the request's body.
    #[inline]
    pub(crate) fn received(&self, bytes: &[u8]) {
        self.count(&self.received, bytes, 0);
    }

    /// Nothing more is answered: what has no status by now was cancelled.
    pub(crate) fn end(&self) {
        self.ended(Code::Cancelled);
    }

    /// Counts the messages that end in these bytes: received for 0, sent for 1.
    #[inline]
    fn count(&self, messages: &Cell<Messages>, bytes: &[u8], way: usize) {
        let mut seen = messages.get();
        let n = seen.see(bytes);
        messages.set(seen);
        if n > 0 {
            self.add_messages(n, way);
        }
    }

    fn add_messages(&self, n: u64, way: usize) {
        match &*self.label.borrow() {
            Label::Known(place) => self.observer.with_method(*place, |method| messages_of(method)[way].add(n)),
            Label::Asked(_) => {
                let mut uncounted = self.uncounted.get();
                uncounted[way] += n;
                self.uncounted.set(uncounted);
            }
        }
    }

    /// It is answered by more than a status: so there is such a method.
    fn exists(&self) {
        let place = match &*self.label.borrow() {
            Label::Known(_) => return,
            Label::Asked(path) => self.observer.learn(path, Kind::Unknown),
        };
        self.settle(place);
    }

    /// From here on it is counted in this place.
    fn settle(&self, place: usize) {
        self.observer.counts().n_unnamed.subtract(1);
        self.observer.with_method(place, |method| {
            method.started.add(1);
            messages_of(method).into_iter().zip(self.uncounted.take()).for_each(|(count, n)| count.add(n));
        });
        self.label.replace(Label::Known(place));
    }

    /// The answer has ended so, unless it had before.
    fn ended(&self, code: Code) {
        if self.has_ended.replace(true) {
            return;
        }
        let took = self.observer.now().saturating_duration_since(self.began);
        if code == Code::Ok {
            self.exists();
        }
        let known = match *self.label.borrow() {
            Label::Known(place) => Some(place),
            Label::Asked(_) => None,
        };
        if known.is_none() {
            self.settle(0);
        }
        let place = known.unwrap_or(0);
        self.observer.with_method(place, |method| method.ended(code, took));
        if let Some(traced) = self.traced.get() {
            traced.ended(code, took, place != 0);
        }
    }
}

fn messages_of(method: &MethodCounts) -> [&crate::observe::counts::Count; 2] {
    [&method.messages_received, &method.messages_sent]
}

/// What fields that end an answer say. Without a status they are of a refusal that does not speak gRPC, which clients read so (gRPC's "HTTP to gRPC Status
/// Code Mapping").
fn code_of(status: StatusCode, fields: &HeaderMap) -> Code {
    match fields.get("grpc-status") {
        Some(code) => Code::from_bytes(code.as_bytes()),
        None => match status.as_u16() {
            400 => Code::Internal,
            401 => Code::Unauthenticated,
            403 => Code::PermissionDenied,
            404 => Code::Unimplemented,
            429 | 502..=504 => Code::Unavailable,
            _ => Code::Unknown,
        },
    }
}

impl Transport for Watched {
    fn poll_room(&self, call: CallId, cx: &mut Context<'_>) -> Poll<()> {
        self.transport.poll_room(call, cx)
    }

    fn go_ahead(&self, call: CallId) {
        self.transport.go_ahead(call);
    }

    fn head(&self, call: CallId, head: ResponseHead<'_>, end: bool) {
        let code = match &head {
            ResponseHead::Fields(status, fields) if end => Some(code_of(*status, fields)),
            ResponseHead::Fields(..) | ResponseHead::Grpc(_) => None,
        };
        self.transport.head(call, head, end);
        match code {
            Some(code) => self.ended(code),
            None => self.exists(),
        }
    }

    fn data(&self, call: CallId, write: &mut dyn FnMut(&mut Vec<u8>), end: bool) {
        let mut counting = |buffer: &mut Vec<u8>| {
            let start = buffer.len();
            write(buffer);
            self.count(&self.sent, &buffer[start..], 1);
        };
        self.transport.data(call, &mut counting, end);
        if end {
            // It has no status, as no answer of gRPC's has.
            self.ended(Code::Unknown);
        }
    }

    fn trailers(&self, call: CallId, trailers: Trailers<'_>) {
        let code = match &trailers {
            Trailers::Ok => Code::Ok,
            Trailers::Fields(fields) => code_of(StatusCode::OK, fields),
        };
        self.transport.trailers(call, trailers);
        self.ended(code);
    }

    fn reply(&self, call: CallId, opening: Opening, write: &mut dyn FnMut(&mut Vec<u8>)) {
        self.transport.reply(call, opening, write);
        self.add_messages(1, 1);
        self.ended(Code::Ok);
    }

    fn reset(&self, call: CallId, code: ErrorCode) {
        self.transport.reset(call, code);
        self.ended(if code == ErrorCode::CANCEL { Code::Cancelled } else { Code::Internal });
    }

    fn release(&self, call: CallId, n_bytes: usize) {
        self.transport.release(call, n_bytes);
    }

    fn partials(&self) -> &Partials {
        self.transport.partials()
    }

    fn peer(&self) -> Option<Rc<Peer>> {
        self.transport.peer()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.end();
    }
}
