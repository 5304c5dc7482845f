//! Whose pages may call: what a browser is told that asks, and that others' calls are not made.

use super::page::{Answer, BYTES, Page, SAY_HELLO, request};
use super::{ORIGIN, serve_web};
use crate::raw::{Connection, Fields};
use crate::support::serve;

crate::on_every_loop!(a_browser_is_told, other_pages_are_refused, pages_of_the_servers_own_origin, pages_of_any_origin, over_http2);

const OTHER: &str = "https://elsewhere.example.com";

fn ask<'a>(origin: &'a str, fields: &'a str) -> [(&'a str, &'a str); 3] {
    [("origin", origin), ("access-control-request-method", "POST"), ("access-control-request-headers", fields)]
}

fn preflight(page: &mut Page, origin: &str) -> Answer {
    page.send_head("OPTIONS", SAY_HELLO, &ask(origin, "content-type,x-grpc-web,authorization"));
    page.answer()
}

fn a_browser_is_told(runtime: &str) {
    let server = serve_web(runtime, &["--grpc-web-origin", "http://localhost:8080,null"]);
    let mut page = Page::open(server.addr());
    for origin in [ORIGIN, "http://localhost:8080", "null"] {
        let answer = preflight(&mut page, origin);
        assert_eq!((answer.head.status, answer.body.len()), (204, 0), "{answer:?}");
        let told = [
            ("access-control-allow-origin", origin),
            ("access-control-allow-credentials", "true"),
            ("access-control-allow-methods", "POST"),
            ("access-control-allow-headers", "content-type,x-grpc-web,authorization"),
            ("access-control-max-age", "7200"),
            ("vary", "origin"),
        ];
        for (name, value) in told {
            assert_eq!(answer.head.get(name), Some(value), "{name}: {answer:?}");
        }
        let answer = page.call(SAY_HELLO, &[BYTES, &[("origin", origin)]].concat(), &request("Joe", 0));
        assert_eq!(answer.told().messages, ["Hello, Joe!"]);
        assert_eq!(answer.head.get("access-control-allow-origin"), Some(origin), "{answer:?}");
        assert_eq!(answer.head.get("vary"), Some("origin"), "{answer:?}");
        // Errors are theirs to read, too.
        let answer = page.call("/none/None", &[BYTES, &[("origin", origin)]].concat(), b"");
        assert_eq!((answer.refused(), answer.head.get("access-control-allow-origin")), ("12", Some(origin)), "{answer:?}");
        let exposed = answer.head.get("access-control-expose-headers").expect("fields");
        assert!(exposed.contains("grpc-status") && exposed.contains("grpc-message"), "{exposed}");
    }
    // Not of a page: nothing is said of pages.
    let answer = page.call(SAY_HELLO, BYTES, &request("Joe", 0));
    assert_eq!(answer.head.get("access-control-allow-origin"), None, "{answer:?}");
}

fn other_pages_are_refused(runtime: &str) {
    let server = serve_web(runtime, &[]);
    let mut page = Page::open(server.addr());
    for origin in [OTHER, "http://app.example.com", "https://app.example.com:444", "null", "*", ""] {
        let is_refused = |answer: Answer| {
            assert_eq!((answer.head.status, answer.head.get("access-control-allow-origin")), (403, None), "{origin}: {answer:?}");
            assert!(answer.text().contains(origin) && answer.text().contains("--grpc-web-origin"), "{origin}: {answer:?}");
        };
        is_refused(preflight(&mut page, origin));
        is_refused(page.call(SAY_HELLO, &[BYTES, &[("origin", origin)]].concat(), &request("Joe", 0)));
    }
    page.greets();
    let line = server.stderr().wait_for("may not call").expect("who runs the server learns of it");
    assert!(line.contains(OTHER) && line.contains("INFO"), "{line}");
}

fn pages_of_the_servers_own_origin(runtime: &str) {
    let server = serve(runtime, &["--http2", "hyper", "--grpc-web"]);
    let mut page = Page::open(server.addr());
    // The client's `host` is grpc.example.com.
    for origin in ["https://grpc.example.com", "http://grpc.example.com"] {
        assert_eq!(preflight(&mut page, origin).head.status, 204, "{origin}");
        page.call(SAY_HELLO, &[BYTES, &[("origin", origin)]].concat(), &request("Joe", 0)).told();
    }
    assert_eq!(preflight(&mut page, ORIGIN).head.status, 403);
}

fn pages_of_any_origin(runtime: &str) {
    let server = serve(runtime, &["--http2", "hyper", "--grpc-web", "--grpc-web-origin", "*"]);
    let mut page = Page::open(server.addr());
    for origin in [OTHER, "null"] {
        for answer in [preflight(&mut page, origin), page.call(SAY_HELLO, &[BYTES, &[("origin", origin)]].concat(), &request("Joe", 0))] {
            assert_eq!(answer.head.get("access-control-allow-origin"), Some("*"), "{answer:?}");
            assert_eq!(answer.head.get("access-control-allow-credentials"), None, "{answer:?}");
        }
    }
}

fn over_http2(runtime: &str) {
    let server = serve_web(runtime, &[]);
    let mut connection = Connection::open(server.addr(), &[]);
    for (origin, status) in [(ORIGIN, 204), (OTHER, 403)] {
        let mut fields = Fields::hello().set(":method", "OPTIONS").without("te").without("content-type");
        for (name, value) in ask(origin, "x-grpc-web") {
            fields = fields.with(name, value);
        }
        let stream = connection.request(&fields, b"");
        assert_eq!(connection.response(stream).http(), status);
        let fields = Fields::hello().set("content-type", "application/grpc-web").with("origin", origin);
        let stream = connection.request(&fields, &request("Joe", 0));
        assert_eq!(connection.response(stream).http() == 200, origin == ORIGIN);
    }
    connection.greets();
}
