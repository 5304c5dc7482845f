//! Which limits make no sense, and what to ask for instead.

use std::time::Duration;

use super::Limits;

/// Longer than this is never, and times that far away overflow.
const TIME_MAX: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Keepalive, idleness and age are not kept more exactly.
const CARE_TIME_MIN: Duration = Duration::from_millis(100);

/// Each connection has a bit for each.
const STREAMS_MAX: u32 = 65_536;

/// A gRPC request has some two hundred bytes of fields, with 32 more for each.
const HEADER_LIST_BYTES_MIN: u32 = 1024;

/// Method, scheme, path, authority, content type, `te`.
const HEADER_FIELDS_MIN: u32 = 6;

/// RFC 9113, 6.9.1.
const WINDOW_BYTES_MAX: u32 = 0x7fff_ffff;

impl Limits {
    /// Whether a server with these limits could serve.
    ///
    /// # Errors
    ///
    /// What is wrong with the first that makes no sense, and what to ask for.
    pub fn check(&self) -> Result<(), String> {
        self.check_times()?;
        self.check_care()?;
        self.check_sizes()?;
        self.check_rates()
    }

    fn check_times(&self) -> Result<(), String> {
        let times = [
            ("a handshake timeout", self.handshake_timeout),
            ("a stall timeout", self.stall_timeout),
            ("a timeout for a drain's PING", self.drain_ping_timeout),
        ];
        for (what, time) in times {
            if time.is_zero() {
                return Err(format!("{what} of 0 s closes connections at once; ask for more"));
            }
            check_not_too_long(what, time)?;
        }
        check_not_too_long("a least time between PINGs", self.ping_interval_min)?;
        check_not_too_long("a least time between PINGs", self.ping_interval_idle_min)
    }

    fn check_care(&self) -> Result<(), String> {
        let times = [
            ("a keepalive time", self.keepalive_time),
            ("a keepalive timeout", Some(self.keepalive_timeout)),
            ("a maximal idle time", self.connection_idle_max),
            ("a maximal age", self.connection_age_max),
            ("a grace after the maximal age", self.connection_age_grace),
        ];
        for (what, time) in times.into_iter().filter_map(|(what, time)| Some((what, time?))) {
            if time < CARE_TIME_MIN {
                return Err(format!("{what} of {time:?} is shorter than it can be kept; ask for {CARE_TIME_MIN:?} or more, or for none"));
            }
            check_not_too_long(what, time)?;
        }
        if self.connection_age_grace.is_some() && self.connection_age_max.is_none() {
            return Err("a grace after the maximal age means nothing without a maximal age; ask for both, or for neither".into());
        }
        Ok(())
    }

    fn check_sizes(&self) -> Result<(), String> {
        let at_least = |what: &str, n: u64, min: u64| match n < min {
            true => Err(format!("{what} of {n} lets no call through; ask for {min} or more")),
            false => Ok(()),
        };
        at_least("a limit on concurrent streams", self.concurrent_streams_max.into(), 1)?;
        at_least("a limit on the header list's bytes", self.header_list_bytes_max.into(), HEADER_LIST_BYTES_MIN.into())?;
        at_least("a limit on header fields", self.header_fields_max.into(), HEADER_FIELDS_MIN.into())?;
        at_least("a limit on a header block's bytes", self.header_block_bytes_max as u64, HEADER_LIST_BYTES_MIN.into())?;
        at_least("a stream window", self.stream_window_bytes.into(), 1)?;
        at_least("a connection window", self.connection_window_bytes.into(), 1)?;
        at_least("a send buffer", self.send_buffer_bytes_max as u64, 1)?;
        at_least("a limit on partial messages' bytes", self.partial_messages_bytes_max as u64, 1)?;
        if self.concurrent_streams_max > STREAMS_MAX {
            let n = self.concurrent_streams_max;
            return Err(format!("a limit on concurrent streams of {n} is no limit; ask for {STREAMS_MAX} or fewer on a connection"));
        }
        for (what, window) in [("stream", self.stream_window_bytes), ("connection", self.connection_window_bytes)] {
            if window > WINDOW_BYTES_MAX {
                return Err(format!("a {what} window of {window} bytes is more than HTTP/2 has; ask for {WINDOW_BYTES_MAX} or less"));
            }
        }
        Ok(())
    }

    fn check_rates(&self) -> Result<(), String> {
        let rates = [
            ("resets", self.resets),
            ("SETTINGS", self.settings),
            ("PRIORITY", self.priorities),
            ("WINDOW_UPDATE", self.window_updates),
            ("unknown frames", self.unknown_frames),
            ("empty frames", self.empty_frames),
            ("tiny frames", self.tiny_frames),
        ];
        // A connection opens with SETTINGS and an acknowledgement of ours.
        let min = |what: &str| if what == "SETTINGS" { 2 } else { 1 };
        match rates.into_iter().find(|(what, rate)| rate.burst < min(what)) {
            Some((what, rate)) => {
                Err(format!("a budget of {} {what} at once ends connections that do no wrong; ask for {} or more", rate.burst, min(what)))
            }
            None => Ok(()),
        }
    }
}

fn check_not_too_long(what: &str, time: Duration) -> Result<(), String> {
    if time > TIME_MAX {
        return Err(format!("{what} of {} years is too long to be counted; ask for 10 years or less", time.as_secs() / (365 * 86_400)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::super::Rate;
    use super::*;

    #[test]
    fn the_defaults_make_sense() {
        assert_eq!(Limits::default().check(), Ok(()));
    }

    /// Each is told by what it is and with a remedy, and what is next to it passes.
    #[test]
    fn what_makes_no_sense_is_told() {
        type Change = fn(&mut Limits);
        const MS: Duration = Duration::from_millis(1);
        let cases: &[(&str, Change, Change)] = &[
            ("handshake timeout of 0 s", |l| l.handshake_timeout = Duration::ZERO, |l| l.handshake_timeout = MS),
            ("stall timeout of 0 s", |l| l.stall_timeout = Duration::ZERO, |l| l.stall_timeout = MS),
            ("drain's PING of 0 s", |l| l.drain_ping_timeout = Duration::ZERO, |l| l.drain_ping_timeout = MS),
            ("between PINGs of 11 years", |l| l.ping_interval_min = TIME_MAX * 11 / 10, |l| l.ping_interval_min = TIME_MAX),
            ("keepalive time of 99ms", |l| l.keepalive_time = Some(MS * 99), |l| l.keepalive_time = Some(MS * 100)),
            ("keepalive time of 0ns", |l| l.keepalive_time = Some(Duration::ZERO), |l| l.keepalive_time = None),
            ("keepalive timeout of 1ms", |l| l.keepalive_timeout = MS, |l| l.keepalive_timeout = MS * 100),
            ("idle time of 1ms", |l| l.connection_idle_max = Some(MS), |l| l.connection_idle_max = None),
            ("age of 1ms", |l| l.connection_age_max = Some(MS), |l| l.connection_age_max = Some(MS * 100)),
            (
                "nothing without a maximal age",
                |l| l.connection_age_grace = Some(MS * 100),
                |l| (l.connection_age_grace, l.connection_age_max) = (Some(MS * 100), Some(MS * 100)),
            ),
            ("age of 584942417355 years", |l| l.connection_age_max = Some(Duration::MAX), |l| l.connection_age_max = Some(TIME_MAX)),
            ("concurrent streams of 0", |l| l.concurrent_streams_max = 0, |l| l.concurrent_streams_max = 1),
            ("concurrent streams of 65537", |l| l.concurrent_streams_max = 65_537, |l| l.concurrent_streams_max = 65_536),
            ("header list's bytes of 1023", |l| l.header_list_bytes_max = 1023, |l| l.header_list_bytes_max = 1024),
            ("header fields of 5", |l| l.header_fields_max = 5, |l| l.header_fields_max = 6),
            ("header block's bytes of 0", |l| l.header_block_bytes_max = 0, |l| l.header_block_bytes_max = 1024),
            ("stream window of 0", |l| l.stream_window_bytes = 0, |l| l.stream_window_bytes = 1),
            ("stream window of 2147483648", |l| l.stream_window_bytes = 1 << 31, |l| l.stream_window_bytes = (1 << 31) - 1),
            ("connection window of 0", |l| l.connection_window_bytes = 0, |l| l.connection_window_bytes = 1),
            ("connection window of 4294967295", |l| l.connection_window_bytes = u32::MAX, |l| l.connection_window_bytes = (1 << 31) - 1),
            ("send buffer of 0", |l| l.send_buffer_bytes_max = 0, |l| l.send_buffer_bytes_max = 1),
            ("partial messages' bytes of 0", |l| l.partial_messages_bytes_max = 0, |l| l.partial_messages_bytes_max = 1),
            ("budget of 0 resets", |l| l.resets = Rate { burst: 0, per_second: 9 }, |l| l.resets = Rate { burst: 1, per_second: 0 }),
            ("budget of 1 SETTINGS", |l| l.settings.burst = 1, |l| l.settings.burst = 2),
        ];
        for (text, wrong, right) in cases {
            let mut limits = Limits::default();
            wrong(&mut limits);
            let why = limits.check().expect_err(text);
            assert!(why.contains(text) && why.contains("ask for"), "`{text}` in: {why}");
            let mut limits = Limits::default();
            right(&mut limits);
            assert_eq!(limits.check(), Ok(()), "next to {text}");
        }
    }
}
