//! Methods that change or remove messages, and the answer to a pressed button.

use serde_json::Value;

use super::entities::length;
use super::error::Refusal;
use super::params::Params;
use super::send::{caption_in, caption_of, chat_of, input_media, message_id, text_of};
use super::state::{Callback, Content, State};
use super::{Telegram, keyboard, now};

/// Telegram lets a bot delete messages for two days.
const DELETABLE_SECONDS: i64 = 48 * 60 * 60;
/// Telegram lets a bot answer a press for about so long.
const ANSWERABLE_SECONDS: i64 = 60;
const ANSWER_LENGTH_MAX: usize = 200;

impl Telegram {
    /// `editMessageText`.
    pub(super) fn edit_text(&self, params: &Params) -> Result<Value, Refusal> {
        let text = text_of(params)?;
        self.edit(params, |content| match content {
            Content::Text(_) => Ok(Content::Text(text)),
            _ => Err(Refusal::bad("there is no text in the message to edit")),
        })
    }

    /// `editMessageCaption`.
    pub(super) fn edit_caption(&self, params: &Params) -> Result<Value, Refusal> {
        let caption = caption_of(params)?;
        self.edit(params, |content| match content {
            Content::Photo { sizes, .. } => Ok(Content::Photo { sizes: sizes.clone(), caption }),
            Content::Document { file_id, .. } => {
                Ok(Content::Document { file_id: file_id.clone(), caption })
            }
            Content::Text(_) | Content::Invoice(_) | Content::Paid(_) | Content::Refunded(_) => {
                Err(Refusal::bad("there is no caption in the message to edit"))
            }
        })
    }

    /// `editMessageReplyMarkup`.
    pub(super) fn edit_keyboard(&self, params: &Params) -> Result<Value, Refusal> {
        self.edit(params, |content| Ok(content.clone()))
    }

    /// `editMessageMedia`.
    pub(super) async fn edit_media(&self, params: &Params) -> Result<Value, Refusal> {
        let media = params
            .json("media", "InputMedia")?
            .ok_or_else(|| Refusal::bad("input media is not specified"))?;
        let (kind, field, file) = input_media(&media)?;
        let caption = caption_in(&media)?;
        self.state.read(|state| editable(state, params).map(|_| ()))?;
        let medium = self.medium(params, kind, field, Some(file)).await?;
        self.edit(params, |_| Ok(medium.with_caption(caption)))
    }

    /// Changes a message of the bot's own; a request without a keyboard takes the old one away.
    fn edit(
        &self,
        params: &Params,
        change: impl FnOnce(&Content) -> Result<Content, Refusal>,
    ) -> Result<Value, Refusal> {
        let keyboard = keyboard::read(params)?;
        let edited = self.state.write(|state| {
            let (chat_id, message_id) = editable(state, params)?;
            let old = state.message(chat_id, message_id).ok_or_else(gone)?;
            let content = change(&old.content)?;
            if old.content == content && old.keyboard == keyboard {
                return Err(Refusal::bad(
                    "message is not modified: specified new message content and reply markup are \
                     exactly the same as a current content and reply markup of the message",
                ));
            }
            let message = state.message_mut(chat_id, message_id).ok_or_else(gone)?;
            message.content = content;
            message.keyboard = keyboard;
            message.edit_date = Some(now());
            let message = message.clone();
            Ok(self.message(state, chat_id, &message))
        })?;
        self.changes.send_replace(());
        Ok(edited)
    }

    /// `deleteMessage`.
    pub(super) fn delete_message(&self, params: &Params) -> Result<Value, Refusal> {
        self.state.write(|state| {
            let chat_id = chat_of(state, params)?;
            let message_id = message_id(params)?;
            let message = state
                .message(chat_id, message_id)
                .ok_or_else(|| Refusal::bad("message to delete not found"))?;
            if now() - message.date > DELETABLE_SECONDS {
                return Err(Refusal::bad("message can't be deleted for everyone"));
            }
            if let Some(message) = state.message_mut(chat_id, message_id) {
                message.deleted = true;
            }
            Ok(())
        })?;
        self.changes.send_replace(());
        Ok(Value::Bool(true))
    }

    /// `deleteMessages`: those that are there.
    pub(super) fn delete_messages(&self, params: &Params) -> Result<Value, Refusal> {
        let ids: Vec<i64> = params
            .json("message_ids", "message identifiers")?
            .and_then(|list| serde_json::from_value(list).ok())
            .ok_or_else(|| Refusal::bad("message identifiers are not specified"))?;
        self.state.write(|state| {
            let chat_id = chat_of(state, params)?;
            for id in ids {
                if let Some(message) = state.message_mut(chat_id, id) {
                    message.deleted = true;
                }
            }
            Ok(())
        })?;
        self.changes.send_replace(());
        Ok(Value::Bool(true))
    }

    /// `answerCallbackQuery`.
    pub(super) fn answer_callback(&self, params: &Params) -> Result<Value, Refusal> {
        let text = params.text("text").map(str::to_owned);
        if text.as_deref().is_some_and(|text| length(text) > ANSWER_LENGTH_MAX) {
            return Err(Refusal::bad("MESSAGE_TOO_LONG"));
        }
        let id = params.text("callback_query_id").unwrap_or_default();
        self.state.write(|state| {
            let callback = state.callbacks.get_mut(id).filter(|callback| is_open(callback, now()));
            let callback = callback.ok_or_else(|| {
                Refusal::bad("query is too old and response timeout expired or query ID is invalid")
            })?;
            callback.answered = true;
            callback.text = text;
            callback.url = params.text("url").map(str::to_owned);
            callback.show_alert = params.flag("show_alert");
            Ok(())
        })?;
        self.changes.send_replace(());
        Ok(Value::Bool(true))
    }
}

fn gone() -> Refusal {
    Refusal::bad("message to edit not found")
}

/// The message that a request edits: it is there, and the bot's own.
fn editable(state: &State, params: &Params) -> Result<(i64, i64), Refusal> {
    let chat_id = chat_of(state, params)?;
    let message_id = message_id(params)?;
    let message = state.message(chat_id, message_id).ok_or_else(gone)?;
    if !message.from_bot {
        return Err(Refusal::bad("message can't be edited"));
    }
    Ok((chat_id, message_id))
}

fn is_open(callback: &Callback, now: i64) -> bool {
    !callback.answered && now - callback.at <= ANSWERABLE_SECONDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_press_is_answered_once_and_soon() {
        let fresh =
            Callback { at: 1000, answered: false, text: None, url: None, show_alert: false };
        assert!(is_open(&fresh, 1000 + ANSWERABLE_SECONDS));
        assert!(!is_open(&fresh, 1001 + ANSWERABLE_SECONDS));
        assert!(!is_open(&Callback { answered: true, ..fresh }, 1000));
    }
}
