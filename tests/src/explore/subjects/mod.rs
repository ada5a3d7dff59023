//! Every machine of the core with its alphabet, its surroundings and what must hold of it.

mod admission;
mod binding;
mod bridge;
mod connection;
mod consent;
mod credential;
mod daemon;
mod handshake;
mod hub;
mod keyset;
mod link;
mod net;
mod orgkey;
mod pairing;
mod pairing_code;
mod revocations;
mod session;
mod spool;
mod uplinked;
mod viewer;
mod watcher;

use std::fmt::Debug;

use proto_core::effect::{Effect, HttpAnswer, IoEvent};
use proto_core::secret::SecretBytes;

pub use admission::Entering;
pub use binding::Bound;
pub use bridge::Streaming;
pub use connection::Entering as Connecting;
pub use consent::Asked;
pub use credential::Renewing;
pub use daemon::Whole;
pub use handshake::{AwaitingFirstMessage, Opening};
pub use hub::Routing as Hosting;
pub use keyset::Keys;
pub use link::Dialling;
pub use orgkey::Held;
pub use pairing::Waiting;
pub use pairing_code::Coded;
pub use revocations::Followed;
pub use session::Streamed;
pub use spool::Kept;
pub use uplinked::Wired;
pub use viewer::Watching;
pub use watcher::Viewing;

use crate::fixtures::id_of;

/// An effect in a few words, its name without numbers.
fn effect<I: Clone + Debug>(effect: &Effect<I>) -> String {
    let id = unnumbered(&id_of(effect));
    let (what, of) = match effect {
        Effect::Http(..) => ("Http", String::new()),
        Effect::Connect(..) => ("Connect", String::new()),
        Effect::Send(..) => ("Send", String::new()),
        Effect::Close(_, close) => ("Close", format!("{close:?}")),
        Effect::Store(_, file, _) => ("Store", format!("{file:?}")),
        Effect::Remove(_, file) => ("Remove", format!("{file:?}")),
        Effect::Load(_, file) => ("Load", format!("{file:?}")),
    };
    let words = [id, of].into_iter().filter(|word| !word.is_empty() && word != "()").collect::<Vec<_>>();
    format!("{what}({})", words.join(", "))
}

/// The `Debug` text without the numbers in parentheses that only tell one from another.
fn unnumbered(named: &impl Debug) -> String {
    let text = format!("{named:?}");
    match text.split_once('(') {
        Some((name, rest)) if rest.trim_end_matches(')').bytes().all(|byte| byte.is_ascii_digit()) => name.into(),
        _ => text,
    }
}

/// An HTTP answer under the name `id`.
pub(super) fn answered<I>(id: I, status: u16, retry_after: Option<u32>, body: impl Into<Vec<u8>>) -> IoEvent<I> {
    IoEvent::Answered(id, HttpAnswer { status, retry_after, date: None, body: SecretBytes::new(body.into()) })
}
