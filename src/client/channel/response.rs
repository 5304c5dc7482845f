//! An answer as its caller sees it: the future of its head, and its body.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame};
use loopswap_rt::{OnThread, Sleep};
use tonic::Status;

use crate::client::channel::driver::late;
use crate::client::channel::exchange::{Exchange, Part};
use crate::client::channel::shared::Shared;

/// The caller's hold on its call. Dropped, it cancels the call: the server is sent RST_STREAM with CANCEL.
pub(super) struct Caller {
    pub(super) shared: Rc<Shared>,
    pub(super) exchange: Rc<Exchange>,
    pub(super) deadline: Option<Sleep>,
}

impl Caller {
    fn cancel(&self) {
        if self.exchange.cancel() {
            self.shared.gave_up();
        }
    }

    /// Ready when the call's time is over, and it is cancelled.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<Status> {
        let Some(deadline) = &mut self.deadline else { return Poll::Pending };
        if Pin::new(deadline).poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.deadline = None;
        self.cancel();
        Poll::Ready(late())
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.cancel();
    }
}

/// The answer to come of a call on a [`Channel`](crate::client::Channel).
///
/// # Cancel safety
///
/// Dropping it cancels the call.
#[must_use = "a call whose future is not awaited is cancelled"]
pub struct ResponseFuture {
    state: OnThread<State>,
}

enum State {
    Failed(Option<Status>),
    Running(Option<Caller>),
}

impl ResponseFuture {
    pub(super) fn failed(status: Status) -> Self {
        Self { state: OnThread::new(State::Failed(Some(status))) }
    }

    pub(super) fn running(caller: Caller) -> Self {
        Self { state: OnThread::new(State::Running(Some(caller))) }
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response<ResponseBody>, Status>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        const OVER: &str = "a future is not polled after its end";
        let running = match self.state.get_mut() {
            None => return Poll::Ready(Err(elsewhere())),
            Some(State::Failed(status)) => return Poll::Ready(Err(status.take().expect(OVER))),
            Some(State::Running(running)) => running,
        };
        let caller = running.as_mut().expect(OVER);
        let (status, fields) = match caller.exchange.poll_head(cx) {
            Poll::Ready(Ok(head)) => head,
            Poll::Ready(Err(status)) => return Poll::Ready(Err(status)),
            Poll::Pending => return caller.poll_late(cx).map(Err),
        };
        let caller = running.take().expect("just looked at");
        let mut response = Response::new(ResponseBody { caller: OnThread::new(caller), is_over: false });
        *response.status_mut() = status;
        *response.version_mut() = http::Version::HTTP_2;
        *response.headers_mut() = fields;
        Poll::Ready(Ok(response))
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

/// The body of an answer. What has come and was not read is bounded by the stream's window, 1 MiB.
///
/// # Cancel safety
///
/// Dropping it before its end cancels the call.
pub struct ResponseBody {
    caller: OnThread<Caller>,
    /// An error was its last word.
    is_over: bool,
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if this.is_over {
            return Poll::Ready(None);
        }
        let Some(caller) = this.caller.get_mut() else {
            this.is_over = true;
            return Poll::Ready(Some(Err(elsewhere())));
        };
        let part = match caller.exchange.poll_part(cx) {
            Poll::Ready(part) => part,
            Poll::Pending => match caller.poll_late(cx) {
                Poll::Ready(status) => Some(Err(status)),
                Poll::Pending => return Poll::Pending,
            },
        };
        this.is_over = matches!(part, None | Some(Err(_)));
        Poll::Ready(part.map(|part| {
            part.map(|part| match part {
                Part::Data(bytes) => Frame::data(bytes),
                Part::Trailers(trailers) => Frame::trailers(trailers),
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.is_over || self.caller.get().is_some_and(|caller| caller.exchange.is_read())
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").finish_non_exhaustive()
    }
}

/// What a call on another thread than its channel's ends with.
pub(super) fn elsewhere() -> Status {
    Status::internal(
        "a loopswap channel was used on another thread than the worker's that made it; each worker makes its own, in the closure that makes its service or \
         in its start hook",
    )
}
