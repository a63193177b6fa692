//! How long and how often: what tests make shorter, and operators two of.

use std::time::Duration;

/// Bounds of the work.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Jobs at fal.ai at once, of each key, over all processes.
    pub concurrent_max: usize,
    /// Of them, jobs of one user.
    pub jobs_per_user: usize,
    /// Refusals of content that are given back to a user in a day.
    pub refusals_per_day: i64,
    /// How long a place is kept for a job that ended here while fal.ai may still be at work on it.
    pub keep_place: Duration,
    /// A job that is older is given up.
    pub job_deadline: Duration,
    /// A worker that was not heard of for so long has lost its job.
    pub lease: Duration,
    /// An ended job is lent for so long.
    pub delivery_lease: Duration,
    /// How often the holds of jobs that wait for a place are extended. A new one is met by the
    /// second round at the latest, so billing's `HOLD_TTL` has to be longer than two of them.
    pub extend_waiting_every: Duration,
    /// The first pause between two looks at a job's status, and the longest.
    pub poll: (Duration, Duration),
    /// With webhooks: the pause between two looks at a job of which no webhook has come.
    pub poll_unhinted: Duration,
    /// With webhooks: how long one is waited for that would tell of a submit whose answer was lost.
    pub webhook_wait: Duration,
    /// The first pause before a step is tried again, and the longest.
    pub pause: (Duration, Duration),
    /// How long no job is begun with a key after fal.ai refused it.
    pub provider_pause: Duration,
    /// How long an endpoint that fails again and again is asked after the others: the first time,
    /// and the longest.
    pub endpoint_rest: (Duration, Duration),
    /// How often fal.ai's history is looked at for a submit whose answer was lost.
    pub find_tries: u32,
    /// How often jobs are compared with what is reserved for them.
    pub compare_every: Duration,
    /// How often old contents are looked for.
    pub sweep_every: Duration,
    /// How long a result is kept after it was acknowledged.
    pub keep_results: Duration,
    /// How long an input is kept that no job uses.
    pub keep_inputs: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            concurrent_max: 10,
            jobs_per_user: 3,
            refusals_per_day: 5,
            keep_place: Duration::from_secs(2 * 60),
            job_deadline: Duration::from_secs(10 * 60),
            lease: Duration::from_secs(30),
            delivery_lease: Duration::from_secs(60),
            extend_waiting_every: Duration::from_secs(60),
            poll: (Duration::from_millis(500), Duration::from_secs(2)),
            poll_unhinted: Duration::from_secs(30),
            webhook_wait: Duration::from_secs(3 * 60),
            pause: (Duration::from_secs(1), Duration::from_secs(30)),
            provider_pause: Duration::from_secs(5),
            endpoint_rest: (Duration::from_secs(30), Duration::from_secs(10 * 60)),
            find_tries: 4,
            compare_every: Duration::from_secs(60),
            sweep_every: Duration::from_secs(10 * 60),
            keep_results: Duration::from_secs(24 * 60 * 60),
            keep_inputs: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// A pause that doubles with each try up to its longest, of which a random part is taken off, so
/// that those who wait do not come back in step.
pub fn pause_after(tries: i64, (first, longest): (Duration, Duration)) -> Duration {
    let doublings = u32::try_from(tries.clamp(0, 16)).unwrap_or(16);
    let pause = first.saturating_mul(2_u32.saturating_pow(doublings)).min(longest);
    let [random, ..] = uuid::Uuid::new_v4().into_bytes();
    pause / 2 + pause / 2 * u32::from(random) / u32::from(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_below_the_longest() {
        let bounds = (Duration::from_secs(1), Duration::from_secs(30));
        for (tries, least, most) in [(0, 500, 1_000), (3, 4_000, 8_000), (90, 15_000, 30_000)] {
            let pause = pause_after(tries, bounds).as_millis();
            assert!((least..=most).contains(&pause), "{pause} ms after {tries} tries");
        }
    }
}
