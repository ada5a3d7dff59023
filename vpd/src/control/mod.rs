//! The daemon's local interface: HTTP and JSON over `vpd.sock` (0600). Whoever may open the socket is its owner.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /v1/status` | | [`Report`] |
//! | `POST /v1/pair` | [`PairRequest`] | lines of JSON, one [`PairEvent`] each, until the last one |
//! | `DELETE /v1/pair` | | 204 |
//! | `POST /v1/unpair` | [`UnpairRequest`] | [`Unpaired`] |
//! | `POST /v1/bind` | [`BindRequest`] | [`Bound`] |
//! | `POST /v1/unbind` | [`UnbindRequest`] | [`Unbound`] |
//! | `POST /v1/reconnect` | | 204: every binding that waits for its next attempt tries now |
//! | `POST /v1/stop` | | 204, then the daemon ends |
//! | `GET /v1/attach` | WebSocket | first text message: [`Attach`]; answer: [`Attached`]; then binary messages, one `wire::Frame` each |
//!
//! Errors are problem documents (RFC 9457) with a reason of the catalogue, as on the platform.

use proto_core::{
    Reason, SessionId,
    api::{PairingMode, Workspace},
    secret::Secret,
    wire::Title,
};
use serde::{Deserialize, Serialize};

/// What `vpd status` shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// The machine's name.
    pub name: String,
    /// The daemon's version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// Where it pairs: `daemon.api.endpoint`.
    pub api_endpoint: String,
    /// One row per binding, in the order of their names.
    pub bindings: Vec<BindingRow>,
    /// One row per bound directory, in the order of their paths.
    pub directories: Vec<DirectoryRow>,
    /// Sessions that stream now.
    pub sessions: Vec<SessionRow>,
    /// A pairing that waits for its approval.
    pub pairing: Option<PendingPairing>,
}

/// One binding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BindingRow {
    /// The organization.
    pub org: Workspace,
    /// Its relay, as the daemon dials it.
    pub relay: String,
    /// How the link stands.
    pub link: LinkState,
    /// Why it is not connected, or why it was refused last.
    pub reason: Option<Reason>,
    /// It takes no new session and goes when its last one ends.
    pub draining: bool,
    /// Unix seconds after which the credential cannot be renewed any more.
    pub renewable_until: u64,
}

/// How a binding's link stands (D7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum LinkState {
    /// The first attempt is under way.
    Connecting,
    /// Admitted by the relay.
    Connected,
    /// One of the quick attempts: `attempt` of `of`.
    Reconnecting {
        /// Counted from 1.
        attempt: u32,
        /// The number of quick attempts.
        of: u32,
    },
    /// Only slow attempts now.
    Disconnected,
}

/// One bound directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DirectoryRow {
    /// Absolute path.
    pub path: String,
    /// Nested repositories too.
    pub recursive: bool,
    /// The organization's name, or its id when this daemon is not paired with it.
    pub org: String,
}

/// One session that streams.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SessionRow {
    /// Its id.
    pub id: String,
    /// The organization's name.
    pub org: String,
    /// The command line.
    pub command: String,
}

/// A pairing that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PendingPairing {
    /// The code a person sees.
    pub code: String,
    /// The page to open.
    pub url: String,
    /// Seconds it still lives.
    pub expires_in: u64,
}

/// `vpd pair`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PairRequest {
    /// What becomes of existing bindings.
    pub mode: PairingMode,
    /// Id or slug that was asked for.
    pub org: Option<String>,
}

/// What a pairing tells whoever waits for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum PairEvent {
    /// Show this.
    Code(PendingPairing),
    /// The platform cannot be reached at the moment; the pairing goes on.
    Trouble {
        /// What.
        reason: Reason,
    },
    /// The last line: done.
    Paired {
        /// With whom.
        org: Workspace,
        /// An existing binding was refreshed.
        refreshed: bool,
    },
    /// The last line: it did not come about.
    Failed {
        /// Why.
        reason: Reason,
    },
}

/// `vpd unpair`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UnpairRequest {
    /// Id or slug; may be left out while there is one binding only.
    pub org: Option<String>,
}

/// The binding is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unpaired {
    /// With whom it was.
    pub org: Workspace,
}

/// `vpd bind`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BindRequest {
    /// Absolute path.
    pub directory: String,
    /// Id or slug; may be left out while there is one binding only, or the directory's hint names one.
    pub org: Option<String>,
    /// Nested repositories too.
    pub recursive: bool,
}

/// The directory streams from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bound {
    /// Canonical path.
    pub directory: String,
    /// To whom.
    pub org: Workspace,
}

/// `vpd unbind`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UnbindRequest {
    /// Absolute path.
    pub directory: String,
}

/// The directory streams no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unbound {
    /// Canonical path.
    pub directory: String,
}

/// The first message of a session's connection, from `vpd run`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "attach", rename_all = "snake_case")]
pub(crate) enum Attach {
    /// A session starts.
    Start {
        /// Where, absolute.
        directory: String,
        /// What.
        title: Title,
    },
    /// The daemon was restarted, or the connection broke: go on.
    Again {
        /// Which.
        session: SessionId,
    },
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "attached", rename_all = "snake_case")]
pub(crate) enum Attached {
    /// The session is pinned and may stream.
    Streaming {
        /// Its id.
        session: SessionId,
        /// To whom.
        org: Workspace,
        /// The secret of epoch 0.
        secret: Secret,
        /// How records are sealed: 1 AES-256-GCM, 2 ChaCha20-Poly1305.
        cipher: u8,
    },
    /// Nothing leaves this machine.
    LocalOnly {
        /// Why, where there is more to say than that the directory is not bound.
        reason: Option<Reason>,
    },
}
