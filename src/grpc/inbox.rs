//! The bytes of a streaming request between the engine, which receives them, and the handler, which takes them.
//!
//! Its size is bounded by flow control: the peer may send a window's worth of bytes beyond what was released, and bytes are released when the
//! handler takes them. While the handler waits for a message that is not whole, what has come of it is released as it comes: it is bounded by the
//! limit on a message instead. So a message may be larger than a window.

use std::cell::RefCell;
use std::future::poll_fn;
use std::mem;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::{Buf as _, Bytes};
use tonic::Status;

use crate::grpc::encoding::Encoding;
use crate::grpc::framing::{PREFIX_BYTES, Prefix, cut_off, no_message, several_messages};
use crate::grpc::inflation::Inflation;
use crate::grpc::{CallId, Transport};

/// An empty buffer that is larger than this is given back.
const KEPT_BYTES_MAX: usize = 16 * 1024;

/// The inbox of one call.
pub(crate) struct Inbox {
    transport: Rc<dyn Transport>,
    id: CallId,
    state: RefCell<State>,
}

struct State {
    /// What was received and not taken, from `start` on.
    bytes: Vec<u8>,
    start: usize,
    /// Bytes at the end that the peer's window still lacks.
    n_held: usize,
    /// Bytes at the front that it does not lack, of a message that is not whole: counted among the connection's.
    n_partial: usize,
    /// The message at the front, if it is compressed and was taken to be inflated.
    inflation: Option<Box<Inflation>>,
    /// Of the message that a handler waits for, which is not whole. What comes of it is released at once.
    awaited: Option<Awaited>,
    more: More,
    reader: Option<Waker>,
}

/// A message that is waited for.
#[derive(Clone, Copy)]
enum Awaited {
    /// With a prefix that is not whole, or with this many bytes, prefix included.
    Message(Option<usize>),
    /// No message, but bytes of any kind.
    Bytes,
}

/// What may be expected after what is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum More {
    Comes,
    /// The request has ended.
    Ended,
    /// Nobody reads any more, or an error was the last that was read.
    Unwanted,
    /// The call is over, and with it the request.
    CallOver,
    /// The connection's messages that are not whole are too large together.
    TooMuch,
}

impl Inbox {
    pub(super) fn new(transport: Rc<dyn Transport>, id: CallId) -> Self {
        let state =
            State { bytes: Vec::new(), start: 0, n_held: 0, n_partial: 0, inflation: None, awaited: None, more: More::Comes, reader: None };
        Self { transport, id, state: RefCell::new(state) }
    }

    /// Bytes that arrived. `end`: they are the last.
    pub(super) fn put(&self, bytes: &[u8], end: bool) {
        let mut state = self.state.borrow_mut();
        if state.more != More::Comes {
            drop(state);
            self.release(bytes.len());
            return;
        }
        state.append(bytes);
        if end {
            state.more = More::Ended;
        }
        let awaited = state.awaited;
        let wake = end || state.satisfies(awaited);
        let released = if matches!(awaited, Some(Awaited::Message(_))) && !wake { mem::take(&mut state.n_held) } else { 0 };
        if released > 0 {
            if self.transport.partials().keep(released).is_err() {
                state.n_held = released;
                drop(state);
                return self.give_up(More::TooMuch);
            }
            state.n_partial += released;
        }
        let reader = if wake { state.reader.take() } else { None };
        drop(state);
        self.release(released);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// The call is over: whoever still reads is told, unless there was nothing left to read.
    pub(super) fn close(&self) {
        let state = self.state.borrow();
        let read_to_the_end =
            state.more == More::Unwanted || (state.more == More::Ended && state.unread().is_empty() && state.inflation.is_none());
        drop(state);
        if !read_to_the_end {
            self.give_up(More::CallOver);
        }
    }

    /// Nobody reads any more.
    pub(crate) fn discard(&self) {
        self.give_up(More::Unwanted);
    }

    /// The next message, inflated if it is compressed, made by `decode` of its bytes and of how they were. `None` at the end, and after an error.
    pub(super) fn poll_message<T>(
        &self,
        decode_bytes_max: usize,
        encoding: Option<Encoding>,
        cx: &mut Context<'_>,
        decode: impl FnOnce(&[u8], Option<Encoding>) -> Result<T, Status>,
    ) -> Poll<Option<Result<T, Status>>> {
        let mut state = self.state.borrow_mut();
        let found = match state.inflation {
            Some(_) => Ok(Found::Inflating),
            None => state.message(decode_bytes_max, encoding),
        };
        let (taken, polled) = match found {
            Ok(Found::Message(len, None)) => {
                let decoded = decode(&state.unread()[PREFIX_BYTES..len], None);
                self.no_partial(&mut state);
                (state.take(len), Poll::Ready(Some(decoded)))
            }
            Ok(Found::Message(len, Some(encoding))) => {
                self.no_partial(&mut state);
                let begun = Inflation::new(Rc::clone(&self.transport), encoding, &state.unread()[PREFIX_BYTES..len], decode_bytes_max);
                let taken = state.take(len);
                match begun {
                    Ok(inflation) => (taken, state.inflate(Box::new(inflation), cx, decode).map(Some)),
                    Err(status) => (taken, Poll::Ready(Some(Err(status)))),
                }
            }
            Ok(Found::Inflating) => {
                let inflation = state.inflation.take().expect("it is there");
                (0, state.inflate(inflation, cx, decode).map(Some))
            }
            Ok(Found::Part(len)) => {
                let n_held = mem::take(&mut state.n_held);
                match self.transport.partials().keep(n_held) {
                    Ok(()) => {
                        state.n_partial += n_held;
                        state.awaited = Some(Awaited::Message(len));
                        state.wait(cx);
                        (n_held, Poll::Pending)
                    }
                    Err(status) => (n_held, Poll::Ready(Some(Err(status)))),
                }
            }
            Ok(Found::Nothing) => (0, Poll::Ready(None)),
            Err(status) => (0, Poll::Ready(Some(Err(status)))),
        };
        drop(state);
        self.release(taken);
        if matches!(polled, Poll::Ready(Some(Err(_)))) {
            self.discard();
        }
        polled
    }

    /// The one message of a request, inflated, once the request has ended; and how it was compressed.
    ///
    /// # Errors
    ///
    /// UNIMPLEMENTED for none and for several (statuscodes.md); what [`poll_message`](Self::poll_message) has against it.
    pub(crate) async fn only_message(
        &self,
        decode_bytes_max: usize,
        encoding: Option<Encoding>,
    ) -> Result<(Vec<u8>, Option<Encoding>), Status> {
        let own = |bytes: &[u8], encoding| Ok((bytes.to_vec(), encoding));
        let first = poll_fn(|cx| self.poll_message(decode_bytes_max, encoding, cx, own)).await;
        let message = first.unwrap_or_else(|| Err(no_message()))?;
        match poll_fn(|cx| self.poll_message(decode_bytes_max, encoding, cx, |_, _| Ok(()))).await {
            None => Ok(message),
            Some(second) => Err(second.err().unwrap_or_else(several_messages)),
        }
    }

    /// All bytes that are there, of whatever they are part. `None` at the end.
    pub(crate) fn poll_bytes(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Status>>> {
        let mut state = self.state.borrow_mut();
        if state.unread().is_empty() {
            return match state.more {
                More::Comes => {
                    state.awaited = Some(Awaited::Bytes);
                    state.wait(cx);
                    Poll::Pending
                }
                More::Ended | More::Unwanted => Poll::Ready(None),
                More::CallOver => Poll::Ready(Some(Err(call_over()))),
                More::TooMuch => Poll::Ready(Some(Err(too_much()))),
            };
        }
        let bytes = Bytes::copy_from_slice(state.unread());
        self.no_partial(&mut state);
        let taken = state.take(bytes.len());
        drop(state);
        self.release(taken);
        Poll::Ready(Some(Ok(bytes)))
    }

    /// All bytes of a request that has ended by now, if they are no more than this.
    pub(crate) fn take_whole(&self, bytes_max: usize) -> Option<Bytes> {
        let mut state = self.state.borrow_mut();
        if state.more != More::Ended || state.unread().len() > bytes_max {
            return None;
        }
        let mut bytes = Bytes::from(mem::take(&mut state.bytes));
        bytes.advance(mem::take(&mut state.start));
        let n_held = mem::take(&mut state.n_held);
        drop(state);
        self.release(n_held);
        Some(bytes)
    }

    /// Whether the request has ended, and everything was taken.
    pub(crate) fn is_drained(&self) -> bool {
        let state = self.state.borrow();
        state.more != More::Comes && state.unread().is_empty()
    }

    fn give_up(&self, why: More) {
        let mut state = self.state.borrow_mut();
        state.more = why;
        state.bytes = Vec::new();
        state.start = 0;
        state.inflation = None;
        self.no_partial(&mut state);
        let held = mem::take(&mut state.n_held);
        let reader = state.reader.take();
        drop(state);
        self.release(held);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// No message is there any more that is not whole.
    fn no_partial(&self, state: &mut State) {
        if state.n_partial > 0 {
            self.transport.partials().give_back(mem::take(&mut state.n_partial));
        }
    }

    fn release(&self, n_bytes: usize) {
        if n_bytes > 0 {
            self.transport.release(self.id, n_bytes);
        }
    }
}

/// What is at the front.
enum Found {
    /// A whole message of this many bytes, prefix included, compressed so.
    Message(usize, Option<Encoding>),
    /// A part of a message, or nothing yet; of a message of this many bytes, if that is known.
    Part(Option<usize>),
    /// A message that was taken and is not yet inflated.
    Inflating,
    /// Nothing, and nothing will be.
    Nothing,
}

impl State {
    fn unread(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    fn append(&mut self, bytes: &[u8]) {
        // Moved to the front when that costs no more than what was taken since.
        if self.start > self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
        self.n_held += bytes.len();
    }

    fn message(&self, decode_bytes_max: usize, encoding: Option<Encoding>) -> Result<Found, Status> {
        match self.more {
            More::CallOver => return Err(call_over()),
            More::TooMuch => return Err(too_much()),
            More::Comes | More::Ended | More::Unwanted => {}
        }
        let prefix = Prefix::parse(self.unread(), decode_bytes_max, || encoding)?;
        let len = prefix.map(|prefix| PREFIX_BYTES + prefix.len);
        match len {
            Some(len) if self.unread().len() >= len => Ok(Found::Message(len, prefix.and_then(|prefix| prefix.encoding))),
            _ if self.more == More::Comes => Ok(Found::Part(len)),
            _ if self.unread().is_empty() => Ok(Found::Nothing),
            _ => Err(cut_off()),
        }
    }

    /// Drops the first bytes, and returns how many of them are to be released.
    fn take(&mut self, len: usize) -> usize {
        self.start += len;
        self.awaited = None;
        if self.start == self.bytes.len() {
            self.start = 0;
            self.bytes.clear();
            if self.bytes.capacity() > KEPT_BYTES_MAX {
                self.bytes = Vec::new();
            }
        }
        let left = self.unread().len();
        let released = self.n_held.saturating_sub(left);
        self.n_held -= released;
        released
    }

    /// A step of the message at the front.
    fn inflate<T>(
        &mut self,
        mut inflation: Box<Inflation>,
        cx: &mut Context<'_>,
        decode: impl FnOnce(&[u8], Option<Encoding>) -> Result<T, Status>,
    ) -> Poll<Result<T, Status>> {
        let Poll::Ready(inflated) = inflation.poll(cx) else {
            self.inflation = Some(inflation);
            return Poll::Pending;
        };
        Poll::Ready(inflated.and_then(|message| decode(&message, Some(inflation.encoding()))))
    }

    fn wait(&mut self, cx: &mut Context<'_>) {
        match &mut self.reader {
            Some(reader) => reader.clone_from(cx.waker()),
            None => self.reader = Some(cx.waker().clone()),
        }
    }

    /// Whether the reader has something to do with what is there now.
    fn satisfies(&mut self, awaited: Option<Awaited>) -> bool {
        match awaited {
            None | Some(Awaited::Bytes) => true,
            Some(Awaited::Message(Some(len))) => self.unread().len() >= len,
            // The reader judges a prefix: it knows the limit.
            Some(Awaited::Message(None)) => self.unread().len() >= PREFIX_BYTES || self.unread().first().is_some_and(|flag| *flag != 0),
        }
    }
}

/// What a reader is told whose message was one too many for its connection.
fn too_much() -> Status {
    Status::resource_exhausted("the connection's messages that are not whole are too large together")
}

/// What a reader is told that has outlived its call.
fn call_over() -> Status {
    Status::cancelled("the call is over")
}
