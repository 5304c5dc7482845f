//! Compiles `proto/` to Rust. tonic's server is made as well: the experiment and the example `from_tonic` compare with it.

use std::path::PathBuf;

fn main() -> Result<(), loopswap_build::Error> {
    let out_dir = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    let configure = || loopswap_build::configure().client_transport(false).tonic_server(true);
    // What the binary serves: it tells it by reflection.
    let served =
        ["proto/helloworld.proto", "proto/blocks.proto", "proto/grpc/channelz/v1/channelz.proto", "proto/grpc/health/v1/health.proto"];
    configure().file_descriptor_set_path(out_dir.join("served.descriptors")).compile(&served, &["proto"])?;
    if std::env::var_os("CARGO_FEATURE_OTEL").is_some() {
        configure().compile(&["proto/opentelemetry/trace_service.proto"], &["proto"])?;
    }
    configure().compile(&["proto/clock.proto", "proto/grpc/testing/test.proto"], &["proto"])?;
    // The example tells it by reflection.
    configure().file_descriptor_set_path(out_dir.join("depot.descriptors")).compile(&["proto/depot.proto"], &["proto"])
}
