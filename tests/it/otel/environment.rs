//! How the binary is told where to export: by its flags, by OpenTelemetry's own variables; over TLS; and what is no good is told before a port is bound.

use std::process::Command;

use loopswap::Server;
use loopswap::tls::ServerTls;

use super::collector::Collector;
use crate::raw::Connection;
use crate::support::{loopswap, output, served};
use crate::tls::pki::Pki;

fn serve(change: impl FnOnce(&mut Command) -> &mut Command) -> Command {
    let mut command = loopswap();
    command.args(["serve", "--runtime", "tokio", "--workers", "1", "--addr", "127.0.0.1:0"]);
    change(&mut command);
    command
}

/// How many spans of one call come, and what the service is called.
fn exports(collector: &Collector, command: &mut Command) -> Vec<String> {
    let before = collector.spans().len();
    let server = served(command);
    Connection::open(server.addr(), &[]).greets();
    drop(server);
    collector.spans().split_off(before).into_iter().map(|span| span.resource["service.name"].clone()).collect()
}

#[test]
fn the_environment_of_opentelemetry_stands_in_for_flags() {
    let collector = Collector::start("tokio");
    let to = format!("http://{}", collector.addr());
    let general = |command: &mut Command| {
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &to).env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    };
    let exports = |change: &dyn Fn(&mut Command)| {
        exports(
            &collector,
            &mut serve(|command| {
                change(command);
                command
            }),
        )
    };
    assert_eq!(exports(&general), ["loopswap"]);
    let named = |command: &mut Command| {
        general(command);
        command.env("OTEL_SERVICE_NAME", "till");
    };
    assert_eq!(exports(&named), ["till"]);
    assert_eq!(exports(&|command| drop((named(command), command.args(["--otlp-service", "shop"])))), ["shop"]);
    // The signal's own goes first, and the flag before it.
    let elsewhere = |command: &mut Command| {
        general(command);
        command.env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:1");
    };
    assert!(exports(&elsewhere).is_empty());
    assert_eq!(exports(&|command| drop((elsewhere(command), command.args(["--otlp", &to])))), ["loopswap"]);
    // Not at all.
    assert!(exports(&|command| drop((general(command), command.args(["--otlp", "none"])))).is_empty());
    assert!(exports(&|command| drop((general(command), command.env("OTEL_SDK_DISABLED", "true")))).is_empty());
    assert!(exports(&|command| drop(command.env("OTEL_EXPORTER_OTLP_ENDPOINT", ""))).is_empty());
}

#[test]
fn what_is_no_good_is_told_before_a_port_is_bound() {
    for (args, env, told) in [
        (&["--otlp", "collector:4317"][..], None, "collector:4317"),
        (&["--otlp", "https://127.0.0.1:1"], None, "nobody is trusted"),
        (&["--otlp", "http://127.0.0.1:1", "--otlp-ca", "/no/such/file"], None, "write https"),
        (&["--otlp", "https://127.0.0.1:1", "--otlp-ca", "/no/such/file"], None, "/no/such/file"),
        (&[], Some("http/protobuf"), "http/protobuf"),
    ] {
        let mut command = serve(|command| command.args(args));
        if let Some(protocol) = env {
            command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1").env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol);
        }
        let ended = output(&mut command);
        assert_eq!(ended.status.code(), Some(2), "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(told) && ended.stdout.is_empty(), "{args:?}: {}", ended.stderr);
    }
    for args in [["--otlp-ratio", "1.5"], ["--otlp-ratio", "half"], ["--otlp-queue", "0"], ["--otlp-delay", "5"]] {
        let ended = output(&mut serve(|command| command.args(args)));
        assert_eq!(ended.status.code(), Some(2), "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(args[0]), "{args:?}: {}", ended.stderr);
    }
}

#[test]
fn a_collector_may_be_behind_tls() {
    let pki = Pki::new("CA");
    let identity = pki.server();
    let tls = ServerTls::files(&identity.certificate, &identity.key);
    let collector = Collector::start_by(Server::builder().tls(tls), "tokio");
    let to = format!("https://{}", collector.addr());
    let ca = pki.ca();
    let exported = exports(&collector, &mut serve(|command| command.args(["--otlp", &to, "--otlp-ca"]).arg(&ca)));
    assert_eq!(exported, ["loopswap"]);
    let exported = exports(&collector, &mut serve(|command| command.args(["--otlp", &to]).env("OTEL_EXPORTER_OTLP_CERTIFICATE", &ca)));
    assert_eq!(exported, ["loopswap"]);
}
