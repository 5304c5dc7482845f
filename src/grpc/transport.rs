//! The seam between a call and the engine that carries it.
//!
//! It exists so that the rules of gRPC are written once: what a call answers, and when, cannot differ between the engines. A transport knows
//! HTTP/2 and nothing of gRPC, but for the two header blocks that every good answer has, which an engine may keep ready.

use std::rc::Rc;
use std::task::{Context, Poll};

use http::{HeaderMap, StatusCode};

use crate::grpc::{Opening, Partials, Peer};
use crate::http2::ErrorCode;

/// A call's stream, as its transport knows it. Its meaning is the transport's; one that carries a single call ignores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallId(pub(crate) u64);

/// The header block that opens an answer.
pub(crate) enum ResponseHead<'a> {
    /// 200, `content-type: application/grpc` and what is said of compression: what nearly every answer begins with.
    Grpc(Opening),
    /// These, as they are.
    Fields(StatusCode, &'a HeaderMap),
}

/// The header block that ends an answer.
pub(crate) enum Trailers<'a> {
    /// `grpc-status: 0`, and nothing else.
    Ok,
    /// These, as they are.
    Fields(&'a HeaderMap),
}

/// What a call needs of the engine under it.
///
/// The answer is one `head`, any number of `data`, and one end: `trailers`, or `head` or `data` with their `end` set. All of them only write down
/// what is to be sent, at once and in this order; the engine sends it when the call's turn is over, as the peer's windows allow. On a stream that
/// has been reset, or whose connection is gone, they do nothing: a call need not know.
pub(crate) trait Transport {
    /// Whether another message should be made: ready while less than a limited number of bytes of this call wait to be sent. A call that answers
    /// with one message need not ask.
    fn poll_room(&self, call: CallId, cx: &mut Context<'_>) -> Poll<()>;

    /// The client waits to be told that its body is wanted: tells it, if the engine can. Comes before all else, and never after the request's end.
    fn go_ahead(&self, call: CallId);

    /// Opens the answer. With `end` it is the whole of it.
    fn head(&self, call: CallId, head: ResponseHead<'_>, end: bool);

    /// A part of the body: what `write` appends to the buffer that it is given, which holds other bytes already. With `end` it is the last.
    ///
    /// `write` must not come back to this transport.
    fn data(&self, call: CallId, write: &mut dyn FnMut(&mut Vec<u8>), end: bool);

    /// Ends the answer with trailers.
    fn trailers(&self, call: CallId, trailers: Trailers<'_>);

    /// The whole of a good answer with one message: what `head`, `data` and `trailers` make of it, which an engine may do at one blow.
    fn reply(&self, call: CallId, opening: Opening, write: &mut dyn FnMut(&mut Vec<u8>)) {
        self.head(call, ResponseHead::Grpc(opening), false);
        self.data(call, write, false);
        self.trailers(call, Trailers::Ok);
    }

    /// Ends the stream at once, from this side.
    fn reset(&self, call: CallId, code: ErrorCode);

    /// The application has taken this many bytes of the request's body, so that the peer may send as many more.
    fn release(&self, call: CallId, n_bytes: usize);

    /// What the calls of the same connection keep of messages that are not whole.
    fn partials(&self) -> &Partials;

    /// The ends of the connection; `None` where there is none, or the head has them ([`Head::Http`](crate::grpc::Head::Http)).
    fn peer(&self) -> Option<Rc<Peer>>;
}
