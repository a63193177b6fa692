//! What the emulator remembers; all of it outlives a run.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::entities::Formatted;

/// Everything but the bytes of files.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct State {
    /// By their ids, which are also their chats' ids.
    pub(super) users: BTreeMap<i64, User>,
    /// Messages by chat, then by id.
    pub(super) chats: BTreeMap<i64, BTreeMap<i64, Message>>,
    pub(super) last_message_id: i64,
    pub(super) last_update_id: i64,
    /// Updates that the bot has not confirmed.
    pub(super) updates: VecDeque<Update>,
    /// Kinds of updates the bot asked for; none: the default ones.
    pub(super) allowed_updates: Vec<String>,
    pub(super) webhook: Option<Webhook>,
    /// By `file_id`.
    pub(super) files: BTreeMap<String, StoredFile>,
    pub(super) last_file: u64,
    pub(super) callbacks: BTreeMap<String, Callback>,
    /// Invoices that were made as links, by the end of the link.
    pub(super) invoice_links: BTreeMap<String, Invoice>,
    /// Questions before payments, by their ids.
    pub(super) pre_checkouts: BTreeMap<String, PreCheckout>,
    /// Payments in Stars, by their ids.
    pub(super) charges: BTreeMap<String, Charge>,
    pub(super) profile: Profile,
    /// Grows with each change that a chat page can see.
    pub(super) seq: u64,
}

/// A person who may talk to the bot.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct User {
    pub(super) id: i64,
    pub(super) first_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) username: Option<String>,
    pub(super) language_code: String,
    /// Whether the person has ever written to the bot: before that the bot does not know the chat.
    pub(super) started: bool,
    /// Whether the person has blocked the bot.
    pub(super) blocked: bool,
    /// What the person has to spend.
    #[serde(default = "first_stars")]
    pub(super) stars: i64,
}

/// What everybody has at first.
pub(super) fn first_stars() -> i64 {
    5_000
}

/// A message of a chat, from either side.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Message {
    pub(super) message_id: i64,
    /// [`State::seq`] of its last change.
    pub(super) seq: u64,
    pub(super) from_bot: bool,
    pub(super) date: i64,
    pub(super) edit_date: Option<i64>,
    pub(super) content: Content,
    pub(super) media_group_id: Option<String>,
    pub(super) reply_to: Option<i64>,
    /// An inline keyboard, as it goes over the wire.
    pub(super) keyboard: Option<Value>,
    pub(super) deleted: bool,
}

/// What a message holds.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Content {
    Text(Formatted),
    /// `file_id`s of the sizes, smallest first.
    Photo {
        sizes: Vec<String>,
        caption: Formatted,
    },
    Document {
        file_id: String,
        caption: Formatted,
    },
    Invoice(Invoice),
    /// The service message about a payment, from the person.
    Paid(Payment),
    /// The service message about a payment that was given back.
    Refunded(Payment),
}

/// What the bot asks Stars for.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Invoice {
    pub(super) title: String,
    pub(super) description: String,
    pub(super) payload: String,
    pub(super) stars: i64,
    /// If empty, forwarded copies can be paid too.
    pub(super) start_parameter: String,
    /// The charge that paid it.
    pub(super) charge_id: Option<String>,
}

/// What service messages say of a payment.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Payment {
    pub(super) payload: String,
    pub(super) stars: i64,
    pub(super) charge_id: String,
}

/// A question before a payment, and the bot's answer.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct PreCheckout {
    pub(super) at_ms: i64,
    /// Nothing until it is answered; then nothing, or why not.
    pub(super) answer: Option<Result<(), String>>,
}

/// A payment in Stars.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Charge {
    pub(super) user_id: i64,
    pub(super) payload: String,
    pub(super) stars: i64,
    pub(super) at: i64,
    pub(super) refunded_at: Option<i64>,
}

/// An update on its way to the bot.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Update {
    pub(super) update_id: i64,
    pub(super) chat_id: i64,
    /// `message`, `callback_query`, `pre_checkout_query`, `my_chat_member`.
    pub(super) kind: String,
    pub(super) body: Value,
    pub(super) at: i64,
    /// How often it is still to be delivered; more than once only by a fault switch.
    pub(super) deliveries: u8,
}

impl Update {
    /// As it goes over the wire.
    pub(super) fn wire(&self) -> Value {
        let mut wire = serde_json::Map::new();
        wire.insert("update_id".to_owned(), self.update_id.into());
        wire.insert(self.kind.clone(), self.body.clone());
        Value::Object(wire)
    }
}

/// Where updates are posted.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Webhook {
    pub(super) url: String,
    pub(super) secret_token: Option<String>,
    pub(super) max_connections: usize,
    /// A root certificate (PEM) that the bot gave with its address.
    pub(super) certificate: Option<String>,
    pub(super) last_error_date: Option<i64>,
    pub(super) last_error_message: Option<String>,
}

/// Whether a file is a picture in a message or a file as it was sent.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FileKind {
    Photo,
    Document,
}

/// A file that a message refers to; its bytes lie in the data folder.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct StoredFile {
    pub(super) kind: FileKind,
    pub(super) unique_id: String,
    /// Below the folder of files; also what `getFile` tells.
    pub(super) path: String,
    /// What is told; larger than the bytes when a test pretends.
    pub(super) size: u64,
    pub(super) mime_type: String,
    pub(super) file_name: Option<String>,
    pub(super) width: u32,
    pub(super) height: u32,
    /// `file_id`s of all sizes of the same photo, smallest first.
    pub(super) sizes: Vec<String>,
}

/// A press of a button.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Callback {
    pub(super) at: i64,
    pub(super) answered: bool,
    pub(super) text: Option<String>,
    pub(super) url: Option<String>,
    pub(super) show_alert: bool,
}

/// What the bot says of itself.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Profile {
    pub(super) name: BTreeMap<String, String>,
    pub(super) description: BTreeMap<String, String>,
    pub(super) short_description: BTreeMap<String, String>,
    /// By scope and language: `default/ru`.
    pub(super) commands: BTreeMap<String, Value>,
    /// By chat; the bot's own under 0.
    pub(super) menu_buttons: BTreeMap<i64, Value>,
}

impl State {
    /// The next number of a change.
    pub(super) fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    /// A message that is still there.
    pub(super) fn message(&self, chat_id: i64, message_id: i64) -> Option<&Message> {
        self.chats.get(&chat_id)?.get(&message_id).filter(|message| !message.deleted)
    }

    /// A message that is still there, to be changed; counts as a change.
    pub(super) fn message_mut(&mut self, chat_id: i64, message_id: i64) -> Option<&mut Message> {
        let seq = self.next_seq();
        let message = self
            .chats
            .get_mut(&chat_id)?
            .get_mut(&message_id)
            .filter(|message| !message.deleted)?;
        message.seq = seq;
        Some(message)
    }
}
