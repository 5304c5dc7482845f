//! Where a listener listens, and where a peer is.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// The address of a stream socket: TCP, or Unix by path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// TCP over IPv4 or IPv6.
    Tcp(SocketAddr),
    /// A Unix socket; `None` for an unnamed one, as clients' ends are.
    Unix(Option<PathBuf>),
}

impl Address {
    /// The TCP address, where it is one.
    pub fn as_tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl TryFrom<socket2::SockAddr> for Address {
    type Error = io::Error;

    fn try_from(address: socket2::SockAddr) -> io::Result<Self> {
        if let Some(tcp) = address.as_socket() {
            Ok(Self::Tcp(tcp))
        } else if address.is_unix() {
            Ok(Self::Unix(address.as_pathname().map(PathBuf::from)))
        } else {
            Err(io::Error::new(io::ErrorKind::Unsupported, "neither a TCP nor a Unix socket"))
        }
    }
}

impl TryFrom<&Address> for socket2::SockAddr {
    type Error = io::Error;

    fn try_from(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => Ok(Self::from(*address)),
            Address::Unix(Some(path)) => Self::unix(path),
            Address::Unix(None) => Err(io::Error::new(io::ErrorKind::InvalidInput, "an unnamed Unix socket cannot be reached")),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(Some(path)) => write!(f, "unix:{}", path.display()),
            Self::Unix(None) => f.write_str("unix:"),
        }
    }
}

/// Reads `127.0.0.1:9999`, `[::]:9999` and `unix:/run/greeter.sock`. Host names are not resolved.
impl FromStr for Address {
    type Err = io::Error;

    fn from_str(text: &str) -> io::Result<Self> {
        if let Some(path) = text.strip_prefix("unix:") {
            if path.is_empty() {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "`unix:` wants a path behind it, as in unix:/run/greeter.sock"));
            }
            return Ok(Self::Unix(Some(path.into())));
        }
        text.parse().map(Self::Tcp).map_err(|_| {
            let message = format!("`{text}` is not IP:PORT, [IPv6]:PORT or unix:PATH; write it as in 127.0.0.1:9999");
            io::Error::new(io::ErrorKind::InvalidInput, message)
        })
    }
}
