//! Finds names that would meet in Rust though they differ in the .proto files, before anything is generated: rustc's own errors would point into
//! generated code. It renames nothing.

use std::collections::HashMap;
use std::path::PathBuf;

use heck::{ToSnakeCase, ToUpperCamelCase};
use prost_types::{FileDescriptorProto, FileDescriptorSet, ServiceDescriptorProto};

use crate::error::{Error, ErrorKind};
use crate::rename::{Renames, full_name};

/// What will be generated for each service, which decides what its names can meet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts {
    pub(crate) client: bool,
    pub(crate) client_transport: bool,
    pub(crate) server: bool,
    pub(crate) tonic_server: bool,
}

/// What tonic's client has of its own.
const CLIENT_FUNCTIONS: [&str; 7] = [
    "new",
    "with_origin",
    "with_interceptor",
    "send_compressed",
    "accept_compressed",
    "max_decoding_message_size",
    "max_encoding_message_size",
];

/// Fails where two names would be one. `path` knows where the file of a name is.
pub(crate) fn check(
    files: &FileDescriptorSet,
    renames: &Renames,
    parts: Parts,
    path: impl Fn(&str) -> Option<PathBuf>,
) -> Result<(), Error> {
    let mut names = Names { taken: HashMap::new(), renames, parts };
    for file in &files.file {
        names.take_messages(file);
    }
    let mut known = Vec::new();
    for file in &files.file {
        let shown = path(file.name()).map_or_else(|| file.name().to_owned(), |path| path.display().to_string());
        for (index, service) in file.service.iter().enumerate() {
            let site = Site { file, shown: &shown, index };
            names.take_service(&site, service)?;
            names.check_methods(&site, service)?;
            let full = full_name(file.package(), service.name());
            known.extend(service.method.iter().map(|method| full_name(&full, method.name())));
            known.push(full);
        }
    }
    renames.check(|name| known.iter().any(|known| known == name))
}

/// The name in Rust of a method or a service, or the part of a module's path, as far as it matters for meeting another.
pub(crate) fn snake(name: &str) -> String {
    name.to_snake_case()
}

/// The module that tonic makes of a service: an underscore before each capital but the first.
pub(crate) fn tonic_module(service: &str, suffix: &str) -> String {
    let mut module = String::new();
    for (at, letter) in service.char_indices() {
        if at > 0 && letter.is_uppercase() {
            module.push('_');
        }
        module.push(letter.to_ascii_lowercase());
    }
    format!("{module}_{suffix}")
}

/// Types, traits and modules, which share one namespace in each module of Rust.
struct Names<'a> {
    /// By the package, as modules, and the name: what took it.
    taken: HashMap<(String, String), String>,
    renames: &'a Renames,
    parts: Parts,
}

/// A service's place in its file.
struct Site<'a> {
    file: &'a FileDescriptorProto,
    shown: &'a str,
    index: usize,
}

impl Site<'_> {
    fn error(&self, method: Option<usize>, message: String) -> Error {
        let line = self.line(method).map(|line| format!(":{line}")).unwrap_or_default();
        Error::new(ErrorKind::Name, format!("{}{line}: {message}", self.shown))
    }

    /// The line of the service, or of its method. A file descriptor set that came without its sources has none.
    fn line(&self, method: Option<usize>) -> Option<i32> {
        // The numbers of the fields `service` and `method` in descriptor.proto.
        let mut path = vec![6, i32::try_from(self.index).ok()?];
        if let Some(method) = method {
            path.extend([2, i32::try_from(method).ok()?]);
        }
        let info = self.file.source_code_info.as_ref()?;
        let location = info.location.iter().find(|location| location.path == path)?;
        location.span.first().map(|line| line + 1)
    }
}

impl Names<'_> {
    /// What prost makes of a file, and the modules that its package wants.
    fn take_messages(&mut self, file: &FileDescriptorProto) {
        let package = module(file.package());
        for message in &file.message_type {
            let full = full_name(file.package(), message.name());
            self.take(&package, message.name().to_upper_camel_case(), format!("the message `{full}`"));
            if !message.nested_type.is_empty() || !message.enum_type.is_empty() || !message.oneof_decl.is_empty() {
                self.take(&package, snake(message.name()), format!("the module of what is nested in the message `{full}`"));
            }
        }
        for r#enum in &file.enum_type {
            let full = full_name(file.package(), r#enum.name());
            self.take(&package, r#enum.name().to_upper_camel_case(), format!("the enum `{full}`"));
        }
        let parts: Vec<&str> = file.package().split('.').filter(|part| !part.is_empty()).collect();
        for depth in 1..parts.len() {
            let inner = parts[..=depth].join(".");
            self.take(&module(&parts[..depth].join(".")), snake(parts[depth]), format!("the module of the package `{inner}`"));
        }
    }

    fn take_service(&mut self, site: &Site<'_>, service: &ServiceDescriptorProto) -> Result<(), Error> {
        let package = module(site.file.package());
        let full = full_name(site.file.package(), service.name());
        let name = self.renames.get(&full).map_or_else(|| service.name().to_upper_camel_case(), str::to_owned);
        let Parts { client, server, tonic_server, .. } = self.parts;
        for (made, rust, what) in [
            (server, name.clone(), "the trait"),
            (server, format!("{name}Server"), "the server"),
            (client, tonic_module(&name, "client"), "the module of tonic's client"),
            (tonic_server, tonic_module(&name, "server"), "the module of tonic's server"),
        ] {
            if !made {
                continue;
            }
            if let Some(other) = self.take(&package, rust.clone(), format!("{what} of the service `{full}`")) {
                let message = format!(
                    "{what} of the service `{full}` would be `{rust}` in Rust, and so is {other}; \
                     give the service another name in build.rs: .rust_name(\"{full}\", \"…\")"
                );
                return Err(site.error(None, message));
            }
        }
        Ok(())
    }

    fn check_methods(&self, site: &Site<'_>, service: &ServiceDescriptorProto) -> Result<(), Error> {
        let service_name = full_name(site.file.package(), service.name());
        let mut taken: HashMap<String, &str> = HashMap::new();
        for (index, method) in service.method.iter().enumerate() {
            let full = full_name(&service_name, method.name());
            let rust = self.renames.get(&full).map_or_else(|| snake(method.name()), |name| name.trim_start_matches("r#").to_owned());
            let remedy = format!("give it another name in build.rs: .rust_name(\"{full}\", \"…\")");
            let is_clients = CLIENT_FUNCTIONS.contains(&rust.as_str()) || (self.parts.client_transport && rust == "connect");
            if self.parts.client && is_clients {
                let message = format!(
                    "the method `{full}` would be `{rust}` in Rust, which tonic's client has of its own; {remedy}, or make no client: .client(false)"
                );
                return Err(site.error(Some(index), message));
            }
            if let Some(other) = taken.insert(rust.clone(), method.name()) {
                let message = format!("the method `{full}` would be `{rust}` in Rust, and so is the method `{other}`; {remedy}");
                return Err(site.error(Some(index), message));
            }
        }
        Ok(())
    }

    /// Takes a name, or says what has it. A package's module is wanted by many files.
    fn take(&mut self, package: &str, rust: String, what: String) -> Option<String> {
        self.taken.insert((package.to_owned(), rust), what)
    }
}

/// A package as prost makes modules of it.
fn module(package: &str) -> String {
    package.split('.').map(snake).collect::<Vec<_>>().join("::")
}

#[cfg(test)]
mod tests {
    #[test]
    fn modules_are_tonics() {
        for (service, module) in
            [("Greeter", "greeter_client"), ("TestService", "test_service_client"), ("ABCService", "a_b_c_service_client")]
        {
            assert_eq!(super::tonic_module(service, "client"), module);
        }
    }
}
