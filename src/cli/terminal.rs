//! What all commands have in common towards a terminal: colour, errors, and readers that have gone.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

/// What failed.
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
/// What went well.
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
/// A heading.
pub(super) const HEADING: Style = Style::new().bold();
/// A bar of a chart.
pub(super) const BAR: Style = AnsiColor::Cyan.on_default();

/// Whether what is written there may have colour: it is a terminal, and NO_COLOR is unset or empty (no-color.org).
pub(super) fn coloured(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The style, or none where colour is unwanted.
pub(super) fn styled(style: Style, coloured: bool) -> Style {
    if coloured { style } else { Style::new() }
}

/// Writes to standard output. A reader that has gone wants no more, which is no error.
pub(super) fn print(text: impl Display) {
    let _ = write!(io::stdout().lock(), "{text}");
}

/// Writes a value to standard output, as JSON in one line.
pub(super) fn print_json(value: &impl Serialize) {
    print(format_args!("{}\n", serde_json::to_string(value).expect("keys are strings, and nothing fails to serialise")));
}

/// An error in one line, on standard error, as clap prints its own; and the exit code.
pub(super) fn fail(error: impl Display, code: u8) -> ExitCode {
    let style = styled(BAD, coloured(&io::stderr()));
    eprintln!("{style}error:{style:#} {error}");
    ExitCode::from(code)
}
