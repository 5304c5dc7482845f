//! What a connection may cost: every limit of the server, with its default and its reason.

use std::time::Duration;

/// Limits of a server, the same on every loop. They apply to each connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// From accept until the preface and the first SETTINGS have arrived; then the connection is closed. 10 s, as `x/net/http2` has it.
    pub handshake_timeout: Duration,
    /// Calls at a time, advertised as SETTINGS_MAX_CONCURRENT_STREAMS; more are refused with REFUSED_STREAM. 200, hyper's default.
    pub concurrent_streams_max: u32,
    /// Bytes of a call's headers, decoded, 32 added for each field (RFC 9113, 6.5.2). 16 KiB, hyper's default.
    pub header_list_bytes_max: u32,
    /// The flow-control window of a stream, in bytes. 1 MiB: a window smaller than bandwidth × delay halts a fast sender.
    pub stream_window_bytes: u32,
    /// The flow-control window of the connection, in bytes. 1 MiB.
    pub connection_window_bytes: u32,
    /// Response bytes that wait for the peer's window, for each stream. 64 KiB: with 200 streams, 12.5 MiB in the worst case.
    pub send_buffer_bytes_max: usize,
    /// Streams that the peer may reset before the service has seen them (CVE-2023-44487); then the connection is closed. 20.
    pub pending_resets_max: usize,
    /// Streams that the peer may make us reset by its errors (CVE-2025-8671); then the connection is closed. 1024.
    pub local_error_resets_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(10),
            concurrent_streams_max: 200,
            header_list_bytes_max: 16 * 1024,
            stream_window_bytes: 1024 * 1024,
            connection_window_bytes: 1024 * 1024,
            send_buffer_bytes_max: 64 * 1024,
            pending_resets_max: 20,
            local_error_resets_max: 1024,
        }
    }
}
