//! The viewer as a device: its own home, its own pairings, never a copy of the daemon's.

use io_engine::{AwsLc, FileError, HomeLock, aes_in_hardware, fresh_entropy, fresh_jitter};
use proto_core::{
    Reason, WallClock,
    device::watcher::{Settings, StoredState, Watcher},
    effect::StateFile,
    noise::Snow,
};

use super::Aim;
use crate::{failure::Failure, home::Home, machine, run::surrounding_session};

/// What decides in `vpd watch`.
pub(super) type Viewer = Watcher<Snow<AwsLc>>;

/// The home of this user's viewer, of which one process is the owner.
pub(super) struct Device {
    pub(super) files: io_engine::Home,
    _lock: HomeLock,
}

impl Device {
    /// Opens the viewer's home, and makes it where there is none.
    pub(super) fn open(home: &Home) -> Result<Self, Failure> {
        let files = io_engine::Home::at(home.viewer());
        let lock = files.lock().map_err(|error| match error {
            FileError::InUse(_) => Failure::from(Reason::ViewerInUse),
            other => from_files(&other),
        })?;
        Ok(Self { files, _lock: lock })
    }

    /// The viewer as its last run left it, to see this. A first pairing is with the platform at `api_endpoint`.
    pub(super) fn boot(&self, api_endpoint: String, clock: WallClock, org: Option<&str>, aim: &Aim) -> Result<Viewer, Failure> {
        let settings = Settings {
            host: machine::host(),
            software: machine::SOFTWARE.to_owned(),
            api_endpoint: Some(api_endpoint),
            aes_in_hardware: aes_in_hardware(),
            primitives: &AwsLc,
            org: org.map(str::to_owned),
            goal: aim.goal,
            wanted: aim.wanted.clone(),
            surrounding: surrounding_session(),
        };
        let found = self.found().map_err(|error| from_files(&error))?;
        Watcher::boot(clock.at(), clock, &found, settings, &fresh_entropy(), fresh_jitter())
            .map_err(|reason| Failure::about(reason, self.files.path_of(&StateFile::Config).display()))
    }

    fn found(&self) -> Result<StoredState, FileError> {
        Ok(StoredState {
            config: self.files.read(&StateFile::Config)?,
            identities: self.files.identities()?,
            pending: self.files.read(&StateFile::PendingPairing)?,
            organization_keys: self.files.organization_keys()?,
        })
    }
}

fn from_files(error: &FileError) -> Failure {
    Failure::about(error.reason(), error)
}
