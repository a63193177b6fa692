//! From being at fal.ai to a stored picture: poll, read the result, fetch, check, store.

use std::time::Duration;

use bytes::Bytes;

use crate::clock::{moscow_day, now_ms, until};
use crate::domain::{
    Failure, FailureReason, FalRequest, Job, JobKey, MicroUsd, ResultPicture, Stage, Submission,
    Units,
};
use crate::fal::{Cancelled, DownloadError, Progress, ReadError, ResultAnswer};
use crate::picture::{BYTES_MAX, Picture};
use crate::settings::pause_after;
use crate::store::RefusalSettled;

use super::run::{Lost, Next, Run, Waited, durably};

/// A request may not be known everywhere at once; after so many refusals in a row it is lost.
const REFUSALS_MAX: u32 = 5;
/// A file may not be everywhere at once either, and a transfer may break off.
const DOWNLOADS_MAX: u32 = 5;
/// A result that is over and cannot be read so often in a row, with pauses of seconds, will not be.
const UNREAD_MAX: u32 = 20;

/// What fal.ai answers about a request that it does not have.
const GONE: u16 = 404;

/// A request that is followed.
struct Followed<'a> {
    job: &'a Job,
    submission: &'a Submission,
    request: &'a FalRequest,
    refusals: u32,
    unread: u32,
}

impl Run {
    /// `submitted →`.
    pub(super) async fn follow(
        &self,
        job: &Job,
        submission: &Submission,
        request: &FalRequest,
    ) -> Result<Next, Lost> {
        let mut it = Followed { job, submission, request, refusals: 0, unread: 0 };
        let (mut pause, pause_max) = self.parts().settings.poll;
        // With webhooks, what nobody has spoken of is looked at rarely: one may be lost.
        let is_told = self.parts().fal.has_webhooks() && submission.webhook_token.is_some();
        let mut is_hinted = !is_told;
        self.parts().board.tell_progress(job, None);
        loop {
            if let Some(next) = self.look(&mut it).await? {
                return Ok(next);
            }
            if now_ms() >= job.deadline_at {
                return self.time_out(&mut it).await;
            }
            let waited = match is_hinted {
                true => self.wait(pause).await,
                false => self.wait_or_hint(job, self.unhinted(job)).await,
            };
            match waited {
                Waited::Time => {}
                Waited::Shutdown => return self.give_back().await,
                Waited::HoldGone => {
                    self.parts().fal.cancel(request, submission.key_index).await;
                    let why = Failure::new(FailureReason::HoldExpired, "hold_gone");
                    return Ok(Next::Stage(Stage::Refunding(self.fail_unseen(why).await?)));
                }
            }
            if is_hinted {
                pause = (pause * 5 / 4).min(pause_max);
            }
            is_hinted |= self.parts().board.is_hinted(job.key);
        }
    }

    /// How long what no webhook has spoken of is left alone.
    fn unhinted(&self, job: &Job) -> Duration {
        self.parts().settings.poll_unhinted.min(until(job.deadline_at))
    }

    /// Looks once at where the request stands; `None` means: look again later.
    async fn look(&self, it: &mut Followed<'_>) -> Result<Option<Next>, Lost> {
        let status = self.parts().fal.status(it.request, it.submission.key_index).await;
        match status {
            Ok(Progress::Completed(failed)) => self.take_result(it, failed).await,
            Ok(Progress::InQueue(position)) => {
                it.refusals = 0;
                self.parts().board.tell_progress(it.job, position);
                Ok(None)
            }
            Ok(Progress::InProgress) => {
                it.refusals = 0;
                self.parts().board.tell_progress(it.job, None);
                Ok(None)
            }
            Err(error) => self.not_answered(it, error).await,
        }
    }

    /// Takes the result of what is over; `failed` is what the status said went wrong, if it did.
    async fn take_result(
        &self,
        it: &mut Followed<'_>,
        failed: Option<Failure>,
    ) -> Result<Option<Next>, Lost> {
        let result = self.parts().fal.result(it.request, it.submission.key_index).await;
        let why = match (result, failed) {
            (Ok(ResultAnswer::Picture { url, units }), _) => {
                return self.keep(it, &url, units).await.map(Some);
            }
            (Ok(ResultAnswer::Failed { why, is_unpaid: true }), _) if is_providers(&why) => {
                tracing::info!(fal.request_id = %it.request.id, "fal.ai failed, unpaid");
                return self.fail_over(it, why).await.map(Some);
            }
            (Ok(ResultAnswer::Failed { why, .. }), _) => why,
            (Ok(ResultAnswer::NotYet) | Err(_), Some(why)) => why,
            (Ok(ResultAnswer::NotYet), None) => return Ok(None),
            (Err(ReadError::Retry(cause)), None) if it.unread >= UNREAD_MAX => {
                tracing::error!(error.cause = %cause, fal.request_id = %it.request.id, "the result cannot be read");
                Failure::new(FailureReason::ProviderFailed, "result_not_readable")
            }
            (Err(error), None) => {
                it.unread += 1;
                return self.not_answered(it, error).await;
            }
        };
        self.end(it, why).await.map(Some)
    }

    /// The provider failed, and nothing has to be paid: another endpoint may do it.
    async fn fail_over(&self, it: &Followed<'_>, why: Failure) -> Result<Next, Lost> {
        let store = &self.parts().store;
        let is_cancelled = durably(|| store.is_cancel_asked(it.job.key)).await?;
        if is_cancelled || now_ms() >= it.job.deadline_at {
            return self.end(it, why).await;
        }
        self.take_over(it.job, &it.submission.endpoint, why).await
    }

    /// fal.ai is done, and there is no picture: cancelled by the user, refused, or failed.
    async fn end(&self, it: &Followed<'_>, why: Failure) -> Result<Next, Lost> {
        tracing::info!(fal.request_id = %it.request.id, "fal.ai ended without a picture");
        let store = &self.parts().store;
        // A wish to cancel explains what looks like a failure of fal.ai. A refusal stays one, or
        // whoever asks for the end of each job would never have a refusal counted.
        if is_providers(&why) && durably(|| store.is_cancel_asked(it.job.key)).await? {
            return self.end_without_picture(FailureReason::Cancelled, "").await;
        }
        if why.reason != FailureReason::ContentRefused {
            return Ok(Next::Stage(Stage::Refunding(self.fail(why).await?)));
        }
        let day = moscow_day(now_ms());
        let max = self.parts().settings.refusals_per_day;
        let settled = durably(|| store.refuse(&self.lease, &why, (&day, max))).await?;
        self.parts().board.tell_work();
        let settled_how = match settled {
            RefusalSettled::GivenBack { .. } => "given_back",
            RefusalSettled::Charged => "charged",
        };
        metrics::counter!("refusals_total", "settled" => settled_how).increment(1);
        tracing::info!(detail = %why.detail, settled = settled_how, "content refused");
        Ok(Next::Stage(match settled {
            RefusalSettled::GivenBack { .. } => Stage::Refunding(why),
            RefusalSettled::Charged => Stage::Charging(why),
        }))
    }

    async fn not_answered(
        &self,
        it: &mut Followed<'_>,
        error: ReadError,
    ) -> Result<Option<Next>, Lost> {
        match error {
            ReadError::Retry(cause) => {
                tracing::warn!(error.cause = %cause, fal.request_id = %it.request.id, "fal.ai does not answer");
                Ok(None)
            }
            ReadError::Refused(code) => {
                it.refusals += 1;
                let store = &self.parts().store;
                // What was cancelled while it waited is gone without a trace.
                if code == GONE && durably(|| store.is_cancel_asked(it.job.key)).await? {
                    let reason = FailureReason::Cancelled;
                    return self.end_without_picture(reason, "").await.map(Some);
                }
                if it.refusals < REFUSALS_MAX {
                    return Ok(None);
                }
                tracing::error!(http.status = code, fal.request_id = %it.request.id, "fal.ai lost the request");
                let detail = format!("request_lost_http_{code}");
                let why = Failure::new(FailureReason::ProviderFailed, &detail);
                Ok(Some(Next::Stage(Stage::Refunding(self.fail_unseen(why).await?))))
            }
        }
    }

    /// Too old: cancelled, unless it was done at this very moment.
    async fn time_out(&self, it: &mut Followed<'_>) -> Result<Next, Lost> {
        let cancelled = self.parts().fal.cancel(it.request, it.submission.key_index).await;
        if cancelled == Cancelled::AlreadyCompleted
            && let Some(next) = self.take_result(it, None).await?
        {
            return Ok(next);
        }
        let why = Failure::new(FailureReason::TimedOut, "not_done_in_time");
        Ok(Next::Stage(Stage::Refunding(self.fail_unseen(why).await?)))
    }

    /// Fetches, checks and stores what was made.
    async fn keep(&self, it: &Followed<'_>, url: &str, units: Option<Units>) -> Result<Next, Lost> {
        let mut tries = 0;
        let (picture, bytes) = loop {
            let Some(fetched) = self.shutdown.until(self.fetch(url)).await else {
                return self.give_back().await;
            };
            tries += 1;
            let (problem, is_final) = match fetched {
                Ok(fetched) => break fetched,
                Err(DownloadError::Retry(cause)) => {
                    tracing::warn!(error.cause = %cause, fal.request_id = %it.request.id, "result not fetched yet");
                    ("result_not_fetched", false)
                }
                Err(DownloadError::Unusable(problem)) => (problem, true),
            };
            if is_final || tries >= DOWNLOADS_MAX {
                let reason = FailureReason::ProviderFailed;
                return self.end_without_picture(reason, problem).await;
            }
            let pause = pause_after(i64::from(tries), self.parts().settings.poll);
            if self.wait(pause).await == Waited::Shutdown {
                return self.give_back().await;
            }
        };
        self.worker.health.works(&it.submission.endpoint);
        let cost = self.cost(it, units, &picture);
        let Some(result) = self.store_picture(it.job.key, &picture, bytes).await else {
            // fal keeps it for a while, so it can be fetched again when the disk has recovered.
            if now_ms() >= it.job.deadline_at {
                let reason = FailureReason::ProviderFailed;
                return self.end_without_picture(reason, "result_not_stored").await;
            }
            return self.put_off(it.job).await;
        };
        durably(|| self.parts().store.committing(&self.lease, &result, cost)).await?;
        self.parts().board.took(it.job.work.mode, now_ms().saturating_sub(it.submission.at));
        self.parts().board.tell_work();
        tracing::info!(
            fal.request_id = %it.request.id,
            cost_micro_usd = cost.get(),
            size_bytes = result.size,
            "result stored"
        );
        Ok(Next::Stage(Stage::Committing { result, cost, fal_request_id: it.request.id.clone() }))
    }

    async fn fetch(&self, url: &str) -> Result<(Picture, Bytes), DownloadError> {
        let bytes = self.parts().fal.download(url, BYTES_MAX).await?;
        match self.parts().inspector.inspect(bytes.clone()).await {
            Ok(Ok(picture)) => Ok((picture, bytes)),
            // A file that broke off looks like this as well.
            Ok(Err(error)) => Err(DownloadError::Retry(error.to_string())),
            Err(error) => Err(DownloadError::Retry(error.to_string())),
        }
    }

    fn cost(&self, it: &Followed<'_>, units: Option<Units>, picture: &Picture) -> MicroUsd {
        let model = self.parts().models.of_endpoint(it.job.work.mode, &it.submission.endpoint);
        model.map_or(MicroUsd::new(0), |model| model.cost(units, picture.width, picture.height))
    }

    async fn store_picture(
        &self,
        key: JobKey,
        picture: &Picture,
        bytes: Bytes,
    ) -> Option<ResultPicture> {
        let size = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        match self.parts().pictures.put_result(key, bytes).await {
            Ok(file) => Some(ResultPicture {
                file: Some(file),
                content_type: picture.format.content_type().to_owned(),
                size,
                width: i64::from(picture.width),
                height: i64::from(picture.height),
            }),
            Err(error) => {
                tracing::error!(error.cause = %error, "a result could not be stored");
                None
            }
        }
    }
}

/// Whether a failure is the endpoint's own, so that another may do better.
fn is_providers(why: &Failure) -> bool {
    matches!(why.reason, FailureReason::ProviderFailed | FailureReason::Overloaded)
}
