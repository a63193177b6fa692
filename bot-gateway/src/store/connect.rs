//! Opening the database: one process per SQLite file, its schema brought up to date.

use std::borrow::Cow;
use std::fs::{File, OpenOptions, TryLockError};
use std::time::Duration;

use sqlx::AnyPool;
use sqlx::any::AnyPoolOptions;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Executor as _, SqlStr};

/// More than the tasks that write at once; each holds a connection for one statement.
const POSTGRES_CONNECTIONS_MAX: u32 = 10;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the database could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("BOT_DATABASE_URL must begin with sqlite:// or postgres://")]
    UnknownEngine,
    #[error("another process uses {0}")]
    InUse(String),
    #[error("the lock file {path} cannot be opened")]
    Lock { path: String, source: std::io::Error },
    #[error("the schema could not be brought up to date")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    #[error("database call failed")]
    Sql(#[from] sqlx::Error),
    #[error("a stored {0} cannot be read")]
    Corrupt(&'static str),
    #[error("a value cannot be stored")]
    Encode(#[from] serde_json::Error),
}

/// The bot's database.
#[derive(Debug)]
pub struct Store {
    pub(super) pool: AnyPool,
    /// Keeps other processes away for as long as the store is open.
    _lock: Option<File>,
}

impl Store {
    /// Opens the database and brings its schema up to date.
    ///
    /// # Errors
    /// When it cannot be opened, or another process has it open.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let (pool, lock) = if let Some(rest) = url.strip_prefix("sqlite:") {
            open_sqlite(url, rest).await?
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            let options = AnyPoolOptions::new()
                .max_connections(POSTGRES_CONNECTIONS_MAX)
                .acquire_timeout(ACQUIRE_TIMEOUT);
            (options.connect(url).await?, None)
        } else {
            return Err(StoreError::UnknownEngine);
        };
        migrations().run(&pool).await?;
        Ok(Self { pool, _lock: lock })
    }

    /// Writes what is not written yet and closes the database.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

async fn open_sqlite(url: &str, rest: &str) -> Result<(AnyPool, Option<File>), StoreError> {
    let (path, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    let path = path.strip_prefix("//").unwrap_or(path);
    let lock = lock(path)?;
    let url = match (parameters.contains("mode="), parameters) {
        (true, _) => url.to_owned(),
        (false, "") => format!("{}?mode=rwc", url.trim_end_matches('?')),
        (false, _) => format!("{url}&mode=rwc"),
    };
    let options = AnyPoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_connect(|connection, _| {
            Box::pin(async move {
                connection
                    .execute(
                        "pragma journal_mode = wal; pragma synchronous = full; \
                         pragma busy_timeout = 5000;",
                    )
                    .await?;
                Ok(())
            })
        });
    Ok((options.connect(&url).await?, Some(lock)))
}

/// Takes the lock that lies beside the file; the system lets go of it when the process ends,
/// however it ends.
fn lock(path: &str) -> Result<File, StoreError> {
    let lock_path = format!("{path}.lock");
    let opened = OpenOptions::new().create(true).write(true).truncate(false).open(&lock_path);
    let file = opened.map_err(|source| StoreError::Lock { path: lock_path.clone(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse(path.to_owned())),
        Err(TryLockError::Error(source)) => Err(StoreError::Lock { path: lock_path, source }),
    }
}

fn migrations() -> Migrator {
    let files = [
        (1, "create tables", include_str!("../../migrations/0001_create_tables.sql")),
        (2, "allow free access", include_str!("../../migrations/0002_allow_free_access.sql")),
        (3, "create referrals", include_str!("../../migrations/0003_create_referrals.sql")),
    ];
    Migrator::with_migrations(
        files
            .into_iter()
            .map(|(version, name, sql)| {
                Migration::new(
                    version,
                    Cow::Borrowed(name),
                    MigrationType::Simple,
                    SqlStr::from_static(sql),
                    false,
                )
            })
            .collect(),
    )
}
