//! Walks through everything that the real machines can do: breadth first, from every start, over every fact of a small alphabet,
//! until no new state is found or a stated number of states is reached.
//!
//! A [`System`] is one machine or several with what lies between them. Machines are `Clone + Hash`, so a state is a value: it is
//! copied once per action, moved on, and counts when its [`fingerprint`] is new; of those there were only the fingerprint and the
//! way there are kept, and the way is gone again. Nothing is a model here; what is explored is the code that ships, with
//! [`Symbolic`](proto_core::noise::Symbolic) for the key exchange.
//!
//! **Time** moves by jumps. A machine that has a deadline can be met one nanosecond before it, exactly then, and late; between
//! those nothing can differ (L3, L10). Machines with many deadlines are woken early and go to sleep again, instead of hearing more
//! in that nanosecond; for those that are made of several, a walk that oversleeps comes to its goal and ends there.
//! Fingerprints take moments relative to now, so that what a machine does a day later is not explored again.
//!
//! **What is checked**: a property of states ([`System::check`]), of steps ([`System::step`], which sees inputs and outputs,
//! and remembers what it must in the state), and that a goal is reached once nothing disturbs any more ([`System::settle`]).
//! A violation is reported with the shortest way to it, as a trace that can be read.
//!
//! [`SingleMachine`] makes a system of a single machine; from its walk come the tables in `tests/tables` and the graphs in
//! `docs/machines` ([`Chart`]).

mod alone;
pub mod catalogue;
mod chart;
mod fingerprint;
mod search;
pub mod subjects;
pub mod systems;

pub use alone::{Action, Seen, SingleMachine, Situation, Subject};
pub use chart::Chart;
pub use fingerprint::fingerprint;
pub use search::{Broken, Counterexample, Log, Report, System, Witness, explore};
