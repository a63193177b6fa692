//! The calls: one function each.

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, RequestBuilder, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use url::{Host, Url};

use super::error::{Refusal, Unknown, YookassaError};
use super::wire;
use crate::breaker::{Breaker, Ending, Refused};
use crate::ids::{PaymentId, RefundId};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// They answer within 30 s, with 500 where they do not know yet.
const POST_TIMEOUT: Duration = Duration::from_secs(40);
/// Somebody waits for each of these: a user, or the sender of a notification.
const GET_TIMEOUT: Duration = Duration::from_secs(5);
/// Reads at a time. No rate limit is published; a refusal by rate is an unknown outcome.
pub const READS_AT_ONCE: usize = 16;
/// Writes at a time: each may take as long as [`POST_TIMEOUT`].
const WRITES_AT_ONCE: usize = 64;
/// Longer than this no call waits for its turn. It also keeps a POST from leaving long after it
/// was decided that its key is still fresh.
const TURN_WITHIN: Duration = Duration::from_secs(10);
/// No answer of theirs is near this size.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The largest page that they give.
const PAGE: &str = "100";
const USER_AGENT: &str = concat!("media-lab-payment-gateway/", env!("CARGO_PKG_VERSION"));

/// Which shop we are.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The shop id.
    pub shop_id: String,
    /// Its secret key.
    pub secret_key: SecretString,
}

impl Credentials {
    /// Whether the key says that the shop takes real money.
    pub fn is_live(&self) -> bool {
        self.secret_key.expose_secret().starts_with("live_")
    }
}

/// Calls YooKassa for one shop.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    /// Without a slash at the end.
    base: String,
    credentials: Credentials,
    posts: Lane,
    gets: Lane,
}

/// Calls of one kind. Reads and writes have one each, so that an object that cannot be read keeps
/// nobody from paying.
#[derive(Debug)]
struct Lane {
    turns: Semaphore,
    breaker: Breaker,
}

impl Client {
    /// Prepares the calls; the first one connects.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(api_url: &Url, credentials: Credentials) -> reqwest::Result<Self> {
        let mut builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none());
        if is_loopback(api_url) {
            builder = builder.no_proxy();
        } else if api_url.scheme() != "https" {
            tracing::warn!("YOOKASSA_API_URL is not https: the secret key travels in the open");
        }
        Ok(Self {
            http: builder.build()?,
            base: api_url.as_str().trim_end_matches('/').to_owned(),
            credentials,
            posts: Lane { turns: Semaphore::new(WRITES_AT_ONCE), breaker: Breaker::new("writes") },
            gets: Lane { turns: Semaphore::new(READS_AT_ONCE), breaker: Breaker::new("reads") },
        })
    }

    /// Makes a payment, or answers with the one that `key` made before.
    pub async fn create(&self, key: &str, body: Bytes) -> Result<wire::Payment, YookassaError> {
        let request = self.post("/payments", key, body);
        self.send("create_payment", &self.posts, request).await
    }

    /// Whether no payment would be asked for now, because they have not been answering.
    pub fn is_down(&self) -> bool {
        self.posts.breaker.may_ask().is_err()
    }

    /// Takes the money that the bank holds for a payment.
    pub async fn capture(
        &self,
        id: &PaymentId,
        amount: &wire::Amount,
    ) -> Result<wire::Payment, YookassaError> {
        let body = serde_json::to_vec(&wire::Capture { amount })
            .map_err(|_| YookassaError::Unknown(Unknown::Unreadable))?;
        let request =
            self.post(&format!("/payments/{id}/capture"), &format!("capture-{id}"), body.into());
        self.send("capture_payment", &self.posts, request).await
    }

    /// Reads a payment as it is now.
    pub async fn get(&self, id: &PaymentId) -> Result<wire::Payment, YookassaError> {
        let request = self.request(Method::GET, &format!("/payments/{id}")).timeout(GET_TIMEOUT);
        self.send("get_payment", &self.gets, request).await
    }

    /// Reads a page of the payments that were made in a span of time, newest first.
    pub async fn list(
        &self,
        (from, to): (SystemTime, SystemTime),
        cursor: Option<&str>,
    ) -> Result<wire::PaymentList, YookassaError> {
        let query = page(CREATED, (from, to), cursor)?;
        let request = self.request(Method::GET, "/payments").query(&query).timeout(GET_TIMEOUT);
        self.send("list_payments", &self.gets, request).await
    }

    /// Reads a page of the payments whose money was taken in a span of time, newest first.
    pub async fn list_taken(
        &self,
        span: (SystemTime, SystemTime),
        cursor: Option<&str>,
    ) -> Result<wire::PaymentList, YookassaError> {
        let mut query = page(("captured_at.gte", "captured_at.lt"), span, cursor)?;
        query.push(("status", "succeeded".to_owned()));
        let request = self.request(Method::GET, "/payments").query(&query).timeout(GET_TIMEOUT);
        self.send("list_payments", &self.gets, request).await
    }

    /// Makes a refund, or answers with the one that `key` made before.
    pub async fn refund(&self, key: &str, body: Bytes) -> Result<wire::Refund, YookassaError> {
        let request = self.post("/refunds", key, body);
        self.send("create_refund", &self.posts, request).await
    }

    /// Reads a page of the refunds of one payment, newest first.
    pub async fn refunds_of(
        &self,
        payment: &PaymentId,
        cursor: Option<&str>,
    ) -> Result<wire::RefundList, YookassaError> {
        let mut query = vec![("payment_id", payment.to_string()), ("limit", PAGE.to_owned())];
        if let Some(cursor) = cursor {
            query.push(("cursor", cursor.to_owned()));
        }
        let request = self.request(Method::GET, "/refunds").query(&query).timeout(GET_TIMEOUT);
        self.send("list_refunds", &self.gets, request).await
    }

    /// Reads a refund as it is now.
    pub async fn get_refund(&self, id: &RefundId) -> Result<wire::Refund, YookassaError> {
        let request = self.request(Method::GET, &format!("/refunds/{id}")).timeout(GET_TIMEOUT);
        self.send("get_refund", &self.gets, request).await
    }

    /// Reads a page of the refunds that were made in a span of time, newest first.
    pub async fn list_refunds(
        &self,
        span: (SystemTime, SystemTime),
        cursor: Option<&str>,
    ) -> Result<wire::RefundList, YookassaError> {
        let query = page(CREATED, span, cursor)?;
        let request = self.request(Method::GET, "/refunds").query(&query).timeout(GET_TIMEOUT);
        self.send("list_refunds", &self.gets, request).await
    }

    fn post(&self, path: &str, key: &str, body: Bytes) -> RequestBuilder {
        self.request(Method::POST, path)
            .header("Idempotence-Key", key)
            .header(CONTENT_TYPE, "application/json")
            .body(body)
            .timeout(POST_TIMEOUT)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let Credentials { shop_id, secret_key } = &self.credentials;
        // reqwest marks this header as sensitive, so that it is not printed anywhere.
        self.http
            .request(method, format!("{}{path}", self.base))
            .basic_auth(shop_id, Some(secret_key.expose_secret()))
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: &'static str,
        lane: &Lane,
        request: RequestBuilder,
    ) -> Result<T, YookassaError> {
        // Asked twice: nobody waits for a turn in vain, and time spent waiting is not an answer
        // that is late.
        lane.breaker.may_ask().map_err(|refused| not_sent(method, refused))?;
        let Ok(Ok(_turn)) = timeout(TURN_WITHIN, lane.turns.acquire()).await else {
            return Err(YookassaError::Unknown(Unknown::Busy));
        };
        let pass = lane.breaker.ask().map_err(|refused| not_sent(method, refused))?;
        let started = Instant::now();
        let answer = exchange(request).await.and_then(|(status, body)| read(status, &body));
        pass.end(ending(&answer));
        count(method, &answer);
        metrics::histogram!("yookassa_request_seconds", "method" => method)
            .record(started.elapsed().as_secs_f64());
        if let Err(error) = &answer {
            report(method, error);
        }
        answer
    }
}

/// What an answer says about whether they are there.
fn ending<T>(answer: &Result<T, YookassaError>) -> Ending {
    match answer {
        Ok(_) | Err(YookassaError::Rejected(_) | YookassaError::NotFound) => Ending::Answered,
        Err(YookassaError::Unknown(unknown)) => match unknown {
            Unknown::Network | Unknown::Unreadable | Unknown::Status(500..) => Ending::Failed,
            // They are there, and will not do it now.
            Unknown::Status(_) => Ending::Answered,
            Unknown::Busy | Unknown::Down(_) => Ending::Abandoned,
        },
    }
}

fn not_sent(method: &'static str, Refused { retry_after }: Refused) -> YookassaError {
    let refused = YookassaError::Unknown(Unknown::Down(retry_after));
    count::<()>(method, &Err(refused.clone()));
    refused
}

fn count<T>(method: &'static str, answer: &Result<T, YookassaError>) {
    let outcome = match answer {
        Ok(_) => "ok",
        Err(YookassaError::Rejected(_)) => "rejected",
        Err(YookassaError::NotFound) => "not_found",
        Err(YookassaError::Unknown(Unknown::Down(_))) => "not_sent",
        Err(YookassaError::Unknown(_)) => "unknown",
    };
    metrics::counter!("yookassa_requests_total", "method" => method, "outcome" => outcome)
        .increment(1);
}

type Query = Vec<(&'static str, String)>;
/// Names of the bounds of a span of time.
type Bounds = (&'static str, &'static str);

const CREATED: Bounds = ("created_at.gte", "created_at.lt");

/// Which page of a list is asked for.
fn page(
    (first, end): Bounds,
    (from, to): (SystemTime, SystemTime),
    cursor: Option<&str>,
) -> Result<Query, YookassaError> {
    let text = |moment: SystemTime| {
        OffsetDateTime::from(moment)
            .format(&Rfc3339)
            .map_err(|_| YookassaError::Unknown(Unknown::Unreadable))
    };
    let mut query = vec![(first, text(from)?), (end, text(to)?), ("limit", PAGE.to_owned())];
    if let Some(cursor) = cursor {
        query.push(("cursor", cursor.to_owned()));
    }
    Ok(query)
}

fn report(method: &'static str, error: &YookassaError) {
    match error {
        _ if error.is_about_credentials() => tracing::error!(
            yookassa.call = method,
            error.cause = %error,
            "yookassa: the shop was not accepted, check YOOKASSA_SHOP_ID and YOOKASSA_SECRET_KEY"
        ),
        YookassaError::Rejected(refusal) => tracing::warn!(
            yookassa.call = method,
            error.cause = %refusal,
            yookassa.error_id = refusal.id,
            "yookassa: a call was refused"
        ),
        // The change of the circuit was a line.
        YookassaError::NotFound | YookassaError::Unknown(Unknown::Down(_)) => {}
        YookassaError::Unknown(cause) => {
            tracing::warn!(
                yookassa.call = method,
                error.cause = %cause,
                "yookassa: a call has an unknown outcome"
            );
        }
    }
}

async fn exchange(request: RequestBuilder) -> Result<(StatusCode, Vec<u8>), YookassaError> {
    // The cause is left out of errors: reqwest's text holds the whole address.
    let lost = |_: reqwest::Error| YookassaError::Unknown(Unknown::Network);
    let mut response = request.send().await.map_err(lost)?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(lost)? {
        if body.len() + piece.len() > ANSWER_BYTES_MAX {
            return Err(YookassaError::Unknown(Unknown::Unreadable));
        }
        body.extend_from_slice(&piece);
    }
    Ok((status, body))
}

/// Sorts an answer into the ways a call can end.
fn read<T: DeserializeOwned>(status: StatusCode, body: &[u8]) -> Result<T, YookassaError> {
    if status == StatusCode::OK {
        return serde_json::from_slice(body)
            .map_err(|_| YookassaError::Unknown(Unknown::Unreadable));
    }
    let tells_nothing = !status.is_client_error()
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
    // A refusal that is not JSON was made by something in between, which cannot know what the
    // API did with an earlier try.
    let refusal = serde_json::from_slice::<wire::ErrorBody>(body).ok();
    let Some((refusal, code)) = refusal
        .and_then(|body| body.code.clone().map(|code| (body, code)))
        .filter(|_| !tells_nothing)
    else {
        return Err(YookassaError::Unknown(Unknown::Status(status.as_u16())));
    };
    let not_ours = matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE)
        || matches!(refusal.parameter.as_deref(), Some("payment_id" | "refund_id"));
    if not_ours {
        return Err(YookassaError::NotFound);
    }
    Err(YookassaError::Rejected(Refusal {
        status: status.as_u16(),
        code,
        parameter: refusal.parameter,
        id: refusal.id,
    }))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, body: &str, expected: &str) {
        let answer = read::<wire::Payment>(StatusCode::from_u16(status).unwrap(), body.as_bytes());
        let ended = match answer {
            Ok(_) => "ok".to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(ended, expected, "{status} {body}");
    }

    #[test]
    fn every_answer_is_one_of_the_ways_a_call_can_end() {
        const PAYMENT: &str = r#"{"id":"x","status":"pending"}"#;
        check(200, PAYMENT, "ok");
        check(200, "<html>", "outcome unknown: unreadable answer");
        check(200, "{}", "outcome unknown: unreadable answer");
        check(201, PAYMENT, "outcome unknown: status 201");
        check(202, r#"{"type":"processing"}"#, "outcome unknown: status 202");
        check(301, "", "outcome unknown: status 301");

        const INVALID: &str = r#"{"type":"error","code":"invalid_request","parameter":"receipt"}"#;
        check(400, INVALID, "refused: invalid_request: receipt");
        check(
            401,
            r#"{"type":"error","code":"invalid_credentials"}"#,
            "refused: invalid_credentials",
        );
        check(403, "<html>blocked</html>", "outcome unknown: status 403");
        check(404, r#"{"type":"error","code":"not_found"}"#, "no such payment in this shop");
        let foreign = r#"{"type":"error","code":"invalid_request","parameter":"payment_id"}"#;
        check(400, foreign, "no such payment in this shop");
        check(408, INVALID, "outcome unknown: status 408");
        check(429, r#"{"code":"too_many_requests"}"#, "outcome unknown: status 429");
        check(500, r#"{"code":"internal_server_error"}"#, "outcome unknown: status 500");
        check(502, "<html>", "outcome unknown: status 502");
    }
}
