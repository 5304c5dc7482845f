//! Counting: instructions by callgrind, in a child; allocations by the allocator.

use std::alloc::{GlobalAlloc, Layout};
use std::env;
use std::fmt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use mimalloc::MiMalloc;

use crate::row::Row;

/// The run lengths, in calls: the longer one is this much longer. Under callgrind a call of the heaviest row takes a millisecond.
const UNITS_SHORT: usize = 2_000;
const UNITS_LONG: usize = 6_000;

/// The function that is the server's turn.
const TURN: &str = "*loopswap_engine_turn*";

static N_ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

/// The binary's allocator, which counts.
pub(crate) struct Counting;

/// How often memory was asked for.
pub(crate) fn n_allocations() -> u64 {
    N_ALLOCATIONS.load(Ordering::Relaxed)
}

#[allow(unsafe_code, reason = "an allocator is unsafe by its trait")]
// SAFETY: every call goes to mimalloc as it came; the count beside it touches no memory of the caller's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        N_ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { MiMalloc.dealloc(ptr, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        N_ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        N_ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { MiMalloc.realloc(ptr, layout, new_size) }
    }
}

/// What a row costs, each call or message.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    pub(crate) row: Row,
    /// `None` without valgrind.
    pub(crate) instructions: Option<f64>,
    pub(crate) allocations: f64,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instructions = self.instructions.map_or_else(|| "-".to_owned(), |n| format!("{n:.0}"));
        write!(f, "{:<28} {instructions:>16} {:>16.2}", self.row.name, self.allocations)
    }
}

/// Whether callgrind can be had.
pub(crate) fn has_valgrind() -> bool {
    let valgrind = Command::new("valgrind").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    valgrind.is_ok_and(|status| status.success())
}

/// Instructions a unit of the row.
pub(crate) fn instructions(row: Row) -> Result<f64, String> {
    let units = Figures::units(row);
    let batches = [UNITS_SHORT, UNITS_LONG].map(|n| (n / units).max(1));
    let [short, long] = batches.map(|n| collected(row, n));
    let n_units = ((batches[1] - batches[0]) * units) as f64;
    Ok((long? - short?) as f64 / n_units)
}

/// Allocations a unit of the row.
pub(crate) fn allocations(row: Row) -> f64 {
    let units = Figures::units(row);
    let n = (UNITS_LONG / units).max(1);
    let mut open = row.open();
    // Buffers grow to what they will be.
    open.batches(n.min(50));
    open.allocations(n) as f64 / (n * units) as f64
}

/// Runs a row under callgrind, and returns what it collected while the server had its turn.
fn collected(row: Row, n_batches: usize) -> Result<u64, String> {
    let output = callgrind(row, n_batches, "/dev/null")?;
    // ==123== Collected : 1234567
    let collected = output.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    collected.filter(|n| *n > 0).ok_or_else(|| format!("callgrind collected nothing:\n{output}"))
}

fn callgrind(row: Row, n_batches: usize, file: &str) -> Result<String, String> {
    let this = env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no"])
        .arg(format!("--toggle-collect={TURN}"))
        .arg(format!("--callgrind-out-file={file}"))
        .arg(this)
        .args(["--child", row.name, "--batches", &n_batches.to_string()])
        .output()
        .map_err(|error| format!("cannot start valgrind: {error}"))?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(text) } else { Err(format!("{} under callgrind failed:\n{text}", row.name)) }
}

/// Prints where the instructions of a row go: each function's own, then with all that it calls. With CARGO_PROFILE_BENCH_DEBUG=1 inlined code is
/// named by its lines.
pub(crate) fn profile(row: Row) -> Result<(), String> {
    let file = env::temp_dir().join(format!("loopswap-engine-{}.callgrind", std::process::id()));
    let path = file.to_string_lossy().into_owned();
    callgrind(row, (UNITS_LONG / Figures::units(row)).max(1), &path)?;
    for inclusive in ["no", "yes"] {
        let annotated = Command::new("callgrind_annotate")
            .args([&format!("--inclusive={inclusive}"), "--auto=no", "--threshold=100", &path])
            .output()
            .map_err(|error| format!("cannot start callgrind_annotate: {error}"))?;
        let text = String::from_utf8_lossy(&annotated.stdout).into_owned();
        // Whoever calls the turn has its sum; the names of files are this machine's.
        let rows = text.lines().skip_while(|line| !line.contains("Ir ")).filter(|line| line.contains("%)"));
        let rows = rows.skip_while(|line| inclusive == "yes" && !line.contains("lone::Lone")).take(25);
        let name = |line: &str| line.split(" [/").next().unwrap_or_default().replace("???:", "");
        crate::say(&format!("\n== inclusive: {inclusive}\n{}\n", rows.map(name).collect::<Vec<_>>().join("\n")));
    }
    std::fs::remove_file(&file).map_err(|error| format!("cannot remove {path}: {error}"))
}
