//! What runs a method: the seam between a call, which knows no types of messages, and the generic code that does.

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tonic::Status;

use crate::grpc::{Answer, Inbox, Origin, Terms};

/// A call's work under way: all of it, from the request to the last byte of the answer, in one box.
pub(crate) type Work = Pin<Box<dyn Running>>;

/// Work in its box, which is there before it: so the work is made where it stays, and its room for what comes later is not copied.
#[inline]
pub(crate) fn boxed<W: Running + 'static>(make: impl FnOnce() -> W) -> Work {
    let place = Box::<W>::new_uninit();
    let work = Box::write(place, make());
    Box::into_pin(work)
}

/// Work, to be polled until it is done.
pub(crate) trait Running {
    /// Ready when the answer is complete.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>, answer: &Answer) -> Poll<()>;
}

/// The kinds of methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Unary,
    ClientStreaming,
    ServerStreaming,
    Streaming,
    /// A service of tonic's has it, and does not say.
    Unknown,
}

impl Kind {
    /// Its word in the metrics of gRPC's servers.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unary => "unary",
            Self::ClientStreaming => "client_stream",
            Self::ServerStreaming => "server_stream",
            Self::Streaming => "bidi_stream",
            Self::Unknown => "unknown",
        }
    }
}

/// A method whose request is one message.
pub(crate) trait TakesOne {
    /// Its kind.
    fn kind(&self) -> Kind;

    /// What it asks of messages.
    fn terms(&self) -> &Terms;

    /// Begins with this message, inflated, which is not kept.
    ///
    /// # Errors
    ///
    /// INTERNAL when the message cannot be decoded.
    fn start(&self, message: &[u8], origin: Origin, answer: &mut Answer) -> Result<Work, Status>;
}

/// A method whose request is whatever arrives in its inbox.
pub(crate) trait TakesMany {
    /// Its kind.
    fn kind(&self) -> Kind;

    /// What it asks of messages; `None` if it judges them by itself.
    fn terms(&self) -> Option<&Terms>;

    /// Begins.
    fn start(&self, inbox: Rc<Inbox>, origin: Origin, answer: &mut Answer) -> Work;
}

/// What serves a path.
#[derive(Clone)]
pub(crate) enum Route {
    /// A local method with a single message.
    TakesOne(Rc<dyn TakesOne>),
    /// A local method with a stream of messages.
    TakesMany(Rc<dyn TakesMany>),
    /// A service of tonic's, which frames and compresses by itself.
    Tonic(Rc<dyn TakesMany>),
    /// Something that does not speak gRPC.
    Plain(Rc<dyn TakesMany>),
}

impl Route {
    /// The kind of its method.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::TakesOne(method) => method.kind(),
            Self::TakesMany(method) | Self::Tonic(method) | Self::Plain(method) => method.kind(),
        }
    }

    /// What a local method asks of messages.
    pub(crate) fn terms(&self) -> Option<&Terms> {
        match self {
            Self::TakesOne(method) => Some(method.terms()),
            Self::TakesMany(method) | Self::Tonic(method) | Self::Plain(method) => method.terms(),
        }
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TakesOne(_) => "TakesOne",
            Self::TakesMany(_) => "TakesMany",
            Self::Tonic(_) => "Tonic",
            Self::Plain(_) => "Plain",
        })
    }
}
