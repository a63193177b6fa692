//! The emulated YooKassa as a whole: its books, its clock, its timers.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use serde::Serialize;
use tokio::sync::Notify;

use super::books::{Books, Event};
use super::{api, checkout, control, notify};
use crate::document::Document;
use crate::faults::{Faults, NotificationFault};
use crate::seen::{Call, Seen, now_ms, timestamp};
use crate::settings::Settings;

/// How often payments and keys are looked at for their end.
const TICK: Duration = Duration::from_millis(250);
/// How late a delayed notification is.
const DELAY_MS: i64 = 10_000;

/// One test shop at YooKassa.
#[derive(Debug)]
pub struct YooKassa {
    pub(super) settings: Arc<Settings>,
    pub(super) faults: Faults,
    pub(super) books: Arc<Document<Books>>,
    pub(super) calls: Seen<Call>,
    pub(super) notifications: Seen<Notification>,
    pub(super) http: reqwest::Client,
    /// Wakes the sender of notifications.
    pub(super) wake: Arc<Notify>,
    /// Deliveries that are being tried now.
    pub(super) flying: Mutex<HashSet<u64>>,
}

/// One try to deliver a notification, or one that the switch lost.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Notification {
    pub(super) event: String,
    pub(super) object_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<u16>,
    pub(super) at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
}

impl YooKassa {
    /// Loads what was, starts the timers.
    ///
    /// # Errors
    /// When the state on disk cannot be read.
    pub fn open(settings: Arc<Settings>, faults: Faults) -> anyhow::Result<Arc<Self>> {
        rustls::crypto::ring::default_provider().install_default().ok();
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(notify::TIMEOUT)
            .build()
            .context("build the client that sends notifications")?;
        let shop = Arc::new(Self {
            books: Document::open(settings.data.join("yookassa.json"))?,
            settings,
            faults,
            calls: Seen::default(),
            notifications: Seen::default(),
            http,
            wake: Arc::new(Notify::new()),
            flying: Mutex::default(),
        });
        tokio::spawn(keep_time(Arc::downgrade(&shop)));
        tokio::spawn(notify::run(Arc::downgrade(&shop), Arc::clone(&shop.wake)));
        Ok(shop)
    }

    /// `/yookassa/v3`, `/checkout`, `/_sandbox/payments` and `/_sandbox/yookassa`.
    pub fn routes(self: &Arc<Self>) -> Router {
        api::routes(self).merge(checkout::routes(self)).merge(control::routes(self))
    }

    /// Whether the shop is one with «Чеки от ЮKassa» from now on.
    pub fn set_receipts(&self, wanted: bool) {
        self.books.write(|books| books.wants_receipts = wanted);
    }

    /// Writes the state now, for a clean end.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn save(&self) -> anyhow::Result<()> {
        self.books.save()
    }

    /// Stores an event's notifications beside the change that caused it, as the switch wants it.
    pub(super) fn announce(&self, books: &mut Books, event: &Event) {
        let now = now_ms() + books.ahead_ms;
        match self.faults.strike_notification() {
            None => books.enqueue(event, now, now),
            Some(NotificationFault::Double) => {
                for _ in 0..3 {
                    books.enqueue(event, now, now);
                }
            }
            Some(NotificationFault::Delay) => books.enqueue(event, now, now + DELAY_MS),
            Some(NotificationFault::Lose) => self.notifications.push(Notification {
                event: event.name.clone(),
                object_id: event.object_id.clone(),
                status: None,
                at: timestamp(now),
                error: Some("lost: the switch `notifications` says `lose`".to_owned()),
            }),
        }
        tracing::info!(event = event.name, object.id = event.object_id, "yookassa event");
        self.wake.notify_one();
    }
}

async fn keep_time(shop: Weak<YooKassa>) {
    loop {
        tokio::time::sleep(TICK).await;
        let Some(shop) = shop.upgrade() else { return };
        if !shop.books.read(|books| books.is_due(now_ms() + books.ahead_ms)) {
            continue;
        }
        shop.books.write(|books| {
            for event in books.tick(now_ms() + books.ahead_ms) {
                shop.announce(books, &event);
            }
        });
    }
}
