//! Seeing inside: what is counted is what was done, on every loop and engine; who asks for it gets it, and costs no more than allowed.

mod calls;
mod endpoint;
mod limits;
mod logs;
mod ready;
mod scrape;

#[cfg(feature = "otel")]
pub(crate) use scrape::{metrics_addr, scrape};
