//! What the fuzzer runs: one function per target, each of which takes any bytes and panics when something is wrong.
//!
//! `fuzz/fuzz_targets/` calls them under libFuzzer, `tests/fuzz_corpora.rs` replays the committed corpora on a stable
//! compiler. "Does not panic" (L7) is the least that each of them checks; its page says what else. Where bytes become a
//! sequence of events, [`arbitrary`] shapes them, so that a mutation of the bytes is a mutation of the sequence.

#![allow(clippy::missing_panics_doc, reason = "panicking is how a target says that it found something")]

mod driven;
mod files;
mod hub;
mod jose;
mod link;
mod noise;
mod pairing;
mod wire;

pub use files::{config, state_files, yaml};
pub use hub::hub;
pub use jose::{credential, key_set, proof};
pub use link::link;
pub use noise::{initiator, responder};
pub use pairing::pairing;
pub use wire::{first_message, frame, hello, record, segments};

/// A target: its name, which is also that of its corpus and of its libFuzzer program, and what it runs.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("config", config),
    ("credential", credential),
    ("first_message", first_message),
    ("frame", frame),
    ("hello", hello),
    ("hub", hub),
    ("initiator", initiator),
    ("key_set", key_set),
    ("link", link),
    ("pairing", pairing),
    ("proof", proof),
    ("record", record),
    ("responder", responder),
    ("segments", segments),
    ("state_files", state_files),
    ("yaml", yaml),
];
