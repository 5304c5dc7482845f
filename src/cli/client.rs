//! The flags that the client commands have in common.

use clap::builder::FalseyValueParser;

use crate::cli::{ADDR, runtime_words};
use crate::client::Target;
use crate::{Error, Loop};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct ClientArgs {
    /// The server's address, in place of --addr.
    #[arg(value_name = "ADDR")]
    address: Option<String>,

    /// The server's address: HOST:PORT, [IPv6]:PORT or unix:PATH.
    #[arg(long, env = "LOOPSWAP_ADDR", value_name = "ADDR", default_value = ADDR)]
    addr: String,

    /// The loop that the client runs on; the server's is its own affair. The default is tokio where it is built in, `auto` otherwise.
    #[arg(long, env = "LOOPSWAP_RUNTIME", value_name = "LOOP", default_value = default_runtime(), value_parser = runtime_words())]
    runtime: String,

    /// As JSON [default: no].
    #[arg(long, env = "LOOPSWAP_JSON", value_parser = FalseyValueParser::new())]
    pub(super) json: bool,

    #[cfg(feature = "tls")]
    #[command(flatten)]
    tls: super::client_tls::ClientTlsArgs,
}

/// The client's loop is not what is measured, so it is the one that runs everywhere.
fn default_runtime() -> &'static str {
    if Loop::all().iter().any(|row| row.name() == "tokio") { "tokio" } else { "auto" }
}

impl ClientArgs {
    /// The server.
    pub(super) fn target(&self) -> Result<Target, Error> {
        let target = Target::resolve(self.address.as_ref().unwrap_or(&self.addr))?;
        #[cfg(feature = "tls")]
        let target = self.tls.configure(target)?;
        Ok(target)
    }

    /// The loop.
    pub(super) fn event_loop(&self) -> Result<Loop, Error> {
        Loop::choose(&self.runtime)
    }
}
