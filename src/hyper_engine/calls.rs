//! From hyper's requests to calls: hyper's body is fed to the call, and what the call answers is a body that hyper polls.
//!
//! hyper polls a body only while the peer's window is open. So a call whose answer has begun, and waits for a peer that takes none of it, stands
//! still, but for its deadline, which the connection keeps.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use loopswap_rt::now;

use crate::grpc::{Arrival, Call, CallId, Head, Partials, Peer, Transport};
use crate::http2::ErrorCode;
use crate::server::House;
use crate::service::Router;

use super::deadlines::{Deadline, Deadlines, Expire};
use super::exchange::{Exchange, Reset};
use super::life::{OneOpen, Open};
use super::web::Web;

/// hyper is asked for no more of a request while its call has not taken this many bytes; a stream's window of bytes waits besides, in hyper.
const UNTAKEN_BYTES_MAX: usize = 64 * 1024;

/// Each carries one call.
pub(super) const ID: CallId = CallId(0);

/// The services of a connection, as hyper calls them.
pub(super) struct Calls {
    router: Router,
    house: Rc<House>,
    deadlines: Deadlines,
    partials: Rc<Partials>,
    peer: Rc<Peer>,
    /// A clone for each call under way.
    places: Rc<()>,
    open: Rc<Open>,
}

impl Calls {
    /// Whoever polls hyper polls `deadlines` behind it. `open` has the calls counted, until their answers are taken.
    pub(super) fn new(
        router: Router,
        house: Rc<House>,
        deadlines: Deadlines,
        partials: Rc<Partials>,
        peer: Rc<Peer>,
        open: Rc<Open>,
    ) -> Self {
        Self { router, house, deadlines, partials, peer, places: Rc::default(), open }
    }

    fn exchange(&self, web: Option<Web>) -> Exchange {
        Exchange::new(self.house.limits.send_buffer_bytes_max, Rc::clone(&self.partials), web)
    }
}

impl hyper::service::Service<Request<Incoming>> for Calls {
    type Response = Response<Answer>;
    type Error = Reset;
    type Future = Opening;

    fn call(&self, request: Request<Incoming>) -> Opening {
        let (mut parts, body) = request.into_parts();
        let open = self.open.begin();
        let web = match self.house.origins.as_ref().map_or(Ok(None), |origins| origins.admit(&mut parts)) {
            Ok(web) => web,
            Err(direct) => {
                let exchange = Rc::new(self.exchange(None));
                direct.answer(&exchange, &self.house.log);
                return Opening { answer: Some(Answer { exchange, _open: open }) };
            }
        };
        let exchange = Rc::new(self.exchange(web));
        let transport = Rc::clone(&exchange) as Rc<dyn Transport>;
        let ends = body.is_end_stream();
        let head = Head::Http(Box::new(parts), Some(Rc::clone(&self.peer)));
        let admission = self.house.admission.as_ref().map(|admission| (admission, Rc::strong_count(&self.places) - 1));
        let arrival = Arrival { head, ends, now: now(), admission, observer: self.house.observer.as_ref() };
        let mut call = Call::open(&self.router, arrival, transport, ID);
        if ends {
            call.iter_mut().for_each(Call::end);
        }
        let deadline = call.as_ref().and_then(Call::deadline);
        let request = (!ends && call.is_some()).then_some(body);
        let deadline = deadline.map(|at| {
            let call = Rc::downgrade(&exchange);
            self.deadlines.add(at, call)
        });
        exchange.under_way.replace(call.map(|call| UnderWay { call, request, _deadline: deadline, _place: Rc::clone(&self.places) }));
        Opening { answer: Some(Answer { exchange, _open: open }) }
    }
}

/// A call whose answer has not begun.
pub(super) struct Opening {
    /// Until it has.
    answer: Option<Answer>,
}

impl Future for Opening {
    type Output = Result<Response<Answer>, Reset>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = self.answer.as_mut().expect("a future is not polled after its end");
        answer.exchange.run(cx);
        let Some(head) = answer.exchange.take_head()? else {
            return Poll::Pending;
        };
        let answer = self.answer.take();
        Poll::Ready(Ok(head.map(|()| answer.expect("it was there above"))))
    }
}

/// The body of a call's answer. Dropped, it drops the call.
pub(super) struct Answer {
    exchange: Rc<Exchange>,
    _open: OneOpen,
}

impl Drop for Answer {
    fn drop(&mut self) {
        drop(self.exchange.under_way.take());
    }
}

/// A call that has not answered all.
pub(super) struct UnderWay {
    call: Call,
    /// Until it has ended.
    request: Option<Incoming>,
    /// Kept for its end.
    _deadline: Option<Deadline>,
    /// Among the connection's calls.
    _place: Rc<()>,
}

impl Exchange {
    /// Feeds the call and polls it, until it can do no more.
    fn run(&self, cx: &mut Context<'_>) {
        let mut slot = self.under_way.borrow_mut();
        let Some(UnderWay { call, request, .. }) = &mut *slot else { return };
        self.begin_turn(cx);
        let is_over = loop {
            if feed(call, request, self, cx).is_err() {
                self.reset(ID, ErrorCode::CANCEL);
                break true;
            }
            let n_untaken = self.n_untaken();
            if call.poll(cx).is_ready() {
                break true;
            }
            // What the handler has just taken makes room for more.
            if request.is_none() || self.n_untaken() == n_untaken {
                break false;
            }
        };
        if is_over {
            *slot = None;
        }
        self.end_turn();
    }
}

impl Expire for Exchange {
    fn expire(&self) {
        if let Some(mut under_way) = self.under_way.take() {
            under_way.call.expire();
        }
    }
}

impl Answer {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame<Bytes>>, Reset>> {
        let exchange = &self.exchange;
        // What is there goes first: a handler makes more when that was taken.
        if let Some(frame) = exchange.take_frame()? {
            return Poll::Ready(Ok(Some(frame)));
        }
        exchange.run(cx);
        match exchange.take_frame()? {
            None if !exchange.is_taken() => Poll::Pending,
            frame => Poll::Ready(Ok(frame)),
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Reset;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Reset>>> {
        let frame = ready!(self.get_mut().poll_data(cx));
        Poll::Ready(frame.transpose())
    }

    fn is_end_stream(&self) -> bool {
        self.exchange.is_taken()
    }
}

/// Gives the call what has come of its request, as far as it takes it.
///
/// # Errors
///
/// The request will not be complete: the client cancelled, or broke the protocol.
fn feed(call: &mut Call, request: &mut Option<Incoming>, exchange: &Exchange, cx: &mut Context<'_>) -> Result<(), hyper::Error> {
    while exchange.n_untaken() < UNTAKEN_BYTES_MAX {
        let Some(body) = request else { return Ok(()) };
        let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) else { return Ok(()) };
        let (bytes, ends) = match frame.transpose()?.map(Frame::into_data) {
            Some(Ok(bytes)) => (bytes, body.is_end_stream()),
            // Trailers end it as well.
            Some(Err(_)) | None => (Bytes::new(), true),
        };
        if ends {
            *request = None;
        }
        match exchange.heard(bytes, ends) {
            Ok(bytes) => {
                exchange.gave(bytes.len());
                call.data(&bytes, ends);
            }
            Err(status) => {
                call.fail(&status);
                *request = None;
            }
        }
    }
    Ok(())
}
