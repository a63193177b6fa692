//! Stops new work of a key for a moment after fal.ai refused it, so that a locked account does not
//! take down every job that waits, and the other keys work on.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Until when each key is not used.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    open_until: Mutex<HashMap<i64, Instant>>,
}

impl Breaker {
    /// Begins no new work with a key for `pause`.
    pub(super) fn trip(&self, key_index: i64, pause: Duration) {
        self.lock().insert(key_index, Instant::now() + pause);
        gauge(key_index, 1.0);
    }

    /// fal.ai took work of a key.
    pub(super) fn works(&self, key_index: i64) {
        if self.lock().remove(&key_index).is_some() {
            gauge(key_index, 0.0);
        }
    }

    /// Those of the first `count` keys with which work may begin.
    pub(super) fn usable(&self, count: usize) -> Vec<i64> {
        let (open_until, now) = (self.lock(), Instant::now());
        let is_usable = |key: &i64| open_until.get(key).is_none_or(|until| *until <= now);
        (0..i64::try_from(count).unwrap_or(i64::MAX)).filter(is_usable).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i64, Instant>> {
        self.open_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn gauge(key_index: i64, value: f64) {
    metrics::gauge!("key_refused", "key" => key_index.to_string()).set(value);
}
