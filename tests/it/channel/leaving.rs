//! Servers that go away, or take no call: what they have not looked at is made again, once (gRFC A6), and what they have is waited for.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use loopswap::client::Channel;
use loopswap::rt::spawn_local;
use tonic::Code;

use super::channel;
use super::peer::{Line, Peer, against, good_answer, head, hello};
use crate::raw::*;

crate::on_every_loop!(
    what_was_not_looked_at_goes_to_the_next_connection,
    a_drain_in_two_steps_loses_nothing,
    a_call_moves_once,
    a_call_that_was_too_large_to_keep_does_not_move,
    a_call_whose_answer_has_begun_does_not_move,
    a_refused_call_is_made_again_after_a_moment,
    a_refused_call_is_made_again_when_there_is_room,
    a_call_that_is_refused_twice_fails,
);

/// Less than the moment after which a refused call is made again, 20 ms, as far as clocks and threads on a busy machine can be trusted.
const MOMENT: Duration = Duration::from_millis(19);

/// So many calls at once, each of which goes well.
async fn all_go_well(channel: &Channel, n: usize) {
    for reply in join_all((0..n).map(|_| hello(channel, "Joe"))).await {
        assert_eq!(reply.expect("it goes well"), "Hello!");
    }
}

fn what_was_not_looked_at_goes_to_the_next_connection(runtime: &'static str) {
    let script = |peer: &Peer| {
        let mut first = peer.accept();
        assert_eq!(first.requests::<3>(), [1, 3, 5]);
        first.send([goaway(1, code::NO_ERROR, "")]);
        let mut second = peer.accept();
        assert_eq!(second.requests::<2>(), [1, 3]);
        second.answer(1);
        second.answer(3);
        // The first connection lasts as long as what it serves.
        first.hears_nothing_for(Duration::from_millis(50));
        first.answer(1);
        first.is_left(code::NO_ERROR);
        second.is_left(code::NO_ERROR);
    };
    against(runtime, script, async |addr| {
        let channel = channel(addr);
        all_go_well(&channel, 3).await;
        channel.close().await;
    });
}

/// As a server drains that does it well (RFC 9113, 6.8): a warning, and the last stream behind the PING's answer.
fn a_drain_in_two_steps_loses_nothing(runtime: &'static str) {
    let script = |peer: &Peer| {
        let mut first = peer.accept();
        assert_eq!(first.requests::<2>(), [1, 3]);
        first.send([goaway(MAX_31_BITS, code::NO_ERROR, ""), ping(*b"draining")]);
        assert_eq!(&first.pong(), b"draining");
        // Once it is warned it calls elsewhere.
        first.answer(1);
        let mut second = peer.accept();
        let stream = second.request();
        first.send([goaway(3, code::NO_ERROR, "")]);
        first.answer(3);
        first.is_left(code::NO_ERROR);
        second.answer(stream);
        second.is_left(code::NO_ERROR);
    };
    against(runtime, script, async |addr| {
        let channel = channel(addr);
        let slow = spawn_local({
            let channel = channel.clone();
            async move { hello(&channel, "slow").await }
        });
        hello(&channel, "quick").await.expect("it was looked at");
        hello(&channel, "later").await.expect("it goes elsewhere");
        slow.await.expect("no panic").expect("it was looked at");
        channel.close().await;
    });
}

fn a_call_moves_once(runtime: &'static str) {
    let script = |peer: &Peer| {
        for _ in 0..2 {
            let mut line = peer.accept();
            line.request();
            line.send([goaway(0, code::NO_ERROR, "")]);
            line.is_left(code::NO_ERROR);
        }
        peer.sees_nobody_for(Duration::from_millis(100));
    };
    against(runtime, script, async |addr| {
        let status = hello(&channel(addr), "Joe").await.expect_err("nobody looks at it");
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        assert!(status.message().contains("has not looked at"), "{status:?}");
    });
}

/// More than 256 KiB had been sent.
fn a_call_that_was_too_large_to_keep_does_not_move(runtime: &'static str) {
    let script = |peer: &Peer| {
        let mut line = peer.accept_with(&[(setting::INITIAL_WINDOW_SIZE, MAX_31_BITS)]);
        line.send([window_update(0, MAX_31_BITS - WINDOW as u32)]);
        let stream = line.request();
        line.send([goaway(0, code::NO_ERROR, "")]);
        assert_eq!(stream, 1);
        line.is_left(code::NO_ERROR);
        peer.sees_nobody_for(Duration::from_millis(100));
    };
    against(runtime, script, async |addr| {
        let status = hello(&channel(addr), &"x".repeat(300_000)).await.expect_err("it cannot be made again");
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    });
}

/// The server has looked at it, whatever GOAWAY says then.
fn a_call_whose_answer_has_begun_does_not_move(runtime: &'static str) {
    let script = |peer: &Peer| {
        let mut line = peer.accept();
        let stream = line.request();
        line.send([head(stream), goaway(0, code::NO_ERROR, "")]);
        line.is_left(code::NO_ERROR);
        peer.sees_nobody_for(Duration::from_millis(100));
    };
    against(runtime, script, async |addr| {
        let status = hello(&channel(addr), "Joe").await.expect_err("its answer is cut off");
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    });
}

/// Sees a call, refuses it, and sees it again; how long that took.
fn refuses(line: &mut Line) -> Duration {
    let stream = line.request();
    let refused = Instant::now();
    line.send([rst_stream(stream, code::REFUSED_STREAM)]);
    assert_eq!(line.request(), stream + 2);
    refused.elapsed()
}

fn a_refused_call_is_made_again_after_a_moment(runtime: &'static str) {
    let script = |peer: &Peer| {
        let mut line = peer.accept();
        let took = refuses(&mut line);
        assert!(took >= MOMENT, "it was made again after {took:?}");
        line.answer(3);
        line.is_left(code::NO_ERROR);
    };
    against(runtime, script, async |addr| {
        let channel = channel(addr);
        hello(&channel, "Joe").await.expect("it is made again");
        channel.close().await;
    });
}

/// The end of another call says that there may be room: the moment need not pass. The best of some tries, because a busy machine can be slow.
fn a_refused_call_is_made_again_when_there_is_room(runtime: &'static str) {
    const TRIES: u32 = 30;
    let script = |peer: &Peer| {
        let mut line = peer.accept();
        let mut best = Duration::MAX;
        for n in 0..TRIES {
            let [other, refused] = line.requests();
            let begun = Instant::now();
            line.send([rst_stream(refused, code::REFUSED_STREAM)].into_iter().chain(good_answer(other)));
            assert_eq!((refused, line.request()), (6 * n + 3, 6 * n + 5));
            best = best.min(begun.elapsed());
            line.answer(refused + 2);
        }
        assert!(best < MOMENT, "made again after {best:?} at best");
        line.is_left(code::NO_ERROR);
    };
    against(runtime, script, async |addr| {
        let channel = channel(addr);
        for _ in 0..TRIES {
            all_go_well(&channel, 2).await;
        }
        channel.close().await;
    });
}

fn a_call_that_is_refused_twice_fails(runtime: &'static str) {
    let script = |peer: &Peer| {
        let mut line = peer.accept();
        refuses(&mut line);
        line.send([rst_stream(3, code::REFUSED_STREAM)]);
        // It was the call that failed, not the connection.
        assert_eq!(line.request(), 5);
        line.answer(5);
        line.is_left(code::NO_ERROR);
    };
    against(runtime, script, async |addr| {
        let channel = channel(addr);
        let status = hello(&channel, "Joe").await.expect_err("it is refused");
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        assert!(status.message().contains("REFUSED_STREAM"), "{status:?}");
        hello(&channel, "Joe").await.expect("the connection lives");
        channel.close().await;
    });
}
