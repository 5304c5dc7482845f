//! Figures as text: Prometheus' own format, and OpenMetrics, which differs in how a family of counters is announced and how the text ends.

use std::fmt::{self, Write as _};

use tonic::Code;

/// How metrics are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TextFormat {
    /// Prometheus' text format, version 0.0.4.
    Prometheus,
    /// OpenMetrics, version 1.0.0.
    OpenMetrics,
}

impl TextFormat {
    /// The one that a client asks for with this `accept` field: OpenMetrics for those who know it, else Prometheus' text, which everyone reads.
    pub fn accepted(accept: &str) -> Self {
        let is_refused = |parameters: &str| parameters.split(';').any(|parameter| matches!(parameter.trim(), "q=0" | "q=0.0"));
        let knows = accept.split(',').any(|choice| {
            let (kind, parameters) = choice.split_once(';').unwrap_or((choice, ""));
            kind.trim().eq_ignore_ascii_case("application/openmetrics-text") && !is_refused(parameters)
        });
        if knows { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// Its `content-type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// What a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// Its name is given without `_total`, which its samples have.
    Counter,
    Gauge,
    Histogram,
}

/// A text that is being written.
pub(super) struct Text {
    format: TextFormat,
    text: String,
}

/// Labels, in the order in which they are written.
pub(super) type Labels<'a> = &'a [(&'a str, &'a dyn fmt::Display)];

impl Text {
    pub(super) fn new(format: TextFormat) -> Self {
        Self { format, text: String::new() }
    }

    /// Begins a family: its samples follow, before the next one's.
    pub(super) fn family(&mut self, name: &str, kind: Type, help: &str) {
        let (word, suffix) = match (kind, self.format) {
            (Type::Counter, TextFormat::Prometheus) => ("counter", "_total"),
            (Type::Counter, TextFormat::OpenMetrics) => ("counter", ""),
            (Type::Gauge, _) => ("gauge", ""),
            (Type::Histogram, _) => ("histogram", ""),
        };
        let _ = write!(self.text, "# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {word}\n");
    }

    /// A sample. `name` is its own, suffix included.
    pub(super) fn sample(&mut self, name: &str, labels: Labels<'_>, value: impl fmt::Display) {
        self.text.push_str(name);
        for (place, (label, value)) in labels.iter().enumerate() {
            self.text.push(if place == 0 { '{' } else { ',' });
            let _ = write!(self.text, "{label}=\"");
            let _ = write!(Escaped(&mut self.text), "{value}");
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }

    /// The whole of it.
    pub(super) fn finish(mut self) -> String {
        if self.format == TextFormat::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

/// A label's value: backslash, quote and line feed are escaped, in both formats.
struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '\\' => self.0.push_str("\\\\"),
                '"' => self.0.push_str("\\\""),
                '\n' => self.0.push_str("\\n"),
                other => self.0.push(other),
            }
        }
        Ok(())
    }
}

/// A status code as the metrics of gRPC's servers have it: by Go's names, which dashboards and alerts are written for.
pub(super) fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "Canceled",
        Code::Unknown => "Unknown",
        Code::InvalidArgument => "InvalidArgument",
        Code::DeadlineExceeded => "DeadlineExceeded",
        Code::NotFound => "NotFound",
        Code::AlreadyExists => "AlreadyExists",
        Code::PermissionDenied => "PermissionDenied",
        Code::ResourceExhausted => "ResourceExhausted",
        Code::FailedPrecondition => "FailedPrecondition",
        Code::Aborted => "Aborted",
        Code::OutOfRange => "OutOfRange",
        Code::Unimplemented => "Unimplemented",
        Code::Internal => "Internal",
        Code::Unavailable => "Unavailable",
        Code::DataLoss => "DataLoss",
        Code::Unauthenticated => "Unauthenticated",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formats_differ_in_counters_and_in_the_end() {
        let write = |format| {
            let mut text = Text::new(format);
            text.family("calls", Type::Counter, "Calls.");
            text.sample("calls_total", &[("method", &"a\"b\\c\nd"), ("worker", &0)], 3);
            text.family("open", Type::Gauge, "Open.");
            text.sample("open", &[], 0.5);
            text.finish()
        };
        let samples =
            ["calls_total{method=\"a\\\"b\\\\c\\nd\",worker=\"0\"} 3\n", "# HELP open Open.\n# TYPE open gauge\nopen 0.5\n"].concat();
        assert_eq!(write(TextFormat::Prometheus), format!("# HELP calls_total Calls.\n# TYPE calls_total counter\n{samples}"));
        assert_eq!(write(TextFormat::OpenMetrics), format!("# HELP calls Calls.\n# TYPE calls counter\n{samples}# EOF\n"));
    }

    #[test]
    fn who_knows_openmetrics_gets_it() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, format) in [
            (prometheus, TextFormat::OpenMetrics),
            ("application/openmetrics-text", TextFormat::OpenMetrics),
            ("text/plain, application/openmetrics-text;q=0", TextFormat::Prometheus),
            ("*/*", TextFormat::Prometheus),
            ("", TextFormat::Prometheus),
        ] {
            assert_eq!(TextFormat::accepted(accept), format, "{accept}");
        }
    }

    #[test]
    fn every_code_has_a_name() {
        for n in 0..crate::observe::counts::N_CODES as i32 {
            assert_eq!(Code::from(n) as i32, n);
            assert!(!code_name(Code::from(n)).is_empty());
        }
    }
}
