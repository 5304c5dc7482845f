//! What making a peer takes: one command at a time, with its progress shown and its last lines kept; and a note of what was made from what.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use rustix::fs::{FlockOperation, flock};

/// How long one command may take: a large Rust peer with all its dependencies takes minutes on two cores.
const STEP_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// What is kept of its output.
const LAST_LINES: usize = 8;

/// Runs a command to its end. `what` completes the sentence "peers: …".
///
/// # Errors
///
/// What could not be done, with the last lines that the command wrote on standard error.
pub(crate) fn step(what: &str, command: &mut Command) -> Result<(), String> {
    step_within(what, command, STEP_TIMEOUT)
}

pub(crate) fn step_within(what: &str, command: &mut Command, timeout: Duration) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("{what}: {program} cannot be started: {error}"))?;
    let stderr = BufReader::new(child.stderr.take().expect("piped"));
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in stderr.split(b'\n').map_while(Result::ok) {
            let _ = sender.send(String::from_utf8_lossy(&line).trim_end().to_owned());
        }
    });
    let progress = Progress::start(what);
    let mut last = VecDeque::new();
    let give_up = Instant::now() + timeout;
    loop {
        match lines.recv_timeout(give_up.saturating_duration_since(Instant::now())) {
            Ok(line) if line.is_empty() => {}
            Ok(line) => {
                progress.show(&line);
                last.push_back(line);
                if last.len() > LAST_LINES {
                    last.pop_front();
                }
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("{what}: not done after {timeout:?}, given up"));
            }
        }
    }
    let status = child.wait().map_err(|error| format!("{what}: {error}"))?;
    if status.success() {
        return Ok(());
    }
    Err(format!("{what} failed, {status}:\n{}", Vec::from(last).join("\n")))
}

/// A line that moves, on a terminal; else one line that says what has begun.
struct Progress(Option<ProgressBar>);

impl Progress {
    fn start(what: &str) -> Self {
        if !std::io::stderr().is_terminal() {
            eprintln!("peers: {what}");
            return Self(None);
        }
        let style = ProgressStyle::with_template("{spinner} peers: {prefix} ({elapsed}) {wide_msg}").expect("a valid template");
        let bar = ProgressBar::new_spinner().with_style(style).with_prefix(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(Some(bar))
    }

    fn show(&self, line: &str) {
        if let Some(bar) = &self.0 {
            bar.set_message(line.trim().to_owned());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// Keeps other runs of the suite from making the same things, until it is dropped.
pub(crate) fn lock(target: &Path) -> Result<File, String> {
    let path = target.join("lock");
    let locked = fs::create_dir_all(target).and_then(|()| File::create(&path)).and_then(|file| {
        flock(&file, FlockOperation::LockExclusive)?;
        Ok(file)
    });
    locked.map_err(|error| format!("cannot lock {}: {error}", path.display()))
}

/// Whether what `stamp` stands for was made from these sources, as they are now.
pub(crate) fn is_ready(stamp: &Path, sources: &[PathBuf]) -> bool {
    fs::read(stamp).is_ok_and(|noted| text_of(sources).is_ok_and(|now| noted == now))
}

/// Notes that it was.
pub(crate) fn set_ready(stamp: &Path, sources: &[PathBuf]) -> Result<(), String> {
    let text = text_of(sources)?;
    fs::write(stamp, text).map_err(|error| format!("cannot write {}: {error}", stamp.display()))
}

/// The sources' own words, one behind the other: some kilobytes.
fn text_of(sources: &[PathBuf]) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    for source in sources {
        let read = fs::read(source).map_err(|error| format!("cannot read {}: {error}", source.display()))?;
        text.extend_from_slice(source.file_name().unwrap_or_default().as_encoded_bytes());
        text.push(b'\n');
        text.extend(read);
    }
    Ok(text)
}

/// Whether these programs are on the PATH `path`; an error names those that are not, and what installs them.
pub(crate) fn find(programs: &[&str], path: &OsStr, install: &str) -> Result<(), String> {
    let there = |program: &str| std::env::split_paths(path).any(|folder| folder.join(program).is_file());
    let missing: Vec<_> = programs.iter().copied().filter(|program| !there(program)).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("{} cannot be found; {install}", missing.join(", "))) }
}

/// This process's PATH.
pub(crate) fn path() -> OsString {
    std::env::var_os("PATH").unwrap_or_default()
}
