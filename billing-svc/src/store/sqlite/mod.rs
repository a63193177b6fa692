//! SQLite, for one process and one machine. Every write is one `BEGIN IMMEDIATE` transaction on
//! the only writing connection, which is the lock on all accounts at once.

mod checkpoints;
mod many;
mod accounts;
mod operations;
mod write;
mod top_ups;
mod promos;
mod interventions;
mod events;
mod statement;
mod search;
mod stats;
mod chain;
mod verify;

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, Sqlite, SqlitePool, Transaction};

pub use verify::SqliteAudit;

use self::checkpoints::Checkpoints;
use super::stats::STATS_CONNECTIONS;
use super::{Answer, Engine, OpenError, StoreError, migrations};
use crate::domain::Timestamp;

const READERS: u32 = 4;
/// `billing-svc verify` and backups may hold the file for a moment.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Each write meets pages all over the file: by default, 2 MB, it reads most of them anew. Given in
/// kilobytes, as SQLite tells them from pages by the sign.
const CACHE: &str = "-32768";
/// After 128 MB of log, the writer copies what is not in the file yet. By default, after 4 MB, that
/// comes with nearly every batch, and writes the same pages each time.
const CHECKPOINT_AFTER_PAGES: &str = "32768";

/// An SQLite file that this process alone writes.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    writer: SqlitePool,
    reader: SqlitePool,
    /// For what reads so much that readers must not wait behind it.
    reports: SqlitePool,
    checkpoints: Arc<Checkpoints>,
    /// Held as long as the store is: the lock that keeps a second process out.
    _lock: Arc<File>,
}

impl SqliteStore {
    /// Takes the file for this process, makes it if there is none, and migrates it.
    ///
    /// # Errors
    /// When another process has it, or it cannot be used.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        let options = file(url)?;
        let lock = lock(options.get_filename())?;
        let options = options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // FULL: a commit that was answered survives a power cut.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("cache_size", CACHE)
            .pragma("wal_autocheckpoint", CHECKPOINT_AFTER_PAGES)
            // Many rows in a statement: what it would take to undo one is no file's business.
            .pragma("temp_store", "memory");
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            // SQLite itself ends a transaction that a full disk has broken off; sqlx goes on
            // counting it, and would refuse every other one on that connection.
            .before_acquire(|connection, _| {
                let is_clean = !connection.is_in_transaction();
                Box::pin(async move { Ok(is_clean) })
            })
            .connect_with(options.clone())
            .await
            .map_err(OpenError::Unreachable)?;
        migrations::sqlite().run(&writer).await.map_err(OpenError::Migration)?;
        let options = options.create_if_missing(false);
        let checkpoints = Arc::new(Checkpoints::begin(options.clone()));
        let options = options.read_only(true);
        let readers = |connections: u32| {
            SqlitePoolOptions::new().max_connections(connections).connect_lazy_with(options.clone())
        };
        let (reader, reports) = (readers(READERS), readers(STATS_CONNECTIONS));
        Ok(Self { writer, reader, reports, checkpoints, _lock: Arc::new(lock) })
    }
}

/// The file at `url`.
fn file(url: &str) -> Result<SqliteConnectOptions, OpenError> {
    // The driver would take any other text for the name of a file.
    if !url.starts_with("sqlite:") {
        return Err(OpenError::Address);
    }
    let options = SqliteConnectOptions::from_str(url).map_err(|_| OpenError::Address)?;
    let is_a_file = !options.get_filename().as_os_str().is_empty()
        && !url.contains(":memory:")
        && !url.contains("mode=memory");
    if is_a_file { Ok(options) } else { Err(OpenError::Address) }
}

/// Takes the lock file beside the database; the system lets go of it when the process ends,
/// however it ends.
fn lock(database: &Path) -> Result<File, OpenError> {
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(OpenError::LockFile)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Taken),
        Err(TryLockError::Error(error)) => Err(OpenError::LockFile(error)),
    }
}

impl Engine for SqliteStore {
    const WRITERS: usize = 1;

    type Tx = Transaction<'static, Sqlite>;

    async fn begin(&self) -> Answer<Self::Tx> {
        // IMMEDIATE: a transaction that reads first and then writes would be refused as soon as
        // somebody else wrote in between.
        Ok(self.writer.begin_with("begin immediate").await?)
    }

    async fn commit(&self, tx: Self::Tx) -> Answer<()> {
        tx.commit().await.map_err(StoreError::at_commit)?;
        self.checkpoints.note_commit();
        Ok(())
    }

    async fn database_time(&self) -> Answer<Option<Timestamp>> {
        Ok(None)
    }

    type Audit = SqliteAudit;

    fn audit(&self) -> SqliteAudit {
        SqliteAudit::of(&self.reader)
    }

    async fn close(&self) {
        self.checkpoints.close().await;
        self.reader.close().await;
        self.reports.close().await;
        self.writer.close().await;
    }
}
