//! What a call answers, until hyper takes it.

use std::cell::RefCell;
use std::fmt;
use std::mem;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body::Frame;
use tonic::Status;

use crate::grpc::{CallId, Partials, Peer, ResponseHead, Trailers, Transport};
use crate::http2::ErrorCode;

use super::calls::UnderWay;
use super::web::Web;

/// The [`Transport`] of one call.
pub(super) struct Exchange {
    state: RefCell<State>,
    /// The call, until its answer is complete. It holds the exchange, so whoever owns the answer must take it out.
    pub(super) under_way: RefCell<Option<UnderWay>>,
    /// A call that makes many messages pauses while more bytes than this wait for hyper. One message may be larger.
    unsent_bytes_max: usize,
    /// The connection's.
    partials: Rc<Partials>,
    /// How it is spoken, unless that is gRPC itself.
    web: Option<Web>,
}

#[derive(Default)]
struct State {
    head: Option<(StatusCode, HeaderMap)>,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
    /// Nothing is added any more.
    is_complete: bool,
    reset: Option<ErrorCode>,
    /// Bytes of the request that the call was given and has not taken.
    n_untaken: usize,
    /// Who waits until fewer bytes wait for hyper.
    producer: Option<Waker>,
    /// Who polls the call. It is woken by what happens outside its turns.
    task: Option<Waker>,
    in_turn: bool,
}

/// The call broke its stream off.
#[derive(Debug)]
pub(super) struct Reset(ErrorCode);

impl fmt::Display for Reset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the call was broken off: {}", self.0)
    }
}

impl std::error::Error for Reset {}

impl Exchange {
    pub(super) fn new(unsent_bytes_max: usize, partials: Rc<Partials>, web: Option<Web>) -> Self {
        Self { state: RefCell::default(), under_way: RefCell::default(), unsent_bytes_max, partials, web }
    }

    /// Bytes of the request's body, as gRPC has them. `end`: they are the last.
    ///
    /// # Errors
    ///
    /// They are not what was said to come.
    pub(super) fn heard(&self, bytes: Bytes, end: bool) -> Result<Bytes, Status> {
        match &self.web {
            None => Ok(bytes),
            Some(web) => web.heard(bytes, end),
        }
    }

    /// The call is polled now, by the task of this context.
    pub(super) fn begin_turn(&self, cx: &Context<'_>) {
        let mut state = self.state.borrow_mut();
        state.in_turn = true;
        match &mut state.task {
            Some(task) => task.clone_from(cx.waker()),
            None => state.task = Some(cx.waker().clone()),
        }
    }

    /// No longer.
    pub(super) fn end_turn(&self) {
        self.state.borrow_mut().in_turn = false;
    }

    /// The call is given so many bytes of the request.
    pub(super) fn gave(&self, n_bytes: usize) {
        self.state.borrow_mut().n_untaken += n_bytes;
    }

    /// How many bytes of the request the call was given and has not taken.
    pub(super) fn n_untaken(&self) -> usize {
        self.state.borrow().n_untaken
    }

    /// The head, once, when it is there.
    ///
    /// # Errors
    ///
    /// The call was broken off.
    pub(super) fn take_head(&self) -> Result<Option<Response<()>>, Reset> {
        let mut state = self.state.borrow_mut();
        if let Some(code) = state.reset {
            return Err(Reset(code));
        }
        Ok(state.head.take().map(|(status, fields)| {
            let mut response = Response::new(());
            *response.status_mut() = status;
            *response.headers_mut() = fields;
            if let Some(web) = &self.web {
                web.head(response.headers_mut());
            }
            response
        }))
    }

    /// The next part of the answer's body; `None` while there is none.
    ///
    /// # Errors
    ///
    /// The call was broken off.
    pub(super) fn take_frame(&self) -> Result<Option<Frame<Bytes>>, Reset> {
        let mut state = self.state.borrow_mut();
        if let Some(code) = state.reset {
            return Err(Reset(code));
        }
        if state.body.is_empty() {
            return Ok(state.trailers.take().map(|trailers| match &self.web {
                None => Frame::trailers(trailers),
                Some(web) => Frame::data(web.trailers(&trailers)),
            }));
        }
        let body = mem::take(&mut state.body);
        let producer = state.producer.take();
        drop(state);
        if let Some(producer) = producer {
            producer.wake();
        }
        Ok(Some(Frame::data(match &self.web {
            None => body.into(),
            Some(web) => web.data(body),
        })))
    }

    /// Whether the answer is complete, and all of it was taken.
    pub(super) fn is_taken(&self) -> bool {
        let state = self.state.borrow();
        state.is_complete && state.reset.is_none() && state.head.is_none() && state.body.is_empty() && state.trailers.is_none()
    }

    /// Writes something down, unless the answer is complete, and has it sent.
    fn write(&self, write: impl FnOnce(&mut State)) {
        let mut state = self.state.borrow_mut();
        if state.is_complete {
            return;
        }
        write(&mut state);
        self.written(&mut state);
    }

    /// What comes outside the call's turn, from a task of the handler's, must not wait for the next one.
    fn written(&self, state: &mut State) {
        if !state.in_turn
            && let Some(task) = &state.task
        {
            task.wake_by_ref();
        }
    }
}

impl Transport for Exchange {
    fn poll_room(&self, _: CallId, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.borrow_mut();
        if state.body.len() < self.unsent_bytes_max {
            return Poll::Ready(());
        }
        state.producer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// hyper has no words for it. A client must not wait for ever (RFC 9110, 10.1.1), so its body comes a little later.
    fn go_ahead(&self, _: CallId) {}

    fn head(&self, _: CallId, head: ResponseHead<'_>, end: bool) {
        self.write(|state| {
            state.head = Some(match head {
                ResponseHead::Grpc(opening) => (StatusCode::OK, opening.into_fields()),
                ResponseHead::Fields(status, fields) => (status, fields.clone()),
            });
            state.is_complete = end;
        });
    }

    fn data(&self, _: CallId, write: &mut dyn FnMut(&mut Vec<u8>), end: bool) {
        self.write(|state| {
            write(&mut state.body);
            state.is_complete = end;
        });
    }

    fn trailers(&self, _: CallId, trailers: Trailers<'_>) {
        const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
        self.write(|state| {
            state.trailers = Some(match trailers {
                Trailers::Ok => HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from_static("0"))]),
                Trailers::Fields(fields) => fields.clone(),
            });
            state.is_complete = true;
        });
    }

    fn reset(&self, _: CallId, code: ErrorCode) {
        self.write(|state| {
            state.reset = Some(code);
            state.is_complete = true;
        });
    }

    fn release(&self, _: CallId, n_bytes: usize) {
        let mut state = self.state.borrow_mut();
        state.n_untaken = state.n_untaken.saturating_sub(n_bytes);
        self.written(&mut state);
    }

    fn partials(&self) -> &Partials {
        &self.partials
    }

    fn peer(&self) -> Option<Rc<Peer>> {
        None
    }
}
