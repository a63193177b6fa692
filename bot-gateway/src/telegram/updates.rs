//! Asking for updates. They stay as Telegram sent them: what this version cannot read is not lost.

use serde_json::{Value, json};

use super::calls::Telegram;
use super::error::{TelegramError, Verdict};
use super::wire::Told;

/// Long polling: Telegram answers at once when there is an update, else after this time. Shorter
/// than the client's own 17 s.
const POLL_SECONDS: u32 = 10;
const BATCH_MAX: u32 = 100;
const KINDS: [&str; 4] = ["message", "callback_query", "pre_checkout_query", "my_chat_member"];

/// Why there are no updates.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PollError {
    /// The token is wrong.
    #[error("telegram does not know the bot")]
    Unauthorized,
    /// Another process asks for the same bot's updates, or a webhook is set.
    #[error("telegram gives the updates elsewhere: {0}")]
    Conflict(String),
    /// Telegram asks for a pause.
    #[error("telegram asks to wait {0} s")]
    Wait(u64),
    /// Anything else.
    #[error("telegram does not answer: {0}")]
    Away(String),
}

impl Telegram {
    /// Waits for updates from `offset` on, which confirms those before it.
    ///
    /// # Errors
    /// Says why there are none, and for how long to leave Telegram alone.
    pub async fn updates(&self, offset: Option<i64>) -> Result<Vec<Value>, PollError> {
        let mut query =
            json!({ "timeout": POLL_SECONDS, "limit": BATCH_MAX, "allowed_updates": KINDS });
        if let Some(offset) = offset {
            query["offset"] = offset.into();
        }
        match self.wire.call("getUpdates", Told::Json(query)).await {
            Ok(Value::Array(updates)) => Ok(updates),
            Ok(_) => Err(PollError::Away("the answer is no list of updates".to_owned())),
            Err(Verdict::Wait(time)) => Err(PollError::Wait(time.as_secs())),
            Err(Verdict::Failed(TelegramError::Unauthorized)) => Err(PollError::Unauthorized),
            Err(Verdict::Failed(TelegramError::Conflict(description))) => {
                Err(PollError::Conflict(description))
            }
            Err(Verdict::Failed(error)) => Err(PollError::Away(error.to_string())),
        }
    }
}
