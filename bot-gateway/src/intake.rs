//! Takes updates from Telegram by long polling.
//!
//! Invariant: a batch is stored and committed before the next request confirms it, so that an
//! update is at Telegram or in the inbox, and never nowhere.

use std::sync::Arc;
use std::time::Duration;

use proto::service::shutdown::Shutdown;
use serde_json::Value;
use teloxide::types::{Me, Update, UpdateKind};
use tokio::time::{Instant, sleep};

use crate::app::App;
use crate::executor::Executor;
use crate::store::{NO_CHAT, Received, now_ms};
use crate::telegram::{PollError, TelegramError, complete};

const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(64);
const EMPTY_ANSWER_MIN: Duration = Duration::from_millis(200);
/// After a week without updates Telegram numbers them anew: an old offset would skip them.
const OFFSET_LIFE: Duration = Duration::from_secs(6 * 24 * 3600);

/// The token is wrong: nothing can be done but to say so.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error(
    "TELEGRAM_BOT_TOKEN is wrong: Telegram does not know this bot. Take the token from @BotFather, \
     and see that TELEGRAM_API_URL is right"
)]
pub struct WrongToken;

/// Asks Telegram who the bot is, until it answers; `None` at the shutdown.
pub async fn introduce(app: &App, shutdown: &Shutdown) -> Result<Option<Me>, WrongToken> {
    let mut pause = PAUSE;
    loop {
        match shutdown.until(app.telegram.me()).await {
            None => return Ok(None),
            Some(Ok(me)) => return Ok(Some(me)),
            Some(Err(
                TelegramError::Unauthorized
                | TelegramError::Refused(teloxide::ApiError::InvalidToken),
            )) => return Err(WrongToken),
            Some(Err(error)) => {
                tracing::warn!(error.cause = %error, "telegram is away, trying again");
            }
        }
        if shutdown.until(sleep(pause)).await.is_none() {
            return Ok(None);
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Takes updates until the shutdown.
pub async fn run(app: Arc<App>, executor: Executor, shutdown: Shutdown) -> Result<(), WrongToken> {
    if let Err(error) = app.telegram.delete_webhook().await {
        tracing::warn!(error.cause = %error, "webhook not deleted");
    }
    let mut offset = None;
    let mut last_batch = Instant::now();
    let mut last_received_ms = 0;
    let mut pause = PAUSE;
    loop {
        if last_batch.elapsed() > OFFSET_LIFE {
            offset = None;
        }
        let asked = Instant::now();
        let Some(answer) = shutdown.until(app.telegram.updates(offset)).await else {
            return Ok(());
        };
        match answer {
            Ok(batch) if batch.is_empty() => {
                // Telegram holds an empty answer back; who does not is not asked in a busy loop.
                pause = PAUSE;
                let early = EMPTY_ANSWER_MIN.saturating_sub(asked.elapsed());
                if shutdown.until(sleep(early)).await.is_none() {
                    return Ok(());
                }
                continue;
            }
            Ok(batch) => {
                if take(&app, &executor, &batch, &mut last_received_ms).await {
                    pause = PAUSE;
                    last_batch = Instant::now();
                    offset = batch.iter().filter_map(update_id).max().map(|id| id + 1).or(offset);
                    continue;
                }
            }
            Err(PollError::Unauthorized) => return Err(WrongToken),
            Err(error) => pause = react(&app, error, pause).await,
        }
        if shutdown.until(sleep(pause)).await.is_none() {
            return Ok(());
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Says why there are no updates; answers how long to wait before asking again.
async fn react(app: &App, error: PollError, pause: Duration) -> Duration {
    match error {
        PollError::Wait(seconds) => {
            tracing::warn!(seconds, "telegram asks to wait");
            Duration::from_secs(seconds).clamp(PAUSE, PAUSE_MAX)
        }
        PollError::Conflict(description) => {
            tracing::error!(
                description,
                "telegram gives the updates elsewhere: another process polls with this token, or \
                 a webhook is set"
            );
            if let Err(error) = app.telegram.delete_webhook().await {
                tracing::warn!(error.cause = %error, "webhook not deleted");
            }
            pause
        }
        PollError::Away(_) | PollError::Unauthorized => {
            tracing::warn!(error.cause = %error, "no updates, trying again");
            pause
        }
    }
}

/// Stores a batch and hands it on; false if it could not be stored, and is to be asked for again.
async fn take(app: &App, executor: &Executor, batch: &[Value], last_received_ms: &mut i64) -> bool {
    if *last_received_ms == 0 {
        match app.store.last_received_ms().await {
            Ok(latest) => *last_received_ms = latest,
            Err(error) => {
                tracing::error!(error.cause = ?error, "inbox not read");
                return false;
            }
        }
    }
    let received_ms = now_ms().max(*last_received_ms + 1);
    let updates: Vec<_> = batch.iter().filter_map(|update| received(update, received_ms)).collect();
    match app.store.receive(&updates).await {
        Ok(fresh) => {
            *last_received_ms = received_ms;
            metrics::counter!("bot_updates_received_total").increment(fresh.len() as u64);
            for update in fresh {
                executor.add(update);
            }
            true
        }
        Err(error) => {
            tracing::error!(error.cause = ?error, "updates not stored, asking for them again");
            false
        }
    }
}

fn update_id(update: &Value) -> Option<i64> {
    update.get("update_id").and_then(Value::as_i64)
}

fn received(update: &Value, received_ms: i64) -> Option<Received> {
    let Some(update_id) = update_id(update) else {
        tracing::warn!("something without an update_id came, dropped");
        return None;
    };
    let mut update = update.clone();
    complete(&mut update);
    let body = update.to_string();
    // Out of text: teloxide cannot read an update out of a `Value`.
    let parsed = serde_json::from_str::<Update>(&body).ok();
    let chat_id = parsed.as_ref().and_then(|update| {
        if matches!(update.kind, UpdateKind::PreCheckoutQuery(_)) {
            // Telegram waits for its answer: it must not wait behind what the person did before.
            return None;
        }
        let chat = update.chat().map(|chat| chat.id.0);
        chat.or_else(|| i64::try_from(update.from()?.id.0).ok())
    });
    Some(Received { update_id, chat_id: chat_id.unwrap_or(NO_CHAT), body, received_ms })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_update_is_stored_under_its_chat_or_its_user() {
        let user = json!({"id": 7, "is_bot": false, "first_name": "А"});
        let message = json!({
            "message_id": 1, "date": 1, "text": "кот", "from": user,
            "chat": {"id": 8, "type": "private", "first_name": "А"},
        });
        let chat_of = |update: Value| received(&update, 5).map(|update| update.chat_id);

        assert_eq!(chat_of(json!({"update_id": 1, "message": message})), Some(8));
        let press = json!({"id": "1", "from": user, "chat_instance": "1", "data": "menu"});
        assert_eq!(chat_of(json!({"update_id": 2, "callback_query": press})), Some(7));
        assert_eq!(chat_of(json!({"update_id": 3, "something_new": {}})), Some(0));
        let question = json!({
            "id": "1", "from": user, "currency": "XTR", "total_amount": 1, "invoice_payload": "p",
        });
        assert_eq!(chat_of(json!({"update_id": 4, "pre_checkout_query": question})), Some(0));
        assert_eq!(chat_of(json!({"no": "update"})), None);
    }
}
