//! Kept runs: `benches/runs/<date>-<machine>/`, each with its data, its page, its tables and its command; and the README's block, made of the newest.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use loopswap_report::{Run, check_readme, csv, html, markdown, renew_readme, slug};

use crate::machine;

/// The run's own file in its folder.
const DATA: &str = "run.json";
/// A folder of the same day and machine gets a number; more than this in a day is a mistake.
const A_DAY_MAX: u32 = 99;

/// A folder for a run that is under way. It goes again when nothing is written to it.
pub(crate) struct Kept {
    folder: PathBuf,
}

impl Kept {
    /// Creates the folder in `parent`.
    pub(crate) fn create(parent: &Path) -> Result<Self, String> {
        let cannot = |error: std::io::Error| format!("cannot create a folder in {}: {error}", parent.display());
        fs::create_dir_all(parent).map_err(cannot)?;
        let date = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let name = format!("{}-{}", date.split('T').next().unwrap_or_default(), machine_word(&machine::cpu()));
        for n in 1..=A_DAY_MAX {
            let folder = parent.join(if n == 1 { name.clone() } else { format!("{name}-{n}") });
            match fs::create_dir(&folder) {
                Ok(()) => return Ok(Self { folder }),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(cannot(error)),
            }
        }
        Err(format!("{} holds {A_DAY_MAX} runs of {name} already", parent.display()))
    }

    /// Fills it.
    pub(crate) fn write(self, run: &Run) -> Result<PathBuf, String> {
        let files = [
            (DATA, run.to_json()),
            ("report.html", html(run)),
            ("table.md", markdown(run)),
            ("table.csv", csv(run)),
            ("command", format!("{}\n", run.machine.command)),
        ];
        for (name, text) in files {
            let path = self.folder.join(name);
            fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        }
        Ok(self.folder.clone())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // Refused for a folder that holds something, and only then.
        let _ = fs::remove_dir(&self.folder);
    }
}

/// Holds the README against the newest kept run, or renews it from that.
pub(crate) fn readme(renew: bool) -> Result<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (folder, run) = newest(&root.join("benches/runs"))?;
    let kept = folder.strip_prefix(root).unwrap_or(&folder).display().to_string();
    let path = root.join("README.md");
    let readme = fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    if renew {
        fs::write(&path, renew_readme(&readme, &run, &kept)?).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        return Ok(format!("README.md has the figures of {kept}\n"));
    }
    check_readme(&readme, &run, &kept)?;
    Ok(format!("README.md has the figures of {kept}, the newest kept run\n"))
}

/// The newest run that was not interrupted and has rounds enough for verdicts. A kept run that cannot be read is an error, not an older one's turn.
fn newest(runs: &Path) -> Result<(PathBuf, Run), String> {
    let folders = fs::read_dir(runs).map_err(|error| format!("cannot read {}: {error}", runs.display()))?;
    let mut newest: Option<(PathBuf, Run)> = None;
    for folder in folders.filter_map(|entry| Some(entry.ok()?.path())).filter(|folder| folder.join(DATA).exists()) {
        let run = Run::read(&folder.join(DATA))?;
        let quoted = !run.interrupted && run.plan.rounds >= 3;
        if quoted && newest.as_ref().is_none_or(|(_, other)| other.started < run.started) {
            newest = Some((folder, run));
        }
    }
    newest.ok_or_else(|| format!("{} holds no run of three rounds or more that was not interrupted", runs.display()))
}

/// `2 × AMD EPYC` is `epyc-2cpu`.
fn machine_word(cpu: &str) -> String {
    let (count, model) = cpu.split_once(" × ").unwrap_or(("", cpu));
    let model = slug(model.split('@').next().unwrap_or_default());
    let empty = ["amd", "intel", "r", "tm", "cpu", "processor", "core", "genuine", "with"];
    let words: Vec<_> = model.split('-').filter(|word| !word.is_empty() && !empty.contains(word)).take(2).collect();
    format!("{}-{count}cpu", if words.is_empty() { "unknown".into() } else { words.join("-") })
}
