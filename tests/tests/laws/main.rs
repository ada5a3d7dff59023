//! The laws of the machine contract, for every machine of the core, and planted bugs that each of them catches.

mod machines;
mod planted;
mod undrained;
