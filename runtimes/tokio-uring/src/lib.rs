//! loopswap on tokio-uring: one current-thread runtime a worker, with an io_uring for sockets, timers and files.
//!
//! The twin of `loopswap-tokio` and `loopswap-glommio`: the same files, the same items in the same order, so that a diff of two shows what the
//! loop changes. What is particular here:
//!
//! * Every operation goes through the ring by `ring`'s one function, because tokio-uring 0.5 has no receive, send, timeout or cancel of its own.
//! * The ring is built with COOP_TASKRUN: the kernel then interrupts nobody to complete an operation.
//! * Receiving takes its buffer from a group that the kernel chooses from (`buffers`), so that an idle connection owns none.
//! * A sleep is an entry in a queue (`timer`); the earliest deadline is a timeout of the ring.
//! * tokio-uring forgets operations that are dropped, and hands their entries to the kernel only when it parks: `ring` makes up for both.

mod buffers;
mod files;
mod net;
mod ring;
mod spawn;
mod start;
mod timer;

pub use files::File;
pub use net::{Connection, Listener};
pub use start::TokioUring;
pub use timer::Sleep;
