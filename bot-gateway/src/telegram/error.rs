//! How a call to Telegram ends when it is not done.

use std::time::Duration;

use serde_json::Value;
use teloxide::ApiError;

/// Why a call was not done, or may not have been done.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TelegramError {
    /// The user blocked the bot, or is no more.
    #[error("the user cannot be reached")]
    Gone,
    /// Telegram will never take it.
    #[error("telegram refused: {0}")]
    Refused(ApiError),
    /// The token is not known, or no longer.
    #[error("telegram does not know the bot")]
    Unauthorized,
    /// Another process asks for the same bot's updates, or a webhook is set.
    #[error("telegram gives the updates elsewhere: {0}")]
    Conflict(String),
    /// It may have been done.
    #[error("telegram does not answer: {0}")]
    Unknown(String),
}

impl TelegramError {
    /// Whether the same will be refused for ever, or there is nobody left to take it. "Not Found"
    /// is about the token or the address, which somebody may set right.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Gone => true,
            Self::Refused(error) => *error != ApiError::InvalidToken,
            Self::Unauthorized | Self::Conflict(_) | Self::Unknown(_) => false,
        }
    }
}

/// What to do about a call that was not answered with a result.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Wait so long, then send it again.
    Wait(Duration),
    /// Give up, or send it again if it is unknown.
    Failed(TelegramError),
}

/// Judges a refusal by its code and its description.
pub(super) fn judge(code: u16, description: String) -> Result<Value, Verdict> {
    let error = serde_json::from_value(Value::String(description.clone()))
        .unwrap_or(ApiError::Unknown(description));
    match error {
        ApiError::MessageNotModified => Ok(Value::Null),
        error if code == 403 || is_gone(&error) => Err(Verdict::Failed(TelegramError::Gone)),
        error => Err(Verdict::Failed(TelegramError::Refused(error))),
    }
}

fn is_gone(error: &ApiError) -> bool {
    match error {
        ApiError::BotBlocked
        | ApiError::UserDeactivated
        | ApiError::ChatNotFound
        | ApiError::UserNotFound
        | ApiError::CantInitiateConversation
        | ApiError::CantTalkWithBots => true,
        ApiError::Unknown(text) => text.starts_with("Forbidden"),
        _ => false,
    }
}

/// An error with its causes.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Takes the token out of a text, as it is and as it stands in a URL.
pub(super) fn redact(text: &str, token: &str) -> String {
    if token.is_empty() {
        return text.to_owned();
    }
    text.replace(token, "<token>").replace(&token.replace(':', "%3A"), "<token>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_taken_out_of_errors() {
        let url = "error sending request for url (http://x/telegram/bot12:AbC/SendMessage)";

        assert!(!redact(url, "12:AbC").contains("AbC"));
        assert!(!redact("http://x/bot12%3AAbC/", "12:AbC").contains("AbC"));
    }

    #[test]
    fn a_user_who_cannot_be_written_to_is_gone() {
        for text in [
            "Forbidden: bot was blocked by the user",
            "Forbidden: bot can't initiate conversation with a user",
            "Bad Request: chat not found",
        ] {
            let verdict = judge(400, text.to_owned());
            assert!(matches!(verdict, Err(Verdict::Failed(TelegramError::Gone))), "{text}");
        }
    }
}
