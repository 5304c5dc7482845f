//! Metadata and statuses: PROTOCOL-HTTP2, "Responses".

use super::{Exchange, FIELDS, Puppet, heads, named};

#[test]
fn metadata_goes_both_ways() {
    for binary in ["AP8", "AP8=", "AP8,AA"] {
        let fields = [&FIELDS[..], &[("question", "6 x 9"), ("question-bin", binary)]].concat();
        for head in heads("POST", "/test.Puppet/Unary", &fields) {
            let mut exchange = Exchange::open_with(&Puppet::router(), head, false);
            exchange.data(&named("metadata"), true);
            let recorder = exchange.finish();
            assert_eq!((recorder.status(), recorder.replies()), (0, vec!["metadata".to_owned()]));
            assert_eq!(recorder.head_field("answer").as_deref(), Some("6 x 9"));
            assert_eq!(recorder.head_field("answer-bin").unwrap().trim_end_matches('='), "AP8", "the first of {binary}");
            assert_eq!(recorder.ending("after").as_deref(), Some("all"));
        }
    }
}

#[test]
fn what_is_not_a_handlers_to_say_is_left_out() {
    let fields = [&FIELDS[..], &[("question", "x"), ("question-bin", "")]].concat();
    for head in heads("POST", "/test.Puppet/Unary", &fields) {
        let mut exchange = Exchange::open_with(&Puppet::router(), head, false);
        exchange.data(&named("metadata"), true);
        let recorder = exchange.finish();
        assert_eq!(recorder.head_field("content-type").as_deref(), Some("application/grpc"));
        for name in ["grpc-status", "te", "connection", "transfer-encoding"] {
            assert_eq!(recorder.head_field(name), None, "{name}");
        }
    }
}

#[test]
fn a_status_is_trailers_only_with_all_it_has() {
    let recorder = Exchange::of("Unary", &named("fail"));
    assert!(recorder.is_trailers_only());
    assert_eq!((recorder.http_status(), recorder.status()), (200, 10));
    for (name, value) in [
        ("content-type", "application/grpc"),
        ("grpc-message", "50%25%20%E2%98%95%0A"),
        ("grpc-status-details-bin", "AP8"),
        ("more", "less"),
    ] {
        let said = recorder.head_field(name).unwrap();
        // A space may be sent as it is.
        assert_eq!(said.replace(' ', "%20"), value, "{name}");
    }
}

#[test]
fn a_good_answer_says_ok_and_nothing_else() {
    let recorder = Exchange::of("Unary", &named("Joe"));
    assert_eq!(recorder.http_status(), 200);
    assert_eq!(recorder.head.borrow().as_ref().unwrap().1.len(), 1);
    let trailers = recorder.trailers.borrow();
    assert_eq!((trailers.as_ref().unwrap().len(), recorder.status()), (1, 0));
}
