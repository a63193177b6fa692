//! How a call to Telegram ends when it is not done.

use std::time::Duration;

use teloxide::{ApiError, RequestError};

/// Why a call was not done, or may not have been done.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TelegramError {
    /// The user blocked the bot, or is no more.
    #[error("the user cannot be reached")]
    Gone,
    /// Telegram will never take it.
    #[error("telegram refused: {0}")]
    Refused(ApiError),
    /// It may have been done.
    #[error("telegram does not answer: {0}")]
    Unknown(String),
}

/// What to do about an error of teloxide.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Done, though the answer cannot be read; with the message's id, if there was one.
    Done(Option<i32>),
    /// Wait so long, then send it again.
    Wait(Duration),
    /// Give up, or send it again if it is unknown.
    Failed(TelegramError),
}

/// Judges an error; `token` is taken out of whatever is kept of it.
pub(super) fn judge(error: RequestError, token: &str) -> Verdict {
    match error {
        RequestError::Api(ApiError::MessageNotModified) => Verdict::Done(None),
        RequestError::Api(error) if is_gone(&error) => Verdict::Failed(TelegramError::Gone),
        RequestError::Api(error) => Verdict::Failed(TelegramError::Refused(error)),
        RequestError::MigrateToChatId(_) => Verdict::Failed(TelegramError::Gone),
        RequestError::RetryAfter(seconds) => Verdict::Wait(seconds.duration()),
        RequestError::InvalidJson { raw, .. } => match answered(&raw) {
            Some(message_id) => Verdict::Done(message_id),
            None => unknown("the answer cannot be read".to_owned()),
        },
        RequestError::Network(error) => unknown(redact(&chain(&*error), token)),
        RequestError::Io(error) => unknown(error.to_string()),
    }
}

fn unknown(cause: String) -> Verdict {
    Verdict::Failed(TelegramError::Unknown(cause))
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

/// The answer of a newer Bot API that this version cannot read in full: it was done all the same.
fn answered(raw: &str) -> Option<Option<i32>> {
    let answer: serde_json::Value = serde_json::from_str(raw).ok()?;
    if answer.get("ok")?.as_bool()? {
        let id = answer.pointer("/result/message_id").and_then(serde_json::Value::as_i64);
        Some(id.and_then(|id| i32::try_from(id).ok()))
    } else {
        None
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
    fn an_accepted_message_with_an_unreadable_answer_is_done() {
        let error = |raw: &str| RequestError::InvalidJson {
            source: std::sync::Arc::new(serde_json::from_str::<u8>("x").unwrap_err()),
            raw: raw.into(),
        };

        let done = judge(error(r#"{"ok":true,"result":{"message_id":7,"new":[]}}"#), "t");
        assert!(matches!(done, Verdict::Done(Some(7))), "{done:?}");
        let unknown = judge(error("<html>bad gateway</html>"), "t");
        assert!(matches!(unknown, Verdict::Failed(TelegramError::Unknown(_))), "{unknown:?}");
    }

    #[test]
    fn a_user_who_cannot_be_written_to_is_gone() {
        for text in [
            "Forbidden: bot was blocked by the user",
            "Forbidden: bot can't initiate conversation with a user",
            "Bad Request: chat not found",
        ] {
            let error: ApiError = serde_json::from_value(text.into()).unwrap();
            let verdict = judge(RequestError::Api(error), "t");
            assert!(matches!(verdict, Verdict::Failed(TelegramError::Gone)), "{text}");
        }
    }
}
