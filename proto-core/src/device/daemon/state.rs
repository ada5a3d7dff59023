//! What the daemon keeps beside its children.

use alloc::vec::Vec;

use super::Bind;
use crate::{
    SessionId,
    api::Workspace,
    device::{
        consent::{Change, Directory, Plan, Resolver},
        files::SessionFile,
    },
    wire::Title,
};

/// A request or a session's start that waits for the disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Task {
    /// A session's start: which org does its directory stream to?
    Resolving { resolver: Resolver, start: Start },
    /// A session's start: its pin is being made durable.
    Pinning { file: SessionFile, org: Workspace },
    /// `vpd bind`: what stands there?
    Looking { resolver: Resolver, bind: Bind },
    /// `vpd bind`: the files are being written.
    WritingBindFiles { plan: Plan, directory: Directory, org: Workspace },
    /// `vpd bind`: the ledger with the grant is being made durable.
    Granting { plan: Plan, directory: Directory, org: Workspace },
    /// `vpd unbind`: the ledger without the grant is being made durable.
    RevokingGrant { directory: Directory, files: Vec<Change> },
    /// `vpd unbind`: the files are being removed.
    RemovingFile { directory: Directory },
    /// `vpd pair --cancel`: the pairing is to end.
    Cancelling,
    /// `vpd unpair`: nothing of the org's bindings is to be left.
    Unpairing { org: Workspace },
}

/// What a session starts with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Start {
    /// Drawn for it.
    pub(super) session: SessionId,
    /// Epoch 0's secret, drawn for it.
    pub(super) secret: crate::crypto::seal::EpochSecret,
    pub(super) title: Title,
}
