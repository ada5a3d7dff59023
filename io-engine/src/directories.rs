//! What consent wants to know and to change in the directories of a user. All of this blocks.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use proto_core::{
    Reason,
    device::consent::{self, Change, Directory, IGNORE_FILE, LOCAL_FILE, Looked, MAX_FILE_LEN, REPOSITORY_MARK, WORKSPACE_FILE},
};
use rustix::{fs::OFlags, process::geteuid};

/// What is in `directory`: the answer to `daemon::Output::Look`. Links are not followed, and files of other users not trusted.
pub fn look(directory: Directory) -> Looked {
    let is_repository = fs::symlink_metadata(directory.join(REPOSITORY_MARK)).is_ok();
    let read = |file| read(Path::new(&directory.join(file)));
    let (local, workspace, ignore) = (read(LOCAL_FILE), read(WORKSPACE_FILE), read(IGNORE_FILE));
    Looked { directory, is_repository, local, workspace, ignore }
}

/// Carries the changes out, in their order, until one fails: the answer to `daemon::Output::Change`.
///
/// # Errors
/// [`Reason::StateNotWritten`]; what the operating system said about it is in the log.
pub fn change(changes: &[Change]) -> Result<(), Reason> {
    changes
        .iter()
        .try_for_each(|change| match change {
            Change::Write(path, contents) => write(Path::new(path), contents),
            Change::Remove(path) => remove(Path::new(path)),
        })
        .map_err(|error| {
            tracing::warn!(%error, "a directory could not be changed");
            Reason::StateNotWritten
        })
}

fn read(path: &Path) -> consent::File {
    match try_read(path) {
        Ok(Some(contents)) => consent::File::Contents(contents),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => consent::File::Absent,
        Ok(None) | Err(_) => consent::File::Unusable,
    }
}

/// The contents; `None` when they are not to be relied on.
fn try_read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let folder = fs::symlink_metadata(path.parent().unwrap_or(path))?;
    if !folder.is_dir() || !is_ours(&folder) {
        return Ok(None);
    }
    let no_link = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or(0);
    let file = OpenOptions::new().read(true).custom_flags(no_link).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || !is_ours(&metadata) {
        return Ok(None);
    }
    let mut contents = Vec::new();
    file.take(MAX_FILE_LEN as u64 + 1).read_to_end(&mut contents)?;
    Ok((contents.len() <= MAX_FILE_LEN).then_some(contents))
}

fn is_ours(metadata: &fs::Metadata) -> bool {
    metadata.uid() == geteuid().as_raw()
}

/// Replaces the file as a whole: temporary file, fsync, rename, fsync of the folder.
fn write(path: &Path, contents: &str) -> io::Result<()> {
    let folder = path.parent().ok_or(ErrorKind::InvalidInput)?;
    match DirBuilder::new().create(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    if !fs::symlink_metadata(folder)?.is_dir() {
        return Err(io::Error::new(ErrorKind::NotADirectory, format!("{} is no directory", folder.display())));
    }
    // tempfile creates with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(contents.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(folder)?.sync_all()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn directory(place: &Path) -> Directory {
        Directory::parse(place.to_str().unwrap()).unwrap()
    }

    #[test]
    fn what_was_written_is_read_back_and_removed() {
        let place = tempfile::tempdir().unwrap();
        let directory = directory(place.path());
        let path = directory.join(LOCAL_FILE);
        assert_eq!(look(directory.clone()).local, consent::File::Absent);
        change(&[Change::Write(path.clone(), "org_id: a\n".into())]).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(look(directory.clone()).local, consent::File::Contents(b"org_id: a\n".to_vec()));
        change(&[Change::Remove(path.clone()), Change::Remove(path)]).unwrap();
        assert_eq!(look(directory).local, consent::File::Absent);
    }

    #[test]
    fn links_are_not_followed_and_long_files_not_read() {
        let place = tempfile::tempdir().unwrap();
        let directory = directory(place.path());
        fs::create_dir(place.path().join(".viewport")).unwrap();
        fs::write(place.path().join("elsewhere"), "org_id: a\n").unwrap();
        symlink(place.path().join("elsewhere"), directory.join(LOCAL_FILE)).unwrap();
        fs::write(directory.join(WORKSPACE_FILE), vec![b'x'; MAX_FILE_LEN + 1]).unwrap();
        let looked = look(directory);
        assert_eq!((looked.local, looked.workspace), (consent::File::Unusable, consent::File::Unusable));
    }

    #[test]
    fn a_link_in_the_place_of_the_folder_is_refused() {
        let (place, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        symlink(other.path(), place.path().join(".viewport")).unwrap();
        let path = directory(place.path()).join(LOCAL_FILE);
        assert_eq!(change(&[Change::Write(path, String::new())]), Err(Reason::StateNotWritten));
        assert_eq!(fs::read_dir(other.path()).unwrap().count(), 0);
    }
}
