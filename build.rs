//! Compiles `proto/` to Rust. tonic's server is made as well: the experiment and the example `from_tonic` compare with it.

use std::path::PathBuf;

fn main() -> Result<(), loopswap_build::Error> {
    let configure = || loopswap_build::configure().client_transport(false).tonic_server(true);
    let protos = ["proto/helloworld.proto", "proto/blocks.proto", "proto/clock.proto", "proto/grpc/testing/test.proto"];
    configure().compile(&protos, &["proto"])?;
    // The example tells it by reflection.
    let out_dir = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    configure().file_descriptor_set_path(out_dir.join("depot.descriptors")).compile(&["proto/depot.proto"], &["proto"])
}
