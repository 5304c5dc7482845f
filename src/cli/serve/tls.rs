//! The flags of TLS.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::cli::duration;
use crate::tls::{ClientAuth, ServerTls};
use crate::{Builder, Error};

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "TLS")]
pub(super) struct TlsArgs {
    /// Serve over TLS, and over nothing else, with this certificate: PEM, the server's own first, then those of its chain but for the root. SIGHUP reads it and
    /// the other files again [default: no TLS].
    #[arg(long, env = "LOOPSWAP_TLS_CERT", value_name = "FILE")]
    tls_cert: Option<PathBuf>,

    /// The private key of --tls-cert: PEM, not encrypted [default: no TLS].
    #[arg(long, env = "LOOPSWAP_TLS_KEY", value_name = "FILE")]
    tls_key: Option<PathBuf>,

    /// Want clients to show a certificate that this CA, or one of those in the file, has signed: mutual TLS [default: clients show nothing].
    #[arg(long, env = "LOOPSWAP_TLS_CLIENT_CA", value_name = "FILE")]
    tls_client_ca: Option<PathBuf>,

    /// With --tls-client-ca: whether clients must show a certificate, or are only asked for one. One that is not valid is refused either way.
    #[arg(long, env = "LOOPSWAP_TLS_CLIENT_AUTH", value_name = "HOW", default_value = "require", value_parser = client_auth())]
    tls_client_auth: ClientAuth,

    /// How often to look whether the files have changed, and to read them again then [default: on SIGHUP alone].
    #[arg(long, env = "LOOPSWAP_TLS_RELOAD_INTERVAL", value_name = "TIME", value_parser = duration)]
    tls_reload_interval: Option<Duration>,
}

fn client_auth() -> impl TypedValueParser<Value = ClientAuth> {
    PossibleValuesParser::new(["require", "request"]).map(|word| if word == "require" { ClientAuth::Require } else { ClientAuth::Request })
}

impl TlsArgs {
    /// The server with these settings.
    ///
    /// # Errors
    ///
    /// Flags that need others.
    pub(super) fn configure(&self, builder: Builder) -> Result<Builder, Error> {
        let (certificate, key) = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => (certificate, key),
            (None, None) => {
                let stray =
                    [(self.tls_client_ca.is_some(), "--tls-client-ca"), (self.tls_reload_interval.is_some(), "--tls-reload-interval")];
                return match stray.iter().find(|(is_given, _)| *is_given) {
                    Some((_, flag)) => Err(Error::usage(format!("{flag} is for TLS; give --tls-cert and --tls-key too"))),
                    None => Ok(builder),
                };
            }
            (Some(certificate), None) => {
                return Err(Error::usage(format!("--tls-cert {} has no key; give it by --tls-key", certificate.display())));
            }
            (None, Some(key)) => {
                return Err(Error::usage(format!("--tls-key {} has no certificate; give it by --tls-cert", key.display())));
            }
        };
        let mut tls = ServerTls::files(certificate, key).client_auth(self.tls_client_auth);
        if let Some(ca) = &self.tls_client_ca {
            tls = tls.client_ca_file(ca);
        }
        let builder = builder.tls(tls);
        match self.tls_reload_interval {
            Some(Duration::ZERO) => Err(Error::usage("--tls-reload-interval 0s would look without pause; write it as in 1m")),
            Some(interval) => Ok(builder.tls_reload_interval(interval)),
            None => Ok(builder),
        }
    }
}
