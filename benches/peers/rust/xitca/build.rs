//! The messages by prost's generator; protox reads the .proto, so no protoc is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    const PROTO: &str = "../../../../proto";
    println!("cargo::rerun-if-changed={PROTO}/helloworld.proto");
    let files = protox::compile(["helloworld.proto"], [PROTO])?;
    prost_build::Config::new().compile_fds(files)?;
    Ok(())
}
