//! `/_sandbox/payments`, `/_sandbox/refunds` and `/_sandbox/yookassa`: tests play the user and the
//! bank, and read what was seen.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::books::{self, Books, Event, StoredPayment};
use super::cards;
use super::error::ApiError;
use super::request::NewRefund;
use super::shop::YooKassa;
use super::wire::{Money, Status};
use crate::seen::{now_ms, timestamp};

type Shop = State<Arc<YooKassa>>;

pub(super) fn routes(shop: &Arc<YooKassa>) -> Router {
    Router::new()
        .route("/_sandbox/payments", get(payments))
        .route("/_sandbox/payments/{id}/{action}", post(act))
        // Beside the API, for scripts that know one address only.
        .route("/yookassa/_sandbox/payments/{id}/{action}", post(act))
        .route("/_sandbox/refunds", get(refunds))
        .route("/_sandbox/refunds/{id}/{action}", post(decide))
        .route("/_sandbox/yookassa/seen", get(seen))
        .route("/_sandbox/yookassa/clock", get(clock).post(advance))
        .route("/_sandbox/yookassa/receipts", get(receipts))
        .route("/_sandbox/yookassa/shop", get(show_shop).patch(change_shop))
        .with_state(Arc::clone(shop))
}

async fn payments(State(shop): Shop) -> Json<Value> {
    let payments: Vec<_> = shop
        .books
        .read(|books| books.payments.values().rev().map(|stored| json!(stored.payment)).collect());
    Json(json!({ "payments": payments }))
}

async fn act(
    State(shop): Shop,
    Path((id, action)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    let done = match action.as_str() {
        "pay" => shop.step(&id, |stored, now| pay(stored, false, now)),
        "capture_wait" => shop.step(&id, |stored, now| pay(stored, true, now)),
        "decline" => match reason(&body) {
            Ok((party, reason)) => {
                shop.step(&id, |stored, _| stored.decline(&party, &reason).map(Some))
            }
            Err(refusal) => Err(refusal),
        },
        "expire" => shop.step(&id, |stored, _| stored.expire().map(Some)),
        "notify" => shop.notify_again(&id),
        "refund" => amount(&body).and_then(|amount| shop.give_back(&id, amount)),
        _ => Err(refuse(
            StatusCode::NOT_FOUND,
            "actions are pay, decline, expire, capture_wait, notify and refund",
        )),
    };
    match done {
        Ok(payment) => Json(payment).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

/// What was sent, with whom it goes to, which the API itself does not tell.
async fn receipts(State(shop): Shop) -> Json<Value> {
    let receipts: Vec<_> = shop.books.read(|books| {
        let kept = books.receipts.values().rev();
        kept.map(|kept| {
            let mut receipt = books.receipt(kept);
            receipt["customer"] = kept.sent["customer"].clone();
            receipt
        })
        .collect()
    });
    Json(json!({ "receipts": receipts }))
}

async fn show_shop(State(shop): Shop) -> Json<Value> {
    Json(shop.books.read(|books| json!({ "receipts": books.wants_receipts })))
}

/// `{"receipts": true}`: the shop is one with «Чеки от ЮKassa» from now on.
async fn change_shop(State(shop): Shop, body: Bytes) -> Response {
    let wants =
        serde_json::from_slice(&body).ok().and_then(|body: Value| body.get("receipts")?.as_bool());
    let Some(wants) = wants else {
        return refuse(StatusCode::BAD_REQUEST, "send {\"receipts\": true} or false")
            .into_response();
    };
    shop.set_receipts(wants);
    show_shop(State(shop)).await.into_response()
}

async fn refunds(State(shop): Shop) -> Json<Value> {
    let refunds: Vec<_> =
        shop.books.read(|books| books.refunds.values().rev().map(|refund| json!(refund)).collect());
    Json(json!({ "refunds": refunds }))
}

/// The bank decides about a refund that is pending.
async fn decide(
    State(shop): Shop,
    Path((id, action)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    let done = match action.as_str() {
        "succeed" => shop.decide(&id, |books| books.complete_refund(&id).map(Some)),
        "cancel" => refund_reason(&body).and_then(|reason| {
            shop.decide(&id, |books| books.refuse_refund(&id, &reason).map(|()| None))
        }),
        _ => Err(refuse(StatusCode::NOT_FOUND, "actions are succeed and cancel")),
    };
    match done {
        Ok(refund) => Json(refund).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn seen(State(shop): Shop) -> Json<Value> {
    Json(json!({ "calls": shop.calls.all(), "notifications": shop.notifications.all() }))
}

async fn clock(State(shop): Shop) -> Json<Value> {
    Json(shop.clock())
}

/// `{"advance_seconds": n}`: the shop's clock jumps ahead, so that an hour need not be waited for.
async fn advance(State(shop): Shop, body: Bytes) -> Response {
    let seconds = serde_json::from_slice(&body)
        .ok()
        .and_then(|body: Value| body.get("advance_seconds")?.as_i64())
        .filter(|seconds| (0..=400 * 86_400).contains(seconds));
    let Some(seconds) = seconds else {
        let error = "send {\"advance_seconds\": n}, n from 0 to 34560000";
        return refuse(StatusCode::BAD_REQUEST, error).into_response();
    };
    shop.books.write(|books| books.ahead_ms += seconds * 1000);
    shop.wake.notify_one();
    Json(shop.clock()).into_response()
}

type Refusal = (StatusCode, Json<Value>);

fn refuse(status: StatusCode, error: &str) -> Refusal {
    (status, Json(json!({ "error": error })))
}

/// Pays with a card that works; a payment that is paid already is left as it is.
fn pay(stored: &mut StoredPayment, hold: bool, now: i64) -> Result<Option<Event>, ApiError> {
    match stored.payment.status {
        Status::WaitingForCapture | Status::Succeeded => Ok(None),
        Status::Pending | Status::Canceled => stored.pay(cards::DEFAULT, hold, now).map(Some),
    }
}

/// `{"reason": …}`, or nothing. A reason that YooKassa does not have yet is taken with its party.
fn reason(body: &[u8]) -> Result<(String, String), Refusal> {
    let body: Value = if body.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(body)
            .map_err(|_| refuse(StatusCode::BAD_REQUEST, "send {\"reason\": …} or nothing"))?
    };
    let reason = body.get("reason").and_then(Value::as_str).unwrap_or("general_decline");
    let named = body.get("party").and_then(Value::as_str);
    if named.is_some_and(|party| !cards::is_party(party)) {
        let error = "a party is merchant, yoo_money or payment_network";
        return Err(refuse(StatusCode::BAD_REQUEST, error));
    }
    match named.or_else(|| cards::party(reason)) {
        Some(party) => Ok((party.to_owned(), reason.to_owned())),
        None => {
            let known: Vec<_> = cards::reasons().into_iter().collect();
            let error = format!("there is no such reason; there are {}", known.join(", "));
            Err(refuse(StatusCode::BAD_REQUEST, &error))
        }
    }
}

/// `{"reason": "insufficient_funds"}`, or nothing for `general_decline`.
fn refund_reason(body: &[u8]) -> Result<String, Refusal> {
    let body: Value = if body.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(body)
            .map_err(|_| refuse(StatusCode::BAD_REQUEST, "send {\"reason\": …} or nothing"))?
    };
    let reason = body.get("reason").and_then(Value::as_str).unwrap_or("general_decline");
    if books::refund_reasons().any(|known| known == reason) {
        return Ok(reason.to_owned());
    }
    let known: Vec<_> = books::refund_reasons().collect();
    let error = format!("there is no such reason; there are {}", known.join(", "));
    Err(refuse(StatusCode::BAD_REQUEST, &error))
}

/// `{"amount": "40.00"}`, or nothing for all that is left.
fn amount(body: &[u8]) -> Result<Option<Money>, Refusal> {
    if body.is_empty() {
        return Ok(None);
    }
    let amount = serde_json::from_slice(body)
        .ok()
        .and_then(|body: Value| Money::parse(body.get("amount")?.as_str()?));
    match amount.filter(|amount| amount.0 > 0) {
        Some(amount) => Ok(Some(amount)),
        None => Err(refuse(StatusCode::BAD_REQUEST, "send {\"amount\": \"40.00\"} or nothing")),
    }
}

impl YooKassa {
    /// Gives money back, as somebody does in the merchant profile.
    fn give_back(&self, id: &str, amount: Option<Money>) -> Result<Value, Refusal> {
        self.books.write(|books| {
            let now = now_ms() + books.ahead_ms;
            let payment = &books.payments.get(id).ok_or_else(unknown)?.payment;
            let left = payment.amount.0 - payment.refunded_amount.unwrap_or_default().0;
            let nothing_left =
                || refuse(StatusCode::CONFLICT, "the payment has not so much left to give back");
            if left == 0 {
                return Err(nothing_left());
            }
            let refund = NewRefund {
                payment_id: id.to_owned(),
                amount: amount.unwrap_or(Money(left)),
                description: None,
                metadata: None,
            };
            let is_whole = refund.amount == payment.amount;
            let end = self.faults.strike_refund();
            let (refund_id, event) = books.refund(refund, end, now).map_err(|_| nothing_left())?;
            if is_whole {
                books.keep_refund_receipt(&refund_id, None, now);
            }
            if let Some(event) = event {
                self.announce(books, &event);
            }
            books.object(id).ok_or_else(unknown)
        })
    }

    /// Ends a refund that is pending.
    fn decide(
        &self,
        id: &str,
        act: impl FnOnce(&mut Books) -> Result<Option<Event>, ApiError>,
    ) -> Result<Value, Refusal> {
        self.books.write(|books| {
            let unknown = || refuse(StatusCode::NOT_FOUND, "there is no such refund");
            let status = books.refunds.get(id).ok_or_else(unknown)?.status.as_str();
            let event = act(books).map_err(|_| {
                refuse(StatusCode::CONFLICT, &format!("the refund is {status} already"))
            })?;
            if let Some(event) = event {
                self.announce(books, &event);
            }
            books.object(id).ok_or_else(unknown)
        })
    }

    /// Does something with a payment, as its user or as time would.
    pub(super) fn step(
        &self,
        id: &str,
        act: impl FnOnce(&mut StoredPayment, i64) -> Result<Option<Event>, ApiError>,
    ) -> Result<Value, Refusal> {
        self.books.write(|books| {
            let now = now_ms() + books.ahead_ms;
            let stored = books.payments.get_mut(id).ok_or_else(unknown)?;
            let status = stored.payment.status.as_str();
            let event = act(stored, now).map_err(|_| {
                refuse(StatusCode::CONFLICT, &format!("the payment is {status} already"))
            })?;
            if let Some(event) = event {
                self.announce(books, &event);
            }
            books.object(id).ok_or_else(unknown)
        })
    }

    /// Sends the notification of the state as it is, past the switches.
    fn notify_again(&self, id: &str) -> Result<Value, Refusal> {
        let sent = self.books.write(|books| {
            let now = now_ms() + books.ahead_ms;
            let event =
                books.payments.get(id).ok_or_else(unknown)?.last_event().ok_or_else(|| {
                    refuse(StatusCode::CONFLICT, "a pending payment has no notification")
                })?;
            books.enqueue(&event, now, now);
            books.object(id).ok_or_else(unknown)
        });
        self.wake.notify_one();
        sent
    }

    fn clock(&self) -> Value {
        let ahead_ms = self.books.read(|books| books.ahead_ms);
        json!({ "now": timestamp(now_ms() + ahead_ms), "ahead_seconds": ahead_ms / 1000 })
    }
}

fn unknown() -> Refusal {
    refuse(StatusCode::NOT_FOUND, "there is no such payment")
}
