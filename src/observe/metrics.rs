//! The metrics of a server: what its workers have counted, gathered when it is asked for.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tonic::Code;

#[cfg(feature = "otel")]
use crate::observe::Spans;
use crate::observe::counts::{BOUNDS, MethodCounts, N_CODES, WorkerCounts};
use crate::observe::process;
use crate::observe::text::{Text, TextFormat, Type, code_name};
use crate::server::{Counted, Counters, Phase};

/// The metrics of a server, in the text formats of Prometheus: see [`Builder::metrics`](crate::Builder::metrics). Clones are the same.
///
/// The names are those of the gRPC ecosystem's conventions where it has any; `docs/guide/observe.md` lists them.
#[derive(Clone, Default)]
pub struct Metrics {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    workers: Vec<Arc<WorkerCounts>>,
    source: Option<Source>,
}

/// What a server tells of itself beside its workers' figures, once it listens.
pub(crate) struct Source {
    pub(crate) counters: Arc<Counters>,
    pub(crate) orders: watch::Receiver<Phase>,
    pub(crate) max_connections: usize,
    /// Spans on their way to a collector.
    #[cfg(feature = "otel")]
    pub(crate) exports: Option<Arc<Spans>>,
}

impl Metrics {
    /// Metrics of no server yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the server serves: all of its workers listen, and it was not told to end.
    pub fn is_serving(&self) -> bool {
        self.shared().source.as_ref().is_some_and(|source| *source.orders.borrow() == Phase::Serving)
    }

    /// All metrics as they are now, those of the process included.
    pub fn render(&self, format: TextFormat) -> String {
        let mut text = Text::new(format);
        {
            let shared = self.shared();
            write_calls(&mut text, &shared.workers);
            write_connections(&mut text, &shared.workers);
            if let Some(source) = &shared.source {
                text.family("loopswap_connections_max", Type::Gauge, "Connections that may be open, on all workers together.");
                text.sample("loopswap_connections_max", &[], source.max_connections);
                write_counters(&mut text, &source.counters);
                #[cfg(feature = "otel")]
                if let Some(exports) = &source.exports {
                    write_exports(&mut text, exports);
                }
            }
        }
        text.family("loopswap_serving", Type::Gauge, "Whether the server serves: 0 before all workers listen, and from the drain's start.");
        text.sample("loopswap_serving", &[], u8::from(self.is_serving()));
        text.family("loopswap_build_info", Type::Gauge, "The version of loopswap; always 1.");
        text.sample("loopswap_build_info", &[("version", &env!("CARGO_PKG_VERSION"))], 1);
        process::write(&mut text);
        text.finish()
    }

    /// How many calls were begun, have ended with OK, and have ended otherwise.
    pub(crate) fn calls(&self) -> (u64, u64, u64) {
        let (mut started, mut good, mut ended) = (0, 0, 0);
        for worker in &self.shared().workers {
            started += worker.n_unnamed.get();
            for method in worker.methods().iter() {
                started += method.started.get();
                good += method.handled[Code::Ok as usize].get();
                ended += method.n_handled();
            }
        }
        (started, good, ended.saturating_sub(good))
    }

    /// A server is about to start: what an earlier one has counted is forgotten.
    pub(crate) fn begin(&self) {
        *self.shared() = Shared::default();
    }

    /// The server listens.
    pub(crate) fn attach(&self, source: Source) {
        self.shared().source = Some(source);
    }

    pub(super) fn add_worker(&self, worker: Arc<WorkerCounts>) {
        let mut shared = self.shared();
        shared.workers.push(worker);
        shared.workers.sort_by_key(|worker| worker.worker);
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("is_serving", &self.is_serving()).finish_non_exhaustive()
    }
}

/// Writes the families of calls.
fn write_calls(text: &mut Text, workers: &[Arc<WorkerCounts>]) {
    text.family("grpc_server_started", Type::Counter, "Calls that were begun.");
    each_method(workers, |labels, _, method| text.sample("grpc_server_started_total", labels, method.started.get()));

    text.family("grpc_server_handled", Type::Counter, "Calls that have ended, by status code, whatever has ended them.");
    each_method(workers, |labels, _, method| {
        for (code, n) in (0..N_CODES).map(|code| (code, method.handled[code].get())) {
            // Of each method at least the good ones, so that rates begin at 0.
            if n > 0 || code == Code::Ok as usize {
                let code = code_name(Code::from(code as i32));
                text.sample("grpc_server_handled_total", &[labels, &[("grpc_code", &code)]].concat(), n);
            }
        }
    });

    text.family("grpc_server_msg_received", Type::Counter, "Messages of requests that have come whole.");
    each_method(workers, |labels, _, method| text.sample("grpc_server_msg_received_total", labels, method.messages_received.get()));

    text.family("grpc_server_msg_sent", Type::Counter, "Messages of answers.");
    each_method(workers, |labels, _, method| text.sample("grpc_server_msg_sent_total", labels, method.messages_sent.get()));

    text.family("grpc_server_in_flight", Type::Gauge, "Calls under way.");
    each_method(workers, |labels, unnamed, method| {
        // A call may end between the two reads.
        let n_handled = method.n_handled();
        text.sample("grpc_server_in_flight", labels, method.started.get().saturating_sub(n_handled) + unnamed);
    });

    text.family("grpc_server_handling_seconds", Type::Histogram, "From the arrival of a call's head to the end of its answer, in seconds.");
    each_method(workers, |labels, _, method| {
        let mut n = 0;
        for (place, count) in method.took.iter().enumerate() {
            n += count.get();
            let bound = BOUNDS.get(place).map_or("+Inf".into(), |bound| bound.as_secs_f64().to_string());
            text.sample("grpc_server_handling_seconds_bucket", &[labels, &[("le", &bound)]].concat(), n);
        }
        text.sample("grpc_server_handling_seconds_sum", labels, method.took_ns.get() as f64 / 1e9);
        text.sample("grpc_server_handling_seconds_count", labels, n);
    });
}

/// Calls `see` with the labels of each method of each worker, the number of calls under way that are counted nowhere else, and the method's figures.
fn each_method(workers: &[Arc<WorkerCounts>], mut see: impl FnMut(&[(&str, &dyn fmt::Display)], u64, &MethodCounts)) {
    for worker in workers {
        for (place, method) in worker.methods().iter().enumerate() {
            let kind = method.name.kind.name();
            let labels: [(&str, &dyn fmt::Display); 5] = [
                ("grpc_type", &kind),
                ("grpc_service", &method.name.service),
                ("grpc_method", &method.name.method),
                ("loop", &worker.runtime),
                ("worker", &worker.worker),
            ];
            see(&labels, if place == 0 { worker.n_unnamed.get() } else { 0 }, method);
        }
    }
}

/// Writes the families of connections.
fn write_connections(text: &mut Text, workers: &[Arc<WorkerCounts>]) {
    let mut family = |name: &str, kind: Type, help: &str, get: fn(&WorkerCounts) -> u64| {
        text.family(name, kind, help);
        let name = if kind == Type::Counter { format!("{name}_total") } else { name.to_owned() };
        for worker in workers {
            text.sample(&name, &[("loop", &worker.runtime), ("worker", &worker.worker)], get(worker));
        }
    };
    family("loopswap_connections_accepted", Type::Counter, "Connections that were accepted.", |worker| worker.connections_accepted.get());
    family("loopswap_connections_open", Type::Gauge, "Connections that are open.", n_open);
    family("loopswap_received_bytes", Type::Counter, "Bytes of HTTP/2 that were received.", |worker| worker.bytes_received.get());
    family("loopswap_sent_bytes", Type::Counter, "Bytes of HTTP/2 that were handed to sockets.", |worker| worker.bytes_sent.get());
}

fn n_open(worker: &WorkerCounts) -> u64 {
    let n_closed = worker.connections_closed.get();
    worker.connections_accepted.get().saturating_sub(n_closed)
}

/// Writes all that a server counts for itself, beside its workers' figures.
fn write_counters(text: &mut Text, counters: &Counters) {
    for Counted { family, help, label, samples } in counters.families() {
        text.family(family, Type::Counter, help);
        let name = format!("{family}_total");
        for (value, n) in samples {
            match label {
                Some(label) => text.sample(&name, &[(label, &value)], n),
                None => text.sample(&name, &[], n),
            }
        }
    }
}

/// Writes what became of spans that are exported.
#[cfg(feature = "otel")]
fn write_exports(text: &mut Text, exports: &Spans) {
    text.family("loopswap_spans_waiting", Type::Gauge, "Spans that wait to be exported.");
    text.sample("loopswap_spans_waiting", &[], exports.n_waiting());
    text.family("loopswap_spans_exported", Type::Counter, "Spans that have reached the collector.");
    text.sample("loopswap_spans_exported_total", &[], exports.n_exported());
    text.family("loopswap_spans_dropped", Type::Counter, "Spans that were dropped, by the reason.");
    for (why, n) in exports.lost() {
        text.sample("loopswap_spans_dropped_total", &[("reason", &why.name())], n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http2::Violation;

    /// Every counter is told, under its own name and no other: each is counted as often as nothing else is.
    #[test]
    fn every_counter_of_the_server_is_told() {
        let counters = Counters::new();
        let mut wanted = Vec::new();
        let mut next = 100..;
        let mut times = |count: &dyn Fn()| {
            let n = next.next().expect("there is no end to them");
            (0..n).for_each(|_| count());
            n
        };
        for violation in Violation::ALL {
            let n = times(&|| counters.count(*violation));
            wanted.push(format!("loopswap_limit_reached_total{{limit=\"{violation}\"}} {n}"));
        }
        #[cfg(feature = "tls")]
        for refusal in crate::tls::TlsRefusal::ALL {
            let n = times(&|| counters.count_tls(*refusal));
            wanted.push(format!("loopswap_tls_refused_total{{reason=\"{}\"}} {n}", refusal.name()));
        }
        let n = times(&|| counters.count_stall());
        wanted.push(format!("loopswap_stalls_total {n}"));
        let mut text = Text::new(TextFormat::Prometheus);
        write_counters(&mut text, &counters);
        let text = text.finish();
        let told: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(told, wanted);
    }

    #[test]
    fn metrics_of_a_server_that_has_not_begun_say_so() {
        let text = Metrics::new().render(TextFormat::OpenMetrics);
        assert!(text.contains("\nloopswap_serving 0\n") && text.ends_with("# EOF\n"), "{text}");
        assert!(!text.contains("loopswap_limit_reached"), "{text}");
    }
}
