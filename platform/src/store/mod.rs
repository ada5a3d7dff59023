//! The database. All SQL stands in this folder, one file per group of tables; everything else speaks in its types.
//!
//! Functions take a connection, so that what belongs together runs in one transaction of [`Store::write`].

pub(crate) mod account;
pub(crate) mod audit;
mod column;
pub(crate) mod invitation;
pub(crate) mod machine;
pub(crate) mod member;
pub(crate) mod organization;
pub(crate) mod pairing;
pub(crate) mod revocation;
pub(crate) mod session;
pub(crate) mod signing_key;

use std::{
    fs::{DirBuilder, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

pub(crate) use column::{
    AccountId, Blob32, InstallId, InvitationId, MachineId, OrganizationId, RuntimeTargetId, Stamp, Text, Worded, words,
};
use sqlx::{
    Sqlite, SqlitePool, Transaction,
    migrate::MigrateError,
    pool::PoolConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions},
};

/// Why the database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file or its folder could not be made or made private.
    #[error("{path}: {source}")]
    File {
        /// Which file.
        path: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// SQLite refused the file.
    #[error("the database cannot be opened: {0}")]
    Connect(#[from] sqlx::Error),
    /// The schema could not be brought up to date: usually the file was written by a newer version.
    #[error("the database's schema cannot be brought up to date: {0}")]
    Migrate(#[from] MigrateError),
}

/// A pool of connections to one SQLite file.
#[derive(Clone, Debug)]
pub(crate) struct Store(SqlitePool);

impl Store {
    /// Opens the file, makes it where there is none (mode 0600), and brings its schema up to date.
    pub(crate) async fn open(path: &Path) -> Result<Self, OpenError> {
        make_private(path).map_err(|source| OpenError::File { path: path.display().to_string(), source })?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .foreign_keys(true)
            .pragma("secure_delete", "ON");
        let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await?;
        sqlx::migrate!().run(&pool).await?;
        Ok(Self(pool))
    }

    /// A connection for reading.
    pub(crate) async fn read(&self) -> Result<PoolConnection<Sqlite>, sqlx::Error> {
        self.0.acquire().await
    }

    /// A transaction that holds the write lock from its start, so that what it read stays true until it commits. Dropped
    /// without a commit, nothing has happened.
    pub(crate) async fn write(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.0.begin_with("BEGIN IMMEDIATE").await
    }

    /// Waits for connections in use and closes the file.
    pub(crate) async fn close(&self) {
        self.0.close().await;
    }
}

/// The database holds signing seeds and pre-shared keys. SQLite gives its other files the mode of this one.
fn make_private(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))
}
