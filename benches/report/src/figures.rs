//! From cells to figures: medians and spreads over the rounds, ratios within each round.

use std::collections::HashSet;

use crate::run::{Handler, Measured, Outcome, Role, Row, Run, Shape};

/// A figure of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Answers a second.
    Rate,
    /// CPU of the server a call, in microseconds.
    Cpu,
    /// Seconds from the first call to the last answer.
    Total,
    /// Latencies, in milliseconds.
    Fastest,
    /// The mean latency.
    Average,
    /// The greatest latency.
    Slowest,
    /// The median latency.
    P50,
    /// As `P50`.
    P90,
    /// As `P50`.
    P99,
}

impl Metric {
    /// This figure, where it was measured.
    pub fn of(self, measured: &Measured) -> Option<f64> {
        match self {
            Self::Rate => Some(measured.requests_per_second),
            Self::Cpu => measured.cpu_us,
            Self::Total => Some(measured.total_s),
            Self::Fastest => Some(measured.fastest_ms),
            Self::Average => Some(measured.average_ms),
            Self::Slowest => Some(measured.slowest_ms),
            Self::P50 => measured.p50_ms,
            Self::P90 => measured.p90_ms,
            Self::P99 => measured.p99_ms,
        }
    }
}

/// A figure over the rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The middle one; the mean of the two middle ones where there are two.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// Over how many rounds.
    pub n_rounds: usize,
}

impl Spread {
    /// Of these values; `None` of none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
        Some(Self { median, min, max, n_rounds: values.len() })
    }
}

/// Where the CPU time of a call went, in microseconds, as far as it was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Split {
    pub(crate) kernel: f64,
    pub(crate) user: f64,
}

/// Fewer ticks than this split nothing: one of a hundred is 1 %, and sampling errs by some.
const TICKS_MIN: u64 = 50;

impl Run {
    /// What went wrong with a row in a shape, in any round.
    pub fn failure<'a>(&'a self, row: &'a str, shape: &'a str) -> Option<&'a str> {
        self.cells_of(row, shape).find_map(|(_, outcome)| match outcome {
            Outcome::Failed(why) => Some(why.as_str()),
            Outcome::Measured(_) => None,
        })
    }

    /// Whether a row was tried in a shape.
    pub fn has(&self, row: &str, shape: &str) -> bool {
        self.cells_of(row, shape).next().is_some()
    }

    /// A figure of a row in a shape; `None` where it was not measured or failed in any round.
    pub fn spread(&self, row: &str, shape: &str, metric: Metric) -> Option<Spread> {
        if self.failure(row, shape).is_some() {
            return None;
        }
        Spread::of(self.measured(row, shape).filter_map(|(_, measured)| metric.of(measured)))
    }

    /// A figure of a row by that of another row in the same round; over the rounds that have both.
    pub fn ratio(&self, row: &str, to: &str, shape: &str, metric: Metric) -> Option<Spread> {
        if self.failure(row, shape).or(self.failure(to, shape)).is_some() {
            return None;
        }
        Spread::of(self.measured(row, shape).filter_map(|(round, measured)| {
            let (_, other) = self.measured(to, shape).find(|(of, _)| *of == round)?;
            Some(metric.of(measured)? / metric.of(other)?).filter(|ratio| ratio.is_finite())
        }))
    }

    /// Rounds of which anything was measured: fewer than planned where the run was interrupted.
    pub fn n_rounds(&self) -> usize {
        self.cells.iter().map(|cell| cell.round).collect::<HashSet<_>>().len()
    }

    /// The noise of the run: by what factor CPU a call differs between the rounds of a control, which is a floor or stock tonic; over all of them.
    pub(crate) fn noise(&self) -> Option<Spread> {
        let controls = self.rows.iter().filter(|row| matches!(row.role, Role::Floor | Role::Stock));
        let of = |row: &Row| {
            let spreads = self.shapes.iter().filter_map(|shape| self.spread(&row.id, &shape.id, Metric::Cpu));
            spreads.filter(|cpu| cpu.n_rounds > 1 && cpu.min > 0.0).map(|cpu| cpu.max / cpu.min).collect::<Vec<_>>()
        };
        Spread::of(controls.flat_map(of))
    }

    /// CPU in the kernel and in user mode, by the ticks of all rounds; `None` where they are too few to say.
    pub(crate) fn split(&self, row: &str, shape: &str) -> Option<Split> {
        let cpu = self.spread(row, shape, Metric::Cpu)?.median;
        let (mut user, mut system) = (0, 0);
        for (_, measured) in self.measured(row, shape) {
            user += measured.user_ticks?;
            system += measured.system_ticks?;
        }
        if user + system < TICKS_MIN {
            return None;
        }
        let share = user as f64 / (user + system) as f64;
        Some(Split { user: cpu * share, kernel: cpu * (1.0 - share) })
    }

    /// The row that the loops are compared with: ours on tokio, on the same engine.
    pub(crate) fn base_of(&self, row: &Row) -> Option<&Row> {
        match row.role {
            Role::Loopswap => self.ours("tokio", &row.http2),
            Role::Floor | Role::Ceiling => self.rows.iter().find(|other| other.role == row.role && other.runtime == "tokio"),
            Role::Stock | Role::Peer => None,
        }
    }

    /// Our server on this loop with this engine.
    pub(crate) fn ours(&self, runtime: &str, http2: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.role == Role::Loopswap && row.runtime == runtime && row.http2 == http2)
    }

    /// The floor or the ceiling of the loop under a row. All peers wait on epoll, as tokio does; its timer bounds those that run on tokio.
    pub(crate) fn bound_of(&self, row: &Row, role: Role) -> Option<&Row> {
        let runtime = match row.role {
            Role::Stock => "tokio",
            Role::Peer if role == Role::Floor || row.runtime.starts_with("tokio") => "tokio",
            _ => &row.runtime,
        };
        self.rows.iter().find(|other| other.role == role && other.runtime == runtime)
    }

    /// tonic as it comes.
    pub(crate) fn stock(&self) -> Option<&Row> {
        self.rows.iter().find(|row| row.role == Role::Stock)
    }

    /// The shape of this kind with the largest batches: one connection if there is one, the most calls in flight.
    pub(crate) fn head_shape(&self, is: impl Fn(Handler) -> bool) -> Option<&Shape> {
        let of_kind = self.shapes.iter().filter(|shape| is(shape.handler));
        of_kind.min_by_key(|shape| (shape.connections, std::cmp::Reverse(shape.in_flight)))
    }

    /// The article's shape: one connection, and a sleep.
    pub(crate) fn article_shape(&self) -> Option<&Shape> {
        self.head_shape(|handler| matches!(handler, Handler::Sleep(_)))
    }

    fn cells_of<'a>(&'a self, row: &'a str, shape: &'a str) -> impl Iterator<Item = (u32, &'a Outcome)> {
        self.cells.iter().filter(move |cell| cell.row == row && cell.shape == shape).map(|cell| (cell.round, &cell.outcome))
    }

    fn measured<'a>(&'a self, row: &'a str, shape: &'a str) -> impl Iterator<Item = (u32, &'a Measured)> {
        self.cells_of(row, shape).filter_map(|(round, outcome)| match outcome {
            Outcome::Measured(measured) => Some((round, measured)),
            Outcome::Failed(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;

    #[test]
    fn medians_of_odd_and_even_counts() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Some(Spread { median: 2.0, min: 1.0, max: 3.0, n_rounds: 3 }));
        assert_eq!(Spread::of([4.0, 1.0]).unwrap().median, 2.5);
        assert_eq!(Spread::of([]), None);
    }

    /// Whole rounds shift: a ratio of medians would show 1.
    #[test]
    fn ratios_are_within_a_round() {
        let run = Sample::new().cpu("glommio", "native", &[2.0, 20.0, 4.0]).cpu("tokio", "native", &[1.0, 10.0, 4.0]).run();
        let ratio = run.ratio("loopswap-glommio-native", "loopswap-tokio-native", "1x100", Metric::Cpu).unwrap();
        assert_eq!(ratio, Spread { median: 2.0, min: 1.0, max: 2.0, n_rounds: 3 });
    }

    #[test]
    fn a_peer_is_held_against_the_floor_on_tokio_and_the_timer_it_has() {
        let mut run = Sample::new().run();
        let peer = |runtime: &str| Row {
            id: runtime.into(),
            name: runtime.into(),
            http2: "its own".into(),
            runtime: runtime.into(),
            role: Role::Peer,
            unavailable: None,
        };
        run.rows.extend([peer("tokio multi_thread"), peer("uvloop")]);
        let bound = |id: &str, role| run.bound_of(run.rows.iter().find(|row| row.id == id).unwrap(), role).map(|row| row.id.as_str());
        assert_eq!(bound("tokio multi_thread", Role::Floor), Some("floor-tokio"));
        assert_eq!(bound("tokio multi_thread", Role::Ceiling), Some("ceiling-tokio"));
        assert_eq!(bound("uvloop", Role::Floor), Some("floor-tokio"));
        assert_eq!(bound("uvloop", Role::Ceiling), None);
    }

    #[test]
    fn a_row_that_failed_once_has_no_figure() {
        let mut run = Sample::new().run();
        let cell = run.cells.iter_mut().find(|cell| cell.row == "loopswap-tokio-native" && cell.shape == "1x100").unwrap();
        cell.outcome = Outcome::Failed("it died".into());
        assert_eq!(run.failure("loopswap-tokio-native", "1x100"), Some("it died"));
        assert_eq!(run.spread("loopswap-tokio-native", "1x100", Metric::Cpu), None);
        assert_eq!(run.ratio("loopswap-glommio-native", "loopswap-tokio-native", "1x100", Metric::Cpu), None);
        assert!(!run.all_worked());
    }

    #[test]
    fn rounds_are_counted_as_measured() {
        let mut run = Sample::new().run();
        run.plan.rounds = 20;
        assert_eq!(run.n_rounds(), 3);
    }

    #[test]
    fn noise_is_what_the_controls_differ_by() {
        let mut run = Sample::new().cpu("tokio", "native", &[1.0, 9.0, 1.0]).run();
        assert_eq!(run.noise().unwrap().max, 1.0, "our own rows are no controls");
        let Outcome::Measured(measured) = &mut run.cells.iter_mut().find(|cell| cell.row == "floor-tokio").unwrap().outcome else {
            unreachable!()
        };
        measured.cpu_us = Some(1.5);
        assert_eq!(run.noise(), Some(Spread { median: 1.0, min: 1.0, max: 1.5, n_rounds: 13 }));
        assert_eq!(Sample::new().of_rounds(1).run().noise(), None);
    }

    #[test]
    fn cpu_is_split_by_ticks_where_they_suffice() {
        let with_ticks = |user, system| {
            let mut run = Sample::new().cpu("tokio", "native", &[2.0, 2.0, 2.0]).run();
            for cell in run.cells.iter_mut().filter(|cell| cell.row == "loopswap-tokio-native") {
                let Outcome::Measured(measured) = &mut cell.outcome else { unreachable!() };
                (measured.user_ticks, measured.system_ticks) = (Some(user), Some(system));
            }
            run.split("loopswap-tokio-native", "1x100")
        };
        assert_eq!(with_ticks(75, 25), Some(Split { kernel: 0.5, user: 1.5 }));
        assert_eq!(with_ticks(3, 1), None);
    }
}
