//! Every figure of the page as a table: what the pictures show, for those who want the numbers or do not see pictures.
//!
//! A cell carries what it shows (`data-row`, `data-shape`, `data-metric`), by which a test holds the page against the run's file.

use std::fmt::Write;

use crate::article;
use crate::beside;
use crate::figures::{Metric, Spread};
use crate::number::{figure, ratio};
use crate::picture::escape;
use crate::run::{Extra, Role, Row, Run, Shape};
use crate::text;

const LATENCIES: [(Metric, &str, &str); 6] = [
    (Metric::Fastest, "fastest ms", "fastest_ms"),
    (Metric::Average, "mean ms", "average_ms"),
    (Metric::P50, "p50 ms", "p50_ms"),
    (Metric::P90, "p90 ms", "p90_ms"),
    (Metric::P99, "p99 ms", "p99_ms"),
    (Metric::Slowest, "slowest ms", "slowest_ms"),
];

pub(super) fn all(page: &mut String, run: &Run) {
    *page += "<section id=\"tables\">\n<h2>In figures</h2>\n";
    for shape in &run.shapes {
        of_shape(page, run, shape);
    }
    for extra in beside::extras(run).iter().chain(&run.extras) {
        of_extra(page, extra);
    }
    of_article(page);
    let missing = text::missing(run);
    if !missing.is_empty() {
        *page += "<h3>What is missing</h3>\n<ul>\n";
        for line in missing {
            let _ = writeln!(page, "<li>{}</li>", escape(&line));
        }
        *page += "</ul>\n";
    }
    *page += "</section>\n";
}

fn of_shape(page: &mut String, run: &Run, shape: &Shape) {
    let latencies: Vec<_> = LATENCIES
        .iter()
        .filter(|(metric, ..)| run.rows.iter().any(|row| row.role != Role::Ceiling && run.spread(&row.id, &shape.id, *metric).is_some()))
        .collect();
    let ceiling = text::has_ceiling(run, shape);
    let title = format!("{}: {} calls", escape(&shape.title), figure(shape.calls.into()));
    open(page, &title);
    *page += "<tr><th scope=\"col\">server</th><th scope=\"col\">HTTP/2 by</th><th scope=\"col\">loop</th><th scope=\"col\">requests/s</th><th scope=\"col\">range</th><th scope=\"col\">CPU µs a call</th><th scope=\"col\">range</th>";
    for (_, name, _) in &latencies {
        let _ = write!(page, "<th scope=\"col\">{name}</th>");
    }
    let bounds = if ceiling { "<th scope=\"col\">of its timer</th>" } else { "" };
    let _ = write!(
        page,
        "<th scope=\"col\">req/s ÷ tokio</th><th scope=\"col\">CPU ÷ tokio</th><th scope=\"col\">CPU ÷ stock tonic</th><th scope=\"col\">CPU ÷ floor</th>{bounds}</tr>\n</thead>\n<tbody>\n"
    );
    let n_columns = 4 + latencies.len() + 4 + usize::from(ceiling);
    for row in &run.rows {
        let state = if row.unavailable.is_some() && !matches!(row.role, Role::Floor | Role::Ceiling) {
            Some("cannot run here")
        } else if run.failure(&row.id, &shape.id).is_some() {
            Some("failed")
        } else if run.has(&row.id, &shape.id) {
            None
        } else {
            continue;
        };
        let _ = write!(
            page,
            "<tr><th scope=\"row\">{}</th><td class=\"word\">{}</td><td class=\"word\">{}</td>",
            escape(&row.name),
            escape(&row.http2),
            escape(&row.runtime)
        );
        match state {
            Some(word) => {
                let _ = write!(page, "<td class=\"word\" colspan=\"{n_columns}\">{word}</td>");
            }
            None => of_row(page, run, row, shape, &latencies, ceiling),
        }
        *page += "</tr>\n";
    }
    close(page);
}

fn of_row(page: &mut String, run: &Run, row: &Row, shape: &Shape, latencies: &[&(Metric, &str, &str)], ceiling: bool) {
    for (metric, name) in [(Metric::Rate, "requests_per_second"), (Metric::Cpu, "cpu_us")] {
        let spread = run.spread(&row.id, &shape.id, metric);
        cell(page, row, shape, name, spread);
        let _ = match spread {
            Some(Spread { min, max, n_rounds: 2.., .. }) => write!(page, "<td class=\"range\">{} to {}</td>", figure(min), figure(max)),
            _ => write!(page, "<td></td>"),
        };
    }
    for (metric, _, name) in latencies {
        cell(page, row, shape, name, run.spread(&row.id, &shape.id, *metric));
    }
    let ratios = text::ratios(run, row, shape);
    for value in &ratios[..4] {
        let _ = write!(page, "<td>{}</td>", value.map_or(String::new(), ratio));
    }
    if ceiling {
        let _ = write!(page, "<td>{}</td>", ratios[4].map_or(String::new(), |share| format!("{:.1} %", share * 100.0)));
    }
}

fn cell(page: &mut String, row: &Row, shape: &Shape, metric: &str, spread: Option<Spread>) {
    let _ = match spread {
        Some(spread) => write!(
            page,
            "<td data-row=\"{}\" data-shape=\"{}\" data-metric=\"{metric}\">{}</td>",
            escape(&row.id),
            escape(&shape.id),
            figure(spread.median)
        ),
        None => write!(page, "<td></td>"),
    };
}

fn of_extra(page: &mut String, extra: &Extra) {
    open(page, &escape(&extra.title));
    *page += "<tr>";
    for column in &extra.columns {
        let _ = write!(page, "<th scope=\"col\">{}</th>", escape(column));
    }
    *page += "</tr>\n</thead>\n<tbody>\n";
    for row in &extra.rows {
        *page += "<tr>";
        for (i, field) in row.iter().enumerate() {
            let field = escape(field);
            let _ = if i == 0 { write!(page, "<th scope=\"row\">{field}</th>") } else { write!(page, "<td>{field}</td>") };
        }
        *page += "</tr>\n";
    }
    close(page);
    let _ = writeln!(page, "<p class=\"note\">{}</p>", escape(&extra.note));
}

fn of_article(page: &mut String) {
    open(page, "The article's own figures, on its machine: 1 connection × 100, 10 ms sleep, 10,000 calls");
    *page += "<tr><th scope=\"col\">server</th><th scope=\"col\">HTTP/2 by</th><th scope=\"col\">loop</th><th scope=\"col\">requests/s</th><th scope=\"col\">fastest ms</th><th scope=\"col\">mean ms</th><th scope=\"col\">slowest ms</th></tr>\n</thead>\n<tbody>\n";
    for row in &article::ROWS {
        let _ = writeln!(
            page,
            "<tr><th scope=\"row\">{}</th><td class=\"word\">{}</td><td class=\"word\">{}</td><td>{:.2}</td><td>{:.2}</td><td>{:.2}</td><td>{:.2}</td></tr>",
            row.server, row.http2, row.runtime, row.requests_per_second, row.fastest_ms, row.average_ms, row.slowest_ms
        );
    }
    close(page);
}

/// `title` is HTML.
fn open(page: &mut String, title: &str) {
    let _ = write!(
        page,
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{title}\">\n<table>\n<caption>{title}</caption>\n<thead>\n"
    );
}

fn close(page: &mut String) {
    *page += "</tbody>\n</table>\n</div>\n";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Outcome;
    use crate::sample::Sample;

    #[test]
    fn cells_say_what_they_show() {
        let mut page = String::new();
        let mut run = Sample::new().cpu("glommio", "native", &[2.0, 2.5, 3.0]).without("tokio-uring").run();
        run.cells.iter_mut().find(|cell| cell.row == "stock-tonic" && cell.shape == "sleep").unwrap().outcome = Outcome::Failed("x".into());
        all(&mut page, &run);
        assert!(page.contains("<td data-row=\"loopswap-glommio-native\" data-shape=\"1x100\" data-metric=\"cpu_us\">2.50</td><td class=\"range\">2.00 to 3.00</td>"));
        assert_eq!(page.matches(">cannot run here</td>").count(), 2 * run.shapes.len());
        assert_eq!(page.matches(">failed</td>").count(), 1);
        assert!(page.contains("6885.81"));
        assert!(page.contains("<th scope=\"row\">tokio &amp; co</th><td>12.5</td>") && page.contains("first &lt;answer&gt;."));
        let columns = |line: &str| line.matches("<th").count() + line.matches("<td").count();
        for table in page.split("<thead>").skip(1) {
            let mut lines = table.lines().filter(|line| line.starts_with("<tr>") && !line.contains("colspan"));
            let head = columns(lines.next().unwrap());
            assert!(lines.all(|line| columns(line) == head), "{table}");
        }
    }
}
