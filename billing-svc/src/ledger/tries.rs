//! How often and how long the database is asked, before the outcome is given up as unknown.

use std::time::Duration;

use uuid::Uuid;

use crate::store::StoreError;

/// How often a transaction that lost a race is tried.
const TRIES_MAX: u32 = 5;
/// The longest pause after the first lost race; it grows with each.
const PAUSE: Duration = Duration::from_millis(20);
/// Longer than the database lets a statement take: nobody is left there who would answer.
const ANSWER_MAX: Duration = Duration::from_secs(15);

/// Counts the tries of one transaction.
#[derive(Debug)]
pub(super) struct Tries(u32);

impl Tries {
    /// Before the first try.
    pub(super) fn new() -> Self {
        Self(1)
    }

    /// Whether what ended in `error` is to be tried again.
    pub(super) fn are_left(&self, error: &StoreError) -> bool {
        error.is_race() && self.0 < TRIES_MAX
    }

    /// Waits before the next try.
    pub(super) async fn pause(&mut self, error: &StoreError) {
        tracing::debug!(error.cause = ?error, tries = self.0, "lost a race, trying again");
        tokio::time::sleep(jittered(PAUSE * self.0)).await;
        self.0 += 1;
    }
}

/// Gives a transaction up whose database has fallen silent: its connection may never end by
/// itself, and what waits behind it would wait for ever.
pub(super) async fn in_time<T>(
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    tokio::time::timeout(ANSWER_MAX, work).await.unwrap_or(Err(StoreError::Silent))
}

/// Between nothing and the whole of it, so that those who collided do not collide again.
fn jittered(pause: Duration) -> Duration {
    let [random, ..] = Uuid::new_v4().into_bytes();
    pause * u32::from(random) / u32::from(u8::MAX)
}
