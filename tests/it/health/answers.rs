//! What Check, List and Watch answer while the server serves (gRPC's doc/health-checking.md, and health.proto).

use std::collections::BTreeMap;
use std::thread;

use loopswap::greeter::{GreeterServer, Hello};
use loopswap::{Health, Server};
use tonic::Code;

use super::ServingStatus::{NotServing, ServiceUnknown, Serving, Unknown};
use super::{Client, GREETER};
use crate::leaks::{Hosted, host};
use crate::support::{block_on, serve};

crate::on_every_loop_and_engine!(
    the_binary_serves_as_a_whole_and_each_service,
    an_unknown_service_is_told,
    it_can_be_left_out,
    the_program_sets_what_is_told,
    only_changes_are_told_to_those_who_watch,
    no_more_than_100_are_listed,
);

fn the_binary_serves_as_a_whole_and_each_service(runtime: &str, engine: &str) {
    let server = serve(runtime, &["--http2", engine]);
    block_on(async {
        let client = Client::new(server.addr()).await;
        for service in ["", GREETER, Health::NAME] {
            assert_eq!(client.check(service).await.unwrap(), Serving, "`{service}`");
            client.watch(service).await.says(Serving).await;
        }
        assert_eq!(client.list().await.unwrap(), BTreeMap::from(["", GREETER, Health::NAME].map(|service| (service.into(), Serving))));
    });
}

fn an_unknown_service_is_told(runtime: &str, engine: &str) {
    let (_server, health, addr) = start(runtime, engine);
    block_on(async {
        let client = Client::new(addr).await;
        // It is not there: to have the name in other letters, or a part of it, is not enough.
        for service in ["no.Such", "helloworld", "helloworld.greeter", "/helloworld.Greeter"] {
            let status = client.check(service).await.unwrap_err();
            assert_eq!(status.code(), Code::NotFound, "{service}");
            assert!(status.message().contains(service), "{status:?}");
        }
        let mut watch = client.watch("no.Such").await;
        watch.says(ServiceUnknown).await;
        health.set("no.Such", loopswap::ServingStatus::Serving);
        watch.says(Serving).await;
        health.clear("no.Such");
        watch.says(ServiceUnknown).await;
        assert_eq!(client.check("no.Such").await.unwrap_err().code(), Code::NotFound);
    });
}

fn it_can_be_left_out(runtime: &str, engine: &str) {
    let server = serve(runtime, &["--http2", engine, "--health", "off"]);
    block_on(async {
        let client = Client::new(server.addr()).await;
        assert_eq!(client.check("").await.unwrap_err().code(), Code::Unimplemented);
    });
}

/// A server in this process, whose health is ours to set.
fn start(runtime: &str, engine: &str) -> (Hosted, Health, std::net::SocketAddr) {
    let health = Health::new();
    let builder = Server::builder().listen("127.0.0.1:0").workers(2).http2(engine.parse().unwrap()).health(health.clone());
    let running = host(builder, runtime, |_| GreeterServer::new(Hello));
    let addr = running.local_addr().as_tcp().unwrap();
    (running, health, addr)
}

fn the_program_sets_what_is_told(runtime: &str, engine: &str) {
    let (_server, health, addr) = start(runtime, engine);
    block_on(async {
        // Of both workers, most likely; each tells the same.
        let clients = [Client::new(addr).await, Client::new(addr).await, Client::new(addr).await];
        let mut watches = Vec::new();
        for client in &clients {
            let mut watch = client.watch(GREETER).await;
            watch.says(Serving).await;
            watches.push(watch);
        }
        for (set, told) in [
            (loopswap::ServingStatus::NotServing, NotServing),
            (loopswap::ServingStatus::Unknown, Unknown),
            (loopswap::ServingStatus::Serving, Serving),
        ] {
            let handle = health.clone();
            thread::spawn(move || handle.set(GREETER, set)).join().unwrap();
            for (client, watch) in clients.iter().zip(&mut watches) {
                watch.says(told).await;
                assert_eq!(client.check(GREETER).await.unwrap(), told);
                assert_eq!(client.list().await.unwrap()[GREETER], told);
                assert_eq!(client.check("").await.unwrap(), Serving, "the server as a whole is something else");
            }
        }
        health.set("", loopswap::ServingStatus::NotServing);
        assert_eq!(clients[0].check("").await.unwrap(), NotServing);
        assert_eq!(clients[0].check(GREETER).await.unwrap(), Serving);
    });
}

fn only_changes_are_told_to_those_who_watch(runtime: &str, engine: &str) {
    let (_server, health, addr) = start(runtime, engine);
    block_on(async {
        let client = Client::new(addr).await;
        let mut watch = client.watch(GREETER).await;
        watch.says(Serving).await;
        health.set("another", loopswap::ServingStatus::NotServing);
        health.set(GREETER, loopswap::ServingStatus::Serving);
        // By now it would have been told, if it were.
        assert_eq!(client.check("another").await.unwrap(), NotServing);
        health.set(GREETER, loopswap::ServingStatus::NotServing);
        watch.says(NotServing).await;
    });
}

fn no_more_than_100_are_listed(runtime: &str, engine: &str) {
    let (_server, health, addr) = start(runtime, engine);
    block_on(async {
        let client = Client::new(addr).await;
        let n = client.list().await.unwrap().len();
        for n in n..100 {
            health.set(format!("service {n}"), loopswap::ServingStatus::Serving);
        }
        assert_eq!(client.list().await.unwrap().len(), 100);
        health.set("one more", loopswap::ServingStatus::Serving);
        assert_eq!(client.list().await.unwrap_err().code(), Code::ResourceExhausted);
    });
}
