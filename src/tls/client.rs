//! What a client needs for TLS, and what it is told when a server's is no good.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use loopswap_rt::Connection;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, ClientConfig};

use super::connection::TlsConnection;
use super::pem::Source;
use super::server::{provider, roots};
use super::session::{Failure, H2};
use crate::Error;

/// TLS for a client: whom it trusts, and who it is. See [`Endpoint::tls`](crate::client::Endpoint::tls).
///
/// Nobody is trusted who is not named: not the system's CAs either, unless their file is given, as in `ca_file("/etc/ssl/certs/ca-certificates.crt")`.
///
/// ```no_run
/// # fn start_hook() -> Result<(), loopswap::Error> {
/// use loopswap::client::Endpoint;
/// use loopswap::tls::ClientTls;
///
/// let tls = ClientTls::new().ca_file("ca.pem").identity_files("client.pem", "client.key");
/// let channel = Endpoint::new("https://greeter.internal:50051")?.tls(tls)?.connect_lazy()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct ClientTls {
    cas: Vec<Source>,
    identity: Option<(Source, Source)>,
    server_name: Option<String>,
}

impl ClientTls {
    /// Trusts nobody, and shows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts servers whose certificate one of these CAs has signed, which are PEM in a file. It is read when the endpoint is made.
    pub fn ca_file(mut self, ca: impl Into<PathBuf>) -> Self {
        self.cas.push(Source::File(ca.into()));
        self
    }

    /// The same, with the PEM itself.
    pub fn ca_pem(mut self, ca: impl Into<Vec<u8>>) -> Self {
        self.cas.push(Source::Memory(ca.into()));
        self
    }

    /// Shows servers that want one this certificate: it, its chain, and its key, PEM in files.
    pub fn identity_files(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.identity = Some((Source::File(certificate.into()), Source::File(key.into())));
        self
    }

    /// The same, with the PEM itself.
    pub fn identity_pem(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.identity = Some((Source::Memory(certificate.into()), Source::Memory(key.into())));
        self
    }

    /// The name, or the IP address, that the server's certificate must have. Default: the host that is connected to; `localhost` for a Unix socket.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Reads what is in files, for connections to this host.
    ///
    /// # Errors
    ///
    /// It cannot be read, is no good, or does not fit; nobody is trusted; the name is none.
    pub(crate) fn load(&self, host: &str) -> Result<LoadedTls, Error> {
        let mut trusted = rustls::RootCertStore::empty();
        for ca in &self.cas {
            trusted.roots.extend(roots(&ca.read("the CA")?)?.roots);
        }
        if trusted.is_empty() {
            return Err(Error::usage(
                "no CA was given, and a server whom nobody vouches for is not trusted; give the PEM of the CA that signed its certificate",
            ));
        }
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("ring's provider speaks TLS 1.2 and 1.3")
            .with_root_certificates(trusted);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let (certificate, key) = (certificate.read("the client's certificate")?, key.read("the client's key")?);
                builder.with_client_auth_cert(certificate.certificates()?, key.key()?).map_err(|error| certificate.misfit(&key, &error))?
            }
        };
        config.alpn_protocols = vec![H2.to_vec()];
        let name = self.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned()).map_err(|error| {
            Error::usage(format!("bad server name `{name}`: {error}; write a host's name or IP address, without a port"))
        })?;
        Ok(LoadedTls { config: Arc::new(config), name })
    }
}

/// What each connection of a client gets its TLS from.
#[derive(Clone, Debug)]
pub(crate) struct LoadedTls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl LoadedTls {
    /// Puts TLS on a connection, and agrees on it with the server.
    ///
    /// # Errors
    ///
    /// Why that has failed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub(crate) async fn agree<C: Connection>(&self, socket: C) -> io::Result<TlsConnection<C>> {
        let mut connection = TlsConnection::connect(socket, Arc::clone(&self.config), self.name.clone())?;
        connection.handshake().await?;
        Ok(connection)
    }
}

/// Why a client has no TLS with its server, and what to do, in words.
pub(super) fn reason(failure: &Failure) -> String {
    use rustls::Error;
    let error = match failure {
        Failure::Gone => return "TLS: the server left in the middle of the handshake".into(),
        Failure::NoH2 => return "TLS: the server does not agree to h2 by ALPN, so it speaks no gRPC there".into(),
        Failure::Tls(error) => error,
    };
    let what = match error {
        Error::InvalidMessage(_) => "the server does not speak TLS there",
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "the server's certificate is signed by no CA that is trusted; give the one that signed it"
        }
        Error::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }) => {
            "the server's certificate is for another name; give the one that it is for as the server name"
        }
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "the server's certificate has expired"
        }
        Error::InvalidCertificate(_) => "the server's certificate is not valid",
        Error::AlertReceived(AlertDescription::NoApplicationProtocol) => "the server does not speak HTTP/2 there",
        Error::AlertReceived(AlertDescription::CertificateRequired) => "the server wants a client certificate, and none was given",
        Error::AlertReceived(
            AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::UnsupportedCertificate,
        ) => "the server does not take the client's certificate",
        Error::AlertReceived(_) => "the server broke it off",
        Error::PeerIncompatible(_) => "the server and this client have no version or algorithm of TLS in common",
        _ => "the server broke the protocol",
    };
    format!("TLS: {what} ({error})")
}
