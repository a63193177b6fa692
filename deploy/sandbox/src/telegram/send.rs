//! Methods that put messages into a chat.

use serde_json::{Value, json};

use super::entities::{Formatted, length};
use super::error::Refusal;
use super::params::Params;
use super::state::{Content, FileKind, Message, State};
use super::{Telegram, html, keyboard, now};

pub(super) const TEXT_LENGTH_MAX: usize = 4096;
pub(super) const CAPTION_LENGTH_MAX: usize = 1024;
const ALBUM_SIZE: std::ops::RangeInclusive<usize> = 2..=10;
const ACTIONS: [&str; 11] = [
    "typing",
    "upload_photo",
    "record_video",
    "upload_video",
    "record_voice",
    "upload_voice",
    "upload_document",
    "choose_sticker",
    "find_location",
    "record_video_note",
    "upload_video_note",
];

/// What is common to the messages of a request.
#[derive(Clone, Debug, Default)]
pub(super) struct Envelope {
    pub(super) keyboard: Option<Value>,
    pub(super) reply_to: Option<i64>,
    pub(super) media_group_id: Option<String>,
}

/// The chat that a request names, if the bot may act in it.
pub(super) fn chat_of(state: &State, params: &Params) -> Result<i64, Refusal> {
    let name = params.text("chat_id").ok_or_else(|| Refusal::bad("chat_id is empty"))?;
    chat_named(state, name)
}

fn chat_named(state: &State, name: &str) -> Result<i64, Refusal> {
    let user = name.parse().ok().and_then(|id: i64| state.users.get(&id));
    let user = user.filter(|user| user.started).ok_or_else(|| Refusal::bad("chat not found"))?;
    if user.blocked { Err(Refusal::blocked()) } else { Ok(user.id) }
}

/// A text with the marks that its mode or its list of entities gives it.
pub(super) fn formatted(
    text: Option<&str>,
    parse_mode: Option<&str>,
    entities: Option<Value>,
) -> Result<Formatted, Refusal> {
    let text = text.unwrap_or_default();
    if text.contains('\0') {
        return Err(Refusal::bad("strings must be encoded in UTF-8"));
    }
    match (parse_mode.map(str::to_ascii_lowercase).as_deref(), entities) {
        (Some("html"), _) => html::parse(text),
        (Some("" | "none") | None, Some(entities)) => Formatted::listed(text, entities),
        (Some("" | "none") | None, None) => Ok(Formatted::plain(text)),
        (Some(_), _) => Err(Refusal::bad("unsupported parse_mode")),
    }
}

/// The text of a message.
pub(super) fn text_of(params: &Params) -> Result<Formatted, Refusal> {
    let entities = params.json("entities", "entities")?;
    let text = formatted(params.text("text"), params.text("parse_mode"), entities)?;
    if text.is_empty() {
        return Err(Refusal::bad("message text is empty"));
    }
    if length(&text.text) > TEXT_LENGTH_MAX {
        return Err(Refusal::bad("message is too long"));
    }
    Ok(text)
}

fn checked_caption(caption: Formatted) -> Result<Formatted, Refusal> {
    if length(&caption.text) > CAPTION_LENGTH_MAX {
        return Err(Refusal::bad("message caption is too long"));
    }
    Ok(caption)
}

/// The caption of a medium.
pub(super) fn caption_of(params: &Params) -> Result<Formatted, Refusal> {
    let entities = params.json("caption_entities", "caption entities")?;
    checked_caption(formatted(params.text("caption"), params.text("parse_mode"), entities)?)
}

/// The caption inside an `InputMedia`.
pub(super) fn caption_in(media: &Value) -> Result<Formatted, Refusal> {
    let text = |name: &str| media.get(name).and_then(Value::as_str);
    let entities = media.get("caption_entities").filter(|list| !list.is_null()).cloned();
    formatted(text("caption"), text("parse_mode"), entities)
        .and_then(checked_caption)
        .map_err(|error| in_media(&error))
}

fn in_media(error: &Refusal) -> Refusal {
    Refusal::bad(format_args!("can't parse InputMedia: {}", error.problem()))
}

/// The kind of an `InputMedia` and where its file is.
pub(super) fn input_media(media: &Value) -> Result<(FileKind, &str, &str), Refusal> {
    let text = |name: &str| media.get(name).and_then(Value::as_str);
    let found = |problem: &str| Refusal::bad(format_args!("can't parse InputMedia: {problem}"));
    let (kind, field) = match text("type") {
        Some("photo") => (FileKind::Photo, "photo"),
        Some("document") => (FileKind::Document, "document"),
        Some(_) => return Err(found("invalid type specified")),
        None => return Err(found("Can't find field \"type\"")),
    };
    let file = text("media").ok_or_else(|| found("media not found"))?;
    Ok((kind, field, file))
}

impl Telegram {
    /// `sendMessage`.
    pub(super) fn send_message(&self, params: &Params) -> Result<Value, Refusal> {
        let text = text_of(params)?;
        let (chat_id, envelope) = self.envelope(params)?;
        self.post(chat_id, envelope, vec![Content::Text(text)]).map(first)
    }

    /// `sendPhoto` and `sendDocument`.
    pub(super) async fn send_medium(
        &self,
        params: &Params,
        kind: FileKind,
    ) -> Result<Value, Refusal> {
        let field = match kind {
            FileKind::Photo => "photo",
            FileKind::Document => "document",
        };
        let caption = caption_of(params)?;
        let (chat_id, envelope) = self.envelope(params)?;
        let medium = self.medium(params, kind, field, params.text(field)).await?;
        self.post(chat_id, envelope, vec![medium.with_caption(caption)]).map(first)
    }

    /// `sendMediaGroup`.
    pub(super) async fn send_media_group(&self, params: &Params) -> Result<Value, Refusal> {
        let list = params.json("media", "media")?;
        let Some(Value::Array(list)) = list else {
            return Err(Refusal::bad("expected an Array of InputMedia"));
        };
        if list.len() > *ALBUM_SIZE.end() {
            return Err(Refusal::bad("too many messages to send as an album"));
        }
        if list.len() < *ALBUM_SIZE.start() {
            return Err(Refusal::bad("an album must include 2-10 items"));
        }
        let (chat_id, envelope) = self.envelope(params)?;
        let mut contents = Vec::new();
        let mut kinds = Vec::new();
        for media in &list {
            let (kind, field, file) = input_media(media)?;
            let caption = caption_in(media)?;
            kinds.push(kind);
            let medium = self.medium(params, kind, field, Some(file)).await?;
            contents.push(medium.with_caption(caption));
        }
        if kinds.iter().any(|kind| *kind != kinds[0]) {
            return Err(Refusal::bad("document can't be mixed with other media types"));
        }
        let media_group_id = Some(uuid::Uuid::now_v7().as_u128().to_string()[20..].to_owned());
        let envelope = Envelope { media_group_id, keyboard: None, ..envelope };
        self.post(chat_id, envelope, contents)
    }

    /// `copyMessage`.
    pub(super) fn copy_message(&self, params: &Params) -> Result<Value, Refusal> {
        let (chat_id, envelope) = self.envelope(params)?;
        let message_id = message_id(params)?;
        let mut content = self.state.read(|state| {
            let from =
                params.text("from_chat_id").ok_or_else(|| Refusal::bad("from_chat_id is empty"))?;
            let from = chat_named(state, from)?;
            let message = state.message(from, message_id);
            let message = message.ok_or_else(|| Refusal::bad("message to copy not found"))?;
            Ok(message.content.clone())
        })?;
        if matches!(content, Content::Invoice(_) | Content::Paid(_) | Content::Refunded(_)) {
            return Err(Refusal::bad("message can't be copied"));
        }
        if let (Some(_), Content::Photo { caption, .. } | Content::Document { caption, .. }) =
            (params.text("caption"), &mut content)
        {
            *caption = caption_of(params)?;
        }
        let sent = self.post(chat_id, envelope, vec![content]).map(first)?;
        Ok(json!({"message_id": sent["message_id"]}))
    }

    /// `sendChatAction`.
    pub(super) fn send_chat_action(&self, params: &Params) -> Result<Value, Refusal> {
        let chat_id = self.state.read(|state| chat_of(state, params))?;
        let action = params.text("action").filter(|action| ACTIONS.contains(action));
        let action = action.ok_or_else(|| Refusal::bad("wrong parameter action in request"))?;
        self.set_action(chat_id, Some(action));
        self.changes.send_replace(());
        Ok(Value::Bool(true))
    }

    /// The chat, the keyboard and the answered message of a request.
    pub(super) fn envelope(&self, params: &Params) -> Result<(i64, Envelope), Refusal> {
        let keyboard = keyboard::read(params)?;
        let reply = params.json("reply_parameters", "reply parameters")?.unwrap_or_default();
        let reply_to = reply["message_id"].as_i64().or_else(|| params.int("reply_to_message_id"));
        let lenient = reply["allow_sending_without_reply"].as_bool().unwrap_or_default()
            || params.flag("allow_sending_without_reply");
        self.state.read(|state| {
            let chat_id = chat_of(state, params)?;
            let reply_to = match reply_to {
                Some(id) if state.message(chat_id, id).is_some() => Some(id),
                Some(_) if !lenient => {
                    return Err(Refusal::bad("message to be replied not found"));
                }
                _ => None,
            };
            Ok((chat_id, Envelope { keyboard, reply_to, media_group_id: None }))
        })
    }

    /// Puts the bot's messages into a chat; answers with all of them.
    pub(super) fn post(
        &self,
        chat_id: i64,
        envelope: Envelope,
        contents: Vec<Content>,
    ) -> Result<Value, Refusal> {
        self.set_action(chat_id, None);
        let sent = self.state.write(|state| {
            // The user may have blocked the bot while its files were read.
            chat_named(state, &chat_id.to_string())?;
            let messages: Vec<_> = contents
                .into_iter()
                .map(|content| add(state, chat_id, true, content, &envelope))
                .collect();
            Ok(messages.iter().map(|message| self.message(state, chat_id, message)).collect())
        });
        self.changes.send_replace(());
        sent
    }
}

/// The first of the messages that were put into a chat.
pub(super) fn first(mut messages: Value) -> Value {
    messages.get_mut(0).map(Value::take).unwrap_or_default()
}

/// The message that a request names.
pub(super) fn message_id(params: &Params) -> Result<i64, Refusal> {
    params
        .int("message_id")
        .filter(|&id| id > 0)
        .ok_or_else(|| Refusal::bad("message identifier is not specified"))
}

/// Adds a message to a chat.
pub(super) fn add(
    state: &mut State,
    chat_id: i64,
    from_bot: bool,
    content: Content,
    envelope: &Envelope,
) -> Message {
    state.last_message_id += 1;
    let message = Message {
        message_id: state.last_message_id,
        seq: state.next_seq(),
        from_bot,
        date: now(),
        edit_date: None,
        content,
        media_group_id: envelope.media_group_id.clone(),
        reply_to: envelope.reply_to,
        keyboard: envelope.keyboard.clone(),
        deleted: false,
    };
    state.chats.entry(chat_id).or_default().insert(message.message_id, message.clone());
    message
}
