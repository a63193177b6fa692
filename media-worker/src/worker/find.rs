//! A submit whose answer was lost: fal.ai has the work, or not. It is looked for, in fal.ai's history
//! and among the webhooks, and never sent again.

use std::time::Duration;

use crate::clock::{millis, now_ms, until};
use crate::domain::{Failure, FailureReason, Job, Stage, Submission};
use crate::fal::Found;
use crate::settings::pause_after;

use super::run::{Lost, Next, Run, Waited, durably};

impl Run {
    /// `submitting →`.
    pub(super) async fn find(&self, job: &Job, submission: &Submission) -> Result<Next, Lost> {
        let fal = &self.parts().fal;
        for nth in 0..self.parts().settings.find_tries {
            if let Some(looks_before) = nth.checked_sub(1) {
                let pause = pause_after(i64::from(looks_before), self.parts().settings.pause);
                match self.wait_or_hint(job, pause).await {
                    Waited::Time => {}
                    Waited::Shutdown => return self.give_back().await,
                    Waited::HoldGone => return self.not_found(job, submission).await,
                }
            }
            if let Some(next) = self.hinted(job, submission).await? {
                return Ok(next);
            }
            let Some(found) = self.shutdown.until(fal.find(submission)).await else {
                return self.give_back().await;
            };
            match found {
                Found::Request(id) => return self.found((job, submission), id).await,
                Found::NotThere => {}
                Found::NoAnswer(cause) => {
                    tracing::warn!(error.cause = %cause, "fal.ai's history does not answer");
                }
                Found::CannotAsk(code) => {
                    tracing::warn!(http.status = code, "fal.ai's history cannot be asked");
                    break;
                }
            }
        }
        self.await_webhook(job, submission).await
    }

    /// What the history does not know, a webhook may still tell, once the work is done.
    async fn await_webhook(&self, job: &Job, submission: &Submission) -> Result<Next, Lost> {
        if !self.parts().fal.has_webhooks() || submission.webhook_token.is_none() {
            return self.not_found(job, submission).await;
        }
        let ends = submission.at.saturating_add(millis(self.parts().settings.webhook_wait));
        let ends = ends.min(job.deadline_at);
        while now_ms() < ends {
            match self.wait_or_hint(job, until(ends)).await {
                Waited::Time => {}
                Waited::Shutdown => return self.give_back().await,
                Waited::HoldGone => break,
            }
            if let Some(next) = self.hinted(job, submission).await? {
                return Ok(next);
            }
            if self.parts().board.is_hinted(job.key) {
                tracing::warn!("a webhook names no request");
                break;
            }
        }
        self.not_found(job, submission).await
    }

    async fn hinted(&self, job: &Job, submission: &Submission) -> Result<Option<Next>, Lost> {
        if submission.webhook_token.is_none() {
            return Ok(None);
        }
        match durably(|| self.parts().store.hinted_request(job.key)).await? {
            Some(id) => self.found((job, submission), id).await.map(Some),
            None => Ok(None),
        }
    }

    async fn found(
        &self,
        (job, submission): (&Job, &Submission),
        id: String,
    ) -> Result<Next, Lost> {
        let Some(request) = self.parts().fal.rebuilt(&submission.endpoint, id) else {
            tracing::error!("the name of a lost submit cannot be one");
            return self.not_found(job, submission).await;
        };
        durably(|| self.parts().store.submitted(&self.lease, &request)).await?;
        tracing::info!(fal.request_id = %request.id, "a lost submit was found");
        Ok(Next::Stage(Stage::Submitted(submission.clone(), request)))
    }

    async fn not_found(&self, job: &Job, submission: &Submission) -> Result<Next, Lost> {
        tracing::error!(
            operation.r#type = %job.work.mode,
            fal.endpoint = %submission.endpoint,
            "it cannot be known whether fal.ai has the work: refunded, not sent again"
        );
        let why = Failure::new(FailureReason::OutcomeUnknown, "submit_answer_lost");
        Ok(Next::Stage(Stage::Refunding(self.fail_unseen(why).await?)))
    }

    /// Waits for a time, or until a webhook says that the job's request is over.
    pub(super) async fn wait_or_hint(&self, job: &Job, pause: Duration) -> Waited {
        tokio::select! {
            waited = self.wait(pause) => waited,
            () = self.parts().board.hinted(job.key) => Waited::Time,
        }
    }
}
