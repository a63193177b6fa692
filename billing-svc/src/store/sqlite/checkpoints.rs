//! Copies what was committed from SQLite's log into its file, beside the writer.
//!
//! The writer would do it itself when the log is long, and everybody would wait meanwhile. A passive
//! checkpoint on another connection hinders nobody; it leaves to the writer the little that came
//! while it ran, after which the log begins anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use tokio::task::JoinHandle;

/// Often enough that little is left to the writer under load.
const EVERY: Duration = Duration::from_millis(250);
/// Fewer commits are not worth the two syncs of a checkpoint.
const COMMITS_MIN: u32 = 16;
/// After a failure, such as a full disk. The writer checkpoints too, so nothing depends on this.
const REST: Duration = Duration::from_secs(30);

/// Runs until it is dropped or closed.
#[derive(Debug)]
pub(super) struct Checkpoints {
    commits: Arc<AtomicU32>,
    connection: SqlitePool,
    running: JoinHandle<()>,
}

impl Checkpoints {
    /// Begins, on a connection of its own.
    pub(super) fn begin(options: SqliteConnectOptions) -> Self {
        let commits = Arc::new(AtomicU32::new(0));
        let connection = SqlitePoolOptions::new().max_connections(1).connect_lazy_with(options);
        let running = tokio::spawn(run(connection.clone(), Arc::clone(&commits)));
        Self { commits, connection, running }
    }

    /// Counts a commit.
    pub(super) fn note_commit(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends, and waits until the connection is closed: the last one that closes, which the writer
    /// has to be, puts all that is in the log into the file.
    pub(super) async fn close(&self) {
        self.running.abort();
        self.connection.close().await;
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.running.abort();
    }
}

async fn run(connection: SqlitePool, commits: Arc<AtomicU32>) {
    loop {
        tokio::time::sleep(EVERY).await;
        if commits.load(Ordering::Relaxed) < COMMITS_MIN {
            continue;
        }
        commits.store(0, Ordering::Relaxed);
        let done = sqlx::query("pragma wal_checkpoint(passive)").execute(&connection).await;
        if let Err(error) = done {
            tracing::warn!(error.cause = %error, "checkpoint failed, the writer goes on with them");
            tokio::time::sleep(REST).await;
        }
    }
}
