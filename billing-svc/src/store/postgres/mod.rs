//! PostgreSQL, and engines that speak it. Many rows travel as arrays.

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

use std::str::FromStr as _;
use std::time::Duration;

use sqlx::migrate::Migrate as _;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{PgPool, Postgres, Transaction};

pub use verify::PostgresAudit;

use super::stats::{STATS_CONNECTIONS, STATS_TIMEOUT};
use super::{Answer, Engine, OpenError, StoreError, migrations};
use crate::domain::Timestamp;

/// Two connections write batches; the others are for when one has fallen silent, and takes its time
/// to end.
const BATCHES: u32 = 4;
/// What is written past the batches: events lent and acknowledged, promo codes, heads of chains.
const SMALL_WRITES: u32 = 2;
const READERS: u32 = 8;
/// A caller gives up after ten seconds; waiting longer for a connection helps nobody.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// What a batch does is look-ups by key, a few for each request, whatever the planner may think of
/// tables that nobody has analysed yet.
const LOOK_UPS: [(&str, &str); 5] = [
    ("enable_seqscan", "off"),
    ("enable_sort", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("plan_cache_mode", "force_generic_plan"),
];

/// A PostgreSQL database.
#[derive(Clone, Debug)]
pub struct PostgresStore {
    batches: PgPool,
    writer: PgPool,
    reader: PgPool,
    /// For what reads so much that readers must not wait behind it.
    reports: PgPool,
}

impl PostgresStore {
    /// Connects, and checks that the schema is migrated.
    ///
    /// # Errors
    /// When it is not, or nobody answers.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        let options = options(url)?;
        let pool = |connections: u32| {
            PgPoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE_TIMEOUT)
        };
        let batches = pool(BATCHES).connect_with(options.clone().options(LOOK_UPS));
        let batches = batches.await.map_err(OpenError::Unreachable)?;
        let writer = pool(SMALL_WRITES).connect_lazy_with(options.clone());
        let reader = pool(READERS).connect_lazy_with(options.clone());
        let patient = format!("{}s", STATS_TIMEOUT.as_secs());
        let reports = pool(STATS_CONNECTIONS).connect_lazy_with(options.options([
            ("statement_timeout", patient.as_str()),
            ("default_transaction_read_only", "on"),
        ]));
        let store = Self { batches, writer, reader, reports };
        check_schema(&store.batches).await?;
        Ok(store)
    }
}

async fn check_schema(pool: &PgPool) -> Result<(), OpenError> {
    let migrator = migrations::postgres();
    let mut connection = pool.acquire().await.map_err(OpenError::Unreachable)?;
    let applied = connection.list_applied_migrations(&migrator.table_name).await;
    migrations::check(&migrator, applied)
}

/// Brings the schema of the database at `url` to this version.
///
/// # Errors
/// When nobody answers, or a migration fails; running it again goes on where it stopped.
pub async fn migrate(url: &str) -> Result<(), OpenError> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_with(options(url)?)
        .await
        .map_err(OpenError::Unreachable)?;
    migrations::postgres().run(&pool).await.map_err(OpenError::Migration)?;
    pool.close().await;
    Ok(())
}

fn options(url: &str) -> Result<PgConnectOptions, OpenError> {
    let options = PgConnectOptions::from_str(url).map_err(|_| OpenError::Address)?;
    Ok(options.application_name("billing-svc").options([
        // Decisions are made under the account's row lock, which this level is enough for.
        ("default_transaction_isolation", "read committed"),
        // A statement that hangs would hold every caller up.
        ("statement_timeout", "10s"),
        ("lock_timeout", "3s"),
        ("idle_in_transaction_session_timeout", "20s"),
        ("client_min_messages", "warning"),
        // Statements are short; a wrong guess at how many rows they meet must not cost a compiler.
        ("jit", "off"),
    ]))
}

impl Engine for PostgresStore {
    const WRITERS: usize = 2;

    type Tx = Transaction<'static, Postgres>;

    async fn begin(&self) -> Answer<Self::Tx> {
        Ok(self.writer.begin().await?)
    }

    async fn begin_batch(&self) -> Answer<Self::Tx> {
        Ok(self.batches.begin().await?)
    }

    async fn commit(&self, tx: Self::Tx) -> Answer<()> {
        tx.commit().await.map_err(StoreError::at_commit)
    }

    async fn database_time(&self) -> Answer<Option<Timestamp>> {
        let micros: i64 =
            sqlx::query_scalar("select (extract(epoch from clock_timestamp()) * 1000000)::bigint")
                .fetch_one(&self.reader)
                .await?;
        Ok(Some(Timestamp::from_micros(micros)))
    }

    type Audit = PostgresAudit;

    fn audit(&self) -> PostgresAudit {
        PostgresAudit::of(&self.reader)
    }

    async fn close(&self) {
        self.batches.close().await;
        self.writer.close().await;
        self.reader.close().await;
        self.reports.close().await;
    }
}
