//! What a hostile client tries, and what it costs the server: the attack classes that HTTP/2 servers have had to learn of, each with the limit that
//! stops it and the word for that limit in GOAWAY's debug data. After each case the server serves another client and holds nothing for this one.

mod floods;
mod header_lists;
mod memory;
mod pings;
mod resets;
mod stalls;
