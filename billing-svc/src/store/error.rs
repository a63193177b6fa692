//! What can go wrong at a database, sorted by what the writer does about it.

use sqlx::error::ErrorKind;

/// Why a database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "DATABASE_URL: not an address of a database: it looks like sqlite://billing.db or \
         postgres://user@host/name, and an SQLite database must be a file"
    )]
    Address,
    #[error("DATABASE_URL: another process serves this SQLite file; one is all there may be")]
    Taken,
    #[error("DATABASE_URL: the lock file beside the SQLite file cannot be opened")]
    LockFile(#[source] std::io::Error),
    #[error("DATABASE_URL: the database cannot be reached")]
    Unreachable(#[source] sqlx::Error),
    #[error("the database's schema is not the one of this version: run billing-svc migrate")]
    NotMigrated,
    #[error("the schema cannot be migrated")]
    Migration(#[source] sqlx::migrate::MigrateError),
}

/// Why a statement or a commit has no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The commit was sent and its answer lost: it happened, or it did not.
    #[error("the answer to a commit was lost")]
    CommitUnknown(#[source] sqlx::Error),
    /// Nobody has answered: it happened, or it did not.
    #[error("the database does not answer")]
    Silent,
    /// Another transaction was in the way; the same one may work now.
    #[error("lost a race against another transaction")]
    Race(#[source] sqlx::Error),
    /// Somebody held a lock for too long; what does not need it can go on.
    #[error("waited too long for a lock")]
    Blocked(#[source] sqlx::Error),
    /// The database is away, for everybody.
    #[error("the database is away")]
    Away(#[source] sqlx::Error),
    /// The database refused this very statement.
    #[error("the database refused a statement")]
    Refused(#[source] sqlx::Error),
    /// A row does not say what it must; nothing is guessed.
    #[error("a stored {0} cannot be read")]
    Unreadable(&'static str),
    /// An update met fewer rows than were locked.
    #[error("{found} of {expected} rows were there to be changed")]
    RowsMissing { expected: usize, found: u64 },
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let Some(database) = error.as_database_error() else {
            return match error {
                sqlx::Error::ColumnDecode { .. }
                | sqlx::Error::Decode(_)
                | sqlx::Error::Encode(_)
                | sqlx::Error::ColumnNotFound(_)
                | sqlx::Error::ColumnIndexOutOfBounds { .. }
                | sqlx::Error::TypeNotFound { .. } => Self::Refused(error),
                _ => Self::Away(error),
            };
        };
        if database.kind() == ErrorKind::UniqueViolation {
            return Self::Race(error);
        }
        match database.code().as_deref() {
            // Serialization failure, deadlock; SQLite: busy, and busy with an old snapshot.
            Some("40001" | "40P01" | "5" | "517") => Self::Race(error),
            // Waited too long for a lock, or for the whole statement; SQLite: interrupted.
            Some("55P03" | "57014" | "9") => Self::Blocked(error),
            // Connection trouble, too many connections, shutting down, read-only standby; SQLite:
            // I/O error, full disk, read-only.
            Some(code)
                if ["08", "53", "57P", "25006"].iter().any(|class| code.starts_with(class))
                    || is_sqlite_disk_trouble(code) =>
            {
                Self::Away(error)
            }
            _ => Self::Refused(error),
        }
    }
}

/// Whether an SQLite result code, extended or not, says that the file cannot be written.
fn is_sqlite_disk_trouble(code: &str) -> bool {
    // PostgreSQL's codes have five characters, SQLite's at most four.
    code.len() < 5 && code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 8 | 10 | 13 | 14))
}

impl StoreError {
    /// Whether the next try may work, with nothing else changed.
    pub fn is_race(&self) -> bool {
        matches!(self, Self::Race(_))
    }

    /// Whether one request of many may be what the database did not like.
    pub fn may_be_one_request(&self) -> bool {
        match self {
            Self::CommitUnknown(_) | Self::Silent | Self::Away(_) => false,
            Self::Race(_)
            | Self::Blocked(_)
            | Self::Refused(_)
            | Self::Unreadable(_)
            | Self::RowsMissing { .. } => true,
        }
    }

    /// What an error in answer to COMMIT means: only the database's own word says that it did not
    /// happen.
    pub(super) fn at_commit(error: sqlx::Error) -> Self {
        if error.as_database_error().is_some() {
            match Self::from(error) {
                Self::Away(cause) => Self::CommitUnknown(cause),
                known => known,
            }
        } else {
            Self::CommitUnknown(error)
        }
    }

    /// An update that met all its rows, or an error.
    pub(super) fn expect_rows(expected: usize, found: u64) -> Result<(), Self> {
        if u64::try_from(expected) == Ok(found) {
            Ok(())
        } else {
            Err(Self::RowsMissing { expected, found })
        }
    }
}
