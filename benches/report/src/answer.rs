//! The run in three sentences: what the loop buys, what the engine buys, and what the handler's own waiting decides.
//!
//! They follow from the data alone: each figure is a ratio within the rounds with its range, each word of it a [`Verdict`], and where there is none
//! to give, the sentence says why. No sentence is a judgement of ours.

use crate::figures::{Metric, Spread};
use crate::number::{figure, range, ratio, rounds};
use crate::run::{Handler, Role, Row, Run, Shape};
use crate::verdict::Verdict;

/// The three sentences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What swapping the loop buys under unchanged code.
    pub the_loop: String,
    /// What swapping the HTTP/2 engine buys under an unchanged loop.
    pub the_engine: String,
    /// What the timer decides, and what the handler's own file I/O decides.
    pub the_wait: String,
}

impl Answer {
    /// The sentences with what each is about.
    pub fn parts(&self) -> [(&'static str, &str); 3] {
        [("What the loop buys", &self.the_loop), ("What the engine buys", &self.the_engine), ("What the wait decides", &self.the_wait)]
    }
}

/// The engine that the loops are compared on, where it was measured: the one that hides them least.
const LEAN: &str = "native";

/// The sentences of a run.
pub fn answer(run: &Run) -> Answer {
    Answer { the_loop: the_loop(run), the_engine: the_engine(run), the_wait: the_wait(run) }
}

fn the_loop(run: &Run) -> String {
    let mut parts = Vec::new();
    if let Some(shape) = run.article_shape() {
        parts.push(format!("in the article's shape ({}) {}", shape.title, loops_at(run, shape, Metric::Rate)));
    }
    if let Some(shape) = run.head_shape(|handler| handler == Handler::Nothing) {
        parts.push(format!("where the handler does nothing ({}) {}", shape.title, loops_at(run, shape, Metric::Cpu)));
    }
    match parts.is_empty() {
        true => "This run has no load that compares the loops.".into(),
        false => format!(
            "Under unchanged service code on the {} engine, by medians and ranges of {}, {}.",
            engine(run),
            rounds(run.n_rounds()),
            parts.join("; ")
        ),
    }
}

fn the_engine(run: &Run) -> String {
    let Some(shape) = run.head_shape(|handler| handler == Handler::Nothing) else {
        return "This run has no load that compares the engines.".into();
    };
    let runtimes = runtimes(run);
    let steps: Vec<_> = runtimes.iter().filter_map(|runtime| Some((*runtime, engine_ratio(run, runtime, shape)?))).collect();
    if steps.is_empty() {
        return format!("No loop was measured on both engines ({}), so nothing can be said of them.", shape.title);
    }
    let on: Vec<_> = steps.iter().map(|(runtime, step)| format!("on {runtime} {}", of_engine(step))).collect();
    let said = format!("On an unchanged loop ({}), {LEAN} HTTP/2 takes, by the CPU a call of hyper's, {}", shape.title, list(&on));
    let of_loop = runtimes.iter().filter_map(|runtime| loop_ratio(run, runtime, shape, Metric::Cpu)).filter(decided);
    let Some((_, engine)) = steps.iter().filter(|(_, step)| decided(step)).max_by(|(_, a), (_, b)| size(a).total_cmp(&size(b))) else {
        return format!("{said}.");
    };
    match of_loop.max_by(|a, b| size(a).total_cmp(&size(b))) {
        None => format!("{said}; no loop makes a step beyond noise there."),
        Some(of_loop) => {
            let word = if size(engine) > size(&of_loop) { "more than" } else { "no more than" };
            format!("{said}: {word} the largest step beyond noise of a loop there, {} ×.", ratio(of_loop.median))
        }
    }
}

fn the_wait(run: &Run) -> String {
    format!("{}; {}.", the_timer(run), the_files(run))
}

fn the_timer(run: &Run) -> String {
    let Some(shape) = run.article_shape() else { return "What the timer decides was not measured".into() };
    let bound = |runtime: &str| run.rows.iter().find(|row| row.role == Role::Ceiling && row.runtime == runtime);
    let Some((tokio, sleeps)) = bound("tokio").and_then(|row| Some((row, run.spread(&row.id, &shape.id, Metric::Rate)?))) else {
        return "What the timer decides was not measured".into();
    };
    let others = others(run).into_iter().filter_map(|runtime| {
        let step = run.ratio(&bound(runtime)?.id, &tokio.id, &shape.id, Metric::Rate)?;
        Some(format!("{runtime}'s {}", compared(&step, "as often", "less often", "as often, within noise")))
    });
    let shares = runtimes(run).into_iter().filter_map(|runtime| {
        let share = run.ratio(&run.ours(runtime, engine(run))?.id, &bound(runtime)?.id, &shape.id, Metric::Rate)?;
        Some((runtime, share.median))
    });
    let shares: Vec<_> = shares.map(|(runtime, share)| format!("{runtime} {:.0} %", share * 100.0)).collect();
    let others: Vec<_> = others.collect();
    let others = if others.is_empty() { String::new() } else { format!(", {}", list(&others)) };
    let shares = if shares.is_empty() {
        String::new()
    } else {
        format!(", and of what its own timer allows the server reaches on {}", list(&shares))
    };
    format!(
        "The timer bounds the sleep: tokio's lets {} tasks sleep {} times a second{others}{shares}",
        shape.in_flight,
        figure(sleeps.median)
    )
}

fn the_files(run: &Run) -> String {
    let of = |handler, name: &str| {
        let shape = run.head_shape(|of| of == handler)?;
        Some(format!("where the handler {name} ({}) {}", shape.title, loops_at(run, shape, Metric::Cpu)))
    };
    let parts: Vec<_> = [of(Handler::Read, "reads a file"), of(Handler::Append, "writes a file")].into_iter().flatten().collect();
    if parts.is_empty() { "what the handler's own file I/O decides was not measured in this run".into() } else { parts.join("; ") }
}

/// What each loop is beside tokio in a shape.
fn loops_at(run: &Run, shape: &Shape, metric: Metric) -> String {
    let Some(base) = run.ours("tokio", engine(run)).filter(|base| run.spread(&base.id, &shape.id, metric).is_some()) else {
        return "nothing can be said: tokio, which the loops are compared with, gave no figure".into();
    };
    let others: Vec<_> = others(run).into_iter().map(|runtime| one_loop(run, base, runtime, shape, metric)).collect();
    if others.is_empty() { "tokio alone was measured".into() } else { list(&others) }
}

fn one_loop(run: &Run, base: &Row, runtime: &str, shape: &Shape, metric: Metric) -> String {
    let Some(row) = run.ours(runtime, &base.http2) else { return format!("{runtime} was not measured") };
    if row.unavailable.is_some() {
        return format!("{runtime} cannot run here");
    }
    if run.failure(&row.id, &shape.id).is_some() {
        return format!("{runtime} failed");
    }
    let Some(step) = run.ratio(&row.id, &base.id, &shape.id, metric) else { return format!("{runtime} was not measured") };
    let (of_what, wins) = match metric {
        Metric::Cpu => ("CPU a call", Verdict::Less),
        _ => ("requests a second", Verdict::Greater),
    };
    let times = format!("{} × its {of_what}, {}", ratio(step.median), range(&step, ratio));
    match Verdict::of_ratio(&step) {
        Verdict::TooFew => format!("{runtime} shows {times} against tokio in {}, too few for a verdict", rounds(step.n_rounds)),
        Verdict::Undecided => format!("{runtime} and tokio cannot be told apart ({times})"),
        verdict if verdict == wins => format!("{runtime} beats tokio ({times})"),
        _ => format!("{runtime} loses to tokio ({times})"),
    }
}

fn of_engine(step: &Spread) -> String {
    let times = format!("{} × ({}", ratio(step.median), range(step, ratio));
    match Verdict::of_ratio(step) {
        Verdict::TooFew => format!("{times} in {}, too few for a verdict)", rounds(step.n_rounds)),
        Verdict::Undecided => format!("{times}: no difference beyond noise)"),
        Verdict::Greater | Verdict::Less => format!("{times})"),
    }
}

/// `1.10 × as often`, or that the noise hides it.
fn compared(step: &Spread, more: &str, less: &str, same: &str) -> String {
    match Verdict::of_ratio(step) {
        Verdict::Greater => format!("{} × {more}", ratio(step.median)),
        Verdict::Less => format!("{} × {less}", ratio(1.0 / step.median)),
        Verdict::Undecided => same.into(),
        Verdict::TooFew => format!("{} × {more} in {}, too few for a verdict", ratio(step.median), rounds(step.n_rounds)),
    }
}

fn engine_ratio(run: &Run, runtime: &str, shape: &Shape) -> Option<Spread> {
    let lean = run.ours(runtime, LEAN)?;
    let other = run.rows.iter().find(|row| row.role == Role::Loopswap && row.runtime == runtime && row.http2 != LEAN)?;
    run.ratio(&lean.id, &other.id, &shape.id, Metric::Cpu)
}

fn loop_ratio(run: &Run, runtime: &str, shape: &Shape, metric: Metric) -> Option<Spread> {
    let base = run.ours("tokio", engine(run)).filter(|base| base.runtime != runtime)?;
    run.ratio(&run.ours(runtime, engine(run))?.id, &base.id, &shape.id, metric)
}

fn decided(step: &Spread) -> bool {
    matches!(Verdict::of_ratio(step), Verdict::Greater | Verdict::Less)
}

/// How far a ratio is from 1, in either direction.
fn size(step: &Spread) -> f64 {
    step.median.ln().abs()
}

/// The engine on which the loops are compared.
fn engine(run: &Run) -> &str {
    let ours = run.rows.iter().filter(|row| row.role == Role::Loopswap);
    ours.min_by_key(|row| row.http2 != LEAN).map_or(LEAN, |row| &row.http2)
}

/// Our loops, in the order of the rows.
fn runtimes(run: &Run) -> Vec<&str> {
    let mut runtimes = Vec::new();
    for row in run.rows.iter().filter(|row| row.role == Role::Loopswap) {
        if !runtimes.contains(&row.runtime.as_str()) {
            runtimes.push(&row.runtime);
        }
    }
    runtimes
}

fn others(run: &Run) -> Vec<&str> {
    runtimes(run).into_iter().filter(|runtime| *runtime != "tokio").collect()
}

/// `a, b and c`.
fn list(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [init @ .., last] => format!("{} and {last}", init.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Outcome;
    use crate::sample::Sample;

    const GLOMMIO: &str = "loopswap-glommio-native";

    #[test]
    fn glommio_wins() {
        let run = Sample::new().cpu("glommio", "native", &[0.5, 0.6, 0.7]).rate(GLOMMIO, "sleep", &[1090.0, 1100.0, 1080.0]).run();
        let said = answer(&run).the_loop;
        assert!(
            said.contains("10 ms sleep) tokio-uring and tokio cannot be told apart (1.00 × its requests a second, 1.00 to 1.00) and "),
            "{said}"
        );
        assert!(said.contains("glommio beats tokio (1.09 × its requests a second, 1.08 to 1.10);"), "{said}");
        assert!(said.ends_with("glommio beats tokio (0.60 × its CPU a call, 0.50 to 0.70)."), "{said}");
        assert!(
            said.starts_with(
                "Under unchanged service code on the native engine, by medians and ranges of 3 rounds, in the article's shape"
            ),
            "{said}"
        );
    }

    #[test]
    fn glommio_loses() {
        let run = Sample::new().cpu("glommio", "native", &[1.5, 1.6, 1.7]).rate(GLOMMIO, "sleep", &[890.0, 900.0, 880.0]).run();
        let said = answer(&run).the_loop;
        assert!(said.contains("glommio loses to tokio (0.89 × its requests a second, 0.88 to 0.90)"), "{said}");
        assert!(said.contains("glommio loses to tokio (1.60 × its CPU a call, 1.50 to 1.70)"), "{said}");
        assert!(!said.contains("beats"), "{said}");
    }

    /// The medians differ by far, and one round contradicts.
    #[test]
    fn glommio_ties_where_the_spread_hides_it() {
        let run = Sample::new().cpu("glommio", "native", &[1.5, 0.9, 1.7]).rate(GLOMMIO, "sleep", &[1200.0, 1300.0, 990.0]).run();
        let said = answer(&run).the_loop;
        assert!(said.contains("glommio and tokio cannot be told apart (1.50 × its CPU a call, 0.90 to 1.70)"), "{said}");
        assert!(said.contains("glommio and tokio cannot be told apart (1.20 × its requests a second"), "{said}");
        assert!(!said.contains("beats") && !said.contains("loses"), "{said}");
    }

    #[test]
    fn glommio_is_missing() {
        let said = answer(&Sample::new().without("glommio").run());
        assert_eq!(said.the_loop.matches("glommio cannot run here").count(), 2, "{}", said.the_loop);
        assert!(!said.the_engine.contains("glommio") && !said.the_wait.contains("glommio"), "{said:?}");
    }

    #[test]
    fn glommio_fails_in_one_round() {
        let mut run = Sample::new().run();
        run.cells.iter_mut().find(|cell| cell.row == GLOMMIO && cell.shape == "1x100").unwrap().outcome = Outcome::Failed("it died".into());
        assert!(answer(&run).the_loop.ends_with("and glommio failed."), "{}", answer(&run).the_loop);
    }

    #[test]
    fn without_tokio_nothing_is_said_of_loops() {
        let said = answer(&Sample::new().without("tokio").run());
        assert_eq!(said.the_loop.matches("nothing can be said: tokio").count(), 2, "{}", said.the_loop);
        assert!(said.the_wait.starts_with("What the timer decides was not measured;"), "{}", said.the_wait);
    }

    #[test]
    fn one_round_gives_no_verdict() {
        let said = answer(&Sample::new().of_rounds(1).cpu("glommio", "native", &[0.5]).cpu("tokio", "hyper", &[5.0]).run());
        assert!(
            said.the_loop.contains("glommio shows 0.50 × its CPU a call, 0.50 to 0.50 against tokio in one round, too few for a verdict"),
            "{said:?}"
        );
        assert!(said.the_engine.contains("on tokio 0.20 × (0.20 to 0.20 in one round, too few for a verdict)"), "{said:?}");
        assert!(!said.the_engine.contains("more than"), "{said:?}");
    }

    #[test]
    fn the_engine_beside_the_loop() {
        let base = || Sample::new().cpu("tokio", "hyper", &[8.0, 10.0, 9.0]);
        let said = answer(&base().cpu("glommio", "native", &[1.5, 1.6, 1.7]).run()).the_engine;
        assert!(said.contains("on tokio 0.11 × (0.10 to 0.12)"), "{said}");
        assert!(said.contains("on tokio-uring 1.00 × (1.00 to 1.00: no difference beyond noise)"), "{said}");
        assert!(said.ends_with(": more than the largest step beyond noise of a loop there, 1.60 ×."), "{said}");
        let said = answer(&base().cpu("glommio", "native", &[50.0, 60.0, 70.0]).run()).the_engine;
        assert!(said.contains(": no more than the largest step beyond noise of a loop there, 60.0 ×."), "{said}");
        let said = answer(&base().run()).the_engine;
        assert!(said.ends_with("; no loop makes a step beyond noise there."), "{said}");
        let said = answer(&Sample::new().run()).the_engine;
        assert!(said.ends_with("no difference beyond noise)."), "{said}");
    }

    #[test]
    fn the_timer_and_the_files() {
        let run = Sample::new()
            .with_reads()
            .rate("ceiling-glommio", "sleep", &[1100.0, 1110.0, 1120.0])
            .rate("ceiling-tokio-uring", "sleep", &[800.0, 800.0, 800.0])
            .rate(GLOMMIO, "sleep", &[990.0, 990.0, 990.0])
            .read_cpu("glommio", &[0.2, 0.25, 0.3]);
        let said = answer(&run.run()).the_wait;
        assert!(
            said.contains(
                "tokio's lets 100 tasks sleep 1,000 times a second, tokio-uring's 1.25 × less often and glommio's 1.11 × as often"
            ),
            "{said}"
        );
        assert!(said.contains("reaches on tokio 100 %, tokio-uring 125 % and glommio 89 %"), "{said}");
        assert!(
            said.contains("where the handler reads a file (1 connection × 100, 4 KiB read) tokio-uring and tokio cannot be told apart"),
            "{said}"
        );
        assert!(said.ends_with("glommio beats tokio (0.25 × its CPU a call, 0.20 to 0.30)."), "{said}");
        let said = answer(&Sample::new().run()).the_wait;
        assert!(said.contains("glommio's as often, within noise"), "{said}");
        assert!(said.ends_with("file I/O decides was not measured in this run."), "{said}");
    }

    #[test]
    fn a_run_of_nothing_says_so() {
        let mut run = Sample::new().run();
        run.shapes.clear();
        run.cells.clear();
        let said = answer(&run);
        assert_eq!(said.the_loop, "This run has no load that compares the loops.");
        assert_eq!(said.the_engine, "This run has no load that compares the engines.");
        assert!(said.the_wait.starts_with("What the timer decides was not measured"), "{said:?}");
    }
}
