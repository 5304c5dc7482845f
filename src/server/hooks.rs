//! What a worker does before it serves and after: its start hook, which makes the service, and the stop hook that this leaves.

use std::error::Error as StdError;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use loopswap_rt::{Runtime, Worker, timeout};
use tokio::sync::oneshot;

use crate::server::{Builder, Running, supervisor};
use crate::service::Router;
use crate::{Error, EventLoop, UseLoop};

/// How long a hook may take, unless [`Builder::hook_timeout`] says otherwise.
pub(super) const HOOK_TIMEOUT: Duration = Duration::from_secs(10);

type StopHook = Pin<Box<dyn Future<Output = ()>>>;

/// What a worker's start hook has made: its services, and what is to be done when they have served. See [`Builder::serve_with`].
#[must_use = "it is what a start hook returns"]
pub struct Started {
    router: Router,
    stop: Option<StopHook>,
}

impl Started {
    /// A worker that serves this.
    pub fn new(service: impl Into<Router>) -> Self {
        Self { router: service.into(), stop: None }
    }

    /// What the worker does on its loop after its drain, when no connection is left: closing channels and files, say. It is given
    /// [`Builder::hook_timeout`], and dropped after that. It also runs when the worker had started and the server did not.
    pub fn on_stop(mut self, stop: impl Future<Output = ()> + 'static) -> Self {
        self.stop = Some(Box::pin(stop));
        self
    }

    pub(super) fn into_parts(self) -> (Router, Stop) {
        (self.router, Stop { hook: self.stop })
    }
}

impl fmt::Debug for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Started").field("router", &self.router).field("has_stop_hook", &self.stop.is_some()).finish()
    }
}

/// A worker's stop hook, if it has one.
pub(super) struct Stop {
    hook: Option<StopHook>,
}

impl Stop {
    /// Runs it.
    pub(super) async fn run(self, worker: &Worker, allowed: Duration) {
        if let Some(hook) = self.hook
            && timeout(allowed, hook).await.is_err()
        {
            tracing::warn!(worker = worker.index, "the stop hook has not ended within {allowed:?}, and was dropped");
        }
    }
}

/// Runs a start hook: no longer than is allowed, and no longer than `started`, on which the worker waits for its listener, is open. `None`: another worker
/// could not start.
pub(super) async fn start<T>(
    hook: impl Future<Output = Result<Started, String>>,
    started: &mut oneshot::Receiver<T>,
    allowed: Duration,
) -> Option<Result<Started, String>> {
    let mut hook = pin!(timeout(allowed, hook));
    poll_fn(|cx| {
        // A listener comes after all workers are ready, so this says only that none will.
        if Pin::new(&mut *started).poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        hook.as_mut().poll(cx).map(Some)
    })
    .await
    .map(|ended| ended.unwrap_or_else(|_| Err(format!("its start hook has not ended within {allowed:?}"))))
}

impl Builder {
    /// How long a worker's start hook may take, and its stop hook. Default: 10 s each.
    ///
    /// It ends hooks that wait. One that blocks its thread cannot be ended: [`offload`](loopswap_rt::offload) what blocks. A server waits for such a start hook for as long as
    /// it takes; the log names workers that have not started after 5 s, and again after 10, 20 and so on.
    pub fn hook_timeout(mut self, timeout: Duration) -> Self {
        self.hook_timeout = timeout;
        self
    }

    /// As [`serve`](Self::serve), with a start hook in place of the closure that makes the service: it may wait, fail, and leave a stop hook.
    ///
    /// It runs once on each worker, on its loop, before anything is bound, for no longer than the [time for hooks](Self::hook_timeout). SIGTERM and SIGINT are left alone
    /// until all have started: unless the program itself handles them, they end the process. What it makes belongs to that worker: channels to other services above
    /// all, which live on the loop that made them.
    ///
    /// ```no_run
    /// use loopswap::client::Channel;
    /// use loopswap::greeter::{GreeterServer, Hello};
    /// use loopswap::{Error, Loop, Server, Started};
    ///
    /// # fn main() -> Result<(), Error> {
    /// Server::builder().serve_with(Loop::choose("glommio")?, async |_worker| {
    ///     let channel = Channel::connect("http://127.0.0.1:50051").await?;
    ///     let service = GreeterServer::new(Hello); // which would hold a clone of the channel
    ///     Ok::<_, Error>(Started::new(service).on_stop(async move { channel.close().await }))
    /// })
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`serve`](Self::serve).
    pub fn serve_with<L, E, F>(self, event_loop: L, start: F) -> Result<(), Error>
    where
        L: EventLoop,
        E: Into<Box<dyn StdError + Send + Sync>>,
        F: AsyncFn(&Worker) -> Result<Started, E> + Send + Sync + 'static,
    {
        let mut running = self.start_with(event_loop, start)?;
        running.drain_on_signals()?;
        running.notify_systemd();
        running.wait()
    }

    /// As [`start`](Self::start), with a start hook: see [`serve_with`](Self::serve_with).
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start); and when a start hook fails, with its reason: [`ErrorKind::Worker`](crate::ErrorKind::Worker). The other workers then end
    /// too, by their stop hooks, and nothing was bound.
    pub fn start_with<L, E, F>(self, event_loop: L, start: F) -> Result<Running, Error>
    where
        L: EventLoop,
        E: Into<Box<dyn StdError + Send + Sync>>,
        F: AsyncFn(&Worker) -> Result<Started, E> + Send + Sync + 'static,
    {
        struct Start<F> {
            plan: supervisor::Plan,
            start: F,
        }
        impl<E, F> UseLoop for Start<F>
        where
            E: Into<Box<dyn StdError + Send + Sync>>,
            F: AsyncFn(&Worker) -> Result<Started, E> + Send + Sync + 'static,
        {
            type Output = Result<Running, Error>;
            fn with<R: Runtime>(self, runtime: R) -> Self::Output {
                let Self { plan, start } = self;
                let start = async move |worker: &Worker| {
                    let started = start(worker).await;
                    started.map_err(|why| format!("its start hook failed: {}", why.into()))
                };
                supervisor::start(runtime, plan, start)
            }
        }
        let plan = self.plan()?;
        event_loop.with(Start { plan, start })
    }
}
