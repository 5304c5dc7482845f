//! Kept runs: a folder of folders `<date>-<machine>/`, each with a run's data, page, tables and command.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::page::html;
use crate::run::{Run, slug};
use crate::text::{csv, markdown};
use crate::verdict::ROUNDS_MIN;

/// The run's own file in its folder.
const DATA: &str = "run.json";
/// A folder of the same day and machine gets a number; more than this in a day is a mistake.
const A_DAY_MAX: u32 = 99;

/// The folder of a run that is under way. It goes again when nothing is written to it.
#[derive(Debug)]
pub struct Kept {
    folder: PathBuf,
}

impl Kept {
    /// Creates the folder in `parent`, for a run on this day (`2026-11-24`) on this machine (`2 × AMD EPYC`).
    ///
    /// # Errors
    ///
    /// It cannot be created: where, and why.
    pub fn create(parent: &Path, date: &str, cpu: &str) -> Result<Self, String> {
        let cannot = |error: io::Error| format!("cannot create a folder in {}: {error}", parent.display());
        fs::create_dir_all(parent).map_err(cannot)?;
        let name = format!("{date}-{}", machine_word(cpu));
        for n in 1..=A_DAY_MAX {
            let folder = parent.join(if n == 1 { name.clone() } else { format!("{name}-{n}") });
            match fs::create_dir(&folder) {
                Ok(()) => return Ok(Self { folder }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(cannot(error)),
            }
        }
        Err(format!("{} holds {A_DAY_MAX} runs of {name} already", parent.display()))
    }

    /// Fills it, and says where it is.
    ///
    /// # Errors
    ///
    /// A file cannot be written: which, and why.
    pub fn write(self, run: &Run) -> Result<PathBuf, String> {
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

/// The newest kept run that was not interrupted and has rounds enough for verdicts, with its folder.
///
/// # Errors
///
/// There is none, or a kept run cannot be read, which is not an older one's turn.
pub fn newest(parent: &Path) -> Result<(PathBuf, Run), String> {
    let folders = fs::read_dir(parent).map_err(|error| format!("cannot read {}: {error}", parent.display()))?;
    let mut newest: Option<(PathBuf, Run)> = None;
    for folder in folders.filter_map(|entry| Some(entry.ok()?.path())).filter(|folder| folder.join(DATA).exists()) {
        let run = Run::read(&folder.join(DATA))?;
        let quoted = !run.interrupted && run.n_rounds() >= ROUNDS_MIN;
        if quoted && newest.as_ref().is_none_or(|(_, other)| other.started < run.started) {
            newest = Some((folder, run));
        }
    }
    newest.ok_or_else(|| format!("{} holds no run of {ROUNDS_MIN} rounds or more that was not interrupted", parent.display()))
}

/// `2 × AMD EPYC` is `epyc-2cpu`.
fn machine_word(cpu: &str) -> String {
    let (count, model) = cpu.split_once(" × ").unwrap_or(("", cpu));
    let model = slug(model.split('@').next().unwrap_or_default());
    let empty = ["amd", "intel", "r", "tm", "cpu", "processor", "core", "genuine", "with"];
    let words: Vec<_> = model.split('-').filter(|word| !word.is_empty() && !empty.contains(word)).take(2).collect();
    format!("{}-{count}cpu", if words.is_empty() { "unknown".into() } else { words.join("-") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;

    fn keep(parent: &Path, date: &str, run: &Run) -> PathBuf {
        Kept::create(parent, date, "2 × AMD EPYC").unwrap().write(run).unwrap()
    }

    #[test]
    fn a_run_is_kept_with_all_that_belongs_to_it() {
        let parent = tempfile::tempdir().unwrap();
        let run = Sample::new().run();
        let folder = keep(&parent.path().join("runs"), "2026-11-24", &run);
        assert_eq!(folder, parent.path().join("runs/2026-11-24-epyc-2cpu"));
        for name in ["run.json", "report.html", "table.md", "table.csv", "command"] {
            assert!(folder.join(name).metadata().unwrap().len() > 0, "{name}");
        }
        assert_eq!(Run::read(&folder.join("run.json")).unwrap(), run);
        assert!(keep(&parent.path().join("runs"), "2026-11-24", &run).ends_with("2026-11-24-epyc-2cpu-2"), "what is there stays");
    }

    #[test]
    fn a_folder_that_nothing_is_written_to_goes_again() {
        let parent = tempfile::tempdir().unwrap();
        drop(Kept::create(parent.path(), "2026-11-24", "2 × AMD EPYC").unwrap());
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
        let file = parent.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(Kept::create(&file, "2026-11-24", "x").unwrap_err().contains("cannot create a folder in"));
    }

    #[test]
    fn the_newest_is_the_last_that_can_be_quoted() {
        let parent = tempfile::tempdir().unwrap();
        assert!(newest(parent.path()).unwrap_err().contains("holds no run"));
        let started = |at: &str, run: Run| Run { started: at.into(), ..run };
        keep(parent.path(), "2026-11-25", &started("2026-11-25T08:00:00Z", Sample::new().run()));
        keep(parent.path(), "2026-11-26", &started("2026-11-24", Sample::new().run()));
        keep(parent.path(), "2026-11-27", &started("2026-11-27T08:00:00Z", Sample::new().of_rounds(1).run()));
        keep(parent.path(), "2026-11-28", &started("2026-11-28T08:00:00Z", Run { interrupted: true, ..Sample::new().run() }));
        let (folder, run) = newest(parent.path()).unwrap();
        assert_eq!((folder, run.started.as_str()), (parent.path().join("2026-11-25-epyc-2cpu"), "2026-11-25T08:00:00Z"));
        fs::create_dir(parent.path().join("old")).unwrap();
        fs::write(parent.path().join("old/run.json"), r#"{ "schema": 2 }"#).unwrap();
        assert!(newest(parent.path()).unwrap_err().contains("old/run.json: a run of layout 2"));
    }

    #[test]
    fn machines_have_short_words() {
        let words =
            ["2 × AMD EPYC", "8 × Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz", "4 × ", "16 × AMD Ryzen 9 7950X 16-Core Processor"]
                .map(machine_word);
        assert_eq!(words, ["epyc-2cpu", "xeon-platinum-8cpu", "unknown-4cpu", "ryzen-9-16cpu"]);
    }
}
