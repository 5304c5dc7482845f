//! The contract of a loop, checked on tokio.

loopswap_conformance::suite!(glommio, loopswap_glommio::Glommio::default());
