//! The experiment as tables, for a terminal or a page.

use comfy_table::presets::{ASCII_MARKDOWN, UTF8_FULL_CONDENSED};
use comfy_table::{CellAlignment, ContentArrangement, Table};
use std::io::{self, IsTerminal};

use crate::plan::{Kind, SHAPES, Shape};
use crate::report::{Figures, Report};

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

/// The article's own rows: server, HTTP/2, loop, total s, slowest, fastest, average ms, requests/sec.
const ARTICLE: [[&str; 8]; 6] = [
    ["grpcio, 100 threads", "gRPC C-core", "threads", "2.67", "45.01", "12.04", "26.34", "3746.87"],
    ["grpcio, gevent", "gRPC C-core", "gevent", "5.23", "69.31", "13.43", "51.83", "1913.44"],
    ["grpclib", "pure-Python h2", "asyncio", "6.37", "96.38", "31.54", "63.33", "1571.05"],
    ["grpclib", "pure-Python h2", "uvloop", "5.44", "90.97", "38.18", "53.13", "1839.73"],
    ["grpc.aio", "gRPC C-core", "asyncio", "2.15", "30.56", "11.09", "21.19", "4643.73"],
    ["grpc.aio", "gRPC C-core", "uvloop", "1.45", "25.14", "9.41", "14.08", "6885.81"],
];

/// A table for each shape, then the article's; and why rows are missing.
pub(crate) fn text(report: &Report) -> String {
    let mut text = String::new();
    for shape in SHAPES {
        text += &format!("{shape}: {} calls\n{}\n\n", report.plan.calls(&shape), of_shape(report, shape));
    }
    text += "The article's own figures, on its machine (1 connection × 100, 10 ms sleep: 10000 calls)\n";
    let mut table = new();
    table.set_header(&HEADER[..8]);
    for row in ARTICLE {
        table.add_row(row);
    }
    align(&mut table);
    text += &format!("{table}\n\n");
    for row in report.rows.iter().filter(|row| row.kind != Kind::Ceiling) {
        if let Some(why) = &row.unavailable {
            text += &format!("{} cannot run here: {why}\n", row.name);
        }
        for (shape, why) in SHAPES.into_iter().filter_map(|shape| Some((shape, report.figures(row, shape)?.err()?))) {
            text += &format!("{} failed at {shape}: {why}\n", row.name);
        }
    }
    let medians = if report.plan.rounds == 1 { "One round".into() } else { format!("Medians over {} rounds", report.plan.rounds) };
    text + &format!(
        "{medians}; ratios are within a round, those to tokio on the same engine. A canned floor answers with the same bytes whatever is asked; a timer ceiling is 100 tasks that only sleep on the loop.\n"
    )
}

fn of_shape(report: &Report, shape: Shape) -> Table {
    let mut table = new();
    let asleep = shape.sleep_ms > 0 && shape.connections == 1;
    let mut header = HEADER.map(String::from).to_vec();
    if asleep {
        header.push("of its timer".into());
    }
    table.set_header(header);
    for row in &report.rows {
        let mut cells = vec![row.name.clone(), row.http2.into(), row.runtime.clone()];
        match (&row.unavailable, report.figures(row, shape)) {
            (Some(_), _) if row.kind == Kind::Ceiling => continue,
            (Some(_), _) => cells.push("cannot run here".into()),
            (None, None) => continue,
            (None, Some(Err(_))) => cells.push("failed".into()),
            (None, Some(Ok(figures))) => cells.extend(of_figures(&figures, asleep)),
        }
        table.add_row(cells);
    }
    align(&mut table);
    table
}

fn of_figures(figures: &Figures, asleep: bool) -> Vec<String> {
    let Figures { median, cpu_us_min, rate_ratio, cpu_ratio, cpu_to_stock, cpu_to_floor, of_ceiling } = figures;
    let ratio = |value: &Option<f64>| value.map_or("".into(), |value| format!("{value:.2}"));
    let cpu = median.cpu_us.zip(*cpu_us_min).map_or("".into(), |(median, min)| format!("{median:.2} (min {min:.2})"));
    let mut cells = vec![
        format!("{:.2}", median.total_s),
        format!("{:.2}", median.slowest_ms),
        format!("{:.2}", median.fastest_ms),
        format!("{:.2}", median.average_ms),
        format!("{:.2}", median.requests_per_second),
        ratio(&median.p50_ms),
        ratio(&median.p99_ms),
        cpu,
        ratio(rate_ratio),
        ratio(cpu_ratio),
        ratio(cpu_to_stock),
        ratio(cpu_to_floor),
    ];
    if asleep {
        cells.push(of_ceiling.map_or("".into(), |value| format!("{:.1} %", value * 100.0)));
    }
    cells
}

/// A table as wide as the terminal; through a pipe, one that Markdown understands.
fn new() -> Table {
    let mut table = Table::new();
    if io::stdout().is_terminal() {
        table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    } else {
        table.load_style(ASCII_MARKDOWN);
    }
    table
}

/// Numbers to the right.
fn align(table: &mut Table) {
    for column in table.column_iter_mut().skip(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}
