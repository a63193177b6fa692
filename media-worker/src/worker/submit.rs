//! From waiting to being at fal.ai: the inputs are uploaded, and one submit is sent.
//!
//! Invariant: `submitting` is stored before the first byte is sent, and a job that is found there
//! is never sent a second time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout;
use uuid::Uuid;

use crate::clock::{in_ms, now_ms, until};
use crate::domain::{Failure, FailureReason, Job, Stage, Submission};
use crate::fal::{Fal, Model, ModelInput, Models, ReadError, SubmitError};
use crate::settings::pause_after;

use super::hold::Hold;
use super::lanes::Parts;
use super::run::{Lost, Next, Run, durably};

/// How long a submit waits to hear that the hold lives. Billing may be away: it was reserved when
/// the job came, so the work begins all the same.
const HOLD_WAIT: Duration = Duration::from_secs(2);

/// How often a storage that does not answer is tried before small pictures are sent without it.
const UPLOAD_TRIES: i64 = 2;

/// Why the inputs are not at fal.ai.
enum UploadError {
    /// Try again later.
    Later(String),
    /// The account is refused.
    Stopped(u16),
    /// Never.
    Failed(Failure),
}

impl Run {
    /// `queued →`.
    pub(super) async fn submit(&self, job: &Job) -> Result<Next, Lost> {
        if now_ms() >= job.deadline_at {
            return self.end_without_picture(FailureReason::TimedOut, "not_begun_in_time").await;
        }
        if self.hold_is_gone().await {
            return self.end_without_picture(FailureReason::HoldExpired, "hold_gone").await;
        }
        let models = Arc::clone(&self.parts().models);
        let Some(model) = self.choose(&models, job) else {
            let reason = FailureReason::ProviderFailed;
            return self.end_without_picture(reason, "model_not_known").await;
        };
        // Every queued job is begun with a place of a key.
        let key_index = job.key_index.unwrap_or(0);
        let Some(uploaded) = self.shutdown.until(self.upload(job, key_index)).await else {
            return self.give_back().await;
        };
        let inputs = match uploaded {
            Ok(inputs) => inputs,
            Err(UploadError::Later(cause)) => {
                tracing::warn!(error.cause = %cause, attempt = job.tries, "inputs not uploaded yet");
                return self.put_off(job).await;
            }
            Err(UploadError::Stopped(code)) => return self.stopped(key_index, code).await,
            Err(UploadError::Failed(why)) => {
                return Ok(Next::Stage(Stage::Refunding(self.fail(why).await?)));
            }
        };
        let submission = Submission {
            endpoint: model.endpoint.clone(),
            key_index,
            body: model.body(&job.work, &inputs, seed()).to_string(),
            webhook_token: self.parts().fal.has_webhooks().then(webhook_token),
            at: now_ms(),
        };
        durably(|| self.parts().store.submitting(&self.lease, &submission)).await?;
        self.send(job, submission).await
    }

    /// The endpoint for a job. One that rests is asked only where no other is left.
    fn choose<'m>(&self, models: &'m Models, job: &Job) -> Option<&'m Model> {
        let mut avoided = self.worker.health.resting(Instant::now());
        avoided.extend_from_slice(&job.endpoints_failed);
        models.next(&job.work, &avoided).or_else(|| models.next(&job.work, &job.endpoints_failed))
    }

    async fn send(&self, job: &Job, submission: Submission) -> Result<Next, Lost> {
        let sent = self.parts().fal.submit(&submission, until(job.deadline_at)).await;
        match sent {
            Ok(request) => {
                self.worker.breaker.works(submission.key_index);
                durably(|| self.parts().store.submitted(&self.lease, &request)).await?;
                tracing::info!(
                    fal.request_id = %request.id,
                    fal.endpoint = %submission.endpoint,
                    operation.r#type = %job.work.mode,
                    "job submitted"
                );
                Ok(Next::Stage(Stage::Submitted(submission, request)))
            }
            Err(SubmitError::NotSent(cause)) => {
                tracing::warn!(error.cause = %cause, attempt = job.tries, "job not taken yet");
                let run_at = in_ms(pause_after(job.tries, self.parts().settings.pause));
                durably(|| self.parts().store.not_submitted(&self.lease, run_at)).await?;
                Ok(Next::Done)
            }
            Err(SubmitError::Stopped(code)) => self.stopped(submission.key_index, code).await,
            // The endpoint is gone, or does not understand us: nothing was taken.
            Err(SubmitError::Refused(why)) if why.reason == FailureReason::ProviderFailed => {
                self.take_over(job, &submission.endpoint, why).await
            }
            Err(SubmitError::Refused(why)) => {
                Ok(Next::Stage(Stage::Refunding(self.fail(why).await?)))
            }
            Err(SubmitError::Unknown(cause)) => {
                tracing::warn!(error.cause = %cause, "the answer to a submit was lost");
                Ok(Next::Stage(Stage::Submitting(submission)))
            }
        }
    }

    /// An endpoint failed a job that was not paid for: the next one takes over, if there is one.
    pub(super) async fn take_over(
        &self,
        job: &Job,
        endpoint: &str,
        why: Failure,
    ) -> Result<Next, Lost> {
        let Parts { store, models, settings, .. } = self.parts();
        self.worker.health.failed(endpoint, Instant::now(), settings.endpoint_rest);
        let mut failed = job.endpoints_failed.clone();
        failed.push(endpoint.to_owned());
        if models.next(&job.work, &failed).is_none() {
            return Ok(Next::Stage(Stage::Refunding(self.fail(why).await?)));
        }
        durably(|| store.take_over(&self.lease, &failed)).await?;
        tracing::warn!(
            fal.endpoint = endpoint,
            reason = why.reason.name(),
            detail = %why.detail,
            "an endpoint failed, the next one takes over"
        );
        let mode = job.work.mode.name();
        metrics::counter!("takeovers_total", "mode" => mode).increment(1);
        Ok(Next::TakenOver(failed))
    }

    /// fal.ai will not work for this key: somebody must look. Nothing was taken, so another key may
    /// do it.
    async fn stopped(&self, key_index: i64, code: u16) -> Result<Next, Lost> {
        let Parts { store, fal, settings, .. } = self.parts();
        tracing::error!(
            http.status = code,
            fal.key_index = key_index,
            "fal.ai refuses the account: key or balance"
        );
        self.worker.breaker.trip(key_index, settings.provider_pause);
        if !self.worker.breaker.usable(fal.keys()).is_empty() {
            durably(|| store.not_submitted(&self.lease, now_ms())).await?;
            self.parts().board.tell_work();
            return Ok(Next::Done);
        }
        let detail = format!("account_refused_http_{code}");
        self.end_without_picture(FailureReason::ProviderLocked, &detail).await
    }

    /// Stores a failure, and goes on to the refund.
    pub(super) async fn end_without_picture(
        &self,
        reason: FailureReason,
        detail: &str,
    ) -> Result<Next, Lost> {
        let why = self.fail(Failure::new(reason, detail)).await?;
        Ok(Next::Stage(Stage::Refunding(why)))
    }

    async fn hold_is_gone(&self) -> bool {
        let mut hold = self.hold.clone();
        let answered = timeout(HOLD_WAIT, hold.wait_for(|hold| *hold != Hold::Unknown)).await;
        matches!(answered, Ok(Ok(hold)) if *hold == Hold::Gone)
    }

    async fn upload(&self, job: &Job, key_index: i64) -> Result<Vec<ModelInput>, UploadError> {
        let Parts { store, pictures, fal, .. } = self.parts();
        let gone = || Failure::new(FailureReason::BadInput, "input_no_longer_kept");
        let mut uploaded = Vec::new();
        for id in &job.work.inputs {
            let input = match store.input(job.key.user, *id).await {
                Ok(Some(input)) => input,
                Ok(None) => return Err(UploadError::Failed(gone())),
                Err(error) => return Err(UploadError::Later(error.to_string())),
            };
            let bytes = match pictures.input(job.key.user, *id).await {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    return Err(UploadError::Failed(gone()));
                }
                Err(error) => return Err(UploadError::Later(error.to_string())),
            };
            let url = match fal.upload(bytes.clone(), &input.content_type, key_index).await {
                // The queue takes small pictures without the storage. It may come back in a moment.
                Err(error) if error.is_refusal() || job.tries >= UPLOAD_TRIES => {
                    Fal::inline(&bytes, &input.content_type).ok_or(error)
                }
                done => done,
            };
            let url = url.map_err(|error| match error {
                ReadError::Retry(cause) => UploadError::Later(cause),
                ReadError::Refused(code @ (401 | 403)) => UploadError::Stopped(code),
                ReadError::Refused(code) => UploadError::Failed(Failure::new(
                    FailureReason::ProviderFailed,
                    &format!("upload_http_{code}"),
                )),
            })?;
            uploaded.push(ModelInput { url, width: input.width, height: input.height });
        }
        Ok(uploaded)
    }
}

/// Every model takes a seed of 31 bits.
fn webhook_token() -> String {
    Uuid::new_v4().simple().to_string()
}

fn seed() -> u32 {
    random() >> 1
}

fn random() -> u32 {
    let [a, b, c, d, ..] = Uuid::new_v4().into_bytes();
    u32::from_le_bytes([a, b, c, d])
}
