//! A run as tables, for a terminal or as Markdown; and every measurement as CSV.

use comfy_table::presets::{ASCII_MARKDOWN, UTF8_FULL_CONDENSED};
use comfy_table::{CellAlignment, ContentArrangement, Table};

use crate::answer::answer;
use crate::article;
use crate::beside;
use crate::figures::Metric;
use crate::number::{figure, ratio, rounds};
use crate::run::{Extra, Handler, Measured, Outcome, Role, Row, Run, Shape};
use crate::verdict::RULE;

/// How tables are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// With lines, as wide as the terminal.
    Terminal,
    /// As Markdown.
    Markdown,
}

const HEADER: [&str; 15] = [
    "server",
    "HTTP/2 by",
    "loop",
    "Total s",
    "Slowest ms",
    "Fastest ms",
    "Average ms",
    "Requests/sec",
    "p50 ms",
    "p99 ms",
    "CPU µs a call",
    "req/s ÷ tokio",
    "CPU ÷ tokio",
    "CPU ÷ stock tonic",
    "CPU ÷ floor",
];

/// What the ratios and the bounds are.
pub(crate) const NOTE: &str = "Ratios are within a round, those to tokio on the same engine. A canned floor answers with the same bytes whatever is asked; a timer ceiling is tasks that only sleep on the loop.";

/// The three sentences, a table for each shape, the article's; and why rows are missing.
pub fn tables(run: &Run, style: Style) -> String {
    let mut text = String::new();
    if run.interrupted {
        text += &format!("{}\n\n", interrupted(run));
    }
    for (about, sentence) in answer(run).parts() {
        text += &format!("{about}. {sentence}\n\n");
    }
    for shape in &run.shapes {
        text += &format!("{}: {} calls\n\n{}\n\n", shape.title, figure(shape.calls.into()), of_shape(run, shape, style));
    }
    for extra in beside::extras(run).iter().chain(&run.extras) {
        text += &format!("{}\n\n{}\n\n{}\n\n", extra.title, of_extra(extra, style), extra.note);
    }
    text += "The article's own figures, on its machine (1 connection × 100, 10 ms sleep: 10,000 calls)\n\n";
    text += &format!("{}\n\n", of_article(style));
    for line in missing(run) {
        text += &format!("{line}\n\n");
    }
    text + &format!("Medians over {}. {NOTE} {RULE} {}\n", rounds(run.n_rounds()), noise(run))
}

/// The same with where it was measured, and how, for a file.
pub fn markdown(run: &Run) -> String {
    let mut text = format!("# Loop × engine, {}\n\n{}\n\n{}\n\n", &run.started, machine(run), plan(run));
    text += &format!("```sh\n{}\n```\n\n", run.machine.command);
    text + &tables(run, Style::Markdown)
}

/// Every cell in a line, with a header.
pub fn csv(run: &Run) -> String {
    let mut text = String::from(
        "round,server,http2,loop,shape,connections,in_flight,calls,total_s,requests_per_second,fastest_ms,average_ms,slowest_ms,p50_ms,p90_ms,p99_ms,cpu_us,user_ticks,system_ticks,failed\n",
    );
    for cell in &run.cells {
        let row = run.row(&cell.row).expect("checked when it was made");
        let shape = run.shapes.iter().find(|shape| shape.id == cell.shape).expect("checked when it was made");
        let (measured, failed) = match &cell.outcome {
            Outcome::Measured(measured) => (Some(measured), ""),
            Outcome::Failed(why) => (None, why.as_str()),
        };
        let mut fields = vec![cell.round.to_string(), quoted(&row.name), quoted(&row.http2), quoted(&row.runtime), quoted(&shape.title)];
        fields.extend([shape.connections, shape.in_flight, cell.calls].map(|n| n.to_string()));
        fields.extend(figures_of(measured));
        fields.push(quoted(failed));
        text += &fields.join(",");
        text.push('\n');
    }
    text
}

/// Where it was measured.
pub(crate) fn machine(run: &Run) -> String {
    let machine = &run.machine;
    let cpus = match (machine.server_cpu, machine.load_cpu) {
        (Some(server), Some(load)) => format!("server on CPU {server}, load on CPU {load}"),
        _ => "one CPU for server and load: they compete, believe no figure but CPU a call".into(),
    };
    format!("{}, {}, commit {}, {}; {cpus}", machine.cpu, machine.kernel, machine.commit, machine.rustc)
}

/// How it was measured.
pub(crate) fn plan(run: &Run) -> String {
    let plan = &run.plan;
    format!(
        "{}, interleaved; each cell on a server just started, one worker, after {} calls that do not count; load by {}",
        rounds(plan.rounds as usize),
        figure(plan.warmup.into()),
        plan.client
    )
}

/// How far figures of this run can be believed.
pub(crate) fn noise(run: &Run) -> String {
    match run.noise() {
        Some(noise) => format!(
            "The noise of this run: between rounds the CPU a call of the controls, floors and stock tonic, differs by a factor of {} in the middle and {} at most.",
            ratio(noise.median),
            ratio(noise.max)
        ),
        None => "The noise of this run is not known: that takes two rounds of a floor or of stock tonic.".into(),
    }
}

/// That it was, and how far it came.
pub(crate) fn interrupted(run: &Run) -> String {
    format!("Interrupted: {} of {} cells were measured; figures are over the rounds that there are.", run.cells.len(), run.plan.n_cells)
}

/// Why rows are missing, and what failed.
pub(crate) fn missing(run: &Run) -> Vec<String> {
    let mut lines = Vec::new();
    for row in &run.rows {
        if let Some(why) = row.unavailable.as_ref().filter(|_| row.role != Role::Ceiling && row.role != Role::Floor) {
            lines.push(format!("{} ({}) cannot run here: {why}", row.name, row.http2));
        }
        let failed = run.shapes.iter().filter_map(|shape| Some((shape, run.failure(&row.id, &shape.id)?)));
        lines.extend(failed.map(|(shape, why)| format!("{} ({}) failed at {}: {why}", row.name, row.http2, shape.title)));
        lines.extend(run.footprint_failure(&row.id).map(|why| format!("{} ({}) failed beside its calls: {why}", row.name, row.http2)));
    }
    lines.extend(run.drive_failures());
    lines
}

/// Whether the table of this shape says how near the timer's bound a server comes.
pub(crate) fn has_ceiling(run: &Run, shape: &Shape) -> bool {
    run.rows.iter().any(|row| row.role == Role::Ceiling && run.has(&row.id, &shape.id)) && matches!(shape.handler, Handler::Sleep(_))
}

/// The ratios of a row: requests a second and CPU by tokio's, CPU by stock tonic's and the floor's, requests a second by the timer's.
pub(crate) fn ratios(run: &Run, row: &Row, shape: &Shape) -> [Option<f64>; 5] {
    let by = |other: Option<&Row>, metric| Some(run.ratio(&row.id, &other?.id, &shape.id, metric)?.median);
    // A floor's distance to the loops' base is shown against our own server on tokio, which is what it is the floor of.
    let base = if row.role == Role::Floor { run.ours("tokio", "native") } else { run.base_of(row) };
    [
        by(base, Metric::Rate),
        by(base, Metric::Cpu),
        by(run.stock(), Metric::Cpu),
        by(run.bound_of(row, Role::Floor), Metric::Cpu),
        by(run.bound_of(row, Role::Ceiling), Metric::Rate),
    ]
}

fn of_shape(run: &Run, shape: &Shape, style: Style) -> Table {
    let ceiling = has_ceiling(run, shape);
    let mut table = new(style);
    let mut header = HEADER.map(String::from).to_vec();
    if ceiling {
        header.push("of its timer".into());
    }
    table.set_header(header);
    for row in &run.rows {
        let mut cells = vec![row.name.clone(), row.http2.clone(), row.runtime.clone()];
        if row.unavailable.is_some() && !matches!(row.role, Role::Floor | Role::Ceiling) {
            cells.push("cannot run here".into());
        } else if run.failure(&row.id, &shape.id).is_some() {
            cells.push("failed".into());
        } else if run.has(&row.id, &shape.id) {
            cells.extend(of_row(run, row, shape, ceiling));
        } else {
            continue;
        }
        table.add_row(cells);
    }
    align(&mut table, 3);
    table
}

fn of_row(run: &Run, row: &Row, shape: &Shape, ceiling: bool) -> Vec<String> {
    let spread = |metric| run.spread(&row.id, &shape.id, metric);
    let median = |metric| spread(metric).map_or(String::new(), |spread| figure(spread.median));
    let cpu = spread(Metric::Cpu).map_or(String::new(), |cpu| format!("{} (min {})", figure(cpu.median), figure(cpu.min)));
    let [rate_to_base, cpu_to_base, to_stock, to_floor, of_timer] = ratios(run, row, shape);
    let of_ratio = |value: Option<f64>| value.map_or(String::new(), ratio);
    let latencies = [Metric::Total, Metric::Slowest, Metric::Fastest, Metric::Average, Metric::Rate, Metric::P50, Metric::P99];
    let mut cells: Vec<_> = latencies.map(median).into();
    cells.push(cpu);
    cells.extend([rate_to_base, cpu_to_base, to_stock, to_floor].map(of_ratio));
    if ceiling {
        cells.push(of_timer.map_or(String::new(), |share| format!("{:.1} %", share * 100.0)));
    }
    cells
}

fn of_extra(extra: &Extra, style: Style) -> Table {
    let mut table = new(style);
    table.set_header(&extra.columns);
    table.add_rows(&extra.rows);
    align(&mut table, 1);
    table
}

fn of_article(style: Style) -> Table {
    let mut table = new(style);
    table.set_header(&HEADER[..8]);
    for row in &article::ROWS {
        let figures = [row.total_s, row.slowest_ms, row.fastest_ms, row.average_ms, row.requests_per_second];
        table.add_row([row.server, row.http2, row.runtime].map(String::from).into_iter().chain(figures.map(|value| format!("{value:.2}"))));
    }
    align(&mut table, 3);
    table
}

fn figures_of(measured: Option<&Measured>) -> Vec<String> {
    let Some(measured) = measured else { return vec![String::new(); 11] };
    let Measured {
        total_s,
        requests_per_second,
        fastest_ms,
        average_ms,
        slowest_ms,
        p50_ms,
        p90_ms,
        p99_ms,
        cpu_us,
        user_ticks,
        system_ticks,
    } = measured;
    let always = [total_s, requests_per_second, fastest_ms, average_ms, slowest_ms].map(f64::to_string);
    let some = |value: &Option<f64>| value.map_or(String::new(), |value| value.to_string());
    let ticks = |value: &Option<u64>| value.map_or(String::new(), |value| value.to_string());
    always.into_iter().chain([p50_ms, p90_ms, p99_ms, cpu_us].map(some)).chain([user_ticks, system_ticks].map(ticks)).collect()
}

/// As RFC 4180 has it.
fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.into() }
}

fn new(style: Style) -> Table {
    let mut table = Table::new();
    match style {
        Style::Terminal => table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic),
        Style::Markdown => table.load_style(ASCII_MARKDOWN),
    };
    table
}

/// Numbers to the right.
fn align(table: &mut Table, n_words: usize) {
    for column in table.column_iter_mut().skip(n_words) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;

    #[test]
    fn tables_have_rows_ratios_and_the_article() {
        let text = tables(&Sample::new().cpu("glommio", "native", &[2.0, 2.0, 2.0]).run(), Style::Markdown);
        let glommio = text.lines().filter(|line| line.contains("| loopswap glommio ") && line.contains("| native ")).nth(1).unwrap();
        let cells: Vec<_> = glommio.split('|').map(str::trim).collect();
        assert_eq!(cells[1..4], ["loopswap glommio", "native", "glommio"]);
        assert_eq!(cells[11..16], ["2.00 (min 2.00)", "1.00", "2.00", "2.00", "2.00"]);
        assert!(text.contains("6885.81"));
        assert!(text.contains("of its timer") && text.contains("100.0 %"));
        assert!(text.contains("Start-up, ms") && text.contains("| tokio & co |   12.5 |") && text.contains("From spawn"), "{text}");
        assert!(text.contains(RULE));
        assert!(text.contains("differs by a factor of 1.00 in the middle and 1.00 at most"), "{text}");
    }

    #[test]
    fn what_is_missing_is_told_with_its_reason() {
        let mut run = Sample::new().without("glommio").run();
        run.cells[0].outcome = Outcome::Failed("it \"died\", twice".into());
        run.interrupted = true;
        let text = tables(&run, Style::Markdown);
        assert!(text.starts_with("Interrupted: "), "{text}");
        assert!(text.contains("loopswap glommio (native) cannot run here: io_uring is refused; allow it"), "{text}");
        assert!(text.contains("stock tonic (hyper) failed at 1 connection × 100, 10 ms sleep: it \"died\", twice"), "{text}");
        assert!(csv(&run).lines().nth(1).unwrap().ends_with(",\"it \"\"died\"\", twice\""));
    }

    #[test]
    fn csv_has_a_line_a_cell_of_as_many_fields_as_the_header() {
        let mut run = Sample::new().run();
        run.shapes.iter_mut().for_each(|shape| shape.title = shape.title.replace(',', ";"));
        let text = csv(&run);
        assert_eq!(text.lines().count(), 1 + run.cells.len());
        assert!(text.lines().all(|line| line.split(',').count() == 20));
        assert!(
            text.contains("\n2,loopswap tokio,native,tokio,1 connection × 100; no sleep,1,100,10000,1,1000,1,2,9,2,3,5,1,,,\n"),
            "{text}"
        );
    }

    #[test]
    fn markdown_says_where_and_how() {
        let text = markdown(&Sample::new().run());
        assert!(text.contains("commit abc") && text.contains("cargo bench --bench loop_swap --") && text.contains("a client that checks"));
    }
}
