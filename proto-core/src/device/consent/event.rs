//! Inputs and outputs of [`Resolver`](super::Resolver).

use alloc::vec::Vec;

use super::{Directory, DirectoryFacts};
use crate::{Reason, id::OrgId};

/// The longest file that is read, in bytes. A longer one is [`File::Unusable`].
pub const MAX_FILE_LEN: usize = 65_536;

/// `.viewport/local.yaml`: what [`Looked::local`] is about.
pub const LOCAL_FILE: &str = ".viewport/local.yaml";

/// `.viewport/workspace.yaml`: what [`Looked::workspace`] is about.
pub const WORKSPACE_FILE: &str = ".viewport/workspace.yaml";

/// `.viewport/.gitignore`: what [`Looked::ignore`] is about.
pub const IGNORE_FILE: &str = ".viewport/.gitignore";

/// What makes a directory the root of a repository: a directory, or a file in a linked working tree or a submodule.
pub const REPOSITORY_MARK: &str = ".git";

/// A fact for a resolver: the answer to [`Output::Look`].
pub type Input = Looked;

/// What is in one directory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Looked {
    /// The directory that was asked for.
    pub directory: Directory,
    /// Whether it has a [`REPOSITORY_MARK`].
    pub is_repository: bool,
    /// [`LOCAL_FILE`] below it.
    pub local: File,
    /// [`WORKSPACE_FILE`] below it.
    pub workspace: File,
    /// [`IGNORE_FILE`] below it.
    pub ignore: File,
}

/// What is in the place of a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum File {
    /// Nothing.
    Absent,
    /// Something that is not to be relied on: another user owns it or the `.viewport` around it, one of the two is a symbolic
    /// link, it is no regular file, it cannot be read, or it is longer than [`MAX_FILE_LEN`].
    Unusable,
    /// A file of this user.
    Contents(Vec<u8>),
}

/// What to do, and what came out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// Look what is in this directory. Answered by [`Looked`].
    Look(Directory),
    /// The end: what is decided for the directory that was asked about.
    Resolved(DirectoryFacts),
}

/// Where a session's stream goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// To this organization.
    Stream {
        /// The organization.
        org: OrgId,
        /// The directory that was bound to it.
        directory: Directory,
    },
    /// Nowhere: nothing leaves this machine (S94, S95).
    LocalOnly {
        /// Why, where there is more to say than that nothing is bound here: [`Reason::StreamingDisabled`],
        /// [`Reason::LocalFileInvalid`], [`Reason::LocalFileMissing`], [`Reason::GrantMissing`] or [`Reason::NestedRepository`].
        why: Option<Reason>,
    },
}
