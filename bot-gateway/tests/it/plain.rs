//! A Bot API server that knows nothing but the documentation: methods as it spells them, files as
//! plain form files, answers and updates of the fewest fields, and no method that can be missed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Multipart, Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use crate::app::{App, Engine, TOKEN, picture};

const USER: i64 = 5_001;

#[derive(Clone, Default)]
struct Plain {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    updates: VecDeque<Value>,
    next_update: i64,
    next_message: i64,
    said: Vec<String>,
    pictures: Vec<(String, Vec<u8>)>,
    /// Every call fails so often.
    failures: u32,
    takes_no_photos: bool,
}

impl Plain {
    async fn serve() -> (Self, String) {
        let plain = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let bot = format!("/bot{TOKEN}");
        let routes = Router::new()
            .route(&format!("{bot}/getMe"), post(me))
            .route(&format!("{bot}/getUpdates"), post(updates))
            .route(&format!("{bot}/sendMessage"), post(send_message))
            .route(&format!("{bot}/sendPhoto"), post(send_photo))
            .route(&format!("{bot}/sendDocument"), post(send_document))
            .route(&format!("{bot}/getFile"), post(file))
            .route(&format!("/file{bot}/photos/{{name}}"), get(download))
            .fallback(async || {
                let body = json!({"ok": false, "error_code": 404, "description": "Not Found"});
                (StatusCode::NOT_FOUND, Json(body))
            })
            .with_state(plain.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        (plain, url)
    }

    fn with<T>(&self, look: impl FnOnce(&mut Inner) -> T) -> T {
        look(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn comes(&self, kind: &str, mut content: Value) {
        self.with(|inner| {
            inner.next_update += 1;
            content["from"] = json!({"id": USER});
            if kind == "message" {
                content["message_id"] = (1_000 + inner.next_update).into();
                content["chat"] = json!({"id": USER});
            }
            inner.updates.push_back(json!({"update_id": inner.next_update, kind: content}));
        });
    }

    fn writes(&self, text: &str) {
        self.comes("message", json!({"text": text}));
    }

    fn presses(&self, data: &str) {
        self.comes("callback_query", json!({"id": format!("q-{data}"), "data": data}));
    }

    async fn until<T>(&self, what: &str, find: impl Fn(&Inner) -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(found) = self.with(|inner| find(inner)) {
                return found;
            }
            assert!(Instant::now() < deadline, "{what}: {:?}", self.with(|it| it.said.clone()));
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn reads(&self, words: &str) {
        let is_said = |inner: &Inner| inner.said.iter().any(|said| said.contains(words));
        self.until(words, |inner| is_said(inner).then_some(())).await;
    }
}

type Answered = (StatusCode, Json<Value>);

fn done(result: Value) -> Answered {
    (StatusCode::OK, Json(json!({"ok": true, "result": result})))
}

async fn me() -> Answered {
    done(json!({"id": 42, "is_bot": true, "first_name": "Бот", "username": "plain_bot"}))
}

async fn updates(State(plain): State<Plain>, Json(query): Json<Value>) -> Answered {
    let offset = query["offset"].as_i64().unwrap_or(0);
    // It answers at once, with an empty list too.
    let updates = plain.with(|inner| {
        inner.updates.retain(|update| update["update_id"].as_i64().unwrap() >= offset);
        inner.updates.iter().cloned().collect::<Vec<_>>()
    });
    done(Value::Array(updates))
}

async fn send_message(State(plain): State<Plain>, Json(message): Json<Value>) -> Answered {
    assert_eq!(message["chat_id"], USER);
    plain.with(|inner| {
        if inner.failures > 0 {
            inner.failures -= 1;
            let body = json!({"ok": false, "error_code": 500, "description": "Internal"});
            return (StatusCode::INTERNAL_SERVER_ERROR, Json(body));
        }
        inner.said.push(message["text"].as_str().unwrap().to_owned());
        inner.next_message += 1;
        done(json!({"message_id": inner.next_message}))
    })
}

async fn send_photo(State(plain): State<Plain>, form: Multipart) -> Answered {
    take("photo", &plain, form).await
}

async fn send_document(State(plain): State<Plain>, form: Multipart) -> Answered {
    take("document", &plain, form).await
}

async fn take(field: &str, plain: &Plain, mut form: Multipart) -> Answered {
    let mut caption = String::new();
    let mut file = None;
    while let Some(part) = form.next_field().await.unwrap() {
        match part.name().unwrap_or_default() {
            "caption" => caption = part.text().await.unwrap(),
            "chat_id" => assert_eq!(part.text().await.unwrap(), USER.to_string()),
            name if name == field && part.file_name().is_some() => {
                file = Some(part.bytes().await.unwrap().to_vec());
            }
            _ => {}
        }
    }
    plain.with(|inner| match file {
        Some(file) if !(inner.takes_no_photos && field == "photo") => {
            inner.pictures.push((field.to_owned(), file));
            inner.said.push(caption);
            done(json!({"message_id": 77}))
        }
        _ => {
            let body =
                json!({"ok": false, "error_code": 400, "description": "Bad Request: no file"});
            (StatusCode::BAD_REQUEST, Json(body))
        }
    })
}

async fn file(Json(query): Json<Value>) -> Answered {
    let name = query["file_id"].as_str().unwrap();
    done(json!({"file_id": name, "file_path": format!("photos/{name}")}))
}

async fn download(Path(_name): Path<String>) -> Bytes {
    picture(7).into()
}

async fn start(app: &mut App) -> Plain {
    let (plain, url) = Plain::serve().await;
    app.telegram_url = Some(url);
    app.start_bot(bot_gateway::schema::schema()).await;
    plain
}

#[tokio::test]
async fn a_server_that_speaks_the_documented_protocol_is_enough() {
    let mut app = App::without_bot(Engine::Sqlite).await;
    let plain = start(&mut app).await;

    // Somebody who never wrote /start, and a button whose message is not told.
    plain.presses("mode_edit");
    plain.comes("message", json!({"photo": [{"file_id": "a.jpg"}], "caption": "небо синим"}));
    let operation = app.submitted().await;
    app.succeed(&operation, picture(9));
    app.acknowledged(&operation).await;

    plain.reads("Готово").await;
    let (field, sent) = plain.with(|inner| inner.pictures[0].clone());
    assert_eq!((field.as_str(), sent), ("photo", picture(9)));
    plain.writes("/balance");
    plain.reads("Бесплатных операций: <b>3</b>").await;
    app.stop().await;
}

#[tokio::test]
async fn a_telegram_that_fails_for_a_moment_loses_no_answer() {
    let mut app = App::without_bot(Engine::Sqlite).await;
    let plain = start(&mut app).await;
    plain.with(|inner| inner.failures = 4);

    plain.writes("/start");

    plain.reads("Здравствуйте").await;
    app.stop().await;
}

#[tokio::test]
async fn a_picture_that_is_not_taken_as_a_photo_is_sent_as_a_file() {
    let mut app = App::without_bot(Engine::Sqlite).await;
    let plain = start(&mut app).await;
    plain.with(|inner| inner.takes_no_photos = true);
    plain.presses("mode_generate");
    plain.writes("кот");
    let operation = app.submitted().await;

    app.succeed(&operation, picture(9));

    plain.reads("Готово").await;
    assert_eq!(plain.with(|inner| inner.pictures[0].0.clone()), "document");
    app.acknowledged(&operation).await;
    app.stop().await;
}
