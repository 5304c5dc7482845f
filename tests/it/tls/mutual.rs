//! Clients' certificates: which are taken, and what services learn of them.

use loopswap::greeter::stock::greeter_server::{Greeter as TonicGreeter, GreeterServer as TonicGreeterServer};
use loopswap::greeter::{Greeter, GreeterClient, GreeterServer, HelloReply, HelloRequest};
use loopswap::tls::{CertificateDer, ClientAuth, TlsRefusal};
use loopswap::{Request, Response, Router, Server, Status};
use rustls::pki_types::pem::PemObject as _;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};

use super::client::{VERSIONS, Wants, config, first_frame, greets, open};
use super::pki::{Identity, Pki, Use};
use super::{connect, showing, trusting};
use crate::leaks::{Hosted, host};
use crate::support::{block_on, hello};

crate::on_every_loop_and_engine!(
    services_learn_who_calls,
    none_is_shown,
    none_need_be_shown,
    others_are_refused,
    a_resumed_session_knows_its_client
);

/// Answers with the client's certificates.
#[derive(Clone, Copy)]
struct WhoCalls;

fn told<C: AsRef<[u8]>>(certificates: Option<&Vec<C>>) -> String {
    let Some(certificates) = certificates else { return "nobody".into() };
    certificates.iter().map(|certificate| format!("{:?}", certificate.as_ref())).collect()
}

impl Greeter for WhoCalls {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        Ok(Response::new(HelloReply { message: told(request.peer_certs().as_deref()) }))
    }
}

#[tonic::async_trait]
impl TonicGreeter for WhoCalls {
    async fn say_hello(&self, request: tonic::Request<HelloRequest>) -> Result<tonic::Response<HelloReply>, Status> {
        let info = request.extensions().get::<TlsConnectInfo<TcpConnectInfo>>().ok_or_else(|| Status::internal("no TLS"))?;
        if info.get_ref().remote_addr() != request.remote_addr() || info.get_ref().local_addr().is_none() {
            return Err(Status::internal("another connection's"));
        }
        Ok(tonic::Response::new(HelloReply { message: told(request.peer_certs().as_deref()) }))
    }
}

fn start(runtime: &str, engine: &str, pki: &Pki, auth: ClientAuth, tonic: bool) -> Hosted {
    let tls = pki.server().tls().client_ca_file(pki.ca()).client_auth(auth);
    let server = Server::builder().listen("127.0.0.1:0").workers(1).http2(engine.parse().unwrap()).tls(tls);
    host(server, runtime, move |_| match tonic {
        true => Router::new().add_tonic(TonicGreeterServer::new(WhoCalls)),
        false => Router::new().add(GreeterServer::new(WhoCalls)),
    })
}

fn addr(server: &Hosted) -> std::net::SocketAddr {
    server.local_addr().as_tcp().expect("TCP")
}

fn services_learn_who_calls(runtime: &str, engine: &str) {
    for tonic in [false, true] {
        let pki = Pki::new("CA");
        let server = start(runtime, engine, &pki, ClientAuth::Require, tonic);
        for name in ["Alice", "Bob"] {
            let identity = pki.client(name);
            let certificate = CertificateDer::from_pem_file(&identity.certificate).unwrap();
            block_on(async {
                let mut client = GreeterClient::new(connect(addr(&server), showing(&pki, &identity)).await.expect("it is let in"));
                assert_eq!(hello(&mut client, "", 0).await.unwrap(), told(Some(&vec![&certificate])), "{name}, tonic: {tonic}");
                // Long enough for what an idle connection holds to be given back.
                ::tokio::time::sleep(std::time::Duration::from_millis(250)).await;
                assert_eq!(hello(&mut client, "", 0).await.unwrap(), told(Some(&vec![&certificate])));
            });
        }
    }
}

/// What a client that shows this gets, over either version of TLS: the alert, if there is one.
fn outcomes(server: &Hosted, pki: &Pki, identity: Option<&Identity>) -> Vec<Result<u8, String>> {
    let outcome = |versions| first_frame(addr(server), config(pki, identity, &Wants { versions, ..Wants::default() }));
    VERSIONS.into_iter().map(|versions| outcome(versions).map_err(|error| error.to_string())).collect()
}

fn none_is_shown(runtime: &str, engine: &str) {
    let pki = Pki::new("CA");
    let server = start(runtime, engine, &pki, ClientAuth::Require, false);
    for outcome in outcomes(&server, &pki, None) {
        let error = outcome.expect_err("it is refused");
        assert!(error.contains("CertificateRequired"), "{error}");
    }
    assert_eq!(server.handle().counters().tls_refused(TlsRefusal::NoCertificate), 2);
}

fn none_need_be_shown(runtime: &str, engine: &str) {
    let pki = Pki::new("CA");
    for tonic in [false, true] {
        let server = start(runtime, engine, &pki, ClientAuth::Request, tonic);
        block_on(async {
            let mut client = GreeterClient::new(connect(addr(&server), trusting(&pki)).await.expect("it is let in"));
            assert_eq!(hello(&mut client, "", 0).await.unwrap(), "nobody");
            let mut client = GreeterClient::new(connect(addr(&server), showing(&pki, &pki.client("Alice"))).await.expect("it is let in"));
            assert_ne!(hello(&mut client, "", 0).await.unwrap(), "nobody");
        });
    }
}

fn others_are_refused(runtime: &str, engine: &str) {
    let pki = Pki::new("CA");
    let stranger = Pki::new("another CA");
    for auth in [ClientAuth::Require, ClientAuth::Request] {
        let server = start(runtime, engine, &pki, auth, false);
        for (identity, alert) in [
            (pki.issue("of last century", Use::Client, 2000), "CertificateExpired"),
            (stranger.client("Mallory"), "UnknownCA"),
            (pki.server(), ""),
        ] {
            for outcome in outcomes(&server, &pki, Some(&identity)) {
                let error = outcome.expect_err("it is refused");
                assert!(error.contains("received fatal alert") && error.contains(alert), "{alert}: {error}");
            }
        }
        assert_eq!(server.handle().counters().tls_refused(TlsRefusal::BadCertificate), 6);
        assert!(outcomes(&server, &pki, Some(&pki.client("Alice"))).iter().all(Result::is_ok), "the next is let in");
    }
}

/// One configuration of a client keeps its sessions. The second handshake is shorter, and its client the same.
fn a_resumed_session_knows_its_client(runtime: &str, engine: &str) {
    let pki = Pki::new("CA");
    let identity = pki.client("Alice");
    let server = start(runtime, engine, &pki, ClientAuth::Require, false);
    for versions in VERSIONS {
        let config = config(&pki, Some(&identity), &Wants { versions, ..Wants::default() });
        let kinds: Vec<_> = (0..2)
            .map(|_| {
                let mut tls = open(addr(&server), config.clone()).expect("it is let in");
                let greeted = greets(&mut tls);
                assert_eq!(greeted, told(Some(&vec![CertificateDer::from_pem_file(&identity.certificate).unwrap()])));
                tls.conn.handshake_kind().expect("it is over")
            })
            .collect();
        assert_eq!(kinds, [rustls::HandshakeKind::Full, rustls::HandshakeKind::Resumed], "{versions:?}");
    }
}
