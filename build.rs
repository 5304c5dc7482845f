//! Compiles `proto/` to Rust. tonic's server is made as well: the experiment compares with it.

fn main() -> Result<(), loopswap_build::Error> {
    let protos = ["proto/helloworld.proto", "proto/blocks.proto", "proto/clock.proto", "proto/grpc/testing/test.proto"];
    loopswap_build::configure().client_transport(false).tonic_server(true).compile(&protos, &["proto"])
}
