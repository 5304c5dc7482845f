//! From a path to what serves it.
//!
//! Paths are compared byte by byte: nothing is decoded, and no two spellings name one method (CVE-2026-33186).

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::rc::Rc;

use tonic::server::NamedService;

use crate::grpc::{Kind, Route};
use crate::service::bridge::{Bridge, Manners};
use crate::service::interceptor::intercepted;
use crate::service::{Interceptor, Interceptors, LayeredRouter, LocalService, Methods, TonicService};

/// The services of a worker, next to each other: local ones, and any that tonic generated. Cheap to clone.
///
/// ```
/// use loopswap::greeter::{GreeterServer, Hello, stock};
/// use loopswap::Router;
///
/// let local: Router = GreeterServer::new(Hello).into();
/// let tonics = Router::new().add_tonic(stock::greeter_server::GreeterServer::new(Hello));
/// ```
#[derive(Clone, Default)]
pub struct Router {
    table: Rc<Table>,
}

#[derive(Clone, Default)]
struct Table {
    /// Whole paths: `/helloworld.Greeter/SayHello`.
    methods: HashMap<Vec<u8>, Entry>,
    /// The services whose methods tonic finds, by name.
    services: HashMap<&'static [u8], Entry>,
    /// What stands around all of them.
    interceptors: Interceptors,
    fallback: Option<Route>,
    /// The names of all services.
    names: BTreeSet<&'static str>,
}

#[derive(Clone)]
struct Entry {
    /// The method alone, and its own interceptors.
    bare: Route,
    own: Interceptors,
    /// What is called: the method behind the router's interceptors and its own.
    route: Route,
}

impl Entry {
    fn new(bare: Route, own: Interceptors, all: &Interceptors) -> Self {
        let route = intercepted(&bare, &all.then(&own));
        Self { bare, own, route }
    }
}

impl Router {
    /// A router that knows no service: every call is UNIMPLEMENTED.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a service as our generator makes it. One of the same name is replaced, method by method.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "a router is no number")]
    pub fn add<S: LocalService>(mut self, service: S) -> Self {
        let mut methods = Methods::new(S::NAME);
        service.register(&mut methods);
        let table = self.table_mut();
        for (path, route, own) in methods.into_routes() {
            table.methods.insert(path, Entry::new(route, own, &table.interceptors));
        }
        table.names.insert(S::NAME);
        self
    }

    /// Adds a service that tonic generated. Methods of a local service of the same name go first.
    #[must_use]
    pub fn add_tonic<S: TonicService + NamedService>(mut self, service: S) -> Self {
        self.insert_tonic(S::NAME, service);
        self
    }

    /// Tonic's services that are added to what this returns are put into the tower layer, each, as on tonic's server. Of several layers, one of
    /// `tower::ServiceBuilder`. For a layer around a single service: `add_tonic(layer.named_layer(service))`, by tonic's `LayerExt`.
    pub fn layer<L>(self, layer: L) -> LayeredRouter<L> {
        LayeredRouter::new(self, layer)
    }

    pub(super) fn insert_tonic<S: TonicService>(&mut self, name: &'static str, service: S) {
        let route = Route::Tonic(Rc::new(Bridge::new(service, Manners::Grpc)));
        let table = self.table_mut();
        table.services.insert(name.as_bytes(), Entry::new(route, Interceptors::default(), &table.interceptors));
        table.names.insert(name);
    }

    /// Puts an interceptor around all services, local and tonic's, those that are added later too: health and reflection are among them. Of several the first is the
    /// first to see a call; then come those of the service.
    #[must_use]
    pub fn intercept(mut self, interceptor: impl Interceptor) -> Self {
        let Table { methods, services, interceptors, .. } = self.table_mut();
        interceptors.push(interceptor);
        for entry in methods.values_mut().chain(services.values_mut()) {
            entry.route = intercepted(&entry.bare, &interceptors.then(&entry.own));
        }
        self
    }

    /// Whatever has no other route goes to this plain HTTP service, and no rule of gRPC is applied to it. It is there for conformance tests of
    /// the HTTP/2 engines, which ask for pages.
    #[doc(hidden)]
    #[must_use]
    pub fn fallback_plain<S: TonicService>(mut self, service: S) -> Self {
        self.table_mut().fallback = Some(Route::Plain(Rc::new(Bridge::new(service, Manners::Plain))));
        self
    }

    /// What serves this path.
    pub(crate) fn route(&self, path: &[u8]) -> Option<&Route> {
        let Table { methods, services, fallback, .. } = &*self.table;
        methods.get(path).or_else(|| services.get(service_of(path)?)).map(|entry| &entry.route).or(fallback.as_ref())
    }

    /// The paths of the local services' methods, and their kinds. What tonic's services have, they know alone.
    pub(crate) fn methods(&self) -> impl Iterator<Item = (&[u8], Kind)> {
        self.table.methods.iter().map(|(path, entry)| (path.as_slice(), entry.bare.kind()))
    }

    /// The full names of its services.
    pub(crate) fn services(&self) -> impl Iterator<Item = &'static str> {
        self.table.names.iter().copied()
    }

    fn table_mut(&mut self) -> &mut Table {
        Rc::make_mut(&mut self.table)
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths: Vec<_> = self.table.methods.keys().map(|path| String::from_utf8_lossy(path)).collect();
        let services: Vec<_> = self.table.services.keys().map(|name| String::from_utf8_lossy(name)).collect();
        f.debug_struct("Router").field("methods", &paths).field("tonic", &services).finish_non_exhaustive()
    }
}

/// `/package.Service/Method` → `package.Service`. Not for a path with a query or a fragment, which tonic would overlook.
fn service_of(path: &[u8]) -> Option<&[u8]> {
    let path = path.strip_prefix(b"/").filter(|path| !path.iter().any(|byte| matches!(byte, b'?' | b'#')))?;
    let slash = path.iter().rposition(|byte| *byte == b'/')?;
    Some(&path[..slash])
}
