//! HPACK: RFC 7541.
//!
//! * `decoder` reads header blocks, `table` is its dynamic table; `kind` is what we know of a field by its name.
//! * `encoder` writes them: what nearly every answer has enters the peer's table once, everything else goes as it is.
//! * `integer` and `huffman` are the two codings, `static_table` is Appendix A.

mod decoder;
mod encoder;
mod huffman;
mod integer;
mod kind;
mod static_table;
mod table;
#[cfg(test)]
mod tests;

pub(super) use decoder::{DecodeError, Decoded, Decoder};
pub(super) use encoder::Encoder;
pub(super) use kind::Kind;

/// SETTINGS_HEADER_TABLE_SIZE until somebody changes it, in bytes (RFC 9113, 6.5.2). We never do.
pub(super) const TABLE_BYTES_INITIAL: usize = 4096;
