//! Compiles `.proto` files for loopswap, from a build script, without protoc.
//!
//! For each service it gives the **local trait**, which a user implements with native `async fn`s that need not be `Send`; a server type, which
//! is what loopswap serves; and tonic's client. Messages are prost's.
//!
//! # Use
//!
//! ```toml
//! [dependencies]
//! loopswap = "0.1"
//! prost = "0.14"         # what messages are made of
//! tonic = "0.14"         # the client; with `.client(false)` these two are not needed
//! tonic-prost = "0.14"
//!
//! [build-dependencies]
//! loopswap-build = "0.1"
//! ```
//!
//! `build.rs`:
//!
//! ```no_run
//! fn main() -> Result<(), loopswap_build::Error> {
//!     loopswap_build::compile_protos(&["proto/helloworld.proto"], &["proto"])
//! }
//! ```
//!
//! And in the program, a module for each package, where `loopswap::include_proto!` takes in what was generated:
//!
//! ```ignore
//! mod helloworld {
//!     loopswap::include_proto!("helloworld");
//! }
//!
//! use helloworld::{Greeter, GreeterServer, HelloReply, HelloRequest};
//! ```
//!
//! # What a service becomes
//!
//! For `service Greeter` of the package `helloworld`, beside the messages and under their module:
//!
//! ```ignore
//! pub trait Greeter: 'static {
//!     // rpc SayHello (HelloRequest) returns (HelloReply);
//!     fn say_hello(&self, request: Request<HelloRequest>) -> impl Future<Output = Result<Response<HelloReply>, Status>>;
//!
//!     // rpc Collect (stream HelloRequest) returns (HelloReply);
//!     fn collect(&self, request: Request<Streaming<HelloRequest>>) -> impl Future<Output = Result<Response<HelloReply>, Status>>;
//!
//!     // rpc Repeat (HelloRequest) returns (stream HelloReply);
//!     fn repeat(
//!         &self,
//!         request: Request<HelloRequest>,
//!     ) -> impl Future<Output = Result<Response<impl Stream<Item = Result<HelloReply, Status>>>, Status>>;
//! }
//!
//! pub struct GreeterServer<T> { /* … */ }   // new, from_rc, max_decoding_message_size, max_encoding_message_size
//!
//! pub mod greeter_client { /* tonic's GreeterClient */ }
//! ```
//!
//! Implement the methods as `async fn`s. A method that streams its answer is written
//!
//! ```ignore
//! async fn repeat(&self, request: Request<HelloRequest>) -> Result<Response<impl Stream<Item = Result<HelloReply, Status>>>, Status> { /* … */ }
//! ```
//!
//! whatever the stream is: it may borrow `self`, need not be `Send`, and may be a boxed one. (A concrete type in the place of `impl Stream`
//! compiles as well, with the compiler's warning `refining_impl_trait`, since callers could then rely on that type.)
//!
//! Generated code names everything by absolute paths, so that messages may be called `Option` or `Result`. A comment's code blocks are text to
//! rustdoc, never tests. Deprecated methods are `#[deprecated]` in the trait and the client.
//!
//! # Names
//!
//! Names are prost's: `SayHello` becomes `say_hello`, `Type` becomes `r#type`. Where two things would get one name, [`Builder::compile`] fails, says
//! where both are, and [`Builder::rust_name`] gives one of them another name in Rust. The wire does not change.
//!
//! More is set with [`configure`], and everything that prost-build can do with [`Builder::prost`].

mod builder;
mod comments;
mod error;
mod generator;
mod local;
mod names;
mod rename;
mod service;
mod sources;

use std::path::Path;

pub use builder::{Builder, configure};
pub use error::{Error, ErrorKind};
pub use prost_build;
pub use prost_types::FileDescriptorSet;

/// Compiles these files, with the defaults of [`configure`]. The files are looked for, and their imports, in the directories `includes`.
///
/// # Errors
///
/// As [`Builder::compile`].
pub fn compile_protos(protos: &[impl AsRef<Path>], includes: &[impl AsRef<Path>]) -> Result<(), Error> {
    configure().compile(protos, includes)
}
