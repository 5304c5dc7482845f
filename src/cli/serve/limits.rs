//! Flags of `serve` for what a connection may cost.

use std::time::Duration;

use crate::Limits;
use crate::cli::units::{bytes, duration, rate};
use crate::http2::Rate;

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Limits of a connection")]
pub(super) struct LimitArgs {
    /// How long a client may take to open HTTP/2 after it has connected, or to send its first request where it speaks HTTP/1.1; then it is closed.
    #[arg(long, env = "LOOPSWAP_HANDSHAKE_TIMEOUT", value_name = "TIME", default_value = "10s", value_parser = duration)]
    handshake_timeout: Duration,

    /// How long an answer may wait for a client that does not read, or opens its windows by drips; then the call is reset. Engine native only.
    #[arg(long, env = "LOOPSWAP_STALL_TIMEOUT", value_name = "TIME", default_value = "60s", value_parser = duration)]
    stall_timeout: Duration,

    /// Calls at a time; more are refused, to be tried again.
    #[arg(long, env = "LOOPSWAP_MAX_CONCURRENT_STREAMS", value_name = "N", default_value_t = 200)]
    max_concurrent_streams: u32,

    /// The largest message of a client, also once it is inflated; a larger one fails its call.
    #[arg(long, env = "LOOPSWAP_MAX_MESSAGE_SIZE", value_name = "BYTES", default_value = "4MiB", value_parser = bytes::<usize>)]
    max_message_size: usize,

    /// Bytes of requests that are not whole, of all calls of a connection together; the call that goes beyond is refused. --max-partial-bytes is a worker's.
    #[arg(long, env = "LOOPSWAP_MAX_PARTIAL_BYTES_PER_CONNECTION", value_name = "BYTES", default_value = "64MiB", value_parser = bytes::<usize>)]
    max_partial_bytes_per_connection: usize,

    /// The largest header list of a request, decoded, with 32 bytes added for each field; a larger one fails its call.
    #[arg(long, env = "LOOPSWAP_MAX_HEADER_LIST_SIZE", value_name = "BYTES", default_value = "16KiB", value_parser = bytes::<u32>)]
    max_header_list_size: u32,

    /// Header fields of a request; more fail the call. Engine native only.
    #[arg(long, env = "LOOPSWAP_MAX_HEADER_FIELDS", value_name = "N", default_value_t = 128)]
    max_header_fields: u32,

    /// How many bytes a client may send ahead on a call.
    #[arg(long, env = "LOOPSWAP_STREAM_WINDOW", value_name = "BYTES", default_value = "1MiB", value_parser = bytes::<u32>)]
    stream_window: u32,

    /// How many bytes a client may send ahead on all calls together.
    #[arg(long, env = "LOOPSWAP_CONNECTION_WINDOW", value_name = "BYTES", default_value = "1MiB", value_parser = bytes::<u32>)]
    connection_window: u32,

    /// Bytes of an answer that wait for the client, beyond which its handler pauses.
    #[arg(long, env = "LOOPSWAP_SEND_BUFFER", value_name = "BYTES", default_value = "64KiB", value_parser = bytes::<usize>)]
    send_buffer: usize,

    /// Calls that a client may cancel: so many at once, and so many more each second. Engine native only.
    #[arg(long, env = "LOOPSWAP_MAX_RESETS", value_name = "RATE", default_value = "200+6/s", value_parser = rate)]
    max_resets: Rate,
}

impl LimitArgs {
    /// Sets what these flags say.
    pub(super) fn apply(&self, limits: &mut Limits) {
        limits.handshake_timeout = self.handshake_timeout;
        limits.stall_timeout = self.stall_timeout;
        limits.concurrent_streams_max = self.max_concurrent_streams;
        limits.partial_messages_bytes_max = self.max_partial_bytes_per_connection;
        limits.header_list_bytes_max = self.max_header_list_size;
        limits.header_fields_max = self.max_header_fields;
        limits.stream_window_bytes = self.stream_window;
        limits.connection_window_bytes = self.connection_window;
        limits.send_buffer_bytes_max = self.send_buffer;
        limits.resets = self.max_resets;
    }

    /// Of every service, in bytes. `of_worker`: what may arrive of the messages of a worker that are not whole, together.
    ///
    /// # Errors
    ///
    /// No such message could arrive, or none at all.
    pub(super) fn message_bytes_max(&self, of_worker: usize) -> Result<usize, String> {
        let message = self.max_message_size;
        if message == 0 {
            return Err("--max-message-size 0 takes no message that says anything; ask for 1 or more".into());
        }
        let of_connection = self.max_partial_bytes_per_connection;
        let bounds = [("--max-partial-bytes-per-connection", of_connection), ("--max-partial-bytes", of_worker)];
        if let Some((flag, bound)) = bounds.into_iter().find(|(_, bound)| *bound < message) {
            return Err(format!("--max-message-size {message} is more than {flag} {bound} lets arrive; raise that, or lower this"));
        }
        Ok(message)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::serve::care::CareArgs;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        care: CareArgs,
        #[command(flatten)]
        limits: LimitArgs,
    }

    fn limits(args: &[&str]) -> Limits {
        let flags = Flags::parse_from([&["serve"], args].concat());
        let mut limits = Limits::default();
        flags.care.apply(&mut limits);
        flags.limits.apply(&mut limits);
        limits
    }

    #[test]
    fn flags_have_the_librarys_defaults() {
        assert_eq!(limits(&[]), Limits::default());
        let message_bytes_max =
            Flags::parse_from(["serve"]).limits.message_bytes_max(crate::Overload::default().partial_messages_bytes_max);
        assert_eq!(message_bytes_max, Ok(crate::MessageLimits::default().decode_bytes_max));
    }

    #[test]
    fn each_flag_sets_its_limit() {
        let minute = Duration::from_secs(60);
        type Expected = fn(&mut Limits, Duration);
        let cases: &[(&[&str], Expected)] = &[
            (&["--keepalive-time", "1m"], |l, m| l.keepalive_time = Some(m)),
            (&["--keepalive-time", "none"], |l, _| l.keepalive_time = None),
            (&["--keepalive-timeout", "1m"], |l, m| l.keepalive_timeout = m),
            (&["--keepalive-min-time", "1m"], |l, m| l.ping_interval_min = m),
            (&["--keepalive-min-time", "180m"], |l, m| (l.ping_interval_min, l.ping_interval_idle_min) = (m * 180, m * 180)),
            (&["--keepalive-min-time", "1m", "--keepalive-permit-without-calls"], |l, m| {
                (l.ping_interval_min, l.ping_interval_idle_min) = (m, m);
            }),
            (&["--max-connection-idle", "1m"], |l, m| l.connection_idle_max = Some(m)),
            (&["--max-connection-age", "1m"], |l, m| l.connection_age_max = Some(m)),
            (&["--max-connection-age-grace", "1m"], |l, m| l.connection_age_grace = Some(m)),
            (&["--handshake-timeout", "1m"], |l, m| l.handshake_timeout = m),
            (&["--stall-timeout", "2m"], |l, m| l.stall_timeout = m * 2),
            (&["--max-concurrent-streams", "7"], |l, _| l.concurrent_streams_max = 7),
            (&["--max-partial-bytes-per-connection", "7MiB"], |l, _| l.partial_messages_bytes_max = 7 << 20),
            (&["--max-header-list-size", "7KiB"], |l, _| l.header_list_bytes_max = 7 << 10),
            (&["--max-header-fields", "7"], |l, _| l.header_fields_max = 7),
            (&["--stream-window", "7KiB"], |l, _| l.stream_window_bytes = 7 << 10),
            (&["--connection-window", "7MiB"], |l, _| l.connection_window_bytes = 7 << 20),
            (&["--send-buffer", "7"], |l, _| l.send_buffer_bytes_max = 7),
            (&["--max-resets", "7+1/s"], |l, _| l.resets = Rate { burst: 7, per_second: 1 }),
        ];
        for (args, set) in cases {
            let mut expected = Limits::default();
            set(&mut expected, minute);
            assert_eq!(limits(args), expected, "{args:?}");
            assert_ne!(expected, Limits::default(), "{args:?}");
        }
    }

    #[test]
    fn a_message_larger_than_what_may_arrive_is_refused() {
        let refused = |args: &[&str]| Flags::parse_from([&["serve"], args].concat()).limits.message_bytes_max(1 << 20).unwrap_err();
        assert!(refused(&["--max-message-size", "2MiB"]).contains("--max-partial-bytes 1048576"));
        assert!(refused(&["--max-message-size", "65MiB"]).contains("--max-partial-bytes-per-connection 67108864"));
        assert!(refused(&["--max-message-size", "0"]).contains("ask for 1 or more"));
    }
}
