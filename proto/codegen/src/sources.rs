//! Reads .proto files: protox finds, parses and checks them, and this file turns its errors into ones that can be acted on. It generates nothing.

use std::path::{Path, PathBuf};

use prost_types::FileDescriptorSet;
use protox::Compiler;

use crate::error::{Error, ErrorKind};

/// What was read.
pub(crate) struct Sources {
    /// The files and all that they import, each after what it imports.
    pub(crate) files: FileDescriptorSet,
    /// The same, encoded, with the options that only extensions know.
    pub(crate) encoded: Vec<u8>,
    /// Every file that was read from a disk.
    pub(crate) paths: Vec<PathBuf>,
}

/// Reads these files, and what they import.
pub(crate) fn read(protos: &[impl AsRef<Path>], includes: &[impl AsRef<Path>]) -> Result<Sources, Error> {
    let includes: Vec<&Path> = includes.iter().map(AsRef::as_ref).collect();
    if protos.is_empty() {
        return Err(Error::new(ErrorKind::Setting, "no .proto file was given: name at least one"));
    }
    if let Some(include) = includes.iter().find(|include| !include.is_dir()) {
        let message = format!("the include directory {} does not exist{}", include.display(), seen_from());
        return Err(Error::new(ErrorKind::NotFound, message));
    }
    let mut compiler = Compiler::new(&includes).map_err(|error| explain(&error, &includes))?;
    compiler.include_source_info(true).include_imports(true);
    for proto in protos {
        let proto = proto.as_ref();
        compiler.open_file(proto).map_err(|error| match error.file() {
            // Neither on the disk nor under an include directory, or on the disk but outside of these.
            None if error.is_file_not_found() => unplaced(proto, &includes),
            _ => explain(&error, &includes),
        })?;
    }
    Ok(Sources {
        files: compiler.file_descriptor_set(),
        encoded: compiler.encode_file_descriptor_set(),
        paths: compiler.files().filter_map(|file| file.path().map(Path::to_path_buf)).collect(),
    })
}

/// The path of a file that was imported as `name`, for people to open.
pub(crate) fn on_disk(name: &str, includes: &[&Path]) -> Option<PathBuf> {
    includes.iter().map(|include| include.join(name)).find(|path| path.is_file())
}

/// A file that was asked for and cannot be taken.
fn unplaced(proto: &Path, includes: &[&Path]) -> Error {
    let proto_shown = proto.display();
    let message = if proto.is_file() {
        let parent = proto.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        format!(
            "{proto_shown} is in none of the include directories ({}): add {} to them, or the directory that its imports are relative to",
            list(includes),
            parent.display()
        )
    } else {
        format!("{proto_shown} does not exist{}, nor in the include directories ({})", seen_from(), list(includes))
    };
    Error::new(ErrorKind::NotFound, message)
}

/// What protox says, with the file's path in the place of the name it is imported by, and what to do.
fn explain(error: &protox::Error, includes: &[&Path]) -> Error {
    // Its debug form is the one with line and column.
    let mut message = format!("{error:?}");
    if let Some(name) = error.file()
        && let Some(path) = on_disk(name, includes)
        && let Some(rest) = message.strip_prefix(name)
    {
        message = format!("{}{rest}", path.display());
    }
    let kind = match error {
        error if error.is_file_not_found() => {
            message.push_str(&format!("; it was looked for in the include directories ({})", list(includes)));
            ErrorKind::NotFound
        }
        error if error.is_io() => ErrorKind::Io,
        _ => ErrorKind::Proto,
    };
    Error::new(kind, message)
}

fn list(includes: &[&Path]) -> String {
    match includes {
        [] => "none were given".into(),
        includes => includes.iter().map(|include| include.display().to_string()).collect::<Vec<_>>().join(", "),
    }
}

/// From where relative paths were looked up: a build script runs in its package's directory, which surprises in a workspace.
fn seen_from() -> String {
    std::env::current_dir().map(|dir| format!(", seen from {}", dir.display())).unwrap_or_default()
}
