//! The native HTTP/2 engine: RFC 9113 and RFC 7541 for a server, without I/O.
//!
//! A [`Connection`] is given bytes, and the time; it yields [`Event`]s, and writes what is to be sent into one buffer. It has no sockets, clocks, tasks or
//! executors, so any event loop can drive it, a simulated one as well as a real one.
//!
//! * `connection` is the protocol: what a frame means, in which state, and what it may cost; `streams` holds the open ones.
//! * `frame` reads and writes frames, `hpack` header blocks; [`Head`] is what a request's block says.
//! * [`Limits`] names what a peer may cost, and [`Violation`] the limit that it has reached; `budget` counts.
//!
//! ```
//! use std::rc::Rc;
//! use std::time::Instant;
//!
//! use loopswap::http2::{Connection, Event, Limits};
//!
//! let mut connection = Connection::new(Rc::new(Limits::default()), Instant::now());
//! // What a client sends first: the preface, and SETTINGS.
//! let mut input: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
//! while let Some(event) = connection.receive(&mut input) {
//!     match event {
//!         Event::Request { stream, head, .. } => println!("{stream:?}: {head:?}"),
//!         _ => {}
//!     }
//! }
//! let to_send = connection.take_output(Vec::new());
//! assert!(to_send.starts_with(b"\0\0")); // Our SETTINGS, their acknowledgement, and a larger window.
//! ```

mod budget;
pub(crate) mod client;
mod connection;
mod error_code;
mod fields;
mod frame;
#[doc(hidden)]
pub mod fuzzing;
mod head;
pub(crate) mod hpack;
mod limits;
mod queue;
mod streams;

pub use budget::Rate;
pub use connection::{Closing, Connection, Event};
pub use error_code::ErrorCode;
pub use fields::{Field, Fields, Indexing, Visitor};
pub(crate) use frame::PREFACE;
pub use head::Head;
pub use limits::{Limits, Violation};
pub use streams::StreamKey;
