//! Loops that stand still: a handler that blocks its thread, or computes for long, holds up every connection of its worker, and nothing on that thread can tell.
//!
//! Each worker ticks on its loop; a thread beside them looks at the ticks.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use loopswap_rt::{Task, now, sleep, spawn_local};

use crate::pulse::Pulse;
use crate::server::{Counters, House};

/// How often the watchdog looks: this often within the time that is called a stall, and finer while one lasts, whose end is to be told.
const LOOKS_A_STALL: u32 = 4;
const LOOK_WHILE_STALLED: Duration = Duration::from_millis(10);

/// A worker's tick. Dropped, it ends, and what the log has not told is told.
pub(super) struct Ticking {
    task: Task<()>,
    pulse: Arc<Pulse>,
    house: Rc<House>,
}

impl Ticking {
    /// Begins to tick on the loop of this thread.
    pub(super) fn start(pulse: Arc<Pulse>, house: Rc<House>, every: Duration) -> Self {
        let (beats, tells) = (Arc::clone(&pulse), Rc::clone(&house));
        let task = spawn_local(async move {
            loop {
                let now = now();
                beats.beat(now + every);
                tells.log.tell_minutes(now);
                sleep(every).await;
            }
        });
        Self { task, pulse, house }
    }

    /// Ends it, and waits until its task is gone.
    pub(super) async fn end(mut self) {
        self.task.abort();
        // It was aborted, and has no value.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        self.task.abort();
        self.pulse.rest();
        self.house.log.tell_rest(now());
    }
}

/// The thread that looks. Dropped, it ends.
pub(super) struct Watchdog {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A worker, as the watchdog sees it.
struct Watched {
    name: String,
    pulse: Arc<Pulse>,
    /// Since when it stands still, if it does.
    since: Option<Instant>,
}

impl Watchdog {
    /// Watches these workers. A loop that has not come round for `stall` is logged and counted.
    ///
    /// # Errors
    ///
    /// The thread cannot be started.
    pub(super) fn start(workers: Vec<(String, Arc<Pulse>)>, stall: Duration, counters: Arc<Counters>) -> io::Result<Self> {
        let mut workers: Vec<_> = workers.into_iter().map(|(name, pulse)| Watched { name, pulse, since: None }).collect();
        let (stop, stopped) = mpsc::channel::<()>();
        let body = move || {
            let mut pause = stall / LOOKS_A_STALL;
            let mut looked = Instant::now();
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(pause) {
                let now = Instant::now();
                // Who has overslept as much knows nothing of the others: the machine or the process as a whole stood still.
                let overslept = now.saturating_duration_since(looked).saturating_sub(pause) >= stall / 2;
                looked = now;
                if !overslept {
                    workers.iter_mut().for_each(|worker| worker.look(stall, now, &counters));
                }
                let any = workers.iter().any(|worker| worker.since.is_some());
                pause = if any { LOOK_WHILE_STALLED.min(stall / LOOKS_A_STALL) } else { stall / LOOKS_A_STALL };
            }
        };
        let thread = thread::Builder::new().name("watchdog".into()).spawn(body)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Watched {
    fn look(&mut self, stall: Duration, now: Instant, counters: &Counters) {
        let late = self.pulse.late(now);
        let name = &self.name;
        match self.since {
            None if late >= stall => {
                self.since = now.checked_sub(late);
                counters.count_stall();
                tracing::warn!("{name} stands still: its loop has not come round for {late:.1?}. A handler blocks it; `offload` what does");
            }
            Some(since) if late < stall => {
                self.since = None;
                let lasted = now.saturating_duration_since(since);
                tracing::warn!("{name} goes on: its loop stood still for {lasted:.1?}");
            }
            None | Some(_) => {}
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It does not panic.
            let _ = thread.join();
        }
    }
}
