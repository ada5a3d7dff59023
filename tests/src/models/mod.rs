//! What each machine is for, said a second time, as simply as it can be said: reference models.
//!
//! A model is written from the specification and never from the code that it judges. It knows no effects, no queues and no
//! persistence, only what must be true: a list, a set, a few numbers, seconds as integers. The properties in `tests/tests/models/`
//! run machine and model side by side through random facts and passing time and compare them after every step.

use core::time::Duration;

use proptest::test_runner::Config;
use proto_core::Instant;

pub mod admission;
pub mod bench;
pub mod binding;
pub mod channel;
pub mod consent;
pub mod files;
pub mod given;
pub mod key_ring;
pub mod keyset;
pub mod limiter;
pub mod link;
pub mod pairing;
pub mod pairing_code;
pub mod rate;
pub mod renewal;
pub mod revocations;
pub mod rotation;
pub mod routes;
pub mod session;
pub mod spool;
pub mod watcher;

/// The moment at which every model begins.
pub const START: Instant = Instant::from_nanos(1_000_000_000_000);

/// How many cases a property runs: `cases`, or what `PROPTEST_CASES` says. No files of failures: what failed becomes a test
/// with a name.
pub fn config(cases: u32) -> Config {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(cases);
    Config { failure_persistence: None, ..Config::with_cases(cases) }
}

/// Milliseconds since [`START`].
pub fn millis(at: Instant) -> u64 {
    u64::try_from(at.since(START).as_millis()).unwrap_or(u64::MAX)
}

/// The moment so many milliseconds after [`START`].
pub fn moment(millis: u64) -> Instant {
    START.after(Duration::from_millis(millis))
}
