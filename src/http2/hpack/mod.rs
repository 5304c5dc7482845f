//! HPACK: RFC 7541, complete for a server. It needs nothing but the standard library, and knows nothing of frames.
//!
//! * `decoder` reads header blocks, `table` is its dynamic table; `kind` is what we know of a field by its name.
//! * `encoder` writes them: what nearly every answer has enters the peer's table once, everything else goes as it is.
//! * `integer` and `huffman` are the two codings, `static_table` is Appendix A.
//!
//! Which fields a message may have, and how many, is the caller's to judge while it is shown them.

mod decoder;
mod encoder;
mod huffman;
mod integer;
mod kind;
mod static_table;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use decoder::{DecodeError, Decoded, Decoder, FieldId};
pub(crate) use encoder::Encoder;
pub(crate) use kind::{Kind, VARYING};

/// SETTINGS_HEADER_TABLE_SIZE until somebody changes it, in bytes (RFC 9113, 6.5.2). We never do.
pub(crate) const TABLE_BYTES_INITIAL: usize = 4096;

/// What an entry counts beside its octets, on either side (RFC 7541, 4.1).
const ENTRY_BYTES: usize = 32;
