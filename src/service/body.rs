//! The body of a request, as services of tonic want it: `Send`, and read on whatever thread they read it.
//!
//! The bytes are the call's inbox, which belongs to the worker's thread. There they are read straight from it. On another thread, where a service's
//! `tokio::spawn` may have taken the body, a read is left with the call, which serves it at its next turn and wakes the reader: see [`FarReads`].

use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame};
use loopswap_rt::OnThread;
use tonic::Status;
use tonic::body::Body;

use crate::grpc::Inbox;

/// A request that has come whole and is not larger is taken from the inbox at once. One that is larger stays there until it is read, so that its
/// client waits for windows.
const WHOLE_BYTES_MAX: usize = 16 * 1024;

/// What comes of a read: bytes, an error, or the end.
type Piece = Option<Result<Bytes, Status>>;

/// The body of a call's request; and for one that is still to come, what serves the reads of other threads.
pub(super) fn request_body(inbox: Rc<Inbox>) -> (Body, Option<FarReads>) {
    if let Some(bytes) = inbox.take_whole(WHOLE_BYTES_MAX) {
        let body = if bytes.is_empty() { Body::empty() } else { Body::new(Whole(bytes)) };
        return (body, None);
    }
    let shared = Arc::new(Mutex::new(Shared { inbox: Some(OnThread::new(inbox)), far: Far::Idle, call: None }));
    (Body::new(Coming { shared: Arc::clone(&shared), is_over: false }), Some(FarReads { shared }))
}

/// A body that has come.
struct Whole(Bytes);

impl HttpBody for Whole {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let bytes = mem::take(&mut self.0);
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }
}

/// A body that comes.
struct Coming {
    shared: Arc<Mutex<Shared>>,
    is_over: bool,
}

/// What a body and its call have in common.
struct Shared {
    /// The call takes it away when it ends, on its thread.
    inbox: Option<OnThread<Rc<Inbox>>>,
    far: Far,
    /// The call, as of its last poll.
    call: Option<Waker>,
}

/// The read of another thread.
enum Far {
    Idle,
    Waits(Waker),
    Done(Piece),
    /// The body was dropped there.
    Unwanted,
}

impl Shared {
    /// The inbox, for whoever is on its thread.
    fn inbox(&mut self) -> Option<Rc<Inbox>> {
        self.inbox.as_mut()?.get_mut().map(|inbox| Rc::clone(inbox))
    }
}

/// Nothing panics under the lock.
fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().expect("never poisoned")
}

impl Coming {
    fn poll_piece(&self, cx: &mut Context<'_>) -> Poll<Piece> {
        let mut shared = lock(&self.shared);
        if let Far::Done(_) = shared.far {
            let Far::Done(piece) = mem::replace(&mut shared.far, Far::Idle) else { unreachable!("it was looked at") };
            return Poll::Ready(piece);
        }
        if let Some(inbox) = shared.inbox() {
            // Whoever waited on another thread has brought the body back.
            shared.far = Far::Idle;
            drop(shared);
            return inbox.poll_bytes(cx);
        }
        if shared.inbox.is_none() {
            return Poll::Ready(Some(Err(Status::cancelled("the call is over"))));
        }
        shared.far = Far::Waits(cx.waker().clone());
        let call = shared.call.clone();
        drop(shared);
        if let Some(call) = call {
            call.wake();
        }
        Poll::Pending
    }
}

impl HttpBody for Coming {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let piece = ready!(self.poll_piece(cx));
        self.is_over = !matches!(piece, Some(Ok(_))) || lock(&self.shared).inbox().is_some_and(|inbox| inbox.is_drained());
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.is_over
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        let mut shared = lock(&self.shared);
        if let Some(inbox) = shared.inbox() {
            drop(shared);
            return inbox.discard();
        }
        shared.far = Far::Unwanted;
        let call = shared.call.clone();
        drop(shared);
        if let Some(call) = call {
            call.wake();
        }
    }
}

/// A call's side of its body: serves the reads that are made on other threads. When it is dropped, on the call's thread, the inbox is out of reach.
pub(super) struct FarReads {
    shared: Arc<Mutex<Shared>>,
}

impl FarReads {
    /// Serves the read that waits, if one does. To be called at each poll of the call: a read of another thread wakes it.
    pub(super) fn serve(&self, cx: &mut Context<'_>) {
        let mut shared = lock(&self.shared);
        match &mut shared.call {
            Some(call) => call.clone_from(cx.waker()),
            None => shared.call = Some(cx.waker().clone()),
        }
        let Some(inbox) = shared.inbox() else { return };
        match mem::replace(&mut shared.far, Far::Idle) {
            Far::Waits(reader) => {
                drop(shared);
                let piece = inbox.poll_bytes(cx);
                let mut shared = lock(&self.shared);
                match piece {
                    Poll::Ready(piece) => {
                        shared.far = Far::Done(piece);
                        drop(shared);
                        reader.wake();
                    }
                    Poll::Pending => shared.far = Far::Waits(reader),
                }
            }
            Far::Unwanted => {
                drop(shared);
                inbox.discard();
            }
            far => shared.far = far,
        }
    }
}

impl Drop for FarReads {
    fn drop(&mut self) {
        let mut shared = lock(&self.shared);
        let inbox = shared.inbox.take();
        let reader = match mem::replace(&mut shared.far, Far::Idle) {
            Far::Waits(reader) => Some(reader),
            far => {
                shared.far = far;
                None
            }
        };
        drop(shared);
        drop(inbox);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}
