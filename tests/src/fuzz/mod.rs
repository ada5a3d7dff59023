//! What the fuzzer runs: one function per target, each of which takes any bytes and panics when something is wrong.
//!
//! `fuzz/fuzz_targets/` calls them under libFuzzer, `tests/fuzz_corpora.rs` replays the committed corpora on a stable
//! compiler. "Does not panic" (L7) is the least that each of them checks; its page says what else. Where bytes become a
//! sequence of events, [`arbitrary`] shapes them, so that a mutation of the bytes is a mutation of the sequence.

#![allow(clippy::missing_panics_doc, reason = "panicking is how a target says that it found something")]

mod answers;
mod driven;
mod files;
mod handshake;
mod hub;
mod jose;
mod link;
mod machines;
mod network;
mod noise;
mod pairing;
mod sabotage;
mod transducers;
mod wire;

pub use answers::answers;
pub use files::{config, state_files, yaml};
pub use handshake::handshake;
pub use hub::hub;
pub use jose::{credential, key_set, proof};
pub use link::link;
pub use machines::{
    law_admission, law_binding, law_bridge, law_connection, law_consent, law_credential, law_daemon, law_hub, law_initiator,
    law_keyset, law_link, law_orgkey, law_pairing, law_pairing_code, law_responder, law_revocations, law_session, law_spool,
    law_uplink, law_viewer, law_watcher,
};
pub use network::network;
pub use noise::{initiator, responder};
pub use pairing::pairing;
pub use transducers::{http, tunnel, websocket_client, websocket_server};
pub use wire::{first_message, frame, hello, key_objects, record, segments};

/// A target: its name, which is also that of its corpus and of its libFuzzer program, and what it runs.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("answers", answers),
    ("config", config),
    ("credential", credential),
    ("first_message", first_message),
    ("frame", frame),
    ("handshake", handshake),
    ("hello", hello),
    ("http", http),
    ("hub", hub),
    ("initiator", initiator),
    ("key_set", key_set),
    ("law_admission", law_admission),
    ("law_binding", law_binding),
    ("law_bridge", law_bridge),
    ("law_pairing_code", law_pairing_code),
    ("law_consent", law_consent),
    ("law_credential", law_credential),
    ("law_daemon", law_daemon),
    ("law_hub", law_hub),
    ("law_initiator", law_initiator),
    ("law_keyset", law_keyset),
    ("law_link", law_link),
    ("law_orgkey", law_orgkey),
    ("key_objects", key_objects),
    ("law_pairing", law_pairing),
    ("law_connection", law_connection),
    ("law_responder", law_responder),
    ("law_revocations", law_revocations),
    ("law_session", law_session),
    ("law_spool", law_spool),
    ("law_uplink", law_uplink),
    ("law_viewer", law_viewer),
    ("law_watcher", law_watcher),
    ("link", link),
    ("network", network),
    ("pairing", pairing),
    ("proof", proof),
    ("record", record),
    ("responder", responder),
    ("segments", segments),
    ("state_files", state_files),
    ("tunnel", tunnel),
    ("websocket_client", websocket_client),
    ("websocket_server", websocket_server),
    ("yaml", yaml),
];
