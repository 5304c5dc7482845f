//! When a difference is called one, and when it is left to the noise.

use crate::figures::Spread;

/// Fewer rounds than this give no verdict: two that agree by chance are every second pair.
pub(crate) const ROUNDS_MIN: usize = 3;
/// A smaller step than this is none, however steady: builds of the same source differ by as much.
pub(crate) const STEP_MIN: f64 = 0.03;

/// The rule within a run, for people.
pub(crate) const RULE: &str = "A difference is called one where the ratio lies on the same side of 1 in every round, over at least 3 rounds, and its median is 3 % or more from 1.";
/// The rule between two runs.
pub(crate) const RULE_BETWEEN: &str = "A difference is called one where the ranges of the rounds do not overlap, with at least 3 rounds in both runs, and the medians are 3 % or more apart.";

/// What may be said of a figure beside another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is greater, beyond noise.
    Greater,
    /// It is less, beyond noise.
    Less,
    /// The spread hides whatever there is.
    Undecided,
    /// There are too few rounds to say.
    TooFew,
}

impl Verdict {
    /// By the ratios within the rounds of one run: on the same side of 1 in every round, over at least 3 rounds, by 3 % or more in the median.
    pub fn of_ratio(ratio: &Spread) -> Self {
        match ratio {
            Spread { n_rounds, .. } if *n_rounds < ROUNDS_MIN => Self::TooFew,
            Spread { median, .. } if (median - 1.0).abs() < STEP_MIN => Self::Undecided,
            Spread { min, .. } if *min > 1.0 => Self::Greater,
            Spread { max, .. } if *max < 1.0 => Self::Less,
            _ => Self::Undecided,
        }
    }

    /// A figure of one run beside that of an earlier one: the ranges do not overlap, with at least 3 rounds in both, and the medians are 3 % or more apart.
    pub fn between(earlier: &Spread, later: &Spread) -> Self {
        if earlier.n_rounds.min(later.n_rounds) < ROUNDS_MIN {
            Self::TooFew
        } else if (later.median / earlier.median - 1.0).abs() < STEP_MIN {
            Self::Undecided
        } else if later.min > earlier.max {
            Self::Greater
        } else if later.max < earlier.min {
            Self::Less
        } else {
            Self::Undecided
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Spread {
        Spread::of(values.iter().copied()).unwrap()
    }

    #[test]
    fn a_ratio_counts_when_every_round_agrees() {
        assert_eq!(Verdict::of_ratio(&of(&[1.1, 1.2, 1.05])), Verdict::Greater);
        assert_eq!(Verdict::of_ratio(&of(&[0.9, 0.8, 0.95])), Verdict::Less);
        assert_eq!(Verdict::of_ratio(&of(&[1.1, 1.2, 0.99])), Verdict::Undecided);
        assert_eq!(Verdict::of_ratio(&of(&[1.01, 1.02, 1.03])), Verdict::Undecided, "a step that is none");
        assert_eq!(Verdict::of_ratio(&of(&[2.0, 2.0])), Verdict::TooFew);
    }

    #[test]
    fn runs_differ_where_their_ranges_do_not_meet() {
        let earlier = of(&[10.0, 11.0, 12.0]);
        assert_eq!(Verdict::between(&earlier, &of(&[13.0, 14.0, 15.0])), Verdict::Greater);
        assert_eq!(Verdict::between(&earlier, &of(&[7.0, 8.0, 9.0])), Verdict::Less);
        assert_eq!(Verdict::between(&earlier, &of(&[11.9, 14.0, 15.0])), Verdict::Undecided);
        assert_eq!(Verdict::between(&of(&[1.0, 1.0, 1.0]), &of(&[1.01, 1.01, 1.01])), Verdict::Undecided);
        assert_eq!(Verdict::between(&earlier, &of(&[20.0])), Verdict::TooFew);
    }
}
