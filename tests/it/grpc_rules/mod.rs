//! The rules of gRPC over HTTP/2 (grpc/doc/PROTOCOL-HTTP2.md, statuscodes.md), in raw frames: what a server answers to requests that break them,
//! and to those that are only unusual. They are the same on every engine.

mod answers;
pub(crate) mod compressed;
mod deadlines;
mod messages;
mod requests;
