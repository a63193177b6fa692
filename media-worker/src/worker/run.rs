//! One claimed job: its steps, under a lease that is renewed, until it ends or is given back.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proto::service::shutdown::Shutdown;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::clock::in_ms;
use crate::domain::{Failure, FailureReason, Job, Stage};
use crate::settings::pause_after;
use crate::store::{Claim, Lease, StoreError};

use super::hold::{self, Hold};
use super::lanes::{Parts, Worker};

/// A job that was claimed so often without being given back has killed its workers.
const ATTEMPTS_MAX: i64 = 5;
/// Pause before a write is tried again that the database did not take.
const WRITE_PAUSE: Duration = Duration::from_millis(300);

/// The job is no longer this worker's.
#[derive(Debug)]
pub(super) struct Lost;

/// What a step came to.
#[derive(Debug)]
pub(super) enum Next {
    /// The job is here now.
    Stage(Stage),
    /// It begins again, past these endpoints.
    TakenOver(Vec<String>),
    /// It ended, or was given back.
    Done,
}

/// Why a wait was over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Waited {
    Time,
    Shutdown,
    HoldGone,
}

/// A job in the hands of this worker.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) worker: Arc<Worker>,
    pub(super) lease: Lease,
    pub(super) shutdown: Shutdown,
    pub(super) hold: watch::Receiver<Hold>,
}

/// Takes the steps of a job until it ends, is given back, or is lost.
pub(super) async fn run(worker: Arc<Worker>, claim: Claim, shutdown: Shutdown) {
    let Claim { job, lease } = claim;
    let (told, hold) = watch::channel(Hold::Unknown);
    let run = Run { worker, lease, shutdown, hold };
    let billing = run.parts().billing.clone();
    let key = job.key;
    let is_work =
        !matches!(job.stage, Stage::Committing { .. } | Stage::Charging(_) | Stage::Refunding(_));
    let keep_hold = async move {
        if is_work {
            hold::keep(&billing, key, &told).await
        } else {
            std::future::pending::<Infallible>().await
        }
    };

    let lost = tokio::select! {
        biased;
        done = run.steps(job) => done.is_err(),
        () = run.keep_lease() => true,
        never = keep_hold => match never {},
    };
    if lost {
        tracing::warn!("the lease was lost, another worker goes on");
    }
    run.parts().board.forget_position(key);
}

impl Run {
    pub(super) fn parts(&self) -> &Parts {
        &self.worker.parts
    }

    async fn steps(&self, mut job: Job) -> Result<(), Lost> {
        let settling = matches!(
            job.stage,
            Stage::Committing { .. } | Stage::Charging(_) | Stage::Refunding(_)
        );
        if job.attempts > ATTEMPTS_MAX && !settling {
            tracing::error!(attempt = job.attempts, "job is given up: its workers died");
            let why = Failure::new(FailureReason::ProviderFailed, "workers_died");
            job.stage = Stage::Refunding(self.fail_unseen(why).await?);
        }
        loop {
            let next = match &job.stage {
                Stage::Queued => self.submit(&job).await?,
                Stage::Submitting(submission) => self.find(&job, submission).await?,
                Stage::Submitted(submission, request) => {
                    self.follow(&job, submission, request).await?
                }
                Stage::Committing { result, cost, fal_request_id } => {
                    self.commit(&job, result, *cost, fal_request_id).await?
                }
                Stage::Charging(failure) => self.charge(&job, failure).await?,
                Stage::Refunding(failure) => self.refund(&job, failure).await?,
                Stage::Succeeded { .. } | Stage::Failed(_) => return Ok(()),
            };
            match next {
                Next::Stage(stage) => job.stage = stage,
                Next::TakenOver(failed) => {
                    job.stage = Stage::Queued;
                    job.endpoints_failed = failed;
                }
                Next::Done => return Ok(()),
            }
            if self.shutdown.is_requested() {
                self.give_back().await?;
                return Ok(());
            }
        }
    }

    /// Renews the lease until it is lost.
    async fn keep_lease(&self) {
        let Parts { store, settings, .. } = self.parts();
        let mut ends = Instant::now() + settings.lease;
        let mut pause = settings.lease / 3;
        loop {
            sleep(pause).await;
            match store.renew(&self.lease, in_ms(settings.lease)).await {
                Ok(()) => {
                    ends = Instant::now() + settings.lease;
                    pause = settings.lease / 3;
                }
                Err(StoreError::LeaseLost) => return,
                Err(error) => {
                    warn_about_store(error);
                    if Instant::now() >= ends {
                        return;
                    }
                    pause = WRITE_PAUSE;
                }
            }
        }
    }

    /// Stores that there will be no picture: fal.ai is not at work.
    pub(super) async fn fail(&self, why: Failure) -> Result<Failure, Lost> {
        self.fail_until(why, None).await
    }

    /// The same where fal.ai may still be at work: the place is kept for a while, so that there are
    /// never more jobs there than places.
    pub(super) async fn fail_unseen(&self, why: Failure) -> Result<Failure, Lost> {
        self.fail_until(why, Some(in_ms(self.parts().settings.keep_place))).await
    }

    async fn fail_until(&self, why: Failure, place_until: Option<i64>) -> Result<Failure, Lost> {
        durably(|| self.parts().store.refunding(&self.lease, &why, place_until)).await?;
        self.parts().board.tell_work();
        tracing::info!(reason = why.reason.name(), detail = %why.detail, "job has no picture");
        Ok(why)
    }

    /// Gives the job back, for the next process to go on at once.
    pub(super) async fn give_back(&self) -> Result<Next, Lost> {
        durably(|| self.parts().store.give_back(&self.lease)).await?;
        Ok(Next::Done)
    }

    /// Gives the job back, to be tried again after a pause that grows.
    pub(super) async fn put_off(&self, job: &Job) -> Result<Next, Lost> {
        let Parts { store, settings, .. } = self.parts();
        let run_at = in_ms(pause_after(job.tries, settings.pause));
        durably(|| store.put_off(&self.lease, run_at)).await?;
        Ok(Next::Done)
    }

    /// Waits, but not beyond the shutdown or the end of the hold.
    pub(super) async fn wait(&self, pause: Duration) -> Waited {
        let mut hold = self.hold.clone();
        tokio::select! {
            biased;
            () = self.shutdown.requested() => Waited::Shutdown,
            Ok(_) = hold.wait_for(|hold| *hold == Hold::Gone) => Waited::HoldGone,
            () = sleep(pause) => Waited::Time,
        }
    }
}

/// Writes until the database takes it: a step that happened must not be forgotten because the
/// database was away. Ends at the latest when the lease does.
pub(super) async fn durably<T, F>(mut write: impl FnMut() -> F) -> Result<T, Lost>
where
    F: Future<Output = Result<T, StoreError>>,
{
    loop {
        match write().await {
            Ok(value) => return Ok(value),
            Err(StoreError::LeaseLost) => return Err(Lost),
            Err(error) => warn_about_store(error),
        }
        sleep(WRITE_PAUSE).await;
    }
}

fn warn_about_store(error: StoreError) {
    let cause = format!("{:#}", anyhow::Error::new(error));
    tracing::warn!(error.cause = %cause, "a step could not be stored, trying again");
}
