//! Commit on success, refund on failure: both until billing answers. Only then the job ends.

use proto::billing::v1::{CommitRequest, RefundRequest};
use proto::reason;
use tonic::Status;

use crate::clock::now_ms;
use crate::domain::{Failure, FailureReason, Job, MicroUsd, ResultPicture};

use super::hold::is_gone;
use super::run::{Lost, Next, Run, durably};

impl Run {
    /// `committing →`.
    pub(super) async fn commit(
        &self,
        job: &Job,
        result: &ResultPicture,
        cost: MicroUsd,
        fal_request_id: &str,
    ) -> Result<Next, Lost> {
        let request = CommitRequest {
            user_id: job.key.user.get(),
            operation_id: job.key.operation.to_string(),
            cost_micro_usd: Some(cost.get()),
        };
        match self.parts().billing.commit(request).await {
            Ok(_) => {
                let now = now_ms();
                durably(|| self.parts().store.succeeded(&self.lease, now)).await?;
                tracing::info!(
                    fal.request_id = %fal_request_id,
                    operation.r#type = %job.work.mode,
                    duration_ms = now.saturating_sub(job.created_at),
                    outcome = "succeeded",
                    "job ended, operation committed"
                );
                self.ended(job, "succeeded", now);
                Ok(Next::Done)
            }
            Err(status) if is_gone(&status) => {
                // The user has the money back and was told so: the picture is not delivered.
                let detail = reason::of(&status).unwrap_or_default().to_ascii_lowercase();
                let why = Failure::new(FailureReason::HoldExpired, &detail);
                self.failed(job, &why, fal_request_id, false).await?;
                if let Some(file) = &result.file {
                    self.parts().pictures.remove_result(job.key.user, file).await.ok();
                }
                Ok(Next::Done)
            }
            Err(status) => self.not_settled(job, &status).await,
        }
    }

    /// `charging →`: the operation is committed, though there is no picture.
    pub(super) async fn charge(&self, job: &Job, why: &Failure) -> Result<Next, Lost> {
        let request = CommitRequest {
            user_id: job.key.user.get(),
            operation_id: job.key.operation.to_string(),
            cost_micro_usd: None,
        };
        match self.parts().billing.commit(request).await {
            Ok(_) => {
                self.failed(job, why, "", true).await?;
                Ok(Next::Done)
            }
            // The hold is over, and what was taken is back.
            Err(status) if is_gone(&status) => {
                self.failed(job, why, "", false).await?;
                Ok(Next::Done)
            }
            Err(status) => self.not_settled(job, &status).await,
        }
    }

    /// `refunding →`.
    pub(super) async fn refund(&self, job: &Job, why: &Failure) -> Result<Next, Lost> {
        let request = RefundRequest {
            user_id: job.key.user.get(),
            operation_id: job.key.operation.to_string(),
            reason: why.to_string(),
            ..RefundRequest::default()
        };
        match self.parts().billing.refund(request).await {
            Ok(_) => {
                self.failed(job, why, "", false).await?;
                Ok(Next::Done)
            }
            Err(status) if is_gone(&status) => {
                // Nothing is left to give back. Committed without a picture would be our bug.
                tracing::error!(error.cause = %status, "an operation could not be refunded");
                self.failed(job, why, "", false).await?;
                Ok(Next::Done)
            }
            Err(status) => self.not_settled(job, &status).await,
        }
    }

    async fn failed(
        &self,
        job: &Job,
        why: &Failure,
        fal_request_id: &str,
        is_charged: bool,
    ) -> Result<(), Lost> {
        let now = now_ms();
        durably(|| self.parts().store.failed(&self.lease, why, (is_charged, now))).await?;
        tracing::info!(
            is_charged,
            fal.request_id = %fal_request_id,
            operation.r#type = %job.work.mode,
            duration_ms = now.saturating_sub(job.created_at),
            outcome = why.reason.name(),
            detail = %why.detail,
            "job ended without a picture"
        );
        self.ended(job, why.reason.name(), now);
        Ok(())
    }

    /// Billing is asked again, for ever: the operation must end as the job did.
    async fn not_settled(&self, job: &Job, status: &Status) -> Result<Next, Lost> {
        if proto::client::is_unknown(status) {
            tracing::warn!(error.cause = %status, attempt = job.tries, "billing does not answer, settling later");
        } else {
            tracing::error!(error.cause = %status, attempt = job.tries, "billing refuses to settle, trying again");
        }
        self.put_off(job).await
    }

    fn ended(&self, job: &Job, outcome: &'static str, now: i64) {
        let mode = job.work.mode.name();
        metrics::counter!("jobs_total", "mode" => mode, "outcome" => outcome).increment(1);
        let took = u64::try_from(now.saturating_sub(job.created_at)).unwrap_or(0);
        metrics::histogram!("job_seconds", "mode" => mode)
            .record(std::time::Duration::from_millis(took).as_secs_f64());
        self.parts().board.tell_ended();
    }
}
