//! gRPC C++, as Debian has it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::build::{find, path, step};
use super::python::CORE;
use super::{Launch, Peer, Recipe, SOURCES, target};

const TOOLS: [&str; 4] = ["g++", "pkg-config", "protoc", "grpc_cpp_plugin"];
const INSTALL: &str = "apt-get install g++ pkg-config libgrpc++-dev libprotobuf-dev protobuf-compiler protobuf-compiler-grpc";

pub(crate) fn peers() -> Vec<Peer> {
    vec![Peer {
        name: "gRPC C++, callbacks",
        http2: CORE,
        runtime: "its own threads",
        unavailable: None,
        recipe: Recipe::Cpp,
        launch: Launch { program: built().join("server"), args: Vec::new(), env: Vec::new(), sleeps: true, slow: false },
    }]
}

pub(crate) fn sources() -> Vec<PathBuf> {
    ["build", "server.cc"].map(|name| folder().join(name)).into()
}

pub(crate) fn make() -> Result<(), String> {
    tools(&path())?;
    step("looking for gRPC C++", Command::new("pkg-config").args(["--print-errors", "--exists", "grpc++", "protobuf"]))
        .map_err(|why| format!("{why}; {INSTALL}"))?;
    step("building gRPC C++'s server", Command::new(folder().join("build")).arg(built()))
}

/// Whether the programs are on this PATH.
pub(crate) fn tools(path: &OsStr) -> Result<(), String> {
    find(&TOOLS, path, INSTALL)
}

fn folder() -> PathBuf {
    Path::new(SOURCES).join("cpp")
}

fn built() -> PathBuf {
    target().join("cpp")
}
