//! The six servers of the source article, in a virtual environment of their own.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::build::{find, path, step};
use super::{Launch, PROTO, Peer, Recipe, SOURCES, target};

const INSTALL: &str = "apt-get install python3 python3-venv";
/// Says nothing where all that is needed is there.
const PROBE: &str = "import sys, venv, ensurepip\nif sys.version_info < (3, 11): sys.exit('it is Python %d.%d; 3.11 or later is needed' % sys.version_info[:2])";

pub(crate) fn peers() -> Vec<Peer> {
    let peer = |name, http2, runtime, args: &[&str]| Peer {
        name,
        http2,
        runtime,
        unavailable: None,
        recipe: Recipe::Python,
        launch: Launch {
            program: interpreter(),
            args: std::iter::once(folder().join(args[0]).display().to_string()).chain(args[1..].iter().map(ToString::to_string)).collect(),
            env: vec![("PYTHONPATH", stubs())],
            sleeps: true,
            slow: true,
        },
    };
    vec![
        peer("grpcio, 100 threads", CORE, "threads", &["grpcio_threads.py"]),
        peer("grpcio, gevent", CORE, "gevent", &["grpcio_gevent.py"]),
        peer("grpclib asyncio", "pure-Python h2", "asyncio", &["grpclib_server.py", "asyncio"]),
        peer("grpclib uvloop", "pure-Python h2", "uvloop", &["grpclib_server.py", "uvloop"]),
        peer("grpc.aio asyncio", CORE, "asyncio", &["grpc_aio_server.py", "asyncio"]),
        peer("grpc.aio uvloop", CORE, "uvloop", &["grpc_aio_server.py", "uvloop"]),
    ]
}

pub(super) const CORE: &str = "gRPC C-core";

/// The servers themselves run from where they are.
pub(crate) fn sources() -> Vec<PathBuf> {
    vec![folder().join("requirements.lock")]
}

/// The environment, all packages as they are pinned, and the messages by both generators.
pub(crate) fn make() -> Result<(), String> {
    tools(&path())?;
    step("looking for Python's parts", Command::new("python3").args(["-c", PROBE])).map_err(|why| format!("{why}; {INSTALL}"))?;
    let home = home();
    if home.exists() {
        fs::remove_dir_all(&home).map_err(|error| format!("cannot remove {}: {error}", home.display()))?;
    }
    fs::create_dir_all(stubs()).map_err(|error| format!("cannot make {}: {error}", stubs().display()))?;
    step("making Python's environment (first use)", Command::new("python3").args(["-m", "venv"]).arg(home.join("venv")))?;
    let mut install = Command::new(interpreter());
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--requirement",
    ]);
    step("installing Python's packages (first use)", install.arg(folder().join("requirements.lock")))?;
    let mut generate = Command::new(interpreter());
    generate.args(["-m", "grpc_tools.protoc", "-I", PROTO]);
    for out in ["--python_out", "--grpc_python_out", "--python_betterproto_out"] {
        generate.arg(format!("{out}={}", stubs().display()));
    }
    // betterproto's generator is a program, to be found on the PATH.
    let path = path();
    let folders = std::iter::once(home.join("venv/bin")).chain(std::env::split_paths(&path));
    generate.env("PATH", std::env::join_paths(folders).map_err(|error| format!("the PATH cannot be used: {error}"))?);
    step("generating Python's messages", generate.arg("helloworld.proto"))
}

/// Whether the programs are on this PATH.
pub(crate) fn tools(path: &OsStr) -> Result<(), String> {
    find(&["python3"], path, INSTALL)
}

fn folder() -> PathBuf {
    Path::new(SOURCES).join("python")
}

fn home() -> PathBuf {
    target().join("python")
}

fn interpreter() -> PathBuf {
    home().join("venv/bin/python")
}

fn stubs() -> PathBuf {
    home().join("stubs")
}
