//! What a proof reads: whole accounts, as they are stored.
//!
//! Invariant: nothing here writes, waits for a lock that writers take, or makes one of them wait.
//! Each [`Snapshot`] shows one moment, and lives for one page.

use std::fmt::Debug;
use std::future::Future;

use uuid::Uuid;

use super::Answer;

/// A database that is read for proof.
pub trait Audit: Clone + Debug + Send + Sync + 'static {
    type Snapshot: Snapshot;

    /// Looks at one moment of the store; dropping it ends the look.
    fn snapshot(&self) -> impl Future<Output = Answer<Self::Snapshot>> + Send;

    /// Closes every connection that is ours alone.
    fn close(&self) -> impl Future<Output = ()> + Send;
}

/// One moment of the store.
pub trait Snapshot: Send {
    /// Hands every row of the statement to `take`, one by one.
    fn rows<T: Stored>(
        &mut self,
        statement: &Statement<'_>,
        take: impl FnMut(Read<T>) + Send,
    ) -> impl Future<Output = Answer<()>> + Send;

    /// Hands the rows of `wanted` that a chain goes over to `take`, in order of user.
    fn chained<T: Chained>(
        &mut self,
        wanted: &[Wanted],
        take: impl FnMut(Read<T>) + Send,
    ) -> impl Future<Output = Answer<()>> + Send;
}

/// Text and values of a statement, the same on both engines: texts first, then numbers.
#[derive(Clone, Copy, Debug)]
pub struct Statement<'a> {
    pub sql: &'static str,
    pub texts: &'a [&'a str],
    pub numbers: &'a [i64],
}

/// Entries of one user that are to be chained: above a number, up to another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Wanted {
    pub user: i64,
    pub above: i64,
    pub upto: i64,
}

/// A row, or why it cannot be read.
pub type Read<T> = Result<T, Unreadable>;

/// A row that no value of ours can be made of.
#[derive(Debug, thiserror::Error)]
#[error("{table}: {problem}")]
pub struct Unreadable {
    /// Whose row it is, if at least that can be read.
    pub user: i64,
    pub table: &'static str,
    pub problem: String,
}

/// The columns of a row by place, as either engine reads them.
pub trait Columns {
    fn number(&self, column: usize) -> Result<i64, sqlx::Error>;
    fn maybe_number(&self, column: usize) -> Result<Option<i64>, sqlx::Error>;
    fn text(&self, column: usize) -> Result<String, sqlx::Error>;
    fn maybe_text(&self, column: usize) -> Result<Option<String>, sqlx::Error>;
    fn id(&self, column: usize) -> Result<Uuid, sqlx::Error>;
    fn maybe_id(&self, column: usize) -> Result<Option<Uuid>, sqlx::Error>;
    fn bytes(&self, column: usize) -> Result<Vec<u8>, sqlx::Error>;
}

/// A row as it is stored, whatever it says.
pub trait Stored: Sized + Send {
    /// Where it is from.
    const TABLE: &'static str;

    fn read(columns: &impl Columns) -> Result<Self, sqlx::Error>;

    /// The row, or a finding about it.
    fn read_or_report(columns: &impl Columns) -> Read<Self> {
        Self::read(columns).map_err(|error| Unreadable {
            user: columns.number(0).unwrap_or_default(),
            table: Self::TABLE,
            problem: error.to_string(),
        })
    }
}

/// A row that a chain goes over. The statements differ only in how the wanted entries are bound:
/// SQLite is asked for one user at a time, PostgreSQL for all of them.
pub trait Chained: Stored {
    const SQLITE: &'static str;
    const POSTGRES: &'static str;
}

/// Implements [`Columns`] for an engine's row.
macro_rules! columns {
    ($row:ty) => {
        impl $crate::store::verify::Columns for $row {
            fn number(&self, column: usize) -> Result<i64, sqlx::Error> {
                self.try_get(column)
            }

            fn maybe_number(&self, column: usize) -> Result<Option<i64>, sqlx::Error> {
                self.try_get(column)
            }

            fn text(&self, column: usize) -> Result<String, sqlx::Error> {
                self.try_get(column)
            }

            fn maybe_text(&self, column: usize) -> Result<Option<String>, sqlx::Error> {
                self.try_get(column)
            }

            fn id(&self, column: usize) -> Result<uuid::Uuid, sqlx::Error> {
                self.try_get(column)
            }

            fn maybe_id(&self, column: usize) -> Result<Option<uuid::Uuid>, sqlx::Error> {
                self.try_get(column)
            }

            fn bytes(&self, column: usize) -> Result<Vec<u8>, sqlx::Error> {
                self.try_get(column)
            }
        }
    };
}

pub(super) use columns;
