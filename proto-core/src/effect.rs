//! What a machine asks an adapter to do, and what the adapter tells it: a small closed vocabulary.
//!
//! `I` is whatever the machine wants to get back with the answer, its `EffectId`; an adapter only carries it. A parent machine
//! wraps its children's into its own with [`Effect::map_id`], so there is no table of who asked what.

use alloc::{string::String, vec::Vec};
use core::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    Reason,
    id::{OrgId, SessionId},
    machine::{entropy::Entropy, time::UnixTime},
    secret::{SecretBytes, SecretText},
};

/// Something for the adapter to do. Each names its request or link by `I`; answers carry the same `I`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect<I> {
    /// Send an HTTP request. Answered by [`IoEvent::Answered`] or [`IoEvent::Unanswered`], exactly once.
    Http(I, HttpRequest),
    /// Open a WebSocket. Answered by [`IoEvent::Connected`] or [`IoEvent::Closed`].
    Connect(I, Connect),
    /// Send one binary message, after those before it. Answered by [`IoEvent::Sent`] once the socket took it.
    Send(I, Bytes),
    /// Send a close frame after what was sent before, then close. Answered by [`IoEvent::Closed`].
    Close(I, Close),
    /// Make the file's contents durable: temporary file, fsync, rename, fsync of the directory, mode 0600.
    /// Answered by [`IoEvent::Stored`] or [`IoEvent::NotStored`]. Stores and removals are carried out in order.
    Store(I, StateFile, SecretBytes),
    /// Remove the file durably; one that is not there is removed already. Answered like [`Effect::Store`].
    Remove(I, StateFile),
    /// Read the file, after the stores and removals before it. Answered by [`IoEvent::Loaded`] or
    /// [`IoEvent::NotLoaded`].
    Load(I, StateFile),
}

impl<I> Effect<I> {
    /// The same effect under the parent's name for it.
    pub fn map_id<J>(self, wrap: impl FnOnce(I) -> J) -> Effect<J> {
        match self {
            Self::Http(id, request) => Effect::Http(wrap(id), request),
            Self::Connect(id, connect) => Effect::Connect(wrap(id), connect),
            Self::Send(id, message) => Effect::Send(wrap(id), message),
            Self::Close(id, close) => Effect::Close(wrap(id), close),
            Self::Store(id, file, contents) => Effect::Store(wrap(id), file, contents),
            Self::Remove(id, file) => Effect::Remove(wrap(id), file),
            Self::Load(id, file) => Effect::Load(wrap(id), file),
        }
    }
}

/// What came of an effect, or what a connection brought.
#[derive(Debug, PartialEq, Eq, Hash)]
pub enum IoEvent<I> {
    /// The whole answer to an HTTP request, whatever its status.
    Answered(I, HttpAnswer),
    /// There was no answer to an HTTP request.
    Unanswered(I, NetFault),
    /// The WebSocket is open. The entropy is fresh, for the handshake that follows.
    Connected(I, Entropy),
    /// One binary message arrived.
    Received(I, Bytes),
    /// The socket took that many of the messages handed over with [`Effect::Send`].
    Sent(I, u32),
    /// The WebSocket is closed, or was never open. Nothing follows under this name until another [`Effect::Connect`].
    Closed(I, Closed),
    /// The store or removal is durable.
    Stored(I),
    /// The store or removal failed; the old contents are intact.
    NotStored(I),
    /// What the file holds; `None` when there is none.
    Loaded(I, Option<SecretBytes>),
    /// There may be such a file; it cannot be read at the moment.
    NotLoaded(I),
}

impl<I> IoEvent<I> {
    /// Splits off whose it is.
    pub fn take_id(self) -> (I, IoEvent<()>) {
        match self {
            Self::Answered(id, answer) => (id, IoEvent::Answered((), answer)),
            Self::Unanswered(id, fault) => (id, IoEvent::Unanswered((), fault)),
            Self::Connected(id, entropy) => (id, IoEvent::Connected((), entropy)),
            Self::Received(id, message) => (id, IoEvent::Received((), message)),
            Self::Sent(id, messages) => (id, IoEvent::Sent((), messages)),
            Self::Closed(id, closed) => (id, IoEvent::Closed((), closed)),
            Self::Stored(id) => (id, IoEvent::Stored(())),
            Self::NotStored(id) => (id, IoEvent::NotStored(())),
            Self::Loaded(id, contents) => (id, IoEvent::Loaded((), contents)),
            Self::NotLoaded(id) => (id, IoEvent::NotLoaded(())),
        }
    }
}

impl IoEvent<()> {
    /// Puts another name on it.
    pub fn with_id<J>(self, id: J) -> IoEvent<J> {
        match self {
            Self::Answered((), answer) => IoEvent::Answered(id, answer),
            Self::Unanswered((), fault) => IoEvent::Unanswered(id, fault),
            Self::Connected((), entropy) => IoEvent::Connected(id, entropy),
            Self::Received((), message) => IoEvent::Received(id, message),
            Self::Sent((), messages) => IoEvent::Sent(id, messages),
            Self::Closed((), closed) => IoEvent::Closed(id, closed),
            Self::Stored(()) => IoEvent::Stored(id),
            Self::NotStored(()) => IoEvent::NotStored(id),
            Self::Loaded((), contents) => IoEvent::Loaded(id, contents),
            Self::NotLoaded(()) => IoEvent::NotLoaded(id),
        }
    }
}

/// An HTTP/1.1 request. Redirects are not followed: an answer 3xx comes back as it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HttpRequest {
    /// GET or POST.
    pub method: Method,
    /// Absolute `http://` or `https://` URL.
    pub url: String,
    /// Header lines beside `Host`, `Content-Length` and `Accept`, which the adapter adds.
    pub headers: Vec<(&'static str, SecretText)>,
    /// JSON, sent as `application/json`; none for GET.
    pub body: Option<SecretBytes>,
    /// From now to the last byte of the answer.
    pub timeout: Duration,
    /// A longer answer body is a [`NetFault::TooLarge`].
    pub max_answer: usize,
}

/// HTTP methods in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// `GET`
    Get,
    /// `POST`
    Post,
}

/// The answer to an [`HttpRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HttpAnswer {
    /// The status code.
    pub status: u16,
    /// `Retry-After` in seconds (RFC 9110 section 10.2.3); a date form is left out.
    pub retry_after: Option<u32>,
    /// `Date`: the time by the server's clock (RFC 9110 section 6.6.1).
    pub date: Option<UnixTime>,
    /// The whole body.
    pub body: SecretBytes,
}

/// Why there was no answer, or no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum NetFault {
    /// The URL is none, or of an unknown scheme.
    #[error("the URL is invalid")]
    BadUrl,
    /// The name did not resolve.
    #[error("its name does not resolve")]
    Dns,
    /// No program listens there, or the network refused.
    #[error("the connection was refused")]
    Refused,
    /// The server's certificate leads to no root that is trusted here.
    #[error("its certificate is signed by no authority that this machine trusts")]
    CertificateUntrusted,
    /// The server's certificate is for another name.
    #[error("its certificate is for another name")]
    CertificateName,
    /// The server's certificate has expired or is not valid yet, by this machine's clock.
    #[error("its certificate has expired, or is not valid yet by this machine's clock")]
    CertificateExpired,
    /// The TLS handshake failed in another way.
    #[error("the TLS handshake failed")]
    Tls,
    /// No end in time.
    #[error("there was no answer in time")]
    TimedOut,
    /// The connection broke in the middle.
    #[error("the connection broke")]
    Broken,
    /// The answer was not HTTP, or its 101 is not that of a WebSocket of ours.
    #[error("the answer was not understood")]
    NotUnderstood,
    /// The answer or message is larger than allowed.
    #[error("the answer was too large")]
    TooLarge,
    /// The proxy that is set for it is no `http` or `https` URL.
    #[error("the proxy that is set is no http:// or https:// URL")]
    ProxyInvalid,
    /// The proxy's name did not resolve.
    #[error("the name of the proxy does not resolve")]
    ProxyDns,
    /// No connection to the proxy came about.
    #[error("the proxy refused the connection")]
    ProxyUnreachable,
    /// TLS with an `https` proxy failed, or no trusted authority vouches for that proxy.
    #[error("the TLS handshake with the proxy failed")]
    ProxyTls,
    /// The proxy hung up before it answered, or its answer was not HTTP.
    #[error("the proxy gave no answer that makes sense")]
    ProxyBroken,
    /// The proxy did not open a tunnel; the status that it answered.
    #[error("the proxy answered HTTP {0}")]
    ProxyStatus(u16),
}

impl NetFault {
    /// Whether it is about a proxy that is set on this machine, and not about the server behind it.
    pub const fn is_of_proxy(self) -> bool {
        matches!(
            self,
            Self::ProxyInvalid
                | Self::ProxyDns
                | Self::ProxyUnreachable
                | Self::ProxyTls
                | Self::ProxyBroken
                | Self::ProxyStatus(_)
        )
    }
}

/// How to open a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Connect {
    /// Absolute `ws://` or `wss://` URL.
    pub url: String,
    /// From now to the end of the upgrade.
    pub timeout: Duration,
    /// A longer incoming message closes the connection with [`NetFault::TooLarge`].
    pub max_message: usize,
}

/// How this side closes a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Close {
    /// Code 1000: all is well.
    Normal,
    /// Code 4000 and more with the reason's code as text.
    Because(Reason),
}

/// How a WebSocket ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Closed {
    /// The other side sent a close frame, with a reason of the catalogue if it gave one. Not authenticated.
    ByPeer(Option<Reason>),
    /// This side asked for it.
    ByUs,
    /// It broke, or never came about.
    Fault(NetFault),
    /// The request for the upgrade had an answer of HTTP that is no 101.
    Refused(UpgradeRefusal),
}

impl From<NetFault> for Closed {
    fn from(fault: NetFault) -> Self {
        Self::Fault(fault)
    }
}

/// How a server, or something between, refuses to open a WebSocket. Not authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UpgradeRefusal {
    /// The HTTP status.
    pub status: u16,
    /// The seconds of `Retry-After`, where it gives some.
    pub retry_after: Option<u32>,
    /// Whether it is a problem document (RFC 9457), as our relay answers.
    pub is_problem: bool,
}

/// A file below `VIEWPORT_HOME`. The adapter maps it to a path with [`StateFile::path`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateFile {
    /// `config.json`: endpoints and the bindings.
    Config,
    /// `relay-identities/{org}.json`: the key of a binding; `{org}+{n}.json` from the second pairing with one org on, which has
    /// the number 1.
    Identity(OrgId, u32),
    /// `organization-keys/{org}.json`: what this device knows and holds of the organization's key.
    OrganizationKey(OrgId),
    /// `pending-pairing.json`: a pairing that waits for its approval.
    PendingPairing,
    /// `grants.json`: the ledger of directories that `vpd bind` bound (D11).
    Grants,
    /// `declines.json`: hints that were answered with no.
    Declines,
    /// `state/sessions/{id}.json`: the pin and the secret of a streamed session.
    Session(SessionId),
    /// `state/spool/{id}/{first}`: sealed records of a session that are not at the relay yet, from number `first` on. With the last
    /// one the session's folder goes.
    Segment(SessionId, u64),
    /// `state/spool/{id}`: all that is kept of a session. It is only ever removed.
    Spool(SessionId),
}
