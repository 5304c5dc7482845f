//! The tables beside those of the shapes: how late the timers are, and what the servers cost beside their calls. The same on every medium.

use crate::clients::beside_h2load;
use crate::counts::instructions;
use crate::figures::{Metric, Spread};
use crate::footprint::{Figure, Held, Upkeep};
use crate::number::{figure, range, ratio};
use crate::run::{Extra, Handler, Role, Row, Run, Shape};
use crate::verdict::Verdict;

/// How the tables are to be read.
const NOTE: &str = "Medians over the rounds, and their range. A ratio is within a round, and is given only where it is beyond noise.";

const MIB: f64 = 1024.0 * 1024.0;

/// All that this run has figures for.
pub(crate) fn extras(run: &Run) -> Vec<Extra> {
    let timers = run.head_shape(|handler| matches!(handler, Handler::Sleep(_))).and_then(|shape| timers(run, shape));
    timers.into_iter().chain(upkeep(run)).chain(workers(run)).chain(instructions(run)).chain(beside_h2load(run)).collect()
}

/// How late each loop's timer is, by the tasks that only sleep.
fn timers(run: &Run, shape: &Shape) -> Option<Extra> {
    let Handler::Sleep(asked_ms) = shape.handler else { return None };
    let rows = run.rows.iter().filter(|row| row.role == Role::Ceiling).filter_map(|row| {
        let late = |metric| run.spread(&row.id, &shape.id, metric).map(|slept| micros(slept, asked_ms.into()));
        Some(vec![row.runtime.clone(), late(Metric::P50)?, late(Metric::P99)?, late(Metric::Slowest)?])
    });
    let rows: Vec<_> = rows.collect();
    let title = format!("How late timers are: µs too long, of {asked_ms} ms");
    let note = format!("{} tasks sleep at once, again and again. Medians over the rounds, and their range.", shape.in_flight);
    let columns = ["loop", "median", "p99", "worst"].map(String::from).to_vec();
    (!rows.is_empty()).then_some(Extra { title, note, columns, rows })
}

/// By how many microseconds a sleep was too long.
fn micros(slept_ms: Spread, asked_ms: f64) -> String {
    let late = |ms: f64| (ms - asked_ms) * 1e3;
    with_range(&Spread { median: late(slept_ms.median), min: late(slept_ms.min), max: late(slept_ms.max), ..slept_ms })
}

/// Start, memory, idle connections, each beside tokio's on the same engine.
fn upkeep(run: &Run) -> Option<Extra> {
    let figures: [Figure; 4] = [
        |of: &Upkeep| Some(of.start_ms),
        |of| Some(of.memory_bytes as f64 / MIB),
        |of| of.idle.as_ref().map(|held| held.bytes_a_connection),
        |of| of.busy.as_ref().map(|held| held.bytes_a_connection),
    ];
    let rows = run.servers_with_footprints().into_iter().map(|row| {
        let mut cells = name(row);
        if run.footprint_failure(&row.id).is_some() {
            cells.push("failed".into());
            cells.resize(1 + 2 * figures.len(), String::new());
            return cells;
        }
        for figure in figures {
            cells.push(run.upkeep(&row.id, 1, figure).map_or(String::new(), |spread| with_range(&spread)));
            let base = run.base_of(row).filter(|base| base.id != row.id);
            cells.push(base.map_or(String::new(), |base| judged(run.upkeep_ratio((&row.id, 1), (&base.id, 1), figure))));
        }
        cells
    });
    let rows: Vec<_> = rows.collect();
    let fewest = |held: fn(&Upkeep) -> &Option<Held>| run.upkeeps().filter_map(|of| held(of).as_ref()).map(|held| held.n_connections).min();
    let n_idle = figure(fewest(|of| &of.idle).unwrap_or(0).into());
    let busy = fewest(|of| &of.busy).map_or(String::new(), |n| format!("; at most for each of {} with a call in flight", figure(n.into())));
    let title = format!("Beside the calls, one worker; memory for each of {n_idle} idle connections after its first call{busy}");
    let words = [
        "server",
        "start to first reply, ms",
        "÷ tokio",
        "memory then, MiB",
        "÷ tokio",
        "bytes an idle connection",
        "÷ tokio",
        "bytes a busy connection, at most",
        "÷ tokio",
    ];
    (!rows.is_empty()).then_some(Extra { title, note: NOTE.into(), columns: words.map(String::from).to_vec(), rows })
}

/// What a second worker costs, where both share a CPU.
fn workers(run: &Run) -> Option<Extra> {
    let figures: [Figure; 3] = [|of: &Upkeep| Some(of.start_ms), |of| Some(of.memory_bytes as f64 / MIB), |of| Some(of.cpu_us)];
    let rows = run.servers_with_footprints().into_iter().filter_map(|row| {
        let mut cells = name(row);
        for figure in figures {
            cells.push(with_range(&run.upkeep(&row.id, 2, figure)?));
            cells.push(judged(run.upkeep_ratio((&row.id, 2), (&row.id, 1), figure)));
        }
        Some(cells)
    });
    let rows: Vec<_> = rows.collect();
    let words = [
        "server",
        "start to first reply, ms",
        "÷ one worker",
        "memory then, MiB",
        "÷ one worker",
        "CPU µs a call, 10 × 10",
        "÷ one worker",
    ];
    let title = "Two workers where one had been, on the same CPU".into();
    (!rows.is_empty()).then_some(Extra { title, note: NOTE.into(), columns: words.map(String::from).to_vec(), rows })
}

fn name(row: &Row) -> Vec<String> {
    vec![format!("{}, {}", row.name, row.http2)]
}

fn with_range(spread: &Spread) -> String {
    if spread.n_rounds == 1 { figure(spread.median) } else { format!("{} ({})", figure(spread.median), range(spread, figure)) }
}

/// A ratio where it is one, and otherwise why none is given.
fn judged(spread: Option<Spread>) -> String {
    let Some(spread) = spread else { return String::new() };
    match Verdict::of_ratio(&spread) {
        Verdict::Greater | Verdict::Less => ratio(spread.median),
        Verdict::Undecided => "within noise".into(),
        Verdict::TooFew => "too few rounds".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::footprint::{Cost, Footprint};
    use crate::sample::Sample;

    fn footprint(round: u32, row: &str, workers: u32, start_ms: f64) -> Footprint {
        let held = |n_connections, each| (workers == 1).then_some(Held { n_connections, bytes_a_connection: start_ms * each });
        let cpu_us = 2.0 + f64::from(round % 2) * 2.0;
        let upkeep = Upkeep { start_ms, memory_bytes: 4 << 20, cpu_us, idle: held(2000, 100.0), busy: held(1000, 500.0) };
        Footprint { round, row: row.into(), workers, outcome: Cost::Measured(upkeep) }
    }

    fn run() -> Run {
        let mut run = Sample::new().run();
        for round in 0..3 {
            let noise = f64::from(round);
            run.footprints.extend([
                footprint(round, "loopswap-tokio-native", 1, 10.0 + noise),
                footprint(round, "loopswap-tokio-native", 2, 20.0 + 2.0 * noise),
                footprint(round, "loopswap-glommio-native", 1, 40.0 + 4.0 * noise),
            ]);
        }
        run
    }

    fn cell<'a>(sheet: &'a Extra, row: &str, column: usize) -> &'a str {
        &sheet.rows.iter().find(|cells| cells[0] == row).unwrap()[column]
    }

    #[test]
    fn a_server_stands_beside_tokio() {
        let sheet = upkeep(&run()).unwrap();
        assert!(
            sheet.title.ends_with("each of 2,000 idle connections after its first call; at most for each of 1,000 with a call in flight"),
            "{}",
            sheet.title
        );
        assert_eq!(cell(&sheet, "loopswap tokio, native", 1), "11.0 (10.0 to 12.0)");
        assert_eq!(cell(&sheet, "loopswap tokio, native", 2), "", "tokio is what the others are compared with");
        assert_eq!(cell(&sheet, "loopswap glommio, native", 2), "4.00");
        assert_eq!(cell(&sheet, "loopswap glommio, native", 4), "within noise", "as much memory");
        assert_eq!(cell(&sheet, "loopswap glommio, native", 5), "4,400 (4,000 to 4,800)");
        assert_eq!(cell(&sheet, "loopswap tokio, native", 7), "5,500 (5,000 to 6,000)");
        let mut earlier = run();
        for footprint in &mut earlier.footprints {
            let Cost::Measured(upkeep) = &mut footprint.outcome else { unreachable!("none failed") };
            upkeep.busy = None;
        }
        assert!(upkeep(&earlier).unwrap().title.ends_with("after its first call"), "an earlier file has no busy ones");
        assert!(sheet.rows.iter().all(|cells| cells.len() == sheet.columns.len()));
    }

    #[test]
    fn noise_and_too_few_rounds_give_no_verdict() {
        let sheet = workers(&run()).unwrap();
        assert_eq!((cell(&sheet, "loopswap tokio, native", 2), cell(&sheet, "loopswap tokio, native", 6)), ("2.00", "within noise"));
        assert!(!sheet.rows.iter().any(|cells| cells[0] == "loopswap glommio, native"), "it was not measured with two");
        let mut run = run();
        run.footprints.retain(|footprint| footprint.round < 2);
        assert_eq!(cell(&workers(&run).unwrap(), "loopswap tokio, native", 2), "too few rounds");
    }

    #[test]
    fn a_failure_is_told() {
        let mut run = run();
        run.footprints[0].outcome = Cost::Failed("it died".into());
        assert_eq!(cell(&upkeep(&run).unwrap(), "loopswap tokio, native", 1), "failed");
        assert!(!workers(&run).unwrap().rows.is_empty(), "two workers did not fail");
    }

    #[test]
    fn timers_are_late_by_what_they_slept_too_long() {
        let slept = Spread { median: 11.12, min: 11.0, max: 11.5, n_rounds: 3 };
        assert_eq!(micros(slept, 10.0), "1,120 (1,000 to 1,500)");
        let sheet = timers(&run(), &run().shapes[0]).unwrap();
        assert_eq!(sheet.rows.len(), run().rows.iter().filter(|row| row.role == Role::Ceiling).count());
    }

    #[test]
    fn footprints_that_do_not_fit_are_refused() {
        let broken = |break_it: &dyn Fn(&mut Run)| {
            let mut run = run();
            break_it(&mut run);
            Run::parse(&run.to_json()).unwrap_err()
        };
        assert_eq!(Run::parse(&run().to_json()).unwrap(), run());
        assert!(broken(&|run| run.footprints[0].row = "nobody".into()).contains("no such row"));
        assert!(broken(&|run| run.footprints.push(run.footprints[0].clone())).contains("twice"));
        assert!(broken(&|run| run.footprints[0] = footprint(0, "loopswap-tokio-native", 1, -1.0)).contains("cannot be measured"));
    }
}
