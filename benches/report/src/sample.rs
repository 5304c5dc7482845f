//! Runs made by hand, for tests.

use crate::run::{Cell, Extra, Handler, Machine, Measured, Outcome, Plan, Role, Row, Run, Shape, VERSION};

/// A run of three loops on two engines, with floors and ceilings, in the article's shape (`sleep`), without a sleep (`1x100`, `10x10`, `100x1`) and, on
/// request, with file reads (`read`). Every figure is 1 µs or 1,000 /s until it is set.
pub(crate) struct Sample {
    run: Run,
}

impl Sample {
    pub(crate) fn new() -> Self {
        let row = |name: &str, http2: &str, runtime: &str, role| Row {
            id: match role {
                Role::Loopswap => format!("loopswap-{runtime}-{http2}"),
                Role::Floor => format!("floor-{runtime}"),
                Role::Ceiling => format!("ceiling-{runtime}"),
                Role::Stock | Role::Peer => name.replace(' ', "-"),
            },
            name: name.into(),
            http2: http2.into(),
            runtime: runtime.into(),
            role,
            unavailable: None,
        };
        let mut rows = vec![row("stock tonic", "hyper", "tokio current_thread", Role::Stock)];
        for runtime in ["tokio", "tokio-uring", "glommio"] {
            for http2 in ["hyper", "native"] {
                rows.push(row(&format!("loopswap {runtime}"), http2, runtime, Role::Loopswap));
            }
            rows.push(row(&format!("canned floor {runtime}"), "none", runtime, Role::Floor));
            rows.push(row(&format!("timer ceiling {runtime}"), "none", runtime, Role::Ceiling));
        }
        let shape = |id: &str, title: &str, connections, in_flight, handler| Shape {
            id: id.into(),
            title: title.into(),
            connections,
            in_flight,
            handler,
            calls: 10_000,
        };
        let run = Run {
            version: VERSION,
            started: "2026-11-24T09:30:00Z".into(),
            machine: Machine {
                cpu: "2 × <EPYC & co>".into(),
                kernel: "Linux 6.18".into(),
                commit: "abc".into(),
                rustc: "rustc 1.95.0".into(),
                command: "cargo bench --bench loop_swap --".into(),
                server_cpu: Some(0),
                load_cpu: Some(1),
            },
            plan: Plan { client: "a client that checks".into(), rounds: 0, warmup: 100, n_cells: 0 },
            interrupted: false,
            rows,
            shapes: vec![
                shape("sleep", "1 connection × 100, 10 ms sleep", 1, 100, Handler::Sleep(10)),
                shape("1x100", "1 connection × 100, no sleep", 1, 100, Handler::Nothing),
                shape("10x10", "10 connections × 10, no sleep", 10, 100, Handler::Nothing),
                shape("100x1", "100 connections × 1, no sleep", 100, 100, Handler::Nothing),
            ],
            cells: Vec::new(),
            footprints: Vec::new(),
            drives: Vec::new(),
            counts: Vec::new(),
            extras: vec![Extra {
                title: "Start-up, ms".into(),
                note: "From spawn to the first <answer>.".into(),
                columns: vec!["loop".into(), "median".into()],
                rows: vec![vec!["tokio & co".into(), "12.5".into()]],
            }],
        };
        let mut sample = Self { run };
        sample.rounds(3);
        sample
    }

    /// Sets how many rounds there are; every figure is as at first again.
    pub(crate) fn of_rounds(mut self, n: u32) -> Self {
        self.rounds(n);
        self
    }

    /// Adds the file reads.
    pub(crate) fn with_reads(mut self) -> Self {
        let title = "1 connection × 100, 4 KiB read".to_owned();
        self.run.shapes.push(Shape { id: "read".into(), title, connections: 1, in_flight: 100, handler: Handler::Read, calls: 10_000 });
        self.rounds(3);
        self
    }

    /// CPU a call of ours, in µs, in each round, where nothing is slept or read.
    pub(crate) fn cpu(self, runtime: &str, http2: &str, rounds: &[f64]) -> Self {
        let row = format!("loopswap-{runtime}-{http2}");
        ["1x100", "10x10", "100x1"]
            .into_iter()
            .fold(self, |sample, shape| sample.set(&row, shape, rounds, |measured, cpu| measured.cpu_us = Some(cpu)))
    }

    /// CPU a call of ours with file reads.
    pub(crate) fn read_cpu(self, runtime: &str, rounds: &[f64]) -> Self {
        self.set(&format!("loopswap-{runtime}-native"), "read", rounds, |measured, cpu| measured.cpu_us = Some(cpu))
    }

    /// Requests a second of a row in a shape.
    pub(crate) fn rate(self, row: &str, shape: &str, rounds: &[f64]) -> Self {
        self.set(row, shape, rounds, |measured, rate| measured.requests_per_second = rate)
    }

    /// As where this loop cannot run.
    pub(crate) fn without(mut self, runtime: &str) -> Self {
        for row in self.run.rows.iter_mut().filter(|row| row.runtime == runtime) {
            row.unavailable = Some("io_uring is refused; allow it".into());
            self.run.cells.retain(|cell| cell.row != row.id);
        }
        self
    }

    pub(crate) fn run(self) -> Run {
        self.run
    }

    fn set(mut self, row: &str, shape: &str, rounds: &[f64], set: impl Fn(&mut Measured, f64)) -> Self {
        let cells: Vec<_> = self.run.cells.iter_mut().filter(|cell| cell.row == row && cell.shape == shape).collect();
        assert_eq!(cells.len(), rounds.len(), "{row} at {shape}");
        for (cell, value) in cells.into_iter().zip(rounds) {
            let Outcome::Measured(measured) = &mut cell.outcome else { unreachable!("none has failed yet") };
            set(measured, *value);
        }
        self
    }

    fn rounds(&mut self, n: u32) {
        self.run.cells.clear();
        for round in 0..n {
            for row in &self.run.rows {
                for shape in &self.run.shapes {
                    let sleeps = matches!(shape.handler, Handler::Sleep(_));
                    let has = match row.role {
                        Role::Floor => shape.handler == Handler::Nothing,
                        Role::Ceiling => sleeps,
                        _ => true,
                    };
                    if has {
                        let measured = Measured {
                            total_s: 1.0,
                            requests_per_second: 1000.0,
                            fastest_ms: 1.0,
                            average_ms: 2.0,
                            slowest_ms: 9.0,
                            p50_ms: Some(2.0),
                            p90_ms: Some(3.0),
                            p99_ms: Some(5.0),
                            cpu_us: (row.role != Role::Ceiling).then_some(1.0),
                            user_ticks: None,
                            system_ticks: None,
                        };
                        let outcome = Outcome::Measured(measured);
                        self.run.cells.push(Cell { round, row: row.id.clone(), shape: shape.id.clone(), calls: shape.calls, outcome });
                    }
                }
            }
        }
        self.run.plan.rounds = n;
        self.run.plan.n_cells = self.run.cells.len();
    }
}
