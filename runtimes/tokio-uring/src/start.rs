//! The loop, its probe and its start.

use std::future::{Future, poll_fn};
use std::panic::resume_unwind;
use std::pin::pin;
use std::rc::Rc;

use io_uring::opcode;
use loopswap_rt::uring::{self, Operation};
use loopswap_rt::{Ambient, Start, Unavailable, Worker, catch_unwind};
use tokio::task::LocalSet;

use crate::buffers::Buffers;
use crate::ring::Ring;

/// Submission entries of the ring: what may wait for one entry into the kernel. tokio-uring's own default.
const ENTRIES: u32 = 256;

/// Completion entries: a burst on every connection of a busy worker fits, so that the kernel's overflow list stays out of play. 64 KiB.
const COMPLETIONS: u32 = 4096;

/// Receive buffers of a worker; 4 MiB of address space, of which small messages touch a quarter.
const RECEIVE_BUFFERS: u16 = 256;

/// What the adapter asks of the kernel.
const OPERATIONS: &[Operation] = &[
    (opcode::Accept::CODE, "ACCEPT"),
    (opcode::Connect::CODE, "CONNECT"),
    (opcode::Recv::CODE, "RECV"),
    (opcode::Send::CODE, "SEND"),
    (opcode::ProvideBuffers::CODE, "PROVIDE_BUFFERS"),
    (opcode::Timeout::CODE, "TIMEOUT"),
    (opcode::OpenAt::CODE, "OPENAT"),
    (opcode::Read::CODE, "READ"),
    (opcode::Write::CODE, "WRITE"),
    (opcode::Fsync::CODE, "FSYNC"),
];

/// tokio-uring: `current_thread`, on an io_uring.
#[derive(Clone, Debug)]
pub struct TokioUring {
    entries: u32,
    receive_buffers: u16,
}

impl Default for TokioUring {
    fn default() -> Self {
        Self { entries: ENTRIES, receive_buffers: RECEIVE_BUFFERS }
    }
}

impl TokioUring {
    /// A ring of `entries` submissions and `receive_buffers` of 16 KiB a worker. Neither bounds what can be under way: a full ring is handed to
    /// the kernel early, and a receive that finds no buffer brings one of its own.
    ///
    /// # Panics
    ///
    /// When either is 0.
    pub fn with_ring(entries: u32, receive_buffers: u16) -> Self {
        assert!(entries > 0 && receive_buffers > 0, "a ring has at least one entry and one buffer");
        Self { entries, receive_buffers }
    }

    fn ring(&self) -> io_uring::Builder {
        let mut builder = io_uring::IoUring::builder();
        builder.setup_coop_taskrun().setup_cqsize(COMPLETIONS.max(self.entries));
        builder
    }
}

impl Start for TokioUring {
    const NAME: &'static str = "tokio-uring";

    fn probe(&self) -> Result<(), Unavailable> {
        uring::raise_memlock();
        uring::probe_ring(&self.ring(), self.entries, OPERATIONS)
    }

    fn run<Main, Fut>(&self, _worker: &Worker, main: Main) -> Result<Fut::Output, Unavailable>
    where
        Main: FnOnce() -> Fut,
        Fut: Future + 'static,
        Fut::Output: 'static,
    {
        uring::raise_memlock();
        // Before the runtime, because dropped after it: until its ring is gone, the kernel may write into a buffer.
        let buffers = Rc::new(Buffers::new(self.receive_buffers));
        let mut builder = tokio_uring::builder();
        builder.entries(self.entries).uring_builder(&self.ring());
        let runtime = uring::retry_without_memory(|| tokio_uring::Runtime::new(&builder)).map_err(|error| uring::explain(&error))?;
        let _ambient = Ambient::enter(self.clone());
        let entries = self.entries;
        let value = runtime.block_on(async {
            let ring = Ring::enter(entries, buffers);
            // A set of our own: tokio-uring's is dropped only together with its ring.
            let tasks = LocalSet::new();
            tasks.spawn_local(ring.janitor());
            tasks.spawn_local(ring.timekeeper());
            let value = {
                let mut main = pin!(tasks.run_until(async { catch_unwind(async { main().await }).await }));
                poll_fn(|cx| {
                    ring.submit_if_starved();
                    main.as_mut().poll(cx)
                })
                .await
            };
            drop(tasks);
            ring.finish().await;
            value
        });
        Ok(value.unwrap_or_else(|payload| resume_unwind(payload)))
    }
}
