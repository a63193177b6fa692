//! What a person sees: the messages of a chat as they change, files, and what the bot is.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Telegram;
use super::play::{Problem, unknown_user};
use super::state::{Content, Message, Payment, State as Memory};

/// A waiting request ends after so long, whatever was asked.
const WAIT_MS_MAX: u64 = 60_000;
const ACTION_LOOK: Duration = Duration::from_secs(1);
/// A picture is shown; everything else is saved, so that nothing a user sends runs in the page.
const SHOWN: [&str; 4] = ["image/jpeg", "image/png", "image/webp", "image/gif"];

type Emulator = State<Arc<Telegram>>;

pub(super) fn routes(telegram: &Arc<Telegram>) -> Router {
    Router::new()
        .route("/_sandbox/telegram/users/{id}/chat", get(chat))
        .route("/_sandbox/telegram/files/{file_id}", get(file))
        .route("/_sandbox/telegram/seen", get(seen))
        .route("/_sandbox/telegram/bot", get(bot))
        .with_state(Arc::clone(telegram))
}

#[derive(Debug, Deserialize)]
struct ChatQuery {
    #[serde(default)]
    after: u64,
    #[serde(default)]
    wait_ms: u64,
}

async fn chat(
    State(telegram): Emulator,
    Path(id): Path<i64>,
    Query(query): Query<ChatQuery>,
) -> Result<Json<Value>, Problem> {
    let deadline = Instant::now() + Duration::from_millis(query.wait_ms.min(WAIT_MS_MAX));
    let mut changes = telegram.changes.subscribe();
    let action_before = telegram.action(id);
    loop {
        changes.mark_unchanged();
        let action = telegram.action(id);
        let answer = telegram.state.read(|state| {
            let user = state.users.get(&id).ok_or_else(|| unknown_user(id))?;
            let messages = messages(state, id, query.after);
            // A reader of another run's numbers, or from before --fresh, begins anew.
            let is_due = !messages.is_empty()
                || action != action_before
                || query.after > state.seq
                || Instant::now() >= deadline;
            Ok::<_, Problem>(is_due.then(|| {
                json!({
                    "seq": state.seq,
                    "messages": messages,
                    "action": action,
                    "blocked": user.blocked,
                    "stars": user.stars,
                })
            }))
        })?;
        if let Some(answer) = answer {
            return Ok(Json(answer));
        }
        tokio::select! {
            _ = changes.changed() => {}
            // An action ends by itself, with nobody to tell.
            () = tokio::time::sleep(ACTION_LOOK), if action.is_some() => {}
            () = tokio::time::sleep_until(deadline) => {}
        }
    }
}

fn messages(state: &Memory, chat_id: i64, after: u64) -> Vec<Value> {
    let chat = state.chats.get(&chat_id).into_iter().flat_map(|chat| chat.values());
    chat.filter(|message| message.seq > after).map(|message| shown(state, message)).collect()
}

fn shown(state: &Memory, message: &Message) -> Value {
    let mut shown = json!({
        "message_id": message.message_id,
        "seq": message.seq,
        "from": if message.from_bot { "bot" } else { "user" },
        "date": message.date,
        "edited": message.edit_date.is_some(),
        "deleted": message.deleted,
    });
    let text = match &message.content {
        Content::Text(text) => Some(("text", text)),
        Content::Photo { caption, .. } | Content::Document { caption, .. } => {
            Some(("caption", caption))
        }
        Content::Invoice(_) | Content::Paid(_) | Content::Refunded(_) => None,
    };
    if let Some((field, text)) = text.filter(|(_, text)| !text.is_empty()) {
        shown[field] = text.text.as_str().into();
        shown["html"] = text.html().into();
        shown["entities"] = json!(text.entities);
    }
    match &message.content {
        Content::Text(_) => {}
        Content::Invoice(invoice) => {
            shown["invoice"] = json!({
                "title": invoice.title,
                "description": invoice.description,
                "stars": invoice.stars,
                "paid": invoice.charge_id.is_some(),
            });
        }
        Content::Paid(payment) => shown["paid"] = payment_shown(payment),
        Content::Refunded(payment) => shown["refunded"] = payment_shown(payment),
        Content::Photo { sizes, .. } => {
            let file_id = sizes.last().map(String::as_str).unwrap_or_default();
            if let Some(file) = state.files.get(file_id) {
                shown["photo"] = json!({
                    "file_id": file_id,
                    "width": file.width,
                    "height": file.height,
                    "url": file_url(file_id),
                });
            }
        }
        Content::Document { file_id, .. } => {
            if let Some(file) = state.files.get(file_id) {
                shown["document"] = json!({
                    "file_id": file_id,
                    "file_name": file.file_name,
                    "mime_type": file.mime_type,
                    "file_size": file.size,
                    "url": file_url(file_id),
                });
            }
        }
    }
    if let Some(group) = &message.media_group_id {
        shown["media_group_id"] = group.as_str().into();
    }
    if let Some(rows) = message.keyboard.as_ref().and_then(|k| k["inline_keyboard"].as_array()) {
        let row = |row: &Value| row.as_array().into_iter().flatten().map(button).collect();
        shown["buttons"] = rows.iter().map(row).collect::<Vec<Value>>().into();
    }
    shown
}

fn payment_shown(payment: &Payment) -> Value {
    json!({"stars": payment.stars, "charge_id": payment.charge_id})
}

fn button(button: &Value) -> Value {
    let mut shown = json!({"text": button["text"]});
    for (from, to) in [("callback_data", "data"), ("url", "url")] {
        if let Some(value) = button.get(from) {
            shown[to] = value.clone();
        }
    }
    if let Some(text) = button.pointer("/copy_text/text") {
        shown["copy"] = text.clone();
    }
    shown
}

fn file_url(file_id: &str) -> String {
    format!("/_sandbox/telegram/files/{file_id}")
}

async fn file(State(telegram): Emulator, Path(file_id): Path<String>) -> Result<Response, Problem> {
    let missing = || Problem::not_found("no such file");
    let file = telegram.state.read(|state| state.files.get(&file_id).cloned());
    let file = file.ok_or_else(missing)?;
    let bytes = telegram.open_file(&file).await.map_err(|_| missing())?;
    let is_shown = SHOWN.contains(&file.mime_type.as_str());
    let content_type = if is_shown { file.mime_type.as_str() } else { "application/octet-stream" };
    let disposition = if is_shown { "inline" } else { "attachment" };
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_DISPOSITION, disposition),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'"),
        (header::CACHE_CONTROL, "private, max-age=86400"),
    ];
    Ok((headers, bytes).into_response())
}

#[derive(Debug, Deserialize)]
struct SeenQuery {
    method: Option<String>,
}

async fn seen(State(telegram): Emulator, Query(query): Query<SeenQuery>) -> Json<Value> {
    let wanted =
        |method: &str| query.method.as_ref().is_none_or(|m| m.eq_ignore_ascii_case(method));
    let calls = telegram.seen.all().into_iter().filter(|call| wanted(&call.method));
    Json(json!({"calls": calls.collect::<Vec<_>>()}))
}

#[derive(Debug, Deserialize)]
struct BotQuery {
    #[serde(default)]
    language: String,
}

async fn bot(State(telegram): Emulator, Query(query): Query<BotQuery>) -> Json<Value> {
    let mut bot = telegram.bot();
    let name = telegram.said(&query.language, "name");
    if !name.is_empty() {
        bot["first_name"] = name.into();
    }
    bot["description"] = telegram.said(&query.language, "description").into();
    bot["short_description"] = telegram.said(&query.language, "short_description").into();
    bot["waiting"] = telegram.is_polled().into();
    bot["listening"] = telegram.is_listening().into();
    bot["commands"] = telegram.commands_for(&query.language);
    Json(bot)
}
