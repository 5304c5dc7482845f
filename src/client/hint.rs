//! What a server that does not speak HTTP/2 may speak instead.

/// By the first bytes that came of it, for the end of a message.
pub(super) fn hint(first: &[u8]) -> &'static str {
    match first {
        [b'H', b'T', b'T', b'P', b'/', ..] => "; the server speaks HTTP/1",
        // An alert or a handshake, of any version.
        [0x15 | 0x16, 0x03, ..] => "; the server speaks TLS",
        _ => "; does the server speak HTTP/2, without TLS?",
    }
}
