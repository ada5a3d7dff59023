//! The daemon's local interface: HTTP and JSON over `vpd.sock` (0600). Only its owner may open the socket.
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
//! | `GET /v1/attach` | WebSocket | binary messages: first [`Attach`] and its answer [`Attached`] as JSON, then one `wire::Frame` each |
//!
//! Errors are problem documents (RFC 9457) with a reason of the catalogue, as on the platform.

pub(crate) use proto_core::device::{
    control::{
        Attach, Attached, BindRequest, BindingRow, Bound, DirectoryRow, PairEvent, PairRequest, PendingPairing, Report,
        SessionRow, SpoolRow, UnbindRequest, Unbound, UnpairRequest, Unpaired,
    },
    link::LinkState,
};
