//! The messages that show how jobs go on.
//!
//! Invariant: after a message was closed it is not edited any more, and before that at most once
//! a second, with the latest text.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use teloxide::types::{ChatId, InlineKeyboardMarkup, MessageId};
use tokio::time::{Instant, sleep_until};

use crate::app::App;
use crate::store::Job;

/// Telegram takes about one message a second in a chat.
const EDIT_EVERY: Duration = Duration::from_secs(1);
/// Messages that are remembered; beyond it those of jobs whose end was never told are forgotten.
const MESSAGES_MAX: usize = 10_000;

/// All status messages that are being edited, by operation.
#[derive(Debug, Default)]
pub struct StatusBoard {
    messages: Mutex<HashMap<String, Arc<Status>>>,
}

#[derive(Debug, Default)]
struct Status {
    wanted: Mutex<Look>,
    is_waiting: AtomicBool,
    shown: tokio::sync::Mutex<Shown>,
}

/// What a status message says, and its buttons.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Look {
    /// HTML.
    pub text: String,
    /// Under it.
    pub keyboard: Option<InlineKeyboardMarkup>,
}

#[derive(Debug, Default)]
struct Shown {
    look: Look,
    is_closed: bool,
    last_edit: Option<Instant>,
}

impl StatusBoard {
    fn of(&self, operation_id: &str) -> Arc<Status> {
        let mut messages = lock(&self.messages);
        if messages.len() >= MESSAGES_MAX {
            messages.clear();
        }
        Arc::clone(messages.entry(operation_id.to_owned()).or_default())
    }

    /// Shows how a job goes on in its status message, soon.
    pub fn show(&self, app: &Arc<App>, job: &Job, look: Look) {
        if job.status_message_id == 0 {
            return;
        }
        let status = self.of(&job.operation_id);
        *lock(&status.wanted) = look;
        if status.is_waiting.swap(true, Ordering::AcqRel) {
            return;
        }
        let (app, chat) = (Arc::clone(app), ChatId(job.chat_id));
        let message = MessageId(job.status_message_id);
        tokio::spawn(async move {
            let mut shown = status.shown.lock().await;
            if let Some(last) = shown.last_edit {
                sleep_until(last + EDIT_EVERY).await;
            }
            status.is_waiting.store(false, Ordering::Release);
            let look = lock(&status.wanted).clone();
            if shown.is_closed || shown.look == look {
                return;
            }
            let edited = app.telegram.edit(chat, message, &look.text, look.keyboard.clone());
            if let Err(error) = edited.await {
                tracing::debug!(error.cause = %error, "status message not edited");
            }
            shown.look = look;
            shown.last_edit = Some(Instant::now());
        });
    }

    /// Takes the status message of a job away, and leaves it alone from then on.
    pub async fn close(&self, app: &App, job: &Job) {
        let status = self.of(&job.operation_id);
        let mut shown = status.shown.lock().await;
        shown.is_closed = true;
        drop(shown);
        lock(&self.messages).remove(&job.operation_id);
        if job.status_message_id == 0 {
            return;
        }
        let (chat, message) = (ChatId(job.chat_id), MessageId(job.status_message_id));
        if let Err(error) = app.telegram.delete(chat, message).await {
            tracing::debug!(error.cause = %error, "status message stays");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
