//! What a service may know of its client's TLS.

use std::cell::{Cell, OnceCell};
use std::sync::Arc;

use loopswap_rt::Address;
use rustls::pki_types::CertificateDer;
use rustls::{ServerConfig, ServerConnection};

/// What is known of the client of a connection; nothing before the handshake is over. The connection and its calls share it.
#[derive(Debug, Default)]
pub(crate) struct TlsFacts {
    peer: OnceCell<TlsPeer>,
    is_refused: Cell<bool>,
}

/// A client with which TLS was agreed.
#[derive(Debug)]
pub(crate) struct TlsPeer {
    certs: Option<Arc<Vec<CertificateDer<'static>>>>,
    #[cfg(feature = "connect-info")]
    tonic: tonics::Info,
}

impl TlsFacts {
    pub(crate) fn get(&self) -> Option<&TlsPeer> {
        self.peer.get()
    }

    /// Whether the client was refused, in the handshake or later. The connection lasts for as long as it takes to tell it, and for nothing else: whatever is due of it
    /// otherwise no longer is.
    pub(crate) fn is_refused(&self) -> bool {
        self.is_refused.get()
    }

    pub(super) fn refuse(&self) {
        self.is_refused.set(true);
    }

    /// Learns of the client of a connection whose handshake is over and which has nothing to send.
    pub(super) fn learn(&self, connection: &mut ServerConnection, config: Arc<ServerConfig>, remote: &Address, local: Option<&Address>) {
        self.peer.get_or_init(|| TlsPeer::of(connection, config, remote, local));
    }
}

impl TlsPeer {
    #[cfg(feature = "connect-info")]
    fn of(connection: &mut ServerConnection, config: Arc<ServerConfig>, remote: &Address, local: Option<&Address>) -> Self {
        let tonic = tonics::Info::of(connection, config, remote, local);
        Self { certs: tonic.certs(), tonic }
    }

    #[cfg(not(feature = "connect-info"))]
    fn of(connection: &mut ServerConnection, _: Arc<ServerConfig>, _: &Address, _: Option<&Address>) -> Self {
        Self { certs: connection.peer_certificates().map(|certs| Arc::new(certs.to_vec())) }
    }

    /// Leaves what tonic's services look for.
    #[cfg(feature = "connect-info")]
    pub(crate) fn insert(&self, extensions: &mut http::Extensions) {
        self.tonic.insert(extensions);
    }

    /// The client's certificate, and those of its chain that it sent.
    pub(crate) fn certs(&self) -> Option<Arc<Vec<CertificateDer<'static>>>> {
        self.certs.clone()
    }
}

/// What tonic's own server leaves for its services: `tonic::Request::peer_certs` looks for it. A stream of tokio-rustls alone can make it, so such a stream is
/// made of the connection for a moment.
#[cfg(feature = "connect-info")]
mod tonics {
    use std::io;
    use std::pin::{Pin, pin};
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};

    use loopswap_rt::Address;
    use rustls::pki_types::CertificateDer;
    use rustls::{ServerConfig, ServerConnection};
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::server::TlsStream;
    use tonic::transport::server::{Connected, TcpConnectInfo, UdsConnectInfo};

    /// tonic names it only where TLS of its own is built in.
    type TlsConnectInfo<T> = <TlsStream<NoSocket<T>> as Connected>::ConnectInfo;

    #[derive(Debug)]
    pub(super) enum Info {
        Tcp(TlsConnectInfo<TcpConnectInfo>),
        Unix(TlsConnectInfo<UdsConnectInfo>),
    }

    impl Info {
        pub(super) fn of(connection: &mut ServerConnection, config: Arc<ServerConfig>, remote: &Address, local: Option<&Address>) -> Self {
            match remote {
                Address::Tcp(remote) => {
                    let local_addr = local.and_then(Address::as_tcp);
                    Self::Tcp(info(connection, config, TcpConnectInfo { local_addr, remote_addr: Some(*remote) }))
                }
                Address::Unix(_) => Self::Unix(info(connection, config, UdsConnectInfo { peer_addr: None, peer_cred: None })),
            }
        }

        pub(super) fn insert(&self, extensions: &mut http::Extensions) {
            match self {
                Self::Tcp(info) => drop(extensions.insert(info.clone())),
                Self::Unix(info) => drop(extensions.insert(info.clone())),
            }
        }

        pub(super) fn certs(&self) -> Option<Arc<Vec<CertificateDer<'static>>>> {
            match self {
                Self::Tcp(info) => info.peer_certs(),
                Self::Unix(info) => info.peer_certs(),
            }
        }
    }

    /// The connection changes places with a new one while the stream is asked.
    fn info<T>(connection: &mut ServerConnection, config: Arc<ServerConfig>, of_socket: T) -> TlsConnectInfo<T>
    where
        T: Clone + Send + Sync + Unpin + 'static,
    {
        let accept = TlsAcceptor::from(config).accept_with(NoSocket(of_socket), |new| std::mem::swap(new, connection));
        let Poll::Ready(Ok(stream)) = pin!(accept).poll(&mut Context::from_waker(Waker::noop())) else {
            unreachable!("a handshake that is over, with nothing to send, has nothing to wait for");
        };
        let info = stream.connect_info();
        (_, *connection) = stream.into_inner();
        info
    }

    /// A socket that is never read nor written.
    pub(super) struct NoSocket<T>(T);

    impl<T: Clone + Send + Sync + 'static> Connected for NoSocket<T> {
        type ConnectInfo = T;

        fn connect_info(&self) -> T {
            self.0.clone()
        }
    }

    impl<T: Unpin> AsyncRead for NoSocket<T> {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl<T: Unpin> AsyncWrite for NoSocket<T> {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Pending
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }
}
