//! What the server knows of its calls and sockets, for those who debug it: gRPC's channelz (proposal A14), `grpc.channelz.v1.Channelz`.
//!
//! The calls are those that the metrics count. Of a connection its ends are told; what a count of its streams and messages would cost each call is not spent.

mod sockets;

use std::sync::Arc;

use loopswap_rt::Address;

use crate::observe::Metrics;
use crate::{Builder, Request, Response, Status};

use proto::address::{Address as Told, TcpIpAddress, UdsAddress};
use sockets::Ends;
pub(super) use sockets::{Sockets, WorkerSockets};

mod proto {
    #![allow(missing_docs, unreachable_pub, reason = "generated")]
    crate::include_proto!("grpc.channelz.v1");
}

/// The most that is told at a time. Whoever wants more asks for the next page.
const PAGE_MAX: usize = 100;

impl Builder {
    /// Whether to serve `grpc.channelz.v1.Channelz` beside the services of each worker: the server's calls, its listening sockets and its connections with
    /// their addresses, to everyone who may call. Calls are counted for it, as for [`metrics`](Self::metrics). Default: no.
    pub fn channelz(mut self, wanted: bool) -> Self {
        self.channelz = wanted;
        self
    }
}

/// The full name of the service.
#[cfg(feature = "cli")]
pub(crate) const NAME: &str = "grpc.channelz.v1.Channelz";

/// The service, for one worker.
pub(super) fn service(sockets: &Arc<Sockets>, metrics: &Metrics) -> proto::ChannelzServer<impl proto::Channelz> {
    proto::ChannelzServer::new(Served { sockets: Arc::clone(sockets), metrics: metrics.clone() })
}

struct Served {
    sockets: Arc<Sockets>,
    metrics: Metrics,
}

impl Served {
    fn server(&self) -> proto::Server {
        let (started, succeeded, failed) = self.metrics.calls();
        let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        proto::Server {
            r#ref: Some(proto::ServerRef { server_id: self.sockets.server, name: String::new() }),
            data: Some(proto::ServerData { calls_started: count(started), calls_succeeded: count(succeeded), calls_failed: count(failed) }),
            listen_socket: self.sockets.listening().into_iter().map(socket_ref).collect(),
        }
    }

    fn is_this(&self, server: i64) -> Result<(), Status> {
        if server == self.sockets.server { Ok(()) } else { Err(Status::not_found(format!("there is no server {server}"))) }
    }
}

impl proto::Channelz for Served {
    async fn get_top_channels(
        &self,
        request: Request<proto::GetTopChannelsRequest>,
    ) -> Result<Response<proto::GetTopChannelsResponse>, Status> {
        let request = request.get_ref();
        page(request.start_channel_id, request.max_results)?;
        Ok(Response::new(proto::GetTopChannelsResponse { channel: vec![], end: true }))
    }

    async fn get_servers(&self, request: Request<proto::GetServersRequest>) -> Result<Response<proto::GetServersResponse>, Status> {
        let request = request.get_ref();
        page(request.start_server_id, request.max_results)?;
        let server = if request.start_server_id <= self.sockets.server { vec![self.server()] } else { vec![] };
        Ok(Response::new(proto::GetServersResponse { server, end: true }))
    }

    async fn get_server(&self, request: Request<proto::GetServerRequest>) -> Result<Response<proto::GetServerResponse>, Status> {
        self.is_this(request.get_ref().server_id)?;
        Ok(Response::new(proto::GetServerResponse { server: Some(self.server()) }))
    }

    async fn get_server_sockets(
        &self,
        request: Request<proto::GetServerSocketsRequest>,
    ) -> Result<Response<proto::GetServerSocketsResponse>, Status> {
        let request = request.get_ref();
        self.is_this(request.server_id)?;
        let n = page(request.start_socket_id, request.max_results)?;
        let (ids, end) = self.sockets.connected(request.start_socket_id, n);
        Ok(Response::new(proto::GetServerSocketsResponse { socket_ref: ids.into_iter().map(socket_ref).collect(), end }))
    }

    async fn get_channel(&self, request: Request<proto::GetChannelRequest>) -> Result<Response<proto::GetChannelResponse>, Status> {
        Err(Status::not_found(format!("there is no channel {}", request.get_ref().channel_id)))
    }

    async fn get_subchannel(
        &self,
        request: Request<proto::GetSubchannelRequest>,
    ) -> Result<Response<proto::GetSubchannelResponse>, Status> {
        Err(Status::not_found(format!("there is no subchannel {}", request.get_ref().subchannel_id)))
    }

    async fn get_socket(&self, request: Request<proto::GetSocketRequest>) -> Result<Response<proto::GetSocketResponse>, Status> {
        let id = request.get_ref().socket_id;
        let Ends { local, remote } = self.sockets.get(id).ok_or_else(|| Status::not_found(format!("there is no socket {id}")))?;
        let socket = proto::Socket { r#ref: Some(socket_ref(id)), local: Some(told(local)), remote: remote.map(told) };
        Ok(Response::new(proto::GetSocketResponse { socket: Some(socket) }))
    }
}

/// How many are to be told.
fn page(start: i64, n: i64) -> Result<usize, Status> {
    match usize::try_from(n) {
        _ if start < 0 => Err(Status::invalid_argument(format!("ids are positive; a page cannot start at {start}"))),
        Err(_) => Err(Status::invalid_argument(format!("max_results is {n}; it must be 0, which leaves it to the server, or more"))),
        Ok(0) => Ok(PAGE_MAX),
        Ok(n) => Ok(n.min(PAGE_MAX)),
    }
}

fn socket_ref(socket_id: i64) -> proto::SocketRef {
    proto::SocketRef { socket_id, name: String::new() }
}

fn told(address: Address) -> proto::Address {
    let address = match address {
        Address::Tcp(address) => Told::TcpipAddress(TcpIpAddress {
            // A client over IPv4 is told as one, though the listener is of both families.
            ip_address: match address.ip().to_canonical() {
                std::net::IpAddr::V4(ip) => ip.octets().to_vec(),
                std::net::IpAddr::V6(ip) => ip.octets().to_vec(),
            },
            port: address.port().into(),
        }),
        Address::Unix(path) => Told::UdsAddress(UdsAddress { filename: path.map(|path| path.display().to_string()).unwrap_or_default() }),
    };
    proto::Address { address: Some(address) }
}
