//! Callers that work side by side for a while, and what came of it.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// What one caller does again and again.
pub(crate) trait Work: Send + 'static {
    /// Does it once: how many pairs that was, and how long each call took.
    fn once(
        &mut self,
        calls: &mut Vec<Duration>,
    ) -> impl Future<Output = Result<u32, String>> + Send;
}

/// What was done while it was measured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) pairs: u32,
    pub(crate) errors: u32,
    pub(crate) first_error: Option<String>,
    /// How long each call took.
    pub(crate) calls: Vec<Duration>,
}

impl Tally {
    pub(crate) fn count(&mut self, outcome: Result<u32, String>, calls: &mut Vec<Duration>) {
        match outcome {
            Ok(pairs) => self.pairs += pairs,
            Err(error) => {
                self.errors += 1;
                self.first_error.get_or_insert(error);
            }
        }
        self.calls.append(calls);
    }

    pub(crate) fn merge(&mut self, mut other: Self) {
        self.pairs += other.pairs;
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error.take());
        self.calls.append(&mut other.calls);
    }

    /// The time that so many of a hundred calls did not exceed.
    pub(crate) fn percentile(&mut self, percent: usize) -> Duration {
        self.calls.sort_unstable();
        let last = self.calls.len().saturating_sub(1);
        let place = (self.calls.len() * percent / 100).min(last);
        self.calls.get(place).copied().unwrap_or_default()
    }
}

/// When work counts: from `begins`, until `ends`, when callers finish what they have begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) begins: Instant,
    pub(crate) ends: Instant,
}

impl Window {
    pub(crate) fn after(warm_up: Duration, length: Duration) -> Self {
        let begins = Instant::now() + warm_up;
        Self { begins, ends: begins + length }
    }

    fn holds(self, moment: Instant) -> bool {
        (self.begins..self.ends).contains(&moment)
    }
}

/// Lets all of them work; `probe` is asked when the window begins and when it ends.
pub(crate) async fn work<W: Work, P>(
    window: Window,
    callers: Vec<W>,
    probe: impl Fn() -> P,
) -> (Tally, [P; 2]) {
    let mut working = JoinSet::new();
    for caller in callers {
        working.spawn(work_alone(window, caller));
    }
    sleep_until(window.begins).await;
    let before = probe();
    sleep_until(window.ends).await;
    let after = probe();
    let mut all = Tally::default();
    while let Some(tally) = working.join_next().await {
        all.merge(tally.unwrap_or_default());
    }
    (all, [before, after])
}

async fn work_alone<W: Work>(window: Window, mut caller: W) -> Tally {
    let mut tally = Tally::default();
    let mut calls = Vec::new();
    loop {
        let outcome = caller.once(&mut calls).await;
        let now = Instant::now();
        if window.holds(now) {
            tally.count(outcome, &mut calls);
        } else {
            calls.clear();
        }
        if now >= window.ends {
            return tally;
        }
    }
}

/// Starts work at a fixed rate, whatever the answers take. A first call that waits behind others
/// has waited since it should have begun.
pub(crate) async fn work_paced<W: Work, P>(
    window: Window,
    per_second: u32,
    caller: impl Fn() -> W,
    probe: impl Fn() -> P,
) -> (Tally, [P; 2]) {
    let mut working = JoinSet::new();
    let every = Duration::from_secs(1) / per_second;
    let mut due = Instant::now();
    let mut before = None;
    while due < window.ends {
        sleep_until(due).await;
        if due >= window.begins && before.is_none() {
            before = Some(probe());
        }
        let mut caller = caller();
        working.spawn(async move {
            let mut tally = Tally::default();
            let late = due.elapsed();
            let mut calls = Vec::new();
            let outcome = caller.once(&mut calls).await;
            if let Some(first) = calls.first_mut() {
                *first += late;
            }
            if window.holds(due) {
                tally.count(outcome, &mut calls);
            }
            tally
        });
        due += every;
    }
    sleep_until(window.ends).await;
    let after = probe();
    let mut all = Tally::default();
    while let Some(tally) = working.join_next().await {
        all.merge(tally.unwrap_or_default());
    }
    (all, [before.unwrap_or_else(&probe), after])
}
