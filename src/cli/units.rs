//! How flags write times, sizes, rates, and whether.

use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::http2::Rate;

/// `25s`, `500ms`, `1m 30s`.
pub(super) fn duration(text: &str) -> Result<Duration, humantime::DurationError> {
    humantime::parse_duration(text)
}

/// A time that may be missing: `none` for never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OrNone(pub(super) Option<Duration>);

/// A [`duration`], or `none`.
pub(super) fn duration_or_none(text: &str) -> Result<OrNone, String> {
    if text == "none" {
        return Ok(OrNone(None));
    }
    let time = duration(text).map_err(|error| format!("{error}; write a time, as in 30s or 2h, or `none` for never"))?;
    Ok(OrNone(Some(time)))
}

/// `4MiB`, `64KiB`, `1000`: bytes.
pub(super) fn bytes<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    const UNITS: [(&str, u64); 4] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("", 1)];
    let found = UNITS.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?.trim_end(), *factor)));
    let (number, factor) = found.unwrap_or((text, 1));
    let number: u64 = number.parse().map_err(|_| "that is no size; write bytes, as in 65536, or KiB, MiB, GiB, as in 64KiB".to_owned())?;
    let n_bytes = number.checked_mul(factor).and_then(|n_bytes| T::try_from(n_bytes).ok());
    n_bytes.ok_or_else(|| "that is more than can be counted".to_owned())
}

/// `200+6/s`: so many at once, and so many more each second.
pub(super) fn rate(text: &str) -> Result<Rate, String> {
    let parts = text.strip_suffix("/s").and_then(|rest| rest.split_once('+'));
    let rate = parts.and_then(|(burst, per_second)| Some(Rate { burst: burst.parse().ok()?, per_second: per_second.parse().ok()? }));
    rate.ok_or_else(|| "that is no rate; write how many at once and how many more each second, as in 200+6/s".to_owned())
}

/// `on` or `off`: of what is on by default.
pub(super) fn on_or_off() -> impl TypedValueParser<Value = bool> {
    PossibleValuesParser::new(["on", "off"]).map(|word| word == "on")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, n_bytes) in [("0", 0), ("1000", 1000), ("64KiB", 65_536), ("4 MiB", 4_194_304), ("1GiB", 1_073_741_824)] {
            assert_eq!(bytes::<u64>(text), Ok(n_bytes), "{text}");
        }
        for text in ["", "KiB", "4MB", "-1", "1.5KiB", "much"] {
            assert!(bytes::<u64>(text).is_err_and(|why| why.contains("64KiB")), "{text}");
        }
        assert!(bytes::<u32>("4GiB").is_err() && bytes::<u64>("99999999999999999999").is_err());
    }

    #[test]
    fn times_that_may_be_missing() {
        assert_eq!(duration_or_none("none"), Ok(OrNone(None)));
        assert_eq!(duration_or_none("1m 30s"), Ok(OrNone(Some(Duration::from_secs(90)))));
        assert!(duration_or_none("never").is_err_and(|why| why.contains("`none`")));
    }

    #[test]
    fn rates() {
        assert_eq!(rate("200+6/s"), Ok(Rate { burst: 200, per_second: 6 }));
        for text in ["200", "200/s", "6+/s", "+6/s", "200+6"] {
            assert!(rate(text).is_err_and(|why| why.contains("200+6/s")), "{text}");
        }
    }
}
