//! A service as one writes it for tonic: its generated trait, its streams, compression and interceptor, tokio's tasks, channels and timer, the crates tonic-health
//! and tonic-reflection. It knows nothing of loopswap. `before.rs` serves it on tonic's own server, `after.rs` on any loop.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use depot::depot_server::{Depot, DepotServer};
use depot::{Prefix, Receipt, Stock, Thing};
use tokio::sync::mpsc;
use tonic::codec::CompressionEncoding;
use tonic::service::interceptor::InterceptedService;
use tonic::{Request, Response, Status, Streaming};

mod depot {
    #![allow(dead_code, missing_docs, unreachable_pub, reason = "generated")]
    loopswap::include_proto!("depot");
}

/// What the server's client has to bring.
const TOKEN: &str = "Bearer storekeeper";

/// The shelves, which all calls share.
#[derive(Clone, Default)]
pub(crate) struct Shelves(Arc<Mutex<BTreeMap<String, u64>>>);

impl Shelves {
    fn amounts(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.0.lock().expect("nothing panics under the lock")
    }

    fn take(&self, wanted: Stock) -> Stock {
        let mut amounts = self.amounts();
        let there = amounts.entry(wanted.name.clone()).or_default();
        let amount = wanted.amount.min(*there);
        *there -= amount;
        Stock { name: wanted.name, amount }
    }
}

/// A stream that another task fills.
type Filled<T> = futures_util::stream::BoxStream<'static, Result<T, Status>>;

fn filled<T: Send + 'static>(mut receiver: mpsc::Receiver<Result<T, Status>>) -> Filled<T> {
    Box::pin(futures_util::stream::poll_fn(move |cx| receiver.poll_recv(cx)))
}

#[tonic::async_trait]
impl Depot for Shelves {
    async fn count(&self, request: Request<Thing>) -> Result<Response<Stock>, Status> {
        let Thing { name } = request.into_inner();
        // As slow as a database.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let amount = self.amounts().get(&name).copied();
        amount.map(|amount| Response::new(Stock { name, amount })).ok_or_else(|| Status::not_found("there never was any"))
    }

    type ListStream = Filled<Stock>;

    async fn list(&self, request: Request<Prefix>) -> Result<Response<Self::ListStream>, Status> {
        let Prefix { text } = request.into_inner();
        let shelves = self.clone();
        let (sender, receiver) = mpsc::channel(4);
        tokio::spawn(async move {
            let found: Vec<_> =
                shelves.amounts().iter().filter(|(name, _)| name.starts_with(&text)).map(|(k, v)| (k.clone(), *v)).collect();
            for (name, amount) in found {
                if sender.send(Ok(Stock { name, amount })).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(filled(receiver)))
    }

    async fn store(&self, request: Request<Streaming<Stock>>) -> Result<Response<Receipt>, Status> {
        let by = request.extensions().get::<Storekeeper>().map(|keeper| keeper.0.clone()).unwrap_or_default();
        let mut stocks = request.into_inner();
        let mut amount = 0;
        while let Some(stock) = stocks.message().await? {
            amount += stock.amount;
            *self.amounts().entry(stock.name).or_default() += stock.amount;
        }
        Ok(Response::new(Receipt { amount, by }))
    }

    type PickStream = Filled<Stock>;

    async fn pick(&self, request: Request<Streaming<Stock>>) -> Result<Response<Self::PickStream>, Status> {
        let mut wanted = request.into_inner();
        let shelves = self.clone();
        let (sender, receiver) = mpsc::channel(4);
        tokio::spawn(async move {
            while let Some(wanted) = wanted.message().await.transpose() {
                if sender.send(wanted.map(|wanted| shelves.take(wanted))).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(filled(receiver)))
    }
}

/// Who calls, as the interceptor found out.
#[derive(Clone)]
struct Storekeeper(String);

/// Lets through who has the token, and tells the service who it is.
fn check_token(mut request: Request<()>) -> Result<Request<()>, Status> {
    match request.metadata().get("authorization") {
        Some(token) if token == TOKEN => {
            request.extensions_mut().insert(Storekeeper("the storekeeper".into()));
            Ok(request)
        }
        _ => Err(Status::unauthenticated("who are you?")),
    }
}

/// The service as tonic serves it.
pub(crate) type Guarded = InterceptedService<DepotServer<Shelves>, fn(Request<()>) -> Result<Request<()>, Status>>;

/// The service behind its interceptor.
pub(crate) fn guarded(shelves: Shelves) -> Guarded {
    let depot = DepotServer::new(shelves).accept_compressed(CompressionEncoding::Gzip).send_compressed(CompressionEncoding::Gzip);
    InterceptedService::new(depot, check_token)
}

/// What reflection tells.
pub(crate) fn reflection() -> tonic_reflection::server::Builder<'static> {
    let descriptors = include_bytes!(concat!(env!("OUT_DIR"), "/depot.descriptors"));
    tonic_reflection::server::Builder::configure().register_encoded_file_descriptor_set(descriptors)
}
