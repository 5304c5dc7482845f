//! Whether the server serves, as it says itself: `grpc.health.v1.Health`, from its start through the drain, and the command that asks.

mod answers;
mod drain;
mod leaving;
mod probe;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};

use proto::health_check_response::ServingStatus::{self, Serving};
use proto::health_client::HealthClient;
use proto::{HealthCheckRequest, HealthCheckResponse, HealthListRequest};

mod proto {
    #![allow(dead_code, missing_docs, unreachable_pub, reason = "generated")]
    loopswap::include_proto!("grpc.health.v1");
}

/// The name of the Greeter.
const GREETER: &str = "helloworld.Greeter";

/// tonic's client of the service, on a connection of its own.
struct Client(HealthClient<Channel>);

impl Client {
    async fn new(addr: SocketAddr) -> Self {
        Self(HealthClient::new(Endpoint::from_shared(format!("http://{addr}")).unwrap().connect().await.expect("it listens")))
    }

    async fn check(&self, service: &str) -> Result<ServingStatus, Status> {
        let request = HealthCheckRequest { service: service.into() };
        Ok(self.0.clone().check(request).await?.into_inner().status())
    }

    async fn list(&self) -> Result<BTreeMap<String, ServingStatus>, Status> {
        let statuses = self.0.clone().list(HealthListRequest {}).await?.into_inner().statuses;
        Ok(statuses.into_iter().map(|(service, response)| (service, response.status())).collect())
    }

    async fn watch(&self, service: &str) -> Watch {
        let request = HealthCheckRequest { service: service.into() };
        Watch(self.0.clone().watch(request).await.expect("it can be watched").into_inner())
    }
}

/// A watch of a service.
struct Watch(Streaming<HealthCheckResponse>);

impl Watch {
    /// What is told next.
    async fn next(&mut self) -> Result<ServingStatus, Status> {
        self.0.message().await.map(|response| response.expect("it does not end with OK").status())
    }

    async fn says(&mut self, status: ServingStatus) {
        assert_eq!(self.next().await.unwrap(), status);
    }

    /// A watch that was opened while the server serves.
    async fn of_a_good_one(client: &Client) -> Self {
        let mut watch = client.watch("").await;
        watch.says(Serving).await;
        watch
    }
}
