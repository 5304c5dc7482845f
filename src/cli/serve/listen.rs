//! The flags of where the server listens, and of how connections come to its workers.

use std::time::Duration;

use clap::builder::PossibleValuesParser;

use crate::cli::ADDR;
use crate::cli::units::{duration, on_or_off};
use crate::{Balance, Builder, Error};

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Listening")]
pub(super) struct ListenArgs {
    /// Where to listen: IP:PORT, [IPv6]:PORT, unix:PATH; fd:N for a listening socket that was inherited; systemd, or systemd:NAME, for those that systemd
    /// passed. Port 0 takes a free one. May be given more than once, or as a list with commas.
    #[arg(long, env = "LOOPSWAP_ADDR", value_name = "ADDR", default_value = ADDR, value_delimiter = ',')]
    addr: Vec<String>,

    /// How connections are spread over workers: the kernel chooses one for each client of a TCP address, or one thread accepts and hands each connection to the
    /// worker that has the fewest.
    #[arg(long, env = "LOOPSWAP_BALANCE", value_name = "HOW", default_value = Balance::default().name(), value_parser = balance_words())]
    balance: String,

    /// Connections at a time, of all workers together; who comes then waits until one ends [default: three quarters of the descriptors that the process may have].
    #[arg(long, env = "LOOPSWAP_MAX_CONNECTIONS", value_name = "N")]
    max_connections: Option<usize>,

    /// Whether to raise the process's soft limit on descriptors (ulimit -n) to the hard one.
    #[arg(long, env = "LOOPSWAP_RAISE_ULIMIT", value_name = "WHETHER", default_value = "on", action = clap::ArgAction::Set, value_parser = on_or_off())]
    raise_ulimit: bool,

    /// After how long without traffic TCP asks whether the client is there (SO_KEEPALIVE), in whole seconds [default: it does not].
    #[arg(long, env = "LOOPSWAP_TCP_KEEPALIVE", value_name = "TIME", value_parser = duration)]
    tcp_keepalive: Option<Duration>,

    /// How long --tcp-keepalive waits between two questions, in whole seconds [default: the kernel's tcp_keepalive_intvl].
    #[arg(long, env = "LOOPSWAP_TCP_KEEPALIVE_INTERVAL", value_name = "TIME", value_parser = duration)]
    tcp_keepalive_interval: Option<Duration>,

    /// How often --tcp-keepalive asks before it gives the client up [default: the kernel's tcp_keepalive_probes].
    #[arg(long, env = "LOOPSWAP_TCP_KEEPALIVE_RETRIES", value_name = "N")]
    tcp_keepalive_retries: Option<u32>,

    /// How long what was sent may stay unacknowledged, or the client's TCP window closed, until the connection is given up (TCP_USER_TIMEOUT) [default: the kernel's
    /// tcp_retries2].
    #[arg(long, env = "LOOPSWAP_TCP_USER_TIMEOUT", value_name = "TIME", value_parser = duration)]
    tcp_user_timeout: Option<Duration>,
}

fn balance_words() -> PossibleValuesParser {
    Balance::ALL.map(Balance::name).into()
}

impl ListenArgs {
    /// The server with these settings.
    pub(super) fn configure(&self, builder: Builder) -> Result<Builder, Error> {
        let mut builder = self.addr.iter().fold(builder, Builder::listen).balance(self.balance.parse()?);
        builder = builder.raise_descriptor_limit(self.raise_ulimit);
        if let Some(n) = self.max_connections {
            builder = builder.max_connections(n);
        }
        if let Some(time) = self.tcp_keepalive {
            builder = builder.tcp_keepalive(time);
        }
        if let Some(time) = self.tcp_keepalive_interval {
            builder = builder.tcp_keepalive_interval(time);
        }
        if let Some(n) = self.tcp_keepalive_retries {
            builder = builder.tcp_keepalive_retries(n);
        }
        if let Some(time) = self.tcp_user_timeout {
            builder = builder.tcp_user_timeout(time);
        }
        Ok(builder)
    }
}
