//! The users' side: what a person does in Telegram, as a JSON API for tests and the chat page.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::entities::Formatted;
use super::error::Refusal;
use super::files::{Medium, NewFile};
use super::send::{Envelope, add};
use super::state::{Callback, Content, State as Memory, User, first_stars};
use super::{Telegram, now, pictures, wire};

/// The first user's id; small, so that it is easy to type.
const FIRST_USER: i64 = 1001;
const NAMES: [&str; 10] =
    ["Анна", "Борис", "Вера", "Глеб", "Дарья", "Егор", "Жанна", "Захар", "Ирина", "Кирилл"];
/// A person may send files that a bot cannot download.
const FILE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Why something cannot be done, and what to do.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    text: String,
}

impl Problem {
    pub(super) fn bad(text: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, text: text.into() }
    }

    pub(super) fn not_found(text: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, text: text.into() }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, Json(json!({"error": self.text}))).into_response()
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        Self::bad(rejection.body_text())
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::bad(refusal.problem())
    }
}

/// A JSON body; what cannot be read is a [`Problem`].
#[derive(FromRequest)]
#[from_request(via(Json), rejection(Problem))]
pub(super) struct Body<T>(pub(super) T);

pub(super) type Emulator = State<Arc<Telegram>>;

pub(super) fn routes(telegram: &Arc<Telegram>) -> Router {
    Router::new()
        .route("/_sandbox/telegram/users", post(new_user).get(users))
        .route("/_sandbox/telegram/users/{id}/text", post(text))
        .route("/_sandbox/telegram/users/{id}/photo", post(photo))
        .route("/_sandbox/telegram/users/{id}/document", post(document))
        .route("/_sandbox/telegram/users/{id}/press", post(press))
        .route("/_sandbox/telegram/users/{id}/block", post(block))
        .route("/_sandbox/telegram/users/{id}/unblock", post(unblock))
        .route("/_sandbox/telegram/callbacks/{id}", get(callback))
        .layer(DefaultBodyLimit::max(FILE_BYTES_MAX))
        .with_state(Arc::clone(telegram))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct NewUser {
    id: Option<i64>,
    first_name: Option<String>,
    username: Option<String>,
    language_code: Option<String>,
}

async fn new_user(State(telegram): Emulator, body: Bytes) -> Result<Json<User>, Problem> {
    let new: NewUser = if body.is_empty() {
        NewUser::default()
    } else {
        serde_json::from_slice(&body).map_err(|error| Problem::bad(error.to_string()))?
    };
    if new.id.is_some_and(|id| id <= 0 || id == telegram.bot_id) {
        return Err(Problem::bad("a user's id is positive, and not the bot's"));
    }
    let user = telegram.state.write(|state| {
        let next =
            || state.users.keys().next_back().map_or(FIRST_USER, |&last| FIRST_USER.max(last + 1));
        let id = new.id.unwrap_or_else(next);
        let name = || {
            let number = usize::try_from((id - FIRST_USER).rem_euclid(10)).unwrap_or_default();
            NAMES[number].to_owned()
        };
        let first_name = new.first_name.filter(|name| !name.trim().is_empty());
        let user = User {
            id,
            first_name: first_name.unwrap_or_else(name),
            username: new.username,
            language_code: new.language_code.unwrap_or_else(|| "ru".to_owned()),
            started: false,
            blocked: false,
            stars: first_stars(),
        };
        state.users.entry(id).or_insert(user).clone()
    });
    Ok(Json(user))
}

async fn users(State(telegram): Emulator) -> Json<Value> {
    Json(telegram.state.read(|state| json!({"users": state.users.values().collect::<Vec<_>>()})))
}

#[derive(Debug, Deserialize)]
struct Text {
    text: String,
}

async fn text(
    State(telegram): Emulator,
    Path(id): Path<i64>,
    Body(body): Body<Text>,
) -> Result<Json<Value>, Problem> {
    let text = Formatted::plain(&body.text);
    if text.is_empty() {
        return Err(Problem::bad("text is empty"));
    }
    telegram.say(id, Content::Text(text), None)
}

#[derive(Debug, Deserialize)]
struct PhotoQuery {
    caption: Option<String>,
    media_group_id: Option<String>,
}

async fn photo(
    State(telegram): Emulator,
    Path(id): Path<i64>,
    Query(query): Query<PhotoQuery>,
    bytes: Bytes,
) -> Result<Json<Value>, Problem> {
    telegram.state.read(|state| may_write(state, id).map(|_| ()))?;
    // The sender's application makes a JPEG of 1280 pixels before it uploads.
    let shrunk = tokio::task::spawn_blocking(move || {
        let sizes = pictures::sizes(&pictures::decode(&bytes)?)?;
        Ok::<_, anyhow::Error>(sizes.into_iter().next_back().map(|size| size.jpeg))
    });
    let jpeg = shrunk.await.ok().and_then(Result::ok).flatten();
    let jpeg = jpeg.ok_or_else(|| {
        Problem::bad("not a JPEG, PNG or WebP picture: send it to /document instead")
    })?;
    let medium = telegram.keep_photo(jpeg.into()).await?;
    let caption = Formatted::plain(query.caption.as_deref().unwrap_or_default());
    telegram.say(id, medium.with_caption(caption), query.media_group_id)
}

#[derive(Debug, Deserialize)]
struct DocumentQuery {
    file_name: Option<String>,
    mime_type: Option<String>,
    caption: Option<String>,
    media_group_id: Option<String>,
    pretend_size: Option<u64>,
}

async fn document(
    State(telegram): Emulator,
    Path(id): Path<i64>,
    Query(query): Query<DocumentQuery>,
    bytes: Bytes,
) -> Result<Json<Value>, Problem> {
    telegram.state.read(|state| may_write(state, id).map(|_| ()))?;
    let medium: Medium = telegram.keep_document(NewFile {
        bytes,
        file_name: Some(query.file_name.unwrap_or_else(|| "file".to_owned())),
        mime_type: query.mime_type,
        pretend_size: query.pretend_size,
    })?;
    let caption = Formatted::plain(query.caption.as_deref().unwrap_or_default());
    telegram.say(id, medium.with_caption(caption), query.media_group_id)
}

#[derive(Debug, Deserialize)]
struct Press {
    message_id: i64,
    data: String,
}

async fn press(
    State(telegram): Emulator,
    Path(id): Path<i64>,
    Body(body): Body<Press>,
) -> Result<Json<Value>, Problem> {
    let callback_id = (uuid::Uuid::now_v7().as_u128() >> 32).to_string();
    let user = telegram.state.write(|state| {
        let user = may_write(state, id)?.clone();
        let callback =
            Callback { at: now(), answered: false, text: None, url: None, show_alert: false };
        state.callbacks.insert(callback_id.clone(), callback);
        Ok::<_, Problem>(user)
    })?;
    telegram.enqueue("callback_query", id, |state| {
        json!({
            "id": callback_id,
            "from": wire::user(&user),
            "message": telegram.pressed_message(state, &user, body.message_id),
            "chat_instance": (i128::from(id) * 7_919 + i128::from(telegram.bot_id)).to_string(),
            "data": body.data,
        })
    });
    Ok(Json(json!({"callback_query_id": callback_id})))
}

async fn block(State(telegram): Emulator, Path(id): Path<i64>) -> Result<Json<Value>, Problem> {
    telegram.set_blocked(id, true)
}

async fn unblock(State(telegram): Emulator, Path(id): Path<i64>) -> Result<Json<Value>, Problem> {
    telegram.set_blocked(id, false)
}

async fn callback(
    State(telegram): Emulator,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let callback = telegram.state.read(|state| state.callbacks.get(&id).cloned());
    let callback = callback.ok_or_else(|| Problem::not_found("no button was pressed so"))?;
    let mut answer = json!({"answered": callback.answered, "show_alert": callback.show_alert});
    if let Some(text) = callback.text {
        answer["text"] = text.into();
    }
    if let Some(url) = callback.url {
        answer["url"] = url.into();
    }
    Ok(Json(answer))
}

/// The person, if there is one and the bot is not blocked.
pub(super) fn may_write(state: &Memory, id: i64) -> Result<&User, Problem> {
    let user = state.users.get(&id).ok_or_else(|| unknown_user(id))?;
    if user.blocked {
        return Err(Problem::bad(format!(
            "the user has blocked the bot: POST /_sandbox/telegram/users/{id}/unblock first"
        )));
    }
    Ok(user)
}

pub(super) fn unknown_user(id: i64) -> Problem {
    Problem::not_found(format!(
        "no user {id}: POST /_sandbox/telegram/users with {{\"id\":{id}}} makes one"
    ))
}

impl Telegram {
    /// Puts a person's message into the chat and tells the bot.
    fn say(
        &self,
        id: i64,
        content: Content,
        media_group_id: Option<String>,
    ) -> Result<Json<Value>, Problem> {
        let message = self.state.write(|state| {
            may_write(state, id)?;
            if let Some(user) = state.users.get_mut(&id) {
                user.started = true;
            }
            let envelope = Envelope { media_group_id, ..Envelope::default() };
            Ok::<_, Problem>(add(state, id, false, content, &envelope))
        })?;
        self.changes.send_replace(());
        self.enqueue("message", id, |state| self.message(state, id, &message));
        Ok(Json(json!({"message_id": message.message_id})))
    }

    fn set_blocked(&self, id: i64, blocked: bool) -> Result<Json<Value>, Problem> {
        let user = self.state.write(|state| {
            let user = state.users.get_mut(&id).ok_or_else(|| unknown_user(id))?;
            let changed = user.blocked != blocked;
            user.blocked = blocked;
            Ok::<_, Problem>(changed.then(|| user.clone()))
        })?;
        if let Some(user) = user {
            let status = |blocked| if blocked { "kicked" } else { "member" };
            let member = |blocked| {
                let mut member = json!({"user": self.bot(), "status": status(blocked)});
                if blocked {
                    member["until_date"] = 0.into();
                }
                member
            };
            self.enqueue("my_chat_member", id, |_| {
                json!({
                    "chat": wire::chat(&user),
                    "from": wire::user(&user),
                    "date": now(),
                    "old_chat_member": member(!blocked),
                    "new_chat_member": member(blocked),
                })
            });
        }
        Ok(Json(json!({})))
    }
}
