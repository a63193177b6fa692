//! `/yookassa/v3`: who calls, with which key, what goes wrong; then one call of the books.

use std::sync::Arc;
use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::any;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::request::Parts;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::books::{Books, Event, KEY_MS, Origin, UsedKey};
use super::error::ApiError;
use super::receipts::{self, Wanted};
use super::shop::YooKassa;
use super::wire::Money;
use super::{list, request};
use crate::caller::{hang_up, header, origin};
use crate::faults::YookassaFault;
use crate::seen::{Call, now_ms, timestamp};

/// The largest body that is read.
const MAX_BODY: usize = 1 << 20;
/// How late a slow answer is.
const SLOW: Duration = Duration::from_secs(2);
/// Longer than the API ever takes: it gives up by itself after 30 seconds.
const HANG: Duration = Duration::from_secs(31);

/// What a change answers with, and what it causes.
type Change = Result<(String, Option<Event>), ApiError>;

pub(super) fn routes(shop: &Arc<YooKassa>) -> Router {
    Router::new().route("/yookassa/v3/{*path}", any(handle)).with_state(Arc::clone(shop))
}

async fn handle(State(shop): State<Arc<YooKassa>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let answer = match to_bytes(body, MAX_BODY).await {
        Ok(body) => shop.answer(&parts, &body).await,
        Err(_) => Answer::Error(ApiError::invalid("body", "The body is larger than 1 MiB")),
    };
    let (status, response) = match answer {
        Answer::Object(object) => (200, Json(object).into_response()),
        Answer::Error(error) => (error.status.as_u16(), error.into_response()),
        Answer::Page(status) => (status.as_u16(), (status, BAD_GATEWAY).into_response()),
        Answer::HangUp => (0, hang_up()),
    };
    shop.calls.push(Call {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        idempotence_key: header(&parts.headers, "idempotence-key").map(str::to_owned),
        status,
        at: timestamp(now_ms()),
    });
    response
}

/// What something between a caller and the API says for it.
const BAD_GATEWAY: Html<&str> = Html("<html><body><h1>502 Bad Gateway</h1></body></html>\n");

enum Answer {
    Object(Value),
    Page(StatusCode),
    Error(ApiError),
    HangUp,
}

impl YooKassa {
    async fn answer(&self, parts: &Parts, body: &[u8]) -> Answer {
        if !self.is_shop(parts) {
            return Answer::Error(ApiError::credentials());
        }
        let fault = self.fault_for(parts);
        match fault {
            Some(YookassaFault::FailBefore) => return Answer::Error(ApiError::internal()),
            Some(YookassaFault::TooManyRequests) => {
                return Answer::Error(ApiError::too_many_requests());
            }
            Some(YookassaFault::BadGateway) => return Answer::Page(StatusCode::BAD_GATEWAY),
            Some(YookassaFault::Hang) => {
                tokio::time::sleep(HANG).await;
                return Answer::Error(ApiError::internal());
            }
            Some(YookassaFault::Slow) => tokio::time::sleep(SLOW).await,
            _ => {}
        }
        let receipt_required = fault == Some(YookassaFault::ReceiptRequired);
        match (self.dispatch(parts, body, receipt_required), fault) {
            (Ok(_), Some(YookassaFault::FailAfter)) => Answer::Error(ApiError::internal()),
            (Ok(_), Some(YookassaFault::DropAfter)) => Answer::HangUp,
            (Ok(object), _) => Answer::Object(object),
            (Err(error), _) => Answer::Error(error),
        }
    }

    /// Faults of changes do not strike reads, and one that asks for receipts strikes payments.
    fn fault_for(&self, parts: &Parts) -> Option<YookassaFault> {
        let strikes = match self.faults.all().yookassa? {
            YookassaFault::FailBefore
            | YookassaFault::TooManyRequests
            | YookassaFault::BadGateway
            | YookassaFault::Hang
            | YookassaFault::Slow => true,
            YookassaFault::FailAfter | YookassaFault::DropAfter => parts.method == Method::POST,
            YookassaFault::ReceiptRequired => {
                parts.method == Method::POST && parts.uri.path().ends_with("/payments")
            }
        };
        strikes.then(|| self.faults.strike_yookassa()).flatten()
    }

    fn is_shop(&self, parts: &Parts) -> bool {
        let expected = format!("{}:{}", self.settings.shop_id, self.settings.secret_key);
        header(&parts.headers, AUTHORIZATION.as_str())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
            .and_then(|(_, credentials)| STANDARD.decode(credentials.trim()).ok())
            .is_some_and(|credentials| credentials == expected.as_bytes())
    }

    fn dispatch(&self, parts: &Parts, body: &[u8], receipt: bool) -> Result<Value, ApiError> {
        // Clients join base and path with a slash too many.
        let path: Vec<_> =
            parts.uri.path().split('/').filter(|part| !part.is_empty()).skip(2).collect();
        match (parts.method.as_str(), path.as_slice()) {
            ("GET", ["payments"]) => {
                let query = query(parts);
                self.books.read(|books| list::payments(books, &query))
            }
            ("GET", ["refunds"]) => {
                let query = query(parts);
                self.books.read(|books| list::refunds(books, &query))
            }
            ("GET", ["payments", id]) => self
                .books
                .read(|books| books.payments.get(*id).map(|stored| json!(stored.payment)))
                .ok_or_else(|| ApiError::not_found("Payment")),
            ("GET", ["refunds", id]) => self
                .books
                .read(|books| books.refunds.get(*id).map(|refund| json!(refund)))
                .ok_or_else(|| ApiError::not_found("Refund")),
            ("GET", ["receipts"]) => {
                let query = query(parts);
                self.books.read(|books| list::receipts(books, &query))
            }
            ("GET", ["receipts", id]) => self
                .books
                .read(|books| books.receipts.get(*id).map(|kept| books.receipt(kept)))
                .ok_or_else(|| ApiError::not_found("Receipt")),
            ("GET", ["me"]) => {
                Ok(self.me(self.books.read(|books| Wanted::by(books, receipt)) != Wanted::No))
            }
            ("POST", path @ (["payments" | "refunds"] | ["payments", _, "capture" | "cancel"])) => {
                self.change(parts, path, body, receipt)
            }
            (_, ["payments" | "refunds" | "receipts" | "me"])
            | (_, ["payments", _] | ["refunds", _] | ["receipts", _])
            | (_, ["payments", _, "capture" | "cancel"]) => Err(ApiError::method()),
            _ => Err(ApiError::not_found("Resource")),
        }
    }

    fn me(&self, receipt: bool) -> Value {
        json!({
            "account_id": self.settings.shop_id,
            "status": "enabled",
            "test": true,
            "fiscalization": { "enabled": receipt },
            "fiscalization_enabled": receipt,
            "payment_methods": ["bank_card", "yoo_money"],
        })
    }

    fn change(
        &self,
        parts: &Parts,
        path: &[&str],
        body: &[u8],
        receipt: bool,
    ) -> Result<Value, ApiError> {
        let key = key(parts)?;
        let body = json_body(parts, body)?;
        let base = self.page_base(parts);
        let origin = Origin { shop_id: &self.settings.shop_id, base: &base };
        let act = |books: &mut Books, now: i64| -> Change {
            let wanted = Wanted::by(books, receipt);
            match path {
                ["payments"] => {
                    let new = request::payment(&body, wanted)?;
                    Ok((books.create(new, &origin, now), None))
                }
                ["refunds"] => {
                    let new = request::refund(&body)?;
                    let is_whole = is_whole(books, &new.payment_id, new.amount);
                    let receipt = receipts::check(&body, new.amount, wanted, !is_whole)?;
                    let (id, event) = books.refund(new, self.faults.strike_refund(), now)?;
                    if receipt.is_some() || is_whole {
                        books.keep_refund_receipt(&id, receipt, now);
                    }
                    Ok((id, event))
                }
                ["payments", id, action] => step(books, (id, action), &body, now),
                _ => Err(ApiError::not_found("Resource")),
            }
        };
        self.once(key, &digest(path, &body), act)
    }

    /// Where the checkout page is: where the caller came, unless he used the API's own host name,
    /// which leads a browser elsewhere.
    fn page_base(&self, parts: &Parts) -> String {
        let base = origin(parts);
        if base.ends_with("yookassa.ru") { self.settings.base_url.clone() } else { base }
    }

    /// Does a change unless its key was used: then it answers with the object as it is now.
    fn once(
        &self,
        key: &str,
        digest: &str,
        act: impl FnOnce(&mut Books, i64) -> Change,
    ) -> Result<Value, ApiError> {
        self.books.write(|books| {
            let now = now_ms() + books.ahead_ms;
            let used = books.keys.get(key).filter(|used| now - used.used_ms < KEY_MS);
            let object_id = match used {
                Some(used) if used.digest == digest => used.object_id.clone(),
                Some(_) => {
                    return Err(ApiError::invalid("Idempotence-Key", "Idempotence key duplicated"));
                }
                None => {
                    let (object_id, event) = act(books, now)?;
                    let digest = digest.to_owned();
                    let used = UsedKey { digest, object_id: object_id.clone(), used_ms: now };
                    books.keys.insert(key.to_owned(), used);
                    if let Some(event) = event {
                        self.announce(books, &event);
                    }
                    object_id
                }
            };
            books.object(&object_id).ok_or_else(|| ApiError::not_found("Object"))
        })
    }
}

/// Whether a refund gives back all that was paid: it needs no receipt of its own then.
fn is_whole(books: &Books, payment_id: &str, amount: Money) -> bool {
    books.payments.get(payment_id).is_some_and(|stored| stored.payment.amount == amount)
}

fn step(books: &mut Books, (id, action): (&str, &str), body: &Value, now: i64) -> Change {
    let stored = books.payments.get_mut(id).ok_or_else(|| ApiError::not_found("Payment"))?;
    let event = match action {
        "capture" => stored.capture(request::capture(body)?, now)?,
        _ => stored.cancel()?,
    };
    Ok((id.to_owned(), Some(event)))
}

fn key(parts: &Parts) -> Result<&str, ApiError> {
    let refuse = |description: &str| Err(ApiError::invalid("Idempotence-Key", description));
    let allowed = |byte: u8| (b'+'..=b'_').contains(&byte) || byte.is_ascii_alphanumeric();
    match header(&parts.headers, "idempotence-key").map(str::trim) {
        None | Some("") => refuse("Idempotence key is empty"),
        Some(key) if key.len() > 64 => refuse(
            "Idempotence key is too long. Send the value in accordance with the documentation",
        ),
        Some(key) if !key.bytes().all(allowed) => {
            refuse("Idempotence key holds characters that are not allowed")
        }
        Some(key) => Ok(key),
    }
}

fn json_body(parts: &Parts, body: &[u8]) -> Result<Value, ApiError> {
    let content_type = header(&parts.headers, CONTENT_TYPE.as_str());
    let is_json = content_type.is_some_and(|text| {
        text.split(';')
            .next()
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
    });
    // Capture and cancel come without a body, and some clients then name no type.
    if !(is_json || body.is_empty() && content_type.is_none()) {
        return Err(ApiError::content_type());
    }
    if body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(body).map_err(|_| ApiError::invalid("body", "The body is not JSON"))
}

/// Of what is asked. Maps of `serde_json` are sorted, so the order of fields does not matter.
fn digest(path: &[&str], body: &Value) -> String {
    let mut hash = Sha256::new();
    hash.update(path.join("/"));
    hash.update("\n");
    hash.update(body.to_string());
    hex::encode(hash.finalize())
}

fn query(parts: &Parts) -> list::Query {
    let query = parts.uri.query().unwrap_or_default();
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}
