//! One gRPC call, identical on every engine.
//!
//! * `call` is fed the request and polled by an engine; it answers through a `transport`, which is the engine's.
//! * `verdict` judges a request by its `head`: method, content type, `timeout`, path. What does not pass is never dispatched.
//! * `framing` cuts messages out of bytes; `encoding` names how they may be compressed, `inflation` and `compress` do it; `inbox` holds the bytes of a streaming request; `partials` bounds what is not whole.
//! * `answer` writes down what is answered; `fields` makes header blocks of statuses and metadata.
//! * `held` stands between a method and the transport where interceptors have the last word.
//! * `work` is what runs a method, found by the router of `service`; `contained` keeps its panics, `deadline` tells what it calls how long it has.
//! * `code` names status codes for people and for collectors of spans.
//! * `admission` says whether a worker takes on another call.
//! * `request`, `response`, `streaming` and `replies` are what a handler sees.
//!
//! It knows no sockets, loops or threads.

mod admission;
mod answer;
mod call;
#[cfg(any(feature = "cli", feature = "otel"))]
mod code;
mod compress;
mod contained;
mod deadline;
mod encoding;
mod fields;
mod framing;
mod head;
mod held;
mod inbox;
mod inflation;
mod lazy;
mod partials;
mod peer;
mod replies;
mod request;
mod response;
mod streaming;
mod timeout;
mod transport;
mod verdict;
mod work;

#[cfg(test)]
mod tests;

pub(crate) use admission::{Admission, Capacity};
pub(crate) use answer::Answer;
pub(crate) use call::{Arrival, Call, refuse_headers};
#[cfg(any(feature = "cli", feature = "otel"))]
pub(crate) use code::code_name;
pub use compress::MessageCompression;
pub(crate) use contained::{PANICKED, contained};
pub use deadline::current_deadline;
pub use encoding::Compression;
pub(crate) use encoding::{Encoding, Encodings, Opening};
pub(crate) use fields::{code_of_http, without_connection_fields};
pub use framing::MessageLimits;
pub(crate) use framing::{PREFIX_BYTES, Terms, decode};
pub(crate) use head::Head;
pub(crate) use held::Held;
pub(crate) use inbox::Inbox;
pub(crate) use partials::{Partials, WorkerPartials};
pub(crate) use peer::Peer;
pub use replies::Replies;
pub(crate) use request::Origin;
pub use request::Request;
pub use response::Response;
pub(crate) use response::ResponseParts;
pub use streaming::Streaming;
pub(crate) use timeout::parse as parse_timeout;
pub(crate) use transport::{CallId, ResponseHead, Trailers, Transport};
pub(crate) use work::{Kind, Route, Running, TakesMany, TakesOne, Work, boxed};
