//! Payments in Telegram Stars: invoices, the question before a payment, the payment, and giving back.
//!
//! Invariant: Stars leave a person only after the bot has said yes within ten seconds, and each
//! payment is given back at most once.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::error::Refusal;
use super::params::Params;
use super::play::{Body, Emulator, Problem, may_write, unknown_user};
use super::send::{Envelope, add, first};
use super::state::{Charge, Content, Invoice, Payment, PreCheckout, State as Memory};
use super::{Telegram, now, wire};
use crate::seen::now_ms;

/// What Telegram calls Stars.
pub(super) const CURRENCY: &str = "XTR";
/// How long the bot has to answer the question before a payment.
const ANSWERABLE: Duration = Duration::from_secs(10);
const TITLE_MAX: usize = 32;
const DESCRIPTION_MAX: usize = 255;
const PAYLOAD_BYTES_MAX: usize = 128;
const STARS_MAX: i64 = 10_000;
const TRANSACTIONS_MAX: i64 = 100;
const LINK: &str = "https://t.me/$";
/// What a person can be given at once.
const GIFT_MAX: i64 = 1_000_000;

pub(super) fn routes(telegram: &Arc<Telegram>) -> Router {
    Router::new()
        .route("/_sandbox/telegram/users/{id}/pay", post(pay))
        .route("/_sandbox/telegram/users/{id}/stars", post(give))
        .route("/_sandbox/telegram/stars", get(charges))
        .with_state(Arc::clone(telegram))
}

impl Telegram {
    /// `sendInvoice`.
    pub(super) fn send_invoice(&self, params: &Params) -> Result<Value, Refusal> {
        let invoice = invoice_of(params)?;
        let (chat_id, envelope) = self.envelope(params)?;
        self.post(chat_id, envelope, vec![Content::Invoice(invoice)]).map(first)
    }

    /// `createInvoiceLink`.
    pub(super) fn create_invoice_link(&self, params: &Params) -> Result<Value, Refusal> {
        let invoice = invoice_of(params)?;
        let end = uuid::Uuid::new_v4().simple().to_string();
        self.state.write(|state| state.invoice_links.insert(end.clone(), invoice));
        Ok(format!("{LINK}{end}").into())
    }

    /// `answerPreCheckoutQuery`.
    pub(super) fn answer_pre_checkout(&self, params: &Params) -> Result<Value, Refusal> {
        let id = params.text("pre_checkout_query_id").unwrap_or_default();
        let answer = match (params.flag("ok"), params.text("error_message")) {
            (true, _) => Ok(()),
            (false, Some(why)) => Err(why.to_owned()),
            (false, None) => return Err(Refusal::bad("error message must be non-empty")),
        };
        self.state.write(|state| {
            let question = state.pre_checkouts.get_mut(id).filter(|it| is_open(it, now_ms()));
            let question = question.ok_or_else(|| {
                Refusal::bad("query is too old and response timeout expired or query ID is invalid")
            })?;
            question.answer = Some(answer);
            Ok(())
        })?;
        self.changes.send_replace(());
        Ok(Value::Bool(true))
    }

    /// `refundStarPayment`: the whole payment, once.
    pub(super) fn refund_star_payment(&self, params: &Params) -> Result<Value, Refusal> {
        let charge_id = params
            .text("telegram_payment_charge_id")
            .ok_or_else(|| Refusal::bad("CHARGE_ID_EMPTY"))?
            .to_owned();
        let user_id = params.int("user_id").ok_or_else(|| Refusal::bad("USER_ID_INVALID"))?;
        let message = self.state.write(|state| {
            let charge = state.charges.get_mut(&charge_id).filter(|it| it.user_id == user_id);
            let charge = charge.ok_or_else(|| Refusal::bad("CHARGE_NOT_FOUND"))?;
            if charge.refunded_at.is_some() {
                return Err(Refusal::bad("CHARGE_ALREADY_REFUNDED"));
            }
            charge.refunded_at = Some(now());
            let payment = Payment {
                payload: charge.payload.clone(),
                stars: charge.stars,
                charge_id: charge_id.clone(),
            };
            if let Some(user) = state.users.get_mut(&user_id) {
                user.stars += payment.stars;
            }
            Ok(add(state, user_id, true, Content::Refunded(payment), &Envelope::default()))
        })?;
        self.changes.send_replace(());
        self.enqueue("message", user_id, |state| self.message(state, user_id, &message));
        Ok(Value::Bool(true))
    }

    /// `getMyStarBalance`.
    pub(super) fn star_balance(&self) -> Value {
        let kept = |state: &Memory| {
            let charges = state.charges.values().filter(|charge| charge.refunded_at.is_none());
            charges.map(|charge| charge.stars).sum::<i64>()
        };
        json!({"amount": self.state.read(kept)})
    }

    /// `getStarTransactions`: oldest first; a payment and its refund have the same id.
    pub(super) fn star_transactions(&self, params: &Params) -> Value {
        let offset = usize::try_from(params.int("offset").unwrap_or(0)).unwrap_or(0);
        let limit = params.int("limit").filter(|n| (1..=TRANSACTIONS_MAX).contains(n));
        let limit = usize::try_from(limit.unwrap_or(TRANSACTIONS_MAX)).unwrap_or(0);
        self.state.read(|state| {
            let mut all: Vec<_> = state
                .charges
                .iter()
                .flat_map(|(id, charge)| {
                    let paid = (charge.at, transaction(state, id, charge, "source", charge.at));
                    let back = charge
                        .refunded_at
                        .map(|at| (at, transaction(state, id, charge, "receiver", at)));
                    [Some(paid), back].into_iter().flatten()
                })
                .collect();
            all.sort_by_key(|(at, _)| *at);
            let page: Vec<_> =
                all.into_iter().skip(offset).take(limit).map(|(_, shown)| shown).collect();
            json!({"transactions": page})
        })
    }

    /// Plays a person who presses the pay button: asks the bot.
    fn ask(&self, user_id: i64, what: &Pay) -> Result<Asked, Problem> {
        let query_id = (uuid::Uuid::now_v7().as_u128() >> 32).to_string();
        let (invoice, person) = self.state.write(|state| {
            let invoice = wanted(state, user_id, what)?;
            let user = may_write(state, user_id)?.clone();
            if user.stars < invoice.stars {
                return Err(Problem::bad(format!(
                    "BALANCE_TOO_LOW: the user has {} Stars: POST \
                     /_sandbox/telegram/users/{user_id}/stars gives some",
                    user.stars
                )));
            }
            let question = PreCheckout { at_ms: now_ms(), answer: None };
            state.pre_checkouts.insert(query_id.clone(), question);
            Ok((invoice, user))
        })?;
        let deadline = Instant::now() + ANSWERABLE;
        self.enqueue("pre_checkout_query", user_id, |_| {
            json!({
                "id": query_id,
                "from": wire::user(&person),
                "currency": CURRENCY,
                "total_amount": invoice.stars,
                "invoice_payload": invoice.payload,
            })
        });
        Ok(Asked { query_id, invoice, deadline })
    }

    /// Waits for the bot's answer, and takes the Stars if it is yes.
    async fn finish(&self, user_id: i64, what: &Pay, asked: Asked) -> Result<Value, Problem> {
        let mut changes = self.changes.subscribe();
        loop {
            changes.mark_unchanged();
            let answer = self.state.read(|state| {
                let question = state.pre_checkouts.get(&asked.query_id);
                question.and_then(|question| question.answer.clone())
            });
            match answer {
                Some(Ok(())) => return self.charge(user_id, &asked.invoice, what),
                Some(Err(why)) => return Ok(json!({"paid": false, "error": why})),
                None if Instant::now() >= asked.deadline => {
                    return Ok(json!({"paid": false, "error": "BOT_PRECHECKOUT_TIMEOUT"}));
                }
                None => {}
            }
            tokio::select! {
                _ = changes.changed() => {}
                () = tokio::time::sleep_until(asked.deadline) => {}
            }
        }
    }

    /// Takes the Stars, and tells the bot. As in Telegram, two payments of one invoice that were
    /// both allowed are both made.
    fn charge(&self, user_id: i64, invoice: &Invoice, what: &Pay) -> Result<Value, Problem> {
        let payment = Payment {
            payload: invoice.payload.clone(),
            stars: invoice.stars,
            charge_id: new_charge_id(),
        };
        let message = self.state.write(|state| {
            let user = state.users.get_mut(&user_id).ok_or_else(|| unknown_user(user_id))?;
            if user.stars < payment.stars {
                return Err(Problem::bad("BALANCE_TOO_LOW"));
            }
            user.stars -= payment.stars;
            user.started = true;
            let charge = Charge {
                user_id,
                payload: payment.payload.clone(),
                stars: payment.stars,
                at: now(),
                refunded_at: None,
            };
            state.charges.insert(payment.charge_id.clone(), charge);
            mark_paid(state, user_id, what, &payment.charge_id);
            let content = Content::Paid(payment.clone());
            Ok(add(state, user_id, false, content, &Envelope::default()))
        })?;
        self.changes.send_replace(());
        self.enqueue("message", user_id, |state| self.message(state, user_id, &message));
        Ok(json!({
            "paid": true, "charge_id": payment.charge_id, "message_id": message.message_id,
        }))
    }
}

/// Reads an invoice, as strictly as Telegram does where it is in Stars.
fn invoice_of(params: &Params) -> Result<Invoice, Refusal> {
    let text = |name: &str| params.text(name).unwrap_or_default().to_owned();
    let fits = |text: &str, max: usize| (1..=max).contains(&text.chars().count());
    let (title, description, payload) = (text("title"), text("description"), text("payload"));
    if !fits(&title, TITLE_MAX) {
        return Err(Refusal::bad("INVOICE_TITLE_INVALID"));
    }
    if !fits(&description, DESCRIPTION_MAX) {
        return Err(Refusal::bad("INVOICE_DESCRIPTION_INVALID"));
    }
    if !(1..=PAYLOAD_BYTES_MAX).contains(&payload.len()) {
        return Err(Refusal::bad("INVOICE_PAYLOAD_INVALID"));
    }
    if text("currency") != CURRENCY {
        // A card needs a provider, and there is none here.
        return Err(Refusal::bad("PAYMENT_PROVIDER_INVALID"));
    }
    let prices = params.json("prices", "prices")?;
    let Some([price]) = prices.as_ref().and_then(Value::as_array).map(Vec::as_slice) else {
        return Err(Refusal::bad("STARS_INVOICE_INVALID"));
    };
    let is_named = price["label"].as_str().is_some_and(|label| !label.is_empty());
    let amount = price["amount"].as_i64().filter(|amount| (1..=STARS_MAX).contains(amount));
    let stars = amount.filter(|_| is_named);
    Ok(Invoice {
        title,
        description,
        payload,
        stars: stars.ok_or_else(|| Refusal::bad("CURRENCY_TOTAL_AMOUNT_INVALID"))?,
        start_parameter: text("start_parameter"),
        charge_id: None,
    })
}

fn is_open(question: &PreCheckout, now_ms: i64) -> bool {
    let age_ms = u128::try_from(now_ms - question.at_ms).unwrap_or_default();
    question.answer.is_none() && age_ms <= ANSWERABLE.as_millis()
}

fn transaction(state: &Memory, id: &str, charge: &Charge, side: &str, at: i64) -> Value {
    json!({
        "id": id,
        "amount": charge.stars,
        "date": at,
        side: {
            "type": "user",
            "transaction_type": "invoice_payment",
            "user": state.users.get(&charge.user_id).map(wire::user),
            "invoice_payload": charge.payload,
        },
    })
}

/// About as long as real ones are.
fn new_charge_id() -> String {
    let part = || uuid::Uuid::new_v4().simple().to_string();
    format!("stx{}{}{}{}", part(), part(), part(), part())
}

/// A payment that waits for the bot's answer.
struct Asked {
    query_id: String,
    invoice: Invoice,
    deadline: Instant,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pay {
    /// The message with the invoice, …
    message_id: Option<i64>,
    /// … in whose chat it is, if it was forwarded;
    chat_id: Option<i64>,
    /// or the link.
    link: Option<String>,
    /// Whether the person presses the button on two devices, before the bot answers either.
    #[serde(default)]
    twice: bool,
}

impl Pay {
    fn place(&self, user_id: i64) -> Option<(i64, i64)> {
        Some((self.chat_id.unwrap_or(user_id), self.message_id?))
    }
}

/// The invoice that is to be paid.
fn wanted(state: &Memory, user_id: i64, what: &Pay) -> Result<Invoice, Problem> {
    let linked = what.link.as_deref().and_then(|link| link.strip_prefix(LINK));
    if let Some(end) = linked {
        let invoice = state.invoice_links.get(end).cloned();
        return invoice.ok_or_else(|| Problem::not_found("no such invoice link"));
    }
    let message = what.place(user_id).and_then(|(chat, message)| state.message(chat, message));
    match message.map(|message| &message.content) {
        Some(Content::Invoice(invoice)) if invoice.charge_id.is_none() => Ok(invoice.clone()),
        Some(Content::Invoice(_)) => Err(Problem::bad("the invoice is paid")),
        _ => Err(Problem::not_found("no invoice there: {\"message_id\"} or {\"link\"} names one")),
    }
}

fn mark_paid(state: &mut Memory, user_id: i64, what: &Pay, charge_id: &str) {
    let Some((chat, message)) = what.place(user_id) else { return };
    if let Some(message) = state.message_mut(chat, message)
        && let Content::Invoice(invoice) = &mut message.content
    {
        invoice.charge_id.get_or_insert_with(|| charge_id.to_owned());
    }
}

async fn pay(
    State(telegram): Emulator,
    Path(id): Path<i64>,
    Body(body): Body<Pay>,
) -> Result<Json<Value>, Problem> {
    // Once begun it is finished, whether or not somebody still waits for the answer.
    let paying = tokio::spawn(async move {
        let first = telegram.ask(id, &body)?;
        if !body.twice {
            return telegram.finish(id, &body, first).await;
        }
        let second = telegram.ask(id, &body)?;
        let first = telegram.finish(id, &body, first).await?;
        let second = telegram.finish(id, &body, second).await?;
        Ok(json!({"payments": [first, second]}))
    });
    paying.await.map_err(|_| Problem::bad("the payment broke off"))?.map(Json)
}

#[derive(Debug, Deserialize)]
struct Gift {
    amount: i64,
}

async fn give(
    State(telegram): Emulator,
    Path(id): Path<i64>,
    Body(body): Body<Gift>,
) -> Result<Json<Value>, Problem> {
    if !(1..=GIFT_MAX).contains(&body.amount) {
        return Err(Problem::bad(format!("amount is 1 to {GIFT_MAX}")));
    }
    let stars = telegram.state.write(|state| {
        state.next_seq();
        let user = state.users.get_mut(&id).ok_or_else(|| unknown_user(id))?;
        user.stars += body.amount;
        Ok::<_, Problem>(user.stars)
    })?;
    telegram.changes.send_replace(());
    Ok(Json(json!({"stars": stars})))
}

async fn charges(State(telegram): Emulator) -> Json<Value> {
    let shown = |(id, charge): (&String, &Charge)| {
        json!({
            "charge_id": id,
            "user_id": charge.user_id,
            "stars": charge.stars,
            "payload": charge.payload,
            "refunded": charge.refunded_at.is_some(),
        })
    };
    Json(telegram.state.read(|state| {
        let charges: Vec<_> = state.charges.iter().map(shown).collect();
        json!({"charges": charges})
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_before_a_payment_can_be_answered_once_and_for_ten_seconds() {
        let question = PreCheckout { at_ms: 1_000, answer: None };
        assert!(is_open(&question, 11_000));
        assert!(!is_open(&question, 11_001));
        assert!(!is_open(&PreCheckout { answer: Some(Ok(())), ..question }, 1_000));
    }
}
