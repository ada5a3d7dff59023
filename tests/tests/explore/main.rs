//! Every machine, walked through as far as a few seconds go. `cargo run --release -p verification --bin explore` goes further.

mod machines;
mod search;
