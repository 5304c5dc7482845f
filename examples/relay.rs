//! A Greeter that asks another: handlers call a service on their own loop. Each worker makes its channel in the start hook and closes it in the stop hook.
//!
//!     cargo run --release --example tokio
//!     cargo run --release --example relay -- --runtime tokio-uring --upstream http://127.0.0.1:9999 --addr 127.0.0.1:9998
//!     cargo run --release --example client 127.0.0.1:9998

use loopswap::client::Channel;
use loopswap::greeter::{Greeter, GreeterClient, GreeterServer, HelloReply, HelloRequest};
use loopswap::{Error, Http2, Loop, Request, Response, Server, Started, Status};

/// The Greeter of one worker.
struct Relay {
    upstream: GreeterClient<Channel>,
}

impl Greeter for Relay {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        // With the deadline of this call; and when the client gives up, this future is dropped, and the upstream's handler with it.
        let reply = self.upstream.clone().say_hello(request.into_inner()).await?.into_inner();
        Ok(Response::new(HelloReply {
            message: format!("{} (relayed on {})", reply.message, loopswap::rt::current_loop().unwrap_or_default()),
        }))
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut runtime, mut http2) = ("auto".to_owned(), Http2::default());
    let (mut addr, mut upstream) = ("127.0.0.1:9998".to_owned(), "http://127.0.0.1:9999".to_owned());
    let mut words = std::env::args().skip(1);
    while let Some(flag) = words.next() {
        let value = words.next().ok_or_else(|| format!("{flag} wants a value"))?;
        match &*flag {
            "--runtime" => runtime = value,
            "--http2" => http2 = value.parse()?,
            "--addr" => addr = value,
            "--upstream" => upstream = value,
            _ => return Err(format!("{flag}? usage: relay [--runtime LOOP] [--http2 ENGINE] [--addr ADDR] [--upstream URI]").into()),
        }
    }
    let mut server = Server::builder().listen(addr).http2(http2).start_with(Loop::choose(&runtime)?, async move |_worker| {
        let channel = Channel::connect_lazy(&upstream)?;
        let service = GreeterServer::new(Relay { upstream: GreeterClient::new(channel.clone()) });
        Ok::<_, Error>(Started::new(service).on_stop(async move { channel.close().await }))
    })?;
    server.drain_on_signals()?;
    println!("listening on {}", server.local_addr());
    Ok(server.wait()?)
}
