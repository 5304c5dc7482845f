//! What a server needs for TLS, as its owner describes it, and rustls's configuration made of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{CertificateError, RootCertStore, ServerConfig};

use super::pem::{Pem, Source};
use super::session::{H2, HTTP1};
use crate::Error;

/// TLS for a server: its certificate and key, and which clients' certificates it wants to see. See [`Builder::tls`](crate::Builder::tls).
///
/// TLS 1.3 and 1.2 are spoken, by rustls with ring, and HTTP/2 alone over it: clients must offer `h2` by ALPN, as gRPC's do, or `http/1.1` where
/// [gRPC-Web](crate::Builder::grpc_web) is spoken. Sessions are resumed from a
/// cache in memory, of 256 sessions, which all workers share; a reload starts a new one. There is no early data.
///
/// ```no_run
/// use loopswap::greeter::{GreeterServer, Hello};
/// use loopswap::tls::ServerTls;
/// use loopswap::{Loop, Server};
///
/// # fn main() -> Result<(), loopswap::Error> {
/// let tls = ServerTls::files("server.pem", "server.key").client_ca_file("clients.pem");
/// Server::builder().tls(tls).serve(Loop::choose("glommio")?, |_worker| GreeterServer::new(Hello))
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ServerTls {
    certificate: Source,
    key: Source,
    client_ca: Option<Source>,
    client_auth: ClientAuth,
}

/// What a server with a CA for clients asks of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// A valid certificate. Clients without are refused.
    #[default]
    Require,
    /// A certificate, if they have one; one that is not valid is refused. Services look whether it came: [`Request::peer_certs`](crate::Request::peer_certs).
    Request,
}

impl ServerTls {
    /// With the certificate, followed by those of its chain but for the root, and the private key, both PEM, in files. They are read when the server starts, and
    /// when it is told to [reload](crate::Handle::reload_tls).
    pub fn files(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self::new(Source::File(certificate.into()), Source::File(key.into()))
    }

    /// The same, with the PEM itself.
    pub fn pem(certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        Self::new(Source::Memory(certificate.into()), Source::Memory(key.into()))
    }

    fn new(certificate: Source, key: Source) -> Self {
        Self { certificate, key, client_ca: None, client_auth: ClientAuth::default() }
    }

    /// Wants clients to show a certificate that this CA, or one of several in the file, has signed: mutual TLS.
    pub fn client_ca_file(mut self, ca: impl Into<PathBuf>) -> Self {
        self.client_ca = Some(Source::File(ca.into()));
        self
    }

    /// The same, with the PEM itself.
    pub fn client_ca_pem(mut self, ca: impl Into<Vec<u8>>) -> Self {
        self.client_ca = Some(Source::Memory(ca.into()));
        self
    }

    /// Whether clients must have a certificate, where there is a CA for them. Default: [`ClientAuth::Require`].
    pub fn client_auth(mut self, auth: ClientAuth) -> Self {
        self.client_auth = auth;
        self
    }

    /// Whether any of it is in a file.
    pub(super) fn has_files(&self) -> bool {
        [Some(&self.certificate), Some(&self.key), self.client_ca.as_ref()].into_iter().flatten().any(Source::is_file)
    }

    /// Reads what is in files.
    ///
    /// # Errors
    ///
    /// One cannot be read.
    pub(super) fn read(&self) -> Result<Material, Error> {
        Ok(Material {
            certificate: self.certificate.read("the certificate")?,
            key: self.key.read("the key")?,
            client_ca: self.client_ca.as_ref().map(|ca| ca.read("the CA for clients")).transpose()?,
            client_auth: self.client_auth,
        })
    }
}

/// What was read.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Material {
    certificate: Pem,
    key: Pem,
    client_ca: Option<Pem>,
    client_auth: ClientAuth,
}

impl Material {
    /// rustls's configuration, which offers HTTP/1.1, too, where `http1` says so. A certificate that clients will not take is warned of.
    ///
    /// # Errors
    ///
    /// The material is no good, or does not fit.
    pub(super) fn config(&self, http1: bool) -> Result<Arc<ServerConfig>, Error> {
        let chain = self.certificate.certificates()?;
        let key = self.key.key()?;
        self.warn_of(&chain[0]);
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("ring's provider speaks TLS 1.2 and 1.3");
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(ca)?), provider());
                let verifier = match self.client_auth {
                    ClientAuth::Require => verifier,
                    ClientAuth::Request => verifier.allow_unauthenticated(),
                };
                builder.with_client_cert_verifier(verifier.build().map_err(|error| Error::usage(format!("{}: {error}", ca.name)))?)
            }
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| self.certificate.misfit(&self.key, &error))?;
        config.alpn_protocols = if http1 { vec![H2.to_vec(), HTTP1.to_vec()] } else { vec![H2.to_vec()] };
        Ok(Arc::new(config))
    }

    /// Clients will not take it; a server starts all the same, so that it can be renewed under it.
    fn warn_of(&self, certificate: &CertificateDer<'_>) {
        let now = UnixTime::since_unix_epoch(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
        let name = &self.certificate.name;
        let algorithms = ring::default_provider().signature_verification_algorithms;
        // Its own properties are looked at before its issuer, whom nobody knows here.
        let judged = ParsedCertificate::try_from(certificate)
            .and_then(|parsed| verify_server_cert_signed_by_trust_anchor(&parsed, &RootCertStore::empty(), &[], now, algorithms.all));
        if let Err(rustls::Error::InvalidCertificate(
            error @ (CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. }
            | CertificateError::InvalidPurpose
            | CertificateError::InvalidPurposeContext { .. }),
        )) = judged
        {
            tracing::warn!("{name} will not be taken by clients: {error}; renew it");
        }
    }
}

/// The certificates of CAs, to be trusted.
///
/// # Errors
///
/// There is none, or one is malformed.
pub(super) fn roots(ca: &Pem) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in ca.certificates()? {
        roots.add(certificate).map_err(|error| Error::usage(format!("{} is no good: {error}; it must be a CA's certificate", ca.name)))?;
    }
    Ok(roots)
}

pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
