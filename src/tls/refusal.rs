//! Why TLS was not agreed with a client, or was broken off: the names that are counted and logged.

use std::fmt;

use rustls::{AlertDescription, Error, InvalidMessage, PeerIncompatible};

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $what:literal;)*) => {
        /// Why a client's TLS was refused. Each is counted: [`Counters::tls_refused`](crate::Counters::tls_refused).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum TlsRefusal {
            $($(#[$doc])* $name,)*
        }

        impl TlsRefusal {
            /// All of them, in the order of their discriminants.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name, as counters and logs have it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// What it means, in words.
            fn what(self) -> &'static str {
                match self {
                    $(Self::$name => $what,)*
                }
            }
        }
    };
}

refusals! {
    /// What came is no TLS: HTTP without it, or noise.
    NotTls = "tls_not_tls", "the client does not speak TLS";
    /// The client speaks neither TLS 1.2 nor 1.3 (RFC 9113, 9.2).
    Version = "tls_version", "the client speaks neither TLS 1.2 nor 1.3";
    /// The client does not offer `h2` by ALPN (RFC 9113, 3.2). It was told `no_application_protocol`.
    Alpn = "tls_no_h2", "the client does not offer h2 by ALPN";
    /// No cipher suite, group or signature is spoken by both.
    Incompatible = "tls_incompatible", "the client has no algorithms in common with this server";
    /// A client certificate is required, and none came.
    NoCertificate = "tls_no_client_certificate", "the client has shown no certificate";
    /// The client's certificate is not valid: it has expired, say, or its CA is not one of those that are trusted.
    BadCertificate = "tls_bad_client_certificate", "the client's certificate is not valid";
    /// The client broke it off. Mostly it does not trust the server's certificate.
    Alert = "tls_alert", "the client broke it off";
    /// The client broke the protocol, in the handshake or later.
    Protocol = "tls_protocol", "the client broke the protocol";
}

impl TlsRefusal {
    /// What rustls complains of.
    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion) => Self::NotTls,
            Error::PeerIncompatible(
                // Signature algorithms have been named since TLS 1.2 (RFC 5246, 7.4.1.4.1): who names none is older.
                PeerIncompatible::SignatureAlgorithmsExtensionRequired
                | PeerIncompatible::Tls12NotOffered
                | PeerIncompatible::Tls12NotOfferedOrEnabled
                | PeerIncompatible::SupportedVersionsExtensionRequired,
            ) => Self::Version,
            Error::PeerIncompatible(_) => Self::Incompatible,
            Error::NoApplicationProtocol => Self::Alpn,
            Error::NoCertificatesPresented => Self::NoCertificate,
            Error::InvalidCertificate(_) => Self::BadCertificate,
            Error::AlertReceived(AlertDescription::NoApplicationProtocol) => Self::Alpn,
            Error::AlertReceived(_) => Self::Alert,
            _ => Self::Protocol,
        }
    }
}

impl fmt::Display for TlsRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what())
    }
}
