//! Sending, editing and deleting messages.

use std::fmt;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use teloxide::net::default_reqwest_settings;
use teloxide::payloads::{
    EditMessageTextSetters as _, SendDocumentSetters as _, SendMessageSetters as _,
    SendPhotoSetters as _,
};
use teloxide::prelude::{Request, Requester as _};
use teloxide::requests::Output;
use teloxide::types::{
    BotCommand, CallbackQueryId, ChatId, InlineKeyboardMarkup, Me, Message, MessageId, ParseMode,
};
use teloxide::{ApiError, Bot};
use tokio::time::sleep;
use url::Url;

use super::error::{TelegramError, Verdict, chain, judge, redact};
use super::files::Outgoing;

/// Uploads and downloads take longer than teloxide's 17 s.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(90);
/// How often one call is sent, when its outcome is unknown.
const TRIES_MAX: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);
/// How long one call waits for Telegram's flood limits, all in all.
const FLOOD_WAIT_MAX: Duration = Duration::from_secs(60);

/// The bot's account at Telegram.
#[derive(Clone)]
pub struct Telegram {
    /// For calls that are answered at once.
    pub(super) quick: Bot,
    /// For files.
    pub(super) transfer: Bot,
    token: SecretString,
}

impl fmt::Debug for Telegram {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Telegram").finish_non_exhaustive()
    }
}

/// The id of a message that was sent; `None` where Telegram's answer could not be read.
pub type Sent = Option<MessageId>;

impl Telegram {
    /// The account with that token, at that Bot API; a path prefix of `api_url` is kept.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(token: SecretString, mut api_url: Url) -> Result<Self, TelegramError> {
        let path = api_url.path().trim_end_matches('/').to_owned();
        api_url.set_path(&path);
        // A proxy that is set up for the way to Telegram does not lead back to this machine.
        let is_local = match api_url.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        let bot = |timeout: Option<Duration>| {
            let mut settings = default_reqwest_settings();
            if is_local {
                settings = settings.no_proxy();
            }
            if let Some(timeout) = timeout {
                settings = settings.timeout(timeout);
            }
            let client = settings.build().map_err(|error| TelegramError::Unknown(chain(&error)))?;
            Ok(Bot::with_client(token.expose_secret(), client).set_api_url(api_url.clone()))
        };
        Ok(Self { quick: bot(None)?, transfer: bot(Some(TRANSFER_TIMEOUT))?, token: token.clone() })
    }

    /// Who the bot is.
    pub async fn me(&self) -> Result<Me, TelegramError> {
        let me = self.call(|| self.quick.get_me()).await?;
        me.done.ok_or_else(|| TelegramError::Unknown("the answer cannot be read".to_owned()))
    }

    /// Forgets a webhook, which would keep updates from being asked for.
    pub async fn delete_webhook(&self) -> Result<(), TelegramError> {
        self.call(|| self.quick.delete_webhook()).await.map(drop)
    }

    /// Sets the commands that Telegram's clients offer.
    pub async fn set_commands(&self, commands: &[BotCommand]) -> Result<(), TelegramError> {
        self.call(|| self.quick.set_my_commands(commands.to_vec())).await.map(drop)
    }

    /// Tells the user's client that a button press was seen.
    pub async fn answer(&self, id: &CallbackQueryId) -> Result<(), TelegramError> {
        self.call_once(|| self.quick.answer_callback_query(id.clone())).await.map(drop)
    }

    /// Sends a message.
    pub async fn send(
        &self,
        chat: ChatId,
        html: &str,
        keyboard: Option<InlineKeyboardMarkup>,
    ) -> Result<Sent, TelegramError> {
        let send = |text: String, mode: Option<ParseMode>| {
            let keyboard = keyboard.clone();
            async move {
                self.call(|| {
                    let mut request = self.quick.send_message(chat, text.clone());
                    request.parse_mode = mode;
                    match keyboard.clone() {
                        Some(keyboard) => request.reply_markup(keyboard),
                        None => request,
                    }
                })
                .await
            }
        };
        match send(html.to_owned(), Some(ParseMode::Html)).await {
            Err(TelegramError::Refused(ApiError::CantParseEntities(_))) => {
                send(plain(html), None).await.map(|answer| answer.message_id())
            }
            other => other.map(|answer| answer.message_id()),
        }
    }

    /// Changes a message of the bot.
    pub async fn edit(
        &self,
        chat: ChatId,
        message: MessageId,
        html: &str,
        keyboard: Option<InlineKeyboardMarkup>,
    ) -> Result<(), TelegramError> {
        self.call(|| {
            let request =
                self.quick.edit_message_text(chat, message, html).parse_mode(ParseMode::Html);
            match keyboard.clone() {
                Some(keyboard) => request.reply_markup(keyboard),
                None => request,
            }
        })
        .await
        .map(drop)
    }

    /// Takes the buttons of a message away.
    pub async fn remove_buttons(
        &self,
        chat: ChatId,
        message: MessageId,
    ) -> Result<(), TelegramError> {
        self.call(|| self.quick.edit_message_reply_markup(chat, message)).await.map(drop)
    }

    /// Deletes a message.
    pub async fn delete(&self, chat: ChatId, message: MessageId) -> Result<(), TelegramError> {
        self.call(|| self.quick.delete_message(chat, message)).await.map(drop)
    }

    /// Sends a picture: as a photo where Telegram shows it well, else, and where Telegram will
    /// not take it as a photo, as a file.
    pub async fn send_picture(
        &self,
        chat: ChatId,
        picture: &Outgoing,
        html: &str,
        keyboard: Option<InlineKeyboardMarkup>,
    ) -> Result<Sent, TelegramError> {
        if picture.is_photo() {
            match self.send_photo(chat, picture, html, keyboard.clone()).await {
                Err(TelegramError::Refused(error)) => {
                    tracing::warn!(error.cause = ?error, "photo refused, sending it as a file");
                }
                other => return other,
            }
        }
        match self.send_file(chat, picture, html, keyboard.clone()).await {
            Err(TelegramError::Refused(error)) => {
                // A picture that was paid for never fails on its caption.
                tracing::warn!(error.cause = ?error, "file refused, sending it with a plain caption");
                self.send_plain_file(chat, picture, html, keyboard).await
            }
            other => other,
        }
    }

    async fn send_photo(
        &self,
        chat: ChatId,
        picture: &Outgoing,
        html: &str,
        keyboard: Option<InlineKeyboardMarkup>,
    ) -> Result<Sent, TelegramError> {
        self.call(|| {
            let request = self
                .transfer
                .send_photo(chat, picture.input_file())
                .caption(html)
                .parse_mode(ParseMode::Html);
            match keyboard.clone() {
                Some(keyboard) => request.reply_markup(keyboard),
                None => request,
            }
        })
        .await
        .map(|answer| answer.message_id())
    }

    async fn send_file(
        &self,
        chat: ChatId,
        picture: &Outgoing,
        html: &str,
        keyboard: Option<InlineKeyboardMarkup>,
    ) -> Result<Sent, TelegramError> {
        self.call(|| {
            let request = self
                .transfer
                .send_document(chat, picture.input_file())
                .caption(html)
                .parse_mode(ParseMode::Html);
            match keyboard.clone() {
                Some(keyboard) => request.reply_markup(keyboard),
                None => request,
            }
        })
        .await
        .map(|answer| answer.message_id())
    }

    async fn send_plain_file(
        &self,
        chat: ChatId,
        picture: &Outgoing,
        html: &str,
        keyboard: Option<InlineKeyboardMarkup>,
    ) -> Result<Sent, TelegramError> {
        self.call(|| {
            let request =
                self.transfer.send_document(chat, picture.input_file()).caption(plain(html));
            match keyboard.clone() {
                Some(keyboard) => request.reply_markup(keyboard),
                None => request,
            }
        })
        .await
        .map(|answer| answer.message_id())
    }

    /// Sends a request until it is done or refused, a few times.
    pub(super) async fn call<R>(
        &self,
        make: impl Fn() -> R,
    ) -> Result<Answer<Output<R>>, TelegramError>
    where
        R: Request<Err = teloxide::RequestError>,
    {
        let mut waited = Duration::ZERO;
        let mut tries = 1;
        loop {
            let error = match make().send().await {
                Ok(done) => return Ok(Answer { done: Some(done), raw_message_id: None }),
                Err(error) => error,
            };
            match judge(error, self.token()) {
                Verdict::Done(raw_message_id) => return Ok(Answer { done: None, raw_message_id }),
                Verdict::Wait(time) if waited + time <= FLOOD_WAIT_MAX => {
                    tracing::info!(duration_ms = time.as_millis(), "telegram asks to wait");
                    waited += time;
                    sleep(time).await;
                }
                Verdict::Wait(_) => {
                    return Err(TelegramError::Unknown("asked to wait for too long".to_owned()));
                }
                Verdict::Failed(TelegramError::Unknown(_)) if tries < TRIES_MAX => {
                    sleep(PAUSE * tries).await;
                    tries += 1;
                }
                Verdict::Failed(error) => return Err(error),
            }
        }
    }

    /// Sends a request whose repeat would not help.
    async fn call_once<R>(&self, make: impl Fn() -> R) -> Result<(), TelegramError>
    where
        R: Request<Err = teloxide::RequestError>,
    {
        match make().send().await.map_err(|error| judge(error, self.token())) {
            Ok(_) | Err(Verdict::Done(_)) => Ok(()),
            Err(Verdict::Wait(_)) => Err(TelegramError::Unknown("asked to wait".to_owned())),
            Err(Verdict::Failed(error)) => Err(error),
        }
    }

    pub(super) fn token(&self) -> &str {
        self.token.expose_secret()
    }

    /// A text without the bot's token.
    pub(super) fn redacted(&self, error: &dyn std::error::Error) -> String {
        redact(&chain(error), self.token())
    }
}

/// What Telegram answered to a call that was done.
pub(super) struct Answer<T> {
    /// `None` where the answer could not be read.
    pub(super) done: Option<T>,
    raw_message_id: Option<i32>,
}

impl Answer<Message> {
    fn message_id(&self) -> Sent {
        let read = self.done.as_ref().map(|message| message.id);
        read.or(self.raw_message_id.map(MessageId))
    }
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
