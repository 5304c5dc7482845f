//! A tokio runtime beside each worker's executor, for services and libraries that want one around them: `tokio::spawn`, `tokio::time`, `tokio::net`.
//!
//! Tonic's own crates are among them. Its one thread runs what is spawned, and its timers; their wakers come to the executor from another thread, which
//! `relay` allows. Nothing of ours runs on it.

use std::time::Duration;

use loopswap_rt::{Unavailable, Worker};
use tokio::runtime::{Builder, EnterGuard, Runtime};

/// At a worker's end, how long what was spawned on the helper may take to come to its next await, and what blocks to end.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// The helper of one worker. Dropped, it drops what was spawned there.
pub(crate) struct Helper {
    /// Until the end.
    runtime: Option<Runtime>,
}

impl Helper {
    /// Starts the helper's thread.
    ///
    /// # Errors
    ///
    /// The system refuses a thread or descriptors.
    pub(crate) fn start(worker: &Worker) -> Result<Self, Unavailable> {
        let name = format!("{}-tokio", worker.name);
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name(name).enable_all().build();
        let runtime = runtime.map_err(|error| {
            Unavailable::new(
                format!("the tokio runtime beside glommio cannot be started: {error}"),
                "raise ulimit -u and ulimit -n, or use --runtime tokio",
            )
        })?;
        Ok(Self { runtime: Some(runtime) })
    }

    /// Makes it the tokio of this thread for as long as the value lives.
    pub(crate) fn enter(&self) -> EnterGuard<'_> {
        self.runtime.as_ref().expect("taken when it is dropped").enter()
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(END_TIMEOUT);
        }
    }
}
