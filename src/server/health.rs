//! Whether the server serves, for those who ask: gRPC's health checking protocol (doc/health-checking.md), `grpc.health.v1.Health`.
//!
//! What it answers follows from two things that change on any thread: the statuses that the program sets, and the server's phase, which overrules them.

use std::collections::BTreeMap;
use std::pin::pin;

use futures_core::Stream;
use futures_util::future::select;
use futures_util::stream::try_unfold;
use tokio::sync::watch;

use crate::server::phase::Phase;
use crate::{Request, Response, Status};

pub(crate) use proto::health_check_response::ServingStatus as Told;
pub(crate) use proto::{HealthCheckRequest, HealthCheckResponse};
use proto::{HealthListRequest, HealthListResponse};

mod proto {
    #![allow(missing_docs, unreachable_pub, reason = "generated")]
    crate::include_proto!("grpc.health.v1");
}

/// The most services that `List` tells of, as the protocol has it. More are RESOURCE_EXHAUSTED.
const LISTED_MAX: usize = 100;

/// What is told of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServingStatus {
    /// It is not known whether it serves.
    Unknown,
    /// It serves.
    Serving,
    /// It does not serve; callers had better go elsewhere.
    NotServing,
}

/// The health of a server and its services, which [`Builder::health`](crate::Builder::health) serves as `grpc.health.v1.Health`.
///
/// The server as a whole, whose name is empty, and each service that it serves, this one too, are [`Serving`](ServingStatus::Serving) unless [`set`](Self::set)
/// otherwise. From the order to drain on, the drain delay included, all are told to be [`NotServing`](ServingStatus::NotServing), whatever was set.
///
/// It is a handle: clones are of the same server, and may be used on any thread. It is meant for one server.
///
/// ```no_run
/// use loopswap::greeter::{GreeterServer, Hello};
/// use loopswap::{Health, Loop, Server, ServingStatus};
///
/// # fn main() -> Result<(), loopswap::Error> {
/// let health = Health::new();
/// let database = health.clone();
/// std::thread::spawn(move || {
///     // Whatever watches the database.
///     database.set("helloworld.Greeter", ServingStatus::NotServing);
/// });
/// Server::builder().health(health).serve(Loop::choose("auto")?, |_worker| GreeterServer::new(Hello))
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Health {
    statuses: watch::Sender<BTreeMap<String, ServingStatus>>,
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl Health {
    /// The full name of the service.
    pub const NAME: &'static str = "grpc.health.v1.Health";

    /// The server as a whole serves; there are no services yet.
    pub fn new() -> Self {
        Self { statuses: watch::Sender::new(BTreeMap::from([(String::new(), ServingStatus::Serving)])) }
    }

    /// From now on this is the status of the service of this full name, `helloworld.Greeter`, or of the server as a whole, whose name is empty. It need
    /// not be a service of this server: clients may ask for any name that is set.
    pub fn set(&self, service: impl Into<String>, status: ServingStatus) {
        let service = service.into();
        self.statuses.send_if_modified(|statuses| statuses.insert(service, status) != Some(status));
    }

    /// The service is not known any more: `Check` answers NOT_FOUND, `Watch` says SERVICE_UNKNOWN.
    pub fn clear(&self, service: &str) {
        self.statuses.send_if_modified(|statuses| statuses.remove(service).is_some());
    }

    /// Those of these services serve of which nothing is set.
    pub(super) fn add(&self, services: impl IntoIterator<Item = &'static str>) {
        self.statuses.send_if_modified(|statuses| {
            let n = statuses.len();
            for service in services {
                statuses.entry(service.into()).or_insert(ServingStatus::Serving);
            }
            statuses.len() > n
        });
    }

    /// The service, for one worker. `phase` is the server's.
    pub(super) fn service(&self, phase: watch::Receiver<Phase>) -> proto::HealthServer<impl proto::Health> {
        proto::HealthServer::new(Served { statuses: self.statuses.subscribe(), phase, _keeps: self.clone() })
    }
}

/// The service.
#[derive(Clone)]
struct Served {
    statuses: watch::Receiver<BTreeMap<String, ServingStatus>>,
    phase: watch::Receiver<Phase>,
    /// The channel stays open while it is served.
    _keeps: Health,
}

impl Served {
    /// What is to be told of a service now; `None` when it is not known. Later changes are [told](Self::changed).
    fn status(&mut self, service: &str) -> Option<ServingStatus> {
        let leaves = *self.phase.borrow_and_update() > Phase::Serving;
        let status = self.statuses.borrow_and_update().get(service).copied()?;
        Some(if leaves { ServingStatus::NotServing } else { status })
    }

    /// Whether clients that watch are to let go of their connections.
    fn is_over(&self) -> bool {
        *self.phase.borrow() >= Phase::Draining
    }

    /// Waits until there may be something else to tell.
    async fn changed(&mut self) {
        let Self { statuses, phase, .. } = self;
        let statuses = pin!(statuses.changed());
        // A supervisor that is gone changes no phase any more; its workers are ended.
        let phase = pin!(phase.changed());
        select(statuses, phase).await;
    }

    /// The statuses of a service, each when it differs from the last one; and when the server drains, after it was said, an error.
    fn watch(self, service: String) -> impl Stream<Item = Result<HealthCheckResponse, Status>> {
        try_unfold((self, None), move |(mut served, told)| {
            let service = service.clone();
            async move {
                loop {
                    let status = response(served.status(&service));
                    if told != Some(status) {
                        return Ok(Some((status, (served, Some(status)))));
                    }
                    if served.is_over() {
                        return Err(Status::unavailable("the server is going away"));
                    }
                    served.changed().await;
                }
            }
        })
    }
}

impl proto::Health for Served {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        let service = request.into_inner().service;
        let status = self.clone().status(&service);
        let status = status.ok_or_else(|| Status::not_found(format!("nothing is known of a service `{service}` here")))?;
        Ok(Response::new(response(Some(status))))
    }

    async fn list(&self, _: Request<HealthListRequest>) -> Result<Response<HealthListResponse>, Status> {
        let services: Vec<_> = self.statuses.borrow().keys().cloned().collect();
        if services.len() > LISTED_MAX {
            return Err(Status::resource_exhausted(format!("{} services are known; no more than {LISTED_MAX} are listed", services.len())));
        }
        let mut served = self.clone();
        let statuses = services.into_iter().filter_map(|service| {
            let status = served.status(&service)?;
            Some((service, response(Some(status))))
        });
        Ok(Response::new(HealthListResponse { statuses: statuses.collect() }))
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<impl Stream<Item = Result<HealthCheckResponse, Status>>>, Status> {
        Ok(Response::new(Served::watch(self.clone(), request.into_inner().service)))
    }
}

fn response(status: Option<ServingStatus>) -> HealthCheckResponse {
    let status = match status {
        Some(ServingStatus::Unknown) => Told::Unknown,
        Some(ServingStatus::Serving) => Told::Serving,
        Some(ServingStatus::NotServing) => Told::NotServing,
        None => Told::ServiceUnknown,
    };
    HealthCheckResponse { status: status.into() }
}
