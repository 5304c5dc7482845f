//! Certificates for a test: two CAs, and what they sign. All of it is PEM in files of a folder that goes with the test.

use std::fs;
use std::path::PathBuf;

use loopswap::tls::ServerTls;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, date_time_ymd};
use tempfile::TempDir;

/// A folder with certificates of a CA.
pub(crate) struct Pki {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in files.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Identity {
    /// TLS for a server in this process.
    pub(crate) fn tls(&self) -> ServerTls {
        ServerTls::files(&self.certificate, &self.key)
    }
}

/// What a certificate is for.
#[derive(Clone, Copy)]
pub(crate) enum Use {
    Server,
    Client,
}

impl Pki {
    /// A CA of this name.
    pub(crate) fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder for files");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        fs::write(folder.path().join("ca.pem"), params.self_signed(&key).expect("a certificate").pem()).expect("a file");
        Self { folder, issuer: Issuer::new(params, key) }
    }

    /// The CA's certificate.
    pub(crate) fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A file of the folder, with this in it.
    pub(crate) fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, content).expect("a file");
        path
    }

    /// A certificate for localhost and its addresses.
    pub(crate) fn server(&self) -> Identity {
        self.issue("server", Use::Server, 4000)
    }

    /// A certificate for a client of this name.
    pub(crate) fn client(&self, name: &str) -> Identity {
        self.issue(name, Use::Client, 4000)
    }

    /// A certificate that is valid until the beginning of this year.
    pub(crate) fn issue(&self, name: &str, usage: Use, until: i32) -> Identity {
        let (names, purpose) = match usage {
            Use::Server => (&["localhost", "127.0.0.1", "::1"][..], ExtendedKeyUsagePurpose::ServerAuth),
            Use::Client => (&[][..], ExtendedKeyUsagePurpose::ClientAuth),
        };
        let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).expect("names of hosts");
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages.push(purpose);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Identity {
            certificate: self.file(&format!("{name}.pem"), &certificate.pem()),
            key: self.file(&format!("{name}.key"), &key.serialize_pem()),
        }
    }
}

/// What is in a file.
pub(crate) fn read(path: &PathBuf) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
