//! How calls and channels are ended from this side: the server is told, and no task is left.

use std::time::Duration;

use futures_util::future::join;
use loopswap::client::Channel;
use loopswap::rt::{live_tasks, sleep, spawn_local, timeout};
use tonic::Code;

use super::channel;
use super::peer::{Line, Peer, against, good_answer, head, hello};
use crate::raw::*;
use crate::support::PATIENCE;

crate::on_every_loop!(
    a_dropped_call_is_cancelled,
    a_call_that_is_dropped_while_it_waits_is_never_sent,
    closing_waits_for_calls_and_takes_no_more,
    closing_ends_an_attempt_that_nobody_waits_for,
    the_last_clone_closes,
    a_deadline_is_told_to_a_server_that_keeps_none,
);

/// Begins a call that is dropped when the server has it.
async fn begin_and_drop(channel: &Channel) {
    let gone = timeout(Duration::from_millis(100), hello(channel, "Joe")).await;
    assert!(gone.is_err(), "{gone:?}");
}

fn a_dropped_call_is_cancelled(runtime: &'static str) {
    let script = |peer: &Peer| {
        let mut line = peer.accept();
        for answers in [false, true] {
            let stream = line.request();
            if answers {
                line.send([head(stream)]);
            }
            assert_eq!(line.reset(), (stream, code::CANCEL));
            // What crosses that is for nobody, and no error.
            let [head, rest @ ..] = good_answer(stream);
            line.send((!answers).then_some(head).into_iter().chain(rest));
        }
        let stream = line.request();
        line.answer(stream);
        line.is_left(code::NO_ERROR);
    };
    against(runtime, script, async |addr| {
        let channel = channel(addr);
        begin_and_drop(&channel).await;
        begin_and_drop(&channel).await;
        hello(&channel, "Joe").await.expect("the connection lives");
        channel.close().await;
    });
}

fn a_call_that_is_dropped_while_it_waits_is_never_sent(runtime: &'static str) {
    let script = |peer: &Peer| {
        let mut line = peer.accept_with(&[(setting::MAX_CONCURRENT_STREAMS, 1)]);
        let stream = line.request();
        line.hears_nothing_for(Duration::from_millis(300));
        line.answer(stream);
        line.is_left(code::NO_ERROR);
    };
    against(runtime, script, async |addr| {
        let channel = channel(addr);
        let (first, ()) = join(hello(&channel, "first"), begin_and_drop(&channel)).await;
        first.expect("it is answered");
        channel.close().await;
    });
}

fn closing_waits_for_calls_and_takes_no_more(runtime: &'static str) {
    let script = |peer: &Peer| {
        let mut line = peer.accept();
        let stream = line.request();
        line.hears_nothing_for(Duration::from_millis(100));
        line.answer(stream);
        line.is_left(code::NO_ERROR);
    };
    against(runtime, script, async |addr| {
        let channel = channel(addr);
        let call = spawn_local({
            let channel = channel.clone();
            async move { hello(&channel, "Joe").await }
        });
        // Until it is on its way.
        sleep(Duration::from_millis(20)).await;
        assert!(timeout(Duration::from_millis(10), channel.close()).await.is_err(), "a call is under way");
        let status = hello(&channel, "late").await.expect_err("it is closed");
        assert_eq!((status.code(), status.message()), (Code::Unavailable, "the channel is closed"));
        call.await.expect("no panic").expect("closing waits for it");
        channel.close().await;
        assert_eq!(live_tasks(), 0);
    });
}

/// It hangs in the handshake, for 20 s if one lets it.
fn closing_ends_an_attempt_that_nobody_waits_for(runtime: &'static str) {
    let script = |peer: &Peer| {
        Line::of(peer.accept_raw()).reads_to_the_end();
    };
    against(runtime, script, async |addr| {
        let channel = channel(addr);
        begin_and_drop(&channel).await;
        timeout(PATIENCE / 4, channel.close()).await.expect("nobody waits for the connection");
        assert_eq!(live_tasks(), 0);
    });
}

fn the_last_clone_closes(runtime: &'static str) {
    let script = |peer: &Peer| {
        let mut line = peer.accept();
        let stream = line.request();
        line.answer(stream);
        line.is_left(code::NO_ERROR);
    };
    against(runtime, script, async |addr| {
        let channel = channel(addr);
        let other = channel.clone();
        drop(channel);
        hello(&other, "Joe").await.expect("a clone keeps it");
    });
}

/// Its stream is reset when the time is over.
fn a_deadline_is_told_to_a_server_that_keeps_none(runtime: &'static str) {
    let script = |peer: &Peer| {
        let mut line = peer.accept();
        let stream = line.request();
        assert_eq!(line.reset(), (stream, code::CANCEL));
        line.is_left(code::NO_ERROR);
    };
    against(runtime, script, async |addr| {
        let channel = super::endpoint(addr).timeout(Duration::from_millis(100)).connect_lazy().expect("a loop runs");
        let status = hello(&channel, "Joe").await.expect_err("nobody answers");
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
        channel.close().await;
    });
}
