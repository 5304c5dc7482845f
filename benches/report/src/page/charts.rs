//! The page's pictures: what is in each, and what is said below it.

use std::fmt::Write;

use crate::article;
use crate::figures::{Metric, Spread};
use crate::number::figure;
use crate::picture::{self, Bar, Colour, Line, Marks, Stack, escape};
use crate::run::{Handler, Role, Row, Run, Shape};

pub(super) fn all(page: &mut String, run: &Run) {
    *page += "<section id=\"pictures\">\n<h2>In pictures</h2>\n";
    legend(page, run);
    for shape in headlines(run) {
        of_shape(page, run, shape);
    }
    *page += "<h3>Where it goes, and where it came from</h3>\n<div class=\"pictures large\">\n";
    split(page, run);
    beside_the_article(page, run);
    *page += "</div>\n";
    scaling(page, run);
    *page += "</section>\n";
}

/// One shape of each handler: that with the largest batches, where the loop and the engine are least hidden by the kernel.
fn headlines(run: &Run) -> Vec<&Shape> {
    let kinds: [fn(Handler) -> bool; 4] =
        [|of| matches!(of, Handler::Sleep(_)), |of| of == Handler::Nothing, |of| of == Handler::Read, |of| of == Handler::Append];
    kinds.into_iter().filter_map(|is| run.head_shape(is)).filter(|shape| !servers(run, shape, Metric::Rate).is_empty()).collect()
}

/// What colours mean.
fn legend(page: &mut String, run: &Run) {
    let mut seen = Vec::new();
    *page += "<p class=\"legend\">";
    for row in run.rows.iter().filter(|row| row.role == Role::Loopswap) {
        let colour = Colour::of_loop(&row.runtime);
        if colour != Colour::Other && !seen.contains(&colour) {
            seen.push(colour);
            let _ = write!(page, "{} ", swatch(colour, &row.runtime));
        }
    }
    let _ = writeln!(
        page,
        "{} Full colour: our native engine. Pale: hyper, or no server at all.</p>",
        swatch(Colour::Other, "somebody else's server")
    );
}

fn of_shape(page: &mut String, run: &Run, shape: &Shape) {
    let title = escape(&shape.title);
    let _ = write!(page, "<h3>{title}</h3>\n<div class=\"pictures\">\n");
    for (metric, name, better) in
        [(Metric::Rate, "Requests a second", "more is better"), (Metric::Cpu, "CPU of the server, µs a call", "less is better")]
    {
        let rows = servers(run, shape, metric);
        if rows.is_empty() {
            continue;
        }
        let points = if picture::is_logarithmic(&rows) { " Logarithmic axis." } else { "" };
        let range =
            if rows.iter().any(|row| row.value.n_rounds > 1) { " Medians; the whiskers are the least and the greatest round." } else { "" };
        let id = if metric == Metric::Rate { "rate" } else { "cpu" };
        let svg = picture::bars(&format!("{name}, {}", shape.title), &rows);
        figure_of(page, &format!("{id}-{}", shape.id), name, &svg, &format!("{}.{range}{points}", sentence(better)));
    }
    latencies(page, run, shape);
    *page += "</div>\n";
}

/// Percentiles where the client tells them, and the three figures that every client tells elsewhere.
fn latencies(page: &mut String, run: &Run, shape: &Shape) {
    let percentiles = [Metric::P50, Metric::P90, Metric::P99, Metric::Slowest];
    let extremes = [Metric::Fastest, Metric::Average, Metric::Slowest];
    let rows = |metrics: &[Metric]| -> Vec<Marks> {
        let of = |row: &Row| {
            let values: Option<Vec<f64>> = metrics.iter().map(|metric| Some(run.spread(&row.id, &shape.id, *metric)?.median)).collect();
            Some(Marks { name: name(row), colour: colour(row), pale: pale(row), values: values? })
        };
        run.rows.iter().filter(|row| row.role != Role::Ceiling).filter_map(of).collect()
    };
    let (rows, marks) = match rows(&percentiles) {
        rows if !rows.is_empty() => (rows, "Circle p50, triangle p90, cross p99; the line ends at the slowest call."),
        _ => (rows(&extremes), "Circle fastest, triangle mean; the line ends at the slowest call. This run's client tells no percentiles."),
    };
    if !rows.is_empty() {
        let svg = picture::marks(&format!("Latency, {}", shape.title), &rows);
        figure_of(
            page,
            &format!("latency-{}", shape.id),
            "Latency, ms",
            &svg,
            &format!("{marks} Logarithmic axis; medians over the rounds."),
        );
    }
}

/// What a call's CPU is spent on, by what was measured: the kernel by the clock's ticks, the loop's share by the floor beside it.
fn split(page: &mut String, run: &Run) {
    let Some(shape) = run.head_shape(|handler| handler == Handler::Nothing) else { return };
    let ours = || run.rows.iter().filter(|row| matches!(row.role, Role::Loopswap | Role::Stock));
    let ticked = ours().filter_map(|row| {
        let split = run.split(&row.id, &shape.id)?;
        let sockets = run.split(&run.bound_of(row, Role::Floor)?.id, &shape.id)?.user.min(split.user);
        let parts = vec![(Colour::Kernel, split.kernel), (Colour::Sockets, sockets), (Colour::Engine, split.user - sockets)];
        Some(Stack { name: name(row), parts })
    });
    let ticked: Vec<_> = ticked.collect();
    let by_floor = ours().filter_map(|row| {
        let cpu = run.spread(&row.id, &shape.id, Metric::Cpu)?.median;
        let floor = run.spread(&run.bound_of(row, Role::Floor)?.id, &shape.id, Metric::Cpu)?.median.min(cpu);
        Some(Stack { name: name(row), parts: vec![(Colour::Sockets, floor), (Colour::Engine, cpu - floor)] })
    });
    let (rows, legend, how) = if ticked.is_empty() {
        let legend = format!(
            "{} {}",
            swatch(Colour::Sockets, "kernel and loop: its floor"),
            swatch(Colour::Engine, "HTTP/2, gRPC, service: what is above")
        );
        (
            by_floor.collect(),
            legend,
            "The floor is a row of its own on the same loop. Kernel and user mode were not told apart in this run.",
        )
    } else {
        let legend = [(Colour::Kernel, "kernel"), (Colour::Sockets, "loop, in user mode"), (Colour::Engine, "HTTP/2, gRPC, service")];
        let legend = legend.map(|(colour, name)| swatch(colour, name)).join(" ");
        (
            ticked,
            legend,
            "The kernel's share by its clock's ticks over all rounds; the loop's is the user time of its floor; the rest is what is above.",
        )
    };
    if rows.is_empty() {
        return;
    }
    let svg = picture::stacks(&format!("Where a call's CPU goes, {}", shape.title), &rows);
    let title = format!("Where a call's CPU goes: µs a call, {}", escape(&shape.title));
    figure_of(page, "split", &title, &svg, &format!("<span class=\"legend\">{legend}</span><br>{how}"));
}

/// One group of shapes that differ in their connections alone, the one with the most of them; a picture for each engine.
fn scaling(page: &mut String, run: &Run) {
    // As many in flight, spread over the connections; one each where there are more connections than that.
    let alike = |one: &Shape, other: &Shape| {
        one.handler == Handler::Nothing && other.handler == Handler::Nothing && other.in_flight == one.in_flight.max(other.connections)
    };
    let Some(model) = run
        .shapes
        .iter()
        .filter(|shape| shape.handler == Handler::Nothing)
        .max_by_key(|shape| run.shapes.iter().filter(|other| alike(shape, other)).count())
    else {
        return;
    };
    let mut shapes: Vec<_> = run.shapes.iter().filter(|shape| alike(shape, model)).collect();
    shapes.sort_by_key(|shape| shape.connections);
    if shapes.len() < 2 {
        return;
    }
    let mut engines: Vec<&str> = Vec::new();
    for row in run.rows.iter().filter(|row| row.role == Role::Loopswap) {
        if !engines.contains(&row.http2.as_str()) {
            engines.push(&row.http2);
        }
    }
    let _ = write!(
        page,
        "<h3>With more connections</h3>\n<p>{} calls in flight, spread over the connections; where these are more, one on each. Medians; the whiskers are the least and the greatest round.</p>\n<div class=\"pictures large\">\n",
        model.in_flight
    );
    for (metric, what, id) in [(Metric::Cpu, "CPU of the server, µs a call", "cpu"), (Metric::Rate, "Requests a second", "rate")] {
        for engine in &engines {
            let line = |row: &Row| {
                let points =
                    shapes.iter().filter_map(|shape| Some((f64::from(shape.connections), run.spread(&row.id, &shape.id, metric)?)));
                Line { colour: colour(row), dashed: row.role != Role::Loopswap, points: points.collect() }
            };
            let shown = |row: &&Row| match row.role {
                Role::Loopswap | Role::Stock => row.http2 == *engine,
                Role::Floor => metric == Metric::Cpu,
                Role::Peer | Role::Ceiling => false,
            };
            let lines: Vec<_> = run.rows.iter().filter(shown).map(line).filter(|line| line.points.len() > 1).collect();
            if !lines.is_empty() {
                let svg = picture::lines(&format!("{what} by connections, {engine}"), "connections", &lines);
                let stock = run.stock().is_some_and(|stock| stock.http2 == *engine);
                let dashed = match (metric, stock) {
                    (Metric::Cpu, true) => "Dashed: each loop's floor, and stock tonic in grey. Less is better.",
                    (Metric::Cpu, false) => "Dashed: each loop's floor. Less is better.",
                    (_, true) => "Dashed: stock tonic. More is better.",
                    (_, false) => "More is better.",
                };
                figure_of(
                    page,
                    &format!("scaling-{id}-{}", crate::run::slug(engine)),
                    &format!("{what}, {}", escape(engine)),
                    &svg,
                    dashed,
                );
            }
        }
    }
    *page += "</div>\n";
}

fn beside_the_article(page: &mut String, run: &Run) {
    let Some(shape) = run.article_shape() else { return };
    let of = |name: String, rate: f64| {
        let value = Spread::of([rate]).expect("one value");
        Bar { name, colour: Colour::Other, pale: true, value }
    };
    let theirs = article::ROWS.iter().map(|row| of(format!("article: {} · {}", row.server, row.runtime), row.requests_per_second));
    let mut rows: Vec<_> = theirs.collect();
    rows.extend(servers(run, shape, Metric::Rate));
    let svg = picture::bars("Requests a second: the article's six servers, and this run's", &rows);
    let step = |row: &Row| {
        let base = run.base_of(row).filter(|base| base.id != row.id)?;
        let step = run.ratio(&row.id, &base.id, &shape.id, Metric::Rate)?.median;
        Some(format!("{} {}", name(row), percent(step)))
    };
    let ours: Vec<_> = run.rows.iter().filter(|row| row.role == Role::Loopswap).filter_map(step).collect();
    let ours = if ours.is_empty() { String::new() } else { format!(" Over tokio here, on the same engine: {}.", escape(&ours.join(", "))) };
    let bound = if let Handler::Sleep(ms @ 1..) = shape.handler {
        format!(
            " With {ms} ms of sleep and {} calls in flight no server can exceed {} a second.",
            shape.in_flight,
            figure(f64::from(shape.in_flight) * 1e3 / f64::from(ms))
        )
    } else {
        String::new()
    };
    let note = format!(
        "Pale: the article's figures on its own machine, so that the steps within each compare, not the heights. uvloop over asyncio there: grpc.aio {}, grpclib {}.{ours}{bound}",
        percent(article::loop_ratio("grpc.aio")),
        percent(article::loop_ratio("grpclib")),
    );
    figure_of(page, "article", &format!("Beside the article: requests a second, {}", escape(&shape.title)), &svg, &note);
}

/// The rows that have this figure, without the timers.
fn servers(run: &Run, shape: &Shape, metric: Metric) -> Vec<Bar> {
    let rows = run.rows.iter().filter(|row| row.role != Role::Ceiling);
    rows.filter_map(|row| {
        Some(Bar { name: name(row), colour: colour(row), pale: pale(row), value: run.spread(&row.id, &shape.id, metric)? })
    })
    .collect()
}

fn name(row: &Row) -> String {
    match row.role {
        Role::Loopswap => format!("{} · {}", row.name, row.http2.split(',').next().unwrap_or_default()),
        // What the name tells already is left out, and that it is tokio where the scheduler says so: names are cut where they are too long.
        Role::Peer if !row.name.contains(runtime_of(row)) => format!("{} · {}", row.name, runtime_of(row)),
        Role::Peer => row.name.clone(),
        Role::Stock | Role::Floor | Role::Ceiling => row.name.clone(),
    }
}

fn runtime_of(row: &Row) -> &str {
    row.runtime.strip_prefix("tokio ").unwrap_or(&row.runtime)
}

fn colour(row: &Row) -> Colour {
    match row.role {
        Role::Stock | Role::Peer => Colour::Other,
        Role::Loopswap | Role::Floor | Role::Ceiling => Colour::of_loop(&row.runtime),
    }
}

fn pale(row: &Row) -> bool {
    match row.role {
        Role::Loopswap => row.http2 != "native",
        Role::Stock | Role::Peer => false,
        Role::Floor | Role::Ceiling => true,
    }
}

/// `title` and `note` are HTML.
fn figure_of(page: &mut String, id: &str, title: &str, svg: &str, note: &str) {
    let _ =
        write!(page, "<figure id=\"{}\">\n<figcaption>{title}</figcaption>\n{svg}<p class=\"note\">{note}</p>\n</figure>\n", escape(id));
}

fn swatch(colour: Colour, name: &str) -> String {
    format!("<span class=\"swatch\" style=\"--of:var(--{})\">{}</span>", colour.variable(), escape(name))
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

fn percent(ratio: f64) -> String {
    format!("{:+.0}\u{a0}%", (ratio - 1.0) * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Outcome;
    use crate::sample::Sample;

    fn drawn(run: &Run) -> String {
        let mut page = String::new();
        all(&mut page, run);
        page
    }

    #[test]
    fn each_headline_has_its_pictures() {
        let page = drawn(&Sample::new().with_reads().run());
        for id in [
            "rate-sleep",
            "cpu-sleep",
            "latency-sleep",
            "rate-1x100",
            "cpu-1x100",
            "rate-read",
            "cpu-read",
            "split",
            "scaling-cpu-native",
            "scaling-rate-hyper",
            "article",
        ] {
            assert!(page.contains(&format!("<figure id=\"{id}\">")), "{id}");
        }
        assert!(page.contains("Circle p50"));
        assert!(page.contains("grpc.aio +48\u{a0}%, grpclib +17\u{a0}%"));
        assert!(page.contains("no server can exceed 10,000 a second"));
    }

    #[test]
    fn the_split_says_what_it_was_made_of() {
        let mut run = Sample::new().cpu("tokio", "native", &[4.0, 4.0, 4.0]).run();
        let page = drawn(&run);
        assert!(page.contains("Kernel and user mode were not told apart") && page.contains("1.00 + 3.00"), "no ticks: by the floor");
        for cell in &mut run.cells {
            let Outcome::Measured(measured) = &mut cell.outcome else { unreachable!() };
            (measured.user_ticks, measured.system_ticks) = (Some(75), Some(25));
        }
        let page = drawn(&run);
        assert!(page.contains("by its clock's ticks") && page.contains("1.00 + 0.75 + 2.25"), "kernel, loop, the rest");
    }

    #[test]
    fn clients_without_percentiles_are_shown_by_what_they_tell() {
        let mut run = Sample::new().run();
        for cell in &mut run.cells {
            let Outcome::Measured(measured) = &mut cell.outcome else { unreachable!() };
            (measured.p50_ms, measured.p90_ms, measured.p99_ms) = (None, None, None);
        }
        let page = drawn(&run);
        assert!(page.contains("tells no percentiles") && page.contains("1.00 · 2.00 · 9.00"));
    }

    #[test]
    fn the_axis_is_told_where_it_is_logarithmic() {
        assert!(!drawn(&Sample::new().run()).contains("round. Logarithmic axis"));
        assert!(drawn(&Sample::new().cpu("tokio", "native", &[99.0, 99.0, 99.0]).run()).contains("round. Logarithmic axis"));
    }
}
