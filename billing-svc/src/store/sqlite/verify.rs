//! Reading for proof on SQLite: beside the process that has the file, and without its lock.

use futures_util::TryStreamExt as _;
use sqlx::migrate::Migrate as _;
use sqlx::sqlite::{SqlitePoolOptions, SqliteRow};
use sqlx::{Row as _, Sqlite, SqlitePool, Transaction};

use super::file;
use crate::store::verify::{Audit, Chained, Read, Snapshot, Statement, Stored, Wanted, columns};
use crate::store::{Answer, OpenError, migrations};

columns!(SqliteRow);

/// An SQLite file that is only read.
#[derive(Clone, Debug)]
pub struct SqliteAudit {
    pool: SqlitePool,
}

impl SqliteAudit {
    /// Opens the file at `url`, whether or not a process serves it.
    ///
    /// # Errors
    /// When there is none, or its schema is not the one of this version.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        let options = file(url)?;
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options.create_if_missing(false).read_only(true))
            .await
            .map_err(OpenError::Unreachable)?;
        let mut connection = pool.acquire().await.map_err(OpenError::Unreachable)?;
        let migrator = migrations::sqlite();
        let applied = connection.list_applied_migrations(&migrator.table_name).await;
        migrations::check(&migrator, applied)?;
        drop(connection);
        Ok(Self { pool })
    }

    /// The same database as readers have it.
    pub(super) fn of(reader: &SqlitePool) -> Self {
        Self { pool: reader.clone() }
    }
}

impl Audit for SqliteAudit {
    type Snapshot = SqliteSnapshot;

    async fn snapshot(&self) -> Answer<SqliteSnapshot> {
        // The first statement fixes the moment. In WAL mode a reader stops no writer; it only keeps
        // the log from being cut, so a snapshot is short.
        Ok(SqliteSnapshot { tx: self.pool.begin().await? })
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}

/// One moment of the file.
#[derive(Debug)]
pub struct SqliteSnapshot {
    tx: Transaction<'static, Sqlite>,
}

impl Snapshot for SqliteSnapshot {
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
        for one in wanted {
            let query = sqlx::query(T::SQLITE).bind(one.user).bind(one.above).bind(one.upto);
            let mut rows = query.fetch(&mut *self.tx);
            while let Some(row) = rows.try_next().await? {
                take(T::read_or_report(&row));
            }
        }
        Ok(())
    }
}
