//! What a worker looks at its calls and connections with.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use loopswap_rt::Runtime;

use crate::grpc::{Kind, Route};
use crate::observe::Metrics;
use crate::observe::counts::{MethodCounts, Name, WorkerCounts};
#[cfg(feature = "otel")]
use crate::observe::otlp::{Spans, Tracer};
use crate::observe::traced::Telling;
use crate::service::Router;

/// The target of the spans of calls, and of the line that each of them ends with.
pub(crate) const CALLS: &str = "loopswap::calls";

/// Methods that a worker tells apart. What its services are made of is far below; so it bounds services that answer whatever they are asked.
const METHODS_MAX: usize = 1000;

/// The place of all calls whose method is none that is known.
pub(super) const UNKNOWN: u32 = 0;

/// What is wanted of a server's observers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) metrics: Option<Metrics>,
    /// A span each call.
    pub(crate) spans: bool,
    /// Where spans go that are exported.
    #[cfg(feature = "otel")]
    pub(crate) exports: Option<Arc<Spans>>,
}

/// An observer: one a worker, on its thread.
pub(crate) struct Observer {
    router: Router,
    counts: Arc<WorkerCounts>,
    /// Those of `counts`, to be reached without its lock, by their places.
    methods: RefCell<Vec<Arc<MethodCounts>>>,
    /// Where in `methods` a path's is.
    places: RefCell<HashMap<Box<[u8]>, u32>>,
    telling: Telling,
    clock: Box<dyn Fn() -> Instant>,
}

impl Observer {
    /// The observer of a worker of this number, on this loop. `None`, if nothing is wanted.
    pub(crate) fn new<R: Runtime>(wanted: &Wanted, runtime: &R, worker: usize, router: &Router) -> Option<Rc<Self>> {
        let telling = Telling {
            runtime: R::NAME,
            worker,
            spans: wanted.spans,
            #[cfg(feature = "otel")]
            tracer: wanted.exports.clone().map(|exports| Tracer::new(exports, R::NAME, worker)),
        };
        if wanted.metrics.is_none() && !telling.is_wanted() {
            return None;
        }
        let counts = Arc::new(WorkerCounts::new(R::NAME, worker));
        let observer = Self {
            router: router.clone(),
            counts: Arc::clone(&counts),
            methods: RefCell::default(),
            places: RefCell::default(),
            telling,
            clock: {
                let runtime = runtime.clone();
                Box::new(move || runtime.now())
            },
        };
        observer.add(MethodCounts::new(Name::unknown()));
        for (path, kind) in router.methods() {
            observer.learn(path, kind);
        }
        if let Some(metrics) = &wanted.metrics {
            metrics.add_worker(counts);
        }
        Some(Rc::new(observer))
    }

    /// A connection was taken.
    pub(crate) fn connection_opened(&self) {
        self.counts.connections_accepted.add(1);
    }

    /// It is gone.
    pub(crate) fn connection_closed(&self) {
        self.counts.connections_closed.add(1);
    }

    /// Bytes of HTTP/2 that have come.
    pub(crate) fn received(&self, n_bytes: usize) {
        self.counts.bytes_received.add(n_bytes as u64);
    }

    /// Bytes of HTTP/2 that were handed to the socket.
    pub(crate) fn sent(&self, n_bytes: usize) {
        self.counts.bytes_sent.add(n_bytes as u64);
    }

    /// Where a call of this path, which was judged, is counted; `None` while that is to be found out. `known` remembers what is known for good.
    #[inline]
    pub(super) fn place(&self, path: &[u8], known: &OnceCell<u32>) -> Option<u32> {
        known.get().copied().or_else(|| self.find(path).inspect(|place| known.set(*place).expect("it was not known")))
    }

    /// The figures in this place.
    #[inline]
    pub(super) fn with_method<T>(&self, place: u32, use_it: impl FnOnce(&MethodCounts) -> T) -> T {
        use_it(&self.methods.borrow()[place as usize])
    }

    /// The figures of the worker.
    pub(super) fn counts(&self) -> &WorkerCounts {
        &self.counts
    }

    /// There is such a method. Its place; the first one's, if there are too many to tell apart.
    pub(super) fn learn(&self, path: &[u8], kind: Kind) -> u32 {
        if let Some(place) = self.places.borrow().get(path) {
            return *place;
        }
        let place = self.methods.borrow().len();
        if place > METHODS_MAX {
            return UNKNOWN;
        }
        self.add(MethodCounts::new(Name::of(path, kind)));
        self.places.borrow_mut().insert(path.into(), place as u32);
        place as u32
    }

    /// The time, by the loop's clock.
    pub(super) fn now(&self) -> Instant {
        (self.clock)()
    }

    /// How calls are told of.
    #[inline]
    pub(super) fn telling(&self) -> &Telling {
        &self.telling
    }

    /// Where the calls of a path are counted, once one is known for good.
    fn find(&self, path: &[u8]) -> Option<u32> {
        let known = self.places.borrow().get(path).copied();
        known.or_else(|| match self.router.route(path) {
            Some(Route::Tonic(_)) => None,
            _ => Some(UNKNOWN),
        })
    }

    fn add(&self, method: MethodCounts) {
        let method = Arc::new(method);
        self.counts.methods().push(Arc::clone(&method));
        self.methods.borrow_mut().push(method);
    }
}

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Observer").field("worker", &self.telling.worker).field("spans", &self.telling.spans).finish_non_exhaustive()
    }
}
