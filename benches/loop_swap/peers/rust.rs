//! Rust peers: a workspace of their own, so that what they depend on never touches ours.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::build::step;
use super::{Launch, Peer, Recipe, SOURCES, target};

/// tonic on its current-thread scheduler with mimalloc is not here: it is the row `stock tonic`, which every run has.
pub(super) fn peers() -> Vec<Peer> {
    let peer = |name, http2, runtime, package, binary: &str, args: &[&str]| Peer {
        name,
        http2,
        runtime,
        unavailable: None,
        recipe: Recipe::Rust(package),
        launch: Launch {
            program: built().join("release").join(binary),
            args: args.iter().map(ToString::to_string).collect(),
            env: Vec::new(),
            sleeps: package != "pajamax",
            slow: false,
        },
    };
    vec![
        peer("tonic multi_thread", HYPER, "tokio multi_thread", "tonic", "tonic-mimalloc", &["multi_thread"]),
        peer("tonic, glibc malloc", HYPER, "tokio current_thread", "tonic", "tonic-glibc", &["current_thread"]),
        peer("tonic multi_thread, glibc malloc", HYPER, "tokio multi_thread", "tonic", "tonic-glibc", &["multi_thread"]),
        peer("volo-grpc", HYPER, "tokio current_thread", "volo", "peer-volo", &[]),
        peer("xitca-web", "its own", "tokio current_thread", "xitca", "peer-xitca", &[]),
        peer("pajamax (incomplete)", "its own, in part", "threads", "pajamax", "peer-pajamax", &[]),
    ]
}

const HYPER: &str = "hyper, h2";

pub(super) fn sources(package: &str) -> Vec<PathBuf> {
    let folder = folder();
    let mut sources: Vec<_> = ["Cargo.toml", "Cargo.lock", "common/Cargo.toml", "common/src/lib.rs"].map(|name| folder.join(name)).into();
    let own: &[&str] = match package {
        "tonic" => &["Cargo.toml", "build.rs", "src/lib.rs", "src/bin/tonic-glibc.rs", "src/bin/tonic-mimalloc.rs"],
        "pajamax" => &["Cargo.toml", "src/main.rs"],
        _ => &["Cargo.toml", "build.rs", "src/main.rs"],
    };
    sources.extend(own.iter().map(|name| folder.join(package).join(name)));
    sources
}

/// Builds one package, so that another that fails takes none along.
pub(super) fn make(package: &str) -> Result<(), String> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--release", "--locked", "--package", &format!("peer-{package}"), "--manifest-path"]);
    cargo.arg(folder().join("Cargo.toml")).arg("--target-dir").arg(built()).env("CARGO_TERM_COLOR", "never");
    step(&format!("building {package} (minutes, on first use)"), &mut cargo)
}

fn folder() -> PathBuf {
    Path::new(SOURCES).join("rust")
}

fn built() -> PathBuf {
    target().join("rust")
}
