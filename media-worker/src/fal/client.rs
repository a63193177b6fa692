//! The HTTP clients, and what every call has in common.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::StreamExt as _;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, RequestBuilder, Response};
use secrecy::{ExposeSecret as _, SecretString};
use url::{Host, Url};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Of a call that reads, or that only says what is about to be uploaded.
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(15);
/// fal answers a submit at once; the official clients wait this long.
pub(super) const SUBMIT_TIMEOUT: Duration = Duration::from_secs(60);
/// The largest answer that is read of anything but a picture. Outputs may carry small pictures
/// inside themselves.
pub(super) const BODY_MAX: usize = 32 * 1024 * 1024;
/// A result's address may point at where the file really lies.
const REDIRECTS_MAX: usize = 3;

/// The keys to fal.ai's account; jobs take turns.
#[derive(Clone, Debug)]
pub struct FalKeys(Vec<SecretString>);

impl FalKeys {
    /// Reads `key` or `key,key`.
    ///
    /// # Errors
    /// When there is none, or one cannot be sent in a header.
    pub fn parse(text: &SecretString) -> anyhow::Result<Self> {
        let keys: Vec<SecretString> = text
            .expose_secret()
            .split(',')
            .map(str::trim)
            .filter(|key| !key.is_empty())
            .map(SecretString::from)
            .collect();
        anyhow::ensure!(!keys.is_empty(), "it is empty");
        let sendable =
            |key: &SecretString| key.expose_secret().bytes().all(|b| b.is_ascii_graphic());
        anyhow::ensure!(keys.iter().all(sendable), "a key holds what cannot be sent in a header");
        Ok(Self(keys))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The key of this number; numbers beyond the last begin again, so that a job whose key is no
    /// longer configured is still asked about.
    fn header(&self, index: i64) -> Option<HeaderValue> {
        let index = usize::try_from(index).unwrap_or(0) % self.0.len().max(1);
        let key = self.0.get(index)?.expose_secret();
        let mut header = HeaderValue::try_from(format!("Key {key}")).ok()?;
        header.set_sensitive(true);
        Some(header)
    }
}

/// Where fal.ai is.
#[derive(Clone, Debug)]
pub struct FalUrls {
    /// The queue.
    pub queue: Url,
    /// Storage and tokens.
    pub rest: Url,
    /// The platform API, with its version.
    pub api: Url,
    /// Where webhooks reach us, without a token; `None`: they are not asked for.
    pub webhook: Option<Url>,
}

/// A client of fal.ai. Clones share connections.
#[derive(Clone, Debug)]
pub struct Fal {
    pub(super) http: Client,
    /// Never reuses a connection: on one that the other side has just closed, nobody could say
    /// whether a submit arrived.
    pub(super) submitting: Client,
    /// Follows redirects, which no call with a key does.
    pub(super) files: Client,
    pub(super) urls: FalUrls,
    keys: FalKeys,
}

impl Fal {
    /// Prepares the clients; nothing is connected yet.
    ///
    /// # Errors
    /// When the system's certificates cannot be read.
    pub fn new(urls: FalUrls, keys: FalKeys) -> anyhow::Result<Self> {
        let build = |builder: ClientBuilder| builder.build().context("prepare the HTTP client");
        Ok(Self {
            http: build(builder(&urls).redirect(Policy::none()))?,
            submitting: build(builder(&urls).redirect(Policy::none()).pool_max_idle_per_host(0))?,
            files: build(builder(&urls).redirect(Policy::limited(REDIRECTS_MAX)))?,
            urls,
            keys,
        })
    }

    /// Whether fal.ai is asked to tell us when a request is over.
    pub fn has_webhooks(&self) -> bool {
        self.urls.webhook.is_some()
    }

    /// How many keys take turns.
    pub fn keys(&self) -> usize {
        self.keys.count()
    }

    pub(super) fn with_key(&self, request: RequestBuilder, index: i64) -> RequestBuilder {
        match self.keys.header(index) {
            Some(header) => request.header(AUTHORIZATION, header),
            None => request,
        }
    }
}

fn builder(urls: &FalUrls) -> ClientBuilder {
    let builder = Client::builder()
        .user_agent(concat!("media-lab-worker/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT);
    // A proxy that is set for the machine must not be asked for what runs on the machine itself.
    if is_loopback(&urls.queue) { builder.no_proxy() } else { builder }
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// `<base>/<path>`, with whatever path the base has.
pub(super) fn below(base: &Url, path: &str) -> String {
    format!("{}/{path}", base.as_str().trim_end_matches('/'))
}

/// Why a body was not read whole.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error("the answer is larger than allowed")]
    TooLarge,
    #[error("the answer broke off")]
    Broken(#[source] reqwest::Error),
}

/// Reads a body of at most `max` bytes.
pub(super) async fn read_body(response: Response, max: usize) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    let mut pieces = response.bytes_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(BodyError::Broken)?;
        if body.len() + piece.len() > max {
            return Err(BodyError::TooLarge);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// The whole chain of an error, without addresses, which may be signed.
pub(super) fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    format!("{:#}", anyhow::Error::new(error))
}

/// Counts a call to fal.ai and how long it took.
pub(super) fn count(call: &'static str, outcome: &'static str, since: Instant) {
    metrics::counter!("fal_requests_total", "call" => call, "outcome" => outcome).increment(1);
    metrics::histogram!("fal_request_seconds", "call" => call)
        .record(since.elapsed().as_secs_f64());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_from_a_list_and_never_shown() {
        let keys = FalKeys::parse(&" id1:s3cret ,id2:s3cret\n".into()).unwrap();
        assert_eq!(keys.count(), 2);
        assert_eq!(keys.header(0).unwrap().to_str().unwrap(), "Key id1:s3cret");
        assert_eq!(keys.header(3).unwrap().to_str().unwrap(), "Key id2:s3cret");
        assert!(!format!("{keys:?} {:?}", keys.header(0)).contains("s3cret"));

        assert!(FalKeys::parse(&" , ".into()).is_err());
        assert!(FalKeys::parse(&"a b".into()).is_err());
    }

    #[test]
    fn paths_go_below_the_base() {
        let base = Url::parse("http://127.0.0.1:8090/fal/").unwrap();
        assert_eq!(below(&base, "a/b"), "http://127.0.0.1:8090/fal/a/b");
        assert!(is_loopback(&base));
        assert!(!is_loopback(&Url::parse("https://queue.fal.run").unwrap()));
    }
}
