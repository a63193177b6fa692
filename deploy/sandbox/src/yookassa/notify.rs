//! Delivers notifications: exactly 200 is delivered, anything else is tried again for a day.
//!
//! Invariant: a delivery leaves the books only when it was answered with 200, or is a day old. So
//! a restart goes on with what was on its way, and a receiver may see an event more than once.

use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use http::StatusCode;
use tokio::sync::Notify;

use super::books::Delivery;
use super::shop::{Notification, YooKassa};
use crate::seen::{now_ms, timestamp};

/// How long a receiver may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);
/// How often the sender looks whether something is due.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Pause after each failed try, in seconds; the last one repeats. The real ones are not published.
const PAUSES_S: [i64; 8] = [1, 3, 10, 30, 60, 300, 1800, 3600];
/// When YooKassa gives up.
const GIVE_UP_MS: i64 = 86_400_000;

/// Sends what is due until the shop is gone.
pub(super) async fn run(shop: Weak<YooKassa>, wake: Arc<Notify>) {
    loop {
        {
            let Some(shop) = shop.upgrade() else { return };
            for delivery in shop.take_due() {
                tokio::spawn(deliver(Arc::clone(&shop), delivery));
            }
        }
        tokio::select! {
            () = wake.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

async fn deliver(shop: Arc<YooKassa>, delivery: Delivery) {
    let sent = shop.http.post(&shop.settings.webhook_url).json(&delivery.body).send().await;
    let (status, error) = match sent {
        Ok(answer) if answer.status() == StatusCode::OK => (Some(200), None),
        Ok(answer) => {
            (Some(answer.status().as_u16()), Some("not delivered: answer exactly 200".to_owned()))
        }
        Err(error) => (None, Some(format!("not delivered: {}", root_cause(&error)))),
    };
    let delivered = error.is_none();
    tracing::info!(
        event = delivery.event,
        object.id = delivery.object_id,
        http.status = status,
        delivered,
        "yookassa notification"
    );
    shop.settle(&delivery, delivered);
    shop.notifications.push(Notification {
        event: delivery.event,
        object_id: delivery.object_id,
        status,
        at: timestamp(now_ms()),
        error,
    });
}

fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

impl YooKassa {
    /// Deliveries that are due and not on their way; marks them so.
    fn take_due(&self) -> Vec<Delivery> {
        let mut flying = self.flying.lock().unwrap_or_else(PoisonError::into_inner);
        let due: Vec<_> = self.books.read(|books| {
            let now = now_ms() + books.ahead_ms;
            let due =
                |delivery: &&Delivery| delivery.due_ms <= now && !flying.contains(&delivery.id);
            books.deliveries.iter().filter(due).cloned().collect()
        });
        flying.extend(due.iter().map(|delivery| delivery.id));
        due
    }

    fn settle(&self, tried: &Delivery, delivered: bool) {
        self.books.write(|books| {
            let now = now_ms() + books.ahead_ms;
            let pause = PAUSES_S.get(tried.tries).or(PAUSES_S.last()).copied().unwrap_or(1);
            let due_ms = now + pause * 1000;
            let over = delivered || due_ms - tried.born_ms > GIVE_UP_MS;
            if over {
                books.deliveries.retain(|delivery| delivery.id != tried.id);
            } else if let Some(stored) =
                books.deliveries.iter_mut().find(|delivery| delivery.id == tried.id)
            {
                stored.tries += 1;
                stored.due_ms = due_ms;
            }
        });
        self.flying.lock().unwrap_or_else(PoisonError::into_inner).remove(&tried.id);
    }
}
