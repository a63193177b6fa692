//! How jobs go on, and how they ended: from media-worker to the user.
//!
//! Invariant: a result is acknowledged only after it was sent, or when there is nobody to send it
//! to. Sent, then kept as told, then acknowledged: a crash in between may repeat it, never lose it.

use std::sync::Arc;
use std::time::Duration;

use proto::billing::v1::{GetOperationRequest, OperationState, RefundRequest};
use proto::media::v1::{
    AckResultsRequest, Job as WorkerJob, JobId, JobState as WorkerState, WatchResultsResponse,
    watch_results_response::Update,
};
use proto::reason;
use proto::service::shutdown::Shutdown;
use teloxide::types::ChatId;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::handlers::error::{HandlerError, is_refusal};
use crate::keyboard::{self, AfterResult};
use crate::lent::{self, InHand};
use crate::mode::Mode;
use crate::money::Kopecks;
use crate::paid;
use crate::pictures;
use crate::status::Look;
use crate::store::{Job, JobState};
use crate::telegram::{Outgoing, TelegramError};
use crate::text;
use crate::text::jobs::{Paid, RefusalTerms};
use crate::told;

/// Results that are sent at once: one slow user does not delay the others.
const SENDING_MAX: usize = 64;
/// A result that cannot be sent now is lent to us again; until then it is tried so often.
const TRIES_MAX: u32 = 4;
const PAUSE: Duration = Duration::from_secs(2);
/// Who refunds work that was done and could not be delivered.
const ACTOR: &str = "bot-gateway";

/// Tells users about their jobs until the shutdown.
pub async fn run(app: Arc<App>, shutdown: Shutdown) {
    let in_hand = InHand::default();
    let places = Arc::new(Semaphore::new(SENDING_MAX));
    let tasks = TaskTracker::new();
    let take = |message: WatchResultsResponse| match message.update {
        Some(Update::Ended(job)) => {
            let Some(held) = in_hand.take(job.operation_id.clone()) else { return };
            let (app, places) = (Arc::clone(&app), Arc::clone(&places));
            tasks.spawn(async move {
                let _held = held;
                let _place = places.acquire().await;
                end(&app, &job).await;
            });
        }
        Some(Update::Progress(job)) => {
            let app = Arc::clone(&app);
            tasks.spawn(async move { progress(&app, &job).await });
        }
        None => {}
    };
    lent::watch("results", &shutdown, || app.media.watch_results(), take).await;
    lent::drain("results", tasks).await;
}

async fn progress(app: &Arc<App>, job: &WorkerJob) {
    let known = match app.store.job(&job.operation_id).await {
        Ok(Some(known)) if known.state != JobState::Ended => known,
        Ok(_) => return,
        Err(error) => {
            tracing::warn!(error.cause = ?error, "job not read");
            return;
        }
    };
    let estimate = job.estimate_seconds.map(i64::from);
    let text = match (job.state(), job.queue_position) {
        // Here, or in the provider's queue.
        (WorkerState::Queued, before) => text::jobs::queued(before.map_or(0, i64::from), estimate),
        (WorkerState::Running, Some(before)) => text::jobs::queued(i64::from(before), estimate),
        (WorkerState::Running, None) => {
            text::jobs::with_estimate(text::jobs::running(known.mode), estimate)
        }
        (WorkerState::Unspecified | WorkerState::Succeeded | WorkerState::Failed, _) => return,
    };
    let keyboard = job.cancellable.then(|| keyboard::cancel_job(&job.operation_id));
    app.statuses.show(app, &known, Look { text, keyboard });
}

async fn end(app: &App, job: &WorkerJob) {
    for number in 1..=TRIES_MAX {
        let error = match deliver(app, job).await {
            Ok(()) => return,
            Err(error) => error,
        };
        tracing::warn!(user.id = job.user_id, operation.id = %job.operation_id,
            error.cause = ?error, number, "result not delivered yet");
        tokio::time::sleep(PAUSE * number).await;
    }
}

async fn deliver(app: &App, job: &WorkerJob) -> Result<(), HandlerError> {
    let key = told::result(&job.operation_id);
    let known = app.store.job(&job.operation_id).await?;
    if !app.store.was_told(&key).await? {
        let told = match job.state() {
            WorkerState::Succeeded => send_result(app, job, known.as_ref()).await,
            WorkerState::Failed => send_failure(app, job, known.as_ref()).await,
            WorkerState::Unspecified | WorkerState::Queued | WorkerState::Running => {
                return Err(HandlerError::Incomplete("WatchResults"));
            }
        };
        match told {
            Ok(()) => tracing::info!(user.id = job.user_id, operation.id = %job.operation_id,
                state = job.state().as_str_name(), "result delivered"),
            Err(HandlerError::Telegram(TelegramError::Gone)) => tracing::info!(
                user.id = job.user_id, operation.id = %job.operation_id, "nobody to deliver to"),
            // What can never be told must not keep the user's later results waiting.
            Err(HandlerError::Telegram(error)) if error.is_final() => tracing::error!(
                user.id = job.user_id, operation.id = %job.operation_id, error.cause = %error,
                "result cannot be told"),
            Err(error) => return Err(error),
        }
        app.store.keep_told(&key).await?;
    }
    if let Some(known) = &known {
        if known.state != JobState::Ended {
            app.statuses.close(app, known).await;
        }
        app.store.job_ended(&known.operation_id).await?;
    }
    let id = JobId { user_id: job.user_id, operation_id: job.operation_id.clone() };
    let answer = app.media.ack_results(AckResultsRequest { jobs: vec![id] }).await;
    answer.map(drop).map_err(HandlerError::of("AckResults"))
}

async fn send_result(app: &App, job: &WorkerJob, known: Option<&Job>) -> Result<(), HandlerError> {
    let chat = ChatId(known.map_or(job.user_id, |known| known.chat_id));
    let mode = Mode::of_job(job.mode()).ok_or(HandlerError::Incomplete("WatchResults"))?;
    let _place = app.outgoing.acquire().await;
    let picture = match pictures::fetch_result(app, job.user_id, &job.operation_id).await {
        Ok(picture) => picture,
        Err(status)
            if matches!(
                reason::of(&status).as_deref(),
                Some(reason::RESULT_NOT_FOUND | reason::JOB_NOT_FOUND)
            ) =>
        {
            tracing::error!(operation.id = %job.operation_id, error.cause = ?status,
                "result is no longer kept");
            let why = "the result was lost before it was delivered";
            return give_back(app, job, chat, (text::jobs::RESULT_LOST, why)).await;
        }
        Err(status) => return Err(HandlerError::of("FetchResult")(status)),
    };
    let paid = paid(app, job, known).await?;
    let mut picture = Outgoing::original(picture);
    picture.is_original_wanted = mode == Mode::Upscale;
    let caption = text::jobs::result(mode, paid);
    let is_remembered = known.is_some_and(|known| !known.request.is_empty());
    let after = AfterResult {
        mode,
        operation_id: &job.operation_id,
        again: is_remembered.then(|| text::jobs::again_button(paid)),
        is_original: !picture.is_photo(),
    };
    let keyboard = keyboard::after_result(&after);
    match app.telegram.send_picture(chat, &picture, &caption, Some(keyboard)).await {
        Err(error @ TelegramError::Refused(_)) if error.is_final() => {
            tracing::error!(operation.id = %job.operation_id, error.cause = %error,
                "result cannot be sent");
            let why = "telegram did not take the result";
            give_back(app, job, chat, (text::jobs::RESULT_UNSENT, why)).await
        }
        sent => Ok(sent.map(drop)?),
    }
}

/// The work was done and paid, and the user will never see it: the price goes back. What came back
/// is told by billing's event.
async fn give_back(
    app: &App,
    job: &WorkerJob,
    chat: ChatId,
    (said, why): (&str, &str),
) -> Result<(), HandlerError> {
    let request = RefundRequest {
        user_id: job.user_id,
        operation_id: job.operation_id.clone(),
        reason: why.to_owned(),
        actor: ACTOR.to_owned(),
        ..RefundRequest::default()
    };
    app.billing.refund(request).await.map_err(HandlerError::of("Refund"))?;
    tracing::info!(user.id = job.user_id, operation.id = %job.operation_id, "operation refunded");
    app.telegram.send(chat, said, Some(keyboard::menu())).await?;
    Ok(())
}

async fn send_failure(app: &App, job: &WorkerJob, known: Option<&Job>) -> Result<(), HandlerError> {
    let chat = ChatId(known.map_or(job.user_id, |known| known.chat_id));
    // Where the hold ran out first, the user may have been told already what came back.
    let key = told::came_back(&job.operation_id);
    if app.store.was_told(&key).await? {
        return Ok(());
    }
    let paid = paid(app, job, known).await?;
    let terms = RefusalTerms { is_charged: job.charged, left: job.refusals_left.map(i64::from) };
    let said = text::jobs::failed(job.failure_reason(), terms, paid);
    app.telegram.send(chat, &said, Some(keyboard::menu())).await?;
    app.store.keep_told(&key).await?;
    Ok(())
}

/// What paid for a job, as billing tells it; where billing is away, as it told it before.
async fn paid(app: &App, job: &WorkerJob, known: Option<&Job>) -> Result<Paid, HandlerError> {
    let request =
        GetOperationRequest { user_id: job.user_id, operation_id: job.operation_id.clone() };
    let source = match (app.billing.get_operation(request).await, known) {
        (Ok(answer), _) => {
            let operation = answer.operation.ok_or(HandlerError::Incomplete("GetOperation"))?;
            let is_as_expected = match operation.state() {
                OperationState::Committed => job.state() == WorkerState::Succeeded || job.charged,
                OperationState::Refunded | OperationState::Expired => {
                    job.state() == WorkerState::Failed && !job.charged
                }
                OperationState::Unspecified | OperationState::Reserved => false,
            };
            if !is_as_expected {
                tracing::error!(operation.id = %job.operation_id,
                    state = operation.state().as_str_name(), job.state = job.state().as_str_name(),
                    "operation and job do not agree");
            }
            let price = Kopecks::new(operation.price_kopecks);
            paid::source(&operation).filter(|_| is_as_expected).map(|source| (source, price))
        }
        (Err(_status), Some(known)) => Some((known.source, known.price)),
        (Err(status), None) if is_refusal(&status) => None,
        (Err(status), None) => return Err(HandlerError::of("GetOperation")(status)),
    };
    Ok(Paid { source, left: paid::left(app, job.user_id).await })
}
