//! `FAULTS.md` has every fault once, names tests that exist, and says on which loops and engines they run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::output;

const N_FAULTS: usize = 80;
const LOOPS: [&str; 3] = ["tokio", "tokio_uring", "glommio"];
const ENGINES: [&str; 2] = ["native", "hyper"];

/// A row of the table.
struct Row {
    number: usize,
    tests: String,
    place: String,
}

/// The cases of this binary: by their paths without loop and engine, those in the middle of each.
type Cases = BTreeMap<String, BTreeSet<String>>;

#[test]
fn every_fault_has_its_tests() {
    let rows = rows();
    let numbers: Vec<_> = rows.iter().map(|row| row.number).collect();
    assert_eq!(numbers, (1..=N_FAULTS).collect::<Vec<_>>(), "each fault once, in order");
    let (all, ignored) = (cases(&[]), cases(&["--ignored"]));
    let wrong: Vec<_> =
        rows.iter().filter_map(|row| check(row, &all, &ignored).err().map(|why| format!("fault {}: {why}", row.number))).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

fn source(path: &str) -> Result<String, String> {
    fs::read_to_string(root().join(path)).map_err(|error| format!("{path}: {error}"))
}

fn rows() -> Vec<Row> {
    let table = source("tests/it/FAULTS.md").expect("it is there");
    let row = |line: &str| {
        let cells: Vec<_> = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").collect();
        let number = cells[0].parse().ok()?;
        let [_, _, _, tests, place] = cells[..] else { panic!("five cells: {line}") };
        Some(Row { number, tests: tests.to_owned(), place: place.to_owned() })
    };
    table.lines().filter_map(row).collect()
}

fn cases(args: &[&str]) -> Cases {
    let mut command = std::process::Command::new(std::env::current_exe().expect("it runs"));
    let listed = output(command.arg("--list").args(args));
    assert!(listed.status.success(), "{}", listed.stderr);
    let mut cases = Cases::new();
    for path in listed.stdout.lines().filter_map(|line| line.strip_suffix(": test")) {
        let is_instance = |part: &&str| LOOPS.contains(part) || ENGINES.contains(part);
        let (instance, rest): (Vec<_>, Vec<_>) = path.split("::").partition(is_instance);
        cases.entry(rest.join("::")).or_default().insert(instance.join("::"));
    }
    cases
}

fn check(row: &Row, all: &Cases, ignored: &Cases) -> Result<(), String> {
    let names: Vec<_> = row.tests.split('`').skip(1).step_by(2).collect();
    if row.tests.starts_with("no test: ") {
        return if row.place == "–" { Ok(()) } else { Err(format!("no test runs on `{}`", row.place)) };
    }
    let mut of_it = Vec::new();
    for name in names {
        if let Some((file, function)) = name.split_once(".rs::") {
            let file = format!("{file}.rs");
            let text = source(&file)?;
            if !["(", "<"].iter().any(|behind| text.contains(&format!("fn {function}{behind}"))) {
                return Err(format!("{file} has no `{function}`"));
            }
        } else if let Some((script, step)) = name.split_once(' ') {
            if !source(script)?.contains(&format!("step_{step}()")) {
                return Err(format!("{script} has no step `{step}`"));
            }
        } else if name.contains('/') {
            source(name)?;
        } else {
            let instances = all.get(name).ok_or_else(|| format!("there is no case `{name}`"))?;
            let is_left_out = |instance: &&String| ignored.get(name).is_some_and(|left_out| left_out.contains(*instance));
            of_it.push(instances.iter().filter(|instance| !is_left_out(instance)).map(String::as_str).collect::<BTreeSet<_>>());
        }
    }
    let is = place(&of_it)?;
    let rest = row.place.strip_prefix(is).ok_or_else(|| format!("it is `{is}`, not `{}`", row.place))?;
    if rest.is_empty() || rest.starts_with("; the cases") { Ok(()) } else { Err(format!("it is `{is}`, not `{}`", row.place)) }
}

/// Where cases run, in the words of the table.
fn place(of_it: &[BTreeSet<&str>]) -> Result<&'static str, String> {
    if of_it.is_empty() {
        return Ok("no case of `it`");
    }
    if of_it.iter().all(|instances| *instances == BTreeSet::from([""])) {
        return Ok("no macro: the cases take their loops");
    }
    let runs_on = |instances: &BTreeSet<&str>, word: &str| instances.iter().any(|instance| instance.split("::").next() == Some(word));
    for instances in of_it {
        if let Some(missing) = LOOPS.iter().find(|word| !runs_on(instances, word)) {
            return Err(format!("a case is not run on {missing}: {instances:?}"));
        }
    }
    let on_hyper = of_it.iter().filter(|instances| instances.iter().any(|instance| instance.ends_with("hyper"))).count();
    Ok(match on_hyper {
        0 => "every loop, native",
        n if n == of_it.len() => "every loop, native and hyper",
        _ => "every loop, native; hyper in part",
    })
}
