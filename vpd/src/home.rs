//! `VIEWPORT_HOME`: where everything of one user's Viewport lives. Directories are 0700, files 0600, at every moment (BIND-9).

use std::{
    env, fs, io,
    os::{
        fd::AsRawFd as _,
        unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
};

use proto_core::Reason;

use crate::failure::Failure;

/// The home directory of one daemon, absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Home(PathBuf);

impl Home {
    /// `$VIEWPORT_HOME`, or `~/.viewport`. Nothing is created yet.
    pub(crate) fn from_environment() -> Result<Self, Failure> {
        let chosen = match env::var_os("VIEWPORT_HOME").filter(|home| !home.is_empty()) {
            Some(home) => PathBuf::from(home),
            None => user_home().ok_or_else(no_home)?.join(".viewport"),
        };
        std::path::absolute(&chosen).map(Self).map_err(|error| not_written(format_args!("{}: {error}", chosen.display())))
    }

    /// A home at an absolute path.
    pub(crate) fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Makes sure that the directory exists and that other users cannot read it. One that is too open is closed: it may have been
    /// made by hand.
    pub(crate) fn create(&self) -> Result<(), Failure> {
        for directory in [self.path().to_owned(), self.logs()] {
            make_private(&directory).map_err(|error| not_written(format_args!("{}: {error}", directory.display())))?;
        }
        Ok(())
    }

    /// The directory itself.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The daemon's control socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join("vpd.sock")
    }

    /// The daemon's log files, and what it says outside of them.
    pub(crate) fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    /// Where this user's viewer lives: a device of its own.
    pub(crate) fn viewer(&self) -> PathBuf {
        self.0.join("viewer")
    }
}

/// This user's home directory.
pub(crate) fn user_home() -> Option<PathBuf> {
    env::home_dir().filter(|home| home.is_absolute())
}

/// A path as people read it: the user's home as `~` (S149).
pub(crate) fn shorten(path: &Path) -> String {
    shorten_below(path, user_home().as_deref())
}

fn shorten_below(path: &Path, home: Option<&Path>) -> String {
    match home.and_then(|home| path.strip_prefix(home).ok()) {
        Some(rest) if rest.as_os_str().is_empty() => "~".to_owned(),
        Some(rest) => format!("~/{}", rest.display()),
        None => path.display().to_string(),
    }
}

/// Makes sure that a directory exists and that other users cannot read it.
pub(crate) fn make_private(directory: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let mode = fs::metadata(directory)?.mode();
    if mode & 0o077 != 0 {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// The longest path that the address of a Unix socket holds, in bytes (Linux: 108 with the zero at its end).
const MAX_SOCKET_PATH: usize = 107;

/// Binds or connects the socket at `path`, however long that is: a path that an address cannot hold is reached through its folder,
/// which is held open meanwhile.
pub(crate) fn reachable<T>(path: &Path, act: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    if path.as_os_str().len() <= MAX_SOCKET_PATH {
        return act(path);
    }
    let (folder, name) = path.parent().zip(path.file_name()).ok_or(io::ErrorKind::InvalidInput)?;
    let folder = fs::File::open(folder)?;
    act(&Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name))
}

/// Without a home in the environment there is no place for one.
fn no_home() -> Failure {
    Failure {
        cause: Some("A service or a container often has no HOME."),
        remedy: Some("set VIEWPORT_HOME to a directory of this user's".into()),
        ..not_written("neither VIEWPORT_HOME nor HOME is set")
    }
}

fn not_written(detail: impl std::fmt::Display) -> Failure {
    Failure::about(Reason::StateNotWritten, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// BIND-9: private from the start, and closed again where it was opened.
    #[test]
    fn homes_are_private() {
        let place = tempfile::tempdir().unwrap();
        let home = Home::at(place.path().join("a/b"));
        home.create().unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
        home.create().unwrap();
        for directory in [home.path().to_owned(), home.logs()] {
            assert_eq!(fs::metadata(directory).unwrap().mode() & 0o777, 0o700);
        }
    }

    #[test]
    fn a_home_that_cannot_be_made_says_so() {
        let place = tempfile::NamedTempFile::new().unwrap();
        let failure = Home::at(place.path().join("x")).create().unwrap_err();
        assert_eq!(failure.reason, Reason::StateNotWritten);
    }

    /// S149.
    #[test]
    fn paths_below_the_home_are_shortened() {
        let home = Some(Path::new("/home/mehr"));
        assert_eq!(shorten_below(Path::new("/home/mehr/work/api"), home), "~/work/api");
        assert_eq!(shorten_below(Path::new("/home/mehr"), home), "~");
        assert_eq!(shorten_below(Path::new("/home/mehrzad"), home), "/home/mehrzad");
        assert_eq!(shorten_below(Path::new("/srv"), None), "/srv");
    }
}
