//! Asks a running Greeter: a plain tonic client, which knows nothing of the server's loop.
//!
//!     cargo run --release --example client [ADDR] [NAME]

use std::error::Error;

use loopswap::greeter::{GreeterClient, HelloRequest};
use tonic::transport::Endpoint;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let addr = args.next().unwrap_or("127.0.0.1:9999".into());
    let name = args.next().unwrap_or("Joe".into());
    let channel = Endpoint::from_shared(format!("http://{addr}"))?.connect().await?;
    let reply = GreeterClient::new(channel).say_hello(HelloRequest { name, sleep_millisecond: 10 }).await?;
    println!("{}", reply.into_inner().message);
    Ok(())
}
