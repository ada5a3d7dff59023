//! What the same work costs on each adapter, as ratios to tokio: CPU time and memory of a process that does nothing else.
//!
//! `cargo bench -p conformance --bench adapters` measures all of it and prints a table. Every reading is a process of its own (this
//! binary again), the other side is one thread of the process that measures, and the adapters take turns, so that a busy machine
//! does the same to all of them. The middle of the rounds' ratios counts; how far they lay apart stands beside it.

#[path = "../../../../io-engine/examples/super_loop/adapter.rs"]
mod super_loop;

mod adapters;
mod reading;
mod server;
mod work;

use std::process::ExitCode;

use adapters::Name;
use reading::Reading;
use server::Server;
use work::Work;

/// How often each adapter does each work.
const ROUNDS: usize = 5;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if let [adapter, work, address] = &words[..] {
        return do_once(adapter, work, address);
    }
    let server = Server::start();
    println!("{:<40} {:>20} {:>20} {:>20}", "ratio to tokio: middle (range)", "CPU time", "memory grown by", "memory in all");
    for work in Work::ALL {
        let rounds: Vec<_> = (0..ROUNDS).map(|round| turns(round, work, server.address())).collect();
        for other in Name::ALL.into_iter().skip(1) {
            row(work, other, &rounds);
        }
    }
    ExitCode::SUCCESS
}

/// The process of one reading: does the work and says what it took.
fn do_once(adapter: &str, work: &str, address: &str) -> ExitCode {
    match (Name::parse(adapter), Work::parse(work)) {
        (Some(name), Some(work)) => {
            println!("{}", Reading::of(|| name.run(work, address)));
            ExitCode::SUCCESS
        }
        _ => ExitCode::FAILURE,
    }
}

/// One reading of each adapter; which one begins changes from round to round.
fn turns(round: usize, work: Work, address: &str) -> [Reading; Name::ALL.len()] {
    let mut readings = [Reading::default(); Name::ALL.len()];
    for turn in 0..Name::ALL.len() {
        let adapter = (round + turn) % Name::ALL.len();
        readings[adapter] = Reading::in_a_process(&[Name::ALL[adapter].as_str(), work.as_str(), address]);
    }
    readings
}

fn row(work: Work, other: Name, rounds: &[[Reading; Name::ALL.len()]]) {
    let ratios = |of: fn(&Reading) -> u64| {
        let ratio =
            |readings: &[Reading; Name::ALL.len()]| ratio(of(&readings[other as usize]), of(&readings[Name::Tokio as usize]));
        let mut ratios: Vec<_> = rounds.iter().map(ratio).collect();
        ratios.sort_by(f64::total_cmp);
        format!("{:.2} ({:.2} to {:.2})", ratios[ratios.len() / 2], ratios[0], ratios[ratios.len() - 1])
    };
    let what = format!("{}, {}", work.as_str(), other.as_str());
    let (cpu, grown, whole) = (ratios(|r| r.cpu), ratios(|r| r.grown), ratios(|r| r.whole));
    println!("{what:<40} {cpu:>20} {grown:>20} {whole:>20}");
}

#[expect(clippy::cast_precision_loss, reason = "a ratio to two places")]
fn ratio(a: u64, b: u64) -> f64 {
    a as f64 / b.max(1) as f64
}
