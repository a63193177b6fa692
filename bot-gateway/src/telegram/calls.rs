//! Sending, editing and deleting messages.

use std::future::Future;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};
use teloxide::ApiError;
use teloxide::types::{BotCommand, CallbackQueryId, ChatId, InlineKeyboardMarkup, Me, MessageId};
use tokio::time::sleep;
use url::Url;

use super::complete::complete_me;
use super::error::{TelegramError, Verdict};
use super::files::{Attachment, Outgoing, UploadKind};
use super::wire::{Told, Wire};

/// How often one call is sent, when its outcome is unknown.
const TRIES_MAX: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);
/// How long one call waits for Telegram's flood limits, all in all.
const FLOOD_WAIT_MAX: Duration = Duration::from_secs(60);

/// The bot's account at Telegram.
#[derive(Clone, Debug)]
pub struct Telegram {
    pub(super) wire: Wire,
}

/// The id of a message that was sent; `None` where Telegram's answer does not say.
pub type Sent = Option<MessageId>;

impl Telegram {
    /// The account with that token, at that Bot API; a path prefix of `api_url` is kept.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(token: SecretString, api_url: Url) -> Result<Self, TelegramError> {
        Ok(Self { wire: Wire::new(token, api_url)? })
    }

    /// Who the bot is.
    pub async fn me(&self) -> Result<Me, TelegramError> {
        let mut me = self.call("getMe", json!({})).await?;
        complete_me(&mut me, self.wire.bot_id());
        serde_json::from_value(me)
            .map_err(|_| TelegramError::Unknown("the answer cannot be read".to_owned()))
    }

    /// Forgets a webhook, which would keep updates from being asked for.
    pub async fn delete_webhook(&self) -> Result<(), TelegramError> {
        self.call_once("deleteWebhook", json!({})).await
    }

    /// Sets the commands that Telegram's clients offer.
    pub async fn set_commands(&self, commands: &[BotCommand]) -> Result<(), TelegramError> {
        self.call_once("setMyCommands", json!({ "commands": commands })).await
    }

    /// Tells the user's client that a button press was seen.
    pub async fn answer(&self, id: &CallbackQueryId) -> Result<(), TelegramError> {
        self.call_once("answerCallbackQuery", json!({ "callback_query_id": id })).await
    }

    /// Sends a message.
    pub async fn send(
        &self,
        chat: ChatId,
        html: &str,
        keyboard: Option<InlineKeyboardMarkup>,
    ) -> Result<Sent, TelegramError> {
        let mut message = json!({ "chat_id": chat, "text": html, "parse_mode": "HTML" });
        if let Some(keyboard) = keyboard {
            message["reply_markup"] = json!(keyboard);
        }
        let sent = match self.call("sendMessage", message.clone()).await {
            Err(TelegramError::Refused(ApiError::CantParseEntities(_))) => {
                message["text"] = plain(html).into();
                message["parse_mode"] = Value::Null;
                self.call("sendMessage", message).await
            }
            other => other,
        };
        sent.map(|message| message_id(&message))
    }

    /// Changes a message of the bot.
    pub async fn edit(
        &self,
        chat: ChatId,
        message: MessageId,
        html: &str,
        keyboard: Option<InlineKeyboardMarkup>,
    ) -> Result<(), TelegramError> {
        let mut change = json!({
            "chat_id": chat, "message_id": message.0, "text": html, "parse_mode": "HTML",
        });
        if let Some(keyboard) = keyboard {
            change["reply_markup"] = json!(keyboard);
        }
        self.call("editMessageText", change).await.map(drop)
    }

    /// Takes the buttons of a message away.
    pub async fn remove_buttons(
        &self,
        chat: ChatId,
        message: MessageId,
    ) -> Result<(), TelegramError> {
        let change = json!({ "chat_id": chat, "message_id": message.0 });
        self.call("editMessageReplyMarkup", change).await.map(drop)
    }

    /// Deletes a message.
    pub async fn delete(&self, chat: ChatId, message: MessageId) -> Result<(), TelegramError> {
        let which = json!({ "chat_id": chat, "message_id": message.0 });
        self.call("deleteMessage", which).await.map(drop)
    }

    /// Sends a picture: as a photo where Telegram shows it well, and else as a file. Where
    /// Telegram will not take it in one way, it is sent in the others: a picture that was paid for
    /// fails neither on its form nor on its caption.
    pub async fn send_picture(
        &self,
        chat: ChatId,
        picture: &Outgoing,
        html: &str,
        keyboard: Option<InlineKeyboardMarkup>,
    ) -> Result<Sent, TelegramError> {
        let (first, second) = match picture.is_photo() {
            true => (UploadKind::Photo, UploadKind::Document),
            false => (UploadKind::Document, UploadKind::Photo),
        };
        let caption = plain(html);
        let ways = [(first, html, true), (second, html, true), (first, caption.as_str(), false)];
        let mut refused = None;
        for (kind, caption, is_html) in ways {
            let upload = || picture.form(kind, chat, (caption, is_html), keyboard.as_ref());
            let sent = self.sent(|| async {
                let form = upload().map_err(Verdict::Failed)?;
                self.wire.call(kind.method(), Told::Form(form)).await
            });
            match sent.await {
                Err(TelegramError::Refused(error)) => {
                    tracing::warn!(error.cause = ?error, method = kind.method(), "picture refused");
                    refused.get_or_insert(error);
                }
                other => return other.map(|message| message_id(&message)),
            }
        }
        let error = refused.unwrap_or(ApiError::Unknown("no way to send it".to_owned()));
        Err(TelegramError::Refused(error))
    }

    /// Sends a file that is no picture.
    pub async fn send_file(
        &self,
        chat: ChatId,
        file: &Attachment,
        html: &str,
    ) -> Result<Sent, TelegramError> {
        let sent = self.sent(|| async {
            let form = file.form(chat, html).map_err(Verdict::Failed)?;
            self.wire.call("sendDocument", Told::Form(form)).await
        });
        sent.await.map(|message| message_id(&message))
    }

    /// Puts another picture and caption into a message of the bot.
    pub async fn edit_picture(
        &self,
        message: (ChatId, MessageId),
        picture: &Outgoing,
        html: &str,
        keyboard: &InlineKeyboardMarkup,
    ) -> Result<(), TelegramError> {
        let form = || picture.edit_form(message, html, keyboard);
        let sent = self.sent(|| async {
            let form = form().map_err(Verdict::Failed)?;
            self.wire.call("editMessageMedia", Told::Form(form)).await
        });
        sent.await.map(drop)
    }

    /// Calls a method until it is done or refused, a few times.
    pub(super) async fn call(&self, method: &str, body: Value) -> Result<Value, TelegramError> {
        self.sent(|| self.wire.call(method, Told::Json(body.clone()))).await
    }

    async fn sent<F>(&self, make: impl Fn() -> F) -> Result<Value, TelegramError>
    where
        F: Future<Output = Result<Value, Verdict>>,
    {
        let mut waited = Duration::ZERO;
        let mut tries = 1;
        loop {
            match make().await {
                Ok(result) => return Ok(result),
                Err(Verdict::Wait(time)) if waited + time <= FLOOD_WAIT_MAX => {
                    tracing::info!(duration_ms = time.as_millis(), "telegram asks to wait");
                    waited += time;
                    sleep(time).await;
                }
                Err(Verdict::Wait(_)) => {
                    return Err(TelegramError::Unknown("asked to wait for too long".to_owned()));
                }
                Err(Verdict::Failed(TelegramError::Unknown(_))) if tries < TRIES_MAX => {
                    sleep(PAUSE * tries).await;
                    tries += 1;
                }
                Err(Verdict::Failed(error)) => return Err(error),
            }
        }
    }

    /// Calls a method whose repeat would not help, or is not worth waiting for.
    async fn call_once(&self, method: &str, body: Value) -> Result<(), TelegramError> {
        match self.wire.call(method, Told::Json(body)).await {
            Ok(_) => Ok(()),
            Err(Verdict::Wait(_)) => Err(TelegramError::Unknown("asked to wait".to_owned())),
            Err(Verdict::Failed(error)) => Err(error),
        }
    }
}

pub(super) fn message_id(message: &Value) -> Sent {
    let id = message.get("message_id")?.as_i64()?;
    i32::try_from(id).ok().map(MessageId)
}

/// Our own HTML without its tags.
fn plain(html: &str) -> String {
    ["<b>", "</b>"]
        .iter()
        .fold(html.to_owned(), |text, tag| text.replace(tag, ""))
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&amp;", "&")
}
