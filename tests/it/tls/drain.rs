//! Drains over TLS: calls under way end, and the last word is TLS's own goodbye.

use std::io::Write;

use rustix::process::Signal;

use super::client::{VERSIONS, Wants, config, greets, open, until_closed};
use super::pki::Pki;
use super::{greeter, serve_tls, trusting};
use crate::raw::{kind, ping_ack};
use crate::support::{block_on, hello};

crate::on_every_loop_and_engine!(running_calls_finish, says_goodbye, a_handshake_under_way_does_not_hold_it_up);

fn running_calls_finish(runtime: &str, engine: &str) {
    let pki = Pki::new("CA");
    let mut server = serve_tls(runtime, engine, &pki.server(), &[]);
    block_on(async {
        let client = greeter(server.addr(), trusting(&pki)).await;
        let calls: Vec<_> = (0..20)
            .map(|n| {
                let mut client = client.clone();
                ::tokio::spawn(async move { hello(&mut client, "Joe", 300 + n).await })
            })
            .collect();
        for name in ["first", "second"] {
            assert!(hello(&mut client.clone(), name, 0).await.is_ok());
        }
        server.signal(Signal::TERM);
        for call in calls {
            assert_eq!(call.await.unwrap().unwrap(), "Hello, Joe!");
        }
    });
    assert_eq!(server.wait().code(), Some(0));
}

/// GOAWAY, close_notify, FIN (RFC 9113, 5.4.1; RFC 8446, 6.1).
fn says_goodbye(runtime: &str, engine: &str) {
    for versions in VERSIONS {
        let pki = Pki::new("CA");
        let mut server = serve_tls(runtime, engine, &pki.server(), &[]);
        let mut tls = open(server.addr(), config(&pki, None, &Wants { versions, ..Wants::default() })).expect("TLS is agreed");
        assert_eq!(greets(&mut tls), "Hello, Joe!");
        server.signal(Signal::TERM);
        // The first GOAWAY comes with a PING, whose answer brings the last.
        let ping = loop {
            let frame = super::client::next_frame(&mut tls).expect("the server is there");
            if frame.kind == kind::PING {
                break frame;
            }
        };
        let mut pong = Vec::new();
        ping_ack(ping.payload[..].try_into().unwrap()).write(&mut pong);
        tls.write_all(&pong).unwrap();
        let (frames, goodbye) = until_closed(&mut tls);
        assert!(frames.iter().any(|frame| frame.kind == kind::GOAWAY), "{frames:?}");
        assert!(goodbye, "closed without close_notify");
        drop(tls);
        assert_eq!(server.wait().code(), Some(0));
    }
}

fn a_handshake_under_way_does_not_hold_it_up(runtime: &str, engine: &str) {
    let pki = Pki::new("CA");
    let mut server = serve_tls(runtime, engine, &pki.server(), &["--handshake-timeout", "1s"]);
    let _silent = crate::support::connect(server.addr());
    let mut half = crate::support::connect(server.addr());
    half.write_all(&[0x16, 3, 1, 2, 0, 1]).unwrap();
    block_on(async { hello(&mut greeter(server.addr(), trusting(&pki)).await, "Joe", 0).await.unwrap() });
    let begun = std::time::Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    assert!(begun.elapsed() < std::time::Duration::from_secs(10), "it took {:?}", begun.elapsed());
}
