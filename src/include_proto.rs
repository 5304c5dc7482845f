//! The macro that takes generated code into a program. What generates it is the crate `loopswap-build`.

/// Takes in what `loopswap-build` made of a package, into the module where it stands:
///
/// ```
/// # fn main() {}
/// mod helloworld {
///     loopswap::include_proto!("helloworld");
/// }
/// ```
///
/// Packages are named with their dots, `"grpc.testing"`, and the package of files that name none is `"_"`. The build script must have written to
/// cargo's `OUT_DIR`, as it does unless told otherwise.
#[macro_export]
macro_rules! include_proto {
    ($package:literal) => {
        ::core::include!(::core::concat!(::core::env!("OUT_DIR"), "/", $package, ".rs"));
    };
}
