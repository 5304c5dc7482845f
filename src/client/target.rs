//! Where a server is: what a person wrote, and the addresses that it means.

use std::io;
use std::net::ToSocketAddrs;
use std::time::Duration;

use loopswap_rt::{Address, Runtime, timeout};

use crate::client::security::Security;
use crate::socket::Socket;
#[cfg(feature = "tls")]
use crate::tls::ClientTls;
use crate::{Error, ErrorKind};

/// How long connecting to one address may take, with TLS if it is spoken: ghz's default for it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A server's address, resolved. A name may have several; they are tried in order, because `localhost` is often `::1` first.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    text: String,
    addresses: Vec<Address>,
    security: Security,
}

impl Target {
    /// Reads `HOST:PORT`, `IP:PORT`, `[IPv6]:PORT` or `unix:PATH`. Asks the system's resolver, which may block.
    ///
    /// # Errors
    ///
    /// It is none of these, or there is no such host.
    pub(crate) fn resolve(text: &str) -> Result<Self, Error> {
        let bad = |why: io::Error| {
            let message = format!("bad address `{text}`: {why}; write it as in 127.0.0.1:9999, localhost:9999 or unix:/run/greeter.sock");
            Error::usage(message).with_source(why)
        };
        if let Some((scheme, rest)) = text.split_once("://").filter(|(scheme, _)| *scheme != "unix") {
            let why = format!("leave out `{scheme}://`: {rest}");
            return Err(bad(io::Error::new(io::ErrorKind::InvalidInput, why)));
        }
        let addresses = if text.starts_with("unix:") {
            vec![text.parse().map_err(bad)?]
        } else {
            text.to_socket_addrs().map_err(bad)?.map(Address::Tcp).collect()
        };
        if addresses.is_empty() {
            return Err(bad(io::Error::new(io::ErrorKind::NotFound, "the name has no address")));
        }
        Ok(Self { text: text.into(), addresses, security: Security::default() })
    }

    /// Speaks TLS with it.
    ///
    /// # Errors
    ///
    /// What is wrong with the description.
    #[cfg(feature = "tls")]
    pub(crate) fn with_tls(self, tls: &ClientTls) -> Result<Self, Error> {
        let host = if self.text.starts_with("unix:") { "localhost" } else { self.text.rsplit_once(':').map_or("", |(host, _)| host) };
        let security = Security::tls(tls, host.trim_start_matches('[').trim_end_matches(']'))?;
        Ok(Self { security, ..self })
    }

    /// Whether TLS is spoken.
    pub(super) fn is_secure(&self) -> bool {
        self.security.is_on()
    }

    /// What `:scheme` says.
    pub(super) fn scheme(&self) -> &'static str {
        self.security.scheme()
    }

    /// What was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// What `:authority` says (RFC 9113, 8.3.1); a Unix socket has no name.
    pub(super) fn authority(&self) -> &str {
        if self.text.starts_with("unix:") { "localhost" } else { &self.text }
    }

    /// Connects to the first address that answers.
    ///
    /// # Errors
    ///
    /// None does; the last one's reason, and what to do.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the attempt up.
    pub(super) async fn connect<R: Runtime>(&self, runtime: &R) -> Result<Socket<R::Connection>, Error> {
        let mut failed = None;
        for address in &self.addresses {
            let late = || io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {CONNECT_TIMEOUT:?}"));
            match timeout(CONNECT_TIMEOUT, self.connect_to(runtime, address)).await.unwrap_or_else(|_| Err(late())) {
                Ok(connection) => return Ok(connection),
                Err(error) => failed = Some((address, error)),
            }
        }
        let (address, error) = failed.expect("`resolve` finds an address");
        Err(self.unreachable(address, error))
    }

    async fn connect_to<R: Runtime>(&self, runtime: &R, address: &Address) -> io::Result<Socket<R::Connection>> {
        self.security.put_on(runtime.connect(address).await?).await
    }

    fn unreachable(&self, address: &Address, error: io::Error) -> Error {
        let text = &self.text;
        let message = match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => {
                format!("nobody listens on {text}; start a server with `loopswap serve --addr {address}`")
            }
            io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                format!("cannot reach {text}: {error}; check the address, and any firewall between")
            }
            _ if error.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error()) => {
                format!("cannot connect to {text}: {error}; raise ulimit -n, or ask for fewer connections")
            }
            _ => format!("cannot connect to {text}: {error}"),
        };
        Error::new(ErrorKind::Connect, message).with_source(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_addresses_and_names() {
        assert_eq!(Target::resolve("127.0.0.1:9999").unwrap().addresses, ["127.0.0.1:9999".parse().unwrap()]);
        assert_eq!(Target::resolve("[::1]:80").unwrap().addresses, ["[::1]:80".parse().unwrap()]);
        assert!(!Target::resolve("localhost:9999").unwrap().addresses.is_empty());
        let unix = Target::resolve("unix:/run/greeter.sock").unwrap();
        assert_eq!((unix.addresses, unix.text.as_str()), (vec!["unix:/run/greeter.sock".parse().unwrap()], "unix:/run/greeter.sock"));
    }

    #[test]
    fn says_how_an_address_is_written() {
        for text in ["", "9999", "localhost", "http://localhost:9999", "127.0.0.1:99999", "unix:"] {
            let error = Target::resolve(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert!(error.to_string().contains("as in 127.0.0.1:9999"), "{text}: {error}");
        }
    }
}
