//! The messages and the trait by tonic's generator; protox reads the .proto, so no protoc is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    const PROTO: &str = "../../../../proto";
    println!("cargo::rerun-if-changed={PROTO}/helloworld.proto");
    let files = protox::compile(["helloworld.proto"], [PROTO])?;
    tonic_prost_build::configure().build_client(false).compile_fds(files)?;
    Ok(())
}
