//! One update being handled: who it is from, what was asked before, and what is asked next.
//!
//! Invariant: the next state is kept here until the handler has succeeded, and is stored when the
//! update is struck off, so that a handler that runs again finds the state it found before.

use std::sync::{Arc, Mutex, PoisonError};

use teloxide::types::{ChatId, InlineKeyboardMarkup, MessageId};

use crate::app::App;
use crate::dialogue::State;
use crate::telegram::{Sent, TelegramError};

/// The conversation that an update belongs to.
#[derive(Clone, Debug)]
pub struct Talk {
    /// What handlers work with.
    pub app: Arc<App>,
    /// Where answers go.
    pub chat: ChatId,
    /// The user's Telegram id.
    pub user_id: i64,
    /// The state that was stored could not be read by this version.
    pub is_forgotten: bool,
    next: Arc<Mutex<Option<State>>>,
}

impl Talk {
    /// A conversation at the begin of an update.
    pub fn new(app: Arc<App>, chat: ChatId, user_id: i64, is_forgotten: bool) -> Self {
        Self { app, chat, user_id, is_forgotten, next: Arc::default() }
    }

    /// Sends an answer.
    pub async fn say(
        &self,
        html: &str,
        keyboard: Option<InlineKeyboardMarkup>,
    ) -> Result<Sent, TelegramError> {
        self.app.telegram.send(self.chat, html, keyboard).await
    }

    /// Changes an answer that was sent before.
    pub async fn change(
        &self,
        message: MessageId,
        html: &str,
        keyboard: Option<InlineKeyboardMarkup>,
    ) -> Result<(), TelegramError> {
        self.app.telegram.edit(self.chat, message, html, keyboard).await
    }

    /// Sets what is asked next.
    pub fn go(&self, state: State) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(state);
    }

    /// What is asked next, if that changes.
    pub fn next(&self) -> Option<State> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
