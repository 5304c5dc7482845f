//! The README's block, which is made of the newest of `benches/runs/`.

use std::fs;
use std::path::Path;

use loopswap_report::{check_readme, newest, renew_readme};

/// Holds the README against the newest kept run, or renews it from that.
pub(crate) fn run(renew: bool) -> Result<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (folder, run) = newest(&root.join("benches/runs"))?;
    let kept = folder.strip_prefix(root).unwrap_or(&folder).display().to_string();
    let path = root.join("README.md");
    let readme = fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    if renew {
        fs::write(&path, renew_readme(&readme, &run, &kept)?).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    } else {
        check_readme(&readme, &run, &kept)?;
    }
    Ok(format!("README.md has the figures of {kept}, the newest kept run\n"))
}
