//! The loop, its probe and its start.

use std::future::Future;

use loopswap_rt::{Ambient, Start, Unavailable, Worker};
use tokio::runtime::{Builder, LocalOptions};

/// Blocking jobs that may run at once for one worker: tokio's own default.
const BLOCKING_THREADS_MAX: usize = 512;

/// Standard tokio: `current_thread`, on epoll.
#[derive(Clone, Debug, Default)]
pub struct Tokio {
    _private: (),
}

impl Start for Tokio {
    const NAME: &'static str = "tokio";

    /// Epoll is always there.
    fn probe(&self) -> Result<(), Unavailable> {
        Ok(())
    }

    fn run<Main, Fut>(&self, worker: &Worker, main: Main) -> Result<Fut::Output, Unavailable>
    where
        Main: FnOnce() -> Fut,
        Fut: Future + 'static,
        Fut::Output: 'static,
    {
        // Before the runtime, and so dropped after it: the destructors of tasks that are left may make ambient calls.
        let _ambient = Ambient::enter(self.clone());
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .thread_name(format!("{}-blocking", worker.name))
            .build_local(LocalOptions::default())
            .map_err(|error| Unavailable::new(format!("tokio's runtime cannot be built: {error}"), "raise ulimit -n"))?;
        Ok(runtime.block_on(async { main().await }))
    }
}
