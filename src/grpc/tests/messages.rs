//! Messages of unary requests, however they are cut: PROTOCOL-HTTP2, "Length-Prefixed-Message"; statuscodes.md.

use std::rc::Rc;
use std::task::Poll;

use super::{Exchange, FIELDS, Puppet, framed, named, native_head, partials_of};
use crate::grpc::{MessageLimits, Partials, WorkerPartials};
use crate::http2::Violation;
use crate::service::Router;

#[test]
fn are_whole_at_every_pair_of_cuts() {
    let body = named("Joe Bloggs");
    for first in 0..=body.len() {
        for second in first..=body.len() {
            let mut exchange = Exchange::open("Unary");
            for (part, end) in [(0..first, false), (first..second, false), (second..body.len(), true)] {
                assert_eq!(exchange.poll(), Poll::Pending);
                exchange.data(&body[part], end);
                assert_eq!(exchange.recorder.n_held.get(), 0, "a unary request is released as it comes");
            }
            let recorder = exchange.finish();
            assert_eq!((recorder.status(), recorder.replies()), (0, vec!["Joe Bloggs".to_owned()]), "cut at {first} and {second}");
        }
    }
}

#[test]
fn may_end_by_trailers_or_an_empty_frame() {
    for by_trailers in [true, false] {
        let mut exchange = Exchange::open("Unary");
        exchange.data(&named("Joe"), false);
        if by_trailers {
            exchange.call().end();
        } else {
            exchange.data(&[], true);
        }
        assert_eq!(exchange.finish().replies(), ["Joe"]);
    }
}

#[test]
fn that_are_broken_end_the_call() {
    let two = [named("a"), named("b")].concat();
    let cut = &named("Joe")[..7];
    let cases: [(&str, &[u8], i32); 11] = [
        ("compressed without an encoding", &[1, 0, 0, 0, 0], 13),
        ("a flag of 2", &[2, 0, 0, 0, 0], 13),
        ("a flag of 255", &[255], 13),
        ("cut in the prefix", &[0, 0, 0], 13),
        ("cut in the message", cut, 13),
        ("nothing of the message", &[0, 0, 0, 0, 9], 13),
        ("none at all", &[], 12),
        ("two", &two, 12),
        ("one and a byte", &[0, 0, 0, 0, 0, 0], 12),
        ("no protobuf", &[0, 0, 0, 0, 1, 0xff], 13),
        ("4 GiB - 1", &[0, 0xff, 0xff, 0xff, 0xff], 8),
    ];
    for (what, body, status) in cases {
        // In one piece, with the end behind it, and byte by byte.
        for mode in 0..3 {
            let mut exchange = Exchange::open("Unary");
            match mode {
                0 => exchange.data(body, true),
                1 => {
                    exchange.data(body, false);
                    exchange.call().end();
                }
                _ => {
                    body.iter().for_each(|byte| exchange.data(&[*byte], false));
                    exchange.data(&[], true);
                }
            }
            let recorder = exchange.finish();
            assert!(recorder.is_trailers_only(), "{what}");
            assert_eq!((recorder.http_status(), recorder.status()), (200, status), "{what}, mode {mode}");
        }
    }
}

#[test]
fn an_end_on_the_head_is_no_message() {
    let exchange = Exchange::open_with(&Puppet::router(), native_head("POST", "/test.Puppet/Unary", &FIELDS), true);
    assert_eq!(exchange.finish().status(), 12);
}

#[test]
fn that_cannot_become_good_are_refused_before_their_end() {
    for (what, bytes, status) in [("too large", &[0, 0, 0x40, 0, 1][..], 8), ("flag", &[3], 13), ("two", &[0, 0, 0, 0, 0, 0], 12)] {
        let mut exchange = Exchange::open("Unary");
        exchange.data(bytes, false);
        assert_eq!((exchange.recorder.status(), exchange.recorder.n_ends.get()), (status, 1), "{what}");
        // What is under way by then is released, and no more.
        exchange.data(&[0; 100], false);
        assert_eq!(exchange.finish().status(), status);
    }
}

#[test]
fn of_exactly_4_mib_are_taken() {
    let mut exchange = Exchange::open("Unary");
    let mut body = vec![0, 0, 0x40, 0, 0];
    assert_eq!(exchange.poll(), Poll::Pending);
    // A length-delimited field 1 that fills the message.
    body.extend([0x0a, 0xfb, 0xff, 0xff, 0x01]);
    body.resize(5 + 4 * 1024 * 1024, b'x');
    body.chunks(16 * 1024).for_each(|part| exchange.data(part, false));
    exchange.call().end();
    let recorder = exchange.finish();
    assert_eq!((recorder.status(), recorder.replies()[0].len()), (0, 4 * 1024 * 1024 - 5));
}

#[test]
fn keep_to_the_limits_of_their_service() {
    let limits = MessageLimits { decode_bytes_max: 7, encode_bytes_max: 5 };
    let router = Router::new().add(Puppet { limits: Some(limits), ..Puppet::default() });
    // A field's tag and length take two bytes. Nothing is said by a method that is asked for no reply.
    for (name, status, of_repeat) in [("abc", 0, 0), ("abcd", 8, 0), ("abcde", 8, 0), ("abcdef", 8, 8)] {
        for method in ["Unary", "Repeat", "Collect", "Echo"] {
            let mut exchange = Exchange::open_with(&router, native_head("POST", &format!("/test.Puppet/{method}"), &FIELDS), false);
            exchange.data(&named(name), true);
            let recorder = exchange.finish();
            let expected = if method == "Repeat" { of_repeat } else { status };
            assert_eq!(recorder.status(), expected, "{method} of {name}");
            assert_eq!(recorder.replies().len(), usize::from(status == 0 && method != "Repeat"), "{method} of {name}");
        }
    }
}

#[test]
fn of_no_bytes_are_messages() {
    assert_eq!(Exchange::of("Unary", &framed(&[])).replies(), [""]);
}

fn refused(partials: &Partials) -> Vec<Violation> {
    partials.take_refused().collect()
}

/// Two calls of a connection that keeps no more than 100 bytes, one with a message and one with a stream of them.
#[test]
fn that_are_not_whole_are_bounded_together() {
    let body = named(&"x".repeat(150));
    for methods in [["Unary", "Unary"], ["Collect", "Collect"], ["Unary", "Collect"], ["Collect", "Unary"]] {
        let partials = partials_of(100);
        let mut calls = methods.map(|method| {
            let head = native_head("POST", &format!("/test.Puppet/{method}"), &FIELDS);
            Exchange::open_on(&Puppet::router(), head, false, Rc::clone(&partials))
        });
        for (call, n) in calls.iter_mut().zip([60, 40]) {
            assert_eq!(call.poll(), Poll::Pending);
            call.data(&body[..n], false);
            assert_eq!(call.poll(), Poll::Pending);
        }
        assert_eq!(partials.n_bytes(), 100);
        // The one that crosses the limit is refused, and what was kept of it is gone.
        let [mut first, mut second] = calls;
        second.data(&body[40..41], false);
        let recorder = second.finish();
        assert_eq!((recorder.status(), partials.n_bytes(), refused(&partials)), (8, 60, vec![Violation::PartialMessages]), "{methods:?}");
        // The other goes on; what ends a message needs no room.
        first.data(&body[60..100], false);
        assert_eq!((first.poll(), partials.n_bytes()), (Poll::Pending, 100));
        first.data(&body[100..], true);
        assert_eq!((first.finish().status(), partials.n_bytes(), refused(&partials)), (0, 0, vec![]), "{methods:?}");
    }
}

/// What is whole when it comes is not counted, however much it is.
#[test]
fn that_are_whole_are_not_bounded_together() {
    for method in ["Unary", "Collect"] {
        let head = native_head("POST", &format!("/test.Puppet/{method}"), &FIELDS);
        let partials = partials_of(0);
        let mut exchange = Exchange::open_on(&Puppet::router(), head, false, Rc::clone(&partials));
        exchange.data(&named(&"x".repeat(10_000)), true);
        assert_eq!((exchange.finish().status(), refused(&partials)), (0, vec![]), "{method}");
    }
}

/// A call that is dropped with half a message gives back what it kept.
#[test]
fn that_are_given_up_are_not_counted() {
    for method in ["Unary", "Collect"] {
        let head = native_head("POST", &format!("/test.Puppet/{method}"), &FIELDS);
        let partials = partials_of(1000);
        let mut exchange = Exchange::open_on(&Puppet::router(), head, false, Rc::clone(&partials));
        assert_eq!(exchange.poll(), Poll::Pending);
        exchange.data(&named(&"x".repeat(900))[..500], false);
        assert_eq!((exchange.poll(), partials.n_bytes()), (Poll::Pending, 500));
        exchange.call = None;
        assert_eq!(partials.n_bytes(), 0, "{method}");
    }
}

/// Two connections of a worker that keeps no more than 100 bytes.
#[test]
fn that_are_not_whole_are_bounded_for_the_worker() {
    let body = named(&"x".repeat(150));
    let worker = WorkerPartials::new(100, 1000);
    let connections = [(); 2].map(|()| Rc::new(Partials::new(Rc::clone(&worker))));
    let [mut first, mut second] = [0, 1].map(|n| {
        let head = native_head("POST", "/test.Puppet/Unary", &FIELDS);
        Exchange::open_on(&Puppet::router(), head, false, Rc::clone(&connections[n]))
    });
    first.data(&body[..60], false);
    second.data(&body[..40], false);
    second.data(&body[40..41], false);
    let recorder = second.finish();
    assert_eq!((recorder.status(), refused(&connections[1])), (8, vec![Violation::WorkerPartialMessages]));
    assert_eq!((connections[1].n_bytes(), refused(&connections[0])), (0, vec![]));
    // What the other connection gave back is there for this one.
    first.data(&body[60..100], false);
    first.data(&body[100..], true);
    assert_eq!((first.finish().status(), connections[0].n_bytes()), (0, 0));
}
