//! What a server holds, sampled each second, and whether it grows.

use std::fmt;

/// What a server holds at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sample {
    pub(crate) rss_kib: f64,
    pub(crate) n_fds: f64,
    pub(crate) n_tasks: f64,
}

/// A gauge over the second half of the soak.
pub(crate) struct Trend {
    name: &'static str,
    mean: f64,
    max: f64,
    /// By the line of least squares, from the half's first sample to its last.
    growth: f64,
    allowed: f64,
}

impl Trend {
    /// Of the gauge in these samples, the older half of which is left out: pools and tables fill, allocators settle.
    fn of(name: &'static str, samples: &[Sample], gauge: impl Fn(&Sample) -> f64, allowed: impl Fn(f64) -> f64) -> Self {
        let values: Vec<f64> = samples[samples.len() / 2..].iter().map(gauge).collect();
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let middle = (n - 1.0) / 2.0;
        let (mut covariance, mut variance) = (0.0, 0.0);
        for (at, value) in values.iter().enumerate() {
            let at = at as f64 - middle;
            covariance += at * (value - mean);
            variance += at * at;
        }
        let slope = if variance > 0.0 { covariance / variance } else { 0.0 };
        Self { name, mean, max: values.iter().copied().fold(0.0, f64::max), growth: slope * (n - 1.0), allowed: allowed(mean) }
    }

    /// All gauges. Memory may waver by a twentieth, and by 2 MiB in a small process; descriptors and tasks by those of the calls that are under way at one end
    /// of the half and not at the other.
    pub(crate) fn all(samples: &[Sample]) -> [Self; 3] {
        [
            Self::of("resident KiB", samples, |sample| sample.rss_kib, |mean| (mean / 20.0).max(2048.0)),
            Self::of("descriptors", samples, |sample| sample.n_fds, |mean| (mean / 5.0).max(4.0)),
            Self::of("tasks", samples, |sample| sample.n_tasks, |mean| (mean / 5.0).max(4.0)),
        ]
    }

    pub(crate) fn is_flat(&self) -> bool {
        self.growth <= self.allowed
    }
}

impl fmt::Display for Trend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, mean, max, growth, allowed } = self;
        let verdict = if self.is_flat() { "flat" } else { "GROWS" };
        write!(f, "{verdict:5} {name:12} mean {mean:9.1}  most {max:9.1}  growth {growth:+8.1} of {allowed:.1} allowed")
    }
}
