//! The README's block between its markers, made from the newest kept run, so that its figures are never typed.

use std::fmt::Write;

use crate::answer::answer;
use crate::article;
use crate::figures::Metric;
use crate::number::{figure, ratio, rounds};
use crate::run::{Handler, Role, Run, Shape};
use crate::text;

const START: &str = "<!-- loop_swap -->\n";
const END: &str = "<!-- /loop_swap -->";

/// Whether the block says what this run says; `kept` is where the run lies, as the README links it.
///
/// # Errors
///
/// It does not, or there is no block: what to do.
pub fn check(readme: &str, run: &Run, kept: &str) -> Result<(), String> {
    if renew(readme, run, kept)? == readme {
        return Ok(());
    }
    Err(format!("the README's figures are not those of {kept}: `cargo bench --bench loop_swap -- --renew-readme` writes them"))
}

/// The README with its block renewed.
///
/// # Errors
///
/// It has no block.
pub fn renew(readme: &str, run: &Run, kept: &str) -> Result<String, String> {
    let missing = || format!("the README has no lines {} and {END}", START.trim_end());
    let start = readme.find(START).ok_or_else(missing)? + START.len();
    let end = start + readme[start..].find(END).ok_or_else(missing)?;
    Ok(format!("{}{}{}", &readme[..start], block(run, kept), &readme[end..]))
}

fn block(run: &Run, kept: &str) -> String {
    let mut text = String::new();
    for (about, sentence) in answer(run).parts() {
        let _ = writeln!(text, "* **{about}.** {sentence}");
    }
    let awake: Vec<_> = run.shapes.iter().filter(|shape| shape.handler == Handler::Nothing).collect();
    if !awake.is_empty() {
        let _ = write!(
            text,
            "\nCPU of the server, µs a call, where the handler does nothing, by connections × calls in flight on each:\n\n{}",
            cpu_table(run, &awake)
        );
    }
    if let Some(shape) = run.article_shape() {
        let _ =
            write!(text, "\nThe article's shape: {}, {} calls.\n\n{}", shape.title, figure(shape.calls.into()), sleep_table(run, shape));
    }
    let rates = article::ROWS.iter().filter(|row| row.server == "grpc.aio");
    let rates: Vec<_> = rates.map(|row| format!("{} {:.2}", row.runtime, row.requests_per_second)).collect();
    let _ = write!(
        text,
        "\nThe article's own figures, requests/s of grpc.aio on its machine: {}.\n\n{}. Medians over {}; load by {}. {}\nThe page, with spread and every shape: `{kept}/`.\n",
        rates.join(", "),
        text::machine(run),
        rounds(run.n_rounds()),
        run.plan.client,
        text::noise(run),
    );
    text
}

fn cpu_table(run: &Run, shapes: &[&Shape]) -> String {
    let heads: Vec<_> = shapes.iter().map(|shape| format!("{} × {}", shape.connections, shape.in_flight / shape.connections)).collect();
    let mut text = format!("| server, one worker | HTTP/2 by | {} |\n| --- | --- |{}\n", heads.join(" | "), " ---: |".repeat(heads.len()));
    for row in run.rows.iter().filter(|row| row.role != Role::Ceiling) {
        let cells: Vec<_> = shapes
            .iter()
            .map(|shape| run.spread(&row.id, &shape.id, Metric::Cpu).map_or(String::new(), |cpu| figure(cpu.median)))
            .collect();
        if cells.iter().any(|cell| !cell.is_empty()) {
            let _ = writeln!(text, "| {} | {} | {} |", row.name, row.http2, cells.join(" | "));
        }
    }
    text
}

fn sleep_table(run: &Run, shape: &Shape) -> String {
    let mut text = String::from(
        "| server, one worker | HTTP/2 by | requests/s | of its timer | CPU µs a call | requests/s ÷ tokio |\n| --- | --- | ---: | ---: | ---: | ---: |\n",
    );
    for row in run.rows.iter().filter(|row| !matches!(row.role, Role::Ceiling | Role::Floor)) {
        let Some(rate) = run.spread(&row.id, &shape.id, Metric::Rate) else { continue };
        let cpu = run.spread(&row.id, &shape.id, Metric::Cpu).map_or(String::new(), |cpu| figure(cpu.median));
        let [to_base, _, _, _, of_timer] = text::ratios(run, row, shape);
        let of_timer = of_timer.map_or(String::new(), |share| format!("{:.1} %", share * 100.0));
        let to_base = to_base.map_or(String::new(), ratio);
        let _ = writeln!(text, "| {} | {} | {} | {of_timer} | {cpu} | {to_base} |", row.name, row.http2, figure(rate.median));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;

    const README: &str = "# x\n\n<!-- loop_swap -->\nold\n<!-- /loop_swap -->\nrest\n";

    #[test]
    fn a_block_is_renewed_and_then_is_right() {
        let run = Sample::new().cpu("glommio", "native", &[0.777, 0.777, 0.777]).run();
        let why = check(README, &run, "benches/runs/x").unwrap_err();
        assert!(why.contains("benches/runs/x") && why.contains("--renew-readme"), "{why}");
        let renewed = renew(README, &run, "benches/runs/x").unwrap();
        assert!(renewed.starts_with("# x\n\n<!-- loop_swap -->\n* **What") && renewed.ends_with("<!-- /loop_swap -->\nrest\n"));
        assert!(renewed.contains("| loopswap glommio | native | 0.78 | 0.78 | 0.78 |"), "{renewed}");
        assert_eq!(check(&renewed, &run, "benches/runs/x"), Ok(()));
        assert!(check(&renewed.replace("0.78", "0.70"), &run, "benches/runs/x").is_err());
    }

    #[test]
    fn a_readme_without_markers_is_refused() {
        assert!(check("# x\n", &Sample::new().run(), "k").unwrap_err().contains("no lines <!-- loop_swap -->"));
        assert!(renew("<!-- loop_swap -->\n", &Sample::new().run(), "k").is_err());
    }
}
