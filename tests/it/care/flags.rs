//! Limits as flags: what they say is what clients are told and held to; and what makes no sense is refused before a port is bound.

use super::with;
use crate::raw::*;
use crate::support::refused;

on_every_engine!(with crate::care::flags::alone; settings_say_what_flags_say, streams_beyond_the_flag, messages_beyond_the_flag, fields_beyond_the_flag("hyper: counts no fields"));

/// Each case starts its own server.
fn alone(target: Target, case: impl FnOnce(Target)) {
    case(target);
}

fn settings_say_what_flags_say(target: Target) {
    let flags =
        ["--max-concurrent-streams", "7", "--max-header-list-size", "9KiB", "--stream-window", "128KiB", "--connection-window", "300000"];
    with(target, &flags, &[], |server| {
        let mut connection = server.open();
        connection.greets();
        for expected in
            [(setting::MAX_CONCURRENT_STREAMS, 7), (setting::INITIAL_WINDOW_SIZE, 128 * 1024), (setting::MAX_HEADER_LIST_SIZE, 9 * 1024)]
        {
            assert!(connection.server_settings.contains(&expected), "{expected:?} among {:?}", connection.server_settings);
        }
        // A call was made of it since.
        assert!((299_000..=300_000).contains(&connection.room(0)), "{}", connection.room(0));
    });
}

/// The engine on hyper does not count what hyper refuses by itself.
fn counted_by(target: Target, limit: &'static str) -> Vec<(&'static str, usize)> {
    if target.engine == "native" { vec![(limit, 1)] } else { Vec::new() }
}

fn streams_beyond_the_flag(target: Target) {
    with(target, &["--max-concurrent-streams", "2"], &counted_by(target, "too_many_streams"), |server| {
        let mut connection = server.open();
        let first = connection.hello("first", 1000);
        let second = connection.hello("second", 1000);
        let third = connection.hello("third", 0);
        assert_eq!(connection.response(third).reset, Some(code::REFUSED_STREAM));
        connection.is_greeted(first, "first");
        connection.is_greeted(second, "second");
        connection.greets();
    });
}

fn messages_beyond_the_flag(target: Target) {
    with(target, &["--max-message-size", "1KiB"], &[], |server| {
        let mut connection = server.open();
        let name = "x".repeat(1000);
        let small = connection.hello(&name, 0);
        connection.is_greeted(small, &name);
        let large = connection.hello(&"x".repeat(1030), 0);
        assert_eq!(connection.response(large).grpc(), Some(status::RESOURCE_EXHAUSTED));
        connection.greets();
    });
}

fn fields_beyond_the_flag(target: Target) {
    with(target, &["--max-header-fields", "8"], &counted_by(target, "too_many_header_fields"), |server| {
        let mut connection = server.open();
        // Six of its own.
        let fields = |n| (0..n).fold(Fields::hello(), |fields, i| fields.with(format!("n{i}"), "v"));
        let few = connection.request(&fields(2), &hello("Joe", 0));
        connection.is_greeted(few, "Joe");
        let many = connection.request(&fields(3), &hello("Joe", 0));
        assert_eq!(connection.response(many).grpc(), Some(status::RESOURCE_EXHAUSTED));
        connection.greets();
    });
}

/// Each is told in a line, with what to do, and the exit code of wrong usage.
#[test]
fn what_makes_no_sense_is_refused() {
    let cases: &[(&[&str], &str)] = &[
        (&["--keepalive-time", "0s"], "keepalive time of 0ns"),
        (&["--keepalive-timeout", "10ms"], "ask for 100ms or more"),
        (&["--max-connection-idle", "1ms"], "maximal idle time of 1ms"),
        (&["--max-connection-age", "99years"], "ask for 10 years or less"),
        (&["--max-connection-age-grace", "10s"], "without a maximal age"),
        (&["--max-concurrent-streams", "0"], "concurrent streams of 0"),
        (&["--max-header-list-size", "100"], "ask for 1024 or more"),
        (&["--stream-window", "3GiB"], "more than HTTP/2 has"),
        (&["--max-message-size", "0"], "--max-message-size 0"),
        (&["--max-message-size", "1GiB"], "more than --max-partial-bytes"),
        (&["--max-resets", "0+6/s"], "budget of 0 resets"),
        (&["--stall-timeout", "0s"], "stall timeout of 0 s"),
    ];
    for (flags, text) in cases {
        let said = refused(flags);
        assert!(said.contains(text) && said.lines().count() == 1, "{flags:?}: {said}");
    }
}

/// What cannot be read at all, the parser of the command line tells, with what would do.
#[test]
fn what_cannot_be_read_is_told() {
    let cases: &[(&[&str], &str)] = &[
        (&["--max-connection-age", "never"], "`none` for never"),
        (&["--max-message-size", "4MB"], "as in 64KiB"),
        (&["--max-resets", "200"], "as in 200+6/s"),
        (&["--max-concurrent-streams", "many"], "invalid"),
    ];
    for (flags, text) in cases {
        let said = refused(flags);
        assert!(said.contains(text), "{flags:?}: {said}");
    }
}
