//! A channel that asks whether its server is there (gRFC A8).

use std::time::{Duration, Instant};

use loopswap::client::Channel;
use loopswap::rt::sleep;
use tonic::Code;

use super::endpoint;
use super::peer::{Peer, against, hello};
use crate::raw::*;

crate::on_every_loop!(
    a_server_that_does_not_answer_is_left,
    a_server_that_answers_is_not,
    nobody_is_asked_without_calls,
    a_server_that_was_asked_too_often_is_asked_half_as_often,
);

const INTERVAL: Duration = Duration::from_millis(200);
const TIMEOUT: Duration = Duration::from_millis(200);
/// For one that is to answer, on a machine that may be busy.
const LONG: Duration = Duration::from_secs(20);

fn asks(addr: std::net::SocketAddr, timeout: Duration) -> Channel {
    endpoint(addr).keepalive(INTERVAL, timeout).connect_lazy().expect("a loop runs")
}

fn a_server_that_does_not_answer_is_left(runtime: &'static str) {
    let script = |peer: &Peer| {
        let mut line = peer.accept();
        line.polite = false;
        line.request();
        let begun = Instant::now();
        line.ping();
        assert!(begun.elapsed() + Duration::from_millis(20) >= INTERVAL, "asked after {:?}", begun.elapsed());
        line.is_closed();
        assert!(begun.elapsed() + Duration::from_millis(20) >= INTERVAL + TIMEOUT, "left after {:?}", begun.elapsed());
        let mut line = peer.accept();
        let stream = line.request();
        line.answer(stream);
        line.is_left(code::NO_ERROR);
    };
    against(runtime, script, async |addr| {
        let channel = asks(addr, TIMEOUT);
        let status = hello(&channel, "Joe").await.expect_err("nobody answers");
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        assert!(status.message().contains("has not answered a keepalive ping within 200ms"), "{status:?}");
        hello(&channel, "Joe").await.expect("the next connection is good");
        channel.close().await;
    });
}

/// Not a byte but the answers to PING, for as long as the call takes.
fn a_server_that_answers_is_not(runtime: &'static str) {
    let script = |peer: &Peer| {
        let mut line = peer.accept();
        line.polite = false;
        let stream = line.request();
        for _ in 0..3 {
            let asked = line.ping();
            line.send([ping_ack(asked)]);
        }
        line.answer(stream);
        line.is_left(code::NO_ERROR);
    };
    against(runtime, script, async |addr| {
        let channel = asks(addr, LONG);
        let begun = Instant::now();
        hello(&channel, "Joe").await.expect("it takes its time");
        // The interval is from answer to question, however long an answer may take.
        assert!(begun.elapsed() < LONG, "three questions took {:?}", begun.elapsed());
        channel.close().await;
    });
}

fn nobody_is_asked_without_calls(runtime: &'static str) {
    let script = |peer: &Peer| {
        let mut line = peer.accept();
        line.polite = false;
        let stream = line.request();
        line.answer(stream);
        line.is_left(code::NO_ERROR);
    };
    against(runtime, script, async |addr| {
        let channel = asks(addr, LONG);
        hello(&channel, "Joe").await.expect("it is answered");
        sleep(INTERVAL * 3).await;
        channel.close().await;
    });
}

/// Each connection that ends so doubles the interval for those to come.
fn a_server_that_was_asked_too_often_is_asked_half_as_often(runtime: &'static str) {
    let script = |peer: &Peer| {
        for factor in [1, 2, 4] {
            let mut line = peer.accept();
            line.polite = false;
            let stream = line.request();
            let begun = Instant::now();
            let asked = line.ping();
            let waited = begun.elapsed();
            assert!(waited + Duration::from_millis(20) >= INTERVAL * factor, "asked after {waited:?}, not {:?}", INTERVAL * factor);
            line.send([ping_ack(asked), goaway(stream, code::ENHANCE_YOUR_CALM, "too_many_pings")]);
            line.answer(stream);
            line.is_left(code::NO_ERROR);
        }
    };
    against(runtime, script, async |addr| {
        let channel = asks(addr, LONG);
        for _ in 0..3 {
            hello(&channel, "Joe").await.expect("it was looked at");
        }
        channel.close().await;
    });
}
