//! What can be done in a directory: bind it, take that back, say something about its hint.

use alloc::{borrow::ToOwned, string::String, vec, vec::Vec};

use super::{Decision, Directory, File, IGNORE_FILE, LOCAL_FILE};
use crate::{
    Reason, UnixTime,
    api::Workspace,
    device::files::{Declines, Grant, Grants, IGNORED, LocalYaml, MAX_GRANTS, Streaming, Unknown, WorkspaceYaml},
    id::OrgId,
};

/// The lines of an ignore file after which git passes over a `local.yaml` beside it.
const IGNORES_LOCAL: &[&str] = &["/local.yaml", "local.yaml", "*"];

/// What is known about a directory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DirectoryFacts {
    /// The directory.
    pub directory: Directory,
    /// Where a session that starts in it streams to.
    pub decision: Decision,
    /// The nearest `workspace.yaml`, from the directory up to the root of its repository.
    pub hint: Option<Hint>,
    /// [`IGNORE_FILE`] in it.
    pub ignore: File,
}

/// What a repository suggests. Never grants anything (S103, S109).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Hint {
    /// Where the `workspace.yaml` stands: the directory that a yes binds, and a no is remembered for.
    pub directory: Directory,
    /// What it says.
    pub suggested: WorkspaceYaml,
}

/// A change to the files of a directory. Writes replace the file as a whole, with mode 0600, and make the folder around it;
/// removing a file that is not there is fine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// Make the file at this absolute path say this.
    Write(String, String),
    /// Remove the file at this absolute path.
    Remove(String),
}

/// A `vpd bind` to carry out: first `files`, in their order; once they are durable, [`Plan::enter`], and the ledger is made
/// durable. A crash in between leaves a file without a grant, which is ignored.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Plan {
    /// What changes in the directory.
    pub files: Vec<Change>,
    directory: Directory,
    grant: Grant,
}

impl Plan {
    /// Enters the grant into the ledger.
    ///
    /// # Errors
    /// [`Reason::StateNotWritten`] when it is full.
    pub fn enter(self, ledger: &mut Grants) -> Result<(), Reason> {
        let path = self.directory.as_str();
        if ledger.directories.len() >= MAX_GRANTS && !ledger.directories.contains_key(path) {
            return Err(Reason::StateNotWritten);
        }
        ledger.directories.insert(path.to_owned(), self.grant);
        Ok(())
    }
}

/// What to say on the way into a directory (D9).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Advice {
    /// Nothing.
    Nothing,
    /// Ask whether to bind `directory`; yes is the default (S105).
    AskToBind {
        /// What a yes binds.
        directory: Directory,
        /// The organization to stream to.
        org: Workspace,
    },
    /// Say that the repository suggests an organization that this device is not paired with (S106).
    SuggestPairing {
        /// Where the hint stands.
        directory: Directory,
        /// What `vpd pair --org` takes: the slug, or the id.
        org: String,
    },
}

impl DirectoryFacts {
    /// Which organization `vpd bind` means: the one that was `asked` for by id or slug; else the only one that this device is
    /// paired with; else the one that the repository suggests (S98, D4).
    ///
    /// # Errors
    /// [`Reason::NotPaired`] without any binding, [`Reason::OrgUnknown`] when no binding fits, [`Reason::OrgAmbiguous`] when
    /// several do.
    pub fn org<'a>(&self, asked: Option<&str>, paired: &'a [Workspace]) -> Result<&'a Workspace, Reason> {
        match Workspace::pick(asked, paired) {
            Err(Reason::OrgAmbiguous) if asked.is_none() => self.suggested(paired).ok_or(Reason::OrgAmbiguous),
            picked => picked,
        }
    }

    /// What `vpd bind` does to this directory (S87 to S91, S97).
    ///
    /// # Errors
    /// [`Reason::StateNotWritten`] when what git is to ignore cannot be said.
    pub fn bind(&self, org: &OrgId, recursive: bool, now: UnixTime) -> Result<Plan, Reason> {
        let bound_at = now.to_rfc3339();
        let local = LocalYaml { org_id: org.clone(), streaming: Streaming::Enabled, bound_at: bound_at.clone(), recursive };
        let mut files = Vec::new();
        if let Some(ignore) = ignoring(&self.ignore)? {
            // First, so that git never sees the other one.
            files.push(Change::Write(self.directory.join(IGNORE_FILE), ignore));
        }
        files.push(Change::Write(self.directory.join(LOCAL_FILE), local.write()));
        let grant = Grant { org_id: org.clone(), recursive, bound_at, unknown: Unknown::new() };
        Ok(Plan { files, directory: self.directory.clone(), grant })
    }

    /// Whether `vpd bind` may go on without a question (F40).
    ///
    /// # Errors
    /// [`Reason::BindReplaces`] where the directory itself is bound to another organization.
    pub fn check_bind(&self, org: &OrgId, ledger: &Grants) -> Result<(), Reason> {
        let bound = ledger.directories.get(self.directory.as_str());
        if bound.is_some_and(|grant| grant.org_id != *org) { Err(Reason::BindReplaces) } else { Ok(()) }
    }

    /// What to say about the repository's hint: nothing when it was declined, when streaming was switched off here, or when the
    /// hinted directory or one below it is bound already, to any organization.
    pub fn advice(&self, paired: &[Workspace], declines: &Declines) -> Advice {
        let Some(hint) = self.hint.as_ref().filter(|hint| !self.is_settled(hint, declines)) else { return Advice::Nothing };
        let directory = hint.directory.clone();
        match self.suggested(paired) {
            Some(org) => Advice::AskToBind { directory, org: org.clone() },
            None => Advice::SuggestPairing { directory, org: hint.suggested.org().to_owned() },
        }
    }

    fn is_settled(&self, hint: &Hint, declines: &Declines) -> bool {
        let is_decided = match &self.decision {
            Decision::Stream { org, directory } => *org == hint.suggested.org_id || directory.is_within(&hint.directory),
            Decision::LocalOnly { why } => *why == Some(Reason::StreamingDisabled),
        };
        is_decided || declines.contains(hint.directory.as_str(), &hint.suggested.org_id)
    }

    fn suggested<'a>(&self, paired: &'a [Workspace]) -> Option<&'a Workspace> {
        let org = &self.hint.as_ref()?.suggested.org_id;
        paired.iter().find(|workspace| workspace.id == *org)
    }
}

/// What `vpd unbind` changes: first the ledger, which changes in `ledger` here; once that is durable, the files. A crash in between
/// leaves a file without a grant, which is ignored. What git ignores stays ignored.
///
/// # Errors
/// [`Reason::NotBound`] when the ledger does not know the directory: then its files are not ours to remove.
pub fn unbind(directory: &Directory, ledger: &mut Grants) -> Result<Vec<Change>, Reason> {
    ledger.directories.remove(directory.as_str()).ok_or(Reason::NotBound)?;
    Ok(vec![Change::Remove(directory.join(LOCAL_FILE))])
}

/// What [`IGNORE_FILE`] has to say so that git passes over `local.yaml`; `None` when it says so already. Lines of others stay.
fn ignoring(file: &File) -> Result<Option<String>, Reason> {
    match file {
        File::Absent => Ok(Some(IGNORED.iter().fold(String::new(), with_line))),
        File::Unusable => Err(Reason::StateNotWritten),
        File::Contents(bytes) => {
            let text = core::str::from_utf8(bytes).map_err(|_| Reason::StateNotWritten)?;
            // The last line that fits decides, and a file that `vpd` did not create may be committed: it is not hidden.
            let last = text.lines().map(str::trim_end).rfind(|line| line.starts_with('!') || IGNORES_LOCAL.contains(line));
            let is_ignored = last.is_some_and(|line| !line.starts_with('!'));
            Ok((!is_ignored).then(|| with_line(text.to_owned(), &"/local.yaml")))
        }
    }
}

fn with_line(mut text: String, line: &&str) -> String {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(line);
    text.push('\n');
    text
}
