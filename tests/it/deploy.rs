//! What `deploy/` and the documents tell people to do: commands and variables that the binary understands, times that fit, a seccomp profile under which every
//! loop serves. How others read these files, and containers, are `tests/deploy/run`'s.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use seccompiler::{BpfProgram, TargetArch, apply_filter, compile_from_json};
use serde_json::{Value, json};

use crate::support::{block_on, client, hello, loopswap, output, served};

crate::on_every_loop_and_engine!(serves_under_the_seccomp_profile);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files below a folder of the repository.
fn files(folder: &str) -> Vec<PathBuf> {
    let mut folders = vec![root().join(folder)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files
}

/// The words of a line of a shell, up to a comment, a pipe or a redirection. Quotes are all the shell that it knows.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in line.chars().chain([' ']) {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (None, '#' | '|' | '&' | '>' | ';') if word.is_none() => break,
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words
}

/// Each command of the README and the guide: the lines of their shell blocks that begin with `loopswap`.
fn commands_of_documents() -> Vec<(String, Vec<String>)> {
    let pages = files("docs").into_iter().chain([root().join("README.md")]);
    let mut commands = Vec::new();
    for page in pages.filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        let name = page.strip_prefix(root()).unwrap().display().to_string();
        for block in read(&page).split("```sh\n").skip(1) {
            let block = block.split("```").next().unwrap();
            let lines = block.lines().map(words).filter(|words| words.first().is_some_and(|word| word == "loopswap"));
            commands.extend(lines.map(|words| (name.clone(), words[1..].to_vec())));
        }
    }
    commands
}

/// The value of a `KEY: VALUE`, `KEY=VALUE` or `--KEY=VALUE` that stands in a text once, comments aside.
fn value<'a>(text: &'a str, key: &str) -> &'a str {
    let keys = [format!("{key}: "), format!("{key}=")];
    let of_line = |line: &'a str| {
        let (before, value) = keys.iter().find_map(|key| line.split_once(key.as_str()))?;
        let is_whole = before.is_empty() || before.ends_with([' ', '-']);
        is_whole.then(|| value.split_whitespace().next().unwrap_or(""))
    };
    let values: Vec<_> = text.lines().filter(|line| !line.trim_start().starts_with('#')).filter_map(of_line).collect();
    assert_eq!(values.len(), 1, "{key}: {values:?}");
    values[0]
}

/// What stands in a text between the lines with these keys.
fn section<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = text.split_once(from).unwrap_or_else(|| panic!("no {from}"));
    rest.split_once(to).unwrap_or_else(|| panic!("no {to} behind {from}")).0
}

/// The arguments of the Kubernetes manifest's container.
fn arguments_of_kubernetes() -> Vec<String> {
    let manifest = read("deploy/kubernetes/loopswap.yaml");
    let lines = manifest.lines().skip_while(|line| line.trim() != "args:").skip(1).map(str::trim).filter(|line| !line.starts_with('#'));
    lines.map_while(|line| line.strip_prefix("- ")).map(String::from).collect()
}

/// The commands of the probes, where TLS is spoken.
fn probes_of_kubernetes() -> Vec<Vec<String>> {
    let manifest = read("deploy/kubernetes/tls.yaml");
    let lists = manifest.lines().filter_map(|line| line.trim().strip_prefix("command: [")?.strip_suffix(']'));
    lists.map(|list| list.split(", ").map(|word| word.trim_matches('"').to_owned()).collect()).collect()
}

/// The lists of strings of the Dockerfile's instructions.
fn commands_of_docker() -> Vec<Vec<String>> {
    let dockerfile = read("deploy/docker/Dockerfile");
    let lists = dockerfile.lines().filter(|line| !line.starts_with('#')).filter_map(|line| Some(&line[line.find("[\"")?..]));
    lists.map(|list| serde_json::from_str(list).unwrap_or_else(|error| panic!("{list}: {error}"))).collect()
}

/// Asked for help behind them, the binary has looked at all arguments before.
fn is_understood(place: &str, arguments: &[String]) {
    let ended = output(loopswap().args(arguments).arg("--help"));
    assert_eq!(ended.status.code(), Some(0), "{place}: loopswap {arguments:?}: {}", ended.stderr);
}

#[test]
fn commands_of_the_documents_are_understood() {
    let commands = commands_of_documents();
    assert!(commands.len() > 10, "they are found: {commands:?}");
    for (page, arguments) in commands {
        is_understood(&page, &arguments);
    }
}

#[test]
fn commands_of_deploy_are_understood() {
    let kubernetes = arguments_of_kubernetes();
    assert!(kubernetes.len() > 3, "{kubernetes:?}");
    is_understood("kubernetes", &kubernetes);
    let docker = commands_of_docker();
    let binary = "/usr/local/bin/loopswap";
    let probes = probes_of_kubernetes();
    assert_eq!(probes.len(), 3, "{probes:?}");
    for words in probes {
        assert_eq!(words[0], binary);
        is_understood("kubernetes", &words[1..]);
    }
    assert_eq!(docker.iter().filter(|words| words[0] == binary).count(), 2, "the entry point and the health check: {docker:?}");
    for words in docker {
        is_understood("docker", if words[0] == binary { &words[1..] } else { &words });
    }
    let unit = read("deploy/systemd/loopswap.service");
    let started = words(unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).expect("it starts something"));
    assert_eq!(started[0], binary);
    is_understood("systemd", &started[1..]);
}

/// Variables that nobody reads would be settings that do nothing.
#[test]
fn variables_of_deploy_and_the_documents_exist() {
    let help = |command: &str| output(loopswap().args([command, "--help"])).stdout;
    let known = ["serve", "call", "load", "health", "doctor"].map(help).concat();
    let pages = files("docs").into_iter().chain(files("deploy")).chain([root().join("README.md")]);
    let mut n = 0;
    for page in pages {
        for rest in read(&page).split("LOOPSWAP_").skip(1) {
            let name: String = rest.chars().take_while(|letter| letter.is_ascii_uppercase() || *letter == '_').collect();
            assert!(known.contains(&format!("LOOPSWAP_{name}")), "{}: LOOPSWAP_{name}", page.display());
            n += 1;
        }
    }
    assert!(n > 5, "they are found");
}

/// A drain takes its delay, its time, and a second in which what is left is dropped. Whoever kills must wait for longer.
#[test]
fn nobody_kills_before_the_drain_is_over() {
    let time = |text: &str| humantime::parse_duration(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let seconds = |text: &str| Duration::from_secs(text.parse().unwrap_or_else(|error| panic!("{text}: {error}")));
    let kubernetes = read("deploy/kubernetes/loopswap.yaml");
    let docker = read("deploy/docker/Dockerfile");
    let unit = read("deploy/systemd/loopswap.service");
    let stop_timeout =
        docker.split("--stop-timeout ").nth(1).and_then(|rest| rest.split(' ').next()).expect("the Dockerfile says how to run it");
    for (place, delay, drain, killed) in [
        (
            "kubernetes",
            time(value(&kubernetes, "drain-delay")),
            time(value(&kubernetes, "drain-timeout")),
            seconds(value(&kubernetes, "terminationGracePeriodSeconds")),
        ),
        ("docker", time(value(&docker, "LOOPSWAP_DRAIN_DELAY")), time(value(&docker, "LOOPSWAP_DRAIN_TIMEOUT")), seconds(stop_timeout)),
        ("systemd", Duration::ZERO, time(value(&unit, "LOOPSWAP_DRAIN_TIMEOUT")), time(value(&unit, "TimeoutStopSec"))),
    ] {
        assert!(delay + drain + Duration::from_secs(3) <= killed, "{place}: {delay:?} and {drain:?} do not fit into {killed:?}");
    }
    // The readiness probe and Envoy's check see it before the delay is over.
    let period = seconds(value(section(&kubernetes, "readinessProbe:", "livenessProbe:"), "periodSeconds"));
    let envoy = read("deploy/envoy/envoy.yaml");
    let interval = time(value(section(&envoy, "health_checks:", "outlier_detection:"), "interval"));
    for noticed in [period, interval] {
        assert!(noticed < time(value(&kubernetes, "drain-delay")), "noticed only after {noticed:?}");
    }
}

#[test]
fn all_of_deploy_means_the_same_port() {
    for (file, texts) in [
        ("docker/Dockerfile", &["LOOPSWAP_ADDR=0.0.0.0:9999", "EXPOSE 9999", "--publish 9999:9999"][..]),
        ("kubernetes/loopswap.yaml", &["--addr=[::]:9999", "containerPort: 9999", "port: 9999", "dns:///loopswap:9999"]),
        ("kubernetes/tls.yaml", &["127.0.0.1:9999"]),
        ("kubernetes/kustomization.yaml", &["port: 9999"]),
        ("systemd/loopswap.service", &["LOOPSWAP_ADDR=[::]:9999"]),
        ("systemd/loopswap.socket", &["ListenStream=[::]:9999"]),
        ("envoy/envoy.yaml", &["port_value: 9999"]),
    ] {
        let text = read(format!("deploy/{file}"));
        for wanted in texts {
            assert!(text.contains(wanted), "{file} has no `{wanted}`");
        }
    }
}

/// The profile, for this machine, in the form that seccompiler reads. System calls that this architecture does not have are left out, as runtimes do.
fn profile(keep: impl Fn(&str) -> bool) -> BpfProgram {
    let arch = || TargetArch::try_from(std::env::consts::ARCH).expect("seccompiler knows this architecture");
    let compile = |rules: &[Value], errno: &Value| {
        let filter = json!({ "all": { "mismatch_action": { "errno": errno }, "match_action": "allow", "filter": rules } });
        compile_from_json(filter.to_string().as_bytes(), arch()).map(|mut programs| programs.remove("all").expect("it was named so"))
    };
    let profile: Value = serde_json::from_str(&read("deploy/seccomp/loopswap.json")).expect("it is JSON");
    assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
    let errno = &profile["defaultErrnoRet"];
    let mut rules = Vec::new();
    for rule in profile["syscalls"].as_array().unwrap() {
        assert_eq!(rule["action"], "SCMP_ACT_ALLOW");
        let conditions = |args: &Vec<Value>| -> Value { args.iter().map(condition).collect() };
        for name in rule["names"].as_array().unwrap().iter().filter(|name| keep(name.as_str().unwrap())) {
            let mut translated = json!({ "syscall": name });
            if let Some(args) = rule["args"].as_array() {
                translated["args"] = conditions(args);
            }
            if compile(std::slice::from_ref(&translated), errno).is_ok() {
                rules.push(translated);
            }
        }
    }
    compile(&rules, errno).expect("each by itself was right")
}

fn condition(arg: &Value) -> Value {
    let (op, value) = match arg["op"].as_str().unwrap() {
        "SCMP_CMP_EQ" => (json!("eq"), &arg["value"]),
        // OCI has the mask in `value`, what it is compared with in `valueTwo`.
        "SCMP_CMP_MASKED_EQ" => (json!({ "masked_eq": arg["value"] }), &arg["valueTwo"]),
        op => panic!("{op} is not known here"),
    };
    json!({ "index": arg["index"], "type": "qword", "op": op, "val": value })
}

/// Runs `test` on a thread whose children have this profile.
fn under<T: Send>(program: &BpfProgram, test: impl FnOnce() -> T + Send) -> T {
    let restricted = || {
        apply_filter(program).expect("this machine lets a process restrict itself");
        test()
    };
    thread::scope(|scope| scope.spawn(restricted).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// It serves calls, files, and the probe's question; and is drained.
fn serves_under_the_seccomp_profile(runtime: &str, engine: &str) {
    let folder = tempfile::tempdir().unwrap();
    let blocks = folder.path().join("blocks");
    let program = profile(|_| true);
    let mut server = under(&program, || {
        let mut command = loopswap();
        command.args(["serve", "--runtime", runtime, "--http2", engine, "--workers", "2", "--pin-cpus", "--addr", "127.0.0.1:0"]);
        served(command.args(["--reflection", "--blocks-create", "4", "--blocks-file"]).arg(&blocks))
    });
    let addr = server.addr().to_string();
    let reply = block_on(async { hello(&mut client(server.addr()).await, "profile", 5).await });
    assert_eq!(reply.unwrap(), "Hello, profile!");
    for call in ["blocks.Blocks/Read", "blocks.Blocks/Append"] {
        let loaded = output(loopswap().args(["load", "--no-progress", "--call", call, "-n", "20", &addr]));
        assert_eq!(loaded.status.code(), Some(0), "{call}: {}{}", loaded.stdout, loaded.stderr);
    }
    let asked = under(&program, || output(loopswap().args(["health", "--runtime", runtime, &addr])));
    assert_eq!((asked.status.code(), asked.stdout.as_str()), (Some(0), "SERVING"), "{}", asked.stderr);
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0), "{}", server.stderr().so_far());
}

/// The profile is what lets them run: without its first rule they do not.
#[test]
fn without_io_uring_in_the_profile_the_rings_are_refused() {
    let program = profile(|name| !name.starts_with("io_uring"));
    for runtime in ["tokio-uring", "glommio"] {
        let ended = under(&program, || output(loopswap().args(["serve", "--runtime", runtime, "--addr", "127.0.0.1:0"])));
        assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains("io_uring_setup is refused (ENOSYS)"), "{}", ended.stderr);
    }
}

#[test]
fn the_profile_lets_nothing_else_through() {
    let profile: Value = serde_json::from_str(&read("deploy/seccomp/loopswap.json")).unwrap();
    let names: Vec<_> = profile["syscalls"].as_array().unwrap().iter().flat_map(|rule| rule["names"].as_array().unwrap()).collect();
    for refused in
        ["bpf", "clone3", "keyctl", "kexec_load", "mount", "perf_event_open", "process_vm_readv", "ptrace", "unshare", "userfaultfd"]
    {
        assert!(!names.contains(&&json!(refused)), "{refused}");
    }
    let plain = profile["syscalls"].as_array().unwrap().iter().filter(|rule| rule.get("args").is_none());
    let mut plain: Vec<_> = plain.flat_map(|rule| rule["names"].as_array().unwrap()).map(|name| name.as_str().unwrap()).collect();
    let n = plain.len();
    plain.sort_unstable();
    plain.dedup();
    assert_eq!(plain.len(), n, "one stands twice");
}
