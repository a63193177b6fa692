//! Copies what was committed from SQLite's log into its file, beside the writer.
//!
//! The writer would do it itself when the log is long, and everybody would wait meanwhile. A passive
//! checkpoint on another connection hinders nobody; it leaves to the writer the little that came
//! while it ran, after which the log begins anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, SqliteConnection};
use tokio::task::JoinHandle;

/// Often enough that little is left to the writer under load.
const EVERY: Duration = Duration::from_millis(250);
/// Fewer commits are not worth the two syncs of a checkpoint.
const COMMITS_MIN: u32 = 16;
/// After a failure, such as a full disk. The writer checkpoints too, so nothing depends on this.
const REST: Duration = Duration::from_secs(30);

/// Runs until it is dropped or ended.
#[derive(Debug)]
pub(super) struct Checkpoints {
    commits: Arc<AtomicU32>,
    running: JoinHandle<()>,
}

impl Checkpoints {
    /// Begins, on a connection of its own.
    pub(super) fn begin(options: SqliteConnectOptions) -> Self {
        let commits = Arc::new(AtomicU32::new(0));
        let running = tokio::spawn(run(options, Arc::clone(&commits)));
        Self { commits, running }
    }

    /// Counts a commit.
    pub(super) fn note_commit(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends; a checkpoint under way may be broken off at any point.
    pub(super) fn end(&self) {
        self.running.abort();
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.end();
    }
}

async fn run(options: SqliteConnectOptions, commits: Arc<AtomicU32>) {
    loop {
        if let Err(error) = checkpoint_while_busy(&options, &commits).await {
            tracing::warn!(error.cause = %error, "checkpoint failed, the writer goes on with them");
        }
        tokio::time::sleep(REST).await;
    }
}

async fn checkpoint_while_busy(
    options: &SqliteConnectOptions,
    commits: &AtomicU32,
) -> sqlx::Result<()> {
    let mut connection: SqliteConnection = options.connect().await?;
    loop {
        tokio::time::sleep(EVERY).await;
        if commits.load(Ordering::Relaxed) >= COMMITS_MIN {
            commits.store(0, Ordering::Relaxed);
            sqlx::query("pragma wal_checkpoint(passive)").execute(&mut connection).await?;
        }
    }
}
