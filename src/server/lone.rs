//! Connections without a worker: for benches, fuzzing and tests, which bring a loop of their own and no listener.

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use loopswap_rt::Runtime;

use crate::http2::Limits;
use crate::hyper_engine::HyperEngine;
use crate::native_engine::NativeEngine;
use crate::observe::{Metrics, Observer, Wanted};
use crate::pulse::Pulse;
use crate::server::engine::{Engine, House, Http2};
use crate::server::phase::{Phase, Phases};
use crate::server::security::Security;
use crate::server::{Closed, Counters, Overload};
use crate::service::Router;

/// Serves connections one by one, on the loop of the current thread. No part of the library's face: it changes as its users want it to.
pub struct Lone {
    phases: Rc<Phases>,
    house: Rc<House>,
}

impl Lone {
    /// With these limits for each connection.
    pub fn new(limits: Limits) -> Self {
        Self::with(limits, None)
    }

    /// As [`new`](Self::new), with calls of this router, which are to be served on this loop, counted.
    pub fn measured<R: Runtime>(limits: Limits, metrics: &Metrics, runtime: &R, router: &Router) -> Self {
        let wanted = Wanted { metrics: Some(metrics.clone()), ..Wanted::default() };
        Self::with(limits, Observer::new(&wanted, runtime, 0, router))
    }

    /// As [`new`](Self::new), with gRPC-Web for pages of any origin, on the engine that speaks it.
    #[cfg(all(test, feature = "grpc-web"))]
    pub(crate) fn web(limits: Limits) -> Self {
        let mut lone = Self::new(limits);
        let origins = crate::hyper_engine::Origins::parse(&["*".into()]).expect("it is every origin");
        Rc::get_mut(&mut lone.house).expect("nobody has it yet").origins = Some(Arc::new(origins));
        lone
    }

    fn with(limits: Limits, observer: Option<Rc<Observer>>) -> Self {
        let (counters, pulse) = (Arc::new(Counters::new()), Arc::new(Pulse::new()));
        let house = House::new(limits, &Overload::default(), counters, pulse, observer.clone(), Security::default(), None);
        Self { phases: Phases::new(observer, None), house }
    }

    /// Serves a connection until it ends. `Err` says why that was not in order.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection and drops its calls.
    pub fn serve<R: Runtime>(
        &self,
        runtime: R,
        connection: R::Connection,
        http2: Http2,
        router: Router,
    ) -> impl Future<Output = Result<(), String>> + use<R> {
        let (house, phases) = (Rc::clone(&self.house), self.phases.watch());
        let connection = house.security.put_on(connection, &house.counters);
        // Each in its own box, so that neither is as large as the other.
        let serving: Pin<Box<dyn Future<Output = Closed>>> = match http2 {
            Http2::Native => Box::pin(NativeEngine.serve(runtime, connection, router, house, phases)),
            Http2::Hyper => Box::pin(HyperEngine.serve(runtime, connection, router, house, phases)),
        };
        async move {
            match serving.await {
                Closed::Orderly => Ok(()),
                other => Err(other.to_string()),
            }
        }
    }

    /// Asks all peers to go elsewhere.
    pub fn drain(&self) {
        self.phases.enter(Phase::Draining);
    }

    /// How many connections are served.
    pub fn n_connections(&self) -> usize {
        self.phases.n_connections()
    }
}

impl fmt::Debug for Lone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lone").field("n_connections", &self.n_connections()).finish_non_exhaustive()
    }
}
