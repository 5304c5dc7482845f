//! The loops that are built in: word → adapter, probe, reason. The only file that names the adapters.

use loopswap_rt::{Runtime, Start, Unavailable};

use crate::Error;

/// Makes the enum [`Loop`] from one row a loop: its feature, its variant, its adapter. Rows stand in the order in which `auto` tries them.
macro_rules! loops {
    ($($(#[$doc:meta])* $feature:literal => $variant:ident($adapter:ty),)*) => {
        /// An event loop, chosen when the program starts.
        #[derive(Clone, Debug)]
        #[non_exhaustive]
        pub enum Loop {
            $($(#[$doc])* #[cfg(feature = $feature)] $variant($adapter),)*
        }

        impl Loop {
            /// The loops of this build, in the order in which [`auto`](Self::auto) tries them.
            pub fn all() -> Vec<Self> {
                vec![$(#[cfg(feature = $feature)] Self::$variant(<$adapter>::default()),)*]
            }
        }

        impl EventLoop for Loop {
            #[allow(unused_variables, reason = "a build without loops has nothing to call")]
            fn with<U: UseLoop>(self, user: U) -> U::Output {
                match self {
                    $(#[cfg(feature = $feature)] Self::$variant(adapter) => user.with(adapter),)*
                }
            }
        }
    };
}

loops! {
    /// tokio-uring: a current-thread runtime on io_uring. First, because its timers are exact and its file I/O is the ring's, while its sockets
    /// are near epoll's.
    "tokio-uring" => TokioUring(loopswap_tokio_uring::TokioUring),
    /// Standard tokio, current-thread, on epoll. It runs everywhere.
    "tokio" => Tokio(loopswap_tokio::Tokio),
    /// glommio: thread-per-core on io_uring. Last, because each batch on its sockets costs about twice as much.
    "glommio" => Glommio(loopswap_glommio::Glommio),
}

/// A loop as a value: a built-in [`Loop`], or any [`Runtime`] of a third party.
///
/// The loop's type is chosen at run time, yet the code above it is compiled for each loop: this is where the one turns into the other.
pub trait EventLoop {
    /// Calls `user` with the adapter.
    fn with<U: UseLoop>(self, user: U) -> U::Output;
}

impl<R: Runtime> EventLoop for R {
    fn with<U: UseLoop>(self, user: U) -> U::Output {
        user.with(self)
    }
}

/// Code that is generic over the loop.
pub trait UseLoop {
    /// What it returns.
    type Output;

    /// Runs it with this adapter.
    fn with<R: Runtime>(self, runtime: R) -> Self::Output;
}

/// A loop that `auto` passed over, and why.
pub type PassedOver = (&'static str, Unavailable);

impl Loop {
    /// The loop that this word names, `auto` included. Whether an explicitly named one can run here is found out when it starts.
    ///
    /// # Errors
    ///
    /// For a word that names none (the message lists the words), and for `auto` where no loop can run.
    pub fn choose(word: &str) -> Result<Self, Error> {
        if word == "auto" {
            let (chosen, passed_over) = Self::auto()?;
            for (name, why) in passed_over {
                tracing::warn!(passed_over = name, chosen = chosen.name(), "auto: {name} cannot run here: {why}");
            }
            return Ok(chosen);
        }
        Self::all().into_iter().find(|row| row.name() == word).ok_or_else(|| {
            let names: Vec<_> = Self::all().iter().map(Self::name).collect();
            Error::usage(format!("there is no loop `{word}`; this build has: auto, {}", names.join(", ")))
        })
    }

    /// The first loop that can run here, and why those before it cannot. The order: tokio-uring, tokio, glommio.
    ///
    /// # Errors
    ///
    /// No loop of this build can run here.
    pub fn auto() -> Result<(Self, Vec<PassedOver>), Error> {
        let mut passed_over = Vec::new();
        for row in Self::all() {
            match row.probe() {
                Ok(()) => return Ok((row, passed_over)),
                Err(why) => passed_over.push((row.name(), why)),
            }
        }
        let reasons: Vec<_> = passed_over.iter().map(|(name, why)| format!("{name}: {why}")).collect();
        let reasons = if reasons.is_empty() { "it was built without any; enable the feature `tokio`".into() } else { reasons.join("; ") };
        Err(Error::new(crate::ErrorKind::Unavailable, format!("no loop of this build can run here: {reasons}")))
    }

    /// The loop's word: on command lines, in logs and benches.
    #[allow(unreachable_code, reason = "a build without loops has no value to call it on")]
    pub fn name(&self) -> &'static str {
        struct Name;
        impl UseLoop for Name {
            type Output = &'static str;
            fn with<R: Runtime>(self, _: R) -> &'static str {
                <R as Start>::NAME
            }
        }
        self.clone().with(Name)
    }

    /// Whether it can run on this machine, in this process, now.
    ///
    /// # Errors
    ///
    /// The cause and the remedy.
    #[allow(unreachable_code, reason = "a build without loops has no value to call it on")]
    pub fn probe(&self) -> Result<(), Unavailable> {
        struct Probe;
        impl UseLoop for Probe {
            type Output = Result<(), Unavailable>;
            fn with<R: Runtime>(self, runtime: R) -> Self::Output {
                runtime.probe()
            }
        }
        self.clone().with(Probe)
    }
}
