//! Compiles `../protos`, in the ways that a user may.

use std::env;
use std::path::{Path, PathBuf};

use loopswap_build::{Builder, Error};

const PROTOS: &str = "../protos";

fn main() -> Result<(), Error> {
    let proto = |name: &str| Path::new(PROTOS).join(name);
    let with_tonics = || loopswap_build::configure().tonic_server(true);

    with_tonics().file_descriptor_set_path(out_dir().join("kinds.fds")).compile(&[proto("kinds.proto")], &[PROTOS])?;
    with_tonics().compile(&[proto("names.proto"), proto("well_known.proto"), proto("no_package.proto")], &[PROTOS])?;
    with_tonics()
        .rust_name("renamed.Store", "Shelf")
        .rust_name("renamed.Store.get", "get_quietly")
        .rust_name("renamed.Store.New", "r#new_one")
        .type_attribute("renamed.Item", "#[derive(PartialOrd, Ord)]")
        .compile(&[proto("renamed.proto")], &[PROTOS])?;
    with_tonics()
        .extern_path(".outer.elsewhere", "crate::elsewhere")
        .include_file("packages.rs")
        .compile(&[proto("packages/inner.proto")], &[PROTOS])?;

    // The server alone, without a word of tonic's, at another path of the crate; and nothing but messages.
    let apart = |name: &str| -> Builder {
        let dir = out_dir().join(name);
        std::fs::create_dir_all(&dir).expect("OUT_DIR can be written");
        loopswap_build::configure().out_dir(dir).client(false)
    };
    apart("server").crate_path("crate::reexported").compile(&[proto("kinds.proto")], &[PROTOS])?;
    apart("messages")
        .server(false)
        .prost(|config| config.message_attribute(".", "#[derive(PartialOrd)]"))
        .compile(&[proto("kinds.proto")], &[PROTOS])
}

fn out_dir() -> PathBuf {
    env::var_os("OUT_DIR").expect("cargo sets it").into()
}
