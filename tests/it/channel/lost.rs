//! Servers that are lost in the middle of calls, restarted, or never there: UNAVAILABLE, and the next connection, after a pause where the last attempt failed.

use std::io::Write;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::future::{Either, join_all, select};
use loopswap::client::Channel;
use loopswap::rt::sleep;
use tonic::Code;

use super::peer::{Line, Peer, against, head, hello};
use super::{channel, endpoint};
use crate::raw::*;

crate::on_every_loop!(
    calls_under_way_fail_and_the_next_connects,
    what_was_not_sent_waits_for_the_next_connection,
    one_that_cannot_be_opened_is_not_tried_without_pause,
    who_waits_for_ready_is_served_after_the_pause,
    one_that_says_nothing_is_given_up,
    one_that_does_not_read_costs_a_window,
);

async fn is_unavailable(channel: &Channel) -> String {
    let status = hello(channel, "Joe").await.expect_err("nobody answers");
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    status.message().to_owned()
}

/// Two calls, one without an answer and one with half of one; then the process is gone, by FIN and by RST.
fn calls_under_way_fail_and_the_next_connects(runtime: &'static str) {
    for by_reset in [false, true] {
        let script = move |peer: &Peer| {
            let mut line = peer.accept();
            let [_, second] = line.requests();
            line.send([head(second)]);
            line.all_is_read();
            line.breaks(by_reset);
            // At once: that connection was good.
            let mut line = peer.accept();
            let stream = line.request();
            line.answer(stream);
            line.is_left(code::NO_ERROR);
        };
        against(runtime, script, async |addr| {
            let channel = channel(addr);
            for message in join_all([is_unavailable(&channel), is_unavailable(&channel)]).await {
                assert!(message.contains("the connection broke"), "{message}");
            }
            let begun = Instant::now();
            hello(&channel, "Joe").await.expect("the next connects");
            assert!(begun.elapsed() < Duration::from_millis(700), "after {:?}", begun.elapsed());
            channel.close().await;
        });
    }
}

/// Of three calls the server has room for one: the others were never sent, so nothing is lost with them.
fn what_was_not_sent_waits_for_the_next_connection(runtime: &'static str) {
    let script = |peer: &Peer| {
        let mut line = peer.accept_with(&[(setting::MAX_CONCURRENT_STREAMS, 1)]);
        line.request();
        line.breaks(true);
        let mut line = peer.accept();
        for stream in line.requests::<2>() {
            line.answer(stream);
        }
        line.is_left(code::NO_ERROR);
    };
    against(runtime, script, async |addr| {
        let channel = channel(addr);
        let replies = join_all([(); 3].map(|()| hello(&channel, "Joe"))).await;
        let lost: Vec<_> = replies.iter().filter_map(|reply| reply.as_ref().err()).collect();
        assert!(lost.len() == 1 && lost[0].code() == Code::Unavailable, "{replies:?}");
        channel.close().await;
    });
}

/// It accepts, and closes. Calls in the pause after that fail at once with what is known; none of them connects.
fn one_that_cannot_be_opened_is_not_tried_without_pause(runtime: &'static str) {
    let script = |peer: &Peer| {
        drop(peer.accept_raw());
        // gRPC's first pause, 1 s, give or take a fifth (connection-backoff.md).
        peer.sees_nobody_for(Duration::from_millis(700));
        let mut line = peer.accept();
        let stream = line.request();
        line.answer(stream);
        line.is_left(code::NO_ERROR);
    };
    against(runtime, script, async |addr| {
        let channel = channel(addr);
        let why = is_unavailable(&channel).await;
        assert!(why.contains("cannot connect to"), "{why}");
        for _ in 0..100 {
            assert_eq!(is_unavailable(&channel).await, why);
        }
        while hello(&channel, "Joe").await.is_err() {
            sleep(Duration::from_millis(5)).await;
        }
        channel.close().await;
    });
}

fn who_waits_for_ready_is_served_after_the_pause(runtime: &'static str) {
    let script = |peer: &Peer| {
        drop(peer.accept_raw());
        let failed = Instant::now();
        let mut line = peer.accept();
        assert!(failed.elapsed() >= Duration::from_millis(700), "tried again after {:?}", failed.elapsed());
        for stream in line.requests::<2>() {
            line.answer(stream);
        }
        line.is_left(code::NO_ERROR);
    };
    against(runtime, script, async |addr| {
        let channel = endpoint(addr).wait_for_ready(true).connect_lazy().expect("a loop runs");
        for reply in join_all([hello(&channel, "Joe"), hello(&channel, "Jane")]).await {
            reply.expect("it waits");
        }
        channel.close().await;
    });
}

/// No SETTINGS come, or something else does.
fn one_that_says_nothing_is_given_up(runtime: &'static str) {
    for (says, why) in
        [(&b""[..], "no answer within 300ms"), (b"HTTP/1.1 400 Bad Request\r\n\r\n", "the server's first frame is not SETTINGS")]
    {
        let script = move |peer: &Peer| {
            let mut socket = peer.accept_raw();
            socket.write_all(says).expect("the channel has not closed yet");
            Line::of(socket).reads_to_the_end();
        };
        against(runtime, script, async move |addr| {
            let channel = endpoint(addr).connect_timeout(Duration::from_millis(300)).connect_lazy().expect("a loop runs");
            let message = is_unavailable(&channel).await;
            assert!(message.contains(why), "{message}");
        });
    }
}

/// A request of 4 MB to a server that opens no window: 64 KiB of it leave the channel. Other calls go on, and giving it up is told.
fn one_that_does_not_read_costs_a_window(runtime: &'static str) {
    let script = |peer: &Peer| {
        let mut line = peer.accept();
        let stream = line.begun();
        assert_eq!(line.some_of(stream, WINDOW as usize), WINDOW as usize);
        // The connection's window is used up as well.
        let other = line.begun();
        line.hears_nothing_for(Duration::from_millis(50));
        line.send([window_update(0, 1000)]);
        line.rest(other);
        line.answer(other);
        assert_eq!(line.reset(), (stream, code::CANCEL));
        line.is_left(code::NO_ERROR);
    };
    against(runtime, script, async |addr| {
        let channel = channel(addr);
        let name = "x".repeat(4_000_000);
        // In this order: the channel sends them as they come.
        match select(pin!(hello(&channel, &name)), pin!(hello(&channel, "Joe"))).await {
            Either::Right((reply, _)) => reply.expect("another call goes on"),
            Either::Left((reply, _)) => panic!("it is not answered: {reply:?}"),
        };
        channel.close().await;
    });
}
