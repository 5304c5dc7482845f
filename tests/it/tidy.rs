//! The arrows of the design, guarded: `src/` names no loop but in the registry, and nothing of an executor. And the suite's own rule: each of its servers has
//! its leak check.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

fn in_src() -> Vec<(String, String)> {
    within("src")
}

/// The files of a folder, by their paths within it, and what they say.
fn within(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = sources(&root);
    assert!(files.len() > 10, "the guard looks at the sources");
    let name = |path: &Path| path.strip_prefix(&root).unwrap().display().to_string();
    files.into_iter().map(|path| (name(&path), fs::read_to_string(&path).unwrap())).collect()
}

/// Lines of code that contain one of the words.
fn offenders(folder: &str, words: &[&str], allowed: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (file, text) in within(folder).into_iter().filter(|(file, _)| !allowed(file)) {
        for (n, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            if words.iter().any(|word| line.contains(word)) {
                found.push(format!("{file}:{}: {}", n + 1, line.trim()));
            }
        }
    }
    found
}

#[test]
fn only_the_registry_names_an_adapter() {
    let found = offenders("src", &["loopswap_tokio", "loopswap_glommio", "loopswap_tokio_uring"], |file| file == "registry.rs");
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn nothing_in_src_uses_an_executor() {
    let words = ["tokio::net", "tokio::time", "tokio::task", "tokio::runtime", "tokio::spawn", "tokio_uring::", "glommio::"];
    let found = offenders("src", &words, |file| file == "registry.rs");
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn every_file_says_what_it_owns() {
    let silent: Vec<_> = in_src().into_iter().filter(|(_, text)| !text.starts_with("//!")).map(|(file, _)| file).collect();
    assert!(silent.is_empty(), "no `//!` at the top of {silent:?}");
}

/// Who starts a server, here or as a child, holds it in what checks it when it is dropped. The hooks are started, and refused, by their own tests; a
/// worker that is left behind has no stop hook to tell by.
#[test]
fn every_server_of_the_suite_has_its_leak_check() {
    let words = [".start(", ".start_with(", ".spawn()"];
    // A child that serves nobody is the load's: a client that is interrupted.
    let exempt = ["leaks.rs", "support.rs", "hooks.rs", "load/good.rs", "overload/blocked.rs", "tidy.rs"];
    let found = offenders("tests/it", &words, |file| exempt.contains(&file));
    assert!(found.is_empty(), "start it by `leaks::host` or `support::serve`: {found:#?}");
}
