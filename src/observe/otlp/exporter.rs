//! The thread that exports spans, with a loop of its own: no worker waits for a collector, and none is held up by what its spans cost.

use std::fmt;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use loopswap_rt::{Runtime, Worker};
use tokio::sync::watch;

use crate::observe::otlp::delivery::deliver_all;
use crate::observe::otlp::{Otlp, Spans};
use crate::{Error, ErrorKind};

/// Exports until it is dropped; then what is left, for no longer than the time that has for it.
pub(crate) struct Exporter {
    stop: Option<watch::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Exporter {
    /// Starts it, on a loop of this sort. Its collector need not be there.
    ///
    /// # Errors
    ///
    /// The loop cannot run once more; the endpoint wants TLS and has none; the thread cannot be started.
    pub(crate) fn start<R: Runtime>(runtime: R, otlp: Otlp, spans: Arc<Spans>) -> Result<Self, Error> {
        let (stop, stopped) = watch::channel(());
        let (report, started) = mpsc::channel();
        let worker = Worker { name: "otlp".into(), ..Worker::new(0) };
        let name = worker.name.clone();
        let body = move || {
            let ready = report.clone();
            let ran = runtime.run(&worker, move || async move {
                match otlp.endpoint.clone().timeout(otlp.export_timeout).inherit_trace(false).connect_lazy() {
                    Ok(channel) => {
                        let _ = ready.send(Ok(()));
                        deliver_all(&otlp, channel, &spans, stopped).await;
                    }
                    Err(error) => {
                        let _ = ready.send(Err(error));
                    }
                }
            });
            if let Err(why) = ran {
                let _ = report.send(Err(Error::unavailable(R::NAME, why)));
            }
        };
        let failed = "the thread that exports spans cannot be started";
        let thread = thread::Builder::new()
            .name(name)
            .spawn(body)
            .map_err(|error| Error::new(ErrorKind::Worker, format!("{failed}: {error}")).with_source(error))?;
        let exporter = Self { stop: Some(stop), thread: Some(thread) };
        // Nothing comes of a thread that has panicked, which was reported where it did.
        started.recv().unwrap_or_else(|_| Err(Error::new(ErrorKind::Worker, failed)))?;
        Ok(exporter)
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // Its panic was reported where it happened.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter").finish_non_exhaustive()
    }
}
