//! The one wrapper of the six paid modes: reserve before, refund if the work is refused.
//!
//! Invariant: for one draft there is one operation, and for one operation either SubmitJob or
//! Refund goes on until it is answered, never both: Refund begins only after a refusal, which says
//! that no job was made. The `jobs` table remembers which of the two, so a kill changes nothing.

use proto::billing::v1::{Operation, PaymentSource, RefundRequest, ReserveRequest};
use proto::media::v1::SubmitJobRequest;
use proto::reason;
use serde::{Deserialize, Serialize};
use teloxide::types::{ChatId, MessageId};
use tonic::Status;
use uuid::Uuid;

use crate::account;
use crate::app::App;
use crate::dialogue::{Choices, Draft, Input};
use crate::handlers::error::{HandlerError, is_refusal};
use crate::keyboard;
use crate::money::Kopecks;
use crate::store::{Job, JobState, Source, StoreError, now_ms};
use crate::talk::Talk;
use crate::text;
use crate::text::jobs::{Paid, Refusal};
use crate::told;

/// How long the background leaves a purchase to the handler that has just made it.
const HANDLER_LEASE_MS: i64 = 60_000;
/// The pause between two tries, doubled up to [`PAUSE_MAX_MS`].
const PAUSE_MS: i64 = 1_000;
const PAUSE_MAX_MS: i64 = 30_000;

/// How buying ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// media-worker has the work, or will have it: the draft is used up.
    Started,
    /// The work was refused, what it took came back, and the user was told: the draft is used up.
    Refused,
    /// Nothing was taken: too little money.
    NotEnough { price: Kopecks, balance: Kopecks },
    /// Nothing was taken: the price is higher than the user was told.
    PriceChanged { price: Kopecks },
    /// Nothing was taken: the mode is not in the price list.
    NotSold,
}

/// What SubmitJob needs besides the operation.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Work {
    prompt: String,
    input_ids: Vec<String>,
    #[serde(default)]
    choices: Choices,
}

/// Buys the work of a draft: takes its price, hands the work over, gives the price back if it is
/// refused. Running it again for the same draft is the same purchase.
pub async fn run(talk: &Talk, draft: &Draft, prompt: &str) -> Result<Outcome, HandlerError> {
    let operation = match reserve(talk, draft).await {
        Ok(operation) => operation,
        Err(status) => return not_reserved(draft, status),
    };
    let job = record(talk, draft, prompt, &operation).await?;
    tracing::info!(user.id = job.user_id, operation.id = %job.operation_id,
        mode = job.mode.name(), source = %job.source, "operation reserved");
    carry_on(&talk.app, job).await
}

/// The purchase of a job once more, as a new draft with its description; `None` where it is not
/// remembered any more.
pub fn repeated(job: &Job, id: Uuid) -> Option<(Draft, String)> {
    let work: Work = serde_json::from_str(&job.request).ok()?;
    let mut draft = Draft::new(id, job.mode, job.price);
    draft.inputs = work.input_ids.into_iter().map(Input::of_job).collect();
    draft.choices = work.choices;
    Some((draft, work.prompt))
}

/// Another model is another purchase, even where the first was not answered.
fn key(draft: &Draft) -> String {
    let id = draft.id.simple();
    match draft.choices.model.as_str() {
        "" => format!("bot:draft:{id}"),
        model => format!("bot:draft:{id}:{model}"),
    }
}

async fn reserve(talk: &Talk, draft: &Draft) -> Result<Operation, Status> {
    let request = ReserveRequest {
        user_id: talk.user_id,
        operation_type: draft.mode.name().to_owned(),
        model: draft.choices.model.clone(),
        idempotency_key: key(draft),
        expected_price_kopecks: Some(draft.price.get()),
        ..ReserveRequest::default()
    };
    let mut answer = talk.app.billing.reserve(request.clone()).await;
    if let Err(status) = &answer
        && reason::of(status).as_deref() == Some(reason::USER_NOT_FOUND)
        && account::register(&talk.app, talk.user_id, None).await.is_ok()
    {
        answer = talk.app.billing.reserve(request).await;
    }
    let operation = answer?.operation;
    operation.ok_or_else(|| Status::internal("Reserve was answered without an operation"))
}

fn not_reserved(draft: &Draft, status: Status) -> Result<Outcome, HandlerError> {
    let sum = |key| reason::value(&status, key).and_then(|text| text.parse().ok());
    match reason::of(&status).as_deref() {
        Some(reason::INSUFFICIENT_FUNDS) => Ok(Outcome::NotEnough {
            price: sum("price_kopecks").map_or(draft.price, Kopecks::new),
            balance: Kopecks::new(sum("balance_kopecks").unwrap_or(0)),
        }),
        Some(reason::PRICE_CHANGED) => match sum("price_kopecks") {
            Some(price) => Ok(Outcome::PriceChanged { price: Kopecks::new(price) }),
            None => Err(HandlerError::Incomplete("Reserve")),
        },
        Some(reason::OPERATION_TYPE_NOT_SOLD) => Ok(Outcome::NotSold),
        _ => Err(HandlerError::of("Reserve")(status)),
    }
}

/// Keeps the purchase, with the message that will show how it goes on; or finds it, where the
/// update is handled again.
async fn record(
    talk: &Talk,
    draft: &Draft,
    prompt: &str,
    operation: &Operation,
) -> Result<Job, HandlerError> {
    if let Some(job) = talk.app.store.job(&operation.operation_id).await? {
        return Ok(job);
    }
    let status_message = match talk.say(text::jobs::ACCEPTED, None).await {
        Ok(sent) => sent.map_or(0, |id| id.0),
        Err(error) => {
            // The result will come all the same.
            tracing::warn!(error.cause = %error, "status message not sent");
            0
        }
    };
    let work = Work {
        prompt: prompt.to_owned(),
        input_ids: draft.inputs.iter().map(|input| input.input_id.clone()).collect(),
        choices: draft.choices.clone(),
    };
    let job = Job {
        operation_id: operation.operation_id.clone(),
        user_id: talk.user_id,
        chat_id: talk.chat.0,
        mode: draft.mode,
        source: source(operation).ok_or(HandlerError::Incomplete("Reserve"))?,
        price: Kopecks::new(operation.price_kopecks),
        status_message_id: status_message,
        state: JobState::Submitting,
        request: serde_json::to_string(&work).map_err(StoreError::from)?,
        refusal: String::new(),
        attempts: 0,
    };
    talk.app.store.add_job(&job, now_ms() + HANDLER_LEASE_MS).await?;
    Ok(job)
}

/// Does the next step of a purchase: submits it, or gives its price back. Without an answer it is
/// put off, and done again by [`crate::purchases`].
pub async fn carry_on(app: &App, job: Job) -> Result<Outcome, HandlerError> {
    match job.state {
        JobState::Submitting => submit(app, job).await,
        JobState::Refunding => give_back(app, job).await,
        JobState::Submitted | JobState::Ended => Ok(Outcome::Started),
    }
}

async fn submit(app: &App, mut job: Job) -> Result<Outcome, HandlerError> {
    let work: Work = serde_json::from_str(&job.request)
        .map_err(|_| HandlerError::Store(StoreError::Corrupt("request")))?;
    let request = SubmitJobRequest {
        user_id: job.user_id,
        operation_id: job.operation_id.clone(),
        mode: job.mode.job().map_or(0, i32::from),
        prompt: work.prompt,
        input_ids: work.input_ids,
        model: work.choices.model,
        format: work.choices.format.map_or(0, |format| format.job().into()),
        upscale_factor: work.choices.upscale_factor.unwrap_or(0),
    };
    let status = match app.media.submit_job(request).await {
        Ok(_answer) => {
            app.store.job_submitted(&job.operation_id).await?;
            tracing::info!(user.id = job.user_id, operation.id = %job.operation_id, "job submitted");
            return Ok(Outcome::Started);
        }
        Err(status) => status,
    };
    let reason = reason::of(&status);
    if reason.as_deref() == Some(reason::IDEMPOTENCY_KEY_REUSED) {
        // There is a job: what it was told first stands.
        tracing::error!(operation.id = %job.operation_id, error.cause = ?status,
            "job was submitted with something else before");
        app.store.job_submitted(&job.operation_id).await?;
        return Ok(Outcome::Started);
    }
    if !is_refusal(&status) {
        tracing::warn!(operation.id = %job.operation_id, error.cause = ?status,
            "SubmitJob is not answered, sending it again later");
        put_off(app, &job).await?;
        return Ok(Outcome::Started);
    }
    tracing::warn!(user.id = job.user_id, operation.id = %job.operation_id, error.cause = ?status,
        "job refused");
    job.refusal = reason.unwrap_or_default();
    app.store.job_refused(&job.operation_id, &job.refusal).await?;
    job.state = JobState::Refunding;
    job.attempts = 0;
    give_back(app, job).await
}

/// Gives back what was taken for work that was refused, and tells the user.
async fn give_back(app: &App, job: Job) -> Result<Outcome, HandlerError> {
    let refusal = if job.refusal.is_empty() { "refused" } else { &job.refusal };
    let request = RefundRequest {
        user_id: job.user_id,
        operation_id: job.operation_id.clone(),
        reason: format!("media-worker did not take the job: {refusal}"),
        ..RefundRequest::default()
    };
    match app.billing.refund(request).await {
        Ok(_answer) => {
            tracing::info!(user.id = job.user_id, operation.id = %job.operation_id,
                amount_kopecks = job.price.get(), source = %job.source, "operation refunded");
        }
        Err(status) if is_refusal(&status) => {
            // Only a committed operation is not refunded, and a committed one had a job.
            tracing::error!(operation.id = %job.operation_id, error.cause = ?status,
                "refund refused");
            app.store.job_ended(&job.operation_id).await?;
            return Ok(Outcome::Started);
        }
        Err(status) => {
            tracing::warn!(operation.id = %job.operation_id, error.cause = ?status,
                "Refund is not answered, sending it again later");
            put_off(app, &job).await?;
            return Ok(Outcome::Refused);
        }
    }
    tell_refused(app, &job).await?;
    app.store.job_ended(&job.operation_id).await?;
    Ok(Outcome::Refused)
}

async fn tell_refused(app: &App, job: &Job) -> Result<(), HandlerError> {
    // Where the hold ran out first, the user was told already what came back.
    if app.store.was_told(&told::came_back(&job.operation_id)).await? {
        return Ok(());
    }
    let why = match job.refusal.as_str() {
        reason::INPUT_NOT_FOUND => Refusal::InputsLost,
        reason::PROMPT_TOO_LONG => Refusal::PromptTooLong,
        reason::OPERATION_NOT_RESERVED => Refusal::HoldOver,
        _ => Refusal::Other,
    };
    let chat = ChatId(job.chat_id);
    let said = text::jobs::refused(why, paid(app, job).await);
    match app.telegram.send(chat, &said, Some(keyboard::menu())).await {
        Ok(_) => {}
        Err(error) if error.is_final() => {
            tracing::warn!(operation.id = %job.operation_id, error.cause = %error, "user not told");
        }
        Err(error) => return Err(error.into()),
    }
    app.store.keep_told(&told::came_back(&job.operation_id)).await?;
    if job.status_message_id != 0
        && let Err(error) = app.telegram.delete(chat, MessageId(job.status_message_id)).await
    {
        tracing::debug!(error.cause = %error, "status message stays");
    }
    Ok(())
}

async fn put_off(app: &App, job: &Job) -> Result<(), HandlerError> {
    let doublings = job.attempts.clamp(0, 10);
    let pause = (PAUSE_MS << doublings).min(PAUSE_MAX_MS);
    Ok(app.store.put_job_off(&job.operation_id, now_ms() + pause).await?)
}

/// What paid for a purchase, and what is left; a billing that is away leaves the second out.
pub async fn paid(app: &App, job: &Job) -> Paid {
    Paid { source: Some((job.source, job.price)), left: left(app, job.user_id).await }
}

/// Free operations and balance of a user, if billing says.
pub async fn left(app: &App, user_id: i64) -> Option<(i64, Kopecks)> {
    match account::read(app, user_id).await {
        Ok(account) => Some((account.free_operations, Kopecks::new(account.balance_kopecks))),
        Err(error) => {
            tracing::warn!(user.id = user_id, error.cause = ?error, "account not read");
            None
        }
    }
}

/// What paid for an operation.
pub fn source(operation: &Operation) -> Option<Source> {
    match operation.source() {
        PaymentSource::FreeOperation => Some(Source::FreeOperation),
        PaymentSource::Balance => Some(Source::Balance),
        PaymentSource::FreeAccess => Some(Source::FreeAccess),
        PaymentSource::Unspecified => None,
    }
}
