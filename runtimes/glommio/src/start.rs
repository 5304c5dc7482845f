//! The loop, its probe and its start.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::panic::{self, AssertUnwindSafe, resume_unwind};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use glommio::{GlommioError, LocalExecutor, LocalExecutorBuilder, Placement};
use io_uring::{IoUring, opcode};
use loopswap_rt::{Ambient, Start, Unavailable, Worker, catch_unwind, uring};
use rustix::process::{Resource, getrlimit};

use crate::eventfd::{self, Eventfd};
use crate::helper::Helper;
use crate::pool::Pool;
use crate::relay::Relayed;
use crate::tasks::Local;

/// Submission entries of each of the three rings: glommio's own default.
const RING_ENTRIES: u32 = 128;

/// Memory that is registered with the rings, in bytes. Only direct file I/O gains by it, so this is the least that glommio takes.
const IO_MEMORY_BYTES: usize = 64 * 1024;

/// Locked memory without which glommio refuses to start, in bytes, whatever the process may do.
const MEMLOCK_BYTES_MIN: u64 = 512 * 1024;

/// How long to wait for the end of glommio's thread, which has nothing left to do.
const THREAD_END_MAX: Duration = Duration::from_secs(1);

/// What glommio checks, and ends the process for when it is missing; and the cancelling, which it uses unchecked.
const OPERATIONS: [uring::Operation; 24] = [
    (opcode::Nop::CODE, "NOP"),
    (opcode::Readv::CODE, "READV"),
    (opcode::Writev::CODE, "WRITEV"),
    (opcode::Fsync::CODE, "FSYNC"),
    (opcode::ReadFixed::CODE, "READ_FIXED"),
    (opcode::WriteFixed::CODE, "WRITE_FIXED"),
    (opcode::PollAdd::CODE, "POLL_ADD"),
    (opcode::PollRemove::CODE, "POLL_REMOVE"),
    (opcode::SendMsg::CODE, "SENDMSG"),
    (opcode::RecvMsg::CODE, "RECVMSG"),
    (opcode::Timeout::CODE, "TIMEOUT"),
    (opcode::TimeoutRemove::CODE, "TIMEOUT_REMOVE"),
    (opcode::Accept::CODE, "ACCEPT"),
    (opcode::LinkTimeout::CODE, "LINK_TIMEOUT"),
    (opcode::Connect::CODE, "CONNECT"),
    (opcode::Fallocate::CODE, "FALLOCATE"),
    (opcode::OpenAt::CODE, "OPENAT"),
    (opcode::Close::CODE, "CLOSE"),
    (opcode::Statx::CODE, "STATX"),
    (opcode::Read::CODE, "READ"),
    (opcode::Write::CODE, "WRITE"),
    (opcode::Send::CODE, "SEND"),
    (opcode::Recv::CODE, "RECV"),
    (opcode::AsyncCancel::CODE, "ASYNC_CANCEL"),
];

/// glommio: three rings a worker, of which one polls disks.
#[derive(Clone, Debug, Default)]
pub struct Glommio {
    _private: (),
}

impl Start for Glommio {
    const NAME: &'static str = "glommio";

    /// Three rings at once, as glommio makes them, and its operations.
    fn probe(&self) -> Result<(), Unavailable> {
        uring::raise_memlock();
        if let Some(limit) = getrlimit(Resource::Memlock).current
            && limit < MEMLOCK_BYTES_MIN
        {
            let (wanted, limit) = (MEMLOCK_BYTES_MIN / 1024, limit / 1024);
            return Err(Unavailable::new(
                format!("glommio wants to lock {wanted} KiB of memory, and the limit is {limit} KiB"),
                "raise it (ulimit -l, LimitMEMLOCK= in systemd) to 8 MiB or more, or use --runtime tokio",
            ));
        }
        let rings = || Ok((IoUring::new(RING_ENTRIES)?, IoUring::builder().setup_iopoll().build(RING_ENTRIES)?));
        let _rings: (IoUring, IoUring) = uring::retry_without_memory(rings).map_err(|error| uring::explain(&error))?;
        uring::probe(RING_ENTRIES, &OPERATIONS)
    }

    fn run<Main, Fut>(&self, worker: &Worker, main: Main) -> Result<Fut::Output, Unavailable>
    where
        Main: FnOnce() -> Fut,
        Fut: Future + 'static,
        Fut::Output: 'static,
    {
        let _ambient = Ambient::enter(self.clone());
        let (executor, eventfd) = self.build()?;
        let pool = Pool::new(format!("{}-blocking", worker.name));
        let helper = eventfd::apart(|| Helper::start(worker))?;
        let tokio = helper.enter();
        let (outcome, thread_end) = executor.run(async move {
            let thread_end = warm_up().await;
            let _entered = Local::enter(pool);
            let outcome = Relayed::new(catch_unwind(async { main().await })).await;
            Local::current().end().await;
            a_turn().await;
            (outcome, thread_end)
        });
        drop(executor);
        drop(tokio);
        drop(helper);
        // Disconnected is what is waited for.
        if thread_end.recv_timeout(THREAD_END_MAX) == Err(RecvTimeoutError::Disconnected) {
            eventfd.close();
        }
        Ok(outcome.unwrap_or_else(|payload| resume_unwind(payload)))
    }
}

/// Held from the probe to the executor, so that no other worker takes what the probe has found free. glommio tries a ring of its own the first time,
/// and once that has panicked, it panics for good.
static BUILDING: Mutex<()> = Mutex::new(());

impl Glommio {
    fn build(&self) -> Result<(LocalExecutor, Eventfd), Unavailable> {
        let _building = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
        // Where this fails, glommio would end the process.
        self.probe()?;
        let (built, eventfd) = Eventfd::of(executor);
        // Another process may have taken it meanwhile: the probe knows the cause better than the panic.
        let built = built.or_else(|unavailable| self.probe().and(Err(unavailable)))?;
        Ok((built, eventfd))
    }
}

/// An executor that leaves the thread on the CPU where it was put.
fn executor() -> Result<LocalExecutor, Unavailable> {
    let make = || {
        let builder = LocalExecutorBuilder::new(Placement::Unbound).ring_depth(RING_ENTRIES as usize).io_memory(IO_MEMORY_BYTES);
        // It panics when the system refuses a thread.
        let made = panic::catch_unwind(AssertUnwindSafe(|| builder.make()));
        made.unwrap_or_else(|_| Err(io::Error::other("it panicked; is a thread refused?").into())).map_err(io_error)
    };
    uring::retry_without_memory(make).map_err(|error| match error.raw_os_error() {
        Some(_) => uring::explain(&error),
        None => Unavailable::new(format!("glommio's executor cannot be built: {error}"), "raise ulimit -u, or use --runtime tokio"),
    })
}

/// What glommio does slowly the first time: sleeping. The receiver is told when glommio's one thread, which it does not join, ends: until
/// then that holds an eventfd.
async fn warm_up() -> mpsc::Receiver<()> {
    thread_local! {
        static AT_THE_END: RefCell<Option<mpsc::Sender<()>>> = const { RefCell::new(None) };
    }
    let (sender, thread_end) = mpsc::channel();
    glommio::executor().spawn_blocking(move || AT_THE_END.set(Some(sender))).await;
    glommio::timer::sleep(Duration::from_millis(1)).await;
    thread_end
}

/// Lets the executor submit what is queued: an answer of its thread arrives after that.
async fn a_turn() {
    glommio::executor().spawn_blocking(|| ()).await;
}

/// glommio's own conversion drops the number of the error.
pub(crate) fn io_error(error: GlommioError<()>) -> io::Error {
    match error.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number),
        None => error.into(),
    }
}
