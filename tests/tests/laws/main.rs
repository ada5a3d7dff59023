//! The laws of the machine contract, for every machine of the core.

mod machines;
mod undrained;
