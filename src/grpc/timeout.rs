//! `grpc-timeout`: PROTOCOL-HTTP2, "Timeout".

use std::time::Duration;

/// The most digits that it may have.
const N_DIGITS_MAX: usize = 8;

/// Up to 8 digits and a unit, nothing else; `None` for all that is not so. The longest is 99,999,999 hours.
pub(crate) fn parse(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > N_DIGITS_MAX || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let n = digits.iter().fold(0, |n, digit| n * 10 + u64::from(digit - b'0'));
    Some(match unit {
        b'H' => Duration::from_secs(n * 3600),
        b'M' => Duration::from_secs(n * 60),
        b'S' => Duration::from_secs(n),
        b'm' => Duration::from_millis(n),
        b'u' => Duration::from_micros(n),
        b'n' => Duration::from_nanos(n),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_has_its_length() {
        for (value, timeout) in [
            ("1H", Duration::from_secs(3600)),
            ("2M", Duration::from_secs(120)),
            ("3S", Duration::from_secs(3)),
            ("4m", Duration::from_millis(4)),
            ("5u", Duration::from_micros(5)),
            ("6n", Duration::from_nanos(6)),
            ("00000000n", Duration::ZERO),
            ("99999999H", Duration::from_secs(99_999_999 * 3600)),
        ] {
            assert_eq!(parse(value.as_bytes()), Some(timeout), "{value}");
        }
    }

    #[test]
    fn nothing_else_is_one() {
        for value in ["", "H", "1", "1s", "1h", "100000000n", "-1S", "+1S", " 1S", "1S ", "1 S", "1.5S", "0x1S", "1SS", "١S"] {
            assert_eq!(parse(value.as_bytes()), None, "{value:?}");
        }
    }
}
