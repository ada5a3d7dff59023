//! Where the state files stand.

use alloc::{format, string::String};
use core::fmt::Write as _;

use crate::{effect::StateFile, id::OrgId};

const IDENTITIES: &str = "relay-identities/";
const SPOOL: &str = "state/spool";
const ORGANIZATION_KEYS: &str = "organization-keys/";

impl StateFile {
    /// The file's path relative to `VIEWPORT_HOME`, with `/` between its parts.
    ///
    /// An identity is `relay-identities/{org}.json`. No two of them share a name, also on a file system that ignores case
    /// (ISO-8): an id with lower-case letters gets `~` and the places of those letters as hexadecimal bits, and the second
    /// identity for one org gets `+1`; neither character occurs in ids. The file of an organization's key has the same name in a
    /// folder of its own.
    pub fn path(&self) -> String {
        match self {
            Self::Config => "config.json".into(),
            Self::Identity(org, number) => org_path(IDENTITIES, org, *number),
            Self::OrganizationKey(org) => org_path(ORGANIZATION_KEYS, org, 0),
            Self::PendingPairing => "pending-pairing.json".into(),
            Self::Grants => "grants.json".into(),
            Self::Declines => "declines.json".into(),
            Self::Session(session) => format!("state/sessions/{session}.json"),
            Self::Segment(session, first) => format!("{SPOOL}/{session}/{first:020}"),
            Self::Spool(session) => format!("{SPOOL}/{session}"),
        }
    }

    /// The segment with this session and name; `None` unless [`path`](Self::path) gives exactly that.
    pub fn segment_at(session: &str, name: &str) -> Option<Self> {
        let file = Self::Segment(session.parse().ok()?, name.parse().ok()?);
        (file.path() == format!("{SPOOL}/{session}/{name}")).then_some(file)
    }

    /// The identity file with this path; `None` unless [`path`](Self::path) gives exactly that path.
    pub fn identity_at(path: &str) -> Option<Self> {
        let name = path.strip_prefix(IDENTITIES)?.strip_suffix(".json")?;
        let (stem, number) = match name.split_once('+') {
            Some((stem, number)) => (stem, number.parse().ok()?),
            None => (name, 0),
        };
        let file = Self::Identity(org_of(stem)?, number);
        (file.path() == path).then_some(file)
    }

    /// The file of an organization's key with this path; `None` unless [`path`](Self::path) gives exactly that path.
    pub fn organization_key_at(path: &str) -> Option<Self> {
        let stem = path.strip_prefix(ORGANIZATION_KEYS)?.strip_suffix(".json")?;
        let file = Self::OrganizationKey(org_of(stem)?);
        (file.path() == path).then_some(file)
    }
}

fn org_of(stem: &str) -> Option<OrgId> {
    stem.split('~').next()?.parse().ok()
}

fn org_path(folder: &str, org: &OrgId, number: u32) -> String {
    let mut path = format!("{folder}{org}");
    if org.as_str().bytes().any(|b| b.is_ascii_lowercase()) {
        path.push('~');
        for chunk in org.as_str().as_bytes().chunks(4) {
            let bits = chunk.iter().fold(0_u8, |bits, b| 2 * bits + u8::from(b.is_ascii_lowercase()));
            // Writing to a string cannot fail.
            let _ = write!(path, "{bits:x}");
        }
    }
    if number > 0 {
        let _ = write!(path, "+{number}");
    }
    path.push_str(".json");
    path
}

#[cfg(test)]
mod tests {
    use alloc::{collections::BTreeSet, string::ToString, vec::Vec};

    use super::*;
    use crate::id::SessionId;

    fn org(text: &str) -> OrgId {
        text.parse().unwrap()
    }

    /// S65: the path of the specification for an id as the platform makes them.
    #[test]
    fn an_identity_stands_where_the_specification_says() {
        let file = StateFile::Identity(org("01J7M8N9P0Q1R2S3T4U5V6W7X8"), 0);
        assert_eq!(file.path(), "relay-identities/01J7M8N9P0Q1R2S3T4U5V6W7X8.json");
        assert_eq!(StateFile::Session(SessionId([0; 16])).path(), "state/sessions/aaaaaaaaaaaaaaaaaaaaaaaaaa.json");
    }

    /// ISO-8, enumerated over all ids of up to three characters that make trouble, twice numbered.
    #[test]
    fn identity_paths_are_injective_under_case_folding_and_stay_in_their_folder() {
        let alphabet = ["a", "A", "b", "B", ".", ":", "-", "_", "1"];
        let mut ids: Vec<_> = alphabet.iter().map(ToString::to_string).collect();
        for _ in 0..2 {
            let longer: Vec<_> = ids.iter().flat_map(|id| alphabet.iter().map(move |c| format!("{id}{c}"))).collect();
            ids.extend(longer);
        }
        let ids: BTreeSet<_> = ids.into_iter().collect();
        let mut paths = BTreeSet::new();
        for id in &ids {
            for number in [0, 1, 11] {
                let file = StateFile::Identity(org(id), number);
                let path = file.path();
                assert_eq!(StateFile::identity_at(&path), Some(file), "{path}");
                assert_eq!(path.matches('/').count(), 1, "{path}");
                assert!(paths.insert(path.to_lowercase()), "{path} twice");
            }
            let file = StateFile::OrganizationKey(org(id));
            let path = file.path();
            assert_eq!(StateFile::organization_key_at(&path), Some(file), "{path}");
            assert!(paths.insert(path.to_lowercase()), "{path} twice");
        }
    }

    #[test]
    fn other_paths_are_no_identities() {
        for path in ["config.json", "relay-identities/a.json", "relay-identities/A+0.json", "relay-identities/../A.json"] {
            assert_eq!(StateFile::identity_at(path), None, "{path}");
            let path = path.replace("relay-identities", "organization-keys");
            assert_eq!(StateFile::organization_key_at(&path), None, "{path}");
        }
    }

    /// SPOOL-1: a segment's place says whose it is and where it begins; in the order of their names they go on without a gap.
    #[test]
    fn segments_stand_in_the_order_of_their_numbers() {
        let (session, folder) = (SessionId([0; 16]), "a".repeat(26));
        let names: Vec<_> = [0, 9, 10, u64::MAX].map(|first| alloc::format!("{first:020}")).into();
        assert!(names.is_sorted());
        for (name, first) in names.iter().zip([0, 9, 10, u64::MAX]) {
            let file = StateFile::Segment(session, first);
            assert_eq!(file.path(), alloc::format!("{}/{name}", StateFile::Spool(session).path()));
            assert_eq!(StateFile::segment_at(&folder, name), Some(file));
        }
        for (folder, name) in [("a", names[0].as_str()), (&folder, "1"), (&folder, ".unfinished-x"), (&folder, "")] {
            assert_eq!(StateFile::segment_at(folder, name), None, "{folder}/{name}");
        }
    }

    #[test]
    fn the_longest_id_still_makes_a_file_name() {
        let path = StateFile::Identity(org(&"x".repeat(128)), u32::MAX).path();
        assert!(path.rsplit('/').next().unwrap().len() <= 255);
    }
}
