//! What may happen to payments and refunds, and the events it causes.
//!
//! Pure: the caller passes the time, and stores what comes out in one write.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::cards::{self, Outcome};
use super::error::ApiError;
use super::receipts::KeptReceipt;
use super::request::{NewConfirmation, NewPayment, NewRefund};
use super::wire::{
    AuthorizationDetails, CancellationDetails, Card, Confirmation, Money, Payment, PaymentMethod,
    Recipient, Refund, Status, ThreeDSecure,
};
use crate::faults::RefundFault;
use crate::seen::{parse_timestamp, timestamp};

/// A user has an hour to pay with a card.
const TIME_TO_PAY_MS: i64 = 3_600_000;
/// A hold of a card lives for seven days.
const HOLD_MS: i64 = 7 * 86_400_000;
/// A refund that hangs is decided on the next day.
const TIME_TO_DECIDE_MS: i64 = 86_400_000;
/// The shop has taken too little today to pay back.
const NO_FUNDS: &str = "insufficient_funds";
/// Why a refund is refused, and by whom.
const REFUND_REASONS: [(&str, &str); 6] = [
    (NO_FUNDS, "yoo_money"),
    ("general_decline", "refund_network"),
    ("rejected_by_payee", "refund_network"),
    ("rejected_by_timeout", "refund_network"),
    ("yoo_money_account_closed", "yoo_money"),
    ("payment_expired", "yoo_money"),
];
/// A key is forgotten a day after its first use.
pub(super) const KEY_MS: i64 = 86_400_000;

/// Everything the emulated YooKassa remembers.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Books {
    /// How far the shop's clock is ahead of the machine's.
    pub(super) ahead_ms: i64,
    pub(super) payments: BTreeMap<String, StoredPayment>,
    pub(super) refunds: BTreeMap<String, Refund>,
    /// Whether the shop is one with «Чеки от ЮKassa».
    pub(super) wants_receipts: bool,
    pub(super) receipts: BTreeMap<String, KeptReceipt>,
    pub(super) keys: BTreeMap<String, UsedKey>,
    pub(super) deliveries: Vec<Delivery>,
    next_delivery: u64,
}

/// A payment with what the wire does not show.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct StoredPayment {
    pub(super) payment: Payment,
    pub(super) created_ms: i64,
    pub(super) captured_ms: Option<i64>,
    /// When it ends by itself, while it is not final.
    ends_ms: i64,
    capture: bool,
    /// Kept here because the confirmation leaves the object once the user has confirmed.
    pub(super) return_url: Option<String>,
}

/// What a key was used for.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct UsedKey {
    /// Of method, path and body.
    pub(super) digest: String,
    pub(super) object_id: String,
    pub(super) used_ms: i64,
}

/// A notification on its way.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Delivery {
    pub(super) id: u64,
    pub(super) event: String,
    pub(super) object_id: String,
    pub(super) body: Value,
    pub(super) born_ms: i64,
    pub(super) due_ms: i64,
    pub(super) tries: usize,
}

/// What has happened, in YooKassa's name for it, with the object at that moment.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) name: String,
    pub(super) object_id: String,
    pub(super) object: Value,
}

/// What makes a payment that the caller does not choose.
#[derive(Debug)]
pub(super) struct Origin<'a> {
    pub(super) shop_id: &'a str,
    /// Scheme and host by which the caller came.
    pub(super) base: &'a str,
}

impl Books {
    /// The payment or refund with this id, as the API shows it.
    pub(super) fn object(&self, id: &str) -> Option<Value> {
        match self.payments.get(id) {
            Some(stored) => Some(json!(stored.payment)),
            None => self.refunds.get(id).map(|refund| json!(refund)),
        }
    }

    /// Takes a new payment in.
    pub(super) fn create(&mut self, new: NewPayment, origin: &Origin<'_>, now: i64) -> String {
        let id = Uuid::now_v7().to_string();
        let (confirmation, return_url) = confirm(new.confirmation, &id, origin.base);
        let payment = Payment {
            id: id.clone(),
            status: Status::Pending,
            amount: new.amount,
            income_amount: None,
            description: new.description,
            recipient: Recipient {
                account_id: origin.shop_id.to_owned(),
                gateway_id: "2100700".to_owned(),
            },
            payment_method: None,
            captured_at: None,
            created_at: timestamp(now),
            expires_at: None,
            confirmation: Some(confirmation),
            test: true,
            refunded_amount: None,
            paid: false,
            refundable: false,
            metadata: new.metadata,
            merchant_customer_id: new.merchant_customer_id,
            cancellation_details: None,
            authorization_details: None,
            receipt_registration: new.receipt.is_some().then(|| "pending".to_owned()),
        };
        let stored = StoredPayment {
            payment,
            created_ms: now,
            captured_ms: None,
            ends_ms: now + TIME_TO_PAY_MS,
            capture: new.capture,
            return_url,
        };
        self.payments.insert(id.clone(), stored);
        if let Some(receipt) = new.receipt {
            self.keep_payment_receipt(&id, receipt, now);
        }
        id
    }

    /// Takes a refund in: it goes through at once, as in a test shop, unless it is to end otherwise.
    pub(super) fn refund(
        &mut self,
        new: NewRefund,
        end: Option<RefundFault>,
        now: i64,
    ) -> Result<(String, Option<Event>), ApiError> {
        let stored = self.payments.get(&new.payment_id).ok_or_else(ApiError::wrong_state)?;
        let payment = &stored.payment;
        if payment.status != Status::Succeeded {
            return Err(ApiError::wrong_state());
        }
        let refunded = payment.refunded_amount.unwrap_or_default().0;
        if new.amount.0 > payment.amount.0 - refunded - self.pending(&new.payment_id) {
            return Err(ApiError::invalid(
                "amount.value",
                "The amount is larger than what is left of the payment",
            ));
        }
        let refund = Refund {
            id: Uuid::now_v7().to_string(),
            payment_id: new.payment_id,
            amount: new.amount,
            status: Status::Pending,
            created_at: timestamp(now),
            description: new.description,
            metadata: new.metadata,
            cancellation_details: None,
        };
        let id = refund.id.clone();
        self.refunds.insert(id.clone(), refund);
        let event = match end {
            Some(RefundFault::Pending) => None,
            Some(RefundFault::Refuse) => {
                self.refuse_refund(&id, NO_FUNDS)?;
                None
            }
            None => Some(self.complete_refund(&id)?),
        };
        Ok((id, event))
    }

    /// A refund that was not decided goes through.
    pub(super) fn complete_refund(&mut self, id: &str) -> Result<Event, ApiError> {
        let refund = self.pending_refund(id)?;
        refund.status = Status::Succeeded;
        let event = Event {
            name: "refund.succeeded".to_owned(),
            object_id: id.to_owned(),
            object: json!(refund),
        };
        let (payment_id, amount) = (refund.payment_id.clone(), refund.amount);
        if let Some(stored) = self.payments.get_mut(&payment_id) {
            let payment = &mut stored.payment;
            let refunded = payment.refunded_amount.unwrap_or_default().0 + amount.0;
            payment.refunded_amount = Some(Money(refunded));
            payment.refundable = refunded < payment.amount.0;
        }
        Ok(event)
    }

    /// A refund that was not decided is refused. No event tells of it.
    pub(super) fn refuse_refund(&mut self, id: &str, reason: &str) -> Result<(), ApiError> {
        let party = refund_party(reason)
            .ok_or_else(|| ApiError::invalid("reason", "There is no such reason of refunds"))?;
        let refund = self.pending_refund(id)?;
        refund.status = Status::Canceled;
        refund.cancellation_details =
            Some(CancellationDetails { party: party.to_owned(), reason: reason.to_owned() });
        Ok(())
    }

    fn pending_refund(&mut self, id: &str) -> Result<&mut Refund, ApiError> {
        let refund = self.refunds.get_mut(id).ok_or_else(|| ApiError::not_found("Refund"))?;
        if refund.status == Status::Pending { Ok(refund) } else { Err(ApiError::wrong_state()) }
    }

    /// What is asked back of a payment and not decided yet.
    fn pending(&self, payment_id: &str) -> i64 {
        let refunds = self.refunds.values();
        let pending = refunds
            .filter(|it| it.payment_id == payment_id && it.status == Status::Pending)
            .map(|it| it.amount.0);
        pending.sum()
    }

    /// Refunds that are decided by now, if nobody has done it.
    fn overdue_refunds(&self, now: i64) -> impl Iterator<Item = &Refund> {
        self.refunds.values().filter(move |refund| {
            let created_ms = parse_timestamp(&refund.created_at).unwrap_or_default();
            refund.status == Status::Pending && now - created_ms >= TIME_TO_DECIDE_MS
        })
    }

    /// Ends what has run out of time, forgets keys of yesterday.
    pub(super) fn tick(&mut self, now: i64) -> Vec<Event> {
        self.keys.retain(|_, used| now - used.used_ms < KEY_MS);
        let mut events: Vec<_> =
            self.payments.values_mut().filter_map(|stored| stored.run_out(now)).collect();
        let refunds: Vec<_> = self.overdue_refunds(now).map(|refund| refund.id.clone()).collect();
        events.extend(refunds.iter().filter_map(|id| self.complete_refund(id).ok()));
        events
    }

    /// Whether [`tick`](Self::tick) has something to do.
    pub(super) fn is_due(&self, now: i64) -> bool {
        self.payments.values().any(|stored| stored.is_overdue(now))
            || self.overdue_refunds(now).next().is_some()
            || self.keys.values().any(|used| now - used.used_ms >= KEY_MS)
    }

    /// Puts a notification on its way.
    pub(super) fn enqueue(&mut self, event: &Event, born_ms: i64, due_ms: i64) {
        let id = self.next_delivery;
        self.next_delivery += 1;
        self.deliveries.push(Delivery {
            id,
            event: event.name.clone(),
            object_id: event.object_id.clone(),
            body: json!({ "type": "notification", "event": event.name, "object": event.object }),
            born_ms,
            due_ms,
            tries: 0,
        });
    }
}

fn refund_party(reason: &str) -> Option<&'static str> {
    REFUND_REASONS.iter().find(|(known, _)| *known == reason).map(|(_, party)| *party)
}

/// Every reason for which a refund can be refused.
pub(super) fn refund_reasons() -> impl Iterator<Item = &'static str> {
    REFUND_REASONS.iter().map(|(reason, _)| *reason)
}

fn confirm(new: NewConfirmation, id: &str, base: &str) -> (Confirmation, Option<String>) {
    match new {
        NewConfirmation::Redirect { return_url, enforce } => {
            let confirmation_url = format!("{base}/checkout/payments/v2/contract?orderId={id}");
            let back = Some(return_url.clone());
            (Confirmation::Redirect { return_url, confirmation_url, enforce }, back)
        }
        NewConfirmation::Embedded => {
            (Confirmation::Embedded { confirmation_token: format!("ct-{id}") }, None)
        }
    }
}

impl StoredPayment {
    /// The user pays with this card; `hold` keeps the money apart even in one-stage payments.
    pub(super) fn pay(&mut self, number: &str, hold: bool, now: i64) -> Result<Event, ApiError> {
        if self.payment.status != Status::Pending {
            return Err(ApiError::wrong_state());
        }
        let outcome = cards::outcome(number)
            .ok_or_else(|| ApiError::invalid("number", "This is not one of the test cards"))?;
        self.payment.payment_method = Some(method(&self.payment.id, number));
        let three_d_secure = match outcome {
            Outcome::Paid { three_d_secure } => three_d_secure,
            Outcome::Declined { party, reason } => return Ok(self.end(party, reason)),
        };
        self.payment.authorization_details = Some(authorization(&self.payment.id, three_d_secure));
        self.payment.confirmation = None;
        self.payment.paid = true;
        if self.capture && !hold {
            return Ok(self.succeed(now));
        }
        self.payment.status = Status::WaitingForCapture;
        self.ends_ms = now + HOLD_MS;
        self.payment.expires_at = Some(timestamp(self.ends_ms));
        Ok(self.event())
    }

    /// The payment fails.
    pub(super) fn decline(&mut self, party: &str, reason: &str) -> Result<Event, ApiError> {
        if self.payment.status != Status::Pending {
            return Err(ApiError::wrong_state());
        }
        Ok(self.end(party, reason))
    }

    /// The shop takes the money of a hold, or a part of it.
    pub(super) fn capture(&mut self, part: Option<Money>, now: i64) -> Result<Event, ApiError> {
        if self.payment.status != Status::WaitingForCapture {
            return Err(ApiError::wrong_state());
        }
        if let Some(part) = part {
            if part > self.payment.amount {
                return Err(ApiError::invalid(
                    "amount.value",
                    "The amount is larger than the payment",
                ));
            }
            self.payment.amount = part;
        }
        Ok(self.succeed(now))
    }

    /// The shop lets a hold go.
    pub(super) fn cancel(&mut self) -> Result<Event, ApiError> {
        if self.payment.status != Status::WaitingForCapture {
            return Err(ApiError::wrong_state());
        }
        Ok(self.end("merchant", "canceled_by_merchant"))
    }

    /// Time has run out, whatever the clock says.
    pub(super) fn expire(&mut self) -> Result<Event, ApiError> {
        match self.payment.status {
            Status::Pending => Ok(self.end("yoo_money", "expired_on_confirmation")),
            Status::WaitingForCapture => Ok(self.end("yoo_money", "expired_on_capture")),
            Status::Succeeded | Status::Canceled => Err(ApiError::wrong_state()),
        }
    }

    /// The event that tells of the state as it is; `None` while there is nothing to tell.
    pub(super) fn last_event(&self) -> Option<Event> {
        (self.payment.status != Status::Pending).then(|| self.event())
    }

    fn is_overdue(&self, now: i64) -> bool {
        matches!(self.payment.status, Status::Pending | Status::WaitingForCapture)
            && now >= self.ends_ms
    }

    fn run_out(&mut self, now: i64) -> Option<Event> {
        if !self.is_overdue(now) {
            return None;
        }
        self.expire().ok()
    }

    fn succeed(&mut self, now: i64) -> Event {
        let payment = &mut self.payment;
        payment.status = Status::Succeeded;
        payment.refundable = true;
        payment.expires_at = None;
        payment.captured_at = Some(timestamp(now));
        // YooKassa keeps 3.5 %, rounded in its own favour.
        payment.income_amount =
            Some(Money(payment.amount.0 - (payment.amount.0 * 35 + 999) / 1000));
        if payment.receipt_registration.is_some() {
            payment.receipt_registration = Some("succeeded".to_owned());
        }
        self.captured_ms = Some(now);
        self.event()
    }

    fn end(&mut self, party: &str, reason: &str) -> Event {
        let payment = &mut self.payment;
        payment.status = Status::Canceled;
        payment.paid = false;
        payment.expires_at = None;
        payment.confirmation = None;
        payment.cancellation_details =
            Some(CancellationDetails { party: party.to_owned(), reason: reason.to_owned() });
        if payment.receipt_registration.is_some() {
            payment.receipt_registration = Some("canceled".to_owned());
        }
        self.event()
    }

    fn event(&self) -> Event {
        Event {
            name: format!("payment.{}", self.payment.status.as_str()),
            object_id: self.payment.id.clone(),
            object: json!(self.payment),
        }
    }
}

fn method(id: &str, number: &str) -> PaymentMethod {
    let last4 = number.get(12..).unwrap_or_default().to_owned();
    PaymentMethod {
        kind: "bank_card".to_owned(),
        id: id.to_owned(),
        saved: false,
        status: "inactive".to_owned(),
        title: Some(format!("Bank card *{last4}")),
        card: Some(Card {
            first6: number.get(..6).unwrap_or_default().to_owned(),
            last4,
            expiry_year: "2032".to_owned(),
            expiry_month: "12".to_owned(),
            card_type: cards::scheme(number).to_owned(),
        }),
    }
}

fn authorization(id: &str, applied: bool) -> AuthorizationDetails {
    let digits: String = id.bytes().map(|byte| char::from(b'0' + byte % 10)).collect();
    AuthorizationDetails {
        rrn: digits.get(20..32).unwrap_or_default().to_owned(),
        auth_code: digits.get(10..16).unwrap_or_default().to_owned(),
        three_d_secure: ThreeDSecure { applied },
    }
}
