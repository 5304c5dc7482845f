//! Ctrl-C in the middle of a run: the children are ended, and what was measured so far is kept.
//!
//! The signal reaches this process alone where it is sent by `kill`, so that children are ended from here, whoever started them: every child of
//! this process is one of the run.

use std::fs;
use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// What a shell makes of a process that SIGINT ended.
pub(crate) const EXIT_CODE: u8 = 130;

/// How long children may take after SIGTERM. A server drains, but the load that it waits for is ended as well.
const TERM_MAX: Duration = Duration::from_secs(2);
/// How often it is looked for children: the cell that is under way may still start one.
const LOOK_EVERY: Duration = Duration::from_millis(20);

static STOPPED: AtomicBool = AtomicBool::new(false);

/// From now on the first SIGINT or SIGTERM ends the children, the second this process.
pub(crate) fn watch() -> Result<(), String> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(|error| format!("signals cannot be handled: {error}"))?;
    thread::spawn(move || {
        signals.forever().next();
        STOPPED.store(true, Ordering::SeqCst);
        eprintln!("interrupted: ending the servers and keeping what is measured; once more to end at once");
        let kill_from = Instant::now() + TERM_MAX;
        loop {
            let again = signals.pending().next().is_some();
            let signal = if again || Instant::now() > kill_from { Signal::KILL } else { Signal::TERM };
            for child in children() {
                // It may have ended by itself.
                let _ = kill_process(child, signal);
            }
            if again {
                exit(EXIT_CODE.into());
            }
            thread::sleep(LOOK_EVERY);
        }
    });
    Ok(())
}

/// Whether the run is to end.
pub(crate) fn stopped() -> bool {
    STOPPED.load(Ordering::SeqCst)
}

/// The children of this process that still run.
fn children() -> Vec<Pid> {
    let this = std::process::id();
    let of = |name: &str| {
        let pid: i32 = name.parse().ok()?;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // Behind the name, which may hold anything: state, parent.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let runs = fields.next()? != "Z";
        let parent: u32 = fields.next()?.parse().ok()?;
        (runs && parent == this).then(|| Pid::from_raw(pid))?
    };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter_map(|process| of(process.file_name().to_str()?)).collect()
}
