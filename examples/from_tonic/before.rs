//! A service on tonic's own server. What changes when it moves to loopswap is in `after.rs`, which differs from here in nothing but the start-up.
//!
//!     cargo run --example from_tonic_before -- 127.0.0.1:50051

use std::error::Error;

use service::{Guarded, Shelves, guarded, reflection};
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

mod service;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let addr = std::env::args().nth(1).unwrap_or("127.0.0.1:50051".into());
    let depot = guarded(Shelves::default());
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<Guarded>().await;
    let v1 = reflection().build_v1()?;
    let v1alpha = reflection().build_v1alpha()?;

    let listener = TcpListener::bind(addr).await?;
    println!("listening on {}", listener.local_addr()?);
    Server::builder()
        .add_service(depot)
        .add_service(health)
        .add_service(v1)
        .add_service(v1alpha)
        .serve_with_incoming(TcpIncoming::from(listener))
        .await?;
    Ok(())
}
