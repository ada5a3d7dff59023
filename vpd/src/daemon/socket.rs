//! The daemon's control socket: for this user alone, bound anew when it was removed, until the home itself is gone.

use std::{
    fs, io,
    mem::MaybeUninit,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    thread,
};

use axum::Router;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::{
    net::UnixListener,
    sync::mpsc::{self, error::TrySendError},
};

use crate::home::reachable;

/// A file's place: device and inode.
type Identity = (u64, u64);

/// A socket that is listened on.
pub(super) struct ControlSocket {
    path: PathBuf,
    home: Identity,
    bound: Bound,
    changes: Changes,
}

/// What is listened on, and as which file.
struct Bound {
    listener: UnixListener,
    file: Identity,
}

impl ControlSocket {
    /// Binds it. The home is locked: a socket that is there already belongs to no process any more.
    pub(super) fn bind(path: PathBuf) -> io::Result<Self> {
        let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        let (home, changes) = (identity(folder)?, Changes::of(folder)?);
        let bound = Bound::at(&path)?;
        Ok(Self { path, home, bound, changes })
    }

    /// Answers with `router`, for as long as the home is there.
    pub(super) async fn serve(mut self, router: Router) -> io::Result<()> {
        loop {
            let Bound { listener, file } = self.bound;
            tokio::select! {
                ended = axum::serve(listener, router.clone()).into_future() => ended?,
                removed = removed(&self.path, file, &mut self.changes) => removed?,
            }
            if self.path.parent().is_none_or(|folder| identity(folder).ok() != Some(self.home)) {
                return Ok(());
            }
            tracing::warn!("the control socket was removed; it is bound anew");
            self.bound = Bound::at(&self.path)?;
        }
    }
}

/// Waits until `path` is not `file` any more.
async fn removed(path: &Path, file: Identity, changes: &mut Changes) -> io::Result<()> {
    while identity(path).ok() == Some(file) {
        changes.next().await?;
    }
    Ok(())
}

impl Bound {
    fn at(path: &Path) -> io::Result<Self> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = reachable(path, |short| UnixListener::bind(short))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, file: identity(path)? })
    }
}

fn identity(path: &Path) -> io::Result<Identity> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Says when a folder loses a file, or is gone itself. A thread of its own waits for that, so the daemon is woken by nothing else.
struct Changes(mpsc::Receiver<()>);

impl Changes {
    fn of(folder: &Path) -> io::Result<Self> {
        let watch = inotify::init(CreateFlags::CLOEXEC)?;
        let losses = WatchFlags::DELETE | WatchFlags::MOVED_FROM | WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF;
        inotify::add_watch(&watch, folder, losses | WatchFlags::ONLYDIR)?;
        let (tell, told) = mpsc::channel(1);
        thread::Builder::new().name("home".into()).spawn(move || {
            let mut buffer = [MaybeUninit::uninit(); 4096];
            let mut events = inotify::Reader::new(watch, &mut buffer);
            // One that has not been looked at yet stands for the next ones too.
            while events.next().is_ok() && !matches!(tell.try_send(()), Err(TrySendError::Closed(()))) {}
        })?;
        Ok(Self(told))
    }

    /// Waits for the next change. Safe to cancel: what changed is for the caller to look at.
    async fn next(&mut self) -> io::Result<()> {
        self.0.recv().await.ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_removed_socket_is_bound_anew_and_a_removed_home_ends_it() {
        let place = tempfile::tempdir().unwrap();
        let home = place.path().join("home");
        fs::create_dir(&home).unwrap();
        let path = home.join("vpd.sock");
        let socket = ControlSocket::bind(path.clone()).unwrap();
        let first = identity(&path).unwrap();
        let mut changes = Changes::of(&home).unwrap();
        let serving = tokio::spawn(socket.serve(Router::new()));
        let mut seen = first;
        for _ in 0..2 {
            fs::rename(&path, place.path().join("elsewhere")).unwrap();
            changes.next().await.unwrap();
            while identity(&path).is_err() {
                tokio::task::yield_now().await;
            }
            let bound = identity(&path).unwrap();
            assert_ne!(bound, seen);
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
            seen = bound;
        }
        fs::rename(&home, place.path().join("moved")).unwrap();
        serving.await.unwrap().unwrap();
    }

    /// Longer than the 107 bytes that the address of a socket may have.
    #[tokio::test]
    async fn a_long_home_has_a_socket_too() {
        let place = tempfile::tempdir().unwrap();
        let home = place.path().join("d".repeat(120));
        fs::create_dir(&home).unwrap();
        let path = home.join("vpd.sock");
        let _socket = ControlSocket::bind(path.clone()).unwrap();
        reachable(&path, |short| std::os::unix::net::UnixStream::connect(short)).unwrap();
    }
}
