//! Calls that handlers make: children of the handler's own span, in the trace that its call belongs to.

use std::time::Duration;

use loopswap::client::Endpoint;
use loopswap::{Builder, Otlp, Server};

use super::collector::{Collector, Span};
use crate::channel::nested::{each_way, relay_by, trace_told};
use crate::support::serve_puppet;

crate::on_every_loop!(are_children_of_their_handlers_span);

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn exporting(collector: &Collector, name: &str) -> Builder {
    let endpoint = Endpoint::new(&format!("http://{}", collector.addr())).expect("an address makes a URI");
    let otlp = Otlp::new(endpoint).service_name(name).attribute("deployment.environment.name", "test").delay(Duration::from_millis(20));
    Server::builder().otlp(otlp)
}

fn are_children_of_their_handlers_span(runtime: &'static str) {
    each_way(|engine, is_tonics| {
        let collector = Collector::start(runtime);
        let (upstream, _) = serve_puppet(runtime, |_| exporting(&collector, "upstream").listen("127.0.0.1:0").workers(1));
        let to = Endpoint::new(&format!("http://{}", upstream.local_addr())).expect("an address makes a URI");
        let relay = relay_by(exporting(&collector, "relay"), runtime, engine, is_tonics, to);
        for (fields, trace, parent) in [(&[("traceparent", VALID), ("tracestate", "a=1")][..], Some(TRACE), PARENT), (&[], None, "")] {
            let n = collector.spans().len();
            trace_told(&relay, fields);
            let spans = collector.wait_for(n + 2).split_off(n);
            let of = |name: &str| -> &Span { spans.iter().find(|span| span.resource["service.name"] == name).expect("each has one") };
            let (outer, inner) = (of("relay"), of("upstream"));
            assert_eq!(outer.parent, parent, "{engine}");
            assert_eq!((&inner.parent, &inner.trace, &inner.state), (&outer.id, &outer.trace, &outer.state), "{engine}");
            assert!(trace.is_none_or(|trace| outer.trace == trace), "{engine}");
            assert!(inner.began_ns >= outer.began_ns && inner.took_ns <= outer.took_ns, "{engine}");
            assert_eq!(outer.resource["deployment.environment.name"], "test");
        }
    });
}
