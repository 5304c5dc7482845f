//! The binary `loopswap`. What it does is in [`loopswap::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    loopswap::cli::main()
}
