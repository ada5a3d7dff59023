//! The state files below `VIEWPORT_HOME`: who may read them, and how a change becomes durable.
//!
//! A file is written next to its place, synced, moved there, and the move is synced: after a crash the place holds the old
//! contents or the new ones, never a mixture (BIND-4). Files are 0600 and folders 0700 from the moment they exist (BIND-9).
//! All of this blocks; an adapter calls it where that does no harm.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use proto_core::{
    Reason,
    effect::{IoEvent, StateFile},
    secret::SecretBytes,
};
use rustix::process::geteuid;
use zeroize::Zeroizing;

/// The longest state file that is read.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// Folders below the home that hold state files.
const FOLDERS: [&str; 5] = ["relay-identities", "organization-keys", "state", "state/sessions", "state/spool"];

/// The file whose lock says who owns the home, and that holds the number of that process.
const LOCK: &str = "daemon.lock";

/// How the names of unfinished writes begin.
const UNFINISHED: &str = ".unfinished-";

/// The folder that holds a daemon's state, `~/.viewport` by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
}

/// Owns a home until it is dropped, or the process ends, however it ends.
#[derive(Debug)]
pub struct HomeLock {
    _file: File,
}

/// Why a state file was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Others may read or write what has to stay secret.
    #[error("{} has mode {mode:03o}: others could read it; it has to be 600", path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Another user owns the file or folder.
    #[error("{} belongs to another user", .0.display())]
    NotOurs(PathBuf),
    /// Another process owns the home.
    #[error("another daemon runs on {}", .0.display())]
    InUse(PathBuf),
    /// It is there and cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// It cannot be written, made or removed.
    #[error("cannot write {}", path.display())]
    NotWritten {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

impl FileError {
    /// The reason of the catalogue.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::TooOpen { .. } | Self::NotOurs(_) => Reason::ConfigTooOpen,
            Self::InUse(_) => Reason::HomeInUse,
            Self::Unreadable { .. } => Reason::ConfigInvalid,
            Self::NotWritten { .. } => Reason::StateNotWritten,
        }
    }
}

impl Home {
    /// The home at `root`, which need not exist yet.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where `file` is.
    pub fn path_of(&self, file: &StateFile) -> PathBuf {
        self.root.join(file.path())
    }

    /// Makes the home where there is none, takes rights of others away from it, owns it, and clears away what a crash left
    /// unfinished.
    ///
    /// # Errors
    /// [`FileError::InUse`] when another process owns it, [`FileError::NotOurs`] when another user does.
    pub fn lock(&self) -> Result<HomeLock, FileError> {
        self.make_folders()?;
        let path = self.root.join(LOCK);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|source| FileError::NotWritten { path: path.clone(), source })?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(FileError::InUse(self.root.clone())),
            Err(TryLockError::Error(source)) => return Err(FileError::NotWritten { path, source }),
        }
        name_owner(&file).map_err(|source| FileError::NotWritten { path, source })?;
        self.clear_unfinished();
        Ok(HomeLock { _file: file })
    }

    /// The process that owns the home, where one does and has said its number yet.
    pub fn owner(&self) -> Option<u32> {
        let mut file = File::open(self.root.join(LOCK)).ok()?;
        if !matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)) {
            return None;
        }
        let mut text = String::new();
        (&mut file).take(16).read_to_string(&mut text).ok()?;
        text.trim_end().parse().ok()
    }

    /// The contents of `file`; `None` when there is none.
    ///
    /// # Errors
    /// When others may read it, when another user owns it, and when it cannot be read.
    pub fn read(&self, file: &StateFile) -> Result<Option<SecretBytes>, FileError> {
        let path = self.path_of(file);
        let open = match File::open(&path) {
            Ok(open) => open,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(FileError::Unreadable { path, source }),
        };
        // The open file is looked at, not the path: nothing can be exchanged in between.
        let unreadable = |source| FileError::Unreadable { path: path.clone(), source };
        let metadata = open.metadata().map_err(unreadable)?;
        let mode = metadata.permissions().mode() & 0o777;
        if metadata.uid() != geteuid().as_raw() {
            return Err(FileError::NotOurs(path));
        }
        if mode & 0o177 != 0 {
            return Err(FileError::TooOpen { path, mode });
        }
        if metadata.len() > MAX_FILE {
            return Err(unreadable(ErrorKind::FileTooLarge.into()));
        }
        let mut contents = Zeroizing::new(Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1));
        open.take(MAX_FILE).read_to_end(&mut contents).map_err(unreadable)?;
        Ok(Some(SecretBytes::new(std::mem::take(&mut *contents))))
    }

    /// Makes `contents` the durable contents of `file`.
    ///
    /// # Errors
    /// When that failed; the old contents are intact then.
    pub fn store(&self, file: &StateFile, contents: &SecretBytes) -> Result<(), FileError> {
        let path = self.path_of(file);
        self.make_folders()?;
        if let StateFile::Segment(session, _) = file {
            self.make_spool(*session)?;
        }
        let written = folder_of(&path).and_then(|folder| write_durably(folder, &path, contents.expose()));
        written.map_err(|source| FileError::NotWritten { path, source })
    }

    /// Removes `file` durably. One that is not there is removed already. [`StateFile::Spool`] is a folder, and goes with all that is
    /// in it.
    ///
    /// # Errors
    /// When that failed.
    pub fn remove(&self, file: &StateFile) -> Result<(), FileError> {
        let path = self.path_of(file);
        let gone = match file {
            StateFile::Spool(_) => fs::remove_dir_all(&path),
            _ => fs::remove_file(&path),
        };
        let removed = match gone {
            Ok(()) => folder_of(&path).and_then(sync_folder),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        };
        if let StateFile::Segment(session, _) = file {
            self.leave_spool(*session);
        }
        removed.map_err(|source| FileError::NotWritten { path, source })
    }

    fn make_folders(&self) -> Result<(), FileError> {
        let mut missing = false;
        for folder in std::iter::once(self.root.clone()).chain(FOLDERS.map(|folder| self.root.join(folder))) {
            match make_private(&folder) {
                Ok(Folder::Made) => missing = true,
                Ok(Folder::WasThere) => {}
                Ok(Folder::NotOurs) => return Err(FileError::NotOurs(folder)),
                Err(source) => return Err(FileError::NotWritten { path: folder, source }),
            }
        }
        if missing {
            sync_folder(&self.root).map_err(|source| FileError::NotWritten { path: self.root.clone(), source })?;
        }
        Ok(())
    }

    /// An unfinished file that cannot be removed does no harm: it is never read.
    fn clear_unfinished(&self) {
        let folders = std::iter::once(self.root.clone()).chain(FOLDERS.map(|folder| self.root.join(folder)));
        for folder in folders.chain(self.spool_folders()) {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(UNFINISHED)) {
                if let Err(error) = fs::remove_file(entry.path()) {
                    tracing::warn!(%error, path = %entry.path().display(), "an unfinished file stays");
                }
            }
        }
    }
}

/// What is to be done to a state file. Jobs are carried out in the order in which they were asked for.
#[derive(Debug)]
pub enum FileJob {
    /// Make this its durable contents.
    Store(StateFile, SecretBytes),
    /// Remove it durably.
    Remove(StateFile),
    /// Read it.
    Load(StateFile),
}

impl FileJob {
    /// What came of it. Without a home no job can be done. Blocks.
    pub fn carry_out<I>(&self, id: I, home: Option<&Home>) -> IoEvent<I> {
        let durable = |done: Result<(), FileError>| done.inspect_err(report).is_ok();
        let is_durable = match (self, home) {
            (Self::Load(file), Some(home)) => match home.read(file).inspect_err(report) {
                Ok(contents) => return IoEvent::Loaded(id, contents),
                Err(_) => return self.failed(id),
            },
            (Self::Store(file, contents), Some(home)) => durable(home.store(file, contents)),
            (Self::Remove(file), Some(home)) => durable(home.remove(file)),
            (_, None) => false,
        };
        if is_durable { IoEvent::Stored(id) } else { self.failed(id) }
    }

    /// How it is told that this could not be done.
    pub fn failed<I>(&self, id: I) -> IoEvent<I> {
        match self {
            Self::Load(_) => IoEvent::NotLoaded(id),
            Self::Store(..) | Self::Remove(_) => IoEvent::NotStored(id),
        }
    }
}

fn report(error: &FileError) {
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    tracing::error!(%error, cause, "a state file is not durable, or cannot be read");
}

pub(crate) enum Folder {
    Made,
    WasThere,
    NotOurs,
}

/// Makes the folder with mode 0700, or gives one of our own that mode.
pub(crate) fn make_private(folder: &Path) -> io::Result<Folder> {
    match fs::metadata(folder) {
        Ok(metadata) if metadata.uid() != geteuid().as_raw() => Ok(Folder::NotOurs),
        Ok(metadata) => {
            if metadata.permissions().mode() & 0o077 != 0 {
                fs::set_permissions(folder, Permissions::from_mode(0o700))?;
            }
            Ok(Folder::WasThere)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            Ok(Folder::Made)
        }
        Err(error) => Err(error),
    }
}

/// Gives a file these contents, durably and with mode 0600: it has them whole, or is as it was. A folder that is missing is made
/// with mode 0700.
///
/// # Errors
/// It cannot be written; the file is as it was.
pub fn write_private(path: &Path, contents: &[u8]) -> io::Result<()> {
    let folder = folder_of(path)?;
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    write_durably(folder, path, contents)
}

fn write_durably(folder: &Path, path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut unfinished =
        tempfile::Builder::new().prefix(UNFINISHED).permissions(Permissions::from_mode(0o600)).tempfile_in(folder)?;
    unfinished.write_all(contents)?;
    unfinished.as_file().sync_all()?;
    unfinished.persist(path).map_err(|failed| failed.error)?;
    sync_folder(folder)
}

/// Leaves this process's number in the lock file. A full disk is no reason not to run: the number serves only to end a process that does
/// not answer.
fn name_owner(mut file: &File) -> io::Result<()> {
    file.set_len(0)?;
    match writeln!(file, "{}", std::process::id()) {
        Err(error) if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => Ok(()),
        written => written,
    }
}

fn folder_of(path: &Path) -> io::Result<&Path> {
    match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Ok(Path::new(".")),
        folder => folder.ok_or_else(|| ErrorKind::InvalidInput.into()),
    }
}

pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests;
