//! Where a channel goes, and how it behaves.

use std::io;
use std::net::ToSocketAddrs;
use std::time::Duration;

use http::uri::{Authority, Scheme, Uri};
use loopswap_rt::{Address, current_loop, offload};

use crate::client::Channel;
use crate::client::security::Security;
#[cfg(feature = "tls")]
use crate::tls::ClientTls;
use crate::{Error, ErrorKind};

/// A server to be called, and how: made from its URI, changed by its methods, and connected on a worker.
///
/// ```no_run
/// # use std::time::Duration;
/// # fn start_hook() -> Result<(), loopswap::Error> {
/// use loopswap::client::Endpoint;
///
/// let channel = Endpoint::new("http://greeter.internal:50051")?
///     .timeout(Duration::from_secs(2))
///     .keepalive(Duration::from_secs(300), Duration::from_secs(20))
///     .connect_lazy()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use = "an endpoint does nothing until it is connected"]
pub struct Endpoint {
    uri: String,
    place: Place,
    authority: String,
    /// It is an `https` URI.
    wants_tls: bool,
    pub(super) security: Security,
    user_agent: String,
    pub(super) connect_timeout: Duration,
    pub(super) timeout: Option<Duration>,
    pub(super) keepalive: Option<Keepalive>,
    pub(super) waits_for_ready: bool,
    pub(super) waiting_max: usize,
    pub(super) inherits_deadlines: bool,
    pub(super) inherits_trace: bool,
}

/// Where the server is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Unix(Address),
    /// A name, or an address, and a port.
    Host(String, u16),
}

/// When to ask a silent server whether it is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keepalive {
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
    pub(super) while_idle: bool,
}

impl Endpoint {
    /// The server at a URI: `http://HOST`, `http://HOST:PORT`, the same with `https`, or `unix:PATH`. A host may be a name, which is resolved on the worker's
    /// thread pool whenever the channel connects; without a port it is 80, or 443. What `https` needs besides is said by `tls`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`]: it is none of these; `https` without the feature `tls`.
    pub fn new(uri: &str) -> Result<Self, Error> {
        let bad = |why: &dyn std::fmt::Display| {
            Error::usage(format!(
                "bad address `{uri}`: {why}; write it as in http://127.0.0.1:50051, http://greeter:50051 or unix:/run/greeter.sock"
            ))
        };
        let (place, authority, wants_tls) = if uri.starts_with("unix:") {
            let path = uri.strip_prefix("unix://").map_or_else(|| uri.to_owned(), |path| format!("unix:{path}"));
            (Place::Unix(path.parse().map_err(|error| bad(&error))?), "localhost".to_owned(), false)
        } else {
            let parsed: Uri = uri.parse().map_err(|error| bad(&error))?;
            match parsed.scheme() {
                Some(scheme) if *scheme == Scheme::HTTP => {}
                Some(scheme) if *scheme == Scheme::HTTPS && cfg!(feature = "tls") => {}
                Some(scheme) if *scheme == Scheme::HTTPS => return Err(bad(&"TLS is not built in: the feature `tls` does it")),
                Some(scheme) => return Err(bad(&format_args!("`{scheme}` is not spoken"))),
                None => return Err(bad(&"it has no scheme")),
            }
            if !matches!(parsed.path(), "" | "/") || parsed.query().is_some() {
                return Err(bad(&"it has a path, and methods have paths of their own"));
            }
            let authority: &Authority = parsed.authority().ok_or_else(|| bad(&"it has no host"))?;
            if authority.as_str().contains('@') {
                return Err(bad(&"it names a user"));
            }
            let host = authority.host().trim_start_matches('[').trim_end_matches(']');
            if host.is_empty() || (authority.as_str() != authority.host() && authority.port_u16().is_none()) {
                return Err(bad(&"its host or port is none"));
            }
            let wants_tls = parsed.scheme() == Some(&Scheme::HTTPS);
            let port = authority.port_u16().unwrap_or(if wants_tls { 443 } else { 80 });
            (Place::Host(host.to_owned(), port), authority.to_string(), wants_tls)
        };
        Ok(Self {
            uri: uri.to_owned(),
            place,
            authority,
            wants_tls,
            security: Security::default(),
            user_agent: concat!("grpc-rust-loopswap/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: Duration::from_secs(20),
            timeout: None,
            keepalive: None,
            waits_for_ready: false,
            waiting_max: 16_384,
            inherits_deadlines: true,
            inherits_trace: true,
        })
    }

    /// Speaks TLS, which `https` wants and a Unix socket may have. What is in files is read now.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`]: what is wrong with it; the URI is of `http`.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: ClientTls) -> Result<Self, Error> {
        let host = match &self.place {
            Place::Unix(_) => "localhost",
            Place::Host(..) if !self.wants_tls => {
                return Err(Error::usage(format!("TLS was given for `{}`, which is without; write https", self.uri)));
            }
            Place::Host(host, _) => host,
        };
        self.security = Security::tls(&tls, host)?;
        Ok(self)
    }

    /// How long connecting to one address may take, from the first packet to the server's first SETTINGS. Default: 20 s, the minimum that gRPC's
    /// connection-backoff.md gives an attempt.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a call may take that says nothing of it, or more. The server is told. Default: as long as it likes.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Asks the server whether it is there when it has said nothing for `interval` while calls are under way, and gives the connection up when it says
    /// nothing for another `timeout`: gRFC A8. Default: never. Servers close connections that ask more often than they allow, which by gRPC's default is
    /// every 5 minutes; a server that says so (`too_many_pings`) is asked half as often from then on.
    ///
    /// # Panics
    ///
    /// When `interval` is zero.
    pub fn keepalive(mut self, interval: Duration, timeout: Duration) -> Self {
        assert!(!interval.is_zero(), "a keepalive interval of 0 would ask without pause");
        let while_idle = self.keepalive.is_some_and(|keepalive| keepalive.while_idle);
        self.keepalive = Some(Keepalive { interval, timeout, while_idle });
        self
    }

    /// Whether [`keepalive`](Self::keepalive) asks while no call is under way. Default: no.
    ///
    /// # Panics
    ///
    /// Before `keepalive`.
    pub fn keepalive_while_idle(mut self, while_idle: bool) -> Self {
        self.keepalive.as_mut().expect("`keepalive` says how often to ask, and comes before `keepalive_while_idle`").while_idle =
            while_idle;
        self
    }

    /// Whether calls wait until there is a connection, however many attempts fail, and end by their deadline alone (gRPC, wait-for-ready.md). Default: no;
    /// after an attempt that failed, calls fail at once with UNAVAILABLE until the next one may be made.
    pub fn wait_for_ready(mut self, wait: bool) -> Self {
        self.waits_for_ready = wait;
        self
    }

    /// How many calls may wait for a connection, or for the server to allow them another stream; one more fails with RESOURCE_EXHAUSTED.
    /// Default: 16,384.
    pub fn waiting_calls_max(mut self, n: usize) -> Self {
        self.waiting_max = n;
        self
    }

    /// Whether a call that a handler makes ends with the handler's own deadline at the latest, and tells its server so. Default: yes.
    pub fn inherit_deadlines(mut self, inherit: bool) -> Self {
        self.inherits_deadlines = inherit;
        self
    }

    /// Whether a call that a handler makes tells its server the trace of the handler's own call ([`current_trace`](crate::current_trace)), in `traceparent` and
    /// `tracestate`. Metadata of these names that a call has already stays as it is. Default: yes.
    pub fn inherit_trace(mut self, inherit: bool) -> Self {
        self.inherits_trace = inherit;
        self
    }

    /// What `:authority` says, where it is not what the URI has.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`]: it is not HOST or HOST:PORT.
    pub fn authority_override(mut self, authority: &str) -> Result<Self, Error> {
        let parsed: Authority = authority.parse().map_err(|error| Error::usage(format!("bad authority `{authority}`: {error}")))?;
        self.authority = parsed.to_string();
        Ok(self)
    }

    /// What stands in front of our own name in `user-agent`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`]: it has other characters than a header field can have.
    pub fn user_agent(mut self, name: &str) -> Result<Self, Error> {
        if !name.bytes().all(|byte| (b' '..0x7f).contains(&byte)) {
            return Err(Error::usage(format!("bad user agent `{name}`: it has characters that no header field has")));
        }
        self.user_agent = format!("{name} {}", self.user_agent);
        Ok(self)
    }

    /// A channel on the loop that runs this thread, which connects when it is first used.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`]: this thread runs no loop; `https` without `tls`.
    pub fn connect_lazy(self) -> Result<Channel, Error> {
        if current_loop().is_none() {
            return Err(Error::usage(format!(
                "a channel to {} was made on a thread that runs no loop; make it where a worker runs: in the closure that makes the service, a start \
                 hook, a handler or a task",
                self.uri
            )));
        }
        if self.wants_tls && !self.security.is_on() {
            return Err(Error::usage(format!("nobody is trusted to vouch for {}; say by Endpoint::tls which CA is", self.uri)));
        }
        Ok(Channel::on_this_loop(self))
    }

    /// A channel on the loop that runs this thread, which is connected.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connect`]: nobody answers, or not in HTTP/2. [`ErrorKind::Usage`]: this thread runs no loop.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the attempt up.
    pub async fn connect(self) -> Result<Channel, Error> {
        let channel = self.connect_lazy()?;
        channel.ready().await.map_err(|status| Error::new(ErrorKind::Connect, status.message().to_owned()))?;
        Ok(channel)
    }

    /// What was written.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    pub(super) fn scheme(&self) -> &'static str {
        self.security.scheme()
    }

    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    pub(super) fn user_agent_value(&self) -> &str {
        &self.user_agent
    }

    /// The server's addresses, in the order in which they are to be tried.
    ///
    /// # Errors
    ///
    /// The name has none, or nobody can say.
    pub(super) async fn resolve(&self) -> io::Result<Vec<Address>> {
        let (host, port) = match &self.place {
            Place::Unix(address) => return Ok(vec![address.clone()]),
            Place::Host(host, port) => (host.clone(), *port),
        };
        if let Ok(ip) = host.parse::<std::net::IpAddr>() {
            return Ok(vec![Address::Tcp((ip, port).into())]);
        }
        let addresses = offload(move || (host.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>)).await?;
        if addresses.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        }
        Ok(addresses.into_iter().map(Address::Tcp).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_uris() {
        let read = |uri: &str| {
            let endpoint = Endpoint::new(uri).unwrap();
            (endpoint.place, endpoint.authority)
        };
        let host = |host: &str, port| Place::Host(host.into(), port);
        assert_eq!(read("http://127.0.0.1:50051"), (host("127.0.0.1", 50051), "127.0.0.1:50051".into()));
        assert_eq!(read("http://[::1]:1/"), (host("::1", 1), "[::1]:1".into()));
        assert_eq!(read("http://greeter"), (host("greeter", 80), "greeter".into()));
        #[cfg(feature = "tls")]
        assert_eq!(read("https://greeter"), (host("greeter", 443), "greeter".into()));
        for uri in ["unix:/run/greeter.sock", "unix:///run/greeter.sock"] {
            assert_eq!(read(uri), (Place::Unix("unix:/run/greeter.sock".parse().unwrap()), "localhost".into()));
        }
    }

    #[test]
    fn says_how_an_address_is_written() {
        for (uri, what) in [
            ("", ""),
            ("127.0.0.1:50051", "no scheme"),
            ("greeter", "no scheme"),
            #[cfg(not(feature = "tls"))]
            ("https://greeter", "`tls`"),
            ("ftp://greeter", "`ftp` is not spoken"),
            ("http://greeter/path", "path"),
            ("http://greeter/?query", "path"),
            ("http://me@greeter", "user"),
            ("http://greeter:99999", ""),
            ("http://:80", ""),
            ("unix:", "path"),
        ] {
            let error = Endpoint::new(uri).expect_err(uri);
            assert_eq!(error.kind(), ErrorKind::Usage);
            let message = error.to_string();
            assert!(message.contains(what) && message.contains("as in http://127.0.0.1:50051"), "{uri}: {message}");
        }
    }

    #[test]
    fn is_refused_where_no_loop_runs() {
        let error = Endpoint::new("http://127.0.0.1:1").unwrap().connect_lazy().unwrap_err();
        assert!(error.to_string().contains("runs no loop"), "{error}");
    }

    #[test]
    fn refuses_what_no_field_can_say() {
        let endpoint = || Endpoint::new("http://127.0.0.1:1").unwrap();
        assert!(endpoint().user_agent("a\nb").is_err());
        assert!(endpoint().authority_override("a b").is_err());
        assert!(endpoint().user_agent("shop/1").unwrap().user_agent_value().starts_with("shop/1 grpc-rust-loopswap/"));
    }
}
