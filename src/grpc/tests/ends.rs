//! How calls end that do not end well: cancelled, too late, in a panic.

use std::rc::Rc;
use std::task::Poll;

use prost::Message;

use super::{Exchange, FIELDS, Puppet, named, native_head};
use crate::greeter::HelloRequest;
use crate::service::Router;

fn opened(method: &str, timeout: Option<&'static str>) -> (Exchange, Puppet) {
    let puppet = Puppet::default();
    let router = Router::new().add(puppet.clone());
    let mut fields = FIELDS.to_vec();
    fields.extend(timeout.map(|timeout| ("grpc-timeout", timeout)));
    (Exchange::open_with(&router, native_head("POST", &format!("/test.Puppet/{method}"), &fields), false), puppet)
}

#[test]
fn a_dropped_call_drops_its_handler_and_says_nothing() {
    for (method, name) in [("Unary", "hang"), ("Collect", "pause")] {
        let (mut exchange, puppet) = opened(method, None);
        exchange.data(&named(name), method == "Unary");
        assert_eq!(exchange.poll(), Poll::Pending);
        assert_eq!(puppet.n_dropped.get(), 0);
        exchange.call = None;
        assert_eq!((puppet.n_dropped.get(), exchange.recorder.n_ends.get()), (1, 0), "{name}");
    }
}

#[test]
fn a_deadline_drops_the_handler_and_is_told() {
    let (mut exchange, puppet) = opened("Unary", Some("1S"));
    exchange.data(&named("hang"), true);
    assert_eq!(exchange.poll(), Poll::Pending);
    exchange.call().expire();
    assert_eq!(puppet.n_dropped.get(), 1);
    let recorder = exchange.finish();
    assert!(recorder.is_trailers_only());
    assert_eq!(recorder.status(), 4);
}

#[test]
fn a_deadline_may_pass_before_the_request_is_whole() {
    let (mut exchange, _) = opened("Unary", Some("1S"));
    exchange.data(&named("Joe")[..6], false);
    exchange.call().expire();
    assert_eq!(exchange.finish().status(), 4);
}

#[test]
fn a_deadline_after_replies_is_told_in_trailers() {
    let (mut exchange, _) = opened("Echo", Some("1S"));
    exchange.data(&named("a"), false);
    assert_eq!(exchange.poll(), Poll::Pending);
    exchange.call().expire();
    let recorder = exchange.finish();
    assert_eq!((recorder.replies(), recorder.status()), (vec!["a".to_owned()], 4));
    assert!(recorder.trailers.borrow().is_some());
}

#[test]
fn a_deadline_after_the_end_says_nothing() {
    let (mut exchange, _) = opened("Unary", Some("1S"));
    exchange.data(&named("Joe"), true);
    assert_eq!(exchange.poll(), Poll::Ready(()));
    exchange.call().expire();
    assert_eq!(exchange.finish().status(), 0);
}

/// A panic anywhere is INTERNAL, and its text stays here.
#[test]
fn a_panic_is_internal_and_keeps_its_text() {
    for name in ["panic in the call", "panic at once", "panic later", "panic in drop"] {
        let recorder = Exchange::of("Unary", &named(name));
        assert!(recorder.is_trailers_only(), "{name}");
        assert_eq!((recorder.http_status(), recorder.status()), (200, 13), "{name}");
        assert_eq!(recorder.head_field("grpc-message").unwrap().replace("%20", " "), "the handler panicked", "{name}");
    }
}

#[test]
fn a_panic_in_a_stream_comes_after_the_replies_before_it() {
    let request = HelloRequest { name: "panic in stream".into(), sleep_millisecond: 3 };
    let recorder = Exchange::of("Repeat", &super::framed(&request.encode_to_vec()));
    assert_eq!((recorder.replies(), recorder.status()), (vec!["0".to_owned()], 13));
}

#[test]
fn a_panic_of_what_a_cancelled_handler_holds_is_contained() {
    for by_deadline in [false, true] {
        let (mut exchange, puppet) = opened("Unary", Some("1S"));
        exchange.data(&named("panic when cancelled"), true);
        assert_eq!(exchange.poll(), Poll::Pending);
        let recorder = Rc::clone(&exchange.recorder);
        if by_deadline {
            exchange.call().expire();
            assert_eq!(recorder.status(), 4);
        }
        exchange.call = None;
        assert_eq!((puppet.n_dropped.get(), recorder.n_ends.get()), (1, usize::from(by_deadline)));
    }
}
