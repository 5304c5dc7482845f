//! The messages and the trait by volo's generator, which reads the .proto itself.

fn main() {
    const PROTO: &str = "../../../../proto";
    println!("cargo::rerun-if-changed={PROTO}/helloworld.proto");
    volo_build::Builder::protobuf()
        .add_service(format!("{PROTO}/helloworld.proto"))
        .include_dirs(vec![PROTO.into()])
        .filename("helloworld.rs".into())
        .write()
        .expect("the .proto is one that volo takes");
}
