//! From a path to what serves it.
//!
//! Paths are compared byte by byte: nothing is decoded, and no two spellings name one method (CVE-2026-33186).

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::rc::Rc;

use tonic::server::NamedService;

use crate::grpc::{Kind, Route};
use crate::service::bridge::{Bridge, Manners};
use crate::service::{LocalService, Methods, TonicService};

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
    methods: HashMap<Vec<u8>, Route>,
    /// The services whose methods tonic finds, by name.
    services: HashMap<&'static [u8], Route>,
    fallback: Option<Route>,
    /// The names of all services.
    names: BTreeSet<&'static str>,
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
        table.methods.extend(methods.into_routes());
        table.names.insert(S::NAME);
        self
    }

    /// Adds a service that tonic generated. Methods of a local service of the same name go first.
    #[must_use]
    pub fn add_tonic<S: TonicService + NamedService>(mut self, service: S) -> Self {
        let route = Route::Tonic(Rc::new(Bridge::new(service, Manners::Grpc)));
        let table = self.table_mut();
        table.services.insert(S::NAME.as_bytes(), route);
        table.names.insert(S::NAME);
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
        methods.get(path).or_else(|| services.get(service_of(path)?)).or(fallback.as_ref())
    }

    /// The paths of the local services' methods, and their kinds. What tonic's services have, they know alone.
    pub(crate) fn methods(&self) -> impl Iterator<Item = (&[u8], Kind)> {
        self.table.methods.iter().map(|(path, route)| (path.as_slice(), route.kind()))
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
