//! `.viewport/local.yaml`: what a directory streams to. `.viewport/workspace.yaml`: what a repository suggests.

use alloc::{collections::BTreeMap, format, string::String};

use super::yaml;
use crate::{Reason, id::OrgId};

/// The lines of `.viewport/.gitignore`: what `vpd bind` writes is not to be committed (S88).
pub const IGNORED: &[&str] = &["/.gitignore", "/local.yaml"];

/// The longest slug, in characters.
const MAX_SLUG_LEN: usize = 64;

/// `.viewport/local.yaml` (S89 to S91). Grants only together with the ledger (D11).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LocalYaml {
    /// The organization.
    pub org_id: OrgId,
    /// Whether the directory streams.
    pub streaming: Streaming,
    /// When it was bound: RFC 3339, UTC.
    pub bound_at: String,
    /// Nested repositories too (D10).
    pub recursive: bool,
}

/// `streaming: …`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Streaming {
    /// It does, if the ledger agrees.
    Enabled,
    /// It does not.
    Disabled,
}

impl LocalYaml {
    /// Reads the file. Entries with other keys are passed over.
    ///
    /// # Errors
    /// [`Reason::LocalFileInvalid`] when it is not a flat mapping with the three entries of the specification.
    pub fn parse(bytes: &[u8]) -> Result<Self, Reason> {
        Self::read(bytes).ok_or(Reason::LocalFileInvalid)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let entries = yaml::parse(bytes)?;
        let streaming = match entries.get("streaming")?.as_str() {
            "enabled" => Streaming::Enabled,
            "disabled" => Streaming::Disabled,
            _ => return None,
        };
        let recursive = match entries.get("recursive").map(String::as_str) {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return None,
        };
        let bound_at = entries.get("bound_at").filter(|text| !text.is_empty())?.clone();
        Some(Self { org_id: org_id(&entries)?, streaming, bound_at, recursive })
    }

    /// The file's contents.
    pub fn write(&self) -> String {
        let Self { org_id, bound_at, .. } = self;
        let streaming = match self.streaming {
            Streaming::Enabled => "enabled",
            Streaming::Disabled => "disabled",
        };
        let recursive = if self.recursive { "recursive: true\n" } else { "" };
        format!("org_id: {}\nstreaming: {streaming}\n{recursive}bound_at: \"{bound_at}\"\n", scalar(org_id))
    }
}

/// `.viewport/workspace.yaml` (S102): a hint, committed to the repository. Grants nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WorkspaceYaml {
    /// The organization.
    pub org_id: OrgId,
    /// Its slug, where the file says it: nicer to read, and `--org` takes it as well.
    pub slug: Option<String>,
}

impl WorkspaceYaml {
    /// Reads the file. Entries with other keys are passed over.
    ///
    /// # Errors
    /// [`Reason::LocalFileInvalid`] when it is not a flat mapping with an organization.
    pub fn parse(bytes: &[u8]) -> Result<Self, Reason> {
        Self::read(bytes).ok_or(Reason::LocalFileInvalid)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let entries = yaml::parse(bytes)?;
        let slug = entries.get("slug").cloned();
        // It ends up in a command line that people paste.
        slug.as_deref().is_none_or(is_slug).then_some(Self { org_id: org_id(&entries)?, slug })
    }

    /// What `--org` takes: the slug, or the id.
    pub fn org(&self) -> &str {
        self.slug.as_deref().unwrap_or(self.org_id.as_str())
    }
}

/// Whether the text is a slug: 1 to 64 of `[a-z0-9-]`, no hyphen in front.
pub(crate) fn is_slug(text: &str) -> bool {
    (1..=MAX_SLUG_LEN).contains(&text.len())
        && !text.starts_with('-')
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// All three names of the specification are understood (D5), but a file uses one of them.
fn org_id(entries: &BTreeMap<String, String>) -> Option<OrgId> {
    let mut found = ["org_id", "workspace_id", "organization_id"].iter().filter_map(|key| entries.get(*key));
    let org = found.next()?.parse().ok()?;
    found.next().is_none().then_some(org)
}

/// An id as YAML: quoted where a reader might take it for a number, a boolean, or something else.
fn scalar(org: &OrgId) -> String {
    let text = org.as_str();
    let is_plain = text.len() == 26 && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    let is_number = text.bytes().all(|b| b.is_ascii_digit());
    if is_plain && !is_number { text.into() } else { format!("\"{text}\"") }
}
