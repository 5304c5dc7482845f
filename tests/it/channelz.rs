//! `--admin`: what the server tells of its calls and sockets, by gRPC's channelz.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use prost::Message;
use rustix::process::Signal;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use proto::address::Address;
use proto::channelz_client::ChannelzClient;
use proto::{
    GetChannelRequest, GetServerRequest, GetServerSocketsRequest, GetServersRequest, GetServersResponse, GetSocketRequest,
    GetSubchannelRequest, GetTopChannelsRequest, Server, ServerData,
};

use crate::raw::{Connection, Fields, ping_ack, prefixed};
use crate::support::{block_on, client, eventually, hello, loopswap, serve, served};

crate::on_every_loop_and_engine!(
    tells_how_calls_ended,
    tells_of_connections_while_they_are_there,
    all_workers_sockets_are_told_in_pages,
    a_server_that_drains_listens_no_more,
    what_is_not_there_is_not_found,
    is_off_unless_asked_for,
);

mod proto {
    #![allow(dead_code, missing_docs, unreachable_pub, reason = "generated")]
    loopswap::include_proto!("grpc.channelz.v1");
}

#[derive(Clone)]
struct Client(ChannelzClient<Channel>);

impl Client {
    async fn new(addr: SocketAddr) -> Self {
        Self(ChannelzClient::new(Endpoint::from_shared(format!("http://{addr}")).unwrap().connect().await.expect("it listens")))
    }

    async fn server(&self) -> Server {
        let mut servers = self.0.clone().get_servers(GetServersRequest::default()).await.unwrap().into_inner();
        assert!(servers.end && servers.server.len() == 1, "{servers:?}");
        servers.server.remove(0)
    }

    async fn id(&self) -> i64 {
        self.server().await.r#ref.unwrap().server_id
    }

    async fn data(&self) -> ServerData {
        let request = GetServerRequest { server_id: self.id().await };
        self.0.clone().get_server(request).await.unwrap().into_inner().server.unwrap().data.unwrap()
    }

    /// A page of the ids of connections, and whether it is the last.
    async fn page(&self, start: i64, n: i64) -> Result<(Vec<i64>, bool), Status> {
        let request = GetServerSocketsRequest { server_id: self.id().await, start_socket_id: start, max_results: n };
        let page = self.0.clone().get_server_sockets(request).await?.into_inner();
        Ok((page.socket_ref.into_iter().map(|socket| socket.socket_id).collect(), page.end))
    }

    /// Both ends of a socket.
    async fn ends(&self, id: i64) -> Result<(SocketAddr, Option<SocketAddr>), Status> {
        let socket = self.0.clone().get_socket(GetSocketRequest { socket_id: id, summary: false }).await?.into_inner().socket.unwrap();
        assert_eq!(socket.r#ref.unwrap().socket_id, id);
        Ok((tcp(socket.local.unwrap()), socket.remote.map(tcp)))
    }

    /// The clients that are connected.
    async fn remotes(&self) -> BTreeSet<SocketAddr> {
        let (ids, end) = self.page(0, 0).await.unwrap();
        assert!(end);
        let mut remotes = BTreeSet::new();
        for id in ids {
            // One that has gone meanwhile is not there.
            if let Ok((_, remote)) = self.ends(id).await {
                remotes.insert(remote.expect("a connection has another end"));
            }
        }
        remotes
    }
}

fn tcp(address: proto::Address) -> SocketAddr {
    let Some(Address::TcpipAddress(address)) = address.address else { panic!("{address:?}") };
    let ip: IpAddr = match address.ip_address[..] {
        [a, b, c, d] => [a, b, c, d].into(),
        ref ip => <[u8; 16]>::try_from(ip).expect("4 bytes or 16").into(),
    };
    SocketAddr::new(ip, address.port.try_into().unwrap())
}

fn tells_how_calls_ended(runtime: &str, engine: &str) {
    let server = serve(runtime, &["--http2", engine, "--admin"]);
    block_on(async {
        let admin = Client::new(server.addr()).await;
        let mut caller = client(server.addr()).await;
        let before = admin.data().await;
        for n in 0..5 {
            hello(&mut caller, "Joe", n).await.unwrap();
        }
        for _ in 0..2 {
            assert_eq!(hello(&mut caller, "Joe", -1).await.unwrap_err().code(), Code::InvalidArgument);
        }
        let after = admin.data().await;
        // Asking is two calls: the last of them has not ended while it tells.
        assert_eq!(after.calls_started - before.calls_started, 5 + 2 + 2);
        assert_eq!(after.calls_succeeded - before.calls_succeeded, 5 + 2);
        assert_eq!(after.calls_failed - before.calls_failed, 2);
    });
}

fn tells_of_connections_while_they_are_there(runtime: &str, engine: &str) {
    let server = serve(runtime, &["--http2", engine, "--admin"]);
    let admin = block_on_runtime();
    let client = admin.block_on(Client::new(server.addr()));
    let listens: Vec<_> = admin.block_on(client.server()).listen_socket.into_iter().map(|socket| socket.socket_id).collect();
    assert_eq!(listens.len(), 1);
    assert_eq!(admin.block_on(client.ends(listens[0])).unwrap(), (server.addr(), None));
    let own = admin.block_on(client.remotes());
    assert_eq!(own.len(), 1, "the one that asks");
    let mut connections: Vec<_> = (0..3).map(|_| Connection::open(server.addr(), &[])).collect();
    connections.iter_mut().for_each(Connection::greets);
    let theirs: BTreeSet<_> = connections.iter().map(Connection::local_addr).collect();
    assert_eq!(admin.block_on(client.remotes()), &own | &theirs);
    let (ids, _) = admin.block_on(client.page(0, 0)).unwrap();
    for id in &ids {
        assert_eq!(admin.block_on(client.ends(*id)).unwrap().0, server.addr());
    }
    drop(connections);
    eventually("they are gone", || (admin.block_on(client.remotes()) == own).then_some(()));
    assert_eq!(admin.block_on(client.ends(*ids.last().unwrap())).unwrap_err().code(), Code::NotFound);
}

fn all_workers_sockets_are_told_in_pages(runtime: &str, engine: &str) {
    let mut command = loopswap();
    command.args(["serve", "--runtime", runtime, "--http2", engine, "--workers", "3", "--addr", "127.0.0.1:0", "--admin"]);
    let server = served(&mut command);
    let mut connections: Vec<_> = (0..20).map(|_| Connection::open(server.addr(), &[])).collect();
    connections.iter_mut().for_each(Connection::greets);
    block_on(async {
        let admin = Client::new(server.addr()).await;
        assert_eq!(admin.server().await.listen_socket.len(), 3, "one a worker");
        let (all, end) = admin.page(0, 0).await.unwrap();
        assert_eq!((all.len(), end), (21, true), "whichever worker has them");
        assert!(all.is_sorted());
        let (mut pages, mut start) = (Vec::new(), 0);
        loop {
            let (page, end) = admin.page(start, 8).await.unwrap();
            assert!(page.len() <= 8 && !page.is_empty());
            start = page.last().unwrap() + 1;
            pages.extend(page);
            if end {
                break;
            }
        }
        assert_eq!(pages, all);
        for (start, n) in [(0, -1), (-1, 0)] {
            assert_eq!(admin.page(start, n).await.unwrap_err().code(), Code::InvalidArgument);
        }
    });
}

/// Asked between the two GOAWAYs.
fn a_server_that_drains_listens_no_more(runtime: &str, engine: &str) {
    let mut server = serve(runtime, &["--http2", engine, "--admin"]);
    let mut connection = Connection::open(server.addr(), &[]);
    connection.polite = false;
    let running = connection.hello("Joe", 300);
    connection.greets();
    server.signal(Signal::TERM);
    connection.until("GOAWAY and PING come", |connection| (!connection.goaways.is_empty() && !connection.pings.is_empty()).then_some(()));
    let fields = Fields::hello().set(":path", "/grpc.channelz.v1.Channelz/GetServers");
    let stream = connection.request(&fields, &prefixed(0, &[]));
    let answer = connection.response(stream);
    let servers = GetServersResponse::decode(&answer.body[5..]).unwrap();
    assert_eq!(servers.server[0].listen_socket, [], "{servers:?}");
    let ping = connection.pings[0];
    connection.send([ping_ack(ping)]);
    connection.is_greeted(running, "Joe");
    assert_eq!(server.wait().code(), Some(0), "{}", server.stderr().so_far());
}

fn what_is_not_there_is_not_found(runtime: &str, engine: &str) {
    let server = serve(runtime, &["--http2", engine, "--admin"]);
    block_on(async {
        let admin = Client::new(server.addr()).await;
        let other = admin.id().await + 1_000_000;
        let mut client = admin.0.clone();
        let codes = [
            client.get_server(GetServerRequest { server_id: other }).await.unwrap_err().code(),
            client.get_server_sockets(GetServerSocketsRequest { server_id: other, ..Default::default() }).await.unwrap_err().code(),
            client.get_socket(GetSocketRequest { socket_id: other, summary: false }).await.unwrap_err().code(),
            client.get_channel(GetChannelRequest { channel_id: other }).await.unwrap_err().code(),
            client.get_subchannel(GetSubchannelRequest { subchannel_id: other }).await.unwrap_err().code(),
        ];
        assert_eq!(codes, [Code::NotFound; 5]);
        let channels = client.get_top_channels(GetTopChannelsRequest::default()).await.unwrap().into_inner();
        assert!(channels.end && channels.channel.is_empty());
        let servers = client.get_servers(GetServersRequest { start_server_id: other, max_results: 0 }).await.unwrap().into_inner();
        assert!(servers.end && servers.server.is_empty());
    });
}

fn is_off_unless_asked_for(runtime: &str, engine: &str) {
    let server = serve(runtime, &["--http2", engine]);
    block_on(async {
        let mut client = Client::new(server.addr()).await.0;
        assert_eq!(client.get_servers(GetServersRequest::default()).await.unwrap_err().code(), Code::Unimplemented);
    });
}

/// For a client that outlives one wait.
fn block_on_runtime() -> ::tokio::runtime::Runtime {
    ::tokio::runtime::Builder::new_current_thread().enable_all().build().expect("epoll is there")
}
