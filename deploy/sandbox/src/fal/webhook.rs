//! Tells callers that their jobs are over: signed, and again until it is answered with 2xx.
//!
//! Invariant: a webhook leaves the memory only when it was answered, or an hour has passed, as with
//! the real one. Nothing goes to another machine.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::{Host, Url};

use super::emulator::Fal;
use super::jobs::{Job, JobState};
use crate::faults::WebhookFault;
use crate::seen::now_ms;

/// Of the key that everything is signed with here; the real one is fal.ai's secret.
const SEED: [u8; 32] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25,
    26, 27, 28, 29, 30, 31,
];
const USER: &str = "sandbox-user";
const TIMEOUT: Duration = Duration::from_secs(15);
/// The pause after the first failed try; it doubles up to the longest.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// As many as the real one makes.
const TRIES_MAX: u32 = 31;
const GIVE_UP_MS: i64 = 60 * 60 * 1000;
const DELAY: Duration = Duration::from_secs(10);

/// Whether a webhook may be sent there: to this machine only.
pub(super) fn is_allowed(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Where the public key is read: a JSON Web Key Set.
pub(super) fn key_set() -> Value {
    let x = pair().map(|pair| URL_SAFE_NO_PAD.encode(pair.public_key()));
    json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": "sandbox", "x": x }] })
}

fn pair() -> Option<Ed25519KeyPair> {
    Ed25519KeyPair::from_seed_unchecked(&SEED).ok()
}

/// Tells of a job that has ended, if somebody wants to be told.
pub(super) fn start(fal: &Arc<Fal>, job: &Job) {
    if job.webhook.is_some() {
        tokio::spawn(tell(Arc::clone(fal), job.request_id.clone()));
    }
}

async fn tell(fal: Arc<Fal>, id: String) {
    let Some(job) = fal.job(&id) else { return };
    let (Some(url), JobState::Done(_)) = (&job.webhook, &job.state) else { return };
    let fault = fal.faults.strike_webhook();
    match fault {
        Some(WebhookFault::Lose) => return over(&fal, &id),
        Some(WebhookFault::Delay) => tokio::time::sleep(DELAY).await,
        Some(WebhookFault::Double | WebhookFault::Forge) | None => {}
    }
    let mut pause = PAUSE.0;
    for _ in 0..TRIES_MAX {
        let is_forged = fault == Some(WebhookFault::Forge);
        let mut delivered = send(&fal, &job, url, is_forged).await;
        if fault == Some(WebhookFault::Double) {
            delivered = send(&fal, &job, url, false).await;
        }
        let is_old = job.ended_ms.is_some_and(|ended| now_ms() - ended > GIVE_UP_MS);
        // What is redirected is never tried again; that is how the real one loses results.
        if delivered.is_some_and(|status| status < 400) || is_forged || is_old {
            break;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE.1);
    }
    over(&fal, &id);
}

/// The status that it was answered with, if it was.
async fn send(fal: &Fal, job: &Job, url: &str, is_forged: bool) -> Option<u16> {
    let body = body(job).to_string();
    let timestamp = (now_ms() / 1000).to_string();
    let digest = hex::encode(Sha256::digest(&body));
    let message = [&job.request_id, USER, &timestamp, &digest].join("\n");
    let signature = match is_forged {
        true => "00".repeat(64),
        false => hex::encode(pair()?.sign(message.as_bytes())),
    };
    let request = fal
        .webhooks
        .post(url)
        .timeout(TIMEOUT)
        .header("content-type", "application/json")
        .header("x-fal-webhook-request-id", &job.request_id)
        .header("x-fal-webhook-user-id", USER)
        .header("x-fal-webhook-timestamp", timestamp)
        .header("x-fal-webhook-signature", signature)
        .body(body);
    let status = request.send().await.ok().map(|answer| answer.status().as_u16());
    tracing::info!(request.id = job.request_id, http.status = status, "fal.ai webhook");
    status
}

fn body(job: &Job) -> Value {
    let (id, JobState::Done(outcome)) = (&job.request_id, &job.state) else { return Value::Null };
    let mut body = json!({ "request_id": id, "gateway_request_id": id, "payload": outcome.body });
    if outcome.status == 200 {
        body["status"] = "OK".into();
    } else {
        body["status"] = "ERROR".into();
        body["error"] = format!("Invalid status code: {}", outcome.status).into();
    }
    body
}

fn over(fal: &Fal, id: &str) {
    fal.memory.write(|memory| {
        if let Some(job) = memory.jobs.get_mut(id) {
            job.webhook = None;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_told_to_another_machine() {
        for here in ["http://127.0.0.1:8081/x", "http://localhost/x", "https://[::1]:1/x"] {
            assert!(is_allowed(here), "{here}");
        }
        for elsewhere in ["https://example.com/x", "http://10.0.0.1/x", "x", "file:///etc", ""] {
            assert!(!is_allowed(elsewhere), "{elsewhere}");
        }
    }

    #[test]
    fn the_key_is_the_published_one_of_the_sandbox() {
        assert_eq!(key_set()["keys"][0]["x"], "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg");
    }
}
