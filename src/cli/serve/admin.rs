//! The flags of what the server tells of itself, and of how it leaves.

use std::time::Duration;

use clap::builder::FalseyValueParser;

use crate::cli::serve::reflection;
use crate::cli::units::{duration, on_or_off};
use crate::server::channelz;
use crate::{Builder, Health, Router};

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Health, reflection and leaving")]
pub(super) struct AdminArgs {
    /// Whether to tell who asks that the server, and each of its services, serves (grpc.health.v1.Health): load balancers and Kubernetes' probes.
    #[arg(long, env = "LOOPSWAP_HEALTH", value_name = "WHETHER", default_value = "on", action = clap::ArgAction::Set, value_parser = on_or_off())]
    health: bool,

    /// Tell who asks which services there are, and their messages (grpc.reflection.v1 and v1alpha): grpcurl and its like [default: no].
    #[arg(long, env = "LOOPSWAP_REFLECTION", value_parser = FalseyValueParser::new())]
    reflection: bool,

    /// Tell who asks of the server's calls, sockets and peers (grpc.channelz.v1.Channelz), for debugging [default: no].
    #[arg(long, env = "LOOPSWAP_ADMIN", value_parser = FalseyValueParser::new())]
    admin: bool,

    /// How long to go on serving after SIGTERM or SIGINT, new clients too, while health says NOT_SERVING: what load balancers take to notice. Then
    /// the drain begins.
    #[arg(long, env = "LOOPSWAP_DRAIN_DELAY", value_name = "TIME", default_value = "0s", value_parser = duration)]
    drain_delay: Duration,
}

impl AdminArgs {
    /// The server with these settings.
    pub(super) fn configure(&self, builder: Builder) -> Builder {
        let builder = builder.drain_delay(self.drain_delay).channelz(self.admin);
        if self.health { builder.health(Health::new()) } else { builder }
    }

    /// These services, and those that tell of them.
    pub(super) fn add_to(&self, router: Router) -> Router {
        let others = [(self.health, Health::NAME), (self.admin, channelz::NAME)];
        let others: Vec<_> = others.into_iter().filter(|(served, _)| *served).map(|(_, name)| name).collect();
        if self.reflection { reflection::add(router, &others) } else { router }
    }
}
