//! Figures as people read them. The page's test renders them in the same way: `tests/page/check.py`.

use crate::figures::Spread;

/// Three digits that mean something, thousands set apart: `9,201`, `152`, `15.3`, `0.58`, `0.012`.
pub(crate) fn figure(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude >= 999.5 {
        thousands(value.round() as i64)
    } else if magnitude >= 99.95 {
        format!("{value:.0}")
    } else if magnitude >= 9.995 {
        format!("{value:.1}")
    } else if magnitude >= 0.0995 || value == 0.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.3}")
    }
}

/// A ratio: `1.09`, `0.13`.
pub(crate) fn ratio(value: f64) -> String {
    if value >= 9.995 { figure(value) } else { format!("{value:.2}") }
}

/// The least and the greatest: `9,102 to 9,260`.
pub(crate) fn range(spread: &Spread, show: impl Fn(f64) -> String) -> String {
    format!("{} to {}", show(spread.min), show(spread.max))
}

fn thousands(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).expect("digits")).collect();
    format!("{}{}", if value < 0 { "-" } else { "" }, groups.join(","))
}

/// `one round`, `5 rounds`.
pub(crate) fn rounds(n: usize) -> String {
    if n == 1 { "one round".into() } else { format!("{n} rounds") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits() {
        let shown = [338_772.9, 1_234_567.0, 999.6, 152.4, 99.96, 15.26, 9.999, 0.58, 0.0995, 0.0123, 0.0].map(figure);
        assert_eq!(shown, ["338,773", "1,234,567", "1,000", "152", "100", "15.3", "10.0", "0.58", "0.10", "0.012", "0.00"]);
    }
}
