//! What the bot is sent: users, messages and files as the Bot API spells them.

use serde_json::{Value, json};

use super::Telegram;
use super::entities::Formatted;
use super::stars::CURRENCY;
use super::state::{Content, Message, Payment, State, StoredFile, User};

/// Dates that mean: this message cannot be shown any more.
const INACCESSIBLE: i64 = 0;

/// A person.
pub(super) fn user(user: &User) -> Value {
    let mut wire = json!({
        "id": user.id,
        "is_bot": false,
        "first_name": user.first_name,
        "language_code": user.language_code,
    });
    if let Some(username) = &user.username {
        wire["username"] = username.as_str().into();
    }
    wire
}

/// The person's private chat.
pub(super) fn chat(user: &User) -> Value {
    let mut wire = json!({"id": user.id, "type": "private", "first_name": user.first_name});
    if let Some(username) = &user.username {
        wire["username"] = username.as_str().into();
    }
    wire
}

/// A size of a photo.
fn photo_size(file_id: &str, file: &StoredFile) -> Value {
    json!({
        "file_id": file_id,
        "file_unique_id": file.unique_id,
        "width": file.width,
        "height": file.height,
        "file_size": file.size,
    })
}

fn document(file_id: &str, file: &StoredFile) -> Value {
    let mut wire = json!({
        "file_id": file_id,
        "file_unique_id": file.unique_id,
        "file_size": file.size,
        "mime_type": file.mime_type,
    });
    if let Some(name) = &file.file_name {
        wire["file_name"] = name.as_str().into();
    }
    wire
}

fn payment(payment: &Payment) -> Value {
    json!({
        "currency": CURRENCY,
        "total_amount": payment.stars,
        "invoice_payload": payment.payload,
        "telegram_payment_charge_id": payment.charge_id,
    })
}

fn put_text(wire: &mut Value, field: &str, text: &Formatted) {
    if text.is_empty() {
        return;
    }
    wire[field] = text.text.as_str().into();
    if !text.entities.is_empty() {
        let entities = if field == "text" { "entities" } else { "caption_entities" };
        wire[entities] = json!(text.entities);
    }
}

impl Telegram {
    /// The bot.
    pub(super) fn bot(&self) -> Value {
        json!({
            "id": self.bot_id,
            "is_bot": true,
            "first_name": "Media Lab",
            "username": "media_lab_sandbox_bot",
        })
    }

    /// A message, with the one that it answers.
    pub(super) fn message(&self, state: &State, chat_id: i64, message: &Message) -> Value {
        let mut wire = self.bare_message(state, chat_id, message);
        let answered = message.reply_to.and_then(|id| state.message(chat_id, id));
        if let Some(answered) = answered {
            wire["reply_to_message"] = self.bare_message(state, chat_id, answered);
        }
        wire
    }

    fn bare_message(&self, state: &State, chat_id: i64, message: &Message) -> Value {
        let person = state.users.get(&chat_id);
        let mut wire = json!({
            "message_id": message.message_id,
            "date": message.date,
            "chat": person.map(chat),
            "from": if message.from_bot { Some(self.bot()) } else { person.map(user) },
        });
        match &message.content {
            Content::Text(text) => put_text(&mut wire, "text", text),
            Content::Photo { sizes, caption } => {
                let known = |id: &String| state.files.get(id).map(|file| photo_size(id, file));
                wire["photo"] = sizes.iter().filter_map(known).collect();
                put_text(&mut wire, "caption", caption);
            }
            Content::Document { file_id, caption } => {
                wire["document"] = state.files.get(file_id).map(|f| document(file_id, f)).into();
                put_text(&mut wire, "caption", caption);
            }
            Content::Invoice(invoice) => {
                wire["invoice"] = json!({
                    "title": invoice.title,
                    "description": invoice.description,
                    "start_parameter": invoice.start_parameter,
                    "currency": CURRENCY,
                    "total_amount": invoice.stars,
                });
            }
            Content::Paid(paid) => {
                wire["successful_payment"] = payment(paid);
                // A payment in Stars has no other provider.
                wire["successful_payment"]["provider_payment_charge_id"] = "".into();
            }
            Content::Refunded(refunded) => wire["refunded_payment"] = payment(refunded),
        }
        if let Some(date) = message.edit_date {
            wire["edit_date"] = date.into();
        }
        if let Some(group) = &message.media_group_id {
            wire["media_group_id"] = group.as_str().into();
        }
        if let Some(keyboard) = &message.keyboard {
            wire["reply_markup"] = keyboard.clone();
        }
        wire
    }

    /// The message under a pressed button, or what Telegram says in place of one that is gone.
    pub(super) fn pressed_message(&self, state: &State, person: &User, message_id: i64) -> Value {
        match state.message(person.id, message_id) {
            Some(message) => self.message(state, person.id, message),
            None => json!({
                "chat": chat(person),
                "message_id": message_id,
                "date": INACCESSIBLE,
            }),
        }
    }
}
