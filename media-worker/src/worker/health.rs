//! Which endpoints fail, as this process has seen it: they rest for a while, so that not every job
//! pays for finding out by itself.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// So many failures in a row make an endpoint rest: one alone happens to the best.
const FAILURES_MAX: u32 = 2;
/// A rest doubles with each failure after it, so often at most.
const DOUBLINGS_MAX: u32 = 16;

/// The endpoints that failed last time.
#[derive(Debug, Default)]
pub(super) struct Health {
    failing: Mutex<HashMap<String, Failing>>,
}

#[derive(Clone, Copy, Debug)]
struct Failing {
    in_a_row: u32,
    rests_until: Option<Instant>,
}

impl Health {
    /// An endpoint failed on its own account; it rests between `first` and `longest` when that was
    /// not the first time.
    pub(super) fn failed(
        &self,
        endpoint: &str,
        now: Instant,
        (first, longest): (Duration, Duration),
    ) {
        let mut failing = self.lock();
        let seen = failing
            .entry(endpoint.to_owned())
            .or_insert(Failing { in_a_row: 0, rests_until: None });
        // Those that were sent before it began to rest say nothing new.
        if seen.rests_until.is_some_and(|until| until > now) {
            return;
        }
        seen.in_a_row = seen.in_a_row.saturating_add(1);
        if let Some(doublings) = seen.in_a_row.checked_sub(FAILURES_MAX) {
            let times = 2_u32.saturating_pow(doublings.min(DOUBLINGS_MAX));
            let rest = first.saturating_mul(times).min(longest);
            seen.rests_until = Some(now + rest);
            tracing::error!(
                fal.endpoint = endpoint,
                rest_seconds = rest.as_secs(),
                "an endpoint fails again and again: others are asked first"
            );
            gauge(endpoint, 1.0);
        }
    }

    /// An endpoint made a picture.
    pub(super) fn works(&self, endpoint: &str) {
        if self.lock().remove(endpoint).is_some_and(|seen| seen.rests_until.is_some()) {
            tracing::info!(fal.endpoint = endpoint, "an endpoint works again");
            gauge(endpoint, 0.0);
        }
    }

    /// Those that are better not asked now.
    pub(super) fn resting(&self, now: Instant) -> Vec<String> {
        let failing = self.lock();
        let rests = |seen: &Failing| seen.rests_until.is_some_and(|until| until > now);
        failing
            .iter()
            .filter(|(_, seen)| rests(seen))
            .map(|(endpoint, _)| endpoint.clone())
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Failing>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Endpoints are those of the models file, so there are few.
fn gauge(endpoint: &str, value: f64) {
    metrics::gauge!("endpoint_failing", "endpoint" => endpoint.to_owned()).set(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(100));

    #[test]
    fn an_endpoint_rests_after_two_failures_in_a_row_and_longer_each_time() {
        let (health, mut now) = (Health::default(), Instant::now());
        health.failed("a", now, REST);
        assert!(health.resting(now).is_empty());

        for seconds in [30, 60, 100, 100] {
            health.failed("a", now, REST);
            // Jobs that were under way meanwhile.
            health.failed("a", now, REST);
            let nearly = now + Duration::from_secs(seconds) - Duration::from_millis(1);
            assert_eq!(health.resting(nearly), ["a"], "{seconds} s");
            now += Duration::from_secs(seconds);
            assert!(health.resting(now).is_empty(), "{seconds} s");
        }
    }

    #[test]
    fn a_picture_makes_up_for_failures() {
        let (health, now) = (Health::default(), Instant::now());
        health.failed("a", now, REST);
        health.works("a");
        health.failed("a", now, REST);
        assert!(health.resting(now).is_empty());

        health.failed("a", now, REST);
        health.failed("b", now, REST);
        assert_eq!(health.resting(now), ["a"]);
        health.works("a");
        assert!(health.resting(now).is_empty());
    }
}
