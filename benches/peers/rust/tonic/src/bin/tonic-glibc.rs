//! tonic with the allocator of the C library, as a crate comes that says nothing of allocators.

use std::process::ExitCode;

fn main() -> ExitCode {
    peer_tonic::main()
}
