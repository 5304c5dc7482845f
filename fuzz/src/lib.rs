//! What the fuzz targets share: `script`, how the octets of an input become frames and deeds; `wire`, an observer of both directions of a connection, with
//! rules of its own; `memory`, an allocator that counts.

pub mod memory;
pub mod script;
pub mod wire;
