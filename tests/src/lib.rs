//! Suites that need more than one crate, and suites that are the same for many.
//!
//! [`laws`] checks the laws of the machine contract for any machine; [`world`] is everything together, in memory.

pub mod laws;
pub mod world;
