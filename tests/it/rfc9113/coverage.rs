//! `MUSTS.md` names cases that exist, and all cases of the two folders.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it")
}

fn source(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The functions of a file that are called as cases are.
fn cases(folder: &str, prefix: &str) -> BTreeSet<String> {
    let files = fs::read_dir(tests().join(folder)).expect("the folder is there").map(|entry| entry.expect("it can be read").path());
    let rust = files.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let sources: String = rust.map(|path| source(&path)).collect();
    let functions = sources.lines().filter_map(|line| line.strip_prefix("fn ")?.split_once('(').map(|(name, _)| name));
    let is_case = |name: &&str| name.strip_prefix('s').is_some_and(|section| section.starts_with(|c: char| c.is_ascii_digit()));
    functions.filter(is_case).map(|name| format!("{prefix}{name}")).collect()
}

#[test]
fn musts_names_all_cases() {
    let text = source(&tests().join("rfc9113/MUSTS.md"));
    let rows = text.lines().filter(|line| line.starts_with("| "));
    let named: BTreeSet<_> = rows.flat_map(|row| row.rsplit(" | ").next()).flat_map(|cases| cases.split('`').skip(1).step_by(2)).collect();
    let cases: BTreeSet<_> = cases("rfc9113", "").into_iter().chain(cases("rfc7541", "7541/")).collect();
    assert!(cases.len() > 100, "{cases:?}");
    for name in &named {
        let exists = match name.rsplit_once("::") {
            // A case of another topic, by its module.
            Some((module, case)) => {
                let file = tests().join(format!("{}.rs", module.replace("::", "/")));
                source(&file).contains(&format!("fn {case}("))
            }
            None => cases.contains(*name),
        };
        assert!(exists, "MUSTS.md names {name}, which is not there");
    }
    let unnamed: Vec<_> = cases.iter().filter(|case| !named.contains(&case[..])).collect();
    assert!(unnamed.is_empty(), "MUSTS.md does not name {unnamed:?}");
}
