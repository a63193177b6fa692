//! What happened to a user's money and was not asked for by the bot: from billing to the user.
//!
//! Invariant: as for results, told, then kept as told, then acknowledged.

use std::sync::Arc;
use std::time::Duration;

use proto::billing::v1::event::What;
use proto::billing::v1::{
    AckEventsRequest, Event, EventId, Operation, OperationState, TopUp, TopUpSettled,
    WatchEventsResponse,
};
use proto::service::shutdown::Shutdown;
use teloxide::types::{ChatId, InlineKeyboardMarkup, MessageId};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::handlers::error::HandlerError;
use crate::handlers::{modes, referrals};
use crate::keyboard;
use crate::lent::{self, InHand};
use crate::money::Kopecks;
use crate::paid;
use crate::store::JobState;
use crate::telegram::TelegramError;
use crate::text;
use crate::text::jobs::Paid;
use crate::told;

/// Our name among the consumers of events.
const CONSUMER: &str = "bot";
const TELLING_MAX: usize = 64;
const TRIES_MAX: u32 = 4;
const PAUSE: Duration = Duration::from_secs(2);

/// Tells users about their money until the shutdown.
pub async fn run(app: Arc<App>, shutdown: Shutdown) {
    let in_hand = InHand::default();
    let places = Arc::new(Semaphore::new(TELLING_MAX));
    let tasks = TaskTracker::new();
    let take = |message: WatchEventsResponse| {
        let Some(event) = message.event else { return };
        let Some(held) = in_hand.take((event.user_id, event.number)) else { return };
        let (app, places) = (Arc::clone(&app), Arc::clone(&places));
        tasks.spawn(async move {
            let _held = held;
            let _place = places.acquire().await;
            deal_with(&app, &event).await;
        });
    };
    lent::watch("events", &shutdown, || app.billing.watch_events(CONSUMER), take).await;
    lent::drain("events", tasks).await;
}

async fn deal_with(app: &App, event: &Event) {
    for number in 1..=TRIES_MAX {
        let error = match deliver(app, event).await {
            Ok(()) => return,
            Err(error) => error,
        };
        tracing::warn!(user.id = event.user_id, event.number, error.cause = ?error, number,
            "event not told yet");
        tokio::time::sleep(PAUSE * number).await;
    }
}

async fn deliver(app: &App, event: &Event) -> Result<(), HandlerError> {
    if let Some(What::TopUpSettled(TopUpSettled { top_up: Some(top_up), .. })) = &event.what {
        referrals::reward(app, event.user_id, top_up).await?;
    }
    let key = told::event(event.user_id, event.number);
    if !app.store.was_told(&key).await? {
        match tell(app, event).await {
            Ok(()) => {
                tracing::info!(user.id = event.user_id, event.number, "event told");
            }
            Err(HandlerError::Telegram(TelegramError::Gone)) => {
                tracing::info!(user.id = event.user_id, event.number, "nobody to tell");
            }
            // What can never be told must not keep the user's later events waiting.
            Err(HandlerError::Telegram(error)) if error.is_final() => {
                tracing::error!(user.id = event.user_id, event.number, error.cause = %error,
                    "event cannot be told");
            }
            Err(error) => return Err(error),
        }
        app.store.keep_told(&key).await?;
    }
    let id = EventId { user_id: event.user_id, number: event.number };
    let request = AckEventsRequest { consumer: CONSUMER.to_owned(), events: vec![id] };
    let answer = app.billing.ack_events(request).await;
    answer.map(drop).map_err(HandlerError::of("AckEvents"))
}

async fn tell(app: &App, event: &Event) -> Result<(), HandlerError> {
    match &event.what {
        Some(What::TopUpSettled(settled)) => tell_top_up(app, event.user_id, settled).await,
        Some(What::TopUpCancelled(cancelled)) => {
            let Some(top_up) = &cancelled.top_up else { return Ok(()) };
            tell_cancelled(app, event.user_id, top_up).await
        }
        Some(What::OperationExpired(expired)) => {
            let Some(operation) = &expired.operation else { return Ok(()) };
            tell_expired(app, operation).await
        }
        Some(What::OperationRefunded(refunded)) => {
            let Some(operation) = &refunded.operation else { return Ok(()) };
            let paid = paid(app, operation).await;
            let said = if operation.state() == OperationState::Refunded {
                text::jobs::refunded(paid)
            } else {
                text::jobs::refunded_in_part(Kopecks::new(refunded.refunded_kopecks), paid.left)
            };
            app.telegram.send(ChatId(operation.user_id), &said, Some(keyboard::menu())).await?;
            Ok(())
        }
        Some(What::OperationCommittedLate(committed)) => {
            let Some(operation) = &committed.operation else { return Ok(()) };
            let said = text::jobs::committed_late(paid(app, operation).await);
            app.telegram.send(ChatId(operation.user_id), &said, None).await?;
            Ok(())
        }
        Some(What::TopUpReversed(reversed)) => {
            let said = text::payments::reversed(
                Kopecks::new(reversed.reversed_kopecks),
                Kopecks::new(reversed.balance_after_kopecks),
            );
            app.telegram.send(ChatId(event.user_id), &said, Some(keyboard::menu())).await?;
            Ok(())
        }
        Some(What::BalanceAdjusted(adjusted)) => {
            let said = text::payments::adjusted(
                Kopecks::new(adjusted.amount_kopecks),
                Kopecks::new(adjusted.balance_after_kopecks),
            );
            app.telegram.send(ChatId(event.user_id), &said, Some(keyboard::menu())).await?;
            Ok(())
        }
        Some(What::FreeOperationsGranted(granted)) => {
            let said = text::payments::granted(granted.count);
            app.telegram.send(ChatId(event.user_id), &said, Some(keyboard::menu())).await?;
            Ok(())
        }
        // An event of a later version: nothing that this one could say.
        None => Ok(()),
    }
}

/// Below the news of a top-up: the way to go on with what waited for the money, or the menu.
pub async fn with_interrupted(
    app: &App,
    chat: ChatId,
    said: String,
) -> (String, InlineKeyboardMarkup) {
    match modes::interrupted(app, chat).await {
        Some(ready) => {
            let said = format!("{said}\n\n{}", text::payments::interrupted(ready.draft.mode));
            (said, keyboard::start(ready.draft.id, ready.draft.price))
        }
        None => (said, keyboard::menu()),
    }
}

async fn tell_top_up(app: &App, user_id: i64, settled: &TopUpSettled) -> Result<(), HandlerError> {
    let Some(top_up) = &settled.top_up else { return Ok(()) };
    let chat = ChatId(user_id);
    let key = told::top_up(&top_up.top_up_id);
    if !app.store.was_told(&key).await? {
        let said = text::payments::settled(
            Kopecks::new(top_up.credited_kopecks),
            Some(Kopecks::new(settled.balance_after_kopecks)),
        );
        let (said, keyboard) = with_interrupted(app, chat, said).await;
        app.telegram.send(chat, &said, Some(keyboard)).await?;
        app.store.keep_told(&key).await?;
    }
    // What is paid cannot be paid again.
    if let Some(message) = app.store.top_up_message(&top_up.top_up_id).await?
        && let Err(error) = app.telegram.remove_buttons(chat, MessageId(message)).await
    {
        tracing::debug!(error.cause = %error, "buttons of a paid link stay");
    }
    Ok(())
}

/// Why a payment came to nothing, unless the user asked and was told. A link that nobody paid is
/// no news: its message says that it is of no use any more.
async fn tell_cancelled(app: &App, user_id: i64, top_up: &TopUp) -> Result<(), HandlerError> {
    let chat = ChatId(user_id);
    let amount = Kopecks::new(top_up.credited_kopecks);
    let key = told::declined(&top_up.top_up_id);
    let link = app.store.top_up_message(&top_up.top_up_id).await?.map(MessageId);
    let is_news = !text::cancellations::is_unpaid(&top_up.cancel_reason);
    if is_news && !app.store.was_told(&key).await? {
        let said = text::cancellations::declined(amount, &top_up.cancel_reason);
        app.telegram.send(chat, &said, Some(keyboard::amounts())).await?;
        app.store.keep_told(&key).await?;
    }
    if let Some(message) = link {
        let said = text::cancellations::link_over(amount);
        let again = (!is_news).then(keyboard::amounts);
        if let Err(error) = app.telegram.edit(chat, message, &said, again).await {
            tracing::debug!(error.cause = %error, "text of a dead link stays");
        }
    }
    Ok(())
}

async fn tell_expired(app: &App, operation: &Operation) -> Result<(), HandlerError> {
    // Where the job failed first, the user was told already what came back.
    let key = told::came_back(&operation.operation_id);
    if app.store.was_told(&key).await? {
        return Ok(());
    }
    let said = text::jobs::expired(paid(app, operation).await);
    app.telegram.send(ChatId(operation.user_id), &said, Some(keyboard::menu())).await?;
    app.store.keep_told(&key).await?;
    if let Some(job) = app.store.job(&operation.operation_id).await?
        && job.state != JobState::Ended
    {
        app.statuses.close(app, &job).await;
    }
    Ok(())
}

async fn paid(app: &App, operation: &Operation) -> Paid {
    let price = Kopecks::new(operation.price_kopecks);
    Paid {
        source: paid::source(operation).map(|source| (source, price)),
        left: paid::left(app, operation.user_id).await,
    }
}
