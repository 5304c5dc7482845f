//! A service that was written for tonic's own server, on any loop. `before.rs` is what it was: the two differ in nothing but the start-up.
//!
//!     cargo run --example from_tonic -- 127.0.0.1:50051 glommio native

use std::error::Error;

use loopswap::{Loop, Router, Server};
use service::{Guarded, Shelves, guarded, reflection};

mod service;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let addr = std::env::args().nth(1).unwrap_or("127.0.0.1:50051".into());
    let event_loop = std::env::args().nth(2).unwrap_or("auto".into());
    let http2 = std::env::args().nth(3).unwrap_or("native".into());
    let depot = guarded(Shelves::default());
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<Guarded>().await;
    let v1 = reflection().build_v1()?;
    let v1alpha = reflection().build_v1alpha()?;

    let mut server = Server::builder().listen(addr).http2(http2.parse()?).start(Loop::choose(&event_loop)?, move |_worker| {
        Router::new().add_tonic(depot.clone()).add_tonic(health.clone()).add_tonic(v1.clone()).add_tonic(v1alpha.clone())
    })?;
    server.drain_on_signals()?;
    println!("listening on {}", server.local_addr());
    server.wait()?;
    Ok(())
}
