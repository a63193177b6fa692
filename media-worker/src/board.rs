//! What parts of this process tell each other: there is work, a job goes on, a job ended.
//!
//! Nothing here lasts. Whoever misses a word finds the same in the store, a moment later.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::futures::Notified;
use tokio::sync::{Notify, broadcast, watch};

use crate::clock::now_ms;
use crate::domain::{Job, JobKey, Mode, Stage};

/// Words about progress that a slow listener may lag behind.
const PROGRESS_MAX: usize = 256;
/// Jobs of a mode whose time at the provider is remembered.
const TIMES_MAX: usize = 20;

/// A job goes on.
#[derive(Clone, Debug)]
pub struct Progress {
    /// As it is now.
    pub job: Job,
    /// Jobs before it, where that is known.
    pub queue_position: Option<i32>,
    /// Seconds that it will probably still take, where that is known.
    pub estimate_seconds: Option<i32>,
}

/// The board.
#[derive(Debug)]
pub struct Board {
    work: Notify,
    ended: watch::Sender<u64>,
    progress: broadcast::Sender<Progress>,
    positions: Mutex<HashMap<JobKey, i32>>,
    /// Jobs that should be looked at now: their requests are over, or are to be.
    hints: watch::Sender<HashSet<JobKey>>,
    /// How long the last jobs of each mode were at the provider, in milliseconds.
    times: Mutex<HashMap<Mode, VecDeque<i64>>>,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            work: Notify::new(),
            ended: watch::Sender::new(0),
            progress: broadcast::Sender::new(PROGRESS_MAX),
            positions: Mutex::default(),
            hints: watch::Sender::new(HashSet::new()),
            times: Mutex::default(),
        }
    }
}

impl Board {
    /// Says that a job waits.
    pub fn tell_work(&self) {
        self.work.notify_waiters();
    }

    /// Waits until somebody says so.
    pub fn work(&self) -> Notified<'_> {
        self.work.notified()
    }

    /// Says that an end can be told.
    pub fn tell_ended(&self) {
        self.ended.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Hears of ends.
    pub fn ended(&self) -> watch::Receiver<u64> {
        self.ended.subscribe()
    }

    /// Says how a job goes on.
    pub fn tell_progress(&self, job: &Job, queue_position: Option<i32>) {
        match queue_position {
            Some(position) => self.positions().insert(job.key, position),
            None => self.positions().remove(&job.key),
        };
        // Nobody listens: nobody has to know.
        let estimate_seconds = self.rest(job);
        let told = Progress { job: job.clone(), queue_position, estimate_seconds };
        self.progress.send(told).ok();
    }

    /// Says how many jobs will begin before one that waits.
    pub fn tell_waiting(&self, job: &Job, ahead: i32, estimate_seconds: Option<i32>) {
        let told = Progress { job: job.clone(), queue_position: Some(ahead), estimate_seconds };
        self.progress.send(told).ok();
    }

    /// Whether anybody hears how jobs go on.
    pub fn is_listened_to(&self) -> bool {
        self.progress.receiver_count() > 0
    }

    /// Says that a job should be looked at now.
    pub fn hint(&self, key: JobKey) {
        self.hints.send_modify(|hints| {
            hints.insert(key);
        });
    }

    /// The same of all that there are.
    pub fn set_hints(&self, keys: Vec<JobKey>) {
        let keys: HashSet<JobKey> = keys.into_iter().collect();
        self.hints.send_if_modified(|hints| {
            let is_new = *hints != keys;
            *hints = keys;
            is_new
        });
    }

    /// Whether a job should be looked at.
    pub fn is_hinted(&self, key: JobKey) -> bool {
        self.hints.borrow().contains(&key)
    }

    /// Waits until a job should be looked at.
    pub async fn hinted(&self, key: JobKey) {
        let mut hints = self.hints.subscribe();
        if hints.wait_for(|hints| hints.contains(&key)).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Remembers how long a job was at the provider.
    pub fn took(&self, mode: Mode, ms: i64) {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let times = times.entry(mode).or_default();
        if times.len() == TIMES_MAX {
            times.pop_front();
        }
        times.push_back(ms);
    }

    /// Seconds until a job ends before which so many will begin, on so many places; `None` before
    /// this process has seen one of its mode.
    pub fn estimate(&self, mode: Mode, ahead: i32, places: usize) -> Option<i32> {
        let usual = self.usual_ms(mode)?;
        let places = i64::try_from(places).unwrap_or(i64::MAX).max(1);
        let rounds = i64::from(ahead) / places + 1;
        i32::try_from(usual.saturating_mul(rounds).div_euclid(1000).max(1)).ok()
    }

    /// Seconds that a job at the provider will probably still take; `None` also when it has taken
    /// longer than usual.
    pub fn rest(&self, job: &Job) -> Option<i32> {
        let Stage::Submitted(submission, _) = &job.stage else { return None };
        let usual = self.usual_ms(job.work.mode)?;
        let rest = usual.saturating_sub(now_ms().saturating_sub(submission.at));
        if rest > 0 { i32::try_from(rest.div_euclid(1000).max(1)).ok() } else { None }
    }

    /// The median of the last jobs of a mode.
    fn usual_ms(&self, mode: Mode) -> Option<i64> {
        let times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let mut times: Vec<i64> = times.get(&mode)?.iter().copied().collect();
        times.sort_unstable();
        times.get(times.len() / 2).copied()
    }

    /// Hears how jobs go on.
    pub fn progress(&self) -> broadcast::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Where a job stood in fal.ai's queue when it was last looked at.
    pub fn position(&self, key: JobKey) -> Option<i32> {
        self.positions().get(&key).copied()
    }

    /// Forgets where a job stood.
    pub fn forget_position(&self, key: JobKey) {
        self.positions().remove(&key);
    }

    fn positions(&self) -> MutexGuard<'_, HashMap<JobKey, i32>> {
        self.positions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_is_the_usual_time_once_more_for_each_round_before() {
        let board = Board::default();
        assert_eq!(board.estimate(Mode::Edit, 0, 10), None);
        for ms in [9_000, 3_000, 4_000] {
            board.took(Mode::Edit, ms);
        }
        assert_eq!(board.estimate(Mode::Edit, 0, 10), Some(4));
        assert_eq!(board.estimate(Mode::Edit, 9, 10), Some(4));
        assert_eq!(board.estimate(Mode::Edit, 25, 10), Some(12));
        assert_eq!(board.estimate(Mode::Merge, 0, 10), None);
    }
}
