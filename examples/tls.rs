//! The Greeter over TLS; and where it is given a CA for clients, over mutual TLS: then each caller is known by a certificate. docs/guide/tls.md makes the files.
//!
//!     cargo run --release --example tls -- --cert server.pem --key server.key [--client-ca ca.pem]
//!     loopswap call 127.0.0.1:9999 --tls-ca ca.pem [--tls-client-cert client.pem --tls-client-key client.key]
//!
//! New files in the place of the old ones are read at SIGHUP.

use loopswap::greeter::{Greeter, GreeterServer, HelloReply, HelloRequest};
use loopswap::tls::ServerTls;
use loopswap::{Http2, Loop, Request, Response, Server, Status};

/// Knows its callers, if they have shown who they are.
struct Porter;

impl Greeter for Porter {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        // The client's own certificate is the first; a parser of X.509 reads the name in it.
        let shown = match request.peer_certs().as_deref().and_then(|chain| chain.first()) {
            Some(own) => format!("a certificate of {} bytes", own.len()),
            None => "no certificate".into(),
        };
        Ok(Response::new(HelloReply { message: format!("Hello, {}, with {shown}!", request.get_ref().name) }))
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut runtime, mut http2, mut addr) = ("auto".to_owned(), Http2::default(), "127.0.0.1:9999".to_owned());
    let (mut cert, mut key, mut client_ca) = ("server.pem".to_owned(), "server.key".to_owned(), None);
    let mut words = std::env::args().skip(1);
    while let Some(flag) = words.next() {
        let value = words.next().ok_or_else(|| format!("{flag} wants a value"))?;
        match &*flag {
            "--runtime" => runtime = value,
            "--http2" => http2 = value.parse()?,
            "--addr" => addr = value,
            "--cert" => cert = value,
            "--key" => key = value,
            "--client-ca" => client_ca = Some(value),
            _ => {
                let usage = "tls [--runtime LOOP] [--http2 ENGINE] [--addr ADDR] [--cert FILE] [--key FILE] [--client-ca FILE]";
                return Err(format!("{flag}? usage: {usage}").into());
            }
        }
    }
    let tls = ServerTls::files(cert, key);
    let tls = match client_ca {
        Some(ca) => tls.client_ca_file(ca),
        None => tls,
    };
    let mut server =
        Server::builder().listen(addr).http2(http2).tls(tls).start(Loop::choose(&runtime)?, |_worker| GreeterServer::new(Porter))?;
    server.drain_on_signals()?;
    println!("listening on {}", server.local_addr());
    Ok(server.wait()?)
}
