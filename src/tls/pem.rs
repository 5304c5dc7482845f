//! Certificates and keys as people give them: PEM, in a file or in memory. What is wrong with them is told with the file and the remedy.

use std::fmt;
use std::fs;
use std::path::PathBuf;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::Error;

/// What has the PEM.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Source {
    File(PathBuf),
    Memory(Vec<u8>),
}

impl Source {
    pub(super) fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// Its bytes.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub(super) fn read(&self, what: &'static str) -> Result<Pem, Error> {
        let bytes = match self {
            Self::Memory(pem) => pem.clone(),
            Self::File(path) => fs::read(path).map_err(|error| {
                let message = format!("{what} {} cannot be read: {error}; check the path, and that this user may read it", path.display());
                Error::usage(message).with_source(error)
            })?,
        };
        let name = match self {
            Self::File(path) => format!("{what} {}", path.display()),
            Self::Memory(_) => format!("{what} that was given in memory"),
        };
        Ok(Pem { name, bytes })
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.fmt(f),
            // It may be a key.
            Self::Memory(pem) => write!(f, "{} bytes of PEM", pem.len()),
        }
    }
}

/// PEM that was read, and what it is called in errors.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Pem {
    pub(super) name: String,
    bytes: Vec<u8>,
}

impl Pem {
    /// All certificates in it, in their order.
    ///
    /// # Errors
    ///
    /// There is none, or it is no PEM.
    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, Error> {
        let name = &self.name;
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.bytes).collect();
        match certificates {
            Ok(certificates) if certificates.is_empty() => Err(Error::usage(format!(
                "{name} has no certificate in it; wanted is PEM, `-----BEGIN CERTIFICATE-----`; openssl x509 -inform der -in FILE makes it of DER"
            ))),
            Ok(certificates) => Ok(certificates),
            Err(error) => Err(Error::usage(format!("{name} is no good PEM: {error}; make it anew"))),
        }
    }

    /// The first private key in it.
    ///
    /// # Errors
    ///
    /// There is none, it is encrypted, or it is no PEM.
    pub(super) fn key(&self) -> Result<PrivateKeyDer<'static>, Error> {
        let name = &self.name;
        PrivateKeyDer::from_pem_slice(&self.bytes).map_err(|error| {
            let is_encrypted = self.bytes.windows(9).any(|window| window == b"ENCRYPTED");
            let why = match error {
                _ if is_encrypted => "is encrypted; openssl pkey -in FILE takes the pass phrase off".to_owned(),
                rustls::pki_types::pem::Error::NoItemsFound => {
                    "has no private key in it; wanted is PEM, `-----BEGIN PRIVATE KEY-----`; openssl pkey -inform der -in FILE makes it of DER".to_owned()
                }
                error => format!("is no good PEM: {error}; make it anew"),
            };
            Error::usage(format!("{name} {why}"))
        })
    }

    /// Why rustls does not take these certificates with this key.
    pub(super) fn misfit(&self, key: &Self, error: &rustls::Error) -> Error {
        let (certificate, key) = (&self.name, &key.name);
        Error::usage(match error {
            rustls::Error::InconsistentKeys(_) => format!(
                "{key} does not belong to {certificate}; give the key that it was made with (`openssl x509 -noout -pubkey` and `openssl pkey -pubout` say the \
                 same of both)"
            ),
            rustls::Error::InvalidCertificate(error) => format!("{certificate} is no good: {error}; the owner's own comes first in it"),
            error => format!("{key} is of no use: {error}; wanted is RSA of at least 2048 bits, ECDSA on P-256 or P-384, or Ed25519"),
        })
    }
}
