//! The contract of a loop, checked on glommio.

loopswap_conformance::suite!(glommio, loopswap_glommio::Glommio::default());
