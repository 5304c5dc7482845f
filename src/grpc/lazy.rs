//! Metadata that most calls never ask for.

use std::cell::OnceCell;

use tonic::metadata::MetadataMap;

/// A `MetadataMap` that exists from its first use on. It costs a pointer until then.
#[derive(Debug, Default)]
pub(crate) struct LazyMetadata {
    map: OnceCell<Box<MetadataMap>>,
}

impl LazyMetadata {
    /// The map; made now if it was not there.
    pub(crate) fn get_or_make(&self, make: impl FnOnce() -> MetadataMap) -> &MetadataMap {
        self.map.get_or_init(|| Box::new(make()))
    }

    /// The map, to change; made now if it was not there.
    pub(crate) fn get_mut_or_make(&mut self, make: impl FnOnce() -> MetadataMap) -> &mut MetadataMap {
        self.get_or_make(make);
        self.map.get_mut().expect("made in the line above")
    }

    /// With this map, if there is one.
    pub(crate) fn made(map: Option<Box<MetadataMap>>) -> Self {
        Self { map: map.map_or_else(OnceCell::new, OnceCell::from) }
    }

    /// The map, if there ever was one.
    pub(crate) fn into_made(self) -> Option<Box<MetadataMap>> {
        self.map.into_inner()
    }
}
