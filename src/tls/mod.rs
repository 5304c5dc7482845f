//! TLS and mutual TLS, on the connections of every loop and under both engines, by rustls with ring.
//!
//! [`ServerTls`] is given to [`Builder::tls`](crate::Builder::tls), [`ClientTls`] to [`Endpoint::tls`](crate::client::Endpoint::tls). The guide,
//! `docs/guide/tls.md`, has it task by task.
//!
//! * What a connection is: `connection`, again one of `rt`, on `session`, which is TLS without I/O. The handshake goes on in the connection's own task, whenever
//!   that receives, and within the [time for the handshake](crate::Limits::handshake_timeout), which covers the opening of HTTP/2 as well.
//! * What it comes from: `server` and `client` are descriptions and what rustls makes of them, of `pem`; `current` is what a reload replaces.
//! * What is known of it: `peer` for services, `refusal` for counters and logs.

mod client;
mod connection;
mod current;
mod peer;
mod pem;
mod refusal;
mod server;
mod session;
#[cfg(test)]
mod tests;

pub use client::ClientTls;
pub use refusal::TlsRefusal;
pub use rustls::pki_types::CertificateDer;
pub use server::{ClientAuth, ServerTls};

pub(crate) use client::LoadedTls;
pub(crate) use connection::TlsConnection;
pub(crate) use current::CurrentTls;
pub(crate) use peer::TlsFacts;
