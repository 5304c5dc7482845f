//! What a head alone decides: PROTOCOL-HTTP2, "Requests".

use std::rc::Rc;
use std::time::Instant;

use super::recorder::Recorder;
use super::{Exchange, FIELDS, Puppet, heads, http_head, named, native_head};
use crate::grpc::{Arrival, Call, CallId, Encoding, Encodings, Head, Transport, refuse_headers};

const PATH: &str = "/test.Puppet/Unary";

/// What each engine's head gets that has no good request behind it.
fn refused(method: &str, path: &str, fields: &[(&str, &str)], see: impl Fn(&Recorder)) {
    for head in heads(method, path, fields) {
        refused_head(head, &see);
    }
}

fn refused_head(head: Head, see: impl Fn(&Recorder)) {
    let exchange = Exchange::open_with(&Puppet::router(), head, false);
    assert!(exchange.call.is_none(), "it was not dispatched");
    assert!(exchange.recorder.is_trailers_only(), "and answered at once");
    see(&exchange.recorder);
}

fn with(field: (&'static str, &'static str)) -> Vec<(&'static str, &'static str)> {
    FIELDS.into_iter().filter(|(name, _)| *name != field.0).chain([field]).collect()
}

fn is_greeted(head: Head) {
    let mut exchange = Exchange::open_with(&Puppet::router(), head, false);
    exchange.data(&named("Joe"), true);
    let recorder = exchange.finish();
    assert_eq!((recorder.status(), recorder.replies()), (0, vec!["Joe".to_owned()]));
}

#[test]
fn what_is_right_is_served() {
    heads("POST", PATH, &FIELDS).into_iter().for_each(is_greeted);
}

#[test]
fn requests_that_share_a_head_are_judged_alike() {
    let Head::Native(good) = native_head("POST", PATH, &FIELDS) else { unreachable!() };
    is_greeted(Head::Native(good.clone()));
    is_greeted(Head::Native(good));
    let Head::Native(bad) = native_head("PUT", PATH, &FIELDS) else { unreachable!() };
    for _ in 0..2 {
        refused_head(Head::Native(bad.clone()), |answer| assert_eq!(answer.http_status(), 405));
    }
}

#[test]
fn methods_other_than_post_are_405() {
    for method in ["GET", "PUT", "HEAD", "OPTIONS", "PRI"] {
        refused(method, PATH, &FIELDS, |answer| {
            assert_eq!((answer.http_status(), answer.head_field("allow").as_deref()), (405, Some("POST")), "{method}");
            assert_eq!((answer.head_field("grpc-status"), answer.head_field("content-type")), (None, None));
        });
    }
}

#[test]
fn other_content_types_are_415() {
    for value in ["", "application/grp", "application/grpcx", "application/grpc-web", "application/grpc+json", "application/json"] {
        refused("POST", PATH, &with(("content-type", value)), |answer| {
            assert_eq!((answer.http_status(), answer.head_field("grpc-status")), (415, None), "{value}");
        });
    }
    refused("POST", PATH, &[("te", "trailers")], |answer| assert_eq!(answer.http_status(), 415));
}

#[test]
fn spellings_of_grpcs_content_type_are_served() {
    for value in ["application/grpc+proto", "application/grpc;charset=utf-8", "Application/GRPC", "application/grpc+proto ; a=b"] {
        heads("POST", PATH, &with(("content-type", value))).into_iter().for_each(is_greeted);
    }
}

#[test]
fn without_te_it_is_400_and_internal() {
    let is_400 = |answer: &Recorder| assert_eq!((answer.http_status(), answer.status()), (400, 13));
    refused("POST", PATH, &[FIELDS[0]], is_400);
    // The native engine refuses such a head itself.
    refused_head(http_head("POST", PATH, &with(("te", "gzip"))), is_400);
}

#[test]
fn paths_are_exact() {
    for path in [
        "/",
        "//",
        "/test.Puppet",
        "/test.Puppet/",
        "/test.Puppet/unary",
        "/test.Puppet/Unary/",
        "/test.Puppet//Unary",
        "/test.Puppet/Unary?x",
        "/test.Puppet/%55nary",
        "/x/../test.Puppet/Unary",
        "/other.Puppet/Unary",
    ] {
        refused("POST", path, &FIELDS, |answer| assert_eq!((answer.http_status(), answer.status()), (200, 12), "{path}"));
    }
    refused_head(http_head("POST", "*", &FIELDS), |answer| assert_eq!(answer.status(), 12));
}

#[test]
fn unknown_encodings_are_unimplemented() {
    for encoding in ["x-gzip", "GZIP", "snappy", ""] {
        refused("POST", PATH, &[&FIELDS[..], &[("grpc-encoding", encoding)]].concat(), |answer| {
            assert_eq!(
                (answer.status(), answer.head_field("grpc-accept-encoding").as_deref()),
                (12, Some(Encodings::ALL.name())),
                "{encoding}"
            );
        });
    }
    for encoding in Encoding::ALL.iter().map(|encoding| encoding.name()).chain(["identity"]) {
        heads("POST", PATH, &[&FIELDS[..], &[("grpc-encoding", encoding)]].concat()).into_iter().for_each(is_greeted);
    }
}

#[test]
fn binary_metadata_is_base64_padded_or_not() {
    for value in ["", "AA", "AA==", "AAA", "AAA=", "AAAA", "AA==,AA, AAAA"] {
        heads("POST", PATH, &[&FIELDS[..], &[("x-bin", value)]].concat()).into_iter().for_each(is_greeted);
    }
    for value in ["A", "AAAAA", "AA=", "A===", "A=AA", "====", "AA-_", "A A", "AA,?"] {
        refused("POST", PATH, &[&FIELDS[..], &[("x-bin", value)]].concat(), |answer| assert_eq!(answer.status(), 13, "{value}"));
    }
}

#[test]
fn timeouts_are_read_strictly() {
    for (timeout, status) in [("0n", 4), ("00000000H", 4), ("", 13), ("1", 13), ("S", 13), ("-1S", 13), ("123456789S", 13), ("1.5S", 13)] {
        refused("POST", PATH, &[&FIELDS[..], &[("grpc-timeout", timeout)]].concat(), |answer| {
            assert_eq!((answer.http_status(), answer.status()), (200, status), "{timeout}");
        });
    }
    heads("POST", PATH, &[&FIELDS[..], &[("grpc-timeout", "99999999H")]].concat()).into_iter().for_each(is_greeted);
}

#[test]
fn a_deadline_is_counted_from_the_arrival() {
    for head in heads("POST", PATH, &[&FIELDS[..], &[("grpc-timeout", "1500m")]].concat()) {
        let (now, recorder) = (Instant::now(), Rc::new(Recorder::default()));
        let arrival = Arrival { now, ..Arrival::alone(head, false) };
        let call = Call::open(&Puppet::router(), arrival, Rc::clone(&recorder) as Rc<dyn Transport>, CallId(7)).unwrap();
        assert_eq!(call.deadline(), Some(now + std::time::Duration::from_millis(1500)));
    }
}

#[test]
fn a_header_list_that_is_too_large_is_resource_exhausted() {
    let recorder = Rc::new(Recorder::default());
    refuse_headers(Rc::clone(&recorder) as Rc<dyn Transport>, CallId(7), None, Instant::now());
    assert!(recorder.is_trailers_only());
    assert_eq!((recorder.http_status(), recorder.status()), (200, 8));
}

/// RFC 9110, 10.1.1: an admitted request is told to go on, once, and any other is refused at once.
#[test]
fn expectations_are_met_before_the_body() {
    let n_continues = |method: &str, value: &'static str, ends: bool| {
        heads(method, PATH, &with(("expect", value))).map(|head| {
            let exchange = Exchange::open_with(&Puppet::router(), head, ends);
            assert_eq!(exchange.call.is_none(), method != "POST");
            exchange.recorder.n_continues.get()
        })
    };
    assert_eq!(n_continues("POST", "100-continue", false), [1, 1]);
    assert_eq!(n_continues("POST", "100-Continue", false), [1, 1]);
    assert_eq!(n_continues("POST", "100-continue", true), [0, 0], "there is no body");
    assert_eq!(n_continues("POST", "something else", false), [0, 0], "which may be ignored");
    assert_eq!(n_continues("PUT", "100-continue", false), [0, 0], "it was refused");
}
