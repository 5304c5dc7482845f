//! The peers: servers of others that the experiment compares with. Which are asked for, how each is made and started, and what is said of one that
//! cannot run here. Each is held to one call before it is measured.
//!
//! How they are written is in `benches/peers/`; what is built of them is under `peers/` in cargo's target directory.

pub(crate) mod build;
pub(crate) mod cpp;
pub(crate) mod python;
mod rust;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;

use crate::child::{LOOPSWAP, Server};

/// Where their sources are.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers");
/// The service that they all have.
const PROTO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/proto");

/// How long a handler sleeps in the call that each peer is held to, in milliseconds.
const CHECK_SLEEP_MS: u32 = 10;

/// Which peers a run has: `--peers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Those that an earlier run has built: nothing is built or downloaded.
    Ready,
    /// These, built where they are not; possibly none.
    Of(Vec<Family>),
}

/// Peers that need the same tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Python,
    Rust,
    Cpp,
}

impl Family {
    pub(crate) const ALL: [Self; 3] = [Self::Python, Self::Rust, Self::Cpp];

    fn word(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Rust => "rust",
            Self::Cpp => "cpp",
        }
    }

    pub(crate) fn peers(self) -> Vec<Peer> {
        match self {
            Self::Python => python::peers(),
            Self::Rust => rust::peers(),
            Self::Cpp => cpp::peers(),
        }
    }
}

impl FromStr for Choice {
    type Err = String;

    /// `none`, `ready` and `all` stand alone; else families, with commas between.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "none" => return Ok(Self::Of(Vec::new())),
            "ready" => return Ok(Self::Ready),
            "all" => return Ok(Self::Of(Family::ALL.to_vec())),
            _ => {}
        }
        let mut families = Vec::new();
        for word in text.split(',').map(str::trim) {
            let family = Family::ALL.into_iter().find(|family| family.word() == word);
            match family {
                Some(family) if families.contains(&family) => {}
                Some(family) => families.push(family),
                None => {
                    return Err(format!("no such peers: {word:?}; none, ready or all, or of python, rust and cpp, with commas between"));
                }
            }
        }
        Ok(Self::Of(families))
    }
}

/// A server of others.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) http2: &'static str,
    pub(crate) runtime: &'static str,
    pub(crate) launch: Launch,
    /// Why it cannot run here, and what to do.
    pub(crate) unavailable: Option<String>,
    recipe: Recipe,
}

/// How to start it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(&'static str, PathBuf)>,
    /// Whether its handler can sleep.
    pub(crate) sleeps: bool,
    /// Whether a call costs it a hundred times what it costs others, so that fewer are enough.
    pub(crate) slow: bool,
}

impl Launch {
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// What it takes to make it; peers may share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recipe {
    Python,
    /// The package of this name, of the workspace in `benches/peers/rust`.
    Rust(&'static str),
    Cpp,
}

impl Recipe {
    /// Whether it has been made, from the sources as they are now.
    fn is_ready(self) -> bool {
        build::is_ready(&self.stamp(), &self.sources())
    }

    /// Makes it. An error says why it cannot be made here, and what to do.
    fn make(self) -> Result<(), String> {
        let sources = self.sources();
        let _only_this_suite = build::lock(&target())?;
        match self {
            Self::Python if self.is_ready() => Ok(()),
            Self::Cpp if self.is_ready() => Ok(()),
            Self::Python => python::make(),
            // Cargo itself knows best what is to be done.
            Self::Rust(package) => rust::make(package),
            Self::Cpp => cpp::make(),
        }?;
        build::set_ready(&self.stamp(), &sources)
    }

    fn sources(self) -> Vec<PathBuf> {
        let mut sources = match self {
            Self::Python => python::sources(),
            Self::Rust(package) => rust::sources(package),
            Self::Cpp => cpp::sources(),
        };
        sources.push(Path::new(PROTO).join("helloworld.proto"));
        sources
    }

    fn stamp(self) -> PathBuf {
        target().join(match self {
            Self::Python => "python.ready".into(),
            Self::Rust(package) => format!("{package}.ready"),
            Self::Cpp => "cpp.ready".into(),
        })
    }
}

/// What is built is in here: beside what cargo builds, so that `cargo clean` takes it along.
fn target() -> PathBuf {
    let profile = Path::new(LOOPSWAP).parent().expect("a binary is in a folder");
    profile.parent().expect("a profile's folder is in the target directory").join("peers")
}

/// The peers that are asked for, made where they are not; and the families of which some were left out, because nothing was to be built.
/// Not all of them, when it is stopped.
pub(crate) fn prepare(choice: &Choice, cpu: Option<usize>, stopped: fn() -> bool) -> (Vec<Peer>, Vec<&'static str>) {
    let (families, may_make) = match choice {
        Choice::Ready => (Family::ALL.to_vec(), false),
        Choice::Of(families) => (families.clone(), true),
    };
    let (mut peers, mut left_out) = (Vec::new(), Vec::new());
    let mut made: Vec<(Recipe, Result<(), String>)> = Vec::new();
    for family in families {
        for mut peer in family.peers() {
            if stopped() {
                return (peers, left_out);
            }
            if !may_make && !peer.recipe.is_ready() {
                left_out.push(family.word());
                continue;
            }
            let result = match made.iter().find(|(recipe, _)| *recipe == peer.recipe) {
                Some((_, result)) => result.clone(),
                None => {
                    let result = if may_make { peer.recipe.make() } else { Ok(()) };
                    made.push((peer.recipe, result.clone()));
                    result
                }
            };
            let checked = result.and_then(|()| {
                check(&peer.launch, cpu).map_err(|why| format!("it was built, but {why}; remove {} to build it anew", target().display()))
            });
            peer.unavailable = checked.err();
            peers.push(peer);
        }
    }
    left_out.dedup();
    (peers, left_out)
}

/// One call, whose answer is read: what a load generator counts is worth nothing if this is wrong.
pub(crate) fn check(launch: &Launch, cpu: Option<usize>) -> Result<(), String> {
    let server = Server::start(&mut launch.command(), cpu)?;
    let sleep_ms = if launch.sleeps { CHECK_SLEEP_MS } else { 0 };
    let called = Command::new(LOOPSWAP)
        .args(["call", "--name", "Joe", "--timeout", "10s", "--sleep-ms", &sleep_ms.to_string(), "--addr", server.addr()])
        .stdin(Stdio::null())
        .output();
    let verdict = match called {
        Err(error) => Err(format!("the call could not be made: {error}")),
        Ok(output) if output.stdout == b"Hello, Joe!\n" => Ok(()),
        Ok(output) => Err(format!(
            "it answered wrongly: {:?} {}",
            String::from_utf8_lossy(&output.stdout).trim_end(),
            String::from_utf8_lossy(&output.stderr).trim_end()
        )),
    };
    match verdict {
        Ok(()) => server.end().map(drop),
        Err(why) => Err(server.failed(&why)),
    }
}
