//! Flags of `serve` for the life of a connection: keepalive, idleness, age (gRFC A8, A9).

use std::time::Duration;

use clap::builder::FalseyValueParser;

use crate::Limits;
use crate::cli::units::{OrNone, duration, duration_or_none};

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Connection care")]
pub(super) struct CareArgs {
    /// Ask a client of whom nothing has come for this time whether it is there, by a PING; `none`: never.
    #[arg(long, env = "LOOPSWAP_KEEPALIVE_TIME", value_name = "TIME", default_value = "2h", value_parser = duration_or_none)]
    keepalive_time: OrNone,

    /// How long a client that was asked may stay silent; then its connection is closed.
    #[arg(long, env = "LOOPSWAP_KEEPALIVE_TIMEOUT", value_name = "TIME", default_value = "20s", value_parser = duration)]
    keepalive_timeout: Duration,

    /// The least time between two PINGs of a client; one that sends a third too early is told so and closed (`too_many_pings`). Engine native only.
    #[arg(long, env = "LOOPSWAP_KEEPALIVE_MIN_TIME", value_name = "TIME", default_value = "5m", value_parser = duration)]
    keepalive_min_time: Duration,

    /// Let clients send PINGs as often while they have no call; otherwise every 2 h, or --keepalive-min-time if that is longer [default: no].
    #[arg(long, env = "LOOPSWAP_KEEPALIVE_PERMIT_WITHOUT_CALLS", value_parser = FalseyValueParser::new())]
    keepalive_permit_without_calls: bool,

    /// Ask a client to go elsewhere, and close, when its connection has had no call for this time; `none`: never.
    #[arg(long, env = "LOOPSWAP_MAX_CONNECTION_IDLE", value_name = "TIME", default_value = "none", value_parser = duration_or_none)]
    max_connection_idle: OrNone,

    /// Ask a client to connect anew when its connection has this age, or up to a tenth less or more; `none`: never.
    #[arg(long, env = "LOOPSWAP_MAX_CONNECTION_AGE", value_name = "TIME", default_value = "none", value_parser = duration_or_none)]
    max_connection_age: OrNone,

    /// How long calls may go on after --max-connection-age; then they are cut. `none`: as long as they like.
    #[arg(long, env = "LOOPSWAP_MAX_CONNECTION_AGE_GRACE", value_name = "TIME", default_value = "none", value_parser = duration_or_none)]
    max_connection_age_grace: OrNone,
}

impl CareArgs {
    /// Sets what these flags say.
    pub(super) fn apply(&self, limits: &mut Limits) {
        limits.keepalive_time = self.keepalive_time.0;
        limits.keepalive_timeout = self.keepalive_timeout;
        limits.ping_interval_min = self.keepalive_min_time;
        limits.ping_interval_idle_min = match self.keepalive_permit_without_calls {
            true => self.keepalive_min_time,
            false => limits.ping_interval_idle_min.max(self.keepalive_min_time),
        };
        limits.connection_idle_max = self.max_connection_idle.0;
        limits.connection_age_max = self.max_connection_age.0;
        limits.connection_age_grace = self.max_connection_age_grace.0;
    }
}
