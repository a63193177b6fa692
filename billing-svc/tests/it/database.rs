//! A database of its own for each test, on either engine.

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, PgConnection, PgPool, SqliteConnection, SqlitePool};
use std::str::FromStr as _;

/// The engines that every promise is kept on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

const FILE: &str = "billing.db";
/// A partition's checks go with those of its table, and cannot go by themselves.
const DROP_CHECKS: &str = "do $$ declare c record; begin
    for c in select conrelid::regclass as t, conname from pg_constraint
             where contype = 'c' and coninhcount = 0 and connamespace = 'public'::regnamespace
    loop execute format('alter table %s drop constraint if exists %I', c.t, c.conname); end loop;
end $$";

/// Where PostgreSQL for tests is reached; databases are made there, and dropped.
#[expect(clippy::disallowed_methods, reason = "tests have no config.rs")]
fn admin_url() -> String {
    std::env::var("TEST_POSTGRES_URL").expect(
        "TEST_POSTGRES_URL must name a PostgreSQL where databases may be made, such as \
         postgres://postgres@127.0.0.1:5432/postgres",
    )
}

/// One database, empty at first.
#[derive(Debug)]
pub(crate) struct TestDatabase {
    pub(crate) engine: Engine,
    pub(crate) url: String,
    name: String,
    /// Where the SQLite file lies.
    folder: Option<tempfile::TempDir>,
}

impl TestDatabase {
    pub(crate) async fn create(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                let url = format!("sqlite://{}", folder.path().join(FILE).display());
                Self { engine, url, name: String::new(), folder: Some(folder) }
            }
            Engine::Postgres => {
                let name = format!("billing_{}", uuid::Uuid::new_v4().simple());
                admin(format!("create database {name}")).await;
                let url = url::Url::parse(&admin_url()).unwrap();
                let url = url.join(&format!("/{name}")).unwrap().to_string();
                Self { engine, url, name, folder: None }
            }
        }
    }

    /// One on a PostgreSQL that the test has started itself, and ends.
    pub(crate) fn elsewhere(url: String) -> Self {
        Self { engine: Engine::Postgres, url, name: String::new(), folder: None }
    }

    /// A look at the tables, past the service.
    pub(crate) async fn look(&self) -> Look {
        match self.engine {
            Engine::Sqlite => {
                let options = SqliteConnectOptions::from_str(&self.url).unwrap().read_only(true);
                Look::Sqlite(SqlitePool::connect_with(options).await.unwrap())
            }
            Engine::Postgres => {
                let options = PgConnectOptions::from_str(&self.url).unwrap();
                let pool = PgPoolOptions::new().max_connections(2);
                Look::Postgres(pool.connect_with(options).await.unwrap())
            }
        }
    }

    /// A copy with the same rows. Nobody may serve it meanwhile.
    pub(crate) async fn copy(&self) -> Self {
        match &self.folder {
            Some(folder) => {
                let copy = Self::create(self.engine).await;
                let new_folder = copy.folder.as_ref().unwrap().path();
                std::fs::copy(folder.path().join(FILE), new_folder.join(FILE)).unwrap();
                copy
            }
            None => {
                let name = format!("billing_{}", uuid::Uuid::new_v4().simple());
                admin(format!("create database {name} template {}", self.name)).await;
                let url = url::Url::parse(&self.url).unwrap();
                let url = url.join(&format!("/{name}")).unwrap().to_string();
                Self { engine: self.engine, url, name, folder: None }
            }
        }
    }

    /// Changes rows past the service and past what the schema checks.
    pub(crate) async fn tamper(&self, sql: &str) {
        match self.engine {
            Engine::Sqlite => {
                let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
                sqlx::raw_sql("pragma ignore_check_constraints = on")
                    .execute(&mut connection)
                    .await
                    .unwrap();
                sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
            Engine::Postgres => {
                let mut connection = PgConnection::connect(&self.url).await.unwrap();
                sqlx::raw_sql(DROP_CHECKS).execute(&mut connection).await.unwrap();
                sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
        }
    }

    /// Drops it, which only matters for PostgreSQL.
    pub(crate) async fn drop(self) {
        if !self.name.is_empty() {
            admin(format!("drop database {} with (force)", self.name)).await;
        }
    }
}

async fn admin(statement: String) {
    let mut connection = PgConnection::connect(&admin_url()).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Reads tables past the service; one text for both engines.
#[derive(Debug)]
pub(crate) enum Look {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Look {
    /// All rows of a query whose columns are whole numbers.
    pub(crate) async fn numbers(&self, sql: &'static str) -> Vec<Vec<i64>> {
        self.rows(sql, |text| text.parse().unwrap()).await
    }

    /// All rows of a query whose columns are texts; the query casts them.
    pub(crate) async fn texts(&self, sql: &'static str) -> Vec<Vec<String>> {
        self.rows(sql, str::to_owned).await
    }

    async fn rows<T>(&self, sql: &'static str, read: impl Fn(&str) -> T) -> Vec<Vec<T>> {
        use sqlx::{Row as _, TypeInfo as _, ValueRef as _};
        match self {
            Self::Sqlite(pool) => {
                let rows = sqlx::query(sql).fetch_all(pool).await.unwrap();
                let cell = |row: &sqlx::sqlite::SqliteRow, i: usize| {
                    let value = row.try_get_raw(i).unwrap();
                    match value.type_info().name() {
                        "INTEGER" => row.get::<i64, _>(i).to_string(),
                        "NULL" => "null".to_owned(),
                        _ => row.get::<String, _>(i),
                    }
                };
                rows.iter()
                    .map(|row| (0..row.len()).map(|i| read(&cell(row, i))).collect())
                    .collect()
            }
            Self::Postgres(pool) => {
                let rows = sqlx::query(sql).fetch_all(pool).await.unwrap();
                let cell = |row: &sqlx::postgres::PgRow, i: usize| {
                    let value = row.try_get_raw(i).unwrap();
                    if value.is_null() {
                        return "null".to_owned();
                    }
                    match value.type_info().name() {
                        "INT8" => row.get::<i64, _>(i).to_string(),
                        "UUID" => row.get::<uuid::Uuid, _>(i).to_string(),
                        _ => row.get::<String, _>(i),
                    }
                };
                rows.iter()
                    .map(|row| (0..row.len()).map(|i| read(&cell(row, i))).collect())
                    .collect()
            }
        }
    }

    pub(crate) async fn close(self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}
