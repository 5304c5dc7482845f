//! Two runs side by side: what changed, and what of it is beyond noise.

use comfy_table::presets::{ASCII_MARKDOWN, UTF8_FULL_CONDENSED};
use comfy_table::{CellAlignment, ContentArrangement, Table};

use crate::figures::{Metric, Spread};
use crate::number::{figure, range, ratio};
use crate::run::{Role, Run};
use crate::text::{Style, interrupted, machine};
use crate::verdict::{RULE_BETWEEN, Verdict};

/// What changed from `a` to `b`, for people.
///
/// # Errors
///
/// They have no row in a shape in common that both measured.
pub fn compare(a: &Run, b: &Run, style: Style) -> Result<String, String> {
    let changes = changes(a, b);
    if changes.is_empty() {
        return Err("the two runs have no figure in common: no server that both measured under the same load".into());
    }
    let mut text = String::new();
    for (name, run) in [("A", a), ("B", b)] {
        text += &format!("{name}: {}, {}; load by {}\n", run.started, machine(run), run.plan.client);
        if run.interrupted {
            text += &format!("   {}\n", interrupted(run));
        }
    }
    text += &format!("\n{}\n\n", controls(&changes));
    if a.plan.client != b.plan.client {
        text += "The clients differ: requests a second and latencies say as much of them as of the servers.\n\n";
    }
    let of = |verdict| changes.iter().filter(|change| change.verdict == verdict).count();
    let (greater, less, undecided, few) = (of(Verdict::Greater), of(Verdict::Less), of(Verdict::Undecided), of(Verdict::TooFew));
    text += &format!(
        "Of {} figures in common, {greater} are greater and {less} less in B beyond noise; {undecided} are not to be told apart",
        changes.len()
    );
    text += &if few > 0 { format!("; of {few} there are too few rounds.\n\n") } else { ".\n\n".to_owned() };
    for (metric, title) in [(Metric::Cpu, "CPU of the server, µs a call"), (Metric::Rate, "Requests a second")] {
        text += &format!("{title}\n\n{}\n\n", table(changes.iter().filter(|change| change.metric == metric), style));
    }
    let only = |one: &Run, other: &Run| -> Vec<String> {
        let ids = one.rows.iter().filter(|row| row.unavailable.is_none() && other.row(&row.id).is_none_or(|row| row.unavailable.is_some()));
        ids.map(|row| format!("{} ({})", row.name, row.http2)).collect()
    };
    for (name, rows) in [("A", only(a, b)), ("B", only(b, a))] {
        if !rows.is_empty() {
            text += &format!("Only in {name}: {}\n\n", rows.join(", "));
        }
    }
    Ok(text + &format!("Medians, and the least and greatest of the rounds. {RULE_BETWEEN}\n"))
}

struct Change {
    server: String,
    shape: String,
    role: Role,
    metric: Metric,
    a: Spread,
    b: Spread,
    verdict: Verdict,
}

fn changes(a: &Run, b: &Run) -> Vec<Change> {
    let mut changes = Vec::new();
    for shape in a.shapes.iter().filter(|shape| b.shapes.iter().any(|other| other.id == shape.id)) {
        for row in &a.rows {
            for metric in [Metric::Cpu, Metric::Rate] {
                let Some((of_a, of_b)) = a.spread(&row.id, &shape.id, metric).zip(b.spread(&row.id, &shape.id, metric)) else { continue };
                let verdict = Verdict::between(&of_a, &of_b);
                let server = format!("{}, {}", row.name, row.http2);
                changes.push(Change { server, shape: shape.title.clone(), role: row.role, metric, a: of_a, b: of_b, verdict });
            }
        }
    }
    changes
}

/// What moved of that which runs none of our code above the loop: the floors, and tonic as it comes.
fn controls(changes: &[Change]) -> String {
    let controls = changes.iter().filter(|change| matches!(change.role, Role::Floor | Role::Stock) && change.metric == Metric::Cpu);
    let controls: Vec<_> = controls.collect();
    let Some(moved) = Spread::of(controls.iter().map(|change| change.b.median / change.a.median)) else {
        return "The runs have neither floors nor stock tonic in common, so a change of the machine cannot be told from one of the code."
            .into();
    };
    let decided = controls.iter().filter(|change| matches!(change.verdict, Verdict::Greater | Verdict::Less)).count();
    let said = format!(
        "The controls, floors and stock tonic, run none of our HTTP/2. They take {} × the CPU in B ({} over {} figures)",
        ratio(moved.median),
        range(&moved, ratio),
        controls.len()
    );
    if controls.iter().all(|change| change.verdict == Verdict::TooFew) {
        format!("{said}, in too few rounds to say whether the machine is the same.")
    } else if decided > 0 {
        format!(
            "{said}; {decided} moved beyond noise: that much is the machine, the kernel, the client or the loop, and rows that moved alike say nothing of the code."
        )
    } else {
        format!("{said}, none beyond noise: what moved beyond noise is the code.")
    }
}

fn table<'a>(changes: impl Iterator<Item = &'a Change>, style: Style) -> Table {
    let mut table = Table::new();
    match style {
        Style::Terminal => table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic),
        Style::Markdown => table.load_style(ASCII_MARKDOWN),
    };
    table.set_header(["load", "server", "A", "B", "B ÷ A", "verdict"]);
    for Change { server, shape, a, b, verdict, .. } in changes {
        let word = match verdict {
            Verdict::Greater => "greater",
            Verdict::Less => "less",
            Verdict::Undecided => "",
            Verdict::TooFew => "too few rounds",
        };
        let shown = |spread: &Spread| format!("{} ({})", figure(spread.median), range(spread, figure));
        table.add_row([shape.clone(), server.clone(), shown(a), shown(b), ratio(b.median / a.median), word.into()]);
    }
    for column in table.column_iter_mut().skip(2).take(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;

    #[test]
    fn a_change_beyond_noise_is_named_and_another_is_not() {
        let a = Sample::new().cpu("tokio", "native", &[1.0, 1.1, 1.2]).cpu("glommio", "native", &[1.0, 1.1, 1.2]).run();
        let b = Sample::new().cpu("tokio", "native", &[0.5, 0.6, 0.7]).cpu("glommio", "native", &[0.5, 0.6, 1.0]).run();
        let text = compare(&a, &b, Style::Markdown).unwrap();
        let line = |server: &str| {
            text.lines().find(|line| line.contains(server) && line.contains("1 connection × 100, no sleep")).unwrap().to_owned()
        };
        assert!(
            line("loopswap tokio, native").contains("| 1.10 (1.00 to 1.20) | 0.60 (0.50 to 0.70) |  0.55 | less"),
            "{}",
            line("loopswap tokio, native")
        );
        assert!(!line("loopswap glommio, native").contains("less"), "ranges that touch are no difference");
        assert!(text.contains("0 are greater and 3 less in B beyond noise"), "{text}");
        assert!(text.contains("none beyond noise: what moved beyond noise is the code."), "{text}");
    }

    #[test]
    fn a_floor_that_moved_takes_the_blame() {
        let mut b = Sample::new().run();
        for cell in b.cells.iter_mut().filter(|cell| cell.row.starts_with("floor")) {
            let crate::run::Outcome::Measured(measured) = &mut cell.outcome else { unreachable!() };
            measured.cpu_us = Some(2.0);
        }
        let text = compare(&Sample::new().run(), &b, Style::Markdown).unwrap();
        assert!(text.contains("They take 2.00 × the CPU in B (1.00 to 2.00 over 13 figures); 9 moved beyond noise"), "{text}");
    }

    #[test]
    fn nothing_in_common_is_refused_and_too_few_rounds_are_told() {
        let mut other = Sample::new().run();
        other.rows.iter_mut().for_each(|row| row.id += "-x");
        other.cells.iter_mut().for_each(|cell| cell.row += "-x");
        assert!(compare(&Sample::new().run(), &other, Style::Markdown).unwrap_err().contains("no figure in common"));
        let text = compare(&Sample::new().run(), &Sample::new().of_rounds(1).run(), Style::Markdown).unwrap();
        assert!(text.contains("in too few rounds to say whether the machine is the same"), "{text}");
        assert!(text.contains("| too few rounds |") && text.contains("0 are greater and 0 less"), "{text}");
    }

    #[test]
    fn clients_rows_and_ends_that_differ_are_told() {
        let mut b = Sample::new().without("glommio").run();
        b.plan.client = "another".into();
        b.interrupted = true;
        let text = compare(&Sample::new().run(), &b, Style::Markdown).unwrap();
        assert!(text.contains("The clients differ") && text.contains("Only in A: ") && text.contains("Interrupted: "), "{text}");
    }
}
