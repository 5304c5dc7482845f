//! SETTINGS_MAX_CONCURRENT_STREAMS of a server: calls beyond it wait, and go on.

use std::time::Duration;

use futures_util::future::join_all;

use super::channel;
use super::peer::{Line, Peer, against, hello};
use crate::raw::*;

crate::on_every_loop!(calls_beyond_it_wait, it_may_be_lowered_in_mid_traffic, none_may_be_allowed_at_first);

const A_WHILE: Duration = Duration::from_millis(50);

/// Sends SETTINGS that allow no more than there is, and waits until the channel keeps to them.
fn lower(line: &mut Line, n: u32) {
    line.send([settings(&[(setting::MAX_CONCURRENT_STREAMS, n)])]);
    let expected = line.n_acks + 1;
    line.all_is_read();
    assert_eq!(line.n_acks, expected, "acknowledged before the PING behind them is answered");
}

/// So many calls at once, and all go well.
fn makes_calls(runtime: &'static str, n: usize, script: impl FnOnce(&Peer) + Send) {
    against(runtime, script, async move |addr| {
        let channel = channel(addr);
        for reply in join_all((0..n).map(|_| hello(&channel, "Joe"))).await {
            assert_eq!(reply.expect("it goes well"), "Hello!");
        }
        channel.close().await;
    });
}

fn calls_beyond_it_wait(runtime: &'static str) {
    makes_calls(runtime, 5, |peer| {
        let mut line = peer.accept_with(&[(setting::MAX_CONCURRENT_STREAMS, 2)]);
        assert_eq!(line.requests::<2>(), [1, 3]);
        line.hears_nothing_for(A_WHILE);
        // Each that ends makes room for one, however it ends.
        line.answer(3);
        assert_eq!(line.request(), 5);
        line.send([rst_stream(1, code::REFUSED_STREAM)]);
        assert_eq!(line.request(), 7);
        line.hears_nothing_for(A_WHILE);
        for (stream, next) in [(5, 9), (7, 11)] {
            line.answer(stream);
            assert_eq!(line.request(), next);
        }
        line.answer(9);
        line.answer(11);
        line.is_left(code::NO_ERROR);
    });
}

/// Streams that are open stay so; none is opened before there is room under the new limit.
fn it_may_be_lowered_in_mid_traffic(runtime: &'static str) {
    makes_calls(runtime, 5, |peer| {
        let mut line = peer.accept_with(&[(setting::MAX_CONCURRENT_STREAMS, 3)]);
        assert_eq!(line.requests::<3>(), [1, 3, 5]);
        lower(&mut line, 1);
        for stream in [5, 1] {
            line.answer(stream);
            line.hears_nothing_for(A_WHILE);
        }
        line.answer(3);
        assert_eq!(line.request(), 7);
        line.hears_nothing_for(A_WHILE);
        // And raised again: the call may come before SETTINGS are acknowledged to us.
        line.send([settings(&[(setting::MAX_CONCURRENT_STREAMS, 2)])]);
        assert_eq!(line.request(), 9);
        line.answer(7);
        line.answer(9);
        line.is_left(code::NO_ERROR);
    });
}

fn none_may_be_allowed_at_first(runtime: &'static str) {
    makes_calls(runtime, 2, |peer| {
        let mut line = peer.accept_with(&[(setting::MAX_CONCURRENT_STREAMS, 0)]);
        line.hears_nothing_for(A_WHILE);
        line.send([settings(&[(setting::MAX_CONCURRENT_STREAMS, 1)])]);
        for stream in [1, 3] {
            assert_eq!(line.request(), stream);
            line.answer(stream);
        }
        line.is_left(code::NO_ERROR);
    });
}
