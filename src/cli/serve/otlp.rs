//! `serve`'s flags for exporting spans, and those of OpenTelemetry's own environment variables that stand in for them.

use std::env;
#[cfg(feature = "tls")]
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::duration;
use crate::cli::serve::observe::HEADING;
use crate::client::Endpoint;
#[cfg(feature = "tls")]
use crate::tls::ClientTls;
use crate::{Builder, Error, Otlp};

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = HEADING)]
pub(super) struct OtlpArgs {
    /// Export a span of each call to the OpenTelemetry collector at this URI, by OTLP over gRPC: http://HOST:4317. Without it OTEL_EXPORTER_OTLP_TRACES_ENDPOINT
    /// counts, and then OTEL_EXPORTER_OTLP_ENDPOINT; `none` for no export, whatever they say [default: no export].
    #[arg(long, env = "LOOPSWAP_OTLP", value_name = "URI")]
    otlp: Option<String>,

    /// What the service is called in spans. Without it OTEL_SERVICE_NAME counts [default: loopswap].
    #[arg(long, env = "LOOPSWAP_OTLP_SERVICE", value_name = "NAME")]
    otlp_service: Option<String>,

    /// The share of traces that begin here which is recorded, from 0 to 1; of others the caller has decided.
    #[arg(long, env = "LOOPSWAP_OTLP_RATIO", value_name = "SHARE", default_value = "1", value_parser = share)]
    otlp_ratio: f64,

    /// How long a span waits for others before it is exported.
    #[arg(long, env = "LOOPSWAP_OTLP_DELAY", value_name = "TIME", default_value = "5s", value_parser = duration)]
    otlp_delay: Duration,

    /// How many spans wait at most; those beyond are dropped, and counted.
    #[arg(long, env = "LOOPSWAP_OTLP_QUEUE", value_name = "N", default_value_t = 2048, value_parser = clap::value_parser!(u32).range(1..))]
    otlp_queue: u32,

    /// For a collector behind TLS (https): the CA that vouches for it. Without it OTEL_EXPORTER_OTLP_CERTIFICATE counts [default: nobody is trusted].
    #[cfg(feature = "tls")]
    #[arg(long, env = "LOOPSWAP_OTLP_CA", value_name = "FILE")]
    otlp_ca: Option<PathBuf>,
}

/// From 0 to 1.
fn share(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|share| (0.0..=1.0).contains(share)).ok_or_else(|| "that is no share; write it as in 0.1".to_owned())
}

/// A variable of OpenTelemetry's, which counts as not set when it is empty.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

impl OtlpArgs {
    /// The server with these settings.
    ///
    /// # Errors
    ///
    /// The URI means nothing, or wants TLS and has none; the environment asks for a protocol that is not spoken.
    pub(super) fn configure(&self, builder: Builder) -> Result<Builder, Error> {
        let Some(uri) = self.uri()? else { return Ok(builder) };
        let endpoint = self.secured(Endpoint::new(&uri)?)?;
        let name = self.otlp_service.clone().or_else(|| variable("OTEL_SERVICE_NAME")).unwrap_or_else(|| "loopswap".into());
        let otlp = Otlp::new(endpoint).service_name(name).root_ratio(self.otlp_ratio).delay(self.otlp_delay);
        Ok(builder.otlp(otlp.queue_max(self.otlp_queue as usize)))
    }

    /// Where to export to.
    fn uri(&self) -> Result<Option<String>, Error> {
        if let Some(uri) = &self.otlp {
            return Ok(Some(uri.clone()).filter(|uri| uri != "none"));
        }
        let is_disabled = variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let of_signal = |signal: &str, general: &str| variable(signal).or_else(|| variable(general));
        let uri = of_signal("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT").filter(|_| !is_disabled);
        let protocol = of_signal("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL");
        match (&uri, protocol) {
            (Some(uri), Some(protocol)) if protocol != "grpc" => Err(Error::usage(format!(
                "the environment asks for spans at {uri} by OTLP over {protocol}, which is not spoken; say by --otlp where a collector takes gRPC, or none"
            ))),
            _ => Ok(uri),
        }
    }

    #[cfg(feature = "tls")]
    fn secured(&self, endpoint: Endpoint) -> Result<Endpoint, Error> {
        let ca = self.otlp_ca.clone().or_else(|| variable("OTEL_EXPORTER_OTLP_CERTIFICATE").map(PathBuf::from));
        match ca {
            // The variable is there for others as well, whose collector may be another one.
            Some(ca) if self.otlp_ca.is_some() || endpoint.uri().starts_with("https:") => endpoint.tls(ClientTls::new().ca_file(ca)),
            _ => Ok(endpoint),
        }
    }

    #[cfg(not(feature = "tls"))]
    fn secured(&self, endpoint: Endpoint) -> Result<Endpoint, Error> {
        Ok(endpoint)
    }
}
