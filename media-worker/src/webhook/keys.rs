//! The public keys of fal.ai, read from where it publishes them.

use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Client;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use super::signature::{PublicKey, Signed};

/// fal.ai lets keys be kept for a day.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// Whoever sends nonsense makes us ask fal.ai no more often than this.
const ASK_EVERY: Duration = Duration::from_secs(60);
const ASK_MAX: Duration = Duration::from_secs(10);
const BODY_MAX: usize = 64 * 1024;

/// The keys, as they were last read.
#[derive(Debug)]
pub struct Keys {
    url: Url,
    http: Client,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    keys: Vec<PublicKey>,
    read_at: Option<Instant>,
    asked_at: Option<Instant>,
}

/// What is known about a signature.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    Signed,
    NotSigned,
    /// There are no keys to tell with.
    Unknown,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct Jwk {
    #[serde(default)]
    crv: String,
    #[serde(default)]
    x: String,
}

impl Keys {
    /// Keys that are published there; they are read when the first webhook comes.
    ///
    /// # Errors
    /// When the system's certificates cannot be read.
    pub fn new(url: Url) -> anyhow::Result<Self> {
        let http = Client::builder().timeout(ASK_MAX).build().context("prepare the HTTP client")?;
        Ok(Self { url, http, known: Mutex::default() })
    }

    /// Tells whether fal.ai signed it; where no key fits, the keys are read anew first.
    pub(super) async fn verify(&self, signed: &Signed<'_>, body: &[u8]) -> Verdict {
        let mut known = self.known.lock().await;
        let is_old = known.read_at.is_none_or(|read_at| read_at.elapsed() > KEPT);
        if !is_old && signed.is_by_any(&known.keys, body) {
            return Verdict::Signed;
        }
        if known.asked_at.is_none_or(|asked_at| asked_at.elapsed() >= ASK_EVERY) {
            known.asked_at = Some(Instant::now());
            match self.read().await {
                Ok(keys) => {
                    known.keys = keys;
                    known.read_at = Some(Instant::now());
                }
                Err(error) => {
                    let cause = format!("{error:#}");
                    tracing::warn!(error.cause = %cause, "fal.ai's keys could not be read");
                }
            }
        }
        // Keys that are too old may have been taken back.
        if known.read_at.is_none_or(|read_at| read_at.elapsed() > KEPT) {
            return Verdict::Unknown;
        }
        if signed.is_by_any(&known.keys, body) { Verdict::Signed } else { Verdict::NotSigned }
    }

    async fn read(&self) -> anyhow::Result<Vec<PublicKey>> {
        let answer = self.http.get(self.url.clone()).send().await?.error_for_status()?;
        let body = answer.bytes().await?;
        anyhow::ensure!(body.len() <= BODY_MAX, "the list of keys is too long");
        let set: KeySet = serde_json::from_slice(&body).context("read the list of keys")?;
        let key = |jwk: &Jwk| {
            let bytes = URL_SAFE_NO_PAD.decode(jwk.x.trim_end_matches('=')).ok()?;
            PublicKey::try_from(bytes).ok().filter(|_| jwk.crv == "Ed25519")
        };
        let keys: Vec<PublicKey> = set.keys.iter().filter_map(key).collect();
        anyhow::ensure!(!keys.is_empty(), "the list has no ED25519 key");
        Ok(keys)
    }
}
