//! Paths of directories.

use alloc::{format, string::String};
use core::fmt;

use crate::Reason;

/// The longest path that is taken, in bytes: `PATH_MAX` of Linux.
pub const MAX_PATH_LEN: usize = 4096;

/// The absolute path of a directory: parts between single `/`, none of them `.` or `..`, no `/` at the end.
///
/// The driver resolves symbolic links before it makes one, so that a directory has one name and the ledger's is the same.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Directory(String);

impl Directory {
    /// Takes a path whose symbolic links are resolved. Repeated and trailing slashes and `.` are dropped; `..` is refused,
    /// because what it means depends on the links that the text no longer shows.
    ///
    /// # Errors
    /// [`Reason::DirectoryMissing`] for a path that is relative, holds `..` or a NUL, or is longer than [`MAX_PATH_LEN`].
    pub fn parse(path: &str) -> Result<Self, Reason> {
        let is_path = path.starts_with('/') && path.len() <= MAX_PATH_LEN && !path.contains('\0');
        if !is_path || path.split('/').any(|part| part == "..") {
            return Err(Reason::DirectoryMissing);
        }
        let mut clean = String::new();
        for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
            clean.push('/');
            clean.push_str(part);
        }
        Ok(Self(if clean.is_empty() { "/".into() } else { clean }))
    }

    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The directory above; `None` for `/`.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        match self.0.rsplit_once('/')? {
            (_, "") => None,
            ("", _) => Some(Self("/".into())),
            (above, _) => Some(Self(above.into())),
        }
    }

    /// The path of what stands at `relative` below this directory.
    pub fn join(&self, relative: &str) -> String {
        format!("{}/{relative}", self.0.trim_end_matches('/'))
    }

    /// Whether this is `other` or lies below it.
    pub fn is_within(&self, other: &Self) -> bool {
        let rest = self.0.strip_prefix(other.0.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(path: &str) -> Directory {
        Directory::parse(path).unwrap()
    }

    #[test]
    fn one_directory_has_one_name() {
        for (path, name) in [("/", "/"), ("//", "/"), ("/.", "/"), ("/a/b", "/a/b"), ("//a/./b//", "/a/b"), ("/a/...", "/a/...")]
        {
            assert_eq!(directory(path).as_str(), name);
        }
        for path in ["", "a", "./a", "~/a", "/..", "/a/../b", "/a/..", "/a\0", &"/a".repeat(MAX_PATH_LEN)] {
            assert_eq!(Directory::parse(path), Err(Reason::DirectoryMissing), "{path:?}");
        }
    }

    #[test]
    fn a_directory_is_shown_as_its_path() {
        assert_eq!(format!("{} {:?}", directory("//a/b"), directory("/a \"b")), r#"/a/b "/a \"b""#);
    }

    #[test]
    fn parents_end_at_the_root() {
        assert_eq!(directory("/a/b").parent(), Some(directory("/a")));
        assert_eq!(directory("/a").parent(), Some(directory("/")));
        assert_eq!(directory("/").parent(), None);
        assert_eq!(directory("/").join(".git"), "/.git");
        assert_eq!(directory("/a").join(".git"), "/a/.git");
    }

    #[test]
    fn within_means_whole_parts() {
        assert!(directory("/a/b").is_within(&directory("/a")));
        assert!(directory("/a").is_within(&directory("/a")));
        assert!(directory("/a").is_within(&directory("/")));
        assert!(directory("/").is_within(&directory("/")));
        assert!(!directory("/ab").is_within(&directory("/a")));
        assert!(!directory("/").is_within(&directory("/a")));
    }
}
