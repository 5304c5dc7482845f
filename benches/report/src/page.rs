//! The page: one HTML file that needs neither network nor script. The answer first, then pictures, then every figure as a table, then how it was measured.

mod charts;
mod tables;

use std::fmt::Write;

use crate::answer::answer;
use crate::number::rounds;
use crate::picture::escape;
use crate::run::{Handler, Run};
use crate::text;
use crate::verdict::RULE;

const STYLE: &str = include_str!("page.css");

/// The run as a page.
pub fn html(run: &Run) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n<title>loopswap: loop × engine, {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n",
        escape(&run.started)
    );
    header(&mut page, run);
    page += "<main>\n";
    the_answer(&mut page, run);
    charts::all(&mut page, run);
    tables::all(&mut page, run);
    how(&mut page, run);
    page + "</main>\n</body>\n</html>\n"
}

fn header(page: &mut String, run: &Run) {
    let date = run.started.split('T').next().unwrap_or_default();
    let _ = write!(
        page,
        "<header>\n<p class=\"kicker\">loopswap · {} · {}</p>\n<h1>What does swapping the event loop buy a gRPC server?</h1>\n",
        escape(date),
        escape(&run.machine.cpu)
    );
    if run.interrupted {
        let _ = writeln!(page, "<p class=\"warning\" role=\"note\">{}</p>", escape(&text::interrupted(run)));
    }
    if run.n_rounds() < 3 {
        let _ = writeln!(
            page,
            "<p class=\"warning\" role=\"note\">{} only: figures to look at, not to quote. No verdict is given.</p>",
            capital(&rounds(run.n_rounds()))
        );
    }
    *page += "</header>\n";
}

fn the_answer(page: &mut String, run: &Run) {
    *page += "<section id=\"answer\">\n<h2>The answer of this run</h2>\n";
    for (about, sentence) in answer(run).parts() {
        let _ = writeln!(page, "<h3>{about}</h3>\n<p class=\"sentence\">{}</p>", together(&escape(sentence)));
    }
    let _ = write!(page, "<p class=\"note\">{RULE} {}</p>\n</section>\n", text::noise(run));
}

fn how(page: &mut String, run: &Run) {
    let machine = &run.machine;
    let cpus = match (machine.server_cpu, machine.load_cpu) {
        (Some(server), Some(load)) => format!("{server} for the server, {load} for the load"),
        _ => "one for both, which compete: believe no figure but CPU a call".into(),
    };
    *page += "<section id=\"how\">\n<h2>How it was measured</h2>\n<dl>\n";
    let facts = [
        ("Machine", machine.cpu.as_str()),
        ("CPUs", &cpus),
        ("Kernel", &machine.kernel),
        ("Commit", &machine.commit),
        ("Compiler", &machine.rustc),
        ("Began", &run.started),
        ("Plan", &text::plan(run)),
    ];
    for (name, value) in facts {
        let _ = writeln!(page, "<dt>{name}</dt><dd>{}</dd>", escape(value));
    }
    let _ = write!(
        page,
        "</dl>\n<p>The command that repeats it:</p>\n<pre><code>{}</code></pre>\n<p class=\"note\">{} CPU is what the scheduler counted for the server's threads, in nanoseconds. Medians over {}; the range is the least and the greatest round.{}</p>\n</section>\n",
        escape(&machine.command),
        text::NOTE,
        rounds(run.n_rounds()),
        if run.shapes.iter().any(|shape| matches!(shape.handler, Handler::Sleep(_))) {
            " The sleep stands for what a handler waits for, as in the article."
        } else {
            ""
        },
    );
}

/// A figure and its sign stay on one line.
fn together(text: &str) -> String {
    text.replace(" ×", "\u{a0}×").replace(" %", "\u{a0}%")
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;

    #[test]
    fn the_page_stands_alone_and_says_first_what_it_found() {
        let run = Sample::new().cpu("glommio", "native", &[2.0, 2.1, 2.2]).run();
        let page = html(&run);
        for banned in ["<script", "http://", "https://", "src=", "@import", "url("] {
            assert!(!page.contains(banned), "{banned}");
        }
        let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("no {text}"));
        assert!(
            at("glommio loses to tokio (2.10\u{a0}× its CPU a call") < at("<svg") && at("<svg") < at("<table"),
            "answer, pictures, tables"
        );
        assert!(page.contains("2 × &lt;EPYC &amp; co&gt;") && !page.contains("<EPYC"), "what a machine says of itself is text");
        assert_eq!(page.matches("<svg").count(), page.matches("<title>").count() - 1, "each picture has its title");
        assert_eq!(page.matches("<table").count(), page.matches("<div class=\"scroll\"").count(), "each table scrolls in itself");
    }

    #[test]
    fn what_a_run_lacks_is_said() {
        let mut run = Sample::new().of_rounds(1).without("glommio").run();
        run.interrupted = true;
        let page = html(&run);
        assert!(page.contains("Interrupted: ") && page.contains("One round only"));
        assert!(page.contains("io_uring is refused; allow it"));
        assert!(page.contains("The noise of this run is not known"));
        run.cells.clear();
        run.shapes.clear();
        assert!(html(&run).ends_with("</html>\n"));
    }
}
