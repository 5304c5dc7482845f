//! The progress bar of `loopswap load`, drawn by a thread of its own, so that the loop only counts.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use crate::cli::terminal::coloured;
use crate::load::{Amount, Progress};

/// How often it is drawn; runs that are shorter show none.
const DRAW_EVERY: Duration = Duration::from_millis(100);

/// A bar on standard error, when that is a terminal, for as long as this value lives.
#[derive(Debug)]
pub(super) struct Bar {
    end: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Bar {
    pub(super) fn start(amount: Amount, progress: Arc<Progress>) -> Self {
        let (end, ended) = mpsc::channel();
        let body = move || {
            let start = Instant::now();
            let bar = ProgressBar::no_length().with_style(style());
            while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(DRAW_EVERY) {
                draw(&bar, amount, &progress, start.elapsed());
            }
            bar.finish_and_clear();
        };
        // Without a thread there is no bar, and the run goes on.
        let thread = thread::Builder::new().name("progress".into()).spawn(body).ok();
        Self { end: Some(end), thread }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn style() -> ProgressStyle {
    let bar = if coloured(&io::stderr()) { "{bar:40.cyan/dim}" } else { "{bar:40}" };
    let style = ProgressStyle::with_template(&format!("{bar} {{percent:>3}} %  {{msg}}")).expect("the template is ours");
    style.progress_chars("━╸─")
}

fn draw(bar: &ProgressBar, amount: Amount, progress: &Progress, elapsed: Duration) {
    let n_ended = progress.n_ended.load(Ordering::Relaxed);
    let n_failed = progress.n_failed.load(Ordering::Relaxed);
    let per_second = n_ended as f64 / elapsed.as_secs_f64();
    let (of, seconds_left) = match amount {
        Amount::Calls(total) => {
            bar.set_length(total);
            bar.set_position(n_ended);
            (format!(" of {}", HumanCount(total)), (total - n_ended) as f64 / per_second)
        }
        Amount::Time(time) => {
            bar.set_length(time.as_millis() as u64);
            bar.set_position(elapsed.min(time).as_millis() as u64);
            (String::new(), time.saturating_sub(elapsed).as_secs_f64())
        }
    };
    let failed = if n_failed == 0 { String::new() } else { format!(", {} failed", HumanCount(n_failed)) };
    // Before the first call has ended, nobody knows.
    let left = if seconds_left.is_finite() {
        format!(", {} left", humantime::format_duration(Duration::from_secs(seconds_left.ceil() as u64)))
    } else {
        String::new()
    };
    bar.set_message(format!("{}{of} calls{failed}, {}/s{left}", HumanCount(n_ended), HumanCount(per_second as u64)));
    bar.tick();
}
