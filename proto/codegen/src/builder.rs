//! What can be set, and the order of the work: read, check names, generate, write. Each of these is another file's.

use std::fmt;
use std::path::{Path, PathBuf};

use prost_build::Config;
use prost_types::FileDescriptorSet;

use crate::error::{Error, ErrorKind};
use crate::generator::Generator;
use crate::names::{self, Parts};
use crate::rename::Renames;
use crate::{comments, sources};

/// A builder with the defaults: local trait, server and tonic's client for each service, into cargo's `OUT_DIR`.
pub fn configure() -> Builder {
    let mut config = Config::new();
    // What clippy thinks of messages is not for their user to mend.
    config.type_attribute(".", "#[allow(clippy::all)]");
    Builder {
        parts: Parts { client: true, client_transport: true, server: true, tonic_server: false },
        renames: Renames::default(),
        crate_path: "::loopswap".into(),
        out_dir: None,
        file_descriptor_set_path: None,
        // Elsewhere than under cargo, the lines would be noise.
        emit_rerun_if_changed: std::env::var_os("CARGO").is_some(),
        config,
    }
}

/// What is generated, and how. Made by [`configure`]; [`compile`](Self::compile) does it.
///
/// ```no_run
/// fn main() -> Result<(), loopswap_build::Error> {
///     loopswap_build::configure()
///         .tonic_server(true)
///         .type_attribute("helloworld.HelloRequest", "#[derive(PartialOrd, Ord)]")
///         .compile(&["proto/helloworld.proto"], &["proto"])
/// }
/// ```
///
/// Paths of things in .proto files match as prost-build's do: a leading dot anchors them at the root, `.` alone is everything, and others match
/// by their end.
pub struct Builder {
    parts: Parts,
    renames: Renames,
    crate_path: String,
    out_dir: Option<PathBuf>,
    file_descriptor_set_path: Option<PathBuf>,
    emit_rerun_if_changed: bool,
    config: Config,
}

impl Builder {
    /// Whether to generate tonic's client, as the module `greeter_client`; on by default. It wants the crates tonic and tonic-prost.
    pub fn client(mut self, generate: bool) -> Self {
        self.parts.client = generate;
        self
    }

    /// Whether tonic's client gets a function `connect`, which wants tonic's feature `transport`; on by default.
    pub fn client_transport(mut self, generate: bool) -> Self {
        self.parts.client_transport = generate;
        self
    }

    /// Whether to generate the local trait and its server; on by default.
    pub fn server(mut self, generate: bool) -> Self {
        self.parts.server = generate;
        self
    }

    /// Whether to generate tonic's own trait and server, as the module `greeter_server`; off by default. loopswap serves it too
    /// (`Router::add_tonic`), for those who migrate or compare. It wants the crates tonic and tonic-prost.
    pub fn tonic_server(mut self, generate: bool) -> Self {
        self.parts.tonic_server = generate;
        self
    }

    /// Gives a service, `package.Service`, or a method of it, `package.Service.Method`, this name in Rust. The wire does not change.
    pub fn rust_name(mut self, proto: impl AsRef<str>, rust: impl AsRef<str>) -> Self {
        self.renames.insert(proto.as_ref(), rust.as_ref());
        self
    }

    /// The path at which generated code finds the crate loopswap, `::loopswap` by default: for those who re-export it.
    pub fn crate_path(mut self, path: impl Into<String>) -> Self {
        self.crate_path = path.into();
        self
    }

    /// The directory to write to, cargo's `OUT_DIR` by default. It must exist.
    pub fn out_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.out_dir = Some(dir.into());
        self
    }

    /// Writes the encoded file descriptor set, with all imports and with source information, to this file: what server reflection wants.
    pub fn file_descriptor_set_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.file_descriptor_set_path = Some(path.into());
        self
    }

    /// Whether to tell cargo, on standard output, to run the build script again when one of the files that were read has changed; on by default
    /// under cargo.
    pub fn emit_rerun_if_changed(mut self, emit: bool) -> Self {
        self.emit_rerun_if_changed = emit;
        self
    }

    /// Adds an attribute to matching messages, enums and oneofs.
    pub fn type_attribute(self, path: impl AsRef<str>, attribute: impl AsRef<str>) -> Self {
        self.prost(|config| config.type_attribute(path, attribute))
    }

    /// Adds an attribute to matching fields.
    pub fn field_attribute(self, path: impl AsRef<str>, attribute: impl AsRef<str>) -> Self {
        self.prost(|config| config.field_attribute(path, attribute))
    }

    /// Takes the types of a package or a single type, `.google.type`, from a path in Rust, `::google_types`, instead of generating them.
    pub fn extern_path(self, proto: impl Into<String>, rust: impl Into<String>) -> Self {
        self.prost(|config| config.extern_path(proto, rust))
    }

    /// Makes a `BTreeMap` of matching maps.
    pub fn btree_map(self, paths: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.prost(|config| config.btree_map(paths))
    }

    /// Makes `Bytes` of matching fields of the type `bytes`.
    pub fn bytes(self, paths: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.prost(|config| config.bytes(paths))
    }

    /// Also writes this file, which includes all others in modules as their packages are nested.
    pub fn include_file(self, name: impl Into<PathBuf>) -> Self {
        self.prost(|config| config.include_file(name.into()))
    }

    /// Sets what else prost-build can do: `.prost(|config| config.boxed("a.M.field").compile_well_known_types())`. Its output directory, descriptor
    /// set and service generator are this builder's.
    pub fn prost(mut self, set: impl FnOnce(&mut Config) -> &mut Config) -> Self {
        set(&mut self.config);
        self
    }

    /// Compiles these files and all that they import, which are looked for in the directories `includes`. Relative paths are seen from the current
    /// directory, which for a build script is that of its package.
    ///
    /// A package becomes one file, so all files of a package belong into one call: a later one would write over it.
    ///
    /// # Errors
    ///
    /// A file that is not there, is in no include directory or is wrong; names that would meet in Rust; a setting that means nothing; or a file that
    /// cannot be written. The message has the file, the line and what to do.
    ///
    /// # Panics
    ///
    /// Where prost-build does: on attributes that are no Rust.
    pub fn compile(self, protos: &[impl AsRef<Path>], includes: &[impl AsRef<Path>]) -> Result<(), Error> {
        let sources = sources::read(protos, includes)?;
        if self.emit_rerun_if_changed {
            for path in &sources.paths {
                println!("cargo::rerun-if-changed={}", path.display());
            }
        }
        if let Some(path) = &self.file_descriptor_set_path {
            std::fs::write(path, &sources.encoded).map_err(|error| Error::io(format_args!("cannot write {}", path.display()), error))?;
        }
        let includes: Vec<&Path> = includes.iter().map(AsRef::as_ref).collect();
        self.generate(sources.files, |name| sources::on_disk(name, &includes))
    }

    /// Compiles files that were read elsewhere: the descriptors must be complete, each after what it imports. Nothing is told to cargo, and
    /// [`file_descriptor_set_path`](Self::file_descriptor_set_path) is not written.
    ///
    /// # Errors
    ///
    /// As [`compile`](Self::compile), but for what concerns reading.
    pub fn compile_fds(self, files: FileDescriptorSet) -> Result<(), Error> {
        self.generate(files, |_| None)
    }

    fn generate(mut self, mut files: FileDescriptorSet, path: impl Fn(&str) -> Option<PathBuf>) -> Result<(), Error> {
        let loopswap = self.loopswap()?;
        let out_dir = self.take_out_dir()?;
        names::check(&files, &self.renames, self.parts, path)?;
        comments::make_code_text(&mut files);
        self.config.service_generator(Box::new(Generator { parts: self.parts, renames: self.renames, loopswap }));
        self.config.out_dir(&out_dir);
        self.config.compile_fds(files).map_err(|error| Error::io(format_args!("cannot generate into {}", out_dir.display()), error))
    }

    fn loopswap(&self) -> Result<proc_macro2::TokenStream, Error> {
        let path = syn::parse_str::<syn::Path>(&self.crate_path).map_err(|_| {
            let message = format!("crate_path(\"{}\"): it is no path in Rust, such as `::loopswap` or `::mine::loopswap`", self.crate_path);
            Error::new(ErrorKind::Setting, message)
        })?;
        Ok(quote::quote!(#path))
    }

    fn take_out_dir(&mut self) -> Result<PathBuf, Error> {
        self.out_dir.take().or_else(|| std::env::var_os("OUT_DIR").map(PathBuf::from)).ok_or_else(|| {
            let message = "cargo's OUT_DIR is not set: call this from a build script, build.rs, or name a directory with out_dir";
            Error::new(ErrorKind::Setting, message)
        })
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { parts, renames, crate_path, out_dir, config, .. } = self;
        let mut debug = f.debug_struct("Builder");
        debug.field("parts", parts).field("renames", renames).field("crate_path", crate_path).field("out_dir", out_dir);
        debug.field("config", config).finish_non_exhaustive()
    }
}
