//! Stops new work for a moment after fal.ai refused the account, so that a locked account does
//! not take down every job that waits.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Open for a while after [`Breaker::trip`].
#[derive(Debug, Default)]
pub(super) struct Breaker {
    open_until: Mutex<Option<Instant>>,
}

impl Breaker {
    /// Begins no new work for `pause`.
    pub(super) fn trip(&self, pause: Duration) {
        *self.open_until.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Instant::now() + pause);
    }

    /// How long no new work is to begin.
    pub(super) fn remaining(&self) -> Duration {
        let open_until = *self.open_until.lock().unwrap_or_else(PoisonError::into_inner);
        open_until.map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()))
    }
}
