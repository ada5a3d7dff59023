//! How fast the core is, as ratios: each thing next to what it could be at best, by turns in one process.
//!
//! `cargo bench -p verification --bench core` measures all of it and prints a table; a word behind `--`, such as `seal` or
//! `daemon`, measures what has that word in its name. Ratios hold on a busy machine; the times beside them are those of that
//! machine. What allocates, and how much, is not measured but counted: `tests/tests/allocations.rs`.

mod daemon;
mod handshake;
mod machines;
mod material;
mod measure;
mod reference;
mod sealing;

use std::{fmt::Write as _, hint::black_box};

use measure::Row;

/// Collects the rows that were asked for.
struct Table {
    /// The words of the command line.
    wanted: Vec<String>,
}

impl Table {
    /// Measures and prints, unless something else was asked for.
    fn row(&self, what: &str, measure: impl FnOnce(String) -> Row) {
        if self.wanted.is_empty() || self.wanted.iter().any(|word| what.contains(word.as_str())) {
            let mut line = String::new();
            // Writing to a string cannot fail.
            let _ = write!(line, "{}", measure(what.into()));
            println!("{line}");
        }
    }
}

/// Once so much was given back, glibc keeps what rounds give back for the next ones: what is measured is not how long the system
/// takes to clear fresh pages, which comes from how rounds end and not from what is done in them.
fn keep_memory() {
    drop(black_box(vec![0_u8; 16 << 20]));
}

fn main() {
    // Cargo adds `--bench`.
    let wanted = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let table = Table { wanted };
    keep_memory();
    println!("{}", Row::HEAD);
    handshake::measure(&table);
    sealing::measure(&table);
    machines::measure(&table);
    daemon::measure(&table);
}
