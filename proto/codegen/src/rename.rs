//! The names in Rust that a user gave in the place of prost's.

use std::collections::BTreeMap;

use crate::error::{Error, ErrorKind};

/// Names in Rust, by the full name of a service, or of a service and its method, in the .proto file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Renames {
    names: BTreeMap<String, String>,
}

impl Renames {
    pub(crate) fn insert(&mut self, proto: &str, rust: &str) {
        self.names.insert(proto.trim_start_matches('.').to_owned(), rust.to_owned());
    }

    /// The name that was given to `proto`, a full name without a leading dot.
    pub(crate) fn get(&self, proto: &str) -> Option<&str> {
        self.names.get(proto).map(String::as_str)
    }

    /// That each is a name in Rust, and of something that `is_known`.
    pub(crate) fn check(&self, is_known: impl Fn(&str) -> bool) -> Result<(), Error> {
        for (proto, rust) in &self.names {
            if syn::parse_str::<syn::Ident>(rust).is_err() {
                let message = format!("rust_name(\"{proto}\", \"{rust}\"): `{rust}` is no identifier in Rust");
                return Err(Error::new(ErrorKind::Setting, message));
            }
            if !is_known(proto) {
                let message = format!(
                    "rust_name(\"{proto}\", \"{rust}\"): the files have no such service or method; it is package.Service or package.Service.Method"
                );
                return Err(Error::new(ErrorKind::Setting, message));
            }
        }
        Ok(())
    }
}

/// The full name of `name` in `scope`, which is a package or a service, and may be empty.
pub(crate) fn full_name(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}
