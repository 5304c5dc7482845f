//! The last words of a connection that the peer ends: close_notify is answered by close_notify, and so is FIN without it (RFC 8446, 6.1). Neither is worth a
//! line of the log.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use loopswap::Http2;
use rustix::process::Signal;

use super::channel::{ServerEnd, serve_once};
use super::client::{Tls, VERSIONS, Wants, config, greets, open, open_on, opening, until_closed};
use super::pki::Pki;
use super::serve_tls;
use super::strain::{connect_narrow, serve_narrow};
use crate::raw::call;
use crate::support::{eventually, loopswap, output, serve_puppet};

crate::on_every_loop!(
    a_goodbye_is_answered,
    a_goodbye_ends_calls_and_is_answered,
    fin_alone_is_answered_and_no_noise,
    who_does_not_take_the_answer_is_not_waited_for,
    our_client_says_goodbye,
);

/// Connections of a client that has been greeted, over both versions.
fn greeted(addr: SocketAddr, pki: &Pki) -> impl Iterator<Item = Tls> {
    VERSIONS.into_iter().map(move |versions| {
        let mut tls = open(addr, config(pki, None, &Wants { versions, ..Wants::default() })).expect("TLS is agreed");
        assert_eq!(greets(&mut tls), "Hello, Joe!");
        tls
    })
}

fn say_goodbye(tls: &mut Tls) {
    tls.conn.send_close_notify();
    tls.flush().expect("the server takes it");
}

/// Behind close_notify both ways nothing is left that could reset the connection.
fn is_answered(tls: &mut Tls, what: &str) {
    let (_, goodbye) = until_closed(tls);
    assert!(goodbye, "{what}: closed without close_notify");
    let left = tls.sock.read(&mut [0]);
    assert!(matches!(left, Ok(0)), "{what}: no FIN behind it: {left:?}");
}

fn a_goodbye_is_answered(runtime: &str) {
    for engine in ["native", "hyper"] {
        let pki = Pki::new("CA");
        let server = serve_tls(runtime, engine, &pki.server(), &[]);
        for mut tls in greeted(server.addr(), &pki) {
            say_goodbye(&mut tls);
            is_answered(&mut tls, engine);
        }
        // Before HTTP/2 is opened; hyper just closes then.
        let mut tls = open(server.addr(), config(&pki, None, &Wants::default())).expect("TLS is agreed");
        say_goodbye(&mut tls);
        if engine == "native" {
            is_answered(&mut tls, engine);
        } else {
            until_closed(&mut tls);
        }
    }
}

/// A client that says goodbye in the middle of a call waits for no answer.
fn a_goodbye_ends_calls_and_is_answered(runtime: &str) {
    for engine in Http2::ALL {
        let pki = Pki::new("CA");
        let (server, puppet) = serve_puppet(runtime, |builder| builder.http2(engine).tls(pki.server().tls()));
        let begun = Instant::now();
        for (n, mut tls) in greeted(server.local_addr().as_tcp().unwrap(), &pki).enumerate() {
            let mut bytes = Vec::new();
            call(3, "Joe", 60_000).iter().for_each(|frame| frame.write(&mut bytes));
            tls.write_all(&bytes).unwrap();
            eventually("the call is in its handler", || (*puppet.begun.lock().unwrap() == 2 * (n + 1)).then_some(()));
            say_goodbye(&mut tls);
            is_answered(&mut tls, engine.name());
            eventually("its handler has ended", || (puppet.ended.lock().unwrap().len() == 2 * (n + 1)).then_some(()));
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{engine}: it took {:?}", begun.elapsed());
    }
}

/// Of a client that has cut its connection off; and of one that is gone altogether, of which hyper tells when it still had something to say.
fn fin_alone_is_answered_and_no_noise(runtime: &str) {
    for engine in ["native", "hyper"] {
        let pki = Pki::new("CA");
        let mut server = serve_tls(runtime, engine, &pki.server(), &[]);
        for mut tls in greeted(server.addr(), &pki) {
            tls.sock.shutdown(Shutdown::Write).unwrap();
            is_answered(&mut tls, engine);
        }
        if engine == "native" {
            greeted(server.addr(), &pki).for_each(|tls| tls.sock.shutdown(Shutdown::Both).unwrap());
        }
        server.signal(Signal::TERM);
        assert_eq!(server.wait().code(), Some(0));
        let log = server.stderr_at_the_end();
        assert!(!log.contains("connection closed") && !log.contains("TLS"), "{engine}: {log}");
    }
}

/// It reads nothing of its answers, and says goodbye: the answer to that finds no room, and a second later the connection is gone. hyper waits for as long as
/// there is a peer.
fn who_does_not_take_the_answer_is_not_waited_for(runtime: &str) {
    const N_CALLS: usize = 60;
    let pki = Pki::new("CA");
    let (server, puppet) = serve_narrow(runtime, Http2::Native, &pki);
    let addr = server.local_addr().as_tcp().unwrap();
    let mut tls = open_on(connect_narrow(addr), addr, config(&pki, None, &Wants::default())).expect("TLS is agreed");
    let mut bytes = opening();
    // Less than the server's window, more than all buffers between.
    for n in 0..N_CALLS {
        call(2 * n as u32 + 1, &"x".repeat(1000), 0).iter().for_each(|frame| frame.write(&mut bytes));
    }
    tls.write_all(&bytes).unwrap();
    eventually("all calls are begun", || (*puppet.begun.lock().unwrap() == N_CALLS).then_some(()));
    say_goodbye(&mut tls);
    let said = Instant::now();
    // It drains, and has nothing to cut.
    drop(server);
    assert!(said.elapsed() < Duration::from_secs(15), "it took {:?}", said.elapsed());
}

/// `loopswap call`, also when its time is over.
fn our_client_says_goodbye(runtime: &str) {
    let pki = Pki::new("CA");
    let (addr, serving) = serve_once(&pki.server(), &[b"h2"], |mut tls: ServerEnd| {
        tls.read_to_end(&mut Vec::new()).expect("it ends with close_notify");
    });
    let mut command = loopswap();
    command.args(["call", &addr.to_string(), "--runtime", runtime, "--timeout", "300ms", "--tls-ca"]).arg(pki.ca());
    let called = output(&mut command);
    assert!(called.stderr.contains("DEADLINE_EXCEEDED"), "{}{}", called.stdout, called.stderr);
    serving.join().unwrap();
}
