//! What becomes of a call's handler, and what its words become, in raw frames: the service runs in this process, on the default engine, and counts.

use loopswap::Limits;

use crate::raw::{Connection, Fields, MAX_31_BITS, announced, call, code, data, hello, prefixed, rst_stream, status, window_update};
use crate::support::{Puppet, eventually, serve_puppet};

crate::on_every_loop!(
    dropped_when_the_client_resets,
    dropped_when_the_client_makes_the_server_reset,
    dropped_when_the_deadline_passes,
    dropped_when_the_connection_breaks_the_protocol,
    dropped_in_a_rapid_reset,
    never_begun_for_what_is_refused,
    data_beyond_a_streams_window,
    padding_beyond_a_streams_window,
    messages_are_percent_encoded,
);

/// A call that lasts.
const FOR_EVER_MS: i32 = 60_000;

/// Serves, and runs the case.
fn with_puppet(runtime: &str, limits: Limits, case: impl FnOnce(&mut Connection, &Puppet)) {
    let (running, puppet) = serve_puppet(runtime, |builder| builder.limits(limits));
    let addr = running.local_addr().as_tcp().expect("it listens on TCP");
    case(&mut Connection::open(addr, &[]), &puppet);
    Connection::open(addr, &[]).greets();
}

fn begun(puppet: &Puppet, n: usize) {
    eventually("the handlers have begun", || (*puppet.begun.lock().unwrap() == n).then_some(()));
}

/// So many handlers are dropped, long before they would end by themselves.
fn dropped(puppet: &Puppet, n: usize) {
    eventually("the handlers are dropped", || (puppet.ended.lock().unwrap().len() >= n).then_some(()));
}

/// Ten calls begin, and `end` ends them.
fn handlers_are_dropped(runtime: &str, fields: &Fields, end: impl FnOnce(&mut Connection, &[u32])) {
    with_puppet(runtime, Limits::default(), |connection, puppet| {
        let streams: Vec<_> = (0..10).map(|_| connection.request(fields, &hello("Joe", FOR_EVER_MS))).collect();
        begun(puppet, 10);
        end(connection, &streams);
        dropped(puppet, 10);
    });
}

fn dropped_when_the_client_resets(runtime: &str) {
    handlers_are_dropped(runtime, &Fields::hello(), |connection, streams| {
        connection.send(streams.iter().map(|stream| rst_stream(*stream, code::CANCEL)));
    });
}

fn dropped_when_the_client_makes_the_server_reset(runtime: &str) {
    handlers_are_dropped(runtime, &Fields::hello(), |connection, streams| {
        connection.send(streams.iter().map(|stream| window_update(*stream, MAX_31_BITS)));
        for stream in streams {
            assert_eq!(connection.response(*stream).reset, Some(code::FLOW_CONTROL_ERROR));
        }
    });
}

fn dropped_when_the_deadline_passes(runtime: &str) {
    handlers_are_dropped(runtime, &Fields::hello().with("grpc-timeout", "300m"), |connection, streams| {
        for stream in streams {
            assert_eq!(connection.response(*stream).grpc(), Some(status::DEADLINE_EXCEEDED));
        }
    });
}

fn dropped_when_the_connection_breaks_the_protocol(runtime: &str) {
    handlers_are_dropped(runtime, &Fields::hello(), |connection, _| {
        connection.send([data(0, *b"lost")]);
        connection.goes_away(&[code::PROTOCOL_ERROR]);
    });
}

/// However many streams are opened to be reset, no more handlers live than streams are allowed, and in the end none.
fn dropped_in_a_rapid_reset(runtime: &str) {
    with_puppet(runtime, Limits::default(), |connection, puppet| {
        let mut most = 0;
        connection.flood(5000, |n| {
            let alive = puppet.begun.lock().unwrap().saturating_sub(puppet.ended.lock().unwrap().len());
            most = most.max(alive);
            let stream = 2 * n as u32 + 1;
            let [head, body] = call(stream, "Joe", FOR_EVER_MS);
            [head, body, rst_stream(stream, code::CANCEL)]
        });
        connection.goes_away(&[code::ENHANCE_YOUR_CALM]);
        assert!(most <= 200, "{most} handlers at a time");
        let n = *puppet.begun.lock().unwrap();
        dropped(puppet, n);
    });
}

/// What breaks a rule costs no handler.
fn never_begun_for_what_is_refused(runtime: &str) {
    with_puppet(runtime, Limits::default(), |connection, puppet| {
        let body = hello("Joe", 0);
        let requests = [
            (Fields::hello().set(":method", "GET"), body.clone()),
            (Fields::hello().set("content-type", "text/plain"), body.clone()),
            (Fields::hello().set(":path", "/helloworld.Greeter/SayHello/"), body.clone()),
            (Fields::hello().with("grpc-timeout", "soon"), body.clone()),
            (Fields::hello().with("grpc-timeout", "0n"), body.clone()),
            (Fields::hello().with("grpc-encoding", "x-unheard-of"), body.clone()),
            (Fields::hello().with("connection", "close"), body.clone()),
            (Fields::hello(), prefixed(2, &body[5..])),
            (Fields::hello(), announced(0, 5 << 20, b"")),
            (Fields::hello(), body[..7].to_vec()),
            (Fields::hello(), [&body[..], &body[..]].concat()),
            (Fields::hello(), Vec::new()),
        ];
        for (fields, body) in requests {
            let stream = connection.request(&fields, &body);
            let response = connection.response(stream);
            assert!(response.grpc() != Some(status::OK), "{response:?}");
        }
        assert_eq!(*puppet.begun.lock().unwrap(), 0);
    });
}

fn small_window() -> Limits {
    let mut limits = Limits::default();
    limits.stream_window_bytes = 200;
    limits
}

fn data_beyond_a_streams_window(runtime: &str) {
    with_puppet(runtime, small_window(), |connection, _| {
        let stream = connection.begin(&Fields::hello());
        connection.send([data(stream, hello(&"x".repeat(250), 0)).end()]);
        connection.is_reset_or_goes_away(stream, &[code::FLOW_CONTROL_ERROR]);
    });
}

/// Padding and its length take their share of the window (RFC 9113, 6.1).
fn padding_beyond_a_streams_window(runtime: &str) {
    with_puppet(runtime, small_window(), |connection, _| {
        let stream = connection.begin(&Fields::hello());
        let body = hello("Joe", 0);
        connection.send([data(stream, &body[..5]).padded(255)]);
        connection.is_reset_or_goes_away(stream, &[code::FLOW_CONTROL_ERROR]);
    });
}

/// `grpc-message`: all but printable ASCII, and the percent sign, as %XX of UTF-8 (grpc/doc/PROTOCOL-HTTP2.md, Status-Message).
fn messages_are_percent_encoded(runtime: &str) {
    with_puppet(runtime, Limits::default(), |connection, _| {
        for message in ["plain, with spaces & signs", "100 % naïve\r\n\t\0", "日本語", "~ \u{7f}"] {
            let stream = connection.hello(&format!("fail: {message}"), 0);
            let response = connection.response(stream);
            assert_eq!((response.http(), response.grpc()), (200, Some(status::FAILED_PRECONDITION)), "{response:?}");
            let sent = response.field("grpc-message").expect("there is one");
            assert!(sent.bytes().all(|byte| (0x20..=0x7e).contains(&byte)), "{sent}");
            assert_eq!(percent_decoded(sent), message.as_bytes(), "{sent}");
        }
    });
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let mut rest = text.as_bytes();
    let mut decoded = Vec::new();
    while let Some((first, behind)) = rest.split_first() {
        if *first == b'%' {
            let hex = std::str::from_utf8(&behind[..2]).expect("two digits");
            decoded.push(u8::from_str_radix(hex, 16).expect("two digits"));
            rest = &behind[2..];
        } else {
            decoded.push(*first);
            rest = behind;
        }
    }
    decoded
}
