//! What a service learns of its connection: a local one by its request, one of tonic's as tonic's own server tells it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use loopswap::greeter::stock::greeter_server::{Greeter as TonicGreeter, GreeterServer as TonicGreeterServer};
use loopswap::greeter::{Greeter, GreeterClient, GreeterServer, HelloReply, HelloRequest};
use loopswap::{Http2, Request, Response, Router, Server, Status};
use tonic::transport::server::UdsConnectInfo;
use tonic::transport::{Channel, Endpoint};

use crate::leaks::{Hosted, host};
use crate::support::{block_on, client, hello};

crate::on_every_loop!(a_service_learns_both_ends, of_ipv6_too, a_unix_socket_has_no_addresses);

/// Answers with the addresses of both ends.
#[derive(Clone, Copy)]
struct WhoCalls;

impl Greeter for WhoCalls {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        Ok(Response::new(HelloReply { message: format!("{:?} {:?}", request.remote_addr(), request.local_addr()) }))
    }
}

#[tonic::async_trait]
impl TonicGreeter for WhoCalls {
    async fn say_hello(&self, request: tonic::Request<HelloRequest>) -> Result<tonic::Response<HelloReply>, Status> {
        let is_unix = request.extensions().get::<UdsConnectInfo>().is_some();
        let unix = if is_unix { " unix" } else { "" };
        Ok(tonic::Response::new(HelloReply { message: format!("{:?} {:?}{unix}", request.remote_addr(), request.local_addr()) }))
    }
}

fn start(runtime: &str, http2: Http2, listen: &str, tonic: bool) -> Hosted {
    let server = Server::builder().listen(listen).workers(1).http2(http2);
    host(server, runtime, move |_| match tonic {
        true => Router::new().add_tonic(TonicGreeterServer::new(WhoCalls)),
        false => Router::new().add(GreeterServer::new(WhoCalls)),
    })
}

fn each_service(mut case: impl FnMut(Http2, bool)) {
    for http2 in Http2::ALL {
        for tonic in [false, true] {
            case(http2, tonic);
        }
    }
}

/// All addresses are listened on, of which one is called.
fn a_service_learns_both_ends(runtime: &str) {
    learns_both_ends(runtime, "0.0.0.0:0", Ipv4Addr::LOCALHOST.into());
}

fn of_ipv6_too(runtime: &str) {
    learns_both_ends(runtime, "[::1]:0", Ipv6Addr::LOCALHOST.into());
}

fn learns_both_ends(runtime: &str, listen: &str, called: IpAddr) {
    each_service(|http2, tonic| {
        let server = start(runtime, http2, listen, tonic);
        let called = SocketAddr::from((called, server.local_addr().as_tcp().unwrap().port()));
        let remotes = block_on(async {
            let mut remotes = Vec::new();
            for _ in 0..2 {
                let mut client = client(called).await;
                let first = hello(&mut client, "", 0).await.unwrap();
                // Long enough for what an idle connection holds to be given back.
                ::tokio::time::sleep(Duration::from_millis(250)).await;
                assert_eq!(hello(&mut client, "", 0).await.unwrap(), first, "{http2}");
                let (remote, local) = first.split_once(' ').unwrap();
                assert_eq!(local, format!("Some({called})"), "{http2}, tonic: {tonic}");
                let remote: SocketAddr = remote.strip_prefix("Some(").unwrap().strip_suffix(')').unwrap().parse().unwrap();
                assert!(remote.ip() == called.ip() && remote.port() != 0);
                remotes.push(remote);
            }
            remotes
        });
        assert_ne!(remotes[0], remotes[1], "each connection has its own");
    });
}

fn a_unix_socket_has_no_addresses(runtime: &str) {
    each_service(|http2, tonic| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let _server = start(runtime, http2, &format!("unix:{}", path.display()), tonic);
        let reply = block_on(async {
            let channel: Channel = Endpoint::from_shared(format!("unix://{}", path.display())).unwrap().connect().await.unwrap();
            hello(&mut GreeterClient::new(channel), "", 0).await.unwrap()
        });
        assert_eq!(reply, if tonic { "None None unix" } else { "None None" }, "{http2}");
    });
}
