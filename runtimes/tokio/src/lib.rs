//! loopswap on standard tokio: one current-thread runtime a worker, on epoll.
//!
//! The twin of `loopswap-tokio-uring` and `loopswap-glommio`: the same files, the same items in the same order, so that a diff of two shows what
//! the loop changes. What is particular here:
//!
//! * Timers tick at 1 ms and round up: a 10 ms sleep takes about 11 ms. That is what tokio does, and it is left as it is.
//! * Files are read and written on tokio's blocking pool, as `tokio::fs` does.

mod files;
mod net;
mod spawn;
mod start;
mod timer;

pub use files::File;
pub use net::{Connection, Listener};
pub use start::Tokio;
pub use timer::Sleep;
