//! The contract of a loop, checked on tokio.

loopswap_conformance::suite!(tokio, loopswap_tokio::Tokio::default());
