//! Connecting to the database of either engine, and bringing its schema up to date.

use std::borrow::Cow;
use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions, install_default_drivers};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Any, AnyPool, Executor as _, SqlSafeStr as _, Transaction};
use url::Url;

/// PostgreSQL connections of one process.
const CONNECTIONS_MAX: u32 = 10;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

const SQLITE_SETUP: &str = "pragma journal_mode = wal; pragma synchronous = full; \
     pragma busy_timeout = 5000; pragma foreign_keys = on;";
/// Bounds on the server's side: a client that gives up in the middle would leave the connection
/// in an unknown state.
const POSTGRES_SETUP: &str = "set statement_timeout = '10s'; set lock_timeout = '5s'; \
     set idle_in_transaction_session_timeout = '30s';";

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Neither engine.
    #[error("not the address of a database: sqlite://<file> or postgres://<user>@<host>/<name>")]
    BadUrl,
    /// Another process works on the same file.
    #[error("another process uses the SQLite file {0}")]
    Locked(PathBuf),
    /// The lock file beside it cannot be made.
    #[error("the lock file {0} cannot be opened")]
    LockFile(PathBuf, #[source] std::io::Error),
    /// No connection.
    #[error("the database cannot be opened")]
    Open(#[source] sqlx::Error),
    /// The schema is not ours, or newer.
    #[error("the schema cannot be brought up to date")]
    Migrate(#[from] sqlx::migrate::MigrateError),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Engine {
    Sqlite,
    Postgres,
}

/// The worker's database. Clones are the same database.
#[derive(Clone, Debug)]
pub struct Store {
    pub(super) pool: AnyPool,
    engine: Engine,
    /// Held for as long as anything uses the SQLite file.
    _lock: Option<Arc<File>>,
}

impl Store {
    /// Connects, and brings the schema up to date.
    ///
    /// # Errors
    /// When the address is not one, the file is in use, or the database does not answer.
    pub async fn connect(url: &str) -> Result<Self, ConnectError> {
        install_default_drivers();
        match url.split_once(':') {
            Some(("sqlite", rest)) => Self::connect_sqlite(rest).await,
            Some(("postgres" | "postgresql", _)) => {
                let url = Url::parse(url).map_err(|_| ConnectError::BadUrl)?;
                let pool = pool(url, CONNECTIONS_MAX, POSTGRES_SETUP).await?;
                Self { pool, engine: Engine::Postgres, _lock: None }.migrated().await
            }
            _ => Err(ConnectError::BadUrl),
        }
    }

    async fn connect_sqlite(rest: &str) -> Result<Self, ConnectError> {
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let (path, query) = rest.split_once('?').unwrap_or((rest, "mode=rwc"));
        if path.is_empty() || path == ":memory:" {
            return Err(ConnectError::BadUrl);
        }
        let path = std::path::absolute(path).map_err(|_| ConnectError::BadUrl)?;
        let lock = lock(&path)?;
        // Made absolute and escaped: in `sqlite://name.db` the name would be read as a host.
        let mut url = Url::parse("sqlite:///").map_err(|_| ConnectError::BadUrl)?;
        url.set_path(&path.to_string_lossy());
        url.set_query(Some(query));
        let pool = pool(url, 1, SQLITE_SETUP).await?;
        let store = Self { pool, engine: Engine::Sqlite, _lock: Some(Arc::new(lock)) };
        let store = store.migrated().await?;
        // This process has the file for itself, so whoever held a lease here is gone.
        sqlx::query("update jobs set lease_token = null, lease_until = null where state not in ('succeeded', 'failed') and lease_token is not null")
            .execute(&store.pool)
            .await
            .map_err(ConnectError::Open)?;
        Ok(store)
    }

    async fn migrated(self) -> Result<Self, ConnectError> {
        let (create_jobs, schedule_jobs, choose, take_webhooks) = match self.engine {
            Engine::Sqlite => (
                include_str!("../../migrations/sqlite/0001_create_jobs.sql"),
                include_str!("../../migrations/sqlite/0002_schedule_jobs.sql"),
                include_str!("../../migrations/sqlite/0003_choose.sql"),
                include_str!("../../migrations/sqlite/0004_take_webhooks.sql"),
            ),
            Engine::Postgres => (
                include_str!("../../migrations/postgres/0001_create_jobs.sql"),
                include_str!("../../migrations/postgres/0002_schedule_jobs.sql"),
                include_str!("../../migrations/postgres/0003_choose.sql"),
                include_str!("../../migrations/postgres/0004_take_webhooks.sql"),
            ),
        };
        let migration = |version, name, sql: &'static str| {
            let (name, sql) = (Cow::Borrowed(name), sql.into_sql_str());
            Migration::new(version, name, MigrationType::Simple, sql, false)
        };
        Migrator::with_migrations(vec![
            migration(1, "create jobs", create_jobs),
            migration(2, "schedule jobs", schedule_jobs),
            migration(3, "choose", choose),
            migration(4, "take webhooks", take_webhooks),
        ])
        .run(&self.pool)
        .await?;
        Ok(self)
    }

    /// Begins a transaction that writes.
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Any>, sqlx::Error> {
        match self.engine {
            // A transaction that reads first and then writes would fail at once where another
            // wrote in between.
            Engine::Sqlite => self.pool.begin_with("begin immediate").await,
            Engine::Postgres => self.pool.begin().await,
        }
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

async fn pool(url: Url, connections: u32, setup: &'static str) -> Result<AnyPool, ConnectError> {
    use sqlx::ConnectOptions as _;

    let options = AnyConnectOptions::from_url(&url).map_err(ConnectError::Open)?;
    AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .after_connect(move |connection, _| {
            Box::pin(async move { connection.execute(setup).await.map(|_| ()) })
        })
        .connect_with(options)
        .await
        .map_err(ConnectError::Open)
}

/// One process per SQLite file: a second one is refused before it can open it.
fn lock(path: &std::path::Path) -> Result<File, ConnectError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&name)
        .map_err(|cause| ConnectError::LockFile(name.clone(), cause))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ConnectError::Locked(path.to_owned())),
        Err(TryLockError::Error(cause)) => Err(ConnectError::LockFile(name, cause)),
    }
}
