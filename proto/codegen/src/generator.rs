//! The hook that prost-build calls for each service: it puts our trait and server, and tonic's client and server, beside the messages.

use proc_macro2::TokenStream;
use tonic_build::{Attributes, CodeGenBuilder};

use crate::local;
use crate::names::Parts;
use crate::rename::{Renames, full_name};
use crate::service::Service;

pub(crate) struct Generator {
    pub(crate) parts: Parts,
    pub(crate) renames: Renames,
    /// The path to the crate loopswap.
    pub(crate) loopswap: TokenStream,
}

impl prost_build::ServiceGenerator for Generator {
    fn generate(&mut self, service: prost_build::Service, buf: &mut String) {
        let service = Service::new(self.renamed(service));
        let mut tonic = CodeGenBuilder::new();
        let mut attributes = Attributes::default();
        // What clippy thinks of tonic's code is not for its user to mend.
        attributes.push_mod(".", "#[allow(clippy::all)]");
        tonic.build_transport(self.parts.client_transport).attributes(attributes);
        let mut code = TokenStream::new();
        if self.parts.server {
            code.extend(local::generate(&service, &self.loopswap));
        }
        if self.parts.client {
            code.extend(tonic.generate_client(&service, "super"));
        }
        if self.parts.tonic_server {
            code.extend(tonic.generate_server(&service, "super"));
        }
        // prost-build formats the whole file.
        buf.push_str(&code.to_string());
    }
}

impl Generator {
    fn renamed(&self, mut service: prost_build::Service) -> prost_build::Service {
        let full = full_name(&service.package, &service.proto_name);
        for method in &mut service.methods {
            if let Some(name) = self.renames.get(&full_name(&full, &method.proto_name)) {
                method.name = name.to_owned();
            }
        }
        if let Some(name) = self.renames.get(&full) {
            service.name = name.to_owned();
        }
        service
    }
}
