//! The contract of a loop, checked on tokio-uring.

loopswap_conformance::suite!(tokio_uring, loopswap_tokio_uring::TokioUring::default());
