//! The flags of TLS that the client commands have in common.

use std::path::PathBuf;

use crate::Error;
use crate::client::Target;
use crate::tls::ClientTls;

/// Said by each flag: a heading of the group would be that of the flags behind it, too.
const HEADING: &str = "TLS";

#[derive(Clone, Debug, clap::Args)]
pub(super) struct ClientTlsArgs {
    /// Speak TLS, and trust a server whose certificate this CA, or one of those in the file, has signed: PEM [default: no TLS].
    #[arg(long, env = "LOOPSWAP_TLS_CA", value_name = "FILE", help_heading = HEADING)]
    tls_ca: Option<PathBuf>,

    /// The certificate to show to a server that wants one: PEM, with its chain [default: none].
    #[arg(long, env = "LOOPSWAP_TLS_CLIENT_CERT", value_name = "FILE", help_heading = HEADING)]
    tls_client_cert: Option<PathBuf>,

    /// The private key of --tls-client-cert: PEM, not encrypted [default: none].
    #[arg(long, env = "LOOPSWAP_TLS_CLIENT_KEY", value_name = "FILE", help_heading = HEADING)]
    tls_client_key: Option<PathBuf>,

    /// The name that the server's certificate is for, where it is not the host of its address [default: that host].
    #[arg(long, env = "LOOPSWAP_TLS_SERVER_NAME", value_name = "NAME", help_heading = HEADING)]
    tls_server_name: Option<String>,
}

impl ClientTlsArgs {
    /// The target, to be spoken to as these flags say.
    ///
    /// # Errors
    ///
    /// Flags that need others; what is wrong with the files.
    pub(super) fn configure(&self, target: Target) -> Result<Target, Error> {
        let Some(ca) = &self.tls_ca else {
            let stray = [
                (self.tls_client_cert.is_some(), "--tls-client-cert"),
                (self.tls_client_key.is_some(), "--tls-client-key"),
                (self.tls_server_name.is_some(), "--tls-server-name"),
            ];
            return match stray.iter().find(|(is_given, _)| *is_given) {
                Some((_, flag)) => Err(Error::usage(format!("{flag} is for TLS; give the CA of the server by --tls-ca too"))),
                None => Ok(target),
            };
        };
        let mut tls = ClientTls::new().ca_file(ca);
        match (&self.tls_client_cert, &self.tls_client_key) {
            (Some(certificate), Some(key)) => tls = tls.identity_files(certificate, key),
            (None, None) => {}
            (Some(_), None) => return Err(Error::usage("--tls-client-cert has no key; give it by --tls-client-key")),
            (None, Some(_)) => return Err(Error::usage("--tls-client-key has no certificate; give it by --tls-client-cert")),
        }
        if let Some(name) = &self.tls_server_name {
            tls = tls.server_name(name);
        }
        target.with_tls(&tls)
    }
}
