//! Updates that are posted to the bot instead of being asked for.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::bot::Sandbox;
use crate::outside::{listen, until};

/// A secret, and the update that came with it.
type Came = (Option<String>, Value);

/// A bot's door: answers as it was told to, then with 200, and remembers what came.
#[derive(Clone, Default)]
struct Door {
    answers: Arc<Mutex<VecDeque<StatusCode>>>,
    came: Arc<Mutex<Vec<Came>>>,
}

async fn take(State(door): State<Door>, headers: HeaderMap, body: Json<Value>) -> StatusCode {
    let secret = headers.get("x-telegram-bot-api-secret-token");
    let secret = secret.map(|value| value.to_str().unwrap().to_owned());
    door.came.lock().unwrap().push((secret, body.0));
    door.answers.lock().unwrap().pop_front().unwrap_or(StatusCode::OK)
}

impl Door {
    async fn open(answers: &[StatusCode]) -> (Self, String) {
        let door = Self::default();
        door.answers.lock().unwrap().extend(answers);
        let app = Router::new().route("/hook", post(take)).with_state(door.clone());
        (door, format!("http://{}/hook", listen(app).await))
    }

    fn texts(&self) -> Vec<String> {
        let came = self.came.lock().unwrap();
        let text = |(_, update): &Came| update["message"]["text"].as_str().unwrap().to_owned();
        came.iter().map(text).collect()
    }
}

#[tokio::test]
async fn an_update_is_posted_until_it_is_taken_and_in_order() {
    let (door, url) = Door::open(&[StatusCode::INTERNAL_SERVER_ERROR]).await;
    let sandbox = Sandbox::start().await;
    let id = sandbox.user().await;
    let set = sandbox.bot("setWebhook", json!({"url": url, "secret_token": "s3-cret_"})).await;
    assert_eq!(set.body["description"], "Webhook was set");

    for text in ["первое", "второе"] {
        sandbox.play(&format!("/users/{id}/text"), json!({"text": text})).await;
    }
    until("both were taken", || async {
        let info = sandbox.bot("getWebhookInfo", json!({})).await.result();
        info["pending_update_count"] == 0
    })
    .await;

    assert_eq!(door.texts(), ["первое", "первое", "второе"]);
    let came = door.came.lock().unwrap().clone();
    assert!(came.iter().all(|(secret, _)| secret.as_deref() == Some("s3-cret_")));
    assert_eq!(came[0].1, came[1].1, "a repeat is the same update");
    let info = sandbox.bot("getWebhookInfo", json!({})).await.result();
    assert_eq!(
        info["last_error_message"],
        "Wrong response from the webhook: 500 Internal Server Error"
    );
}

#[tokio::test]
async fn a_webhook_and_a_poll_exclude_each_other() {
    let (_door, url) = Door::open(&[]).await;
    let sandbox = Sandbox::start().await;
    sandbox.bot("setWebhook", json!({"url": url})).await.result();

    sandbox.bot("getUpdates", json!({})).await.refused(
        409,
        "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first",
    );
    assert_eq!(sandbox.bot("getWebhookInfo", json!({})).await.result()["url"], url);

    sandbox.bot("deleteWebhook", json!({})).await.result();
    assert_eq!(sandbox.bot("getUpdates", json!({})).await.result(), json!([]));
}

#[tokio::test]
async fn what_waited_for_a_webhook_is_posted_after_a_restart() {
    let (door, url) = Door::open(&[]).await;
    let sandbox = Sandbox::start().await;
    let id = sandbox.play("/users", json!({})).await["id"].clone();
    sandbox.play(&format!("/users/{id}/text"), json!({"text": "до"})).await;

    let sandbox = sandbox.restarted().await;
    sandbox.bot("setWebhook", json!({"url": url})).await.result();

    until("it was posted", || async { door.texts() == ["до"] }).await;
    sandbox
        .bot("setWebhook", json!({"url": "http://example.com/"}))
        .await
        .refused(400, "Bad Request: bad webhook: An HTTPS URL must be provided for webhook");
}
