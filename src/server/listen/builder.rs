//! What a builder can be told of listening.

use std::sync::Arc;
use std::time::Duration;

use loopswap_rt::BoundListener;

use crate::server::listen::source::Source;
use crate::server::listen::tcp::TcpOptions;
use crate::server::words::by_word;
use crate::{Builder, Error};

/// Where a server listens that was told nothing.
const DEFAULT: &str = "127.0.0.1:9999";

/// How connections are spread over workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// Each worker listens on each TCP address, and the kernel chooses one for each client by a hash of its address (SO_REUSEPORT): nothing is handed over. With few
    /// connections some workers get several times as many as others.
    #[default]
    ReusePort,
    /// One thread accepts, and hands each connection over to the worker that has the fewest open.
    LeastConnections,
}

impl Balance {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::ReusePort, Self::LeastConnections];

    /// Its word, as `--balance` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReusePort => "reuseport",
            Self::LeastConnections => "least-connections",
        }
    }
}

by_word!(Balance, "balance");

/// What a builder was told.
#[derive(Clone, Debug, Default)]
pub(in crate::server) struct Listening {
    on: Vec<Told>,
    balance: Balance,
    tcp: TcpOptions,
}

#[derive(Clone, Debug)]
enum Told {
    Word(String),
    Given(Arc<BoundListener>),
}

/// The same, understood.
#[derive(Clone, Debug)]
pub(in crate::server) struct Doors {
    pub(super) sources: Vec<Source>,
    pub(super) balance: Balance,
    pub(super) tcp: TcpOptions,
}

impl Listening {
    /// What it means.
    ///
    /// # Errors
    ///
    /// It means nothing.
    pub(in crate::server) fn doors(self) -> Result<Doors, Error> {
        let Self { mut on, balance, tcp } = self;
        tcp.check()?;
        if on.is_empty() {
            on.push(Told::Word(DEFAULT.into()));
        }
        let sources = on.into_iter().map(|told| match told {
            Told::Word(word) => word.parse(),
            Told::Given(listener) => Ok(Source::Given(listener)),
        });
        Ok(Doors { sources: sources.collect::<Result<_, _>>()?, balance, tcp })
    }
}

impl Builder {
    /// Where to listen; may be called more than once, and adds. When it never is, and [`listen_on`](Self::listen_on) neither: `127.0.0.1:9999`.
    ///
    /// * `127.0.0.1:9999`, `[::1]:9999`: TCP. Port 0 is any free one; `[::]:9999` is all addresses of both families.
    /// * `unix:/run/greeter.sock`: a Unix socket. Its file is removed when the server ends.
    /// * `fd:3`: a listening socket, TCP or Unix, that this process has inherited, by its number.
    /// * `systemd`: all sockets that systemd passed (sd_listen_fds(3)); `systemd:NAME`: those whose unit has this `FileDescriptorName=`.
    ///
    /// What was inherited may be held by others too, who go on listening: at the end it is closed, and the clients that wait in its queue are served first.
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.listening.on.push(Told::Word(address.into()));
        self
    }

    /// Listens on a socket that the program has bound, in addition to others: a [`TcpListener`](std::net::TcpListener) or a
    /// [`UnixListener`](std::os::unix::net::UnixListener) of the standard library. TCP_NODELAY is set on it. At the end it is closed, not shut down.
    pub fn listen_on(mut self, listener: impl Into<BoundListener>) -> Self {
        self.listening.on.push(Told::Given(Arc::new(listener.into())));
        self
    }

    /// How connections are spread over workers. Default: [`Balance::ReusePort`].
    ///
    /// What cannot be bound once a worker, Unix sockets and those that were inherited, is handed out by the number of connections either way.
    pub fn balance(mut self, balance: Balance) -> Self {
        self.listening.balance = balance;
        self
    }

    /// After how long without traffic TCP itself asks whether the peer is there (SO_KEEPALIVE, TCP_KEEPIDLE); whole seconds, from 1 to 32,767. Default: it does not.
    pub fn tcp_keepalive(mut self, time: Duration) -> Self {
        self.listening.tcp.keepalive = Some(time);
        self
    }

    /// How long TCP keepalive waits between two questions (TCP_KEEPINTVL); whole seconds, from 1 to 32,767. Default: the kernel's, 75 s unless it was set.
    pub fn tcp_keepalive_interval(mut self, time: Duration) -> Self {
        self.listening.tcp.keepalive_interval = Some(time);
        self
    }

    /// How often TCP keepalive asks before it gives the peer up (TCP_KEEPCNT), from 1 to 127. Default: the kernel's, 9 unless it was set.
    pub fn tcp_keepalive_retries(mut self, n: u32) -> Self {
        self.listening.tcp.keepalive_retries = Some(n);
        self
    }

    /// How long what was sent may stay without an acknowledgement, or the peer's window closed, until TCP gives the connection up (TCP_USER_TIMEOUT,
    /// [gRPC proposal A18](https://github.com/grpc/proposal/blob/master/A18-tcp-user-timeout.md)); from 1 ms. Default: the kernel's, a quarter of an hour or so.
    ///
    /// A client that reads nothing for this long is cut too: keep it above [`Limits::stall_timeout`](crate::Limits::stall_timeout), or such calls end without a status.
    pub fn tcp_user_timeout(mut self, timeout: Duration) -> Self {
        self.listening.tcp.user_timeout = Some(timeout);
        self
    }
}
