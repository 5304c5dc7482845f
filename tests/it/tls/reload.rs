//! New certificates without a restart: those who are connected stay, those who come get the new one, and a bad one changes nothing.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use loopswap::ErrorKind;
use loopswap::tls::ServerTls;
use rustix::process::Signal;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::client::{Wants, config, open};
use super::pki::{Identity, Pki};
use super::{greeter, serve_tls, trusting};
use crate::support::{Served, block_on, eventually, hello, serve_puppet};

crate::on_every_loop_and_engine!(by_sighup, by_interval, by_the_library);

/// The certificate that a new client is shown.
fn shown(addr: SocketAddr, pki: &Pki) -> CertificateDer<'static> {
    let tls = open(addr, config(pki, None, &Wants::default())).expect("TLS is agreed");
    tls.conn.peer_certificates().expect("a server shows some")[0].clone().into_owned()
}

fn certificate(path: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(path).expect("PEM")
}

/// Puts this in the place of the other.
fn put(new: &Identity, old: &Identity) {
    fs::copy(&new.key, &old.key).unwrap();
    fs::copy(&new.certificate, &old.certificate).unwrap();
}

fn by_sighup(runtime: &str, engine: &str) {
    let pki = Pki::new("CA");
    let (used, new) = (pki.server(), Pki::new("another CA"));
    let mut server = serve_tls(runtime, engine, &used, &[]);
    let first = certificate(&used.certificate);
    assert_eq!(shown(server.addr(), &pki), first);
    block_on(async {
        let mut client = greeter(server.addr(), trusting(&pki)).await;
        hello(&mut client, "Joe", 0).await.unwrap();
        put(&new.server(), &used);
        server.signal(Signal::HUP);
        server.stderr().wait_for("TLS reloaded").expect("it is told");
        assert_eq!(shown(server.addr(), &new), certificate(&used.certificate));
        assert_eq!(hello(&mut client, "Joe", 0).await.unwrap(), "Hello, Joe!", "the old connection goes on");
    });
    // Half of a pair.
    let newest = new.server();
    fs::copy(&pki.issue("half", super::pki::Use::Server, 4000).certificate, &used.certificate).unwrap();
    server.signal(Signal::HUP);
    let line = server.stderr().wait_for("TLS not reloaded").expect("it is told");
    assert!(line.contains("does not belong to") && line.contains(used.certificate.to_str().unwrap()), "{line}");
    shown(server.addr(), &new);
    put(&newest, &used);
    server.signal(Signal::HUP);
    eventually("the newest is shown", || (shown(server.addr(), &new) == certificate(&newest.certificate)).then_some(()));
    assert!(server.is_running());
}

/// As Kubernetes does it: the files are links into a folder, which is a link that is replaced.
fn by_interval(runtime: &str, engine: &str) {
    let pki = Pki::new("CA");
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mounted = Identity { certificate: path("tls.crt"), key: path("tls.key") };
    let publish = |identity: &Identity, version: &str| {
        fs::create_dir(path(version)).unwrap();
        fs::copy(&identity.certificate, path(version).join("tls.crt")).unwrap();
        fs::copy(&identity.key, path(version).join("tls.key")).unwrap();
        std::os::unix::fs::symlink(version, path("..tmp")).unwrap();
        fs::rename(path("..tmp"), path("..data")).unwrap();
    };
    publish(&pki.server(), "..first");
    for name in ["tls.crt", "tls.key"] {
        std::os::unix::fs::symlink(Path::new("..data").join(name), path(name)).unwrap();
    }
    let server: Served = serve_tls(runtime, engine, &mounted, &["--tls-reload-interval", "20ms"]);
    let first = certificate(&mounted.certificate);
    assert_eq!(shown(server.addr(), &pki), first);
    publish(&pki.server(), "..second");
    assert_ne!(certificate(&mounted.certificate), first);
    eventually("the new one is shown", || (shown(server.addr(), &pki) == certificate(&mounted.certificate)).then_some(()));
    fs::remove_file(&mounted.key).unwrap();
    let line = server.stderr().wait_for("TLS not reloaded").expect("it is told");
    assert!(line.contains("tls.key"), "{line}");
    std::thread::sleep(std::time::Duration::from_millis(200));
    let n = server.stderr().so_far().matches("TLS not reloaded").count();
    assert_eq!(n, 1, "told once, and not at every look");
    shown(server.addr(), &pki);
}

fn by_the_library(runtime: &str, engine: &str) {
    let pki = Pki::new("CA");
    let used = pki.server();
    let (server, _) = serve_puppet(runtime, |builder| builder.http2(engine.parse().unwrap()).tls(used.tls()));
    let (addr, handle) = (server.local_addr().as_tcp().unwrap(), server.handle());
    put(&pki.issue("new", super::pki::Use::Server, 4000), &used);
    handle.reload_tls().unwrap();
    assert_eq!(shown(addr, &pki), certificate(&used.certificate));
    let error = handle.replace_tls(ServerTls::pem("none", "neither")).unwrap_err();
    assert!(error.kind() == ErrorKind::Usage && error.to_string().contains("has no certificate in it"), "{error}");
    assert_eq!(shown(addr, &pki), certificate(&used.certificate), "what was there stays");
    let newest = pki.issue("newest", super::pki::Use::Server, 4000);
    handle.replace_tls(ServerTls::pem(super::read(&newest.certificate), super::read(&newest.key))).unwrap();
    assert_eq!(shown(addr, &pki), certificate(&newest.certificate));
    let error = handle.reload_tls().unwrap_err();
    assert!(error.to_string().contains("in memory"), "{error}");
    let (plain, _) = serve_puppet(runtime, |builder| builder);
    assert!(plain.handle().reload_tls().unwrap_err().to_string().contains("Builder::tls"));
}
