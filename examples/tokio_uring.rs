//! The Greeter on tokio-uring, on io_uring. Its twins differ in the word for the loop, and in nothing else.
//!
//!     cargo run --release --example tokio_uring
//!     cargo run --release --example client

use loopswap::greeter::{GreeterServer, Hello};
use loopswap::{Error, Loop, Server};

fn main() -> Result<(), Error> {
    let addr = std::env::args().nth(1).unwrap_or("127.0.0.1:9999".into());
    let mut server = Server::builder().listen(addr).start(Loop::choose("tokio-uring")?, |_worker| GreeterServer::new(Hello))?;
    server.drain_on_signals()?;
    println!("listening on {}", server.local_addr());
    server.wait()
}
