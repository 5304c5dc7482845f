//! Faults that no other topic has: see `../FAULTS.md`, which lists them all and says which test shows what.

mod clients;
mod coverage;
mod deadlines;
