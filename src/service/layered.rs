//! A router whose tonic services get a tower layer as they are added, while their types are still known: what a layer asks of them (`Send` futures, say) holds
//! as it does on tonic's server. Local services have interceptors instead.

use std::fmt;

use tonic::server::NamedService;
use tower_layer::Layer;

use crate::service::{LocalService, Router, TonicService};

/// A [`Router`] in the making: see [`Router::layer`].
#[derive(Clone)]
pub struct LayeredRouter<L> {
    router: Router,
    layer: L,
}

impl<L> LayeredRouter<L> {
    pub(super) fn new(router: Router, layer: L) -> Self {
        Self { router, layer }
    }

    /// Adds a service that tonic generated, in the layer: see [`Router::add_tonic`].
    #[must_use]
    pub fn add_tonic<S>(mut self, service: S) -> Self
    where
        S: NamedService,
        L: Layer<S>,
        L::Service: TonicService,
    {
        self.router.insert_tonic(S::NAME, self.layer.layer(service));
        self
    }

    /// Adds a local service, beside the layer: see [`Router::add`].
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "a router is no number")]
    pub fn add<S: LocalService>(self, service: S) -> Self {
        Self { router: self.router.add(service), layer: self.layer }
    }
}

impl<L> From<LayeredRouter<L>> for Router {
    fn from(layered: LayeredRouter<L>) -> Self {
        layered.router
    }
}

impl<L> fmt::Debug for LayeredRouter<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayeredRouter").field("router", &self.router).finish_non_exhaustive()
    }
}
