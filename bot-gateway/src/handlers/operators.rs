//! What operators do in the chat: users, their money, promo codes, sales.
//!
//! Invariant: each write has the operator's Telegram id as its actor, a reason that the operator
//! wrote, and a key that follows from the message.

use prost_types::Timestamp;
use proto::billing::v1 as wire;
use proto::reason;
use teloxide::types::Message;
use time::{Duration, OffsetDateTime};
use tonic::Status;

use crate::dialogue::intent;
use crate::money::Kopecks;
use crate::moscow;
use crate::operators::{
    read_adjustment, read_grant, read_offer, read_refund, read_stop, read_user,
};
use crate::statement;
use crate::talk::Talk;
use crate::telegram::Attachment;
use crate::text;
use crate::text::operators::{NO_CODES, NO_SALES, NO_USER, TOO_MUCH, USAGE};
use crate::xlsx;

use super::error::{HandlerError, is_refusal};
use super::history::{SPREADSHEET, send_statement};

/// Lines of a user's statement that are shown.
const LINES_SHOWN: usize = 8;
const USERS_SHOWN: usize = 5;
const CODES_SHOWN: i32 = 30;
const STATS_DAYS: i64 = 7;
const STATS_DAYS_MAX: i64 = 92;
/// Moscow, east of UTC.
const UTC_OFFSET_MINUTES: i32 = 180;

/// Whether the person is an operator.
pub fn is_operator(talk: Talk) -> bool {
    talk.app.admins.contains(talk.user_id)
}

/// Says what operators can do.
pub async fn help(talk: Talk) -> Result<(), HandlerError> {
    say(&talk, text::operators::HELP).await
}

/// Shows users, with the last lines of their statements.
pub async fn user(talk: Talk, arguments: String) -> Result<(), HandlerError> {
    let Some(by) = read_user(&arguments) else { return say(&talk, USAGE).await };
    let found = talk.app.operators.find_user(wire::FindUserRequest { by: Some(by) }).await;
    let accounts = match found {
        Ok(found) => found.accounts,
        Err(status) => return refused(&talk, "FindUser", status).await,
    };
    if accounts.is_empty() {
        return say(&talk, NO_USER).await;
    }
    for account in accounts.iter().take(USERS_SHOWN) {
        let page = statement::page(&talk.app, account.user_id, "").await?;
        let lines = &page.lines[..page.lines.len().min(LINES_SHOWN)];
        let shown = text::history::page_with_operations(lines);
        say(&talk, &format!("{}\n\n{shown}", text::operators::account(account))).await?;
    }
    Ok(())
}

/// Sends a user's statement as a file.
pub async fn ledger(talk: Talk, arguments: String) -> Result<(), HandlerError> {
    let Ok(user_id) = arguments.trim().parse() else { return say(&talk, USAGE).await };
    match send_statement(&talk, user_id, 366).await {
        Err(HandlerError::Refused { source, .. }) if is_refusal(&source) => {
            refused(&talk, "ListStatement", source).await
        }
        sent => sent,
    }
}

/// Gives money or takes it.
pub async fn adjust(talk: Talk, arguments: String, message: Message) -> Result<(), HandlerError> {
    let Some((user_id, amount, reason)) = read_adjustment(&arguments) else {
        return say(&talk, USAGE).await;
    };
    let request = wire::AdjustBalanceRequest {
        user_id,
        amount_kopecks: amount.get(),
        actor: actor(&talk),
        reason: reason.to_owned(),
        idempotency_key: key(&talk, &message),
    };
    match talk.app.operators.adjust_balance(request).await {
        Ok(answer) => {
            tracing::info!(
                operator.id = talk.user_id,
                user.id = user_id,
                amount_kopecks = amount.get(),
                "operator adjusts a balance"
            );
            say(&talk, &text::operators::done(answer.account.as_ref())).await
        }
        Err(status) => refused(&talk, "AdjustBalance", status).await,
    }
}

/// Gives free operations.
pub async fn grant(talk: Talk, arguments: String, message: Message) -> Result<(), HandlerError> {
    let Some((user_id, count, reason)) = read_grant(&arguments) else {
        return say(&talk, USAGE).await;
    };
    let request = wire::GrantFreeOperationsRequest {
        user_id,
        count,
        actor: actor(&talk),
        reason: reason.to_owned(),
        idempotency_key: key(&talk, &message),
    };
    match talk.app.operators.grant_free_operations(request).await {
        Ok(answer) => {
            tracing::info!(
                operator.id = talk.user_id,
                user.id = user_id,
                count,
                "operator grants free operations"
            );
            say(&talk, &text::operators::done(answer.account.as_ref())).await
        }
        Err(status) => refused(&talk, "GrantFreeOperations", status).await,
    }
}

/// Gives back all that is left of what an operation took. The operation is the key.
pub async fn refund(talk: Talk, arguments: String) -> Result<(), HandlerError> {
    let Some((user_id, operation_id, reason)) = read_refund(&arguments) else {
        return say(&talk, USAGE).await;
    };
    let request = wire::RefundRequest {
        user_id,
        operation_id: operation_id.to_owned(),
        reason: reason.to_owned(),
        actor: actor(&talk),
        ..wire::RefundRequest::default()
    };
    match talk.app.billing.refund(request).await {
        Ok(answer) => {
            tracing::info!(
                operator.id = talk.user_id,
                user.id = user_id,
                operation.id = operation_id,
                "operator refunds an operation"
            );
            let operation = answer.operation.ok_or(HandlerError::Incomplete("Refund"))?;
            let refunded = Kopecks::new(operation.refunded_kopecks);
            let price = Kopecks::new(operation.charged_kopecks);
            say(&talk, &text::operators::refunded(refunded, price)).await
        }
        Err(status) => refused(&talk, "Refund", status).await,
    }
}

/// Makes a promo code. The code is the key.
pub async fn promo_new(
    talk: Talk,
    arguments: String,
    message: Message,
) -> Result<(), HandlerError> {
    // Counted from the message, so that a repeat of the update asks for the same code.
    let Some(offer) = read_offer(&arguments, message.date.timestamp()) else {
        return say(&talk, USAGE).await;
    };
    let request = wire::CreatePromoCodeRequest { actor: actor(&talk), ..offer };
    match talk.app.operators.create_promo_code(request).await {
        Ok(answer) => {
            let code = answer.promo_code.ok_or(HandlerError::Incomplete("CreatePromoCode"))?;
            tracing::info!(operator.id = talk.user_id, promo.code = %code.code,
                "operator makes a promo code");
            say(&talk, &text::operators::code(&code)).await
        }
        Err(status) => refused(&talk, "CreatePromoCode", status).await,
    }
}

/// Stops a promo code.
pub async fn promo_stop(talk: Talk, arguments: String) -> Result<(), HandlerError> {
    let Some((code, reason)) = read_stop(&arguments) else { return say(&talk, USAGE).await };
    let (code, reason) = (code.to_owned(), reason.to_owned());
    let request = wire::StopPromoCodeRequest { code, reason, actor: actor(&talk) };
    match talk.app.operators.stop_promo_code(request).await {
        Ok(answer) => {
            let code = answer.promo_code.ok_or(HandlerError::Incomplete("StopPromoCode"))?;
            tracing::info!(operator.id = talk.user_id, promo.code = %code.code,
                "operator stops a promo code");
            say(&talk, &text::operators::code(&code)).await
        }
        Err(status) => refused(&talk, "StopPromoCode", status).await,
    }
}

/// Shows promo codes.
pub async fn promo_list(talk: Talk) -> Result<(), HandlerError> {
    let request = wire::ListPromoCodesRequest { page_size: CODES_SHOWN, page_token: String::new() };
    let answer = talk.app.operators.list_promo_codes(request).await;
    let codes = answer.map_err(HandlerError::of("ListPromoCodes"))?.promo_codes;
    if codes.is_empty() {
        return say(&talk, NO_CODES).await;
    }
    // Reasons may be long: no message is longer than Telegram takes.
    for some in codes.chunks(8) {
        let lines: Vec<_> = some.iter().map(text::operators::code).collect();
        say(&talk, &lines.join("\n")).await?;
    }
    Ok(())
}

/// Shows the sales of the last days.
pub async fn stats(talk: Talk, arguments: String) -> Result<(), HandlerError> {
    let Some((rows, _)) = sales(&talk, &arguments).await? else { return Ok(()) };
    say(&talk, &text::operators::stats(&rows)).await
}

/// Sends the sales of the last days as a file.
pub async fn stats_file(talk: Talk, arguments: String) -> Result<(), HandlerError> {
    let Some((rows, days)) = sales(&talk, &arguments).await? else { return Ok(()) };
    let made = tokio::task::spawn_blocking(move || xlsx::sales(&rows)).await;
    let bytes = made.map_err(|_| HandlerError::Panic)??;
    let today = moscow::date(moscow::now());
    let name = format!("media-lab-sales-{today}-{days}.xlsx");
    let file = Attachment { name, content_type: SPREADSHEET, bytes: bytes.into() };
    talk.app.telegram.send_file(talk.chat, &file, text::operators::SHEET).await?;
    Ok(())
}

/// The rows of so many days, today included; the operator is told where there are none.
async fn sales(
    talk: &Talk,
    arguments: &str,
) -> Result<Option<(Vec<wire::StatsRow>, i64)>, HandlerError> {
    let days = match arguments.trim() {
        "" => Some(STATS_DAYS),
        text => text.parse().ok().filter(|days| (1..=STATS_DAYS_MAX).contains(days)),
    };
    let Some(days) = days else {
        say(talk, USAGE).await?;
        return Ok(None);
    };
    let now = moscow::now();
    let from = moscow::days_before(now, days - 1);
    let moment = |at: OffsetDateTime| Timestamp { seconds: at.unix_timestamp(), nanos: 0 };
    let request = wire::GetStatsRequest {
        from: Some(moment(from)),
        to: Some(moment(now + Duration::seconds(1))),
        utc_offset_minutes: UTC_OFFSET_MINUTES,
        usd_kopecks: None,
    };
    match talk.app.operators.get_stats(request).await {
        Ok(answer) if answer.rows.is_empty() => say(talk, NO_SALES).await.map(|()| None),
        Ok(answer) => Ok(Some((answer.rows, days))),
        Err(status) if reason::of(&status).as_deref() == Some(reason::STATS_TOO_LARGE) => {
            say(talk, TOO_MUCH).await.map(|()| None)
        }
        Err(status) => Err(HandlerError::of("GetStats")(status)),
    }
}

/// Tells the operator why billing refuses.
async fn refused(talk: &Talk, call: &'static str, status: Status) -> Result<(), HandlerError> {
    if !is_refusal(&status) {
        return Err(HandlerError::of(call)(status));
    }
    let why = match reason::of(&status) {
        Some(reason) if reason == reason::USER_NOT_FOUND => return say(talk, NO_USER).await,
        Some(reason) => format!("{reason}: {}", status.message()),
        None => status.message().to_owned(),
    };
    tracing::warn!(operator.id = talk.user_id, call, error.cause = ?status, "operator refused");
    say(talk, &text::operators::refused(&why)).await
}

fn actor(talk: &Talk) -> String {
    format!("telegram:{}", talk.user_id)
}

fn key(talk: &Talk, message: &Message) -> String {
    let intent = intent(talk.chat.0, &format!("message:{}", message.id.0));
    format!("bot:operator:{}", intent.simple())
}

async fn say(talk: &Talk, said: &str) -> Result<(), HandlerError> {
    talk.say(said, None).await?;
    Ok(())
}
