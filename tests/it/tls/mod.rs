//! TLS and mutual TLS, on each loop and engine.
//!
//! * `calls`: every kind of call, large messages, slow readers, by tonic's client; descriptors.
//! * `mutual`: clients' certificates, good ones and others, and what services learn of them.
//! * `refused`: what is no TLS, or not the TLS that is wanted: refused with an alert, counted, and no harm to anybody else.
//! * `reload`: new certificates without a restart. `drain`: drains. `goodbye`: the last words of either side. `channel`: our own client. `usage`: files and flags
//!   that are no good.
//! * `strain`: both directions full, over small socket buffers.
//!
//! `pki` makes the certificates; `client` is a client that can do wrong.

mod calls;
mod channel;
pub(crate) mod client;
mod drain;
mod goodbye;
mod mutual;
pub(crate) mod pki;
mod refused;
mod reload;
mod strain;
mod usage;

use std::net::SocketAddr;

use loopswap::greeter::GreeterClient;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use crate::support::{Served, serve};
pub(crate) use pki::Pki;
use pki::{Identity, read};

/// Starts `loopswap serve` with this certificate, and these arguments besides.
pub(crate) fn serve_tls(runtime: &str, engine: &str, identity: &Identity, args: &[&str]) -> Served {
    let (certificate, key) = (identity.certificate.to_str().expect("UTF-8"), identity.key.to_str().expect("UTF-8"));
    serve(runtime, &[&["--http2", engine, "--tls-cert", certificate, "--tls-key", key], args].concat())
}

/// What tonic's client trusts.
pub(crate) fn trusting(pki: &Pki) -> ClientTlsConfig {
    ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(&pki.ca())))
}

/// The same, and what it shows.
fn showing(pki: &Pki, identity: &Identity) -> ClientTlsConfig {
    trusting(pki).identity(tonic::transport::Identity::from_pem(read(&identity.certificate), read(&identity.key)))
}

async fn connect(addr: SocketAddr, tls: ClientTlsConfig) -> Result<Channel, tonic::transport::Error> {
    Endpoint::from_shared(format!("https://{addr}")).expect("an address makes a URI").tls_config(tls).expect("it fits").connect().await
}

/// A client of tonic's, which is connected.
pub(crate) async fn greeter(addr: SocketAddr, tls: ClientTlsConfig) -> GreeterClient<Channel> {
    GreeterClient::new(connect(addr, tls).await.expect("TLS is agreed"))
}
