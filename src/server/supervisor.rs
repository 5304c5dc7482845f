//! Starts all workers or none, and ends them together.
//!
//! The order of a start: the loop is probed; each worker builds its loop and its service; when all have, the addresses are bound; each worker gets its
//! listeners, and the acceptor, where one is needed, starts. So nothing is bound that is not served, and a loop that cannot run is told before a port is touched.

use std::fmt;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use loopswap_rt::{Address, Runtime, Worker, live_tasks};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tokio::sync::{oneshot, watch};

use crate::observe::{Endpoint, Observer, Source};
#[cfg(feature = "otel")]
use crate::observe::{Exporter, Otlp};
use crate::pulse::Pulse;
use crate::server::acceptor::Acceptor;
use crate::server::health::Health;
use crate::server::hooks::{self, Started};
use crate::server::listen::{self, Bound, Doors, SocketFile};
use crate::server::phase::Phase;
use crate::server::places::{Places, Share};
use crate::server::security::{Security, Watch};
use crate::server::systemd::{Manager, Signs};
use crate::server::threads::{End, Patience, Report, Teller, Threads, Told};
use crate::server::watchdog::Watchdog;
use crate::server::worker::{self, Entrance, Setup};
use crate::server::{Counters, channelz};
use crate::{Error, ErrorKind};

/// What to start.
pub(super) struct Plan {
    pub(super) doors: Doors,
    pub(super) n_workers: usize,
    pub(super) max_connections: usize,
    pub(super) pin_cpus: bool,
    pub(super) setup: Setup,
    pub(super) hook_timeout: Duration,
    pub(super) drain_delay: Duration,
    pub(super) health: Option<Health>,
    /// Where metrics are served, if they are.
    pub(super) metrics_address: Option<String>,
    /// How spans are exported, if they are.
    #[cfg(feature = "otel")]
    pub(super) otlp: Option<Otlp>,
}

/// Ends a running server, from any thread.
#[derive(Clone, Debug)]
pub struct Handle {
    orders: watch::Sender<Phase>,
    /// Where the supervisor learns of them.
    reports: mpsc::Sender<Report>,
    counters: Arc<Counters>,
    pub(super) security: Security,
    pub(super) manager: Manager,
    drain_delay: Duration,
}

impl Handle {
    /// Stops accepting, tells every connection to open no more calls (GOAWAY), and ends when the calls under way have, or when the drain timeout is
    /// over. Health says NOT_SERVING from now on; with a [drain delay](crate::Builder::drain_delay), the rest begins when that is over.
    pub fn drain(&self) {
        self.order(if self.drain_delay.is_zero() { Phase::Draining } else { Phase::Leaving });
    }

    /// Closes everything now.
    pub fn stop(&self) {
        self.order(Phase::Stopping);
    }

    /// How often peers have reached a limit.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What has been ordered.
    pub(super) fn phase(&self) -> watch::Receiver<Phase> {
        self.orders.subscribe()
    }

    /// For how long the server serves on after it was told to drain.
    pub(super) fn drain_delay(&self) -> Duration {
        self.drain_delay
    }

    /// Orders a phase. Whether it is a later one than was ordered before.
    pub(super) fn order(&self, phase: Phase) -> bool {
        let mut is_first = false;
        let is_later = self.orders.send_if_modified(|ordered| {
            let is_later = phase > *ordered;
            is_first = is_later && *ordered == Phase::Serving;
            *ordered = phase.max(*ordered);
            is_later
        });
        if is_first {
            self.manager.tell("STOPPING=1");
        }
        if is_later {
            // One that is gone waits for nobody.
            let _ = self.reports.send(Report::Ordered(phase));
        }
        is_later
    }
}

/// A server that runs, in threads of its own. Dropped, it is stopped at once; for its threads is waited as in [`wait`](Self::wait).
pub struct Running {
    pub(super) handle: Handle,
    local_addrs: Vec<Address>,
    n_workers: usize,
    max_connections: usize,
    threads: Threads,
    signals: Option<signal_hook::iterator::Handle>,
    _watch: Watch,
    /// Removed at the end, behind the threads.
    files: Vec<SocketFile>,
    /// Exports what the workers have left behind.
    #[cfg(feature = "otel")]
    _exporter: Option<Exporter>,
    /// Serves the metrics until all has ended.
    endpoint: Option<Endpoint>,
    /// Until the end.
    _watchdog: Option<Watchdog>,
    pub(super) pulses: Vec<Arc<Pulse>>,
    /// Until the end, as well.
    pub(super) signs: Signs,
}

impl Running {
    /// Where it listens, or the first of several such places; with the port that the kernel chose where 0 was asked for.
    pub fn local_addr(&self) -> &Address {
        &self.local_addrs[0]
    }

    /// Everywhere it listens, in the order in which it was told.
    pub fn local_addrs(&self) -> &[Address] {
        &self.local_addrs
    }

    /// Where its metrics are served, if they are.
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.endpoint.as_ref().map(Endpoint::address)
    }

    /// How many connections may be open: see [`Builder::max_connections`](crate::Builder::max_connections).
    pub fn max_connections(&self) -> usize {
        self.max_connections
    }

    /// Ends it from elsewhere.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// From now on SIGTERM and SIGINT drain the server, and a second one stops it. SIGHUP reloads its TLS, if it has any; without, SIGHUP is left alone.
    ///
    /// # Errors
    ///
    /// The handlers cannot be installed.
    pub fn drain_on_signals(&mut self) -> Result<(), Error> {
        let failed = |error: io::Error| Error::new(ErrorKind::Worker, format!("cannot handle signals: {error}")).with_source(error);
        let ends = [SIGTERM, SIGINT];
        let reloads = self.handle.security.can_be_reloaded().then_some(SIGHUP);
        let mut signals = Signals::new(ends.into_iter().chain(reloads)).map_err(failed)?;
        self.signals = Some(signals.handle());
        let handle = self.handle();
        let body = move || {
            let mut n = 0;
            for signal in signals.forever() {
                if signal == SIGHUP {
                    handle.security.reload_and_tell();
                    continue;
                }
                n += 1;
                let name = if signal == SIGTERM { "SIGTERM" } else { "SIGINT" };
                if n == 1 {
                    match handle.drain_delay() {
                        Duration::ZERO => tracing::info!("{name}: draining; a second signal stops at once"),
                        delay => tracing::info!("{name}: leaving, and draining in {delay:?}; a second signal stops at once"),
                    }
                    handle.drain();
                } else {
                    tracing::warn!("{name}: stopping at once");
                    handle.stop();
                }
            }
        };
        thread::Builder::new().name("signals".into()).spawn(body).map_err(failed)?;
        Ok(())
    }

    /// Waits until the server has ended. That takes no longer than it may: a worker that has not served 6 s after the [drain timeout](crate::Builder::drain_timeout), or
    /// after it was told to stop, is blocked by a handler; one that has not ended 5 s after its [stop hook's time](crate::Builder::hook_timeout), by that. It is left
    /// behind, and its thread goes on for as long as the process does.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Worker`]: a worker ended by itself, which ends the others, or was left behind. [`ErrorKind::Cut`]: connections had to be cut at the end.
    pub fn wait(mut self) -> Result<(), Error> {
        let (n_cut, failure) = self.threads.end(|| self.handle.stop());
        if let Some(failure) = failure {
            Err(Error::new(ErrorKind::Worker, failure))
        } else if n_cut > 0 {
            let were = if n_cut == 1 { "connection was" } else { "connections were" };
            Err(Error::new(ErrorKind::Cut, format!("{n_cut} {were} cut: they had not ended when the drain was over or was cut short")))
        } else {
            Ok(())
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.stop();
        if let (_, Some(failure)) = self.threads.end(|| {}) {
            tracing::error!("{failure}");
        }
        if let Some(signals) = self.signals.take() {
            signals.close();
        }
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("local_addrs", &self.local_addrs).field("n_workers", &self.n_workers).finish_non_exhaustive()
    }
}

/// Starts the workers, then listens.
pub(super) fn start<R, F>(runtime: R, plan: Plan, start_hook: F) -> Result<Running, Error>
where
    R: Runtime,
    F: AsyncFn(&Worker) -> Result<Started, String> + Send + Sync + 'static,
{
    let Plan {
        doors,
        n_workers,
        max_connections,
        pin_cpus,
        setup,
        hook_timeout,
        drain_delay,
        health,
        metrics_address,
        #[cfg(feature = "otel")]
        otlp,
    } = plan;
    runtime.probe().map_err(|why| Error::unavailable(R::NAME, why))?;
    let cpus = if pin_cpus { allowed_cpus()? } else { Vec::new() };
    let metrics = setup.observe.metrics.clone();
    if let Some(metrics) = &metrics {
        metrics.begin();
    }
    // Before the workers, so that it says while they start that they do.
    let endpoint = metrics_address.zip(metrics.clone()).map(|(address, metrics)| Endpoint::start(&address, metrics)).transpose()?;
    #[cfg(feature = "otel")]
    let exports = setup.observe.exports.clone();
    #[cfg(feature = "otel")]
    let exporter = otlp.zip(exports.clone()).map(|(otlp, exports)| Exporter::start(runtime.clone(), otlp, exports)).transpose()?;
    let threads = Threads::new(Patience { drain_delay, drain_timeout: setup.drain_timeout, hook_timeout });
    let start_hook = Arc::new(start_hook);
    let handle = Handle {
        orders: watch::Sender::new(Phase::Serving),
        reports: threads.reports(),
        counters: Arc::clone(&setup.counters),
        security: setup.security.clone(),
        manager: Manager::default(),
        drain_delay,
    };
    let watch = setup.security.watch()?;
    let pulses: Vec<_> = (0..n_workers).map(|_| Arc::new(Pulse::new())).collect();
    let watched = pulses.iter().enumerate().map(|(index, pulse)| (Worker::new(index).name, Arc::clone(pulse))).collect();
    let watchdog = setup.overload.stall_log.map(|stall| Watchdog::start(watched, stall, Arc::clone(&setup.counters)));
    let watchdog = watchdog
        .transpose()
        .map_err(|error| Error::new(ErrorKind::Worker, format!("the watchdog's thread cannot be started: {error}")).with_source(error))?;
    let mut running = Running {
        handle: handle.clone(),
        local_addrs: Vec::new(),
        n_workers,
        max_connections,
        threads,
        signals: None,
        files: Vec::new(),
        #[cfg(feature = "otel")]
        _exporter: exporter,
        endpoint,
        _watchdog: watchdog,
        _watch: watch,
        pulses: pulses.clone(),
        signs: None,
    };

    // Declared after `running`: on the way out of an error they are dropped first, which ends the workers that wait for their listener.
    let mut starts = Vec::with_capacity(n_workers);
    for (index, pulse) in pulses.into_iter().enumerate() {
        let worker = Worker { cpu: cpus.get(index % cpus.len().max(1)).copied(), ..Worker::new(index) };
        let (start, started) = oneshot::channel();
        let name = worker.name.clone();
        let (runtime, start_hook, setup) = (runtime.clone(), Arc::clone(&start_hook), setup.clone());
        let (handle, health) = (handle.clone(), health.clone());
        let body = move |teller: &Teller| {
            run_worker(runtime, worker, start_hook, hook_timeout, setup, pulse, started, handle, health, teller.clone())
        };
        running.threads.spawn(name, format!("worker {index}"), body)?;
        starts.push(start);
    }

    running.threads.until_ready().map_err(|(who, end)| match end {
        End::Unavailable(why) => Error::unavailable(R::NAME, why),
        End::Failed(why) => Error::new(ErrorKind::Worker, format!("{who} cannot start: {why}")),
        End::Orderly => unreachable!("a worker that is ready waits for its listeners"),
    })?;
    let Bound { own, shared, addresses, files } = listen::bind(&doors, n_workers)?;
    (running.local_addrs, running.files) = (addresses, files);
    let places = Places::new(max_connections, Arc::clone(&running.handle.counters));
    let shares: Vec<_> = (0..n_workers).map(|_| Share::new(&places)).collect();
    let mut handed: Vec<_> = (0..n_workers).map(|_| None).collect();
    // Channelz has sockets by worker; those that all share are told of by the first.
    let mut also: Vec<_> = shared.iter().filter_map(|shared| shared.listener.local_addr().ok()).collect();
    if !shared.is_empty() {
        let (acceptor, queues) = Acceptor::new(shared, &shares, running.handle.phase())
            .map_err(|error| Error::new(ErrorKind::Worker, format!("the acceptor cannot start: {error}")).with_source(error))?;
        handed = queues.into_iter().map(Some).collect();
        let body = |teller: &Teller| {
            teller.tell(Told::Ready);
            acceptor.run().map_or_else(|error| End::Failed(error.to_string()), |()| End::Orderly)
        };
        running.threads.spawn("acceptor".into(), "the acceptor".into(), body)?;
    }
    for (((start, listeners), handed), share) in starts.into_iter().zip(own).zip(handed).zip(shares) {
        // A worker that has died meanwhile is reported by `wait`.
        let _ = start.send(Entrance { listeners, also_at: mem::take(&mut also), handed, share });
    }
    if let Some(metrics) = &metrics {
        metrics.attach(Source {
            counters: Arc::clone(&running.handle.counters),
            orders: running.handle.orders.subscribe(),
            max_connections,
            #[cfg(feature = "otel")]
            exports,
        });
    }
    Ok(running)
}

/// The life of a worker's thread.
#[expect(clippy::too_many_arguments, reason = "all that a worker has, given once")]
fn run_worker<R, F>(
    runtime: R,
    worker: Worker,
    start_hook: Arc<F>,
    hook_timeout: Duration,
    setup: Setup,
    pulse: Arc<Pulse>,
    mut started: oneshot::Receiver<Entrance>,
    handle: Handle,
    health: Option<Health>,
    teller: Teller,
) -> End
where
    R: Runtime,
    F: AsyncFn(&Worker) -> Result<Started, String> + 'static,
{
    if let Some(cpu) = worker.cpu
        && let Err(error) = pin_to(cpu)
    {
        return End::Failed(format!("it cannot be pinned to CPU {cpu}: {error}"));
    }
    let (on, this) = (runtime.clone(), worker.clone());
    let ended = runtime.run(&worker, move || async move {
        let (mut router, stop) = match hooks::start(start_hook(&this), &mut started, hook_timeout).await {
            Some(Ok(made)) => made.into_parts(),
            Some(Err(why)) => return Err(why),
            // Another worker could not start.
            None => return Ok(()),
        };
        if let (Some(sockets), Some(metrics)) = (&setup.sockets, &setup.observe.metrics) {
            router = router.add(channelz::service(sockets, metrics));
        }
        if let Some(health) = health {
            router = router.add(health.service(handle.phase()));
            health.add(router.services());
        }
        // Before it is ready: who serves is seen.
        let observer = Observer::new(&setup.observe, &on, this.index, &router);
        teller.tell(Told::Ready);
        let served = match started.await {
            Ok(entrance) => worker::serve(on, entrance, router, setup, pulse, observer, handle).await.map_err(|error| error.to_string()),
            // The same.
            Err(_) => Ok(0),
        };
        teller.tell(Told::Served(*served.as_ref().unwrap_or(&0)));
        stop.run(&this, hook_timeout).await;
        let n_tasks = live_tasks();
        if n_tasks > 0 {
            tracing::info!(worker = this.index, n_tasks, "tasks are left, and end with the loop");
        }
        served.map(drop)
    });
    match ended {
        Ok(Ok(())) => End::Orderly,
        Ok(Err(why)) => End::Failed(why),
        Err(why) => End::Unavailable(why),
    }
}

/// The CPUs that this process may use.
fn allowed_cpus() -> Result<Vec<usize>, Error> {
    let set = sched_getaffinity(None)
        .map_err(|error| Error::new(ErrorKind::Worker, format!("cannot find out which CPUs may be used: {error}")).with_source(error))?;
    Ok((0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect())
}

fn pin_to(cpu: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu);
    Ok(sched_setaffinity(None, &set)?)
}
