//! The database. All SQL stands in this folder, one file per group of tables; other modules use only its types.
//!
//! Functions take a connection, so that what belongs together runs in one transaction of [`Store::write`].

pub(crate) mod account;
pub(crate) mod audit;
mod column;
pub(crate) mod invitation;
pub(crate) mod known_browser;
pub(crate) mod machine;
pub(crate) mod member;
pub(crate) mod organization;
pub(crate) mod organization_key;
pub(crate) mod pairing;
pub(crate) mod revocation;
pub(crate) mod session;
pub(crate) mod signing_key;

#[cfg(test)]
mod tests;

use std::{
    fs::{DirBuilder, OpenOptions, Permissions},
    io,
    ops::{Deref, DerefMut},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
    time::Duration,
};

pub(crate) use column::{
    AccountId, Blob32, InstallId, InvitationId, MachineId, OrganizationId, RuntimeTargetId, Stamp, Text, TextEnum, words,
};
use proto_core::UnixTime;
use sqlx::{
    Sqlite, SqliteConnection, SqlitePool,
    migrate::MigrateError,
    pool::PoolConnection,
    query, query_scalar,
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

/// The connections to one SQLite file: some that only read, one that writes, so that waiting for the write lock holds no
/// reader up.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    readers: SqlitePool,
    writer: SqlitePool,
}

impl Store {
    /// Opens the file, makes it where there is none (mode 0600), and brings its schema up to date.
    pub(crate) async fn open(path: &Path) -> Result<Self, OpenError> {
        make_private(path).map_err(|source| OpenError::File { path: path.display().to_string(), source })?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .foreign_keys(true)
            .pragma("secure_delete", "ON");
        let pool = || SqlitePoolOptions::new().acquire_timeout(ACQUIRE_TIMEOUT);
        let writer = pool().max_connections(1).connect_with(options.clone()).await?;
        sqlx::migrate!().run(&writer).await?;
        let readers = pool().max_connections(READERS).connect_with(options.pragma("query_only", "ON")).await?;
        Ok(Self { readers, writer })
    }

    /// A connection for reading.
    pub(crate) async fn read(&self) -> Result<PoolConnection<Sqlite>, sqlx::Error> {
        self.readers.acquire().await
    }

    /// A transaction that holds the write lock from its start, so that what it read stays true until it commits. Dropped
    /// without a commit, nothing has happened.
    pub(crate) async fn write(&self) -> Result<Transaction, sqlx::Error> {
        let mut transaction = Transaction { connection: self.writer.acquire().await?, is_over: false };
        query("BEGIN IMMEDIATE").execute(&mut *transaction).await?;
        Ok(transaction)
    }

    /// Finds out whether the database takes a write.
    pub(crate) async fn probe(&self, now: UnixTime) -> Result<(), sqlx::Error> {
        let mut tx = self.write().await?;
        query("INSERT INTO health (id, checked_at) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET checked_at = $1")
            .bind(Stamp(now))
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }

    /// Moves what was written from the log into the database file and empties the log, so that what was overwritten is gone.
    /// False when a reader or another process kept it from being emptied.
    pub(crate) async fn checkpoint(&self) -> Result<bool, sqlx::Error> {
        let mut writer = self.writer.acquire().await?;
        let busy: bool = query_scalar("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut *writer).await?;
        Ok(!busy)
    }

    /// Waits for connections in use and closes the file.
    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// How many connections read.
const READERS: u32 = 4;

/// How long a caller waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// A write under way. SQLite ends a transaction by itself on some errors, such as a full disk, and it is unknown in which state
/// the connection is then: one whose transaction did not commit is closed, which rolls back whatever there is, and replaced.
#[derive(Debug)]
pub(crate) struct Transaction {
    connection: PoolConnection<Sqlite>,
    is_over: bool,
}

impl Transaction {
    /// Makes what was written durable.
    pub(crate) async fn commit(mut self) -> Result<(), sqlx::Error> {
        query("COMMIT").execute(&mut *self.connection).await?;
        self.is_over = true;
        Ok(())
    }
}

impl Deref for Transaction {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.connection
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.is_over {
            self.connection.close_on_drop();
        }
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
