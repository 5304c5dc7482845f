//! RFC 9113, section by section: each MUST on a server that a client can see, in raw frames. A case is named after its section.
//!
//! Where the RFC leaves a choice the case takes every answer that is allowed; where the project has made it (malformed requests are errors of
//! their stream, 8.1.1) the case takes that one. `MUSTS.md` lists what the RFCs demand, and which case sees it.

mod coverage;
mod exchange;
mod fields;
mod flow_control;
mod frames;
mod header_blocks;
mod opening;
mod ping_and_goaway;
mod priorities_and_errors;
mod pseudo_fields;
mod settings;
mod streams;
