//! Files and flags that are no good: each is told in a line, with the file and the remedy, before a port is bound.

use std::process::Command;

use super::pki::{Pki, Use, read};
use crate::support::{loopswap, output, serve};

/// The command is refused as one that was asked for wrongly, in one line with all of this.
fn is_refused(command: &mut Command, wanted: &[&str]) {
    let refused = output(command);
    assert_eq!(refused.status.code(), Some(2), "{wanted:?}: {}", refused.stderr);
    assert_eq!(refused.stdout, "", "no port is bound");
    assert_eq!(refused.stderr.lines().count(), 1, "{}", refused.stderr);
    for text in wanted {
        assert!(refused.stderr.contains(text), "`{text}`: {}", refused.stderr);
    }
}

fn serving(flags: &[(&str, &str)]) -> Command {
    let mut command = loopswap();
    command.args(["serve", "--runtime", "tokio", "--addr", "127.0.0.1:0"]);
    command.args(flags.iter().flat_map(|(flag, value)| [flag, value]));
    command
}

#[test]
fn bad_files() {
    let pki = Pki::new("CA");
    let identity = pki.server();
    let (certificate, key) = (identity.certificate.to_str().unwrap(), identity.key.to_str().unwrap());
    let other = pki.client("other");
    let file = |name: &str, content: &str| pki.file(name, content).to_str().unwrap().to_owned();
    let ca = pki.ca();
    let ca = ca.to_str().unwrap();
    let missing = "/nowhere/server.pem";
    let noise = file("noise.pem", "no PEM");
    let half = file("half.pem", &read(&identity.certificate)[..200]);
    let garbled = file("garbled.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let encrypted = file("encrypted.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
    let useless = file("useless.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    let folder = pki.ca().parent().unwrap().to_str().unwrap().to_owned();
    for (certificate, key, ca, wanted) in [
        (missing, key, None, &[missing, "No such file", "check the path"][..]),
        (&*folder, key, None, &[&*folder, "cannot be read"]),
        (&*noise, key, None, &[&*noise, "has no certificate in it", "openssl x509"]),
        (&*half, key, None, &[&*half, "PEM"]),
        (&*garbled, key, None, &[&*garbled, "is no good"]),
        (key, key, None, &[key, "has no certificate in it"]),
        (certificate, missing, None, &[missing, "the key", "No such file"]),
        (certificate, &*noise, None, &[&*noise, "has no private key in it", "openssl pkey"]),
        (certificate, certificate, None, &["has no private key in it"]),
        (certificate, &*encrypted, None, &[&*encrypted, "is encrypted", "openssl pkey"]),
        (certificate, &*useless, None, &[&*useless, "is of no use", "ECDSA"]),
        (certificate, other.key.to_str().unwrap(), None, &[certificate, "other.key", "does not belong to", "-pubkey"]),
        (certificate, key, Some(missing), &[missing, "the CA for clients", "check the path"]),
        (certificate, key, Some(&*noise), &[&*noise, "has no certificate in it"]),
        (certificate, key, Some(&*garbled), &[&*garbled, "is no good"]),
    ] {
        let mut flags = vec![("--tls-cert", certificate), ("--tls-key", key)];
        flags.extend(ca.map(|ca| ("--tls-client-ca", ca)));
        is_refused(&mut serving(&flags), wanted);
    }
    for (flags, wanted) in [
        (&[("--tls-cert", certificate)][..], &["--tls-cert", "--tls-key"][..]),
        (&[("--tls-key", key)], &["--tls-key", "--tls-cert"]),
        (&[("--tls-client-ca", ca)], &["--tls-client-ca", "--tls-cert"]),
        (&[("--tls-reload-interval", "1m")], &["--tls-reload-interval", "--tls-cert"]),
        (&[("--tls-cert", certificate), ("--tls-key", key), ("--tls-reload-interval", "0s")], &["--tls-reload-interval", "1m"]),
    ] {
        is_refused(&mut serving(flags), wanted);
    }
}

#[test]
fn a_certificate_that_nobody_takes_is_warned_of() {
    let pki = Pki::new("CA");
    for (identity, why) in [(pki.issue("old", Use::Server, 2000), "expired"), (pki.client("client"), "server authentication")] {
        let flags = [identity.certificate.to_str().unwrap(), identity.key.to_str().unwrap()];
        let server = serve("tokio", &["--tls-cert", flags[0], "--tls-key", flags[1]]);
        let line = server.stderr().wait_for("will not be taken by clients").expect("it is told");
        assert!(line.contains("WARN") && line.contains(flags[0]) && line.to_lowercase().contains(why), "{line}");
    }
    let server =
        serve("tokio", &["--tls-cert", pki.server().certificate.to_str().unwrap(), "--tls-key", pki.server().key.to_str().unwrap()]);
    assert_eq!(server.stderr().so_far(), "");
}

#[test]
fn the_clients_flags() {
    let pki = Pki::new("CA");
    let client = pki.client("Alice");
    let (certificate, key) = (client.certificate.to_str().unwrap(), client.key.to_str().unwrap());
    let ca = pki.ca();
    let ca = ca.to_str().unwrap();
    for command in ["call", "health", "load"] {
        for (flags, wanted) in [
            (&["--tls-client-cert", certificate][..], &["--tls-client-cert", "--tls-ca"][..]),
            (&["--tls-server-name", "x"], &["--tls-server-name", "--tls-ca"]),
            (&["--tls-ca", ca, "--tls-client-cert", certificate], &["--tls-client-key"]),
            (&["--tls-ca", ca, "--tls-client-key", key], &["--tls-client-cert"]),
            (&["--tls-ca", "/nowhere"], &["/nowhere", "check the path"]),
            (&["--tls-ca", key], &[key, "has no certificate in it"]),
            (&["--tls-ca", ca, "--tls-server-name", "a b"], &["a b", "server name"]),
        ] {
            is_refused(loopswap().arg(command).args(flags), wanted);
        }
    }
}

/// The whole of it, as a person would: mutual TLS from the command line.
#[test]
fn the_commands_speak_tls() {
    let pki = Pki::new("CA");
    let (identity, client, ca) = (pki.server(), pki.client("Alice"), pki.ca());
    let ca = ca.to_str().unwrap();
    let server = super::serve_tls("tokio", "native", &identity, &["--tls-client-ca", ca]);
    let addr = server.addr().to_string();
    let shown =
        ["--tls-ca", ca, "--tls-client-cert", client.certificate.to_str().unwrap(), "--tls-client-key", client.key.to_str().unwrap()];
    for (command, stdout) in [(&["call", &addr][..], "Hello, Joe!"), (&["health", &addr], "SERVING")] {
        let done = output(loopswap().args(command).args(shown));
        assert_eq!((done.status.code(), &*done.stdout), (Some(0), stdout), "{}", done.stderr);
    }
    let done = output(loopswap().args(["load", &addr, "-n", "200", "-c", "10", "--connections", "2"]).args(shown));
    assert_eq!(done.status.code(), Some(0), "{}{}", done.stdout, done.stderr);
    for (flags, why) in [(&shown[..2], "wants a client certificate"), (&[], "the server speaks TLS")] {
        let done = output(loopswap().args(["call", &addr]).args(flags));
        assert!(done.status.code() == Some(1) && done.stderr.contains(why), "`{why}`: {}", done.stderr);
    }
}
