//! Streams of requests and of replies, and what each side may hold.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use prost::Message;

use super::{Exchange, FIELDS, Puppet, named, native_head};
use crate::greeter::HelloRequest;
use crate::service::Router;

fn repeat(name: &str, n: i32) -> Vec<u8> {
    super::framed(&HelloRequest { name: name.into(), sleep_millisecond: n }.encode_to_vec())
}

#[test]
fn requests_are_whole_however_they_are_cut() {
    let body = ["a", "", "bcd"].map(named).concat();
    for size in 1..=body.len() {
        for polled_between in [false, true] {
            let mut exchange = Exchange::open("Collect");
            for part in body.chunks(size) {
                exchange.data(part, false);
                if polled_between {
                    assert_eq!(exchange.poll(), Poll::Pending);
                    assert_eq!(exchange.recorder.n_held.get(), 0, "a handler that waits holds nothing back");
                }
            }
            exchange.call().end();
            assert_eq!(exchange.finish().replies(), ["a  bcd"], "in pieces of {size}");
        }
    }
}

#[test]
fn requests_that_are_broken_end_the_call() {
    for (body, status) in [
        (&[0, 0, 0][..], 13),
        (&[0, 0, 0, 0, 2, 0x0a], 13),
        (&[1, 0, 0, 0, 0], 13),
        (&[9], 13),
        (&[0, 0, 0x40, 0, 1], 8),
        (&[0, 0, 0, 0, 1, 0xff], 13),
    ] {
        let mut exchange = Exchange::open("Collect");
        exchange.data(&named("good"), false);
        assert_eq!(exchange.poll(), Poll::Pending);
        exchange.data(body, true);
        assert_eq!(exchange.finish().status(), status, "{body:?}");
    }
    // No message is a stream as well.
    assert_eq!(Exchange::of("Collect", &[]).replies(), [""]);
}

#[test]
fn a_handler_that_does_not_read_holds_the_window() {
    let mut exchange = Exchange::open("Collect");
    exchange.data(&named("pause"), false);
    assert_eq!(exchange.poll(), Poll::Pending);
    assert_eq!(exchange.recorder.n_held.get(), 0, "it was read");
    exchange.data(&[named("a"), named("b")].concat(), false);
    assert_eq!(exchange.poll(), Poll::Pending);
    assert_eq!(exchange.recorder.n_held.get(), named("a").len() * 2, "these were not");
    // Cancelled.
    exchange.call = None;
    assert_eq!(exchange.recorder.n_held.get(), 0);
    assert_eq!(exchange.recorder.n_ends.get(), 0, "nobody is answered");
}

#[test]
fn a_message_may_be_larger_than_the_window() {
    let name = "x".repeat(1_000_000);
    let body = named(&name);
    let mut exchange = Exchange::open("Collect");
    assert_eq!(exchange.poll(), Poll::Pending);
    let parts = body.chunks(16 * 1024);
    let n_parts = parts.len();
    for (n, part) in parts.enumerate() {
        exchange.data(part, false);
        if n == 0 {
            // The prefix wakes the handler, which judges it.
            assert_eq!(exchange.poll(), Poll::Pending);
        }
        if n + 1 < n_parts {
            assert_eq!(exchange.recorder.n_held.get(), 0, "what a waiting handler gets is released at once");
            assert_eq!(exchange.n_wakes(), 1, "nobody is woken for a part");
        }
    }
    assert_eq!(exchange.n_wakes(), 2);
    exchange.call().end();
    assert_eq!(exchange.finish().replies(), [name]);
}

#[test]
fn what_a_handler_does_not_want_is_discarded() {
    let mut exchange = Exchange::open("Collect");
    exchange.data(&[named("a"), named("enough"), named("b")].concat(), false);
    assert_eq!(exchange.poll(), Poll::Ready(()));
    assert_eq!(exchange.recorder.replies(), ["a"]);
    exchange.data(&named("c"), true);
    assert_eq!(exchange.finish().status(), 0);
}

#[test]
fn a_stream_that_outlives_its_call_is_cancelled() {
    let puppet = Puppet::default();
    let router = Router::new().add(puppet.clone());
    let mut exchange = Exchange::open_with(&router, native_head("POST", "/test.Puppet/Collect", &FIELDS), false);
    exchange.data(&[named("hand over"), named("late")].concat(), false);
    exchange.finish();
    let mut requests = puppet.handed_over.take().expect("it was handed over");
    let mut next = || {
        let mut message = pin!(requests.message());
        message.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    };
    let Poll::Ready(Err(status)) = next() else { panic!("it ends with the call") };
    assert_eq!(status.code(), tonic::Code::Cancelled);
    assert!(matches!(next(), Poll::Ready(Ok(None))), "and once only");
}

#[test]
fn replies_answer_while_requests_come() {
    let mut exchange = Exchange::open("Echo");
    for name in ["a", "b"] {
        exchange.data(&named(name), false);
        assert_eq!(exchange.poll(), Poll::Pending);
        assert_eq!(exchange.recorder.replies().last().unwrap(), name);
    }
    exchange.call().end();
    let recorder = exchange.finish();
    assert_eq!((recorder.status(), recorder.replies()), (0, vec!["a".to_owned(), "b".to_owned()]));
}

#[test]
fn an_exchange_of_nothing_has_a_head_and_ok() {
    let recorder = Exchange::of("Echo", &[]);
    assert_eq!((recorder.status(), recorder.replies().len()), (0, 0));
    assert!(!recorder.is_trailers_only(), "the status of a good answer is in its trailers");
}

#[test]
fn replies_wait_for_room() {
    let mut exchange = Exchange::open("Repeat");
    exchange.recorder.make_room(2);
    exchange.data(&repeat("", 5), true);
    assert_eq!(exchange.poll(), Poll::Pending);
    assert_eq!(exchange.recorder.replies().len(), 2);
    assert_eq!(exchange.poll(), Poll::Pending);
    assert_eq!((exchange.recorder.replies().len(), exchange.n_wakes()), (2, 0));
    exchange.recorder.make_room(100);
    assert_eq!(exchange.n_wakes(), 1);
    assert_eq!(exchange.finish().replies(), ["0", "1", "2", "3", "4"]);
}

#[test]
fn replies_leave_while_the_next_is_not_ready() {
    let mut exchange = Exchange::open("Repeat");
    exchange.data(&repeat("slow", 3), true);
    assert_eq!(exchange.poll(), Poll::Pending);
    assert!(exchange.recorder.head.borrow().is_some(), "the head goes first");
    for n in 1..3 {
        assert_eq!(exchange.poll(), Poll::Pending);
        assert_eq!(exchange.recorder.replies().len(), n);
    }
    assert_eq!(exchange.finish().replies(), ["0", "1", "2"]);
}

#[test]
fn errors_come_after_the_replies_before_them() {
    let recorder = Exchange::of("Repeat", &repeat("fail in stream", 3));
    assert_eq!((recorder.status(), recorder.replies()), (15, vec!["0".to_owned()]));
    assert_eq!(recorder.ending("grpc-message").as_deref(), Some("gone"));
    let recorder = Exchange::of("Repeat", &repeat("refuse", 3));
    assert!(recorder.is_trailers_only(), "nothing was sent before");
    assert_eq!(recorder.status(), 5);
}
