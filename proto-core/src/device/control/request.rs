//! What can be asked of the daemon.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use super::PendingPairing;
use crate::{
    Obstacle, Reason, SessionId,
    api::{PairingMode, Workspace},
    secret::Secret,
    wire::Title,
};

/// `vpd pair`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PairRequest {
    /// What becomes of existing bindings.
    pub mode: PairingMode,
    /// Id or slug that was asked for.
    pub org: Option<String>,
    /// How this machine calls itself to the organization, where that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What a pairing reports to the client that waits for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum PairEvent {
    /// Show this.
    Code(PendingPairing),
    /// The platform cannot be reached at the moment; the pairing goes on.
    Trouble {
        /// What.
        reason: Reason,
        /// What the latest request met.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        obstacle: Option<Obstacle>,
    },
    /// The last line: done.
    Paired {
        /// The organization that it is paired with.
        org: Workspace,
        /// An existing binding was refreshed.
        refreshed: bool,
    },
    /// The last line: it did not come about.
    Failed {
        /// Why.
        reason: Reason,
        /// What the latest request met, where the network is why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        obstacle: Option<Obstacle>,
    },
}

/// `vpd unpair`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UnpairRequest {
    /// Id or slug; may be left out while there is one binding only.
    pub org: Option<String>,
}

/// The binding is gone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Unpaired {
    /// The organization that it was paired with.
    pub org: Workspace,
}

/// `vpd bind`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BindRequest {
    /// Absolute path.
    pub directory: String,
    /// Id or slug; may be left out while there is one binding only, or the directory's hint names one.
    pub org: Option<String>,
    /// Nested repositories too.
    pub recursive: bool,
    /// The user knows that it takes the place of a binding to another organization.
    #[serde(default)]
    pub confirmed: bool,
}

/// The directory streams from now on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Bound {
    /// Canonical path.
    pub directory: String,
    /// The organization to stream to.
    pub org: Workspace,
}

/// `vpd unbind`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UnbindRequest {
    /// Absolute path.
    pub directory: String,
}

/// The directory streams no more.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Unbound {
    /// Canonical path.
    pub directory: String,
}

/// The first message of a session's connection, from `vpd run`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "attach", rename_all = "snake_case")]
pub enum Attach {
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
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "attached", rename_all = "snake_case")]
pub enum Attached {
    /// The session is pinned and may stream.
    Streaming {
        /// Its id.
        session: SessionId,
        /// The organization to stream to.
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
