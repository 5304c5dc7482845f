//! What tonic's own server tells a service of its connection, in the types that it uses: `Request::remote_addr` and others of tonic's look for them.
//! They are of tonic's transport, so this is the feature `connect-info`.

use http::Extensions;

use crate::grpc::Peer;

/// Adds it to a request's extensions.
///
/// Of a Unix socket it is known that it is one: neither its peer's name, which clients' ends lack, nor credentials, which tokio alone can make.
#[cfg(feature = "connect-info")]
pub(super) fn insert(extensions: &mut Extensions, peer: Option<&Peer>) {
    use loopswap_rt::Address;
    use tonic::transport::server::{TcpConnectInfo, UdsConnectInfo};

    let Some(peer) = peer else { return };
    match &peer.remote {
        Address::Tcp(remote) => {
            extensions.insert(TcpConnectInfo { local_addr: peer.local_tcp(), remote_addr: Some(*remote) });
        }
        Address::Unix(_) => {
            extensions.insert(UdsConnectInfo { peer_addr: None, peer_cred: None });
        }
    }
    #[cfg(feature = "tls")]
    if let Some(client) = peer.tls.as_ref().and_then(|tls| tls.get()) {
        client.insert(extensions);
    }
}

/// Adds nothing.
#[cfg(not(feature = "connect-info"))]
pub(super) fn insert(_: &mut Extensions, _: Option<&Peer>) {}
