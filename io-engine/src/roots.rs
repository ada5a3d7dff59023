//! The root certificates that TLS clients trust, read when the first of them needs it.

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use crate::{TlsSetupError, Trust};

/// The certificate authorities that clients of this process trust. Cheap to clone; the system's are read once, and not at all
/// by a process that never speaks TLS.
#[derive(Clone, Default)]
pub struct Roots(Arc<Lazy>);

#[derive(Default)]
struct Lazy {
    file: Option<PathBuf>,
    dirs: Vec<PathBuf>,
    extra: Vec<Vec<u8>>,
    trust: OnceLock<Trust>,
}

impl Roots {
    /// The system's, and beside them the certificates in each PEM text of `extra` (`daemon.tls.roots`).
    ///
    /// # Errors
    /// When one of them holds no certificate.
    pub fn with_extra(extra: Vec<Vec<u8>>) -> Result<Self, TlsSetupError> {
        Trust::only(&extra)?;
        Ok(Self::of_system(None, Vec::new(), extra))
    }

    /// The certificates of `file` and of those in `dirs`, and the system's where neither is given; and those of `extra`, which hold
    /// some.
    pub(crate) fn of_system(file: Option<PathBuf>, dirs: Vec<PathBuf>, extra: Vec<Vec<u8>>) -> Self {
        Self(Arc::new(Lazy { file, dirs, extra, trust: OnceLock::new() }))
    }

    /// These and no others.
    pub fn only(trust: Trust) -> Self {
        Self(Arc::new(Lazy { trust: trust.into(), ..Lazy::default() }))
    }

    pub(crate) fn trust(&self) -> Result<&Trust, TlsSetupError> {
        if let Some(trust) = self.0.trust.get() {
            return Ok(trust);
        }
        let trust = Trust::system(self.0.file.as_deref(), &self.0.dirs, &self.0.extra)?;
        Ok(self.0.trust.get_or_init(|| trust))
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Roots").field("extra", &self.0.extra.len()).finish_non_exhaustive()
    }
}
