//! What an event loop promises to loopswap, and the calls by which a service reaches the loop it runs on.
//!
//! This crate holds no executor, no socket code and no HTTP. It has two faces:
//!
//! * **The role traits**, for those who bring a loop: [`Start`], [`Spawn`], [`Offload`], [`Timer`], [`Listen`] with
//!   [`Listener`] and [`Connection`], [`Connect`], [`Files`] with [`FileHandle`]. A type with all of them is a
//!   [`Runtime`]. Each trait says what an implementor can get wrong; `loopswap-conformance` checks it.
//! * **The ambient calls**, for those who write services: [`sleep`], [`timeout`], [`spawn_local`], [`offload`], [`now`],
//!   [`connect`], [`File`]. They use whichever loop runs the current thread, as `asyncio.sleep` does, so that code which awaits them
//!   names no loop and carries no generic. Called outside a loop they panic with a message that says so.
//!
//! # Why role traits, and why these shapes
//!
//! A loop is chosen when the program starts, but the code above it is compiled for each loop separately: the traits are
//! used as generics on the hot path and erased once, for the ambient calls. Everything stays on its worker's thread, so
//! nothing here is `Send` but [`Sleep`] and [`Timeout`], which generated tonic services must be able to hold.
//!
//! Socket operations are shaped for completion *and* readiness: see [`Connection`].

mod address;
mod ambient;
mod any_connection;
mod file;
mod files;
mod inherited;
mod net;
mod offload;
mod on_thread;
mod scratch;
mod spawn;
mod start;
pub mod system;
mod task;
mod timer;
#[cfg(feature = "uring")]
pub mod uring;

pub use address::Address;
pub use ambient::{Ambient, Elapsed, Sleep, Timeout, current_loop, now, offload, sleep, spawn_local, timeout};
pub use any_connection::{AnyConnection, connect};
pub use file::File;
pub use files::{FileHandle, Files, OpenOptions};
pub use inherited::take_inherited;
pub use net::{AcceptedSocket, BoundListener, Connect, Connection, Listen, Listener, accept_now, drain_backlog, take_backlog};
pub use offload::Offload;
pub use on_thread::OnThread;
pub use scratch::with_scratch;
pub use spawn::Spawn;
pub use start::{Start, Unavailable, Worker};
pub use task::{CatchUnwind, Task, TaskError, catch_unwind, contain, live_tasks};
pub use timer::{Timer, deadline_after};

/// Everything a loop does: the sum of the roles.
///
/// A value of it is a loop's *configuration* (ring sizes and the like) and, once [`Start::run`] has begun on a thread,
/// the handle to the loop of that thread. It is cheap to clone, and may be sent to the thread that is to run it.
pub trait Runtime:
    Start
    + Spawn
    + Offload
    + Timer
    + Listen<Listener: Listener<Connection = <Self as Connect>::Connection>>
    + Connect
    + Files
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<R> Runtime for R where
    R: Start
        + Spawn
        + Offload
        + Timer
        + Listen<Listener: Listener<Connection = <Self as Connect>::Connection>>
        + Connect
        + Files
        + Clone
        + Send
        + Sync
        + 'static
{
}
