//! Suites that need more than one crate, and suites that are the same for many.
//!
//! [`explore`] walks machines exhaustively; [`fixtures`] is what suites of single machines share; [`laws`] checks the laws of the
//! machine contract for any machine; [`models`] says once more, and simpler, what each is for; [`world`] is everything together,
//! in memory; [`sim`] is many machines with faults, from one seed; [`fuzz`] has what the fuzzer runs.

pub mod explore;
pub mod fixtures;
pub mod fuzz;
pub mod laws;
pub mod models;
pub mod sim;
pub mod sources;
pub mod world;
