//! fal.ai's webhooks: hints that make a job be looked at at once, and nothing more.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use media_worker::settings::Settings;
use proto::media::v1::{FailureReason, JobState};
use reqwest::StatusCode;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use rstest::rstest;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::app::{App, quick};
use crate::database::Engine;
use crate::fal::{OnSubmit, Taken};

/// Far longer than a test waits: whatever ends sooner was not found by polling.
const NEVER: Duration = Duration::from_secs(600);

fn rarely() -> Settings {
    Settings { poll_unhinted: NEVER, webhook_wait: NEVER, ..quick() }
}

fn pair() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
}

/// Publishes the key, as fal.ai does; answers with where.
async fn jwks() -> String {
    let x = URL_SAFE_NO_PAD.encode(pair().public_key());
    let set = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": x, "kid": "k"}]}).to_string();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
    let routes = Router::new().route("/jwks.json", get(move || async move { set }));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    url
}

async fn with_webhooks(engine: Engine, settings: Settings) -> App {
    let mut app = App::prepare(engine, settings).await;
    app.jwks_url = Some(jwks().await);
    app.restart().await;
    app
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A webhook; what a test changes of it is changed after it was signed.
struct Webhook {
    url: String,
    request_id: String,
    timestamp: String,
    signature: String,
    body: String,
}

impl Webhook {
    fn of(taken: &Taken) -> Self {
        Self::at(taken, now_s())
    }

    fn at(taken: &Taken, seconds: u64) -> Self {
        let id = &taken.request_id;
        let body = json!({"request_id": id, "gateway_request_id": id, "status": "OK",
            "payload": {"images": [{"url": "http://127.0.0.1:1/not-to-be-believed.png"}]}});
        let (body, timestamp) = (body.to_string(), seconds.to_string());
        let digest = hex::encode(Sha256::digest(&body));
        let message = [id, "user", &timestamp, &digest].join("\n");
        Self {
            url: taken.webhook.clone().expect("a webhook is asked for"),
            request_id: id.clone(),
            signature: hex::encode(pair().sign(message.as_bytes())),
            timestamp,
            body,
        }
    }

    async fn send(&self) -> StatusCode {
        let request = reqwest::Client::new()
            .post(&self.url)
            .header("x-fal-webhook-request-id", &self.request_id)
            .header("x-fal-webhook-user-id", "user")
            .header("x-fal-webhook-timestamp", &self.timestamp)
            .header("x-fal-webhook-signature", &self.signature)
            .body(self.body.clone());
        request.send().await.unwrap().status()
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_job_ends_when_its_webhook_comes_and_not_when_it_is_polled(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = with_webhooks(engine, rarely()).await;
    app.fal.script(|script| script.hang = true);
    let operation = app.generate().await;
    app.fal.until_looked_at().await;
    app.fal.script(|script| script.hang = false);
    sleep(Duration::from_millis(400)).await;
    assert_eq!(app.job(&operation).await.unwrap().state(), JobState::Running);
    let webhook = Webhook::of(&app.fal.taken()[0]);

    assert_eq!(webhook.send().await, 200);

    assert_eq!(app.ended(&operation).await.state(), JobState::Succeeded);
    // At least once, and also when all is over.
    assert_eq!(webhook.send().await, 200);
    let tokens: Vec<_> = app.fal.taken().into_iter().map(|taken| taken.webhook).collect();
    assert_eq!(tokens.len(), 1);
    app.check_books().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn another_worker_hears_of_a_webhook_too(#[values(Engine::Postgres)] engine: Engine) {
    let mut app = with_webhooks(engine, rarely()).await;
    app.fal.script(|script| script.hang = true);
    let operation = app.generate().await;
    app.fal.until_looked_at().await;
    let other = app.another_worker().await;
    app.fal.script(|script| script.hang = false);
    let mut webhook = Webhook::of(&app.fal.taken()[0]);
    let token = webhook.url.rsplit('/').next().unwrap().to_owned();
    webhook.url = format!("{}/fal/webhook/{token}", other.http_url());

    assert_eq!(webhook.send().await, 200);

    assert_eq!(app.ended(&operation).await.state(), JobState::Succeeded);
    app.kill();
    drop(other);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_is_lost_costs_time_only() {
    let settings = Settings { poll_unhinted: Duration::from_millis(300), ..quick() };
    let app = with_webhooks(Engine::Sqlite, settings).await;
    app.fal.script(|script| script.queue = 2);

    let operation = app.generate().await;

    assert_eq!(app.ended(&operation).await.state(), JobState::Succeeded);
    app.check_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fal_did_not_sign_just_now_changes_nothing() {
    let app = with_webhooks(Engine::Sqlite, rarely()).await;
    app.fal.script(|script| script.hang = true);
    let operation = app.generate().await;
    app.fal.until_looked_at().await;
    app.fal.script(|script| script.hang = false);
    let taken = app.fal.taken().remove(0);
    let good = || Webhook::of(&taken);
    let other_body = good().body.replace("OK", "ERROR");

    let forged = Webhook { signature: "00".repeat(64), ..good() };
    assert_eq!(forged.send().await, 401);
    assert_eq!(Webhook { body: other_body, ..good() }.send().await, 401);
    assert_eq!(Webhook { signature: String::new(), ..good() }.send().await, 401);
    assert_eq!(Webhook { timestamp: (now_s() + 1).to_string(), ..good() }.send().await, 401);
    assert_eq!(Webhook::at(&taken, now_s() - 301).send().await, 401);
    assert_eq!(Webhook::at(&taken, now_s() + 330).send().await, 401);
    let unsigned = reqwest::Client::new().post(&good().url).body("{}").send().await.unwrap();
    assert_eq!(unsigned.status(), 401);
    let base = good().url.rsplit_once('/').unwrap().0.to_owned();
    for token in ["x", "../jobs", &"g".repeat(32), &"a".repeat(33)] {
        assert_eq!(Webhook { url: format!("{base}/{token}"), ..good() }.send().await, 404);
    }
    let unknown = format!("{base}/{}", "a".repeat(32));
    assert_eq!(Webhook { url: unknown, ..good() }.send().await, 200);
    let large = "x".repeat(2 * 1024 * 1024);
    assert_eq!(Webhook { body: large, ..good() }.send().await, 413);
    sleep(Duration::from_millis(400)).await;
    assert_eq!(app.job(&operation).await.unwrap().state(), JobState::Running);

    assert_eq!(good().send().await, 200);
    assert_eq!(app.ended(&operation).await.state(), JobState::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_keys_a_webhook_is_to_come_again() {
    let mut app = App::prepare(Engine::Sqlite, rarely()).await;
    app.jwks_url = Some("http://127.0.0.1:1/jwks.json".to_owned());
    app.restart().await;
    app.fal.script(|script| script.hang = true);
    app.generate().await;
    app.fal.until_looked_at().await;

    assert_eq!(Webhook::of(&app.fal.taken()[0]).send().await, 503);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_submit_whose_answer_was_lost_is_found_by_its_webhook(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let app = with_webhooks(engine, rarely()).await;
    app.fal.script(|script| script.submit = OnSubmit::TakeAndDrop);
    let operation = app.generate().await;
    app.fal.until_taken(1).await;
    // The history cannot be asked, so that only the webhook can tell.
    sleep(Duration::from_millis(500)).await;
    assert_eq!(app.job(&operation).await.unwrap().state(), JobState::Running);

    assert_eq!(Webhook::of(&app.fal.taken()[0]).send().await, 200);

    assert_eq!(app.ended(&operation).await.state(), JobState::Succeeded);
    assert_eq!(app.fal.taken().len(), 1);
    app.check_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_submit_without_a_webhook_is_refunded_when_its_time_is_over() {
    let settings = Settings { webhook_wait: Duration::from_millis(600), ..rarely() };
    let app = with_webhooks(Engine::Sqlite, settings).await;
    app.fal.script(|script| script.submit = OnSubmit::TakeAndDrop);

    let operation = app.generate().await;

    let job = app.ended(&operation).await;
    assert_eq!(job.failure_reason(), FailureReason::OutcomeUnknown);
    assert_eq!(app.fal.taken().len(), 1);
    app.check_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_the_user_asked_for_is_seen_at_once() {
    let app = with_webhooks(Engine::Sqlite, rarely()).await;
    app.fal.script(|script| script.queue = 100_000);
    let operation = app.generate().await;
    app.fal.until_looked_at().await;

    app.cancel(&operation).await.unwrap();
    app.fal.script(|script| {
        script.queue = 0;
        script.status_code = Some(404);
    });

    assert_eq!(app.ended(&operation).await.failure_reason(), FailureReason::Cancelled);
    app.check_books().await;
}
