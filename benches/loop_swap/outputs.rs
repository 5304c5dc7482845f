//! The files that a run is written to.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use loopswap_report::{Kept, Run, csv, html, markdown};

use crate::Args;
use crate::machine;

/// How a run becomes a file.
type Render = fn(&Run) -> String;

/// What was asked for, opened before the minutes of work, not after them.
pub(crate) struct Outputs {
    files: Vec<(PathBuf, File, Render)>,
    kept: Option<Kept>,
}

impl Outputs {
    /// Opens them. What they hold stays until there is something to write.
    pub(crate) fn open(args: &Args) -> Result<Self, String> {
        let wanted: [(&Option<PathBuf>, Render); 4] =
            [(&args.json, Run::to_json), (&args.html, html), (&args.markdown, markdown), (&args.csv, csv)];
        let mut files = Vec::new();
        for (path, render) in wanted {
            if let Some(path) = path {
                files.push((path.clone(), create(path)?, render));
            }
        }
        let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let date = now.split('T').next().expect("a date and a time");
        let kept = args.out.as_deref().map(|parent| Kept::create(parent, date, &machine::cpu())).transpose()?;
        Ok(Self { files, kept })
    }

    /// Writes them. Where each is, in lines.
    pub(crate) fn write(self, run: &Run) -> Result<String, String> {
        let mut said = String::new();
        for (path, mut file, render) in self.files {
            let written = file.set_len(0).and_then(|()| file.write_all(render(run).as_bytes()));
            written.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
            said += &format!("written: {}\n", path.display());
        }
        if let Some(kept) = self.kept {
            said += &format!("kept: {}\n", kept.write(run)?.display());
        }
        Ok(said)
    }
}

/// For writing, without emptying it.
fn create(path: &Path) -> Result<File, String> {
    let file = fs::OpenOptions::new().write(true).create(true).truncate(false).open(path);
    file.map_err(|error| format!("cannot write {}: {error}", path.display()))
}
