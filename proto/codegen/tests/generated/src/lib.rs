//! What the generator makes of `../protos`, compiled: that this crate builds, without a warning, is the first of its tests.

/// Every kind of method.
pub mod kinds {
    #![allow(missing_docs, reason = "the .proto leaves messages without comments")]
    loopswap::include_proto!("kinds");

    /// The encoded file descriptor set.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/kinds.fds"));
}

/// Names that mean something in Rust.
pub mod names {
    #![allow(missing_docs, reason = "the .proto leaves messages without comments")]
    loopswap::include_proto!("names.r#type");
}

/// Well-known types as messages.
pub mod well_known {
    loopswap::include_proto!("well_known");
}

/// What has no package.
pub mod no_package {
    #![allow(missing_docs, reason = "the .proto leaves messages without comments")]
    loopswap::include_proto!("_");
}

/// Names that were given in the build script.
pub mod renamed {
    #![allow(missing_docs, reason = "the .proto leaves messages without comments")]
    loopswap::include_proto!("renamed");
}

/// Packages in packages, by the file that includes them all.
pub mod packages {
    #![allow(missing_docs, reason = "the .proto leaves messages without comments")]
    include!(concat!(env!("OUT_DIR"), "/packages.rs"));
}

/// A package that is not generated but written.
pub mod elsewhere {
    /// A message of another crate, as it were.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Foreign {}
}

/// The crate loopswap under another path, and a server alone.
pub mod reexported {
    pub use loopswap::*;

    /// What finds the crate here.
    pub mod kinds {
        #![allow(missing_docs, reason = "the .proto leaves messages without comments")]
        include!(concat!(env!("OUT_DIR"), "/server/kinds.rs"));
    }
}

/// Messages, and no service.
pub mod messages {
    #![allow(missing_docs, reason = "the .proto leaves messages without comments")]
    include!(concat!(env!("OUT_DIR"), "/messages/kinds.rs"));
}
