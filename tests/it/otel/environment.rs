//! How the binary is told where to export: by its flags, by OpenTelemetry's own variables; over TLS; and what is no good is told before a port is bound.

use std::process::Command;

use loopswap::Server;

use super::collector::Collector;
use crate::raw::Connection;
use crate::support::{loopswap, output, served};
use crate::tls::pki::Pki;

fn serve(env: &[(&str, &str)], args: &[&str]) -> Command {
    let mut command = loopswap();
    command.args(["serve", "--runtime", "tokio", "--workers", "1", "--addr", "127.0.0.1:0"]).args(args).envs(env.iter().copied());
    command
}

/// Which service's spans come of one call.
fn exports(collector: &Collector, env: &[(&str, &str)], args: &[&str]) -> Vec<String> {
    let before = collector.spans().len();
    let server = served(&mut serve(env, args));
    Connection::open(server.addr(), &[]).greets();
    drop(server);
    collector.spans().split_off(before).into_iter().map(|span| span.resource["service.name"].clone()).collect()
}

#[test]
fn the_environment_of_opentelemetry_stands_in_for_flags() {
    let collector = Collector::start("tokio");
    let to = format!("http://{}", collector.addr());
    let general = [("OTEL_EXPORTER_OTLP_ENDPOINT", to.as_str()), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")];
    let exports = |more: &[(&str, &str)], args: &[&str]| exports(&collector, &[&general, more].concat(), args);
    let none: [&str; 0] = [];
    assert_eq!(exports(&[], &[]), ["loopswap"]);
    assert_eq!(exports(&[("OTEL_SERVICE_NAME", "till")], &[]), ["till"]);
    assert_eq!(exports(&[("OTEL_SERVICE_NAME", "till")], &["--otlp-service", "shop"]), ["shop"]);
    // The signal's own goes first, and the flag before it.
    let elsewhere = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:1");
    assert_eq!(exports(&[elsewhere], &[]), none);
    assert_eq!(exports(&[elsewhere], &["--otlp", &to]), ["loopswap"]);
    // Not at all.
    assert_eq!(exports(&[], &["--otlp", "none"]), none);
    assert_eq!(exports(&[("OTEL_SDK_DISABLED", "true")], &[]), none);
    assert_eq!(exports(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")], &[]), none);
}

#[test]
fn what_is_no_good_is_told_before_a_port_is_bound() {
    let http = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")];
    for (env, args, told) in [
        (&[][..], &["--otlp", "collector:4317"][..], "collector:4317"),
        (&[], &["--otlp", "https://127.0.0.1:1"], "nobody is trusted"),
        (&[], &["--otlp", "http://127.0.0.1:1", "--otlp-ca", "/no/such/file"], "write https"),
        (&[], &["--otlp", "https://127.0.0.1:1", "--otlp-ca", "/no/such/file"], "/no/such/file"),
        (&http, &[], "http/protobuf"),
        (&[], &["--otlp-ratio", "1.5"], "--otlp-ratio"),
        (&[], &["--otlp-ratio", "half"], "--otlp-ratio"),
        (&[], &["--otlp-queue", "0"], "--otlp-queue"),
        (&[], &["--otlp-delay", "5"], "--otlp-delay"),
    ] {
        let ended = output(&mut serve(env, args));
        assert_eq!(ended.status.code(), Some(2), "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(told) && ended.stdout.is_empty(), "{args:?}: {}", ended.stderr);
    }
}

#[test]
fn a_collector_may_be_behind_tls() {
    let pki = Pki::new("CA");
    let identity = pki.server();
    let collector = Collector::start_by(Server::builder().tls(identity.tls()), "tokio");
    let to = format!("https://{}", collector.addr());
    let ca = pki.ca();
    let ca = ca.to_str().expect("UTF-8");
    assert_eq!(exports(&collector, &[], &["--otlp", &to, "--otlp-ca", ca]), ["loopswap"]);
    assert_eq!(exports(&collector, &[("OTEL_EXPORTER_OTLP_CERTIFICATE", ca)], &["--otlp", &to]), ["loopswap"]);
}
