//! Asking for updates. They stay as Telegram sent them: what this version cannot read is not lost.

use serde::Deserialize;
use serde_json::{Value, json};

use super::calls::Telegram;

/// Long polling: Telegram answers at once when there is an update, else after this time. Shorter
/// than the client's own 17 s.
const POLL_SECONDS: u32 = 10;
const BATCH_MAX: u32 = 100;
const KINDS: [&str; 3] = ["message", "callback_query", "my_chat_member"];

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

#[derive(Debug, Deserialize)]
struct Answer {
    ok: bool,
    #[serde(default)]
    result: Vec<Value>,
    #[serde(default)]
    error_code: u16,
    #[serde(default)]
    description: String,
    #[serde(default)]
    parameters: Option<Parameters>,
}

#[derive(Debug, Deserialize)]
struct Parameters {
    retry_after: Option<u64>,
}

impl Telegram {
    /// Waits for updates from `offset` on, which confirms those before it.
    pub async fn updates(&self, offset: Option<i64>) -> Result<Vec<Value>, PollError> {
        let mut query =
            json!({ "timeout": POLL_SECONDS, "limit": BATCH_MAX, "allowed_updates": KINDS });
        if let Some(offset) = offset {
            query["offset"] = offset.into();
        }
        let base = self.quick.api_url();
        let base = base.as_str().trim_end_matches('/');
        let answer = self
            .quick
            .client()
            .post(format!("{base}/bot{}/GetUpdates", self.token()))
            .json(&query)
            .send()
            .await
            .map_err(|error| PollError::Away(self.redacted(&error)))?;
        let status = answer.status().as_u16();
        let body = answer.bytes().await.map_err(|error| PollError::Away(self.redacted(&error)))?;
        let answer: Answer = serde_json::from_slice(&body)
            .map_err(|_| PollError::Away(format!("answer {status} cannot be read")))?;
        if answer.ok {
            return Ok(answer.result);
        }
        let code = if answer.error_code == 0 { status } else { answer.error_code };
        Err(match code {
            401 => PollError::Unauthorized,
            409 => PollError::Conflict(answer.description),
            429 => PollError::Wait(answer.parameters.and_then(|p| p.retry_after).unwrap_or(1)),
            _ => PollError::Away(format!("{code} {}", answer.description)),
        })
    }
}
