//! What a connection may cost: every limit of the engine, with its default and its reason; and what it is called when it is reached.

mod check;

use std::fmt;
use std::time::Duration;

use super::budget::Rate;

/// Limits of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// From the start until the preface and the first SETTINGS have arrived; of a client of HTTP/1.1, where that is spoken, the head of its first request. 10 s, as
    /// `x/net/http2` has it.
    pub handshake_timeout: Duration,
    /// Streams at a time, advertised as SETTINGS_MAX_CONCURRENT_STREAMS; more are refused with REFUSED_STREAM. 200, hyper's default.
    pub concurrent_streams_max: u32,
    /// Bytes of a request's header list, decoded, 32 added for each field (RFC 9113, 6.5.2). A larger one fails its call, and the connection
    /// goes on. 16 KiB, hyper's default.
    pub header_list_bytes_max: u32,
    /// Fields of a request, each crumb of a cookie counted (CVE-2026-49975, CVE-2026-47774). As above. 128.
    pub header_fields_max: u32,
    /// Bytes of an encoded header block, which must be whole before it is decoded; the connection ends beyond. 64 KiB.
    pub header_block_bytes_max: usize,
    /// CONTINUATION frames of a header block (CVE-2024-27316). 8, as nghttp2 has it.
    pub continuations_max: u32,
    /// The receive window of a stream, in bytes. 1 MiB: a window smaller than bandwidth × delay halts a fast sender.
    pub stream_window_bytes: u32,
    /// The receive window of the connection, in bytes; never below the protocol's 65,535. 1 MiB.
    pub connection_window_bytes: u32,
    /// Bytes of a stream's answer that wait for the peer, beyond which its producer pauses. A single message may be larger. 64 KiB.
    pub send_buffer_bytes_max: usize,
    /// Bytes of request messages that are not whole, of all calls of the connection together; the call that goes beyond is RESOURCE_EXHAUSTED. What has come
    /// of a message is released before the rest comes, so windows do not bound them. 64 MiB: sixteen of the largest messages at once.
    pub partial_messages_bytes_max: usize,
    /// A stream whose answer waits for the peer must send 16 KiB, or all that is left, within this time, and so must the connection; WINDOW_UPDATE
    /// frames that open less do not prolong it (CVE-2019-9511, -9517). 60 s, nginx's `send_timeout`.
    pub stall_timeout: Duration,
    /// How long a drain waits for the acknowledgement of its PING. 5 s, as in grpc-go.
    pub drain_ping_timeout: Duration,
    /// A peer of whom no byte has come for this time is asked whether it is there, by a PING; `None`: never. gRPC's keepalive (gRFC A8, A9). 2 h.
    pub keepalive_time: Option<Duration>,
    /// How long a peer that was asked may go on being silent; then the connection ends. 20 s.
    pub keepalive_timeout: Duration,
    /// A connection without a call for this time, since its start or the end of the last one, is drained; `None`: never, the default (gRFC A9).
    pub connection_idle_max: Option<Duration>,
    /// A connection of this age is drained; `None`: never, the default (gRFC A9). Each connection's own age differs from it by up to a tenth, so that those
    /// which came together do not go together.
    pub connection_age_max: Option<Duration>,
    /// How long the calls of a connection that is too old may take to end; then it is cut. `None`: for ever, the default (gRFC A9).
    pub connection_age_grace: Option<Duration>,
    /// The least time between two PINGs while calls are open: gRPC's keepalive enforcement (gRFC A8, A9). 5 min.
    pub ping_interval_min: Duration,
    /// The least time between two PINGs while no call is open. 2 h.
    pub ping_interval_idle_min: Duration,
    /// PINGs that may come too early; the next one ends the connection with `too_many_pings`. HEADERS and DATA that we send clear the count. 2.
    pub ping_strikes_max: u32,
    /// Streams that end by RST_STREAM, the peer's (CVE-2023-44487) or ours for its errors (CVE-2025-8671). Each call that ends well earns one. 200
    /// in 30 s, as in Netty.
    pub resets: Rate,
    /// SETTINGS frames (CVE-2019-9515).
    pub settings: Rate,
    /// Settings in a frame. 32, as in nghttp2.
    pub settings_entries_max: usize,
    /// PRIORITY frames (CVE-2019-9513). Each request earns ten.
    pub priorities: Rate,
    /// WINDOW_UPDATE frames. Each request and each DATA frame sent earn ten, as in Envoy.
    pub window_updates: Rate,
    /// Frames of unknown types.
    pub unknown_frames: Rate,
    /// DATA and CONTINUATION frames that carry nothing (CVE-2019-9518).
    pub empty_frames: Rate,
    /// DATA frames shorter than the five bytes that open a gRPC message, unless they end a stream.
    pub tiny_frames: Rate,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(10),
            concurrent_streams_max: 200,
            header_list_bytes_max: 16 * 1024,
            header_fields_max: 128,
            header_block_bytes_max: 64 * 1024,
            continuations_max: 8,
            stream_window_bytes: 1024 * 1024,
            connection_window_bytes: 1024 * 1024,
            send_buffer_bytes_max: 64 * 1024,
            partial_messages_bytes_max: 64 * 1024 * 1024,
            stall_timeout: Duration::from_secs(60),
            drain_ping_timeout: Duration::from_secs(5),
            keepalive_time: Some(Duration::from_secs(2 * 3600)),
            keepalive_timeout: Duration::from_secs(20),
            connection_idle_max: None,
            connection_age_max: None,
            connection_age_grace: None,
            ping_interval_min: Duration::from_secs(5 * 60),
            ping_interval_idle_min: Duration::from_secs(2 * 3600),
            ping_strikes_max: 2,
            resets: Rate { burst: 200, per_second: 6 },
            settings: Rate { burst: 100, per_second: 10 },
            settings_entries_max: 32,
            priorities: Rate { burst: 1000, per_second: 100 },
            window_updates: Rate { burst: 5000, per_second: 1000 },
            unknown_frames: Rate { burst: 1000, per_second: 100 },
            empty_frames: Rate { burst: 100, per_second: 10 },
            tiny_frames: Rate { burst: 10_000, per_second: 1000 },
        }
    }
}

macro_rules! violations {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// A limit that was reached: of a connection by its peer, or of a worker or the server by all of them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Violation {
            $($(#[$doc])* $name,)*
        }

        impl Violation {
            /// All of them, in the order of their discriminants.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name, as GOAWAY's debug data, counters and logs have it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

violations! {
    /// [`Limits::handshake_timeout`].
    Handshake = "handshake_timeout",
    /// [`Limits::concurrent_streams_max`]: a stream was refused.
    Streams = "too_many_streams",
    /// [`Limits::header_list_bytes_max`]: a call was refused.
    HeaderListBytes = "header_list_too_large",
    /// [`Limits::header_fields_max`]: a call was refused.
    HeaderFields = "too_many_header_fields",
    /// [`Limits::header_block_bytes_max`].
    HeaderBlockBytes = "header_block_too_large",
    /// [`Limits::continuations_max`].
    Continuations = "too_many_continuations",
    /// [`Limits::partial_messages_bytes_max`]: a call was refused.
    PartialMessages = "partial_messages_too_large",
    /// [`Limits::stall_timeout`]: a stream was reset, or the connection closed.
    Stalled = "stalled",
    /// [`Limits::drain_ping_timeout`]: the drain went on.
    DrainPing = "drain_ping_timeout",
    /// [`Limits::keepalive_timeout`]: the connection ended.
    Keepalive = "keepalive_timeout",
    /// [`Limits::connection_idle_max`]: the connection was drained.
    Idle = "max_idle",
    /// [`Limits::connection_age_max`]: the connection was drained.
    Age = "max_age",
    /// [`Limits::connection_age_grace`]: the connection was cut, with calls under way.
    AgeGrace = "max_age_grace",
    /// [`Limits::ping_strikes_max`].
    Pings = "too_many_pings",
    /// [`Limits::resets`].
    Resets = "too_many_resets",
    /// [`Limits::settings`] or [`Limits::settings_entries_max`].
    Settings = "too_many_settings",
    /// [`Limits::priorities`].
    Priorities = "too_many_priorities",
    /// [`Limits::window_updates`].
    WindowUpdates = "too_many_window_updates",
    /// [`Limits::unknown_frames`].
    UnknownFrames = "too_many_unknown_frames",
    /// [`Limits::empty_frames`].
    EmptyFrames = "too_many_empty_frames",
    /// [`Limits::tiny_frames`].
    TinyFrames = "too_many_tiny_frames",
    /// [`Builder::max_connections`](crate::Builder::max_connections): all places were taken, and clients waited; it is counted anew when a tenth of the places
    /// had been free meanwhile.
    Connections = "max_connections",
    /// [`Overload::concurrent_calls_max`](crate::Overload::concurrent_calls_max): a call was refused.
    WorkerCalls = "too_many_calls",
    /// [`Overload::concurrent_calls_per_connection_max`](crate::Overload::concurrent_calls_per_connection_max): a call was refused.
    ConnectionCalls = "too_many_calls_of_connection",
    /// [`Overload::shed_lag`](crate::Overload::shed_lag): a call was refused.
    WorkerLag = "fallen_behind",
    /// [`Overload::partial_messages_bytes_max`](crate::Overload::partial_messages_bytes_max): a call was refused.
    WorkerPartialMessages = "partial_messages_of_worker_too_large",
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
