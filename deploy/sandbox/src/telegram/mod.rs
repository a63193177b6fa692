//! Telegram: the Bot API of one bot at `/telegram`, and a person who plays its users.
//!
//! Read [`state`] first, then [`api`] (which method goes where) and [`play`] (the users' side).
//! Strict where Telegram is strict, with its words, because a bot that passes here must pass there.

mod error;
mod params;
mod entities;
mod html;
mod keyboard;
mod state;
mod pictures;
mod files;
mod wire;
mod updates;
mod webhook;
mod send;
mod edit;
mod stars;
mod profile;
mod api;
mod play;
mod chat;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::Router;
use serde::Serialize;
use time::OffsetDateTime;
use tokio::sync::watch;

use crate::document::Document;
use crate::faults::Faults;
use crate::seen::{Seen, now_ms, timestamp};
use crate::settings::Settings;

use state::State;

/// How long a chat action is shown.
const ACTION_SHOWN: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Telegram gives a webhook so long to answer.
const HTTP_TIMEOUT: Duration = Duration::from_secs(60);

/// The Telegram emulator.
pub struct Telegram {
    settings: Arc<Settings>,
    faults: Faults,
    bot_id: i64,
    folder: PathBuf,
    state: Arc<Document<State>>,
    http: reqwest::Client,
    /// Something may be ready for the bot, or the webhook has changed.
    arrivals: watch::Sender<()>,
    /// Something has changed that a chat page shows.
    changes: watch::Sender<()>,
    /// Whose turn it is to poll: a newer poll ends an older one.
    turns: watch::Sender<u64>,
    /// How many polls wait, and when the last one ended.
    polls: Mutex<Polls>,
    seen: Seen<Call>,
    /// By chat: what the bot is doing, and since when.
    actions: Mutex<HashMap<i64, (String, Instant)>>,
}

#[derive(Debug, Default)]
struct Polls {
    waiting: usize,
    last: Option<Instant>,
}

/// One call of the Bot API: never its contents.
#[derive(Clone, Debug, Serialize)]
struct Call {
    method: String,
    at: String,
    status: u16,
}

impl fmt::Debug for Telegram {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Telegram").field("bot_id", &self.bot_id).finish_non_exhaustive()
    }
}

impl Telegram {
    /// Loads what was kept and begins to deliver updates; must be called inside a runtime.
    ///
    /// # Errors
    /// When the data folder cannot be read, or the bot's token does not look like one.
    pub fn open(settings: Arc<Settings>, faults: Faults) -> anyhow::Result<Arc<Self>> {
        let bot_id = settings
            .bot_token
            .split_once(':')
            .and_then(|(id, _)| id.parse().ok())
            .context("a bot's token looks like 4242424242:secret")?;
        rustls::crypto::ring::default_provider().install_default().ok();
        let folder = settings.data.join("telegram");
        let telegram = Arc::new(Self {
            state: Document::open(folder.join("state.json"))?,
            settings,
            faults,
            bot_id,
            folder,
            http: reqwest::Client::builder()
                .user_agent("TelegramBot (like TwitterBot)")
                .connect_timeout(CONNECT_TIMEOUT)
                .timeout(HTTP_TIMEOUT)
                .build()
                .context("set up the client for pictures by URL")?,
            arrivals: watch::channel(()).0,
            changes: watch::channel(()).0,
            turns: watch::channel(0).0,
            polls: Mutex::default(),
            seen: Seen::default(),
            actions: Mutex::default(),
        });
        webhook::start(&telegram);
        Ok(telegram)
    }

    /// The Bot API at `/telegram`, the users' side at `/_sandbox/telegram`.
    pub fn routes(self: &Arc<Self>) -> Router {
        let played = play::routes(self).merge(stars::routes(self)).merge(chat::routes(self));
        api::routes(self).merge(played)
    }

    /// Writes the state now, for a clean end.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn save(&self) -> anyhow::Result<()> {
        self.state.save()
    }

    fn saw(&self, method: &str, status: u16) {
        self.seen.push(Call { method: method.to_owned(), at: timestamp(now_ms()), status });
    }

    /// What the bot is doing in a chat right now.
    fn action(&self, chat_id: i64) -> Option<String> {
        let actions = self.actions.lock().unwrap_or_else(PoisonError::into_inner);
        let (action, since) = actions.get(&chat_id)?;
        (since.elapsed() < ACTION_SHOWN).then(|| action.clone())
    }

    fn set_action(&self, chat_id: i64, action: Option<&str>) {
        let mut actions = self.actions.lock().unwrap_or_else(PoisonError::into_inner);
        match action {
            Some(action) => actions.insert(chat_id, (action.to_owned(), Instant::now())),
            None => actions.remove(&chat_id),
        };
    }
}

/// Seconds, as Telegram writes dates.
fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}
