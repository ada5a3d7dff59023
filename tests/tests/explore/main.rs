//! Every machine, walked through as far as a few seconds go. `cargo run --release -p tests --bin explore` goes further.

mod machines;
mod search;
