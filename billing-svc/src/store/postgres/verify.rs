//! Reading for proof on PostgreSQL.

use futures_util::TryStreamExt as _;
use sqlx::postgres::{PgPoolOptions, PgRow};
use sqlx::{PgPool, Postgres, Row as _, Transaction};

use super::{ACQUIRE_TIMEOUT, check_schema, options};
use crate::store::verify::{Audit, Chained, Read, Snapshot, Statement, Stored, Wanted, columns};
use crate::store::{Answer, OpenError};

columns!(PgRow);

/// A page is a span of users, which every key begins with, whatever the planner may think of tables
/// that nobody has analysed yet. One user with very many entries may take longer than a batch ever
/// does.
const IN_ORDER_OF_USER: &str = "\
    set local statement_timeout = '10min';
    set local enable_seqscan = off;
    set local enable_hashjoin = off;
    set local enable_mergejoin = off";

/// A PostgreSQL database that is only read.
#[derive(Clone, Debug)]
pub struct PostgresAudit {
    pool: PgPool,
}

impl PostgresAudit {
    /// Connects, with one connection, and checks that the schema is migrated.
    ///
    /// # Errors
    /// When it is not, or nobody answers.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options(url)?)
            .await
            .map_err(OpenError::Unreachable)?;
        check_schema(&pool).await?;
        Ok(Self { pool })
    }

    /// The same database as readers have it.
    pub(super) fn of(reader: &PgPool) -> Self {
        Self { pool: reader.clone() }
    }
}

impl Audit for PostgresAudit {
    type Snapshot = PostgresSnapshot;

    async fn snapshot(&self) -> Answer<PostgresSnapshot> {
        let mut tx =
            self.pool.begin_with("begin isolation level repeatable read, read only").await?;
        sqlx::raw_sql(IN_ORDER_OF_USER).execute(&mut *tx).await?;
        Ok(PostgresSnapshot { tx })
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}

/// One moment of the database.
#[derive(Debug)]
pub struct PostgresSnapshot {
    tx: Transaction<'static, Postgres>,
}

impl Snapshot for PostgresSnapshot {
    async fn rows<T: Stored>(
        &mut self,
        statement: &Statement<'_>,
        mut take: impl FnMut(Read<T>) + Send,
    ) -> Answer<()> {
        let mut query = sqlx::query(statement.sql);
        for text in statement.texts {
            query = query.bind(*text);
        }
        for number in statement.numbers {
            query = query.bind(*number);
        }
        let mut rows = query.fetch(&mut *self.tx);
        while let Some(row) = rows.try_next().await? {
            take(T::read_or_report(&row));
        }
        Ok(())
    }

    async fn chained<T: Chained>(
        &mut self,
        wanted: &[Wanted],
        mut take: impl FnMut(Read<T>) + Send,
    ) -> Answer<()> {
        let column = |of: fn(&Wanted) -> i64| wanted.iter().map(of).collect::<Vec<_>>();
        let query = sqlx::query(T::POSTGRES)
            .bind(column(|one| one.user))
            .bind(column(|one| one.above))
            .bind(column(|one| one.upto));
        let mut rows = query.fetch(&mut *self.tx);
        while let Some(row) = rows.try_next().await? {
            take(T::read_or_report(&row));
        }
        Ok(())
    }
}
