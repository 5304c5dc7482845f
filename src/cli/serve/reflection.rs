//! Reflection, by tonic's service: which services this server has, and what their messages are.

use tonic_reflection::pb::{v1, v1alpha};
use tonic_reflection::server::Builder;

use crate::Router;

/// All that the binary may serve, as protobuf describes it, and reflection itself.
const DESCRIPTORS: [&[u8]; 3] =
    [include_bytes!(concat!(env!("OUT_DIR"), "/served.descriptors")), v1::FILE_DESCRIPTOR_SET, v1alpha::FILE_DESCRIPTOR_SET];

const OWN_NAMES: [&str; 2] = ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];

/// Adds both versions of it. Each tells of the router's services, of these others, and of both.
pub(super) fn add(router: Router, others: &[&'static str]) -> Router {
    let names: Vec<_> = router.services().chain(others.iter().copied()).chain(OWN_NAMES).collect();
    let builder = || {
        let builder = DESCRIPTORS.into_iter().fold(Builder::configure(), Builder::register_encoded_file_descriptor_set);
        names.iter().copied().fold(builder, Builder::with_service_name)
    };
    router.add_tonic(builder().build_v1().expect(VALID)).add_tonic(builder().build_v1alpha().expect(VALID))
}

const VALID: &str = "these are descriptions, written by protobuf's compilers";
