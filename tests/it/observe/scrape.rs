//! A client of the metrics' endpoint, and a reader of Prometheus' text that takes nothing which a good text does not have.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::SocketAddr;

use crate::support::{Served, connect, loopswap, served, until_closed};

/// Serves on this loop and engine, with metrics.
pub(super) fn serve_measured(runtime: &str, engine: &str, args: &[&str]) -> (Served, SocketAddr) {
    serve_measured_by(1, runtime, engine, args)
}

/// The same, by so many workers.
pub(super) fn serve_measured_by(n_workers: usize, runtime: &str, engine: &str, args: &[&str]) -> (Served, SocketAddr) {
    let mut command = loopswap();
    command.args(["serve", "--runtime", runtime, "--http2", engine, "--addr", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]);
    let served = served(command.args(["--workers", &n_workers.to_string()]).args(args));
    let addr = metrics_addr(&served);
    (served, addr)
}

/// Where a server has said that its metrics are.
pub(crate) fn metrics_addr(served: &Served) -> SocketAddr {
    let line = served.stderr().wait_for("metrics at http://").expect("it says where");
    let (_, rest) = line.split_once("http://").expect("an address");
    rest.split('/').next().expect("an address").parse().expect("an address")
}

/// An answer of HTTP/1.1.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Names in lower case.
    pub(super) fields: BTreeMap<String, String>,
    pub(super) body: String,
}

/// What is answered to these bytes.
pub(super) fn ask(addr: SocketAddr, request: &[u8]) -> Answer {
    let mut socket = connect(addr);
    socket.write_all(request).expect("it is taken");
    let (bytes, _) = until_closed(&mut socket);
    let text = String::from_utf8(bytes).expect("it is text");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer of HTTP: {text:?}"));
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.split(' ').next()?.parse().ok());
    let fields =
        lines.map(|line| line.split_once(": ").expect("a field")).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Answer { status: status.unwrap_or_else(|| panic!("no status line in {text:?}")), fields, body: body.to_owned() }
}

/// GET, and nothing more.
pub(super) fn get(addr: SocketAddr, path: &str) -> Answer {
    ask(addr, format!("GET {path} HTTP/1.1\r\nhost: {addr}\r\n\r\n").as_bytes())
}

/// A sample's labels.
type Labels = BTreeMap<String, String>;

/// All metrics at a time.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(super) samples: Vec<(String, Labels, f64)>,
}

/// The metrics as they are now.
pub(crate) fn scrape(addr: SocketAddr) -> Metrics {
    let answer = get(addr, "/metrics");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.fields["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    Metrics::parse(&answer.body)
}

impl Metrics {
    /// Reads Prometheus' text format: each family is announced once and stands together, each sample is of the family before it, and there once.
    pub(super) fn parse(text: &str) -> Self {
        let mut metrics = Self::default();
        let (mut families, mut seen) = (BTreeSet::new(), BTreeSet::new());
        let mut family = (String::new(), String::new());
        assert!(text.ends_with('\n'), "the last line is whole");
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let name = help.split(' ').next().expect("a name");
                assert!(families.insert(name.to_owned()), "{name} comes twice");
                family = (name.to_owned(), String::new());
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').expect("name and type");
                assert_eq!(name, family.0, "HELP and TYPE go together");
                family.1 = kind.to_owned();
            } else {
                let (name, labels, value) = sample(line);
                let suffixes: &[&str] = if family.1 == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
                let is_of = suffixes.iter().any(|suffix| name == format!("{}{suffix}", family.0));
                assert!(is_of, "{name} stands among {family:?}");
                assert!(family.1 != "counter" || name.ends_with("_total"), "{name} is a counter");
                assert!(seen.insert((name.clone(), labels.clone())), "twice: {line}");
                metrics.samples.push((name, labels, value));
            }
        }
        metrics
    }

    /// The sum of the samples of this name that have these labels.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.of(name, labels).map(|(_, value)| value).sum()
    }

    /// The samples of this name that have these labels; at least one.
    pub(super) fn of<'a>(&'a self, name: &str, labels: &[(&str, &str)]) -> impl Iterator<Item = (&'a Labels, f64)> {
        let has = |of: &Labels| labels.iter().all(|(label, value)| of.get(*label).is_some_and(|of| of == value));
        let found: Vec<_> =
            self.samples.iter().filter(|(known, of, _)| known == name && has(of)).map(|(_, labels, value)| (labels, *value)).collect();
        assert!(!found.is_empty(), "there is no {name} with {labels:?}");
        found.into_iter()
    }
}

fn sample(line: &str) -> (String, Labels, f64) {
    let (series, value) = line.rsplit_once(' ').expect("a value");
    let value = value.parse().unwrap_or_else(|_| panic!("no number in {line}"));
    let Some((name, labels)) = series.split_once('{') else { return (series.into(), Labels::new(), value) };
    let labels = labels.strip_suffix('}').expect("labels end");
    // No value of ours has a quote or a comma.
    let labels = labels
        .split(',')
        .map(|label| label.split_once("=\"").and_then(|(name, value)| Some((name.into(), value.strip_suffix('"')?.into()))));
    (name.into(), labels.map(|label| label.unwrap_or_else(|| panic!("a broken label in {line}"))).collect(), value)
}
