//! How far the run is: a bar on a terminal, a line now and then elsewhere.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Between two lines.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// The progress of a run.
pub(crate) struct Progress {
    bar: ProgressBar,
    started: Instant,
    /// When the last line was written.
    said: Option<Instant>,
}

impl Progress {
    pub(crate) fn new(n_cells: usize) -> Self {
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg} ({eta} left)").expect("a valid template");
        Self { bar: ProgressBar::new(n_cells as u64).with_style(style), started: Instant::now(), said: None }
    }

    /// A cell begins.
    pub(crate) fn begin(&mut self, cell: String) {
        if self.bar.is_hidden() && self.said.is_none_or(|said| said.elapsed() >= LINE_EVERY) {
            let (done, all) = (self.bar.position(), self.bar.length().unwrap_or_default());
            let left = match done {
                0 => String::new(),
                _ => format!(" ({} s left)", (self.started.elapsed().as_secs_f64() / done as f64 * (all - done) as f64).ceil()),
            };
            eprintln!("{done}/{all} {cell}{left}");
            self.said = Some(Instant::now());
        }
        self.bar.set_message(cell);
    }

    /// The cell has ended.
    pub(crate) fn end(&self) {
        self.bar.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
