//! What parts of this process tell each other: there is work, a job goes on, a job ended.
//!
//! Nothing here lasts. Whoever misses a word finds the same in the store, a moment later.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::futures::Notified;
use tokio::sync::{Notify, broadcast, watch};

use crate::domain::{Job, JobKey};

/// Words about progress that a slow listener may lag behind.
const PROGRESS_MAX: usize = 256;

/// A job goes on.
#[derive(Clone, Debug)]
pub struct Progress {
    /// As it is now.
    pub job: Job,
    /// Jobs before it, where that is known.
    pub queue_position: Option<i32>,
}

/// The board.
#[derive(Debug)]
pub struct Board {
    work: Notify,
    ended: watch::Sender<u64>,
    progress: broadcast::Sender<Progress>,
    positions: Mutex<HashMap<JobKey, i32>>,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            work: Notify::new(),
            ended: watch::Sender::new(0),
            progress: broadcast::Sender::new(PROGRESS_MAX),
            positions: Mutex::default(),
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
        self.progress.send(Progress { job: job.clone(), queue_position }).ok();
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
