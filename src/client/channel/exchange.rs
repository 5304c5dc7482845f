//! One call, between who makes it and the connection that carries it: both hold it, and neither waits for the other here.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use loopswap_rt::now;
use tonic::Status;

use crate::client::channel::link::Link;
use crate::client::channel::outgoing::Outgoing;
use crate::http2::client::{READ_WINDOW_BYTES, StreamKey};

/// What a reader has taken is told to the connection in steps of this many bytes: a quarter of the stream's window.
const RELEASE_BYTES: usize = READ_WINDOW_BYTES as usize / 4;

/// A call.
pub(super) struct Exchange {
    /// When its caller gives up.
    pub(super) deadline: Option<Instant>,
    /// The request, while any of it may be needed; not there while its body is polled.
    outgoing: Cell<Option<Outgoing>>,
    state: RefCell<State>,
}

struct State {
    place: Place,
    head: Option<(StatusCode, HeaderMap)>,
    /// Received, and not read.
    bytes: BytesMut,
    trailers: Option<HeaderMap>,
    /// How the answer ended, once it has.
    end: Option<Result<(), Status>>,
    /// Read, and not told to the connection.
    n_read: usize,
    reader: Option<Waker>,
}

/// Where a call is.
enum Place {
    /// It waits for a connection, or for room on it.
    Waiting,
    On(Rc<Link>, StreamKey),
    Over,
}

/// What comes next of an answer's body.
pub(super) enum Part {
    Data(Bytes),
    Trailers(HeaderMap),
}

impl Exchange {
    pub(super) fn new(outgoing: Outgoing, deadline: Option<Instant>) -> Rc<Self> {
        let state = State { place: Place::Waiting, head: None, bytes: BytesMut::new(), trailers: None, end: None, n_read: 0, reader: None };
        Rc::new(Self { deadline, outgoing: Cell::new(Some(outgoing)), state: RefCell::new(state) })
    }

    // For the connection.

    /// Takes the request, to be put back unless the call is over by then.
    pub(super) fn take_outgoing(&self) -> Option<Outgoing> {
        self.outgoing.take()
    }

    pub(super) fn put_outgoing(&self, outgoing: Outgoing) {
        if !self.is_over() {
            self.outgoing.set(Some(outgoing));
        }
    }

    /// It has got a stream.
    pub(super) fn begin(&self, link: &Rc<Link>, stream: StreamKey) {
        self.state.borrow_mut().place = Place::On(Rc::clone(link), stream);
    }

    /// It waits for another connection.
    pub(super) fn wait_again(&self) {
        self.state.borrow_mut().place = Place::Waiting;
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state.borrow().place, Place::Over)
    }

    /// The caller's time is over.
    pub(super) fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now())
    }

    /// The answer has begun: the request will not have to be sent again.
    pub(super) fn commit(&self) {
        if let Some(mut outgoing) = self.take_outgoing() {
            outgoing.commit();
            self.put_outgoing(outgoing);
        }
    }

    pub(super) fn head(&self, status: StatusCode, fields: HeaderMap) {
        self.change(|state| state.head = Some((status, fields)));
    }

    pub(super) fn data(&self, bytes: &[u8]) {
        self.change(|state| state.bytes.extend_from_slice(bytes));
    }

    pub(super) fn trailers(&self, trailers: HeaderMap) {
        self.change(|state| state.trailers = Some(trailers));
        self.end(Ok(()));
    }

    /// The call is over; what has come of the answer may still be read.
    pub(super) fn end(&self, how: Result<(), Status>) {
        self.change(|state| {
            state.place = Place::Over;
            state.end = Some(how);
        });
        drop(self.outgoing.take());
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.borrow_mut();
        change(&mut state);
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    // For the caller.

    /// The answer's head.
    pub(super) fn poll_head(&self, cx: &mut Context<'_>) -> Poll<Result<(StatusCode, HeaderMap), Status>> {
        let mut state = self.state.borrow_mut();
        match (state.head.take(), &state.end) {
            (Some(head), _) => Poll::Ready(Ok(head)),
            (None, Some(Err(status))) => Poll::Ready(Err(status.clone())),
            (None, _) => state.wait(cx),
        }
    }

    /// What comes next of the body. `None` at its end, and after an error.
    pub(super) fn poll_part(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Part, Status>>> {
        let mut state = self.state.borrow_mut();
        if !state.bytes.is_empty() {
            let bytes = state.bytes.split().freeze();
            state.n_read += bytes.len();
            if state.n_read >= RELEASE_BYTES
                && let Place::On(link, stream) = &state.place
            {
                link.release(*stream, state.n_read);
                state.n_read = 0;
            }
            return Poll::Ready(Some(Ok(Part::Data(bytes))));
        }
        if let Some(trailers) = state.trailers.take() {
            return Poll::Ready(Some(Ok(Part::Trailers(trailers))));
        }
        match &mut state.end {
            Some(end) => Poll::Ready(std::mem::replace(end, Ok(())).err().map(Err)),
            None => state.wait(cx),
        }
    }

    /// Nothing is left to be read.
    pub(super) fn is_read(&self) -> bool {
        let state = self.state.borrow();
        state.bytes.is_empty() && state.trailers.is_none() && matches!(state.end, Some(Ok(())))
    }

    /// Gives the call up: the server is told (CANCEL), and the request dropped. Nothing, on one that is over. Returns whether it was still waiting.
    pub(super) fn cancel(&self) -> bool {
        let place = std::mem::replace(&mut self.state.borrow_mut().place, Place::Over);
        drop(self.outgoing.take());
        match place {
            Place::Waiting => true,
            Place::On(link, stream) => {
                link.cancel(stream);
                false
            }
            Place::Over => false,
        }
    }
}

impl State {
    fn wait<T>(&mut self, cx: &mut Context<'_>) -> Poll<T> {
        match &mut self.reader {
            Some(reader) => reader.clone_from(cx.waker()),
            None => self.reader = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}
