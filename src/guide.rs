//! The pages of `docs/guide/`, so that their snippets go on compiling.

#[doc = include_str!("../docs/guide/service.md")]
mod service {}

#[cfg(all(feature = "tokio", feature = "tokio-uring", feature = "glommio"))]
#[doc = include_str!("../docs/guide/choose-a-loop.md")]
mod choose_a_loop {}

#[cfg(feature = "tokio")]
#[doc = include_str!("../docs/guide/add-a-loop.md")]
mod add_a_loop {}

#[doc = include_str!("../docs/guide/connections.md")]
mod connections {}

#[doc = include_str!("../docs/guide/client.md")]
mod client {}

#[doc = include_str!("../docs/guide/deploy.md")]
mod deploy {}

#[cfg(feature = "tls")]
#[doc = include_str!("../docs/guide/tls.md")]
mod tls {}

#[cfg(feature = "grpc-web")]
#[doc = include_str!("../docs/guide/browsers.md")]
mod browsers {}

#[doc = include_str!("../docs/guide/overload.md")]
mod overload {}

#[doc = include_str!("../docs/guide/observe.md")]
mod observe {}

#[doc = include_str!("../docs/guide/connection-care.md")]
mod connection_care {}

#[doc = include_str!("../docs/guide/from-tonic.md")]
mod from_tonic {}
