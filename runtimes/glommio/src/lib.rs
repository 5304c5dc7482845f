//! loopswap on glommio: one executor a worker, on three io_uring rings.
//!
//! The twin of `loopswap-tokio` and `loopswap-tokio-uring`: the same files, the same items in the same order, so that a diff of two shows what
//! the loop changes. Five more files make up for what glommio 0.9 leaves to its users: `relay`, `tasks`, `pool`, `eventfd` and `helper`. What is particular here:
//!
//! * **Start.** glommio calls `exit(1)` on a kernel that lacks an operation, and panics where rings are refused; the probe asks for all that it
//!   will ask for, before. It wants RLIMIT_MEMLOCK ≥ 512 KiB of everyone, and registers 10 MiB a worker unless told otherwise.
//! * **The first sleep** of a process takes some 30 ms (the kernel registers the process for `membarrier(2)`): it is spent before `main`.
//! * **Panics.** One in a task ends the executor, one in a task's destructor aborts the process: both are caught here.
//! * **Spawning.** `glommio::spawn_local` polls the task at once, inside the call: tasks go into the default queue instead.
//! * **Wakers** are counted in 16 bits (a task with 32,768 of them panics), and one that outlives the executor leaks its task and an eventfd:
//!   glommio's never leave the adapter, see `relay`.
//! * **The end.** An executor that is dropped leaks the tasks that still wait (glommio#636), closes that were not submitted, and what the kernel
//!   accepted or opened for nobody: `tasks` ends all of them before `run` returns. And it leaks its eventfd, always: see `eventfd`.
//! * **Accepting.** A cancelled accept takes a client with it, so one stays armed. The quick path of glommio's accept toggles O_NONBLOCK on the open file
//!   description (give each worker its own) and forgets close-on-exec, which is set here.
//!   A client's peer is asked for after the accept: one that was reset by then is an error of that attempt.
//! * **TCP** is a readiness design: `recv(2)` and `send(2)` without waiting, then PollAdd. The poll keeps a closed socket alive, so a dropped
//!   connection is shut down first.
//! * **Blocking work.** glommio's pool starts its threads at once, loses them to panics, never joins them and runs nothing that is not awaited:
//!   `pool` does it. One thread of glommio's own cannot be avoided.
//! * **tokio.** There is none on the thread, and what wants one panics: a worker has a tokio runtime of one thread at its side, and is in its context, see
//!   `helper`.
//! * **Files** are `BufferedFile`s, not `DmaFile`s, so that all loops share the page cache. glommio reads into buffers of its own and keeps those that it
//!   writes: one copy each way.

mod eventfd;
mod files;
mod helper;
mod net;
mod pool;
mod relay;
mod spawn;
mod start;
mod tasks;
mod timer;

pub use files::File;
pub use net::{Connection, Listener};
pub use start::Glommio;
pub use timer::Sleep;
