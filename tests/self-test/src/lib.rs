//! What `proto-core` has to do where there is no operating system, and how it shows that it can.
//!
//! Whole exchanges were recorded once, from the real machines with fixed entropy (`recorded/`). A machine that is given the
//! recorded answers again must say the recorded bytes again, on whatever processor this runs. `tests/recorded.rs` makes the
//! recordings anew and compares, so they cannot rot. The probes beside this crate link it without std: on the host, as
//! WebAssembly, and for processors without an operating system.
//!
//! | module | |
//! |---|---|
//! | [`pairing`], [`link`], [`record`] | the exchanges |
//! | [`replay`] | holds a machine to a recording |
//! | [`platform`], [`relay`] | the other ends, for making recordings and for bringing links up |
//! | [`arena`] | the heap of a binary that has none, and how much of it is in use |
//! | [`memory`], [`devices`] | what the machines need of it |

#![no_std]

extern crate alloc;

pub mod arena;
pub mod devices;
pub mod link;
pub mod memory;
pub mod pairing;
pub mod platform;
pub mod record;
pub mod relay;
pub mod replay;

/// The real Noise, in pure Rust: all that a machine without an operating system has.
pub type Noise = proto_core::noise::Snow<proto_core::crypto::PureRust>;

/// What went otherwise than recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// What should have happened.
    pub expected: &'static str,
    /// In which line of the recording, counted from 1; 0 where there is none.
    pub line: usize,
}

impl Wrong {
    /// Something that no recording is about.
    pub const fn new(expected: &'static str) -> Self {
        Self { expected, line: 0 }
    }
}

/// One check: its name, and what it does.
pub type Check = (&'static str, fn() -> Result<(), Wrong>);

/// Every check.
pub const CHECKS: [Check; 7] = [
    ("a record is sealed and opened", record::check),
    ("a pairing, from the code to its end", pairing::check),
    ("IK with AES-GCM and SHA-256, both sides", || link::check(&link::IK_AES)),
    ("IK with ChaChaPoly and BLAKE2s, both sides", || link::check(&link::IK_CHACHA)),
    ("IKpsk2 with AES-GCM and SHA-256, both sides", || link::check(&link::IKPSK2_AES)),
    ("IKpsk2 with ChaChaPoly and BLAKE2s, both sides", || link::check(&link::IKPSK2_CHACHA)),
    ("IK and IKpsk2 do not open each other", link::check_patterns_differ),
];

/// Does every check. 0 when all hold; else `100 * n + line`, where the n-th check is the first that failed: for those who have
/// nothing but a number to tell.
pub fn exit_code() -> i32 {
    let failed = CHECKS.iter().zip(1..).find_map(|((_, check), n)| Some((n, check().err()?)));
    failed.map_or(0, |(n, wrong)| 100 * n + i32::try_from(wrong.line.min(99)).unwrap_or(99))
}
